//! The documents that steps are given: those that a person approved, whatever is stored beside them.

use std::sync::Arc;

use botarmy_domain::ports::{ContextStore, Gates, Operations};
use botarmy_domain::{
    AgentType, Artifact, ArtifactType, Assignment, DomainError, Error, EventType, HitlAction,
    HitlKind, HitlRequest, NewArtifact, Oversight, ProjectId, ProjectStatus, Response, TaskStatus,
    Workflow,
};
use botarmy_memory::MemoryStore;
use botarmy_orchestrator::Workflows;
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{TestHarness, amend, owner, simply};
use serde_json::json;

use super::projects::content;

/// Stores a document by hand.
async fn store(
    harness: &TestHarness,
    id: ProjectId,
    artifact_type: ArtifactType,
    title: &str,
) -> Arc<Artifact> {
    let document = json!({"title": title}).as_object().cloned().unwrap();
    let new = NewArtifact::new(artifact_type, document);
    harness.engine.add_artifact(id, AgentType::Analyst, new, owner()).await.unwrap()
}

/// Returns the documents of a type that the last attempt was given.
fn given(harness: &TestHarness, artifact_type: ArtifactType) -> Vec<Arc<Artifact>> {
    let seen: Vec<Assignment> = harness.runner.seen();
    let context = &seen.last().unwrap().context;
    context.iter().filter(|one| one.meta.artifact_type == artifact_type).cloned().collect()
}

fn of_step(gates: &[Arc<HitlRequest>], step: &str, replaces: bool) -> Arc<HitlRequest> {
    let found = gates
        .iter()
        .find(|gate| gate.step.as_deref() == Some(step) && gate.replaces.is_some() == replaces);
    Arc::clone(found.unwrap_or_else(|| panic!("no gate of {step}: {gates:?}")))
}

/// Approves what is under review now.
async fn approve(harness: &TestHarness, gate: &HitlRequest) {
    let subject_digest = Some(gate.subject.digest.clone());
    let response = Response { subject_digest, ..simply(HitlAction::Approve) };
    harness.engine.respond(gate.id, response, owner()).await.unwrap();
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result {
        Err(Error::Refused(DomainError::Conflict { code, .. })) => code,
        other => panic!("a conflict was expected: {other:?}"),
    }
}

/// A project at the gate of the architecture, with an approved plan and specification.
async fn at_third_gate() -> (TestHarness, ProjectId) {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::High).await;
    for _ in 0..2 {
        harness.work().await;
        harness.answer(id, simply(HitlAction::Approve)).await;
    }
    harness.work().await;
    assert_eq!(harness.gate(id).await.step.as_deref(), Some("Architectural Design"));
    (harness, id)
}

#[tokio::test]
async fn a_document_stored_at_a_later_gate_is_not_given_to_the_next_step() {
    let (harness, id) = at_third_gate().await;
    let approved = harness.newest(id, ArtifactType::SoftwareSpecification).await;
    let stored = store(&harness, id, ArtifactType::SoftwareSpecification, "Not approved").await;
    let gates = harness.gates(id).await;
    let replacement = of_step(&gates, "Requirements Analysis", true);
    assert_eq!(replacement.kind, HitlKind::Approval);
    assert!(replacement.question.starts_with("Replace the approved software specification"));
    assert_eq!(replacement.subject.artifacts[0].context_id, stored.meta.id);
    approve(&harness, &of_step(&gates, "Architectural Design", false)).await;
    harness.work().await;
    let specifications = given(&harness, ArtifactType::SoftwareSpecification);
    assert_eq!(specifications.len(), 1);
    assert_eq!(specifications[0].meta.id, approved.meta.id);
}

#[tokio::test]
async fn an_approved_replacement_is_given_to_the_next_step_and_a_rejected_one_is_left_aside() {
    for (action, title) in [(HitlAction::Approve, Some("Another")), (HitlAction::Reject, None)] {
        let (harness, id) = at_third_gate().await;
        store(&harness, id, ArtifactType::SoftwareSpecification, "Another").await;
        let gates = harness.gates(id).await;
        let replacement = of_step(&gates, "Requirements Analysis", true);
        let responded =
            harness.engine.respond(replacement.id, simply(action), owner()).await.unwrap();
        assert!(!responded.project_halted, "the approved one stays, so nothing stops");
        approve(&harness, &of_step(&gates, "Architectural Design", false)).await;
        harness.work().await;
        let specification = &given(&harness, ArtifactType::SoftwareSpecification)[0];
        assert_eq!(specification.content.get("title").and_then(|title| title.as_str()), title);
        assert_eq!(harness.status(id).await, ProjectStatus::Active);
    }
}

#[tokio::test]
async fn a_task_that_waits_is_given_what_was_approved_last() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    for _ in 0..2 {
        harness.work().await;
        harness.answer(id, simply(HitlAction::Approve)).await;
    }
    // The architect's task is in the queue, with the specification that was approved.
    let stored = store(&harness, id, ArtifactType::SoftwareSpecification, "Better").await;
    let gate = harness.gate(id).await;
    approve(&harness, &gate).await;
    harness.worker.step().await.unwrap();
    let started = harness.log(id).await;
    let started = started.iter().rfind(|entry| entry.event_type == EventType::TaskStarted).unwrap();
    let context = started.event_data["context_ids"].as_array().unwrap();
    assert_eq!(context[1], json!(stored.meta.id), "the log says what was handed out");
    harness.work().await;
    let architect = &harness.runner.seen()[2];
    assert_eq!(architect.context[1].meta.id, stored.meta.id);
    assert_eq!(architect.handoff.as_ref().unwrap().context_ids[1], stored.meta.id);
}

#[tokio::test]
async fn after_the_subject_has_changed_an_answer_has_to_name_its_digest() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    let shown = harness.gate(id).await;
    store(&harness, id, ArtifactType::ProjectPlan, "Swapped").await;
    let before = harness.log(id).await.len();
    for response in [
        simply(HitlAction::Approve),
        simply(HitlAction::Reject),
        amend("Shorter"),
        Response {
            subject_digest: Some(shown.subject.digest.clone()),
            ..simply(HitlAction::Approve)
        },
    ] {
        let refused = harness.engine.respond(shown.id, response, owner()).await;
        assert_eq!(code(refused), "subject_changed");
    }
    assert_eq!(harness.log(id).await.len(), before, "a refused answer changes nothing");
    let gate = harness.gate(id).await;
    approve(&harness, &gate).await;
    harness.work().await;
    assert_eq!(given(&harness, ArtifactType::ProjectPlan)[0].content["title"], "Swapped");
}

#[tokio::test]
async fn a_document_of_a_type_without_a_gate_is_stored_and_given_to_no_step() {
    let writes = Act::Content(json!({"files": [{"path": "a", "content": "1"}]}));
    let runner = content().on_step("Code Generation", [writes]);
    let workflow = "name = \"two\"\n[[step]]\nname = \"Code Generation\"\nphase = \"1\"\nagent = \"coder\"\n\
                    output = \"source_code\"\n[[step]]\nname = \"Tell\"\nphase = \"2\"\nagent = \"analyst\"\n\
                    inputs = [\"source_code\"]\noutput = \"agent_output\"\n";
    let workflows = Workflows::default().with(Workflow::from_toml(workflow).unwrap());
    let harness = TestHarness::with_workflows(runner, workflows);
    let id = harness.start("two", Oversight::High).await;
    harness.worker.step().await.unwrap();
    while harness.tasks(id).await.len() < 2 {
        tokio::task::yield_now().await;
    }
    store(&harness, id, ArtifactType::SourceCode, "By hand").await;
    assert!(harness.gates(id).await.is_empty());
    harness.work().await;
    let source = given(&harness, ArtifactType::SourceCode);
    assert_eq!(source[0].content["files"][0]["content"], "1");
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn a_replaced_result_of_a_test_decides_about_the_loop_with_its_own_verdict() {
    let workflow = "name = \"loop\"\n[[step]]\nname = \"Test\"\nphase = \"1\"\nagent = \"tester\"\n\
                    output = \"test_results\"\ngate = \"low\"\n[[step]]\nname = \"Fix\"\nphase = \"1\"\n\
                    agent = \"coder\"\ninputs = [\"test_results\"]\noutput = \"source_code\"\n\
                    loop = { with = \"Test\", until = \"passed\", max = 1 }\n";
    let workflows = Workflows::default().with(Workflow::from_toml(workflow).unwrap());
    let runner =
        ScriptedRunner::default().on_step("Test", [Act::Content(json!({"passed": false}))]);
    let harness = TestHarness::with_workflows(runner, workflows);
    let id = harness.start("loop", Oversight::Low).await;
    harness.work().await;
    let document = json!({"passed": true}).as_object().cloned().unwrap();
    let new = NewArtifact::new(ArtifactType::TestResults, document);
    harness.engine.add_artifact(id, AgentType::Tester, new, owner()).await.unwrap();
    let gate = harness.gate(id).await;
    approve(&harness, &gate).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed, "nothing is left to repair");
    assert_eq!(harness.tasks(id).await.len(), 1);
}

#[tokio::test]
async fn the_package_contains_what_was_approved() {
    let (harness, id) = at_third_gate().await;
    let approved = harness.newest(id, ArtifactType::SoftwareSpecification).await;
    let stored = store(&harness, id, ArtifactType::SoftwareSpecification, "Not approved").await;
    let package = harness.engine.generate_package(id, owner()).await.unwrap();
    assert!(package.artifacts.contains(&approved.meta.id));
    assert!(!package.artifacts.contains(&stored.meta.id));
}

/// A context store that returns other bytes for artifacts of this type than were stored.
struct Damaged(MemoryStore, ArtifactType);

#[async_trait::async_trait]
impl ContextStore for Damaged {
    async fn artifact(
        &self,
        id: botarmy_domain::ContextId,
    ) -> Result<Option<Arc<Artifact>>, botarmy_domain::StoreError> {
        self.0.artifact(id).await
    }

    async fn artifacts(
        &self,
        project: ProjectId,
        filter: botarmy_domain::ArtifactFilter,
        limit: u32,
    ) -> Result<botarmy_domain::Page<Arc<Artifact>>, botarmy_domain::StoreError> {
        self.0.artifacts(project, filter, limit).await
    }

    async fn artifact_refs(
        &self,
        project: ProjectId,
        filter: botarmy_domain::ArtifactFilter,
        limit: u32,
    ) -> Result<
        botarmy_domain::Page<botarmy_domain::artifact::ArtifactRef>,
        botarmy_domain::StoreError,
    > {
        self.0.artifact_refs(project, filter, limit).await
    }

    async fn artifact_sizes(
        &self,
        ids: &[botarmy_domain::ContextId],
    ) -> Result<Vec<(botarmy_domain::ContextId, u64)>, botarmy_domain::StoreError> {
        self.0.artifact_sizes(ids).await
    }

    async fn artifacts_by_id(
        &self,
        ids: &[botarmy_domain::ContextId],
    ) -> Result<Vec<Arc<Artifact>>, botarmy_domain::StoreError> {
        let mut found = self.0.artifacts_by_id(ids).await?;
        for artifact in found.iter_mut().filter(|one| one.meta.artifact_type == self.1) {
            Arc::make_mut(artifact).content.insert("changed".to_owned(), true.into());
        }
        Ok(found)
    }
}

#[tokio::test]
async fn a_document_whose_bytes_are_not_the_approved_ones_is_not_handed_out() {
    let harness = TestHarness::with_context(content(), |store| {
        Arc::new(Damaged(store, ArtifactType::ProjectPlan))
    });
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.runner.seen().len(), 1, "no agent saw the changed plan");
    let task = Arc::clone(harness.tasks(id).await.last().unwrap());
    assert_eq!((task.status(), task.attempt), (TaskStatus::Failed, 1));
    assert_eq!(task.error().unwrap().code, "released_bytes_differ");
    assert_eq!(harness.gate(id).await.kind, HitlKind::Failure);
    let log = harness.log(id).await;
    let error = log.iter().find(|entry| entry.event_type == EventType::SystemError).unwrap();
    assert_eq!(error.event_data["code"], "released_bytes_differ");
}
