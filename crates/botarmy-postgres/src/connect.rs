//! Opening connections and their session settings.

use std::time::Duration;

use botarmy_domain::StoreError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio_postgres::NoTls;

use crate::settings::PostgresSettings;
use crate::tls::{self, TlsError};
use crate::url::Tls;

/// Error of opening a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the server does not answer ({0})")]
    Connect(#[source] tokio_postgres::Error),
    #[error("{0}")]
    Refused(String),
    #[error("the server did not answer within {0:?}")]
    TimedOut(Duration),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the server rejected a session setting")]
    Setting(#[from] diesel::result::Error),
    #[error("the server rejected a session setting")]
    Setup(#[from] diesel::ConnectionError),
    #[error("the connection attempt was cancelled")]
    Interrupted,
}

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // The server's own message, such as "password authentication failed".
            Some(said) => Self::Refused(said.message().to_owned()),
            None => Self::Connect(error),
        }
    }
}

impl From<ConnectError> for StoreError {
    fn from(error: ConnectError) -> Self {
        Self::unavailable("connecting to the database", error)
    }
}

/// Purpose of a connection, which determines its session settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Statements with generic plans: every row is found by its key.
    Writing,
    /// Reads with any filter.
    Reading,
    /// Migrations, without a statement timeout.
    Migrating,
}

/// Opens a connection, which the current Tokio runtime drives.
pub(crate) async fn connect(
    settings: &PostgresSettings,
    purpose: Purpose,
) -> Result<AsyncPgConnection, ConnectError> {
    let opening = async {
        let mut config = settings.url.config.clone();
        config
            .connect_timeout(settings.connect_timeout)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(settings.timeout);
        if config.get_application_name().is_none() {
            config.application_name("botarmy");
        }
        let mut connection = if settings.url.tls == Tls::Off {
            let (client, driver) = config.connect(NoTls).await?;
            AsyncPgConnection::try_from_client_and_connection(client, driver).await?
        } else {
            let (client, driver) = config.connect(tls::connector(&settings.url)?).await?;
            AsyncPgConnection::try_from_client_and_connection(client, driver).await?
        };
        connection.batch_execute(&session(settings, purpose)).await?;
        Ok(connection)
    };
    // Setting up a session takes some more round trips.
    let hosts = u32::try_from(settings.url.config.get_hosts().len()).unwrap_or(1);
    let limit = settings.connect_timeout * (hosts + 1);
    tokio::time::timeout(limit, opening).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
}

fn session(settings: &PostgresSettings, purpose: Purpose) -> String {
    // Statements here are short; compiling them costs more than it saves.
    let mut session =
        "SET jit = off; SET default_transaction_isolation = 'read committed';".to_owned();
    // A stricter configured value than `on`, such as `remote_apply`, is kept.
    session.push_str(if settings.waits_for_disk {
        "SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') = 'off';"
    } else {
        "SET synchronous_commit = off;"
    });
    if purpose != Purpose::Migrating {
        let timeout = settings.timeout.as_millis();
        session.push_str(&format!("SET statement_timeout = {timeout};"));
    }
    if purpose == Purpose::Writing {
        // A replica that stops in the middle of a transaction must not block the others.
        let lock = (settings.timeout / 2).as_millis();
        session.push_str(&format!(
            "SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {lock}; \
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
             SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;"
        ));
    }
    session
}
