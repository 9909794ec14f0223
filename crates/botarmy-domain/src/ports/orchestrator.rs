//! The driving port: everything that can be asked of BotArmy. Reading goes through the stores.

use async_trait::async_trait;
use serde_json::{Map, Value};
use std::sync::Arc;

use crate::agent::AgentRecord;
use crate::artifact::{Artifact, NewArtifact};
use crate::budget::{BudgetAccount, Limit};
use crate::caller::Caller;
use crate::emergency::{Stop, StopScope};
use crate::error::Error;
use crate::hitl::HitlRequest;
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::package::Package;
use crate::project::Project;
use crate::task::Task;
use crate::vocabulary::{AgentType, HitlAction, Oversight};

/// A project somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// 1 to 255 characters, not blank.
    pub name: String,
    /// Whatever its owner says about it; with a workflow, the idea.
    pub description: Option<String>,
    /// The workflow to start at once, by name.
    pub workflow: Option<String>,
    /// How many gates its owner wants.
    pub oversight: Oversight,
}

/// A task somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// The project.
    pub project_id: ProjectId,
    /// Who is to do it.
    pub agent: AgentType,
    /// What is to be done; not blank.
    pub instructions: String,
    /// Artifacts the agent is shown; of the same project.
    pub context_ids: Vec<ContextId>,
    /// 0 to 9; [`crate::task::DEFAULT_PRIORITY`] when absent.
    pub priority: Option<u8>,
    /// 1 to 10; [`crate::task::DEFAULT_MAX_ATTEMPTS`] when absent.
    pub max_attempts: Option<u32>,
}

/// A request somebody raises by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// The project.
    pub project_id: ProjectId,
    /// The task it is about.
    pub task_id: Option<TaskId>,
    /// What is asked; not blank.
    pub question: String,
    /// Suggested answers.
    pub options: Vec<String>,
    /// How long it waits, in seconds; the server's setting when absent.
    pub ttl_s: Option<u32>,
    /// What it is about; of the same project.
    pub artifacts: Vec<ContextId>,
}

/// What somebody says to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// What they do.
    pub action: HitlAction,
    /// What they say; blank counts as nothing.
    pub content: Option<String>,
    /// What they remark.
    pub comment: Option<String>,
    /// The document they put in its place.
    pub amended_content: Option<Map<String, Value>>,
    /// The digest of what they were shown.
    pub subject_digest: Option<String>,
}

/// What a response led to.
#[derive(Debug, Clone)]
pub struct Responded {
    /// The request as it stands now.
    pub request: Arc<HitlRequest>,
    /// Whether work goes on because of it.
    pub workflow_resumed: bool,
}

/// Whether a project is complete, and if not, why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// It is.
    pub is_complete: bool,
    /// What is missing, one sentence each.
    pub unmet: Vec<String>,
}

/// What an emergency stop led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The stop that stands now.
    pub stop: Stop,
    /// Whether it was made by this call; another's stands otherwise.
    pub is_new: bool,
    /// How many tasks were running when it was recorded.
    pub interrupted: usize,
}

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
    ) -> Result<Arc<BudgetAccount>, Error>;

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
