//! Opening connections and their session settings.
//!
//! An address may name several servers, of which one accepts writes. They are tried in order, the
//! next one as soon as the one before has failed or has been silent for a moment, so that a server
//! that hangs does not hide the others.

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use botarmy_domain::StoreError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::chain;
use crate::settings::PostgresSettings;
use crate::tls::{self, TlsError};

/// Time for which a server may be silent before the next one is tried as well.
const STAGGER: Duration = Duration::from_secs(1);

/// Error of opening a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the server does not answer ({0})")]
    Connect(#[source] tokio_postgres::Error),
    #[error("{0}")]
    Refused(String),
    #[error(
        "the server accepts no writes: it is a standby, or default_transaction_read_only is on \
         there"
    )]
    ReadOnly,
    #[error("no server can be used: {0}")]
    All(String),
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
        // The server's own message, such as "password authentication failed".
        if let Some(said) = error.as_db_error() {
            return Self::Refused(said.message().to_owned());
        }
        let cause = std::error::Error::source(&error);
        // The library has no kind of its own for this; its message is checked by a test.
        if cause.is_some_and(|cause| cause.to_string() == "database does not allow writes") {
            return Self::ReadOnly;
        }
        Self::Connect(error)
    }
}

impl From<ConnectError> for StoreError {
    fn from(error: ConnectError) -> Self {
        Self::unavailable("connecting to the database", error)
    }
}

/// Purpose of a connection, which determines its server and its session settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Statements with generic plans: every row is found by its key.
    Writing,
    /// Reads with any filter, on the server that accepts writes: a standby may lag behind what was
    /// acknowledged.
    Reading,
    /// Migrations, without a statement timeout.
    Migrating,
    /// Reads without a statement timeout, on any server, such as a standby.
    Visiting,
}

/// A connection that is still to be driven.
type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Opens a connection, which the current Tokio runtime drives.
pub(crate) async fn connect(
    settings: &PostgresSettings,
    purpose: Purpose,
) -> Result<AsyncPgConnection, ConnectError> {
    let (client, driver) = open(settings, purpose).await?;
    let setting_up = async {
        let mut connection =
            AsyncPgConnection::try_from_client_and_connection(client, driver).await?;
        connection.batch_execute(&session(settings, purpose)).await?;
        Ok(connection)
    };
    let limit = settings.connect_timeout;
    tokio::time::timeout(limit, setting_up).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
}

/// Opens a connection without session settings, for plain queries, which the current Tokio runtime
/// drives.
pub(crate) async fn client(
    settings: &PostgresSettings,
    purpose: Purpose,
) -> Result<Client, ConnectError> {
    let (client, driver) = open(settings, purpose).await?;
    // It ends with the client; its error is that of the query.
    tokio::spawn(async move { drop(driver.await) });
    Ok(client)
}

/// Opens a connection to the first server that fits the purpose.
async fn open(
    settings: &PostgresSettings,
    purpose: Purpose,
) -> Result<(Client, Driver), ConnectError> {
    let tls = tls::connector(&settings.url)?;
    let servers = servers(settings, purpose);
    let is_only = servers.len() == 1;
    // The handshake of a session takes some more round trips than that of a socket.
    let limit = settings.connect_timeout * 2;
    let attempt = |server: Config| {
        let tls = tls.clone();
        async move {
            let opened = tokio::time::timeout(limit, server.connect(tls)).await;
            let opened = match opened {
                Ok(opened) => opened.map_err(ConnectError::from),
                Err(_) => Err(ConnectError::TimedOut(limit)),
            };
            opened.map_err(|error| (place(&server), error))
        }
    };
    let mut left = servers.into_iter();
    let mut running: FuturesUnordered<_> = left.next().map(&attempt).into_iter().collect();
    let mut failed = Vec::new();
    loop {
        let mut silent = pin!(tokio::time::sleep(STAGGER));
        tokio::select! {
            Some(attempted) = running.next() => match attempted {
                Ok(opened) => return Ok(opened),
                Err((_, error)) if is_only => return Err(error),
                Err((place, error)) => {
                    failed.push(format!("{place}: {}", chain(&error)));
                    match left.next() {
                        Some(next) => running.push(attempt(next)),
                        None if running.is_empty() => {
                            return Err(ConnectError::All(failed.join("; ")));
                        }
                        None => {}
                    }
                }
            },
            () = &mut silent, if left.len() > 0 => running.extend(left.next().map(&attempt)),
        }
    }
}

/// Returns the configuration of each server of the address, in the order in which they are tried.
fn servers(settings: &PostgresSettings, purpose: Purpose) -> Vec<Config> {
    let all = &settings.url.config;
    let count = all.get_hosts().len().max(all.get_hostaddrs().len());
    let mut servers: Vec<_> = (0..count).map(|n| server(all, n)).collect();
    if all.get_load_balance_hosts() == LoadBalanceHosts::Random && count > 1 {
        servers.rotate_left((RandomState::new().hash_one(0) % count as u64) as usize);
    }
    for server in &mut servers {
        server
            .connect_timeout(settings.connect_timeout)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(settings.timeout)
            .target_session_attrs(match purpose {
                Purpose::Visiting => TargetSessionAttrs::Any,
                _ => TargetSessionAttrs::ReadWrite,
            });
        if server.get_application_name().is_none() {
            server.application_name("botarmy");
        }
    }
    servers
}

/// Returns the configuration of the server with this number.
fn server(all: &Config, n: usize) -> Config {
    let mut one = Config::new();
    one.ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts())
        .keepalives(all.get_keepalives());
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(name) = all.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    match all.get_hosts().get(n) {
        Some(Host::Tcp(host)) => {
            one.host(host);
        }
        #[cfg(unix)]
        Some(Host::Unix(path)) => {
            one.host_path(path);
        }
        None => {}
    }
    if let Some(address) = all.get_hostaddrs().get(n) {
        one.hostaddr(*address);
    }
    if let Some(port) = all.get_ports().get(n).or_else(|| all.get_ports().first()) {
        one.port(*port);
    }
    one
}

/// Returns host and port of a server for messages.
fn place(server: &Config) -> String {
    let port = server.get_ports().first().copied().unwrap_or(5432);
    match server.get_hosts().first() {
        Some(Host::Tcp(host)) => format!("{host}:{port}"),
        #[cfg(unix)]
        Some(Host::Unix(path)) => format!("{}:{port}", path.display()),
        None => format!("port {port}"),
    }
}

fn session(settings: &PostgresSettings, purpose: Purpose) -> String {
    // Statements here are short; compiling them costs more than it saves. Their literals are those
    // of standard SQL.
    let mut session = "SET standard_conforming_strings = on; SET jit = off; \
                       SET default_transaction_isolation = 'read committed';"
        .to_owned();
    // A stricter configured value than `on`, such as `remote_apply`, is kept.
    session.push_str(if settings.waits_for_disk {
        "SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') = 'off';"
    } else {
        "SET synchronous_commit = off;"
    });
    let timeout = match purpose {
        Purpose::Migrating | Purpose::Visiting => 0,
        Purpose::Writing | Purpose::Reading => settings.timeout.as_millis(),
    };
    session.push_str(&format!("SET statement_timeout = {timeout};"));
    if purpose == Purpose::Reading {
        // Every list has a limit and the order of an index, which these plans would not stop early.
        session.push_str("SET enable_seqscan = off; SET enable_bitmapscan = off;");
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
