//! Whether the OpenAPI document names the statuses that the server really sends. Every request of a test
//! is a probe: clients that are generated from the document know no others.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use reqwest::Method;
use serde_json::Value;

/// An operation: its method, the segments of its path, and the statuses of its responses.
struct Operation {
    method: String,
    path: Vec<String>,
    statuses: BTreeSet<u16>,
}

/// Checks that the document names this status for the operation to which a request went. A request that
/// went to none of them proves nothing.
///
/// # Panics
/// If the document does not name it.
pub fn check(method: &Method, path: &str, status: u16) {
    // The bodies of successful responses are tested one by one.
    if status < 400 {
        return;
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let Some(operation) = operations().iter().find(|one| one.has(method, path)) else { return };
    assert!(
        operation.statuses.contains(&status),
        "{method} {path} is answered with {status}, which its documentation does not name"
    );
}

impl Operation {
    fn has(&self, method: &Method, path: &str) -> bool {
        let segments: Vec<_> = path.split('/').collect();
        let fits = |(known, found): (&String, &&str)| known.starts_with('{') || known == found;
        self.method.eq_ignore_ascii_case(method.as_str())
            && self.path.len() == segments.len()
            && self.path.iter().zip(&segments).all(fits)
    }
}

/// Returns the operations of the document, those without variable segments first.
fn operations() -> &'static [Operation] {
    static OPERATIONS: OnceLock<Vec<Operation>> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let Some(responses) = operation["responses"].as_object() else { continue };
                operations.push(Operation {
                    method: method.clone(),
                    path: path.split('/').map(str::to_owned).collect(),
                    statuses: responses.keys().filter_map(|status| status.parse().ok()).collect(),
                });
            }
        }
        operations.sort_by_key(|one| one.path.iter().filter(|part| part.starts_with('{')).count());
        operations
    })
}
