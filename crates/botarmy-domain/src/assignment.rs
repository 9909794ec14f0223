//! Input of an attempt: everything that a runner or an external worker gets.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::artifact::Artifact;
use crate::handoff::Handoff;
use crate::ids::{ProjectId, TaskId};
use crate::task::Answer;
use crate::timestamp::Timestamp;
use crate::trace::TraceContext;
use crate::vocabulary::{AgentType, ArtifactType};
use crate::workflow::Workflow;

/// Work for an agent, with everything it needs.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Project of the task.
    pub project_id: ProjectId,
    /// Name of the project.
    pub project_name: String,
    /// Task to work on.
    pub task_id: TaskId,
    /// Agent type that works on it.
    pub agent: AgentType,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Work to be done.
    pub instructions: String,
    /// Hand-off, if the task is a step of a workflow.
    pub handoff: Option<Handoff>,
    /// Artifacts that the agent may read, in the order of the task's list.
    pub context: Vec<Arc<Artifact>>,
    /// Type of the expected artifact.
    pub output_type: Option<ArtifactType>,
    /// JSON Schema of the expected artifact; the orchestrator validates against it.
    pub output_schema: Option<Map<String, Value>>,
    /// Data to continue with after a question.
    pub resume: Option<Resume>,
    /// Workflow that the project follows, if it follows one.
    pub workflow: Option<Arc<Workflow>>,
}

/// Data that a runner needs to continue after a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resume {
    /// Opaque text that the runner returned with the question.
    pub session: Option<String>,
    /// Answers from people, oldest first.
    pub answers: Vec<Answer>,
}

/// Environment of a run.
pub struct RunContext {
    /// Time at which the run is dropped.
    pub deadline: Timestamp,
    /// Fencing token of the lease.
    pub fence: u32,
    /// Position in the trace that the attempt belongs to.
    pub trace: Option<TraceContext>,
    /// Reports progress: a message for people, and per cent where they are known. Also shows that
    /// the agent is alive.
    pub progress: Box<dyn Fn(String, Option<u8>) + Send + Sync>,
}
