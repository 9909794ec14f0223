//! PostgreSQL commits a transaction, but its answer is lost together with the database for a while:
//! the outcome is determined, and the work is done exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use botarmy_domain::log::LogId;
use botarmy_domain::{EventType, TaskStatus};
use botarmy_tests::services;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stores::{Stores, postgres_at};

/// Requests and answers pass.
const OPEN: u8 = 0;
/// Requests reach the server; its answers are dropped.
const DROPPING: u8 = 1;
/// Answers are dropped from the next commit on.
const ARMED: u8 = 3;
/// Connections are closed and new ones refused.
const CLOSED: u8 = 2;

/// A proxy between the store and the database.
struct Between {
    state: Arc<AtomicU8>,
    port: u16,
}

impl Between {
    async fn before(host: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(AtomicU8::new(OPEN));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.load(Ordering::SeqCst) != CLOSED {
                    let server = TcpStream::connect(&host).await.unwrap();
                    tokio::spawn(pass(client, server, Arc::clone(&shared)));
                }
            }
        });
        Self { state, port }
    }

    /// Drops answers from now on, or from the next commit on; then makes the database unreachable
    /// for a while.
    async fn swallow(&self, from: u8) {
        self.state.store(from, Ordering::SeqCst);
        while self.state.load(Ordering::SeqCst) == ARMED {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.state.store(CLOSED, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        self.state.store(OPEN, Ordering::SeqCst);
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, state: Arc<AtomicU8>) {
    let (mut asked, mut said) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let done = tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(n) if n > 0 => {
                    if asked[..n].windows(6).any(|six| six == b"COMMIT") {
                        let _ = state.compare_exchange(ARMED, DROPPING, Ordering::SeqCst, Ordering::SeqCst);
                    }
                    server.write_all(&asked[..n]).await
                }
                _ => return,
            },
            read = server.read(&mut said) => match read {
                Ok(n) if n > 0 && matches!(state.load(Ordering::SeqCst), OPEN | ARMED) => {
                    client.write_all(&said[..n]).await
                }
                Ok(n) if n > 0 => Ok(()),
                _ => return,
            },
            () = tokio::time::sleep(Duration::from_millis(10)) => Ok(()),
        };
        if done.is_err() || state.load(Ordering::SeqCst) == CLOSED {
            return;
        }
    }
}

async fn behind_something() -> Option<(Stores, Between)> {
    let database = services::database().await?;
    let mut url = reqwest::Url::parse(&database.url()).unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let between = Between::before(host).await;
    url.set_port(Some(between.port)).unwrap();
    Some((postgres_at(url.as_str(), Arc::new(database)).await, between))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_whose_answer_was_lost_is_done_once_and_acknowledged() {
    let Some((stores, between)) = behind_something().await else { return };
    let project = stores.project("Doubt").await;
    stores.submit(project, 5).await;
    let (task, ()) = tokio::join!(stores.submit(project, 5), between.swallow(DROPPING));
    let entries = stores.audit.since(LogId::Project(project), 0, 100).await.unwrap();
    let created = |entry: &&Arc<_>| {
        let entry: &botarmy_domain::Entry = entry;
        entry.event_type == EventType::TaskCreated && entry.task_id == Some(task)
    };
    assert_eq!(entries.iter().filter(created).count(), 1);
    let all = stores.tasks.tasks(project, Default::default(), 100).await.unwrap();
    assert_eq!(all.len(), 2, "nothing was done twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_was_lost_belongs_to_its_caller() {
    let Some((stores, between)) = behind_something().await else { return };
    let project = stores.project("Doubt").await;
    stores.submit(project, 5).await;
    assert_eq!(stores.claim(1).await.len(), 1);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(stores.submit(project, 5).await);
    }
    let (claimed, ()) = tokio::join!(stores.claim(2), between.swallow(ARMED));
    assert_eq!(claimed, waiting[..2]);
    let all = stores.tasks.tasks(project, Default::default(), 100).await.unwrap();
    let working = all.iter().filter(|task| task.status() == TaskStatus::Working);
    assert_eq!(working.count(), 3, "the claimed tasks have no holder");
}
