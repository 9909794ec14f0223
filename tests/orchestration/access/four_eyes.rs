//! Answers that only persons give, and approvals that need another person.

use botarmy_domain::ports::{Gates, Operations, Projects};
use botarmy_domain::{
    AgentType, ArtifactType, Caller, DomainError, Error, Grant, HitlAction, HitlStatus,
    NewArtifact, NewProject, Oversight, PrincipalKind, ProjectId, Role, Workflow,
};
use botarmy_orchestrator::Workflows;
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::{TestHarness, amend, simply};
use serde_json::json;

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
    for response in [simply(HitlAction::Approve), amend("shorter")] {
        let refused = harness.engine.respond(gate.id, response, ada.clone()).await.unwrap_err();
        assert!(is_forbidden(&refused, "four_eyes"), "{refused}");
    }
    // A second key is no second person.
    let (_, text) = guarded.another_key(ada.principal().unwrap(), None).await;
    let again = botarmy_domain::ports::Access::authenticate(&guarded.access, &text).unwrap();
    let approve = || simply(HitlAction::Approve);
    let refused = harness.engine.respond(gate.id, approve(), again).await.unwrap_err();
    assert!(is_forbidden(&refused, "four_eyes"), "{refused}");
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
        assert!(is_forbidden(&refused.unwrap_err(), "four_eyes"));
    }
    harness.engine.respond(gate.id, approve(), bob.clone()).await.unwrap();
    // What replaces the approved document is reviewed by somebody else, too.
    harness.engine.add_artifact(id, agent, document, bob.clone()).await.unwrap();
    let step =
        |gate: &&std::sync::Arc<botarmy_domain::HitlRequest>| gate.step.as_deref() == Some("Plan");
    let gates = harness.gates(id).await;
    let gate = gates.iter().find(step).unwrap();
    let refused = harness.engine.respond(gate.id, simply(HitlAction::Approve), bob).await;
    assert!(is_forbidden(&refused.unwrap_err(), "four_eyes"));
    harness.engine.respond(gate.id, simply(HitlAction::Approve), eve).await.unwrap();
    harness.check().await;
}

#[tokio::test]
async fn on_an_open_server_names_count() {
    let harness = TestHarness::with_workflows(ScriptedRunner::default(), workflows());
    let id = start(&harness, &Caller::person("ada")).await;
    let gate = harness.gate(id).await;
    let approve = || simply(HitlAction::Approve);
    let refused = harness.engine.respond(gate.id, approve(), Caller::person("ada")).await;
    assert!(is_forbidden(&refused.unwrap_err(), "four_eyes"));
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
