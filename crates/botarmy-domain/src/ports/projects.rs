//! The driving port for the life cycle of projects.

use std::sync::Arc;

use async_trait::async_trait;

use crate::caller::Caller;
use crate::error::Error;
use crate::ids::ProjectId;
use crate::project::{Completion, NewProject, Project};

/// Creates projects and drives them from start to end.
///
/// An implementation
/// - MUST take one decision per call, and commit it before it returns;
/// - MUST finish a commit that it began even if the caller is dropped meanwhile.
///
/// # Errors
/// A refusal, or the error of the store. Nothing has changed then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Projects: Send + Sync + 'static {
    /// Creates a project; with a workflow, starts it.
    async fn create_project(&self, new: NewProject, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Starts a workflow (default `sdlc`) in a project that has none. The idea is `idea` or, if
    /// absent, the description or the name.
    async fn start_project(
        &self,
        id: ProjectId,
        workflow: Option<String>,
        idea: Option<String>,
        caller: Caller,
    ) -> Result<Arc<Project>, Error>;

    /// Pauses the project; running tasks finish.
    async fn pause_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Resumes a paused project.
    async fn resume_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Reopens a halted project: the request that halted it is asked again, with its history.
    async fn reopen_project(
        &self,
        id: ProjectId,
        reason: String,
        caller: Caller,
    ) -> Result<Arc<Project>, Error>;

    /// Cancels the project with everything open in it; running agents are stopped.
    async fn cancel_project(&self, id: ProjectId, caller: Caller) -> Result<Arc<Project>, Error>;

    /// Completes the project if no condition is unmet; returns the unmet conditions otherwise.
    async fn check_completion(&self, id: ProjectId, caller: Caller) -> Result<Completion, Error>;

    /// Completes the project even if conditions are unmet, and returns those.
    async fn force_complete(&self, id: ProjectId, caller: Caller) -> Result<Vec<String>, Error>;
}
