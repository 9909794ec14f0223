//! Event streams: what their readers get, also those that come and go, and those that are slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use botarmy_tests::dice::Dice;
use botarmy_tests::event_stream::{Event, EventStream};
use botarmy_tests::prove::count;
use botarmy_tests::server::{TIMEOUT, TestServer, bare_client_builder, http_client};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

async fn next(stream: &mut EventStream) -> (Event, Value) {
    let event = tokio::time::timeout(TIMEOUT, stream.next()).await.expect("no event came");
    let event = event.expect("the stream has ended");
    let frame = serde_json::from_str(&event.data).unwrap();
    (event, frame)
}

#[tokio::test]
async fn a_reader_of_a_project_gets_its_whole_log_across_connections_and_a_killed_server() {
    let mut server = TestServer::on_port(free_port(), &[]).await;
    let client = http_client();
    let project = server.project("Notes for a choir").await;
    let query = format!("?project_id={project}");
    let mut stream = EventStream::open(&client, &server.base, &query, Some("0")).await.unwrap();
    let mut seen = 0;
    while seen < 5 {
        let (event, frame) = next(&mut stream).await;
        assert_eq!(event.event_type, frame["event_type"]);
        if let Some(seq) = frame["seq"].as_u64() {
            assert_eq!((seq, stream.last_id.as_str()), (seen + 1, (seen + 1).to_string().as_str()));
            seen = seq;
        }
    }
    server.kill_and_restart().await;
    // Events that were on their way before.
    while let Some(event) = tokio::time::timeout(TIMEOUT, stream.next()).await.unwrap() {
        let frame: Value = serde_json::from_str(&event.data).unwrap();
        if let Some(seq) = frame["seq"].as_u64() {
            assert_eq!(seq, seen + 1, "a gap, or something twice");
            seen = seq;
        }
    }
    assert_eq!(stream.last_id, seen.to_string());
    let last = stream.last_id.clone();
    let mut stream = EventStream::open(&client, &server.base, &query, Some(&last)).await.unwrap();
    let approving = server.approve_all(&project);
    let reading = async {
        loop {
            let (event, frame) = next(&mut stream).await;
            if let Some(seq) = frame["seq"].as_u64() {
                assert_eq!(seq, seen + 1, "a gap, or something twice");
                seen = seq;
            }
            if event.event_type == "artifact_created" {
                return;
            }
        }
    };
    let (status, ()) = tokio::join!(approving, reading);
    assert_eq!(status, "completed");
    assert_eq!(server.events(&project).await.len() as u64, seen);
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_stream_ends_with_its_credential_and_when_the_server_stops() {
    let mut server = TestServer::start().await;
    let body = json!({"name": "reader", "kind": "service",
                      "grants": [{"role": "viewer", "on": "all"}]});
    let (_, principal) = server.post("/api/v1/access/principals", body).await;
    let body = json!({"principal_id": principal["id"], "name": "a key"});
    let (_, key) = server.post("/api/v1/access/keys", body).await;
    let secret = format!("Bearer {}", key["key"].as_str().unwrap());
    let headers = [(reqwest::header::AUTHORIZATION, secret.parse().unwrap())];
    let bare = bare_client_builder().default_headers(headers.into_iter().collect());
    let bare = bare.build().unwrap();
    let mut stream = EventStream::open(&bare, &server.base, "", None).await.unwrap();
    let path = format!("/api/v1/access/keys/{}", key["id"].as_str().unwrap());
    assert_eq!(server.delete(&path).await.0, 200);
    let ended = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(2), ended).await.expect("it should have ended");
    let refused = EventStream::open(&bare, &server.base, "", Some(&stream.last_id)).await;
    assert_eq!(refused.unwrap_err(), 401);

    let mut stream = EventStream::open(&http_client(), &server.base, "", None).await.unwrap();
    let stopping = Instant::now();
    assert_eq!(server.terminate().await, Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    while stream.next().await.is_some() {}
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_and_no_proxy_may_collect_it() {
    let server = TestServer::start().await;
    let mut stream = EventStream::open(&http_client(), &server.base, "", None).await.unwrap();
    let alive = async {
        while stream.comments == 0 {
            let _ = tokio::time::timeout(Duration::from_millis(100), stream.next()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), alive).await.expect("no comment came");
    let request = http_client().get(format!("{}/api/v1/events/stream", server.base));
    let response = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(response.headers().get("content-encoding"), None);
}

/// Position of a reader in each log that it follows.
#[derive(Default)]
struct Seen {
    logs: HashMap<String, u64>,
    events: usize,
}

impl Seen {
    /// Records an event, which must be the next one of its log.
    fn record(&mut self, event: &Event) {
        assert_ne!(event.event_type, "gap", "{}", event.data);
        let frame: Value = serde_json::from_str(&event.data).unwrap();
        let (project, seq) = (frame["project_id"].as_str(), frame["seq"].as_u64());
        let (Some(project), Some(seq)) = (project, seq) else { return };
        let seen = self.logs.entry(project.to_owned()).or_default();
        assert_eq!(seq, *seen + 1, "a gap, or something twice");
        *seen = seq;
        self.events += 1;
    }
}

/// Reads until every log has this many entries, and disconnects at random.
async fn read_with_disconnects(
    client: Client,
    base: String,
    query: String,
    mut id: String,
    (logs, entries): (usize, u64),
    mut dice: Dice,
) -> usize {
    let (mut seen, mut connections) = (Seen::default(), 0);
    loop {
        let Ok(mut stream) = EventStream::open(&client, &base, &query, Some(&id)).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        connections += 1;
        let until = seen.events + 1 + dice.below(entries) as usize;
        while seen.events < until {
            let event = tokio::time::timeout(TIMEOUT * 10, stream.next()).await;
            let Some(event) = event.expect("no event came") else { break };
            seen.record(&event);
            if seen.logs.len() == logs && seen.logs.values().all(|seq| *seq == entries) {
                return connections;
            }
        }
        id.clone_from(&stream.last_id);
        drop(stream);
        tokio::time::sleep(Duration::from_millis(dice.below(50))).await;
    }
}

/// Number of logs that are written.
const LOGS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_come_and_go_get_every_position_once_and_slow_ones_delay_none() {
    let readers = count(40, 1_000) as usize;
    let entries = u64::from(count(500, 25_000));
    let server = TestServer::with(&[
        ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
        ("BOTARMY_LIMITS__PERSON_STREAMS", "3000"),
        ("BOTARMY_LIMITS__PERSON_UNITS_PER_S", "0"),
    ])
    .await;
    let client = http_client();
    // The position in all logs before any of these is written.
    let mut begin = EventStream::open(&client, &server.base, "", None).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(300), begin.next()).await;
    let begin = begin.last_id.clone();
    let mut projects = Vec::new();
    for _ in 0..LOGS {
        projects.push(server.by_hand().await);
    }
    // These never read: their connections are open, and full.
    let mut stalled = Vec::new();
    for n in 0..10 {
        let query = format!("?project_id={}", projects[n % LOGS]);
        stalled.push(EventStream::open(&client, &server.base, &query, Some("0")).await.unwrap());
    }
    let (mut dice, mut reading) = (Dice::new(), JoinSet::new());
    for n in 0..readers {
        let (query, id, logs) = if n % 2 == 0 {
            (String::new(), begin.clone(), LOGS)
        } else {
            (format!("?project_id={}", projects[n % LOGS]), "0".to_owned(), 1)
        };
        let (client, base) = (client.clone(), server.base.clone());
        let reader = read_with_disconnects(client, base, query, id, (logs, entries), dice.fork());
        reading.spawn(reader);
    }
    let written = Arc::new(AtomicUsize::new(0));
    let mut writing = JoinSet::new();
    for project in &projects {
        let url = format!("{}/api/v1/projects/{project}/tasks", server.base);
        for part in 0..8 {
            let (client, url, written) = (client.clone(), url.clone(), Arc::clone(&written));
            // The first entry says that the project was created.
            let share = (entries - 1) / 8 + u64::from(part < (entries - 1) % 8);
            writing.spawn(async move {
                for _ in 0..share {
                    let body = json!({"agent_type": "coder", "instructions": "x"});
                    let request = client.post(&url).json(&body).send().await.unwrap();
                    assert_eq!(request.status(), 201, "{}", request.text().await.unwrap());
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    while let Some(done) = writing.join_next().await {
        done.unwrap();
    }
    let at_end = Instant::now();
    assert_eq!(written.load(Ordering::Relaxed), LOGS * (entries as usize - 1));
    let mut connections = 0;
    while let Some(done) = reading.join_next().await {
        connections += done.unwrap();
    }
    println!(
        "{readers} readers, {connections} connections, {} entries; the last reader was done {:?} \
         after the last write",
        LOGS as u64 * entries,
        at_end.elapsed()
    );
    assert!(connections > readers, "hardly any reader has disconnected");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap());
    drop(stalled);
}
