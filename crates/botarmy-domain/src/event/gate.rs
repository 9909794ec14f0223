//! Payloads of events about human-in-the-loop requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::hitl::{
    AnswerLink, Delegate, Needs, PinnedPolicy, PlannedAction, Replacement, Selector, Subject,
};
use crate::ids::{CredentialId, EventId, HitlRequestId};
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::{
    AgentType, Authentication, HitlAction, HitlKind, HitlOutcome, HitlStatus, OnExpiry, Via,
};

/// A request was opened, or its subject changed while it was pending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "one is in memory at a time")]
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
    /// Policy by which it is decided; one approval of anyone who may answer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<PinnedPolicy>>,
    /// Task that is about to begin, if its step is reviewed before it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlannedAction>,
    /// JSON Schema of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_schema: Option<Map<String, Value>>,
    /// Set if the subject would replace an approved artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replacement>,
    /// Number of the review after asked changes, from the second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Whether its times stand still, because the project is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_stopped: bool,
    /// People who are asked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<Selector>,
    /// People who answer in the place of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<Delegate>,
}

/// The subject of a pending request changed, as versions before `hitl_subject_changed` recorded it.
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
    /// Digest of the subject that was reviewed.
    pub subject_digest: String,
    /// Outcome of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<HitlOutcome>,
    /// Digest of the policy that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<String>,
    /// Proof of the identity of the person who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Authentication>,
    /// Way by which the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Groups of the person whose place it is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// Person in whose place it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Actor>,
    /// Link with which it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<CredentialId>,
    /// Answer in the form that the request asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// Digests of the document under review and of the one that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<ReplacedDocument>,
    /// Time from the request to the decision, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_after_s: Option<u64>,
}

/// Document under review and the one that replaces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplacedDocument {
    /// Digest of the document under review; `None` if there was none.
    pub from: Option<String>,
    /// Digest of the document that replaces it.
    pub to: String,
}

/// A person approved or rejected, and more answers are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlVoteCast {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Approval or rejection.
    pub action: HitlAction,
    /// Status of the request.
    pub status: HitlStatus,
    /// Text of the answer.
    pub user_response: Option<String>,
    /// Comment on the answer.
    pub response_comment: Option<String>,
    /// Digest of the subject that was reviewed.
    pub subject_digest: String,
    /// Digest of the policy under which it counts.
    pub policy_digest: String,
    /// Proof of the identity of the person.
    pub auth: Authentication,
    /// Way by which the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Groups of the person whose place it is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// Person in whose place the answer was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Actor>,
    /// Link with which the answer was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<CredentialId>,
    /// Approvals that are missing after it.
    pub needs: Needs,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
    /// Step of the workflow.
    pub step: Option<String>,
}

/// A person took an approval or a rejection back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlVoteWithdrawn {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Answer that was taken back.
    pub action: HitlAction,
    /// Approvals that are missing after it.
    pub needs: Needs,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

/// The subject of a pending request changed; all votes on the one before are void.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlSubjectChanged {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Sentence that a person is asked.
    pub question: String,
    /// Subject from now on.
    pub subject: Subject,
    /// Digest of the subject before.
    pub previous_digest: String,
    /// Number of votes that are void.
    pub voided: u32,
    /// Time at which the request expires.
    pub expires_at: Timestamp,
    /// Set if the subject would replace an approved artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replacement>,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
    /// Link with which the subject was amended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<CredentialId>,
}

/// A person reserved a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlClaimed {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Time at which the reservation ends.
    pub until: Timestamp,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

/// The reservation of a request was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlUnclaimed {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Person who had reserved it.
    pub claimed_by: Actor,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

/// A person asked another to answer in their place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlDelegated {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Person in whose place the other answers.
    pub of: Actor,
    /// Person who answers.
    pub to: Actor,
    /// Comment for that person.
    pub comment: Option<String>,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

/// A remark was added to the discussion of a request. The id of the entry is that of the remark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlCommented {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Text.
    pub text: String,
    /// Remark that it answers.
    pub reply_to: Option<EventId>,
}

/// A request still waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlReminded {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Sentence that a person is asked.
    pub question: String,
    /// Number of reminders that were due before and are left out.
    pub skipped: u32,
    /// Whether a person asked for the reminder.
    pub by_hand: bool,
    /// Approvals that are missing.
    pub needs: Needs,
    /// Time at which the request expires.
    pub expires_at: Timestamp,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

/// More people may answer a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlEscalated {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Sentence that a person is asked.
    pub question: String,
    /// Number of the escalation, from 1.
    pub level: u32,
    /// People who may answer from now on.
    pub to: Vec<Selector>,
    /// People who answer in the place of those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<Delegate>,
    /// Whether a person asked for it.
    pub by_hand: bool,
    /// Whether the people who may still approve cannot fill the seats of the policy.
    pub unsatisfiable: bool,
    /// Time at which the request expires.
    pub expires_at: Timestamp,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

/// A person extended the time of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlExtended {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Time that was added, in seconds.
    pub by_s: u32,
    /// Time at which the request expires.
    pub expires_at: Timestamp,
    /// Reason.
    pub comment: Option<String>,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

const fn yes() -> bool {
    true
}

/// The people who may still approve a request cannot fill the seats of its policy, or can again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlUnsatisfiable {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Whether they cannot.
    #[serde(default = "yes")]
    pub unsatisfiable: bool,
    /// Approvals that are missing.
    pub needs: Needs,
    /// Agent type whose work it is about.
    pub agent_type: Option<AgentType>,
}

/// A link was made with which a person answers a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlLinkIssued {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// The link, without its secret.
    pub link: AnswerLink,
}

/// A link was revoked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitlLinkRevoked {
    /// Id of the request.
    pub hitl_request_id: HitlRequestId,
    /// Id of the link.
    pub link_id: CredentialId,
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
