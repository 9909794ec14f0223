//! The status of a project and of its tasks, which dashboards poll.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use botarmy_domain::log::LogId;
use botarmy_domain::project::TaskStatusPage;
use botarmy_domain::{
    AgentType, Permission, ProjectId, ProjectStatus, TaskId, TaskStatus, Timestamp,
};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Segment};
use crate::vocabulary;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new::<__path_status, _, _>(status, Permission::ProjectRead)]
}

/// Status of a project's tasks at one instant.
#[derive(Serialize, ToSchema)]
struct StatusBoard<'a> {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = vocabulary::ProjectStatus)]
    project_status: ProjectStatus,
    /// Tasks, oldest first.
    #[schema(value_type = Vec<TaskLine>)]
    tasks: TaskLines<'a>,
    /// True when there are more tasks than these; `GET /projects/{id}/tasks` pages through all of
    /// them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// Status of a task.
#[derive(Serialize, ToSchema)]
struct TaskLine<'a> {
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::TaskStatus)]
    status: TaskStatus,
    /// Number of times that it was started.
    attempt: u32,
    /// Step of the workflow that the task does.
    step: Option<&'a str>,
    /// Message of the last error.
    error_message: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Lines that are written one by one, without a list of views: dashboards poll this.
struct TaskLines<'a>(&'a [botarmy_domain::TaskLine]);

impl Serialize for TaskLines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut lines = serializer.serialize_seq(Some(self.0.len()))?;
        for task in self.0 {
            lines.serialize_element(&TaskLine {
                task_id: task.id,
                agent_type: task.agent,
                status: task.status,
                attempt: task.attempt,
                step: task.step.as_deref(),
                error_message: task.error_message.as_deref(),
                created_at: task.created_at,
                updated_at: task.updated_at,
            })?;
        }
        lines.end()
    }
}

/// Approximate length of a line in bytes, so that the answer is allocated once.
const LINE_BYTES: usize = 300;

/// Returns the status of a project and of its tasks.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/status", operation_id = "get_project_status",
    tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = StatusBoard), (status = 404, body = ProblemDocument)),
)]
async fn status(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let head = state.logs.log_head(&caller, LogId::Project(id)).await?;
    let head = head.ok_or_else(|| Problem::not_found("Project", id))?;
    let json = match state.status_cache.get(id, head.seq) {
        Some(json) => json,
        None => {
            let limit = state.settings.status_tasks;
            let page = state.queries.task_statuses(&caller, id, limit).await?;
            let json = Bytes::from(status_json(id, &page));
            state.status_cache.put(id, page.seq, &json);
            json
        }
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(json))
}

fn status_json(id: ProjectId, page: &TaskStatusPage) -> Vec<u8> {
    let view = StatusBoard {
        project_id: id,
        project_status: page.project_status,
        tasks: TaskLines(&page.tasks.items),
        truncated: page.tasks.has_more,
    };
    let mut json = Vec::with_capacity(128 + page.tasks.items.len() * LINE_BYTES);
    serde_json::to_writer(&mut json, &view).expect("a status list can be written");
    json
}

#[cfg(test)]
mod tests {
    use botarmy_domain::log::HeadMark;
    use botarmy_domain::task::{TaskError, TaskState};
    use botarmy_domain::{Page, Task};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, away, get, path, project, task};

    #[actix_web::test]
    async fn a_store_that_is_away_is_503_and_keeps_its_secrets() {
        let mut fakes = Fakes::default();
        fakes.logs.expect_log_head().returning(|_, _| Err(away().into()));
        let answer = fakes.send(get(&path("/status"))).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }

    #[actix_web::test]
    async fn the_status_shows_each_task() {
        let failed = Task {
            state: TaskState::Failed {
                at: project().created_at,
                error: TaskError { code: "x".into(), message: "It broke.".into() },
            },
            attempt: 3,
            ..task(2)
        };
        let mut fakes = Fakes::default();
        fakes.logs.expect_log_head().returning(|_, _| Ok(Some(mark(3))));
        fakes.queries.expect_task_statuses().returning(move |_, _, limit| {
            let tasks = Page::first(vec![(&task(1)).into(), (&failed).into()], limit);
            Ok(TaskStatusPage { seq: 3, project_status: ProjectStatus::Active, tasks })
        });
        let answer = fakes.send(get(&path("/status"))).await;
        let at = "2027-01-15T08:00:00.000000Z";
        assert_eq!(
            answer.json(),
            json!({
                "project_id": project().id, "project_status": "active", "tasks": [
                    {"task_id": task(1).id, "agent_type": "coder", "status": "pending",
                     "attempt": 0, "step": null, "error_message": null,
                     "created_at": at, "updated_at": at},
                    {"task_id": task(2).id, "agent_type": "coder", "status": "failed",
                     "attempt": 3, "step": null, "error_message": "It broke.",
                     "created_at": at, "updated_at": at},
                ],
            })
        );
    }

    fn mark(seq: u64) -> HeadMark {
        HeadMark { seq, hash: String::new() }
    }

    #[actix_web::test]
    async fn a_board_is_written_once_for_each_position_of_the_log() {
        let mut fakes = Fakes::default();
        let seqs = [3, 3, 4, 4];
        let mut asked = seqs.into_iter();
        fakes.logs.expect_log_head().returning(move |_, _| Ok(asked.next().map(mark)));
        let mut read = [3, 4].into_iter();
        fakes.queries.expect_task_statuses().times(2).returning(move |_, _, limit| {
            let seq = read.next().unwrap();
            let tasks = Page::first((1..seq).map(|n| (&task(n)).into()).collect(), limit);
            Ok(TaskStatusPage { seq, project_status: ProjectStatus::Active, tasks })
        });
        let requests = seqs.map(|_| get(&path("/status")));
        let answers = fakes.send_all(requests).await;
        let shown: Vec<_> =
            answers.iter().map(|a| a.json()["tasks"].as_array().unwrap().len()).collect();
        assert_eq!(shown, [2, 2, 3, 3]);
    }

    #[actix_web::test]
    async fn a_status_that_does_not_show_all_tasks_says_so() {
        let mut fakes = Fakes::default();
        fakes.settings.status_tasks = 1;
        fakes.logs.expect_log_head().returning(|_, _| Ok(Some(mark(3))));
        fakes.queries.expect_task_statuses().returning(move |_, _, limit| {
            assert_eq!(limit, 1);
            let tasks = Page::first(vec![(&task(1)).into(), (&task(2)).into()], limit);
            Ok(TaskStatusPage { seq: 3, project_status: ProjectStatus::Active, tasks })
        });
        let body = fakes.send(get(&path("/status"))).await.json();
        assert_eq!(
            (body["tasks"].as_array().unwrap().len(), &body["truncated"]),
            (1, &true.into())
        );
    }
}
