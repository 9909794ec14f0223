//! State of the connection that carries commands and published messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use deadpool_redis::redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, watch};

/// The connection that carries commands and published messages.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) current: watch::Sender<Option<MultiplexedConnection>>,
    /// Notified when a call got no answer, so that the connection is pinged at once.
    pub(crate) suspect: Notify,
    pub(crate) suspected: AtomicBool,
    /// Reason for the loss of the connection.
    error_text: Mutex<Option<String>>,
}

impl Link {
    /// Returns whether Redis answers, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.current.borrow().is_some() && !self.suspected.load(Ordering::Acquire)
    }

    /// Returns the connection, if there is one.
    pub(crate) fn current(&self) -> Option<MultiplexedConnection> {
        self.current.borrow().clone()
    }

    /// Waits for a connection.
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

    /// Marks the connection as suspect after a call got no answer.
    pub(crate) fn suspect(&self) {
        self.suspected.store(true, Ordering::Release);
        self.suspect.notify_one();
    }

    /// Returns the reason for the loss of the connection.
    pub(crate) fn error_text(&self) -> Option<String> {
        self.error_text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_error(&self, error_text: Option<String>) {
        *self.error_text.lock().unwrap_or_else(PoisonError::into_inner) = error_text;
    }
}
