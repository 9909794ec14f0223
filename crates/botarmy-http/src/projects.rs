//! Projects: creating them, and the life cycle from start to end.

mod completion;
mod members;
mod reading;
mod status;
mod view;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use botarmy_domain::{CallReply, NewProject, Oversight, Permission, Project, ProjectId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, JsonOrDefault, Segment};
use crate::idempotency::{Keyed, reply};
use crate::vocabulary;
use view::ProjectView;

/// Returns the endpoints, the busiest first.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let life_cycle = vec![
        Endpoint::new::<__path_create, _, _>(create, Permission::ProjectCreate).keyed(),
        Endpoint::new::<__path_start, _, _>(start, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_pause, _, _>(pause, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_resume, _, _>(resume, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_reopen, _, _>(reopen, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_cancel, _, _>(cancel, Permission::ProjectRun).keyed(),
    ];
    let groups = [
        status::endpoints(),
        reading::endpoints(),
        life_cycle,
        completion::endpoints(),
        members::endpoints(),
    ];
    groups.into_iter().flatten().collect()
}

/// Returns the reply to a change of a project.
fn changed(project: &Arc<Project>) -> CallReply {
    reply(StatusCode::OK, &ProjectView::of(project))
}

/// Request for a new project.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewProjectBody {
    /// Name; must not be blank.
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// Description; with a workflow, the idea it starts with.
    description: Option<String>,
    /// Workflow to start at once. Without one the project is driven by hand, task by task.
    workflow: Option<String>,
    /// Number of gates; `standard` when absent.
    #[schema(value_type = Option<vocabulary::Oversight>)]
    oversight: Option<Oversight>,
}

/// Creates a project.
///
/// With a workflow, starts it with the description, else the name, as the idea.
#[utoipa::path(
    post, path = "/api/v1/projects", operation_id = "create_project",
    tag = "projects", request_body = NewProjectBody,
    responses((status = 201, body = ProjectView, headers(("Location" = String)))),
)]
async fn create(
    state: Data<State>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<NewProjectBody>,
) -> Result<HttpResponse, Problem> {
    state.check_optional("description", body.description.as_deref())?;
    let new = NewProject {
        name: body.name,
        description: body.description,
        workflow: body.workflow,
        oversight: body.oversight.unwrap_or(Oversight::Standard),
    };
    let paths = state.clone();
    let shape = move |project: &Arc<Project>| CallReply {
        location: Some(paths.public_path(&format!("/api/v1/projects/{}", project.id))),
        ..reply(StatusCode::CREATED, &ProjectView::of(project))
    };
    let create = async |caller| state.projects.create_project(new, caller).await;
    state.once(&keyed, caller, shape, create).await
}

/// Choice of a workflow and an idea.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct StartBody {
    /// Workflow; `sdlc` when absent.
    workflow: Option<String>,
    /// Idea; when absent, the project's description, else its name.
    idea: Option<String>,
}

/// Starts a workflow in a project that has none.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/start", operation_id = "start_project",
    tag = "projects",
    params(("project_id" = Uuid, Path)), request_body = StartBody,
    responses(
        (status = 202, body = ProjectView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn start(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
    JsonOrDefault(body): JsonOrDefault<StartBody>,
) -> Result<HttpResponse, Problem> {
    state.check_optional("idea", body.idea.as_deref())?;
    let shape = |project: &Arc<Project>| reply(StatusCode::ACCEPTED, &ProjectView::of(project));
    let start =
        async |caller| state.projects.start_project(id, body.workflow, body.idea, caller).await;
    state.once(&keyed, caller, shape, start).await
}

/// Pauses a project; running tasks finish.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/pause", operation_id = "pause_project",
    tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses(
        (status = 200, body = ProjectView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn pause(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let pause = async |caller| state.projects.pause_project(id, caller).await;
    state.once(&keyed, caller, changed, pause).await
}

/// Resumes a paused project.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/resume", operation_id = "resume_project",
    tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses(
        (status = 200, body = ProjectView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn resume(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let resume = async |caller| state.projects.resume_project(id, caller).await;
    state.once(&keyed, caller, changed, resume).await
}

/// Reason to reopen a project.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ReopenBody {
    /// Reason for the log and the history of the request; must not be blank.
    #[schema(min_length = 1)]
    reason: String,
}

/// Reopens a halted project.
///
/// The request that was rejected, or that expired, is asked again as a new request with the history of
/// the old one. Steps that were running start again.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/reopen", operation_id = "reopen_project",
    tag = "projects",
    params(("project_id" = Uuid, Path)), request_body = ReopenBody,
    responses(
        (status = 200, body = ProjectView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn reopen(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<ReopenBody>,
) -> Result<HttpResponse, Problem> {
    let reopen = async |caller| state.projects.reopen_project(id, body.reason, caller).await;
    state.once(&keyed, caller, changed, reopen).await
}

/// Cancels a project with everything open in it; running agents are stopped.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/cancel", operation_id = "cancel_project",
    tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses(
        (status = 200, body = ProjectView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn cancel(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let cancel = async |caller| state.projects.cancel_project(id, caller).await;
    state.once(&keyed, caller, changed, cancel).await
}

#[cfg(test)]
mod tests {
    use botarmy_domain::{DomainError, Error};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, path, post, project, raw, started};

    #[actix_web::test]
    async fn a_project_is_created_with_its_location() {
        let mut fakes = Fakes::default();
        fakes.projects.expect_create_project().returning(|new, caller| {
            assert_eq!((new.name.as_str(), new.oversight), ("To do", Oversight::Standard));
            assert_eq!((caller.name(), caller.request_id()), ("ada", Some("r-1")));
            Ok(project().into())
        });
        let request = post("/api/v1/projects", &json!({"name": "To do"}))
            .insert_header(("X-User-Id", "ada"))
            .insert_header(("X-Request-Id", "r-1"));
        let answer = fakes.send(request).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("location"), path(""));
        assert_eq!(
            answer.json(),
            json!({
                "id": project().id, "name": "To do", "description": null, "status": "active",
                "workflow": null, "oversight": "standard",
                "created_at": "2027-01-15T08:00:00.000000Z",
                "updated_at": "2027-01-15T08:00:00.000000Z",
            })
        );
    }

    #[actix_web::test]
    async fn what_the_domain_finds_wrong_with_a_field_is_422_naming_it() {
        for (field, message) in [
            ("name", "must not be blank"),
            ("name", "must be at most 255 characters"),
            ("workflow", "there is no workflow `x`"),
        ] {
            let mut fakes = Fakes::default();
            fakes
                .projects
                .expect_create_project()
                .returning(move |_, _| Err(DomainError::invalid(field, message).into()));
            let answer = fakes.send(post("/api/v1/projects", &json!({"name": " "}))).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field));
            assert_eq!(answer.json()["detail"], format!("{field}: {message}"));
        }
    }

    #[actix_web::test]
    async fn a_bad_body_is_refused_before_anything_is_asked() {
        for (body, status, field) in [
            ("{", 400, ""),
            ("", 400, ""),
            ("{\"name\": 7}", 422, "name"),
            ("{}", 422, "name"),
            ("[]", 422, "body"),
            ("{\"name\": \"x\", \"oversight\": \"total\"}", 422, "oversight"),
            ("{\"name\": \"x\", \"description\": []}", 422, "description"),
        ] {
            let answer = Fakes::default().send(raw("/api/v1/projects", body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (status, field), "{body}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }

    #[actix_web::test]
    async fn nul_and_lone_surrogates_are_refused() {
        let body = r#"{"name": "a\u0000b\udc00"}"#;
        let answer = Fakes::default().send(raw("/api/v1/projects", body)).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "name"));
    }

    #[actix_web::test]
    async fn a_workflow_starts_with_or_without_a_body() {
        for (body, expected) in [("", None), ("{}", None), ("{\"workflow\":\"w\"}", Some("w"))] {
            let mut fakes = Fakes::default();
            fakes.projects.expect_start_project().returning(move |_, workflow, _, _| {
                assert_eq!(workflow.as_deref(), expected);
                Ok(started().into())
            });
            let answer = fakes.send(raw(&path("/start"), body)).await;
            assert_eq!((answer.status, &answer.json()["workflow"]), (202, &"w".into()));
        }
        let answer = Fakes::default().send(raw(&path("/start"), "{\"idea\": 7}")).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "idea"));
    }

    #[actix_web::test]
    async fn a_project_is_reopened_with_a_reason() {
        let mut fakes = Fakes::default();
        fakes.projects.expect_reopen_project().returning(|_, reason, caller| {
            assert_eq!((reason.as_str(), caller.name()), ("a mistake", "ada"));
            Ok(project().into())
        });
        let request = post(&path("/reopen"), &json!({"reason": "a mistake"}));
        let answer = fakes.send(request.insert_header(("X-User-Id", "ada"))).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &"active".into()));
        for (body, status, field) in [("{}", 422, "reason"), ("", 400, "")] {
            let answer = Fakes::default().send(raw(&path("/reopen"), body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (status, field), "{body}");
        }
    }

    #[actix_web::test]
    async fn a_state_that_does_not_allow_it_is_409() {
        let refuse = || Err(Error::from(DomainError::conflict("project_over", "It is over.")));
        let mut fakes = Fakes::default();
        fakes.projects.expect_start_project().returning(move |_, _, _, _| refuse());
        fakes.projects.expect_pause_project().returning(move |_, _| refuse());
        fakes.projects.expect_resume_project().returning(move |_, _| refuse());
        fakes.projects.expect_cancel_project().returning(move |_, _| refuse());
        let paths = ["/start", "/pause", "/resume", "/cancel"].map(|rest| raw(&path(rest), ""));
        for answer in fakes.send_all(paths).await {
            assert_eq!((answer.status, &answer.json()["detail"]), (409, &"It is over.".into()));
            assert_eq!(answer.json()["type"], "urn:botarmy:problem:project_over");
        }
    }
}
