//! The observer of the transactions of a store, which is set once after the store was opened.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use botarmy_domain::ports::CommitObserver;

/// Place for the observer of a store. Clones share it.
#[derive(Clone, Default)]
pub struct ObservedCommits(Arc<OnceLock<Arc<dyn CommitObserver>>>);

impl ObservedCommits {
    /// Sets the observer; the first one stays.
    pub fn set(&self, observer: Arc<dyn CommitObserver>) {
        drop(self.0.set(observer));
    }

    /// Tells the observer, if there is one, of a transaction that began at this time, unless it had no
    /// decision, as one that extended leases.
    pub fn committed(&self, decisions: usize, began: Instant) {
        if decisions > 0
            && let Some(observer) = self.0.get()
        {
            observer.committed(decisions, began.elapsed());
        }
    }
}

impl std::fmt::Debug for ObservedCommits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObservedCommits").finish_non_exhaustive()
    }
}
