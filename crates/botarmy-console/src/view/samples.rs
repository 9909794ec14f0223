//! Values for the tests of the views.

use std::sync::Arc;

use botarmy_domain::artifact::ArtifactRef;
use botarmy_domain::{
    AgentType, Artifact, ArtifactType, ContextId, HitlKind, HitlRequest, HitlRequestId, HitlState,
    OnExpiry, Oversight, Plan, Progress, Project, ProjectId, ProjectState, StepStatus, Subject,
    Timestamp, Workflow, artifact::digest,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

const SDLC: &str = include_str!("../../../../config/workflows/sdlc.toml");

pub(crate) fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(0xa1))
}

pub(crate) fn request_id(n: u128) -> HitlRequestId {
    HitlRequestId::from_uuid(Uuid::from_u128(0xb00 + n))
}

/// Returns a project that follows `sdlc` and waits for a review of this step.
pub(crate) fn project_at(step: &str) -> Project {
    let workflow = Workflow::from_toml(SDLC).unwrap();
    let mut progress = Progress::start(&workflow);
    for known in &workflow.steps {
        let state = progress.steps.get_mut(&known.name).unwrap();
        if known.name == step {
            state.status = StepStatus::InReview;
            break;
        }
        state.status = StepStatus::Done;
    }
    Project {
        id: project_id(),
        name: "Recipes <for> two".to_owned(),
        description: None,
        creator: None,
        oversight: Oversight::Standard,
        state: ProjectState::Active,
        plan: Some(Plan {
            digest: workflow.digest(),
            workflow: Arc::new(workflow),
            idea: "Recipes".to_owned(),
            starter: None,
            progress,
        }),
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(crate) fn artifact(n: u128, kind: ArtifactType, content: &Value) -> Artifact {
    let content: Map<String, Value> = content.as_object().unwrap().clone();
    Artifact {
        meta: ArtifactRef {
            id: ContextId::from_uuid(Uuid::from_u128(0xc00 + n)),
            project_id: project_id(),
            source_agent: AgentType::Analyst,
            artifact_type: kind,
            digest: digest(&content),
            previous: None,
            created_at: NOW,
        },
        content,
        metadata: Map::new(),
    }
}

pub(crate) fn plan_document() -> Artifact {
    artifact(1, ArtifactType::ProjectPlan, &json!({"markdown": "# Plan\n\nFor <two>."}))
}

/// Returns a pending request for the review of a plan.
pub(crate) fn request() -> HitlRequest {
    HitlRequest {
        id: request_id(1),
        project_id: project_id(),
        task_id: None,
        step: Some("Project Planning".to_owned()),
        agent: Some(AgentType::Analyst),
        kind: HitlKind::Approval,
        question: "Project Planning: is this project plan of \"Recipes\" good to go on with?"
            .to_owned(),
        options: ["Approve", "Reject", "Amend"].map(str::to_owned).to_vec(),
        subject: Subject::of([&plan_document().meta]),
        replaces: None,
        previous_request_id: None,
        budget: None,
        state: HitlState::Pending,
        history: Vec::new(),
        on_expiry: OnExpiry::KeepWaiting,
        ttl_s: 86_400,
        expires_at: Timestamp::from_micros(NOW.micros() + 86_400_000_000),
        created_at: Timestamp::from_micros(NOW.micros() - 840_000_000),
        updated_at: NOW,
        policy: None,
        planned: None,
        response_schema: None,
        round: 1,
        assignees: Vec::new(),
        escalated_to: Vec::new(),
        delegates: Vec::new(),
        votes: Vec::new(),
        claim: None,
        comments: Vec::new(),
        links: Vec::new(),
        unsatisfiable: false,
        schedule: botarmy_domain::hitl::Schedule::default(),
    }
}
