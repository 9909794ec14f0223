//! Connections that only read. In WAL mode they never wait for the writer, and see the state at the
//! start of their statement.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use botarmy_domain::StoreError;
use diesel::prelude::*;

use crate::connection;
use crate::error::closed;
use crate::settings::SqliteSettings;

/// A few connections, opened when they are first needed and lent to one reader at a time.
pub(crate) struct Readers {
    settings: SqliteSettings,
    idle: Mutex<Idle>,
    returned: Condvar,
}

struct Idle {
    connections: Vec<SqliteConnection>,
    /// Number of connections that may still be opened.
    unopened: usize,
    is_closed: bool,
}

impl Readers {
    pub(crate) fn new(settings: &SqliteSettings) -> Self {
        let unopened = settings.readers.max(1);
        let idle = Idle { connections: Vec::new(), unopened, is_closed: false };
        Self { settings: settings.clone(), idle: Mutex::new(idle), returned: Condvar::new() }
    }

    /// Runs a read on a connection that no other reader uses meanwhile.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut lent = self.lend()?;
        read(lent.connection.as_mut().expect("a lent connection is there until it is returned"))
    }

    /// Closes the idle connections; borrowed ones are closed when they are returned.
    pub(crate) fn close(&self) {
        let mut idle = self.lock();
        idle.is_closed = true;
        idle.connections.clear();
    }

    /// Returns the number of connections that are lent, and that are open.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let idle = self.lock();
        let open = self.settings.readers.max(1) - idle.unopened.min(self.settings.readers.max(1));
        (open.saturating_sub(idle.connections.len()), open)
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let deadline = Instant::now() + self.settings.patience;
        let mut idle = self.lock();
        loop {
            if idle.is_closed {
                return Err(closed());
            }
            if let Some(connection) = idle.connections.pop() {
                return Ok(Lent { readers: self, connection: Some(connection) });
            }
            if idle.unopened > 0 {
                idle.unopened -= 1;
                drop(idle);
                let mut lent = Lent { readers: self, connection: None };
                let opened = connection::reader(&self.settings);
                lent.connection =
                    Some(opened.map_err(|e| StoreError::unavailable("opening a reader", e))?);
                return Ok(lent);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Err(StoreError::Unavailable {
                    detail: "every reading connection is busy".to_owned(),
                    source: None,
                });
            }
            idle = self.returned.wait_timeout(idle, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A borrowed connection. It is dropped if its reader panics.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<SqliteConnection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|_| !std::thread::panicking());
        let mut idle = self.readers.lock();
        match connection {
            Some(connection) if !idle.is_closed => idle.connections.push(connection),
            _ => idle.unopened += 1,
        }
        drop(idle);
        self.readers.returned.notify_one();
    }
}
