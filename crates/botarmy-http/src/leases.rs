//! Leases of external workers: taking tasks, keeping them, and returning results. `lease_name.rs` has the
//! form in which a lease travels, `presented.rs` reads it together with its secret.

mod lease_name;
mod names;
mod presented;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::hitl::Selector;
use botarmy_domain::ports::WorkerLeases;
use botarmy_domain::task::TaskState;
use botarmy_domain::text::non_blank;
use botarmy_domain::{
    AgentType, ArtifactType, ContextId, HeldLease, HitlRequestId, Leased, NewArtifact, Outcome,
    Permission, PresentedLease, Question, RunError, Task, TaskId, TaskStatus, Timestamp, Usage,
    WorkQuery, WorkerDocument, WorkerId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::endpoint::{Endpoint, Requires};
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, JsonOrDefault};
use crate::peer::{Peer, ReportedBody};
use crate::worker_document::AssignmentSchema;
use crate::{State, vocabulary};

use lease_name::LeaseName;
use names::{check_text, check_worker_id};
use presented::Presented;

/// Largest number of tasks in one response.
const MAX_LEASES: u32 = 100;
/// Longest time that a request for work may wait, in seconds.
const MAX_WAIT_S: u32 = 30;
/// Longest code of a failure, in characters.
const MAX_CODE: usize = 64;
/// Longest message about progress or a failure, in characters.
const MAX_MESSAGE: usize = 4096;
/// Longest session, in bytes: it is stored with the task and read whenever the task is.
const MAX_SESSION: usize = 64 * 1024;
/// Longest delay that a failure may ask for, in seconds: one day.
const MAX_RETRY_AFTER_S: u32 = 86_400;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        // A compressed body would be reported as written before all of it is.
        Endpoint::new::<__path_lease, _, _>(lease, Permission::WorkDo).long_poll().uncompressed(),
        Endpoint::new::<__path_heartbeat, _, _>(heartbeat, Requires::Lease),
        Endpoint::new::<__path_complete, _, _>(complete, Requires::Lease),
        Endpoint::new::<__path_ask, _, _>(ask, Requires::Lease),
        Endpoint::new::<__path_fail, _, _>(fail, Requires::Lease),
    ]
}

/// Request for work.
#[derive(Deserialize, ToSchema)]
struct LeaseQuery {
    /// Name of the worker, 1 to 128 characters. It need not be unique, but the log is easier to read
    /// when it is.
    #[schema(min_length = 1, max_length = 128)]
    worker_id: String,
    /// Agent types that the worker serves; the first is served first.
    #[schema(value_type = Vec<vocabulary::AgentType>, min_items = 1)]
    agents: Vec<AgentType>,
    /// Largest number of tasks; 1 when absent.
    #[schema(minimum = 1, maximum = 100)]
    max: Option<u32>,
    /// Time to wait for a task if none is ready, in seconds; 0 when absent.
    #[schema(minimum = 0, maximum = 30)]
    wait_s: Option<u32>,
}

/// Leases of the tasks that were handed out.
#[derive(Serialize, ToSchema)]
struct HandedOutView<'a> {
    leases: Vec<HandedOutTask<'a>>,
}

/// Task with its lease.
#[derive(Serialize, ToSchema)]
struct HandedOutTask<'a> {
    /// Opaque name of the lease, for the paths of the other calls.
    lease: String,
    /// Secret that every call about the lease must carry, as `Authorization: Bearer TOKEN`.
    token: &'a str,
    /// Attempt that the lease is for.
    fence: u32,
    /// Time at which the lease expires unless a heartbeat extends it. The first one is due much
    /// earlier than the ones after it.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Longest time between heartbeats that is safe, in seconds. Send the first one at once.
    heartbeat_s: u64,
    #[schema(value_type = AssignmentSchema)]
    task: WorkerDocument<'a>,
}

impl<'a> HandedOutTask<'a> {
    fn of(leased: &'a Leased) -> Self {
        Self {
            lease: LeaseName(leased.lease.clone()).to_string(),
            token: leased.token.expose(),
            fence: leased.lease.holder.fence,
            expires_at: leased.expires_at,
            heartbeat_s: leased.heartbeat.as_secs().max(1),
            task: WorkerDocument::of(&leased.job),
        }
    }
}

/// Leases tasks to a worker, and waits for some if none is ready.
///
/// A client that closes its side of the connection before the response gives up: nothing is leased
/// to it.
#[utoipa::path(
    post, path = "/api/v1/worker/leases", operation_id = "lease_tasks",
    tag = "workers", request_body = LeaseQuery,
    responses(
        (status = 200, body = HandedOutView),
        (status = 204, description = "No task became ready in time; ask again"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn lease(
    request: HttpRequest,
    state: Data<State>,
    Caller(caller): Caller,
    Json(body): Json<LeaseQuery>,
) -> Result<HttpResponse, Problem> {
    let worker = check_worker_id(&body.worker_id)?;
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
        caller: caller.clone(),
    };
    let peer = Peer::of(&request);
    let closed = async {
        match &peer {
            Some(peer) => peer.closed().await,
            None => std::future::pending().await,
        }
    };
    let leased = tokio::select! {
        biased;
        // Dropping the call requeues what it is claiming.
        () = closed => Vec::new(),
        changed = state.changed(&caller) => {
            changed?;
            // What the worker may have now, it gets with its next request.
            Vec::new()
        }
        leased = state.leases.lease(query) => leased?,
    };
    if leased.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let undelivered = Undelivered {
        port: Arc::clone(&state.leases),
        leases: leased.iter().map(|leased| leased.lease.clone()).collect(),
    };
    // The credential may have been revoked while the request waited.
    state.access.recheck(&caller)?;
    let leases = leased.iter().map(HandedOutTask::of).collect();
    let json = serde_json::to_vec(&HandedOutView { leases }).map_err(Problem::internal)?;
    let body = ReportedBody::new(Bytes::from(json), peer, move |delivered| {
        if delivered {
            undelivered.arrived();
        }
    });
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

/// Leases on their way to a worker. They are requeued when this is dropped before they arrived.
struct Undelivered {
    port: Arc<dyn WorkerLeases>,
    leases: Vec<HeldLease>,
}

impl Undelivered {
    fn arrived(mut self) {
        self.leases.clear();
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        let (port, leases) = (Arc::clone(&self.port), std::mem::take(&mut self.leases));
        // Without a runtime the process is ending, and the leases will expire.
        let (false, Ok(runtime)) = (leases.is_empty(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move { port.requeue_undelivered(leases).await });
    }
}

/// Progress of a worker.
#[derive(Default, Deserialize, ToSchema)]
struct HeartbeatBody {
    /// Line of text for people who watch.
    #[schema(max_length = 4096)]
    message: Option<String>,
    /// Progress in per cent; may have a fraction, of which live clients see the whole number.
    #[schema(minimum = 0, maximum = 100)]
    progress: Option<f64>,
}

/// Answer to a heartbeat.
#[derive(Serialize, ToSchema)]
struct HeardView {
    /// Time at which the lease expires unless the next heartbeat extends it.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Whether the worker must stop, because the task was cancelled.
    cancel: bool,
}

/// Extends a lease.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/heartbeat", operation_id = "extend_lease",
    tag = "workers",
    params(("lease" = String, Path)), security(("lease_token" = [])), request_body = HeartbeatBody,
    responses(
        (status = 200, body = HeardView),
        (status = 401, body = ProblemDocument, description = "The token of the lease is missing or wrong, or its worker may not work any more"),
        (status = 404, body = ProblemDocument, description = "There is no lease of this name"),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: another worker may have the task; stop"),
    ),
)]
async fn heartbeat(
    state: Data<State>,
    Presented(lease): Presented,
    JsonOrDefault(body): JsonOrDefault<HeartbeatBody>,
) -> Result<HttpResponse, Problem> {
    let percent = body.progress.map(whole_percent).transpose()?;
    let message = body.message.as_deref().and_then(non_blank);
    let message = message.map(|text| check_text("message", text, MAX_MESSAGE)).transpose()?;
    let says = message.is_some() || percent.is_some();
    let progress = says.then(|| (message.unwrap_or_default().to_owned(), percent));
    let heard = state.leases.heartbeat(lease, progress).await?;
    Ok(HttpResponse::Ok().json(HeardView { expires_at: heard.expires_at, cancel: heard.cancel }))
}

/// Usage of an attempt.
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

/// Result of a task.
#[derive(Deserialize, ToSchema)]
struct CompleteBody {
    /// Output. For a step of a workflow it is the document that the step produces, unless one of the
    /// artifacts is.
    #[schema(value_type = Object)]
    output: Map<String, Value>,
    artifacts: Option<Vec<MadeArtifact>>,
    /// Confidence in the result, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f64>,
    usage: Option<UsageBody>,
}

/// Artifact of a result.
#[derive(Deserialize, ToSchema)]
struct MadeArtifact {
    #[schema(value_type = vocabulary::ArtifactType)]
    artifact_type: ArtifactType,
    #[schema(value_type = Object)]
    content: Map<String, Value>,
    #[schema(value_type = Option<Object>)]
    artifact_metadata: Option<Map<String, Value>>,
}

/// Task after its attempt.
#[derive(Serialize, ToSchema)]
struct FinishedView {
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    #[schema(value_type = vocabulary::TaskStatus)]
    status: TaskStatus,
    /// Request that waits for a person.
    #[schema(value_type = Option<Uuid>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hitl_request_id: Option<HitlRequestId>,
    /// Earliest time of the next attempt.
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

/// Completes a task with the result of a worker.
///
/// A repeated call gets the same answer and changes nothing.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/complete", operation_id = "complete_task",
    tag = "workers",
    params(("lease" = String, Path)), security(("lease_token" = [])), request_body = CompleteBody,
    responses(
        (status = 200, body = FinishedView),
        (status = 401, body = ProblemDocument, description = "The token of the lease is missing or wrong, or its worker may not work any more"),
        (status = 404, body = ProblemDocument, description = "There is no lease of this name"),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: the result is not accepted"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn complete(
    state: Data<State>,
    Presented(lease): Presented,
    body: Result<Json<CompleteBody>, Problem>,
) -> Result<HttpResponse, Problem> {
    let outcome = body.and_then(|Json(body)| body.outcome());
    let task = deliver(&state, lease, outcome.map(Ok)).await?;
    Ok(HttpResponse::Ok().json(FinishedView::of(&task)))
}

impl CompleteBody {
    fn outcome(self) -> Result<Outcome, Problem> {
        if self.confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
            return Err(Problem::invalid("confidence", "must be 0 to 1"));
        }
        let made = self.artifacts.unwrap_or_default().into_iter().map(|made| NewArtifact {
            artifact_type: made.artifact_type,
            content: made.content,
            metadata: made.artifact_metadata.unwrap_or_default(),
        });
        Ok(Outcome::Completed {
            output: self.output,
            artifacts: made.collect(),
            confidence: self.confidence,
            usage: self.usage.map(Usage::from).unwrap_or_default(),
        })
    }
}

/// Passes the result of an attempt on. Why it cannot be read is recorded with the attempt, because
/// its worker may not report it to anyone.
async fn deliver(
    state: &State,
    lease: PresentedLease,
    result: Result<Result<Outcome, RunError>, Problem>,
) -> Result<Arc<Task>, Problem> {
    match result {
        Ok(result) => Ok(state.leases.finish(lease, result).await?),
        Err(problem) => {
            state.leases.refuse(lease, problem.to_string()).await;
            Err(problem)
        }
    }
}

/// Question to a person.
#[derive(Deserialize, ToSchema)]
struct AskBody {
    /// Question; must not be blank.
    #[schema(min_length = 1)]
    question: String,
    /// Suggested answers, in the order in which to show them.
    options: Option<Vec<String>>,
    /// Artifacts under review, of the same project.
    #[schema(value_type = Option<Vec<Uuid>>)]
    artifacts: Option<Vec<ContextId>>,
    /// Name of a policy of the project's workflow; one approval of anyone who may answer when absent.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9_-]*$")]
    policy: Option<String>,
    /// People who are asked first, such as `user:ada`, `group:leads` or `role:reviewer`. People and groups
    /// that do not exist are refused.
    #[schema(value_type = Option<Vec<String>>, max_items = 20)]
    assignees: Option<Vec<Selector>>,
    /// JSON Schema (draft 2020-12) that `response` of an answer must match.
    #[schema(value_type = Option<Object>)]
    response_schema: Option<Map<String, Value>>,
    /// Text for the worker that continues the task; at most 64 KiB.
    session: Option<String>,
    usage: Option<UsageBody>,
}

/// Asks a person a question about a task, and ends the lease.
///
/// The task is handed out again when the question is answered.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/ask", operation_id = "ask_question",
    tag = "workers",
    params(("lease" = String, Path)), security(("lease_token" = [])), request_body = AskBody,
    responses(
        (status = 202, body = FinishedView),
        (status = 401, body = ProblemDocument, description = "The token of the lease is missing or wrong, or its worker may not work any more"),
        (status = 404, body = ProblemDocument, description = "There is no lease of this name"),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: another worker may have the task; stop"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn ask(
    state: Data<State>,
    Presented(lease): Presented,
    body: Result<Json<AskBody>, Problem>,
) -> Result<HttpResponse, Problem> {
    let outcome = body.and_then(|Json(body)| body.outcome(&state));
    let task = deliver(&state, lease, outcome.map(Ok)).await?;
    Ok(HttpResponse::Accepted().json(FinishedView::of(&task)))
}

impl AskBody {
    fn outcome(self, state: &State) -> Result<Outcome, Problem> {
        if self.session.as_ref().is_some_and(|session| session.len() > MAX_SESSION) {
            return Err(Problem::invalid(
                "session",
                format!("must be at most {MAX_SESSION} bytes"),
            ));
        }
        state.check_text("question", &self.question)?;
        state.check_options(self.options.as_deref())?;
        state.check_schema(self.response_schema.as_ref())?;
        Ok(Outcome::Ask {
            question: Question {
                question: self.question,
                options: self.options.unwrap_or_default(),
                artifacts: self.artifacts.unwrap_or_default(),
                policy: self.policy,
                assignees: self.assignees.unwrap_or_default(),
                response_schema: self.response_schema,
            },
            usage: self.usage.map(Usage::from).unwrap_or_default(),
            session: self.session,
        })
    }
}

/// Failure of an attempt.
#[derive(Deserialize, ToSchema)]
struct FailBody {
    /// Code for programs, such as `rate_limited`.
    #[schema(min_length = 1, max_length = 64, pattern = r"^\s*[A-Za-z0-9_.-]+\s*$")]
    code: String,
    /// Message for people; must not be blank.
    #[schema(min_length = 1, max_length = 4096)]
    message: String,
    /// Whether another attempt may succeed.
    retryable: bool,
    /// Delay before the next attempt, in seconds; at most a day.
    #[schema(minimum = 0, maximum = 86400)]
    retry_after_s: Option<u32>,
    usage: Option<UsageBody>,
}

/// Reports that an attempt failed.
///
/// The task is tried again later, or a person is asked.
#[utoipa::path(
    post, path = "/api/v1/worker/leases/{lease}/fail", operation_id = "fail_task", tag = "workers",
    params(("lease" = String, Path)), security(("lease_token" = [])), request_body = FailBody,
    responses(
        (status = 200, body = FinishedView),
        (status = 401, body = ProblemDocument, description = "The token of the lease is missing or wrong, or its worker may not work any more"),
        (status = 404, body = ProblemDocument, description = "There is no lease of this name"),
        (status = 409, body = ProblemDocument, description = "`lease_lost`: the failure is not recorded"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn fail(
    state: Data<State>,
    Presented(lease): Presented,
    body: Result<Json<FailBody>, Problem>,
) -> Result<HttpResponse, Problem> {
    let error = body.and_then(|Json(body)| body.error());
    let task = deliver(&state, lease, error.map(Err)).await?;
    Ok(HttpResponse::Ok().json(FinishedView::of(&task)))
}

impl FailBody {
    fn error(self) -> Result<RunError, Problem> {
        let code = check_text("code", &self.code, MAX_CODE)?.to_owned();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !code.chars().all(is_word) {
            let message = "must be one word of letters, digits, `_`, `-`, `.`";
            return Err(Problem::invalid("code", message));
        }
        let detail = check_text("message", &self.message, MAX_MESSAGE)?.to_owned();
        let after = self.retry_after_s;
        let after = after.map(|s| within("retry_after_s", s, 0, MAX_RETRY_AFTER_S)).transpose()?;
        let usage = Box::new(self.usage.map(Usage::from).unwrap_or_default());
        if self.retryable {
            let after = after.map(|seconds| Duration::from_secs(seconds.into()));
            Ok(RunError::Retryable { code, detail, after, usage })
        } else {
            Ok(RunError::Terminal { code, detail, usage })
        }
    }
}

/// Returns the whole number of a percentage: work that is not finished is never shown as finished.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is 0 to 100, and its fraction is left out on purpose"
)]
fn whole_percent(percent: f64) -> Result<u8, Problem> {
    if (0.0..=100.0).contains(&percent) {
        return Ok(percent as u8);
    }
    Err(Problem::invalid("progress", "must be 0 to 100"))
}

fn within(field: &str, number: u32, least: u32, most: u32) -> Result<u32, Problem> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(Problem::invalid(field, format!("must be {least} to {most}")))
}

/// Returns the path of a lease, for tests of all paths.
#[cfg(test)]
pub(crate) fn sample_token() -> String {
    let holder = botarmy_domain::LeaseHolder { worker: WorkerId::external("w-1"), fence: 2 };
    LeaseName(botarmy_domain::HeldLease { task: crate::testing::task(1).id, holder }).to_string()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use botarmy_domain::{DomainError, HeartbeatReply, LeaseHolder, LeaseSecret, LeaseToken};
    use serde_json::json;

    use super::*;
    use crate::testing::sample_assignment::{golden, sample_assignment};
    use crate::testing::{Fakes, NOW, away, id_generator, post, raw, task};

    const PATH: &str = "/api/v1/worker/leases";

    fn held(worker: &str) -> HeldLease {
        let holder = LeaseHolder { worker: WorkerId::external(worker), fence: 2 };
        HeldLease { task: task(1).id, holder }
    }

    /// Returns the name of the lease.
    fn name() -> String {
        LeaseName(held("w-1")).to_string()
    }

    /// Returns the token of the lease.
    fn token() -> LeaseToken {
        let HeldLease { task, holder } = held("w-1");
        LeaseSecret::new([1; 32]).token(task, &holder)
    }

    /// Returns the lease as a call presents it.
    fn presented() -> PresentedLease {
        PresentedLease { lease: held("w-1"), token: Some(token()), caller: None }
    }

    /// Adds the token of the lease to a request.
    fn bearing(request: TestRequest) -> TestRequest {
        request.insert_header(("authorization", format!("Bearer {}", token().expose())))
    }

    fn query() -> Value {
        json!({"worker_id": "w-1", "agents": ["coder"], "max": 3, "wait_s": 30})
    }

    fn with(field: &str, value: Value) -> Value {
        let mut query = query();
        query[field] = value;
        query
    }

    fn leased() -> Leased {
        let job = sample_assignment(Some("s1".to_owned()));
        let heartbeat = Duration::from_secs(100);
        Leased { lease: held("w-1"), token: token(), expires_at: NOW, heartbeat, job }
    }

    #[actix_web::test]
    async fn a_lease_carries_the_golden_document() {
        let mut fakes = Fakes::default();
        fakes.leases.expect_lease().returning(|query| {
            assert_eq!(query.worker, WorkerId::external("w-1"));
            assert_eq!((query.agents, query.max), (vec![AgentType::Coder], 3));
            assert_eq!(query.wait, Duration::from_secs(30));
            Ok(vec![leased()])
        });
        let answer = fakes.send(post(PATH, &with("agents", json!(["coder", "coder"])))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({"leases": [{
                "lease": name(), "token": token().expose(), "fence": 2, "expires_at": "2027-01-15T08:00:00.000000Z",
                "heartbeat_s": 100, "task": golden(),
            }]})
        );
    }

    #[actix_web::test]
    async fn when_nothing_came_there_is_nothing_to_read() {
        let mut fakes = Fakes::default();
        fakes.leases.expect_lease().times(1).returning(|query| {
            assert_eq!((query.max, query.wait), (1, Duration::ZERO));
            Ok(Vec::new())
        });
        fakes.leases.expect_lease().returning(|_| Err(away().into()));
        let least = json!({"worker_id": "w", "agents": ["coder"], "max": null});
        let answers = fakes.send_all([post(PATH, &least), post(PATH, &least)]).await;
        assert_eq!((answers[0].status, answers[0].body.len()), (204, 0));
        assert_eq!((answers[1].status, answers[1].header("retry-after")), (503, "2"));
    }

    #[actix_web::test]
    async fn a_bad_request_for_work_is_refused_naming_the_field() {
        for (field, value) in [
            ("worker_id", json!(null)),
            ("worker_id", json!(" \t")),
            ("worker_id", json!("a\nb")),
            ("worker_id", json!("\u{200b}\u{feff}")),
            ("worker_id", json!("a\u{202e}b")),
            ("worker_id", json!("x".repeat(129))),
            ("agents", json!([])),
            ("agents", json!("coder")),
            ("max", json!(0)),
            ("max", json!(101)),
            ("max", json!(-1)),
            ("max", json!("many")),
            ("wait_s", json!(31)),
            ("wait_s", json!(-1)),
            ("wait_s", json!(0.5)),
        ] {
            let answer = Fakes::default().send(post(PATH, &with(field, value.clone()))).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{value}");
        }
        let answer = Fakes::default().send(post(PATH, &with("agents", json!(["typist"])))).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "agents[0]"));
    }

    #[actix_web::test]
    async fn a_heartbeat_may_be_empty_or_say_how_it_goes() {
        let mut fakes = Fakes::default();
        let heard = |cancel| Ok(HeartbeatReply { expires_at: NOW, cancel });
        fakes.leases.expect_heartbeat().times(1).returning(move |lease, progress| {
            assert_eq!((lease, progress), (presented(), None));
            heard(false)
        });
        fakes.leases.expect_heartbeat().times(1).returning(move |_, progress| {
            assert_eq!(progress, Some(("half way".to_owned(), Some(50))));
            heard(true)
        });
        let path = format!("{PATH}/{}/heartbeat", name());
        let says = json!({"message": " half way ", "progress": 50});
        let answers = fakes.send_all([bearing(raw(&path, "")), post(&path, &says)]).await;
        assert_eq!(
            answers[0].json(),
            json!({"expires_at": "2027-01-15T08:00:00.000000Z", "cancel": false})
        );
        assert_eq!(answers[1].json()["cancel"], true);
    }

    #[actix_web::test]
    async fn progress_may_have_a_fraction_and_is_shown_as_a_whole_number() {
        let mut fakes = Fakes::default();
        let expected = [33, 0, 99, 100];
        for percent in expected {
            fakes.leases.expect_heartbeat().times(1).returning(move |_, progress| {
                assert_eq!(progress, Some((String::new(), Some(percent))));
                Ok(HeartbeatReply { expires_at: NOW, cancel: false })
            });
        }
        let path = format!("{PATH}/{}/heartbeat", name());
        let says = [33.3, 0.0, 99.99, 100.0];
        let says = says.map(|progress| bearing(post(&path, &json!({"progress": progress}))));
        for answer in fakes.send_all(says).await {
            assert_eq!(answer.status, 200);
        }
    }

    #[actix_web::test]
    async fn a_token_is_a_bearer_token_and_nothing_else_is_taken_for_one() {
        let path = format!("{PATH}/{}/heartbeat", name());
        let good = token().expose().to_owned();
        let mut fakes = Fakes::default();
        // Without a token, the port decides.
        fakes.leases.expect_heartbeat().times(1).returning(|presented, _| {
            assert_eq!(presented.token, None);
            let detail = "Send it.".to_owned();
            Err(DomainError::Unauthenticated { code: "token_required", detail }.into())
        });
        let header = |value: &str| raw(&path, "").insert_header(("authorization", value));
        for answer in fakes.send_all([raw(&path, "")]).await {
            assert_eq!(answer.status, 401);
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"botarmy\"");
        }
        for (wrong, code) in [
            ("Basic dTpw", "key_invalid"),
            // What is not even meant as a token is taken for a key.
            ("Bearer", "key_invalid"),
            ("Bearer x", "key_invalid"),
            (&*format!("Bearer {good}x"), "token_invalid"),
            (&*format!("Bearer {}", &good[..good.len() - 1]), "token_invalid"),
            (&*format!("bearer {}", good.to_uppercase()), "key_invalid"),
        ] {
            let answer = Fakes::default().send(header(wrong)).await;
            assert_eq!(answer.status, 401, "{wrong}");
            assert_eq!(answer.json()["type"], format!("urn:botarmy:problem:{code}"));
            assert!(answer.header("www-authenticate").contains("invalid_token"));
        }
        let two = header(&format!("Bearer {good}"));
        let two = two.append_header(("authorization", format!("Bearer {good}")));
        assert_eq!(Fakes::default().send(two).await.status, 400);
    }

    #[actix_web::test]
    async fn finished_work_is_passed_on_whole() {
        let mut fakes = Fakes::default();
        fakes.leases.expect_finish().returning(|lease, result| {
            assert_eq!(lease, presented());
            let Ok(Outcome::Completed { output, artifacts, confidence, usage }) = result else {
                panic!("{result:?}")
            };
            assert_eq!((output["a"].clone(), confidence), (json!(1), Some(0.5)));
            assert_eq!(artifacts[0].artifact_type, ArtifactType::SourceCode);
            assert_eq!((artifacts.len(), artifacts[0].metadata["by"].clone()), (1, json!("me")));
            assert_eq!((usage.input_tokens, usage.output_tokens), (7, 0));
            let state = TaskState::Completed {
                at: NOW,
                output: json!({}),
                artifacts: Vec::new(),
                result_digest: None,
            };
            Ok(Task { state, ..task(1) }.into())
        });
        let body = json!({
            "output": {"a": 1}, "confidence": 0.5, "usage": {"input_tokens": 7},
            "artifacts": [{
                "artifact_type": "source_code", "content": {"files": []},
                "artifact_metadata": {"by": "me"},
            }],
        });
        let answer = fakes.send(bearing(post(&format!("{PATH}/{}/complete", name()), &body))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"task_id": task(1).id, "status": "completed"}));
    }

    #[actix_web::test]
    async fn a_question_is_accepted_and_names_its_request() {
        let mut fakes = Fakes::default();
        fakes.leases.expect_finish().returning(|_, result| {
            let Ok(Outcome::Ask { question, session, .. }) = result else { panic!("{result:?}") };
            assert_eq!((question.question.as_str(), session.as_deref()), ("Which?", Some("s")));
            assert_eq!((question.options.len(), question.artifacts.len()), (2, 0));
            let state = TaskState::WaitingForHitl { request_id: id_generator().request() };
            Ok(Task { state, ..task(1) }.into())
        });
        let body = json!({"question": "Which?", "options": ["a", "b"], "session": "s"});
        let answer = fakes.send(post(&format!("{PATH}/{}/ask", name()), &body)).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.json()["hitl_request_id"], json!(id_generator().request()));
        assert_eq!(answer.json()["status"], "waiting_for_hitl");
    }

    #[actix_web::test]
    async fn a_failure_says_when_it_is_tried_again() {
        let mut fakes = Fakes::default();
        fakes.leases.expect_finish().times(1).returning(|_, result| {
            let Err(RunError::Retryable { after, .. }) = result else { panic!("{result:?}") };
            assert_eq!(after, Some(Duration::from_secs(60)));
            Ok(task(1).into())
        });
        fakes.leases.expect_finish().times(1).returning(|_, result| {
            assert_eq!(result, Err(RunError::terminal("no_idea", "I cannot.")));
            Ok(task(1).into())
        });
        let path = format!("{PATH}/{}/fail", name());
        let busy = json!({
            "code": "busy", "message": "Later.", "retryable": true, "retry_after_s": 60,
        });
        let over = json!({"code": "no_idea", "message": "I cannot.", "retryable": false});
        let answers = fakes.send_all([post(&path, &busy), post(&path, &over)]).await;
        assert_eq!(answers[0].json()["retry_at"], "2027-01-15T08:00:00.000000Z");
        assert_eq!(answers[1].status, 200);
    }

    #[actix_web::test]
    async fn a_malformed_result_is_refused_naming_the_field_and_the_reason_is_recorded() {
        let made = |made: Value| json!({"output": {}, "artifacts": [made]});
        let failed = |field: &str, value: Value| {
            let mut body = json!({"code": "x", "message": "x", "retryable": true});
            body[field] = value;
            body
        };
        for (verb, body, field) in [
            ("complete", json!({}), "output"),
            ("complete", json!({"output": "text"}), "output"),
            ("complete", json!({"output": {}, "confidence": 1.1}), "confidence"),
            (
                "complete",
                json!({"output": {}, "usage": {"input_tokens": -1}}),
                "usage.input_tokens",
            ),
            (
                "complete",
                made(json!({"artifact_type": "poem", "content": {}})),
                "artifacts[0].artifact_type",
            ),
            (
                "complete",
                made(json!({"artifact_type": "source_code", "content": []})),
                "artifacts[0].content",
            ),
            ("complete", made(json!({"artifact_type": "source_code"})), "artifacts[0].content"),
            ("heartbeat", json!({"progress": 101}), "progress"),
            ("heartbeat", json!({"progress": -1}), "progress"),
            ("heartbeat", json!({"progress": 100.5}), "progress"),
            ("heartbeat", json!({"progress": "33.3"}), "progress"),
            ("heartbeat", json!({"message": "x".repeat(4097)}), "message"),
            ("ask", json!({}), "question"),
            ("ask", json!({"question": "?", "artifacts": ["x"]}), "artifacts[0]"),
            ("ask", json!({"question": "?", "session": "x".repeat(65537)}), "session"),
            ("fail", failed("code", json!("two words")), "code"),
            ("fail", failed("code", json!("")), "code"),
            ("fail", failed("message", json!(" ")), "message"),
            ("fail", failed("retryable", json!(null)), "retryable"),
            ("fail", failed("retry_after_s", json!(86401)), "retry_after_s"),
        ] {
            let path = format!("{PATH}/{}/{verb}", name());
            let mut fakes = Fakes::default();
            // A heartbeat brings no result.
            let results = usize::from(verb != "heartbeat");
            fakes.leases.expect_refuse().times(results).returning(move |lease, reason| {
                assert_eq!(lease, presented());
                assert!(reason.starts_with(&format!("{field}: ")), "{reason}");
            });
            let answer = fakes.send(bearing(post(&path, &body))).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{verb} {body:.80}");
        }
        for verb in ["heartbeat", "complete", "ask", "fail"] {
            for name in ["zzz".to_owned(), name().to_uppercase(), format!("{}00", name())] {
                let answer = raw(&format!("{PATH}/{name}/{verb}"), "{}");
                assert_eq!(Fakes::default().send(bearing(answer)).await.status, 404, "{name}");
            }
        }
    }

    #[actix_web::test]
    async fn a_body_that_is_too_large_or_no_json_is_refused() {
        let mut fakes = Fakes::default();
        fakes.settings.body_limit = 400;
        for reason in [
            "The body is larger than 400 bytes, which is the limit.",
            "Malformed JSON: ",
            "Malformed JSON: ",
            "output.a: occurs twice in the same object",
            "output.a: the number 0.1234567890123456789 cannot be stored exactly",
            "is nested more than 128 levels deep",
        ] {
            fakes.leases.expect_refuse().times(1).returning(move |_, told| {
                assert!(told.contains(reason), "{told}");
            });
        }
        let path = format!("{PATH}/{}/complete", name());
        let large = json!({"output": {"text": "x".repeat(400)}});
        let deep = format!("{{\"output\":{{\"a\":{}{}}}}}", "[".repeat(127), "]".repeat(127));
        let answers = fakes
            .send_all([
                post(&path, &large),
                raw(&path, "{"),
                raw(&path, ""),
                raw(&path, r#"{"output":{"a":1,"a":2}}"#),
                raw(&path, r#"{"output":{"a":0.1234567890123456789}}"#),
                raw(&path, deep),
            ])
            .await;
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [413, 400, 400, 422, 422, 422]);
    }

    #[actix_web::test]
    async fn a_lost_lease_is_409_and_says_so() {
        let lost = || Err(DomainError::conflict("lease_lost", "It is gone.").into());
        let mut fakes = Fakes::default();
        fakes.leases.expect_finish().returning(move |_, _| lost());
        fakes
            .leases
            .expect_heartbeat()
            .returning(move |_, _| Err(DomainError::conflict("lease_lost", "It is gone.").into()));
        let path = |verb| format!("{PATH}/{}/{verb}", name());
        let answers = fakes
            .send_all([
                post(&path("heartbeat"), &json!({})),
                post(&path("complete"), &json!({"output": {}})),
                post(&path("ask"), &json!({"question": "?"})),
                post(&path("fail"), &json!({"code": "x", "message": "x", "retryable": false})),
            ])
            .await;
        for answer in answers {
            assert_eq!(answer.status, 409);
            assert_eq!(answer.json()["type"], "urn:botarmy:problem:lease_lost");
        }
    }

    #[actix_web::test]
    async fn a_process_that_only_works_hands_nothing_out() {
        let mut fakes = Fakes::default();
        fakes.settings.probes_only = true;
        assert_eq!(fakes.send(post(PATH, &query())).await.status, 404);
    }
}
