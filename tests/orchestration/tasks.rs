//! Attempts: failing, trying again, falling silent, being taken away.

use std::sync::Arc;
use std::time::Duration;

use botarmy_agents::{Act, Scripted};
use botarmy_domain::decide::tasks::{self, Holder, Work};
use botarmy_domain::ports::{AgentStatus, Ledger, NewTask, Orchestrator, RunError, Usage, moment};
use botarmy_domain::{
    AgentStatusKind, AgentType, Error, EventType, HitlAction, HitlKind, ProjectId, ProjectStatus,
    Refusal, Scope, Task, TaskStatus, WorkerId,
};
use botarmy_tests::rig::{Rig, amend, owner, simply};
use serde_json::{Map, json};

/// Submits a task for a coder.
pub(crate) async fn submit(rig: &Rig, project_id: ProjectId) -> Arc<Task> {
    let new = NewTask {
        project_id,
        agent: AgentType::Coder,
        instructions: "Write something".to_owned(),
        context_ids: vec![],
        priority: None,
        max_attempts: None,
    };
    rig.engine.submit_task(new, owner()).await.unwrap()
}

fn flaky() -> Act {
    Act::retryable("flaky", "The line was bad.")
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_after_one_two_and_four_seconds() {
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, [flaky(), flaky()]));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    for wait in [1, 2] {
        rig.work().await;
        let task = &rig.tasks(id).await[0];
        assert_eq!(task.status(), TaskStatus::Pending);
        let due = task.ready_at.since(rig.now()).as_millis();
        assert!((wait * 1000..=wait * 1250).contains(&due), "{wait} s, and a little: {due} ms");
        rig.clock.advance(Duration::from_millis(999));
        rig.work().await;
        rig.clock.advance(Duration::from_secs(2));
    }
    rig.work().await;
    let task = &rig.tasks(id).await[0];
    assert_eq!((task.status(), task.attempt, task.failures), (TaskStatus::Completed, 3, 2));
}

#[tokio::test]
async fn after_the_last_attempt_a_person_is_asked_and_can_have_it_tried_again() {
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, [flaky(), flaky(), flaky()]));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    for _ in 0..3 {
        rig.work().await;
        rig.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(rig.tasks(id).await[0].status(), TaskStatus::Failed);
    let gate = rig.gate(id).await;
    assert_eq!(gate.kind, HitlKind::Failure);
    assert!(gate.question.contains("The line was bad."));
    let status = rig.store.status_of(AgentType::Coder).await.unwrap();
    assert_eq!(status.status, AgentStatusKind::Error);
    rig.answer(id, simply(HitlAction::Approve)).await;
    rig.work().await;
    assert_eq!(rig.status(id).await, ProjectStatus::Completed);
    let status = rig.store.status_of(AgentType::Coder).await.unwrap();
    assert_eq!(status.status, AgentStatusKind::Idle);
}

#[tokio::test]
async fn a_failure_for_good_asks_at_once_and_an_amendment_changes_the_instructions() {
    let acts = [Act::terminal("no_idea", "I cannot do that.")];
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, acts));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    rig.work().await;
    assert_eq!(rig.count(id, EventType::TaskRetryScheduled).await, 0);
    rig.answer(id, amend("Use a hammer")).await;
    rig.work().await;
    let seen = rig.runner.seen();
    assert_eq!(seen[1].instructions, "Write something\n\nUse a hammer");
    assert_eq!(seen[1].context[0].content["user_content"], "Use a hammer");
    assert_eq!(rig.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn retrying_a_failed_task_by_hand_closes_its_gate() {
    let acts = [Act::terminal("no_idea", "I cannot do that.")];
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, acts));
    let id = rig.by_hand().await;
    let task = submit(&rig, id).await;
    assert!(rig.engine.retry_task(task.id, owner()).await.is_err(), "it has not failed yet");
    rig.work().await;
    rig.engine.retry_task(task.id, owner()).await.unwrap();
    assert_eq!(rig.count(id, EventType::HitlCancelled).await, 1);
    rig.work().await;
    assert_eq!(rig.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_runner_that_panics_is_one_that_failed() {
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, [Act::Panic]));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    rig.work().await;
    let task = rig.tasks(id).await[0].clone();
    assert_eq!(task.error().unwrap().code, "runner_panicked");
    rig.clock.advance(Duration::from_secs(2));
    rig.work().await;
    assert_eq!(rig.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_silent_worker_loses_its_task_and_its_late_result_is_refused() {
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, [Act::Hang]));
    let id = rig.by_hand().await;
    let task = submit(&rig, id).await;
    rig.worker.step().await.unwrap();
    rig.pass(Duration::from_secs(299)).await;
    assert_eq!(rig.tasks(id).await[0].status(), TaskStatus::Working);
    rig.pass(Duration::from_secs(1)).await;
    assert_eq!(rig.tasks(id).await[0].status(), TaskStatus::Pending);
    assert_eq!(rig.count(id, EventType::TaskLeaseLapsed).await, 1);

    let late = bring(&rig, &task, "worker-1", 1).await;
    assert!(matches!(late, Err(Error::Refused(Refusal::Conflict { code: "lease_lost", .. }))));
    assert_eq!(rig.tasks(id).await[0].status(), TaskStatus::Pending);
    rig.check().await;
}

/// Brings a finished result, as a worker would.
async fn bring(
    rig: &Rig,
    task: &Task,
    worker: &str,
    fence: u32,
) -> Result<botarmy_domain::Committed, Error> {
    let holder = Holder { worker: WorkerId(worker.to_owned()), fence };
    let work =
        Work { output: Map::new(), artifacts: vec![], confidence: None, usage: Usage::default() };
    let (id, at) = (task.id, moment(&*rig.clock, &botarmy_memory::CountingIds::default()));
    let defaults = botarmy_domain::decide::Defaults::default();
    rig.store
        .transact(
            Scope::project(task.project_id).task(id),
            Box::new(move |snapshot| {
                tasks::complete(snapshot, id, &holder, &work, at.fork(99), defaults)
            }),
        )
        .await
}

#[tokio::test]
async fn the_same_result_twice_is_taken_once() {
    let rig = Rig::new(Scripted::default());
    let id = rig.by_hand().await;
    let task = submit(&rig, id).await;
    rig.work().await;
    let before = rig.log(id).await.len();
    assert!(bring(&rig, &task, "worker-1", 1).await.unwrap().entries.is_empty());
    assert_eq!(rig.log(id).await.len(), before);
}

#[tokio::test]
async fn a_restarted_server_takes_back_what_it_held_without_counting_a_failure() {
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, [Act::Hang]));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    rig.worker.step().await.unwrap();
    assert_eq!(rig.engine.take_back_everything().await.unwrap(), 1);
    let task = rig.tasks(id).await[0].clone();
    assert_eq!((task.status(), task.attempt, task.failures), (TaskStatus::Pending, 1, 0));
}

#[tokio::test]
async fn a_stopping_worker_gives_back_what_does_not_end_in_time() {
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, [Act::Hang]));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(Arc::clone(&rig.worker).run(stopped, Duration::from_millis(50)));
    while rig.runner.running() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(rig.tasks(id).await[0].status(), TaskStatus::Pending);
    rig.check().await;
}

#[tokio::test]
async fn a_step_that_makes_nothing_has_failed() {
    let nothing = Act::complete(json!({}), vec![]);
    let rig = Rig::new(super::projects::content().on_step("Project Planning", [nothing]));
    let id = rig.start("sdlc", botarmy_domain::Oversight::Low).await;
    rig.work().await;
    assert_eq!(rig.tasks(id).await[0].error().unwrap().code, "unfit_output");
    rig.clock.advance(Duration::from_secs(2));
    rig.work().await;
    assert_eq!(rig.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn output_beyond_the_limit_is_refused_and_text_no_store_can_hold_is_replaced() {
    let huge = Act::complete(json!({"text": "x".repeat(2 << 20)}), vec![]);
    let nul = Act::complete(json!({"te\0xt": "a\0b"}), vec![]);
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, [huge, nul]));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    rig.work().await;
    assert_eq!(rig.tasks(id).await[0].error().unwrap().code, "output_too_large");
    rig.answer(id, simply(HitlAction::Approve)).await;
    rig.work().await;
    let made = rig.newest(id, botarmy_domain::ArtifactType::AgentOutput).await;
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
    let done = botarmy_domain::ports::Outcome::Completed {
        output: Map::new(),
        artifacts: vec![],
        confidence: None,
        usage,
    };
    let acts = [Act::Return(Err(failed)), Act::Return(Ok(done))];
    let rig = Rig::new(Scripted::default().on_agent(AgentType::Coder, acts));
    let id = rig.by_hand().await;
    submit(&rig, id).await;
    rig.work().await;
    rig.clock.advance(Duration::from_secs(2));
    rig.work().await;
    let task = rig.tasks(id).await[0].clone();
    assert_eq!((task.usage.input_tokens, task.usage.cost_micro_usd), (10, Some(4)));
}

#[tokio::test]
async fn a_cancelled_task_does_not_count_and_a_step_cannot_be_cancelled() {
    let rig = Rig::new(super::projects::content());
    let id = rig.by_hand().await;
    let first = submit(&rig, id).await;
    submit(&rig, id).await;
    rig.engine.cancel_task(first.id, owner()).await.unwrap();
    rig.work().await;
    assert_eq!(rig.status(id).await, ProjectStatus::Completed);
    let id = rig.start("sdlc", botarmy_domain::Oversight::Low).await;
    let step = rig.tasks(id).await[0].id;
    assert!(rig.engine.cancel_task(step, owner()).await.is_err());
}

#[tokio::test]
async fn tasks_with_foreign_or_unknown_context_are_refused() {
    let rig = Rig::new(super::projects::content());
    let other = rig.start("sdlc", botarmy_domain::Oversight::Low).await;
    let foreign = rig.newest(other, botarmy_domain::ArtifactType::UserInput).await.meta.id;
    let id = rig.by_hand().await;
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
        let error = rig.engine.submit_task(new, owner()).await.unwrap_err();
        assert!(matches!(error, Error::Refused(Refusal::Invalid { field: f, .. }) if f == field));
    }
    assert!(rig.tasks(id).await.is_empty());
}

#[tokio::test]
async fn agents_are_working_waiting_and_idle_as_leases_and_gates_say() {
    let go = Arc::new(tokio::sync::Notify::new());
    let act = Act::Wait(go.clone(), Box::new(Act::Content(json!({}))));
    let rig = Rig::new(super::projects::content().on_step("Project Planning", [act]));
    let id = rig.start("sdlc", botarmy_domain::Oversight::Standard).await;
    rig.worker.step().await.unwrap();
    rig.engine.settle_agents().await;
    let status = rig.store.status_of(AgentType::Analyst).await.unwrap();
    assert_eq!((status.status, status.active_tasks), (AgentStatusKind::Working, 1));
    go.notify_one();
    rig.work().await;
    let status = rig.store.status_of(AgentType::Analyst).await.unwrap();
    assert_eq!(status.status, AgentStatusKind::WaitingForHitl);
    rig.answer(id, simply(HitlAction::Reject)).await;
    rig.engine.settle_agents().await;
    let history = rig.store.history(AgentType::Analyst, 10).await.unwrap();
    let kinds: Vec<_> = history.iter().map(|record| record.status).collect();
    assert_eq!(
        kinds,
        [AgentStatusKind::Idle, AgentStatusKind::WaitingForHitl, AgentStatusKind::Working]
    );
}
