//! The engine: one function from a brief to a document.

use serde_json::Value;

use crate::brief::Brief;
use crate::english::count;
use crate::error::DraftError;
use crate::step::Step;
use crate::{checks, documents, refinement, repair};

/// Drafts the document of a step. The same brief always gives the same bytes.
///
/// # Errors
/// [`DraftError`] when an input is missing or malformed, and for the two steps that work on a
/// folder ([`Step::Deployment`], [`Step::FinalCheck`]): only
/// [`OfflineRunner`](crate::OfflineRunner) has one.
pub fn draft(brief: &Brief) -> Result<Value, DraftError> {
    match brief.step {
        Step::ProjectPlanning => Ok(documents::plan::draft(&brief.product()?)),
        Step::RequirementsAnalysis => Ok(documents::specification::draft(&brief.product()?)),
        Step::ArchitecturalDesign => Ok(documents::architecture::draft(&brief.product()?)),
        Step::ImplementationPlanning => Ok(documents::implementation::draft(&brief.product()?)),
        Step::CodeGeneration => {
            let product = brief.product()?;
            let source = brief.build(&product);
            let defect = if brief.has_defect() {
                " This first build has one deliberate defect, so that the tests have something to find."
            } else {
                ""
            };
            let files = count(source.files.len(), "file");
            let summary = format!("{} in {files}, not tested yet.{defect}", product.name);
            Ok(documents::source_code(&source, Some(&product), brief.step, &summary, &[]))
        }
        Step::CodeRefinement => refinement::draft(brief),
        Step::CodeTesting => checks::draft(brief),
        Step::BugFix => repair::draft(brief),
        Step::Coordination => documents::coordination::draft(brief),
        Step::Deployment | Step::FinalCheck => {
            Err(DraftError::Missing { step: brief.step.name(), what: "a folder to deploy to" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn brief(step: Step, inputs: &Value) -> Brief {
        let inputs = inputs.as_object().unwrap().clone().into_iter().collect();
        Brief { step, idea: String::new(), feedback: Vec::new(), inputs, is_repaired: true }
    }

    #[test]
    fn an_empty_brief_is_an_error_that_names_the_missing_input() {
        for step in Step::ALL {
            let error = draft(&brief(*step, &json!({}))).unwrap_err();
            assert_eq!(error.code(), "missing_input");
            assert!(error.to_string().starts_with(step.name()), "{error}");
        }
    }

    #[test]
    fn malformed_documents_fall_back_to_the_idea_without_a_panic() {
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
                if *step == Step::Coordination {
                    assert!(result.is_err(), "it has no instructions");
                    continue;
                }
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
