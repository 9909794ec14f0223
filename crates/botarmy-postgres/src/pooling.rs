//! Detects a connection pooler that gives each transaction another session.
//!
//! Prepared statements, session settings and the lock of migrations belong to a session. Behind
//! such a pooler they are lost or reach the sessions of others, so the address is refused before
//! anything depends on them.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::connect::{self, ConnectError, Purpose};
use crate::open::OpenError;
use crate::settings::PostgresSettings;

/// Number of times that two sessions are compared. A pooler that takes its sessions in turn shows
/// itself in the second round at the latest.
const ROUNDS: usize = 3;

/// Returns an error if the address leads to such a pooler. Nothing is written.
pub(crate) async fn refuse(settings: &PostgresSettings, purpose: Purpose) -> Result<(), OpenError> {
    let failed = |error| OpenError::connect(&settings.url, error);
    // Plain queries: a prepared statement could already fail here.
    let first = connect::client(settings, purpose).await.map_err(failed)?;
    let second = connect::client(settings, purpose).await.map_err(failed)?;
    let comparing = is_shared(&first, &second);
    let limit = settings.timeout;
    let compared = tokio::time::timeout(limit, comparing).await;
    match compared.unwrap_or(Err(Comparison::Failed(ConnectError::TimedOut(limit)))) {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::Pooled { url: settings.url.to_string() }),
        Err(Comparison::Refused) => Err(OpenError::Pooled { url: settings.url.to_string() }),
        Err(Comparison::Failed(error)) => Err(failed(error)),
    }
}

/// Error of the comparison of two sessions.
enum Comparison {
    /// A transaction was refused, as poolers do that share sessions between statements.
    Refused,
    /// The connection failed.
    Failed(ConnectError),
}

impl From<tokio_postgres::Error> for Comparison {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether one connection uses a session that the other one has used while both are open, or
/// changes its session. PostgreSQL itself gives every connection a process of its own.
async fn is_shared(first: &Client, second: &Client) -> Result<bool, Comparison> {
    let session = process(first).await?;
    for _ in 0..ROUNDS {
        if process(first).await? != session {
            return Ok(true);
        }
        // While the other one holds a session in a transaction, this one gets a different one.
        if let Err(error) = second.simple_query("BEGIN").await {
            return Err(if error.as_db_error().is_some() {
                Comparison::Refused
            } else {
                error.into()
            });
        }
        let is_shared = process(second).await? == session || process(first).await? != session;
        second.simple_query("COMMIT").await?;
        if is_shared {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the process of PostgreSQL that serves a connection at this moment.
async fn process(client: &Client) -> Result<Option<String>, Comparison> {
    let answer = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
