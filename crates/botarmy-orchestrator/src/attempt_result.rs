//! Results of attempts: checking their size, cleaning their text, committing them.

use std::sync::Arc;

use botarmy_domain::decide::budget::accounts_of;
use botarmy_domain::decide::tasks::{self, Inquiry, Work};
use botarmy_domain::text::{clean, clean_map, strip_controls, without_controls};
use botarmy_domain::{
    ArtifactType, BudgetAccount, BusMessage, Caller, Committed, DecisionContext, Error,
    LeaseHolder, NewArtifact, Outcome, RunError, Scope, Task, TaskProgress, Usage,
};
use serde_json::{Map, Value};
use tracing::error;

use crate::engine::Engine;

/// Largest size of a question with its suggested answers and its session, in bytes.
const MAX_QUESTION: usize = 64 << 10;

impl Engine {
    /// Publishes the progress of a task to live clients.
    pub(crate) async fn publish_progress(&self, task: &Task, message: String, percent: Option<u8>) {
        let progress = TaskProgress {
            project_id: task.project_id,
            task_id: task.id,
            agent_type: task.agent,
            message,
            percent,
            at: self.ports.clock.now(),
        };
        // Progress is not stored and nothing depends on it, so a failure is ignored.
        drop(self.ports.bus.publish(vec![BusMessage::Progress(Arc::new(progress))]).await);
    }

    /// Commits the result of an attempt, and settles its reservation.
    pub(crate) async fn commit_attempt(
        &self,
        task: &Task,
        holder: &LeaseHolder,
        reserved: bool,
        result: &Arc<Result<Outcome, RunError>>,
        context: DecisionContext,
    ) -> Result<Committed, Error> {
        let id = task.id;
        let mut scope = Scope::project(task.project_id).task(id);
        if let Ok(Outcome::Ask { question, .. }) = &**result {
            scope = scope.artifacts(&question.artifacts);
        }
        if reserved || !used(result).is_free() {
            scope = scope.records::<BudgetAccount>(accounts_of(task));
        }
        let (who, ended) = (holder.clone(), Arc::clone(result));
        let committed = self.commit(context, scope, move |context, snapshot| match &*ended {
            Ok(Outcome::Completed { output, artifacts, confidence, usage }) => {
                let work = work(output, artifacts, *confidence, usage);
                tasks::complete(context, snapshot, id, &who, &work)
            }
            Ok(Outcome::Ask { question, usage, session }) => {
                let inquiry = Inquiry {
                    question: question.clone(),
                    usage: usage.clone(),
                    session: session.clone(),
                };
                tasks::ask(context, snapshot, id, &who, &inquiry)
            }
            Err(error) => tasks::fail(context, snapshot, id, &who, error),
        });
        let committed = committed.await?;
        // A result that is sent again changes nothing, and was counted the first time.
        if let Some(observer) = self.usage_observer().filter(|_| !committed.entries.is_empty()) {
            observer.used(used(result));
        }
        Ok(committed)
    }

    /// Ends an attempt whose inputs are not the released ones: logs it and asks a person.
    pub(crate) async fn refuse_inputs(
        &self,
        task: &Task,
        holder: &LeaseHolder,
        detail: String,
    ) -> Result<Committed, Error> {
        error!(task.id = %task.id, "Task {} is not handed out: {detail}", task.id);
        let (id, who) = (task.id, holder.clone());
        let scope = Scope::project(task.project_id).task(id);
        let scope = scope.records::<BudgetAccount>(accounts_of(task));
        let context = self.context(Caller::worker(&holder.worker));
        self.commit(context, scope, move |context, snapshot| {
            tasks::refuse_inputs(context, snapshot, id, &who, &detail)
        })
        .await
    }
}

/// Returns the result of an attempt that finished.
pub(crate) fn work(
    output: &Map<String, Value>,
    artifacts: &[NewArtifact],
    confidence: Option<f64>,
    usage: &Usage,
) -> Work {
    let (output, artifacts) = (output.clone(), artifacts.to_vec());
    Work { output, artifacts, confidence, usage: usage.clone() }
}

/// Returns the usage of an attempt, however it ended.
pub(crate) fn used(result: &Result<Outcome, RunError>) -> &Usage {
    match result {
        Ok(Outcome::Completed { usage, .. } | Outcome::Ask { usage, .. }) => usage,
        Err(error) => error.usage(),
    }
}

/// Error of an output that is larger than allowed.
pub(crate) struct TooLarge {
    /// Actual and allowed size.
    pub(crate) detail: String,
    /// Usage of the attempt.
    pub(crate) usage: Box<Usage>,
}

/// Returns an outcome without control characters, and with text that a store cannot hold replaced.
/// Source code keeps its control characters, because they may be part of a file.
pub(crate) fn sanitize(outcome: Outcome, limit: usize) -> Result<Outcome, TooLarge> {
    let (mut output, mut artifacts, confidence, usage) = match outcome {
        Outcome::Completed { output, artifacts, confidence, usage } => {
            (output, artifacts, confidence, usage)
        }
        Outcome::Ask { mut question, usage, session } => {
            let size = question.question.len()
                + question.options.iter().map(String::len).sum::<usize>()
                + session.as_ref().map_or(0, String::len);
            if size > limit.min(MAX_QUESTION) {
                let most = limit.min(MAX_QUESTION);
                let detail =
                    format!("The agent asks with {size} bytes; at most {most} are stored.");
                return Err(TooLarge { detail, usage: Box::new(usage) });
            }
            let texts = std::iter::once(&mut question.question).chain(&mut question.options);
            texts.for_each(|text| *text = without_controls(&clean(text)));
            let session = session.map(|session| clean(&session).into_owned());
            return Ok(Outcome::Ask { question, usage, session });
        }
    };
    let bytes = |map: &_| serde_json::to_vec(map).map_or(0, |json| json.len());
    let size =
        bytes(&output) + artifacts.iter().map(|artifact| bytes(&artifact.content)).sum::<usize>();
    if size > limit {
        let detail = format!("The agent returned {size} bytes; at most {limit} are stored.");
        return Err(TooLarge { detail, usage: Box::new(usage) });
    }
    clean_map(&mut output);
    strip_controls(&mut output);
    for artifact in &mut artifacts {
        clean_map(&mut artifact.content);
        if artifact.artifact_type != ArtifactType::SourceCode {
            strip_controls(&mut artifact.content);
        }
        clean_map(&mut artifact.metadata);
    }
    Ok(Outcome::Completed { output, artifacts, confidence, usage })
}
