//! Attempts: failure, retry, expiry of the lease, and cancellation.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::tasks::{self, Work};
use botarmy_domain::ports::{AgentStatus, Ledger, Tasks};
use botarmy_domain::{
    AgentStatusKind, AgentType, Caller, DomainError, Error, EventType, HitlAction, HitlKind,
    LeaseHolder, NewTask, ProjectId, ProjectStatus, RunError, Scope, Task, TaskStatus, Usage,
    WorkerId,
};
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{TestHarness, amend, owner, simply};
use serde_json::{Map, json};

/// Submits a task for a coder.
pub(crate) async fn submit(harness: &TestHarness, project_id: ProjectId) -> Arc<Task> {
    let new = NewTask {
        project_id,
        agent: AgentType::Coder,
        instructions: "Write something".to_owned(),
        context_ids: vec![],
        priority: None,
        max_attempts: None,
    };
    harness.engine.submit_task(new, owner()).await.unwrap()
}

fn flaky() -> Act {
    Act::retryable("flaky", "The line was bad.")
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_after_one_two_and_four_seconds() {
    let harness =
        TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [flaky(), flaky()]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    for wait in [1, 2] {
        harness.work().await;
        let task = &harness.tasks(id).await[0];
        assert_eq!(task.status(), TaskStatus::Pending);
        let due = task.ready_at.since(harness.now()).as_millis();
        assert!((wait * 1000..=wait * 1250).contains(&due), "{wait} s, and a little: {due} ms");
        harness.clock.advance(Duration::from_millis(999));
        harness.work().await;
        harness.clock.advance(Duration::from_secs(2));
    }
    harness.work().await;
    let task = &harness.tasks(id).await[0];
    assert_eq!((task.status(), task.attempt, task.failures), (TaskStatus::Completed, 3, 2));
}

#[tokio::test]
async fn after_the_last_attempt_a_person_is_asked_and_can_have_it_tried_again() {
    let harness = TestHarness::new(
        ScriptedRunner::default().on_agent(AgentType::Coder, [flaky(), flaky(), flaky()]),
    );
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    for _ in 0..3 {
        harness.work().await;
        harness.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Failed);
    let gate = harness.gate(id).await;
    assert_eq!(gate.kind, HitlKind::Failure);
    assert!(gate.question.contains("The line was bad."));
    let status = harness.store.status_of(AgentType::Coder).await.unwrap();
    assert_eq!(status.status, AgentStatusKind::Error);
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    let status = harness.store.status_of(AgentType::Coder).await.unwrap();
    assert_eq!(status.status, AgentStatusKind::Idle);
}

#[tokio::test]
async fn a_failure_for_good_asks_at_once_and_an_amendment_changes_the_instructions() {
    let acts = [Act::terminal("no_idea", "I cannot do that.")];
    let harness = TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, acts));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    assert_eq!(harness.count(id, EventType::TaskRetryScheduled).await, 0);
    harness.answer(id, amend("Use a hammer")).await;
    harness.work().await;
    let seen = harness.runner.seen();
    assert_eq!(seen[1].instructions, "Write something\n\nUse a hammer");
    assert_eq!(seen[1].context[0].content["user_content"], "Use a hammer");
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn retrying_a_failed_task_by_hand_closes_its_gate() {
    let acts = [Act::terminal("no_idea", "I cannot do that.")];
    let harness = TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, acts));
    let id = harness.by_hand().await;
    let task = submit(&harness, id).await;
    assert!(harness.engine.retry_task(task.id, owner()).await.is_err(), "it has not failed yet");
    harness.work().await;
    harness.engine.retry_task(task.id, owner()).await.unwrap();
    assert_eq!(harness.count(id, EventType::HitlCancelled).await, 1);
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_runner_that_panics_is_one_that_failed() {
    let harness =
        TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [Act::Panic]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    let task = harness.tasks(id).await[0].clone();
    assert_eq!(task.error().unwrap().code, "runner_panicked");
    harness.clock.advance(Duration::from_secs(2));
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_silent_worker_loses_its_task_and_its_late_result_is_refused() {
    let harness =
        TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [Act::Hang]));
    let id = harness.by_hand().await;
    let task = submit(&harness, id).await;
    harness.worker.step().await.unwrap();
    harness.pass(Duration::from_secs(299)).await;
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Working);
    harness.pass(Duration::from_secs(1)).await;
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Pending);
    assert_eq!(harness.count(id, EventType::TaskLeaseExpired).await, 1);

    let late = submit_result(&harness, &task, "worker-1", 1).await;
    assert!(matches!(late, Err(Error::Refused(DomainError::Conflict { code: "lease_lost", .. }))));
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Pending);
    harness.check().await;
}

/// Submits a finished result, as a worker does.
async fn submit_result(
    harness: &TestHarness,
    task: &Task,
    worker: &str,
    fence: u32,
) -> Result<botarmy_domain::Committed, Error> {
    let holder = LeaseHolder { worker: WorkerId(worker.to_owned()), fence };
    let work =
        Work { output: Map::new(), artifacts: vec![], confidence: None, usage: Usage::default() };
    let (id, at) = (task.id, harness.context());
    harness
        .store
        .transact(
            Scope::project(task.project_id).task(id),
            Box::new(move |snapshot| {
                tasks::complete(
                    &at.fork(99).by(Caller::worker(&holder.worker)),
                    snapshot,
                    id,
                    &holder,
                    &work,
                )
            }),
        )
        .await
}

#[tokio::test]
async fn the_same_result_twice_is_taken_once() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    let task = submit(&harness, id).await;
    harness.work().await;
    let before = harness.log(id).await.len();
    assert!(submit_result(&harness, &task, "worker-1", 1).await.unwrap().entries.is_empty());
    assert_eq!(harness.log(id).await.len(), before);
}

#[tokio::test]
async fn a_restarted_server_takes_back_what_it_held_without_counting_a_failure() {
    let harness =
        TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [Act::Hang]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.worker.step().await.unwrap();
    assert_eq!(harness.engine.take_back_everything().await.unwrap(), 1);
    let task = harness.tasks(id).await[0].clone();
    assert_eq!((task.status(), task.attempt, task.failures), (TaskStatus::Pending, 1, 0));
}

#[tokio::test]
async fn a_stopping_worker_requeues_what_does_not_end_in_time() {
    let harness =
        TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [Act::Hang]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(Arc::clone(&harness.worker).run(stopped, Duration::from_millis(50)));
    while harness.runner.running() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Pending);
    harness.check().await;
}

#[tokio::test]
async fn a_step_that_makes_nothing_has_failed() {
    let nothing = Act::complete(json!({}), vec![]);
    let harness =
        TestHarness::new(super::projects::content().on_step("Project Planning", [nothing]));
    let id = harness.start("sdlc", botarmy_domain::Oversight::Low).await;
    harness.work().await;
    assert_eq!(harness.tasks(id).await[0].error().unwrap().code, "unfit_output");
    harness.clock.advance(Duration::from_secs(2));
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn output_beyond_the_limit_is_refused_and_text_no_store_can_hold_is_replaced() {
    let huge = Act::complete(json!({"text": "x".repeat(2 << 20)}), vec![]);
    let nul = Act::complete(json!({"te\0xt": "a\0b"}), vec![]);
    let harness =
        TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [huge, nul]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    assert_eq!(harness.tasks(id).await[0].error().unwrap().code, "output_too_large");
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    let made = harness.newest(id, botarmy_domain::ArtifactType::AgentOutput).await;
    assert_eq!(made.content["te\u{fffd}xt"], "a\u{fffd}b");
}

#[tokio::test]
async fn usage_of_failed_attempts_counts_too() {
    let usage = Usage { input_tokens: 5, cost_micro_usd: Some(2), ..Usage::default() };
    let failed = RunError::Retryable {
        code: "x".to_owned(),
        detail: "x".to_owned(),
        after: None,
        usage: Box::new(usage.clone()),
    };
    let done = botarmy_domain::Outcome::Completed {
        output: Map::new(),
        artifacts: vec![],
        confidence: None,
        usage,
    };
    let acts = [Act::Return(Err(failed)), Act::Return(Ok(done))];
    let harness = TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, acts));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    harness.clock.advance(Duration::from_secs(2));
    harness.work().await;
    let task = harness.tasks(id).await[0].clone();
    assert_eq!((task.usage.input_tokens, task.usage.cost_micro_usd), (10, Some(4)));
}

#[tokio::test]
async fn a_cancelled_task_does_not_count_and_a_step_cannot_be_cancelled() {
    let harness = TestHarness::new(super::projects::content());
    let id = harness.by_hand().await;
    let first = submit(&harness, id).await;
    submit(&harness, id).await;
    harness.engine.cancel_task(first.id, owner()).await.unwrap();
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    let id = harness.start("sdlc", botarmy_domain::Oversight::Low).await;
    let step = harness.tasks(id).await[0].id;
    assert!(harness.engine.cancel_task(step, owner()).await.is_err());
}

#[tokio::test]
async fn tasks_with_foreign_or_unknown_context_are_refused() {
    let harness = TestHarness::new(super::projects::content());
    let other = harness.start("sdlc", botarmy_domain::Oversight::Low).await;
    let foreign = harness.newest(other, botarmy_domain::ArtifactType::UserInput).await.meta.id;
    let id = harness.by_hand().await;
    for (context, priority, attempts, field) in [
        (vec![foreign], None, None, "context_ids"),
        (vec![], Some(10), None, "priority"),
        (vec![], None, Some(0), "max_attempts"),
    ] {
        let new = NewTask {
            project_id: id,
            agent: AgentType::Coder,
            instructions: "x".to_owned(),
            context_ids: context,
            priority,
            max_attempts: attempts,
        };
        let error = harness.engine.submit_task(new, owner()).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused(DomainError::Invalid { field: f, .. }) if f == field)
        );
    }
    assert!(harness.tasks(id).await.is_empty());
}

#[tokio::test]
async fn agents_are_working_waiting_and_idle_as_leases_and_gates_say() {
    let go = Arc::new(tokio::sync::Notify::new());
    let act = Act::Wait(go.clone(), Box::new(Act::Content(json!({}))));
    let harness = TestHarness::new(super::projects::content().on_step("Project Planning", [act]));
    let id = harness.start("sdlc", botarmy_domain::Oversight::Standard).await;
    harness.worker.step().await.unwrap();
    harness.engine.settle_agents().await;
    let status = harness.store.status_of(AgentType::Analyst).await.unwrap();
    assert_eq!((status.status, status.active_tasks), (AgentStatusKind::Working, 1));
    go.notify_one();
    harness.work().await;
    let status = harness.store.status_of(AgentType::Analyst).await.unwrap();
    assert_eq!(status.status, AgentStatusKind::WaitingForHitl);
    harness.answer(id, simply(HitlAction::Reject)).await;
    harness.engine.settle_agents().await;
    let history = harness.store.history(AgentType::Analyst, None, 10).await.unwrap();
    let kinds: Vec<_> = history.iter().map(|past| past.record.status).collect();
    assert_eq!(
        kinds,
        [AgentStatusKind::Idle, AgentStatusKind::WaitingForHitl, AgentStatusKind::Working]
    );
}
