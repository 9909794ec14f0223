//! Requests with an `Idempotency-Key`: sent again, they get the first response and change nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_tests::access::{client_of, knows};
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::{count, repeat};
use botarmy_tests::server::{TIMEOUT, TestServer};
use botarmy_tests::services;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};

const PROJECTS: &str = "/api/v1/projects";

/// Response to a keyed request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    status: u16,
    body: String,
    location: Option<String>,
    etag: Option<String>,
    is_replayed: bool,
    retry_after: Option<String>,
}

impl Sent {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Returns the first response to which this one must be equal.
    fn as_first(&self) -> Self {
        Self { is_replayed: false, ..self.clone() }
    }
}

/// Client of one user.
#[derive(Clone)]
struct User<'a> {
    client: reqwest::Client,
    base: &'a str,
    name: &'a str,
}

impl<'a> User<'a> {
    async fn of(server: &'a TestServer, name: &'a str) -> Self {
        Self { client: client_of(server, name).await, base: &server.base, name }
    }

    /// Returns the same user as a client of another server on the same database.
    async fn on<'b>(&self, other: &'b TestServer) -> User<'b>
    where
        'a: 'b,
    {
        knows(other, &self.client).await;
        User { client: self.client.clone(), base: &other.base, name: self.name }
    }

    /// Sends a request with a key; `None` if there is no response.
    async fn try_send(&self, key: &str, path: &str, body: &Value) -> Option<Sent> {
        let request = self.client.post(format!("{}{path}", self.base)).timeout(TIMEOUT);
        let request = request.header("idempotency-key", key);
        let response =
            request.header("content-type", "application/json").body(body.to_string()).send();
        let response = response.await.ok()?;
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        Some(Sent {
            status: response.status().as_u16(),
            location: header("location"),
            etag: header("etag"),
            is_replayed: header("idempotency-replayed").as_deref() == Some("true"),
            retry_after: header("retry-after"),
            body: response.text().await.ok()?,
        })
    }

    async fn send(&self, key: &str, path: &str, body: &Value) -> Sent {
        self.try_send(key, path, body).await.unwrap()
    }

    /// Sends a request twice and checks that the second response is the first one, and changed
    /// nothing.
    async fn twice(&self, server: &TestServer, key: &str, path: &str, body: Value) -> Value {
        let first = self.send(key, path, &body).await;
        assert!(matches!(first.status, 200..=202) && !first.is_replayed, "{path}: {first:?}");
        let before = newest(server).await;
        let second = self.send(key, path, &body).await;
        assert_eq!(second.as_first(), first, "{path}");
        assert!(second.is_replayed, "{path}: {second:?}");
        let written = newest(server).await;
        let own = |event: &&Value| event["event_metadata"]["actor"] == self.name;
        let count = |events: &[Value]| events.iter().filter(own).count();
        assert_eq!(count(&before), count(&written), "{path} was done twice");
        first.json()
    }
}

/// Returns the newest entries of all logs.
async fn newest(server: &TestServer) -> Vec<Value> {
    let (_, events) = server.get("/api/v1/audit/events?limit=1000").await;
    events.as_array().unwrap().clone()
}

async fn named(server: &TestServer, name: &str) -> usize {
    let (_, listed) = server.get("/api/v1/projects?limit=1000").await;
    listed["items"].as_array().unwrap().iter().filter(|project| project["name"] == name).count()
}

fn project(name: &str) -> Value {
    json!({"name": name, "description": "Notes for a choir"})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

const NO_RUNNERS: [(&str, &str); 2] =
    [("BOTARMY_AGENTS__CODER__RUNNER", "none"), ("BOTARMY_AGENTS__TESTER__RUNNER", "none")];

/// A workflow whose policy has an escalation.
const LEADS: &str = "
name = \"leads\"
[[policy]]
name = \"leads\"
digest = \"optional\"
escalate = [{ after_s = 3600, to = [\"group:leads\"] }]
[[step]]
name = \"Write\"
phase = \"1\"
agent = \"coder\"
output = \"agent_output\"
";

#[tokio::test]
async fn every_operation_that_takes_a_key_replays_its_first_response() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("leads.toml"), LEADS).unwrap();
    let folder = ("BOTARMY_WORKFLOWS__DIR", folder.path().to_str().unwrap());
    let server = TestServer::with(&[&NO_RUNNERS[..], &[folder]].concat()).await;
    let user = User::of(&server, "ada").await;
    User::of(&server, "bob").await;
    let mut covered = BTreeSet::new();
    let mut number = 0;
    let mut twice = async |operation: &str, path: String, body: Value| {
        number += 1;
        covered.insert(operation.to_owned());
        user.twice(&server, &format!("key-{number}"), &path, body).await
    };
    let by_hand = twice(PROJECTS, PROJECTS.to_owned(), project("By hand")).await;
    let by_hand = text(&by_hand["id"]).to_owned();
    let started = server.by_hand().await;
    let of = |id: &str, rest: &str| format!("{PROJECTS}/{id}/{rest}");
    for rest in ["start", "pause", "resume"] {
        let operation = format!("{PROJECTS}/{{project_id}}/{rest}");
        twice(&operation, of(&started, rest), json!({})).await;
    }
    let gate = server.next_gate(&started).await.unwrap();
    let respond = "/api/v1/hitl/{request_id}/respond";
    let path = format!("/api/v1/hitl/{}/respond", text(&gate["request_id"]));
    twice(respond, path, json!({"action": "reject", "comment": "Not this year"})).await;
    let operation = format!("{PROJECTS}/{{project_id}}/reopen");
    twice(&operation, of(&started, "reopen"), json!({"reason": "A mistake"})).await;
    let operation = format!("{PROJECTS}/{{project_id}}/cancel");
    twice(&operation, of(&started, "cancel"), json!({})).await;

    let operation = format!("{PROJECTS}/{{project_id}}/tasks");
    let task = json!({"agent_type": "coder", "instructions": "A greeting"});
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let made = twice(&operation, of(&by_hand, "tasks"), task.clone()).await;
        tasks.push(text(&made["task_id"]).to_owned());
    }
    let cancelled = format!("/api/v1/tasks/{}/cancel", tasks[1]);
    twice("/api/v1/tasks/{task_id}/cancel", cancelled, json!({})).await;
    let poll = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 10});
    let (_, leased) = server.post("/api/v1/worker/leases", poll).await;
    let failure = json!({"code": "broken", "message": "It broke.", "retryable": false});
    assert_eq!(server.say(&leased["leases"][0], "fail", failure).await.0, 200);
    let retried = format!("/api/v1/tasks/{}/retry", tasks[0]);
    twice("/api/v1/tasks/{task_id}/retry", retried, json!({})).await;

    let question = json!({"project_id": by_hand, "question": "Which?"});
    let asked = twice("/api/v1/hitl", "/api/v1/hitl".to_owned(), question).await;
    let bulk = "/api/v1/hitl/bulk/respond";
    let answer = json!({"request_ids": [asked["request_id"]], "action": "approve"});
    twice(bulk, bulk.to_owned(), answer).await;
    let led = json!({"name": "Led", "workflow": "leads"});
    let (_, led) = server.post(PROJECTS, led).await;
    let question = json!({"project_id": led["id"], "question": "Who?", "policy": "leads"});
    let (_, asked) = server.post("/api/v1/hitl", question).await;
    let asked = text(&asked["request_id"]);
    let resolved = json!({"status": "resolved", "payload": {"action": "approve"}});
    for (rest, body) in [
        ("claim", json!({})),
        ("unclaim", json!({})),
        ("extend", json!({"by_s": 60})),
        ("remind", json!({})),
        ("escalate", json!({})),
        ("comments", json!({"text": "Well?"})),
        ("delegate", json!({"to": "bob"})),
        ("resume", resolved),
    ] {
        let operation = format!("/api/v1/hitl/{{request_id}}/{rest}");
        twice(&operation, format!("/api/v1/hitl/{asked}/{rest}"), body).await;
    }
    let artifact = json!({
        "project_id": by_hand, "source_agent": "analyst", "artifact_type": "agent_output",
        "content": {"title": "\u{e9}\n"},
    });
    twice("/api/v1/context", "/api/v1/context".to_owned(), artifact).await;
    let generate = format!("/api/v1/artifacts/{by_hand}/generate");
    twice("/api/v1/artifacts/{project_id}/generate", generate, json!({})).await;
    let reset = "/api/v1/agents/status/{agent_type}/reset";
    twice(reset, "/api/v1/agents/status/coder/reset".to_owned(), json!({})).await;
    let stop = json!({"scope": "project", "project_id": by_hand, "reason": "Enough"});
    twice("/api/v1/emergency-stop", "/api/v1/emergency-stop".to_owned(), stop).await;
    let operation = format!("{PROJECTS}/{{project_id}}/force-complete");
    twice(&operation, of(&by_hand, "force-complete"), json!({})).await;

    // A check that finds nothing to complete changes nothing, so there is nothing to keep.
    let operation = format!("{PROJECTS}/{{project_id}}/check-completion");
    let first = user.send("check", &of(&by_hand, "check-completion"), &json!({})).await;
    assert_eq!(user.send("check", &of(&by_hand, "check-completion"), &json!({})).await, first);
    covered.insert(operation);

    let (_, document) = server.get("/openapi.json").await;
    let key = json!({"$ref": "#/components/parameters/IdempotencyKey"});
    let (mut keyed, mut others) = (BTreeSet::new(), Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameters) = item["post"]["parameters"].as_array() else { continue };
        if parameters.contains(&key) {
            keyed.insert(path.clone());
        } else {
            others.push(path.replace(['{', '}'], ""));
        }
    }
    assert_eq!(covered, keyed, "each is tested here");
    for path in others {
        let sent = user.send("other", &path, &json!({})).await;
        assert_eq!(sent.status, 400, "{path}: {sent:?}");
        assert_eq!(sent.json()["type"], "urn:botarmy:problem:idempotency_key_not_taken");
    }
}

#[tokio::test]
async fn another_request_with_the_same_key_is_422_and_changes_nothing() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let user = User::of(&server, "ada").await;
    let first = user.send("k", PROJECTS, &project("One")).await;
    let path = first.location.clone().unwrap();
    let before = newest(&server).await;
    let task = json!({"agent_type": "coder", "instructions": "A greeting"});
    let bulk = json!({"request_ids": [first.json()["id"]], "action": "approve"});
    for (path, body) in [
        (PROJECTS.to_owned(), project("Two")),
        (format!("{path}/tasks"), task.clone()),
        (format!("{path}/pause"), json!({})),
        ("/api/v1/hitl/bulk/respond".to_owned(), bulk),
    ] {
        let sent = user.send("k", &path, &body).await;
        assert_eq!(sent.status, 422, "{path}: {sent:?}");
        assert_eq!(sent.json()["errors"][0]["field"], "Idempotency-Key");
    }
    assert_eq!(newest(&server).await, before);
    // White space and the order of keys make no other request; quotation marks make no other key.
    let same = "{\"description\": \"Notes for a choir\",\n \"name\": \"One\"}";
    let raw = user.client.post(format!("{}{PROJECTS}", server.base));
    let raw = raw.header("idempotency-key", "\"k\"");
    let response = raw.body(same).send().await.unwrap();
    assert_eq!(response.headers()["idempotency-replayed"], "true");
    assert_eq!(response.text().await.unwrap(), first.body);
}

#[tokio::test]
async fn a_refused_request_keeps_nothing_and_may_be_corrected() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let user = User::of(&server, "ada").await;
    for (body, status) in [
        (json!({"name": " "}), 422),
        (json!({"nme": "One"}), 422),
        (json!({"name": "One", "workflow": "none"}), 422),
        (project("One"), 201),
    ] {
        let sent = user.send("k", PROJECTS, &body).await;
        assert_eq!((sent.status, sent.is_replayed), (status, false), "{sent:?}");
    }
    let id = server.by_hand().await;
    let pause = format!("{PROJECTS}/{id}/pause");
    let resume = format!("{PROJECTS}/{id}/resume");
    assert_eq!(user.send("again", &resume, &json!({})).await.status, 409);
    assert_eq!(user.send("pause", &pause, &json!({})).await.status, 200);
    let resumed = user.send("again", &resume, &json!({})).await;
    assert_eq!((resumed.status, resumed.is_replayed), (200, false), "{resumed:?}");
    // What follows does not change what is replayed.
    assert_eq!(user.send("pause-2", &pause, &json!({})).await.status, 200);
    assert_eq!(user.send("again", &resume, &json!({})).await.body, resumed.body);
}

#[tokio::test]
async fn a_key_is_its_principals_own_and_a_malformed_one_is_400() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let (ada, bob) = (User::of(&server, "ada").await, User::of(&server, "bob").await);
    let (first, other) = (
        ada.send("k", PROJECTS, &project("Shared")).await,
        bob.send("k", PROJECTS, &project("Shared")).await,
    );
    assert_eq!((first.status, other.status, other.is_replayed), (201, 201, false));
    assert_ne!(first.body, other.body);
    assert_eq!(named(&server, "Shared").await, 2);
    let long = "k".repeat(256);
    for key in ["", "a b", "a,b", "\"a", "\"a\" ;p=1", long.as_str()] {
        let sent = ada.send(key, PROJECTS, &project("Malformed")).await;
        assert_eq!(sent.status, 400, "{key}: {sent:?}");
        assert_eq!(sent.json()["type"], "urn:botarmy:problem:idempotency_key_malformed");
    }
    let twice = ada.client.post(format!("{}{PROJECTS}", server.base));
    let twice = twice.header("idempotency-key", "a").header("idempotency-key", "b");
    let response = twice.body(project("Malformed").to_string()).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(named(&server, "Malformed").await, 0);
}

#[tokio::test]
async fn while_the_first_is_in_progress_a_second_is_409_and_another_request_422() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let user = User::of(&server, "ada").await;
    let file = server.data_dir().join("botarmy.db");
    let mut database = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    // While another program writes, the decision waits.
    database.batch_execute("BEGIN IMMEDIATE").unwrap();
    let body = project("Slow");
    let sending = async { user.send("k", PROJECTS, &body).await };
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let second = user.send("k", PROJECTS, &body).await;
        let other = user.send("k", PROJECTS, &project("Other")).await;
        database.batch_execute("COMMIT").unwrap();
        (second, other)
    };
    let (first, (second, other)) = tokio::join!(sending, meanwhile);
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!((second.status, second.retry_after.as_deref()), (409, Some("1")), "{second:?}");
    assert_eq!(second.json()["type"], "urn:botarmy:problem:idempotency_key_in_progress");
    assert_eq!(other.status, 422, "{other:?}");
    let third = user.send("k", PROJECTS, &body).await;
    assert_eq!((third.as_first(), third.is_replayed), (first, true));
    assert_eq!(named(&server, "Slow").await, 1);
}

#[tokio::test]
async fn of_many_at_once_one_has_an_effect() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let user = User::of(&server, "ada").await;
    let body = project("At once");
    let sent =
        futures_util::future::join_all((0..32).map(|_| user.send("k", PROJECTS, &body))).await;
    let done: Vec<_> = sent.iter().filter(|sent| sent.status == 201).collect();
    assert!(sent.iter().all(|sent| matches!(sent.status, 201 | 409)), "{sent:?}");
    assert_eq!(done.iter().filter(|sent| !sent.is_replayed).count(), 1, "{sent:?}");
    assert!(done.iter().all(|sent| sent.body == done[0].body), "{sent:?}");
    assert_eq!(named(&server, "At once").await, 1);
}

/// Sends the body under each of these keys while the server is being killed; returns the responses
/// that arrived.
async fn while_killed(
    server: &TestServer,
    user: &User<'_>,
    keys: &[String],
    body: impl Fn(&str) -> Value,
    delay: Duration,
) -> Vec<Option<Sent>> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    let sending = keys.iter().map(|key| {
        let body = body(key);
        async move { user.try_send(key, PROJECTS, &body).await }
    });
    let killing = async {
        tokio::time::sleep(delay).await;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    let (sent, ()) = tokio::join!(futures_util::future::join_all(sending), killing);
    sent
}

/// Kills a server while it answers, until a decision was committed whose response never left. The
/// requests are then sent again, to another server if there is one.
///
/// Each round moves the longest delay of the next one to where the commits are: later if there were none,
/// and earlier if each request had its response. The machine, and what runs beside it, decide when that is.
async fn kills_between_commit_and_response(
    dice: &mut Dice,
    server: &mut TestServer,
    other: Option<&TestServer>,
) {
    const MAX_ROUNDS: usize = 60;
    let client = client_of(server, "ada").await;
    if let Some(other) = other {
        knows(other, &client).await;
    }
    let (mut unsent, mut rounds) = (0, 0);
    let mut longest = 40_000;
    while unsent == 0 {
        assert!(rounds < MAX_ROUNDS, "no decision was committed without its response");
        let keys: Vec<_> = (0..32).map(|n| format!("{rounds}/{n}")).collect();
        let delay = Duration::from_micros(dice.below(longest));
        let user = User { client: client.clone(), base: &server.base, name: "ada" };
        let first = while_killed(server, &user, &keys, project, delay).await;
        server.kill_and_restart().await;
        let base = &other.unwrap_or(&*server).base;
        let user = User { client: client.clone(), base, name: "ada" };
        if first.iter().all(Option::is_some) {
            longest = (longest / 2).max(1_000);
        }
        let mut committed = 0;
        for (key, first) in keys.iter().zip(first) {
            let again = user.send(key, PROJECTS, &project(key)).await;
            assert_eq!(again.status, 201, "{again:?}");
            committed += usize::from(again.is_replayed);
            match first {
                Some(first) => {
                    assert_eq!((again.as_first(), again.is_replayed), (first, true), "{key}");
                }
                None => unsent += usize::from(again.is_replayed),
            }
            let shown = again.json();
            let location = again.location.clone().unwrap();
            assert_eq!(location, format!("{PROJECTS}/{}", text(&shown["id"])));
            let (_, stored) = server.get(&location).await;
            assert_eq!(stored["created_at"], shown["created_at"]);
            let third = user.send(key, PROJECTS, &project(key)).await;
            assert_eq!((third.as_first(), third.is_replayed), (again.as_first(), true));
        }
        let listed = named_like(server, &format!("{rounds}/")).await;
        assert_eq!(listed, keys.len(), "each was created once");
        if committed == 0 {
            longest *= 2;
        }
        rounds += 1;
    }
    println!("{unsent} responses never left, in {rounds} rounds, the last within {longest} us");
}

async fn named_like(server: &TestServer, beginning: &str) -> usize {
    let mut cursor = String::new();
    let mut found = 0;
    loop {
        let (_, listed) = server.get(&format!("{PROJECTS}?limit=1000{cursor}")).await;
        let items = listed["items"].as_array().unwrap();
        found += items.iter().filter(|one| text(&one["name"]).starts_with(beginning)).count();
        match listed["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Rounds of the test under `just prove`.
const ROUNDS: u32 = 5;

#[tokio::test]
async fn a_response_that_a_kill_kept_from_leaving_is_replayed() {
    repeat(ROUNDS, async |mut dice| {
        let mut server = TestServer::with(&NO_RUNNERS).await;
        kills_between_commit_and_response(&mut dice, &mut server, None).await;
    })
    .await;
}

fn replica_variables(url: &str) -> [(&str, &str); 4] {
    let [coder, tester] = NO_RUNNERS;
    [("BOTARMY_STORE__URL", url), ("BOTARMY_SERVER__ROLE", "api"), coder, tester]
}

#[tokio::test]
async fn what_one_server_was_killed_over_another_replays() {
    let Some(database) = services::database().await else { return };
    let url = database.url();
    let variables = replica_variables(&url);
    let (mut a, b) = tokio::join!(TestServer::with(&variables), TestServer::with(&variables));
    kills_between_commit_and_response(&mut Dice::new(), &mut a, Some(&b)).await;
}

#[tokio::test]
async fn of_two_servers_that_get_the_same_request_one_has_an_effect() {
    let Some(database) = services::database().await else { return };
    let url = database.url();
    let variables = replica_variables(&url);
    let (a, b) = tokio::join!(TestServer::with(&variables), TestServer::with(&variables));
    let ada = User::of(&a, "ada").await;
    let same = ada.on(&b).await;
    // The other server notices the new key within a second.
    let is_known = async || same.send("", PROJECTS, &json!({})).await.status != 401;
    b.until(|_| is_known()).await;
    for round in 0..count(20, 200) {
        let (key, body) = (format!("k-{round}"), project(&format!("Round {round}")));
        let (one, two) =
            tokio::join!(ada.send(&key, PROJECTS, &body), same.send(&key, PROJECTS, &body));
        assert_eq!((one.status, two.status), (201, 201), "{one:?} {two:?}");
        assert_eq!(one.as_first(), two.as_first());
        assert!(one.is_replayed != two.is_replayed, "{one:?} {two:?}");
        let other = same.send(&key, PROJECTS, &project("Other")).await;
        assert_eq!(other.status, 422, "{other:?}");
        assert_eq!(named(&a, &format!("Round {round}")).await, 1);
    }
    let id = a.by_hand().await;
    for round in 0..count(10, 100) {
        let (_, gate) =
            a.post("/api/v1/hitl", json!({"project_id": id, "question": "Which?"})).await;
        let path = format!("/api/v1/hitl/{}/respond", text(&gate["request_id"]));
        let (key, body) = (format!("r-{round}"), json!({"action": "approve"}));
        let (one, two) = tokio::join!(ada.send(&key, &path, &body), same.send(&key, &path, &body));
        assert_eq!((one.status, two.status), (200, 200), "{one:?} {two:?}");
        assert_eq!(one.as_first(), two.as_first());
        assert!(one.is_replayed != two.is_replayed, "{one:?} {two:?}");
    }
}

#[tokio::test]
async fn a_response_that_is_too_large_to_be_kept_is_refused_before_anything_is_changed() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let user = User::of(&server, "ada").await;
    let id = server.by_hand().await;
    let artifact = |size: usize| {
        json!({
            "project_id": id, "source_agent": "analyst", "artifact_type": "agent_output",
            "content": {"text": "x".repeat(size)},
        })
    };
    let before = newest(&server).await;
    let refused = user.send("k", "/api/v1/context", &artifact(1 << 20)).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("without a key"), "{refused:?}");
    assert_eq!(newest(&server).await, before);
    user.twice(&server, "k", "/api/v1/context", artifact(500_000)).await;
}
