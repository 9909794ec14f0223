//! One attempt at one task: what the agent is given, what surrounds it, what becomes of what it
//! returns.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::budget::accounts_of;
use botarmy_domain::decide::tasks::{self, Inquiry, Work};
use botarmy_domain::ports::AgentRunner;
use botarmy_domain::text::{clean, clean_map, strip_controls, without_controls};
use botarmy_domain::{
    ArtifactType, Assignment, BudgetAccount, BusMessage, Caller, Committed, DecisionContext,
    DomainError, Error, HeldLease, LeaseHolder, Outcome, Project, Resume, RunContext, RunError,
    Scope, StoreError, Task, TaskProgress, TaskStatus, Usage,
};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::budgets::Start;
use crate::engine::Engine;
use crate::output_validation::OutputSpec;
use crate::worker::{SharedProject, Worker};

/// How many lines of progress are kept while nobody takes them.
const PROGRESS_QUEUE: usize = 32;
/// The most bytes of a question with its suggested answers and what goes with it.
const MAX_QUESTION: usize = 64 << 10;
/// How long the store may be away before a result that cannot be stored is left to the reaper.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(60);

impl Worker {
    /// Does a task and brings back what comes of it.
    pub(crate) async fn work(
        self: &Arc<Self>,
        task: &Arc<Task>,
        project: &SharedProject,
        fence: u32,
    ) {
        let holder = LeaseHolder { worker: self.settings.id.clone(), fence };
        let runner = self.runners.get(&task.agent).cloned();
        let mut reserved = false;
        let result = match (runner, self.engine.assignment(task, project).await) {
            (Some(runner), Ok(job)) => {
                let output_spec = OutputSpec::of(&job);
                let said = runner.worst_case(&job);
                let limit = time_limit(task, self.settings.attempt_timeout);
                let start = match self.engine.settings.budgets.worst_case(task.agent, said) {
                    None => Ok(Start::Free),
                    Some(amount) => self.engine.reserve(task, &holder, amount, limit).await,
                };
                match start {
                    Ok(Start::Free) => {}
                    Ok(Start::Reserved) => reserved = true,
                    Ok(Start::No) => return,
                    Err(error) => {
                        let error = Err(no_assignment(&error));
                        return self.bring_back(task, holder, reserved, error).await;
                    }
                }
                let result = self.attempt(task, fence, job, runner).await;
                result.and_then(|outcome| self.sanitize(outcome, &output_spec))
            }
            (None, _) => Err(no_assignment(&format!("no runner for {}", task.agent))),
            (_, Err(error)) => Err(no_assignment(&error)),
        };
        self.bring_back(task, holder, reserved, result).await;
    }

    /// Runs the agent under its deadline, keeps its lease alive and passes on what it says.
    async fn attempt(
        &self,
        task: &Arc<Task>,
        fence: u32,
        job: Assignment,
        runner: Arc<dyn AgentRunner>,
    ) -> Result<Outcome, RunError> {
        let limit = time_limit(task, self.settings.attempt_timeout);
        let (say, mut said) = mpsc::channel(PROGRESS_QUEUE);
        let context = RunContext {
            deadline: self.engine.ports.clock.now().after(limit),
            fence,
            // A line that nobody takes in time is dropped; the agent is never held up.
            progress: Box::new(move |message, percent| drop(say.try_send((message, percent)))),
        };
        // A task of its own, so that a panic of the agent is an answer and not the end of us.
        let kind = runner.kind();
        let mut run = AbortOnDrop(tokio::spawn(async move { runner.run(job, context).await }));
        let deadline = tokio::time::sleep(limit);
        tokio::pin!(deadline);
        let mut beat = tokio::time::interval(self.settings.lease / 3);
        beat.tick().await;
        loop {
            tokio::select! {
                biased;
                ended = &mut run.0 => return ended.unwrap_or_else(|error| {
                    warn!(task.id = %task.id, %error, "The {kind} runner panicked");
                    Err(RunError::retryable("runner_panicked", "The agent stopped unexpectedly."))
                }),
                Some((message, percent)) = said.recv() => {
                    self.engine.pass_on(task, message, percent).await;
                }
                _ = beat.tick() => {
                    let until = self.engine.ports.clock.now().after(self.settings.lease);
                    match self.engine.ports.stores.ledger.extend(task.id, fence, until).await {
                        Ok(true) => {}
                        Ok(false) => return Err(RunError::terminal("lease_lost", "The lease is lost.")),
                        Err(error) => warn!(task.id = %task.id, %error, "A lease was not extended"),
                    }
                }
                () = &mut deadline => {
                    let detail = format!("The attempt took longer than {} seconds.", limit.as_secs());
                    return Err(RunError::retryable("timed_out", detail));
                }
            }
        }
    }

    /// What an agent returns is foreign: too much of it is a failure, the rest is cleaned, and has
    /// to be in the form that was asked for.
    fn sanitize(&self, outcome: Outcome, output_spec: &OutputSpec) -> Result<Outcome, RunError> {
        let limit = self.settings.max_output_bytes;
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

    /// Commits what came of the attempt; while the store is away, tries again as long as it makes
    /// sense. A result that is refused is late: somebody else has the task, or nobody wants it.
    async fn bring_back(
        &self,
        task: &Task,
        holder: LeaseHolder,
        reserved: bool,
        result: Result<Outcome, RunError>,
    ) {
        let (id, context) = (task.id, self.engine.context(Caller::worker(&holder.worker)));
        let result = Arc::new(result);
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(50);
        loop {
            match self.engine.take_in(task, &holder, reserved, &result, context.clone()).await {
                Ok(_) => return,
                Err(Error::Refused(refusal @ DomainError::Conflict { .. })) => {
                    info!(task.id = %id, %refusal, "A result of task {id} came too late");
                    return;
                }
                Err(Error::Refused(refusal)) => {
                    let used = used(&result).clone();
                    let unsound = RunError::terminal("unacceptable_result", refusal.to_string());
                    let unsound = unsound.having_used(used);
                    return Box::pin(self.bring_back(task, holder, reserved, Err(unsound))).await;
                }
                Err(error) if started.elapsed() > STORE_TIMEOUT => {
                    warn!(task.id = %id, %error, "A result of task {id} could not be stored");
                    return;
                }
                Err(error) => {
                    warn!(task.id = %id, %error, "A result of task {id} is not stored yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
            }
        }
    }
}

impl Engine {
    /// What an agent is given for a task.
    pub(crate) async fn assignment(
        &self,
        task: &Task,
        project: &SharedProject,
    ) -> Result<Assignment, StoreError> {
        let project =
            project.get_or_try_init(|| self.ports.stores.projects.project(task.project_id));
        let project = project.await?.as_deref();
        let context = match task.context_ids.as_slice() {
            [] => Vec::new(),
            ids => self.ports.stores.context.artifacts_by_id(ids).await?,
        };
        let goes_on = task.session.is_some() || !task.answers.is_empty();
        Ok(Assignment {
            project_id: task.project_id,
            project_name: project.map(|project| project.name.clone()).unwrap_or_default(),
            task_id: task.id,
            agent: task.agent,
            attempt: task.attempt,
            instructions: match &task.validation_error {
                Some(validation_error) => format!(
                    "{}\n\nThis was done before, and could not be accepted: {validation_error} Do it \
                     again, completely, so that it can.",
                    task.instructions
                ),
                None => task.instructions.clone(),
            },
            handoff: task.handoff.clone(),
            context,
            output_type: task.output_type,
            output_schema: project.and_then(|project| schema_of(project, task)),
            resume: goes_on
                .then(|| Resume { session: task.session.clone(), answers: task.answers.clone() }),
        })
    }

    /// Tells watchers how a task is getting on.
    pub(crate) async fn pass_on(&self, task: &Task, message: String, percent: Option<u8>) {
        let progress = TaskProgress {
            project_id: task.project_id,
            task_id: task.id,
            agent_type: task.agent,
            message,
            percent,
            at: self.ports.clock.now(),
        };
        // Lost progress is lost; nothing depends on it.
        drop(self.ports.bus.publish(vec![BusMessage::Progress(Arc::new(progress))]).await);
    }

    /// Commits what came of an attempt, and settles what it had reserved.
    pub(crate) async fn take_in(
        &self,
        task: &Task,
        holder: &LeaseHolder,
        reserved: bool,
        result: &Arc<Result<Outcome, RunError>>,
        context: DecisionContext,
    ) -> Result<Committed, Error> {
        let id = task.id;
        let mut scope = Scope::project(task.project_id).task(id);
        if let Ok(Outcome::Ask { question, .. }) = &**result {
            scope = scope.artifacts(&question.artifacts);
        }
        if reserved || !used(result).is_free() {
            scope = scope.records::<BudgetAccount>(accounts_of(task));
        }
        let (who, result) = (holder.clone(), Arc::clone(result));
        self.commit(context, scope, move |context, snapshot| match &*result {
            Ok(Outcome::Completed { output, artifacts, confidence, usage }) => {
                let work = Work {
                    output: output.clone(),
                    artifacts: artifacts.clone(),
                    confidence: *confidence,
                    usage: usage.clone(),
                };
                tasks::complete(context, snapshot, id, &who, &work)
            }
            Ok(Outcome::Ask { question, usage, session }) => {
                let inquiry = Inquiry {
                    question: question.clone(),
                    usage: usage.clone(),
                    session: session.clone(),
                };
                tasks::ask(context, snapshot, id, &who, &inquiry)
            }
            Err(error) => tasks::fail(context, snapshot, id, &who, error),
        })
        .await
    }

    /// Gives a task back that its holder cannot go on with; does nothing when nobody works on it.
    pub(crate) async fn requeue(
        &self,
        lease: HeldLease,
        reason: &'static str,
    ) -> Result<(), Error> {
        let HeldLease { task: id, holder } = lease;
        let Some(task) = self.ports.stores.tasks.task(id).await? else { return Ok(()) };
        if task.status() != TaskStatus::Working {
            return Ok(());
        }
        let requeue =
            move |context: &_, snapshot: &_| tasks::requeue(context, snapshot, id, &holder, reason);
        let scope = Scope::project(task.project_id).task(id);
        self.commit(self.context(Caller::system()), scope, requeue).await?;
        Ok(())
    }
}

/// What an attempt used, however it ended.
fn used(result: &Result<Outcome, RunError>) -> &Usage {
    match result {
        Ok(Outcome::Completed { usage, .. } | Outcome::Ask { usage, .. }) => usage,
        Err(error) => error.usage(),
    }
}

/// What the step that a task does says of its document.
pub(crate) fn schema_of(project: &Project, task: &Task) -> Option<Map<String, Value>> {
    project.plan.as_ref()?.workflow.step(task.step()?)?.output_schema.clone()
}

/// The longest one attempt at a task may take.
pub(crate) fn time_limit(task: &Task, default: Duration) -> Duration {
    task.timeout_s.map_or(default, |seconds| Duration::from_secs(seconds.into()))
}

/// The failure of an attempt that could not begin.
pub(crate) fn no_assignment(why: &impl std::fmt::Display) -> RunError {
    RunError::retryable("no_assignment", why.to_string())
}

/// More than is stored.
pub(crate) struct TooLarge {
    /// How much, and how much it may be.
    pub(crate) detail: String,
    /// What it took.
    pub(crate) usage: Box<Usage>,
}

/// What an agent returned, without control characters and with text that some store cannot hold
/// replaced; unless it is too much. The files of source code keep theirs: they are what somebody
/// wrote into a file.
pub(crate) fn sanitize(outcome: Outcome, limit: usize) -> Result<Outcome, TooLarge> {
    let (mut output, mut artifacts, confidence, usage) = match outcome {
        Outcome::Completed { output, artifacts, confidence, usage } => {
            (output, artifacts, confidence, usage)
        }
        Outcome::Ask { mut question, usage, session } => {
            let size = question.question.len()
                + question.options.iter().map(String::len).sum::<usize>()
                + session.as_ref().map_or(0, String::len);
            if size > limit.min(MAX_QUESTION) {
                let most = limit.min(MAX_QUESTION);
                let detail =
                    format!("The agent asks with {size} bytes; at most {most} are stored.");
                return Err(TooLarge { detail, usage: Box::new(usage) });
            }
            let texts = std::iter::once(&mut question.question).chain(&mut question.options);
            texts.for_each(|text| *text = without_controls(&clean(text)));
            let session = session.map(|session| clean(&session).into_owned());
            return Ok(Outcome::Ask { question, usage, session });
        }
    };
    let bytes = |map: &_| serde_json::to_vec(map).map_or(0, |json| json.len());
    let size =
        bytes(&output) + artifacts.iter().map(|artifact| bytes(&artifact.content)).sum::<usize>();
    if size > limit {
        let detail = format!("The agent returned {size} bytes; at most {limit} are stored.");
        return Err(TooLarge { detail, usage: Box::new(usage) });
    }
    clean_map(&mut output);
    strip_controls(&mut output);
    for artifact in &mut artifacts {
        clean_map(&mut artifact.content);
        if artifact.artifact_type != ArtifactType::SourceCode {
            strip_controls(&mut artifact.content);
        }
        clean_map(&mut artifact.metadata);
    }
    Ok(Outcome::Completed { output, artifacts, confidence, usage })
}

/// Ends a spawned task when it is no longer waited for.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
