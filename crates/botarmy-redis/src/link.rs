//! State of the connection that carries commands and published messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use deadpool_redis::redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, watch};

/// The connection that news go along.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) current: watch::Sender<Option<MultiplexedConnection>>,
    /// Somebody got no answer; it is asked at once.
    pub(crate) suspect: Notify,
    pub(crate) suspected: AtomicBool,
    /// Why it is down.
    error_text: Mutex<Option<String>>,
}

impl Link {
    /// Whether Redis is there, as far as anybody knows.
    pub(crate) fn is_up(&self) -> bool {
        self.current.borrow().is_some() && !self.suspected.load(Ordering::Acquire)
    }

    /// The connection, if there is one.
    pub(crate) fn current(&self) -> Option<MultiplexedConnection> {
        self.current.borrow().clone()
    }

    /// The connection, when there is one.
    pub(crate) async fn up(&self) -> MultiplexedConnection {
        let mut current = self.current.subscribe();
        loop {
            if let Some(connection) = current.borrow_and_update().clone() {
                return connection;
            }
            // The sender lives as long as the link.
            drop(current.changed().await);
        }
    }

    /// Redis did not answer somebody.
    pub(crate) fn suspect(&self) {
        self.suspected.store(true, Ordering::Release);
        self.suspect.notify_one();
    }

    /// Why it is down.
    pub(crate) fn error_text(&self) -> Option<String> {
        self.error_text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn blame(&self, error_text: Option<String>) {
        *self.error_text.lock().unwrap_or_else(PoisonError::into_inner) = error_text;
    }
}
