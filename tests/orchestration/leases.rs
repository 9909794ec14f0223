//! External workers: the tasks that they lease, the results that they may submit, and the handling
//! of silent, late, absent and lying workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::lease::{FIRST_CALL, LEASE};
use botarmy_domain::ports::{Decide, Ledger, Projects, Tasks, WorkerLeases};
use botarmy_domain::{
    AgentType, ArtifactType, BusMessage, Claim, Committed, DomainError, Entry, Error, EventType,
    HeldLease, HitlKind, LeaseHolder, LeaseSecret, Leased, NewArtifact, Outcome, Oversight,
    PresentedLease, ProjectStatus, Question, Reach, RunError, Scope, StoreError, TaskId,
    TaskStatus, Timestamp, Usage, WorkQuery, WorkerId, Workflow,
};
use botarmy_orchestrator::{Leases, Workflows};
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::{TestHarness, amend, owner};
use serde_json::{Map, Value, json};

use super::tasks::submit;

fn query(worker: &str, wait: Duration) -> WorkQuery {
    let worker = WorkerId::external(worker);
    WorkQuery { worker, agents: vec![AgentType::Coder], max: 1, wait, caller: owner() }
}

/// Leases a pending task for this worker, if there is one.
async fn take(leases: &Leases, worker: &str) -> Option<Leased> {
    leases.lease(query(worker, Duration::ZERO)).await.unwrap().pop()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn done(output: &Value) -> Result<Outcome, RunError> {
    Ok(Outcome::Completed {
        output: object(output),
        artifacts: Vec::new(),
        confidence: None,
        usage: Usage::default(),
    })
}

fn ask(question: &str) -> Result<Outcome, RunError> {
    let question = Question {
        question: question.to_owned(),
        options: Vec::new(),
        artifacts: Vec::new(),
        policy: None,
        assignees: Vec::new(),
        response_schema: None,
    };
    Ok(Outcome::Ask { question, usage: Usage::default(), session: Some("thread-7".to_owned()) })
}

fn is_lost<T: std::fmt::Debug>(answer: Result<T, Error>) -> bool {
    matches!(answer.unwrap_err(), Error::Refused(DomainError::Conflict { code: "lease_lost", .. }))
}

fn is_unauthenticated<T: std::fmt::Debug>(answer: Result<T, Error>) -> bool {
    matches!(answer.unwrap_err(), Error::Refused(DomainError::Unauthenticated { .. }))
}

/// Returns the name of the invalid field.
fn field<T: std::fmt::Debug>(answer: Result<T, Error>) -> &'static str {
    match answer.unwrap_err() {
        Error::Refused(DomainError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_external_worker_leases_a_task_and_finishes_it_once() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    let task = submit(&harness, id).await;
    let leased = take(&leases, "w").await.unwrap();
    assert_eq!((leased.job.task_id, leased.lease.holder.fence), (task.id, 1));
    assert_eq!(
        (leased.job.instructions.as_str(), leased.job.project_name.as_str()),
        ("Write something", "By hand")
    );
    assert_eq!(leased.heartbeat, FIRST_CALL / 3, "soon enough for the first heartbeat");
    assert!(leased.job.resume.is_none());
    assert!(take(&leases, "other").await.is_none(), "no other worker gets it");

    let finished = leases.finish(leased.presented(), done(&json!({"a": 1}))).await.unwrap();
    assert_eq!(finished.status(), TaskStatus::Completed);
    assert_eq!(harness.newest(id, ArtifactType::AgentOutput).await.content["a"], 1);
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    let before = harness.log(id).await.len();
    let again = leases.finish(leased.presented(), done(&json!({"a": 1}))).await.unwrap();
    assert_eq!(again, finished);
    let with = |artifacts, confidence, input_tokens| {
        let usage = Usage { input_tokens, ..Usage::default() };
        Ok(Outcome::Completed { output: object(&json!({"a": 1})), artifacts, confidence, usage })
    };
    let artifact = NewArtifact::new(ArtifactType::TestResults, object(&json!({"b": 2})));
    for other in [
        done(&json!({"b": 2})),
        done(&json!({})),
        with(vec![artifact], None, 0),
        with(vec![], Some(0.9), 0),
        with(vec![], None, 1),
    ] {
        let refused = leases.finish(leased.presented(), other).await.unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Refused(DomainError::Conflict { code: "already_completed", .. })
            ),
            "{refused}"
        );
    }
    assert_eq!(harness.log(id).await.len(), before);
    assert!(is_lost(leases.heartbeat(leased.presented(), None).await));
    harness.check().await;
}

#[tokio::test]
async fn a_silent_worker_loses_its_task_and_comes_too_late() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let late = take(&leases, "late").await.unwrap();
    leases.heartbeat(late.presented(), None).await.unwrap();
    harness.pass(LEASE).await;
    harness.clock.advance(Duration::from_secs(2));
    let next = take(&leases, "next").await.unwrap();
    assert_eq!((next.lease.holder.fence, next.job.attempt), (2, 2));

    let before = harness.log(id).await.len();
    assert!(is_lost(leases.heartbeat(late.presented(), None).await));
    assert!(is_lost(leases.finish(late.presented(), done(&json!({"a": 1}))).await));
    assert!(is_lost(leases.finish(late.presented(), ask("May I?")).await));
    assert!(is_lost(leases.finish(late.presented(), Err(RunError::terminal("x", "x"))).await));
    assert_eq!(harness.log(id).await.len(), before);
    assert_eq!(harness.tasks(id).await[0].lease().unwrap().worker, next.lease.holder.worker);
    leases.finish(next.presented(), done(&json!({"b": 2}))).await.unwrap();
    assert_eq!(harness.count(id, EventType::TaskCompleted).await, 1);
    harness.check().await;
}

#[tokio::test]
async fn a_heartbeat_keeps_a_lease_until_the_attempt_has_taken_too_long() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let held = take(&leases, "w").await.unwrap().presented();
    let started = harness.tasks(id).await[0].started_at.unwrap();
    leases.heartbeat(held.clone(), None).await.unwrap();
    for seconds in [200, 400] {
        harness.pass(Duration::from_secs(200)).await;
        let received = leases.heartbeat(held.clone(), None).await.unwrap();
        let left = received.expires_at.since(started).as_secs();
        assert_eq!((left, received.cancel), (600.min(seconds + 300), false), "at {seconds} s");
    }
    harness.clock.advance(Duration::from_secs(200));
    assert!(is_lost(leases.heartbeat(held.clone(), None).await));
    harness.pass(Duration::ZERO).await;
    assert_eq!(harness.tasks(id).await[0].error().unwrap().code, "lease_lapsed");
    assert!(is_lost(leases.finish(held, done(&json!({}))).await));
}

#[tokio::test]
async fn a_heartbeat_publishes_progress() {
    use botarmy_domain::ports::EventBus;

    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let held = take(&leases, "w").await.unwrap().presented();
    let mut news = harness.bus.subscribe().await.unwrap();
    leases.heartbeat(held, Some(("half way".to_owned(), Some(50)))).await.unwrap();
    let Some(BusMessage::Progress(progress)) = news.next().await else { panic!("no progress") };
    assert_eq!((progress.message.as_str(), progress.percent), ("half way", Some(50)));
}

#[tokio::test]
async fn a_heartbeat_reports_cancellation_and_a_pause_lets_work_finish() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    let first = submit(&harness, id).await;
    submit(&harness, id).await;
    submit(&harness, id).await;
    let [a, b, c] = ["a", "b", "c"].map(|worker| take(&leases, worker));
    let (a, b, c) =
        (a.await.unwrap().presented(), b.await.unwrap().presented(), c.await.unwrap().presented());
    assert_eq!(a.lease.task, first.id);

    harness.engine.cancel_task(first.id, owner()).await.unwrap();
    assert!(leases.heartbeat(a.clone(), None).await.unwrap().cancel);
    assert!(!leases.heartbeat(b.clone(), None).await.unwrap().cancel);
    assert!(is_lost(leases.finish(a, done(&json!({"a": 1}))).await));

    harness.engine.pause_project(id, owner()).await.unwrap();
    assert!(!leases.heartbeat(b.clone(), None).await.unwrap().cancel);
    assert_eq!(leases.finish(b, done(&json!({}))).await.unwrap().status(), TaskStatus::Completed);

    harness.engine.cancel_project(id, owner()).await.unwrap();
    assert!(leases.heartbeat(c.clone(), None).await.unwrap().cancel);
    assert!(is_lost(leases.finish(c, done(&json!({}))).await));
    assert_eq!(harness.count(id, EventType::TaskCompleted).await, 1);
    harness.check().await;
}

#[tokio::test]
async fn a_paused_project_leases_no_task() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.engine.pause_project(id, owner()).await.unwrap();
    assert!(take(&leases, "w").await.is_none());
    harness.engine.resume_project(id, owner()).await.unwrap();
    assert!(take(&leases, "w").await.is_some());
}

#[tokio::test]
async fn a_question_ends_the_lease_and_the_answer_requeues_the_task() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let held = take(&leases, "asker").await.unwrap().presented();
    assert_eq!(field(leases.finish(held.clone(), ask(" ")).await), "question");
    let waits = leases.finish(held.clone(), ask("In which language?")).await.unwrap();
    assert_eq!(waits.status(), TaskStatus::WaitingForHitl);
    assert!(is_lost(leases.heartbeat(held, None).await));
    assert!(take(&leases, "w").await.is_none());
    // No lease is held: the answer may take a weekend.
    assert_eq!(harness.gate(id).await.kind, HitlKind::Question);
    harness.answer(id, amend("In Rust")).await;

    let again = take(&leases, "other").await.unwrap();
    let resume = again.job.resume.as_ref().unwrap();
    assert_eq!(resume.session.as_deref(), Some("thread-7"));
    assert_eq!(resume.answers[0].content, Some(json!("In Rust")));
    leases.finish(again.presented(), done(&json!({"a": 1}))).await.unwrap();
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    harness.check().await;
}

#[tokio::test]
async fn a_failure_is_tried_again_when_it_says_so_or_asks_a_person() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let held = take(&leases, "w").await.unwrap().presented();
    let busy = RunError::Retryable {
        code: "rate_limited".to_owned(),
        detail: "Come back in a minute.".to_owned(),
        after: Some(Duration::from_secs(60)),
        usage: Box::new(Usage { input_tokens: 5, ..Usage::default() }),
    };
    assert_eq!(leases.finish(held, Err(busy)).await.unwrap().status(), TaskStatus::Pending);
    harness.clock.advance(Duration::from_secs(59));
    assert!(take(&leases, "w").await.is_none());
    harness.clock.advance(Duration::from_secs(1));
    let held = take(&leases, "w").await.unwrap().presented();
    let failed = leases.finish(held, Err(RunError::terminal("no_idea", "I cannot."))).await;
    let failed = failed.unwrap();
    assert_eq!((failed.status(), failed.usage.input_tokens), (TaskStatus::Failed, 5));
    assert_eq!(harness.gate(id).await.kind, HitlKind::Failure);
    harness.check().await;
}

#[tokio::test]
async fn a_false_lease_changes_nothing() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let held = take(&leases, "w").await.unwrap().presented();
    let before = harness.log(id).await.len();
    let other = |worker: &str, fence| LeaseHolder { worker: WorkerId::external(worker), fence };
    let lease = held.lease.clone();
    let named = |lease| PresentedLease { lease, ..held.clone() };
    let unknown = TaskId::from_uuid(id.uuid());
    for lie in [
        HeldLease { holder: other("w", 2), ..lease.clone() },
        HeldLease { holder: other("w", 0), ..lease.clone() },
        HeldLease { task: unknown, ..lease.clone() },
    ] {
        let lie = named(lie);
        assert!(is_lost(leases.heartbeat(lie.clone(), None).await), "{lie:?}");
        assert!(is_lost(leases.finish(lie.clone(), done(&json!({"a": 1}))).await), "{lie:?}");
        assert!(is_lost(leases.finish(lie, Err(RunError::terminal("x", "x"))).await));
    }
    let thief = named(HeldLease { holder: other("thief", 1), ..lease });
    assert!(is_unauthenticated(leases.finish(thief, done(&json!({"a": 1}))).await));
    assert_eq!(harness.log(id).await.len(), before);
    assert!(leases.finish(held, done(&json!({}))).await.is_ok());
}

#[tokio::test]
async fn a_result_that_is_not_acceptable_is_refused_and_the_lease_stays() {
    let harness = TestHarness::new(super::projects::content());
    let leases = harness.leases();
    let id = harness.start("sdlc", Oversight::Low).await;
    let analyst = WorkQuery { agents: vec![AgentType::Analyst], ..query("w", Duration::ZERO) };
    let held = leases.lease(analyst).await.unwrap().pop().unwrap();
    assert_eq!(held.job.output_type, Some(ArtifactType::ProjectPlan));
    let held = held.presented();
    let before = harness.log(id).await.len();
    let nothing = leases.finish(held.clone(), done(&json!({}))).await;
    assert_eq!(field(nothing), "output");
    let huge = leases.finish(held.clone(), done(&json!({"text": "x".repeat(2 << 20)}))).await;
    assert_eq!(field(huge), "output");
    let other = Ok(Outcome::Completed {
        output: Map::new(),
        artifacts: vec![NewArtifact::new(ArtifactType::TestResults, object(&json!({"a": 1})))],
        confidence: None,
        usage: Usage::default(),
    });
    assert_eq!(field(leases.finish(held.clone(), other).await), "output");
    let log = harness.log(id).await;
    let refused = |entry: &Arc<Entry>| entry.event_type == EventType::TaskResultRefused;
    assert!(log[before..].iter().all(refused), "the reasons are all that is recorded");
    assert_eq!(log.len(), before + 3);
    let plan = json!({
        "summary": "a\0b", "goals": [], "scope": {"in": [], "out": []}, "milestones": [],
    });
    let nul = leases.finish(held, done(&plan)).await.unwrap();
    assert_eq!(nul.status(), TaskStatus::Completed);
    let plan = harness.newest(id, ArtifactType::ProjectPlan).await;
    assert_eq!(plan.content["summary"], "a\u{fffd}b");
    harness.check().await;
}

#[tokio::test]
async fn many_tasks_go_to_one_worker_but_no_more_than_it_asked_for() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    for _ in 0..5 {
        submit(&harness, id).await;
    }
    let agents = vec![AgentType::Tester, AgentType::Coder];
    let three = WorkQuery { agents, max: 3, ..query("w", Duration::ZERO) };
    assert_eq!(leases.lease(three.clone()).await.unwrap().len(), 3);
    assert_eq!(leases.lease(three).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_worker_that_disconnected_before_its_task_arrived_does_not_keep_it() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    let mut waiting = leases.lease(query("gone", Duration::from_secs(30)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    submit(&harness, id).await;
    while harness.count(id, EventType::TaskStarted).await == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(waiting);
    let next = leases.lease(query("next", Duration::from_secs(30))).await.unwrap().pop().unwrap();
    assert_eq!((next.job.attempt, harness.tasks(id).await[0].failures), (2, 0));
    harness.check().await;
}

#[tokio::test]
async fn waiting_workers_get_an_answer_and_no_lease_when_the_server_stops() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let (leases, stop) = harness.leases_until();
    let id = harness.by_hand().await;
    let waiting = {
        let leases = leases.clone();
        tokio::spawn(async move { leases.lease(query("w", Duration::from_secs(30))).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    stop.send(true).unwrap();
    assert!(waiting.await.unwrap().unwrap().is_empty());
    submit(&harness, id).await;
    assert!(take(&leases, "w").await.is_none());
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Pending);
}

#[tokio::test]
async fn only_the_token_of_a_lease_acts_for_its_holder_also_after_the_end() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    submit(&harness, id).await;
    let leased = take(&leases, "w").await.unwrap();
    let other = take(&leases, "w").await.unwrap();
    let forged = [
        PresentedLease { token: None, ..leased.presented() },
        PresentedLease { token: Some(other.token.clone()), ..leased.presented() },
        PresentedLease {
            token: Some(LeaseSecret::new([9; 32]).token(leased.lease.task, &leased.lease.holder)),
            ..leased.presented()
        },
    ];
    let refused = async || {
        let before = harness.log(id).await.len();
        for lie in &forged {
            assert!(is_unauthenticated(leases.heartbeat(lie.clone(), None).await));
            for result in [done(&json!({"a": 1})), ask("?"), Err(RunError::terminal("x", "x"))] {
                assert!(is_unauthenticated(leases.finish(lie.clone(), result).await));
            }
        }
        assert_eq!(harness.log(id).await.len(), before, "nothing changed");
    };
    refused().await;
    leases.heartbeat(leased.presented(), None).await.unwrap();
    refused().await;
    leases.finish(leased.presented(), done(&json!({"a": 1}))).await.unwrap();
    refused().await;
    leases.finish(leased.presented(), done(&json!({"a": 1}))).await.unwrap();
    let stored = serde_json::to_string(&*harness.tasks(id).await[0]).unwrap();
    assert!(stored.contains("lease_token") && !stored.contains(leased.token.expose()));
    let log = serde_json::to_string(&harness.log(id).await).unwrap();
    assert!(!log.contains(leased.token.expose()));
}

#[tokio::test]
async fn a_lease_from_before_leases_had_tokens_needs_none() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    let task = submit(&harness, id).await;
    // As a server without tokens claimed it.
    let worker = WorkerId::external("old");
    let claim = Claim {
        reach: Reach::everything(),
        worker: worker.clone(),
        slots: [(AgentType::Coder, 1)].into(),
        lease: LEASE,
        external: None,
        context: harness.context(),
    };
    harness.store.claim(claim).await.unwrap();
    let holder = LeaseHolder { worker, fence: 1 };
    let old =
        PresentedLease { lease: HeldLease { task: task.id, holder }, token: None, caller: None };
    let forged = LeaseSecret::new([9; 32]).token(task.id, &old.lease.holder);
    let forged = PresentedLease { token: Some(forged), ..old.clone() };
    assert!(is_unauthenticated(leases.finish(forged, done(&json!({}))).await));
    leases.heartbeat(old.clone(), None).await.unwrap();
    harness.pass(LEASE / 2).await;
    leases.finish(old, done(&json!({"a": 1}))).await.unwrap();
    harness.check().await;
}

#[tokio::test]
async fn a_lease_on_which_no_call_comes_is_requeued_and_counts_as_no_failure() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let lost = take(&leases, "gone").await.unwrap();
    let started = harness.tasks(id).await[0].started_at.unwrap();
    assert_eq!(lost.expires_at.since(started), FIRST_CALL);
    harness.pass(FIRST_CALL).await;
    let task = harness.tasks(id).await.remove(0);
    assert_eq!((task.status(), task.failures), (TaskStatus::Pending, 0));
    assert!(is_lost(leases.heartbeat(lost.presented(), None).await));

    // One call is enough for the whole lease.
    let next = take(&leases, "next").await.unwrap();
    let heard = leases.heartbeat(next.presented(), None).await.unwrap();
    assert!(heard.expires_at.since(next.expires_at) > LEASE - FIRST_CALL * 2);
    harness.pass(LEASE - Duration::from_secs(1)).await;
    leases.finish(next.presented(), done(&json!({"a": 1}))).await.unwrap();
    assert_eq!(harness.count(id, EventType::TaskCompleted).await, 1);
    harness.check().await;
}

#[tokio::test]
async fn a_worker_that_never_sends_heartbeats_gets_more_time_and_in_the_end_a_person_is_asked() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let mut times = Vec::new();
    while harness.gates(id).await.is_empty() {
        let leased = take(&leases, "mute").await.unwrap();
        let started = harness.tasks(id).await[0].started_at.unwrap();
        times.push(leased.expires_at.since(started).as_secs());
        harness.pass(leased.expires_at.since(started)).await;
        harness.clock.advance(Duration::from_secs(10));
        assert!(times.len() < 50, "it is given out forever");
    }
    // A lease that expires without this rule is a failure, as it always was.
    assert_eq!(times[..6], [15, 30, 60, 120, 240, 300]);
    assert_eq!(harness.tasks(id).await[0].failures, 3);
    harness.check().await;
}

#[tokio::test]
async fn the_first_lease_ends_with_the_time_limit_of_its_step() {
    let workflow = Workflow::from_toml(
        "name = \"short\"\n[[step]]\nname = \"a\"\nphase = \"One\"\nagent = \"coder\"\n\
         output = \"source_code\"\ntimeout_s = 2\n",
    );
    let workflows = Workflows::default().with(workflow.unwrap());
    let harness = TestHarness::with_workflows(ScriptedRunner::default(), workflows);
    let leases = harness.leases();
    let id = harness.start("short", Oversight::Low).await;
    let leased = take(&leases, "w").await.unwrap();
    let started = harness.tasks(id).await[0].started_at.unwrap();
    assert_eq!(leased.expires_at.since(started), Duration::from_secs(2));
    // Also where no timer has ended it yet.
    harness.clock.advance(Duration::from_millis(2100));
    let files = done(&json!({"files": [{"path": "a.py", "content": "1"}]}));
    assert!(is_lost(leases.finish(leased.presented(), files).await));
    harness.pass(Duration::ZERO).await;
    let task = harness.tasks(id).await.remove(0);
    assert_eq!((task.status(), task.failures), (TaskStatus::Pending, 1), "it was too slow");
}

#[tokio::test]
async fn leases_that_did_not_arrive_are_requeued_at_once() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let lost = take(&leases, "gone").await.unwrap();
    leases.requeue_undelivered(vec![lost.lease]).await;
    let next = take(&leases, "next").await.unwrap();
    assert_eq!((next.job.attempt, harness.tasks(id).await[0].failures), (2, 0));
    harness.check().await;
}

#[tokio::test]
async fn a_starting_server_keeps_the_leases_of_external_workers() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let leases = harness.leases();
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let held = take(&leases, "w").await.unwrap().presented();
    assert_eq!(harness.engine.take_back_everything().await.unwrap(), 0);
    assert!(leases.finish(held, done(&json!({}))).await.is_ok());
}

/// Counts claims.
struct Counting(Arc<dyn Ledger>, Arc<AtomicUsize>);

#[async_trait]
impl Ledger for Counting {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        self.0.transact(scope, decide).await
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
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
async fn many_waiting_workers_cause_no_more_claims_than_one_and_are_served_in_turn() {
    let asked = Arc::new(AtomicUsize::new(0));
    let harness = TestHarness::with_ledger(|ledger| Arc::new(Counting(ledger, Arc::clone(&asked))));
    let (leases, _stop) = harness.leases_with(Duration::from_secs(3600));
    let id = harness.by_hand().await;
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..200 {
        let leases = leases.clone();
        waiting.spawn(async move {
            leases.lease(query(&format!("w-{n}"), Duration::from_secs(20))).await.unwrap()
        });
    }
    // The second look at the queue comes when all of them wait.
    while asked.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = asked.load(Ordering::SeqCst);
    for _ in 0..5 {
        submit(&harness, id).await;
    }
    let mut tasks = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let leased = waiting.join_next().await.unwrap().unwrap();
        tasks.extend(leased.iter().map(|leased| leased.lease.task));
    }
    assert_eq!(tasks.len(), 5, "each task went to one of them");
    let asked = asked.load(Ordering::SeqCst) - before;
    assert!(asked <= 10, "five tasks took {asked} claims, with 200 workers waiting");
}

#[tokio::test]
async fn workers_that_poll_again_and_again_cause_no_more_claims_than_one() {
    let asked = Arc::new(AtomicUsize::new(0));
    let harness = TestHarness::with_ledger(|ledger| Arc::new(Counting(ledger, Arc::clone(&asked))));
    let (leases, _stop) = harness.leases_with(Duration::from_secs(3600));
    let id = harness.by_hand().await;
    // The wake-up of the project may come late, and is worth a claim of its own.
    assert!(leases.lease(query("w", Duration::from_millis(300))).await.unwrap().is_empty());
    asked.store(0, Ordering::SeqCst);
    let (mut polls, began) = (0, std::time::Instant::now());
    while polls < 1000 || began.elapsed() < Duration::from_millis(500) {
        let polling = (0..100).map(|n| {
            let leases = leases.clone();
            async move { leases.lease(query(&format!("w-{n}"), Duration::from_millis(5))).await }
        });
        for leased in futures_util::future::join_all(polling).await {
            assert!(leased.unwrap().is_empty());
        }
        polls += 100;
    }
    // Five in a second, and one at the beginning.
    let most = began.elapsed().as_millis() as usize / 200 + 1;
    let claims = asked.load(Ordering::SeqCst);
    assert!((1..=most).contains(&claims), "{polls} polls took {claims} claims, not {most}");
    // What comes meanwhile is handed out, also to a worker that does not wait.
    submit(&harness, id).await;
    assert!(take(&leases, "w").await.is_some());
    submit(&harness, id).await;
    assert_eq!(leases.lease(query("w", Duration::from_secs(20))).await.unwrap().len(), 1);
}
