//! Test helpers: an API on mocks, requests to it, and values to answer with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::{Bytes, ServiceConfig};
use botarmy_domain::artifact::{ArtifactRef, digest};
use botarmy_domain::hitl::{HitlState, Subject};
use botarmy_domain::log::{Event, Head};
use botarmy_domain::ports::{
    Clock, Denial, HealthCheck, Ids, MockAccess, MockGates, MockLogQueries, MockOperations,
    MockProjects, MockQueries, MockSessions, MockTasks, MockWebhooks, MockWorkerLeases, NoMetrics,
    NoTracer,
};
use botarmy_domain::task::TaskState;
use botarmy_domain::{
    AgentType, ApiKey, Artifact, ArtifactType, Caller, CredentialId, DomainError, Entry, Error,
    EventType, Grant, Health, HitlKind, HitlRequest, IdGenerator, KeySecret, LogId, OnExpiry,
    Oversight, Plan, Principal, PrincipalKind, Progress, Project, ProjectId, ProjectState,
    StepStatus, Task, Timestamp, Usage, Workflow,
};
use botarmy_live::Hub;
use botarmy_web::ErrorPages;
use serde_json::{Map, Value, json};

#[path = "../../botarmy-domain/tests/rules/sample_assignment.rs"]
pub(crate) mod sample_assignment;

use crate::{Api, HttpSettings, State, app};

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// API on mocks. A call that a test does not expect panics.
#[derive(Default)]
pub(crate) struct Fakes {
    pub(crate) projects: MockProjects,
    pub(crate) tasks: MockTasks,
    pub(crate) gates: MockGates,
    pub(crate) operations: MockOperations,
    pub(crate) leases: MockWorkerLeases,
    pub(crate) queries: MockQueries,
    pub(crate) logs: MockLogQueries,
    /// Live frames; of a hub that has stopped if a test sets none.
    pub(crate) live: Option<Arc<Hub>>,
    /// Access control; an open server that knows no credential if a test sets none.
    pub(crate) access: Option<MockAccess>,
    pub(crate) sessions: MockSessions,
    pub(crate) webhooks: MockWebhooks,
    /// Pages of errors, if a test has some.
    pub(crate) pages: Option<Arc<dyn ErrorPages>>,
    pub(crate) health: Vec<Arc<dyn HealthCheck>>,
    pub(crate) settings: HttpSettings,
}

/// Response, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the field that a 422 names.
    pub(crate) fn field(&self) -> String {
        self.json()["errors"][0]["field"].as_str().unwrap_or_default().to_owned()
    }
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct OneSeed;

impl Ids for OneSeed {
    fn seed(&self) -> u128 {
        0xabc
    }
}

/// Returns the access control of an open server that knows no credential.
fn open_access() -> MockAccess {
    let mut access = MockAccess::new();
    access.expect_is_required().return_const(false);
    access.expect_authenticate().returning(|_| Err(Denial::Invalid));
    access.expect_recheck().returning(|caller| Ok(caller.clone()));
    access.expect_principal_of().returning(|_| None);
    access.expect_record_denial().returning(|_, _| ());
    access
}

impl Fakes {
    pub(crate) fn api(self) -> Api {
        Api {
            projects: Arc::new(self.projects),
            tasks: Arc::new(self.tasks),
            gates: Arc::new(self.gates),
            operations: Arc::new(self.operations),
            leases: Arc::new(self.leases),
            queries: Arc::new(self.queries),
            logs: Arc::new(self.logs),
            live: self.live.unwrap_or_else(botarmy_live::fakes::stopped_hub),
            access: Arc::new(self.access.unwrap_or_else(open_access)),
            sessions: Arc::new(self.sessions),
            webhooks: Arc::new(self.webhooks),
            pages: self.pages,
            clock: Arc::new(StoppedClock),
            ids: Arc::new(OneSeed),
            health: self.health,
            tracer: Arc::new(NoTracer),
            metrics: Arc::new(NoMetrics),
            settings: self.settings,
        }
    }

    /// Sends one request to a fresh application.
    pub(crate) async fn send(self, request: TestRequest) -> Answer {
        self.send_all([request]).await.remove(0)
    }

    /// Sends several to the same application.
    pub(crate) async fn send_all(
        self,
        requests: impl IntoIterator<Item = TestRequest>,
    ) -> Vec<Answer> {
        send_all(self.api(), &|_| {}, requests).await
    }
}

pub(crate) async fn send_all(
    api: Api,
    more: &(impl Fn(&mut ServiceConfig) + 'static),
    requests: impl IntoIterator<Item = TestRequest>,
) -> Vec<Answer> {
    let service = init_service(app(State::new(api), more)).await;
    let mut answers = Vec::new();
    for request in requests {
        answers.push(match try_call_service(&service, request.to_request()).await {
            Ok(response) => read(response.into_parts().1.map_into_boxed_body()).await,
            // As the protocol layer does it.
            Err(error) => read(error.error_response()).await,
        });
    }
    answers
}

async fn read(response: actix_web::HttpResponse) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.map_err(|_| "the body ended early").unwrap();
    Answer { status, headers, body }
}

/// A key that the access control of [`with_keys`] knows.
pub(crate) fn key(n: u8) -> String {
    KeySecret::new([n; 32]).text().expose().to_owned()
}

/// Denials that were recorded: reason and source.
pub(crate) type Denials = Arc<Mutex<Vec<(&'static str, String)>>>;

/// Returns an access control that requires a key and knows the first of these, in order, and the list
/// of the denials that it records.
pub(crate) fn with_keys(callers: &[Result<Caller, Denial>]) -> (MockAccess, Denials) {
    let denials = Denials::default();
    let known: HashMap<String, Result<Caller, Denial>> =
        (1..).map(key).zip(callers.iter().cloned()).collect();
    let mut access = MockAccess::new();
    access.expect_is_required().return_const(true);
    access
        .expect_authenticate()
        .returning(move |key| known.get(key).cloned().unwrap_or(Err(Denial::Invalid)));
    access.expect_recheck().returning(|caller| Ok(caller.clone()));
    access.expect_principal_of().returning(|_| None);
    let recorded = Arc::clone(&denials);
    access.expect_record_denial().returning(move |reason, source| {
        recorded.lock().unwrap().push((reason, source));
    });
    (access, denials)
}

/// Returns the principal of this name with these grants.
pub(crate) fn principal(name: &str, kind: PrincipalKind, grants: &[Grant]) -> Principal {
    Principal {
        id: Principal::local_id(name),
        kind,
        name: name.to_owned(),
        openid: None,
        groups: ["reviewers".to_owned()].into(),
        grants: grants.to_vec(),
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Returns a key of this principal.
pub(crate) fn api_key(principal: &Principal) -> ApiKey {
    let text = KeySecret::new([7; 32]).text();
    ApiKey {
        id: CredentialId::from_uuid(principal.id.uuid()),
        principal: principal.id,
        name: "laptop".to_owned(),
        hint: text.hint(),
        digest: text.digest(),
        grants: None,
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
    }
}

/// Returns the caller with a key of this principal.
pub(crate) fn caller(name: &str, kind: PrincipalKind, grants: &[Grant]) -> Caller {
    let principal = principal(name, kind, grants);
    Caller::with_key(&principal, &api_key(&principal))
}

/// Adds a key to a request.
pub(crate) fn bearing(request: TestRequest, key: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {key}")))
}

/// Returns a GET request.
pub(crate) fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

/// Returns a POST request with JSON.
pub(crate) fn post(path: &str, body: &Value) -> TestRequest {
    raw(path, body.to_string())
}

/// Returns a PUT request with JSON.
pub(crate) fn put(path: &str, body: &Value) -> TestRequest {
    TestRequest::put()
        .uri(path)
        .insert_header(("content-type", "application/json"))
        .set_payload(body.to_string())
}

/// Returns a DELETE request.
pub(crate) fn delete(path: &str) -> TestRequest {
    TestRequest::delete().uri(path)
}

/// Returns a POST request with any body, declared as JSON.
pub(crate) fn raw(path: &str, body: impl Into<Bytes>) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("content-type", "application/json"))
        .set_payload(body)
}

/// Returns the error of a store that cannot be reached.
pub(crate) fn away() -> botarmy_domain::StoreError {
    botarmy_domain::StoreError::unavailable("SELECT secret", "/var/lib/secret")
}

/// Returns the refusal of something that does not exist.
pub(crate) fn no(what: &'static str, id: impl std::fmt::Display) -> Error {
    DomainError::not_found(what, id).into()
}

pub(crate) fn id_generator() -> IdGenerator {
    IdGenerator::new(NOW, 7)
}

pub(crate) fn project() -> Project {
    Project {
        id: id_generator().project(),
        name: "To do".to_owned(),
        description: None,
        creator: None,
        oversight: Oversight::Standard,
        state: ProjectState::Active,
        plan: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Returns a workflow of three steps.
fn workflow() -> Workflow {
    Workflow::from_toml(
        "name = \"w\"\n[[step]]\nname = \"a\"\nphase = \"One\"\nagent = \"analyst\"\n\
         output = \"project_plan\"\n[[step]]\nname = \"b\"\nphase = \"Two\"\n\
         agent = \"coder\"\noutput = \"source_code\"\n[[step]]\nname = \"c\"\n\
         phase = \"Two\"\nagent = \"tester\"\noutput = \"test_results\"\n",
    )
    .unwrap()
}

/// Returns a project that is at the second step of its workflow.
pub(crate) fn started() -> Project {
    let workflow = workflow();
    let mut progress = Progress::start(&workflow);
    progress.steps.get_mut("a").unwrap().status = StepStatus::Done;
    progress.steps.get_mut("b").unwrap().status = StepStatus::InReview;
    let plan = Plan {
        digest: workflow.digest(),
        workflow: workflow.into(),
        idea: "x".into(),
        starter: None,
        progress,
    };
    Project { plan: Some(plan), ..project() }
}

pub(crate) fn head(project: &Project) -> Head {
    Head::empty(LogId::Project(project.id))
}

pub(crate) fn task(n: u64) -> Task {
    let mut id_generator = IdGenerator::new(NOW, 8 + u128::from(n));
    Task {
        id: id_generator.task(),
        project_id: project().id,
        agent: AgentType::Coder,
        instructions: "Write it.".to_owned(),
        context_ids: Vec::new(),
        priority: 5,
        max_attempts: 3,
        attempt: 0,
        failures: 0,
        unconfirmed: 0,
        lease_token: None,
        lease_taker: None,
        handoff: None,
        output_type: None,
        timeout_s: None,
        state: TaskState::Pending { last_error: None },
        answers: Vec::new(),
        session: None,
        validation_error: None,
        refused_result: None,
        usage: Usage::default(),
        started_at: None,
        turn_at: NOW,
        ready_at: NOW,
        trace: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(crate) fn request(state: HitlState) -> HitlRequest {
    let artifact = artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "# Plan"}));
    HitlRequest {
        id: id_generator().request(),
        project_id: project().id,
        task_id: None,
        step: None,
        agent: Some(AgentType::Analyst),
        kind: HitlKind::Approval,
        question: "Good?".to_owned(),
        options: vec!["yes".to_owned()],
        subject: Subject::of([&artifact.meta]),
        replaces: None,
        previous_request_id: None,
        budget: None,
        state,
        history: Vec::new(),
        on_expiry: OnExpiry::Reject,
        ttl_s: 60,
        expires_at: NOW.after(Duration::from_secs(60)),
        created_at: NOW,
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

#[expect(clippy::needless_pass_by_value, reason = "a literal reads better without `&`")]
pub(crate) fn artifact(n: u64, artifact_type: ArtifactType, content: Value) -> Arc<Artifact> {
    let content = content.as_object().unwrap().clone();
    let meta = ArtifactRef {
        id: IdGenerator::new(NOW, 8 + u128::from(n)).context(),
        project_id: project().id,
        source_agent: AgentType::Coder,
        artifact_type,
        digest: digest(&content),
        previous: None,
        created_at: NOW,
    };
    Arc::new(Artifact { meta, content, metadata: Map::new() })
}

/// Returns a project's log of this length.
pub(crate) fn log(length: u64) -> (Head, Vec<Arc<Entry>>) {
    let mut id_generator = id_generator();
    let mut head = head(&project());
    let entries = (0..length).map(|_| {
        let event = Event {
            id: id_generator.event(),
            event_type: EventType::TaskCreated,
            origin: Caller::person("someone").origin(),
            task_id: Some(id_generator.task()),
            hitl_request_id: None,
            data: Map::new(),
            at: NOW,
        };
        Arc::new(Entry::append(&mut head, event))
    });
    let entries = entries.collect();
    (head, entries)
}

/// Component with a fixed health, known after a while.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) needed: bool,
    pub(crate) health: Health,
    pub(crate) after: Duration,
}

#[async_trait::async_trait]
impl HealthCheck for Part {
    fn component(&self) -> &'static str {
        self.name
    }

    fn needed(&self) -> bool {
        self.needed
    }

    async fn check(&self) -> Health {
        tokio::time::sleep(self.after).await;
        self.health.clone()
    }
}

/// Returns a path below the project.
pub(crate) fn path(rest: &str) -> String {
    format!("/api/v1/projects/{}{rest}", project().id)
}

/// Returns the id of a project that does not exist.
pub(crate) fn unknown() -> ProjectId {
    ProjectId::from_uuid(botarmy_domain::ids::parse_uuid(&"f".repeat(32)).unwrap())
}
