//! Health of the connections that write.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time for which a failed write is reported. After that only another write can show whether the
/// cause remains.
const TROUBLE: Duration = Duration::from_secs(10);

/// Error of the last write, for the health check.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteHealth(Arc<Mutex<Option<(Instant, String)>>>);

impl WriteHealth {
    pub(crate) fn now(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = last.as_ref().filter(|(since, _)| since.elapsed() < TROUBLE);
        recent.map(|(_, error)| error.clone())
    }

    pub(crate) fn set(&self, error: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), error));
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
