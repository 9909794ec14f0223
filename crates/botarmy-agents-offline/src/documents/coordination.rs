//! The coordination note: what the orchestrator was asked, what there is, and what comes next.

use serde_json::{Value, json};

use super::generated_by;
use crate::brief::Brief;
use crate::english::{capitalised, count};
use crate::error::DraftError;
use crate::product::kept;
use crate::statement::STATEMENT;
use crate::step::Step;
use crate::template::{bullets, clip, markdown, quotation};

/// Artifact types with the work that follows when they are the newest.
const ORDER: &[(&str, &str)] = &[
    ("project_plan", "an analyst can specify the requirements"),
    ("software_specification", "an architect can design the system"),
    ("system_architecture", "an architect can plan the implementation"),
    ("implementation_plan", "a coder can write the application"),
    ("source_code", "a tester can test the application"),
    ("test_results", "a coder can repair what failed, or a deployer can deploy"),
    ("deployment_log", "a deployer can compare what is in place with what was built"),
];

/// Drafts the note from the instructions and the artifacts of a task.
pub(crate) fn draft(brief: &Brief) -> Result<Value, DraftError> {
    let instructions = kept(&brief.idea);
    if instructions.is_empty() {
        return Err(DraftError::Missing { step: brief.step.name(), what: "instructions" });
    }
    let present: Vec<String> = brief
        .inputs
        .iter()
        .map(|(name, content)| {
            let summary = content.get("summary").and_then(Value::as_str).unwrap_or_default();
            let name = capitalised(&name.replace('_', " "));
            if summary.is_empty() { name } else { format!("{name}: {}", clip(summary, 300)) }
        })
        .collect();
    let next = ORDER
        .iter()
        .rev()
        .find(|(name, _)| brief.inputs.contains_key(*name))
        .map_or("an analyst can draft a project plan", |(_, next)| *next);
    let summary =
        format!("{} looked at; next, {next}.", capitalised(&count(present.len(), "artifact")));
    let artifacts = if present.is_empty() {
        "The task was given no artifacts.".to_owned()
    } else {
        bullets(present.iter().map(|line| markdown(line)))
    };
    let requests = if brief.feedback.is_empty() {
        String::new()
    } else {
        let quoted: Vec<_> = brief.feedback.iter().map(|text| quotation(&kept(text))).collect();
        format!("\n## Requests of reviewers\n\n{}\n", quoted.join("\n\n"))
    };
    let text = format!(
        "# Coordination note\n\n*{STATEMENT}.*\n\n## Instructions\n\n{}\n\n## Artifacts\n\n\
         {artifacts}\n\n## Next\n\n{}.\n\n## Not done\n\nThe templates pass no work on and decide \
         nothing: this note only records what was asked and what there is.\n{requests}",
        quotation(&instructions),
        capitalised(next)
    );
    Ok(json!({
        "title": "Coordination note",
        "generated_by": generated_by(Step::Coordination),
        "summary": summary,
        "instructions": instructions,
        "artifacts": present,
        "next": next,
        "markdown": text,
    }))
}
