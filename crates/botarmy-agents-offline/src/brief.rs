//! The input of a step, and the product that follows from it.

use std::collections::BTreeMap;

use botarmy_domain::source_code::SourceCode;
use serde_json::Value;

use crate::application;
use crate::error::DraftError;
use crate::product::Product;
use crate::step::Step;

/// The input of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// Step to do.
    pub step: Step,
    /// Product idea; may be empty where an input has it.
    pub idea: String,
    /// Requests of reviewers, oldest first.
    pub feedback: Vec<String>,
    /// Newest artifact content of each type, by the name of the type (`project_plan`, …).
    pub inputs: BTreeMap<String, Value>,
    /// `true` if a later step tests the build and another one repairs it. Only then does a first
    /// build have its deliberate defect.
    pub is_repaired: bool,
}

impl Brief {
    /// Returns the input of an artifact type.
    pub(crate) fn input(&self, artifact_type: &str) -> Option<&Value> {
        self.inputs.get(artifact_type)
    }

    /// Returns an input that the step requires.
    pub(crate) fn needed(&self, artifact_type: &'static str) -> Result<&Value, DraftError> {
        self.input(artifact_type)
            .ok_or(DraftError::Missing { step: self.step.name(), what: artifact_type })
    }

    /// Returns the product: read from the nearest document before this step or else from the idea,
    /// with all later requests of reviewers.
    pub(crate) fn product(&self) -> Result<Product, DraftError> {
        let documents = self.step.documents_before();
        let nearest = documents.iter().enumerate().find_map(|(at, name)| {
            Product::from_document(self.input(name)?).map(|product| (at, product))
        });
        let built =
            || Product::from_document(self.input("source_code")?).map(|product| (0, product));
        let (known, mut product) = match nearest.or_else(built) {
            Some(carried) => carried,
            None => (documents.len(), Product::from_idea(&self.idea()?)),
        };
        // A document that a person wrote from scratch has no product. Its text counts as a request,
        // unless a later document includes it already.
        for document in documents[..known].iter().rev().filter_map(|name| self.input(name)) {
            product.adopt_stories(document);
            if let Some(text) = free_text(document) {
                product.request(&text);
            }
        }
        for text in &self.feedback {
            product.request(text);
        }
        Ok(product)
    }

    /// Builds the application: with the deliberate defect of a first build until it was tested.
    pub(crate) fn build(&self, product: &Product) -> SourceCode {
        if self.has_defect() {
            application::first_build(product)
        } else {
            application::build(product)
        }
    }

    /// Returns `true` if the build gets the deliberate defect of a first build.
    pub(crate) fn has_defect(&self) -> bool {
        self.is_repaired && self.input("test_results").is_none()
    }

    fn idea(&self) -> Result<String, DraftError> {
        let from_input = self.input("user_input").and_then(free_text);
        let idea = if self.idea.trim().is_empty() { from_input } else { Some(self.idea.clone()) };
        idea.filter(|idea| !idea.trim().is_empty()).ok_or(DraftError::Missing {
            step: self.step.name(),
            what: "an idea: a user_input artifact with a text \"idea\", or a document that was \
                   made from one",
        })
    }
}

/// Returns the text of a document whose structure is unknown.
pub(crate) fn free_text(document: &Value) -> Option<String> {
    const KEYS: &[&str] =
        &["idea", "user_content", "markdown", "text", "content", "summary", "description", "title"];
    if let Some(text) = document.as_str() {
        return Some(text.to_owned());
    }
    KEYS.iter()
        .find_map(|key| document.get(key)?.as_str())
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_specification_that_a_person_wrote_from_scratch_is_what_gets_built() {
        let inputs = json!({
            "user_input": {"idea": "recipes"},
            "software_specification": {
                "text": "Keep it small.",
                "user_stories": [{"id": "S1", "i_want": "to delete", "acceptance": [{"id": "D"}]}]
            }
        });
        let brief = Brief {
            step: Step::CodeGeneration,
            idea: String::new(),
            feedback: Vec::new(),
            is_repaired: true,
            inputs: inputs.as_object().unwrap().clone().into_iter().collect(),
        };
        let product = brief.product().unwrap();
        assert_eq!(product.criteria_of("delete"), ["D"]);
        assert_eq!(product.changes[0].text, "Keep it small.");
    }
}
