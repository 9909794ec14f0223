//! What the drafter is asked for, and the one function that answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::product::Product;
use super::{application, checks, documents, refinement, repair};

/// One thing to draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// What to make.
    pub step: Step,
    /// The product idea. May be empty where an input carries it.
    pub idea: String,
    /// What reviewers asked for, oldest first.
    pub feedback: Vec<String>,
    /// The newest artifact content of each type, by the word for the type (`project_plan`, …).
    pub inputs: BTreeMap<String, Value>,
}

/// The steps of the `sdlc` workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Idea → project plan.
    ProjectPlanning,
    /// Project plan → software specification.
    RequirementsAnalysis,
    /// Specification → system architecture.
    ArchitecturalDesign,
    /// Architecture → implementation plan.
    ImplementationPlanning,
    /// Plans → the first build of the source code.
    CodeGeneration,
    /// Source code → tidier source code.
    CodeRefinement,
    /// Source code → test results.
    CodeTesting,
    /// Source code and test results → repaired source code.
    BugFix,
    /// Source code → files in a folder and a deployment log.
    Deployment,
    /// Deployed files → a deployment log that says whether they are the right ones.
    FinalCheck,
}

impl Step {
    /// Every step, in the order of the workflow.
    pub const ALL: &'static [Self] = &[
        Self::ProjectPlanning,
        Self::RequirementsAnalysis,
        Self::ArchitecturalDesign,
        Self::ImplementationPlanning,
        Self::CodeGeneration,
        Self::CodeRefinement,
        Self::CodeTesting,
        Self::BugFix,
        Self::Deployment,
        Self::FinalCheck,
    ];

    /// The name in the workflow.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProjectPlanning => "Project Planning",
            Self::RequirementsAnalysis => "Requirements Analysis",
            Self::ArchitecturalDesign => "Architectural Design",
            Self::ImplementationPlanning => "Implementation Planning",
            Self::CodeGeneration => "Code Generation",
            Self::CodeRefinement => "Code Refinement",
            Self::CodeTesting => "Code Testing",
            Self::BugFix => "Bug Fix",
            Self::Deployment => "Deployment",
            Self::FinalCheck => "Final Check",
        }
    }

    /// The step of that name, in any spelling that has the same letters in the same order:
    /// `Code Testing`, `code_testing`, `code-testing`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let letters = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        let wanted = letters(name);
        Self::ALL.iter().copied().find(|step| letters(step.name()) == wanted)
    }

    /// The documents that come before this step, the nearest first.
    const fn documents_before(self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "implementation_plan",
            "system_architecture",
            "software_specification",
            "project_plan",
        ];
        match self {
            Self::ProjectPlanning => &[],
            Self::RequirementsAnalysis => ALL.split_at(3).1,
            Self::ArchitecturalDesign => ALL.split_at(2).1,
            Self::ImplementationPlanning => ALL.split_at(1).1,
            _ => ALL,
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why nothing was drafted. Another try with the same input ends the same way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Something that the step works on was not given.
    #[error("{step} needs {what}")]
    Missing {
        /// The step.
        step: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// An artifact has not the form the step can read.
    #[error("the {artifact} artifact cannot be used: {detail}")]
    Malformed {
        /// Its type.
        artifact: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The files may not be written to a folder.
    #[error("the files cannot be deployed: {0}")]
    Refused(String),
}

impl DraftError {
    /// A word that programs can match on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing_input",
            Self::Malformed { .. } => "malformed_input",
            Self::Refused(_) => "deployment_refused",
        }
    }
}

/// Drafts what the brief asks for. The same brief always yields the same bytes.
///
/// # Errors
/// [`DraftError`] when an input is missing or malformed, and for the two steps that work on a
/// folder ([`Step::Deployment`], [`Step::FinalCheck`]): they need one, and `OfflineDrafter` has it.
pub fn draft(brief: &Brief) -> Result<Value, DraftError> {
    match brief.step {
        Step::ProjectPlanning => Ok(documents::plan::draft(&brief.product()?)),
        Step::RequirementsAnalysis => Ok(documents::specification::draft(&brief.product()?)),
        Step::ArchitecturalDesign => Ok(documents::architecture::draft(&brief.product()?)),
        Step::ImplementationPlanning => Ok(documents::implementation::draft(&brief.product()?)),
        Step::CodeGeneration => {
            let product = brief.product()?;
            let source = brief.build(&product);
            let summary =
                format!("{} in {} files, not tested yet.", product.name, source.files.len());
            Ok(documents::source_code(&source, Some(&product), brief.step, &summary, &[]))
        }
        Step::CodeRefinement => refinement::draft(brief),
        Step::CodeTesting => checks::draft(brief),
        Step::BugFix => repair::draft(brief),
        Step::Deployment | Step::FinalCheck => {
            Err(DraftError::Missing { step: brief.step.name(), what: "a folder to deploy to" })
        }
    }
}

impl Brief {
    /// An input by the word for its type.
    pub(super) fn input(&self, artifact_type: &str) -> Option<&Value> {
        self.inputs.get(artifact_type)
    }

    /// An input that the step cannot do without.
    pub(super) fn needed(&self, artifact_type: &'static str) -> Result<&Value, DraftError> {
        self.input(artifact_type)
            .ok_or(DraftError::Missing { step: self.step.name(), what: artifact_type })
    }

    /// What is being built: read from the nearest document before this step, or else from the
    /// idea; with everything that reviewers asked for since.
    pub(super) fn product(&self) -> Result<Product, DraftError> {
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
        // A document that a person wrote from scratch carries no product. What it says counts,
        // unless a later document has taken it up already.
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

    /// Builds the application: without the defect of a first build once it has been tested.
    pub(super) fn build(&self, product: &Product) -> super::files::SourceCode {
        if self.input("test_results").is_some() {
            application::build(product)
        } else {
            application::first_build(product)
        }
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

/// The text of a document that has no form we know.
pub(super) fn free_text(document: &Value) -> Option<String> {
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
    use super::*;
    use serde_json::json;

    fn brief(step: Step, inputs: &Value) -> Brief {
        let inputs = inputs.as_object().unwrap().clone().into_iter().collect();
        Brief { step, idea: String::new(), feedback: Vec::new(), inputs }
    }

    #[test]
    fn a_step_is_found_under_its_name_in_any_spelling() {
        for step in Step::ALL {
            assert_eq!(Step::named(step.name()), Some(*step));
            assert_eq!(Step::named(&step.name().to_lowercase().replace(' ', "_")), Some(*step));
        }
        assert_eq!(Step::named("Dance"), None);
    }

    #[test]
    fn an_empty_brief_says_what_is_missing() {
        for step in Step::ALL {
            let error = draft(&brief(*step, &json!({}))).unwrap_err();
            assert_eq!(error.code(), "missing_input");
            assert!(error.to_string().starts_with(step.name()), "{error}");
        }
    }

    #[test]
    fn a_specification_that_a_person_wrote_from_scratch_is_what_gets_built() {
        let inputs = json!({
            "user_input": {"idea": "recipes"},
            "software_specification": {
                "text": "Keep it small.",
                "user_stories": [{"id": "S1", "i_want": "to delete", "acceptance": [{"id": "D"}]}]
            }
        });
        let product = brief(Step::CodeGeneration, &inputs).product().unwrap();
        assert_eq!(product.criteria_of("delete"), ["D"]);
        assert_eq!(product.changes[0].text, "Keep it small.");
    }

    #[test]
    fn malformed_documents_fall_back_to_the_idea_and_never_panic() {
        for junk in
            [json!(null), json!(7), json!([]), json!("words"), json!({"product": {"name": 1}})]
        {
            for step in Step::ALL {
                let inputs = json!({
                    "user_input": {"idea": "recipes"}, "project_plan": junk,
                    "software_specification": junk, "system_architecture": junk,
                    "implementation_plan": junk, "source_code": junk, "test_results": junk,
                });
                let result = draft(&brief(*step, &inputs));
                let reads_code = matches!(
                    step,
                    Step::CodeRefinement
                        | Step::CodeTesting
                        | Step::BugFix
                        | Step::Deployment
                        | Step::FinalCheck
                );
                assert_eq!(result.is_err(), reads_code, "{step}: {junk}");
            }
        }
    }
}
