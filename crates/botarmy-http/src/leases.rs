//! Work for agents that run outside: asking for it, staying alive, bringing back what comes of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use botarmy_domain::decide::tasks::Holder;
use botarmy_domain::ports::{
    Assignment, HeldLease, Leased, Outcome, Question, RunError, Usage, WorkQuery,
};
use botarmy_domain::task::TaskState;
use botarmy_domain::text::non_blank;
use botarmy_domain::{
    AgentType, ArtifactType, ContextId, HitlAction, HitlRequestId, NewArtifact, ProjectId, Task,
    TaskId, TaskStatus, Timestamp, WorkerId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Json, JsonOrDefault, Segment};
use crate::words;

/// The most tasks handed out at once.
const MAX_LEASES: u32 = 100;
/// The longest that a request for work waits, in seconds.
const MAX_WAIT_S: u32 = 30;
/// The longest name of a worker, in characters.
const MAX_WORKER_ID: usize = 128;
/// The longest word for a failure, in characters.
const MAX_CODE: usize = 64;
/// The longest sentence about progress or a failure, in characters.
const MAX_MESSAGE: usize = 4096;
/// The longest reminder, in bytes: it is kept with the task and read whenever the task is.
const MAX_SESSION: usize = 64 * 1024;
/// The longest wait that a failure may ask for, in seconds: one day.
const MAX_RETRY_AFTER_S: u32 = 86_400;
/// The name of the document that a worker is given.
const CONTRACT: &str = "botarmy.command/1";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_lease, _, _>(lease),
        Endpoint::new::<__path_heartbeat, _, _>(heartbeat),
        Endpoint::new::<__path_complete, _, _>(complete),
        Endpoint::new::<__path_ask, _, _>(ask),
        Endpoint::new::<__path_fail, _, _>(fail),
    ]
}

/// A lease as workers see it: opaque to them. It is no secret, it only names task, fence and holder;
/// whether that holds is decided where the task is.
#[derive(Debug, PartialEq, Eq)]
struct Token(HeldLease);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeldLease { task, holder } = &self.0;
        let head = task.bytes().iter().copied().chain(holder.fence.to_be_bytes());
        head.chain(holder.worker.0.bytes()).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is said to text that is no lease.
const NO_LEASE: &str = "is not a lease that was handed out here";

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let id = text.get(..32).ok_or(NO_LEASE)?;
        let task: TaskId = id.parse().map_err(|_| NO_LEASE)?;
        let mut rest = Vec::with_capacity(text.len() / 2);
        for pair in text.as_bytes()[32..].chunks(2) {
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NO_LEASE);
            let &[high, low] = pair else { return Err(NO_LEASE) };
            rest.push(u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| NO_LEASE)?);
        }
        let (fence, worker) = rest.split_first_chunk().ok_or(NO_LEASE)?;
        let worker = WorkerId(String::from_utf8(worker.to_vec()).map_err(|_| NO_LEASE)?);
        // What a server holds itself is not to be had with a token.
        if !worker.is_external() {
            return Err(NO_LEASE);
        }
        let holder = Holder { worker, fence: u32::from_be_bytes(*fence) };
        Ok(Self(HeldLease { task, holder }))
    }
}

/// A worker that asks for work.
#[derive(Deserialize, ToSchema)]
struct LeaseQuery {
    /// What it is called; it need not be unique, but the log is easier to read when it is.
    #[schema(min_length = 1, max_length = 128)]
    worker_id: String,
    /// The agent types it serves; the first is served first.
    #[schema(value_type = Vec<words::AgentType>, min_items = 1)]
    agents: Vec<AgentType>,
    /// How many tasks it takes at most; 1 when absent.
    #[schema(minimum = 1, maximum = 100)]
    max: Option<u32>,
    /// How long it waits when there is nothing, in seconds; when absent, not at all.
    #[schema(minimum = 0, maximum = 30)]
    wait_s: Option<u32>,
}

/// What was handed out.
#[derive(Serialize, ToSchema)]
struct HandedOutView<'a> {
    leases: Vec<HandedOutTask<'a>>,
}

/// A task that was handed out.
#[derive(Serialize, ToSchema)]
struct HandedOutTask<'a> {
    /// Names the lease in the paths behind; opaque.
    lease: String,
    /// The attempt it is good for.
    fence: u32,
    /// When it lapses unless a heartbeat comes.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// How often a heartbeat should come, in seconds.
    heartbeat_s: u64,
    task: AssignmentView<'a>,
}

/// What is to be done: the same document that local commands read.
#[derive(Serialize, ToSchema)]
#[schema(as = Assignment)]
struct AssignmentView<'a> {
    /// `botarmy.command/1`.
    contract: &'static str,
    task: AssignedTask<'a>,
    /// The artifacts it may look at.
    context: Vec<AssignedArtifact<'a>>,
    /// The JSON Schema that the output has to satisfy, where there is one.
    #[schema(value_type = Option<Object>)]
    output_schema: Option<&'a Value>,
    /// Where it goes on, after a question was answered.
    resume: Option<ResumeView<'a>>,
}

/// The task of an assignment.
#[derive(Serialize, ToSchema)]
struct AssignedTask<'a> {
    #[schema(value_type = Uuid)]
    id: TaskId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    project_name: &'a str,
    #[schema(value_type = words::AgentType)]
    agent: AgentType,
    /// 1 for the first try.
    attempt: u32,
    instructions: &'a str,
    /// The step of the workflow it does.
    step: Option<&'a str>,
    /// What it is expected to make: the output becomes an artifact of this type, unless one of the
    /// artifacts is.
    #[schema(value_type = Option<words::ArtifactType>)]
    output_type: Option<ArtifactType>,
}

/// An artifact of an assignment.
#[derive(Serialize, ToSchema)]
struct AssignedArtifact<'a> {
    #[schema(value_type = Uuid)]
    id: ContextId,
    #[schema(value_type = words::ArtifactType)]
    r#type: ArtifactType,
    /// Its title, or else its type.
    name: &'a str,
    #[schema(value_type = Object)]
    content: &'a Map<String, Value>,
}

/// Where a task goes on.
#[derive(Serialize, ToSchema)]
struct ResumeView<'a> {
    /// What the worker wanted to be reminded of.
    session: Option<&'a str>,
    /// What people answered, oldest first.
    answers: Vec<AnswerView<'a>>,
}

/// What somebody answered.
#[derive(Serialize, ToSchema)]
struct AnswerView<'a> {
    #[schema(value_type = Uuid)]
    question_id: HitlRequestId,
    #[schema(value_type = words::HitlAction)]
    action: HitlAction,
    comment: Option<&'a str>,
    /// Text, or the document that somebody put in its place.
    #[schema(value_type = Option<Object>)]
    content: Option<&'a Value>,
}

impl<'a> HandedOutTask<'a> {
    fn of(leased: &'a Leased) -> Self {
        Self {
            lease: Token(leased.lease.clone()).to_string(),
            fence: leased.lease.holder.fence,
            expires_at: leased.expires_at,
            heartbeat_s: leased.heartbeat.as_secs().max(1),
            task: AssignmentView::of(&leased.job),
        }
    }
}

impl<'a> AssignmentView<'a> {
    fn of(job: &'a Assignment) -> Self {
        let context = job.context.iter().map(|artifact| AssignedArtifact {
            id: artifact.meta.id,
            r#type: artifact.meta.artifact_type,
            name: artifact
                .content
                .get("title")
                .and_then(Value::as_str)
                .unwrap_or(artifact.meta.artifact_type.as_str()),
            content: &artifact.content,
        });
        let resume = job.resume.as_ref().map(|resume| ResumeView {
            session: resume.session.as_deref(),
            answers: resume
                .answers
                .iter()
                .map(|answer| AnswerView {
                    question_id: answer.question_id,
                    action: answer.action,
                    comment: answer.comment.as_deref(),
                    content: answer.content.as_ref(),
                })
                .collect(),
        });
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
            context: context.collect(),
            output_schema: None,
            resume,
        }
    }
}

/// Hands out tasks, and waits for some where there are none.
#[utoipa::path(
    post, path = "/api/v1/worker/leases", tag = "workers", request_body = LeaseQuery,
    responses(
        (status = 200, body = HandedOutView),
        (status = 204, description = "Nothing came in time; ask again"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn lease(state: Data<State>, Json(body): Json<LeaseQuery>) -> Result<HttpResponse, Problem> {
    let worker = check_text("worker_id", &body.worker_id, MAX_WORKER_ID)?;
    if worker.chars().any(char::is_control) {
        return Err(Problem::invalid("worker_id", "must not have control characters"));
    }
    let mut agents: Vec<AgentType> = Vec::new();
    for agent in body.agents {
        if !agents.contains(&agent) {
            agents.push(agent);
        }
    }
    if agents.is_empty() {
        return Err(Problem::invalid("agents", "must name at least one agent type"));
    }
    let max = within("max", body.max.unwrap_or(1), 1, MAX_LEASES)?;
    let wait_s = within("wait_s", body.wait_s.unwrap_or(0), 0, MAX_WAIT_S)?;
    let query = WorkQuery {
        worker: WorkerId::external(worker),
        agents,
        max,
        wait: Duration::from_secs(wait_s.into()),
    };
    let leased = state.leases.lease(query).await?;
    if leased.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let leases = leased.iter().map(HandedOutTask::of).collect();
    Ok(HttpResponse::Ok().json(HandedOutView { leases }))
}

/// What a worker says while it works.
#[derive(Default, Deserialize, ToSchema)]
struct HeartbeatBody {
    /// A line for whoever watches.
    #[schema(max_length = 4096)]
    message: Option<String>,
    /// Per cent.
    #[schema(minimum = 0, maximum = 100)]
    progress: Option<u32>,
}

/// What a worker that was heard is told.
#[derive(Serialize, ToSchema)]
struct HeardView {
    /// When the lease lapses unless the next heartbeat comes.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Nobody wants the work any more: stop.
    cancel: bool,
}

/// Keeps a lease alive.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/heartbeat", tag = "workers",
    params(("lease" = String, Path)), request_body = HeartbeatBody,
    responses(
        (status = 200, body = HeardView),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: stop"),
    ),
)]
async fn heartbeat(
    state: Data<State>,
    Segment(Token(lease)): Segment<Token>,
    JsonOrDefault(body): JsonOrDefault<HeartbeatBody>,
) -> Result<HttpResponse, Problem> {
    let percent = body.progress.map(|percent| within("progress", percent, 0, 100)).transpose()?;
    let percent = percent.and_then(|percent| u8::try_from(percent).ok());
    let message = body.message.as_deref().and_then(non_blank);
    let message = message.map(|text| check_text("message", text, MAX_MESSAGE)).transpose()?;
    let says = message.is_some() || percent.is_some();
    let progress = says.then(|| (message.unwrap_or_default().to_owned(), percent));
    let heard = state.leases.heartbeat(lease, progress).await?;
    Ok(HttpResponse::Ok().json(HeardView { expires_at: heard.expires_at, cancel: heard.cancel }))
}

/// What a worker has used.
#[derive(Default, Deserialize, ToSchema)]
struct UsageBody {
    provider: Option<String>,
    model: Option<String>,
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    /// Millionths of a US dollar.
    cost_micro_usd: Option<u64>,
}

impl From<UsageBody> for Usage {
    fn from(body: UsageBody) -> Self {
        Self {
            provider: body.provider,
            model: body.model,
            input_tokens: body.input_tokens,
            output_tokens: body.output_tokens,
            cost_micro_usd: body.cost_micro_usd,
        }
    }
}

/// Work that is done.
#[derive(Deserialize, ToSchema)]
struct CompleteBody {
    /// What there is to say about it. For a step of a workflow it is the document the step makes,
    /// unless one of the artifacts is.
    #[schema(value_type = Object)]
    output: Map<String, Value>,
    artifacts: Option<Vec<MadeArtifact>>,
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f64>,
    usage: Option<UsageBody>,
}

/// Something a worker made.
#[derive(Deserialize, ToSchema)]
struct MadeArtifact {
    #[schema(value_type = words::ArtifactType)]
    artifact_type: ArtifactType,
    #[schema(value_type = Object)]
    content: Map<String, Value>,
    #[schema(value_type = Option<Object>)]
    artifact_metadata: Option<Map<String, Value>>,
}

/// What became of the task.
#[derive(Serialize, ToSchema)]
struct FinishedView {
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    #[schema(value_type = words::TaskStatus)]
    status: TaskStatus,
    /// The request that waits for a person because of it.
    #[schema(value_type = Option<Uuid>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hitl_request_id: Option<HitlRequestId>,
    /// When it is tried again at the earliest.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
}

impl FinishedView {
    fn of(task: &Task) -> Self {
        let hitl_request_id = match &task.state {
            TaskState::WaitingForHitl { request_id } => Some(*request_id),
            _ => None,
        };
        let waits = matches!(task.state, TaskState::Pending { .. });
        Self {
            task_id: task.id,
            status: task.status(),
            hitl_request_id,
            retry_at: waits.then_some(task.ready_at),
        }
    }
}

/// Brings back finished work. The same again is answered the same and changes nothing.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/complete", tag = "workers",
    params(("lease" = String, Path)), request_body = CompleteBody,
    responses(
        (status = 200, body = FinishedView),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: it is not wanted"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn complete(
    state: Data<State>,
    Segment(Token(lease)): Segment<Token>,
    Json(body): Json<CompleteBody>,
) -> Result<HttpResponse, Problem> {
    if body.confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
        return Err(Problem::invalid("confidence", "must be 0 to 1"));
    }
    let made = body.artifacts.unwrap_or_default().into_iter().map(|made| NewArtifact {
        artifact_type: made.artifact_type,
        content: made.content,
        metadata: made.artifact_metadata.unwrap_or_default(),
    });
    let outcome = Outcome::Completed {
        output: body.output,
        artifacts: made.collect(),
        confidence: body.confidence,
        usage: body.usage.map(Usage::from).unwrap_or_default(),
    };
    let task = state.leases.finish(lease, Ok(outcome)).await?;
    Ok(HttpResponse::Ok().json(FinishedView::of(&task)))
}

/// A question to a person.
#[derive(Deserialize, ToSchema)]
struct AskBody {
    /// Not blank.
    #[schema(min_length = 1)]
    question: String,
    /// Suggested answers.
    options: Option<Vec<String>>,
    /// Artifacts it is about; of the same project.
    #[schema(value_type = Option<Vec<Uuid>>)]
    artifacts: Option<Vec<ContextId>>,
    /// What whoever goes on with the task wants to be reminded of; at most 64 KiB.
    session: Option<String>,
    usage: Option<UsageBody>,
}

/// Asks a person, and lets go of the task: it is handed out again when the answer is there.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/ask", tag = "workers",
    params(("lease" = String, Path)), request_body = AskBody,
    responses(
        (status = 202, body = FinishedView),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: stop"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn ask(
    state: Data<State>,
    Segment(Token(lease)): Segment<Token>,
    Json(body): Json<AskBody>,
) -> Result<HttpResponse, Problem> {
    if body.session.as_ref().is_some_and(|session| session.len() > MAX_SESSION) {
        return Err(Problem::invalid("session", format!("must be at most {MAX_SESSION} bytes")));
    }
    let outcome = Outcome::Ask {
        question: Question {
            question: body.question,
            options: body.options.unwrap_or_default(),
            artifacts: body.artifacts.unwrap_or_default(),
        },
        usage: body.usage.map(Usage::from).unwrap_or_default(),
        session: body.session,
    };
    let task = state.leases.finish(lease, Ok(outcome)).await?;
    Ok(HttpResponse::Accepted().json(FinishedView::of(&task)))
}

/// Work that did not succeed.
#[derive(Deserialize, ToSchema)]
struct FailBody {
    /// A word for programs, such as `rate_limited`.
    #[schema(min_length = 1, max_length = 64)]
    code: String,
    /// A sentence for people.
    #[schema(min_length = 1, max_length = 4096)]
    message: String,
    /// Whether another try may help.
    retryable: bool,
    /// Not before so many seconds; at most a day.
    #[schema(minimum = 0, maximum = 86400)]
    retry_after_s: Option<u32>,
    usage: Option<UsageBody>,
}

/// Gives up: the task is tried again later, or a person is asked.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/fail", tag = "workers",
    params(("lease" = String, Path)), request_body = FailBody,
    responses(
        (status = 200, body = FinishedView),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: nobody minds"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn fail(
    state: Data<State>,
    Segment(Token(lease)): Segment<Token>,
    Json(body): Json<FailBody>,
) -> Result<HttpResponse, Problem> {
    let code = check_text("code", &body.code, MAX_CODE)?.to_owned();
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !code.chars().all(is_word) {
        return Err(Problem::invalid("code", "must be one word of letters, digits, `_`, `-`, `.`"));
    }
    let detail = check_text("message", &body.message, MAX_MESSAGE)?.to_owned();
    let after = body.retry_after_s;
    let after = after.map(|s| within("retry_after_s", s, 0, MAX_RETRY_AFTER_S)).transpose()?;
    let usage = Box::new(body.usage.map(Usage::from).unwrap_or_default());
    let error = if body.retryable {
        let after = after.map(|seconds| Duration::from_secs(seconds.into()));
        RunError::Retryable { code, detail, after, usage }
    } else {
        RunError::Terminal { code, detail, usage }
    };
    let task = state.leases.finish(lease, Err(error)).await?;
    Ok(HttpResponse::Ok().json(FinishedView::of(&task)))
}

/// The text without surrounding white space, if there is some and not too much.
fn check_text<'a>(field: &str, text: &'a str, limit: usize) -> Result<&'a str, Problem> {
    let text = non_blank(text).ok_or_else(|| Problem::invalid(field, "must not be blank"))?;
    if text.chars().count() > limit {
        return Err(Problem::invalid(field, format!("must be at most {limit} characters")));
    }
    Ok(text)
}

fn within(field: &str, number: u32, least: u32, most: u32) -> Result<u32, Problem> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(Problem::invalid(field, format!("must be {least} to {most}")))
}
