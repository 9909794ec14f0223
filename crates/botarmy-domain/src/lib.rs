//! The domain of BotArmy: its vocabulary, state machines, workflow rules and ports. Pure: no IO, no
//! clock, no randomness. Time, entropy and the caller arrive as a [`DecisionContext`], state
//! arrives as a [`Snapshot`], and a [`Decision`] is returned.
//!
//! Every use case follows *decide, commit, publish*: a function in [`decide`] takes a snapshot and
//! returns either changes or an error; a [`ports::Ledger`] commits the changes with their log
//! entries in one transaction; the caller then publishes the entries.

pub mod access;
pub mod actor;
pub mod agent;
pub mod artifact;
pub mod assignment;
mod base62;
pub mod batch;
pub mod budget;
pub mod bus_message;
pub mod caller;
mod canonical;
pub mod change;
pub mod claim;
pub mod decide;
pub mod decision_context;
pub mod emergency;
pub mod error;
pub mod event;
pub mod handoff;
mod hash;
pub mod health;
pub mod hitl;
pub mod id_generator;
pub mod idempotency;
pub mod ids;
pub mod json;
pub mod lease;
pub mod lease_token;
pub mod limits;
pub mod log;
pub mod outcome;
pub mod package;
pub mod page;
pub mod ports;
pub mod project;
pub mod rebuilt;
pub mod record;
pub mod records;
pub mod replay;
pub mod scope;
pub mod secret;
pub mod seen;
pub mod source_code;
pub mod task;
pub mod text;
pub mod timestamp;
pub mod trace;
pub mod usage;
pub mod vocabulary;
pub mod webhook;
pub mod worker;
pub mod worker_document;
pub mod workflow;

pub use access::{
    AccessVersion, ApiKey, ApiKeyText, Browser, FormToken, Grant, GrantTarget, KeyDigest,
    KeySecret, ObjectId, OpenIdIdentity, OpenIdSubject, PersonSessions, PreviewToken, Principal,
    Reach, Rights, Session, SessionText, Sight, SignInLink, SignInLinkText, Ticket, TicketText,
};
pub use actor::Actor;
pub use agent::{AgentFacts, AgentRecord, PastStatus};
pub use artifact::{Artifact, ArtifactFilter, ArtifactRef, NewArtifact};
pub use assignment::{Assignment, Resume, RunContext};
pub use budget::{Amount, BudgetAccount, BudgetKey, Day, Limit};
pub use bus_message::{BusMessage, TaskProgress};
pub use caller::{Caller, Place};
pub use change::{Change, Committed, Decision, Row};
pub use claim::{Claim, ExternalLease};
pub use decision_context::{DecisionContext, Defaults};
pub use emergency::{Stop, StopScope, Stopped};
pub use error::{DomainError, Error, InvalidPart, StoreError, error_chain};
pub use event::{EventPayload, PayloadError};
pub use handoff::Handoff;
pub use health::{Health, Probe};
pub use hitl::{
    HitlRequest, HitlSample, HitlState, HitlStatistics, NewRequest, OpenRequests, Reply, Responded,
    Response, Subject,
};
pub use id_generator::IdGenerator;
pub use idempotency::{CallKey, CallReply, KeptReply, KeyedCall, RequestDigest};
pub use ids::{
    ContextId, CredentialId, DeliveryId, EventId, HitlRequestId, PrincipalId, ProjectId, TaskId,
    WebhookId,
};
pub use lease::{Lease, LeaseHolder, LeaseTaker, WorkerId};
pub use lease_token::{LeaseSecret, LeaseToken, TokenDigest};
pub use log::{Entry, EntryFilter, Head, LogId, LogSpan, Origin, Proof};
pub use outcome::{Outcome, Question, RunError};
pub use package::Package;
pub use page::Page;
pub use ports::OpenSpan;
pub use project::{Activity, Completion, Counts, NewProject, Plan, Project, ProjectState};
pub use rebuilt::Rebuilt;
pub use record::{ColumnKind, ColumnValue, Record, RecordTable};
pub use records::{Listed, RecordKey, RecordKind, RecordValue};
pub use scope::{Scope, Snapshot};
pub use secret::Secret;
pub use seen::Seen;
pub use source_code::{SourceCode, SourceFile};
pub use task::{
    NewTask, ReadyTasks, Task, TaskFilter, TaskLine, TaskState, TaskStatusList, Workload,
};
pub use timestamp::Timestamp;
pub use trace::{Span, SpanKind, SpanValue, TraceContext};
pub use usage::Usage;
pub use vocabulary::{
    ActivityState, AddressClass, AgentStatusKind, AgentType, ArtifactType, Authentication,
    DeliveryKind, DueKind, EventSource, EventType, Exclusion, HitlAction, HitlKind, HitlOutcome,
    HitlStatus, OnExpiry, Oversight, Permission, PrincipalKind, ProjectStatus, Role, SessionEnd,
    StepStatus, TaskStatus, Verdict, Via, WebhookStop,
};
pub use webhook::{
    Cursor, Delivery, DeliveryProgress, NewWebhook, SendResult, Undelivered, Webhook,
    WebhookChange, WebhookFilter, WebhookKeys, WebhookLease, WebhookSecretText,
};
pub use worker::{HeartbeatReply, HeldLease, Leased, PresentedLease, WorkQuery};
pub use worker_document::WorkerDocument;
pub use workflow::{Progress, Step, Workflow};
