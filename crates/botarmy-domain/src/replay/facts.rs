//! Members of rows that the events of a log state.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::text::Text;
use crate::actor::Actor;
use crate::handoff::Handoff;
use crate::hitl::HitlRequest;
use crate::ids::{ContextId, PrincipalId, TaskId};
use crate::project::ProjectState;
use crate::task::{Answer, RefusedResult, TaskState};
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::{AgentType, ArtifactType, Oversight};
use crate::workflow::Workflow;

/// A project. `seq` is the position of the entry that changed it last, here and below.
#[derive(Debug)]
pub(super) struct ProjectFacts {
    pub(super) seq: u64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) creator: Option<PrincipalId>,
    pub(super) oversight: Oversight,
    pub(super) state: ProjectState,
    /// Reason for which it was reopened last.
    pub(super) reopened_for: Option<String>,
    pub(super) plan: Option<PlanFacts>,
    pub(super) created_at: Timestamp,
}

/// The workflow of a project.
#[derive(Debug)]
pub(super) struct PlanFacts {
    pub(super) workflow: Arc<Workflow>,
    pub(super) digest: String,
    pub(super) idea: String,
    pub(super) starter: Actor,
    pub(super) latest: BTreeMap<ArtifactType, ContextId>,
    /// Last task and number of runs of each step that has begun.
    pub(super) runs: BTreeMap<String, (TaskId, u32)>,
}

/// A task, with its texts in the short form.
#[derive(Debug)]
pub(super) struct TaskFacts {
    pub(super) seq: u64,
    pub(super) agent: AgentType,
    pub(super) instructions: Text,
    pub(super) context_ids: Vec<ContextId>,
    pub(super) priority: u8,
    pub(super) max_attempts: u32,
    pub(super) attempt: u32,
    pub(super) failures: u32,
    pub(super) handoff: Option<Handoff>,
    pub(super) output_type: Option<ArtifactType>,
    pub(super) timeout_s: Option<u32>,
    /// State; see [`super::task::comparable`].
    pub(super) state: TaskState,
    pub(super) answers: Vec<Answer>,
    pub(super) usage: Usage,
    pub(super) refused_result: Option<RefusedResult>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ready_at: Timestamp,
    pub(super) created_at: Timestamp,
}

/// A request, with its texts in the short form.
#[derive(Debug)]
pub(super) struct RequestFacts {
    pub(super) seq: u64,
    /// The request. Members that no event states have arbitrary values.
    pub(super) request: HitlRequest,
}

/// A package.
#[derive(Debug)]
pub(super) struct PackageFacts {
    pub(super) seq: u64,
    pub(super) digest: String,
    pub(super) generated_at: Timestamp,
    pub(super) files: usize,
}

/// An answer of a person, as long as the entries that follow from it come next.
#[derive(Debug)]
pub(super) struct Answered {
    /// Position of the answer, or of the artifact that was made of it.
    pub(super) seq: u64,
    pub(super) task_id: Option<TaskId>,
    pub(super) content: Option<String>,
    pub(super) feedback: Option<ContextId>,
}
