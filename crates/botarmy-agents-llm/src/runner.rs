//! [`LlmRunner`]: the conversation with a model.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::artifact::{Artifact, NewArtifact};
use botarmy_domain::budget::Amount;
use botarmy_domain::ports::{AgentRunner, Clock, NoTracer, Tracer};
use botarmy_domain::vocabulary::{ArtifactType, HitlAction};
use botarmy_domain::{
    Assignment, OpenSpan, Outcome, Probe, Question, RunContext, RunError, SpanKind, TraceContext,
    Usage,
};
use serde_json::{Map, Value, json};

use crate::answer;
use crate::connection;
use crate::context::Selection;
use crate::error::{AskError, AskErrorKind};
use crate::http::SetupError;
use crate::prompts::Prompts;
use crate::provider::{Provider, ProviderKind};
use crate::schema::OutputSchema;
use crate::usage::{Counted, Meter, Price, Tokens, approximate_tokens, cost};
use crate::wire::{Answer, Request, Stop, Wire};

/// Time before its deadline at which a run ends by itself, so that its usage can be reported.
const DEADLINE_MARGIN: Duration = Duration::from_millis(500);
/// Session of a run that asked whether it may work with a part of its only input.
const MAY_CUT: &str = "may-cut-input";
/// Longest time that a run may take, whatever its deadline is.
const MAX_RUN: Duration = Duration::from_secs(86_400);

/// An [`AgentRunner`] that asks a model.
pub struct LlmRunner {
    wire: Box<dyn Wire>,
    provider: Provider,
    model: String,
    prompts: Arc<Prompts>,
    price: Option<Price>,
    clock: Arc<dyn Clock>,
    tracer: Arc<dyn Tracer>,
    deployments: Option<Arc<dyn AgentRunner>>,
    missing_price_logged: AtomicBool,
    /// Error of the last conversation, if the next one is likely to fail the same way.
    lasting_error: Mutex<Option<String>>,
}

impl std::fmt::Debug for LlmRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmRunner")
            .field("provider", &self.provider)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl LlmRunner {
    /// Creates a runner for this model of this provider. Sends nothing.
    ///
    /// # Errors
    /// [`SetupError`] when the configuration is invalid or no client can be created.
    pub fn new(
        provider: Provider,
        model: &str,
        prompts: Arc<Prompts>,
        price: Option<Price>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        let wire = Box::new(connection::connect(&provider, model, Arc::clone(&clock))?);
        Ok(Self {
            wire,
            provider,
            model: model.to_owned(),
            prompts,
            price,
            clock,
            tracer: Arc::new(NoTracer),
            deployments: None,
            missing_price_logged: AtomicBool::new(false),
            lasting_error: Mutex::new(None),
        })
    }

    /// Sets the runner that does deployments: a model can write that it deployed something, but
    /// cannot do it.
    #[must_use]
    pub fn with_deployments(mut self, deployments: Arc<dyn AgentRunner>) -> Self {
        self.deployments = Some(deployments);
        self
    }

    /// Sets the tracer that records the calls of the provider.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Arc<dyn Tracer>) -> Self {
        self.tracer = tracer;
        self
    }

    /// Begins the span of a call, with the attributes that OpenTelemetry has for generative AI. Prompts and
    /// answers are never among them.
    fn span(&self, parent: Option<TraceContext>) -> OpenSpan {
        let name = format!("chat {}", self.model);
        let mut span = OpenSpan::begin(&self.tracer, name, SpanKind::Client, parent);
        let provider = match self.provider.kind {
            ProviderKind::Gemini => "gcp.gemini",
            ProviderKind::OpenAi => "openai",
            ProviderKind::Anthropic => "anthropic",
            ProviderKind::Ollama | ProviderKind::Compatible => self.provider.name.as_str(),
        };
        span.set("gen_ai.operation.name", "chat");
        span.set("gen_ai.provider.name", provider);
        span.set("gen_ai.request.model", self.model.as_str());
        span
    }

    /// Returns `provider/model`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.provider.name, self.model)
    }

    /// Holds the conversation, from the prompt to the document. Settles the usage of a request that
    /// ended.
    async fn converse(
        &self,
        job: &Assignment,
        schema: &OutputSchema,
        context: &RunContext,
        meter: &Meter,
        trace: Option<TraceContext>,
    ) -> Result<Outcome, AskErrorKind> {
        let label = self.label();
        let output_type = job.output_type.unwrap_or(ArtifactType::AgentOutput);
        let selection = Selection::of(&job.context, self.provider.context_tokens);
        if let Some(only) = selection.only_input_cut(&job.context) {
            if !is_allowed_to_cut(job) {
                return Ok(self.question(job, only));
            }
            if selection.text.is_empty() {
                return Err(AskErrorKind::InputTooLarge);
            }
        }
        if !selection.is_whole() {
            tracing::warn!(
                project.id = %job.project_id, task.id = %job.task_id, model = label,
                "The input of the task does not fit into {} tokens; the model is not shown all of it",
                self.provider.context_tokens
            );
        }
        (context.progress)(selection.line(&label), Some(0));
        let system = self.system(job, schema);
        let text = request_text(job, &selection);
        let json_schema = schema.to_json();
        let request = Request { system: &system, text: &text, schema: &json_schema, trace };
        meter.begin(system.len() + text.len());
        let received = |bytes| meter.received(bytes, &label, context);
        let answer = match self.wire.ask(&request, &received).await {
            Ok(answer) => answer,
            Err(AskError { kind, counted }) => {
                meter.settle(meter.of_failure(counted));
                return Err(kind);
            }
        };
        meter.settle(meter.of_answer(answer.counted));
        let finish = |document| answer::finish(output_type, document, &job.context);
        let document = self.document(answer, &|content| {
            finish(content.clone()).is_ok_and(|document| schema.fits(&document))
        })?;
        let document = schema.check(&document).and_then(|()| finish(document));
        let document = document.map_err(AskErrorKind::InvalidDocument)?;
        Ok(self.outcome(output_type, document, &selection))
    }

    /// Returns the document in an answer. If the answer did not end regularly, the document has to be
    /// complete, the last thing in it, and valid.
    fn document(
        &self,
        answer: Answer,
        fits: &dyn Fn(&Map<String, Value>) -> bool,
    ) -> Result<Map<String, Value>, AskErrorKind> {
        let Answer { text, stop, .. } = answer;
        let kind = match stop {
            Stop::Done => {
                let document = answer::read(&text, fits);
                return document
                    .map(|document| document.content)
                    .map_err(AskErrorKind::InvalidDocument);
            }
            Stop::Length => return Err(AskErrorKind::CutShort),
            Stop::Refused => return Err(AskErrorKind::Refused),
            Stop::ToolCall => return Err(AskErrorKind::ToolCall),
            Stop::Other(word) => AskErrorKind::Stopped(word),
            Stop::BrokenOff(kind) => kind,
        };
        let document = answer::read(&text, fits).ok();
        let document = document.filter(|document| document.is_last && fits(&document.content));
        let document = document.ok_or(kind)?;
        tracing::info!(
            "An answer of {} did not end regularly; its document is complete and is used",
            self.label()
        );
        Ok(document.content)
    }

    /// Returns the question about a step whose only input cannot be shown in full.
    fn question(&self, job: &Assignment, input: &Artifact) -> Outcome {
        let step = job.handoff.as_ref().map_or(job.instructions.as_str(), |handoff| &handoff.step);
        let step: String = step.chars().take(200).collect();
        let size = Value::Object(input.content.clone()).to_string().len();
        let question = format!(
            "{step}: the only input, the {}, is about {} tokens long, and {} is shown {} of them at \
             most. Approve to let it work with the beginning, amend to add a shorter text, or reject to \
             halt the project; a larger context_tokens of the provider shows it more.",
            input.meta.artifact_type.as_str().replace('_', " "),
            approximate_tokens(size),
            self.label(),
            self.provider.context_tokens,
        );
        let options = vec!["Work with the beginning".to_owned()];
        Outcome::Ask {
            question: Question {
                question,
                options,
                artifacts: vec![input.meta.id],
                policy: None,
                assignees: Vec::new(),
                response_schema: None,
            },
            usage: Usage::default(),
            session: Some(MAY_CUT.to_owned()),
        }
    }

    fn system(&self, job: &Assignment, schema: &OutputSchema) -> String {
        let mut text = self.prompts.for_agent(job.agent);
        text.push_str("\n\nThe JSON object must have this form (JSON Schema):\n");
        text.push_str(&schema.to_json().to_string());
        text
    }

    fn outcome(
        &self,
        output_type: ArtifactType,
        mut document: Map<String, Value>,
        selection: &Selection,
    ) -> Outcome {
        let confidence = document.remove("confidence").and_then(|value| value.as_f64());
        let confidence = confidence.filter(|confidence| (0.0..=1.0).contains(confidence));
        let mut output = Map::new();
        output.insert("summary".to_owned(), document.get("summary").cloned().unwrap_or_default());
        output.insert("generated_by".to_owned(), format!("The model {}", self.label()).into());
        for key in ["passed", "ok"] {
            if let Some(value) = document.get(key) {
                output.insert(key.to_owned(), value.clone());
            }
        }
        output.insert("context".to_owned(), selection.record());
        let mut artifact = NewArtifact::new(output_type, document);
        if !selection.is_whole() {
            output.insert("warnings".to_owned(), selection.warnings().into());
            artifact.metadata.insert("warnings".to_owned(), selection.warnings().into());
        }
        artifact.metadata.insert(
            "generated_by".to_owned(),
            json!({"provider": self.provider.name, "model": self.model, "language_model": true}),
        );
        Outcome::Completed {
            output,
            artifacts: vec![artifact],
            confidence,
            // The caller fills it in: it knows the usage of every outcome.
            usage: Usage::default(),
        }
    }

    fn usage(&self, tokens: Tokens) -> Usage {
        let cost_micro_usd = self.price.map(|price| cost(tokens, price));
        if cost_micro_usd.is_none() && !self.missing_price_logged.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "No price is configured for {}; its tokens are counted without a cost",
                self.label()
            );
        }
        Usage {
            provider: Some(self.provider.name.clone()),
            model: Some(self.model.clone()),
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cost_micro_usd,
        }
    }

    fn note(&self, error: Option<String>) {
        *self.lasting_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

#[async_trait]
impl AgentRunner for LlmRunner {
    fn kind(&self) -> &'static str {
        "llm"
    }

    async fn probe(&self) -> Probe {
        let error = self.lasting_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match error {
            Some(message) => Probe { ready: false, message },
            None => Probe { ready: true, message: format!("Asks {}.", self.label()) },
        }
    }

    /// Counts two bytes of the prompt per token, which is about twice the real number for English and
    /// code.
    fn worst_case(&self, job: &Assignment) -> Option<Amount> {
        if job.output_type == Some(ArtifactType::DeploymentLog) {
            return None;
        }
        let selection = Selection::of(&job.context, self.provider.context_tokens);
        let bytes =
            self.system(job, &OutputSchema::of(job)).len() + request_text(job, &selection).len();
        let tokens =
            Tokens { input: bytes.div_ceil(2) as u64, output: self.provider.max_tokens.into() };
        Some(Amount {
            tokens: tokens.input + tokens.output,
            cost_micro_usd: self.price.map_or(0, |price| cost(tokens, price)),
        })
    }

    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError> {
        if job.output_type == Some(ArtifactType::DeploymentLog) {
            return match &self.deployments {
                Some(deployments) => deployments.run(job, context).await,
                None => Err(RunError::terminal(
                    "cannot_deploy",
                    "A model cannot deploy anything; give this agent another runner.",
                )),
            };
        }
        let schema = OutputSchema::of(&job);
        let meter = Meter::default();
        let left = context.deadline.since(self.clock.now());
        let left = left.saturating_sub(DEADLINE_MARGIN).min(MAX_RUN);
        let mut span = self.span(context.trace);
        let conversation = self.converse(&job, &schema, &context, &meter, span.context());
        let ended = tokio::time::timeout(left, conversation).await.unwrap_or_else(|_| {
            meter.settle(meter.of_failure(Counted::default()));
            Err(AskErrorKind::Deadline)
        });
        let used = meter.used();
        span.set("gen_ai.usage.input_tokens", used.input);
        span.set("gen_ai.usage.output_tokens", used.output);
        match ended {
            Ok(Outcome::Completed { output, artifacts, confidence, .. }) => {
                self.note(None);
                (context.progress)(format!("{}: done", self.label()), Some(100));
                let usage = self.usage(used);
                Ok(Outcome::Completed { output, artifacts, confidence, usage })
            }
            Ok(question @ Outcome::Ask { .. }) => {
                // No model was asked.
                span.discard();
                Ok(question)
            }
            Err(error) => {
                self.note(error.is_lasting().then(|| error.detail(&self.provider)));
                let error = error.into_run_error(&self.provider, self.usage(used));
                span.fail(error.code());
                Err(error)
            }
        }
    }
}

/// Returns `true` if a person has answered [`LlmRunner::question`].
fn is_allowed_to_cut(job: &Assignment) -> bool {
    job.resume.as_ref().is_some_and(|resume| {
        resume.session.as_deref() == Some(MAY_CUT) && !resume.answers.is_empty()
    })
}

/// Returns the request: the task, its context, and the answers of reviewers.
fn request_text(job: &Assignment, selection: &Selection) -> String {
    let mut text = format!("# Project\n\n{}\n\n", job.project_name);
    if let Some(handoff) = &job.handoff {
        text.push_str(&format!("# Step\n\n{} ({})\n\n", handoff.step, handoff.phase));
    }
    text.push_str(&format!("# What is to be done\n\n{}\n\n", job.instructions));
    text.push_str(&selection.text);
    text.push_str(&selection.note());
    let answers = job.resume.iter().flat_map(|resume| &resume.answers);
    for answer in answers.filter(|answer| answer.action != HitlAction::Approve) {
        let said = answer.content.as_ref().map(|content| match content {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        if let Some(said) = said.or_else(|| answer.comment.clone()) {
            text.push_str(&format!("# A person reviewed this and asks\n\n{said}\n\n"));
        }
    }
    text
}
