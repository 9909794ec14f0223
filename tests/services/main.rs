//! `services [--external_programs] -- COMMAND ARGS…` runs a command with a PostgreSQL and a Redis for
//! the tests, and with bubblewrap.
//!
//! It finds or fetches them (`find.rs`, `get.rs`), starts an instance of each server on loopback in
//! a temporary folder, migrates the database that is copied for every test, and passes the
//! addresses to the command in its environment. They end with the command.
//!
//! With `--external_programs` it also fetches the programs for the test of this name
//! (`external_programs.rs`).
#![expect(clippy::print_stderr, reason = "this is a program of the terminal")]

mod external_programs;
mod find;
mod get;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use botarmy_tests::server;
use botarmy_tests::services::{self, PostgresServer, RedisServer};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Reports progress, one line for each step.
fn say(line: &str) {
    eprintln!("services: {line}");
}

async fn run() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let with_external_programs =
        arguments.next_if(|first| first == "--external-programs").is_some();
    let (Some(_), Some(program)) =
        (arguments.next().filter(|dashes| dashes == "--"), arguments.next())
    else {
        bail!("what should run? services [--external-programs] -- COMMAND ARGUMENTS…");
    };
    let mut command = Command::new(program);
    command.args(arguments);

    let mut signals = Signals::listen()?;
    let start = async {
        if with_external_programs {
            command.envs(external_programs::get().await?);
        }
        Services::start().await
    };
    let services = tokio::select! {
        services = start => services?,
        signal = signals.next() => return Ok(ended_by(signal)),
    };
    command.envs(services.variables());
    command.env("PATH", services.path()?);
    let mut child = command.spawn().with_context(|| format!("{:?}", command.as_std()))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            signal = signals.next() => pass_on(signal, &child),
        }
    };
    services.end().await?;
    Ok(match status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => {
            status.signal().and_then(Signal::from_named_raw).map_or(ExitCode::FAILURE, ended_by)
        }
    })
}

/// Returns the exit code that a shell reports for a signal.
fn ended_by(signal: Signal) -> ExitCode {
    ExitCode::from(128 + signal.as_raw() as u8)
}

/// Leaves the end to the command. It has received Ctrl-C from the terminal already, and a second
/// one could have another meaning.
fn pass_on(signal: Signal, child: &tokio::process::Child) {
    let typed = signal == Signal::INT && std::io::stdin().is_terminal();
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid as i32)).filter(|_| !typed) {
        // It may have ended meanwhile.
        _ = kill_process(pid, signal);
    }
}

/// Signals that ask this program to end.
struct Signals([(Signal, tokio::signal::unix::Signal); 3]);

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self([
            (Signal::INT, signal(SignalKind::interrupt())?),
            (Signal::TERM, signal(SignalKind::terminate())?),
            (Signal::HUP, signal(SignalKind::hangup())?),
        ]))
    }

    async fn next(&mut self) -> Signal {
        let [int, term, hup] = &mut self.0;
        tokio::select! {
            _ = int.1.recv() => int.0,
            _ = term.1.recv() => term.0,
            _ = hup.1.recv() => hup.0,
        }
    }
}

/// Everything that the tests receive.
struct Services {
    postgres: Option<PostgresServer>,
    postgres_url: String,
    postgres_bin: String,
    template: String,
    _redis: Option<RedisServer>,
    redis_url: String,
    redis_bin: String,
    pgbouncer_bin: Option<String>,
    bwrap_bin: String,
}

impl Services {
    /// The binaries are required even if an address is given, because some tests stop and break
    /// private servers.
    async fn start() -> Result<Self> {
        let (postgres_bin, redis_bin) = find::both().await?;
        let bwrap_bin = find::bwrap().await?;
        let (postgres, postgres_url) = match std::env::var(services::POSTGRES_URL) {
            Ok(url) => (None, url),
            Err(_) => {
                let server = PostgresServer::launch(&postgres_bin, &[]).await?;
                let url = server.url();
                (Some(server), url)
            }
        };
        let (redis, redis_url) = match std::env::var(services::REDIS_URL) {
            Ok(url) => (None, url),
            Err(_) => {
                let server = RedisServer::launch(&redis_bin).await?;
                let url = server.url();
                (Some(server), url)
            }
        };
        let template = format!("botarmy_{:016x}", services::random());
        let services = Self {
            postgres,
            postgres_url,
            postgres_bin: postgres_bin.display().to_string(),
            template,
            _redis: redis,
            redis_url,
            redis_bin: redis_bin.display().to_string(),
            pgbouncer_bin: find::pgbouncer().await?.map(|binary| binary.display().to_string()),
            bwrap_bin: bwrap_bin.display().to_string(),
        };
        say(&format!("the tests use {} and {}", services.postgres_url, services.redis_url));
        services.make_template().await?;
        Ok(services)
    }

    /// Migrates a database once and forbids connections from then on: a database can be copied only
    /// while it has no connections.
    async fn make_template(&self) -> Result<()> {
        let Self { postgres_url: admin, template, .. } = self;
        services::execute(admin, &format!("CREATE DATABASE {template} TEMPLATE template0")).await?;
        let folder = tempfile::tempdir()?;
        let mut migrate = server::command(folder.path());
        migrate.env("BOTARMY_STORE__URL", services::url_of(admin, template)).arg("migrate");
        let done = Command::from(migrate).kill_on_drop(true).output().await?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "the template was not migrated: {said}");
        let closed = format!("ALTER DATABASE {template} WITH ALLOW_CONNECTIONS false");
        services::execute(admin, &closed).await
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let pgbouncer = self.pgbouncer_bin.as_deref().map(|bin| (services::PGBOUNCER_BIN, bin));
        let always: [(&str, &str); 7] = [
            (services::SERVICES, "required"),
            (services::POSTGRES_URL, &self.postgres_url),
            (services::POSTGRES_BIN, &self.postgres_bin),
            (services::POSTGRES_TEMPLATE, &self.template),
            (services::REDIS_URL, &self.redis_url),
            (services::REDIS_BIN, &self.redis_bin),
            (services::BWRAP_BIN, &self.bwrap_bin),
        ];
        always.into_iter().chain(pgbouncer).collect()
    }

    /// Returns the `PATH` of the tests: bubblewrap is where the server looks for it.
    fn path(&self) -> Result<OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = Path::new(&self.bwrap_bin).parent().map(Path::to_owned);
        let folders = std::env::split_paths(&path).filter(|one| Some(one) != folder.as_ref());
        Ok(std::env::join_paths(folder.clone().into_iter().chain(folders))?)
    }

    /// Private servers are removed as a whole. On a server that existed before, the template and
    /// the databases of killed tests are dropped.
    async fn end(self) -> Result<()> {
        if self.postgres.is_some() {
            return Ok(());
        }
        let client = services::connect(&self.postgres_url).await?;
        let ours = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)";
        for row in client.query(ours, &[&self.template]).await? {
            let name: &str = row.get(0);
            client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }
}
