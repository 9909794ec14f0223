//! The table of permissions: every operation of the OpenAPI document by every kind of caller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use botarmy_domain::{Permission, Role};
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::world::{
    Keyed, LONG_LEASES, NO_RUNNERS, Project, client, new_name, principal, send, unknown_key,
};

use Needs::{AnyCaller, Create, Global, LeaseHolder, List, Live, On, Owner, Public};
use Permission as P;

/// Unauthorised requests in every test run, and in the long form.
const UNAUTHORISED: (u32, u32) = (3_000, 1_000_000);
/// Number of clients that repeat them.
const CLIENTS: usize = 16;

/// Right that an operation needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Public,
    AnyCaller,
    /// The permission on the project of the object.
    On(Permission),
    /// The permission on anything; the result is limited to that.
    List(Permission),
    /// The permission on everything.
    Global(Permission),
    /// The permission for projects that do not exist yet.
    Create,
    /// The token of the lease, or the key with which it was taken.
    LeaseHolder,
    /// To be the owner of the object, which exists for no one else.
    Owner,
    /// To see projects at all, and then the permission on the one that the connection is about.
    Live,
}

/// An operation, its right, and an acceptable body for it.
pub(super) type Row = (&'static str, Needs, Option<fn(&Target) -> Value>);

/// The operations in an order in which each finds what it needs: those that end something come last.
pub(super) const TABLE: &[Row] = &[
    ("get_livez", Public, None),
    ("get_readyz", Public, None),
    ("get_health", Public, None),
    ("get_healthz", Public, None),
    ("get_health_summary", Public, None),
    ("get_readiness", Public, None),
    ("get_openapi_document", Public, None),
    ("get_docs_page", Public, None),
    ("get_docs_file", Public, None),
    ("get_caller", AnyCaller, None),
    ("create_ticket", AnyCaller, None),
    ("get_own_delegation", AnyCaller, None),
    (
        "set_own_delegation",
        AnyCaller,
        Some(|target| json!({"to": target.victim.principal, "until": "2099-01-01T00:00:00Z"})),
    ),
    ("end_own_delegation", AnyCaller, None),
    ("list_sessions", AnyCaller, None),
    // For oneself; another person needs `access.manage`, as sessions.rs tests.
    ("create_sign_in_link", AnyCaller, Some(|_| json!({}))),
    ("revoke_session", Owner, None),
    ("list_projects", List(P::ProjectRead), None),
    ("get_project", On(P::ProjectRead), None),
    ("get_project_status", On(P::ProjectRead), None),
    ("get_project_completion", On(P::ProjectRead), None),
    ("list_tasks", On(P::ProjectRead), None),
    ("get_budget", On(P::ProjectRead), None),
    ("get_project_usage", On(P::ProjectRead), None),
    ("get_task", On(P::ProjectRead), None),
    ("get_artifact", On(P::ProjectRead), None),
    ("list_artifacts", On(P::ProjectRead), None),
    ("get_package_summary", On(P::ProjectRead), None),
    ("download_package", On(P::ProjectRead), None),
    ("list_pending_requests", List(P::ProjectRead), None),
    ("get_request_statistics", List(P::ProjectRead), None),
    ("get_request", On(P::ProjectRead), None),
    ("get_request_artifacts", On(P::ProjectRead), None),
    ("get_request_diff", On(P::ProjectRead), None),
    ("get_request_interrupt", On(P::ProjectRead), None),
    ("get_request_a2a_task", On(P::ProjectRead), None),
    ("list_request_comments", On(P::ProjectRead), None),
    ("list_request_links", On(P::ProjectRead), None),
    ("list_project_requests", On(P::ProjectRead), None),
    ("search_events", List(P::ProjectRead), None),
    ("get_event", On(P::ProjectRead), None),
    ("search_task_events", On(P::ProjectRead), None),
    ("search_project_events", On(P::ProjectRead), None),
    ("verify_project_log", On(P::ProjectRead), None),
    ("export_project_log", On(P::ProjectRead), None),
    ("list_emergency_stops", List(P::ProjectRead), None),
    ("open_live_connection", Live, None),
    ("stream_events", Live, None),
    ("verify_system", Global(P::SystemRead), None),
    ("export_system", Global(P::SystemRead), None),
    ("get_detailed_health", Global(P::SystemRead), None),
    ("get_metrics", Global(P::SystemRead), None),
    ("list_agent_statuses", Global(P::AgentsRead), None),
    ("get_agent_status", Global(P::AgentsRead), None),
    ("list_agent_status_history", Global(P::AgentsRead), None),
    ("reset_agent_status", Global(P::AgentsReset), None),
    ("delete_old_packages", Global(P::PackagesClean), None),
    ("delete_old_packages_by_post", Global(P::PackagesClean), None),
    ("create_project", Create, Some(|_| json!({"name": "Made by a caller"}))),
    (
        "submit_task",
        On(P::ProjectRun),
        Some(|_| json!({"agent_type": "tester", "instructions": "x"})),
    ),
    (
        "create_artifact",
        On(P::ProjectRun),
        Some(|target| {
            json!({
                "project_id": target.project.id, "source_agent": "coder",
                "artifact_type": "user_input", "content": {"idea": "y"},
            })
        }),
    ),
    (
        "create_request",
        On(P::ProjectRun),
        Some(|target| json!({"project_id": target.project.id, "question": "Is it out?"})),
    ),
    ("check_project_completion", On(P::ProjectRun), None),
    ("generate_package", On(P::ProjectRun), None),
    ("start_project", On(P::ProjectRun), Some(|_| json!({}))),
    ("pause_project", On(P::ProjectRun), None),
    ("resume_project", On(P::ProjectRun), None),
    ("reopen_project", On(P::ProjectRun), Some(|_| json!({"reason": "x"}))),
    ("retry_task", On(P::ProjectRun), None),
    ("cancel_task", On(P::ProjectRun), None),
    ("set_budget", On(P::ProjectManage), Some(|_| json!({}))),
    ("list_members", On(P::ProjectManage), None),
    ("set_member_roles", On(P::ProjectManage), Some(|_| json!({"roles": ["viewer"]}))),
    ("create_request_comment", On(P::GateAnswer), Some(|_| json!({"text": "x"}))),
    ("claim_request", On(P::GateAnswer), None),
    ("unclaim_request", On(P::GateAnswer), None),
    ("delegate_request", On(P::GateAnswer), Some(|_| json!({"to": "x"}))),
    ("extend_request", On(P::GateAnswer), Some(|_| json!({"by_s": 60}))),
    ("escalate_request", On(P::GateAnswer), None),
    ("remind_of_request", On(P::GateAnswer), None),
    ("create_request_link", On(P::GateAnswer), Some(|_| json!({"actions": ["approve"]}))),
    ("revoke_request_link", On(P::GateAnswer), None),
    ("resume_request", On(P::GateAnswer), Some(|_| json!({"status": "cancelled"}))),
    (
        "respond_to_requests",
        On(P::GateAnswer),
        Some(|target| json!({"request_ids": [target.project.request], "action": "approve"})),
    ),
    ("respond_to_request", On(P::GateAnswer), Some(|_| json!({"action": "approve"}))),
    (
        "stop_work",
        On(P::StopSet),
        Some(|target| json!({"scope": "project", "project_id": target.project.id, "reason": "x"})),
    ),
    ("release_emergency_stop", On(P::StopRelease), None),
    (
        "lease_tasks",
        List(P::WorkDo),
        Some(|_| json!({"worker_id": "w", "agents": ["deployer"], "max": 1, "wait_s": 0})),
    ),
    ("extend_lease", LeaseHolder, Some(|_| json!({}))),
    ("fail_task", LeaseHolder, Some(|_| json!({"code": "x", "message": "x", "retryable": true}))),
    ("ask_question", LeaseHolder, Some(|_| json!({"question": "x"}))),
    ("complete_task", LeaseHolder, Some(|_| json!({"output": {"a": 1}}))),
    ("list_principals", Global(P::AccessManage), None),
    (
        "create_principal",
        Global(P::AccessManage),
        Some(|_| json!({"name": new_name("made"), "kind": "service", "grants": []})),
    ),
    ("list_keys", Global(P::AccessManage), None),
    (
        "create_key",
        Global(P::AccessManage),
        Some(|target| json!({"principal_id": target.victim.principal, "name": "x"})),
    ),
    ("get_key", Global(P::AccessManage), None),
    ("rotate_key", Global(P::AccessManage), Some(|_| json!({}))),
    ("revoke_key", Global(P::AccessManage), None),
    ("set_groups", Global(P::AccessManage), Some(|_| json!({"groups": ["a"]}))),
    (
        "set_grants",
        Global(P::AccessManage),
        Some(|_| json!({"grants": [{"role": "admin", "on": "all"}]})),
    ),
    ("set_disabled", Global(P::AccessManage), Some(|_| json!({"disabled": true}))),
    ("delete_principal", Global(P::AccessManage), None),
    ("list_webhooks", Global(P::AccessManage), None),
    (
        "create_webhook",
        Global(P::AccessManage),
        Some(|_| json!({"url": "https://hooks.example/", "events": ["webhook_deleted"]})),
    ),
    ("get_webhook", Global(P::AccessManage), None),
    ("change_webhook", Global(P::AccessManage), Some(|_| json!({"description": "x"}))),
    ("rotate_webhook_secret", Global(P::AccessManage), Some(|_| json!({}))),
    ("list_webhook_deliveries", Global(P::AccessManage), None),
    ("redeliver_webhook", Global(P::AccessManage), None),
    ("test_webhook", Global(P::AccessManage), None),
    ("delete_webhook", Global(P::AccessManage), None),
    ("delete_package", On(P::ProjectManage), None),
    ("force_complete_project", On(P::ProjectManage), None),
    ("cancel_project", On(P::ProjectRun), None),
];

/// The permissions of each role, written out.
const ROLES: [(Role, &[Permission]); 5] = [
    (Role::Viewer, &[P::ProjectRead, P::AgentsRead]),
    (Role::Operator, &[P::ProjectRead, P::AgentsRead, P::ProjectCreate, P::ProjectRun, P::StopSet]),
    (Role::Reviewer, &[P::ProjectRead, P::AgentsRead, P::GateAnswer]),
    (Role::Worker, &[P::WorkDo]),
    (
        Role::Admin,
        &[
            P::ProjectRead,
            P::AgentsRead,
            P::ProjectCreate,
            P::ProjectRun,
            P::StopSet,
            P::GateAnswer,
            P::ProjectManage,
            P::StopRelease,
            P::AgentsReset,
            P::PackagesClean,
            P::SystemRead,
            P::AccessManage,
        ],
    ),
];

/// Objects that the requests of a caller are about.
pub(super) struct Target {
    pub(super) project: Project,
    /// Principal that administrators may change.
    victim: Keyed,
    /// Webhook, and an attempt to deliver for it.
    webhook: (String, String),
}

/// Place of the grant of a caller, relative to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    All,
    Target,
    Elsewhere,
}

/// Caller of a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Anonymous,
    WrongKey,
    LeaseToken,
    Role(Role, Place),
}

/// Result that the table demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Anything but a refusal of the caller.
    Permitted,
    /// This status.
    Refused(u16),
    /// The response to an unknown id.
    Unknown,
    /// Any refusal.
    NotTheirs,
}

pub(super) fn expected(needs: Needs, column: Column) -> Expected {
    use Expected::{NotTheirs, Permitted, Refused, Unknown};
    let (role, place) = match (column, needs) {
        (_, Public) | (Column::LeaseToken, LeaseHolder) => return Permitted,
        (Column::Anonymous | Column::WrongKey | Column::LeaseToken, _) => return Refused(401),
        (Column::Role(role, place), _) => (role, place),
    };
    let held = ROLES.iter().find(|(known, _)| *known == role).unwrap().1;
    let when = |is_permitted: bool| if is_permitted { Permitted } else { Refused(403) };
    match needs {
        Public | AnyCaller => Permitted,
        LeaseHolder => NotTheirs,
        Owner => Unknown,
        List(permission) => when(held.contains(&permission)),
        Global(permission) => when(held.contains(&permission) && place == Place::All),
        Create => when(held.contains(&P::ProjectCreate) && place == Place::All),
        Live if !held.contains(&P::ProjectRead) => Refused(403),
        Live if place == Place::Elsewhere => Unknown,
        Live => Permitted,
        // One that may read nothing does not learn which ids there are, and needs no other answer.
        On(_) if !held.contains(&P::ProjectRead) && place == Place::Elsewhere => Refused(403),
        On(_) if place == Place::Elsewhere => Unknown,
        On(permission) => when(held.contains(&permission)),
    }
}

/// Operations of the document by id.
pub(super) fn operations() -> BTreeMap<String, (Method, String)> {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if let Some(id) = item[method]["operationId"].as_str() {
                let method = method.to_uppercase().parse().unwrap();
                found.insert(id.to_owned(), (method, path.clone()));
            }
        }
    }
    found
}

/// Returns the path of an operation with the ids of a target, or with ids that do not exist.
pub(super) fn filled(path: &str, operation: &str, target: &Target) -> String {
    let project = &target.project;
    let mut path = path.to_owned();
    for (name, value) in [
        ("project_id", project.id.as_str()),
        ("task_id", &project.task),
        ("request_id", &project.request),
        ("context_id", &project.artifact),
        ("event_id", &project.event),
        ("agent_type", "coder"),
        ("file", "swagger-ui.css"),
        ("key_id", &target.victim.key_id),
        ("session_id", "0190a0b0-0000-7000-8000-00000000000a"),
        ("link_id", "0190a0b0-0000-7000-8000-00000000000a"),
        ("webhook_id", &target.webhook.0),
        ("delivery_id", &target.webhook.1),
        ("principal_id", &target.victim.principal),
        ("lease", project.lease["lease"].as_str().unwrap_or_default()),
    ] {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    match operation {
        "release_emergency_stop" => {
            format!("{path}?scope=project&project_id={}&reason=x", project.id)
        }
        "open_live_connection" | "stream_events" => format!("{path}?project_id={}", project.id),
        _ => path,
    }
}

/// Returns a target of which nothing exists.
fn nowhere() -> Target {
    let id = || "0190a0b0-0000-7000-8000-00000000000a".to_owned();
    Target {
        project: Project {
            id: id(),
            task: id(),
            request: id(),
            artifact: id(),
            event: id(),
            lease: json!({"lease": ""}),
        },
        victim: Keyed { principal: id(), key_id: id(), key: String::new() },
        webhook: (id(), id()),
    }
}

/// Returns the status of a response; of an answer to many requests, that of the first.
async fn status(response: reqwest::Response, operation: &str) -> u16 {
    let status = response.status().as_u16();
    if operation != "respond_to_requests" || status != 200 {
        return status;
    }
    let answer: Value = response.json().await.unwrap();
    u16::try_from(answer["results"][0]["status"].as_u64().unwrap()).unwrap()
}

pub(super) async fn target(server: &TestServer) -> Target {
    let project = Project::new(server).await;
    let grants = json!([{"role": "viewer", "on": "all"}]);
    let victim = principal(server, "service", grants).await;
    Target { project, victim, webhook: webhook(server).await }
}

/// Creates a webhook to a host that does not exist, and makes an attempt to deliver to it.
async fn webhook(server: &TestServer) -> (String, String) {
    let body = json!({"url": "https://hooks.invalid/", "events": ["webhook_deleted"]});
    let (status, webhook) = server.post("/api/v1/webhooks", body).await;
    assert_eq!(status, 201, "{webhook}");
    let id = webhook["id"].as_str().unwrap().to_owned();
    let (status, attempt) = server.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
    assert_eq!(status, 200, "{attempt}");
    (id, attempt["id"].as_str().unwrap().to_owned())
}

/// Returns the credential of a column for a target. Grants elsewhere are on the project `other`.
pub(super) async fn credential(
    server: &TestServer,
    column: Column,
    target: &Target,
    other: &str,
) -> Option<String> {
    match column {
        Column::Anonymous => None,
        Column::WrongKey => Some(unknown_key(99)),
        Column::LeaseToken => target.project.lease["token"].as_str().map(str::to_owned),
        Column::Role(role, place) => {
            let on = match place {
                Place::All => json!({"role": role, "on": "all"}),
                Place::Target => {
                    json!({"role": role, "on": "project", "project_id": target.project.id})
                }
                Place::Elsewhere => json!({"role": role, "on": "project", "project_id": other}),
            };
            Some(principal(server, "person", json!([on])).await.key)
        }
    }
}

pub(super) fn columns() -> Vec<Column> {
    let mut columns = vec![Column::Anonymous, Column::WrongKey];
    for place in [Place::Elsewhere, Place::Target, Place::All] {
        columns.extend(ROLES.iter().map(|(role, _)| Column::Role(*role, place)));
    }
    columns.push(Column::LeaseToken);
    columns
}

/// A request that has to be refused, with the status.
struct Refusal {
    credential: Option<String>,
    method: Method,
    path: String,
    body: Option<Value>,
    operation: &'static str,
    status: u16,
}

/// Sends requests that have to be refused until there were enough of them; returns their number.
async fn repeat(base: &str, refusals: Vec<Refusal>, least: u32) -> u32 {
    let (refusals, base) = (Arc::new(refusals), base.to_owned());
    let share = least as usize / CLIENTS + 1;
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let (refusals, base, client) = (Arc::clone(&refusals), base.clone(), client());
        clients.spawn(async move {
            for k in 0..share {
                let one = &refusals[(n + k * CLIENTS) % refusals.len()];
                let request = (&one.method, one.path.as_str());
                let credential = one.credential.as_deref();
                let response = send(&client, &base, credential, request, one.body.as_ref()).await;
                let found = status(response, one.operation).await;
                assert_eq!(found, one.status, "{} {}", one.operation, one.path);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    u32::try_from(share * CLIENTS).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_every_caller_as_the_table_of_permissions_says() {
    let operations = operations();
    let in_table: BTreeSet<_> =
        TABLE.iter().map(|(operation, ..)| (*operation).to_owned()).collect();
    let known: BTreeSet<_> = operations.keys().cloned().collect();
    assert_eq!(in_table, known, "each operation has one row");
    assert_eq!(in_table.len(), TABLE.len(), "each operation has one row");

    let server = TestServer::with(&[&NO_RUNNERS[..], &LONG_LEASES].concat()).await;
    let other = server.by_hand().await;
    let (client, unknown) = (client(), nowhere());
    let (mut wrong, mut refusals) = (Vec::new(), Vec::new());
    let (mut requests, mut refused) = (0, 0);
    for column in columns() {
        let target = target(&server).await;
        let credential = credential(&server, column, &target, &other).await;
        let before = target.project.state(&server).await;
        let may_change = matches!(column, Column::Role(_, Place::All | Place::Target))
            || column == Column::LeaseToken;
        for (operation, needs, body) in TABLE {
            let (method, path) = &operations[*operation];
            let path = filled(path, operation, &target);
            let body = body.map(|body| body(&target));
            let request = (method, path.as_str());
            let response =
                send(&client, &server.base, credential.as_deref(), request, body.as_ref());
            let found = status(response.await, operation).await;
            requests += 1;
            let expected = match expected(*needs, column) {
                Expected::Unknown => Expected::Refused(
                    of_unknown(&client, &server, operation, &operations, &unknown).await,
                ),
                expected => expected,
            };
            let is_right = match expected {
                // The policy of the request allows no links, so there is none to revoke.
                Expected::Permitted if *operation == "revoke_request_link" => found == 404,
                Expected::Permitted => ![401, 403, 404].contains(&found) && found < 500,
                Expected::Refused(status) => found == status,
                Expected::NotTheirs => [401, 403, 404, 409].contains(&found),
                Expected::Unknown => unreachable!("it was replaced"),
            };
            if !is_right {
                wrong.push(format!("{column:?} {operation}: {found}, and not {expected:?}"));
            }
            if let Expected::Refused(status) = expected {
                refused += 1;
                let (credential, method) = (credential.clone(), method.clone());
                refusals.push(Refusal { credential, method, path, body, operation, status });
            }
        }
        if !may_change {
            assert_eq!(target.project.state(&server).await, before, "{column:?} changed something");
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {requests} answers are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let least = count(UNAUTHORISED.0, UNAUTHORISED.1);
    let repeated = repeat(&server.base, refusals, least.saturating_sub(refused)).await;
    println!("unauthorised requests: {}, and none succeeded", refused + repeated);
}

/// Returns the status that an administrator gets for an id that does not exist.
async fn of_unknown(
    client: &Client,
    server: &TestServer,
    operation: &str,
    operations: &BTreeMap<String, (Method, String)>,
    unknown: &Target,
) -> u16 {
    let (_, _, body) = TABLE.iter().find(|(known, ..)| *known == operation).unwrap();
    let (method, path) = &operations[operation];
    let path = filled(path, operation, unknown);
    let body = body.map(|body| body(unknown));
    let key = Some(botarmy_tests::access::key());
    let response = send(client, &server.base, key, (method, &path), body.as_ref()).await;
    let found = status(response, operation).await;
    assert!([404, 422].contains(&found), "{operation}: {found} for an unknown id");
    found
}
