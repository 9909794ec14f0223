//! Payload of an entry about the server itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Free-form payload, such as a `message` about the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Note(pub Map<String, Value>);

impl Note {
    /// Returns the text under `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }
}
