//! A human-in-the-loop request: a question to people, its subject and its outcome.

mod statistics;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::artifact::{Artifact, ArtifactRef};
use crate::budget::BudgetQuestion;
use crate::ids::{ContextId, HitlRequestId, PrincipalId, ProjectId, TaskId};
use crate::text::non_blank;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType, HitlAction, HitlKind, HitlStatus, OnExpiry};

pub use statistics::{Counted, HitlLine, HitlSample, HitlStatistics, OldestRequest};

/// Action in the history of a request whose subject became another artifact.
pub(crate) const SUBJECT_CHANGED: &str = "subject_changed";
/// Action in the history of a request that asks again after its project was reopened.
pub(crate) const REOPENED: &str = "reopen";

/// Pending requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRequests {
    /// The kind.
    pub kind: HitlKind,
    /// Number of requests.
    pub count: u64,
    /// Time at which the oldest was raised.
    pub oldest: Timestamp,
}

/// A question to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlRequest {
    /// Id of the request.
    pub id: HitlRequestId,
    /// Project that the request belongs to.
    pub project_id: ProjectId,
    /// Task that the request concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Step of the workflow that waits for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Agent type whose work is under review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentType>,
    /// Cause of the request.
    pub kind: HitlKind,
    /// Question to be answered.
    pub question: String,
    /// Suggested answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Artifacts under review.
    pub subject: Subject,
    /// Set when the subject was stored by hand and would replace an approved artifact. The step
    /// does not wait for the answer then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replacement>,
    /// Request that asked the same before its project was halted and reopened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_request_id: Option<HitlRequestId>,
    /// Limit in question, when the request asks whether to raise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetQuestion>,
    /// State, with the data of that state.
    pub state: HitlState,
    /// Actions on the request, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// Consequence of expiry.
    pub on_expiry: OnExpiry,
    /// Time to live in seconds; `keep_waiting` extends it by the same amount.
    pub ttl_s: u32,
    /// Time of expiry.
    pub expires_at: Timestamp,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Document that would replace an approved artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// Value of the loop's `until` key in it, where its step is tested in a loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
}

/// State of a request, with the data that exists only in that state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum HitlState {
    /// The request has no answer yet.
    Pending,
    /// A person approved it.
    Approved(Reply),
    /// A person rejected it.
    Rejected(Reply),
    /// A person amended it, with instructions or a replacement.
    Amended(Reply),
    /// The request expired without an answer, which counts as a rejection.
    Expired {
        /// Time of expiry.
        at: Timestamp,
    },
    /// The subject of the request no longer exists.
    Cancelled {
        /// Time of cancellation.
        at: Timestamp,
        /// Reason for people.
        reason: String,
    },
}

impl HitlState {
    /// Returns the status without the data of the state.
    #[must_use]
    pub const fn status(&self) -> HitlStatus {
        match self {
            Self::Pending => HitlStatus::Pending,
            Self::Approved(_) => HitlStatus::Approved,
            Self::Rejected(_) => HitlStatus::Rejected,
            Self::Amended(_) => HitlStatus::Amended,
            Self::Expired { .. } => HitlStatus::Expired,
            Self::Cancelled { .. } => HitlStatus::Cancelled,
        }
    }
}

/// A person's decision on a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Name of the principal that decided.
    pub by: String,
    /// Time of the decision.
    pub at: Timestamp,
    /// Answer to the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Remark for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Document that replaces the one under review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amended_content: Option<Value>,
}

/// One action on a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Time of the action.
    pub timestamp: Timestamp,
    /// `created`, `approve`, `reject`, `amend`, `expire`, `extend`, `subject_changed`, `reopen` or
    /// `cancel`.
    pub action: String,
    /// Name of the principal that acted.
    pub user_id: String,
    /// Id of the principal that acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// Answer, as `{"user_content": …}`.
    pub content: Option<Value>,
    /// Remark for the record.
    pub comment: Option<String>,
}

/// Artifacts that a request is about, with one digest over all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The artifacts under review.
    pub artifacts: Vec<SubjectArtifact>,
    /// SHA-256 over their ids and digests, in lower-case hexadecimal. A response may carry the
    /// digest that its author saw; it is refused if the digest has changed since.
    pub digest: String,
}

/// One artifact under review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectArtifact {
    /// Id of the artifact.
    pub context_id: ContextId,
    /// Type of the artifact.
    pub artifact_type: ArtifactType,
    /// Digest of its content.
    pub digest: String,
}

impl Subject {
    /// Returns the subject that consists of these artifacts.
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
    /// Returns the status without the data of the state.
    #[must_use]
    pub const fn status(&self) -> HitlStatus {
        self.state.status()
    }

    /// Returns whether the subject is not the one that the request was opened with, so that an answer
    /// has to name the digest it is about.
    #[must_use]
    pub fn subject_changed(&self) -> bool {
        let mut since = self.history.iter().rev().take_while(|entry| entry.action != REOPENED);
        since.any(|entry| entry.action == SUBJECT_CHANGED)
    }

    /// Returns the answers in its history, oldest first.
    pub fn answers(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.history.iter().filter(|entry| entry.action.parse::<HitlAction>().is_ok())
    }

    /// Returns whether it was decided by this principal with the same answer. A response that names no
    /// digest is about the subject as it was decided on.
    #[must_use]
    pub fn is_decided_with(&self, by: &str, response: &Response) -> bool {
        let (action, reply) = match &self.state {
            HitlState::Approved(reply) => (HitlAction::Approve, reply),
            HitlState::Rejected(reply) => (HitlAction::Reject, reply),
            HitlState::Amended(reply) => (HitlAction::Amend, reply),
            _ => return false,
        };
        let document = response.amended_content.as_ref().filter(|_| action == HitlAction::Amend);
        action == response.action
            && reply.by == by
            && reply.content.as_deref() == response.content.as_deref().and_then(non_blank)
            && reply.comment.as_deref() == response.comment.as_deref().and_then(non_blank)
            && reply.amended_content.as_ref().and_then(Value::as_object) == document
            && response.subject_digest.as_ref().is_none_or(|seen| *seen == self.subject.digest)
    }

    /// Returns the decision if a person has taken one.
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
    /// Returns the state that this action leads to.
    #[must_use]
    pub const fn decides(self, reply: Reply) -> HitlState {
        match self {
            Self::Approve => HitlState::Approved(reply),
            Self::Reject => HitlState::Rejected(reply),
            Self::Amend => HitlState::Amended(reply),
        }
    }
}

/// Request for a question to people, raised by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// Project that the question belongs to.
    pub project_id: ProjectId,
    /// Task that the question concerns.
    pub task_id: Option<TaskId>,
    /// Question to be answered; not blank.
    pub question: String,
    /// Suggested answers.
    pub options: Vec<String>,
    /// Time to live in seconds; the server's setting when absent.
    pub ttl_s: Option<u32>,
    /// Artifacts under review; all of the same project.
    pub artifacts: Vec<ContextId>,
}

/// A person's response to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Action to take.
    pub action: HitlAction,
    /// Answer to the question; blank text counts as absent.
    pub content: Option<String>,
    /// Remark for the record.
    pub comment: Option<String>,
    /// Document that replaces the one under review.
    pub amended_content: Option<Map<String, Value>>,
    /// Digest of the artifacts that the author of the response saw.
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

/// Result of a response.
#[derive(Debug, Clone)]
pub struct Responded {
    /// The request after the response.
    pub request: Arc<HitlRequest>,
    /// Whether the workflow continues because of the response.
    pub workflow_resumed: bool,
    /// Whether the response halted the project.
    pub project_halted: bool,
    /// Whether the same answer had been recorded before, so that nothing was changed.
    pub replayed: bool,
}
