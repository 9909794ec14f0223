//! Work for agents that run outside: handing it out, hearing that they live, taking it in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::decide::lease;
use botarmy_domain::ports::WorkerLeases;
use botarmy_domain::{
    Amount, Caller, DomainError, Error, HeartbeatReply, HeldLease, LeaseHolder, Leased, Outcome,
    ProjectId, RunError, StoreError, Task, TaskStatus, WorkQuery,
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::budgets::Start;
use crate::dispatcher::{ClaimGuard, LeaseDispatcher, PollRequest};
use crate::engine::Engine;
use crate::output_validation::OutputSpec;
use crate::work::{TooLarge, no_assignment, sanitize, schema_of, time_limit};
use crate::worker::SharedProject;

/// How many may stand in the door before the desk has noticed them; more are held up.
const POLL_QUEUE: usize = 64;

/// What workers outside are held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// How long a task may be silent before it is given to somebody else.
    pub lease: Duration,
    /// The longest one attempt may take where its step does not say.
    pub attempt_timeout: Duration,
    /// How often the queue is looked at while somebody waits and nobody rings.
    pub poll: Duration,
    /// The most bytes of JSON one attempt may return.
    pub max_output_bytes: usize,
}

/// The leases of workers outside.
#[derive(Clone)]
pub struct Leases {
    engine: Engine,
    settings: LeaseSettings,
    dispatcher: mpsc::Sender<PollRequest>,
}

impl Leases {
    /// The leases, and the desk that has to run for anything to be handed out.
    #[must_use]
    pub fn new(engine: Engine, settings: LeaseSettings) -> (Self, LeaseDispatcher) {
        let (dispatcher, coming) = mpsc::channel(POLL_QUEUE);
        let serving = LeaseDispatcher::new(engine.clone(), settings.lease, settings.poll, coming);
        (Self { engine, settings, dispatcher }, serving)
    }

    /// What a worker is given with each task. What cannot be put together is a failed attempt, as it
    /// is for an agent inside.
    async fn equip(&self, guard: ClaimGuard) -> Vec<Leased> {
        let mut projects: BTreeMap<ProjectId, SharedProject> = BTreeMap::new();
        let mut leased = Vec::new();
        for task in guard.tasks() {
            let Some(lease) = task.lease() else { continue };
            let holder = LeaseHolder { worker: lease.worker.clone(), fence: lease.fence };
            match self.may_begin(task, &holder).await {
                Ok(Start::Free | Start::Reserved) => {}
                Ok(Start::No) => continue,
                Err(error) => {
                    warn!(task.id = %task.id, %error, "Task {} cannot be handed out now", task.id);
                    let lease = HeldLease { task: task.id, holder };
                    if let Err(error) = self.engine.requeue(lease, "the store was away").await {
                        warn!(task.id = %task.id, %error, "The lease of task {} will lapse", task.id);
                    }
                    continue;
                }
            }
            let project = projects.entry(task.project_id).or_default();
            match self.engine.assignment(task, project).await {
                Ok(job) => leased.push(Leased {
                    lease: HeldLease { task: task.id, holder },
                    expires_at: lease.expires_at,
                    heartbeat: self.settings.lease / 3,
                    job,
                }),
                Err(error) => {
                    warn!(task.id = %task.id, %error, "Task {} cannot be handed out", task.id);
                    let failed = Arc::new(Err(no_assignment(&error)));
                    let context = self.engine.context(Caller::worker(&holder.worker));
                    if let Err(error) =
                        self.engine.take_in(task, &holder, true, &failed, context).await
                    {
                        warn!(task.id = %task.id, %error, "The lease of task {} will lapse", task.id);
                    }
                }
            }
        }
        guard.arrived();
        leased
    }

    /// Whether a worker may be given a task that may cost what is configured for its agent type.
    async fn may_begin(&self, task: &Task, holder: &LeaseHolder) -> Result<Start, StoreError> {
        let unsaid = Some(Amount::default());
        let amount = self.engine.settings.budgets.worst_case(task.agent, unsaid);
        let limit = time_limit(task, self.settings.attempt_timeout);
        self.engine.reserve(task, holder, amount.unwrap_or_default(), limit).await
    }

    /// The task of a lease; one that does not exist was never leased.
    async fn task(&self, lease: &HeldLease) -> Result<Arc<Task>, Error> {
        let task = self.engine.ports.stores.tasks.task(lease.task).await?;
        let missing = || lease::lease_lost(format!("There is no lease on task {}.", lease.task));
        Ok(task.ok_or_else(missing)?)
    }

    /// That what a worker brings is in the form its step asks for. It keeps its lease, and can
    /// put right what is wrong.
    async fn check_form(&self, task: &Task, outcome: &Outcome) -> Result<(), Error> {
        let Outcome::Completed { output, artifacts, .. } = outcome else { return Ok(()) };
        let schema = match task.step() {
            Some(_) => self.engine.ports.stores.projects.project(task.project_id).await?,
            None => None,
        };
        let schema = schema.and_then(|project| schema_of(&project, task));
        let output_spec = OutputSpec { output_type: task.output_type, schema };
        let validation_error = self.engine.output_validator.check(&output_spec, output, artifacts);
        Ok(validation_error
            .map_err(|validation_error| DomainError::invalid("output", validation_error))?)
    }
}

#[async_trait]
impl WorkerLeases for Leases {
    async fn lease(&self, query: WorkQuery) -> Result<Vec<Leased>, Error> {
        let (request, answered) = PollRequest::new(query);
        if self.dispatcher.send(request).await.is_err() {
            return Ok(Vec::new());
        }
        match answered.await {
            Ok(guard) => Ok(self.equip(guard?).await),
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn heartbeat(
        &self,
        lease: HeldLease,
        progress: Option<(String, Option<u8>)>,
    ) -> Result<HeartbeatReply, Error> {
        let task = self.task(&lease).await?;
        let now = self.engine.ports.clock.now();
        let holder = &lease.holder;
        if let Err(lost) = lease::check_held(&task, holder) {
            let ours = task.attempt == holder.fence;
            if ours && task.status() == TaskStatus::Cancelled {
                return Ok(HeartbeatReply { expires_at: now, cancel: true });
            }
            return Err(lost.into());
        }
        let limit = time_limit(&task, self.settings.attempt_timeout);
        let deadline = task.lease().map_or(now, |held| held.started_at.after(limit));
        let expires_at = now.after(self.settings.lease).min(deadline);
        if expires_at <= now {
            let limit = limit.as_secs();
            let detail = format!("The attempt took longer than {limit} seconds.");
            return Err(lease::lease_lost(detail).into());
        }
        if !self.engine.ports.stores.ledger.extend(task.id, holder.fence, expires_at).await? {
            let detail = format!("Task {} was taken from {} just now.", task.id, holder.worker);
            return Err(lease::lease_lost(detail).into());
        }
        if let Some((message, percent)) = progress {
            self.engine.pass_on(&task, message, percent).await;
        }
        Ok(HeartbeatReply { expires_at, cancel: false })
    }

    async fn finish(
        &self,
        lease: HeldLease,
        result: Result<Outcome, RunError>,
    ) -> Result<Arc<Task>, Error> {
        let task = self.task(&lease).await?;
        let holder = lease.holder.clone();
        let again = matches!(result, Ok(Outcome::Completed { .. }))
            && task.status() == TaskStatus::Completed
            && task.attempt == holder.fence;
        if again {
            return Ok(task);
        }
        lease::check_held(&task, &holder)?;
        let result = match result {
            Ok(outcome) => {
                check_output(&task, &outcome)?;
                let too_large = |TooLarge { detail, .. }| DomainError::invalid("output", detail);
                let outcome =
                    sanitize(outcome, self.settings.max_output_bytes).map_err(too_large)?;
                self.check_form(&task, &outcome).await?;
                Ok(outcome)
            }
            failed => failed,
        };
        let context = self.engine.context(Caller::worker(&holder.worker));
        let result = Arc::new(result);
        // Whether anything was reserved for it, only its budget accounts know.
        let committed = self.engine.take_in(&task, &holder, true, &result, context).await?;
        match committed.task(task.id) {
            Some(task) => Ok(Arc::clone(task)),
            // The same work was taken in a moment before.
            None => self.task(&lease).await,
        }
    }
}

/// That a step brings what it is expected to make: a worker can still add it, where an agent inside
/// has nothing more to say.
fn check_output(task: &Task, outcome: &Outcome) -> Result<(), DomainError> {
    let (Outcome::Completed { output, artifacts, .. }, Some(expected)) =
        (outcome, task.output_type)
    else {
        return Ok(());
    };
    if output.is_empty() && !artifacts.iter().any(|new| new.artifact_type == expected) {
        let message = format!("must be the {expected}, unless an artifact is");
        return Err(DomainError::invalid("output", message));
    }
    Ok(())
}
