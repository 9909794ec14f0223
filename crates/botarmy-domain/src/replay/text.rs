//! Texts in a short form, in which they are kept and compared.
//!
//! A replay holds every object of a log at once, so it must not hold their texts. A long text is
//! replaced by its beginning, its length and its digest. That form is itself longer than every text
//! that is kept whole, so a short text never equals the form of a long one.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::artifact::{canonical, hex};
use crate::handoff::Handoff;
use crate::hitl::{GateComment, HistoryEntry, HitlRequest, HitlState, Reply, Vote};
use crate::task::{Answer, RefusedResult, TaskError, TaskState};

/// Length in bytes up to which a text is kept whole.
const MAX_WHOLE: usize = 200;
/// Length in bytes of the beginning that is kept of a longer one.
const BEGINNING: usize = 120;

/// Text that grows, in the short form.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// The text, or its beginning.
    kept: String,
    /// Number of characters and digest of a text that is not kept whole.
    long: Option<(usize, Sha256)>,
}

impl Text {
    pub(super) fn of(text: String) -> Self {
        let mut new = Self { kept: text, long: None };
        new.cut();
        new
    }

    /// Appends to the text.
    pub(super) fn push_str(&mut self, more: &str) {
        match &mut self.long {
            Some((characters, hasher)) => {
                *characters += more.chars().count();
                hasher.update(more);
            }
            None => {
                self.kept.push_str(more);
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > MAX_WHOLE {
            self.long = Some((self.kept.chars().count(), Sha256::new_with_prefix(&self.kept)));
            let end = (0..=BEGINNING).rev().find(|end| self.kept.is_char_boundary(*end));
            self.kept.truncate(end.unwrap_or(0));
            self.kept.shrink_to_fit();
        }
    }

    /// Returns the short form.
    pub(super) fn short(&self) -> String {
        match &self.long {
            Some((characters, hasher)) => format!(
                "{}… ({characters} characters with the digest {})",
                self.kept,
                hex(&hasher.clone().finalize())
            ),
            None => self.kept.clone(),
        }
    }
}

/// Returns the value with all texts that agents or people write in the short form.
pub(super) fn short<T: Short>(mut value: T) -> T {
    value.shorten();
    value
}

/// Value with texts that agents or people write.
pub(super) trait Short {
    /// Replaces the texts by their short form.
    fn shorten(&mut self);
}

impl Short for String {
    fn shorten(&mut self) {
        if self.len() > MAX_WHOLE {
            *self = Text::of(std::mem::take(self)).short();
        }
    }
}

impl Short for Value {
    fn shorten(&mut self) {
        // Canonical, because the store may have the keys in another order than the log.
        let text = String::from_utf8(canonical(self)).expect("JSON is UTF-8");
        if text.len() > MAX_WHOLE {
            *self = Self::String(short(text));
        }
    }
}

impl<T: Short> Short for Option<T> {
    fn shorten(&mut self) {
        self.iter_mut().for_each(Short::shorten);
    }
}

impl<T: Short> Short for Vec<T> {
    fn shorten(&mut self) {
        self.iter_mut().for_each(Short::shorten);
    }
}

impl Short for Handoff {
    fn shorten(&mut self) {
        self.instructions.shorten();
    }
}

impl Short for TaskError {
    fn shorten(&mut self) {
        self.code.shorten();
        self.message.shorten();
    }
}

impl Short for RefusedResult {
    fn shorten(&mut self) {
        self.reason.shorten();
    }
}

impl Short for Answer {
    fn shorten(&mut self) {
        self.comment.shorten();
        self.content.shorten();
    }
}

impl Short for TaskState {
    fn shorten(&mut self) {
        match self {
            Self::Pending { last_error } => last_error.shorten(),
            Self::Completed { output, .. } => output.shorten(),
            Self::Failed { error, .. } => error.shorten(),
            Self::Cancelled { reason, .. } => reason.shorten(),
            Self::Working { .. } | Self::WaitingForHitl { .. } => {}
        }
    }
}

impl Short for Reply {
    fn shorten(&mut self) {
        self.content.shorten();
        self.comment.shorten();
        self.amended_content.shorten();
        self.response.shorten();
    }
}

impl Short for Vote {
    fn shorten(&mut self) {
        self.content.shorten();
        self.comment.shorten();
    }
}

impl Short for GateComment {
    fn shorten(&mut self) {
        self.text.shorten();
    }
}

impl Short for HitlRequest {
    fn shorten(&mut self) {
        self.question.shorten();
        self.options.shorten();
        self.votes.shorten();
        self.comments.shorten();
        self.state.shorten();
        self.history.shorten();
    }
}

impl Short for HitlState {
    fn shorten(&mut self) {
        match self {
            Self::Approved(reply) | Self::Rejected(reply) | Self::Amended(reply) => reply.shorten(),
            Self::Cancelled { reason, .. } => reason.shorten(),
            Self::Pending | Self::Expired { .. } => {}
        }
    }
}

impl Short for HistoryEntry {
    fn shorten(&mut self) {
        self.content.shorten();
        self.comment.shorten();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_never_equals_the_form_of_a_long_one() {
        for text in ["x".repeat(MAX_WHOLE + 1), "ß".repeat(MAX_WHOLE), "語".repeat(100_000)] {
            let form = short(text.clone());
            assert!(form.len() > MAX_WHOLE && form.len() < 2 * MAX_WHOLE, "{form}");
            assert_ne!(short(form.clone()), form);
            assert!(form.contains(&format!("({} characters", text.chars().count())), "{form}");
        }
        let whole = "x".repeat(MAX_WHOLE);
        assert_eq!(short(whole.clone()), whole);
    }

    #[test]
    fn a_text_that_grew_has_the_form_of_the_whole() {
        for parts in [["a", "b"], ["a", &"b".repeat(500)], [&"a".repeat(500), "ß"]] {
            let mut grown = Text::of(parts[0].to_owned());
            grown.push_str(parts[1]);
            assert_eq!(grown.short(), short(parts.concat()));
        }
    }
}
