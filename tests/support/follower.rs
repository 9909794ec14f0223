//! Somebody who watches one project through everything that happens to servers and connections, and
//! makes sure that they see each position of its log once, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::server::PATIENCE;
use crate::watcher::Watcher;

/// A client that comes back with `after`, each time to the next of the servers.
#[derive(Debug)]
pub struct Follower {
    seen: Arc<AtomicU64>,
    comings: Arc<AtomicU64>,
    following: JoinHandle<()>,
}

impl Follower {
    /// Follows a project from its first entry.
    #[must_use]
    pub fn of(project: &str, bases: &[String]) -> Self {
        let (seen, comings) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (project, bases) = (project.to_owned(), bases.to_owned());
        let (position, times) = (Arc::clone(&seen), Arc::clone(&comings));
        let following = tokio::spawn(async move {
            for base in bases.iter().cycle() {
                let after = position.load(Ordering::SeqCst);
                let query = format!("?project_id={project}&after={after}");
                let Ok(mut watcher) = Watcher::try_on(base, &query).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                times.fetch_add(1, Ordering::SeqCst);
                // Silence is no fault: whoever waits for a position says how long.
                while let Some(frame) = watcher.next_ever().await {
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
        Self { seen, comings, following }
    }

    /// The last position it saw; every one before was seen once.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    /// How often it connected.
    #[must_use]
    pub fn comings(&self) -> u64 {
        self.comings.load(Ordering::SeqCst)
    }

    /// Waits until it has seen this position.
    ///
    /// # Panics
    /// When it takes too long, or something was missing or came twice.
    pub async fn reaches(&self, seq: u64) {
        let started = Instant::now();
        while self.position() < seq {
            self.is_well();
            assert!(
                started.elapsed() < PATIENCE,
                "a follower stays at {} of {seq}",
                self.position()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.is_well();
    }

    /// Waits until it has seen the whole log, and then a little longer for what may not come: an
    /// entry once more, or one that the log does not have.
    ///
    /// # Panics
    /// When it takes too long, or something was missing or came twice.
    pub async fn ends_well(&self, length: u64) {
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
