//! Subscribers that wait for something new in a topic or in the feed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Subscribers to wake when there is something new.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<HashMap<u64, Arc<Notify>>>);

impl Listeners {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, id: u64, wake: Arc<Notify>) {
        self.all().insert(id, wake);
    }

    pub(crate) fn remove(&self, id: u64) {
        self.all().remove(&id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Wakes all. The caller must have released its lock, which is what they take first.
    pub(crate) fn wake(&self) {
        self.all().values().for_each(|listener| listener.notify_one());
    }
}
