//! Four eyes: whoever has a part in a result does not approve it.

use crate::actor::Actor;
use crate::caller::Caller;
use crate::error::DomainError;
use crate::hitl::{HistoryEntry, HitlRequest, SUBJECT_CHANGED};
use crate::project::Project;
use crate::vocabulary::{Exclusion, HitlKind};

/// Checks that the step of a review lets the caller approve or amend its result. There is no exception
/// for anyone.
///
/// # Errors
/// [`DomainError::Forbidden`] with the part that the caller has in the result.
pub(super) fn check(
    request: &HitlRequest,
    project: &Project,
    caller: &Caller,
) -> Result<(), DomainError> {
    let Some(plan) = project.plan.as_ref().filter(|_| request.kind == HitlKind::Approval) else {
        return Ok(());
    };
    let step = request.step.as_deref().and_then(|step| plan.workflow.step(step));
    let Some(step) = step else { return Ok(()) };
    let acted = |action: &str| {
        request.history.iter().any(|entry| entry.action == action && is_by(entry, caller))
    };
    let is_excluded = |exclusion: &&Exclusion| match exclusion {
        Exclusion::Author => acted("created"),
        Exclusion::Starter => plan.starter.as_ref().is_some_and(|starter| caller.is(starter)),
        Exclusion::Amender => acted(SUBJECT_CHANGED),
    };
    let part = match step.exclude.iter().find(is_excluded) {
        None => return Ok(()),
        Some(Exclusion::Author) => "you made it",
        Some(Exclusion::Starter) => "you started the project",
        Some(Exclusion::Amender) => "you changed it",
    };
    let detail = format!(
        "The result of the step \"{}\" needs the approval of another person, because {part}. You may \
         reject it.",
        step.name
    );
    Err(DomainError::Forbidden { code: "four_eyes", detail })
}

fn is_by(entry: &HistoryEntry, caller: &Caller) -> bool {
    caller.is(&Actor { name: entry.user_id.clone(), principal: entry.principal })
}
