//! Validation of agent output: invalid output is requested once more, then a person is asked.

use std::time::Duration;

use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::ports::WorkerLeases;
use botarmy_domain::workflow::Workflow;
use botarmy_domain::{
    AgentType, ArtifactType, DomainError, Error, EventType, HitlAction, HitlKind, Outcome,
    Oversight, ProjectStatus, RunError, TaskStatus, Usage, WorkQuery, WorkerId,
};
use botarmy_orchestrator::Workflows;
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{TestHarness, amend, owner, simply};
use serde_json::{Value, json};

/// A workflow with one step that produces source code with a title.
const WORKFLOW: &str = r#"
    name = "titled"
    [[step]]
    name = "Write"
    phase = "1"
    agent = "coder"
    output = "source_code"
    [step.output_schema]
    type = "object"
    required = ["title", "files"]
    properties = { title = { type = "string", maxLength = 20 } }
"#;

fn harness(acts: impl IntoIterator<Item = Act>) -> TestHarness {
    let workflows = Workflows::default().with(Workflow::from_toml(WORKFLOW).unwrap());
    TestHarness::with_workflows(ScriptedRunner::default().on_step("Write", acts), workflows)
}

fn makes(content: &Value) -> Act {
    let Value::Object(content) = content.clone() else { panic!("{content}") };
    let usage = Usage { input_tokens: 10, output_tokens: 1, ..Usage::default() };
    Act::Return(Ok(Outcome::Completed {
        output: serde_json::Map::new(),
        artifacts: vec![NewArtifact::new(ArtifactType::SourceCode, content)],
        confidence: None,
        usage,
    }))
}

fn good() -> Value {
    json!({"title": "Recipes", "files": [{"path": "a.txt", "content": "a"}]})
}

fn bad() -> Value {
    json!({"title": 7, "files": []})
}

#[tokio::test]
async fn an_invalid_document_is_requested_once_more_with_the_validators_message() {
    let harness = harness([makes(&bad()), makes(&good())]);
    let id = harness.start("titled", Oversight::Low).await;
    harness.work().await;
    let task = &harness.tasks(id).await[0];
    assert_eq!((task.status(), task.failures), (TaskStatus::Pending, 1));
    assert_eq!(task.error().unwrap().code, "unfit_output");
    harness.pass(Duration::from_secs(2)).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    let seen = harness.runner.seen();
    assert_eq!(seen[0].instructions, "Write");
    let again = &seen[1].instructions;
    assert!(again.starts_with("Write\n\n") && again.contains("/title"), "{again}");
    let task = &harness.tasks(id).await[0];
    assert_eq!(task.usage.input_tokens, 20, "both attempts are paid");
    assert_eq!(task.validation_error, None);
}

#[tokio::test]
async fn a_second_invalid_document_is_reviewed_by_a_person() {
    let other = json!({"title": "x".repeat(5000), "files": "none"});
    let harness = harness([makes(&bad()), makes(&other), makes(&bad()), makes(&good())]);
    let id = harness.start("titled", Oversight::Low).await;
    for _ in 0..2 {
        harness.work().await;
        harness.pass(Duration::from_secs(2)).await;
    }
    let gate = harness.gate(id).await;
    assert_eq!((gate.kind, harness.runner.seen().len()), (HitlKind::Failure, 2));
    assert!(gate.question.contains("source code needs `files`"), "{}", gate.question);
    harness.answer(id, amend("Use short titles")).await;
    harness.work().await;
    assert!(harness.runner.seen()[2].instructions.contains("Use short titles"));
    harness.pass(Duration::from_secs(2)).await;
    harness.work().await;
    assert_eq!(
        harness.status(id).await,
        ProjectStatus::Completed,
        "a person's word begins it anew"
    );
    assert_eq!(harness.count(id, EventType::TaskFailed).await, 1);
}

#[tokio::test]
async fn a_persons_retry_shows_the_agent_why_the_last_result_was_refused() {
    let lost = Act::terminal("lost", "The line was cut.");
    let late = json!({"title": "x", "files": "none"});
    let harness = harness([makes(&bad()), makes(&late), makes(&bad()), lost, makes(&good())]);
    let id = harness.start("titled", Oversight::Low).await;
    let work_twice = async || {
        for _ in 0..2 {
            harness.work().await;
            harness.pass(Duration::from_secs(2)).await;
        }
    };
    work_twice().await;
    harness.answer(id, simply(HitlAction::Approve)).await;
    work_twice().await;
    let again = harness.runner.seen()[2].instructions.clone();
    assert!(again.starts_with("Write\n\n") && again.contains("needs `files`"), "{again}");
    // The refusal before another error has not been corrected either.
    harness.answer(id, amend("Use short titles")).await;
    harness.work().await;
    let last = harness.runner.seen()[4].instructions.clone();
    assert!(last.contains("Use short titles") && last.contains("/title"), "{last}");
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(harness.tasks(id).await[0].validation_error, None);
}

#[tokio::test]
async fn a_transient_error_keeps_the_validation_error() {
    let flaky = Act::retryable("flaky", "The line was bad.");
    let harness = harness([makes(&bad()), flaky, makes(&bad())]);
    let id = harness.start("titled", Oversight::Low).await;
    for _ in 0..3 {
        harness.work().await;
        harness.pass(Duration::from_secs(5)).await;
    }
    assert!(harness.runner.seen()[2].instructions.contains("/title"));
    assert_eq!(harness.gate(id).await.kind, HitlKind::Failure);
    harness.answer(id, simply(HitlAction::Reject)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Halted);
}

#[tokio::test]
async fn hostile_paths_are_refused_from_any_agent_and_under_any_schema() {
    for path in ["../../etc/passwd", "/etc/passwd", "a\\b", "CON", "a/../b", "x\u{202e}y"] {
        let evil = json!({"title": "x", "files": [
            {"path": "ok.txt", "content": ""}, {"path": path, "content": "evil"}]});
        let harness = harness([makes(&evil), makes(&evil)]);
        let id = harness.start("titled", Oversight::Low).await;
        harness.work().await;
        let task = &harness.tasks(id).await[0];
        let error = task.error().unwrap();
        assert!(error.message.contains("cannot be used"), "{path}: {}", error.message);
        assert_eq!(
            harness.count(id, EventType::ArtifactCreated).await,
            1,
            "the idea and nothing else"
        );
    }
    let twice = json!({"title": "x", "files": [
        {"path": "a", "content": ""}, {"path": "A/b", "content": ""}]});
    let harness = harness([makes(&twice)]);
    let id = harness.start("titled", Oversight::Low).await;
    harness.work().await;
    assert_eq!(harness.tasks(id).await[0].error().unwrap().code, "unfit_output");
}

#[tokio::test]
async fn control_characters_are_taken_out_of_documents_and_stay_in_files() {
    let wake_ups =
        json!({"title": "a\u{7}b\u{1b}[0m\n", "files": [{"path": "a", "content": "\u{c}"}]});
    let spoken = Act::complete(json!({"text": "a\u{7}b\tc"}), vec![]);
    let harness = harness([makes(&wake_ups)]);
    let id = harness.start("titled", Oversight::Low).await;
    harness.work().await;
    let code = harness.newest(id, ArtifactType::SourceCode).await;
    assert_eq!(code.content["files"][0]["content"], "\u{c}", "the file contains it");
    let harness = TestHarness::new(ScriptedRunner::default().on_agent(AgentType::Coder, [spoken]));
    let id = harness.by_hand().await;
    super::tasks::submit(&harness, id).await;
    harness.work().await;
    let made = harness.newest(id, ArtifactType::AgentOutput).await;
    assert_eq!(made.content["text"], "ab\tc");
}

#[tokio::test]
async fn an_external_worker_gets_the_validation_error_and_keeps_its_lease() {
    let harness = harness([]);
    let id = harness.start("titled", Oversight::Low).await;
    let leases = harness.leases();
    let worker = WorkerId::external("w");
    let agents = vec![AgentType::Coder];
    let query = WorkQuery { worker, agents, max: 1, wait: Duration::ZERO, caller: owner() };
    let leased = leases.lease(query).await.unwrap().remove(0);
    assert_eq!(leased.job.output_schema.as_ref().unwrap()["required"], json!(["title", "files"]));
    let brings = |content: Value| -> Result<Outcome, RunError> {
        let Value::Object(output) = content else { panic!() };
        let (artifacts, usage) = (Vec::new(), Usage::default());
        Ok(Outcome::Completed { output, artifacts, confidence: None, usage })
    };
    let lease = leased.presented();
    let refused = leases.finish(lease.clone(), brings(bad())).await.unwrap_err();
    let Error::Refused(DomainError::Invalid { field, message }) = refused else {
        panic!("{refused}")
    };
    assert!(field == "output" && message.contains("/title"), "{field}: {message}");
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Working);
    leases.finish(lease, brings(good())).await.unwrap();
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}
