//! Typed payloads of log entries: one struct for each event. Their JSON is what an entry stores, so
//! a field is never renamed and never changes its meaning.

mod access;
mod agent;
mod artifact;
mod budget;
mod emergency;
mod gate;
mod note;
mod project;
mod task;
mod webhook;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use access::{
    AccessDenied, DelegationChanged, GrantChanged, KeyCreated, KeyRevoked, KeyRotated,
    PrincipalCreated, SessionEnded, SessionStarted, SignInLinkCreated,
};
pub use agent::AgentStatusChanged;
pub use artifact::{ArtifactCreated, ArtifactsDeleted, ArtifactsGenerated};
pub use budget::{BudgetChanged, BudgetExhausted, BudgetReserved};
pub use emergency::{EmergencyReleased, EmergencyStopped};
pub use gate::{
    HitlCancelled, HitlClaimed, HitlCommented, HitlDelegated, HitlEscalated, HitlExtended,
    HitlLinkIssued, HitlLinkRevoked, HitlReminded, HitlRequestCreated, HitlResponse,
    HitlSubjectChanged, HitlTimeout, HitlUnclaimed, HitlUnsatisfiable, HitlVoteCast,
    HitlVoteWithdrawn, ReplacedDocument, RequestOpened, SubjectChanged,
};
pub use note::Note;
pub use project::{
    ProjectCancelled, ProjectCompleted, ProjectCreated, ProjectHalted, ProjectPaused,
    ProjectReopened, ProjectResumed, ProjectStarted,
};
pub use task::{
    HandoffCreated, TaskCancelled, TaskCompleted, TaskCreated, TaskFailed, TaskLeaseExpired,
    TaskResultRefused, TaskRetryScheduled, TaskStarted,
};
pub use webhook::{WebhookChanged, WebhookCreated, WebhookDeleted, WebhookDisabled, WebhookState};

use crate::agent::AgentRecord;
use crate::log::Entry;
use crate::vocabulary::{AgentType, EventType};

/// The payload of an entry does not have the form of its event type.
#[derive(Debug, thiserror::Error)]
#[error("the payload of a {event_type} entry cannot be read")]
pub struct PayloadError {
    /// Type of the entry.
    pub event_type: EventType,
    /// The reason, with the field that is missing or malformed.
    #[source]
    pub source: serde_json::Error,
}

/// Declares the enum of all payloads from one list: its variants are named like those of
/// [`EventType`], so no event is without a payload.
macro_rules! payloads {
    ($($event:ident($payload:ty),)*) => {
        /// Payload of a log entry, by event type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum EventPayload {
            $(
                #[doc = concat!("Payload of [`EventType::", stringify!($event), "`].")]
                $event($payload),
            )*
        }

        impl EventPayload {
            /// Returns the type of the event.
            #[must_use]
            pub const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$event(_) => EventType::$event,)*
                }
            }

            /// Returns the JSON object that an entry stores.
            #[must_use]
            pub fn to_data(&self) -> Map<String, Value> {
                match self {
                    $(Self::$event(payload) => object(payload),)*
                }
            }

            /// Reads the payload of an entry.
            ///
            /// # Errors
            /// [`PayloadError`] if the payload does not have the form of its event type.
            pub fn of(entry: &Entry) -> Result<Self, PayloadError> {
                let event_type = entry.event_type;
                let data = &entry.event_data;
                match event_type {
                    $(EventType::$event => Deserialize::deserialize(data).map(Self::$event),)*
                }
                .map_err(|source| PayloadError { event_type, source })
            }
        }
    };
}

payloads! {
    ProjectCreated(ProjectCreated),
    ProjectStarted(ProjectStarted),
    ProjectPaused(ProjectPaused),
    ProjectResumed(ProjectResumed),
    ProjectCompleted(ProjectCompleted),
    ProjectHalted(ProjectHalted),
    ProjectFailed(Note),
    ProjectCancelled(ProjectCancelled),
    TaskCreated(TaskCreated),
    TaskStarted(TaskStarted),
    TaskCompleted(TaskCompleted),
    TaskFailed(TaskFailed),
    TaskCancelled(TaskCancelled),
    TaskRetryScheduled(TaskRetryScheduled),
    TaskLeaseExpired(TaskLeaseExpired),
    HitlRequestCreated(HitlRequestCreated),
    HitlResponse(HitlResponse),
    HitlTimeout(HitlTimeout),
    HitlCancelled(HitlCancelled),
    AgentStatusChanged(AgentStatusChanged),
    AgentError(Note),
    ArtifactCreated(ArtifactCreated),
    ArtifactsGenerated(ArtifactsGenerated),
    ArtifactsDeleted(ArtifactsDeleted),
    HandoffCreated(HandoffCreated),
    SystemError(Note),
    SystemWarning(Note),
    WebhookReceived(Note),
    BudgetReserved(BudgetReserved),
    BudgetExhausted(BudgetExhausted),
    BudgetChanged(BudgetChanged),
    EmergencyStopped(EmergencyStopped),
    EmergencyReleased(EmergencyReleased),
    ProjectReopened(ProjectReopened),
    TaskResultRefused(TaskResultRefused),
    PrincipalCreated(PrincipalCreated),
    GrantChanged(GrantChanged),
    KeyCreated(KeyCreated),
    KeyRotated(KeyRotated),
    KeyRevoked(KeyRevoked),
    SessionStarted(SessionStarted),
    SessionEnded(SessionEnded),
    AccessDenied(AccessDenied),
    SignInLinkCreated(SignInLinkCreated),
    WebhookCreated(WebhookCreated),
    WebhookChanged(WebhookChanged),
    WebhookDisabled(WebhookDisabled),
    WebhookDeleted(WebhookDeleted),
    HitlVoteCast(HitlVoteCast),
    HitlVoteWithdrawn(HitlVoteWithdrawn),
    HitlSubjectChanged(HitlSubjectChanged),
    HitlClaimed(HitlClaimed),
    HitlUnclaimed(HitlUnclaimed),
    HitlDelegated(HitlDelegated),
    HitlCommented(HitlCommented),
    HitlReminded(HitlReminded),
    HitlEscalated(HitlEscalated),
    HitlExtended(HitlExtended),
    HitlUnsatisfiable(HitlUnsatisfiable),
    HitlLinkIssued(HitlLinkIssued),
    HitlLinkRevoked(HitlLinkRevoked),
    DelegationChanged(DelegationChanged),
}

fn object(payload: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(payload) {
        Ok(Value::Object(data)) => data,
        _ => unreachable!("a payload is a struct with text keys, which is a JSON object"),
    }
}

/// Returns the agent type that an entry concerns. Does not parse the whole payload, because every
/// committed entry passes through here.
#[must_use]
pub fn agent_type_of(entry: &Entry) -> Option<AgentType> {
    let data = &entry.event_data;
    let agent = data.get("agent_type").or_else(|| data.get("source_agent"));
    let agent = agent.or_else(|| data.get("handoff")?.get("to"));
    agent?.as_str()?.parse().ok()
}

/// Returns the status record that an entry stores, for readers that have only the log.
#[must_use]
pub fn agent_record_of(entry: &Entry) -> Option<AgentRecord> {
    if entry.event_type != EventType::AgentStatusChanged {
        return None;
    }
    AgentStatusChanged::deserialize(&entry.event_data).ok().map(|changed| changed.0)
}

/// Returns the agent type whose status an entry may have changed.
#[must_use]
pub fn stale_agent_of(entry: &Entry) -> Option<AgentType> {
    let changed = entry.event_type == EventType::AgentStatusChanged;
    let agent = entry.event_data.get("agent_type").filter(|_| !changed);
    agent?.as_str()?.parse().ok()
}
