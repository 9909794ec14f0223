//! `store copy`: a whole installation from one database to another, and proof that it arrived.
//!
//! The rows travel table by table in the order of their keys, in chunks that are committed one by
//! one, so whoever is interrupted goes on after the last row that is there. Before the first row
//! the target is marked, and no server starts on it; the mark goes when every row of both sides
//! has been compared, and every entry's hash computed anew from what the target holds.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use botarmy_domain::StoreError;
use botarmy_domain::artifact::digest;
use botarmy_domain::log::Verifier;
#[cfg(feature = "postgres")]
use botarmy_postgres::{PostgresDatabaseCopy, PostgresSettings, PostgresUrl};
use botarmy_sql::database_copy::{
    Cell, CopyMark, DatabaseCopy, EVENTS, HEADS, Row, TABLES, Table, entry, head_mark,
};
use botarmy_sqlite::SqliteDatabaseCopy;

use crate::output::{say, say_error};
use crate::stores::DATABASE;

/// Approximate size in bytes of the rows that are read and committed at once.
const CHUNK_BYTES: usize = 4 << 20;

/// Largest number of rows in a chunk.
const CHUNK_ROWS: u32 = 1000;

/// Interval between two reports of progress.
const PROGRESS: Duration = Duration::from_secs(2);

/// Address of an installation. Shown without the password.
#[derive(Debug, Clone)]
pub enum Address {
    /// A data directory with its SQLite file.
    DataDir(PathBuf),
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresUrl>),
}

impl FromStr for Address {
    type Err = anyhow::Error;

    /// `postgres://…`, `sqlite:DIR`, or `env:NAME` for a variable that holds one of these.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            // Anything else is not repeated: it may be an address with a password.
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                bail!("env: is followed by the name of a variable: letters, digits and _");
            }
            let value = std::env::var(name).with_context(|| format!("the variable {name}"))?;
            if value.starts_with("env:") {
                bail!("the variable {name} names another variable; it has to hold the address");
            }
            return value.parse().with_context(|| format!("the variable {name}"));
        }
        match text.strip_prefix("sqlite:") {
            Some("") => bail!("sqlite: names no data directory; it is sqlite:DIR"),
            Some(dir) => Ok(Self::DataDir(PathBuf::from(dir))),
            None if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                Self::postgres(text)
            }
            // Not repeated: it may be a misspelt address with a password.
            None => bail!(
                "an address is postgres://USER:PASSWORD@HOST:PORT/DATABASE, sqlite:DIR for the \
                 data directory DIR, or env:NAME for the variable NAME that holds one of these"
            ),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDir(dir) => write!(f, "sqlite:{}", dir.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl Address {
    #[cfg(feature = "postgres")]
    fn postgres(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Postgres(Box::new(url.parse()?)))
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres(_url: &str) -> anyhow::Result<Self> {
        Err(crate::features::missing("a PostgreSQL address", "postgres"))
    }

    fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::DataDir(a), Self::DataDir(b)) => {
                a == b || a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a))
            }
            #[cfg(feature = "postgres")]
            (Self::Postgres(a), Self::Postgres(b)) => a.to_string() == b.to_string(),
            #[cfg(feature = "postgres")]
            _ => false,
        }
    }

    async fn source(&self) -> anyhow::Result<Box<dyn DatabaseCopy>> {
        Ok(match self {
            Self::DataDir(dir) => Box::new(SqliteDatabaseCopy::source(&dir.join(DATABASE))?),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => Box::new(PostgresDatabaseCopy::source(&settings(url)).await?),
        })
    }

    async fn target(&self) -> anyhow::Result<Box<dyn DatabaseCopy>> {
        const OLDER: &str = "nothing was changed; name an empty target, or `migrate` this one";
        Ok(match self {
            Self::DataDir(dir) => match SqliteDatabaseCopy::target(&dir.join(DATABASE)) {
                Err(error @ botarmy_sqlite::OpenError::Behind { .. }) => {
                    return Err(error).context(OLDER);
                }
                target => Box::new(target?),
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => match PostgresDatabaseCopy::target(&settings(url)).await {
                Err(error @ botarmy_postgres::OpenError::Behind { .. }) => {
                    return Err(error).context(OLDER);
                }
                target => Box::new(target?),
            },
        })
    }
}

#[cfg(feature = "postgres")]
fn settings(url: &PostgresUrl) -> PostgresSettings {
    PostgresSettings::new(url.clone())
}

/// Copies everything and prints what was copied; the exit code says whether both sides are equal.
/// `chunk_rows` bounds how many rows are committed at once.
///
/// # Errors
/// What cannot be used or was not possible. What is in the target by then stays marked, and the
/// same command goes on from there.
pub async fn copy(from: &str, to: &str, chunk_rows: Option<u32>) -> anyhow::Result<ExitCode> {
    let from: Address = from.parse().context("--from")?;
    let to: Address = to.parse().context("--to")?;
    if from.is_same_as(&to) {
        bail!("--from and --to are the same, {from}; nothing was done");
    }
    let mut source = from.source().await?;
    let mut target = to.target().await?;
    let fingerprint = fingerprint(source.as_mut()).await?;
    let mark = CopyMark { source: source.name().to_owned(), fingerprint };
    begin_or_resume(target.as_mut(), &mark).await?;
    let mut progress = Progress::new();
    for table in TABLES.iter() {
        let limit = chunk_rows.unwrap_or(CHUNK_ROWS).clamp(1, CHUNK_ROWS);
        fill(source.as_mut(), target.as_mut(), table, limit, &mut progress).await?;
    }
    let mut found = compare(source.as_mut(), target.as_mut(), &mut progress).await?;
    let logs = check_logs(target.as_mut(), &mut progress).await?;
    found.differences.extend(logs.bad);
    source.renew().await?;
    if self::fingerprint(source.as_mut()).await? != mark.fingerprint {
        bail!(
            "{} went on while it was copied, so the copy lacks what came last, and stays marked as \
             unfinished. Stop every server that uses the source, empty the target, and copy again",
            mark.source
        );
    }
    for (table, rows) in &found.rows {
        say!("{table:<14} {rows:>10}");
    }
    if found.differences.is_empty() {
        target.set_mark(None).await?;
        say!(
            "Copied {} to {}. Every row is the same on both sides, and the {} entries of {} logs \
             have the hashes they should have.",
            mark.source,
            target.name(),
            logs.entries,
            logs.logs
        );
        return Ok(ExitCode::SUCCESS);
    }
    for difference in &found.differences {
        say!("DIFFERENT: {difference}");
    }
    say!(
        "{} and {} are not the same; the copy stays marked as unfinished, and no server starts on \
         it. Make sure that nothing uses either, empty the target, and copy again.",
        mark.source,
        target.name()
    );
    Ok(ExitCode::FAILURE)
}

/// Marks an empty target, or resumes one that was marked for the same source at the same point.
///
/// # Errors
/// The target holds other data, or the source has changed since the mark.
async fn begin_or_resume(target: &mut dyn DatabaseCopy, mark: &CopyMark) -> anyhow::Result<()> {
    match target.mark().await? {
        Some(found) if found.fingerprint == mark.fingerprint => {
            say_error!("Going on with the copy of {} that was interrupted", found.source);
            Ok(())
        }
        Some(found) if found.source == mark.source => bail!(
            "{} holds a part of {} from before that went on; it cannot be finished any more. Empty \
             the target, and copy again",
            target.name(),
            found.source
        ),
        Some(found) => bail!(
            "{} holds a part of a copy of {}, and not of {}. Finish that copy, or empty the target \
             first",
            target.name(),
            found.source,
            mark.source
        ),
        None => {
            for table in TABLES.iter() {
                if target.last(table).await?.is_some() {
                    bail!(
                        "{} is not empty: there is something in {}. Nothing was changed; name an \
                         empty target",
                        target.name(),
                        table.name
                    );
                }
            }
            Ok(target.set_mark(Some(mark)).await?)
        }
    }
}

/// Copies the rows of a table that are not there yet.
async fn fill(
    source: &mut dyn DatabaseCopy,
    target: &mut dyn DatabaseCopy,
    table: &'static Table,
    most: u32,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut after = target.last(table).await?;
    let mut limit = most.min(50);
    let mut done = 0;
    loop {
        let key = after.as_deref().map(|row| table.key_of(row));
        let rows = source.rows(table, key, limit).await?;
        if rows.is_empty() {
            return Ok(());
        }
        target.append(table, &rows).await?;
        done += rows.len();
        progress.tell("copied", table, done);
        limit = next_limit(limit, &rows).min(most);
        after = rows.into_iter().next_back();
    }
}

/// Returns the number of rows to read next, so that a chunk stays small.
fn next_limit(limit: u32, rows: &[Row]) -> u32 {
    let size = |cell: &Cell| match cell {
        Cell::Null | Cell::Integer(_) => 8,
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
    };
    let bytes: usize = rows.iter().flatten().map(size).sum();
    let fitting = (CHUNK_BYTES / (bytes / rows.len().max(1)).max(1)).max(1);
    // Larger rows may come: it grows by steps.
    let fitting = u32::try_from(fitting).unwrap_or(CHUNK_ROWS);
    fitting.min(limit.saturating_mul(4)).min(CHUNK_ROWS)
}

/// Result of comparing both sides.
struct Comparison {
    /// Number of equal rows in each table.
    rows: Vec<(&'static str, usize)>,
    /// The first difference of each table, in a sentence.
    differences: Vec<String>,
}

/// Compares every row.
async fn compare(
    source: &mut dyn DatabaseCopy,
    target: &mut dyn DatabaseCopy,
    progress: &mut Progress,
) -> anyhow::Result<Comparison> {
    let mut found = Comparison { rows: Vec::new(), differences: Vec::new() };
    for table in TABLES.iter() {
        let (mut ours, mut theirs) = (Walk::of(table), Walk::of(table));
        let mut same = 0;
        loop {
            match (ours.next(source).await?, theirs.next(target).await?) {
                (None, None) => break,
                (Some(one), Some(other)) if one == other => same += 1,
                (one, other) => {
                    let row = [&one, &other].into_iter().flatten().map(|row| table.name_of(row));
                    let row = row.min().unwrap_or_default();
                    let how = match (one, other) {
                        (Some(_), None) => "is missing in the target",
                        (None, Some(_)) => "is in the target only",
                        _ => "is not the same on both sides",
                    };
                    found.differences.push(format!("{}: the row {row} {how}", table.name));
                    break;
                }
            }
            progress.tell("compared", table, same);
        }
        found.rows.push((table.name, same));
    }
    Ok(found)
}

/// Result of checking all logs.
pub(crate) struct Logs {
    /// Number of logs.
    pub(crate) logs: usize,
    /// Number of entries.
    pub(crate) entries: u64,
    /// Errors, in sentences.
    pub(crate) bad: Vec<String>,
}

impl Logs {
    /// Says it once, of however many entries of a log it is true.
    fn note(&mut self, bad: String) {
        if self.bad.last() != Some(&bad) {
            self.bad.push(bad);
        }
    }
}

/// Computes every hash anew, and looks whether every log ends where it should.
pub(crate) async fn check_logs(
    database_copy: &mut dyn DatabaseCopy,
    progress: &mut Progress,
) -> anyhow::Result<Logs> {
    let mut found = Logs { logs: 0, entries: 0, bad: Vec::new() };
    let (mut heads, mut entries) = (Walk::of(&HEADS), Walk::of(&EVENTS));
    let mut next = entries.next(database_copy).await?;
    let mut read = 0;
    while let Some(head) = heads.next(database_copy).await? {
        let mut verifier = Verifier::default();
        while let Some(row) = next.take_if(|row| row[0] <= head[0]) {
            match entry(&row) {
                _ if row[0] < head[0] => found.note(without_end(&row)),
                Ok(entry) => verifier.next(&entry),
                Err(error) => verifier.unreadable(error.to_string()),
            }
            next = entries.next(database_copy).await?;
            read += 1;
            progress.tell("verified", &EVENTS, read);
        }
        let verification = verifier.finish(&head_mark(&head)?);
        found.logs += 1;
        found.entries += verification.entries;
        if let (Some(seq), Some(reason)) = (verification.first_bad_seq, verification.reason) {
            let log = HEADS.name_of(&head);
            found.bad.push(format!(
                "the log {log} is not as it was written from entry {seq} on: {reason}"
            ));
        }
    }
    if let Some(row) = next {
        found.note(without_end(&row));
    }
    Ok(found)
}

fn without_end(row: &[Cell]) -> String {
    let name = EVENTS.name_of(row);
    let log = name.split(' ').next().unwrap_or_default();
    format!("the log {log} has entries and no end")
}

/// A digest over the ends of all logs. Every change of state has its entry, so it is the same only
/// for the same installation at the same point.
async fn fingerprint(database_copy: &mut dyn DatabaseCopy) -> Result<String, StoreError> {
    let mut fingerprint = String::new();
    let mut heads = Walk::of(&HEADS);
    while let Some(head) = heads.next(database_copy).await? {
        let end = head_mark(&head)?;
        fingerprint = digest(&[fingerprint, HEADS.name_of(&head), end.seq.to_string(), end.hash]);
    }
    Ok(fingerprint)
}

/// The rows of a table one by one, a few of them in memory.
struct Walk {
    table: &'static Table,
    ready: VecDeque<Row>,
    last: Option<Row>,
    limit: u32,
}

impl Walk {
    const fn of(table: &'static Table) -> Self {
        Self { table, ready: VecDeque::new(), last: None, limit: 50 }
    }

    async fn next(
        &mut self,
        database_copy: &mut dyn DatabaseCopy,
    ) -> Result<Option<Row>, StoreError> {
        if self.ready.is_empty() {
            let key = self.last.as_deref().map(|row| self.table.key_of(row));
            let rows = database_copy.rows(self.table, key, self.limit).await?;
            self.limit = next_limit(self.limit, &rows);
            self.last = rows.last().cloned();
            self.ready = rows.into();
        }
        Ok(self.ready.pop_front())
    }
}

/// Says on standard error how far it is, now and then.
pub(crate) struct Progress(Instant);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    fn tell(&mut self, what: &str, table: &Table, rows: usize) {
        if self.0.elapsed() >= PROGRESS {
            self.0 = Instant::now();
            say_error!("{}: {rows} {what}", table.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password_and_a_bad_one_not_at_all() {
        let address = "postgres://army:s3cr3t@db/botarmy".parse::<Address>();
        match address {
            Ok(address) => assert_eq!(address.to_string(), "postgres://army@db:5432/botarmy"),
            Err(error) if cfg!(feature = "postgres") => panic!("{error}"),
            Err(error) => {
                assert!(error.to_string().contains("`postgres`"), "{error}");
            }
        }
        assert_eq!("sqlite:data".parse::<Address>().unwrap().to_string(), "sqlite:data");
        for bad in [
            "postgre://army:s3cr3t@db/x",
            "postgres://army:s3cr3t@/x",
            "env:postgres://army:s3cr3t@db/x",
            "env:",
            "data",
            "sqlite:",
        ] {
            let error = format!("{:#}", bad.parse::<Address>().unwrap_err());
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_chunk_gets_smaller_with_larger_rows_and_grows_by_steps() {
        let row = |bytes| vec![Cell::Text("x".repeat(bytes))];
        assert_eq!(next_limit(50, &[row(1)]), 200);
        assert_eq!(next_limit(1000, &[row(1)]), CHUNK_ROWS);
        assert_eq!(next_limit(1000, &[row(1 << 20)]), 4);
        assert_eq!(next_limit(1000, &[row(64 << 20)]), 1);
    }
}
