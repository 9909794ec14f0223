//! Reading projects: the list, and one with its progress and counts.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::project::ProjectDetail;
use botarmy_domain::{
    Activity, ActivityState, AgentType, ContextId, Counts, Error, HitlRequestId, Page, Permission,
    Plan, Project, ProjectId, ProjectStatus, StepStatus, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::ProjectView;
use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Query, Segment, Whole};
use crate::paging::{self, List, Range};
use crate::vocabulary;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Permission::ProjectRead),
        Endpoint::new::<__path_read, _, _>(read, Permission::ProjectRead),
    ]
}

/// Filter and page of a list of projects.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Status to filter by.
    #[param(value_type = Option<vocabulary::ProjectStatus>)]
    status: Option<ProjectStatus>,
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<ProjectId>,
}

/// Current work of a project, or the party that it waits for.
#[derive(Serialize, ToSchema)]
#[schema(as = Activity)]
struct ActivityView {
    #[schema(value_type = vocabulary::ActivityState)]
    state: ActivityState,
    /// Start of the attempt, opening of the oldest request, or time at which the task became ready.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Number of requests that wait for a person.
    requests: u32,
    /// Agent type of the task that is running, that waits for a worker, or that a person is asked
    /// about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<vocabulary::AgentType>)]
    agent_type: Option<AgentType>,
}

impl From<&Activity> for ActivityView {
    fn from(activity: &Activity) -> Self {
        let Activity { state, since, requests, agent_type } = *activity;
        Self { state, since, requests, agent_type }
    }
}

/// Project in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedProject)]
struct ListedView<'a> {
    #[serde(flatten)]
    project: ProjectView<'a>,
    activity: ActivityView,
}

/// Page of projects.
#[derive(Serialize, ToSchema)]
struct ProjectPage<'a> {
    items: Vec<ListedView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<ProjectId>,
}

/// Lists projects, newest first.
///
/// Long descriptions are cut, and a page ends early when it would be large.
#[utoipa::path(
    get, path = "/api/v1/projects", operation_id = "list_projects",
    tag = "projects", params(ListQuery),
    responses((status = 200, body = ProjectPage, headers(("Link" = String)))),
)]
async fn list(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<ListQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = ProjectList { state: &state, caller: &caller, status: query.status };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

/// Projects, newest first.
struct ProjectList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    status: Option<ProjectStatus>,
}

/// A project with what it is doing.
struct Listed {
    project: Arc<Project>,
    activity: Activity,
}

impl List for ProjectList<'_> {
    type Item = Listed;
    type Cursor = ProjectId;

    async fn read(&self, after: Option<ProjectId>, limit: u32) -> Result<Page<Listed>, Error> {
        let queries = &self.state.queries;
        let page = queries.projects(self.caller, self.status, after, limit).await?;
        let activities = queries.activities(self.caller, &page.items).await?;
        let listed = |(project, activity)| Listed { project, activity };
        let items = page.items.into_iter().zip(activities).map(listed).collect();
        Ok(Page { items, has_more: page.has_more })
    }

    fn cursor(listed: &Listed) -> ProjectId {
        listed.project.id
    }

    fn write(&self, listed: &Listed, json: &mut Vec<u8>) -> serde_json::Result<()> {
        let Listed { project, activity } = listed;
        let project = ProjectView::listed(project);
        serde_json::to_writer(json, &ListedView { project, activity: activity.into() })
    }
}

/// Project with its progress and counts.
#[derive(Serialize, ToSchema)]
#[schema(as = ProjectDetail)]
struct ProjectDetailView<'a> {
    #[serde(flatten)]
    project: ProjectView<'a>,
    activity: ActivityView,
    /// Time at which the project reached its status; null while it is active.
    #[schema(value_type = Option<String>, format = DateTime)]
    status_since: Option<Timestamp>,
    /// Name of the caller who changed the status.
    status_by: Option<&'a str>,
    /// Reason of a halt, a failure or an emergency stop.
    status_reason: Option<&'a str>,
    /// Conditions that were not met when the project was completed by force.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    overridden: &'a [String],
    /// Progress in the workflow; null when the project is driven by hand.
    progress: Option<ProgressView<'a>>,
    counts: CountsView,
}

/// Progress in a workflow.
#[derive(Serialize, ToSchema)]
struct ProgressView<'a> {
    workflow: &'a str,
    /// SHA-256 of the workflow definition at the start of the project, in hexadecimal.
    workflow_digest: &'a str,
    idea: &'a str,
    /// Phase of the current step; null when every step is over.
    phase: Option<&'a str>,
    /// Current step; null when every step is over.
    step: Option<&'a str>,
    steps: Vec<StepView<'a>>,
}

/// Step of a workflow.
#[derive(Serialize, ToSchema)]
struct StepView<'a> {
    phase: &'a str,
    name: &'a str,
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::StepStatus)]
    status: StepStatus,
    /// Number of times that it was started.
    runs: u32,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// Artifact of the last run.
    #[schema(value_type = Option<Uuid>)]
    context_id: Option<ContextId>,
    /// Request that the step waits for.
    #[schema(value_type = Option<Uuid>)]
    hitl_request_id: Option<HitlRequestId>,
}

/// Numbers of what belongs to a project.
#[derive(Serialize, ToSchema)]
struct CountsView {
    tasks: TaskCounts,
    /// Number of pending requests.
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
        let current = plan.current_step();
        Self {
            workflow: &plan.workflow.name,
            workflow_digest: &plan.digest,
            idea: &plan.idea,
            phase: current.map(|step| step.phase.as_str()),
            step: current.map(|step| step.name.as_str()),
            steps,
        }
    }
}

impl<'a> ProjectDetailView<'a> {
    fn of(detail: &'a ProjectDetail) -> Self {
        let project = &*detail.project;
        let standing = project.standing();
        Self {
            project: ProjectView::of(project),
            activity: (&detail.activity).into(),
            status_since: standing.since,
            status_by: standing.by,
            status_reason: standing.reason,
            overridden: standing.overridden,
            progress: project.plan.as_ref().map(ProgressView::of),
            counts: CountsView::of(&detail.counts),
        }
    }
}

/// Returns a project with its progress and counts.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}", operation_id = "get_project", tag = "projects",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = ProjectDetailView), (status = 404, body = ProblemDocument)),
)]
async fn read(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let detail = state.queries.project_detail(&caller, id).await?;
    Ok(HttpResponse::Ok().json(ProjectDetailView::of(&detail)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Fakes, NOW, get, no, path, project, started, unknown};

    fn waiting() -> Activity {
        Activity {
            state: ActivityState::WaitingForWorker,
            since: NOW,
            requests: 0,
            agent_type: Some(AgentType::Coder),
        }
    }

    #[actix_web::test]
    async fn a_list_pages_by_cursor() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_projects().returning(|_, status, before, limit| {
            assert_eq!((status, limit), (Some(ProjectStatus::Active), 1));
            let found = if before.is_none() { 2 } else { 1 };
            Ok(Page::first((0..found).map(|_| project().into()).collect(), limit))
        });
        fakes
            .queries
            .expect_activities()
            .returning(|_, projects| Ok(projects.iter().map(|_| waiting()).collect()));
        let first = "/api/v1/projects?status=active&limit=1";
        let next = format!("{first}&cursor={}", project().id);
        let answers = fakes.send_all([get(first), get(&next)]).await;
        assert_eq!(answers[0].json()["items"].as_array().unwrap().len(), 1);
        assert_eq!(
            answers[0].json()["items"][0]["activity"],
            json!({"state": "waiting_for_worker", "since": "2027-01-15T08:00:00.000000Z",
                   "requests": 0, "agent_type": "coder"})
        );
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
            fakes.queries.expect_project_detail().returning(|_, id| Err(no("Project", id)));
            fakes.queries.expect_completion().returning(|_, id| Err(no("Project", id)));
            fakes.logs.expect_log_head().returning(|_, _| Ok(None));
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
            fakes.queries.expect_project_detail().returning(|_, id| {
                assert_eq!(id, project().id);
                let counts = Counts::default();
                Ok(ProjectDetail { project: project().into(), counts, activity: waiting() })
            });
            let answer = fakes.send(get(&format!("/api/v1/projects/{form}/"))).await;
            assert_eq!(answer.json()["id"], id);
        }
    }

    #[actix_web::test]
    async fn a_project_shows_where_it_is_in_its_workflow() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_project_detail().returning(|_, _| {
            let counts = Counts::default();
            Ok(ProjectDetail { project: started().into(), counts, activity: waiting() })
        });
        let body = fakes.send(get(&path(""))).await.json();
        assert_eq!(body["workflow"], "w");
        assert_eq!(
            (&body["progress"]["phase"], &body["progress"]["step"]),
            (&"Two".into(), &"b".into())
        );
        assert_eq!(body["progress"]["steps"][0]["status"], "done");
        assert_eq!(body["counts"]["tasks"]["total"], 0);
        assert_eq!(body["activity"]["state"], "waiting_for_worker");
    }
}
