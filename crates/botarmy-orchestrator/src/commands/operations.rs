//! Artifacts and packages, budgets, emergency stops and agents.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::budget::{BudgetReport, Limit};
use botarmy_domain::decide::{agents, artifacts, budget};
use botarmy_domain::emergency::StopScope;
use botarmy_domain::package::PackageBuilder;
use botarmy_domain::ports::{Operations, RecordsExt};
use botarmy_domain::{
    AgentRecord, AgentType, Artifact, ArtifactFilter, BudgetAccount, BudgetKey, Caller, Committed,
    ContextId, DomainError, Error, NewArtifact, Package, Permission, Place, ProjectId, Row, Scope,
    Stopped, Timestamp,
};

use super::written;
use crate::engine::Engine;
use crate::verified_artifacts::verify_contents;

/// Largest number of artifacts in a package.
const MAX_PACKAGED: u32 = 10_000;
/// Largest number of packages that one clean-up deletes.
const MAX_CLEANED: u32 = 1_000;

#[async_trait]
impl Operations for Engine {
    async fn add_artifact(
        &self,
        project: ProjectId,
        source_agent: AgentType,
        new: NewArtifact,
        caller: Caller,
    ) -> Result<Arc<Artifact>, Error> {
        self.check_project(&caller, Permission::ProjectRun, project).await?;
        let (context, scope) = (self.context(caller), Scope::project(project).open_requests());
        let store = move |context: &_, snapshot: &_| {
            artifacts::store(context, snapshot, source_agent, &new)
        };
        let stored = |committed: &Committed| {
            committed.rows.iter().find_map(|row| match row {
                Row::Artifact(artifact) => Some(Arc::clone(artifact)),
                _ => None,
            })
        };
        written(self.commit_call(context, scope, store, stored).await?)
    }

    async fn generate_package(&self, id: ProjectId, caller: Caller) -> Result<Arc<Package>, Error> {
        self.project_for(&caller, id, Permission::ProjectRun).await?;
        self.make_package(id, caller).await
    }

    async fn delete_package(&self, id: ProjectId, caller: Caller) -> Result<bool, Error> {
        self.remove_package(id, Permission::ProjectManage, caller).await
    }

    async fn delete_old_packages(&self, max_age_hours: u32, caller: Caller) -> Result<u32, Error> {
        caller.check(Permission::PackagesClean, Place::Installation)?;
        let age = std::time::Duration::from_secs(u64::from(max_age_hours) * 3600);
        let time = self.ports.clock.now().before(age);
        let mut removed = 0;
        for project in self.ports.stores.records.packages_before(time, MAX_CLEANED).await? {
            let is_removed =
                self.remove_package(project, Permission::PackagesClean, caller.clone());
            removed += u32::from(is_removed.await?);
        }
        Ok(removed)
    }

    async fn set_budget(
        &self,
        id: ProjectId,
        limit: Limit,
        caller: Caller,
    ) -> Result<BudgetReport, Error> {
        self.check_project(&caller, Permission::ProjectManage, id).await?;
        let key = BudgetKey::Project(id);
        let scope = Scope::project(id).everything_open().record::<BudgetAccount>(key);
        let set = move |context: &_, snapshot: &_| budget::set(context, snapshot, id, limit);
        let committed = self.commit(self.context(caller), scope, set).await?;
        let account = written(committed.record(key).cloned())?;
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
        let (context, scope) = (self.context(caller), Scope::agent(agent));
        let reset = move |committed: &Committed| {
            committed.record::<AgentRecord>(agent).map(|record| AgentRecord::clone(record))
        };
        written(self.commit_call(context, scope, agents::reset, reset).await?)
    }
}

impl Engine {
    /// Deletes the package of a project with this permission. Returns whether there was one.
    async fn remove_package(
        &self,
        id: ProjectId,
        permission: Permission,
        caller: Caller,
    ) -> Result<bool, Error> {
        self.check_project(&caller, permission, id).await?;
        let (context, scope) = (self.context(caller), Scope::project(id).record::<Package>(id));
        let delete = move |context: &_, snapshot: &_| {
            artifacts::package_deleted(context, snapshot, permission)
        };
        let committed = self.commit(context, scope, delete).await?;
        Ok(!committed.entries.is_empty())
    }

    /// Builds and records the package of a project.
    pub(crate) async fn make_package(
        &self,
        id: ProjectId,
        caller: Caller,
    ) -> Result<Arc<Package>, Error> {
        let context = self.context(caller);
        let package = Arc::new(self.build_package(id, context.now).await?);
        let (made, result) = (Arc::clone(&package), Arc::clone(&package));
        let make =
            move |context: &_, snapshot: &_| artifacts::package_made(context, snapshot, &made);
        let result = move |_: &Committed| Some(Arc::clone(&result));
        self.commit_call(context, Scope::project(id), make, result).await?;
        Ok(package)
    }

    /// Builds the package of a project from what is stored.
    pub(crate) async fn build_package(
        &self,
        id: ProjectId,
        now: Timestamp,
    ) -> Result<Package, Error> {
        let project = self.ports.stores.projects.project(id).await?;
        let project = project.ok_or_else(|| DomainError::not_found("Project", id))?;
        let mut builder = PackageBuilder::new(&project, now);
        let (mut filter, mut left) = (ArtifactFilter::default(), MAX_PACKAGED);
        loop {
            let page = self.ports.stores.context.artifacts(id, filter.clone(), left).await?;
            verify_contents(&page)?;
            page.iter().for_each(|artifact| builder.add(artifact));
            left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
            filter.after = page.last_before_next().map(|artifact| artifact.meta.id);
            if filter.after.is_none() || left == 0 {
                break;
            }
        }
        Ok(builder.finish())
    }

    /// Returns the next artifacts that a package was made of: those after the artifact `after`, a
    /// page of them and at least one. An empty list is the end.
    pub(crate) async fn next_sources(
        &self,
        package: &Package,
        after: Option<ContextId>,
    ) -> Result<Vec<Arc<Artifact>>, Error> {
        let mut filter = ArtifactFilter { after, ..ArtifactFilter::default() };
        loop {
            let project = package.project_id;
            let page =
                self.ports.stores.context.artifacts(project, filter.clone(), MAX_PACKAGED).await?;
            filter.after = page.last_before_next().map(|artifact| artifact.meta.id);
            let mut sources = page.items;
            sources.retain(|artifact| package.artifacts.binary_search(&artifact.meta.id).is_ok());
            if !sources.is_empty() || filter.after.is_none() {
                verify_contents(&sources)?;
                return Ok(sources);
            }
        }
    }

    /// Returns the package of a project that was made last, unless it was deleted.
    pub(crate) async fn stored_package(
        &self,
        project: ProjectId,
    ) -> Result<Option<Arc<Package>>, Error> {
        Ok(self.ports.stores.records.record(project).await?)
    }
}
