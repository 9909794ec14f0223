//! Completion of projects: how much is done, and completing, also by force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use botarmy_domain::{Completion, Error, Permission, ProjectId, ProjectStatus, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Segment};
use crate::idempotency::{Keyed, reply};
use crate::vocabulary;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_completion, _, _>(completion, Permission::ProjectRead),
        Endpoint::new::<__path_check_completion, _, _>(check_completion, Permission::ProjectRun)
            .keyed(),
        Endpoint::new::<__path_force_complete, _, _>(force_complete, Permission::ProjectManage)
            .keyed(),
    ]
}

/// Progress of a project towards its completion.
#[derive(Serialize, ToSchema)]
struct CompletionView<'a> {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    project_name: &'a str,
    #[schema(value_type = vocabulary::ProjectStatus)]
    project_status: ProjectStatus,
    /// Share of steps that are done or skipped or, without a workflow, of completed tasks in all
    /// that were not cancelled: 0 to 100, with two decimals.
    completion_percentage: f64,
    total_tasks: u32,
    completed_tasks: u32,
    failed_tasks: u32,
    pending_tasks: u32,
    working_tasks: u32,
    waiting_for_hitl_tasks: u32,
    cancelled_tasks: u32,
    artifacts_count: u32,
    /// Whether there are artifacts or a package to download.
    artifacts_available: bool,
    /// Time of the project's newest log entry.
    #[schema(value_type = String, format = DateTime)]
    last_updated: Timestamp,
    is_complete: bool,
}

/// Returns the progress of a project towards its completion.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/completion", operation_id = "get_project_completion",
    tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = CompletionView), (status = 404, body = ProblemDocument)),
)]
async fn completion(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let report = state.queries.completion(&caller, id).await?;
    let counts = &report.counts;
    Ok(HttpResponse::Ok().json(CompletionView {
        project_id: id,
        project_name: &report.project.name,
        project_status: report.project.status(),
        completion_percentage: report.percentage(),
        total_tasks: counts.total(),
        completed_tasks: counts.completed,
        failed_tasks: counts.failed,
        pending_tasks: counts.pending,
        working_tasks: counts.working,
        waiting_for_hitl_tasks: counts.waiting_for_hitl,
        cancelled_tasks: counts.cancelled,
        artifacts_count: counts.artifacts,
        artifacts_available: report.artifacts_available,
        last_updated: report.last_updated,
        is_complete: report.is_complete(),
    }))
}

/// Result of a check of the completion.
#[derive(Serialize, ToSchema)]
struct CheckView {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    is_complete: bool,
    message: String,
    /// Conditions that are not met, a sentence each.
    unmet: Vec<String>,
}

/// Completes a project if every condition is met, and lists those that are not.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/check-completion",
    operation_id = "check_project_completion",
    tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = CheckView), (status = 404, body = ProblemDocument)),
)]
async fn check_completion(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let shape = move |completion: &Completion| {
        let message = if completion.is_complete {
            "The project is complete.".to_owned()
        } else {
            format!("The project is not complete. {}", completion.unmet.join(" "))
        };
        let view = CheckView {
            project_id: id,
            is_complete: completion.is_complete,
            message: message.trim_end().to_owned(),
            unmet: completion.unmet.clone(),
        };
        reply(StatusCode::OK, &view)
    };
    let check = async |caller| state.projects.check_completion(id, caller).await;
    state.once(&keyed, caller, shape, check).await
}

/// Completed project.
#[derive(Serialize, ToSchema)]
struct ForceView {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    message: &'static str,
    #[schema(value_type = vocabulary::ProjectStatus)]
    status: ProjectStatus,
    /// Conditions that were not met and were overridden, a sentence each.
    overridden: Vec<String>,
}

/// Completes a project by force.
///
/// The log records the caller and the conditions that were not met.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/force-complete",
    operation_id = "force_complete_project",
    tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses(
        (status = 200, body = ForceView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn force_complete(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let was_complete = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&was_complete);
    let shape = move |overridden: &Vec<String>| {
        let message = if known.load(Ordering::SeqCst) {
            "The project was complete already; nothing was changed."
        } else {
            "The project was completed by force."
        };
        let status = ProjectStatus::Completed;
        let overridden = overridden.clone();
        reply(StatusCode::OK, &ForceView { project_id: id, message, status, overridden })
    };
    let force = async |caller| {
        // The command does not tell whether it changed anything. Another caller may complete the
        // project between the two calls: then the message is wrong, but the log is right.
        match state.queries.project(&caller, id).await {
            Ok(project) => {
                let is_complete = project.status() == ProjectStatus::Completed;
                was_complete.store(is_complete, Ordering::SeqCst);
            }
            // The command names the permission that it needs.
            Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        state.projects.force_complete(id, caller).await
    };
    state.once(&keyed, caller, shape, force).await
}

#[cfg(test)]
mod tests {
    use botarmy_domain::project::CompletionReport;
    use botarmy_domain::{Completion, Counts, Project, ProjectState};
    use serde_json::json;

    use crate::testing::{Fakes, NOW, get, path, project, raw};

    #[actix_web::test]
    async fn the_completion_counts_everything() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_completion().returning(|_, _| {
            let counts = Counts {
                pending: 1,
                working: 2,
                completed: 3,
                failed: 4,
                cancelled: 5,
                artifacts: 6,
                ..Counts::default()
            };
            Ok(CompletionReport {
                project: project().into(),
                counts,
                artifacts_available: true,
                last_updated: NOW,
            })
        });
        assert_eq!(
            fakes.send(get(&path("/completion"))).await.json(),
            json!({
                "project_id": project().id, "project_name": "To do", "project_status": "active",
                "completion_percentage": 30.0, "total_tasks": 15, "completed_tasks": 3,
                "failed_tasks": 4, "pending_tasks": 1, "working_tasks": 2,
                "waiting_for_hitl_tasks": 0, "cancelled_tasks": 5, "artifacts_count": 6,
                "artifacts_available": true, "last_updated": "2027-01-15T08:00:00.000000Z",
                "is_complete": false,
            })
        );
    }

    #[actix_web::test]
    async fn an_incomplete_project_says_what_is_missing() {
        let mut fakes = Fakes::default();
        fakes.projects.expect_check_completion().returning(|_, _| {
            Ok(Completion { is_complete: false, unmet: vec!["Task 1 is pending.".to_owned()] })
        });
        let body = fakes.send(raw(&path("/check-completion"), "")).await.json();
        assert_eq!(
            body,
            json!({
                "project_id": project().id, "is_complete": false,
                "message": "The project is not complete. Task 1 is pending.",
                "unmet": ["Task 1 is pending."],
            })
        );
    }

    #[actix_web::test]
    async fn completing_by_force_names_what_it_overrode() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_project().returning(|_, _| Ok(project().into()));
        fakes.projects.expect_force_complete().returning(|_, _| Ok(vec!["A.".to_owned()]));
        let body = fakes.send(raw(&path("/force-complete"), "")).await.json();
        assert_eq!((&body["status"], &body["overridden"]), (&"completed".into(), &json!(["A."])));
        assert_eq!(body["message"], "The project was completed by force.");
    }

    #[actix_web::test]
    async fn completing_by_force_what_is_complete_says_so() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_project().returning(|_, _| {
            let state = ProjectState::Completed {
                at: NOW,
                by: "ada".to_owned(),
                overridden: Vec::new(),
                forced: false,
            };
            Ok(Project { state, ..project() }.into())
        });
        fakes.projects.expect_force_complete().returning(|_, _| Ok(Vec::new()));
        let answer = fakes.send(raw(&path("/force-complete"), "")).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["status"]), (200, &"completed".into()));
        assert!(body["message"].as_str().unwrap().contains("was complete already"), "{body}");
    }
}
