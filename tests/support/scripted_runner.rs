//! A runner whose behaviour a test or a benchmark sets.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::budget::Amount;
use botarmy_domain::ports::AgentRunner;
use botarmy_domain::vocabulary::AgentType;
use botarmy_domain::{Assignment, Outcome, Probe, Question, RunContext, RunError, Usage};
use botarmy_memory::least_outcome;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

/// Reaction of the runner to one assignment.
#[expect(clippy::large_enum_variant, reason = "a test has few of them")]
#[derive(Debug, Clone)]
pub enum Act {
    /// Returns this result.
    Return(Result<Outcome, RunError>),
    /// Completes with an artifact of the expected type and this content, and with the least value for
    /// every other key that the step's schema requires.
    Content(Value),
    /// Does nothing until the run is cancelled.
    Hang,
    /// Waits for a notification, then continues with the next reaction.
    Wait(Arc<Notify>, Box<Self>),
    /// Waits this long on tokio's clock, then continues with the next reaction.
    After(Duration, Box<Self>),
    /// Panics.
    Panic,
}

impl Act {
    /// Returns a reaction that completes with this output and these artifacts.
    #[must_use]
    pub fn complete(output: Value, artifacts: Vec<NewArtifact>) -> Self {
        let output = object(output);
        Self::Return(Ok(Outcome::Completed {
            output,
            artifacts,
            confidence: None,
            usage: Usage::default(),
        }))
    }

    /// Returns a reaction that fails with an error that a retry can help.
    #[must_use]
    pub fn retryable(code: &str, detail: &str) -> Self {
        Self::Return(Err(RunError::Retryable {
            code: code.to_owned(),
            detail: detail.to_owned(),
            after: None,
            usage: Box::default(),
        }))
    }

    /// Returns a reaction that fails for good.
    #[must_use]
    pub fn terminal(code: &str, detail: &str) -> Self {
        Self::Return(Err(RunError::Terminal {
            code: code.to_owned(),
            detail: detail.to_owned(),
            usage: Box::default(),
        }))
    }

    /// Returns a reaction that asks a person.
    #[must_use]
    pub fn ask(question: &str, options: &[&str]) -> Self {
        Self::Return(Ok(Outcome::Ask {
            question: Question {
                question: question.to_owned(),
                options: options.iter().map(|option| (*option).to_owned()).collect(),
                artifacts: Vec::new(),
                policy: None,
                assignees: Vec::new(),
                response_schema: None,
            },
            usage: Usage::default(),
            session: None,
        }))
    }
}

type Script = dyn Fn(&Assignment) -> Act + Send + Sync;

/// A runner with rules: a queue of reactions for a step or an agent type, or a closure. An assignment
/// without a rule is completed at once.
pub struct ScriptedRunner {
    script: Box<Script>,
    queues: Mutex<HashMap<Key, VecDeque<Act>>>,
    worst_case: Option<Amount>,
    seen: Mutex<Vec<Assignment>>,
    running: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Step(String),
    Agent(AgentType),
}

impl Default for ScriptedRunner {
    fn default() -> Self {
        Self::new(|_| Act::Content(json!({})))
    }
}

impl ScriptedRunner {
    /// Creates a runner that reacts by a closure.
    #[must_use]
    pub fn new(script: impl Fn(&Assignment) -> Act + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
            queues: Mutex::default(),
            worst_case: None,
            seen: Mutex::default(),
            running: Arc::default(),
            dropped: Arc::default(),
        }
    }

    /// Adds reactions to the assignments of a step, one after the other. They come before the rules for
    /// the agent type and before the closure, which apply again when they are used up.
    #[must_use]
    pub fn on_step(self, step: &str, acts: impl IntoIterator<Item = Act>) -> Self {
        self.queue(Key::Step(step.to_owned()), acts)
    }

    /// Adds reactions to the assignments of an agent type, one after the other.
    #[must_use]
    pub fn on_agent(self, agent: AgentType, acts: impl IntoIterator<Item = Act>) -> Self {
        self.queue(Key::Agent(agent), acts)
    }

    /// Sets the worst-case cost of every assignment.
    #[must_use]
    pub fn costing(self, worst_case: Amount) -> Self {
        Self { worst_case: Some(worst_case), ..self }
    }

    fn queue(self, key: Key, acts: impl IntoIterator<Item = Act>) -> Self {
        locked(&self.queues).entry(key).or_default().extend(acts);
        self
    }

    /// Returns the assignments so far, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Assignment> {
        locked(&self.seen).clone()
    }

    /// Returns the number of assignments that are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Returns the number of assignments that were cancelled.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    fn act_for(&self, job: &Assignment) -> Act {
        let mut queues = locked(&self.queues);
        let step = job.handoff.as_ref().map(|handoff| Key::Step(handoff.step.clone()));
        for key in step.into_iter().chain([Key::Agent(job.agent)]) {
            if let Some(act) = queues.get_mut(&key).and_then(VecDeque::pop_front) {
                return act;
            }
        }
        drop(queues);
        (self.script)(job)
    }
}

#[async_trait]
impl AgentRunner for ScriptedRunner {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    async fn probe(&self) -> Probe {
        Probe { ready: true, message: "Ready: follows the script of a test.".to_owned() }
    }

    fn worst_case(&self, _job: &Assignment) -> Option<Amount> {
        self.worst_case
    }

    async fn run(&self, job: Assignment, _context: RunContext) -> Result<Outcome, RunError> {
        locked(&self.seen).push(job.clone());
        let mut act = self.act_for(&job);
        let mut presence = Presence::enter(&self.running, &self.dropped);
        loop {
            act = match act {
                Act::Return(result) => {
                    presence.finished = true;
                    return result;
                }
                Act::Content(content) => {
                    presence.finished = true;
                    return Ok(least_outcome(&job, object(content)));
                }
                Act::Hang => std::future::pending().await,
                Act::Wait(notify, then) => {
                    notify.notified().await;
                    *then
                }
                Act::After(time, then) => {
                    tokio::time::sleep(time).await;
                    *then
                }
                Act::Panic => panic!("the script says so"),
            };
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// Counts an assignment while it runs, also when its future is dropped.
struct Presence {
    running: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    finished: bool,
}

impl Presence {
    fn enter(running: &Arc<AtomicUsize>, dropped: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Self { running: Arc::clone(running), dropped: Arc::clone(dropped), finished: false }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        if !self.finished {
            self.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use botarmy_domain::ids::{ProjectId, TaskId};
    use botarmy_domain::timestamp::Timestamp;
    use botarmy_domain::vocabulary::ArtifactType;

    use super::*;

    fn job(agent: AgentType) -> Assignment {
        Assignment {
            project_id: "0190a0b0-0000-7000-8000-00000000000a".parse::<ProjectId>().unwrap(),
            project_name: "Project".to_owned(),
            task_id: "0190a0b0-0000-7000-8000-00000000000b".parse::<TaskId>().unwrap(),
            agent,
            attempt: 1,
            instructions: "Do it.".to_owned(),
            handoff: None,
            context: Vec::new(),
            output_type: Some(ArtifactType::AgentOutput),
            output_schema: None,
            resume: None,
            workflow: None,
        }
    }

    fn context() -> RunContext {
        RunContext {
            deadline: Timestamp::from_micros(0),
            fence: 1,
            trace: None,
            progress: Box::new(|_, _| ()),
        }
    }

    #[tokio::test]
    async fn queued_reactions_come_before_the_closure() {
        let runner = ScriptedRunner::default().on_agent(
            AgentType::Coder,
            [
                Act::retryable("busy", "later"),
                Act::terminal("no", "never"),
                Act::ask("Which?", &["a"]),
            ],
        );
        let mut results = Vec::new();
        for _ in 0..4 {
            results.push(runner.run(job(AgentType::Coder), context()).await);
        }
        assert!(matches!(&results[0], Err(RunError::Retryable { code, .. }) if code == "busy"));
        assert!(matches!(&results[1], Err(RunError::Terminal { code, .. }) if code == "no"));
        assert!(
            matches!(&results[2], Ok(Outcome::Ask { question, .. }) if question.options == ["a"])
        );
        assert!(
            matches!(&results[3], Ok(Outcome::Completed { artifacts, .. }) if artifacts.len() == 1)
        );
        assert_eq!(runner.seen().len(), 4);
    }

    #[tokio::test]
    async fn a_run_that_hangs_can_be_cancelled_and_is_counted() {
        let runner = Arc::new(ScriptedRunner::new(|_| Act::Hang));
        let held = Arc::clone(&runner);
        let task = tokio::spawn(async move { held.run(job(AgentType::Tester), context()).await });
        while runner.running() == 0 {
            tokio::task::yield_now().await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!((runner.running(), runner.dropped()), (0, 1));
    }

    #[tokio::test]
    async fn a_run_that_waits_continues_when_it_is_notified() {
        let gate = Arc::new(Notify::new());
        let then = Box::new(Act::Content(json!({"a": 1})));
        let runner = ScriptedRunner::default()
            .on_agent(AgentType::Coder, [Act::Wait(Arc::clone(&gate), then)]);
        gate.notify_one();
        let outcome = runner.run(job(AgentType::Coder), context()).await.unwrap();
        let Outcome::Completed { artifacts, .. } = outcome else { panic!("not completed") };
        assert_eq!(artifacts[0].content["a"], 1);
        assert_eq!((runner.running(), runner.dropped()), (0, 0));
    }
}
