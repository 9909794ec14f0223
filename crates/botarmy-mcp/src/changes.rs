//! The changes between two versions of a document.

use std::time::Duration;

use serde_json::Value;
use similar::TextDiff;

use crate::outline::outline;

/// Time after which a comparison becomes coarser.
const COMPARE_TIMEOUT: Duration = Duration::from_millis(500);
/// Number of unchanged lines around each change.
const CONTEXT_LINES: usize = 3;

/// Returns the changes from one version of a document to the next as a unified diff of their lines; empty
/// if nothing has changed.
pub(crate) fn changes(before: &Value, after: &Value) -> String {
    let (before, after) = (outline(before), outline(after));
    let compared =
        TextDiff::configure().timeout(COMPARE_TIMEOUT).diff_lines(before.as_str(), after.as_str());
    let mut unified = compared.unified_diff();
    unified.context_radius(CONTEXT_LINES).header("previous version", "this version").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_those_of_lines() {
        let (before, after) = (json!({"a": "1\n2\n3"}), json!({"a": "1\nII\n3"}));
        let shown = changes(&before, &after);
        assert!(shown.contains("\n-  2\n+  II\n"), "{shown}");
        assert!(shown.starts_with("--- previous version\n+++ this version\n"), "{shown}");
        assert_eq!(changes(&before, &before), "");
    }
}
