//! The driving port for operation: artifacts and packages, budgets, emergency stops, agents.

use std::sync::Arc;

use async_trait::async_trait;

use crate::agent::AgentRecord;
use crate::artifact::{Artifact, NewArtifact};
use crate::budget::{BudgetReport, Limit};
use crate::caller::Caller;
use crate::emergency::{StopScope, Stopped};
use crate::error::Error;
use crate::ids::ProjectId;
use crate::package::Package;
use crate::vocabulary::AgentType;

/// Stores artifacts, builds packages, sets budgets, stops work and resets agents.
///
/// An implementation
/// - MUST take one decision per call, and commit it before it returns;
/// - MUST finish a commit that it began even if the caller is dropped meanwhile.
///
/// # Errors
/// A refusal, or the error of the store. Nothing has changed then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// Stores an artifact.
    async fn add_artifact(
        &self,
        project: ProjectId,
        source_agent: AgentType,
        new: NewArtifact,
        caller: Caller,
    ) -> Result<Arc<Artifact>, Error>;

    /// Builds the package of a project from what is stored now.
    async fn generate_package(&self, id: ProjectId, caller: Caller) -> Result<Arc<Package>, Error>;

    /// Deletes the package of a project; its artifacts stay. Returns whether there was one.
    async fn delete_package(&self, id: ProjectId, caller: Caller) -> Result<bool, Error>;

    /// Deletes packages older than this, and returns their number.
    async fn delete_old_packages(&self, max_age_hours: u32, caller: Caller) -> Result<u32, Error>;

    /// Sets the spending limit of a project. Tasks that waited for it are requeued if they fit now.
    async fn set_budget(
        &self,
        id: ProjectId,
        limit: Limit,
        caller: Caller,
    ) -> Result<BudgetReport, Error>;

    /// Stops work at once: nothing new starts, and running attempts end within a second and are
    /// requeued. A scope that is stopped already stays as it is.
    async fn stop(
        &self,
        scope: StopScope,
        reason: String,
        caller: Caller,
    ) -> Result<Stopped, Error>;

    /// Releases an emergency stop.
    async fn release(&self, scope: StopScope, reason: String, caller: Caller) -> Result<(), Error>;

    /// Clears the error state of an agent type.
    async fn reset_agent(&self, agent: AgentType, caller: Caller) -> Result<AgentRecord, Error>;
}
