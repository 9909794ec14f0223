//! The closed vocabularies that clients see: one enum for each, with one spelling for each word.

use serde::{Deserialize, Serialize};

/// Text that is not a word of the expected vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not one of: {expected}")]
pub struct UnknownWord {
    /// Text that was found.
    pub found: String,
    /// Words of the vocabulary, separated by commas.
    pub expected: String,
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] $(#[$vmeta])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// All words, in the order of the vocabulary.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the spelling that clients and stores use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word).ok_or_else(|| UnknownWord {
                    found: word.chars().take(64).collect(),
                    expected: Self::ALL.iter().map(|w| w.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    )+};
}

words! {
    /// Role of an agent.
    AgentType {
        Orchestrator = "orchestrator",
        Analyst = "analyst",
        Architect = "architect",
        Coder = "coder",
        Tester = "tester",
        Deployer = "deployer",
    }

    /// Status of an agent type, derived from leases and gates.
    AgentStatusKind {
        Idle = "idle",
        Working = "working",
        WaitingForHitl = "waiting_for_hitl",
        Error = "error",
    }

    /// Status of a task.
    TaskStatus {
        Pending = "pending",
        Working = "working",
        WaitingForHitl = "waiting_for_hitl",
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
    }

    /// Status of a project.
    ProjectStatus {
        Active = "active",
        Paused = "paused",
        Completed = "completed",
        Halted = "halted",
        Failed = "failed",
        Cancelled = "cancelled",
    }

    /// State of the work on a project.
    ActivityState {
        /// A task is running, or is about to be taken by a runner or worker.
        Working = "working",
        /// Nothing goes on until a person answers a request.
        WaitingForPerson = "waiting_for_person",
        /// A task waits for an agent type that no runner or worker serves.
        WaitingForWorker = "waiting_for_worker",
        /// There is nothing to do: the project is driven by hand, paused, or over.
        Idle = "idle",
    }

    /// Status of a human-in-the-loop request.
    HitlStatus {
        Pending = "pending",
        Approved = "approved",
        Rejected = "rejected",
        Amended = "amended",
        Expired = "expired",
        Cancelled = "cancelled",
    }

    /// Decision of a person on a request.
    HitlAction {
        Approve = "approve",
        Reject = "reject",
        Amend = "amend",
    }

    /// Cause of a human-in-the-loop request.
    HitlKind {
        /// The result of a step is under review.
        Approval = "approval",
        /// An agent or a person asks a question.
        Question = "question",
        /// An attempt failed and a person decides how to continue.
        Failure = "failure",
    }

    /// Outcome of a human-in-the-loop request, more specific than its status.
    HitlOutcome {
        Approved = "approved",
        Rejected = "rejected",
        /// The work is to be done again, with the words of a person.
        ChangesRequested = "changes_requested",
        /// A person replaced the document.
        Amended = "amended",
        Expired = "expired",
        Cancelled = "cancelled",
    }

    /// Answer to a human-in-the-loop request, as policies tell answers apart.
    Verdict {
        Approve = "approve",
        Reject = "reject",
        /// An amendment with words: the work is done again.
        RequestChanges = "request_changes",
        /// An amendment with a document.
        Amend = "amend",
    }

    /// Time of a review.
    ReviewTime {
        /// After the step: its result is reviewed.
        After = "after",
        /// Before the step: its inputs and what it is about to do are reviewed.
        Before = "before",
    }

    /// Whether something has to be stated.
    Need {
        Required = "required",
        Optional = "optional",
    }

    /// Strength of the authentication that an answer needs.
    AnswerAuth {
        /// Any, also an API key.
        Any = "any",
        /// One with which a person is present: a session, a provider, or a link.
        Interactive = "interactive",
    }

    /// Thing that becomes due on a pending request.
    DueKind {
        Reminder = "reminder",
        Escalation = "escalation",
        Expiry = "expiry",
    }

    /// Consequence of a request that expires without an answer.
    OnExpiry {
        Reject = "reject",
        KeepWaiting = "keep_waiting",
        Approve = "approve",
    }

    /// Permission to do or to see something.
    Permission {
        /// To see a project and everything in it.
        ProjectRead = "project.read",
        /// To create projects.
        ProjectCreate = "project.create",
        /// To run a project: start, pause, cancel, submit tasks, store artifacts, raise requests.
        ProjectRun = "project.run",
        /// To answer requests to people.
        GateAnswer = "gate.answer",
        /// To manage a project: force its completion, set its budget, delete its package.
        ProjectManage = "project.manage",
        /// To stop work at once.
        StopSet = "stop.set",
        /// To release stopped work.
        StopRelease = "stop.release",
        /// To see the status of the agent types.
        AgentsRead = "agents.read",
        /// To reset agent types.
        AgentsReset = "agents.reset",
        /// To delete old packages of all projects.
        PackagesClean = "packages.clean",
        /// To see detailed health, metrics and the system log.
        SystemRead = "system.read",
        /// To lease tasks and return their results.
        WorkDo = "work.do",
        /// To manage principals, grants and keys.
        AccessManage = "access.manage",
        /// To do what a server does by itself. No role has it.
        ServerRun = "server.run",
    }

    /// Named set of permissions.
    Role {
        Viewer = "viewer",
        Operator = "operator",
        Reviewer = "reviewer",
        Worker = "worker",
        Admin = "admin",
    }

    /// Kind of principal.
    PrincipalKind {
        /// A human.
        Person = "person",
        /// A program.
        Service = "service",
        /// A part of the server.
        System = "system",
    }

    /// Way in which a caller proved its identity.
    Authentication {
        /// An API key.
        Key = "key",
        /// A session of a browser.
        Session = "session",
        /// An OpenID provider.
        OpenId = "oidc",
        /// A one-time link.
        Link = "link",
        /// The token of a lease.
        Lease = "lease",
        /// Access to the store itself, as a command of the server has it.
        Local = "local",
        /// None was needed: a part of the server.
        System = "system",
        /// None: the server is open, and the name is what the client says.
        Open = "none",
    }

    /// Way by which a person or a program reached the server.
    Via {
        /// The REST API.
        Rest = "rest",
        /// A page of the console.
        Console = "console",
        /// The terminal: `run`, a command on the store, or a client that says so.
        Terminal = "terminal",
        /// An MCP server, as it says.
        Mcp = "mcp",
        /// The page of an answer link.
        Link = "link",
    }

    /// Class of the address that a client has.
    AddressClass {
        /// An address of the machine itself.
        Loopback = "loopback",
        /// An address of a private network.
        Private = "private",
        /// Any other address.
        Public = "public",
    }

    /// Reason for which a session was ended.
    SessionEnd {
        /// Its person signed out in its browser.
        SignedOut = "signed_out",
        /// Its person signed out everywhere, in its browser.
        SignedOutEverywhere = "signed_out_everywhere",
        /// Its person signed out everywhere, in another browser.
        SignedOutElsewhere = "signed_out_elsewhere",
        /// Its person signed in once more than sessions are kept.
        Superseded = "superseded",
        /// Its person ended it elsewhere, or an admin did, or an admin disabled, enabled or deleted the person.
        Revoked = "revoked",
        /// A cookie of its person came back after its sign-out.
        Reused = "reused",
    }

    /// Reason for which nothing is sent for a subscription of a webhook.
    WebhookStop {
        /// An administrator disabled it.
        Requested = "requested",
        /// Every attempt to deliver an entry has failed.
        Failing = "failing",
        /// The receiver answered that it wants nothing any more.
        Gone = "gone",
        /// Its owner was disabled or deleted.
        OwnerGone = "owner_gone",
    }

    /// Cause of an attempt to deliver the message of a webhook.
    DeliveryKind {
        /// The entry was next in its log.
        Log = "log",
        /// It was asked for once more.
        Redelivery = "redelivery",
        /// A test was asked for.
        Test = "test",
    }

    /// Principal that may not approve the result of a step.
    Exclusion {
        /// Whoever made the result.
        Author = "author",
        /// Whoever started the project.
        Starter = "starter",
        /// Whoever replaced the result while it was under review.
        Amender = "amender",
    }

    /// Degree of oversight that people want: it selects the gates of a project.
    Oversight {
        Low = "low",
        Standard = "standard",
        High = "high",
    }

    /// Status of a workflow step.
    StepStatus {
        Waiting = "waiting",
        Running = "running",
        InReview = "in_review",
        Done = "done",
        Skipped = "skipped",
        Failed = "failed",
    }

    /// Type of an artifact.
    ArtifactType {
        UserInput = "user_input",
        ProjectPlan = "project_plan",
        SoftwareSpecification = "software_specification",
        SystemArchitecture = "system_architecture",
        ImplementationPlan = "implementation_plan",
        SourceCode = "source_code",
        TestResults = "test_results",
        DeploymentLog = "deployment_log",
        DeploymentPackage = "deployment_package",
        AgentOutput = "agent_output",
        HitlResponse = "hitl_response",
    }

    /// Kind of party that caused a log entry.
    EventSource {
        Agent = "agent",
        User = "user",
        System = "system",
        Webhook = "webhook",
        Scheduler = "scheduler",
    }

    /// Type of a log entry.
    EventType {
        ProjectCreated = "project_created",
        ProjectStarted = "project_started",
        ProjectPaused = "project_paused",
        ProjectResumed = "project_resumed",
        ProjectCompleted = "project_completed",
        ProjectHalted = "project_halted",
        ProjectFailed = "project_failed",
        ProjectCancelled = "project_cancelled",
        TaskCreated = "task_created",
        TaskStarted = "task_started",
        TaskCompleted = "task_completed",
        TaskFailed = "task_failed",
        TaskCancelled = "task_cancelled",
        TaskRetryScheduled = "task_retry_scheduled",
        TaskLeaseExpired = "task_lease_lapsed",
        HitlRequestCreated = "hitl_request_created",
        HitlResponse = "hitl_response",
        HitlTimeout = "hitl_timeout",
        HitlCancelled = "hitl_cancelled",
        AgentStatusChanged = "agent_status_changed",
        AgentError = "agent_error",
        ArtifactCreated = "artifact_created",
        ArtifactsGenerated = "artifacts_generated",
        ArtifactsDeleted = "artifacts_deleted",
        HandoffCreated = "handoff_created",
        SystemError = "system_error",
        SystemWarning = "system_warning",
        WebhookReceived = "webhook_received",
        BudgetReserved = "budget_reserved",
        BudgetExhausted = "budget_exhausted",
        BudgetChanged = "budget_changed",
        EmergencyStopped = "emergency_stopped",
        EmergencyReleased = "emergency_released",
        ProjectReopened = "project_reopened",
        TaskResultRefused = "task_result_refused",
        PrincipalCreated = "principal_created",
        GrantChanged = "grant_changed",
        KeyCreated = "key_created",
        KeyRotated = "key_rotated",
        KeyRevoked = "key_revoked",
        SessionStarted = "session_started",
        SessionEnded = "session_ended",
        AccessDenied = "access_denied",
        SignInLinkCreated = "sign_in_link_created",
        WebhookCreated = "webhook_created",
        WebhookChanged = "webhook_changed",
        WebhookDisabled = "webhook_disabled",
        WebhookDeleted = "webhook_deleted",
        HitlVoteCast = "hitl_vote_cast",
        HitlVoteWithdrawn = "hitl_vote_withdrawn",
        HitlSubjectChanged = "hitl_subject_changed",
        HitlClaimed = "hitl_claimed",
        HitlUnclaimed = "hitl_unclaimed",
        HitlDelegated = "hitl_delegated",
        HitlCommented = "hitl_commented",
        HitlReminded = "hitl_reminded",
        HitlEscalated = "hitl_escalated",
        HitlExtended = "hitl_extended",
        HitlUnsatisfiable = "hitl_unsatisfiable",
        HitlLinkIssued = "hitl_link_issued",
        HitlLinkRevoked = "hitl_link_revoked",
        DelegationChanged = "delegation_changed",
    }
}

impl EventType {
    /// Returns whether events of this type are in the system log only.
    #[must_use]
    pub const fn is_of_system(self) -> bool {
        matches!(
            self,
            Self::AgentStatusChanged
                | Self::PrincipalCreated
                | Self::GrantChanged
                | Self::KeyCreated
                | Self::KeyRotated
                | Self::KeyRevoked
                | Self::SessionStarted
                | Self::SessionEnded
                | Self::AccessDenied
                | Self::SignInLinkCreated
                | Self::WebhookCreated
                | Self::WebhookChanged
                | Self::WebhookDisabled
                | Self::WebhookDeleted
                | Self::DelegationChanged
        )
    }
}

impl TaskStatus {
    /// Returns whether the task has ended: completed, failed or cancelled. A failed task can be
    /// retried.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl ProjectStatus {
    /// Returns whether the project is active or paused, so that decisions may still be taken.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for word in EventType::ALL {
            assert_eq!(word.as_str().parse(), Ok(*word));
            let json = serde_json::to_string(word).unwrap();
            assert_eq!(json, format!("\"{word}\""));
        }
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "typist".parse::<AgentType>().unwrap_err();
        assert!(error.to_string().contains("`typist` is not one of: orchestrator, analyst"));
    }
}
