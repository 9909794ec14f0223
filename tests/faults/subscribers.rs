//! A client that never reads beside a thousand that do.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::Cluster;
use botarmy_tests::server::{TIMEOUT, TestServer};
use botarmy_tests::services;
use botarmy_tests::watcher::Watcher;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const READERS: usize = 1000;
const SILENT: usize = 3;
/// Number of events in each round.
const EVENTS: u64 = 50;
/// Number of noisy rounds: to warm up, and then to measure.
const ROUNDS: (usize, usize) = (3, 3);
/// Number of noise events in each round, with 10 MB of text in all, more than any buffer holds.
const QUESTIONS: usize = 200;
const TEXT: usize = 50_000;

/// Returns the resident memory in bytes.
fn memory(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Subscribers of a project that report when they have received the last entry of a round.
struct Readers {
    project: String,
    publisher: TestServer,
    done: mpsc::UnboundedReceiver<Instant>,
    reading: JoinSet<()>,
}

impl Readers {
    async fn on(server: &TestServer, publisher: TestServer) -> Self {
        let project = publisher.by_hand().await;
        let (say, done) = mpsc::unbounded_channel();
        let mut reading = JoinSet::new();
        for _ in 0..READERS {
            let query = format!("?project_id={project}&after=0");
            let mut watcher = Watcher::on(&server.base, &query).await;
            let (project, say) = (project.clone(), say.clone());
            reading.spawn(async move {
                let mut position = 0;
                while let Some(frame) = watcher.next_untimed().await {
                    if frame["project_id"] == *project {
                        position += 1;
                        assert_eq!(frame["seq"], position);
                        // The first entry is the creation of the project.
                        if position > 1 && position % EVENTS == 1 {
                            say.send(Instant::now()).unwrap();
                        }
                    }
                }
            });
        }
        Self { project, publisher, done, reading }
    }

    /// Submits tasks; returns the time from the last submission until every reader has received it.
    async fn round(&mut self) -> Duration {
        let path = format!("/api/v1/projects/{}/tasks", self.project);
        let mut last = Instant::now();
        for _ in 0..EVENTS {
            last = Instant::now();
            let task = json!({"agent_type": "coder", "instructions": "Do it"});
            assert_eq!(self.publisher.post(&path, task).await.0, 201);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut slowest = Duration::ZERO;
        for _ in 0..READERS {
            let seen = tokio::select! {
                seen = self.done.recv() => seen.unwrap(),
                cut = self.reading.join_next() => panic!("a reader was cut off: {cut:?}"),
                () = tokio::time::sleep(TIMEOUT) => panic!("a reader receives nothing any more"),
            };
            slowest = slowest.max(seen.saturating_duration_since(last));
        }
        slowest
    }

    /// Returns the faster of two rounds, to exclude other load of the machine.
    async fn best_round(&mut self) -> Duration {
        self.round().await.min(self.round().await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_cost_no_memory_and_delay_no_other() {
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    // The silent clients must not be disconnected, even on a slow machine.
    let cluster = Cluster::on(&database.url(), Some((&redis.url, &redis.prefix)))
        .with("AGENTS__CODER__RUNNER", "none")
        .with("WS__PING_INTERVAL_S", "600")
        .with("WS__SEND_TIMEOUT_S", "600");
    let publisher = cluster.replica("api").await;
    let server = cluster.replica("api").await;
    let mut readers = Readers::on(&server, publisher).await;
    let alone = readers.best_round().await;

    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(Watcher::with_small_buffer(&server.base, "?project_id=all").await);
    }
    let noisy = readers.publisher.by_hand().await;
    let question = json!({"project_id": noisy, "question": "word ".repeat(TEXT / 5)});
    // The first rounds fill the buffers of the network and the shared buffer of the newest frames,
    // a megabyte. After that only memory that the allocator has not returned can grow, which
    // settles after a few more rounds.
    let mut sizes = vec![memory(&server)];
    for _ in 0..ROUNDS.0 + ROUNDS.1 {
        for _ in 0..QUESTIONS {
            assert_eq!(readers.publisher.post("/api/v1/hitl", question.clone()).await.0, 201);
        }
        sizes.push(memory(&server));
    }
    let together = readers.best_round().await;
    println!(
        "the last of {READERS} received the last event after {alone:?}, and after {together:?} beside \
         those who do not read; memory: {:?} MB",
        sizes.iter().map(|size| size >> 20).collect::<Vec<_>>()
    );
    assert!(together < alone * 2 + Duration::from_secs(1), "{alone:?}, {together:?}");
    // A server that kept the unread frames, even once for all clients, would grow each time.
    let grown = sizes[ROUNDS.0..].windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let grown = grown.min().unwrap();
    assert!(grown < (QUESTIONS * TEXT / 2) as u64, "memory grew by {grown} bytes: {sizes:?}");

    // No client was disconnected: once they read, they receive everything.
    let started = Instant::now();
    for watcher in &mut silent {
        let mut questions = 0;
        loop {
            let frame = watcher.next().await.expect("one that did not read was cut off");
            questions += usize::from(frame["event_type"] == "hitl_request_created");
            if frame["project_id"] == *readers.project && frame["seq"] == 1 + 4 * EVENTS {
                break;
            }
        }
        assert_eq!(questions, (ROUNDS.0 + ROUNDS.1) * QUESTIONS);
    }
    println!("those who did not read had everything {:?} after they began to", started.elapsed());
}
