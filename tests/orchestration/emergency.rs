//! Emergency stops: running work ends, nothing new starts, and author and reason are recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_domain::decide::emergency;
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::ports::{
    AuditLog, Decide, Ledger, Operations, Projects, RecordsExt, WorkerLeases,
};
use botarmy_domain::{
    AgentType, Claim, Committed, DomainError, Error, EventType, LogId, ProjectId, ProjectState,
    ProjectStatus, Scope, StoreError, TaskId, TaskStatus, Timestamp, WorkQuery, WorkerId,
};
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{Setup, TestHarness, owner};

use super::tasks::submit;

/// Returns a harness with a running coder task that never ends.
async fn at_work() -> (TestHarness, ProjectId, tokio::sync::watch::Sender<bool>) {
    let harness =
        TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [Act::Hang]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(Arc::clone(&harness.worker).run(stopped, Duration::from_millis(10)));
    while harness.runner.running() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (harness, id, stop)
}

fn why() -> String {
    "It runs wild".to_owned()
}

#[tokio::test]
async fn what_runs_is_ended_within_a_second_and_goes_on_after_the_release() {
    for which in 0..3 {
        let (harness, id, _stop) = at_work().await;
        let scope =
            [StopScope::Everything, StopScope::Agent(AgentType::Coder), StopScope::Project(id)]
                [which];
        let began = Instant::now();
        let stopped = harness.engine.stop(scope, why(), owner()).await.unwrap();
        assert_eq!((stopped.is_new, stopped.interrupted), (true, 1), "{scope}");
        while harness.runner.running() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{scope}: {:?}", began.elapsed());
        assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Pending);

        let other = submit_if_open(&harness, id).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(harness.runner.seen().len(), 1, "{scope}: nothing new starts");
        let again = harness.engine.stop(scope, "me too".to_owned(), owner()).await.unwrap();
        assert_eq!((again.is_new, again.stop.reason.as_str()), (false, "It runs wild"));

        harness.engine.release(scope, "It is tame".to_owned(), owner()).await.unwrap();
        while harness.status(id).await != ProjectStatus::Completed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(harness.runner.seen().len(), 2 + usize::from(other));
        assert!(harness.store.all::<Stop>().await.unwrap().is_empty());
        assert_recorded(&harness, scope).await;
    }
}

/// Submits a task, which a stopped project refuses and any other accepts.
async fn submit_if_open(harness: &TestHarness, id: ProjectId) -> bool {
    if harness.status(id).await != ProjectStatus::Active {
        return false;
    }
    submit(harness, id).await;
    true
}

async fn assert_recorded(harness: &TestHarness, scope: StopScope) {
    let log = match scope {
        StopScope::Project(id) => LogId::Project(id),
        _ => LogId::System,
    };
    let entries = harness.store.since(log, 0, 1000).await.unwrap();
    let entry_of = |event: EventType| {
        let mut found = entries.iter().filter(|entry| entry.event_type == event);
        let entry = found.next().unwrap_or_else(|| panic!("{event} is not in the log"));
        assert!(found.next().is_none(), "{event} is there once");
        entry.event_data.clone()
    };
    let stopped = entry_of(EventType::EmergencyStopped);
    assert_eq!(
        (&stopped["reason"], &stopped["stopped_by"]),
        (&"It runs wild".into(), &owner().name().into())
    );
    let released = entry_of(EventType::EmergencyReleased);
    assert_eq!(
        (&released["reason"], &released["released_by"]),
        (&"It is tame".into(), &owner().name().into())
    );
}

/// A ledger in which every commit takes a while.
struct Slow(Arc<dyn Ledger>);

#[async_trait::async_trait]
impl Ledger for Slow {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.0.transact(scope, decide).await
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        self.0.claim(claim).await
    }

    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError> {
        self.0.extend(task, fence, until).await
    }

    async fn note_key_use(
        &self,
        key: botarmy_domain::CredentialId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.note_key_use(key, at).await
    }

    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.0.forget_replies(now, limit).await
    }
}

#[tokio::test]
async fn a_hundred_that_run_are_ended_within_a_second_on_a_slow_store_too() {
    let setup = Setup { slots: 100, ..Setup::default() };
    let harness = TestHarness::build(ScriptedRunner::new(|_| Act::Hang), setup, |ledger| {
        Arc::new(Slow(ledger))
    });
    let id = harness.by_hand().await;
    for _ in 0..100 {
        submit(&harness, id).await;
    }
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(Arc::clone(&harness.worker).run(stopped, Duration::from_millis(10)));
    while harness.runner.running() < 100 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let began = Instant::now();
    let stopping = harness.engine.stop(StopScope::Agent(AgentType::Coder), why(), owner());
    let (stopped, ()) = tokio::join!(stopping, async {
        while harness.runner.running() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    });
    assert_eq!(stopped.unwrap().interrupted, 100);
    while harness.tasks(id).await.iter().any(|task| task.status() != TaskStatus::Pending) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stop_does_not_affect_other_work() {
    let (harness, id, _stop) = at_work().await;
    let other = harness.by_hand().await;
    for scope in [StopScope::Agent(AgentType::Tester), StopScope::Project(other)] {
        let stopped = harness.engine.stop(scope, why(), owner()).await.unwrap();
        assert_eq!(stopped.interrupted, 0);
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!((harness.runner.running(), harness.runner.dropped()), (1, 0));
    assert_eq!(harness.tasks(id).await[0].attempt, 1);
}

#[tokio::test]
async fn an_external_worker_loses_its_lease() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let leases = harness.leases();
    let query = || WorkQuery {
        worker: WorkerId::external("w"),
        agents: vec![AgentType::Coder],
        max: 1,
        wait: Duration::ZERO,
        caller: owner(),
    };
    let held = leases.lease(query()).await.unwrap().remove(0);
    let stopped = harness.engine.stop(StopScope::Everything, why(), owner()).await.unwrap();
    assert_eq!(stopped.interrupted, 1);
    let lost = leases.heartbeat(held.presented(), None).await.unwrap_err();
    assert!(
        matches!(lost, Error::Refused(DomainError::Conflict { code: "lease_lost", .. })),
        "{lost}"
    );
    assert!(leases.lease(query()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_claimed_while_the_stop_was_recorded_is_requeued_by_the_next_check() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let leases = harness.leases();
    let (worker, agents) = (WorkerId::external("w"), vec![AgentType::Coder]);
    let query = WorkQuery { worker, agents, max: 1, wait: Duration::ZERO, caller: owner() };
    let held = leases.lease(query).await.unwrap().remove(0);
    // Records the stop only, without the interruption that follows it.
    let (scope, at) = (StopScope::Everything, harness.context());
    let stop = move |s: &_| emergency::stop(&at, s, scope, "Enough");
    harness
        .store
        .transact(Scope::log(LogId::System).record::<Stop>(scope), Box::new(stop))
        .await
        .unwrap();
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Working);
    assert_eq!(harness.engine.run_due().await.unwrap(), 1);
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Pending);
    assert!(leases.heartbeat(held.presented(), None).await.is_err());
    assert_eq!(harness.engine.run_due().await.unwrap(), 0);
}

#[tokio::test]
async fn a_stopped_project_is_resumed_by_a_release_alone_and_stays_paused_if_it_was() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    harness.engine.pause_project(id, owner()).await.unwrap();
    let ProjectState::Paused { at: paused_at, .. } = harness.project(id).await.state else {
        panic!()
    };
    harness.clock.advance(Duration::from_secs(60));
    let scope = StopScope::Project(id);
    harness.engine.stop(scope, why(), owner()).await.unwrap();
    let refused = harness.engine.resume_project(id, owner()).await.unwrap_err();
    assert!(refused.to_string().contains("It runs wild"), "{refused}");
    harness.engine.release(scope, "It is tame".to_owned(), owner()).await.unwrap();
    assert_eq!(harness.status(id).await, ProjectStatus::Paused);
    let project = harness.project(id).await;
    assert!(matches!(&project.state, ProjectState::Paused { at, .. } if *at == paused_at));
    harness.engine.resume_project(id, owner()).await.unwrap();
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
}

#[tokio::test]
async fn a_stop_needs_a_reason_and_something_to_stop() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    let scope = StopScope::Project(id);
    for reason in [String::new(), " \n".to_owned(), "x".repeat(2001)] {
        let refused = harness.engine.stop(scope, reason, owner()).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(DomainError::Invalid { field: "reason", .. })));
    }
    let nothing = harness.engine.release(scope, "x".to_owned(), owner()).await.unwrap_err();
    assert!(matches!(nothing, Error::Refused(DomainError::NotFound { .. })), "{nothing}");
    harness.engine.cancel_project(id, owner()).await.unwrap();
    let over = harness.engine.stop(scope, why(), owner()).await.unwrap_err();
    assert!(matches!(over, Error::Refused(DomainError::Conflict { .. })), "{over}");
    assert!(harness.store.all::<Stop>().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_project_that_ends_while_it_is_stopped_can_be_released() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    let scope = StopScope::Project(id);
    harness.engine.stop(scope, why(), owner()).await.unwrap();
    harness.engine.cancel_project(id, owner()).await.unwrap();
    harness.engine.release(scope, "It is over".to_owned(), owner()).await.unwrap();
    assert!(harness.store.all::<Stop>().await.unwrap().is_empty());
    assert_eq!(harness.status(id).await, ProjectStatus::Cancelled);
}
