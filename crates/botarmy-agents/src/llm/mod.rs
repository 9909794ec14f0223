//! The model runner: one conversation with a model provider makes one document.
//!
//! It tells the model what the role is ([`Prompts`]), what is to be done, and as much of the
//! context as there is room for (`context.rs`) and in which form the answer must be (`shape.rs`);
//! hears it as it comes, and makes a document of it (`answer.rs`). What can go wrong, and whether
//! another try may help, is one table in `failure.rs`. The library that speaks the providers'
//! protocols is named in `provider.rs` alone.
//!
//! **One try.** Nothing here or below sends a request again, because it failed or because the answer
//! is not in the form that was asked for: the orchestrator does, with what was wrong among the
//! instructions.

mod answer;
mod context;
mod failure;
mod prompts;
mod provider;
mod shape;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::budget::Amount;
use botarmy_domain::ports::{
    AgentRunner, Assignment, Clock, Outcome, Probe, RunContext, RunError, Usage,
};
use botarmy_domain::vocabulary::{ArtifactType, HitlAction};
use serde_json::{Map, Value, json};

pub use prompts::{PromptError, Prompts};
pub use provider::{Key, Provider, ProviderKind, SetupError};

use context::Selection;
use failure::{Failure, Fault};
use provider::{Answer, Request, Stop, Tokens, Wire};
use shape::Shape;

/// How long before its deadline a run ends by itself, so that what it used is known.
const BEFORE_THE_DEADLINE: Duration = Duration::from_millis(500);
/// No timer needs to run longer than this.
const MAX_RUN: Duration = Duration::from_secs(86_400);
/// How often there is news of an answer that is being written.
const NEWS: Duration = Duration::from_secs(1);

/// What a model costs, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Tokens read.
    pub input_per_mtok: f64,
    /// Tokens written.
    pub output_per_mtok: f64,
}

/// Runs assignments with a model.
pub struct LlmRunner {
    wire: Box<dyn Wire>,
    provider: Provider,
    model: String,
    prompts: Arc<Prompts>,
    price: Option<Price>,
    clock: Arc<dyn Clock>,
    deployments: Option<Arc<dyn AgentRunner>>,
    said_no_price: AtomicBool,
    /// Why the last conversation could not take place, if that was nobody's passing mood.
    trouble: Mutex<Option<String>>,
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
    /// A runner for this model of this provider.
    ///
    /// # Errors
    /// What keeps a client from being made.
    pub fn new(
        provider: Provider,
        model: &str,
        prompts: Arc<Prompts>,
        price: Option<Price>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        let wire = Box::new(provider::connect(&provider, model)?);
        Ok(Self {
            wire,
            provider,
            model: model.to_owned(),
            prompts,
            price,
            clock,
            deployments: None,
            said_no_price: AtomicBool::new(false),
            trouble: Mutex::new(None),
        })
    }

    /// Deployments are done by this runner: a model can write that it deployed something, and
    /// cannot do it.
    #[must_use]
    pub fn with_deployments(mut self, deployments: Arc<dyn AgentRunner>) -> Self {
        self.deployments = Some(deployments);
        self
    }

    /// `provider/model`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.provider.name, self.model)
    }

    /// The conversation, until there is a document or a reason why there is none.
    async fn converse(
        &self,
        job: &Assignment,
        shape: &Shape,
        context: &RunContext,
        meter: &Meter,
    ) -> Result<Outcome, Failure> {
        let label = self.label();
        let output_type = job.output_type.unwrap_or(ArtifactType::AgentOutput);
        let selection = Selection::of(&job.context, self.provider.context_tokens);
        (context.progress)(selection.line(&label), Some(0));
        let system = self.system(job, shape);
        let text = request_of(job, &selection);
        let schema = shape.to_schema();
        let request = Request { system: &system, text: &text, schema: &schema };
        meter.begin(system.len() + text.len());
        let heard = |bytes| meter.heard(bytes, &label, context);
        let Answer { text, stop, tokens } = match self.wire.ask(&request, &heard).await {
            Ok(answer) => answer,
            Err(failure) => {
                let estimate = meter.estimate();
                return Err(Failure { tokens: failure.tokens.or(estimate), ..failure });
            }
        };
        meter.settle(tokens);
        match stop {
            Stop::Done => {}
            Stop::Length => return Err(Fault::CutShort.into()),
            Stop::Refused => return Err(Fault::Refused.into()),
            Stop::ToolCall => return Err(Fault::ToolCall.into()),
            Stop::CutOff => return Err(Fault::CutOff.into()),
            Stop::Other(word) => return Err(Fault::Stopped(word).into()),
        }
        let read = answer::read(&text).and_then(|document| {
            shape.check(&document)?;
            answer::finish(output_type, document, &job.context)
        });
        match read {
            Ok(document) => Ok(self.outcome(output_type, document, &selection)),
            Err(problem) => Err(Fault::WrongShape(problem).into()),
        }
    }

    fn system(&self, job: &Assignment, shape: &Shape) -> String {
        let mut text = self.prompts.for_agent(job.agent);
        text.push_str("\n\nThe JSON object must have this form (JSON Schema):\n");
        text.push_str(&shape.to_schema().to_string());
        text
    }

    fn outcome(
        &self,
        output_type: ArtifactType,
        mut document: Map<String, Value>,
        selection: &Selection,
    ) -> Outcome {
        let confidence = document.remove("confidence").and_then(|value| value.as_f64());
        let confidence = confidence.filter(|sure| (0.0..=1.0).contains(sure));
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
        artifact.metadata.insert(
            "generated_by".to_owned(),
            json!({"provider": self.provider.name, "model": self.model, "language_model": true}),
        );
        Outcome::Completed {
            output,
            artifacts: vec![artifact],
            confidence,
            // Put in by the caller, who knows it for every end.
            usage: Usage::default(),
        }
    }

    fn usage(&self, tokens: Tokens) -> Usage {
        let cost_micro_usd = self.price.map(|price| cost(tokens, price));
        if cost_micro_usd.is_none() && !self.said_no_price.swap(true, Ordering::Relaxed) {
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

    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

#[async_trait]
impl AgentRunner for LlmRunner {
    fn kind(&self) -> &'static str {
        "llm"
    }

    async fn probe(&self) -> Probe {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match trouble {
            Some(message) => Probe { ready: false, message },
            None => Probe { ready: true, message: format!("Asks {}.", self.label()) },
        }
    }

    /// Every model counts differently; two bytes for a token is about twice what English or code
    /// makes.
    fn worst_case(&self, job: &Assignment) -> Option<Amount> {
        if job.output_type == Some(ArtifactType::DeploymentLog) {
            return None;
        }
        let selection = Selection::of(&job.context, self.provider.context_tokens);
        let bytes = self.system(job, &Shape::of(job)).len() + request_of(job, &selection).len();
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
        let shape = Shape::of(&job);
        let meter = Meter::default();
        let left = context.deadline.since(self.clock.now());
        let left = left.saturating_sub(BEFORE_THE_DEADLINE).min(MAX_RUN);
        let conversation = self.converse(&job, &shape, &context, &meter);
        let ended = match tokio::time::timeout(left, conversation).await {
            Ok(ended) => ended,
            Err(_) => Err(Failure { fault: Fault::Deadline, tokens: meter.estimate() }),
        };
        match ended {
            Ok(Outcome::Completed { output, artifacts, confidence, .. }) => {
                self.note(None);
                (context.progress)(format!("{}: done", self.label()), Some(100));
                let usage = self.usage(meter.used());
                Ok(Outcome::Completed { output, artifacts, confidence, usage })
            }
            Ok(asks @ Outcome::Ask { .. }) => Ok(asks),
            Err(failure) => {
                meter.settle(failure.tokens.unwrap_or_default());
                self.note(failure.fault.lasts().then(|| failure.fault.sentence(&self.provider)));
                Err(failure.fault.into_error(&self.provider, self.usage(meter.used())))
            }
        }
    }
}

/// Micro-dollars: a dollar for a million tokens is one of them for a token.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "prices are not negative, and nobody pays for 2^53 tokens at once"
)]
fn cost(tokens: Tokens, price: Price) -> u64 {
    let input = tokens.input as f64 * price.input_per_mtok;
    let output = tokens.output as f64 * price.output_per_mtok;
    (input + output).ceil() as u64
}

/// What the model is asked, with the context and with what people said since.
fn request_of(job: &Assignment, selection: &Selection) -> String {
    let mut text = format!("# Project\n\n{}\n\n", job.project_name);
    if let Some(handoff) = &job.handoff {
        text.push_str(&format!("# Step\n\n{} ({})\n\n", handoff.step, handoff.phase));
    }
    text.push_str(&format!("# What is to be done\n\n{}\n\n", job.instructions));
    text.push_str(&selection.text);
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

/// What a run used so far, and when it last said how it is getting on.
#[derive(Debug, Default)]
struct Meter {
    settled: Mutex<Tokens>,
    sent: AtomicUsize,
    received: AtomicUsize,
    said: Mutex<Option<tokio::time::Instant>>,
}

impl Meter {
    /// A request of this many bytes goes out.
    fn begin(&self, bytes: usize) {
        self.sent.store(bytes, Ordering::Relaxed);
        self.received.store(0, Ordering::Relaxed);
    }

    /// So many more bytes of the answer are here.
    fn heard(&self, bytes: usize, label: &str, context: &RunContext) {
        let all = self.received.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let now = tokio::time::Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|last| now.duration_since(last) >= NEWS) {
            *said = Some(now);
            (context.progress)(format!("{label}: {} of the answer so far", size(all)), None);
        }
    }

    /// The provider said what the request used.
    fn settle(&self, tokens: Tokens) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.input = settled.input.saturating_add(tokens.input);
        settled.output = settled.output.saturating_add(tokens.output);
        self.sent.store(0, Ordering::Relaxed);
        self.received.store(0, Ordering::Relaxed);
    }

    /// About what an unfinished answer used, at four bytes for a token; nothing if none began.
    fn estimate(&self) -> Option<Tokens> {
        let received = self.received.load(Ordering::Relaxed);
        let sent = self.sent.load(Ordering::Relaxed);
        (received > 0).then(|| Tokens {
            input: context::approximate_tokens(sent) as u64,
            output: context::approximate_tokens(received) as u64,
        })
    }

    fn used(&self) -> Tokens {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(bytes: usize) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} KB", bytes / 1024) }
}
