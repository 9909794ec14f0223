//! Input of an attempt: everything that a runner or an external worker gets.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::artifact::Artifact;
use crate::handoff::Handoff;
use crate::ids::{ProjectId, TaskId};
use crate::task::Answer;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType};

/// What an agent is given.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The project.
    pub project_id: ProjectId,
    /// Its name.
    pub project_name: String,
    /// The task.
    pub task_id: TaskId,
    /// Who is asked.
    pub agent: AgentType,
    /// 1 for the first try.
    pub attempt: u32,
    /// What is to be done.
    pub instructions: String,
    /// The hand-off, when it is a step of a workflow.
    pub handoff: Option<Handoff>,
    /// The artifacts it may look at, in the order of the task's list.
    pub context: Vec<Arc<Artifact>>,
    /// What it is expected to make.
    pub output_type: Option<ArtifactType>,
    /// What that must look like, as JSON Schema; the orchestrator looks whether it does.
    pub output_schema: Option<Map<String, Value>>,
    /// What it needs to go on after a question.
    pub resume: Option<Resume>,
}

/// What a runner needs to go on after a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resume {
    /// What it wanted to be reminded of.
    pub session: Option<String>,
    /// What people answered, oldest first.
    pub answers: Vec<Answer>,
}

/// What surrounds a run.
pub struct RunContext {
    /// When it will be dropped.
    pub deadline: Timestamp,
    /// The fencing token of the lease.
    pub fence: u32,
    /// Takes a line about how it is getting on, and per cent where they are known. Also shows
    /// that the agent is alive.
    pub progress: Box<dyn Fn(String, Option<u8>) + Send + Sync>,
}
