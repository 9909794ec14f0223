//! Projects: making, reading, driving and completing them.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use botarmy_domain::log::{Head, LogId};
use botarmy_domain::project::ProjectState;
use botarmy_domain::{
    AgentType, ContextId, Counts, EntryFilter, HitlRequestId, NewProject, Oversight, Plan, Project,
    ProjectId, ProjectStatus, StepStatus, TaskId, TaskStatus, TaskStatusList, Timestamp,
};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, JsonOrDefault, Query, Segment, Whole, in_range};
use crate::{State, vocabulary};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_status, _, _>(status),
        Endpoint::new::<__path_create, _, _>(create),
        Endpoint::new::<__path_list, _, _>(list),
        Endpoint::new::<__path_read, _, _>(read),
        Endpoint::new::<__path_start, _, _>(start),
        Endpoint::new::<__path_pause, _, _>(pause),
        Endpoint::new::<__path_resume, _, _>(resume),
        Endpoint::new::<__path_cancel, _, _>(cancel),
        Endpoint::new::<__path_completion, _, _>(completion),
        Endpoint::new::<__path_check_completion, _, _>(check_completion),
        Endpoint::new::<__path_force_complete, _, _>(force_complete),
    ]
}

/// The project, or 404.
pub(crate) async fn find(state: &State, id: ProjectId) -> Result<Arc<Project>, Problem> {
    state.projects.project(id).await?.ok_or_else(|| Problem::not_found("Project", id))
}

/// A project somebody wants.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewProjectBody {
    /// Not blank.
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// What it is about; with a workflow, the idea.
    description: Option<String>,
    /// The workflow to start at once. Without one the project is driven by hand, task by task.
    workflow: Option<String>,
    /// How many gates its owner wants; `standard` when absent.
    #[schema(value_type = Option<vocabulary::Oversight>)]
    oversight: Option<Oversight>,
}

/// A project.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub(crate) struct ProjectView<'a> {
    #[schema(value_type = Uuid)]
    id: ProjectId,
    name: &'a str,
    description: Option<&'a str>,
    #[schema(value_type = vocabulary::ProjectStatus)]
    status: ProjectStatus,
    /// The workflow that drives it; null when it is driven by hand.
    workflow: Option<&'a str>,
    #[schema(value_type = vocabulary::Oversight)]
    oversight: Oversight,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> ProjectView<'a> {
    fn of(project: &'a Project) -> Self {
        Self {
            id: project.id,
            name: &project.name,
            description: project.description.as_deref(),
            status: project.status(),
            workflow: project.plan.as_ref().map(|plan| plan.workflow.name.as_str()),
            oversight: project.oversight,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

/// Makes a project; with a workflow, starts it with the description, or the name, as the idea.
#[utoipa::path(
    post, path = "/api/v1/projects", tag = "projects", request_body = NewProjectBody,
    responses((status = 201, body = ProjectView, headers(("Location" = String)))),
)]
async fn create(
    state: Data<State>,
    Caller(caller): Caller,
    Json(body): Json<NewProjectBody>,
) -> Result<HttpResponse, Problem> {
    let new = NewProject {
        name: body.name,
        description: body.description,
        workflow: body.workflow,
        oversight: body.oversight.unwrap_or(Oversight::Standard),
    };
    let project = state.orchestrator.create_project(new, caller).await?;
    let location = format!("/api/v1/projects/{}", project.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(ProjectView::of(&project)))
}

/// Which projects.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// With this status.
    #[param(value_type = Option<vocabulary::ProjectStatus>)]
    status: Option<ProjectStatus>,
    /// How many at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<ProjectId>,
}

/// A page of projects.
#[derive(Serialize, ToSchema)]
struct ProjectPage<'a> {
    items: Vec<ProjectView<'a>>,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<ProjectId>,
}

/// Lists projects, newest first.
#[utoipa::path(
    get, path = "/api/v1/projects", tag = "projects", params(ListQuery),
    responses((status = 200, body = ProjectPage)),
)]
async fn list(state: Data<State>, Query(query): Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let found = state.projects.projects(query.status, query.cursor, limit + 1).await?;
    let (page, next) = split_page(&found, limit);
    let items = page.iter().map(|project| ProjectView::of(project)).collect();
    let next_cursor = next.map(|project| project.id);
    Ok(HttpResponse::Ok().json(ProjectPage { items, next_cursor }))
}

impl State {
    /// How long a page is to be.
    pub(crate) fn page(&self, limit: Option<Whole>) -> Result<u32, Problem> {
        in_range("limit", limit, self.settings.page, 1..=self.settings.page_max)
    }
}

/// A page of what was read with one item more than it holds, and its last item when there is more.
pub(crate) fn split_page<T>(found: &[T], limit: u32) -> (&[T], Option<&T>) {
    let limit = limit as usize;
    if found.len() > limit { (&found[..limit], found[..limit].last()) } else { (found, None) }
}

/// A project with its progress and counts.
#[derive(Serialize, ToSchema)]
struct ProjectDetail<'a> {
    #[serde(flatten)]
    project: ProjectView<'a>,
    /// Since when it stands where it stands; null while it is active.
    #[schema(value_type = Option<String>, format = DateTime)]
    status_since: Option<Timestamp>,
    /// Who brought it there.
    status_by: Option<&'a str>,
    /// Why, when it was halted or failed.
    status_reason: Option<&'a str>,
    /// What was open when it was completed by force.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    overridden: &'a [String],
    /// How far it has come in its workflow; null when it is driven by hand.
    progress: Option<ProgressView<'a>>,
    counts: CountsView,
}

/// How far a project has come in its workflow.
#[derive(Serialize, ToSchema)]
struct ProgressView<'a> {
    workflow: &'a str,
    /// SHA-256 of the definition it was started with.
    workflow_digest: &'a str,
    idea: &'a str,
    /// The phase it is in; null when every step is done.
    phase: Option<&'a str>,
    /// The step it is at; null when every step is done.
    step: Option<&'a str>,
    steps: Vec<StepView<'a>>,
}

/// A step of a workflow.
#[derive(Serialize, ToSchema)]
struct StepView<'a> {
    phase: &'a str,
    name: &'a str,
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::StepStatus)]
    status: StepStatus,
    /// How often it was started.
    runs: u32,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// What it made last.
    #[schema(value_type = Option<Uuid>)]
    context_id: Option<ContextId>,
    /// The request that holds it up.
    #[schema(value_type = Option<Uuid>)]
    hitl_request_id: Option<HitlRequestId>,
}

/// How much of what a project has.
#[derive(Serialize, ToSchema)]
struct CountsView {
    tasks: TaskCounts,
    /// Requests nobody has answered yet.
    open_requests: u32,
    artifacts: u32,
}

/// Tasks by status.
#[derive(Serialize, ToSchema)]
struct TaskCounts {
    total: u32,
    pending: u32,
    working: u32,
    waiting_for_hitl: u32,
    completed: u32,
    failed: u32,
    cancelled: u32,
}

impl CountsView {
    const fn of(counts: &Counts) -> Self {
        Self {
            tasks: TaskCounts {
                total: counts.total(),
                pending: counts.pending,
                working: counts.working,
                waiting_for_hitl: counts.waiting_for_hitl,
                completed: counts.completed,
                failed: counts.failed,
                cancelled: counts.cancelled,
            },
            open_requests: counts.open_requests,
            artifacts: counts.artifacts,
        }
    }
}

impl<'a> ProgressView<'a> {
    fn of(plan: &'a Plan) -> Self {
        let steps: Vec<StepView<'_>> = plan
            .workflow
            .steps
            .iter()
            .map(|step| {
                let progress = plan.progress.of(&step.name);
                StepView {
                    phase: &step.phase,
                    name: &step.name,
                    agent_type: step.agent,
                    status: progress.status,
                    runs: progress.runs,
                    task_id: progress.task_id,
                    context_id: progress.artifact,
                    hitl_request_id: progress.request_id,
                }
            })
            .collect();
        let at = |wanted: &[StepStatus]| steps.iter().find(|step| wanted.contains(&step.status));
        let current = at(&[StepStatus::Running, StepStatus::InReview, StepStatus::Failed])
            .or_else(|| at(&[StepStatus::Waiting]));
        Self {
            workflow: &plan.workflow.name,
            workflow_digest: &plan.digest,
            idea: &plan.idea,
            phase: current.map(|step| step.phase),
            step: current.map(|step| step.name),
            steps,
        }
    }
}

impl<'a> ProjectDetail<'a> {
    fn of(project: &'a Project, head: &Head) -> Self {
        let (since, by, reason) = match &project.state {
            ProjectState::Active => (None, None, None),
            ProjectState::Paused { at, by, emergency } => {
                (Some(*at), Some(by.as_str()), emergency.as_ref().map(|stop| stop.reason.as_str()))
            }
            ProjectState::Completed { at, by, .. } | ProjectState::Cancelled { at, by } => {
                (Some(*at), Some(by.as_str()), None)
            }
            ProjectState::Halted { at, by, reason } => {
                (Some(*at), Some(by.as_str()), Some(reason.as_str()))
            }
            ProjectState::Failed { at, reason } => (Some(*at), None, Some(reason.as_str())),
        };
        let overridden = match &project.state {
            ProjectState::Completed { overridden, .. } => overridden.as_slice(),
            _ => &[],
        };
        Self {
            project: ProjectView::of(project),
            status_since: since,
            status_by: by,
            status_reason: reason,
            overridden,
            progress: project.plan.as_ref().map(ProgressView::of),
            counts: CountsView::of(&head.counts),
        }
    }
}

/// Shows a project, its progress and its counts.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}", tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = ProjectDetail), (status = 404, body = ProblemDocument)),
)]
async fn read(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
) -> Result<HttpResponse, Problem> {
    let overview = state.projects.overview(id).await?;
    let (project, head) = overview.ok_or_else(|| Problem::not_found("Project", id))?;
    Ok(HttpResponse::Ok().json(ProjectDetail::of(&project, &head)))
}

/// How to start.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct StartBody {
    /// The workflow; `sdlc` when absent.
    workflow: Option<String>,
    /// The idea; the project's description, or its name, when absent.
    idea: Option<String>,
}

/// Starts a workflow in a project that has none.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/start", tag = "projects",
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
    JsonOrDefault(body): JsonOrDefault<StartBody>,
) -> Result<HttpResponse, Problem> {
    let project = state.orchestrator.start_project(id, body.workflow, body.idea, caller).await?;
    Ok(HttpResponse::Accepted().json(ProjectView::of(&project)))
}

/// Lets nothing new start; what runs may end.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/pause", tag = "projects",
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
) -> Result<HttpResponse, Problem> {
    let project = state.orchestrator.pause_project(id, caller).await?;
    Ok(HttpResponse::Ok().json(ProjectView::of(&project)))
}

/// Lets work go on.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/resume", tag = "projects",
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
) -> Result<HttpResponse, Problem> {
    let project = state.orchestrator.resume_project(id, caller).await?;
    Ok(HttpResponse::Ok().json(ProjectView::of(&project)))
}

/// Calls everything off; running agents are told.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/cancel", tag = "projects",
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
) -> Result<HttpResponse, Problem> {
    let project = state.orchestrator.cancel_project(id, caller).await?;
    Ok(HttpResponse::Ok().json(ProjectView::of(&project)))
}

/// A project's tasks at one instant.
#[derive(Serialize, ToSchema)]
struct StatusBoard<'a> {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = vocabulary::ProjectStatus)]
    project_status: ProjectStatus,
    /// Oldest first.
    #[schema(value_type = Vec<TaskLine>)]
    tasks: TaskLines<'a>,
    /// True when there are more tasks than are shown; `GET /projects/{id}/tasks` pages through
    /// all of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// A task on the board.
#[derive(Serialize, ToSchema)]
struct TaskLine<'a> {
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::TaskStatus)]
    status: TaskStatus,
    /// How often it was started.
    attempt: u32,
    /// The step of the workflow it does.
    step: Option<&'a str>,
    /// What went wrong last.
    error_message: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// The lines, written one by one: this is what dashboards ask for all day.
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

/// About how long one line is, to allot the answer once.
const LINE_BYTES: usize = 300;

/// Shows the tasks of a project and where each stands.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/status", tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = StatusBoard), (status = 404, body = ProblemDocument)),
)]
async fn status(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
) -> Result<HttpResponse, Problem> {
    let missing = || Problem::not_found("Project", id);
    let head = state.audit.head(LogId::Project(id)).await?.ok_or_else(missing)?;
    let json = match state.status_cache.get(id, head.seq) {
        Some(json) => json,
        None => {
            let limit = state.settings.status_tasks;
            let status_list = state.tasks.status(id, limit.saturating_add(1)).await?;
            let status_list = status_list.ok_or_else(missing)?;
            let json = Bytes::from(status_json(id, &status_list, limit));
            state.status_cache.put(id, status_list.seq, &json);
            json
        }
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(json))
}

fn status_json(id: ProjectId, status_list: &TaskStatusList, limit: u32) -> Vec<u8> {
    let shown = status_list.tasks.len().min(limit as usize);
    let view = StatusBoard {
        project_id: id,
        project_status: status_list.project_status,
        tasks: TaskLines(&status_list.tasks[..shown]),
        truncated: status_list.tasks.len() > shown,
    };
    let mut json = Vec::with_capacity(128 + shown * LINE_BYTES);
    serde_json::to_writer(&mut json, &view).expect("a board can be written");
    json
}

/// How much of a project is done.
#[derive(Serialize, ToSchema)]
struct CompletionView<'a> {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    project_name: &'a str,
    #[schema(value_type = vocabulary::ProjectStatus)]
    project_status: ProjectStatus,
    /// Steps that are done or skipped, or (without a workflow) tasks that are completed, of all
    /// that were not cancelled; with two decimals.
    completion_percentage: f64,
    total_tasks: u32,
    completed_tasks: u32,
    failed_tasks: u32,
    pending_tasks: u32,
    working_tasks: u32,
    waiting_for_hitl_tasks: u32,
    cancelled_tasks: u32,
    artifacts_count: u32,
    artifacts_available: bool,
    /// When anything happened in the project last.
    #[schema(value_type = String, format = DateTime)]
    last_updated: Timestamp,
    is_complete: bool,
}

/// Says how much of a project is done.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/completion", tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = CompletionView), (status = 404, body = ProblemDocument)),
)]
async fn completion(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
) -> Result<HttpResponse, Problem> {
    let overview = state.projects.overview(id).await?;
    let (project, head) = overview.ok_or_else(|| Problem::not_found("Project", id))?;
    let newest = EntryFilter { project: Some(id), ..EntryFilter::default() };
    let newest = state.audit.entries(newest, 1).await?;
    let counts = &head.counts;
    Ok(HttpResponse::Ok().json(CompletionView {
        project_id: id,
        project_name: &project.name,
        project_status: project.status(),
        completion_percentage: percentage(&project, counts),
        total_tasks: counts.total(),
        completed_tasks: counts.completed,
        failed_tasks: counts.failed,
        pending_tasks: counts.pending,
        working_tasks: counts.working,
        waiting_for_hitl_tasks: counts.waiting_for_hitl,
        cancelled_tasks: counts.cancelled,
        artifacts_count: counts.artifacts,
        artifacts_available: counts.artifacts > 0,
        last_updated: newest.first().map_or(project.updated_at, |entry| entry.created_at),
        is_complete: project.status() == ProjectStatus::Completed,
    }))
}

/// How much is done, in per cent with two decimals.
fn percentage(project: &Project, counts: &Counts) -> f64 {
    let (done, all) = match &project.plan {
        Some(plan) => {
            let over = |step: &&botarmy_domain::Step| {
                let status = plan.progress.of(&step.name).status;
                matches!(status, StepStatus::Done | StepStatus::Skipped)
            };
            let steps = &plan.workflow.steps;
            (steps.iter().filter(over).count() as u64, steps.len() as u64)
        }
        None => (counts.completed.into(), (counts.total() - counts.cancelled).into()),
    };
    if all == 0 {
        return if project.status() == ProjectStatus::Completed { 100.0 } else { 0.0 };
    }
    // Hundredths of a per cent, rounded half up.
    let hundredths = (done * 10_000 * 2 + all) / (all * 2);
    f64::from(u32::try_from(hundredths).unwrap_or(10_000)) / 100.0
}

/// Whether a project is complete.
#[derive(Serialize, ToSchema)]
struct CheckView {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    is_complete: bool,
    message: String,
    /// What is missing, one sentence each.
    unmet: Vec<String>,
}

/// Completes the project if nothing is missing, and says what is if something is.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/check-completion", tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = CheckView), (status = 404, body = ProblemDocument)),
)]
async fn check_completion(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let completion = state.orchestrator.check_completion(id, caller).await?;
    let message = if completion.is_complete {
        "The project is complete.".to_owned()
    } else {
        format!("The project is not complete. {}", completion.unmet.join(" "))
    };
    Ok(HttpResponse::Ok().json(CheckView {
        project_id: id,
        is_complete: completion.is_complete,
        message: message.trim_end().to_owned(),
        unmet: completion.unmet,
    }))
}

/// A project that is complete, by force or before.
#[derive(Serialize, ToSchema)]
struct ForceView {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    message: &'static str,
    #[schema(value_type = vocabulary::ProjectStatus)]
    status: ProjectStatus,
    /// What was missing and was overridden by this, one sentence each.
    overridden: Vec<String>,
}

/// Completes the project whatever is missing. What that was, and who did it, is recorded.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/force-complete", tag = "projects",
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
) -> Result<HttpResponse, Problem> {
    // The command changes nothing where nothing is to be done, and does not say so. Between the
    // two somebody else may complete the project; the log knows who did it, this sentence may not.
    let was_complete = find(&state, id).await?.status() == ProjectStatus::Completed;
    let overridden = state.orchestrator.force_complete(id, caller).await?;
    let message = if was_complete {
        "The project was complete already; nothing was changed."
    } else {
        "The project was completed by force."
    };
    Ok(HttpResponse::Ok().json(ForceView {
        project_id: id,
        message,
        status: ProjectStatus::Completed,
        overridden,
    }))
}

#[cfg(test)]
mod tests {
    use botarmy_domain::log::HeadMark;
    use botarmy_domain::task::{TaskError, TaskState};
    use botarmy_domain::workflow::Progress;
    use botarmy_domain::{Completion, DomainError, Error, Task, Workflow};
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{
        Fakes, NOW, away, get, head, log, path, post, project, raw, task, unknown,
    };

    #[actix_web::test]
    async fn a_project_is_created_with_its_location() {
        let mut fakes = Fakes::default();
        fakes.orchestrator.expect_create_project().returning(|new, caller| {
            assert_eq!((new.name.as_str(), new.oversight), ("To do", Oversight::Standard));
            assert_eq!((caller.name(), caller.request_id()), ("ada", Some("r-1")));
            Ok(project().into())
        });
        let request = post("/api/v1/projects", &json!({"name": "To do", "colour": "red"}))
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
                .orchestrator
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
    async fn nul_and_lone_surrogates_are_stored_as_the_replacement_character() {
        let mut fakes = Fakes::default();
        fakes.orchestrator.expect_create_project().returning(|new, _| {
            assert_eq!(new.name, "a\u{fffd}b\u{fffd}");
            Ok(project().into())
        });
        let body = r#"{"name": "a\u0000b\udc00"}"#;
        assert_eq!(fakes.send(raw("/api/v1/projects", body)).await.status, 201);
    }

    #[actix_web::test]
    async fn a_list_pages_by_cursor() {
        let mut fakes = Fakes::default();
        fakes.projects.expect_projects().returning(|status, before, limit| {
            assert_eq!((status, limit), (Some(ProjectStatus::Active), 2));
            let page = if before.is_none() { 2 } else { 1 };
            Ok((0..page).map(|_| Arc::new(project())).collect())
        });
        let first = "/api/v1/projects?status=active&limit=1";
        let next = format!("{first}&cursor={}", project().id);
        let answers = fakes.send_all([get(first), get(&next)]).await;
        assert_eq!(answers[0].json()["items"].as_array().unwrap().len(), 1);
        assert_eq!(answers[0].json()["next_cursor"], json!(project().id));
        assert_eq!(answers[1].json()["next_cursor"], Value::Null);
    }

    #[actix_web::test]
    async fn a_bad_parameter_is_422_naming_it() {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=ten", "limit"),
            ("status=asleep", "status"),
            ("cursor=xyz", "cursor"),
        ] {
            let answer = Fakes::default().send(get(&format!("/api/v1/projects?{query}"))).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{query}");
        }
    }

    #[actix_web::test]
    async fn an_unknown_project_is_404_and_a_malformed_id_422() {
        for rest in ["", "/status", "/completion"] {
            let mut fakes = Fakes::default();
            fakes.projects.expect_overview().returning(|_| Ok(None));
            fakes.audit.expect_head().returning(|_| Ok(None));
            let answer = fakes.send(get(&format!("/api/v1/projects/{}{rest}", unknown()))).await;
            assert_eq!(answer.status, 404, "{rest}");
            assert_eq!(answer.json()["detail"], format!("Project {} does not exist.", unknown()));
            let answer = Fakes::default().send(get(&format!("/api/v1/projects/17{rest}"))).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, "project_id"), "{rest}");
        }
    }

    #[actix_web::test]
    async fn an_id_may_be_written_in_each_of_its_forms() {
        let id = project().id.to_string();
        for form in [id.clone(), id.to_uppercase(), id.replace('-', "")] {
            let mut fakes = Fakes::default();
            fakes.projects.expect_overview().returning(|id| {
                assert_eq!(id, project().id);
                Ok(Some((project().into(), head(&project()))))
            });
            let answer = fakes.send(get(&format!("/api/v1/projects/{form}/"))).await;
            assert_eq!(answer.json()["id"], id);
        }
    }

    #[actix_web::test]
    async fn a_store_that_is_away_is_503_and_keeps_its_secrets() {
        let mut fakes = Fakes::default();
        fakes.audit.expect_head().returning(|_| Err(away()));
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
        fakes.audit.expect_head().returning(|_| Ok(Some(mark(3))));
        fakes.tasks.expect_status().returning(move |_, _| {
            let tasks = vec![(&task(1)).into(), (&failed).into()];
            Ok(Some(TaskStatusList { seq: 3, project_status: ProjectStatus::Active, tasks }))
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
        fakes.audit.expect_head().returning(move |_| Ok(asked.next().map(mark)));
        let mut read = [3, 4].into_iter();
        fakes.tasks.expect_status().times(2).returning(move |_, _| {
            let seq = read.next().unwrap();
            let tasks = (1..seq).map(|n| (&task(n)).into()).collect();
            Ok(Some(TaskStatusList { seq, project_status: ProjectStatus::Active, tasks }))
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
        fakes.audit.expect_head().returning(|_| Ok(Some(mark(3))));
        fakes.tasks.expect_status().returning(move |_, limit| {
            assert_eq!(limit, 2);
            let tasks = vec![(&task(1)).into(), (&task(2)).into()];
            Ok(Some(TaskStatusList { seq: 3, project_status: ProjectStatus::Active, tasks }))
        });
        let body = fakes.send(get(&path("/status"))).await.json();
        assert_eq!(
            (body["tasks"].as_array().unwrap().len(), &body["truncated"]),
            (1, &true.into())
        );
    }

    fn workflow() -> Workflow {
        Workflow::from_toml(
            "name = \"w\"\n[[step]]\nname = \"a\"\nphase = \"One\"\nagent = \"analyst\"\n\
             output = \"project_plan\"\n[[step]]\nname = \"b\"\nphase = \"Two\"\n\
             agent = \"coder\"\noutput = \"source_code\"\n[[step]]\nname = \"c\"\n\
             phase = \"Two\"\nagent = \"tester\"\noutput = \"test_results\"\n",
        )
        .unwrap()
    }

    fn started() -> Project {
        let workflow = workflow();
        let mut progress = Progress::start(&workflow);
        progress.steps.get_mut("a").unwrap().status = StepStatus::Done;
        progress.steps.get_mut("b").unwrap().status = StepStatus::InReview;
        let plan = Plan {
            digest: workflow.digest(),
            workflow: workflow.into(),
            idea: "x".into(),
            progress,
        };
        Project { plan: Some(plan), ..project() }
    }

    #[actix_web::test]
    async fn a_project_shows_where_it_is_in_its_workflow() {
        let mut fakes = Fakes::default();
        fakes
            .projects
            .expect_overview()
            .returning(|_| Ok(Some((started().into(), head(&project())))));
        let body = fakes.send(get(&path(""))).await.json();
        assert_eq!(body["workflow"], "w");
        assert_eq!(
            (&body["progress"]["phase"], &body["progress"]["step"]),
            (&"Two".into(), &"b".into())
        );
        assert_eq!(body["progress"]["steps"][0]["status"], "done");
        assert_eq!(body["counts"]["tasks"]["total"], 0);
    }

    #[test]
    fn the_percentage_has_two_decimals() {
        let of = |completed, failed, cancelled| {
            percentage(&project(), &Counts { completed, failed, cancelled, ..Counts::default() })
        };
        assert_eq!(of(0, 0, 0), 0.0);
        assert_eq!(of(1, 2, 0), 33.33);
        assert_eq!(of(2, 1, 0), 66.67);
        assert_eq!(of(1, 2, 7), 33.33);
        assert_eq!(of(3, 0, 1), 100.0);
        assert_eq!(of(0, 0, 4), 0.0);
        assert_eq!(percentage(&started(), &Counts::default()), 33.33);
    }

    #[actix_web::test]
    async fn the_completion_counts_everything() {
        let mut fakes = Fakes::default();
        fakes.projects.expect_overview().returning(|_| {
            let mut head = head(&project());
            head.counts = Counts {
                pending: 1,
                working: 2,
                completed: 3,
                failed: 4,
                cancelled: 5,
                artifacts: 6,
                ..Counts::default()
            };
            Ok(Some((project().into(), head)))
        });
        fakes.audit.expect_entries().returning(|_, _| Ok(log(1).1));
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
        fakes.orchestrator.expect_check_completion().returning(|_, _| {
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
        fakes.projects.expect_project().returning(|_| Ok(Some(project().into())));
        fakes.orchestrator.expect_force_complete().returning(|_, _| Ok(vec!["A.".to_owned()]));
        let body = fakes.send(raw(&path("/force-complete"), "")).await.json();
        assert_eq!((&body["status"], &body["overridden"]), (&"completed".into(), &json!(["A."])));
        assert_eq!(body["message"], "The project was completed by force.");
    }

    #[actix_web::test]
    async fn completing_by_force_what_is_complete_says_so() {
        let mut fakes = Fakes::default();
        fakes.projects.expect_project().returning(|_| {
            let state =
                ProjectState::Completed { at: NOW, by: "ada".to_owned(), overridden: Vec::new() };
            Ok(Some(Project { state, ..project() }.into()))
        });
        fakes.orchestrator.expect_force_complete().returning(|_, _| Ok(Vec::new()));
        let answer = fakes.send(raw(&path("/force-complete"), "")).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["status"]), (200, &"completed".into()));
        assert!(body["message"].as_str().unwrap().contains("was complete already"), "{body}");
    }

    #[actix_web::test]
    async fn a_workflow_starts_with_or_without_a_body() {
        for (body, expected) in [("", None), ("{}", None), ("{\"workflow\":\"w\"}", Some("w"))] {
            let mut fakes = Fakes::default();
            fakes.orchestrator.expect_start_project().returning(move |_, workflow, _, _| {
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
    async fn a_state_that_does_not_allow_it_is_409() {
        let refuse = || Err(Error::from(DomainError::conflict("project_over", "It is over.")));
        let mut fakes = Fakes::default();
        fakes.orchestrator.expect_start_project().returning(move |_, _, _, _| refuse());
        fakes.orchestrator.expect_pause_project().returning(move |_, _| refuse());
        fakes.orchestrator.expect_resume_project().returning(move |_, _| refuse());
        fakes.orchestrator.expect_cancel_project().returning(move |_, _| refuse());
        let paths = ["/start", "/pause", "/resume", "/cancel"].map(|rest| raw(&path(rest), ""));
        for answer in fakes.send_all(paths).await {
            assert_eq!((answer.status, &answer.json()["detail"]), (409, &"It is over.".into()));
            assert_eq!(answer.json()["type"], "urn:botarmy:problem:project_over");
        }
    }
}
