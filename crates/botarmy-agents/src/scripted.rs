//! A runner that does what it is told: for tests of everything around a runner, and for
//! benchmarks that want to measure everything but one.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::budget::Amount;
use botarmy_domain::ports::{
    AgentRunner, Assignment, Outcome, Probe, Question, RunContext, RunError, Usage,
};
use botarmy_domain::vocabulary::AgentType;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

/// What the runner does with one assignment.
#[derive(Debug, Clone)]
pub enum Act {
    /// Returns this.
    Return(Result<Outcome, RunError>),
    /// Completes with an artifact of the expected type and this content, and with something in
    /// every place that the step's schema wants filled beside it.
    Content(Value),
    /// Does nothing until it is dropped.
    Hang,
    /// Waits to be notified, then goes on.
    Wait(Arc<Notify>, Box<Self>),
    /// Waits this long on tokio's clock, then goes on.
    After(Duration, Box<Self>),
    /// Panics.
    Panic,
}

impl Act {
    /// Completes with this output and these artifacts.
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

    /// Fails so that another try may help.
    #[must_use]
    pub fn retryable(code: &str, detail: &str) -> Self {
        Self::Return(Err(RunError::Retryable {
            code: code.to_owned(),
            detail: detail.to_owned(),
            after: None,
            usage: Box::default(),
        }))
    }

    /// Fails for good.
    #[must_use]
    pub fn terminal(code: &str, detail: &str) -> Self {
        Self::Return(Err(RunError::Terminal {
            code: code.to_owned(),
            detail: detail.to_owned(),
            usage: Box::default(),
        }))
    }

    /// Asks a person.
    #[must_use]
    pub fn ask(question: &str, options: &[&str]) -> Self {
        Self::Return(Ok(Outcome::Ask {
            question: Question {
                question: question.to_owned(),
                options: options.iter().map(|option| (*option).to_owned()).collect(),
                artifacts: Vec::new(),
            },
            usage: Usage::default(),
            session: None,
        }))
    }
}

type Script = dyn Fn(&Assignment) -> Act + Send + Sync;

/// A runner whose behaviour a test gives: rules by step or agent type with what to do one time
/// after the other, or a closure. What no rule speaks of is completed at once.
pub struct Scripted {
    script: Box<Script>,
    queues: Mutex<HashMap<Key, VecDeque<Act>>>,
    records: bool,
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

impl Default for Scripted {
    fn default() -> Self {
        Self::new(|_| Act::Content(json!({})))
    }
}

impl Scripted {
    /// A runner that asks this closure what to do.
    #[must_use]
    pub fn new(script: impl Fn(&Assignment) -> Act + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
            queues: Mutex::default(),
            records: true,
            worst_case: None,
            seen: Mutex::default(),
            running: Arc::default(),
            dropped: Arc::default(),
        }
    }

    /// A runner that completes everything at once: the output `{}`, and where an artifact is
    /// expected one with the content `{}`. It does not remember what it saw, so it can run for
    /// hours.
    #[must_use]
    pub fn noop() -> Self {
        Self { records: false, ..Self::default() }
    }

    /// What to do with the assignments of this step, one after the other. Comes before rules for
    /// the agent type and before the closure; when it is used up, those are asked.
    #[must_use]
    pub fn on_step(self, step: &str, acts: impl IntoIterator<Item = Act>) -> Self {
        self.queue(Key::Step(step.to_owned()), acts)
    }

    /// What to do with the assignments of this agent type, one after the other.
    #[must_use]
    pub fn on_agent(self, agent: AgentType, acts: impl IntoIterator<Item = Act>) -> Self {
        self.queue(Key::Agent(agent), acts)
    }

    /// Says that every assignment may cost this much.
    #[must_use]
    pub fn costing(self, worst_case: Amount) -> Self {
        Self { worst_case: Some(worst_case), ..self }
    }

    fn queue(self, key: Key, acts: impl IntoIterator<Item = Act>) -> Self {
        locked(&self.queues).entry(key).or_default().extend(acts);
        self
    }

    /// The assignments it was given, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Assignment> {
        locked(&self.seen).clone()
    }

    /// How many assignments it is at now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// How many assignments were taken away from it before they were done.
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
impl AgentRunner for Scripted {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    async fn probe(&self) -> Probe {
        Probe { ready: true, message: "Does what a test tells it.".to_owned() }
    }

    fn worst_case(&self, _job: &Assignment) -> Option<Amount> {
        self.worst_case
    }

    async fn run(&self, job: Assignment, _context: RunContext) -> Result<Outcome, RunError> {
        if self.records {
            locked(&self.seen).push(job.clone());
        }
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
                    return Ok(completed(&job, content));
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

fn completed(job: &Assignment, content: Value) -> Outcome {
    let mut content = object(content);
    if let Some(schema) = &job.output_schema {
        fill(&mut content, schema);
    }
    let artifacts = job.output_type.map(|kind| NewArtifact::new(kind, content));
    Outcome::Completed {
        output: Map::new(),
        artifacts: artifacts.into_iter().collect(),
        confidence: None,
        usage: Usage::default(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// Puts something in for every key that is required and missing.
fn fill(content: &mut Map<String, Value>, schema: &Map<String, Value>) {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for key in required.filter_map(Value::as_str) {
        let form = schema.get("properties").and_then(|properties| properties.get(key));
        content.entry(key.to_owned()).or_insert_with(|| form.map_or(Value::Null, sample));
    }
}

/// The least that a schema of the simple kind lets through.
fn sample(schema: &Value) -> Value {
    let at_least = |key: &str| schema[key].as_u64().unwrap_or(0) as usize;
    match schema["type"].as_str() {
        Some("string") => "x".repeat(at_least("minLength")).into(),
        Some("boolean") => false.into(),
        Some("number" | "integer") => schema["minimum"].as_i64().unwrap_or(0).into(),
        Some("array") => vec![sample(&schema["items"]); at_least("minItems")].into(),
        Some("object") => {
            let mut content = Map::new();
            fill(&mut content, schema.as_object().expect("it was found by a key"));
            content.into()
        }
        _ => Value::Null,
    }
}

/// Counts an assignment in and out, also when its future is dropped.
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
    use super::*;
    use botarmy_domain::ids::{ProjectId, TaskId};
    use botarmy_domain::timestamp::Timestamp;
    use botarmy_domain::vocabulary::ArtifactType;

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
        }
    }

    fn context() -> RunContext {
        RunContext { deadline: Timestamp::from_micros(0), fence: 1, progress: Box::new(|_, _| ()) }
    }

    #[tokio::test]
    async fn rules_are_used_up_one_after_the_other_and_then_the_closure_is_asked() {
        let runner = Scripted::default().on_agent(
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
    async fn what_hangs_can_be_dropped_and_is_counted() {
        let runner = Arc::new(Scripted::new(|_| Act::Hang));
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
    async fn what_waits_goes_on_when_it_is_notified() {
        let gate = Arc::new(Notify::new());
        let then = Box::new(Act::Content(json!({"a": 1})));
        let runner =
            Scripted::default().on_agent(AgentType::Coder, [Act::Wait(Arc::clone(&gate), then)]);
        gate.notify_one();
        let outcome = runner.run(job(AgentType::Coder), context()).await.unwrap();
        let Outcome::Completed { artifacts, .. } = outcome else { panic!("not completed") };
        assert_eq!(artifacts[0].content["a"], 1);
        assert_eq!((runner.running(), runner.dropped()), (0, 0));
    }

    #[tokio::test]
    async fn the_idle_runner_completes_everything_and_remembers_nothing() {
        let runner = Scripted::noop();
        let job = Assignment { output_type: None, ..job(AgentType::Analyst) };
        let outcome = runner.run(job, context()).await.unwrap();
        assert!(
            matches!(outcome, Outcome::Completed { output, artifacts, .. } if output.is_empty() && artifacts.is_empty())
        );
        assert!(runner.seen().is_empty());
    }
}
