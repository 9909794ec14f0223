//! An assignment with every field set, and the golden document for it. The tests of the crates
//! that send the document include this file too.

use std::sync::Arc;

use botarmy_domain::artifact::digest;
use botarmy_domain::ids::{ContextId, ProjectId};
use botarmy_domain::task::Answer;
use botarmy_domain::{
    AgentType, Artifact, ArtifactRef, ArtifactType, Assignment, Handoff, HitlAction, Resume,
    Timestamp,
};
use serde_json::{Map, Value, json};

/// Text of the golden file.
pub(crate) const GOLDEN: &str = include_str!("worker_document.json");

/// Returns the golden document.
pub(crate) fn golden() -> Value {
    serde_json::from_str(GOLDEN).expect("the golden file is JSON")
}

/// Returns an assignment that resumes `session` and has a value in every other field.
/// Free-form objects have their keys in alphabetical order: whether `serde_json` keeps another order
/// depends on the features of the whole build.
pub(crate) fn sample_assignment(session: Option<String>) -> Assignment {
    let project_id: ProjectId = id("0a");
    let artifact = |n: &str, artifact_type, content: Value| {
        let content = object(content);
        let meta = ArtifactRef {
            id: id(n),
            project_id,
            source_agent: AgentType::Orchestrator,
            artifact_type,
            digest: digest(&content),
            previous: None,
            created_at: Timestamp::from_micros(1),
        };
        Arc::new(Artifact { meta, content, metadata: Map::new() })
    };
    let context = vec![
        artifact("c1", ArtifactType::ProjectPlan, json!({"goals": ["small"], "title": "A plan"})),
        artifact("c2", ArtifactType::SoftwareSpecification, json!({"markdown": "# Recipes"})),
        artifact(
            "c3",
            ArtifactType::SourceCode,
            json!({"entry": "a.txt", "files": [{"content": "one\n", "path": "a.txt"}]}),
        ),
    ];
    let context_ids: Vec<ContextId> = context.iter().map(|artifact| artifact.meta.id).collect();
    let answers = vec![
        Answer {
            question_id: id("f1"),
            action: HitlAction::Amend,
            comment: None,
            content: Some(json!("In Rust")),
        },
        Answer {
            question_id: id("f2"),
            action: HitlAction::Approve,
            comment: Some("Go ahead.".to_owned()),
            content: None,
        },
    ];
    Assignment {
        project_id,
        project_name: "Recipes".to_owned(),
        task_id: id("0b"),
        agent: AgentType::Coder,
        attempt: 3,
        instructions: "Write the code.".to_owned(),
        handoff: Some(Handoff {
            from: AgentType::Architect,
            to: AgentType::Coder,
            phase: "Build".to_owned(),
            step: "Code Generation".to_owned(),
            context_ids,
            instructions: "Write the code.".to_owned(),
            expected_outputs: vec![ArtifactType::SourceCode],
            priority: 5,
        }),
        context,
        output_type: Some(ArtifactType::SourceCode),
        output_schema: Some(object(json!({"required": ["files"], "type": "object"}))),
        resume: Some(Resume { session, answers }),
        workflow: None,
    }
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(end: &str) -> T {
    format!("0190a0b0-0000-7000-8000-0000000000{end}").parse().expect("it is a UUID")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is not an object"),
    }
}
