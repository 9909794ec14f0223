//! Tasks: submitting, reading, cancelling and retrying them.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::task::TaskState;
use botarmy_domain::{
    AgentType, ArtifactType, CallReply, ContextId, Error, HitlRequestId, NewTask, Page, Permission,
    ProjectId, Task, TaskFilter, TaskId, TaskStatus, Timestamp, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query, Segment, Whole};
use crate::idempotency::{Keyed, reply};
use crate::paging::{self, List, Range, is_large, shortened};
use crate::{State, vocabulary};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_submit, _, _>(submit, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_list, _, _>(list, Permission::ProjectRead),
        Endpoint::new::<__path_read, _, _>(read, Permission::ProjectRead),
        Endpoint::new::<__path_cancel, _, _>(cancel, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_retry, _, _>(retry, Permission::ProjectRun).keyed(),
    ]
}

/// Request for a new task.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewTaskBody {
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    /// Instructions for the agent; must not be blank.
    #[schema(min_length = 1)]
    instructions: String,
    /// Artifacts of the same project that the agent gets.
    #[schema(value_type = Option<Vec<Uuid>>)]
    context_ids: Option<Vec<ContextId>>,
    /// Priority; a higher number goes first, 5 when absent.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Number of failures before a person is asked; 3 when absent.
    #[schema(minimum = 1, maximum = 10)]
    max_attempts: Option<u32>,
}

/// Accepted task.
#[derive(Serialize, ToSchema)]
struct SubmittedView {
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    /// `submitted`.
    status: &'static str,
}

/// Submits a task to a project.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/tasks", operation_id = "submit_task", tag = "tasks",
    params(("project_id" = Uuid, Path)), request_body = NewTaskBody,
    responses(
        (status = 201, body = SubmittedView, headers(("Location" = String))),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn submit(
    state: Data<State>,
    Segment(project_id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<NewTaskBody>,
) -> Result<HttpResponse, Problem> {
    state.check_text("instructions", &body.instructions)?;
    let new = NewTask {
        project_id,
        agent: body.agent_type,
        instructions: body.instructions,
        context_ids: body.context_ids.unwrap_or_default(),
        priority: body.priority,
        max_attempts: body.max_attempts,
    };
    let paths = state.clone();
    let shape = move |task: &Arc<Task>| CallReply {
        location: Some(paths.public_path(&format!("/api/v1/tasks/{}", task.id))),
        ..reply(StatusCode::CREATED, &SubmittedView { task_id: task.id, status: "submitted" })
    };
    let submit = async |caller| state.tasks.submit_task(new, caller).await;
    state.once(&keyed, caller, shape, submit).await
}

/// Task.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
struct TaskView<'a> {
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::TaskStatus)]
    status: TaskStatus,
    /// Instructions for the agent; in lists, the beginning of long ones.
    instructions: &'a str,
    /// True where the instructions are not all of them, or the output is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[schema(value_type = Vec<Uuid>)]
    context_ids: &'a [ContextId],
    priority: u8,
    /// Number of times that it was started.
    attempt: u32,
    /// Number of failed attempts.
    failures: u32,
    max_attempts: u32,
    /// Phase of the workflow that the task belongs to.
    phase: Option<&'a str>,
    /// Step of the workflow that the task does.
    step: Option<&'a str>,
    /// Artifact type that the task must produce.
    #[schema(value_type = Option<vocabulary::ArtifactType>)]
    output_type: Option<ArtifactType>,
    /// Output of the agent.
    #[schema(value_type = Option<Object>)]
    output: Option<&'a Value>,
    /// Artifacts that the task produced.
    #[schema(value_type = Vec<Uuid>)]
    artifacts: &'a [ContextId],
    /// Code of the last error, for programs.
    error_code: Option<&'a str>,
    /// Message of the last error.
    error_message: Option<&'a str>,
    /// Last result of the latest attempt that was refused, until one is accepted.
    refused_result: Option<RefusedResultView<'a>>,
    /// Request that the task waits for.
    #[schema(value_type = Option<Uuid>)]
    hitl_request_id: Option<HitlRequestId>,
    /// Lease of the worker that holds the task.
    lease: Option<LeaseView<'a>>,
    /// Usage of all attempts together.
    #[schema(value_type = UsageView)]
    usage: UsageView<'a>,
    /// Earliest time of the next attempt.
    #[schema(value_type = String, format = DateTime)]
    ready_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Start of the latest attempt; null before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// Time of completion, failure or cancellation.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

/// Result of an external worker that was refused. The worker keeps its lease and can send another.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedResult)]
struct RefusedResultView<'a> {
    /// Reason, as the worker was told; the first 2000 characters of a longer one.
    reason: &'a str,
    #[schema(value_type = String, format = DateTime)]
    refused_at: Timestamp,
    /// Number of refusals of the attempt that were recorded, at most 10. A refusal for the same
    /// reason as the one before it is not recorded again.
    #[schema(minimum = 1, maximum = 10)]
    count: u32,
}

/// Right of a worker to a task.
#[derive(Serialize, ToSchema)]
struct LeaseView<'a> {
    worker_id: &'a str,
    /// Attempt that the lease is for.
    fence: u32,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Tokens and money that were used.
#[derive(Serialize, ToSchema)]
struct UsageView<'a> {
    provider: Option<&'a str>,
    model: Option<&'a str>,
    input_tokens: u64,
    output_tokens: u64,
    /// Millionths of a US dollar.
    cost_micro_usd: Option<u64>,
}

impl<'a> UsageView<'a> {
    fn of(usage: &'a Usage) -> Self {
        Self {
            provider: usage.provider.as_deref(),
            model: usage.model.as_deref(),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_micro_usd: usage.cost_micro_usd,
        }
    }
}

impl<'a> TaskView<'a> {
    fn of(task: &'a Task) -> Self {
        let (output, artifacts): (_, &[_]) = match &task.state {
            TaskState::Completed { output, artifacts, .. } => (Some(output), artifacts),
            _ => (None, &[]),
        };
        let ended_at = match &task.state {
            TaskState::Completed { at, .. }
            | TaskState::Failed { at, .. }
            | TaskState::Cancelled { at, .. } => Some(*at),
            _ => None,
        };
        let hitl_request_id = match &task.state {
            TaskState::WaitingForHitl { request_id } => Some(*request_id),
            _ => None,
        };
        let error_message = match &task.state {
            TaskState::Cancelled { reason, .. } => Some(reason.as_str()),
            _ => task.error().map(|error| error.message.as_str()),
        };
        let refused = task.refused_result.as_ref();
        let refused_result = refused.map(|refused| RefusedResultView {
            reason: &refused.reason,
            refused_at: refused.at,
            count: refused.count,
        });
        let lease = task.lease().map(|lease| LeaseView {
            worker_id: &lease.worker.0,
            fence: lease.fence,
            started_at: lease.started_at,
            expires_at: lease.expires_at,
        });
        Self {
            task_id: task.id,
            project_id: task.project_id,
            agent_type: task.agent,
            status: task.status(),
            instructions: &task.instructions,
            truncated: false,
            context_ids: &task.context_ids,
            priority: task.priority,
            attempt: task.attempt,
            failures: task.failures,
            max_attempts: task.max_attempts,
            phase: task.handoff.as_ref().map(|handoff| handoff.phase.as_str()),
            step: task.step(),
            output_type: task.output_type,
            output,
            artifacts,
            error_code: task.error().map(|error| error.code.as_str()),
            error_message,
            refused_result,
            hitl_request_id,
            usage: UsageView::of(&task.usage),
            ready_at: task.ready_at,
            created_at: task.created_at,
            updated_at: task.updated_at,
            // A task that was claimed before tasks kept it has it in its lease alone.
            started_at: task.started_at.or(lease.as_ref().map(|lease| lease.started_at)),
            ended_at,
            lease,
        }
    }
}

impl<'a> TaskView<'a> {
    /// Returns the form of a task in lists.
    fn listed(task: &'a Task) -> Self {
        let whole = Self::of(task);
        let (instructions, is_cut) = shortened(&task.instructions);
        let output = whole.output.filter(|output| !is_large(output));
        let truncated = is_cut || output.is_some() != whole.output.is_some();
        Self { instructions, output, truncated, ..whole }
    }
}

/// Filter and page of a list of tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TaskQuery {
    /// Status to filter by.
    #[param(value_type = Option<vocabulary::TaskStatus>)]
    status: Option<TaskStatus>,
    /// Agent type to filter by.
    #[param(value_type = Option<vocabulary::AgentType>)]
    agent_type: Option<AgentType>,
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<TaskId>,
}

/// Page of tasks.
#[derive(Serialize, ToSchema)]
struct TaskPage<'a> {
    items: Vec<TaskView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<TaskId>,
}

/// Lists the tasks of a project, oldest first.
///
/// Long instructions are cut, large outputs left out, and a page ends early when it would be large.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/tasks", operation_id = "list_tasks", tag = "tasks",
    params(("project_id" = Uuid, Path), TaskQuery),
    responses(
        (status = 200, body = TaskPage, headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn list(
    state: Data<State>,
    Segment(project_id): Segment<ProjectId>,
    Caller(caller): Caller,
    Query(query): Query<TaskQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let filter = TaskFilter { status: query.status, agent: query.agent_type, after: query.cursor };
    let after = filter.after;
    let list = TaskList { state: &state, caller: &caller, project_id, filter };
    paging::respond(&state, &request, &list, Range { after, limit }).await
}

/// Tasks of a project, oldest first.
struct TaskList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    project_id: ProjectId,
    filter: TaskFilter,
}

impl List for TaskList<'_> {
    type Item = Arc<Task>;
    type Cursor = TaskId;

    async fn read(&self, after: Option<TaskId>, limit: u32) -> Result<Page<Arc<Task>>, Error> {
        let filter = TaskFilter { after, ..self.filter };
        self.state.queries.tasks(self.caller, self.project_id, filter, limit).await
    }

    fn cursor(task: &Arc<Task>) -> TaskId {
        task.id
    }

    fn write(&self, task: &Arc<Task>, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &TaskView::listed(task))
    }
}

/// Returns a task.
#[utoipa::path(
    get, path = "/api/v1/tasks/{task_id}", operation_id = "get_task",
    tag = "tasks", params(("task_id" = Uuid, Path)),
    responses((status = 200, body = TaskView), (status = 404, body = ProblemDocument)),
)]
async fn read(
    state: Data<State>,
    Segment(id): Segment<TaskId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let task = state.queries.task(&caller, id).await?;
    Ok(HttpResponse::Ok().json(TaskView::of(&task)))
}

/// Cancels a task; a running agent is stopped.
#[utoipa::path(
    post, path = "/api/v1/tasks/{task_id}/cancel", operation_id = "cancel_task", tag = "tasks",
    params(("task_id" = Uuid, Path)),
    responses(
        (status = 200, body = TaskView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn cancel(
    state: Data<State>,
    Segment(id): Segment<TaskId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let shape = |task: &Arc<Task>| reply(StatusCode::OK, &TaskView::of(task));
    let cancel = async |caller| state.tasks.cancel_task(id, caller).await;
    state.once(&keyed, caller, shape, cancel).await
}

/// Gives a failed task another round of attempts.
#[utoipa::path(
    post, path = "/api/v1/tasks/{task_id}/retry", operation_id = "retry_task", tag = "tasks",
    params(("task_id" = Uuid, Path)),
    responses(
        (status = 200, body = TaskView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn retry(
    state: Data<State>,
    Segment(id): Segment<TaskId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let shape = |task: &Arc<Task>| reply(StatusCode::OK, &TaskView::of(task));
    let retry = async |caller| state.tasks.retry_task(id, caller).await;
    state.once(&keyed, caller, shape, retry).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use botarmy_domain::{DomainError, Lease, Page, WorkerId};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, NOW, get, no, path, post, project, raw, task, unknown};

    #[actix_web::test]
    async fn a_task_is_submitted() {
        let mut fakes = Fakes::default();
        fakes.tasks.expect_submit_task().returning(|new, _| {
            assert_eq!((new.project_id, new.agent), (project().id, AgentType::Coder));
            assert_eq!((new.priority, new.context_ids.len()), (Some(9), 1));
            Ok(task(1).into())
        });
        let body = json!({
            "agent_type": "coder", "instructions": "Write it.", "priority": 9,
            "context_ids": [unknown()],
        });
        let answer = fakes.send(post(&path("/tasks"), &body)).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json(), json!({"task_id": task(1).id, "status": "submitted"}));
        assert_eq!(answer.header("location"), format!("/api/v1/tasks/{}", task(1).id));
    }

    #[actix_web::test]
    async fn a_bad_task_is_refused_naming_the_field() {
        for (body, field) in [
            (json!({"instructions": "x"}), "agent_type"),
            (json!({"agent_type": "typist", "instructions": "x"}), "agent_type"),
            (json!({"agent_type": "coder"}), "instructions"),
            (json!({"agent_type": "coder", "instructions": ["x"]}), "instructions"),
            (
                json!({"agent_type": "coder", "instructions": "x", "context_ids": "y"}),
                "context_ids",
            ),
            (
                json!({"agent_type": "coder", "instructions": "x", "context_ids": ["y"]}),
                "context_ids[0]",
            ),
            (json!({"agent_type": "coder", "instructions": "x", "priority": 300}), "priority"),
            (
                json!({"agent_type": "coder", "instructions": "x", "max_attempts": -1}),
                "max_attempts",
            ),
        ] {
            let answer = Fakes::default().send(post(&path("/tasks"), &body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{body}");
        }
    }

    #[actix_web::test]
    async fn refusals_of_the_domain_have_their_status() {
        for (refusal, status) in [
            (DomainError::not_found("Project", unknown()), 404),
            (DomainError::conflict("project_not_active", "It is paused."), 409),
            (DomainError::invalid("context_ids", "another project's"), 422),
            (DomainError::invalid("instructions", "must not be blank"), 422),
        ] {
            let mut fakes = Fakes::default();
            fakes.tasks.expect_submit_task().returning(move |_, _| Err(refusal.clone().into()));
            let body = json!({"agent_type": "coder", "instructions": " "});
            assert_eq!(fakes.send(post(&path("/tasks"), &body)).await.status, status);
        }
    }

    #[actix_web::test]
    async fn a_task_shows_its_lease_or_its_output() {
        let lease = Lease {
            worker: WorkerId("w-1".into()),
            fence: 2,
            started_at: NOW,
            expires_at: NOW,
            first_call_by: None,
        };
        let mut fakes = Fakes::default();
        fakes.queries.expect_task().times(1).returning(move |_, _| {
            let state = TaskState::Working { lease: lease.clone() };
            Ok(Arc::new(Task { state, ..task(1) }))
        });
        fakes.queries.expect_task().times(1).returning(|_, _| {
            let state = TaskState::Completed {
                at: NOW,
                output: json!({"a": 1}),
                artifacts: Vec::new(),
                result_digest: None,
            };
            let started_at = Some(NOW.before(Duration::from_secs(1)));
            Ok(Arc::new(Task { state, started_at, ..task(1) }))
        });
        let path = format!("/api/v1/tasks/{}", task(1).id);
        let answers = fakes.send_all([get(&path), get(&path)]).await;
        let (working, completed) = (answers[0].json(), answers[1].json());
        assert_eq!((&working["lease"]["fence"], &working["output"]), (&2.into(), &Value::Null));
        assert_eq!((&completed["lease"], &completed["output"]), (&Value::Null, &json!({"a": 1})));
        assert_eq!(working["started_at"], working["lease"]["started_at"]);
        assert_eq!(completed["started_at"], "2027-01-15T07:59:59.000000Z");
        assert_eq!(completed["ended_at"], "2027-01-15T08:00:00.000000Z");
    }

    #[actix_web::test]
    async fn a_list_filters_and_an_unknown_project_is_404() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_tasks().times(1).returning(|_, _, filter, limit| {
            assert_eq!(
                (filter.status, filter.agent),
                (Some(TaskStatus::Failed), Some(AgentType::Coder))
            );
            assert_eq!(limit, 100, "the store ends a part");
            Ok(Page::first(Vec::new(), limit))
        });
        fakes.queries.expect_tasks().times(1).returning(|_, id, _, _| Err(no("Project", id)));
        let list = path("/tasks?status=failed&agent_type=coder");
        let answers = fakes.send_all([get(&list), get(&list)]).await;
        assert_eq!(answers[0].json(), json!({"items": [], "next_cursor": null}));
        assert_eq!(answers[1].status, 404);
    }

    #[actix_web::test]
    async fn an_unknown_task_is_404() {
        let mut fakes = Fakes::default();
        let refuse = || Err(DomainError::not_found("Task", unknown()).into());
        fakes.queries.expect_task().returning(|_, id| Err(no("Task", id)));
        fakes.tasks.expect_cancel_task().returning(move |_, _| refuse());
        fakes.tasks.expect_retry_task().returning(move |_, _| refuse());
        let path = format!("/api/v1/tasks/{}", unknown());
        let requests =
            [get(&path), raw(&format!("{path}/cancel"), ""), raw(&format!("{path}/retry"), "")];
        for answer in fakes.send_all(requests).await {
            assert_eq!(answer.status, 404);
        }
        assert_eq!(Fakes::default().send(get("/api/v1/tasks/x")).await.field(), "task_id");
    }
}
