//! `botarmy.command/1`: an assignment as the JSON document that local commands read on their
//! standard input and external workers get with a lease.
//!
//! The document is part of the public contract: keys may be added, but none may change its
//! meaning. A golden file in the tests of this crate holds the complete document.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::artifact::Artifact;
use crate::assignment::{Assignment, Resume};
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::vocabulary::{AgentType, ArtifactType, HitlAction};

/// Name and version of the document.
pub const CONTRACT: &str = "botarmy.command/1";

/// An assignment as a JSON document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerDocument<'a> {
    /// [`CONTRACT`].
    pub contract: &'static str,
    /// Task to do.
    pub task: AssignedTask<'a>,
    /// Artifacts that the task may read, in the order of the task's list.
    pub context: Vec<AssignedArtifact<'a>>,
    /// JSON Schema of the output, if the step declares one.
    pub output_schema: Option<&'a Map<String, Value>>,
    /// State to continue with, if a question of an earlier attempt was answered.
    pub resume: Option<ResumedWork<'a>>,
}

/// The task of a [`WorkerDocument`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssignedTask<'a> {
    /// Id of the task.
    pub id: TaskId,
    /// Id of its project.
    pub project_id: ProjectId,
    /// Name of its project.
    pub project_name: &'a str,
    /// Agent type that does the task.
    pub agent: AgentType,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Instructions in plain text.
    pub instructions: &'a str,
    /// Name of the workflow step, if the task belongs to one.
    pub step: Option<&'a str>,
    /// Artifact type of the expected output, if an artifact is expected.
    pub output_type: Option<ArtifactType>,
}

/// An artifact of a [`WorkerDocument`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssignedArtifact<'a> {
    /// Id of the artifact.
    pub id: ContextId,
    /// Type of the artifact.
    pub r#type: ArtifactType,
    /// Title of the content, or else the name of the type.
    pub name: &'a str,
    /// Content of the artifact.
    pub content: &'a Map<String, Value>,
}

/// State that an attempt continues with after a question was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResumedWork<'a> {
    /// Text that the earlier attempt gave with its question.
    pub session: Option<&'a str>,
    /// Answers to all questions of the task, oldest first.
    pub answers: Vec<GivenAnswer<'a>>,
}

/// A person's answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GivenAnswer<'a> {
    /// Id of the question's request.
    pub question_id: HitlRequestId,
    /// Decision.
    pub action: HitlAction,
    /// Comment in plain text.
    pub comment: Option<&'a str>,
    /// Text or replacement document that the person gave.
    pub content: Option<&'a Value>,
}

impl<'a> WorkerDocument<'a> {
    /// Creates the document for an assignment.
    #[must_use]
    pub fn of(job: &'a Assignment) -> Self {
        Self {
            contract: CONTRACT,
            task: AssignedTask {
                id: job.task_id,
                project_id: job.project_id,
                project_name: &job.project_name,
                agent: job.agent,
                attempt: job.attempt,
                instructions: &job.instructions,
                step: job.handoff.as_ref().map(|handoff| handoff.step.as_str()),
                output_type: job.output_type,
            },
            context: job.context.iter().map(|artifact| AssignedArtifact::of(artifact)).collect(),
            output_schema: job.output_schema.as_ref(),
            resume: job.resume.as_ref().map(ResumedWork::of),
        }
    }
}

impl<'a> AssignedArtifact<'a> {
    fn of(artifact: &'a Artifact) -> Self {
        let title = artifact.content.get("title").and_then(Value::as_str);
        Self {
            id: artifact.meta.id,
            r#type: artifact.meta.artifact_type,
            name: title.unwrap_or(artifact.meta.artifact_type.as_str()),
            content: &artifact.content,
        }
    }
}

impl<'a> ResumedWork<'a> {
    fn of(resume: &'a Resume) -> Self {
        let answers = resume.answers.iter().map(|answer| GivenAnswer {
            question_id: answer.question_id,
            action: answer.action,
            comment: answer.comment.as_deref(),
            content: answer.content.as_ref(),
        });
        Self { session: resume.session.as_deref(), answers: answers.collect() }
    }
}
