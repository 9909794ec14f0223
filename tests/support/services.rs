//! The PostgreSQL and the Redis of the tests. The command `services` has started them, and says in
//! the environment where they are; a test gets a database or a prefix of its own there, or a
//! server of its own where it means to break one.
//!
//! Without that command, as under plain `cargo test`, everything here answers `None` and says on
//! standard error which test was left out and why. With it, what is missing fails the test.
//!
//! ```ignore
//! let Some(database) = services::database().await else { return };
//! ```

mod postgres;
mod private;
mod redis;

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tokio_postgres::NoTls;

pub use postgres::PostgresServer;
pub use private::{command, free_port, free_ports, user};
pub use redis::RedisServer;

/// Whether the services must be there; set to `required` by the command `services`.
pub const SERVICES: &str = "BOTARMY_TEST_SERVICES";
/// An address of PostgreSQL whose role may create databases.
pub const POSTGRES_URL: &str = "BOTARMY_TEST_POSTGRES_URL";
/// The folder of `postgres`, `initdb`, `pg_dump` and their like.
pub const POSTGRES_BIN: &str = "BOTARMY_TEST_POSTGRES_BIN";
/// The database that was migrated once, to be copied for each test.
pub const POSTGRES_TEMPLATE: &str = "BOTARMY_TEST_POSTGRES_TEMPLATE";
/// An address of Redis.
pub const REDIS_URL: &str = "BOTARMY_TEST_REDIS_URL";
/// A `redis-server`, or what takes its place.
pub const REDIS_BIN: &str = "BOTARMY_TEST_REDIS_BIN";

/// A migrated database of one's own, dropped with this value.
///
/// # Panics
/// When there should be one and is not.
pub async fn database() -> Option<Database> {
    let admin = needed("PostgreSQL", POSTGRES_URL)?;
    Some(Database::create(admin, &variable(POSTGRES_TEMPLATE)).await)
}

/// A database of one's own with nothing in it, dropped with this value.
///
/// # Panics
/// When there should be one and is not.
pub async fn empty_database() -> Option<Database> {
    let admin = needed("PostgreSQL", POSTGRES_URL)?;
    Some(Database::create(admin, "template0").await)
}

/// The shared Redis, with a prefix for one's own keys.
///
/// # Panics
/// When there should be one and is not.
#[must_use]
pub fn redis() -> Option<Redis> {
    let url = needed("Redis", REDIS_URL)?;
    Some(Redis { url, prefix: format!("test-{:016x}:", random()) })
}

/// A tool that comes with PostgreSQL, such as `pg_dump`.
///
/// # Panics
/// When there should be one and is not.
#[must_use]
pub fn postgres_tool(name: &str) -> Option<Command> {
    let tool = Path::new(&needed("PostgreSQL", POSTGRES_BIN)?).join(name);
    assert!(tool.exists(), "{} is missing: {POSTGRES_BIN} names another folder", tool.display());
    Some(command(&tool))
}

/// What the variable says when the services must be there. Otherwise `None`, and a line about it.
pub(crate) fn needed(what: &str, name: &str) -> Option<String> {
    required(SERVICES, what, name, "./tests/run")
}

/// What the variable says when another one says that it must be there. Otherwise `None`, and a line
/// about what would get it.
pub(crate) fn required(must: &str, what: &str, name: &str, command: &str) -> Option<String> {
    if std::env::var_os(must).is_some_and(|value| value == "required") {
        return Some(std::env::var(name).unwrap_or_else(|_| {
            panic!("{must} is set and {name} is not; {command} sets both");
        }));
    }
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or("a test");
    // Not `eprintln!`: the test runner keeps that to itself while the test passes.
    let line = format!("left out: {test}: needs {what}; {command} gets it\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
    None
}

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{SERVICES} is set and {name} is not; ./tests/run sets both"))
}

/// A number that nobody else has.
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
    /// Nobody can be connected to the template (`services` forbids it), so copies may be made side
    /// by side.
    async fn create(admin: String, template: &str) -> Self {
        // Names begin with the template's, so that `services` finds what a killed test left behind.
        let name = format!("{}_{:016x}", variable(POSTGRES_TEMPLATE), random());
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        execute(&admin, &sql).await.unwrap();
        Self { admin, name }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(&self.admin, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // On a thread with a runtime of its own: the test's may be busy or ending.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                // A test that failed may have lost its server; `services` cleans up after it.
                drop(runtime.unwrap().block_on(execute(&self.admin, &sql)));
            });
        });
    }
}

/// The same server, another database.
///
/// # Panics
/// When this is not an address.
#[must_use]
pub fn url_of(admin: &str, database: &str) -> String {
    let mut url = reqwest::Url::parse(admin).unwrap();
    url.set_path(database);
    url.into()
}

/// Opens a connection for one or two statements.
///
/// # Errors
/// When the database cannot be reached.
pub async fn connect(url: &str) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Executes one statement on a connection of its own.
///
/// # Errors
/// When the database cannot be reached or refuses it.
pub async fn execute(url: &str, sql: &str) -> anyhow::Result<()> {
    connect(url).await?.batch_execute(sql).await.with_context(|| sql.to_owned())
}

/// The shared Redis.
#[derive(Debug)]
pub struct Redis {
    /// Its address.
    pub url: String,
    /// What the keys and channels of this test begin with.
    pub prefix: String,
}

/// The folder of everything cargo built, from any binary or test in it.
///
/// # Panics
/// When this does not run out of one.
#[must_use]
pub fn target() -> PathBuf {
    crate::server::built().parent().unwrap().to_owned()
}
