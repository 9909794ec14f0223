//! Memory of the server beside large texts: what it needs follows the size of the largest text, and
//! not the size of a log, of a package, or of what clients do not read.
//!
//! Each measure is the growth of the peak of the resident memory during one request, above the
//! memory before it. A text that is read is in memory a few times at once: as a row of the database,
//! as a parsed document, in its canonical form while it is hashed, and as the bytes that are written.
//! Those are four copies, and a page of a log ends with the text that reaches its size, so a fifth may
//! begin. That is [`COPIES`], and [`BASE`] is for what does not depend on texts. What holds a log or a
//! package as a whole needs at least twice its size.
//!
//! The allocator of glibc keeps what is freed in an arena of the thread that allocated it, and has up to
//! eight arenas for each processor. Texts of 5 MB that pass through several threads left 126 MB there,
//! where the server needed 12. So the server runs with two arenas here, as the image does.

use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use botarmy_tests::prove::count;
use botarmy_tests::server::{TIMEOUT, TestServer};
use botarmy_tests::watcher::Watcher;
use diesel::connection::SimpleConnection;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::log::database;

/// Number of times that the largest text may be in memory during a request.
const COPIES: u64 = 5;
/// Growth that does not depend on the size of texts, in MB: the page caches of the four connections
/// of the database that read, 8 MB each, and buffers.
const BASE: u64 = 40;
/// Number of subscribers that do not read, of each kind.
const SUBSCRIBERS: usize = 8;

/// Returns a value of `/proc/PID/status`, in MB.
fn status(server: &TestServer, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Measures the growth of the resident memory from now on.
struct Growth<'a> {
    server: &'a TestServer,
    before: u64,
    started: Instant,
}

impl<'a> Growth<'a> {
    fn of(server: &'a TestServer) -> Self {
        // 5 resets the peak (proc_pid_clear_refs(5)).
        std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
        Self { server, before: status(server, "VmRSS:"), started: Instant::now() }
    }

    /// Prints the growth up to now, and panics if it is more than a few times the largest text.
    fn end(self, what: &str, text_mb: u64) {
        let grown = status(self.server, "VmHWM:").saturating_sub(self.before);
        let bar = BASE + COPIES * text_mb;
        let took = self.started.elapsed();
        println!("{what}: +{grown} MB above {} MB (bar {bar} MB), {took:.1?}", self.before);
        assert!(grown <= bar, "{what}: memory grew by {grown} MB, and {bar} MB are allowed");
    }
}

/// Returns a server that accepts texts of this size.
async fn server_for(text: usize) -> TestServer {
    let (texts, bodies) = ((text + 1000).to_string(), (2 * text).to_string());
    TestServer::with(&[
        ("MALLOC_ARENA_MAX", "2"),
        ("BOTARMY_HTTP__TEXT_LIMIT_BYTES", &texts),
        ("BOTARMY_HTTP__BODY_LIMIT_BYTES", &bodies),
        ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
        // Clients that do not read must not be disconnected while they are measured.
        ("BOTARMY_WS__PING_INTERVAL_S", "600"),
        ("BOTARMY_WS__SEND_TIMEOUT_S", "600"),
    ])
    .await
}

/// Returns the size of a text in bytes and in MB, and the number of them in a log and in a package.
fn sizes() -> (usize, u64, usize, usize) {
    // A build without optimisation stores about 4 MB of texts in a second.
    let mb = count(1, 5);
    let (entries, documents) = if mb == 1 { (32, 24) } else { (40, 60) };
    ((mb as usize) << 20, mb.into(), entries, documents)
}

/// Writes entries with a large text each into the log of a project.
async fn write_entries(server: &TestServer, project: &str, text: usize, number: usize) {
    let question = json!({"project_id": project, "question": "word ".repeat(text / 5)}).to_string();
    for _ in 0..number {
        let response = server.raw(Method::POST, "/api/v1/hitl", Some(question.clone())).await;
        assert_eq!(response.unwrap().status(), 201);
    }
}

/// Reads a response as it arrives, and returns its size and a hash of its bytes.
async fn read(server: &TestServer, path: &str) -> (usize, u64) {
    let response = server.raw(Method::GET, path, None).await.unwrap();
    assert_eq!(response.status(), 200);
    let length = response.content_length();
    let (mut size, mut hash, mut body) = (0, DefaultHasher::new(), response.bytes_stream());
    while let Some(bytes) = body.next().await {
        let bytes = bytes.unwrap();
        size += bytes.len();
        bytes.iter().for_each(|byte| hash.write_u8(*byte));
    }
    assert!(length.is_none_or(|length| length == size as u64));
    (size, hash.finish())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_and_a_check_need_the_memory_of_one_entry() {
    let (text, mb, entries, _) = sizes();
    let server = server_for(text).await;
    let project = server.by_hand().await;
    // Many small entries first: a page must not be as long as those let it be.
    for n in 0..100 {
        server.submit(&project, "coder", &format!("Part {n}")).await;
    }
    write_entries(&server, &project, text, entries).await;
    let log = format!("/api/v1/audit/projects/{project}");

    let growth = Growth::of(&server);
    let (size, _) = read(&server, &format!("{log}/export")).await;
    growth.end(&format!("export of {entries} entries of {mb} MB"), mb);
    assert!(size > entries * text, "{size}");

    let growth = Growth::of(&server);
    let (status, found) = server.get(&format!("{log}/verify")).await;
    growth.end(&format!("check of {entries} entries of {mb} MB"), mb);
    assert_eq!((status, &found["valid"]), (200, &Value::Bool(true)), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_of_the_state_needs_the_memory_of_one_text() {
    let (text, mb, entries, _) = sizes();
    let server = server_for(text).await;
    let project = server.by_hand().await;
    write_entries(&server, &project, text, entries).await;
    let instructions = "word ".repeat(text / 5);
    for _ in 0..entries {
        server.submit(&project, "coder", &instructions).await;
    }
    let path = format!("/api/v1/audit/projects/{project}/verify?state=true");

    let growth = Growth::of(&server);
    let (status, found) = server.get(&path).await;
    growth.end(&format!("comparison of {entries} requests and {entries} tasks of {mb} MB"), mb);
    assert_eq!((status, &found["valid"]), (200, &json!(true)), "{found}");
    assert!(found["state"]["rows"].as_u64().unwrap() > 2 * entries as u64, "{found}");

    let longer = "UPDATE hitl_requests SET body = json_set(body, '$.question', \
                  json_extract(body, '$.question') || '!') \
                  WHERE id = (SELECT max(id) FROM hitl_requests)";
    database(&server).batch_execute(longer).unwrap();
    let found = server.get(&path).await.1;
    let difference = &found["state"]["difference"];
    let said = |name: &str| difference[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((said("table"), said("field")), ("hitl_requests".into(), "question".into()));
    let length = 5 * (text / 5);
    for (name, length) in [("expected", length), ("found", length + 1)] {
        let value = said(name);
        let digest = format!("({length} characters with the digest ");
        assert!(value.starts_with("\"word word ") && value.contains(&digest), "{name}: {value}");
        assert!(value.len() < 300, "{name}: {value}");
    }
    assert_ne!(said("expected"), said("found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_needs_the_memory_of_one_document() {
    let (text, mb, _, documents) = sizes();
    let server = server_for(text).await;
    let project = server.by_hand().await;
    let path = "/api/v1/context";
    for n in 0..documents {
        let content = json!({"markdown": format!("{n} {}", "word ".repeat(text / 5))});
        let document = json!({
            "project_id": project, "source_agent": "coder", "artifact_type": "agent_output",
            "content": content,
        });
        let response = server.raw(Method::POST, path, Some(document.to_string())).await.unwrap();
        assert_eq!(response.status(), 201);
    }
    let artifacts = format!("/api/v1/artifacts/{project}");
    let all = documents as u64 * mb;

    let growth = Growth::of(&server);
    let (status, made) = server.post(&format!("{artifacts}/generate"), json!({})).await;
    growth.end(&format!("generation of a package of {all} MB"), mb);
    assert_eq!((status, &made["artifact_count"]), (200, &json!(documents + 3)), "{made}");

    let growth = Growth::of(&server);
    let first = read(&server, &format!("{artifacts}/download")).await;
    growth.end(&format!("download of a package of {all} MB"), mb);
    let growth = Growth::of(&server);
    let again = read(&server, &format!("{artifacts}/download")).await;
    growth.end("second download of the same package", mb);
    assert_eq!(first, again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_do_not_read_need_the_memory_of_one_frame_together() {
    let (text, mb, entries, _) = sizes();
    let server = server_for(text).await;
    let project = server.by_hand().await;
    // What writing alone needs, such as the pages of the database, is there before the measure.
    let beside = server.by_hand().await;
    write_entries(&server, &beside, text, entries).await;
    let one_project = format!("?project_id={project}");
    for (query, what) in [("?project_id=all", "all projects"), (&*one_project, "one project")] {
        let mut silent = Vec::new();
        for _ in 0..SUBSCRIBERS {
            silent.push(Watcher::with_small_buffer(&server.base, query).await);
        }
        let mut reader = Watcher::on(&server.base, &one_project).await;
        let growth = Growth::of(&server);
        let reading = async {
            let (mut questions, mut slowest) = (0, Duration::ZERO);
            while questions < entries {
                let started = Instant::now();
                let frame = reader.next().await.expect("the connection ended");
                slowest = slowest.max(started.elapsed());
                questions += usize::from(frame["event_type"] == "hitl_request_created");
            }
            slowest
        };
        let writing = write_entries(&server, &project, text, entries);
        let (slowest, ()) = tokio::join!(reading, writing);
        assert!(slowest < TIMEOUT / 2, "a client that reads waited {slowest:?}");
        // Time for the scan of all logs, which runs every five seconds.
        tokio::time::sleep(Duration::from_secs(if mb == 1 { 0 } else { 6 })).await;
        growth.end(&format!("{SUBSCRIBERS} subscribers of {what} that do not read"), mb);

        // They were not left out: once one reads, it gets every entry.
        let late = silent.first_mut().unwrap();
        let mut questions = 0;
        while questions < entries {
            let frame = late.next().await.expect("one that did not read was cut off");
            assert_ne!(frame["event_type"], "gap", "{frame}");
            questions += usize::from(frame["event_type"] == "hitl_request_created");
        }
    }
}
