//! A human-in-the-loop request: a question to people, its subject and its outcome.

mod asked;
mod delegation;
mod delegation_check;
mod link;
mod policy;
mod roster;
mod schedule;
mod statistics;
mod vote;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::actor::Actor;
use crate::artifact::{Artifact, ArtifactRef, digest};
use crate::budget::BudgetQuestion;
use crate::error::DomainError;
use crate::ids::{ContextId, CredentialId, EventId, HitlRequestId, PrincipalId, ProjectId, TaskId};
use crate::text::non_blank;
use crate::timestamp::Timestamp;
use crate::vocabulary::{
    AgentType, ArtifactType, HitlAction, HitlKind, HitlOutcome, HitlStatus, OnExpiry, Verdict,
};

pub use asked::{Asked, PendingFilter, PendingQuery};
pub use delegation::Delegation;
pub use delegation_check::check_delegation;
pub use link::{AnswerLink, AnswerLinkText, MAX_LINKS_OF_PERSON, MalformedLink, NewAnswerLink};
pub use policy::{Escalation, GateSettings, PinnedPolicy, Policy, Selector, Veto};
pub(crate) use roster::MAX_HOPS;
pub use roster::{Person, Roster, is_user};
pub use schedule::Schedule;
pub(crate) use schedule::after_s;
pub use statistics::{
    Counted, HitlLine, HitlSample, HitlStatistics, OldestRequest, PolicyFigures, SampleWindow,
};
pub use vote::{Needs, Standing, Vote};

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
    /// Policy by which it is decided; one approval of anyone who may answer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<PinnedPolicy>>,
    /// Task that is about to begin, when its step is reviewed before it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlannedAction>,
    /// JSON Schema (draft 2020-12) of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_schema: Option<Map<String, Value>>,
    /// Number of times that the step was reviewed because of asked changes, this time included.
    #[serde(default = "first_round", skip_serializing_if = "is_first_round")]
    pub round: u32,
    /// People who are asked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<Selector>,
    /// People who may answer since an escalation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalated_to: Vec<Selector>,
    /// People who answer in the place of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<Delegate>,
    /// Votes on the present subject, one of each person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
    /// Person who has reserved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<GateClaim>,
    /// Discussion, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<GateComment>,
    /// Links with which people answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<AnswerLink>,
    /// Whether the people who may still approve cannot fill the seats of its policy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsatisfiable: bool,
    /// Reminders, escalations and pauses.
    #[serde(default, skip_serializing_if = "Schedule::is_initial")]
    pub schedule: Schedule,
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

const fn first_round() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_first_round(round: &u32) -> bool {
    *round == 1
}

/// Task that is about to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAction {
    /// Agent type that would execute it.
    pub agent: AgentType,
    /// Work to be done.
    pub instructions: String,
    /// Type of the artifact that it would make.
    pub output: ArtifactType,
    /// Artifacts with the words of people that it is shown beside its inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<ContextId>,
}

/// Person who answers in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegate {
    /// Person in whose place the other answers.
    pub of: Actor,
    /// Person who answers.
    pub to: Actor,
    /// Time from which it applies.
    pub at: Timestamp,
}

/// Reservation of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateClaim {
    /// Person who has reserved it.
    pub by: Actor,
    /// Time at which the reservation ends.
    pub until: Timestamp,
}

/// Remark in the discussion of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateComment {
    /// Log entry that recorded it, which is its id.
    pub id: EventId,
    /// Author.
    pub by: Actor,
    /// Time.
    pub at: Timestamp,
    /// Text.
    pub text: String,
    /// Remark that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EventId>,
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
    /// Id of the principal that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// Log entry that recorded the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EventId>,
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
    /// Answer in the form that the request asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
}

/// One action on a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Time of the action.
    pub timestamp: Timestamp,
    /// `created`, `approve`, `reject`, `amend`, `withdraw`, `expire`, `extend`, `subject_changed`,
    /// `reopen` or `cancel`.
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
    /// SHA-256, in lower-case hexadecimal, of the canonical JSON of everything that is decided about:
    /// the artifacts, the question, the planned action, and the policy. An answer may carry the digest
    /// that its author saw; it is refused if the digest has changed since.
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
    /// Returns the subject that consists of these artifacts. Its request completes the digest.
    #[must_use]
    pub fn of<'a>(artifacts: impl IntoIterator<Item = &'a ArtifactRef>) -> Self {
        let artifacts = artifacts.into_iter().map(|artifact| SubjectArtifact {
            context_id: artifact.id,
            artifact_type: artifact.artifact_type,
            digest: artifact.digest.clone(),
        });
        Self::of_artifacts(artifacts.collect())
    }

    /// Returns the subject that consists of these artifacts. Its request completes the digest.
    #[must_use]
    pub fn of_artifacts(artifacts: Vec<SubjectArtifact>) -> Self {
        let mut hasher = Sha256::new();
        for artifact in &artifacts {
            hasher.update(artifact.context_id.bytes());
            hasher.update(artifact.digest.as_bytes());
        }
        Self { artifacts, digest: crate::artifact::hex(&hasher.finalize()) }
    }
}

/// Everything that a digest of a subject covers, in the form in which it is hashed.
#[derive(Serialize)]
struct SealedSubject<'a> {
    v: u8,
    kind: HitlKind,
    project_id: ProjectId,
    step: Option<&'a str>,
    round: u32,
    action: Option<&'a PlannedAction>,
    artifacts: &'a [SubjectArtifact],
    question: &'a str,
    response_schema: Option<&'a Map<String, Value>>,
    policy: &'a str,
}

impl HitlRequest {
    /// Returns a request that waits for an answer, with no more than it needs.
    #[must_use]
    pub fn new(
        (id, project_id): (HitlRequestId, ProjectId),
        kind: HitlKind,
        question: String,
        subject: Subject,
        (created_at, ttl_s): (Timestamp, u32),
    ) -> Self {
        Self {
            id,
            project_id,
            task_id: None,
            step: None,
            agent: None,
            kind,
            question,
            options: Vec::new(),
            subject,
            replaces: None,
            previous_request_id: None,
            budget: None,
            policy: None,
            planned: None,
            response_schema: None,
            round: 1,
            assignees: Vec::new(),
            escalated_to: Vec::new(),
            delegates: Vec::new(),
            votes: Vec::new(),
            claim: None,
            comments: Vec::new(),
            links: Vec::new(),
            unsatisfiable: false,
            schedule: Schedule::default(),
            state: HitlState::Pending,
            history: Vec::new(),
            on_expiry: OnExpiry::KeepWaiting,
            ttl_s,
            expires_at: after_s(created_at, ttl_s),
            created_at,
            updated_at: created_at,
        }
    }

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

    /// Returns the policy by which it is decided.
    #[must_use]
    pub fn pinned_policy(&self) -> &Arc<PinnedPolicy> {
        self.policy.as_ref().unwrap_or_else(|| PinnedPolicy::implicit())
    }

    /// Computes the digest of the subject from all that is decided about.
    pub(crate) fn seal(&mut self) {
        let policy = self.pinned_policy();
        self.subject.digest = digest(&SealedSubject {
            v: 2,
            kind: self.kind,
            project_id: self.project_id,
            step: self.step.as_deref(),
            round: self.round,
            action: self.planned.as_ref(),
            artifacts: &self.subject.artifacts,
            question: &self.question,
            response_schema: self.response_schema.as_ref(),
            policy: &policy.digest,
        });
    }

    /// Returns the outcome; `None` while it is pending.
    #[must_use]
    pub const fn outcome(&self) -> Option<HitlOutcome> {
        Some(match &self.state {
            HitlState::Pending => return None,
            HitlState::Approved(_) => HitlOutcome::Approved,
            HitlState::Rejected(_) => HitlOutcome::Rejected,
            HitlState::Amended(reply) if reply.amended_content.is_none() => {
                HitlOutcome::ChangesRequested
            }
            HitlState::Amended(_) => HitlOutcome::Amended,
            HitlState::Expired { .. } => HitlOutcome::Expired,
            HitlState::Cancelled { .. } => HitlOutcome::Cancelled,
        })
    }

    /// Returns the groups of those whose approvals count.
    fn approving(&self) -> Vec<&BTreeSet<String>> {
        let approvals = self.votes.iter().filter(|vote| vote.action == HitlAction::Approve);
        approvals.map(|vote| &vote.groups).collect()
    }

    /// Returns the approvals that are missing.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.pinned_policy().policy.needs(&self.approving())
    }

    /// Returns the log entry that recorded this very answer of this person before, as a vote or as the
    /// decision. A response that names no digest is about the subject as it was decided on.
    #[must_use]
    pub fn recorded(&self, by: &Actor, response: &Response) -> Option<Recorded> {
        let (content, comment) = (response.content(), response.comment());
        let is_seen =
            response.subject_digest.as_ref().is_none_or(|seen| *seen == self.subject.digest);
        let is_same = |stored: (&Option<String>, &Option<String>)| {
            is_seen && stored.0.as_deref() == content && stored.1.as_deref() == comment
        };
        let decided = match &self.state {
            HitlState::Approved(reply) => Some((HitlAction::Approve, reply)),
            HitlState::Rejected(reply) => Some((HitlAction::Reject, reply)),
            HitlState::Amended(reply) => Some((HitlAction::Amend, reply)),
            _ => None,
        };
        if let Some((action, reply)) = decided {
            let document =
                response.amended_content.as_ref().filter(|_| action == HitlAction::Amend);
            let is_decision = action == response.action
                && reply.is_by(by)
                && is_same((&reply.content, &reply.comment))
                && reply.amended_content.as_ref().and_then(Value::as_object) == document
                && reply.response == response.response;
            if is_decision {
                return Some(Recorded::Decision(reply.entry));
            }
        }
        let is_vote = |vote: &&Vote| {
            // An answer in a form of its own is never a mere vote.
            vote.voter.is_same(by)
                && vote.action == response.action
                && response.response.is_none()
                && response.amended_content.is_none()
                && is_same((&vote.content, &vote.comment))
        };
        self.votes.iter().find(is_vote).map(|vote| Recorded::Vote(vote.entry))
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

impl Reply {
    /// Returns the reply of this party that says nothing else.
    #[must_use]
    pub fn new(by: &str, at: Timestamp) -> Self {
        Self {
            by: by.to_owned(),
            principal: None,
            entry: None,
            at,
            content: None,
            comment: None,
            amended_content: None,
            response: None,
        }
    }

    /// Returns whether this party decided.
    #[must_use]
    pub fn is_by(&self, actor: &Actor) -> bool {
        Actor { name: self.by.clone(), principal: self.principal }.is_same(actor)
    }
}

/// Log entry of an answer that was recorded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It decided the request. An old row does not name the entry.
    Decision(Option<EventId>),
    /// It is one of several votes.
    Vote(EventId),
}

impl Response {
    /// Returns the response with this action and nothing else.
    #[must_use]
    pub const fn new(action: HitlAction) -> Self {
        Self {
            action,
            content: None,
            comment: None,
            amended_content: None,
            subject_digest: None,
            response: None,
            in_bulk: false,
            link: None,
        }
    }

    /// Returns the answer to the question, if it is not blank.
    #[must_use]
    pub fn content(&self) -> Option<&str> {
        self.content.as_deref().and_then(non_blank)
    }

    /// Returns the remark, if it is not blank.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref().and_then(non_blank)
    }

    /// Returns the answer as policies tell answers apart.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self.action {
            HitlAction::Approve => Verdict::Approve,
            HitlAction::Reject => Verdict::Reject,
            HitlAction::Amend if self.amended_content.is_some() => Verdict::Amend,
            HitlAction::Amend => Verdict::RequestChanges,
        }
    }
}

/// Longest time by which a request is extended at once, in seconds: 30 days.
pub const MAX_EXTENSION_S: u32 = 30 * 86_400;

/// Largest number of people, groups and roles that are asked first.
pub const MAX_ASSIGNEES: usize = 20;

/// Request for a question to people, raised by hand.
#[derive(Debug, Clone, PartialEq)]
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
    /// Name of a policy of the project's workflow.
    pub policy: Option<String>,
    /// People who are asked first.
    pub assignees: Vec<Selector>,
    /// JSON Schema of the answer.
    pub response_schema: Option<Map<String, Value>>,
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
    /// Digest of the subject that the author of the response saw.
    pub subject_digest: Option<String>,
    /// Answer in the form that the request asks for.
    pub response: Option<Value>,
    /// Whether several requests are answered together.
    pub in_bulk: bool,
    /// Link with which the answer is given.
    pub link: Option<CredentialId>,
}

/// Something that a person does with a request beside answering it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateAct {
    /// Takes the own vote back.
    Withdraw,
    /// Reserves it.
    Claim,
    /// Gives the reservation up.
    Unclaim,
    /// Asks another person to answer in the own place.
    Delegate {
        /// Name or id of the person.
        to: String,
        /// Comment for that person.
        comment: Option<String>,
    },
    /// Extends the time in which people may answer.
    Extend {
        /// Time that is added, in seconds.
        by_s: u32,
        /// Reason.
        comment: Option<String>,
    },
    /// Starts the next escalation.
    Escalate,
    /// Reminds those who have not answered.
    Remind,
    /// Adds a remark to the discussion.
    Comment {
        /// Text.
        text: String,
        /// Remark that it answers.
        reply_to: Option<EventId>,
    },
    /// Revokes a link.
    RevokeLink(CredentialId),
}

/// Request for a link, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Name or id of the person who answers with it; the caller when absent.
    pub person: Option<String>,
    /// Answers that can be given.
    pub actions: Vec<HitlAction>,
    /// Time for which it can be used, in seconds; until the request expires when absent.
    pub ttl_s: Option<u32>,
}

/// A link that was just made.
#[derive(Debug, Clone)]
pub struct IssuedLink {
    /// The link, without its secret.
    pub link: AnswerLink,
    /// Token of its address.
    pub text: AnswerLinkText,
}

/// Request that a link is to.
#[derive(Debug, Clone)]
pub struct LinkedRequest {
    /// The request.
    pub request: Arc<HitlRequest>,
    /// Artifacts under review, if the link can still be used.
    pub artifacts: Vec<Arc<Artifact>>,
    /// The link.
    pub link: AnswerLink,
    /// Reason for which it cannot be used any more.
    pub refusal: Option<DomainError>,
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
    /// Log entry that records the response; `None` for one of an older version.
    pub entry: Option<EventId>,
    /// Approvals that were missing after the response.
    pub needs: Needs,
    /// Whether it decided the request.
    pub is_decided: bool,
    /// Whether the workflow continues because of the response.
    pub workflow_resumed: bool,
    /// Whether the response halted the project.
    pub project_halted: bool,
    /// Whether the same answer had been recorded before, so that nothing was changed.
    pub replayed: bool,
}
