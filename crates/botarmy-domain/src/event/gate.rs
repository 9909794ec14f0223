//! Payloads of events about human-in-the-loop requests.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hitl::Subject;
use crate::ids::HitlRequestId;
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::{AgentType, HitlAction, HitlKind, HitlStatus, OnExpiry};

/// A request was opened, or its subject changed while it was pending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HitlRequestCreated {
    /// A request was opened.
    Opened(RequestOpened),
    /// The subject of a pending request changed.
    SubjectChanged(SubjectChanged),
}

/// A request was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestOpened {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Kind of the request.
    pub kind: HitlKind,
    /// Sentence that a person is asked.
    pub question: String,
    /// Suggested answers.
    pub options: Vec<String>,
    /// Artifacts under review.
    pub subject: Subject,
    /// Step of the workflow.
    pub step: Option<String>,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
    /// Time at which it expires.
    pub expires_at: Timestamp,
    /// Request that asked the same before the project was halted and reopened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_request_id: Option<HitlRequestId>,
    /// Usage of the attempt that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// The subject of a pending request changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubjectChanged {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Sentence that a person is asked.
    pub question: String,
    /// Artifacts under review from now on.
    pub subject: Subject,
    /// Time at which the request expires.
    pub expires_at: Timestamp,
    /// Always true: distinguishes this payload from that of a new request.
    pub updated: bool,
}

/// A request was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlResponse {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Kind of the request.
    pub kind: HitlKind,
    /// The answer.
    pub action: HitlAction,
    /// New status of the request.
    pub status: HitlStatus,
    /// Text of the answer.
    pub user_response: Option<String>,
    /// Comment on the answer.
    pub response_comment: Option<String>,
    /// Document that replaces the subject.
    pub amended_content: Option<Value>,
    /// Whether the workflow continues because of the answer.
    pub workflow_resumed: bool,
    /// Agent type whose work it was about.
    pub agent_type: Option<AgentType>,
    /// Step of the workflow.
    pub step: Option<String>,
    /// Digest of the artifacts that were reviewed.
    pub subject_digest: String,
}

/// A request was not answered in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlTimeout {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// New status of the request.
    pub status: HitlStatus,
    /// Rule that was applied.
    pub on_expiry: OnExpiry,
    /// Time at which it expired.
    pub expired_at: Timestamp,
    /// Time at which it expires next.
    pub expires_at: Timestamp,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
    /// Reason in a few words.
    pub comment: String,
}

/// A request was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlCancelled {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// New status of the request.
    pub status: HitlStatus,
    /// Reason in a few words.
    pub reason: String,
    /// Agent type whose work it was about.
    pub agent_type: Option<AgentType>,
}
