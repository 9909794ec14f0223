//! Leases of external workers: handing out tasks, extending leases, committing results.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::decide::{lease, refusals, tasks};
use botarmy_domain::ports::{Access, Denial, Secrets, WorkerLeases};
use botarmy_domain::{
    Amount, Assignment, Caller, DomainError, Error, HeartbeatReply, HeldLease, LeaseHolder,
    LeaseTaker, Leased, Outcome, Permission, PresentedLease, ProjectId, RunError, Scope,
    StoreError, Task, TaskId, TaskStatus, Timestamp, WorkQuery, WorkerDocument,
};
use tokio::sync::mpsc;
use tracing::warn;

use super::dispatcher::{ClaimGuard, LeaseDispatcher, PollRequest};
use crate::assignment::{SharedProject, schema_of, time_limit};
use crate::attempt_result::{TooLarge, sanitize, work};
use crate::engine::Engine;
use crate::lease_settings::LeaseSettings;
use crate::output_validation::{OutputSpec, check_response_schema};
use crate::reservation::Start;

/// Number of poll requests that may wait for the dispatcher; further ones wait to be sent.
const POLL_QUEUE: usize = 64;

/// About the most bytes of assignments that are handed out at once, unless one alone is larger.
const LEASED_BYTES: usize = 8 * 1024 * 1024;

/// Leases of external workers.
#[derive(Clone)]
pub struct Leases {
    engine: Engine,
    settings: LeaseSettings,
    access: Arc<dyn Access>,
    dispatcher: mpsc::Sender<PollRequest>,
}

/// A lease whose holder was recognised.
struct Recognised {
    task: Arc<Task>,
    /// Caller of the decisions about the lease.
    worker: Caller,
}

impl Leases {
    /// Creates the leases, and the dispatcher that must run for tasks to be handed out.
    #[must_use]
    pub fn new(
        engine: Engine,
        settings: LeaseSettings,
        secrets: Arc<dyn Secrets>,
        access: Arc<dyn Access>,
    ) -> (Self, LeaseDispatcher) {
        let (dispatcher, coming) = mpsc::channel(POLL_QUEUE);
        let serving = LeaseDispatcher::new(engine.clone(), settings.clone(), secrets, coming);
        (Self { engine, settings, access, dispatcher }, serving)
    }

    /// Returns the claimed tasks with their assignments. A task whose assignment cannot be loaded is
    /// a failed attempt, as on a server.
    async fn equip(&self, guard: ClaimGuard) -> Vec<Leased> {
        let mut projects: BTreeMap<ProjectId, SharedProject> = BTreeMap::new();
        let (mut leased, mut size) = (Vec::new(), 0);
        for (n, task) in guard.tasks().iter().enumerate() {
            if size >= LEASED_BYTES {
                let left = guard.tasks()[n..].iter().filter_map(|task| HeldLease::of(task));
                // A failure is logged there.
                drop(self.engine.requeue_all(left.collect(), "it did not fit").await);
                break;
            }
            let Some(lease) = task.lease() else { continue };
            let holder = lease.holder();
            match self.may_begin(task, &holder).await {
                Ok(Start::Free | Start::Reserved) => {}
                Ok(Start::No) => continue,
                Err(error) => {
                    warn!(task.id = %task.id, %error, "Task {} cannot be handed out now", task.id);
                    let lease = HeldLease { task: task.id, holder };
                    // A failure is logged there.
                    drop(self.engine.requeue_all(vec![lease], "the store was away").await);
                    continue;
                }
            }
            let project = projects.entry(task.project_id).or_default();
            match self.engine.assignment(task, project).await {
                Ok(job) => {
                    let held = HeldLease { task: task.id, holder };
                    let Some(token) = guard.token(&held) else { continue };
                    size += size_of_document(&job);
                    leased.push(Leased {
                        lease: held,
                        token,
                        expires_at: lease.expires_at,
                        heartbeat: self.heartbeat_interval(),
                        job,
                    });
                }
                Err(reason) => {
                    warn!(task.id = %task.id, %reason, "Task {} cannot be handed out", task.id);
                    let held = HeldLease { task: task.id, holder: holder.clone() };
                    let failed = self.engine.no_assignment(task, held, reason).await;
                    let Some(failed) = failed else { continue };
                    let failed = Arc::new(Err(failed));
                    let context = self.engine.context(Caller::worker(&holder.worker));
                    if let Err(error) =
                        self.engine.commit_attempt(task, &holder, true, &failed, context).await
                    {
                        warn!(task.id = %task.id, %error, "The failed attempt at task {} could not be stored; its lease will expire", task.id);
                    }
                }
            }
        }
        guard.arrived();
        leased
    }

    /// Reserves the configured worst case of an agent type before a worker is given a task.
    async fn may_begin(&self, task: &Task, holder: &LeaseHolder) -> Result<Start, StoreError> {
        let unannounced = Some(Amount::default());
        let amount = self.engine.settings.budgets.worst_case(task.agent, unannounced);
        let limit = time_limit(task, self.settings.attempt_timeout);
        self.engine.reserve(task, holder, amount.unwrap_or_default(), limit).await
    }

    /// Returns the interval at which a worker should send heartbeats: short enough for the first one,
    /// also for a worker that waits for an interval before it.
    fn heartbeat_interval(&self) -> Duration {
        self.settings.lease.min(self.settings.first_call) / 3
    }

    /// Returns the task of a lease with its holder, and checks that the holder may still work on it. A
    /// caller without a proof learns nothing of the task, not even whether there is one.
    async fn authenticate(&self, presented: &PresentedLease) -> Result<Recognised, Error> {
        let holder = &presented.lease.holder;
        let caller = presented.caller.as_ref().filter(|caller| caller.principal().is_some());
        let by_key = caller.filter(|_| presented.token.is_none());
        if by_key.is_some_and(|caller| !caller.is_worker(&holder.worker)) {
            return Err(token_required().into());
        }
        let task = self.task(&presented.lease).await?;
        // The proofs of earlier attempts are not kept.
        if task.attempt != holder.fence {
            return Err(no_lease(&presented.lease).into());
        }
        let taker = task.lease_taker;
        if let Some(caller) = by_key {
            if taker.is_some_and(|taker| caller.principal() != Some(taker.principal)) {
                return Err(no_lease(&presented.lease).into());
            }
            self.engine.check_work(caller, task.project_id).await?;
            return Ok(Recognised { worker: caller.as_worker(&holder.worker), task });
        }
        check_token(&task, presented)?;
        let Some(taker) = taker else {
            return Ok(Recognised { worker: Caller::worker(&holder.worker), task });
        };
        match self.taker(&task, taker).await {
            Ok(taker) => Ok(Recognised { worker: taker.with_token_as(&holder.worker), task }),
            Err(Error::Store(error)) => Err(error.into()),
            Err(Error::Refused(refused)) => {
                // A failure is logged there; the lease expires then.
                let lease = vec![presented.lease.clone()];
                drop(self.engine.requeue_all(lease, "its worker may not work any more").await);
                Err(refused.into())
            }
        }
    }

    /// Returns the principal that took the latest lease of a task, if it may still work on it with the
    /// credential with which it took the lease.
    async fn taker(&self, task: &Task, taker: LeaseTaker) -> Result<Caller, Error> {
        let caller = match self.access.caller_with_key(taker.credential) {
            Ok(caller) => caller,
            Err(denial @ Denial::Unavailable) => {
                return Err(StoreError::unavailable(denial.to_string(), denial).into());
            }
            Err(Denial::Required | Denial::Invalid | Denial::Expired) => {
                return Err(token_ended().into());
            }
        };
        match self.engine.check_work(&caller, task.project_id).await {
            Ok(()) => Ok(caller),
            Err(Error::Refused(_)) => Err(token_ended().into()),
            Err(error) => Err(error),
        }
    }

    /// Returns the task of a lease. The lease of an unknown task is lost.
    async fn task(&self, lease: &HeldLease) -> Result<Arc<Task>, Error> {
        let task = self.engine.ports.stores.tasks.task(lease.task).await?;
        Ok(task.ok_or_else(|| no_lease(lease))?)
    }

    /// Returns the end of the attempt at a task that is being worked on.
    ///
    /// # Errors
    /// `lease_lost` if it has passed: a result that comes later is not accepted, even if the lease
    /// has not been ended yet.
    fn deadline(&self, task: &Task, now: Timestamp) -> Result<Timestamp, DomainError> {
        let limit = time_limit(task, self.settings.attempt_timeout);
        let deadline = task.lease().map_or(now, |held| held.started_at.after(limit));
        if deadline > now {
            return Ok(deadline);
        }
        let detail = format!("The attempt took longer than {} seconds.", limit.as_secs());
        Err(lease::lease_lost(detail))
    }

    /// Accepts the result of an attempt, or the repetition of one that was accepted.
    async fn accept(
        &self,
        Recognised { task, worker }: &Recognised,
        presented: &PresentedLease,
        result: Result<Outcome, RunError>,
    ) -> Result<Arc<Task>, Error> {
        let holder = &presented.lease.holder;
        if let (TaskStatus::Completed, Ok(outcome @ Outcome::Completed { .. })) =
            (task.status(), &result)
        {
            let cleaned = sanitize(outcome.clone(), self.settings.max_output_bytes);
            if let Ok(Outcome::Completed { output, artifacts, confidence, usage }) = &cleaned
                && tasks::is_repetition(task, holder, &work(output, artifacts, *confidence, usage))?
            {
                return Ok(Arc::clone(task));
            }
        }
        lease::check_held(task, holder)?;
        self.deadline(task, self.engine.ports.clock.now())?;
        let result = match result {
            Ok(outcome) => {
                check_output(task, &outcome)?;
                if let Outcome::Ask { question, .. } = &outcome {
                    check_response_schema(question.response_schema.as_ref())?;
                }
                let too_large = |TooLarge { detail, .. }| DomainError::invalid("output", detail);
                let outcome =
                    sanitize(outcome, self.settings.max_output_bytes).map_err(too_large)?;
                self.check_form(task, &outcome).await?;
                Ok(outcome)
            }
            failed => failed,
        };
        let context = self.engine.context(worker.clone());
        let result = Arc::new(result);
        // Only the budget accounts know whether anything was reserved.
        let committed = self.engine.commit_attempt(task, holder, true, &result, context).await?;
        match committed.task(task.id) {
            Some(task) => Ok(Arc::clone(task)),
            // The same result was committed a moment before.
            None => self.task(&presented.lease).await,
        }
    }

    /// Records why a result was refused, for a caller that has proved that it holds the lease.
    async fn record_refusal(
        &self,
        Recognised { task, worker }: &Recognised,
        presented: &PresentedLease,
        reason: String,
    ) {
        let holder = &presented.lease.holder;
        if !refusals::is_news(task, &reason) {
            return;
        }
        let now = self.engine.ports.clock.now();
        // A result that comes too late belongs to no attempt.
        let Ok(deadline) = lease::check_held(task, holder).and_then(|()| self.deadline(task, now))
        else {
            return;
        };
        let until = now.after(self.settings.lease).min(deadline);
        let (id, who) = (task.id, holder.clone());
        let scope = Scope::project(task.project_id).task(id);
        let context = self.engine.context(worker.clone());
        let recorded = self.engine.commit(context, scope, move |context, snapshot| {
            refusals::refuse_result(context, snapshot, id, &who, &reason, until)
        });
        if let Err(error) = recorded.await {
            unrecorded(id, &error);
        }
    }

    /// Checks that an outcome has the form its step requires. The worker keeps its lease, so that
    /// it can correct the output.
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

/// Returns the length of the document that a worker gets, in bytes.
fn size_of_document(job: &Assignment) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, &WorkerDocument::of(job))
        .expect("a document has text keys only, and counting does not fail");
    count.0
}

#[async_trait]
impl WorkerLeases for Leases {
    async fn lease(&self, mut query: WorkQuery) -> Result<Vec<Leased>, Error> {
        let reach = query.caller.reach(Permission::WorkDo)?;
        if let Some(name) = query.worker.external_name() {
            query.worker = query.caller.worker_id(name);
        }
        let now = self.engine.ports.clock.now();
        self.engine.served_agents.by_worker(&query.agents, now, query.wait);
        let (request, answered) = PollRequest::new(query, reach);
        if self.dispatcher.send(request).await.is_err() {
            return Ok(Vec::new());
        }
        match answered.await {
            Ok(guard) => Ok(self.equip(guard?).await),
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn requeue_undelivered(&self, leases: Vec<HeldLease>) {
        // Failures are logged there.
        drop(self.engine.requeue_all(leases, "its worker went away").await);
    }

    async fn heartbeat(
        &self,
        presented: PresentedLease,
        progress: Option<(String, Option<u8>)>,
    ) -> Result<HeartbeatReply, Error> {
        let Recognised { task, .. } = self.authenticate(&presented).await?;
        let now = self.engine.ports.clock.now();
        let holder = &presented.lease.holder;
        if let Err(lost) = lease::check_held(&task, holder) {
            let ours = task.attempt == holder.fence;
            if ours && task.status() == TaskStatus::Cancelled {
                return Ok(HeartbeatReply { expires_at: now, cancel: true });
            }
            return Err(lost.into());
        }
        let deadline = self.deadline(&task, now)?;
        let expires_at = now.after(self.settings.lease).min(deadline);
        if !self.engine.ports.stores.ledger.extend(task.id, holder.fence, expires_at).await? {
            let detail = format!("Task {} was taken from {} just now.", task.id, holder.worker);
            return Err(lease::lease_lost(detail).into());
        }
        if let Some((message, percent)) = progress {
            self.engine.publish_progress(&task, message, percent).await;
        }
        Ok(HeartbeatReply { expires_at, cancel: false })
    }

    async fn finish(
        &self,
        presented: PresentedLease,
        result: Result<Outcome, RunError>,
    ) -> Result<Arc<Task>, Error> {
        let lease = self.authenticate(&presented).await?;
        let finished = self.accept(&lease, &presented, result).await;
        if let Err(Error::Refused(invalid @ DomainError::Invalid { .. })) = &finished {
            self.record_refusal(&lease, &presented, invalid.to_string()).await;
        }
        finished
    }

    async fn refuse(&self, presented: PresentedLease, reason: String) {
        match self.authenticate(&presented).await {
            Ok(lease) => self.record_refusal(&lease, &presented, reason).await,
            Err(error) => unrecorded(presented.lease.task, &error),
        }
    }
}

/// Logs that the reason of a refusal is not stored, unless it is not the caller's to store.
fn unrecorded(task: TaskId, error: &Error) {
    if let Error::Store(error) = error {
        warn!(task.id = %task, %error, "The reason for which a result of task {task} was refused could not be stored");
    }
}

/// Checks that a call about the latest lease of a task carries its token. A lease from before leases
/// had tokens has no digest.
fn check_token(task: &Task, presented: &PresentedLease) -> Result<(), DomainError> {
    let digest = presented.token.as_ref();
    let digest = digest.map(|token| token.digest(&presented.lease.holder.worker));
    match (&task.lease_token, digest) {
        (None, None) => Ok(()),
        (Some(expected), Some(digest)) if *expected == digest => Ok(()),
        (Some(_), None) => Err(token_required()),
        (_, Some(_)) => Err(DomainError::Unauthenticated {
            code: "token_invalid",
            detail: "This is not the token of the lease.".to_owned(),
        }),
    }
}

/// Returns the error for a lease that is not the latest one of its task, or of a task that does not
/// exist.
fn no_lease(lease: &HeldLease) -> DomainError {
    let (task, fence) = (lease.task, lease.holder.fence);
    lease::lease_lost(format!("There is no lease on task {task} for attempt {fence}; stop."))
}

fn token_required() -> DomainError {
    let detail = "Send the token that came with the lease, as \"Authorization: Bearer TOKEN\".";
    DomainError::Unauthenticated { code: "token_required", detail: detail.to_owned() }
}

/// Returns the error for the token of a lease whose taker may not work on the task any more. It does
/// not say why, as for a key.
fn token_ended() -> DomainError {
    let detail = "The token is not valid any more, because its worker may not work on this task any \
                  more. The task is given to another worker; stop.";
    DomainError::Unauthenticated { code: "token_invalid", detail: detail.to_owned() }
}

/// Checks that an outcome contains the artifact type that the step requires. A worker can still add
/// it, which an agent on a server cannot.
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
