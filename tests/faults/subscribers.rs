//! A client that never reads, and a thousand that do.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::Cluster;
use botarmy_tests::server::{PATIENCE, TestServer};
use botarmy_tests::services;
use botarmy_tests::watcher::Watcher;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const READERS: usize = 1000;
/// In each of the two halves.
const EVENTS: u64 = 100;

/// Resident memory in bytes.
fn memory(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Submits tasks; answers when the last was begun.
async fn publish(server: &TestServer, project: &str) -> Instant {
    let path = format!("/api/v1/projects/{project}/tasks");
    let mut last = Instant::now();
    for _ in 0..EVENTS {
        last = Instant::now();
        let task = json!({"agent_type": "coder", "instructions": "Do it"});
        assert_eq!(server.post(&path, task).await.0, 201);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    last
}

/// Waits until every reader has seen the last event; answers how long after `last` that was.
async fn heard(done: &mut mpsc::UnboundedReceiver<Instant>, last: Instant) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..READERS {
        let one = tokio::time::timeout(PATIENCE, done.recv()).await.unwrap();
        slowest = slowest.max(one.expect("a reader was cut off").saturating_duration_since(last));
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_cost_no_memory_and_delay_nobody() {
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    let cluster = Cluster::on(&database.url(), Some((&redis.url, &redis.prefix)))
        .with("AGENTS__CODER__RUNNER", "none")
        .with("WS__SEND_TIMEOUT_S", "120");
    let publisher = cluster.replica("api").await;
    let server = cluster.replica("api").await;
    let project = publisher.by_hand().await;
    let (say, mut done) = mpsc::unbounded_channel();
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let query = format!("?project_id={project}&after=0");
        let mut watcher = Watcher::on(&server.base, &query).await;
        let (project, say) = (project.clone(), say.clone());
        readers.spawn(async move {
            let mut position = 0;
            // The first entry is the project's creation.
            while position < 1 + 2 * EVENTS {
                let frame = watcher.next().await.expect("a reader was cut off");
                if frame["project_id"] == *project {
                    position += 1;
                    assert_eq!(frame["seq"], position);
                    if position == 1 + EVENTS || position == 1 + 2 * EVENTS {
                        say.send(Instant::now()).unwrap();
                    }
                }
            }
        });
    }
    let last = publish(&publisher, &project).await;
    let alone = heard(&mut done, last).await;

    let mut deaf = Vec::new();
    for _ in 0..3 {
        deaf.push(Watcher::on(&server.base, "?project_id=all").await);
    }
    // More than the buffers of the network take for those who do not read, and after that, when
    // the newest frames that are kept for everybody have taken their place and the log was looked
    // through a few times, which takes more memory than anything else, as much again.
    let noisy = publisher.by_hand().await;
    let question = json!({"project_id": noisy, "question": "word ".repeat(10_000)});
    let mut before = 0;
    for _ in 0..7 {
        before = memory(&server);
        for _ in 0..300 {
            assert_eq!(publisher.post("/api/v1/hitl", question.clone()).await.0, 201);
        }
    }
    let last = publish(&publisher, &project).await;
    let together = heard(&mut done, last).await;
    let grown = memory(&server).saturating_sub(before);
    println!(
        "the last of {READERS} heard the last event after {alone:?}, and after {together:?} beside \
         those who do not read; {grown} bytes more"
    );
    assert!(together < alone * 2 + Duration::from_secs(1), "{alone:?}, {together:?}");
    assert!(grown < 6 << 20, "memory grew by {grown} bytes");
    drop(deaf);
}
