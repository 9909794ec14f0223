//! Reads a log in order, past entries that cannot be read.

use botarmy_domain::log::{GENESIS, HeadMark, Line, Unreadable};
use botarmy_domain::ports::AuditLog;
use botarmy_domain::{Error, LogId, StoreError};

use super::no_project;

/// Returns the entries of a log after the position `after`, in order, at most `limit` and as many as
/// the store reads at once. An entry that the store cannot read is named in its place, and ends the
/// page.
pub(super) async fn lines(
    audit: &dyn AuditLog,
    log: LogId,
    after: u64,
    limit: u32,
) -> Result<Vec<Line>, StoreError> {
    match audit.since(log, after, limit).await {
        Ok(entries) => return Ok(entries.into_iter().map(Line::Entry).collect()),
        Err(StoreError::Corrupt { .. }) => {}
        Err(error) => return Err(error),
    }
    // One entry of the page cannot be read: read one at a time until it is passed.
    let (mut lines, mut last) = (Vec::new(), after);
    while lines.len() < limit as usize {
        match audit.since(log, last, 1).await {
            Ok(one) => {
                let Some(entry) = one.into_iter().next() else { break };
                // A store that was tampered with may not count upwards; this always ends.
                last = entry.seq.max(last + 1);
                lines.push(Line::Entry(entry));
            }
            Err(StoreError::Corrupt { row, detail, .. }) => {
                let reason = format!("entry {row}: {detail}");
                lines.push(Line::Unreadable(Unreadable { seq: last + 1, reason }));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

/// Returns the head of a log. The system log exists without entries.
pub(super) async fn existing_head(audit: &dyn AuditLog, log: LogId) -> Result<HeadMark, Error> {
    match (audit.head(log).await?, log) {
        (Some(head), _) => Ok(head),
        (None, LogId::System) => Ok(HeadMark { seq: 0, hash: GENESIS.to_owned() }),
        (None, LogId::Project(id)) => Err(no_project(id).into()),
    }
}
