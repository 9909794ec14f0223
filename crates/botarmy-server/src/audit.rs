//! `audit verify FILE`: checks an exported log without the server that wrote it. `audit
//! verify-state`: compares the stored state of a database with its logs.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use botarmy_domain::log::{ExportVerifier, HeadMark, LogId, Verification};
use botarmy_domain::ports::StorePorts;
use botarmy_domain::replay::StateVerification;
use botarmy_domain::{EntryFilter, EventType, ProjectId, Reach, StoreError};
use botarmy_orchestrator::verify_state;

use crate::output::say;
use crate::settings::Settings;
use crate::stores::Stores;

/// Number of rows that are read at once.
const PAGE: u32 = 500;

/// Checks a file and prints what was found; the exit code says whether it is valid.
///
/// # Errors
/// A file that cannot be read.
pub fn verify(file: &Path, expected: Option<HeadMark>) -> anyhow::Result<ExitCode> {
    let reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let opened = std::fs::File::open(file);
        Box::new(opened.with_context(|| format!("{} cannot be opened", file.display()))?)
    };
    let found = check(BufReader::new(reader), expected)?;
    say!("{}", serde_json::to_string_pretty(&found)?);
    Ok(if found.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks an export line by line.
///
/// # Errors
/// An export that cannot be read, or has no last line that states the head of the log.
pub fn check(reader: impl BufRead, expected: Option<HeadMark>) -> anyhow::Result<Verification> {
    let mut verifier = ExportVerifier::expecting(expected);
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.with_context(|| format!("line {number} cannot be read"))?;
        verifier.line(&line)?;
    }
    Ok(verifier.finish()?)
}

/// Compares the stored state with the logs: of one project, or of all projects and the system. Prints
/// the first difference of each log; the exit code says whether there is none.
///
/// # Errors
/// A database that cannot be opened or read.
pub async fn verify_stored_state(
    settings: &Settings,
    project: Option<ProjectId>,
) -> anyhow::Result<ExitCode> {
    let stores = Stores::open_unchanged(settings).await?;
    let logs = match project {
        Some(project) => BTreeSet::from([LogId::Project(project)]),
        None => all_logs(&stores.ports).await?,
    };
    let (mut rows, mut entries, mut bad) = (0, 0, 0);
    for log in &logs {
        let found = verify_state(&stores.ports, *log, None, PAGE).await;
        let found = found.with_context(|| name_of(*log))?;
        rows += found.rows;
        entries += found.log.entries;
        if !found.is_valid() {
            bad += 1;
            say!("BAD: {}: {}", name_of(*log), defect(&found));
        }
    }
    stores.close().await;
    if bad > 0 {
        say!("{bad} of {} logs do not agree with the stored state.", logs.len());
        return Ok(ExitCode::FAILURE);
    }
    say!("{} logs with {entries} entries agree with {rows} stored rows.", logs.len());
    Ok(ExitCode::SUCCESS)
}

fn name_of(log: LogId) -> String {
    match log {
        LogId::System => "the system log".to_owned(),
        LogId::Project(id) => format!("the log of project {id}"),
    }
}

fn defect(found: &StateVerification) -> String {
    if let Some(difference) = &found.difference {
        return difference.to_string();
    }
    let seq = found.log.first_bad_seq.unwrap_or_default();
    format!("entry {seq}: {}", found.log.reason.as_deref().unwrap_or("it is not valid"))
}

/// Returns the logs of all projects that are stored or were ever created, and that of the system.
/// Either list names all of them, unless rows were added or removed, so one may be unreadable.
async fn all_logs(stores: &StorePorts) -> anyhow::Result<BTreeSet<LogId>> {
    let mut logs = BTreeSet::from([LogId::System]);
    let (mut before, mut unreadable) = (None, false);
    loop {
        let projects =
            match stores.projects.projects(&Reach::everything(), None, before, PAGE).await {
                Err(StoreError::Corrupt { .. }) => {
                    unreadable = true;
                    break;
                }
                projects => projects?,
            };
        let Some(last) = projects.last() else { break };
        before = Some(last.id);
        logs.extend(projects.iter().map(|project| LogId::Project(project.id)));
    }
    let event_type = Some(EventType::ProjectCreated);
    let mut created = EntryFilter { event_type, ..EntryFilter::default() };
    loop {
        let entries = match stores.audit.entries(created.clone(), PAGE).await {
            Err(StoreError::Corrupt { .. }) if !unreadable => break,
            entries => entries?,
        };
        let Some(last) = entries.last() else { break };
        created.before = Some(last.id);
        logs.extend(entries.iter().map(|entry| entry.log()));
    }
    Ok(logs)
}
