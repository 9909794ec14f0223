//! Responses to gates and their consequences.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::hitl::GateSettings;
use botarmy_domain::ports::{Gates, HitlStore, Operations};
use botarmy_domain::{
    AgentType, ArtifactType, Caller, DomainError, Error, EventType, HitlAction, HitlKind,
    HitlStatus, NewArtifact, NewRequest, Outcome, Oversight, ProjectStatus, Response, TaskStatus,
    Usage,
};
use botarmy_orchestrator::Workflows;
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{Setup, TestHarness, amend, owner, simply};
use serde_json::json;

use super::projects::content;

const DAY: Duration = Duration::from_secs(86_400);

async fn at_first_gate() -> (TestHarness, botarmy_domain::ProjectId) {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    (harness, id)
}

fn conflict(result: Result<botarmy_domain::Responded, Error>) -> String {
    match result {
        Err(Error::Refused(DomainError::Conflict { detail, .. })) => detail,
        other => panic!("a conflict was expected: {other:?}"),
    }
}

#[tokio::test]
async fn a_rejection_halts_the_project_and_closes_everything() {
    let (harness, id) = at_first_gate().await;
    let gate = harness.gate(id).await;
    let responded =
        harness.engine.respond(gate.id, simply(HitlAction::Reject), owner()).await.unwrap();
    assert!(!responded.workflow_resumed);
    assert_eq!(harness.status(id).await, ProjectStatus::Halted);
    harness.work().await;
    assert_eq!(harness.tasks(id).await.len(), 1, "nothing goes on");
}

#[tokio::test]
async fn an_amendment_in_words_runs_the_step_again_with_those_words() {
    let (harness, id) = at_first_gate().await;
    harness.answer(id, amend("Think of grandparents too")).await;
    harness.work().await;
    let seen = harness.runner.seen();
    assert_eq!(seen.len(), 2);
    let last = seen[1].context.last().unwrap();
    assert_eq!(last.meta.artifact_type, ArtifactType::HitlResponse);
    assert_eq!(last.content["user_content"], "Think of grandparents too");
    let gate = harness.gate(id).await;
    assert_eq!(gate.step.as_deref(), Some("Project Planning"), "the new result is reviewed too");
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.gate(id).await.step.as_deref(), Some("Requirements Analysis"));
}

#[tokio::test]
async fn a_replacement_becomes_the_artifact_and_the_workflow_goes_on() {
    let (harness, id) = at_first_gate().await;
    let reviewed = harness.gate(id).await.subject.artifacts[0].context_id;
    let document = json!({
        "title": "My own plan", "summary": "Short.", "goals": [], "scope": {"in": [], "out": []},
        "milestones": [],
    });
    let response =
        Response { amended_content: document.as_object().cloned(), ..simply(HitlAction::Amend) };
    harness.answer(id, response).await;
    harness.work().await;
    let plan = harness.newest(id, ArtifactType::ProjectPlan).await;
    assert_eq!(plan.content["title"], "My own plan");
    assert_eq!(plan.meta.previous, Some(reviewed));
    let seen = harness.runner.seen();
    assert_eq!(seen[1].context[1].meta.id, plan.meta.id, "the next step sees the replacement");
}

#[tokio::test]
async fn a_replacement_that_does_not_match_the_schema_is_refused_with_pointers() {
    let (harness, id) = at_first_gate().await;
    let gate = harness.gate(id).await;
    let before = harness.log(id).await.len();
    let scope = json!({"in": [], "out": []});
    for (document, pointers) in [
        (json!({"nonsense": true}), vec!["/amended_content"]),
        (
            json!({"summary": "", "goals": [7], "scope": scope, "milestones": []}),
            vec!["/amended_content/goals/0", "/amended_content/summary"],
        ),
    ] {
        let amended_content = document.as_object().cloned();
        let response = Response { amended_content, ..simply(HitlAction::Amend) };
        let refused = harness.engine.respond(gate.id, response, owner()).await.unwrap_err();
        let Error::Refused(DomainError::InvalidDocument(parts)) = refused else {
            panic!("{refused:?}")
        };
        let mut found: Vec<_> = parts.iter().map(|part| part.pointer.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, pointers);
    }
    assert_eq!(harness.log(id).await.len(), before, "a refused amendment changes nothing");
    assert_eq!(harness.gate(id).await.id, gate.id);
}

#[tokio::test]
async fn replaced_source_code_needs_files_that_can_be_written() {
    let text = "name = \"one\"\n[[step]]\nname = \"A\"\nphase = \"1\"\nagent = \"coder\"\n\
                output = \"source_code\"\ngate = \"low\"\n";
    let workflows = Workflows::default().with(botarmy_domain::Workflow::from_toml(text).unwrap());
    let writes = Act::Content(json!({"files": []}));
    let runner = ScriptedRunner::default().on_step("A", [writes]);
    let harness = TestHarness::with_workflows(runner, workflows);
    let id = harness.start("one", Oversight::Low).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    let file = |path: &str| json!({"files": [{"path": path, "content": "x"}]});
    for document in [json!({}), file("../x"), file("/etc/passwd")] {
        let amended_content = document.as_object().cloned();
        let response = Response { amended_content, ..simply(HitlAction::Amend) };
        let refused = harness.engine.respond(gate.id, response, owner()).await.unwrap_err();
        assert!(refused.to_string().contains("/amended_content/files"), "{refused}");
    }
    let amended_content = file("x.txt").as_object().cloned();
    let response = Response { amended_content, ..simply(HitlAction::Amend) };
    harness.answer(id, response).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn amending_with_nothing_is_refused_and_changes_nothing() {
    let (harness, id) = at_first_gate().await;
    let gate = harness.gate(id).await;
    let before = harness.log(id).await.len();
    for content in [None, Some(" \n".to_owned())] {
        let response = Response { content, ..simply(HitlAction::Amend) };
        let refused = harness.engine.respond(gate.id, response, owner()).await;
        assert!(matches!(refused, Err(Error::Refused(DomainError::BadRequest(_)))));
    }
    assert_eq!(harness.log(id).await.len(), before);
}

#[tokio::test]
async fn a_second_answer_is_refused_and_names_the_first() {
    let (harness, id) = at_first_gate().await;
    let gate = harness.gate(id).await;
    harness.engine.respond(gate.id, simply(HitlAction::Approve), owner()).await.unwrap();
    let detail =
        conflict(harness.engine.respond(gate.id, simply(HitlAction::Reject), owner()).await);
    assert!(detail.contains("was approved by owner at "), "{detail}");
}

#[tokio::test]
async fn of_many_people_who_answer_at_once_exactly_one_wins() {
    let (harness, id) = at_first_gate().await;
    let gate = harness.gate(id).await.id;
    let answers = (0..20).map(|n| {
        let engine = harness.engine.clone();
        let action = if n % 2 == 0 { HitlAction::Approve } else { HitlAction::Reject };
        let caller = Caller::person(format!("person {n}"));
        tokio::spawn(async move { engine.respond(gate, simply(action), caller).await.is_ok() })
    });
    let mut won = 0;
    for answer in answers.collect::<Vec<_>>() {
        won += usize::from(answer.await.unwrap());
    }
    assert_eq!(won, 1);
    harness.check().await;
}

#[tokio::test]
async fn a_subject_that_changed_since_it_was_shown_refuses_the_answer() {
    let (harness, id) = at_first_gate().await;
    let gate = harness.gate(id).await;
    let shown = gate.subject.digest.clone();
    let newer = json!({"title": "A newer plan"}).as_object().cloned().unwrap();
    let newer = NewArtifact::new(ArtifactType::ProjectPlan, newer);
    let agent = botarmy_domain::AgentType::Analyst;
    harness.engine.add_artifact(id, agent, newer, owner()).await.unwrap();
    let seen = Response { subject_digest: Some(shown), ..simply(HitlAction::Approve) };
    let detail = conflict(harness.engine.respond(gate.id, seen, owner()).await);
    assert!(detail.contains("has changed since it was shown"), "{detail}");
    let now = harness.gate(id).await.subject.digest.clone();
    let seen = Response { subject_digest: Some(now), ..simply(HitlAction::Approve) };
    harness.engine.respond(gate.id, seen, owner()).await.unwrap();
}

#[tokio::test]
async fn an_unanswered_gate_keeps_waiting_and_can_be_answered_at_any_time() {
    let (harness, id) = at_first_gate().await;
    let gate = harness.gate(id).await;
    for day in 1..=3 {
        harness.pass(DAY - Duration::from_secs(1)).await;
        harness.pass(Duration::from_secs(1)).await;
        assert_eq!(harness.count(id, EventType::HitlTimeout).await, day);
        let waiting = harness.gate(id).await;
        assert_eq!(waiting.id, gate.id);
        let left = waiting.expires_at.since(harness.now());
        assert!(left > DAY - Duration::from_secs(1), "it has a new deadline: {left:?}");
    }
    // The timer has yet to give it another deadline; a person is not refused because of that.
    harness.clock.advance(DAY);
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
}

#[tokio::test]
async fn an_unanswered_gate_can_reject_on_expiry() {
    let harness = TestHarness::with_workflows(content(), one_gate("reject"));
    let id = harness.start("one", Oversight::Low).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    harness.pass(Duration::from_secs(59)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
    harness.pass(Duration::from_secs(1)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Halted);
    let expired = harness.store.request(gate.id).await.unwrap().unwrap();
    assert_eq!(expired.status(), HitlStatus::Expired);
    assert_eq!(harness.count(id, EventType::HitlTimeout).await, 1);
    let detail =
        conflict(harness.engine.respond(gate.id, simply(HitlAction::Approve), owner()).await);
    assert!(detail.contains("expired"), "{detail}");
    harness.check().await;
}

fn one_gate(on_expiry: &str) -> Workflows {
    let text = format!(
        "name = \"one\"\n[[step]]\nname = \"A\"\nphase = \"1\"\nagent = \"analyst\"\n\
         output = \"project_plan\"\ngate = \"low\"\ngate_ttl_s = 60\non_expiry = \"{on_expiry}\"\n"
    );
    Workflows::default().with(botarmy_domain::Workflow::from_toml(&text).unwrap())
}

#[tokio::test]
async fn a_gate_can_keep_waiting_or_approve_on_expiry() {
    for (on_expiry, status) in
        [("keep_waiting", ProjectStatus::Active), ("approve", ProjectStatus::Completed)]
    {
        let mut setup = Setup { workflows: one_gate(on_expiry), ..Setup::default() };
        let allowed =
            GateSettings { allow_expiry_approval: true, grace_s: 0, ..Default::default() };
        setup.settings.defaults.gates = Arc::new(allowed);
        let harness = TestHarness::with(content(), setup);
        let id = harness.start("one", Oversight::Low).await;
        harness.work().await;
        harness.pass(Duration::from_secs(61)).await;
        harness.work().await;
        assert_eq!(harness.status(id).await, status, "{on_expiry}");
    }
}

#[tokio::test]
async fn an_answer_after_the_time_is_refused_even_before_the_timer_has_run() {
    let harness = TestHarness::with_workflows(content(), one_gate("reject"));
    let id = harness.start("one", Oversight::Low).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    harness.clock.advance(Duration::from_secs(60));
    conflict(harness.engine.respond(gate.id, simply(HitlAction::Approve), owner()).await);
}

#[tokio::test]
async fn an_agent_asks_in_mid_task_and_goes_on_with_the_answer() {
    let asks = Act::ask("Which colour?", &["red", "blue"]);
    let harness = TestHarness::new(content().on_step("Project Planning", [asks]));
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    assert_eq!((gate.kind, gate.question.as_str()), (HitlKind::Question, "Which colour?"));
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::WaitingForHitl);
    harness.answer(id, amend("green")).await;
    harness.work().await;
    let resumed = harness.runner.seen()[1].resume.clone().unwrap();
    assert_eq!(resumed.answers[0].content, Some(json!("green")));
    assert_eq!(resumed.answers[0].question_id, gate.id);
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(harness.tasks(id).await[0].attempt, 2);
}

#[tokio::test]
async fn a_request_raised_by_hand_holds_completion_up() {
    let harness = TestHarness::new(ScriptedRunner::default());
    let id = harness.by_hand().await;
    super::tasks::submit(&harness, id).await;
    let raised = NewRequest {
        project_id: id,
        task_id: None,
        question: "Really?".to_owned(),
        options: vec![],
        ttl_s: Some(60),
        artifacts: vec![],
        policy: None,
        assignees: Vec::new(),
        response_schema: None,
    };
    harness.engine.raise_request(raised, owner()).await.unwrap();
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
    harness.answer(id, simply(HitlAction::Approve)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

/// Returns a result with this confidence.
fn with_confidence(confidence: f64, content: &serde_json::Value) -> Act {
    let serde_json::Value::Object(output) = content.clone() else { panic!("{content}") };
    let (artifacts, usage) = (Vec::new(), Usage::default());
    let confidence = Some(confidence);
    Act::Return(Ok(Outcome::Completed { output, artifacts, confidence, usage }))
}

#[tokio::test]
async fn a_result_with_low_confidence_is_reviewed_at_any_oversight() {
    let plan = json!({
        "summary": "s", "goals": [], "scope": {"in": [], "out": []}, "milestones": [],
    });
    for (confidence, asks) in [(0.79, true), (0.8, false), (1.0, false)] {
        let acts = [with_confidence(confidence, &plan)];
        let harness =
            TestHarness::new(super::projects::content().on_step("Project Planning", acts));
        let id = harness.start("sdlc", Oversight::Low).await;
        harness.work().await;
        if asks {
            let gate = harness.gate(id).await;
            assert_eq!((gate.kind, gate.subject.artifacts.len()), (HitlKind::Approval, 1));
            assert!(gate.question.contains("79 % sure"), "{}", gate.question);
            harness.answer(id, simply(HitlAction::Approve)).await;
            harness.work().await;
        }
        assert_eq!(harness.status(id).await, ProjectStatus::Completed, "{confidence}");
    }
}

#[tokio::test]
async fn a_reviewer_reads_the_warnings_of_the_agent() {
    let warned = |warnings: serde_json::Value| {
        let object = |value: serde_json::Value| value.as_object().cloned().unwrap();
        let plan = json!({
            "summary": "s", "goals": [], "scope": {"in": [], "out": []}, "milestones": [],
        });
        let artifacts = vec![NewArtifact::new(ArtifactType::ProjectPlan, object(plan))];
        let (output, usage) = (object(json!({"warnings": warnings})), Usage::default());
        Act::Return(Ok(Outcome::Completed { output, artifacts, confidence: None, usage }))
    };
    let long = "x".repeat(1_000);
    for (warnings, expected) in [
        (json!(["The idea was cut.", 7, long]), " Warning: The idea was cut. Warning: xxx"),
        (json!(vec!["Once more."; 9]), " Warning: Once more. Warning: Once more."),
        (json!("no list"), "good to go on with?"),
        (json!(null), "good to go on with?"),
    ] {
        let acts = [warned(warnings.clone())];
        let harness = TestHarness::new(content().on_step("Project Planning", acts));
        let id = harness.start("sdlc", Oversight::Standard).await;
        harness.work().await;
        let question = harness.gate(id).await.question.clone();
        assert!(question.contains(expected), "{warnings}: {question}");
        assert!(question.len() < 700 && question.matches("Warning").count() <= 5, "{question}");
        assert_eq!(question.contains("Warning"), expected.contains("Warning"), "{question}");
    }
}

#[tokio::test]
async fn a_result_with_low_confidence_can_be_approved_replaced_or_redone() {
    let doubtful = || with_confidence(0.1, &json!({"text": "perhaps"}));
    let mine = json!({"text": "mine"}).as_object().cloned();
    let replacement = Response { amended_content: mine, ..simply(HitlAction::Amend) };
    for (answer, runs, newest) in [
        (simply(HitlAction::Approve), 1, "perhaps"),
        (amend("Be sure"), 2, "certain"),
        (replacement, 1, "mine"),
    ] {
        let certain = with_confidence(0.9, &json!({"text": "certain"}));
        let runner = ScriptedRunner::default().on_agent(AgentType::Coder, [doubtful(), certain]);
        let harness = TestHarness::new(runner);
        let id = harness.by_hand().await;
        super::tasks::submit(&harness, id).await;
        harness.work().await;
        assert_eq!(harness.status(id).await, ProjectStatus::Active, "a person has to look");
        harness.answer(id, answer).await;
        harness.work().await;
        assert_eq!(harness.status(id).await, ProjectStatus::Completed, "{newest}");
        assert_eq!(harness.runner.seen().len(), runs, "{newest}");
        let made = harness.newest(id, ArtifactType::AgentOutput).await;
        assert_eq!(made.content["text"], newest);
    }
}
