//! Overhead of a step: from the return of an agent to the call of the next one. Everything is as in
//! the server (engine, worker, SQLite with durable commits, the workflow `sdlc` with its schemas
//! and contexts), in this process, with an agent that takes no time.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use botarmy_agents_llm::{LlmRunner, Prompts, Provider, ProviderKind};
use botarmy_domain::ports::{AgentRunner, Decide, Ledger, Projects, RecordsExt, StorePorts};
use botarmy_domain::{
    AgentType, ArtifactType, Assignment, Caller, Claim, Committed, Error, EventType, NewProject,
    Outcome, Oversight, Package, Probe, ProjectId, RunContext, RunError, Scope, StoreError, TaskId,
    Timestamp, WorkerId,
};
use botarmy_orchestrator::{
    Engine, EngineSettings, LeaseSettings, Ports, Runners, Worker, WorkerSettings, Workflows,
};
use botarmy_server::Settings;
use botarmy_server::channels::Channels;
use botarmy_server::stores::Stores;
use botarmy_server::system::{RandomIds, RandomSecrets, SystemClock};
use botarmy_tests::providers::sensible_document;
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, free_address};
use crate::stats::{Samples, ms};
use crate::table::Line;
use crate::{Scale, commits};

/// Number of steps of `sdlc` if its test passes.
const STEPS: usize = 9;
/// Number of projects before samples are taken.
const WARM: usize = 3;

/// Reason why a row of the table has no place in a comparison of binaries.
pub(crate) const IN_PROCESS: &[&str] =
    &["a step, without its agent, and its three parts", "the prompt of a model"];

pub(crate) const FIGURES: &[Figure] =
    &[Figure { name: "a step of an external worker, p50", unit: Unit::Milliseconds }];

/// Takes projects to completion as an external worker. Returns the times from writing the result of
/// one step to reading the next one, which are the overhead of a step with two requests.
pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let data = data_dir()?;
    let agents = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"];
    let agents = agents.map(|agent| format!("BOTARMY_AGENTS__{agent}__RUNNER"));
    let settings: Vec<_> = agents.iter().map(|agent| (agent.as_str(), "none")).collect();
    let server = Server::start(data.path(), &settings).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut samples = Samples::default();
    for n in 0..WARM + scale.of(20, 8) {
        let project = json!({
            "name": "Bench", "workflow": "sdlc", "oversight": "low",
            "description": "A recipe-sharing site for small families",
        });
        connection.create("/api/v1/projects", &project).await?;
        let mut lease = lease(&mut connection).await?;
        for step in 1..=STEPS {
            // The tester's output passes the test, so that no repair follows.
            let name = lease["task"]["task"]["step"].as_str();
            let output = sensible_document(name, "mended();");
            let id = lease["lease"].as_str().context("a lease has a name")?;
            let path = format!("{LEASES}/{id}/complete");
            let token = lease["token"].as_str();
            let body = json!({"output": output});
            let began = Instant::now();
            connection.create_with(token, &path, &body).await?;
            if step < STEPS {
                lease = self::lease(&mut connection).await?;
                if n >= WARM {
                    samples.push(began.elapsed());
                }
            }
        }
    }
    server.stop().await?;
    Ok(vec![ms(samples.p50())])
}

const LEASES: &str = "/api/v1/worker/leases";

/// Leases the next step.
async fn lease(connection: &mut Connection) -> Result<Value> {
    let agents: Vec<_> = AgentType::ALL.iter().map(|agent| agent.as_str()).collect();
    let query = json!({"worker_id": "bench", "agents": agents, "max": 1, "wait_s": 10});
    let answer = connection.create(LEASES, &query).await?;
    Ok(answer["leases"][0].clone())
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let data = data_dir()?;
    let commit = commits::after_a_pause(data.path()).await?;
    let bench = Bench::open(data.path()).await?;
    for n in 0..WARM + scale.of(25, 5) {
        let seen = bench.project().await.with_context(|| format!("project {n}"))?;
        if n >= WARM {
            bench.count(&seen)?;
        }
    }
    let jobs = std::mem::take(&mut *locked(&bench.agent.jobs));
    let parts = std::mem::take(&mut *locked(&bench.parts));
    bench.close().await;
    let [whole, stored, claimed, called] = parts;
    let asked = unanswered_prompts(&jobs).await?;
    let goal = [("p50", whole.p50(), Duration::from_millis(3))];
    let mut line = Line::times("a step, without its agent", &goal);
    line.limit = format!("one commit {:.2} ms", ms(commit));
    Ok(vec![line.note(format!(
        "{} samples (p99 {:.2} ms), from an agent that returns to the next that is called; {:.1} \
         times one commit of one row alone, after a pause, of which a step takes two. p50 of the \
         parts: validated and stored {:.2} ms, the next claimed {:.2} ms, its context read {:.2} \
         ms. A model's prompt comes on top: with a request that no provider accepts, p50 {:.2} ms for \
         the same assignments",
        whole.len(),
        ms(whole.p99()),
        ms(whole.p50()) / ms(commit),
        ms(stored.p50()),
        ms(claimed.p50()),
        ms(called.p50()),
        ms(asked.p50())
    ))])
}

/// Time of an event by task.
type Times = Arc<Mutex<HashMap<TaskId, Instant>>>;

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One run of an agent.
#[derive(Debug, Clone, Copy)]
struct Run {
    task: TaskId,
    called: Instant,
    returned: Instant,
}

/// An agent that returns at once and records the times of its calls and returns.
struct TimedAgent {
    agent: ScriptedRunner,
    runs: Mutex<Vec<Run>>,
    jobs: Mutex<Vec<Assignment>>,
}

impl TimedAgent {
    fn new() -> Self {
        let agent = ScriptedRunner::new(|job| {
            let text = "measure ".repeat(256);
            Act::Content(match job.output_type {
                Some(ArtifactType::SourceCode) => {
                    let file = |n| json!({"path": format!("src/{n}.js"), "content": text});
                    json!({"files": (0..10).map(file).collect::<Vec<_>>(), "task": job.task_id})
                }
                _ => json!({"passed": true, "ok": true, "text": text, "task": job.task_id}),
            })
        });
        Self { agent, runs: Mutex::default(), jobs: Mutex::default() }
    }
}

#[async_trait]
impl AgentRunner for TimedAgent {
    fn kind(&self) -> &'static str {
        "timed"
    }

    async fn probe(&self) -> Probe {
        self.agent.probe().await
    }

    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError> {
        let (called, task) = (Instant::now(), job.task_id);
        locked(&self.jobs).push(job.clone());
        let outcome = self.agent.run(job, context).await;
        locked(&self.runs).push(Run { task, called, returned: Instant::now() });
        outcome
    }
}

/// Delegates all calls, and records the times at which a task was committed as claimed and as
/// completed.
struct TimedLedger {
    ledger: Arc<dyn Ledger>,
    claimed: Times,
    completed: Times,
}

#[async_trait]
impl Ledger for TimedLedger {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        let committed = self.ledger.transact(scope, decide).await?;
        note(&committed, EventType::TaskCompleted, &self.completed);
        Ok(committed)
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        let committed = self.ledger.claim(claim).await?;
        note(&committed, EventType::TaskStarted, &self.claimed);
        Ok(committed)
    }

    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError> {
        self.ledger.extend(task, fence, until).await
    }

    async fn note_key_use(
        &self,
        key: botarmy_domain::CredentialId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.ledger.note_key_use(key, at).await
    }

    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.ledger.forget_replies(now, limit).await
    }
}

fn note(committed: &Committed, event: EventType, times: &Times) {
    let now = Instant::now();
    let entries = committed.entries.iter().filter(|entry| entry.event_type == event);
    locked(times).extend(entries.filter_map(|entry| Some((entry.task_id?, now))));
}

/// The use cases, assembled as in the server, without its borders.
struct Bench {
    engine: Engine,
    stores: Stores,
    agent: Arc<TimedAgent>,
    claimed: Times,
    completed: Times,
    /// The whole overhead, and its three parts.
    parts: Mutex<[Samples; 4]>,
    stop: watch::Sender<bool>,
    working: tokio::task::JoinHandle<()>,
    background: [tokio::task::JoinHandle<()>; 2],
}

impl Bench {
    async fn open(data: &Path) -> Result<Self> {
        let mut settings = Settings::defaults();
        settings.store.data_dir = data.to_owned();
        let stores = Stores::open(&settings).await?;
        let channels = Channels::open(&settings, None, &stores);
        let (claimed, completed) = (Times::default(), Times::default());
        let ledger = TimedLedger {
            ledger: Arc::clone(&stores.ports.ledger),
            claimed: Arc::clone(&claimed),
            completed: Arc::clone(&completed),
        };
        let ports = Ports {
            stores: StorePorts {
                ledger: Arc::new(ledger),
                agents: Arc::clone(&channels.agents),
                ..stores.ports.clone()
            },
            bus: Arc::clone(&channels.bus),
            wake_ups: Arc::clone(&channels.wake_ups),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            secrets: Arc::new(RandomSecrets),
        };
        let engine = Engine::new(ports, Workflows::default(), EngineSettings::default());
        let agent = Arc::new(TimedAgent::new());
        let runner = |kind: &AgentType| (*kind, Arc::clone(&agent) as Arc<dyn AgentRunner>);
        let runners: Runners = AgentType::ALL.iter().map(runner).collect();
        let worker = &settings.worker;
        let worker_settings = WorkerSettings {
            id: WorkerId("worker-bench".to_owned()),
            slots: AgentType::ALL.iter().map(|agent| (*agent, 4)).collect::<BTreeMap<_, _>>(),
            leases: LeaseSettings {
                lease: Duration::from_secs(worker.lease_s),
                first_call: Duration::from_secs(worker.first_call_s),
                attempt_timeout: Duration::from_secs(worker.attempt_timeout_s),
                poll: Duration::from_millis(worker.poll_ms),
                max_output_bytes: worker.max_output_bytes,
            },
        };
        let worker = Worker::new(engine.clone(), runners, worker_settings);
        let (stop, stopped) = watch::channel(false);
        let working = tokio::spawn(worker.run(stopped, Duration::ZERO));
        let interval = Duration::from_millis(settings.orchestrator.timer_interval_ms);
        let (watching, keeping) = (engine.clone(), engine.clone());
        let background = [
            tokio::spawn(async move { watching.watch_agents().await }),
            tokio::spawn(async move { keeping.run_timers(interval).await }),
        ];
        let parts = Mutex::default();
        Ok(Self { engine, stores, agent, claimed, completed, parts, stop, working, background })
    }

    /// Takes a project from its start to its package; returns the runs of its agents.
    async fn project(&self) -> Result<Vec<Run>> {
        locked(&self.agent.runs).clear();
        let new = NewProject {
            name: "Bench".to_owned(),
            description: Some("A recipe-sharing site for small families".to_owned()),
            workflow: Some("sdlc".to_owned()),
            oversight: Oversight::Low,
        };
        let id: ProjectId = self.engine.create_project(new, Caller::person("bench")).await?.id;
        let began = Instant::now();
        while self.stores.ports.records.record::<Package>(id).await?.is_none() {
            if began.elapsed() > Duration::from_secs(30) {
                let project = self.stores.ports.projects.project(id).await?;
                bail!("the project does not complete: {project:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let runs = locked(&self.agent.runs).clone();
        if runs.len() != STEPS {
            bail!("{} steps instead of {STEPS}", runs.len());
        }
        Ok(runs)
    }

    /// Adds the samples between consecutive runs.
    fn count(&self, runs: &[Run]) -> Result<()> {
        let (claimed, completed) = (locked(&self.claimed), locked(&self.completed));
        let mut parts = locked(&self.parts);
        for pair in runs.windows(2) {
            let (done, next) = (pair[0], pair[1]);
            let stored = *completed.get(&done.task).context("it was never completed")?;
            let taken = *claimed.get(&next.task).context("it was never claimed")?;
            parts[0].push(next.called - done.returned);
            parts[1].push(stored - done.returned);
            parts[2].push(taken - stored);
            parts[3].push(next.called - taken);
        }
        Ok(())
    }

    async fn close(self) {
        self.stop.send_replace(true);
        // No task is in progress.
        drop(self.working.await);
        self.background.iter().for_each(tokio::task::JoinHandle::abort);
        self.stores.close().await;
    }
}

/// Measures a model runner whose provider does not respond: building the prompt and failing to
/// connect.
async fn unanswered_prompts(jobs: &[Assignment]) -> Result<Samples> {
    let provider = Provider {
        name: "nobody".to_owned(),
        kind: ProviderKind::Compatible,
        base_url: format!("http://{}/v1", free_address()?),
        key: None,
        key_env: None,
        max_tokens: 32_000,
        context_tokens: 60_000,
        silence: Duration::from_secs(10),
        schema: false,
    };
    let prompts = Arc::new(Prompts::built_in());
    let runner = LlmRunner::new(provider, "model", prompts, None, Arc::new(SystemClock))?;
    let mut samples = Samples::default();
    let asks = |job: &&Assignment| job.output_type != Some(ArtifactType::DeploymentLog);
    for job in jobs.iter().filter(asks).take(200) {
        let deadline = Timestamp::from_micros(i64::MAX / 2);
        let context = RunContext { deadline, fence: 1, trace: None, progress: Box::new(|_, _| {}) };
        let job = job.clone();
        let began = Instant::now();
        match runner.run(job, context).await {
            Err(RunError::Retryable { code, .. }) if code == "provider_unreachable" => {}
            other => bail!("the provider answered: {other:?}"),
        }
        samples.push(began.elapsed());
    }
    Ok(samples)
}
