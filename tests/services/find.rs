//! Finds the servers: where the environment says, on the `PATH`, in the folders of Debian, or
//! otherwise where `get` puts them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use botarmy_tests::services::{BWRAP_BIN, PGBOUNCER_BIN, POSTGRES_BIN, REDIS_BIN, command, user};
use tokio::process::Command;

use crate::{get, say};

/// Oldest version that the adapters support; they use `DROP DATABASE … WITH (FORCE)` and similar.
const OLDEST_POSTGRES: u32 = 14;
const OLDEST_REDIS: u32 = 6;
const OLDEST_PGBOUNCER: u32 = 1;

/// Returns the folder of PostgreSQL's programs and the binary of Redis.
pub(crate) async fn both() -> Result<(PathBuf, PathBuf)> {
    let postgres =
        match find("PostgreSQL", POSTGRES_BIN, &postgres_places(), OLDEST_POSTGRES).await? {
            Some(found) => found,
            None => get::postgres(OLDEST_POSTGRES).await?,
        };
    let redis = match find("Redis", REDIS_BIN, &redis_places(), OLDEST_REDIS).await? {
        Some(found) => found,
        None => get::redis(OLDEST_REDIS).await?,
    };
    let bin = postgres.parent().context("a binary has a folder")?;
    Ok((bin.to_owned(), redis))
}

/// Returns the binary of PgBouncer. Without it only the tests that need it fail.
pub(crate) async fn pgbouncer() -> Result<Option<PathBuf>> {
    let places: Vec<_> =
        on_path("pgbouncer").chain([PathBuf::from("/usr/sbin/pgbouncer")]).collect();
    let places: Vec<_> = places.into_iter().filter(|place| place.exists()).collect();
    if let Some(found) = find("PgBouncer", PGBOUNCER_BIN, &places, OLDEST_PGBOUNCER).await? {
        return Ok(Some(found));
    }
    Ok(match get::pgbouncer(OLDEST_PGBOUNCER).await {
        Ok(binary) => Some(binary),
        Err(error) => {
            say(&format!("no PgBouncer, so its tests will fail: {error:#}"));
            None
        }
    })
}

/// Returns the binary of bubblewrap.
pub(crate) async fn bwrap() -> Result<PathBuf> {
    let places: Vec<_> = on_path("bwrap").collect();
    match find("bubblewrap", BWRAP_BIN, &places, 0).await? {
        Some(found) => Ok(found),
        None => get::bwrap().await,
    }
}

fn postgres_places() -> Vec<PathBuf> {
    // A link on the PATH may lead to a folder that has the other programs too.
    let on_path = on_path("postgres").filter_map(|path| path.canonicalize().ok());
    on_path.chain(debian(Path::new("/"))).collect()
}

fn redis_places() -> Vec<PathBuf> {
    on_path("redis-server").chain(on_path("valkey-server")).collect()
}

fn on_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.into_iter().map(move |folder| folder.join(name)).filter(|path| path.exists())
}

/// Returns the folders of Debian's PostgreSQL, one for each version, newest first.
pub(crate) fn debian(root: &Path) -> Vec<PathBuf> {
    let folder = root.join("usr/lib/postgresql");
    let versions = folder.read_dir().into_iter().flatten();
    let names = versions.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut versions: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.iter().map(|version| folder.join(format!("{version}/bin/postgres"))).collect()
}

/// Returns the first binary that works. If the environment names one, only that one is tried.
async fn find(what: &str, name: &str, places: &[PathBuf], oldest: u32) -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os(name) {
        let named = PathBuf::from(named);
        let binary = if named.is_dir() { named.join("postgres") } else { named };
        return works(what, &binary, oldest)
            .await
            .with_context(|| format!("as {name} says"))
            .map(Some);
    }
    for place in places {
        match works(what, place, oldest).await {
            Ok(binary) => return Ok(Some(binary)),
            Err(error) => say(&format!("{error:#}; looking further")),
        }
    }
    Ok(None)
}

/// Checks the version of a binary as the user who is going to run it, and reports the result.
pub(crate) async fn works(what: &str, binary: &Path, oldest: u32) -> Result<PathBuf> {
    let mut ask = Command::from(command(binary));
    if let Some((user, group)) = user() {
        ask.uid(user).gid(group);
    }
    let answer = ask.arg("--version").current_dir("/").kill_on_drop(true).output().await;
    let answer = answer.with_context(|| binary.display().to_string())?;
    let said = String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned();
    // `postgres (PostgreSQL) 15.18 (Debian …)`, `Redis server v=7.0.15 sha=…`
    let numbers =
        said.split([' ', '=']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let version = numbers.unwrap_or_default().trim();
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    match major.parse::<u32>() {
        Ok(major) if answer.status.success() && major >= oldest => {
            say(&format!("{what} {version} is {}", binary.display()));
            Ok(binary.to_owned())
        }
        Ok(_) if answer.status.success() => {
            bail!("{} is version {version}, and the tests need {oldest}", binary.display())
        }
        _ => bail!("{} does not run: {}", binary.display(), said.trim()),
    }
}
