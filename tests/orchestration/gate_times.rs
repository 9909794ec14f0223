//! Reminders, escalations and expiries, on a clock that is set by hand.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::hitl;
use botarmy_domain::hitl::GateSettings;
use botarmy_domain::ports::{Gates, HitlStore, Operations, Projects};
use botarmy_domain::{
    Caller, Defaults, DomainError, Error, EventType, HitlAction, HitlRequest, HitlRequestId,
    HitlStatus, NewRequest, Oversight, ProjectId, Response, Scope, StopScope, Timestamp, Workflow,
};
use botarmy_orchestrator::{EngineSettings, Workflows};
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::{Setup, TestHarness, owner};

const WORKFLOW: &str = "
name = \"timed\"
[[policy]]
name = \"release\"
candidates = [\"user:ada\"]
ttl_s = 1000
on_expiry = \"reject\"
remind_after_s = [60, 120, 180]
escalate = [{ after_s = 300, to = [\"group:leads\"], ttl_s = 2000 }]
[[step]]
name = \"Write\"
phase = \"1\"
agent = \"coder\"
output = \"source_code\"
";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn harness(grace_s: u32) -> TestHarness {
    let workflows = Workflows::default().with(Workflow::from_toml(WORKFLOW).unwrap());
    let groups = [("leads".to_owned(), ["eve".to_owned()].into())].into();
    let gates = Arc::new(GateSettings { grace_s, groups, ..GateSettings::default() });
    let defaults = Defaults { gates, ..Defaults::default() };
    let settings = EngineSettings { defaults, ..EngineSettings::default() };
    TestHarness::with(ScriptedRunner::default(), Setup { workflows, settings, ..Setup::default() })
}

async fn asked(grace_s: u32) -> (TestHarness, ProjectId, HitlRequestId) {
    let harness = harness(grace_s);
    let project_id = harness.start("timed", Oversight::Low).await;
    let new = NewRequest {
        project_id,
        task_id: None,
        question: "Is it right?".to_owned(),
        options: vec![],
        ttl_s: None,
        artifacts: vec![],
        policy: Some("release".to_owned()),
        assignees: vec![],
        response_schema: None,
    };
    let request = harness.engine.raise_request(new, owner()).await.unwrap();
    (harness, project_id, request.id)
}

/// Returns the time between two times in seconds, without the microseconds by which the clock advances
/// with every look at it.
fn about(later: Timestamp, earlier: Timestamp) -> i64 {
    (later.micros() - earlier.micros() + 500_000) / 1_000_000
}

async fn read(harness: &TestHarness, id: HitlRequestId) -> Arc<HitlRequest> {
    harness.store.request(id).await.unwrap().unwrap()
}

async fn approve(harness: &TestHarness, id: HitlRequestId, person: &str) -> Result<(), Error> {
    let subject_digest = Some(read(harness, id).await.subject.digest.clone());
    let response = Response { subject_digest, ..Response::new(HitlAction::Approve) };
    harness.engine.respond(id, response, Caller::person(person)).await.map(drop)
}

#[tokio::test]
async fn several_overdue_reminders_are_one() {
    let (harness, project, _) = asked(0).await;
    harness.pass(seconds(59)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 0);
    harness.pass(seconds(122)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 1);
    let log = harness.log(project).await;
    let reminded = log.iter().find(|entry| entry.event_type == EventType::HitlReminded).unwrap();
    assert_eq!(reminded.event_data["skipped"], 2);
    for _ in 0..3 {
        assert_eq!(harness.engine.run_due().await.unwrap(), 0, "it is not done again");
    }
    harness.check().await;
}

#[tokio::test]
async fn an_escalation_asks_more_people_for_longer_and_reminds_anew() {
    let (harness, project, id) = asked(0).await;
    let refused = approve(&harness, id, "eve").await.unwrap_err();
    assert!(matches!(refused, Error::Refused(DomainError::Forbidden { code: "not_eligible", .. })));
    let before = read(&harness, id).await.expires_at;
    harness.pass(seconds(300)).await;
    assert_eq!(harness.count(project, EventType::HitlEscalated).await, 1);
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 1);
    let escalated = read(&harness, id).await;
    assert_eq!(about(escalated.expires_at, harness.now()), 2000);
    assert!(escalated.expires_at > before);
    harness.pass(seconds(59)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 1);
    harness.pass(seconds(1)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 2, "they begin anew");
    harness.check().await;
    approve(&harness, id, "eve").await.unwrap();
    assert_eq!(read(&harness, id).await.status(), HitlStatus::Approved);
}

#[tokio::test]
async fn everything_that_is_due_together_happens_once_and_in_order() {
    let (harness, project, id) = asked(0).await;
    harness.pass(seconds(10_000)).await;
    harness.pass(seconds(10_000)).await;
    let log = harness.log(project).await;
    let of_request = log.iter().filter(|entry| entry.hitl_request_id == Some(id));
    let types: Vec<_> = of_request.map(|entry| entry.event_type).collect();
    // The escalation gives more time, and is followed by the reminders that begin with it.
    assert_eq!(
        types,
        [
            EventType::HitlRequestCreated,
            EventType::HitlReminded,
            EventType::HitlEscalated,
            EventType::HitlReminded,
            EventType::HitlTimeout
        ]
    );
    assert_eq!(read(&harness, id).await.status(), HitlStatus::Expired);
    harness.check().await;
}

#[tokio::test]
async fn a_second_server_finds_nothing_due() {
    let (harness, project, id) = asked(0).await;
    harness.pass(seconds(60)).await;
    let context = harness.context().by(Caller::scheduler());
    let scope = Scope::project(project).request(id).everything_open();
    let act = move |snapshot: &_| hitl::due(&context, snapshot, id, true);
    let ledger = &harness.store as &dyn botarmy_domain::ports::Ledger;
    let refused = ledger.transact(scope, Box::new(act)).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(DomainError::Conflict { code: "not_due", .. })));
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 1);
}

#[tokio::test]
async fn the_clock_stands_still_while_a_project_is_paused() {
    let (harness, project, id) = asked(0).await;
    harness.pass(seconds(30)).await;
    let before = read(&harness, id).await;
    harness.engine.pause_project(project, owner()).await.unwrap();
    harness.pass(seconds(5000)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 0);
    assert_eq!(read(&harness, id).await.due(), None);
    harness.engine.resume_project(project, owner()).await.unwrap();
    let after = read(&harness, id).await;
    assert_eq!(about(after.expires_at, before.expires_at), 5000);
    harness.pass(seconds(29)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 0);
    harness.pass(seconds(1)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 1);
    harness.check().await;
}

#[tokio::test]
async fn the_clock_stands_still_while_a_project_is_stopped() {
    let (harness, project, id) = asked(0).await;
    let before = read(&harness, id).await;
    let scope = StopScope::Project(project);
    harness.engine.stop(scope, "It runs wild".to_owned(), owner()).await.unwrap();
    harness.pass(seconds(5000)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 0);
    harness.engine.release(scope, "It is tame".to_owned(), owner()).await.unwrap();
    harness.engine.run_due().await.unwrap();
    let after = read(&harness, id).await;
    assert_eq!(about(after.expires_at, before.expires_at), 5000);
    harness.pass(seconds(60)).await;
    assert_eq!(harness.count(project, EventType::HitlReminded).await, 1);
    harness.check().await;
}

#[tokio::test]
async fn nothing_expires_soon_after_a_start_and_people_may_answer_then() {
    // The time to live is over before the grace is.
    let (harness, project, id) = asked(20_000).await;
    harness.pass(seconds(300)).await;
    assert_eq!(harness.count(project, EventType::HitlEscalated).await, 1, "the others are done");
    harness.pass(seconds(10_000)).await;
    assert!(read(&harness, id).await.expires_at < harness.now());
    assert_eq!(harness.count(project, EventType::HitlTimeout).await, 0);
    approve(&harness, id, "ada").await.unwrap();
    assert_eq!(read(&harness, id).await.status(), HitlStatus::Approved);
    harness.check().await;

    let (harness, project, id) = asked(20_000).await;
    harness.pass(seconds(300)).await;
    harness.pass(seconds(19_699)).await;
    assert_eq!(harness.count(project, EventType::HitlTimeout).await, 0);
    harness.pass(seconds(2)).await;
    assert_eq!(harness.count(project, EventType::HitlTimeout).await, 1);
    assert_eq!(read(&harness, id).await.status(), HitlStatus::Expired);
    harness.check().await;
}
