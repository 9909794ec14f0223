//! A subscriber that follows one project through failures of servers and connections, and checks
//! that it receives each position of the log once, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::server::TIMEOUT;
use crate::watcher::Watcher;

/// A client that reconnects with `after`, each time to the next server.
#[derive(Debug)]
pub struct Follower {
    seen: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
    following: JoinHandle<()>,
}

impl Follower {
    /// Follows a project from its first entry.
    #[must_use]
    pub fn of(project: &str, bases: &[String]) -> Self {
        let (seen, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (project, bases) = (project.to_owned(), bases.to_owned());
        let (position, times) = (Arc::clone(&seen), Arc::clone(&connections));
        let following = tokio::spawn(async move {
            for base in bases.iter().cycle() {
                let after = position.load(Ordering::SeqCst);
                let query = format!("?project_id={project}&after={after}");
                let Ok(mut watcher) = Watcher::try_on(base, &query).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                times.fetch_add(1, Ordering::SeqCst);
                // Silence is no failure; callers that wait for a position set a time limit.
                while let Some(frame) = watcher.next_untimed().await {
                    assert_ne!(frame["event_type"], "gap", "nothing is older than the log");
                    let seq = frame["seq"].as_u64().filter(|_| frame["project_id"] == *project);
                    if let Some(seq) = seq {
                        let before = position.load(Ordering::SeqCst);
                        assert_eq!(seq, before + 1, "of {project}, from {base}: {frame}");
                        position.store(seq, Ordering::SeqCst);
                    }
                }
            }
        });
        Self { seen, connections, following }
    }

    /// Returns the last position that was received; every earlier one was received once.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until this position was received.
    ///
    /// # Panics
    /// If it takes too long, or a position was missing or repeated.
    pub async fn reaches(&self, seq: u64) {
        let started = Instant::now();
        while self.position() < seq {
            self.is_well();
            assert!(
                started.elapsed() < TIMEOUT,
                "a follower stays at {} of {seq}",
                self.position()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.is_well();
    }

    /// Waits until the whole log was received, and a little longer for entries that must not
    /// arrive: repeated ones, or ones that the log does not have.
    ///
    /// # Panics
    /// If it takes too long, or a position was missing or repeated.
    pub async fn reaches_exactly(&self, length: u64) {
        self.reaches(length).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.is_well();
        assert_eq!(self.position(), length, "a follower saw more than there is");
    }

    fn is_well(&self) {
        assert!(
            !self.following.is_finished(),
            "a follower saw something wrong; it says what above"
        );
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.following.abort();
    }
}
