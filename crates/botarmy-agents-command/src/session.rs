//! State that is kept while a person answers a program's question.

use serde::{Deserialize, Serialize};

/// State of a program between its question and the attempt that gets the answer. Stored as JSON in
/// the session of the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    /// Name of the attempt's folder below the runner's working folder.
    pub(crate) folder: String,
    /// Session text that the program gave.
    pub(crate) session: String,
    /// Tools that the program may use if the answer is an approval.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    /// Cost of the session so far, in millionths of a US dollar.
    #[serde(default)]
    pub(crate) spent: u64,
}
