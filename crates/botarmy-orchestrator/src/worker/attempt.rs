//! One attempt at one task: the assignment, the run of the agent, the result.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::AgentRunner;
use botarmy_domain::{
    Assignment, Caller, DomainError, Error, HeldLease, LeaseHolder, OpenSpan, Outcome, RunContext,
    RunError, Task, TraceContext,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::Worker;
use crate::assignment::{SharedProject, no_assignment, time_limit};
use crate::attempt_result::{TooLarge, sanitize, used};
use crate::output_validation::OutputSpec;
use crate::reservation::{STORE_TIMEOUT, Start};

/// Number of progress lines that are kept until they are published.
const PROGRESS_QUEUE: usize = 32;

impl Worker {
    /// Runs an attempt at a task and commits its result.
    pub(crate) async fn work(
        self: &Arc<Self>,
        task: &Arc<Task>,
        project: &SharedProject,
        fence: u32,
        span: &mut OpenSpan,
    ) {
        let trace = span.context();
        let holder = LeaseHolder { worker: self.settings.id.clone(), fence };
        let runner = self.runners.get(&task.agent).cloned();
        let mut reserved = false;
        let result = match (runner, self.engine.assignment(task, project).await) {
            (Some(runner), Ok(job)) => {
                let output_spec = OutputSpec::of(&job);
                let announced = runner.worst_case(&job);
                let limit = time_limit(task, self.settings.leases.attempt_timeout);
                let start = match self.engine.settings.budgets.worst_case(task.agent, announced) {
                    None => Ok(Start::Free),
                    Some(amount) => self.engine.reserve(task, &holder, amount, limit).await,
                };
                match start {
                    Ok(Start::Free) => {}
                    Ok(Start::Reserved) => reserved = true,
                    Ok(Start::No) => return,
                    Err(error) => {
                        let error = Err(no_assignment(&error));
                        return self.commit_result(task, holder, reserved, error, trace).await;
                    }
                }
                let result = self.attempt(task, fence, trace, job, runner).await;
                result.and_then(|outcome| self.sanitize(outcome, &output_spec))
            }
            (_, Err(reason)) => {
                let lease = HeldLease { task: task.id, holder: holder.clone() };
                if let Some(failed) = self.engine.no_assignment(task, lease, reason).await {
                    self.commit_result(task, holder, reserved, Err(failed), trace).await;
                }
                return;
            }
            (None, _) => Err(no_assignment(&format!("no runner for {}", task.agent))),
        };
        if let Err(error) = &result {
            span.fail(error.code());
        }
        self.commit_result(task, holder, reserved, result, trace).await;
    }

    /// Runs the agent under its deadline, extends its lease and publishes its progress.
    async fn attempt(
        &self,
        task: &Arc<Task>,
        fence: u32,
        trace: Option<TraceContext>,
        job: Assignment,
        runner: Arc<dyn AgentRunner>,
    ) -> Result<Outcome, RunError> {
        let limit = time_limit(task, self.settings.leases.attempt_timeout);
        let (sender, mut receiver) = mpsc::channel(PROGRESS_QUEUE);
        let context = RunContext {
            deadline: self.engine.ports.clock.now().after(limit),
            fence,
            trace,
            // Progress that is not taken in time is dropped, so that the agent never waits.
            progress: Box::new(move |message, percent| drop(sender.try_send((message, percent)))),
        };
        // A task of its own, so that a panic of the agent becomes the error of this attempt only.
        let kind = runner.kind();
        let mut run = AbortOnDrop(tokio::spawn(async move { runner.run(job, context).await }));
        let deadline = tokio::time::sleep(limit);
        tokio::pin!(deadline);
        let mut beat = tokio::time::interval(self.settings.leases.lease / 3);
        beat.tick().await;
        loop {
            tokio::select! {
                biased;
                ended = &mut run.0 => return ended.unwrap_or_else(|error| {
                    warn!(task.id = %task.id, %error, "The {kind} runner panicked");
                    Err(RunError::retryable("runner_panicked", "The agent stopped unexpectedly."))
                }),
                Some((message, percent)) = receiver.recv() => {
                    self.engine.publish_progress(task, message, percent).await;
                }
                _ = beat.tick() => {
                    let until = self.engine.ports.clock.now().after(self.settings.leases.lease);
                    match self.engine.ports.stores.ledger.extend(task.id, fence, until).await {
                        Ok(true) => {}
                        Ok(false) => return Err(RunError::terminal("lease_lost", "The lease is lost.")),
                        Err(error) => warn!(task.id = %task.id, %error, "The lease of task {} could not be extended; trying again", task.id),
                    }
                }
                () = &mut deadline => {
                    let detail = format!("The attempt took longer than {} seconds.", limit.as_secs());
                    return Err(RunError::retryable("timed_out", detail));
                }
            }
        }
    }

    /// Checks and cleans an outcome, which is foreign input: an output that is too large or does not
    /// have the required form is a failure.
    fn sanitize(&self, outcome: Outcome, output_spec: &OutputSpec) -> Result<Outcome, RunError> {
        let limit = self.settings.leases.max_output_bytes;
        let outcome = sanitize(outcome, limit).map_err(|TooLarge { detail, usage }| {
            RunError::Terminal { code: "output_too_large".to_owned(), detail, usage }
        })?;
        if let Outcome::Completed { output, artifacts, usage, .. } = &outcome {
            self.engine.output_validator.check(output_spec, output, artifacts).map_err(
                |validation_error| {
                    let detail = format!("What the agent made cannot be used: {validation_error}.");
                    RunError::InvalidOutput { detail, usage: Box::new(usage.clone()) }
                },
            )?;
        }
        Ok(outcome)
    }

    /// Commits the result of an attempt. While the store is away it is tried again, for at most
    /// [`STORE_TIMEOUT`]. A conflict means that the result is late: another worker holds the task,
    /// or the task was cancelled.
    async fn commit_result(
        &self,
        task: &Task,
        holder: LeaseHolder,
        reserved: bool,
        result: Result<Outcome, RunError>,
        trace: Option<TraceContext>,
    ) {
        let caller = Caller::worker(&holder.worker).with_trace(trace);
        let (id, context) = (task.id, self.engine.context(caller));
        let result = Arc::new(result);
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(50);
        loop {
            match self
                .engine
                .commit_attempt(task, &holder, reserved, &result, context.clone())
                .await
            {
                Ok(_) => return,
                Err(Error::Refused(refusal @ DomainError::Conflict { .. })) => {
                    info!(task.id = %id, %refusal, "The result of the task came too late");
                    return;
                }
                Err(Error::Refused(refusal)) => {
                    let used = used(&result).clone();
                    let rejected = RunError::terminal("unacceptable_result", refusal.to_string());
                    let rejected = rejected.having_used(used);
                    let rejected = Err(rejected);
                    return Box::pin(self.commit_result(task, holder, reserved, rejected, trace))
                        .await;
                }
                Err(error) if started.elapsed() > STORE_TIMEOUT => {
                    warn!(task.id = %id, %error, "The result of task {id} could not be stored; its lease will expire");
                    return;
                }
                Err(error) => {
                    warn!(task.id = %id, %error, "The result of task {id} could not be stored; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
            }
        }
    }
}

/// Aborts a spawned task when dropped.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
