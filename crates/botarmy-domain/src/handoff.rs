//! A hand-off: work that one agent passes to the next.

use serde::{Deserialize, Serialize};

use crate::ids::ContextId;
use crate::vocabulary::{AgentType, ArtifactType};

/// Start of a workflow step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// Agent of the previous step, or the orchestrator.
    pub from: AgentType,
    /// Agent of the new step.
    pub to: AgentType,
    /// Phase of the workflow, such as `Design`.
    pub phase: String,
    /// Name of the step, unique in its workflow.
    pub step: String,
    /// Artifacts that the next agent is shown.
    pub context_ids: Vec<ContextId>,
    /// Work to be done.
    pub instructions: String,
    /// Types of the expected artifacts.
    pub expected_outputs: Vec<ArtifactType>,
    /// Priority, 0 to 9; higher goes first.
    pub priority: u8,
}
