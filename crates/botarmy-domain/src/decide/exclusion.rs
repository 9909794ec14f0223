//! Four eyes: whoever has a part in a result does not approve it.

use crate::actor::Actor;
use crate::caller::Caller;
use crate::error::DomainError;
use crate::hitl::{HistoryEntry, HitlRequest, SUBJECT_CHANGED};
use crate::project::{Plan, Project};
use crate::vocabulary::{Exclusion, HitlKind};
use crate::workflow::Step;

/// Returns the step whose result a request is a review of.
fn step_of<'a>(request: &HitlRequest, project: &'a Project) -> Option<(&'a Plan, &'a Step)> {
    let plan = project.plan.as_ref().filter(|_| request.kind == HitlKind::Approval)?;
    let step = plan.workflow.step(request.step.as_deref()?)?;
    Some((plan, step))
}

/// Returns whether the document with which a person amends the result of a step needs the approval of
/// another person.
pub(super) fn reviews_amendments(request: &HitlRequest, project: &Project) -> bool {
    step_of(request, project).is_some_and(|(_, step)| step.exclude.contains(&Exclusion::Amender))
}

/// Checks that the step of a review lets the caller approve its result, or replace it by a document.
/// Asking for changes releases nothing, so everyone may do that. There is no exception for anyone.
///
/// # Errors
/// [`DomainError::Forbidden`] with the part that the caller has in the result.
pub fn check(request: &HitlRequest, project: &Project, caller: &Caller) -> Result<(), DomainError> {
    let Some((plan, step)) = step_of(request, project) else { return Ok(()) };
    let acted = |action: &str| {
        request.history.iter().any(|entry| entry.action == action && is_by(entry, caller))
    };
    let amended = |actors: &[Actor]| actors.iter().any(|actor| caller.is(actor));
    let is_excluded = |exclusion: &&Exclusion| match exclusion {
        Exclusion::Author => acted("created"),
        Exclusion::Starter => plan.starter.as_ref().is_some_and(|starter| caller.is(starter)),
        Exclusion::Amender => {
            acted(SUBJECT_CHANGED) || amended(&plan.progress.of(&step.name).amenders)
        }
    };
    let part = match step.exclude.iter().find(is_excluded) {
        None => return Ok(()),
        Some(Exclusion::Author) => "you made it",
        Some(Exclusion::Starter) => "you started the project",
        Some(Exclusion::Amender) => "you changed it or asked for changes",
    };
    let detail = format!(
        "The result of the step \"{}\" needs the approval of another person, because {part}. You may \
         reject it, or ask for changes.",
        step.name
    );
    Err(DomainError::Forbidden { code: "four_eyes", detail })
}

fn is_by(entry: &HistoryEntry, caller: &Caller) -> bool {
    caller.is(&Actor { name: entry.user_id.clone(), principal: entry.principal })
}
