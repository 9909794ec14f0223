//! The driving port for reading: everything that a border shows, composed and computed.

use std::sync::Arc;

use async_trait::async_trait;

use crate::agent::{AgentRecord, PastStatus};
use crate::artifact::{Artifact, ArtifactFilter, ArtifactRef};
use crate::budget::{BudgetReport, DayBudget, UsageReport};
use crate::caller::Caller;
use crate::decide::eligibility::GateView;
use crate::emergency::Stop;
use crate::error::Error;
use crate::hitl::{HitlRequest, HitlStatistics, PendingQuery, Review};
use crate::idempotency::{CallKey, KeptReply};
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::package::{Package, PackageSummary};
use crate::page::Page;
use crate::project::{Activity, CompletionReport, Project, ProjectDetail, TaskStatusPage};
use crate::task::{Task, TaskFilter};
use crate::vocabulary::{AgentType, HitlStatus, ProjectStatus};
use crate::workflow::Workflow;

/// Reads on behalf of a caller. Every caller may read everything today; each method takes the
/// caller so that a rule about what is visible has one place.
///
/// An implementation
/// - MUST include everything that was acknowledged before the call;
/// - MUST refuse with [`crate::DomainError::NotFound`] where a named project, task, request or
///   artifact does not exist, also for an empty list of a project that does not exist;
/// - MUST end a page with the item with which it has [`crate::page::PART_BYTES`];
/// - MUST NOT change anything.
///
/// # Errors
/// A refusal, or the error of the store.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Queries: Send + Sync + 'static {
    /// Returns the workflows that a project can be started with, by name.
    async fn workflows(&self, caller: &Caller) -> Result<Vec<Arc<Workflow>>, Error>;

    /// Returns projects, newest first, those made before the project `before`.
    async fn projects(
        &self,
        caller: &Caller,
        status: Option<ProjectStatus>,
        before: Option<ProjectId>,
        limit: u32,
    ) -> Result<Page<Arc<Project>>, Error>;

    /// Returns the project.
    async fn project(&self, caller: &Caller, id: ProjectId) -> Result<Arc<Project>, Error>;

    /// Returns the activity of each of these projects, in this order.
    async fn activities(
        &self,
        caller: &Caller,
        projects: &[Arc<Project>],
    ) -> Result<Vec<Activity>, Error>;

    /// Returns the project with its counts.
    async fn project_detail(&self, caller: &Caller, id: ProjectId) -> Result<ProjectDetail, Error>;

    /// Returns the status of the project and of its tasks, oldest first. The position of the log
    /// shows whether an earlier answer is still valid.
    async fn task_statuses(
        &self,
        caller: &Caller,
        id: ProjectId,
        limit: u32,
    ) -> Result<TaskStatusPage, Error>;

    /// Returns how much of the project is done.
    async fn completion(&self, caller: &Caller, id: ProjectId) -> Result<CompletionReport, Error>;

    /// Returns tasks of a project, oldest first.
    async fn tasks(
        &self,
        caller: &Caller,
        project: ProjectId,
        filter: TaskFilter,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, Error>;

    /// Returns the task.
    async fn task(&self, caller: &Caller, id: TaskId) -> Result<Arc<Task>, Error>;

    /// Returns tasks of all projects that a worker holds, by id, those after the task `after`.
    async fn leased_tasks(
        &self,
        caller: &Caller,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, Error>;

    /// Returns requests of a project, newest first, those made before the request `before`.
    async fn requests(
        &self,
        caller: &Caller,
        project: ProjectId,
        status: Option<HitlStatus>,
        before: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, Error>;

    /// Returns pending requests that a query selects, oldest first, those made after the request
    /// `after`.
    async fn pending_requests(
        &self,
        caller: &Caller,
        query: PendingQuery,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, Error>;

    /// Returns the request.
    async fn request(&self, caller: &Caller, id: HitlRequestId) -> Result<Arc<HitlRequest>, Error>;

    /// Returns the request with what the caller may do with it.
    async fn gate(&self, caller: &Caller, id: HitlRequestId) -> Result<GateView, Error>;

    /// Returns the request with the artifacts under review.
    async fn review(&self, caller: &Caller, id: HitlRequestId) -> Result<Review, Error>;

    /// Returns the statistics of the requests of a project, or of all projects, over a window of this
    /// many hours.
    async fn hitl_statistics(
        &self,
        caller: &Caller,
        project: Option<ProjectId>,
        window_hours: u32,
    ) -> Result<HitlStatistics, Error>;

    /// Returns what was kept of the caller's call with this key, unless it has expired.
    async fn kept_reply(
        &self,
        caller: &Caller,
        key: CallKey,
    ) -> Result<Option<Arc<KeptReply>>, Error>;

    /// Returns artifacts of a project, oldest first.
    async fn artifacts(
        &self,
        caller: &Caller,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<Arc<Artifact>>, Error>;

    /// Returns artifacts of a project without their contents, oldest first.
    async fn artifact_refs(
        &self,
        caller: &Caller,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<ArtifactRef>, Error>;

    /// Returns the size of the documents that each of these requests is about, in this order: that of
    /// their contents as compact JSON, in bytes. The caller has read the requests before.
    async fn subject_sizes(
        &self,
        caller: &Caller,
        requests: &[Arc<HitlRequest>],
    ) -> Result<Vec<u64>, Error>;

    /// Returns the artifact.
    async fn artifact(&self, caller: &Caller, id: ContextId) -> Result<Arc<Artifact>, Error>;

    /// Returns the project with its package, if one was made.
    async fn package(&self, caller: &Caller, project: ProjectId) -> Result<PackageSummary, Error>;

    /// Returns the package that would be made of the project now. Nothing is stored.
    async fn package_preview(&self, caller: &Caller, project: ProjectId) -> Result<Package, Error>;

    /// Returns the next artifacts that a package was made of, in its order: those after the artifact
    /// `after`, about [`crate::page::PART_BYTES`] of content and at least one. Only an empty list
    /// says that there are no more.
    async fn package_sources(
        &self,
        caller: &Caller,
        package: &Package,
        after: Option<ContextId>,
    ) -> Result<Vec<Arc<Artifact>>, Error>;

    /// Returns the budget of a project now.
    async fn budget(&self, caller: &Caller, project: ProjectId) -> Result<BudgetReport, Error>;

    /// Returns the usage of a project.
    async fn usage(&self, caller: &Caller, project: ProjectId) -> Result<UsageReport, Error>;

    /// Returns the emergency stops in force, in the order of their scopes.
    async fn emergency_stops(&self, caller: &Caller) -> Result<Vec<Stop>, Error>;

    /// Returns the status of every agent type, in the order of [`AgentType::ALL`].
    async fn agents(&self, caller: &Caller) -> Result<Vec<AgentRecord>, Error>;

    /// Returns the status of one agent type.
    async fn agent(&self, caller: &Caller, agent: AgentType) -> Result<AgentRecord, Error>;

    /// Returns the budget of one agent type on the present day.
    async fn day_budget(&self, caller: &Caller, agent: AgentType) -> Result<DayBudget, Error>;

    /// Returns earlier statuses of an agent type, newest first, those before the position `before`
    /// of the system log.
    async fn agent_history(
        &self,
        caller: &Caller,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, Error>;
}
