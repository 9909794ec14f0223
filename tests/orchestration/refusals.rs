//! Refused results of external workers: the reason is recorded with the attempt, for the people who
//! look into it.

use std::time::Duration;

use botarmy_domain::decide::refusals::{MAX_REASON, MAX_REFUSALS};
use botarmy_domain::lease::{FIRST_CALL, LEASE};
use botarmy_domain::ports::WorkerLeases;
use botarmy_domain::workflow::Workflow;
use botarmy_domain::{
    AgentType, DomainError, Error, EventPayload, EventType, HitlAction, HitlKind, LeaseSecret,
    Leased, Outcome, Oversight, PresentedLease, ProjectId, ProjectStatus, RunError, Task,
    TaskStatus, Usage, WorkQuery, WorkerId,
};
use botarmy_orchestrator::{Leases, Workflows};
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::{TestHarness, owner, simply};
use serde_json::{Value, json};

/// A workflow with one step whose document has a title.
const WORKFLOW: &str = r#"
    name = "titled"
    [[step]]
    name = "Write"
    phase = "1"
    agent = "coder"
    output = "project_plan"
    [step.output_schema]
    type = "object"
    required = ["title"]
    properties = { title = { type = "string", maxLength = 20 } }
"#;

/// The longest duration of an attempt in the settings of the harness.
const ATTEMPT: Duration = Duration::from_secs(600);

struct Scene {
    harness: TestHarness,
    leases: Leases,
    id: ProjectId,
}

impl Scene {
    async fn new() -> Self {
        let workflows = Workflows::default().with(Workflow::from_toml(WORKFLOW).unwrap());
        let harness = TestHarness::with_workflows(ScriptedRunner::default(), workflows);
        let leases = harness.leases();
        let id = harness.start("titled", Oversight::Low).await;
        Self { harness, leases, id }
    }

    async fn take(&self, worker: &str) -> Leased {
        let query = WorkQuery {
            worker: WorkerId::external(worker),
            agents: vec![AgentType::Coder],
            max: 1,
            wait: Duration::ZERO,
            caller: owner(),
        };
        self.leases.lease(query).await.unwrap().pop().expect("the task is ready")
    }

    /// Returns a document that is refused.
    async fn refused(&self, lease: &PresentedLease, output: &Value) -> String {
        match self.leases.finish(lease.clone(), done(output)).await.unwrap_err() {
            Error::Refused(error @ DomainError::Invalid { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    async fn task(&self) -> Task {
        Task::clone(&self.harness.tasks(self.id).await[0])
    }

    /// Returns the reasons that the log has.
    async fn recorded(&self) -> Vec<String> {
        let log = self.harness.log(self.id).await;
        let reasons = log.iter().filter_map(|entry| match EventPayload::of(entry).unwrap() {
            EventPayload::TaskResultRefused(refused) => Some(refused.reason),
            _ => None,
        });
        reasons.collect()
    }

    /// Lets the lease end, and waits for the next attempt.
    async fn lapse(&self) {
        self.harness.pass(LEASE).await;
        self.harness.clock.advance(Duration::from_secs(30));
    }
}

fn done(output: &Value) -> Result<Outcome, RunError> {
    Ok(Outcome::Completed {
        output: output.as_object().unwrap().clone(),
        artifacts: Vec::new(),
        confidence: None,
        usage: Usage::default(),
    })
}

/// Returns a document whose title is too long.
fn untitled() -> Value {
    json!({"title": "x".repeat(21)})
}

#[tokio::test]
async fn the_failure_gate_says_why_the_last_result_of_a_silent_worker_was_refused() {
    let scene = Scene::new().await;
    for attempt in 1..=3 {
        let leased = scene.take("w").await;
        let told = &leased.job.instructions;
        assert_eq!(told.contains("is a required property"), attempt > 1, "{told}");
        let lease = leased.presented();
        scene.leases.heartbeat(lease.clone(), None).await.unwrap();
        let reason = scene.refused(&lease, &json!({"summary": "x"})).await;
        assert!(reason.contains("\"title\" is a required property"), "{reason}");
        let task = scene.task().await;
        assert_eq!(task.refused_result.as_ref().unwrap().reason, reason, "word for word");
        assert_eq!(task.attempt, attempt);
        scene.lapse().await;
        let error = scene.task().await.error().unwrap().clone();
        assert_eq!(error.code, "lease_lapsed");
        let message =
            format!("The worker external/w fell silent. Its last result was refused: {reason}.");
        assert_eq!(error.message, message);
    }
    let gate = scene.harness.gate(scene.id).await;
    assert_eq!(gate.kind, HitlKind::Failure);
    assert!(
        gate.question.contains("fell silent. Its last result was refused: output: "),
        "{gate:?}"
    );
    assert!(gate.question.contains("is a required property. Approve to try again"), "{gate:?}");
    scene.harness.check().await;

    // A person's word begins it anew, and the next worker learns what was wrong.
    scene.harness.answer(scene.id, simply(HitlAction::Approve)).await;
    let told = scene.take("w").await.job.instructions;
    assert!(told.starts_with("Write\n\n") && told.contains("is a required property"), "{told}");
    assert_eq!(scene.task().await.refused_result, None);
    scene.harness.check().await;
}

#[tokio::test]
async fn a_refusal_is_recorded_once_for_each_new_reason_and_ten_times_at_most() {
    let scene = Scene::new().await;
    let lease = scene.take("w").await.presented();
    let first = scene.refused(&lease, &untitled()).await;
    for _ in 0..50 {
        assert_eq!(scene.refused(&lease, &untitled()).await, first, "the answer stays the same");
    }
    assert_eq!(scene.recorded().await, std::slice::from_ref(&first));
    for _ in 0..20 {
        scene.refused(&lease, &json!({"summary": "x"})).await;
        scene.leases.refuse(lease.clone(), "The body is too large.".to_owned()).await;
    }
    let recorded = scene.recorded().await;
    assert_eq!(recorded.len(), usize::try_from(MAX_REFUSALS).unwrap());
    assert!(recorded.windows(2).all(|two| two[0] != two[1]), "{recorded:?}");
    let refused = scene.task().await.refused_result.unwrap();
    assert_eq!((refused.count, &refused.reason), (MAX_REFUSALS, recorded.last().unwrap()));
    scene.harness.check().await;

    // The next attempt is counted anew.
    scene.lapse().await;
    let lease = scene.take("w").await.presented();
    scene.refused(&lease, &untitled()).await;
    assert_eq!(scene.task().await.refused_result.unwrap().count, 1);
    scene.harness.check().await;
}

#[tokio::test]
async fn an_accepted_result_ends_the_refusal_and_a_heartbeat_does_not() {
    let scene = Scene::new().await;
    let lease = scene.take("w").await.presented();
    scene.refused(&lease, &untitled()).await;
    let refused = scene.task().await.refused_result;
    scene.leases.heartbeat(lease.clone(), None).await.unwrap();
    assert!(refused.is_some() && scene.task().await.refused_result == refused);
    scene.leases.finish(lease, done(&json!({"title": "Recipes"}))).await.unwrap();
    let task = scene.task().await;
    assert_eq!((task.status(), task.refused_result), (TaskStatus::Completed, None));
    assert_eq!(scene.harness.status(scene.id).await, ProjectStatus::Completed);
    scene.harness.check().await;
}

#[tokio::test]
async fn a_question_ends_the_refusal_too() {
    let scene = Scene::new().await;
    let lease = scene.take("w").await.presented();
    scene.refused(&lease, &untitled()).await;
    let question = botarmy_domain::Question {
        question: "Which title?".to_owned(),
        options: Vec::new(),
        artifacts: Vec::new(),
        policy: None,
        assignees: Vec::new(),
        response_schema: None,
    };
    let asks = Ok(Outcome::Ask { question, usage: Usage::default(), session: None });
    scene.leases.finish(lease, asks).await.unwrap();
    let task = scene.task().await;
    assert_eq!((task.status(), task.refused_result), (TaskStatus::WaitingForHitl, None));
    scene.harness.check().await;
}

#[tokio::test]
async fn only_the_holder_of_the_lease_has_a_refusal_recorded() {
    let scene = Scene::new().await;
    let leased = scene.take("w").await;
    let lease = leased.presented();
    let before = (scene.task().await, scene.harness.log(scene.id).await.len());
    let forged = LeaseSecret::new([9; 32]).token(leased.lease.task, &leased.lease.holder);
    let unknown = botarmy_domain::TaskId::from_uuid(scene.id.uuid());
    let mut other_fence = lease.clone();
    other_fence.lease.holder.fence = 2;
    let mut other_task = lease.clone();
    other_task.lease.task = unknown;
    for stranger in [
        PresentedLease { token: None, ..lease.clone() },
        PresentedLease { token: Some(forged), ..lease.clone() },
        other_fence,
        other_task,
    ] {
        scene.leases.refuse(stranger.clone(), "output: is wrong".to_owned()).await;
        assert!(scene.leases.finish(stranger, done(&untitled())).await.is_err());
    }
    assert_eq!((scene.task().await, scene.harness.log(scene.id).await.len()), before);
    // Nor has one whose lease is over.
    scene.leases.heartbeat(lease.clone(), None).await.unwrap();
    scene.lapse().await;
    let before = scene.task().await;
    scene.leases.refuse(lease.clone(), "output: is wrong".to_owned()).await;
    assert!(scene.leases.finish(lease, done(&untitled())).await.is_err());
    assert_eq!(scene.task().await, before);
    assert!(scene.recorded().await.is_empty());
    scene.harness.check().await;
}

#[tokio::test]
async fn a_refused_result_is_the_first_call_about_a_lease() {
    let scene = Scene::new().await;
    let lease = scene.take("w").await.presented();
    scene.harness.clock.advance(FIRST_CALL / 2);
    scene.refused(&lease, &untitled()).await;
    // The worker has the whole lease to correct its result.
    scene.harness.pass(LEASE - Duration::from_secs(1)).await;
    assert_eq!(scene.task().await.status(), TaskStatus::Working);
    scene.harness.pass(Duration::from_secs(2)).await;
    let task = scene.task().await;
    assert_eq!((task.status(), task.failures, task.unconfirmed), (TaskStatus::Pending, 1, 0));
    assert!(task.error().unwrap().message.contains("Its last result was refused"));
    scene.harness.check().await;
}

#[tokio::test]
async fn a_refused_result_does_not_shorten_a_lease_nor_extend_the_attempt() {
    let scene = Scene::new().await;
    let leased = scene.take("w").await;
    let started = scene.task().await.started_at.unwrap();
    let expiry = async || scene.task().await.lease().unwrap().expires_at;
    scene.leases.heartbeat(leased.presented(), None).await.unwrap();
    let before = expiry().await;
    scene.refused(&leased.presented(), &untitled()).await;
    assert!(expiry().await >= before);
    for output in [json!({"summary": "x"}), untitled()] {
        scene.harness.clock.advance(LEASE - Duration::from_secs(1));
        scene.refused(&leased.presented(), &output).await;
    }
    assert_eq!(expiry().await.since(started), ATTEMPT);
    scene.harness.check().await;
}

#[tokio::test]
async fn a_long_or_strange_reason_is_shortened_and_cleaned() {
    let scene = Scene::new().await;
    let lease = scene.take("w").await.presented();
    for _ in 0..3 {
        let reason = format!("a\u{0}\u{1b}[31m{}: is not known", "ż".repeat(5000));
        scene.leases.refuse(lease.clone(), reason).await;
    }
    let refused = scene.task().await.refused_result.unwrap();
    assert_eq!((refused.count, refused.reason.chars().count()), (1, MAX_REASON + 1));
    assert!(refused.reason.starts_with("a\u{fffd}[31mżż") && refused.reason.ends_with('…'));
    assert_eq!(scene.harness.count(scene.id, EventType::TaskResultRefused).await, 1);
    scene.harness.check().await;
}
