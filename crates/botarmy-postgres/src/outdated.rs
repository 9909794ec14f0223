//! Connections to a server that accepts no writes any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The time before which connections were opened to a server that accepts no writes any more. They
/// are not used again, not even for reads. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outdated(Arc<Mutex<Option<Instant>>>);

impl Outdated {
    /// Marks all connections that were opened before this moment.
    pub(crate) fn mark(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection that was opened then is outdated.
    pub(crate) fn is(&self, opened: Instant) -> bool {
        let marked = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marked.is_some_and(|marked| opened <= marked)
    }
}
