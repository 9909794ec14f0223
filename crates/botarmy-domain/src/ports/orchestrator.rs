//! The driving port: everything that can be asked of BotArmy. Reading goes through the stores.

use std::sync::Arc;

use async_trait::async_trait;

use crate::agent::AgentRecord;
use crate::artifact::{Artifact, NewArtifact};
use crate::budget::{BudgetReport, Limit};
use crate::caller::Caller;
use crate::emergency::{StopScope, Stopped};
use crate::error::Error;
use crate::hitl::{HitlRequest, NewRequest, Responded, Response};
use crate::ids::{HitlRequestId, ProjectId, TaskId};
use crate::package::Package;
use crate::project::{Completion, NewProject, Project};
use crate::task::{NewTask, Task};
use crate::vocabulary::AgentType;

/// Everything that can be asked of BotArmy. Every call is one decision, committed before it
/// answers, and safe against being dropped half way.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Orchestrator: Send + Sync + 'static {
    /// Makes a project; with a workflow, starts it.
    async fn create_project(&self, new: NewProject, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Starts a workflow (default `sdlc`) in a project that has none, with `idea`, else the
    /// description, else the name.
    async fn start_project(
        &self,
        id: ProjectId,
        workflow: Option<String>,
        idea: Option<String>,
        caller: Caller,
    ) -> Result<Arc<Project>, Error>;

    /// Lets nothing new start.
    async fn pause_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Lets work go on.
    async fn resume_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Calls everything off.
    async fn cancel_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Completes the project if it is complete, and says what is missing if it is not.
    async fn check_completion(&self, id: ProjectId, caller: Caller) -> Result<Completion, Error>;

    /// Completes the project whatever is missing, and returns that.
    async fn force_complete(&self, id: ProjectId, caller: Caller) -> Result<Vec<String>, Error>;

    /// Submits a task.
    async fn submit_task(&self, new: NewTask, caller: Caller) -> Result<Arc<Task>, Error>;

    /// Calls a task off; a running agent is told.
    async fn cancel_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error>;

    /// Gives a failed task another round of attempts.
    async fn retry_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error>;

    /// Raises a request.
    async fn raise_request(
        &self,
        new: NewRequest,
        caller: Caller,
    ) -> Result<Arc<HitlRequest>, Error>;

    /// Answers a request.
    async fn respond(
        &self,
        id: HitlRequestId,
        response: Response,
        caller: Caller,
    ) -> Result<Responded, Error>;

    /// Stores an artifact.
    async fn add_artifact(
        &self,
        project: ProjectId,
        source_agent: AgentType,
        new: NewArtifact,
        caller: Caller,
    ) -> Result<Arc<Artifact>, Error>;

    /// Makes the package of a project from what is stored now.
    async fn generate_package(&self, id: ProjectId, caller: Caller) -> Result<Arc<Package>, Error>;

    /// Removes the package of a project; its artifacts stay. Answers whether there was one.
    async fn delete_package(&self, id: ProjectId, caller: Caller) -> Result<bool, Error>;

    /// Removes packages older than this; answers how many.
    async fn delete_old_packages(&self, max_age_hours: u32, caller: Caller) -> Result<u32, Error>;

    /// Sets what may be spent on a project; whoever waited for it and has room now goes on.
    async fn set_budget(
        &self,
        id: ProjectId,
        limit: Limit,
        caller: Caller,
    ) -> Result<BudgetReport, Error>;

    /// Stops work: nothing new starts, and what runs is ended within a second and waits in the
    /// queue. Stopping what is stopped changes nothing.
    async fn stop(
        &self,
        scope: StopScope,
        reason: String,
        caller: Caller,
    ) -> Result<Stopped, Error>;

    /// Lets stopped work go on.
    async fn release(&self, scope: StopScope, reason: String, caller: Caller) -> Result<(), Error>;

    /// Sweeps an agent type's errors away.
    async fn reset_agent(&self, agent: AgentType, caller: Caller) -> Result<AgentRecord, Error>;
}
