//! Activity of projects: whether they work, or whom they wait for.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::{Gates, HealthCheck, Projects, Queries, WorkerLeases};
use botarmy_domain::{
    Activity, ActivityState, AgentType, Health, HitlAction, NewRequest, Oversight, ProjectId,
    WorkQuery, WorkerId,
};
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{TestHarness, owner, simply};
use serde_json::json;

use super::projects::content;
use super::tasks::submit;

async fn activity(harness: &TestHarness, id: ProjectId) -> Activity {
    let detail = harness.engine.project_detail(&owner(), id).await.unwrap();
    let listed = harness.engine.activities(&owner(), &[detail.project]).await.unwrap();
    assert_eq!(listed, [detail.activity], "a list says the same");
    detail.activity
}

#[tokio::test]
async fn a_project_that_waits_for_a_person_says_since_when_and_for_how_many_answers() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    let since = harness.now();
    harness.clock.advance(Duration::from_secs(60));
    let new = NewRequest {
        project_id: id,
        task_id: None,
        question: "Really?".to_owned(),
        options: vec![],
        ttl_s: None,
        artifacts: vec![],
        policy: None,
        assignees: Vec::new(),
        response_schema: None,
    };
    harness.engine.raise_request(new, owner()).await.unwrap();
    let waits = activity(&harness, id).await;
    assert_eq!((waits.state, waits.requests), (ActivityState::WaitingForPerson, 2));
    assert!(waits.since <= since, "{:?}", waits.since);
    for gate in harness.gates(id).await {
        harness.engine.respond(gate.id, simply(HitlAction::Reject), owner()).await.ok();
    }
    assert_eq!(activity(&harness, id).await.state, ActivityState::Idle, "it is halted");
}

#[tokio::test]
async fn a_task_of_an_agent_type_that_nobody_serves_is_named() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    assert_eq!(activity(&harness, id).await.state, ActivityState::Idle, "there is no task");
    submit(&harness, id).await;
    let waits = activity(&harness, id).await;
    assert_eq!(
        (waits.state, waits.agent_type),
        (ActivityState::WaitingForWorker, Some(AgentType::Coder))
    );
    let Health::Unhealthy(message) = harness.engine.check().await else { panic!("it is healthy") };
    assert!(message.starts_with("one task waits for the coder"), "{message}");
    assert!(!harness.engine.needed(), "the server itself is well");

    // A worker for other tasks does not help; one for these does, also while it works.
    let leases = harness.leases();
    let query = |agent| WorkQuery {
        worker: WorkerId::external("w"),
        agents: vec![agent],
        max: 1,
        wait: Duration::ZERO,
        caller: owner(),
    };
    assert!(leases.lease(query(AgentType::Tester)).await.unwrap().is_empty());
    assert_eq!(activity(&harness, id).await.state, ActivityState::WaitingForWorker);
    assert_eq!(leases.lease(query(AgentType::Coder)).await.unwrap().len(), 1);
    let works = activity(&harness, id).await;
    assert_eq!((works.state, works.agent_type), (ActivityState::Working, Some(AgentType::Coder)));
    submit(&harness, id).await;
    assert!(matches!(harness.engine.check().await, Health::Healthy(_)));
}

#[tokio::test]
async fn a_project_whose_task_waits_for_a_free_runner_is_working() {
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = Act::Wait(go.clone(), Box::new(Act::Content(json!({}))));
    let harness = TestHarness::new(content().on_step("Project Planning", [wait]));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(Arc::clone(&harness.worker).run(stopped, Duration::ZERO));
    let id = harness.start("sdlc", Oversight::Low).await;
    assert_eq!(activity(&harness, id).await.state, ActivityState::Working);
    harness.engine.pause_project(id, owner()).await.unwrap();
    assert_eq!(activity(&harness, id).await.state, ActivityState::Idle);
    go.notify_one();
    stop.send(true).unwrap();
    running.await.unwrap();
}
