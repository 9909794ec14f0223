//! Checks before the first write: the database can be reached, and this version can use it. A
//! refused database is not changed.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::connect::ConnectError;
use crate::url::PostgresUrl;

/// Oldest supported server version, as `server_version_num`.
const OLDEST: i64 = 140_000;

/// Error of opening the store. The database has not changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection failed.
    #[error("the database {url} cannot be used; check store.url, and that the server runs")]
    Connect {
        /// Address of the database, without its password.
        url: String,
        /// Cause of the failed connection.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pooler between this server and the database gives each transaction another session.
    #[error(
        "the database {url} is behind a connection pooler, such as PgBouncer, that gives each \
         transaction another session; prepared statements, session settings and locks do not \
         survive that. Set pool_mode = session for this database in PgBouncer, or name PostgreSQL \
         itself in store.url: this server keeps few connections and pools them itself"
    )]
    Pooled {
        /// Address of the database, without its password.
        url: String,
    },
    /// The role, the database or the server allows fewer connections than this server needs.
    #[error(
        "the database {url} allows {allowed} connections ({limit}), and this server needs {needed}: \
         store.readers, store.lanes and one more. Raise the limit, or lower these settings"
    )]
    TooFewConnections {
        /// Address of the database, without its password.
        url: String,
        /// Number of connections that are allowed.
        allowed: i64,
        /// Origin of the limit.
        limit: &'static str,
        /// Number of connections that this server needs.
        needed: i64,
    },
    /// The server is too old.
    #[error("the database {url} runs PostgreSQL {version}; 14 or newer is needed")]
    TooOld {
        /// Address of the database, without its password.
        url: String,
        /// Version of the server.
        version: String,
    },
    /// The encoding of the database cannot represent every text.
    #[error(
        "the database {url} is encoded in {encoding}; create one with UTF8: \
         CREATE DATABASE botarmy ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding {
        /// Address of the database, without its password.
        url: String,
        /// Encoding of the database.
        encoding: String,
    },
    /// The database holds tables of another program.
    #[error(
        "the database {url} has tables that are not of this program, such as {table}; it was left \
         as it is: name an empty database"
    )]
    NotOurs {
        /// Address of the database, without its password.
        url: String,
        /// Name of one of these tables.
        table: String,
    },
    /// The database was written by a newer version.
    #[error(
        "the database {url} was written by a newer version of this program: it has the migration \
         {unknown}, this version knows them up to {newest}. Start the newer version, take the \
         migration back with it (`migrate --down`), or restore a backup from before the upgrade; \
         nothing was changed"
    )]
    Newer {
        /// Address of the database, without its password.
        url: String,
        /// Name of the first migration that this version does not know.
        unknown: String,
        /// Name of the last migration that this version knows.
        newest: String,
    },
    /// The database was written by an older version, and the command may only read it.
    #[error(
        "the database {url} was written by an older version of this program, or is empty: it lacks \
         the migration {missing}. Bring it up to date first: `botarmy-server migrate` with its \
         address in BOTARMY_STORE__URL"
    )]
    Behind {
        /// Address of the database, without its password.
        url: String,
        /// Name of the first migration that is missing.
        missing: String,
    },
    /// A copy into the database was begun and not finished.
    #[error(
        "the database {url} holds a part of {source_name} only: `store copy` was interrupted. Run \
         the same `store copy` again, it goes on where it was; or name an empty database"
    )]
    HalfCopied {
        /// Address of the database, without its password.
        url: String,
        /// Name of the source of the copy, without a password.
        source_name: String,
    },
    /// Another process fills the database.
    #[error("another `store copy` is writing into the database {url}; wait for it, or stop it")]
    BeingCopied {
        /// Address of the database, without its password.
        url: String,
    },
    /// A migration failed.
    #[error("the database {url} could not be migrated; the migration that failed left no trace")]
    Migration {
        /// Address of the database, without its password.
        url: String,
        /// Cause of the failure.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A query failed.
    #[error("a query on the database {url} failed")]
    Database {
        /// Address of the database, without its password.
        url: String,
        /// Error that the database returned.
        #[source]
        source: diesel::result::Error,
    },
    /// The pool cannot be made.
    #[error("the pool of read connections cannot be created: {0}")]
    Pool(String),
}

impl OpenError {
    pub(crate) fn connect(url: &PostgresUrl, source: ConnectError) -> Self {
        Self::Connect { url: url.to_string(), source: source.into() }
    }

    pub(crate) fn database(url: &PostgresUrl, source: diesel::result::Error) -> Self {
        Self::Database { url: url.to_string(), source }
    }
}

/// Returns an error for a server that is too old or a database of another program.
pub(crate) async fn inspect(
    connection: &mut AsyncPgConnection,
    url: &PostgresUrl,
) -> Result<(), OpenError> {
    let failed = |source| OpenError::database(url, source);
    let version: i64 =
        diesel::select(sql::<BigInt>("current_setting('server_version_num')::bigint"))
            .get_result(connection)
            .await
            .map_err(failed)?;
    if version < OLDEST {
        let version = format!("{}.{}", version / 10_000, version % 10_000);
        return Err(OpenError::TooOld { url: url.to_string(), version });
    }
    let encoding = text(connection, "current_setting('server_encoding')").await.map_err(failed)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { url: url.to_string(), encoding });
    }
    let foreign = text(
        connection,
        "coalesce((SELECT min(relname::text) FROM pg_class \
         WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace), '') || \
         CASE WHEN to_regclass('__diesel_schema_migrations') IS NULL THEN '' ELSE '?' END",
    )
    .await
    .map_err(failed)?;
    // A database with the migrations table belongs to this program.
    if !foreign.is_empty() && !foreign.ends_with('?') {
        return Err(OpenError::NotOurs { url: url.to_string(), table: foreign });
    }
    Ok(())
}

/// Evaluates an expression whose value is a text.
pub(crate) async fn text(
    connection: &mut AsyncPgConnection,
    expression: &str,
) -> QueryResult<String> {
    diesel::select(sql::<Text>(expression)).get_result(connection).await
}
