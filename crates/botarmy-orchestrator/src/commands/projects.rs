//! The life cycle of projects.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::decide::projects;
use botarmy_domain::ports::Projects;
use botarmy_domain::{
    Caller, Committed, Completion, DomainError, Error, HitlRequestId, HitlStatus, NewProject,
    Permission, Project, ProjectId, ProjectState, ProjectStatus, Scope, Timestamp,
};

use super::written;
use crate::engine::Engine;

/// The workflow of a project that names none.
const DEFAULT_WORKFLOW: &str = "sdlc";
/// Largest number of refused requests that are looked at for the newest one.
const MAX_REFUSALS: u32 = 1_000;

#[async_trait]
impl Projects for Engine {
    async fn create_project(&self, new: NewProject, caller: Caller) -> Result<Arc<Project>, Error> {
        let workflow =
            new.workflow.as_deref().map(|name| self.workflows.named(name)).transpose()?;
        let context = self.context(caller);
        let id = context.fork(1).id_generator().project();
        let create = move |context: &_, snapshot: &_| {
            projects::create(context, snapshot, id, &new, workflow.as_deref())
        };
        let scope = Scope::project(id);
        written(self.commit_call(context, scope, create, the_project).await?)
    }

    async fn start_project(
        &self,
        id: ProjectId,
        workflow: Option<String>,
        idea: Option<String>,
        caller: Caller,
    ) -> Result<Arc<Project>, Error> {
        let workflow = self.workflows.named(workflow.as_deref().unwrap_or(DEFAULT_WORKFLOW))?;
        self.check_project(&caller, Permission::ProjectRun, id).await?;
        let start = move |context: &_, snapshot: &_| {
            projects::start(context, snapshot, &workflow, idea.as_deref())
        };
        let (context, scope) = (self.context(caller), Scope::project(id));
        written(self.commit_call(context, scope, start, the_project).await?)
    }

    async fn pause_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error> {
        self.check_project(&caller, Permission::ProjectRun, id).await?;
        let (context, scope) = (self.context(caller), Scope::project(id).open_requests());
        written(self.commit_call(context, scope, projects::pause, the_project).await?)
    }

    async fn resume_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error> {
        self.check_project(&caller, Permission::ProjectRun, id).await?;
        let (context, scope) = (self.context(caller), Scope::project(id).open_requests());
        written(self.commit_call(context, scope, projects::resume, the_project).await?)
    }

    async fn reopen_project(
        &self,
        id: ProjectId,
        reason: String,
        caller: Caller,
    ) -> Result<Arc<Project>, Error> {
        let project = self.project_for(&caller, id, Permission::ProjectRun).await?;
        let rejected = match &project.state {
            ProjectState::Halted { request_id: None, .. } => self.newest_refusal(id).await?,
            ProjectState::Halted { request_id, .. } => *request_id,
            _ => None,
        };
        let (tasks, requests) = projects::interrupted(&project);
        let mut scope = Scope::project(id);
        scope.tasks.extend(tasks);
        scope.requests.extend(requests);
        if let Some(rejected) = rejected {
            let request = self.ports.stores.requests.request(rejected).await?;
            scope.tasks.extend(request.and_then(|request| request.task_id));
            scope.requests.push(rejected);
        }
        let reopen =
            move |context: &_, snapshot: &_| projects::reopen(context, snapshot, rejected, &reason);
        written(self.commit_call(self.context(caller), scope, reopen, the_project).await?)
    }

    async fn cancel_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error> {
        self.check_project(&caller, Permission::ProjectRun, id).await?;
        let (context, scope) = (self.context(caller), Scope::project(id).everything_open());
        written(self.commit_call(context, scope, projects::cancel, the_project).await?)
    }

    async fn check_completion(&self, id: ProjectId, caller: Caller) -> Result<Completion, Error> {
        self.check_project(&caller, Permission::ProjectRun, id).await?;
        let (context, scope) = (self.context(caller), Scope::project(id));
        let completed = |committed: &Committed| {
            committed.project().map(|_| Completion { is_complete: true, unmet: Vec::new() })
        };
        let check = projects::check_completion;
        if let Some(completion) = self.commit_call(context, scope, check, completed).await? {
            return Ok(completion);
        }
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
        self.check_project(&caller, Permission::ProjectManage, id).await?;
        let (context, scope) = (self.context(caller), Scope::project(id).everything_open());
        let overridden = |committed: &Committed| match &committed.project()?.state {
            ProjectState::Completed { overridden, .. } => Some(overridden.clone()),
            _ => None,
        };
        let force = projects::force_complete;
        Ok(self.commit_call(context, scope, force, overridden).await?.unwrap_or_default())
    }
}

/// Returns the project that a decision wrote.
fn the_project(committed: &Committed) -> Option<Arc<Project>> {
    committed.project().cloned()
}

impl Engine {
    /// Returns the request of a project that was rejected or expired last.
    async fn newest_refusal(&self, id: ProjectId) -> Result<Option<HitlRequestId>, Error> {
        let requests = &self.ports.stores.requests;
        let mut newest: Option<(Timestamp, HitlRequestId)> = None;
        for status in [HitlStatus::Rejected, HitlStatus::Expired] {
            let (mut before, mut left) = (None, MAX_REFUSALS);
            loop {
                let page = requests.requests(id, Some(status), before, left).await?;
                let updated = page.iter().map(|request| (request.updated_at, request.id));
                newest = newest.into_iter().chain(updated).max();
                left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(left));
                before = page.last_before_next().map(|request| request.id);
                if before.is_none() || left == 0 {
                    break;
                }
            }
        }
        Ok(newest.map(|(_, id)| id))
    }
}
