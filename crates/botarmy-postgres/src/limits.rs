//! Checks before anything else that the database allows as many connections as this server needs.

use tokio_postgres::{Client, SimpleQueryMessage};
use tracing::warn;

use crate::connect::{self, ConnectError, Purpose};
use crate::open::OpenError;
use crate::settings::PostgresSettings;

/// Limits on the number of connections of this role, each with its origin and the number of open
/// connections that it counts. Limits do not hold for superusers; a negative one means that there
/// is none.
const LIMITS: [(&str, &str); 3] = [
    (
        "CONNECTION LIMIT of the role",
        "SELECT CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END, \
         (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user) \
         FROM pg_roles WHERE rolname = current_user",
    ),
    (
        "CONNECTION LIMIT of the database",
        "SELECT CASE WHEN rolsuper THEN -1 ELSE datconnlimit END, \
         (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) \
         FROM pg_roles, pg_database \
         WHERE rolname = current_user AND datname = current_database()",
    ),
    (
        "max_connections without the reserved ones",
        "SELECT current_setting('max_connections')::bigint \
         - current_setting('superuser_reserved_connections')::bigint \
         - coalesce(current_setting('reserved_connections', true)::bigint, 0), \
         (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL)",
    ),
];

/// Returns an error if fewer connections are allowed than this server needs; warns if others leave
/// it too few. Must be called while this server has no other connection.
pub(crate) async fn check(settings: &PostgresSettings) -> Result<(), OpenError> {
    let url = &settings.url;
    let failed = |error| OpenError::connect(url, error);
    let client = connect::client(settings, Purpose::Migrating).await.map_err(failed)?;
    let needed = i64::try_from(settings.connections()).unwrap_or(i64::MAX);
    for (limit, query) in LIMITS {
        let Some((allowed, used)) = numbers(&client, query).await.map_err(failed)? else {
            continue;
        };
        if allowed < 0 {
            continue;
        }
        if allowed < needed {
            return Err(OpenError::TooFewConnections {
                url: url.to_string(),
                allowed,
                limit,
                needed,
            });
        }
        // One of the open ones is this.
        let used = used - 1;
        if allowed - used < needed {
            warn!(
                "The database {url} allows {allowed} connections ({limit}), and others use {used} \
                 of them; this server needs up to {needed}. Raise the limit, or requests are \
                 answered with 503 at times"
            );
        }
    }
    Ok(())
}

/// Reads a limit and the number of open connections.
async fn numbers(client: &Client, query: &str) -> Result<Option<(i64, i64)>, ConnectError> {
    let answer = client.simple_query(query).await?;
    Ok(answer.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        Some((row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?))
    }))
}
