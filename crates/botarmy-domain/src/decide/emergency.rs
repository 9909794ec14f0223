//! Emergency stops and their release.

use super::builder::DecisionBuilder;
use super::{flow, gate, tasks};
use crate::change::{Decision, Row};
use crate::decision_context::DecisionContext;
use crate::emergency::{Stop, StopScope};
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::project::{Emergency, ProjectState};
use crate::records::Listed;
use crate::scope::Snapshot;
use crate::seen::Seen;
use crate::text::non_blank;
use crate::vocabulary::{AgentType, Permission, TaskStatus};

/// Maximum length of a reason, in characters.
const MAX_REASON: usize = 2000;

/// Stops work at once. Running tasks are requeued and wait; nothing is lost. Decides nothing if the
/// same scope is stopped already. A stop of a project is recorded in the project's log and needs a
/// scope with everything open; any other stop is recorded in the system log, and its running tasks
/// are requeued afterwards.
///
/// # Errors
/// A blank or overlong reason; a conflict if the project has ended.
pub fn stop(
    context: &DecisionContext,
    snapshot: &Snapshot,
    scope: StopScope,
    reason: &str,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::StopSet)?;
    let reason = sound(reason)?.to_owned();
    if snapshot.record::<Stop>(scope).is_some() {
        return Ok(builder.finish());
    }
    let by = context.caller.name().to_owned();
    let payload = E::EmergencyStopped(event::EmergencyStopped {
        scope,
        agent_type: agent_of(scope),
        reason: reason.clone(),
        stopped_by: by.clone(),
        stops_clocks: matches!(scope, StopScope::Project(_)),
    });
    if let StopScope::Project(_) = scope {
        let mut project = (**builder.open_project()?).clone();
        let paused = match &project.state {
            ProjectState::Paused { at, by, .. } => Some((*at, by.clone())),
            _ => None,
        };
        let emergency = Some(Emergency { reason: reason.clone(), paused });
        project.state = ProjectState::Paused { at: builder.at(), by: by.clone(), emergency };
        builder.put_project(project, &payload);
        gate::stop_clocks(&mut builder);
    } else {
        builder.note(&payload, None);
    }
    let at = builder.at();
    builder.and_row(Row::Record(Stop { scope, reason, by, at }.into()));
    for task in builder.open_tasks() {
        if task.status() == TaskStatus::Working {
            tasks::back_into_the_queue(&mut builder, &task, "the emergency stop");
        }
    }
    Ok(builder.finish())
}

/// Releases stopped work. A project that was paused before the stop stays paused.
///
/// # Errors
/// If there is no such stop; a blank or overlong reason; a conflict if it is another stop than the one that
/// the caller was shown.
pub fn release(
    context: &DecisionContext,
    snapshot: &Snapshot,
    scope: StopScope,
    reason: &str,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::StopRelease)?;
    let reason = sound(reason)?;
    let stop = snapshot.record::<Stop>(scope);
    let stop = stop.ok_or_else(|| DomainError::not_found("Emergency stop", scope))?.clone();
    context.caller.check_seen(|| Seen::of_stop(&stop), "The stop")?;
    let payload = E::EmergencyReleased(event::EmergencyReleased {
        scope,
        agent_type: agent_of(scope),
        reason: reason.to_owned(),
        released_by: context.caller.name().to_owned(),
        stopped_by: stop.by.clone(),
        stopped_at: stop.at,
    });
    let stopped = builder.project().ok().cloned();
    let state = stopped.as_ref().map(|project| &project.state);
    match (stopped.as_ref(), state) {
        (Some(project), Some(ProjectState::Paused { emergency: Some(emergency), .. })) => {
            let mut project = (**project).clone();
            let is_active = emergency.paused.is_none();
            project.state = match emergency.paused.clone() {
                None => ProjectState::Active,
                Some((at, by)) => ProjectState::Paused { at, by, emergency: None },
            };
            builder.put_project(project, &payload);
            if is_active {
                gate::start_clocks(&mut builder);
            }
            builder.and_row(Row::NoRecord(Stop::any_key(scope)));
            flow::advance(&mut builder)?;
        }
        // The stop of an agent type, of everything, or of a project that has ended since.
        _ => {
            builder.note(&payload, None);
            builder.and_row(Row::NoRecord(Stop::any_key(scope)));
        }
    }
    Ok(builder.finish())
}

const fn agent_of(scope: StopScope) -> Option<AgentType> {
    match scope {
        StopScope::Agent(agent) => Some(agent),
        _ => None,
    }
}

fn sound(reason: &str) -> Result<&str, DomainError> {
    let reason =
        non_blank(reason).ok_or_else(|| DomainError::invalid("reason", "must not be blank"))?;
    if reason.chars().count() > MAX_REASON {
        return Err(DomainError::invalid(
            "reason",
            format!("must be at most {MAX_REASON} characters"),
        ));
    }
    Ok(reason)
}
