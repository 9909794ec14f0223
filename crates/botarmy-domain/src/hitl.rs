//! A human-in-the-loop request: a question to people, what it is about, and what became of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::artifact::{Artifact, ArtifactRef};
use crate::budget::BudgetQuestion;
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType, HitlAction, HitlKind, HitlStatus, OnExpiry};

/// A question to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlRequest {
    /// Its id.
    pub id: HitlRequestId,
    /// The project it holds up.
    pub project_id: ProjectId,
    /// The task it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The step of the workflow that waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The agent whose work it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentType>,
    /// Why it exists.
    pub kind: HitlKind,
    /// What is asked.
    pub question: String,
    /// Suggested answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What is under review.
    pub subject: Subject,
    /// The limit it is about, when the question is whether to raise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetQuestion>,
    /// Where it stands.
    pub state: HitlState,
    /// What was done with it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// What it means when nobody answers in time.
    pub on_expiry: OnExpiry,
    /// How long it waits, in seconds; also by how much `keep_waiting` extends it.
    pub ttl_s: u32,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum HitlState {
    /// Nobody has answered.
    Pending,
    /// Somebody said yes.
    Approved(Reply),
    /// Somebody said no.
    Rejected(Reply),
    /// Somebody said how it should be instead.
    Amended(Reply),
    /// Nobody answered in time, and that means no.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// What it was about is gone.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}

/// A decision: who, when, why, and what they said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// What they remarked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The document they put in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amended_content: Option<Value>,
}

/// Something that was done with a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub timestamp: Timestamp,
    /// `created`, `approve`, `reject`, `amend`, `expire`, `extend` or `cancel`.
    pub action: String,
    /// Who.
    pub user_id: String,
    /// What they said, as `{"user_content": …}`.
    pub content: Option<Value>,
    /// What they remarked.
    pub comment: Option<String>,
}

/// What a request is about: artifacts, and one digest over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The artifacts under review.
    pub artifacts: Vec<SubjectArtifact>,
    /// SHA-256 over their ids and digests, in lower-case hexadecimal. Whoever answers can say
    /// which digest they saw, and is refused if it is another one by then.
    pub digest: String,
}

/// One artifact under review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectArtifact {
    /// Its id.
    pub context_id: ContextId,
    /// What it is.
    pub artifact_type: ArtifactType,
    /// The digest of its content.
    pub digest: String,
}

impl Subject {
    /// The subject made of these artifacts.
    #[must_use]
    pub fn of<'a>(artifacts: impl IntoIterator<Item = &'a ArtifactRef>) -> Self {
        let artifacts: Vec<_> = artifacts
            .into_iter()
            .map(|artifact| SubjectArtifact {
                context_id: artifact.id,
                artifact_type: artifact.artifact_type,
                digest: artifact.digest.clone(),
            })
            .collect();
        let mut hasher = Sha256::new();
        for artifact in &artifacts {
            hasher.update(artifact.context_id.bytes());
            hasher.update(artifact.digest.as_bytes());
        }
        Self { artifacts, digest: crate::artifact::hex(&hasher.finalize()) }
    }
}

impl HitlRequest {
    /// The word for where it stands.
    #[must_use]
    pub const fn status(&self) -> HitlStatus {
        match self.state {
            HitlState::Pending => HitlStatus::Pending,
            HitlState::Approved(_) => HitlStatus::Approved,
            HitlState::Rejected(_) => HitlStatus::Rejected,
            HitlState::Amended(_) => HitlStatus::Amended,
            HitlState::Expired { .. } => HitlStatus::Expired,
            HitlState::Cancelled { .. } => HitlStatus::Cancelled,
        }
    }

    /// The decision, when a person took one.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match &self.state {
            HitlState::Approved(reply) | HitlState::Rejected(reply) | HitlState::Amended(reply) => {
                Some(reply)
            }
            _ => None,
        }
    }
}

impl HitlAction {
    /// The state this action leads to.
    #[must_use]
    pub const fn decides(self, reply: Reply) -> HitlState {
        match self {
            Self::Approve => HitlState::Approved(reply),
            Self::Reject => HitlState::Rejected(reply),
            Self::Amend => HitlState::Amended(reply),
        }
    }
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

/// A request with the artifacts under review.
#[derive(Debug, Clone)]
pub struct Review {
    /// The request.
    pub request: Arc<HitlRequest>,
    /// Artifacts under review, in the order of the request's subject.
    pub artifacts: Vec<Arc<Artifact>>,
}

/// What a response led to.
#[derive(Debug, Clone)]
pub struct Responded {
    /// The request as it stands now.
    pub request: Arc<HitlRequest>,
    /// Whether work goes on because of it.
    pub workflow_resumed: bool,
}
