//! A hand-off: how one agent passes work to the next.

use serde::{Deserialize, Serialize};

use crate::ids::ContextId;
use crate::vocabulary::{AgentType, ArtifactType};

/// What every step of a workflow begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// Who hands over: the agent of the step before, or the orchestrator.
    pub from: AgentType,
    /// Who takes over.
    pub to: AgentType,
    /// The phase of the workflow, such as `Design`.
    pub phase: String,
    /// The step's name, unique in its workflow.
    pub step: String,
    /// The artifacts that go along.
    pub context_ids: Vec<ContextId>,
    /// What is to be done.
    pub instructions: String,
    /// What is expected back.
    pub expected_outputs: Vec<ArtifactType>,
    /// 0 to 9; higher goes first.
    pub priority: u8,
}
