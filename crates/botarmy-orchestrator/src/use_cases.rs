//! The use cases, each the sentence one would say.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::budget::Limit;
use botarmy_domain::decide::{agents, artifacts, budget, hitl, projects, tasks};
use botarmy_domain::emergency::StopScope;
use botarmy_domain::ports::{
    ArtifactFilter, Completion, NewProject, NewRequest, NewTask, Orchestrator, Responded, Response,
    Stopped,
};
use botarmy_domain::{
    AgentRecord, AgentType, Artifact, BudgetAccount, BudgetKey, DomainError, Error, HitlAction,
    HitlRequest, HitlRequestId, NewArtifact, Origin, Package, Project, ProjectId, ProjectStatus,
    Row, Scope, StoreError, Task, TaskId, package,
};

use crate::engine::Engine;

/// The workflow a project is started with when none is named.
const DEFAULT_WORKFLOW: &str = "sdlc";
/// The most artifacts a package is made of.
const MAX_PACKAGED: u32 = 10_000;
/// The most packages one clean-up removes.
const MAX_CLEANED: u32 = 1_000;

#[async_trait]
impl Orchestrator for Engine {
    async fn create_project(&self, new: NewProject, origin: Origin) -> Result<Arc<Project>, Error> {
        let workflow =
            new.workflow.as_deref().map(|name| self.workflows.named(name)).transpose()?;
        let moment = self.moment();
        let id = moment.fork(1).id_generator().project();
        let defaults = self.settings.defaults;
        let committed = self
            .commit(Scope::project(id), move |snapshot| {
                let workflow = workflow.as_deref();
                projects::create(snapshot, id, &new, workflow, moment, &origin, defaults)
            })
            .await?;
        written(committed.project())
    }

    async fn start_project(
        &self,
        id: ProjectId,
        workflow: Option<String>,
        idea: Option<String>,
        origin: Origin,
    ) -> Result<Arc<Project>, Error> {
        let workflow = self.workflows.named(workflow.as_deref().unwrap_or(DEFAULT_WORKFLOW))?;
        let (moment, defaults) = (self.moment(), self.settings.defaults);
        let committed = self
            .commit(Scope::project(id), move |snapshot| {
                projects::start(snapshot, &workflow, idea.as_deref(), moment, &origin, defaults)
            })
            .await?;
        written(committed.project())
    }

    async fn pause_project(&self, id: ProjectId, origin: Origin) -> Result<Arc<Project>, Error> {
        let moment = self.moment();
        let pause = move |snapshot: &_| projects::pause(snapshot, moment, &origin);
        written(self.commit(Scope::project(id), pause).await?.project())
    }

    async fn resume_project(&self, id: ProjectId, origin: Origin) -> Result<Arc<Project>, Error> {
        let (moment, defaults) = (self.moment(), self.settings.defaults);
        let resume = move |snapshot: &_| projects::resume(snapshot, moment, &origin, defaults);
        written(self.commit(Scope::project(id), resume).await?.project())
    }

    async fn cancel_project(&self, id: ProjectId, origin: Origin) -> Result<Arc<Project>, Error> {
        let moment = self.moment();
        let cancel = move |snapshot: &_| projects::cancel(snapshot, moment, &origin);
        written(self.commit(Scope::project(id).everything_open(), cancel).await?.project())
    }

    async fn check_completion(&self, id: ProjectId, origin: Origin) -> Result<Completion, Error> {
        let moment = self.moment();
        let check = move |snapshot: &_| projects::check_completion(snapshot, moment, &origin);
        self.commit(Scope::project(id), check).await?;
        let (project, head) = self
            .ports
            .projects
            .overview(id)
            .await?
            .ok_or_else(|| DomainError::not_found("Project", id))?;
        let is_complete = project.status() == ProjectStatus::Completed;
        let unmet = if is_complete { Vec::new() } else { projects::unmet(&project, &head.counts) };
        Ok(Completion { is_complete, unmet })
    }

    async fn force_complete(&self, id: ProjectId, origin: Origin) -> Result<Vec<String>, Error> {
        let moment = self.moment();
        let force = move |snapshot: &_| projects::force_complete(snapshot, moment, &origin);
        let committed = self.commit(Scope::project(id).everything_open(), force).await?;
        Ok(match committed.project().map(|project| &project.state) {
            Some(botarmy_domain::ProjectState::Completed { overridden, .. }) => overridden.clone(),
            _ => Vec::new(),
        })
    }

    async fn submit_task(&self, new: NewTask, origin: Origin) -> Result<Arc<Task>, Error> {
        let moment = self.moment();
        let id = moment.fork(1).id_generator().task();
        let scope = Scope::project(new.project_id).artifacts(&new.context_ids);
        let submit = move |snapshot: &_| tasks::submit(snapshot, id, &new, moment, &origin);
        written(self.commit(scope, submit).await?.task(id))
    }

    async fn cancel_task(&self, id: TaskId, origin: Origin) -> Result<Arc<Task>, Error> {
        let (moment, defaults) = (self.moment(), self.settings.defaults);
        let cancel = move |snapshot: &_| tasks::cancel(snapshot, id, moment, &origin, defaults);
        written(self.commit(self.scope_of_task(id).await?, cancel).await?.task(id))
    }

    async fn retry_task(&self, id: TaskId, origin: Origin) -> Result<Arc<Task>, Error> {
        let moment = self.moment();
        let retry = move |snapshot: &_| tasks::retry(snapshot, id, moment, &origin);
        written(self.commit(self.scope_of_task(id).await?, retry).await?.task(id))
    }

    async fn raise_request(
        &self,
        new: NewRequest,
        origin: Origin,
    ) -> Result<Arc<HitlRequest>, Error> {
        let (moment, defaults) = (self.moment(), self.settings.defaults);
        let id = moment.fork(1).id_generator().request();
        let mut scope = Scope::project(new.project_id).artifacts(&new.artifacts);
        scope.tasks.extend(new.task_id);
        let raise = move |snapshot: &_| hitl::raise(snapshot, id, &new, moment, &origin, defaults);
        written(self.commit(scope, raise).await?.request(id))
    }

    async fn respond(
        &self,
        id: HitlRequestId,
        response: Response,
        origin: Origin,
    ) -> Result<Responded, Error> {
        let mut scope = self.scope_of_request(id).await?;
        let workflow_resumed = response.action != HitlAction::Reject;
        if !workflow_resumed {
            scope = scope.everything_open();
        }
        let (moment, defaults) = (self.moment(), self.settings.defaults);
        let respond =
            move |snapshot: &_| hitl::respond(snapshot, id, &response, moment, &origin, defaults);
        let committed = self.commit(scope, respond).await?;
        Ok(Responded { request: written(committed.request(id))?, workflow_resumed })
    }

    async fn add_artifact(
        &self,
        project: ProjectId,
        source_agent: AgentType,
        new: NewArtifact,
        origin: Origin,
    ) -> Result<Arc<Artifact>, Error> {
        let moment = self.moment();
        let store =
            move |snapshot: &_| artifacts::store(snapshot, source_agent, &new, moment, &origin);
        let committed = self.commit(Scope::project(project).open_requests(), store).await?;
        written(committed.rows.iter().find_map(|row| match row {
            Row::Artifact(artifact) => Some(artifact),
            _ => None,
        }))
    }

    async fn generate_package(&self, id: ProjectId, origin: Origin) -> Result<Arc<Package>, Error> {
        self.make_package(id, origin).await
    }

    async fn delete_package(&self, id: ProjectId, origin: Origin) -> Result<bool, Error> {
        let moment = self.moment();
        let delete = move |snapshot: &_| artifacts::package_deleted(snapshot, moment, &origin);
        let committed = self.commit(Scope::project(id).package(), delete).await?;
        Ok(!committed.entries.is_empty())
    }

    async fn delete_old_packages(&self, max_age_hours: u32, origin: Origin) -> Result<u32, Error> {
        let age = std::time::Duration::from_secs(u64::from(max_age_hours) * 3600);
        let time = self.ports.clock.now().before(age);
        let mut removed = 0;
        for project in self.ports.packages.packages_before(time, MAX_CLEANED).await? {
            removed += u32::from(self.delete_package(project, origin.clone()).await?);
        }
        Ok(removed)
    }

    async fn set_budget(
        &self,
        id: ProjectId,
        limit: Limit,
        origin: Origin,
    ) -> Result<Arc<BudgetAccount>, Error> {
        let moment = self.moment();
        let key = BudgetKey::Project(id);
        let scope = Scope::project(id).everything_open().budget_accounts([key]);
        let set = move |snapshot: &_| budget::set(snapshot, id, limit, moment, &origin);
        let committed = self.commit(scope, set).await?;
        written(committed.rows.iter().find_map(|row| match row {
            Row::BudgetAccount(account) if account.key == key => Some(account),
            _ => None,
        }))
    }

    async fn stop(
        &self,
        scope: StopScope,
        reason: String,
        origin: Origin,
    ) -> Result<Stopped, Error> {
        self.stop_work(scope, reason, origin).await
    }

    async fn release(&self, scope: StopScope, reason: String, origin: Origin) -> Result<(), Error> {
        self.release_work(scope, reason, origin).await
    }

    async fn reset_agent(&self, agent: AgentType, origin: Origin) -> Result<AgentRecord, Error> {
        let moment = self.moment();
        let reset = move |snapshot: &_| agents::reset(snapshot, moment, &origin);
        self.commit(Scope::agent(agent), reset).await?;
        Ok(self.ports.agents.status_of(agent).await?)
    }
}

impl Engine {
    pub(crate) async fn make_package(
        &self,
        id: ProjectId,
        origin: Origin,
    ) -> Result<Arc<Package>, Error> {
        let project = self.ports.projects.project(id).await?;
        let project = project.ok_or_else(|| DomainError::not_found("Project", id))?;
        let filter = ArtifactFilter::default();
        let stored = self.ports.context.artifacts(id, filter, MAX_PACKAGED).await?;
        let moment = self.moment();
        let package = Arc::new(package::build(&project, &stored, moment.at));
        let made = Arc::clone(&package);
        self.commit(Scope::project(id), move |snapshot| {
            artifacts::package_made(snapshot, &made, moment, &origin)
        })
        .await?;
        Ok(package)
    }

    /// The scope of a decision about a task: its project, and everything open there.
    async fn scope_of_task(&self, id: TaskId) -> Result<Scope, Error> {
        let task = self.ports.tasks.task(id).await?;
        let task = task.ok_or_else(|| DomainError::not_found("Task", id))?;
        Ok(Scope::project(task.project_id).task(id).everything_open())
    }

    /// The scope of a decision about a request: its project and its task.
    pub(crate) async fn scope_of_request(&self, id: HitlRequestId) -> Result<Scope, Error> {
        let request = self.ports.requests.request(id).await?;
        let request = request.ok_or_else(|| DomainError::not_found("Request", id))?;
        let mut scope = Scope::project(request.project_id).request(id);
        scope.tasks.extend(request.task_id);
        if let Some(question) = &request.budget {
            // Whoever waits for the same answer goes on with it.
            scope = scope.everything_open().budget_accounts([question.account]);
        }
        Ok(scope)
    }
}

/// What a decision has just written.
fn written<T>(row: Option<&Arc<T>>) -> Result<Arc<T>, Error> {
    let lost = || StoreError::Corrupt {
        table: "ledger",
        row: std::any::type_name::<T>().to_owned(),
        detail: "a decision was committed without the row it writes".to_owned(),
    };
    Ok(row.cloned().ok_or_else(lost)?)
}
