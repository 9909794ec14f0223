//! Over REST, live connections, downloads and exports nobody learns of a project outside of its reach:
//! random projects, callers with random grants, random requests. Each project holds a text that occurs
//! nowhere else, and all bytes that a caller receives are searched for the texts and ids of the
//! projects that it may not see. Lists and counts are compared with those of an administrator.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::time::Duration;

use botarmy_tests::dice::Dice;
use botarmy_tests::event_stream::EventStream;
use botarmy_tests::pipeline::{Call, Pipeline, Reply};
use botarmy_tests::prove::{count, repeat};
use botarmy_tests::server::{TIMEOUT, TestServer, bare_client_builder};
use botarmy_tests::{access, services, unzip};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::world::{Keyed, NO_RUNNERS, key_for, principal};

/// Rounds of the long form, each with a server of its own.
const ROUNDS: u32 = 40;
/// Requests of each caller in every test run, and in the long form.
const REQUESTS: (u32, u32) = (60, 200);
const PROJECTS: usize = 5;
const CALLERS: usize = 6;
const ROLES: [&str; 5] = ["viewer", "operator", "reviewer", "worker", "admin"];

/// A project with one of everything.
struct Filled {
    id: String,
    /// Index of the maker that created it; none for the administrator.
    maker: Option<usize>,
    /// Its ids by the names of the parameters that take them, and the ids of all of its entries.
    ids: Vec<(&'static str, String)>,
    canary: String,
}

impl Filled {
    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(|(_, id)| id.as_str()).chain([self.canary.as_str()])
    }

    fn id_for(&self, parameter: &str, dice: &mut Dice) -> Option<&str> {
        let fitting: Vec<_> = self.ids.iter().filter(|(name, _)| *name == parameter).collect();
        let length = fitting.len() as u64;
        (length > 0).then(|| fitting[dice.below(length) as usize].1.as_str())
    }
}

/// A grant, as this test understands it.
#[derive(Debug, Clone, Copy)]
struct Granted {
    role: &'static str,
    on: On,
}

#[derive(Debug, Clone, Copy)]
enum On {
    All,
    Own,
    Project(usize),
}

impl Granted {
    fn any(dice: &mut Dice) -> Self {
        let on = match dice.below(8) {
            0 => On::All,
            1 => On::Own,
            _ => On::Project(dice.below(PROJECTS as u64) as usize),
        };
        Self { role: ROLES[dice.below(5) as usize], on }
    }

    fn json(&self, projects: &[Filled]) -> Value {
        match self.on {
            On::All => json!({"role": self.role, "on": "all"}),
            On::Own => json!({"role": self.role, "on": "own"}),
            On::Project(n) => {
                json!({"role": self.role, "on": "project", "project_id": projects[n].id})
            }
        }
    }
}

/// A key, with the grants of its principal and those to which it is narrowed.
struct Someone {
    key: String,
    /// Index of the maker that it is.
    maker: Option<usize>,
    grants: Vec<Granted>,
    narrowed: Option<Vec<Granted>>,
}

impl Someone {
    /// Returns whether one of its roles counts on a project.
    fn has(&self, counts: fn(&str) -> bool, projects: &[Filled], n: usize) -> bool {
        let is_own = self.maker.is_some() && projects[n].maker == self.maker;
        let on = |on: On| match on {
            On::All => true,
            On::Own => is_own,
            On::Project(project) => project == n,
        };
        let held = |grants: &Vec<Granted>| grants.iter().any(|one| counts(one.role) && on(one.on));
        held(&self.grants) && self.narrowed.as_ref().is_none_or(held)
    }

    fn reads(&self, projects: &[Filled], n: usize) -> bool {
        self.has(|role| role != "worker", projects, n)
    }

    fn works(&self, projects: &[Filled], n: usize) -> bool {
        self.has(|role| role == "worker", projects, n)
    }

    fn reads_everything(&self) -> bool {
        let on_all = |grants: &Vec<Granted>| {
            grants.iter().any(|one| one.role != "worker" && matches!(one.on, On::All))
        };
        on_all(&self.grants) && self.narrowed.as_ref().is_none_or(on_all)
    }
}

/// Sends JSON as the administrator, or with another key.
async fn send(server: &TestServer, key: &str, method: &str, path: &str, body: Value) -> Value {
    let call = Call::with_key(method, path, key, Some(&body));
    let reply = Pipeline::to(&server.base).send(&call).await;
    assert!(reply.status < 300, "{path}: {} {}", reply.status, reply.text());
    reply.json()
}

/// Creates a project with everything in it.
async fn fill(server: &TestServer, maker: Option<(usize, &Keyed)>, canary: String) -> Filled {
    let admin = access::key();
    let key = maker.map_or(admin, |(_, keyed)| keyed.key.as_str());
    let project = json!({"name": format!("Project {canary}"), "description": canary});
    let project = send(server, key, "POST", "/api/v1/projects", project).await;
    let id = project["id"].as_str().unwrap().to_owned();
    let text = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
    let mut ids = vec![("project_id", id.clone())];
    let artifact = json!({
        "project_id": id, "source_agent": "coder", "artifact_type": "agent_output",
        "content": {"text": canary},
    });
    let artifact = send(server, admin, "POST", "/api/v1/context", artifact).await;
    let artifact = text(&artifact, "context_id");
    let instructions = json!({
        "agent_type": "tester", "instructions": canary, "context_ids": [artifact],
    });
    let tasks = format!("/api/v1/projects/{id}/tasks");
    for _ in 0..2 {
        let task = send(server, admin, "POST", &tasks, instructions.clone()).await;
        ids.push(("task_id", text(&task, "task_id")));
    }
    for n in 0..2 {
        let question = json!({
            "project_id": id, "question": canary, "task_id": ids[1].1, "artifacts": [artifact],
            "options": [canary, "no"],
        });
        let request = send(server, admin, "POST", "/api/v1/hitl", question).await;
        let request = text(&request, "request_id");
        if n == 0 {
            let answer = json!({"action": "approve", "comment": canary});
            let path = format!("/api/v1/hitl/{request}/respond");
            send(server, admin, "POST", &path, answer).await;
        }
        ids.push(("request_id", request));
    }
    send(server, admin, "POST", &format!("/api/v1/artifacts/{id}/generate"), json!({})).await;
    ids.push(("context_id", artifact));
    for event in server.events(&id).await {
        ids.push(("event_id", text(&event, "id")));
    }
    Filled { id, maker: maker.map(|(n, _)| n), ids, canary }
}

/// Operation of the document: method, path, names and schemas of the parameters in its query.
struct Operation {
    method: &'static str,
    path: String,
    query: Vec<(String, Value)>,
}

/// Returns the operations that read, and some that write.
fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // Something is to happen in every project at the end.
        let ends = path.ends_with("/cancel") || path.ends_with("/force-complete");
        let is_stream = path == "/api/v1/events/stream";
        let is_api = path.starts_with("/api/") && !path.starts_with("/api/v1/access");
        let is_api = is_api && !ends && !is_stream;
        for (name, method) in [("get", "GET"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH")]
        {
            let Some(operation) = item.get(name).filter(|_| is_api) else { continue };
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let query = in_query.map(|parameter| {
                (parameter["name"].as_str().unwrap().to_owned(), parameter["schema"].clone())
            });
            found.push(Operation { method, path: path.clone(), query: query.collect() });
        }
    }
    found
}

/// Returns an id of any kind in any project.
fn any_id<'a>(projects: &'a [Filled], dice: &mut Dice) -> &'a str {
    let project = &projects[dice.below(projects.len() as u64) as usize];
    &project.ids[dice.below(project.ids.len() as u64) as usize].1
}

/// Returns a random request: path and body.
fn request(operation: &Operation, projects: &[Filled], dice: &mut Dice) -> (String, Option<Value>) {
    let about = &projects[dice.below(projects.len() as u64) as usize];
    let mut path = operation.path.clone();
    for name in ["project_id", "task_id", "request_id", "context_id", "event_id"] {
        let parameter = format!("{{{name}}}");
        if path.contains(&parameter) {
            path = path.replace(&parameter, about.id_for(name, dice).unwrap());
        }
    }
    path = path.replace("{agent_type}", "tester").replace("{lease}", "none");
    path = path.replace("{link_id}", any_id(projects, dice));
    let mut separator = '?';
    for (name, schema) in &operation.query {
        if dice.below(3) > 0 {
            continue;
        }
        let text = schema.to_string();
        let value = match name.as_str() {
            "hitl_request_id" => about.id_for("request_id", dice).unwrap().to_owned(),
            name if about.id_for(name, dice).is_some() => {
                about.id_for(name, dice).unwrap().to_owned()
            }
            "cursor" | "head" => any_id(projects, dice).to_owned(),
            "limit" => ["1", "3", "100"][dice.below(3) as usize].to_owned(),
            "event_type" => ["task_created", "key_created"][dice.below(2) as usize].to_owned(),
            _ if text.contains("boolean") => "true".to_owned(),
            _ if text.contains("integer") => dice.below(3).to_string(),
            _ => continue,
        };
        path = format!("{path}{separator}{name}={value}");
        separator = '&';
    }
    let other = any_id(projects, dice);
    let body = match (operation.method, operation.path.rsplit('/').next().unwrap()) {
        ("GET", _) => None,
        (_, "tasks") => {
            Some(json!({"agent_type": "tester", "instructions": "x", "context_ids": [other]}))
        }
        (_, "hitl") => Some(json!({"project_id": about.id, "question": "x", "task_id": other})),
        (_, "context") => Some(json!({
            "project_id": about.id, "source_agent": "coder", "artifact_type": "agent_output",
            "content": {"x": 1},
        })),
        (_, "respond") if operation.path.contains("bulk") => Some(
            json!({"request_ids": [other, about.id_for("request_id", dice)], "action": "approve"}),
        ),
        (_, "respond") => Some(json!({"action": "approve"})),
        (_, "leases") => {
            Some(json!({"worker_id": "w", "agents": ["tester"], "max": 2, "wait_s": 0}))
        }
        (_, "emergency-stop") => {
            Some(json!({"scope": "project", "project_id": about.id, "reason": "x"}))
        }
        (_, "reopen") => Some(json!({"reason": "x"})),
        (_, "extend") => Some(json!({"by_s": 60})),
        (_, "comments") => Some(json!({"text": "x"})),
        (_, "links") => Some(json!({"actions": ["approve"]})),
        (_, "resume") => Some(json!({"status": "resolved", "payload": {"action": "approve"}})),
        (_, "projects") => Some(json!({"name": "Made by a caller"})),
        _ => Some(json!({})),
    };
    (path, body)
}

/// Returns all text of a response, with that of the files in a ZIP archive.
fn text_of(reply: &Reply) -> String {
    let mut text = reply.head.clone();
    if reply.header("content-type").is_some_and(|kind| kind.contains("zip")) {
        for (name, content) in unzip(Cursor::new(&reply.body)) {
            text += &format!("{name}\n{}\n", String::from_utf8_lossy(&content));
        }
    }
    text + "\n" + &reply.text()
}

/// Receives every frame of a live connection, as text.
async fn live(
    server: &TestServer,
    key: &str,
    query: &str,
) -> Result<UnboundedReceiver<String>, u16> {
    let url = format!("{}/ws{query}", server.base.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    let connected = tokio::time::timeout(TIMEOUT, connect_async(request)).await.unwrap();
    let mut socket = match connected {
        Ok((socket, _)) => socket,
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            return Err(response.status().as_u16());
        }
        Err(error) => panic!("{error}"),
    };
    let (send, receive) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(frame)) = socket.next().await {
            if send.send(frame.to_string()).is_err() {
                return;
            }
        }
    });
    Ok(receive)
}

/// Receives every event of an event stream, as text.
async fn stream(
    server: &TestServer,
    key: &str,
    query: &str,
) -> Result<UnboundedReceiver<String>, u16> {
    let headers = [(reqwest::header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap())];
    let client = bare_client_builder().default_headers(headers.into_iter().collect());
    let opened = EventStream::open(&client.build().unwrap(), &server.base, query, None).await;
    let mut stream = opened.map_err(|status| status.as_u16())?;
    let (send, receive) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = stream.next().await {
            if send.send(format!("{} {}", event.data, stream.last_id)).is_err() {
                return;
            }
        }
    });
    Ok(receive)
}

/// Waits until these frames have every text; returns all that came.
async fn frames(receiver: &mut UnboundedReceiver<String>, wanted: &[String]) -> Vec<String> {
    let mut missing: BTreeSet<&String> = wanted.iter().collect();
    let mut found = Vec::new();
    while !missing.is_empty() {
        let next = tokio::time::timeout(TIMEOUT, receiver.recv()).await;
        let frame = next.unwrap_or_else(|_| panic!("no frame with {missing:?}"));
        let frame = frame.unwrap_or_else(|| panic!("it was closed without {missing:?}"));
        missing.retain(|text| !frame.contains(text.as_str()));
        found.push(frame);
    }
    found
}

/// Returns the values of a field in all items of a list, for those of certain projects.
fn ids_in(items: &[Value], field: &str, of: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let items = items.iter().filter(|item| {
        let project = item["project_id"].as_str().or(item["id"].as_str());
        project.is_some_and(&of)
    });
    items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

/// Returns all items of a list.
async fn list(pipeline: &mut Pipeline, key: &str, path: &str) -> Option<Vec<Value>> {
    let (mut items, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let reply = pipeline.send(&Call::with_key("GET", &path, key, None)).await;
        if reply.status == 403 {
            return None;
        }
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        next = reply.header("link").map(|link| {
            let end = link.find('>').unwrap();
            link[1..end].to_owned()
        });
        let page = reply.json();
        let page = page.get("items").unwrap_or(&page).as_array().unwrap();
        items.extend(page.iter().cloned());
    }
    Some(items)
}

/// Compares the lists and counts of a caller with those of an administrator, limited to what the caller
/// may see.
async fn compare(server: &TestServer, someone: &Someone, projects: &[Filled]) {
    let (mut pipeline, admin) = (Pipeline::to(&server.base), access::key());
    let sees = |id: &str| {
        let found = projects.iter().position(|project| project.id == id);
        found.is_some_and(|n| someone.reads(projects, n)) || someone.reads_everything()
    };
    let knows = |id: &str| projects.iter().any(|project| project.id == id);
    for (path, field) in [
        ("/api/v1/projects?limit=2", "id"),
        ("/api/v1/hitl/pending?limit=2", "request_id"),
        ("/api/v1/audit/events?limit=50", "id"),
    ] {
        let all = list(&mut pipeline, admin, path).await.unwrap();
        let expected = ids_in(&all, field, |id| knows(id) && sees(id));
        let Some(found) = list(&mut pipeline, &someone.key, path).await else {
            assert!(expected.is_empty(), "{path} is refused");
            continue;
        };
        let others = ids_in(&found, field, |id| !knows(id));
        // Its own, which it has made in the meantime.
        let may_create = someone.grants.iter().any(|grant| matches!(grant.on, On::Own));
        assert!(others.is_empty() || someone.reads_everything() || may_create, "{others:?}");
        assert_eq!(ids_in(&found, field, knows), expected, "{path}");
    }
    // Each project has two requests, and callers may have raised more.
    let path = "/api/v1/hitl/statistics";
    let reply = pipeline.send(&Call::with_key("GET", path, &someone.key, None)).await;
    if reply.status == 200 && !someone.reads_everything() {
        let mut expected = 0;
        for project in projects.iter().filter(|project| sees(&project.id)) {
            let path = format!("/api/v1/hitl/project/{}/requests?limit=100", project.id);
            expected += list(&mut pipeline, admin, &path).await.unwrap().len() as u64;
        }
        let by_status = reply.json()["by_status"].clone();
        let counted = by_status.as_object().unwrap().values().filter_map(Value::as_u64);
        assert_eq!(counted.sum::<u64>(), expected, "{}", reply.text());
    }
}

/// Returns callers with random grants, and the makers of projects.
async fn callers(
    server: &TestServer,
    makers: Vec<Keyed>,
    projects: &[Filled],
    dice: &mut Dice,
) -> Vec<Someone> {
    let own = || vec![Granted { role: "operator", on: On::Own }];
    let of_makers = makers.into_iter().enumerate().map(|(n, keyed)| Someone {
        key: keyed.key,
        maker: Some(n),
        grants: own(),
        narrowed: None,
    });
    let mut found: Vec<Someone> = of_makers.collect();
    let json = |grants: &[Granted]| -> Value {
        grants.iter().map(|grant| grant.json(projects)).collect::<Vec<_>>().into()
    };
    for _ in 0..CALLERS {
        let grants: Vec<_> = (0..dice.below(4)).map(|_| Granted::any(dice)).collect();
        let kind = ["person", "service"][dice.below(2) as usize];
        let keyed = principal(server, kind, json(&grants)).await;
        if dice.below(2) == 0 {
            let narrowed: Vec<_> = (0..dice.below(3)).map(|_| Granted::any(dice)).collect();
            let body = json!({
                "principal_id": keyed.principal, "name": "narrowed", "grants": json(&narrowed),
            });
            let (status, key) = server.post("/api/v1/access/keys", body).await;
            assert_eq!(status, 201, "{key}");
            let key = key["key"].as_str().unwrap().to_owned();
            let (grants, narrowed) = (grants.clone(), Some(narrowed));
            found.push(Someone { key, maker: None, grants, narrowed });
        }
        let another = key_for(server, &keyed.principal).await;
        found.push(Someone { key: another.key, maker: None, grants, narrowed: None });
    }
    found
}

async fn round(server: &TestServer, mut dice: Dice, per_caller: u32) {
    let own = json!([{"role": "operator", "on": "own"}]);
    let makers = vec![
        principal(server, "person", own.clone()).await,
        principal(server, "service", own).await,
    ];
    let mut projects = Vec::new();
    for n in 0..PROJECTS {
        let maker = makers.get(n % 3).map(|maker| (n % 3, maker));
        let canary = format!("canary{n}x{:x}", dice.fork().seed());
        projects.push(fill(server, maker, canary).await);
    }
    // The reason of a stop is for those who see its project; a wider one is for those who see all.
    let wide = format!("wide{:x}", dice.fork().seed());
    for (scope, reason) in [
        (json!({"scope": "project", "project_id": projects[4].id}), &projects[4].canary),
        (json!({"scope": "agent_type", "agent_type": "deployer"}), &wide),
    ] {
        let mut body = scope;
        body["reason"] = json!(reason);
        let (status, answer) = server.post("/api/v1/emergency-stop", body).await;
        assert!(status < 300, "{answer}");
    }
    let callers = callers(server, makers, &projects, &mut dice).await;
    let operations = operations();
    assert!(operations.len() > 50, "{}", operations.len());
    let (mut searched, mut received) = (0_u64, 0_u64);
    let mut sockets = Vec::new();
    for someone in &callers {
        compare(server, someone, &projects).await;
        let reads: Vec<usize> = (0..PROJECTS).filter(|n| someone.reads(&projects, *n)).collect();
        if let Ok(socket) = live(server, &someone.key, "?project_id=all").await {
            sockets.push((someone, socket, true));
            // From the beginning of all logs.
            let stream = stream(server, &someone.key, "?after=0.0").await.unwrap();
            sockets.push((someone, stream, true));
        } else {
            assert!(reads.is_empty(), "a reader may listen");
            assert_eq!(stream(server, &someone.key, "").await.unwrap_err(), 403);
        }
        for (n, project) in projects.iter().enumerate() {
            let query = format!("?project_id={}&after=0", project.id);
            match live(server, &someone.key, &query).await {
                Ok(socket) => {
                    assert!(reads.contains(&n), "{:?}", someone.grants);
                    sockets.push((someone, socket, false));
                    assert!(stream(server, &someone.key, &query).await.is_ok());
                }
                Err(status) => {
                    assert!([403, 404].contains(&status) && !reads.contains(&n), "{status}");
                    assert_eq!(stream(server, &someone.key, &query).await.unwrap_err(), status);
                }
            }
        }
        let mut pipeline = Pipeline::to(&server.base);
        for _ in 0..per_caller {
            let operation = &operations[dice.below(operations.len() as u64) as usize];
            let (path, body) = request(operation, &projects, &mut dice);
            let call = Call::with_key(operation.method, &path, &someone.key, body.as_ref());
            let reply = pipeline.send(&call).await;
            assert!(reply.status < 500, "{}\n{}", call.text(), reply.text());
            let (asked, text) = (call.text(), text_of(&reply));
            for (n, project) in projects.iter().enumerate() {
                let is_lease = path == "/api/v1/worker/leases";
                if someone.reads(&projects, n) || (is_lease && someone.works(&projects, n)) {
                    continue;
                }
                // A caller is told the ids that it has asked for.
                for secret in project.secrets().filter(|secret| !asked.contains(secret)) {
                    assert!(
                        !text.contains(secret),
                        "{secret} of a foreign project is shown to {:?} {:?} by\n{asked}\n{text}",
                        someone.grants,
                        someone.narrowed
                    );
                    searched += 1;
                }
            }
            if !someone.reads_everything() {
                assert!(!text.contains(&wide), "{asked}\n{text}");
            }
            received += text.len() as u64;
        }
    }
    // Something happens everywhere, and is sent to those who may see it.
    let mut news = Vec::new();
    for project in &mut projects {
        let question = json!({"project_id": project.id, "question": project.canary});
        let asked = send(server, access::key(), "POST", "/api/v1/hitl", question).await;
        let id = asked["request_id"].as_str().unwrap().to_owned();
        project.ids.push(("request_id", id.clone()));
        news.push(id);
    }
    let mut listened = 0;
    let mut heard = Vec::new();
    for (someone, mut socket, is_all) in sockets {
        let reads = (0..PROJECTS).filter(|n| someone.reads(&projects, *n));
        let wanted: Vec<String> = reads.map(|n| news[n].clone()).collect();
        let wanted = if is_all { wanted } else { Vec::new() };
        let found = frames(&mut socket, &wanted).await;
        heard.push((someone, socket, found));
    }
    // What must not come would have come by now with the others, or soon after.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (someone, mut socket, mut found) in heard {
        while let Ok(frame) = socket.try_recv() {
            found.push(frame);
        }
        listened += found.len();
        for (n, project) in projects.iter().enumerate() {
            if someone.reads(&projects, n) {
                continue;
            }
            for secret in project.secrets() {
                let leak = found.iter().find(|frame| frame.contains(secret));
                assert!(leak.is_none(), "{secret} in {leak:?} for {:?}", someone.grants);
                searched += found.len() as u64;
            }
        }
    }
    println!(
        "{} callers, {searched} searches in {received} bytes and {listened} frames",
        callers.len()
    );
    assert!(searched > 1_000 && listened > 10, "{searched} {listened}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_no_answer_frame_or_export_shows_a_foreign_project() {
    let per_caller = count(REQUESTS.0, REQUESTS.1);
    repeat(ROUNDS, async |dice| {
        let server = TestServer::with(&NO_RUNNERS).await;
        round(&server, dice, per_caller).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_no_answer_frame_or_export_shows_a_foreign_project() {
    let Some(_) = services::database().await else { return };
    let per_caller = count(REQUESTS.0, REQUESTS.1);
    repeat(ROUNDS, async |dice| {
        let database = services::database().await.unwrap();
        let url = database.url();
        let variables = [&NO_RUNNERS[..], &[("BOTARMY_STORE__URL", url.as_str())]].concat();
        let server = TestServer::with(&variables).await;
        round(&server, dice, per_caller).await;
    })
    .await;
}
