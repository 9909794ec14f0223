//! Selection of the context for a model: the artifacts come in the order of their importance, and
//! those that do not fit are left out and recorded.

use std::sync::Arc;

use botarmy_domain::artifact::Artifact;
use botarmy_domain::vocabulary::ArtifactType;
use serde_json::{Value, json};

use crate::usage::approximate_tokens;

/// The context of one request.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Text for the model.
    pub(crate) text: String,
    shown: usize,
    left_out: Vec<Value>,
    budget: usize,
}

impl Selection {
    /// Selects the artifacts that fit into the budget of tokens, in their order. Source code is
    /// selected file by file: half of it helps, half of a document does not.
    pub(crate) fn of(context: &[Arc<Artifact>], budget: usize) -> Self {
        let mut selection = Self { text: String::new(), shown: 0, left_out: Vec::new(), budget };
        let mut left = budget;
        for artifact in context {
            let kind = artifact.meta.artifact_type;
            let heading = format!("# Given: {kind}\n\n");
            let files = (kind == ArtifactType::SourceCode)
                .then(|| artifact.content.get("files")?.as_array())
                .flatten();
            let taken = match files {
                Some(files) => selection.take_files(artifact, &heading, files, &mut left),
                None => {
                    let body = Value::Object(artifact.content.clone()).to_string();
                    selection.take(artifact, &format!("{heading}{body}\n\n"), &mut left)
                }
            };
            selection.shown += usize::from(taken);
        }
        selection
    }

    fn take(&mut self, artifact: &Artifact, text: &str, left: &mut usize) -> bool {
        let tokens = approximate_tokens(text.len());
        if tokens > *left {
            self.left_out.push(json!({
                "context_id": artifact.meta.id, "artifact_type": artifact.meta.artifact_type,
                "approximate_tokens": tokens,
            }));
            return false;
        }
        *left -= tokens;
        self.text.push_str(text);
        true
    }

    fn take_files(
        &mut self,
        artifact: &Artifact,
        heading: &str,
        files: &[Value],
        left: &mut usize,
    ) -> bool {
        if !self.take(artifact, heading, left) {
            return false;
        }
        for file in files {
            let text = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default();
            let (path, content) = (text("path"), text("content"));
            let shown = format!("## File: {path}\n\n{content}\n\n");
            let tokens = approximate_tokens(shown.len());
            if tokens <= *left {
                *left -= tokens;
                self.text.push_str(&shown);
            } else {
                self.left_out.push(json!({
                    "context_id": artifact.meta.id, "path": path, "approximate_tokens": tokens,
                }));
            }
        }
        true
    }

    /// Returns the progress message.
    pub(crate) fn line(&self, model: &str) -> String {
        match self.left_out.len() {
            0 => format!("{model}: asked, with {} documents", self.shown),
            n => format!(
                "{model}: asked, with {} documents; {n} parts left out, more than about {} tokens",
                self.shown, self.budget
            ),
        }
    }

    /// Returns the record for the output of the task.
    pub(crate) fn record(&self) -> Value {
        json!({
            "shown": self.shown, "left_out": self.left_out, "budget_tokens": self.budget,
            "approximate_tokens": approximate_tokens(self.text.len()),
        })
    }
}
