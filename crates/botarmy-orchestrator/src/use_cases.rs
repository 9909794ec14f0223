//! The use cases, each the sentence one would say.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::budget::{BudgetReport, Limit};
use botarmy_domain::decide::{agents, artifacts, budget, hitl, projects, tasks};
use botarmy_domain::emergency::StopScope;
use botarmy_domain::ports::Orchestrator;
use botarmy_domain::{
    AgentRecord, AgentType, Artifact, ArtifactFilter, BudgetAccount, BudgetKey, Caller, Completion,
    DomainError, Error, HitlAction, HitlRequest, HitlRequestId, NewArtifact, NewProject,
    NewRequest, NewTask, Package, Project, ProjectId, ProjectStatus, Responded, Response, Row,
    Scope, Stopped, StoreError, Task, TaskId, package,
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
    async fn create_project(&self, new: NewProject, caller: Caller) -> Result<Arc<Project>, Error> {
        let workflow =
            new.workflow.as_deref().map(|name| self.workflows.named(name)).transpose()?;
        let context = self.context(caller);
        let id = context.fork(1).id_generator().project();
        let create = move |context: &_, snapshot: &_| {
            projects::create(context, snapshot, id, &new, workflow.as_deref())
        };
        let committed = self.commit(context, Scope::project(id), create).await?;
        written(committed.project())
    }

    async fn start_project(
        &self,
        id: ProjectId,
        workflow: Option<String>,
        idea: Option<String>,
        caller: Caller,
    ) -> Result<Arc<Project>, Error> {
        let workflow = self.workflows.named(workflow.as_deref().unwrap_or(DEFAULT_WORKFLOW))?;
        let start = move |context: &_, snapshot: &_| {
            projects::start(context, snapshot, &workflow, idea.as_deref())
        };
        written(self.commit(self.context(caller), Scope::project(id), start).await?.project())
    }

    async fn pause_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error> {
        let (context, scope) = (self.context(caller), Scope::project(id));
        written(self.commit(context, scope, projects::pause).await?.project())
    }

    async fn resume_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error> {
        let (context, scope) = (self.context(caller), Scope::project(id));
        written(self.commit(context, scope, projects::resume).await?.project())
    }

    async fn cancel_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error> {
        let (context, scope) = (self.context(caller), Scope::project(id).everything_open());
        written(self.commit(context, scope, projects::cancel).await?.project())
    }

    async fn check_completion(&self, id: ProjectId, caller: Caller) -> Result<Completion, Error> {
        let (context, scope) = (self.context(caller), Scope::project(id));
        self.commit(context, scope, projects::check_completion).await?;
        let (project, head) = self
            .ports
            .stores
            .projects
            .overview(id)
            .await?
            .ok_or_else(|| DomainError::not_found("Project", id))?;
        let is_complete = project.status() == ProjectStatus::Completed;
        let unmet = if is_complete { Vec::new() } else { projects::unmet(&project, &head.counts) };
        Ok(Completion { is_complete, unmet })
    }

    async fn force_complete(&self, id: ProjectId, caller: Caller) -> Result<Vec<String>, Error> {
        let (context, scope) = (self.context(caller), Scope::project(id).everything_open());
        let committed = self.commit(context, scope, projects::force_complete).await?;
        Ok(match committed.project().map(|project| &project.state) {
            Some(botarmy_domain::ProjectState::Completed { overridden, .. }) => overridden.clone(),
            _ => Vec::new(),
        })
    }

    async fn submit_task(&self, new: NewTask, caller: Caller) -> Result<Arc<Task>, Error> {
        let context = self.context(caller);
        let id = context.fork(1).id_generator().task();
        let scope = Scope::project(new.project_id).artifacts(&new.context_ids);
        let submit = move |context: &_, snapshot: &_| tasks::submit(context, snapshot, id, &new);
        written(self.commit(context, scope, submit).await?.task(id))
    }

    async fn cancel_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error> {
        let (context, scope) = (self.context(caller), self.scope_of_task(id).await?);
        let cancel = move |context: &_, snapshot: &_| tasks::cancel(context, snapshot, id);
        written(self.commit(context, scope, cancel).await?.task(id))
    }

    async fn retry_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error> {
        let (context, scope) = (self.context(caller), self.scope_of_task(id).await?);
        let retry = move |context: &_, snapshot: &_| tasks::retry(context, snapshot, id);
        written(self.commit(context, scope, retry).await?.task(id))
    }

    async fn raise_request(
        &self,
        new: NewRequest,
        caller: Caller,
    ) -> Result<Arc<HitlRequest>, Error> {
        let context = self.context(caller);
        let id = context.fork(1).id_generator().request();
        let mut scope = Scope::project(new.project_id).artifacts(&new.artifacts);
        scope.tasks.extend(new.task_id);
        let raise = move |context: &_, snapshot: &_| hitl::raise(context, snapshot, id, &new);
        written(self.commit(context, scope, raise).await?.request(id))
    }

    async fn respond(
        &self,
        id: HitlRequestId,
        response: Response,
        caller: Caller,
    ) -> Result<Responded, Error> {
        let mut scope = self.scope_of_request(id).await?;
        let workflow_resumed = response.action != HitlAction::Reject;
        if !workflow_resumed {
            scope = scope.everything_open();
        }
        let respond =
            move |context: &_, snapshot: &_| hitl::respond(context, snapshot, id, &response);
        let committed = self.commit(self.context(caller), scope, respond).await?;
        Ok(Responded { request: written(committed.request(id))?, workflow_resumed })
    }

    async fn add_artifact(
        &self,
        project: ProjectId,
        source_agent: AgentType,
        new: NewArtifact,
        caller: Caller,
    ) -> Result<Arc<Artifact>, Error> {
        let (context, scope) = (self.context(caller), Scope::project(project).open_requests());
        let store = move |context: &_, snapshot: &_| {
            artifacts::store(context, snapshot, source_agent, &new)
        };
        let committed = self.commit(context, scope, store).await?;
        written(committed.rows.iter().find_map(|row| match row {
            Row::Artifact(artifact) => Some(artifact),
            _ => None,
        }))
    }

    async fn generate_package(&self, id: ProjectId, caller: Caller) -> Result<Arc<Package>, Error> {
        self.make_package(id, caller).await
    }

    async fn delete_package(&self, id: ProjectId, caller: Caller) -> Result<bool, Error> {
        let (context, scope) = (self.context(caller), Scope::project(id).record::<Package>(id));
        let committed = self.commit(context, scope, artifacts::package_deleted).await?;
        Ok(!committed.entries.is_empty())
    }

    async fn delete_old_packages(&self, max_age_hours: u32, caller: Caller) -> Result<u32, Error> {
        let age = std::time::Duration::from_secs(u64::from(max_age_hours) * 3600);
        let time = self.ports.clock.now().before(age);
        let mut removed = 0;
        for project in self.ports.stores.packages.packages_before(time, MAX_CLEANED).await? {
            removed += u32::from(self.delete_package(project, caller.clone()).await?);
        }
        Ok(removed)
    }

    async fn set_budget(
        &self,
        id: ProjectId,
        limit: Limit,
        caller: Caller,
    ) -> Result<BudgetReport, Error> {
        let key = BudgetKey::Project(id);
        let scope = Scope::project(id).everything_open().record::<BudgetAccount>(key);
        let set = move |context: &_, snapshot: &_| budget::set(context, snapshot, id, limit);
        let committed = self.commit(self.context(caller), scope, set).await?;
        let account = written(committed.record(key))?;
        Ok(self.budget_report(id, &account))
    }

    async fn stop(
        &self,
        scope: StopScope,
        reason: String,
        caller: Caller,
    ) -> Result<Stopped, Error> {
        self.stop_work(scope, reason, caller).await
    }

    async fn release(&self, scope: StopScope, reason: String, caller: Caller) -> Result<(), Error> {
        self.release_work(scope, reason, caller).await
    }

    async fn reset_agent(&self, agent: AgentType, caller: Caller) -> Result<AgentRecord, Error> {
        self.commit(self.context(caller), Scope::agent(agent), agents::reset).await?;
        Ok(self.ports.stores.agents.status_of(agent).await?)
    }
}

impl Engine {
    pub(crate) async fn make_package(
        &self,
        id: ProjectId,
        caller: Caller,
    ) -> Result<Arc<Package>, Error> {
        let project = self.ports.stores.projects.project(id).await?;
        let project = project.ok_or_else(|| DomainError::not_found("Project", id))?;
        let filter = ArtifactFilter::default();
        let stored = self.ports.stores.context.artifacts(id, filter, MAX_PACKAGED).await?;
        let context = self.context(caller);
        let package = Arc::new(package::build(&project, &stored, context.now));
        let made = Arc::clone(&package);
        self.commit(context, Scope::project(id), move |context, snapshot| {
            artifacts::package_made(context, snapshot, &made)
        })
        .await?;
        Ok(package)
    }

    /// The scope of a decision about a task: its project, and everything open there.
    async fn scope_of_task(&self, id: TaskId) -> Result<Scope, Error> {
        let task = self.ports.stores.tasks.task(id).await?;
        let task = task.ok_or_else(|| DomainError::not_found("Task", id))?;
        Ok(Scope::project(task.project_id).task(id).everything_open())
    }

    /// The scope of a decision about a request: its project and its task.
    pub(crate) async fn scope_of_request(&self, id: HitlRequestId) -> Result<Scope, Error> {
        let request = self.ports.stores.requests.request(id).await?;
        let request = request.ok_or_else(|| DomainError::not_found("Request", id))?;
        let mut scope = Scope::project(request.project_id).request(id);
        scope.tasks.extend(request.task_id);
        if let Some(question) = &request.budget {
            // Whoever waits for the same answer goes on with it.
            scope = scope.everything_open().record::<BudgetAccount>(question.account);
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
