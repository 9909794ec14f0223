//! PostgreSQL and Redis for the tests. The command `services` starts them and passes their
//! addresses in the environment. A test gets its own database or key prefix there, or its own
//! server if it is going to break one.
//!
//! Without that command, as under plain `cargo test`, the functions return `None` and report the
//! skipped test with the reason on standard error. With it, a missing service fails the test.
//!
//! ```ignore
//! let Some(database) = services::database().await else { return };
//! ```

mod pgbouncer;
mod postgres;
mod private;
mod redis;

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tokio_postgres::NoTls;

pub use pgbouncer::PgBouncer;
pub use postgres::PostgresServer;
pub use private::{command, free_port, free_ports, user};
pub use redis::RedisServer;

/// Variable that says whether the services are required; the command `services` sets it to
/// `required`.
pub const SERVICES: &str = "BOTARMY_TEST_SERVICES";
/// Variable with an address of PostgreSQL whose role may create databases.
pub const POSTGRES_URL: &str = "BOTARMY_TEST_POSTGRES_URL";
/// Variable with the folder of `postgres`, `initdb`, `pg_dump` and similar programs.
pub const POSTGRES_BIN: &str = "BOTARMY_TEST_POSTGRES_BIN";
/// Variable with the path of `pgbouncer`.
pub const PGBOUNCER_BIN: &str = "BOTARMY_TEST_PGBOUNCER_BIN";
/// Variable with the name of the migrated database that is copied for each test.
pub const POSTGRES_TEMPLATE: &str = "BOTARMY_TEST_POSTGRES_TEMPLATE";
/// Variable with an address of Redis.
pub const REDIS_URL: &str = "BOTARMY_TEST_REDIS_URL";
/// Variable with the path of `redis-server` or a compatible program.
pub const REDIS_BIN: &str = "BOTARMY_TEST_REDIS_BIN";
/// Variable with the path of `bwrap`, the program of bubblewrap.
pub const BWRAP_BIN: &str = "BOTARMY_TEST_BWRAP_BIN";

/// Creates a migrated database, which is dropped with this value.
///
/// # Panics
/// If one is required but missing.
pub async fn database() -> Option<Database> {
    let admin = needed("PostgreSQL", POSTGRES_URL)?;
    Some(Database::create(admin, &variable(POSTGRES_TEMPLATE)).await)
}

/// Creates an empty database, which is dropped with this value.
///
/// # Panics
/// If one is required but missing.
pub async fn empty_database() -> Option<Database> {
    let admin = needed("PostgreSQL", POSTGRES_URL)?;
    Some(Database::create(admin, "template0").await)
}

/// Returns the shared Redis with a separate key prefix.
///
/// # Panics
/// If one is required but missing.
#[must_use]
pub fn redis() -> Option<Redis> {
    let url = needed("Redis", REDIS_URL)?;
    Some(Redis { url, prefix: format!("test-{:016x}:", random()) })
}

/// Returns the path of `bwrap`, whose folder is in `PATH`.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn bwrap() -> Option<PathBuf> {
    needed("bubblewrap", BWRAP_BIN).map(PathBuf::from)
}

/// Returns whether the tests run as root, which some need for the owners of files and for networks of
/// their own. Otherwise reports the skipped test.
#[must_use]
pub fn root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        leave_out("needs root");
    }
    is_root
}

/// Returns a tool that comes with PostgreSQL, such as `pg_dump`.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn postgres_tool(name: &str) -> Option<Command> {
    let tool = Path::new(&needed("PostgreSQL", POSTGRES_BIN)?).join(name);
    assert!(tool.exists(), "{} is missing: {POSTGRES_BIN} names another folder", tool.display());
    Some(command(&tool))
}

/// Returns the value of the variable if the services are required. Otherwise returns `None` and
/// reports the skipped test.
pub(crate) fn needed(what: &str, name: &str) -> Option<String> {
    required(SERVICES, what, name, "./tests/run")
}

/// Returns the value of the variable if the variable `must` requires it. Otherwise returns `None`
/// and reports the command that provides it.
pub(crate) fn required(must: &str, what: &str, name: &str, command: &str) -> Option<String> {
    if std::env::var_os(must).is_some_and(|value| value == "required") {
        return Some(std::env::var(name).unwrap_or_else(|_| {
            panic!("{must} is set and {name} is not; {command} sets both");
        }));
    }
    leave_out(&format!("needs {what}; {command} gets it"));
    None
}

/// Reports a skipped test, with the reason.
fn leave_out(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or("a test");
    // `eprintln!` would be captured by the test runner while the test passes.
    let line = format!("left out: {test}: {reason}\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
}

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{SERVICES} is set and {name} is not; ./tests/run sets both"))
}

/// Returns a random number.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A database on the shared PostgreSQL.
#[derive(Debug)]
pub struct Database {
    admin: String,
    name: String,
}

impl Database {
    /// No connections to the template are allowed (`services` forbids them), so it can be copied
    /// concurrently.
    async fn create(admin: String, template: &str) -> Self {
        // Names begin with that of the template, so that `services` finds the databases of killed
        // tests.
        let name = format!("{}_{:016x}", variable(POSTGRES_TEMPLATE), random());
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        execute(&admin, &sql).await.unwrap();
        Self { admin, name }
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(&self.admin, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // On a thread with a separate runtime: the test's may be busy or ending.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                // The server of a failed test may be gone; `services` cleans up after it.
                drop(runtime.unwrap().block_on(execute(&self.admin, &sql)));
            });
        });
    }
}

/// Returns the address of another database on the same server.
///
/// # Panics
/// If this is not an address.
#[must_use]
pub fn url_of(admin: &str, database: &str) -> String {
    let mut url = reqwest::Url::parse(admin).unwrap();
    url.set_path(database);
    url.into()
}

/// Opens a connection for one or two statements.
///
/// # Errors
/// If the database cannot be reached.
pub async fn connect(url: &str) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Executes one statement on a separate connection.
///
/// # Errors
/// If the database cannot be reached or refuses it.
pub async fn execute(url: &str, sql: &str) -> anyhow::Result<()> {
    connect(url).await?.batch_execute(sql).await.with_context(|| sql.to_owned())
}

/// The shared Redis.
#[derive(Debug)]
pub struct Redis {
    /// Address.
    pub url: String,
    /// Prefix of the keys and channels of this test.
    pub prefix: String,
}

/// Returns the target folder of Cargo, from any binary or test in it.
///
/// If this program was not started from a target folder.
/// When this does not run out of one.
#[must_use]
pub fn target() -> PathBuf {
    crate::server::built().parent().unwrap().to_owned()
}
