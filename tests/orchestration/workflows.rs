//! Loops, failed steps, and generated workflows.

use botarmy_domain::{
    ArtifactType, EventType, HitlAction, HitlKind, Oversight, ProjectStatus, Step,
};
use botarmy_orchestrator::Workflows;
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{TestHarness, amend, simply};
use serde_json::json;

/// Returns a runner whose tester fails this many times before it passes.
fn failing(times: usize) -> ScriptedRunner {
    super::projects::content().on_step(
        "Code Testing",
        (0..times).map(|n| Act::Content(json!({"passed": false, "round": n}))),
    )
}

#[tokio::test]
async fn a_failed_test_is_repaired_and_tested_again() {
    let harness = TestHarness::new(failing(2));
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    let steps: Vec<_> =
        harness.tasks(id).await.iter().map(|t| t.step().unwrap().to_owned()).collect();
    assert_eq!(
        steps[6..],
        [
            "Code Testing",
            "Bug Fix",
            "Code Testing",
            "Bug Fix",
            "Code Testing",
            "Deployment",
            "Final Check"
        ]
    );
    let second_fix = &harness.runner.seen()[9];
    let results = second_fix.context.last().unwrap();
    assert_eq!(results.meta.artifact_type, ArtifactType::TestResults);
    assert_eq!(results.content["round"], 1, "the fix sees the newest results");
}

#[tokio::test]
async fn after_three_rounds_a_person_is_asked_who_can_allow_another() {
    let harness = TestHarness::new(failing(5));
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    assert_eq!((gate.kind, gate.step.as_deref()), (HitlKind::Failure, Some("Bug Fix")));
    assert!(gate.question.starts_with("After 3 rounds"), "{}", gate.question);
    harness.answer(id, amend("Look at the stylesheet")).await;
    harness.work().await;
    let seen = harness.runner.seen();
    let fix = seen.iter().rfind(|job| job.handoff.as_ref().unwrap().step == "Bug Fix").unwrap();
    assert_eq!(fix.context.last().unwrap().content["user_content"], "Look at the stylesheet");
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(harness.tasks(id).await.iter().filter(|t| t.step() == Some("Bug Fix")).count(), 5);
}

#[tokio::test]
async fn a_result_that_does_not_say_true_has_not_passed() {
    let mut lenient = (*Workflows::default().named("sdlc").unwrap()).clone();
    let tests = |step: &&mut Step| step.output == ArtifactType::TestResults;
    lenient.steps.iter_mut().filter(tests).for_each(|step| step.output_schema = None);
    for passed in [json!("true"), json!(1), json!(null)] {
        let act = Act::Content(json!({"passed": passed}));
        let runner = super::projects::content().on_step("Code Testing", [act]);
        let harness =
            TestHarness::with_workflows(runner, Workflows::default().with(lenient.clone()));
        let id = harness.start("sdlc", Oversight::Low).await;
        harness.work().await;
        assert_eq!(
            harness.tasks(id).await.iter().filter(|t| t.step() == Some("Bug Fix")).count(),
            1
        );
    }
}

#[tokio::test]
async fn a_step_that_failed_for_good_goes_on_where_it_was() {
    let acts = [Act::terminal("x", "No.")];
    let harness = TestHarness::new(super::projects::content().on_step("Deployment", acts));
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Active);
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(harness.count(id, EventType::TaskFailed).await, 1);
}

#[tokio::test]
async fn a_repair_that_changes_nothing_ends_the_loop_before_another_test_is_paid() {
    let same = || Act::Content(json!({"files": [{"path": "a", "content": "1"}]}));
    let runner = failing(3)
        .on_step("Code Refinement", [same()])
        .on_step("Bug Fix", [same(), Act::Content(json!({"files": []}))]);
    let harness = TestHarness::new(runner);
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    let count = async |step: &str| {
        harness.tasks(id).await.iter().filter(|task| task.step() == Some(step)).count()
    };
    assert_eq!((count("Code Testing").await, count("Bug Fix").await), (1, 1));
    let gate = harness.gate(id).await;
    assert_eq!((gate.kind, gate.step.as_deref()), (HitlKind::Failure, Some("Bug Fix")));
    assert!(gate.question.contains("After one round") && gate.question.contains("changed nothing"));
    harness.answer(id, amend("Remove the file")).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!((count("Code Testing").await, count("Bug Fix").await), (4, 4));
}

#[tokio::test]
async fn a_test_that_says_the_same_again_ends_the_loop() {
    let fails = || Act::Content(json!({"passed": false, "summary": "Line 7 is wrong."}));
    let runner = super::projects::content().on_step("Code Testing", [fails(), fails(), fails()]);
    let harness = TestHarness::new(runner);
    let id = harness.start("sdlc", Oversight::Low).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    assert!(gate.question.contains("same result again"), "{}", gate.question);
    assert_eq!(harness.tasks(id).await.iter().filter(|t| t.step() == Some("Bug Fix")).count(), 1);
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    assert!(gate.question.contains("After 2 rounds"), "another round was allowed, no more");
    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
}
