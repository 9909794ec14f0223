//! Reading: one method for each thing that a border shows. What is not stored as it is shown is
//! composed here; arithmetic is in the domain.
//!
//! Lists are limited to the reach of the caller by the store. Everything else is checked against the
//! project that it belongs to (`visibility.rs`).

mod activity;
mod log_reader;
mod logs;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::artifact::ArtifactFilter;
use botarmy_domain::budget::{BudgetReport, DayBudget, UsageReport};
use botarmy_domain::decide::eligibility::{Eligibility, GateView};
use botarmy_domain::hitl::{PendingFilter, PendingQuery, Review, SampleWindow};
use botarmy_domain::log::EntryFilter;
use botarmy_domain::package::PackageSummary;
use botarmy_domain::page::Page;
use botarmy_domain::ports::{Queries, RecordsExt};
use botarmy_domain::project::{CompletionReport, ProjectDetail, TaskStatusPage};
use botarmy_domain::task::TaskFilter;
use botarmy_domain::{
    Activity, AgentRecord, AgentType, Artifact, ArtifactRef, BudgetAccount, BudgetKey, CallKey,
    Caller, ContextId, Day, DomainError, Error, HitlRequest, HitlRequestId, HitlStatistics,
    HitlStatus, KeptReply, ObjectId, Package, PastStatus, Permission, Place, Project, ProjectId,
    ProjectStatus, Reach, Stop, StopScope, Task, TaskId, Workflow,
};

use crate::engine::Engine;
use crate::verified_artifacts::verify_contents;
use crate::visibility::no_project;

/// Largest number of ended requests that statistics are computed from.
const MAX_SAMPLE: u32 = 10_000;

#[async_trait]
impl Queries for Engine {
    async fn workflows(&self, _: &Caller) -> Result<Vec<Arc<Workflow>>, Error> {
        Ok(self.workflows.all().map(Arc::clone).collect())
    }

    async fn projects(
        &self,
        caller: &Caller,
        status: Option<ProjectStatus>,
        before: Option<ProjectId>,
        limit: u32,
    ) -> Result<Page<Arc<Project>>, Error> {
        let reach = caller.reach(Permission::ProjectRead)?;
        Ok(self.ports.stores.projects.projects(&reach, status, before, limit).await?)
    }

    async fn project(&self, caller: &Caller, id: ProjectId) -> Result<Arc<Project>, Error> {
        self.readable_project(caller, id).await
    }

    async fn project_detail(&self, caller: &Caller, id: ProjectId) -> Result<ProjectDetail, Error> {
        self.check_readable(caller, id).await?;
        let overview = self.ports.stores.projects.overview(id).await?;
        let (project, head) = overview.ok_or_else(|| no_project(id))?;
        let activity = self.activity(&project, &head.counts).await?;
        Ok(ProjectDetail { project, counts: head.counts, activity })
    }

    async fn activities(
        &self,
        _: &Caller,
        projects: &[Arc<Project>],
    ) -> Result<Vec<Activity>, Error> {
        Ok(self.activities_of(projects).await?)
    }

    async fn task_statuses(
        &self,
        caller: &Caller,
        id: ProjectId,
        limit: u32,
    ) -> Result<TaskStatusPage, Error> {
        self.check_readable(caller, id).await?;
        let list = self.ports.stores.tasks.status(id, limit).await?;
        let list = list.ok_or_else(|| no_project(id))?;
        Ok(TaskStatusPage { seq: list.seq, project_status: list.project_status, tasks: list.tasks })
    }

    async fn completion(&self, caller: &Caller, id: ProjectId) -> Result<CompletionReport, Error> {
        self.check_readable(caller, id).await?;
        let overview = self.ports.stores.projects.overview(id).await?;
        let (project, head) = overview.ok_or_else(|| no_project(id))?;
        let newest = EntryFilter { project: Some(id), ..EntryFilter::default() };
        let newest = self.ports.stores.audit.entries(newest, 1).await?;
        let last_updated = newest.first().map_or(project.updated_at, |entry| entry.created_at);
        let artifacts_available =
            head.counts.artifacts > 0 || self.stored_package(id).await?.is_some();
        Ok(CompletionReport { project, counts: head.counts, artifacts_available, last_updated })
    }

    async fn tasks(
        &self,
        caller: &Caller,
        project: ProjectId,
        filter: TaskFilter,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, Error> {
        self.check_readable(caller, project).await?;
        let found = self.ports.stores.tasks.tasks(project, filter, limit).await?;
        self.of_project(project, found).await
    }

    async fn task(&self, caller: &Caller, id: TaskId) -> Result<Arc<Task>, Error> {
        self.task_for(caller, id, Permission::ProjectRead).await
    }

    async fn leased_tasks(
        &self,
        caller: &Caller,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, Error> {
        let reach = caller.reach(Permission::ProjectRead)?;
        Ok(self.ports.stores.tasks.leased(&reach, after, limit).await?)
    }

    async fn requests(
        &self,
        caller: &Caller,
        project: ProjectId,
        status: Option<HitlStatus>,
        before: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, Error> {
        self.check_readable(caller, project).await?;
        let found = self.ports.stores.requests.requests(project, status, before, limit).await?;
        self.of_project(project, found).await
    }

    async fn pending_requests(
        &self,
        caller: &Caller,
        query: PendingQuery,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, Error> {
        if let Some(project) = query.project {
            self.readable_project(caller, project).await?;
        }
        let (settings, now) = (&self.settings.defaults.gates, self.ports.clock.now());
        match PendingFilter::of(query, caller, settings, now)? {
            Some((filter, reach)) => {
                Ok(self.ports.stores.requests.pending(&reach, &filter, after, limit).await?)
            }
            None => Ok(Page::default()),
        }
    }

    async fn request(&self, caller: &Caller, id: HitlRequestId) -> Result<Arc<HitlRequest>, Error> {
        self.request_for(caller, id, Permission::ProjectRead).await
    }

    async fn gate(&self, caller: &Caller, id: HitlRequestId) -> Result<GateView, Error> {
        let request = self.request_for(caller, id, Permission::ProjectRead).await?;
        let project = self.existing_project(request.project_id).await?;
        let roster = self.roster();
        let eligibility = Eligibility {
            request: &request,
            project: &project,
            settings: &self.settings.defaults.gates,
            roster: roster.as_deref(),
        };
        let allowed = eligibility.allowed(caller, self.ports.clock.now());
        Ok(GateView { request, allowed })
    }

    async fn review(&self, caller: &Caller, id: HitlRequestId) -> Result<Review, Error> {
        let request = self.request_for(caller, id, Permission::ProjectRead).await?;
        let ids: Vec<ContextId> = request.subject.artifacts.iter().map(|a| a.context_id).collect();
        Ok(Review { request, artifacts: self.verified_artifacts(&ids).await? })
    }

    async fn hitl_statistics(
        &self,
        caller: &Caller,
        project: Option<ProjectId>,
        window_hours: u32,
    ) -> Result<HitlStatistics, Error> {
        let reach = match project {
            Some(project) => {
                self.readable_project(caller, project).await?;
                Reach::everything()
            }
            None => caller.reach(Permission::ProjectRead)?,
        };
        let window = Duration::from_secs(u64::from(window_hours) * 3600);
        let now = self.ports.clock.now();
        let since = now.before(window);
        let window = SampleWindow { since, now };
        let requests = &self.ports.stores.requests;
        let sample = requests.sample(&reach, project, window, MAX_SAMPLE + 1).await?;
        Ok(HitlStatistics::of(&sample, since, MAX_SAMPLE))
    }

    async fn kept_reply(&self, _: &Caller, key: CallKey) -> Result<Option<Arc<KeptReply>>, Error> {
        let kept = self.ports.stores.records.record::<KeptReply>(key).await?;
        Ok(kept.filter(|kept| kept.expires_at > self.ports.clock.now()))
    }

    async fn artifacts(
        &self,
        caller: &Caller,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<Arc<Artifact>>, Error> {
        self.check_readable(caller, project).await?;
        let found = self.ports.stores.context.artifacts(project, filter, limit).await?;
        verify_contents(&found)?;
        self.of_project(project, found).await
    }

    async fn artifact_refs(
        &self,
        caller: &Caller,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<ArtifactRef>, Error> {
        self.check_readable(caller, project).await?;
        let found = self.ports.stores.context.artifact_refs(project, filter, limit).await?;
        self.of_project(project, found).await
    }

    async fn subject_sizes(
        &self,
        _: &Caller,
        requests: &[Arc<HitlRequest>],
    ) -> Result<Vec<u64>, Error> {
        let ids = requests.iter().flat_map(|request| &request.subject.artifacts);
        let ids: Vec<ContextId> = ids.map(|artifact| artifact.context_id).collect();
        if ids.is_empty() {
            return Ok(vec![0; requests.len()]);
        }
        let sizes = self.ports.stores.context.artifact_sizes(&ids).await?;
        let sizes: HashMap<ContextId, u64> = sizes.into_iter().collect();
        let of = |request: &Arc<HitlRequest>| {
            let ids = request.subject.artifacts.iter().map(|artifact| artifact.context_id);
            ids.filter_map(|id| sizes.get(&id)).sum()
        };
        Ok(requests.iter().map(of).collect())
    }

    async fn artifact(&self, caller: &Caller, id: ContextId) -> Result<Arc<Artifact>, Error> {
        self.check_seen(caller, Permission::ProjectRead, ObjectId::Artifact(id)).await?;
        let artifact = self.ports.stores.context.artifact(id).await?;
        let artifact = artifact.ok_or_else(|| DomainError::not_found("Artifact", id))?;
        artifact.verify()?;
        Ok(artifact)
    }

    async fn package(&self, caller: &Caller, project: ProjectId) -> Result<PackageSummary, Error> {
        let found = self.readable_project(caller, project).await?;
        let package = self.stored_package(project).await?;
        Ok(PackageSummary { project: found, package })
    }

    async fn package_preview(&self, caller: &Caller, project: ProjectId) -> Result<Package, Error> {
        self.check_readable(caller, project).await?;
        self.build_package(project, self.ports.clock.now()).await
    }

    async fn package_sources(
        &self,
        caller: &Caller,
        package: &Package,
        after: Option<ContextId>,
    ) -> Result<Vec<Arc<Artifact>>, Error> {
        self.check_readable(caller, package.project_id).await?;
        self.next_sources(package, after).await
    }

    async fn budget(&self, caller: &Caller, project: ProjectId) -> Result<BudgetReport, Error> {
        self.readable_project(caller, project).await?;
        let account = self.project_account(project).await?;
        Ok(self.budget_report(project, &account))
    }

    async fn usage(&self, caller: &Caller, project: ProjectId) -> Result<UsageReport, Error> {
        self.readable_project(caller, project).await?;
        Ok(self.project_account(project).await?.usage())
    }

    async fn emergency_stops(&self, caller: &Caller) -> Result<Vec<Stop>, Error> {
        let is_limited = !caller.reach(Permission::ProjectRead)?.is_everything();
        let mut visible = Vec::new();
        for stop in self.ports.stores.records.all::<Stop>().await? {
            let mut stop = Stop::clone(&stop);
            if let StopScope::Project(id) = stop.scope {
                match self.check_readable(caller, id).await {
                    Ok(()) => {}
                    Err(Error::Refused(_)) => continue,
                    Err(error) => return Err(error),
                }
            } else if is_limited {
                // Work of the caller waits because of it, whatever the reason is.
                stop.reason.clear();
                stop.by.clear();
            }
            visible.push(stop);
        }
        Ok(visible)
    }

    async fn agents(&self, caller: &Caller) -> Result<Vec<AgentRecord>, Error> {
        caller.check(Permission::AgentsRead, Place::Installation)?;
        let found = self.ports.stores.agents.statuses().await?;
        Ok(found.into_iter().map(|record| self.since_installation(record)).collect())
    }

    async fn agent(&self, caller: &Caller, agent: AgentType) -> Result<AgentRecord, Error> {
        caller.check(Permission::AgentsRead, Place::Installation)?;
        Ok(self.since_installation(self.ports.stores.agents.status_of(agent).await?))
    }

    async fn day_budget(&self, caller: &Caller, agent: AgentType) -> Result<DayBudget, Error> {
        caller.check(Permission::AgentsRead, Place::Installation)?;
        let now = self.ports.clock.now();
        let day = Day::of(now);
        let key = BudgetKey::Day(agent, day);
        let account = self.ports.stores.records.record::<BudgetAccount>(key).await?;
        let account = account.unwrap_or_else(|| BudgetAccount::new(key).into());
        let configured = self.settings.budgets.per_day.get(&agent).copied().unwrap_or_default();
        Ok(account.day(day, configured, now))
    }

    async fn agent_history(
        &self,
        caller: &Caller,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, Error> {
        caller.check(Permission::AgentsRead, Place::Installation)?;
        Ok(self.ports.stores.agents.history(agent, before, limit).await?)
    }
}

impl Engine {
    /// Returns the record with the time of the installation as the last activity of an agent type that
    /// has not worked yet.
    fn since_installation(&self, mut record: AgentRecord) -> AgentRecord {
        record.last_activity.get_or_insert_with(|| self.installed_at());
        record
    }

    pub(crate) async fn existing_project(&self, id: ProjectId) -> Result<Arc<Project>, Error> {
        let project = self.ports.stores.projects.project(id).await?;
        Ok(project.ok_or_else(|| no_project(id))?)
    }

    /// Returns a request that the caller sees, if something that needs this permission is to be done with
    /// it.
    pub(crate) async fn request_for(
        &self,
        caller: &Caller,
        id: HitlRequestId,
        permission: Permission,
    ) -> Result<Arc<HitlRequest>, Error> {
        self.check_seen(caller, permission, ObjectId::Request(id)).await?;
        let request = self.ports.stores.requests.request(id).await?;
        let missing = || caller.missing(permission, DomainError::not_found("Request", id));
        Ok(request.ok_or_else(missing)?)
    }

    /// Returns a task that the caller sees, if something that needs this permission is to be done with it.
    pub(crate) async fn task_for(
        &self,
        caller: &Caller,
        id: TaskId,
        permission: Permission,
    ) -> Result<Arc<Task>, Error> {
        self.check_seen(caller, permission, ObjectId::Task(id)).await?;
        let task = self.ports.stores.tasks.task(id).await?;
        let missing = || caller.missing(permission, DomainError::not_found("Task", id));
        Ok(task.ok_or_else(missing)?)
    }

    /// Returns a page of what was found of a project. The project is read only where nothing was
    /// found: anything found proves that it exists.
    async fn of_project<T>(&self, project: ProjectId, found: Page<T>) -> Result<Page<T>, Error> {
        if found.is_empty() {
            self.existing_project(project).await?;
        }
        Ok(found)
    }

    /// Returns the budget account of a project; an empty one before its first entry.
    async fn project_account(&self, id: ProjectId) -> Result<Arc<BudgetAccount>, Error> {
        let key = BudgetKey::Project(id);
        let account = self.ports.stores.records.record::<BudgetAccount>(key).await?;
        Ok(account.unwrap_or_else(|| BudgetAccount::new(key).into()))
    }

    /// Returns the budget of a project by its account, now.
    pub(crate) fn budget_report(&self, id: ProjectId, account: &BudgetAccount) -> BudgetReport {
        account.report(id, self.settings.budgets.per_project, self.ports.clock.now())
    }
}
