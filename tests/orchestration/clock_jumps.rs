//! The machine's clock is set while work is going on. Leases, retries and requests keep the durations
//! that they were given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use botarmy_domain::lease::{FIRST_CALL, LEASE};
use botarmy_domain::ports::{Clock, Gates, WorkerLeases};
use botarmy_domain::{
    AgentType, HitlStatus, Leased, NewRequest, OnExpiry, Outcome, ProjectId, RunError, TaskStatus,
    Timestamp, Usage, WorkQuery, WorkerId,
};
use botarmy_memory::ManualClock;
use botarmy_orchestrator::Leases;
use botarmy_server::steady_clock::{MachineClocks, SteadyClock};
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::{Setup, TestHarness, owner};
use serde_json::Map;

use super::tasks::submit;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// A machine whose time of day is set by hand, independently of the time that passes.
struct Machine {
    wall: Arc<ManualClock>,
    passed: Arc<AtomicU64>,
}

impl MachineClocks for Machine {
    fn wall(&self) -> Timestamp {
        self.wall.now()
    }

    fn passed(&self) -> Duration {
        Duration::from_micros(self.passed.fetch_add(1, Ordering::SeqCst))
    }
}

/// The use cases on a machine, and the time that passes on it.
struct World {
    harness: TestHarness,
    passed: Arc<AtomicU64>,
    leases: Leases,
    project: ProjectId,
}

impl World {
    async fn new() -> Self {
        let (wall, passed) = (Arc::new(ManualClock::default()), Arc::new(AtomicU64::new(0)));
        let machine = Machine { wall: Arc::clone(&wall), passed: Arc::clone(&passed) };
        let clock = Arc::new(SteadyClock::new(machine));
        let (runner, mut setup) = (ScriptedRunner::default(), Setup::default());
        setup.settings.defaults.on_expiry = OnExpiry::Reject;
        let harness = TestHarness::build_on(wall, clock, runner, setup, |ledger| ledger);
        let (leases, project) = (harness.leases(), harness.by_hand().await);
        Self { harness, passed, leases, project }
    }

    /// Lets time pass in steps, with the timers that are due.
    async fn pass(&self, mut time: Duration) {
        while !time.is_zero() {
            let step = time.min(SECOND);
            let micros = u64::try_from(step.as_micros()).unwrap();
            self.passed.fetch_add(micros, Ordering::SeqCst);
            self.harness.pass(step).await;
            time -= step;
        }
    }

    async fn take(&self) -> Option<Leased> {
        let (worker, agents) = (WorkerId::external("w"), vec![AgentType::Coder]);
        let query = WorkQuery { worker, agents, max: 1, wait: Duration::ZERO, caller: owner() };
        self.leases.lease(query).await.unwrap().pop()
    }

    async fn status(&self) -> TaskStatus {
        self.harness.tasks(self.project).await[0].status()
    }

    /// Sets the clock by an hour.
    fn jump(&self, direction: &str) {
        match direction {
            "forward" => self.harness.clock.advance(HOUR),
            _ => self.harness.clock.set_back(HOUR),
        }
    }
}

/// Directions in which the clock is set.
const DIRECTIONS: [&str; 2] = ["forward", "back"];

fn done() -> Result<Outcome, RunError> {
    let (output, artifacts, usage) = (Map::new(), Vec::new(), Usage::default());
    Ok(Outcome::Completed { output, artifacts, confidence: None, usage })
}

#[tokio::test]
async fn a_worker_that_sends_heartbeats_keeps_its_task_when_the_clock_is_set() {
    for how in DIRECTIONS {
        let world = World::new().await;
        submit(&world.harness, world.project).await;
        let leased = world.take().await.unwrap();
        world.leases.heartbeat(leased.presented(), None).await.unwrap();
        world.jump(how);
        // The attempt may take ten minutes.
        for minute in 1..=8 {
            world.pass(Duration::from_secs(60)).await;
            let heard = world.leases.heartbeat(leased.presented(), None).await;
            assert!(heard.is_ok(), "{how}, after {minute} minutes: {heard:?}");
        }
        world.leases.finish(leased.presented(), done()).await.unwrap();
        assert_eq!(world.status().await, TaskStatus::Completed);
        world.harness.check().await;
    }
}

#[tokio::test]
async fn a_silent_worker_loses_its_task_in_time_when_the_clock_is_set() {
    for how in DIRECTIONS {
        let world = World::new().await;
        submit(&world.harness, world.project).await;
        let leased = world.take().await.unwrap();
        world.leases.heartbeat(leased.presented(), None).await.unwrap();
        world.jump(how);
        world.pass(LEASE * 8 / 10).await;
        assert_eq!(world.status().await, TaskStatus::Working, "{how}");
        world.pass(LEASE * 4 / 10).await;
        assert_eq!(world.status().await, TaskStatus::Pending, "{how}");
        world.pass(SECOND * 5).await;
        let again = world.take().await;
        assert!(again.is_some(), "{how}: the retry is due");
        world.pass(FIRST_CALL * 12 / 10).await;
        assert_eq!(world.status().await, TaskStatus::Pending, "{how}: no call came");
    }
}

#[tokio::test]
async fn a_retry_comes_in_time_when_the_clock_is_set() {
    for how in DIRECTIONS {
        let world = World::new().await;
        submit(&world.harness, world.project).await;
        let leased = world.take().await.unwrap();
        let busy = RunError::Retryable {
            code: "busy".to_owned(),
            detail: "Later.".to_owned(),
            after: Some(SECOND * 20),
            usage: Box::default(),
        };
        world.leases.finish(leased.presented(), Err(busy)).await.unwrap();
        world.jump(how);
        world.pass(SECOND * 16).await;
        assert!(world.take().await.is_none(), "{how}: too early");
        world.pass(SECOND * 8).await;
        assert!(world.take().await.is_some(), "{how}: too late");
    }
}

#[tokio::test]
async fn a_request_expires_in_time_when_the_clock_is_set() {
    for how in DIRECTIONS {
        let world = World::new().await;
        let task = submit(&world.harness, world.project).await;
        let request = NewRequest {
            project_id: world.project,
            task_id: Some(task.id),
            question: "Which?".to_owned(),
            options: Vec::new(),
            ttl_s: Some(600),
            artifacts: Vec::new(),
            policy: None,
            assignees: Vec::new(),
            response_schema: None,
        };
        let request = world.harness.engine.raise_request(request, owner()).await.unwrap();
        let status = async || {
            use botarmy_domain::ports::HitlStore;
            world.harness.store.request(request.id).await.unwrap().unwrap().status()
        };
        world.jump(how);
        world.pass(Duration::from_secs(500)).await;
        assert_eq!(status().await, HitlStatus::Pending, "{how}: too early");
        world.pass(Duration::from_secs(200)).await;
        assert_eq!(status().await, HitlStatus::Expired, "{how}: too late");
    }
}
