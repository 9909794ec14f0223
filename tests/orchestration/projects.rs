//! Projects from idea to completion.

use std::sync::Arc;

use botarmy_domain::ports::{Projects, RecordsExt};
use botarmy_domain::{
    ArtifactType, DomainError, Error, EventType, HitlAction, NewProject, Oversight, Package,
    ProjectStatus, TaskStatus,
};
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{TestHarness, owner, simply};
use serde_json::json;

/// Returns a runner whose tester always passes, and whose other agents never produce the same
/// output twice.
pub(crate) fn content() -> ScriptedRunner {
    ScriptedRunner::new(|job| match job.output_type {
        Some(ArtifactType::TestResults) => Act::Content(json!({"passed": true})),
        _ => Act::Content(json!({
            "step": job.handoff.as_ref().map(|handoff| &handoff.step), "task": job.task_id,
        })),
    })
}

#[tokio::test]
async fn a_project_goes_from_idea_to_package_through_two_gates() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    assert_eq!(harness.gate(id).await.step.as_deref(), Some("Project Planning"));
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.gate(id).await.step.as_deref(), Some("Requirements Analysis"));
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;

    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    let steps: Vec<_> = harness
        .tasks(id)
        .await
        .iter()
        .map(|task| task.step().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        steps,
        [
            "Project Planning",
            "Requirements Analysis",
            "Architectural Design",
            "Implementation Planning",
            "Code Generation",
            "Code Refinement",
            "Code Testing",
            "Deployment",
            "Final Check"
        ],
        "a bug fix is not needed when the test passes"
    );
    assert_eq!(harness.count(id, EventType::HandoffCreated).await, 9);
    assert_eq!(harness.count(id, EventType::ProjectCompleted).await, 1);
    for _ in 0..100 {
        if harness.store.record::<Package>(id).await.unwrap().is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("a completed project has no package");
}

#[tokio::test]
async fn every_agent_sees_what_its_step_says_and_what_it_depends_on() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed, "low oversight has no gates");
    let seen = harness.runner.seen();
    let refinement = &seen[5];
    let types: Vec<_> = refinement.context.iter().map(|a| a.meta.artifact_type).collect();
    assert_eq!(
        types,
        [
            ArtifactType::UserInput,
            ArtifactType::SoftwareSpecification,
            ArtifactType::ImplementationPlan,
            ArtifactType::SourceCode
        ]
    );
    assert_eq!(refinement.context[0].content["idea"], "A recipe-sharing site for small families");
    let handoff = refinement.handoff.as_ref().unwrap();
    assert_eq!((handoff.phase.as_str(), handoff.step.as_str()), ("Build", "Code Refinement"));
    let refined = harness.newest(id, ArtifactType::SourceCode).await;
    assert_eq!(refined.meta.previous, Some(refinement.context[3].meta.id));
}

#[tokio::test]
async fn high_oversight_adds_gates() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::High).await;
    let mut gates = Vec::new();
    harness.work().await;
    while harness.status(id).await == ProjectStatus::Active {
        gates.push(harness.gate(id).await.step.clone().unwrap());
        harness.answer(id, simply(HitlAction::Approve)).await;
        harness.work().await;
    }
    assert_eq!(
        gates,
        [
            "Project Planning",
            "Requirements Analysis",
            "Architectural Design",
            "Implementation Planning",
            "Code Refinement",
            "Deployment"
        ]
    );
}

#[tokio::test]
async fn a_project_is_started_once() {
    let harness = TestHarness::new(content());
    let id = harness.by_hand().await;
    let idea = Some("Something else".to_owned());
    harness.engine.start_project(id, None, idea, owner()).await.unwrap();
    let again = harness.engine.start_project(id, None, None, owner()).await;
    assert!(matches!(
        again,
        Err(Error::Refused(DomainError::Conflict { code: "already_started", .. }))
    ));
    let input = harness.newest(id, ArtifactType::UserInput).await;
    assert_eq!(input.content["idea"], "Something else");
}

#[tokio::test]
async fn bad_names_and_unknown_workflows_are_refused() {
    let harness = TestHarness::new(content());
    let new = |name: &str, workflow: Option<&str>| NewProject {
        name: name.to_owned(),
        description: None,
        workflow: workflow.map(str::to_owned),
        oversight: Oversight::Standard,
    };
    for (new, field) in [
        (new(" \t", None), "name"),
        (new(&"é".repeat(256), None), "name"),
        (new("x", Some("waterfall")), "workflow"),
    ] {
        let error = harness.engine.create_project(new, owner()).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused(DomainError::Invalid { field: f, .. }) if f == field)
        );
    }
    harness.engine.create_project(new(&"é".repeat(255), None), owner()).await.unwrap();
}

#[tokio::test]
async fn a_paused_project_starts_nothing_until_it_is_resumed() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.engine.pause_project(id, owner()).await.unwrap();
    harness.work().await;
    assert_eq!(harness.runner.seen().len(), 0);
    assert!(harness.engine.pause_project(id, owner()).await.is_err(), "it is paused already");
    harness.engine.resume_project(id, owner()).await.unwrap();
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}

#[tokio::test]
async fn what_runs_when_a_project_is_paused_may_end_and_nothing_follows() {
    let go = Arc::new(tokio::sync::Notify::new());
    let act = Act::Wait(go.clone(), Box::new(Act::Content(json!({}))));
    let harness = TestHarness::new(content().on_step("Project Planning", [act]));
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.worker.step().await.unwrap();
    harness.engine.pause_project(id, owner()).await.unwrap();
    go.notify_one();
    harness.work().await;
    let tasks = harness.tasks(id).await;
    assert_eq!(tasks[0].status(), TaskStatus::Completed);
    assert_eq!(tasks[1].status(), TaskStatus::Pending);
}

#[tokio::test]
async fn cancelling_a_project_stops_its_agents_and_refuses_what_they_bring() {
    let harness = TestHarness::new(content().on_step("Project Planning", [Act::Hang]));
    let id = harness.start("sdlc", Oversight::Low).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let grace = std::time::Duration::from_secs(1);
    let working = tokio::spawn(Arc::clone(&harness.worker).run(stopped, grace));
    while harness.runner.running() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    harness.engine.cancel_project(id, owner()).await.unwrap();
    for _ in 0..200 {
        if harness.runner.dropped() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(harness.runner.dropped(), 1, "the agent was not cancelled");
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Cancelled);
    harness.check().await;
    stop.send(true).unwrap();
    working.await.unwrap();
}

#[tokio::test]
async fn a_project_by_hand_is_complete_when_all_its_tasks_are() {
    let harness = TestHarness::new(content());
    let id = harness.by_hand().await;
    let completion = harness.engine.check_completion(id, owner()).await.unwrap();
    assert_eq!(completion.unmet, ["The project has no tasks."]);
    super::tasks::submit(&harness, id).await;
    super::tasks::submit(&harness, id).await;
    let completion = harness.engine.check_completion(id, owner()).await.unwrap();
    assert_eq!(completion.unmet, ["0 of 2 tasks are completed."]);
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert!(harness.engine.check_completion(id, owner()).await.unwrap().is_complete);
}

#[tokio::test]
async fn completing_by_force_records_what_was_open_and_closes_it() {
    let harness = TestHarness::new(content());
    let id = harness.start("sdlc", Oversight::Standard).await;
    harness.work().await;
    let overridden = harness.engine.force_complete(id, owner()).await.unwrap();
    assert!(overridden.iter().any(|line| line == "Step \"Project Planning\" is in_review."));
    assert!(overridden.iter().any(|line| line == "One request waits for a person."));
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    harness.check().await;
    assert_eq!(harness.engine.force_complete(id, owner()).await.unwrap(), overridden.clone()[..0]);
}
