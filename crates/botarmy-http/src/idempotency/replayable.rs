//! The check before a kept reply is returned: its caller may have lost the permission since.

use botarmy_domain::{
    Caller, Error, HitlRequestId, KeptReply, Permission, Place, ProjectId, TaskId,
};
use serde_json::Value;

use crate::State;
use crate::error::Problem;

/// Checks that the caller may still make the call whose reply was kept: one to this path, which needs
/// this permission.
pub(super) async fn check(
    state: &State,
    (permission, path): (Option<Permission>, &str),
    caller: &Caller,
    kept: &KeptReply,
) -> Result<(), Problem> {
    let Some(permission) = permission else { return Ok(()) };
    if caller.rights().has_globally(permission) {
        return Ok(());
    }
    if permission.is_global() {
        return Ok(caller.check(permission, Place::Installation)?);
    }
    caller.reach(permission)?;
    match project_of(state, path, caller, kept).await? {
        Some(project) => check_project(state, caller, permission, project).await,
        None => Ok(()),
    }
}

/// Checks that the caller has a permission on the project of a request to people.
pub(crate) async fn check_request(
    state: &State,
    caller: &Caller,
    permission: Permission,
    id: HitlRequestId,
) -> Result<(), Problem> {
    if caller.rights().has_globally(permission) {
        return Ok(());
    }
    if !caller.rights().has_somewhere(Permission::ProjectRead) {
        caller.reach(permission)?;
    }
    let request = state.queries.request(caller, id).await?;
    check_project(state, caller, permission, request.project_id).await
}

async fn check_project(
    state: &State,
    caller: &Caller,
    permission: Permission,
    id: ProjectId,
) -> Result<(), Problem> {
    let project = state.queries.project(caller, id).await?;
    Ok(caller.check(permission, Place::Project { id, creator: project.creator })?)
}

/// Returns the project of a call: that of the object in its path, or the one that the reply names.
async fn project_of(
    state: &State,
    path: &str,
    caller: &Caller,
    kept: &KeptReply,
) -> Result<Option<ProjectId>, Error> {
    let mut parts = path.trim_start_matches("/api/v1/").split('/');
    let (collection, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match collection {
        "projects" | "artifacts" => {
            if let Ok(id) = id.parse() {
                return Ok(Some(id));
            }
        }
        "tasks" => {
            if let Ok(id) = id.parse::<TaskId>() {
                return Ok(Some(state.queries.task(caller, id).await?.project_id));
            }
        }
        "hitl" => {
            if let Ok(id) = id.parse::<HitlRequestId>() {
                return Ok(Some(state.queries.request(caller, id).await?.project_id));
            }
        }
        _ => {}
    }
    let body = kept.reply.as_ref().map_or("", |reply| reply.body.as_str());
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    Ok(body.get("project_id").and_then(Value::as_str).and_then(|id| id.parse().ok()))
}
