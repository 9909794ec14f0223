//! Connections to a server that is not, or no longer, the one that accepts writes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use diesel_async::AsyncPgConnection;

use crate::connect::{self, ConnectError, Purpose};
use crate::open;
use crate::settings::PostgresSettings;

/// The time before which connections were opened to a server that accepts no writes any more. They
/// are not used again, not even for reads. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outdated(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    marked: Option<Instant>,
    /// The server of the newest connection.
    server: Option<String>,
}

impl Outdated {
    /// Marks all connections that were opened before this moment.
    pub(crate) fn mark(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).marked = Some(Instant::now());
    }

    /// Opens a connection and takes note of its server. If it is another one than before, the
    /// connections that were opened until now are outdated: the old server may still answer reads,
    /// without what the new one has acknowledged.
    ///
    /// # Errors
    /// Returns an error if no server fits the purpose.
    pub(crate) async fn connect(
        &self,
        settings: &PostgresSettings,
        purpose: Purpose,
    ) -> Result<AsyncPgConnection, ConnectError> {
        let mut connection = connect::connect(settings, purpose).await?;
        // Every server process has its own instant, also behind one address for all servers.
        let asking = open::text(&mut connection, "pg_postmaster_start_time()::text");
        let limit = settings.connect_timeout;
        let asked = tokio::time::timeout(limit, asking).await;
        self.leads_to(asked.map_err(|_| ConnectError::TimedOut(limit))??);
        Ok(connection)
    }

    fn leads_to(&self, server: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.server.as_ref().is_some_and(|known| *known != server) {
            state.marked = Some(Instant::now());
        }
        state.server = Some(server);
    }

    /// Whether a connection that was opened then is outdated.
    pub(crate) fn is(&self, opened: Instant) -> bool {
        let marked = self.0.lock().unwrap_or_else(PoisonError::into_inner).marked;
        marked.is_some_and(|marked| opened <= marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_to_another_server_outdates_the_earlier_ones() {
        let outdated = Outdated::default();
        outdated.leads_to("one".to_owned());
        let before = Instant::now();
        outdated.leads_to("one".to_owned());
        assert!(!outdated.is(before));
        outdated.leads_to("two".to_owned());
        assert!(outdated.is(before));
        assert!(!outdated.is(Instant::now() + std::time::Duration::from_nanos(1)));
    }
}
