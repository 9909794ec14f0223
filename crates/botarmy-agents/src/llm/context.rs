//! What of the context a model is shown: the task's order is the order of importance, and what
//! does not fit is left out and said.

use std::sync::Arc;

use botarmy_domain::artifact::Artifact;
use botarmy_domain::vocabulary::ArtifactType;
use serde_json::{Value, json};

/// About how many tokens so many bytes are. Every model counts differently; four bytes for one is
/// near enough for English and code, and is what all numbers here mean.
pub(super) const fn approximate_tokens(bytes: usize) -> usize {
    bytes.div_ceil(4)
}

/// What is shown.
#[derive(Debug)]
pub(super) struct Selection {
    /// As the model reads it.
    pub(super) text: String,
    shown: usize,
    left_out: Vec<Value>,
    budget: usize,
}

impl Selection {
    /// Takes what fits, the first first. Source code that does not fit as a whole is shown file by
    /// file as far as it goes: half of it helps, half a document does not.
    pub(super) fn of(context: &[Arc<Artifact>], budget: usize) -> Self {
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

    /// For whoever watches.
    pub(super) fn line(&self, model: &str) -> String {
        match self.left_out.len() {
            0 => format!("{model}: asked, with {} documents", self.shown),
            n => format!(
                "{model}: asked, with {} documents; {n} parts left out, more than about {} tokens",
                self.shown, self.budget
            ),
        }
    }

    /// For the record.
    pub(super) fn record(&self) -> Value {
        json!({
            "shown": self.shown, "left_out": self.left_out, "budget_tokens": self.budget,
            "approximate_tokens": approximate_tokens(self.text.len()),
        })
    }
}
