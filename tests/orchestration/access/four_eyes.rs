//! Answers that only persons give, and approvals that need another person.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::{Gates, Operations, Projects, WorkerLeases};
use botarmy_domain::{
    AgentType, ArtifactType, Caller, DomainError, Error, Grant, HitlAction, HitlRequest,
    HitlStatus, NewArtifact, NewProject, Outcome, Oversight, PrincipalKind, ProjectId, Response,
    Role, Usage, WorkQuery, WorkerId, Workflow,
};
use botarmy_orchestrator::Workflows;
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::{TestHarness, amend, simply};
use serde_json::{Value, json};

use super::Guarded;

const WORKFLOW: &str = r#"
name = "two"
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "standard"
four_eyes = true
[[step]]
name = "Specify"
phase = "2"
agent = "analyst"
inputs = ["project_plan"]
output = "software_specification"
gate = "standard"
"#;

fn workflows() -> Workflows {
    Workflows::default().with(Workflow::from_toml(WORKFLOW).unwrap())
}

async fn guarded() -> Guarded {
    Guarded::on(TestHarness::with_workflows(ScriptedRunner::default(), workflows())).await
}

/// Starts the workflow, and works until its result is under review.
async fn start(harness: &TestHarness, by: &Caller) -> ProjectId {
    let new = NewProject {
        name: "Recipes".to_owned(),
        description: Some("A recipe-sharing site".to_owned()),
        workflow: Some("two".to_owned()),
        oversight: Oversight::Standard,
    };
    let id = harness.engine.create_project(new, by.clone()).await.unwrap().id;
    harness.work().await;
    id
}

fn is_forbidden(error: &Error, expected: &str) -> bool {
    matches!(error, Error::Refused(DomainError::Forbidden { code, .. }) if *code == expected)
}

const BOTH: [Grant; 2] = [Grant::on_all(Role::Operator), Grant::on_all(Role::Reviewer)];

#[tokio::test]
async fn whoever_started_a_project_does_not_approve_its_result() {
    let guarded = guarded().await;
    let harness = &guarded.harness;
    let ada = guarded.person("ada", &[Grant::on_all(Role::Admin)]).await;
    let bob = guarded.person("bob", &BOTH).await;
    let id = start(harness, &ada).await;
    let gate = harness.gate(id).await;
    for response in [simply(HitlAction::Approve), with_document(&json!({"goals": []}))] {
        let refused = harness.engine.respond(gate.id, response, ada.clone()).await.unwrap_err();
        assert!(is_forbidden(&refused, "separation_of_duties"), "{refused}");
    }
    // A second key is no second person.
    let (_, text) = guarded.another_key(ada.principal().unwrap(), None).await;
    let again = botarmy_domain::ports::Access::authenticate(&guarded.access, &text).unwrap();
    let approve = || simply(HitlAction::Approve);
    let refused = harness.engine.respond(gate.id, approve(), again).await.unwrap_err();
    assert!(is_forbidden(&refused, "separation_of_duties"), "{refused}");
    assert_eq!(harness.gate(id).await.status(), HitlStatus::Pending);
    harness.engine.respond(gate.id, approve(), bob).await.unwrap();
    harness.work().await;
    // The next step does not ask for it.
    let gate = harness.gate(id).await;
    harness.engine.respond(gate.id, approve(), ada.clone()).await.unwrap();
    let id = start(harness, &ada).await;
    let gate = harness.gate(id).await;
    harness.engine.respond(gate.id, simply(HitlAction::Reject), ada).await.unwrap();
    harness.check().await;
}

#[tokio::test]
async fn whoever_changed_a_result_does_not_approve_it() {
    let guarded = guarded().await;
    let harness = &guarded.harness;
    let [ada, bob, eve] = [
        guarded.person("ada", &BOTH).await,
        guarded.person("bob", &BOTH).await,
        guarded.person("eve", &BOTH).await,
    ];
    let id = start(harness, &ada).await;
    let content = json!({"goals": ["another"]}).as_object().cloned().unwrap();
    let document = NewArtifact::new(ArtifactType::ProjectPlan, content);
    let (agent, by) = (AgentType::Analyst, eve.clone());
    harness.engine.add_artifact(id, agent, document.clone(), by).await.unwrap();
    let gate = harness.gate(id).await;
    let approve = || {
        let digest = gate.subject.digest.clone();
        botarmy_domain::Response { subject_digest: Some(digest), ..simply(HitlAction::Approve) }
    };
    for excluded in [&ada, &eve] {
        let refused = harness.engine.respond(gate.id, approve(), excluded.clone()).await;
        assert!(is_forbidden(&refused.unwrap_err(), "separation_of_duties"));
    }
    harness.engine.respond(gate.id, approve(), bob.clone()).await.unwrap();
    // What replaces the approved document is reviewed by somebody else, too.
    harness.engine.add_artifact(id, agent, document, bob.clone()).await.unwrap();
    let step =
        |gate: &&std::sync::Arc<botarmy_domain::HitlRequest>| gate.step.as_deref() == Some("Plan");
    let gates = harness.gates(id).await;
    let gate = gates.iter().find(step).unwrap();
    let refused = harness.engine.respond(gate.id, simply(HitlAction::Approve), bob).await;
    assert!(is_forbidden(&refused.unwrap_err(), "separation_of_duties"));
    harness.engine.respond(gate.id, simply(HitlAction::Approve), eve).await.unwrap();
    harness.check().await;
}

/// Returns an amendment with a document.
fn with_document(document: &Value) -> Response {
    let amended_content = document.as_object().cloned();
    Response { amended_content, ..simply(HitlAction::Amend) }
}

/// Returns the open review of the step with four eyes.
async fn review(harness: &TestHarness, id: ProjectId) -> Arc<HitlRequest> {
    let gates = harness.gates(id).await;
    let of_step = |gate: &&Arc<HitlRequest>| gate.step.as_deref() == Some("Plan");
    Arc::clone(gates.iter().find(of_step).expect("the step is under review"))
}

async fn is_refused(harness: &TestHarness, gate: &HitlRequest, response: Response, by: &Caller) {
    let refused = harness.engine.respond(gate.id, response, by.clone()).await.unwrap_err();
    assert!(is_forbidden(&refused, "separation_of_duties"), "{refused}");
}

#[tokio::test]
async fn whoever_asked_for_changes_does_not_approve_the_new_result() {
    let guarded = guarded().await;
    let harness = &guarded.harness;
    let [ada, bob, eve] = [
        guarded.person("ada", &BOTH).await,
        guarded.person("bob", &BOTH).await,
        guarded.person("eve", &BOTH).await,
    ];
    let id = start(harness, &ada).await;
    // Everyone may ask for changes, who started the project too; the words of all rounds count.
    for (words, by) in [("shorter", &bob), ("in French", &ada), ("with a map", &bob)] {
        let gate = review(harness, id).await;
        harness.engine.respond(gate.id, amend(words), by.clone()).await.unwrap();
        harness.work().await;
    }
    let gate = review(harness, id).await;
    for excluded in [&ada, &bob] {
        is_refused(harness, &gate, simply(HitlAction::Approve), excluded).await;
        is_refused(harness, &gate, with_document(&json!({"goals": []})), excluded).await;
    }
    harness.engine.respond(gate.id, simply(HitlAction::Approve), eve.clone()).await.unwrap();
    harness.work().await;
    // It ends with the approval: a replacement of the document is another matter.
    let content = json!({"goals": ["another"]}).as_object().cloned().unwrap();
    let document = NewArtifact::new(ArtifactType::ProjectPlan, content);
    harness.engine.add_artifact(id, AgentType::Analyst, document, eve.clone()).await.unwrap();
    let gate = review(harness, id).await;
    is_refused(harness, &gate, simply(HitlAction::Approve), &eve).await;
    harness.engine.respond(gate.id, simply(HitlAction::Approve), bob).await.unwrap();
    harness.check().await;
}

#[tokio::test]
async fn an_amendment_with_a_document_is_approved_by_another_person() {
    let guarded = guarded().await;
    let harness = &guarded.harness;
    let [ada, bob, eve] = [
        guarded.person("ada", &BOTH).await,
        guarded.person("bob", &BOTH).await,
        guarded.person("eve", &BOTH).await,
    ];
    let id = start(harness, &ada).await;
    let first = review(harness, id).await;
    let amended = with_document(&json!({"goals": ["amended"]}));
    let done = harness.engine.respond(first.id, amended.clone(), bob.clone()).await.unwrap();
    assert_eq!((done.request.status(), done.workflow_resumed), (HitlStatus::Amended, false));
    let again = harness.engine.respond(first.id, amended, bob.clone()).await.unwrap();
    assert_eq!((again.replayed, again.workflow_resumed), (true, false));
    harness.work().await;
    let second = review(harness, id).await;
    assert_ne!(second.id, first.id);
    assert_eq!(harness.gates(id).await.len(), 1, "the next step has not begun");
    for excluded in [&ada, &bob] {
        is_refused(harness, &second, simply(HitlAction::Approve), excluded).await;
        is_refused(harness, &second, with_document(&json!({"goals": []})), excluded).await;
    }
    harness.engine.respond(second.id, simply(HitlAction::Approve), eve.clone()).await.unwrap();
    harness.work().await;
    let plan = harness.newest(id, ArtifactType::ProjectPlan).await;
    assert_eq!(plan.content["goals"], json!(["amended"]));
    let next = harness.gate(id).await;
    assert_eq!(next.step.as_deref(), Some("Specify"));
    // The step after it does not ask for it.
    let amended = with_document(&json!({"title": "Another"}));
    let done = harness.engine.respond(next.id, amended, ada.clone()).await.unwrap();
    assert!(done.workflow_resumed);

    // The same for a document that would replace the approved one.
    let content = json!({"goals": ["stored"]}).as_object().cloned().unwrap();
    let document = NewArtifact::new(ArtifactType::ProjectPlan, content);
    let id = start(harness, &ada).await;
    let gate = review(harness, id).await;
    harness.engine.respond(gate.id, simply(HitlAction::Approve), bob.clone()).await.unwrap();
    harness.work().await;
    harness.engine.add_artifact(id, AgentType::Analyst, document, ada.clone()).await.unwrap();
    let gate = review(harness, id).await;
    let amended = with_document(&json!({"goals": ["amended"]}));
    harness.engine.respond(gate.id, amended, bob.clone()).await.unwrap();
    let gate = review(harness, id).await;
    is_refused(harness, &gate, simply(HitlAction::Approve), &bob).await;
    harness.engine.respond(gate.id, simply(HitlAction::Approve), eve).await.unwrap();
    harness.check().await;
}

#[tokio::test]
async fn whoever_runs_the_worker_does_not_approve_its_result() {
    let guarded = guarded().await;
    let harness = &guarded.harness;
    let ada = guarded.person("ada", &BOTH).await;
    let both = [Grant::on_all(Role::Worker), Grant::on_all(Role::Reviewer)];
    let bob = guarded.person("bob", &both).await;
    let new = NewProject {
        name: "Recipes".to_owned(),
        description: Some("A recipe-sharing site".to_owned()),
        workflow: Some("two".to_owned()),
        oversight: Oversight::Standard,
    };
    let id = harness.engine.create_project(new, ada.clone()).await.unwrap().id;
    let leases = guarded.leases();
    let query = WorkQuery {
        worker: WorkerId::external("w"),
        agents: vec![AgentType::Analyst],
        max: 1,
        wait: Duration::ZERO,
        caller: bob.clone(),
    };
    let leased = leases.lease(query).await.unwrap().remove(0);
    let made = Outcome::Completed {
        output: json!({"goals": []}).as_object().cloned().unwrap(),
        artifacts: Vec::new(),
        confidence: None,
        usage: Usage::default(),
    };
    // With the token of the lease, which is not the key of the person.
    leases.finish(leased.presented(), Ok(made)).await.unwrap();
    let gate = review(harness, id).await;
    is_refused(harness, &gate, simply(HitlAction::Approve), &bob).await;
    harness.check().await;
}

#[tokio::test]
async fn on_an_open_server_names_count() {
    let harness = TestHarness::with_workflows(ScriptedRunner::default(), workflows());
    let id = start(&harness, &Caller::person("ada")).await;
    let gate = harness.gate(id).await;
    let approve = || simply(HitlAction::Approve);
    let refused = harness.engine.respond(gate.id, approve(), Caller::person("ada")).await;
    assert!(is_forbidden(&refused.unwrap_err(), "separation_of_duties"));
    harness.engine.respond(gate.id, approve(), Caller::person("bob")).await.unwrap();
}

#[tokio::test]
async fn a_program_does_not_answer_for_people() {
    let guarded = guarded().await;
    let harness = &guarded.harness;
    let ada = guarded.person("ada", &BOTH).await;
    let id = start(harness, &ada).await;
    let gate = harness.gate(id).await;
    let admin = [Grant::on_all(Role::Admin)];
    let bot = guarded.caller("bot", PrincipalKind::Service, &admin).await;
    for action in HitlAction::ALL {
        let refused = harness.engine.respond(gate.id, simply(*action), bot.clone()).await;
        assert!(is_forbidden(&refused.unwrap_err(), "persons_only"), "{action}");
    }
    let viewer = guarded.person("eve", &[Grant::on_all(Role::Viewer)]).await;
    let refused = harness.engine.respond(gate.id, simply(HitlAction::Reject), viewer).await;
    assert!(matches!(refused, Err(Error::Refused(DomainError::NotPermitted { .. }))));
}
