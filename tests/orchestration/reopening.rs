//! Halted projects that go on, and projects by hand that go on after they completed.

use std::time::Duration;

use botarmy_domain::ports::{Gates, HitlStore, Operations, Projects, Tasks};
use botarmy_domain::{
    AgentType, ArtifactType, Caller, DomainError, Error, EventType, HitlAction, HitlKind,
    HitlStatus, NewArtifact, NewRequest, NewTask, Oversight, ProjectId, ProjectStatus, TaskStatus,
    Workflow,
};
use botarmy_orchestrator::Workflows;
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{TestHarness, amend, owner, simply};
use serde_json::json;

use super::projects::content;
use super::tasks::submit;

async fn reopen(harness: &TestHarness, id: ProjectId) {
    let reason = "It was a mistake".to_owned();
    let reopened = harness.engine.reopen_project(id, reason, Caller::person("ada")).await.unwrap();
    assert_eq!(reopened.status(), ProjectStatus::Active);
}

async fn reject(harness: &TestHarness, id: ProjectId) {
    harness.answer(id, simply(HitlAction::Reject)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Halted);
}

fn question(project_id: ProjectId) -> NewRequest {
    NewRequest {
        project_id,
        task_id: None,
        question: "Really?".to_owned(),
        options: vec![],
        ttl_s: None,
        artifacts: vec![],
        policy: None,
        assignees: Vec::new(),
        response_schema: None,
    }
}

/// Approves gate after gate until the project ends.
async fn to_the_end(harness: &TestHarness, id: ProjectId) {
    harness.work().await;
    while harness.status(id).await == ProjectStatus::Active {
        harness.answer(id, simply(HitlAction::Approve)).await;
        harness.work().await;
    }
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_rejected_step_is_put_up_for_review_again_with_its_history() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    let rejected = harness.gate(id).await;
    reject(&harness, id).await;
    reopen(&harness, id).await;
    let again = harness.gate(id).await;
    assert_eq!(again.previous_request_id, Some(rejected.id));
    assert_eq!((&again.step, &again.subject), (&rejected.step, &rejected.subject));
    let actions: Vec<_> = again.history.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["created", "reject", "reopen"]);
    assert_eq!(again.history[2].comment.as_deref(), Some("It was a mistake"));
    let before = harness.store.request(rejected.id).await.unwrap().unwrap();
    assert_eq!(before.status(), HitlStatus::Rejected, "the decision stays in the record");
    let log = harness.log(id).await;
    let entry = log.iter().find(|e| e.event_type == EventType::ProjectReopened).unwrap();
    assert_eq!(entry.actor(), "ada");
    assert_eq!(entry.event_data["reason"], "It was a mistake");
    to_the_end(&harness, id).await;
    assert_eq!(harness.runner.seen().len(), 9, "no step ran twice");
}

#[tokio::test]
async fn a_reopened_project_can_be_halted_and_reopened_again() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    for _ in 0..2 {
        reject(&harness, id).await;
        reopen(&harness, id).await;
    }
    harness.answer(id, amend("Think again")).await;
    to_the_end(&harness, id).await;
}

#[tokio::test]
async fn a_gate_that_expired_is_asked_again_with_a_new_deadline() {
    let text = "name = \"one\"\n[[step]]\nname = \"A\"\nphase = \"1\"\nagent = \"analyst\"\n\
                output = \"project_plan\"\ngate = \"low\"\ngate_ttl_s = 60\non_expiry = \"reject\"\n";
    let workflows = Workflows::default().with(Workflow::from_toml(text).unwrap());
    let harness = TestHarness::with_workflows(content(), workflows);
    let id = harness.start("one", Oversight::Low).await;
    harness.work().await;
    harness.pass(Duration::from_secs(61)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Halted);
    reopen(&harness, id).await;
    let left = harness.gate(id).await.expires_at.since(harness.now());
    assert!(left > Duration::from_secs(59), "it has a new deadline: {left:?}");
    to_the_end(&harness, id).await;
}

#[tokio::test]
async fn a_step_that_failed_is_asked_about_again() {
    let harness = TestHarness::new(content().on_step("Deployment", [Act::terminal("x", "No.")]));
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    reject(&harness, id).await;
    reopen(&harness, id).await;
    assert_eq!(harness.gate(id).await.kind, HitlKind::Failure);
    to_the_end(&harness, id).await;
}

#[tokio::test]
async fn a_task_that_asked_waits_for_the_answer_again() {
    let asks = Act::ask("Which colour?", &["red", "blue"]);
    let harness = TestHarness::new(content().on_step("Project Planning", [asks]));
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    reject(&harness, id).await;
    reopen(&harness, id).await;
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::WaitingForHitl);
    harness.answer(id, amend("green")).await;
    to_the_end(&harness, id).await;
    let resumed = harness.runner.seen()[1].resume.clone().unwrap();
    assert_eq!(resumed.answers.last().unwrap().content, Some(json!("green")));
    assert_eq!(harness.tasks(id).await[0].attempt, 2, "the same task went on");
}

/// Two branches: one is in review while the other one runs or is in review, too.
fn branches() -> Workflows {
    let step = |name: &str, agent: &str, gate: &str| {
        format!(
            "[[step]]\nname = \"{name}\"\nphase = \"1\"\nagent = \"{agent}\"\ndepends_on = []\n\
             output = \"agent_output\"\nreplaces_approved = true\n{gate}\n"
        )
    };
    let text = format!(
        "name = \"branches\"\n{}{}",
        step("A", "analyst", "gate = \"low\""),
        step("B", "coder", "")
    );
    Workflows::default().with(Workflow::from_toml(&text).unwrap())
}

#[tokio::test]
async fn a_step_that_was_running_when_the_project_was_halted_starts_again() {
    let harness = TestHarness::with_workflows(
        content().on_step("B", [Act::retryable("busy", "Later.")]),
        branches(),
    );
    let id = harness.start("branches", Oversight::Low).await;
    harness.work().await;
    reject(&harness, id).await;
    let cancelled = |tasks: &[std::sync::Arc<botarmy_domain::Task>]| {
        tasks.iter().filter(|task| task.status() == TaskStatus::Cancelled).count()
    };
    assert_eq!(cancelled(&harness.tasks(id).await), 1);
    reopen(&harness, id).await;
    harness.work().await;
    assert_eq!(harness.tasks(id).await.len(), 3);
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_request_by_hand_that_halted_a_workflow_is_asked_again() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Low).await;
    let raised = harness.engine.raise_request(question(id), owner()).await.unwrap();
    reject(&harness, id).await;
    reopen(&harness, id).await;
    assert_eq!(harness.gate(id).await.previous_request_id, Some(raised.id));
    harness.answer(id, simply(HitlAction::Approve)).await;
    to_the_end(&harness, id).await;
}

#[tokio::test]
async fn only_a_halted_project_is_reopened_and_with_a_reason() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    let reason = || "why".to_owned();
    let refused = harness.engine.reopen_project(id, reason(), owner()).await.unwrap_err();
    assert!(refused.to_string().contains("only a halted project"), "{refused}");
    reject(&harness, id).await;
    let before = harness.log(id).await.len();
    let blank = harness.engine.reopen_project(id, " \n".to_owned(), owner()).await.unwrap_err();
    assert!(
        matches!(blank, Error::Refused(DomainError::Invalid { field: "reason", .. })),
        "{blank}"
    );
    assert_eq!(harness.log(id).await.len(), before);
    // Of two people at once, one reopens it.
    let (a, b) = tokio::join!(
        harness.engine.reopen_project(id, reason(), owner()),
        harness.engine.reopen_project(id, reason(), owner()),
    );
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    assert_eq!(harness.count(id, EventType::ProjectReopened).await, 1);
    harness.gate(id).await;
}

#[tokio::test]
async fn the_next_task_or_request_reopens_a_project_by_hand_that_completed_by_itself() {
    let harness = TestHarness::new(content());
    let id = harness.by_hand().await;
    for round in 1..=2 {
        submit(&harness, id).await;
        assert_eq!(harness.status(id).await, ProjectStatus::Active);
        harness.work().await;
        assert_eq!(harness.status(id).await, ProjectStatus::Completed);
        assert_eq!(harness.count(id, EventType::ProjectCompleted).await, round);
        assert_eq!(harness.count(id, EventType::ProjectReopened).await, round - 1);
    }
    harness.engine.raise_request(question(id), owner()).await.unwrap();
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
    harness.answer(id, simply(HitlAction::Approve)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(harness.count(id, EventType::ProjectReopened).await, 2);
    let new = NewArtifact::new(ArtifactType::AgentOutput, serde_json::Map::new());
    harness.engine.add_artifact(id, AgentType::Coder, new, owner()).await.unwrap();
    let log = harness.log(id).await;
    let entry = log.iter().find(|e| e.event_type == EventType::ProjectReopened).unwrap();
    assert_eq!((entry.actor(), &entry.event_data["was"]), ("owner", &json!("completed")));
    harness.engine.start_project(id, None, None, owner()).await.unwrap();
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
    harness.check().await;
}

#[tokio::test]
async fn a_project_that_was_completed_by_force_or_cancelled_stays_as_it_is() {
    for (forced, before_work) in [(true, false), (true, true), (false, true)] {
        let harness = TestHarness::new(content());
        let id = harness.by_hand().await;
        submit(&harness, id).await;
        if !before_work {
            harness.work().await;
            assert_eq!(harness.status(id).await, ProjectStatus::Completed);
        }
        if forced {
            harness.engine.force_complete(id, owner()).await.unwrap();
        } else {
            harness.engine.cancel_project(id, owner()).await.unwrap();
        }
        let status = harness.status(id).await;
        let new = NewTask {
            project_id: id,
            agent: AgentType::Coder,
            instructions: "More".to_owned(),
            context_ids: vec![],
            priority: None,
            max_attempts: None,
        };
        assert!(harness.engine.submit_task(new, owner()).await.is_err());
        assert!(harness.engine.raise_request(question(id), owner()).await.is_err());
        assert!(harness.engine.start_project(id, None, None, owner()).await.is_err());
        assert_eq!(harness.status(id).await, status);
        let again = harness.log(id).await.len();
        if forced {
            harness.engine.force_complete(id, owner()).await.unwrap();
        }
        assert_eq!(harness.log(id).await.len(), again, "completing it twice changes nothing");
    }
}

#[tokio::test]
async fn a_rejection_in_a_project_without_a_workflow_halts_nothing() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    let task = submit(&harness, id).await;
    let raised = harness.engine.raise_request(question(id), owner()).await.unwrap();
    let other = harness.engine.raise_request(question(id), owner()).await.unwrap();
    let responded =
        harness.engine.respond(raised.id, simply(HitlAction::Reject), owner()).await.unwrap();
    assert_eq!(
        (responded.request.status(), responded.project_halted, responded.workflow_resumed),
        (HitlStatus::Rejected, false, false)
    );
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
    let other = harness.store.request(other.id).await.unwrap().unwrap();
    assert_eq!(other.status(), HitlStatus::Pending, "the other request goes on waiting");
    assert_eq!(harness.tasks(id).await[0].id, task.id);
    harness.work().await;
    harness.answer(id, simply(HitlAction::Approve)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_task_by_hand_that_waits_for_an_answer_is_told_of_the_rejection() {
    let asks = Act::ask("May I delete it?", &["yes", "no"]);
    let harness = TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [asks]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    let response = botarmy_domain::Response {
        comment: Some("Keep it".to_owned()),
        ..simply(HitlAction::Reject)
    };
    harness.answer(id, response).await;
    harness.work().await;
    let resumed = harness.runner.seen()[1].resume.clone().unwrap();
    assert_eq!(resumed.answers[0].action, HitlAction::Reject);
    assert_eq!(resumed.answers[0].comment.as_deref(), Some("Keep it"));
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_failed_task_by_hand_stays_failed_when_another_try_is_rejected() {
    let fails = Act::terminal("x", "No.");
    let harness = TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [fails]));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    submit(&harness, id).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    assert!(gate.question.ends_with("or reject to leave it failed."), "{}", gate.question);
    harness.answer(id, simply(HitlAction::Reject)).await;
    let statuses: Vec<_> = harness.tasks(id).await.iter().map(|task| task.status()).collect();
    assert!(statuses.contains(&TaskStatus::Failed) && statuses.contains(&TaskStatus::Completed));
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
    harness.check().await;
}
