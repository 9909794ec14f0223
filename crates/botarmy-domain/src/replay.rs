//! State computed again from a log alone, to be compared with the stored rows.
//!
//! A row holds the consequences of its events and, in a few members, values that no event states;
//! `docs/log.md` lists them. [`Replay`] follows one log entry by entry and keeps what its events
//! state; [`Replay::project`] and its neighbours compare a stored row with it and return the first
//! member that differs.

mod access;
mod facts;
mod project;
mod request;
mod row;
mod task;
mod text;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{ApiKey, PersonSessions, Principal};
use crate::agent::AgentRecord;
use crate::artifact::{Artifact, ArtifactRef};
use crate::budget::{BudgetAccount, BudgetKey, Limit};
use crate::emergency::{Stop, StopScope};
use crate::event::{
    AgentStatusChanged, ArtifactCreated, EmergencyReleased, EmergencyStopped, EventPayload as E,
    PayloadError,
};
use crate::handoff::Handoff;
use crate::hitl::HitlRequest;
use crate::ids::{
    ContextId, CredentialId, HitlRequestId, PrincipalId, ProjectId, TaskId, WebhookId,
};
use crate::log::{Entry, GENESIS, HeadMark, LogId, Verification};
use crate::package::Package;
use crate::project::{Counts, Project, ProjectState};
use crate::record::Record;
use crate::task::Task;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType, HitlStatus};
use crate::webhook::Webhook;

use access::AccessFacts;
use facts::{Answered, PackageFacts, ProjectFacts, RequestFacts, TaskFacts};
pub use row::Difference;
use row::Row;
use webhooks::WebhookFacts;

/// State of one log's objects, as far as its entries state it.
#[derive(Debug)]
pub struct Replay {
    log: LogId,
    end: HeadMark,
    project: Option<ProjectFacts>,
    tasks: BTreeMap<TaskId, TaskFacts>,
    requests: BTreeMap<HitlRequestId, RequestFacts>,
    artifacts: BTreeMap<ContextId, ArtifactRef>,
    /// Hand-offs whose task has not been created yet.
    handoffs: BTreeMap<TaskId, Handoff>,
    package: Option<PackageFacts>,
    limits: BTreeMap<BudgetKey, Limit>,
    stops: BTreeMap<StopScope, Stop>,
    agents: BTreeMap<AgentType, AgentRecord>,
    access: AccessFacts,
    webhooks: WebhookFacts,
    /// The answer that the next entry may follow from.
    answered: Option<Answered>,
}

/// Result of comparing the stored state with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateVerification {
    /// Result of checking the log itself. Nothing is compared with a log that is not valid.
    pub log: Verification,
    /// Number of rows that were compared.
    pub rows: u64,
    /// First difference.
    pub difference: Option<Difference>,
}

impl StateVerification {
    /// Returns whether the log is valid and the stored state follows from it.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.log.valid && self.difference.is_none()
    }
}

impl Replay {
    /// Creates the state of a log without entries.
    #[must_use]
    pub fn of(log: LogId) -> Self {
        Self {
            log,
            end: HeadMark { seq: 0, hash: GENESIS.to_owned() },
            project: None,
            tasks: BTreeMap::new(),
            requests: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            handoffs: BTreeMap::new(),
            package: None,
            limits: BTreeMap::new(),
            stops: BTreeMap::new(),
            agents: BTreeMap::new(),
            access: AccessFacts::default(),
            webhooks: WebhookFacts::default(),
            answered: None,
        }
    }

    /// Returns the position and hash of the last entry that was applied.
    #[must_use]
    pub const fn end(&self) -> &HeadMark {
        &self.end
    }

    /// Applies the next entry.
    ///
    /// # Errors
    /// A payload that does not have the form of its event type.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), PayloadError> {
        let payload = E::of(entry)?;
        self.answered.take_if(|answered| answered.seq + 1 != entry.seq);
        match payload {
            E::ProjectCreated(_)
            | E::ProjectStarted(_)
            | E::ProjectPaused(_)
            | E::ProjectResumed(_)
            | E::ProjectReopened(_)
            | E::ProjectCompleted(_)
            | E::ProjectHalted(_)
            | E::ProjectCancelled(_) => {
                let is_paused = match &payload {
                    E::ProjectPaused(paused) => Some(paused.stops_clocks),
                    E::ProjectResumed(_) => Some(false),
                    _ => None,
                };
                self.apply_to_project(entry, payload);
                match is_paused {
                    Some(true) => self.change_clocks(entry, HitlRequest::stop_clock),
                    Some(false) => self.change_clocks(entry, HitlRequest::start_clock),
                    None => {}
                }
            }
            E::TaskCreated(_)
            | E::TaskStarted(_)
            | E::TaskCompleted(_)
            | E::TaskFailed(_)
            | E::TaskCancelled(_)
            | E::TaskRetryScheduled(_)
            | E::TaskLeaseExpired(_)
            | E::TaskResultRefused(_)
            | E::HandoffCreated(_) => self.apply_to_task(entry, payload),
            E::HitlRequestCreated(_)
            | E::HitlResponse(_)
            | E::HitlTimeout(_)
            | E::HitlCancelled(_)
            | E::HitlVoteCast(_)
            | E::HitlVoteWithdrawn(_)
            | E::HitlSubjectChanged(_)
            | E::HitlClaimed(_)
            | E::HitlUnclaimed(_)
            | E::HitlDelegated(_)
            | E::HitlCommented(_)
            | E::HitlReminded(_)
            | E::HitlEscalated(_)
            | E::HitlExtended(_)
            | E::HitlUnsatisfiable(_)
            | E::HitlLinkIssued(_)
            | E::HitlLinkRevoked(_)
            | E::BudgetExhausted(_) => self.apply_to_request(entry, payload),
            E::ArtifactCreated(created) => self.artifact_created(entry, created),
            E::ArtifactsGenerated(generated) => {
                self.package = Some(PackageFacts {
                    seq: entry.seq,
                    digest: generated.digest,
                    generated_at: generated.generated_at,
                    files: generated.artifact_count,
                });
            }
            E::ArtifactsDeleted(_) => self.package = None,
            E::BudgetChanged(changed) => drop(self.limits.insert(changed.account, changed.limit)),
            E::EmergencyStopped(stopped) => self.stopped(entry, stopped),
            E::EmergencyReleased(released) => self.released(entry, &released),
            E::AgentStatusChanged(AgentStatusChanged(record)) => {
                self.agents.insert(record.agent_type, record);
            }
            E::PrincipalCreated(_)
            | E::GrantChanged(_)
            | E::KeyCreated(_)
            | E::KeyRotated(_)
            | E::KeyRevoked(_)
            | E::SessionStarted(_)
            | E::SessionEnded(_)
            | E::SignInLinkCreated(_)
            | E::DelegationChanged(_) => self.access.apply(entry, payload),
            E::WebhookCreated(_)
            | E::WebhookChanged(_)
            | E::WebhookDisabled(_)
            | E::WebhookDeleted(_) => self.webhooks.apply(entry, payload),
            // These change no row that is compared.
            E::BudgetReserved(_)
            | E::ProjectFailed(_)
            | E::AgentError(_)
            | E::SystemError(_)
            | E::SystemWarning(_)
            | E::WebhookReceived(_)
            | E::AccessDenied(_) => {}
        }
        self.end = HeadMark { seq: entry.seq, hash: entry.hash.clone() };
        Ok(())
    }

    fn artifact_created(&mut self, entry: &Entry, created: ArtifactCreated) {
        let Some(project_id) = entry.project_id else { return };
        if let Some(answered) = &mut self.answered
            && created.artifact_type == ArtifactType::HitlResponse
        {
            answered.feedback = Some(created.context_id);
            answered.seq = entry.seq;
        }
        if let Some(plan) = self.project.as_mut().and_then(|project| project.plan.as_mut()) {
            plan.latest.insert(created.artifact_type, created.context_id);
        }
        let artifact = ArtifactRef {
            id: created.context_id,
            project_id,
            source_agent: created.source_agent,
            artifact_type: created.artifact_type,
            digest: created.digest,
            previous: created.previous,
            created_at: entry.created_at,
        };
        self.artifacts.insert(artifact.id, artifact);
    }

    fn stopped(&mut self, entry: &Entry, stopped: EmergencyStopped) {
        if let (StopScope::Project(_), Some(project)) = (stopped.scope, &mut self.project) {
            project.stop(entry, &stopped);
        }
        if stopped.stops_clocks {
            self.change_clocks(entry, HitlRequest::stop_clock);
        }
        let EmergencyStopped { scope, reason, stopped_by: by, .. } = stopped;
        self.stops.insert(scope, Stop { scope, reason, by, at: entry.created_at });
    }

    fn released(&mut self, entry: &Entry, released: &EmergencyReleased) {
        if let (StopScope::Project(_), Some(project)) = (released.scope, &mut self.project) {
            project.release(entry);
            if matches!(project.state, ProjectState::Active) {
                self.change_clocks(entry, HitlRequest::start_clock);
            }
        }
        self.stops.remove(&released.scope);
    }

    /// Returns the counts of the tasks, requests and artifacts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for task in self.tasks.values() {
            counts.moved(None, task.status());
        }
        let pending = self.requests.values().filter(|r| r.status() == HitlStatus::Pending);
        counts.open_requests = count(pending.count());
        counts.artifacts = count(self.artifacts.len());
        counts
    }

    // Comparison with stored rows.

    /// Compares the project and the counts beside the head of its log.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn project(&self, stored: Option<(&Project, &Counts)>) -> Result<(), Box<Difference>> {
        let Some(id) = self.log.project() else { return Ok(()) };
        match (&self.project, stored) {
            (None, None) => Ok(()),
            (Some(facts), None) => Err(Difference::missing("projects", id, facts.seq)),
            (None, Some(_)) => Err(Difference::unknown("projects", id)),
            (Some(facts), Some((project, counts))) => {
                facts.compare(project)?;
                Row::new("heads", id, self.end.seq).compare("counts", &self.counts(), counts)
            }
        }
    }

    /// Compares a task.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn task(&self, stored: &Task) -> Result<(), Box<Difference>> {
        match self.tasks.get(&stored.id) {
            Some(facts) => facts.compare(stored, self.log),
            None => Err(Difference::unknown("tasks", stored.id)),
        }
    }

    /// Compares a request.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn request(&self, stored: &HitlRequest) -> Result<(), Box<Difference>> {
        match self.requests.get(&stored.id) {
            Some(facts) => facts.compare(stored, self.log),
            None => Err(Difference::unknown("hitl_requests", stored.id)),
        }
    }

    /// Compares an artifact, and its content with its digest.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn artifact(&self, stored: &Artifact) -> Result<(), Box<Difference>> {
        let id = stored.meta.id;
        let Some(expected) = self.artifacts.get(&id) else {
            return Err(Difference::unknown("artifacts", id));
        };
        let found = &stored.meta;
        let row = Row::new("artifacts", id, self.end.seq);
        row.compare("project_id", &expected.project_id, &found.project_id)?;
        row.compare("source_agent", &expected.source_agent, &found.source_agent)?;
        row.compare("artifact_type", &expected.artifact_type, &found.artifact_type)?;
        row.compare("digest", &expected.digest, &found.digest)?;
        row.compare("previous", &expected.previous, &found.previous)?;
        row.compare("created_at", &expected.created_at, &found.created_at)?;
        if stored.verify().is_ok() {
            return Ok(());
        }
        let found = crate::artifact::digest(&stored.content);
        row.compare("content", &expected.digest, &found)
    }

    /// Compares the package of the project.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn package(&self, id: ProjectId, stored: Option<&Package>) -> Result<(), Box<Difference>> {
        match (&self.package, stored) {
            (None, None) => Ok(()),
            (Some(facts), None) => Err(Difference::missing(Package::TABLE.name, id, facts.seq)),
            (None, Some(_)) => Err(Difference::unknown(Package::TABLE.name, id)),
            (Some(facts), Some(package)) => facts.compare(package),
        }
    }

    /// Compares the limit that people have set for the project.
    ///
    /// # Errors
    /// A limit that differs.
    pub fn limit(&self, key: BudgetKey, stored: Option<Limit>) -> Result<(), Box<Difference>> {
        let expected = self.limits.get(&key).copied();
        Row::new(BudgetAccount::TABLE.name, key, self.end.seq).compare("limit", &expected, &stored)
    }

    /// Compares an emergency stop of the log, or its absence.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn stop(&self, scope: StopScope, stored: Option<&Stop>) -> Result<(), Box<Difference>> {
        let table = Stop::TABLE.name;
        let row = Row::new(table, scope, self.end.seq);
        match (self.stops.get(&scope), stored) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Difference::missing(table, scope, self.end.seq)),
            (None, Some(_)) => Err(Difference::unknown(table, scope)),
            (Some(expected), Some(found)) => {
                row.compare("reason", &expected.reason, &found.reason)?;
                row.compare("by", &expected.by, &found.by)?;
                row.compare("at", &expected.at, &found.at)
            }
        }
    }

    /// Compares the status of an agent type with the last one of the system log.
    ///
    /// # Errors
    /// A status that differs.
    pub fn agent(&self, stored: &AgentRecord) -> Result<(), Box<Difference>> {
        let idle = AgentRecord::idle(stored.agent_type);
        let expected = self.agents.get(&stored.agent_type).unwrap_or(&idle);
        Row::new(AgentRecord::TABLE.name, stored.agent_type, self.end.seq)
            .compare_members(expected, stored)
    }

    /// Compares a principal, or its absence.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn principal(
        &self,
        id: PrincipalId,
        stored: Option<&Principal>,
    ) -> Result<(), Box<Difference>> {
        self.access.principal(id, stored, self.end.seq)
    }

    /// Compares an API key, or its absence. No event states its digest.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn api_key(
        &self,
        id: CredentialId,
        stored: Option<&ApiKey>,
    ) -> Result<(), Box<Difference>> {
        self.access.api_key(id, stored, self.end.seq)
    }

    /// Compares the sessions and links of a person, or their absence. No event states their digests and
    /// browsers.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn sessions(
        &self,
        id: PrincipalId,
        stored: Option<&PersonSessions>,
    ) -> Result<(), Box<Difference>> {
        self.access.sessions(id, stored, self.end.seq)
    }

    /// Compares a subscription of a webhook, or its absence. No event states its address, its keys and
    /// the details of its stop.
    ///
    /// # Errors
    /// The first member that differs.
    pub fn webhook(&self, id: WebhookId, stored: Option<&Webhook>) -> Result<(), Box<Difference>> {
        self.webhooks.compare(id, stored, self.end.seq)
    }

    /// Returns the subscriptions of webhooks of the log.
    #[must_use]
    pub fn webhook_ids(&self) -> BTreeSet<WebhookId> {
        self.webhooks.ids()
    }

    /// Returns the persons of the log that have, or had, sessions or links.
    #[must_use]
    pub fn session_ids(&self) -> BTreeSet<PrincipalId> {
        self.access.session_ids()
    }

    /// Returns the principals of the log.
    #[must_use]
    pub fn principal_ids(&self) -> BTreeSet<PrincipalId> {
        self.access.principal_ids()
    }

    /// Returns the API keys of the log.
    #[must_use]
    pub fn api_key_ids(&self) -> BTreeSet<CredentialId> {
        self.access.api_key_ids()
    }

    /// Returns the scopes of all emergency stops of the log that are in force.
    #[must_use]
    pub fn stop_scopes(&self) -> BTreeSet<StopScope> {
        self.stops.keys().copied().collect()
    }

    /// Returns the tasks of the log.
    #[must_use]
    pub fn task_ids(&self) -> BTreeSet<TaskId> {
        self.tasks.keys().copied().collect()
    }

    /// Returns the requests of the log.
    #[must_use]
    pub fn request_ids(&self) -> BTreeSet<HitlRequestId> {
        self.requests.keys().copied().collect()
    }

    /// Returns the artifacts of the log.
    #[must_use]
    pub fn artifact_ids(&self) -> BTreeSet<ContextId> {
        self.artifacts.keys().copied().collect()
    }

    /// Returns the difference of a row that the log has and the store has not.
    #[must_use]
    pub fn missing(&self, table: &'static str, row: impl std::fmt::Display) -> Box<Difference> {
        Difference::missing(table, row, self.end.seq)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Returns the time of an entry, under the name that the rows give it.
const fn at(entry: &Entry) -> Timestamp {
    entry.created_at
}
