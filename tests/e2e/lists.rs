//! Lists of the API are bounded in bytes, and lead from page to page.

use std::collections::{BTreeMap, BTreeSet};

use botarmy_tests::server::{TestServer, next_page};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::put_in;

/// Largest page, if it has more than one item.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
const MEGA: usize = 1_000_000;
/// Number of items of a long list, two thirds of which are large: more than one page.
const ITEMS: usize = 24;

/// Follows a list to its end, and calls `meanwhile` after the first page. Returns its items.
async fn walk(server: &TestServer, path: &str, meanwhile: impl AsyncFn()) -> Vec<Value> {
    let (mut found, mut next, mut pages) = (Vec::new(), Some(path.to_owned()), 0);
    while let Some(path) = next {
        let response = server.raw(Method::GET, &path, None).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        next = next_page(&response);
        let body = response.bytes().await.unwrap();
        let page: Value = serde_json::from_slice(&body).unwrap();
        let (items, cursor) = match &page {
            Value::Array(items) => (items, None),
            page => (page["items"].as_array().unwrap(), Some(&page["next_cursor"])),
        };
        assert!(!items.is_empty() || found.is_empty(), "a page that was announced is empty");
        assert!(items.len() == 1 || body.len() <= PAGE_BYTES + 1000, "{} bytes", body.len());
        if let Some(cursor) = cursor {
            let target = cursor.as_str().map(|cursor| format!("cursor={cursor}"));
            assert_eq!(target.is_some(), next.is_some());
            assert!(target.is_none_or(|cursor| next.as_ref().unwrap().ends_with(&cursor)));
        }
        found.extend(items.iter().cloned());
        if pages == 0 {
            meanwhile().await;
        }
        pages += 1;
    }
    assert!(pages > 1, "{path} has one page");
    found
}

fn ids(items: &[Value], field: &str) -> Vec<String> {
    items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_of_large_items_ends_at_8_mib_and_its_link_goes_on_exactly_there() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let task = server.submit(&project, "coder", "Do it").await;
    let raise = async |n: usize, length: usize| {
        let question = format!("{n} {}", "x".repeat(length));
        let body = json!({"project_id": project, "task_id": task, "question": question});
        let (status, request) = server.post("/api/v1/hitl", body).await;
        assert_eq!(status, 201, "{request}");
        request["request_id"].as_str().unwrap().to_owned()
    };
    let mut raised = Vec::new();
    for n in 0..ITEMS {
        // Small items between large ones, of which the size of the large ones does not follow.
        raised.push(raise(n, if n % 3 == 0 { 10 } else { MEGA }).await);
    }
    let newest_first: Vec<String> = raised.iter().rev().cloned().collect();
    let add = async || {
        raise(100, MEGA).await;
        raise(101, 10).await;
    };

    let path = format!("/api/v1/hitl/project/{project}/requests");
    for query in ["", "?status_filter=pending", "?limit=7"] {
        let found = walk(&server, &format!("{path}{query}"), add).await;
        let found: Vec<String> = ids(&found, "request_id");
        let own: Vec<String> = found.iter().filter(|id| raised.contains(id)).cloned().collect();
        assert_eq!(own, newest_first, "{query}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "{query}");
    }
    let pending = walk(&server, "/api/v1/hitl/pending?limit=1000", add).await;
    let pending = ids(&pending, "request_id");
    assert_eq!(pending[..ITEMS], raised, "oldest first");
    assert_eq!(pending.len(), ITEMS + 8, "also those that were added meanwhile");

    let of_project = format!("/api/v1/audit/projects/{project}/events");
    let whole = server.list(&format!("{of_project}?limit=3")).await;
    let positions: Vec<u64> = whole.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    let length = positions[0];
    assert!(positions.iter().copied().eq((1..=length).rev()), "{positions:?}");
    let of_requests: Vec<Value> = whole
        .iter()
        .filter(|entry| entry["event_type"] == "hitl_request_created")
        .cloned()
        .collect();
    for (path, expected) in [
        (format!("{of_project}?limit=1000"), &whole[..]),
        (format!("{of_project}?limit=1000&offset=5"), &whole[5..]),
        (format!("{of_project}?limit=1000&start_date=2000-01-01"), &whole[..]),
        (format!("{of_project}?limit=1000&event_type=hitl_request_created"), &of_requests[..]),
        (format!("/api/v1/audit/tasks/{task}/events"), &of_requests[..]),
        ("/api/v1/audit/events?limit=1000".to_owned(), &whole[..]),
        ("/api/v1/audit/events?event_type=hitl_request_created".to_owned(), &of_requests[..]),
    ] {
        let found = walk(&server, &path, add).await;
        let known: BTreeSet<&str> =
            expected.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
        let own: Vec<Value> = found
            .iter()
            .filter(|entry| known.contains(entry["id"].as_str().unwrap()))
            .cloned()
            .collect();
        assert_eq!(own, expected, "{path}");
        let all = ids(&found, "id");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{path}");
    }
}

#[tokio::test]
async fn the_links_of_a_history_and_of_a_query_in_any_spelling_lead_to_every_item_once() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let path = "/api/v1/agents/status-history/coder";
    for n in 1..4 {
        server.submit(&project, "coder", &format!("Part {n}")).await;
        server.post("/api/v1/agents/status/coder/reset", json!({})).await;
        server.until(|s| async { s.get(path).await.1.as_array().unwrap().len() >= n }).await;
    }
    let whole = server.get(&format!("{path}?limit=1000")).await.1;
    let whole = whole.as_array().unwrap();
    let found = walk(&server, &format!("{path}?limit=1"), async || ()).await;
    assert_eq!(found[found.len() - whole.len()..], whole[..]);
    for refused in ["0", "-1", "x", "1.5", "18446744073709551616"] {
        let (status, problem) = server.get(&format!("{path}?cursor={refused}")).await;
        assert_eq!(status, 422, "{refused}: {problem}");
    }

    let events = format!("/api/v1/audit/projects/{project}/events");
    let plain = walk(&server, &format!("{events}?limit=1&offset=1"), async || ()).await;
    let encoded = walk(&server, &format!("{events}?%6Cimit=1&offse%74=1"), async || ()).await;
    // The last task may still have added to the log.
    assert_eq!(encoded[encoded.len() - plain.len()..], plain[..]);
}

#[tokio::test]
async fn a_worker_is_given_no_more_than_fits_in_one_response() {
    let server = TestServer::with(&[("BOTARMY_AGENTS__CODER__RUNNER", "none")]).await;
    let project = server.by_hand().await;
    let mut wanted = BTreeSet::new();
    for n in 0..4 {
        let document = json!({"idea": n.to_string().repeat(5 * MEGA)});
        let context = put_in(&server, &project, "user_input", document).await;
        let path = format!("/api/v1/projects/{project}/tasks");
        let body = json!({
            "agent_type": "coder", "instructions": "Do it", "context_ids": [context],
        });
        let (status, task) = server.post(&path, body).await;
        assert_eq!(status, 201, "{task}");
        wanted.insert(task["task_id"].as_str().unwrap().to_owned());
    }
    let mut given = BTreeSet::new();
    let mut polls = 0;
    while given.len() < 4 {
        let ask = json!({"worker_id": "w", "agents": ["coder"], "max": 10, "wait_s": 5});
        let (status, found) = server.post("/api/v1/worker/leases", ask).await;
        assert_eq!(status, 200, "{found}");
        let leases = found["leases"].as_array().unwrap();
        assert!((1..=2).contains(&leases.len()), "{} assignments", leases.len());
        for lease in leases {
            assert!(given.insert(lease["task"]["task"]["id"].as_str().unwrap().to_owned()));
        }
        polls += 1;
    }
    assert_eq!((given, polls), (wanted, 2));
}

/// Bound in bytes of a list in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// The response is a page: it ends at its bytes, and a `Link` header names the next one.
    Paged,
    /// The list ends at its bytes, and a field says so.
    Cut,
    /// The list belongs to one object, which is always whole.
    Part,
    /// There is a short line for each thing of a kind, and no bound in bytes beside that.
    Lines,
}

/// Returns the names of the lists in a schema, at every depth.
fn lists(document: &Value, schema: &Value, name: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(reference) = schema["$ref"].as_str() {
        if seen.insert(reference.to_owned()) {
            let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
            found.extend(lists(document, schema, name, seen));
            seen.remove(reference);
        }
        return found;
    }
    for part in ["oneOf", "anyOf", "allOf"] {
        for schema in schema[part].as_array().into_iter().flatten() {
            found.extend(lists(document, schema, name, seen));
        }
    }
    let is_array = match &schema["type"] {
        Value::Array(types) => types.iter().any(|kind| kind == "array"),
        kind => kind == "array",
    };
    if is_array {
        found.push(name.to_owned());
        found.extend(lists(document, &schema["items"], name, seen));
    }
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
        found.extend(lists(document, schema, &name, seen));
    }
    found
}

#[test]
fn every_list_of_the_api_has_a_bound_in_bytes() {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let mut found: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                if !status.starts_with('2') {
                    continue;
                }
                let schema = &response["content"]["application/json"]["schema"];
                let lists = lists(&document, schema, "", &mut BTreeSet::new());
                if !lists.is_empty() {
                    let route = (method.to_uppercase(), path.clone());
                    found.entry(route).or_default().extend(lists);
                }
            }
        }
    }
    let mut rows = BTreeMap::new();
    for (method, path, lists, bound) in BOUNDS {
        let route = ((*method).to_owned(), (*path).to_owned());
        let lists: BTreeSet<String> = lists.iter().map(|list| (*list).to_owned()).collect();
        for list in &lists {
            rows.insert((route.clone(), list.clone()), *bound);
        }
    }
    for (route, lists) in &found {
        for list in lists {
            let known = rows.contains_key(&(route.clone(), list.clone()));
            assert!(known, "{route:?} has the list `{list}` without a bound; all: {found:#?}");
        }
    }
    for ((route, list), bound) in &rows {
        let lists = found.get(route);
        assert!(lists.is_some_and(|lists| lists.contains(list)), "{route:?} has no list `{list}`");
        let operation = &document["paths"][&route.1][route.0.to_lowercase()];
        let has_link = operation["responses"]["200"]["headers"]["Link"].is_object();
        let has_cursor = operation["parameters"]
            .as_array()
            .is_some_and(|list| list.iter().any(|parameter| parameter["name"] == "cursor"));
        if *bound == Bound::Paged {
            assert!(has_link && has_cursor, "{route:?} has no link or no cursor");
        }
        let whole = list.is_empty() || list == "items";
        assert_eq!(*bound == Bound::Paged, whole && has_link, "{route:?} {list}");
    }
}

/// The bound of every list that the API responds with; `""` is the response itself.
const BOUNDS: &[(&str, &str, &[&str], Bound)] = &[
    ("DELETE", "/api/v1/access/keys/{key_id}", &["grants"], Bound::Part),
    ("GET", "/api/v1/access/keys", &["items"], Bound::Paged),
    ("GET", "/api/v1/access/keys", &["items.grants"], Bound::Part),
    ("GET", "/api/v1/access/keys/{key_id}", &["grants"], Bound::Part),
    (
        "GET",
        "/api/v1/access/me",
        &["grants", "groups", "permissions", "permissions.project_ids"],
        Bound::Part,
    ),
    ("GET", "/api/v1/access/principals", &["items"], Bound::Paged),
    ("GET", "/api/v1/access/principals", &["items.grants", "items.groups"], Bound::Part),
    ("GET", "/api/v1/access/sessions", &["items"], Bound::Paged),
    ("GET", "/api/v1/access/sessions", &["items.grants"], Bound::Part),
    ("GET", "/api/v1/agents/status-history/{agent_type}", &[""], Bound::Paged),
    ("GET", "/api/v1/artifacts/{project_id}/summary", &["artifacts"], Bound::Lines),
    ("GET", "/api/v1/audit/events", &[""], Bound::Paged),
    ("GET", "/api/v1/audit/projects/{project_id}/events", &[""], Bound::Paged),
    ("GET", "/api/v1/audit/tasks/{task_id}/events", &[""], Bound::Paged),
    ("GET", "/api/v1/context/project/{project_id}", &["items"], Bound::Paged),
    ("GET", "/api/v1/emergency-stop", &["stops"], Bound::Lines),
    ("GET", "/api/v1/hitl/pending", &["items"], Bound::Paged),
    ("GET", "/api/v1/hitl/pending", OF_REQUESTS_IN_PAGES, Bound::Part),
    ("GET", "/api/v1/hitl/project/{project_id}/requests", &[""], Bound::Paged),
    ("GET", "/api/v1/hitl/project/{project_id}/requests", OF_REQUESTS, Bound::Part),
    ("GET", "/api/v1/hitl/statistics", &["by_policy"], Bound::Lines),
    ("GET", "/api/v1/hitl/{request_id}", OF_REQUESTS, Bound::Part),
    (
        "GET",
        "/api/v1/hitl/{request_id}",
        &[
            "allowed_actions",
            "candidates",
            "delegates",
            "escalation.to",
            "planned.feedback",
            "votes",
            "votes.groups",
        ],
        Bound::Part,
    ),
    ("GET", "/api/v1/hitl/{request_id}/a2a", &["status.message.parts"], Bound::Part),
    ("GET", "/api/v1/hitl/{request_id}/comments", &["items"], Bound::Paged),
    ("GET", "/api/v1/hitl/{request_id}/context", &["artifacts"], Bound::Part),
    ("GET", "/api/v1/hitl/{request_id}/diff", &["patch"], Bound::Part),
    ("GET", "/api/v1/hitl/{request_id}/interrupt", &["metadata.options"], Bound::Part),
    ("GET", "/api/v1/hitl/{request_id}/links", &["items"], Bound::Paged),
    ("GET", "/api/v1/hitl/{request_id}/links", &["items.actions"], Bound::Part),
    ("GET", "/api/v1/projects", &["items"], Bound::Paged),
    ("GET", "/api/v1/projects/{project_id}/members", &["items"], Bound::Paged),
    ("GET", "/api/v1/projects/{project_id}/members", &["items.roles"], Bound::Part),
    ("GET", "/api/v1/projects/{project_id}", &["overridden", "progress.steps"], Bound::Part),
    ("GET", "/api/v1/projects/{project_id}/status", &["tasks"], Bound::Cut),
    ("GET", "/api/v1/projects/{project_id}/tasks", &["items"], Bound::Paged),
    (
        "GET",
        "/api/v1/projects/{project_id}/tasks",
        &["items.artifacts", "items.context_ids"],
        Bound::Part,
    ),
    ("GET", "/api/v1/projects/{project_id}/usage", &["by_model"], Bound::Lines),
    ("GET", "/api/v1/tasks/{task_id}", OF_TASKS, Bound::Part),
    ("GET", "/api/v1/webhooks", &["items"], Bound::Paged),
    ("GET", "/api/v1/webhooks", &["items.events"], Bound::Part),
    ("GET", "/api/v1/webhooks/{webhook_id}", &["events"], Bound::Part),
    ("GET", "/api/v1/webhooks/{webhook_id}/deliveries", &["items"], Bound::Paged),
    ("GET", "/health/ready", &["failing"], Bound::Lines),
    ("GET", "/readyz", &["failing"], Bound::Lines),
    ("PATCH", "/api/v1/webhooks/{webhook_id}", &["events"], Bound::Part),
    ("POST", "/api/v1/access/keys", &["grants"], Bound::Part),
    ("POST", "/api/v1/access/keys/{key_id}/rotate", &["grants"], Bound::Part),
    ("POST", "/api/v1/access/principals", OF_PRINCIPALS, Bound::Part),
    ("POST", "/api/v1/access/ticket", &["protocols"], Bound::Part),
    ("POST", "/api/v1/hitl", OF_REQUESTS, Bound::Part),
    ("POST", "/api/v1/hitl/bulk/respond", &["results"], Bound::Lines),
    (
        "POST",
        "/api/v1/hitl/bulk/respond",
        &["results.problem.errors", "results.problem.violated-policies"],
        Bound::Part,
    ),
    ("DELETE", "/api/v1/hitl/{request_id}/links/{link_id}", &["actions"], Bound::Part),
    ("POST", "/api/v1/hitl/{request_id}/claim", OF_REQUESTS, Bound::Part),
    ("POST", "/api/v1/hitl/{request_id}/delegate", OF_REQUESTS, Bound::Part),
    ("POST", "/api/v1/hitl/{request_id}/escalate", OF_REQUESTS, Bound::Part),
    ("POST", "/api/v1/hitl/{request_id}/extend", OF_REQUESTS, Bound::Part),
    ("POST", "/api/v1/hitl/{request_id}/links", &["actions"], Bound::Part),
    ("POST", "/api/v1/hitl/{request_id}/remind", OF_REQUESTS, Bound::Part),
    ("POST", "/api/v1/hitl/{request_id}/unclaim", OF_REQUESTS, Bound::Part),
    ("POST", "/api/v1/projects/{project_id}/check-completion", &["unmet"], Bound::Part),
    ("POST", "/api/v1/projects/{project_id}/force-complete", &["overridden"], Bound::Part),
    ("POST", "/api/v1/tasks/{task_id}/cancel", OF_TASKS, Bound::Part),
    ("POST", "/api/v1/tasks/{task_id}/retry", OF_TASKS, Bound::Part),
    ("POST", "/api/v1/webhooks", &["events"], Bound::Part),
    ("POST", "/api/v1/webhooks/{webhook_id}/rotate-secret", &["events"], Bound::Part),
    ("POST", "/api/v1/worker/leases", &["leases"], Bound::Cut),
    (
        "POST",
        "/api/v1/worker/leases",
        &["leases.task.context", "leases.task.resume.answers"],
        Bound::Part,
    ),
    ("PUT", "/api/v1/access/principals/{principal_id}/disabled", OF_PRINCIPALS, Bound::Part),
    ("PUT", "/api/v1/access/principals/{principal_id}/grants", OF_PRINCIPALS, Bound::Part),
    ("PUT", "/api/v1/access/principals/{principal_id}/groups", OF_PRINCIPALS, Bound::Part),
    ("PUT", "/api/v1/projects/{project_id}/members/{principal_id}", &["roles"], Bound::Part),
];

/// Lists of a principal.
const OF_PRINCIPALS: &[&str] = &["grants", "groups"];

/// Lists of a request.
const OF_REQUESTS: &[&str] = &["assignees", "history", "options", "subject.artifacts"];
/// Lists of a request in a page.
const OF_REQUESTS_IN_PAGES: &[&str] =
    &["items.assignees", "items.history", "items.options", "items.subject.artifacts"];
/// Lists of a task.
const OF_TASKS: &[&str] = &["artifacts", "context_ids"];
