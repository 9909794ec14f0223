//! Commits with an unknown outcome: they were sent before the connection was lost. The ids and
//! hashes of their entries in the log show whether they were committed.

use std::collections::HashMap;
use std::time::Instant;

use botarmy_domain::{Committed, Entry};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::error::DbError;
use crate::job::Job;
use crate::statements;

/// Stores with each decision the commit whose outcome is unknown.
pub(crate) fn in_doubt(jobs: &mut [Job], done: impl IntoIterator<Item = Option<Committed>>) {
    for (job, done) in jobs.iter_mut().zip(done) {
        if let Some(committed) = done.filter(|committed| !committed.entries.is_empty()) {
            job.in_doubt.push(committed);
            job.since.get_or_insert_with(Instant::now);
        }
    }
}

/// Returns those of these entries that are in a log, with their hashes in hexadecimal.
pub(crate) async fn committed(
    mut connection: &AsyncPgConnection,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, String>, DbError> {
    let rows: Vec<(Uuid, Vec<u8>)> = statements::Committed { ids }.load(&mut connection).await?;
    let hash = |bytes: &[u8]| botarmy_domain::log::hash_text(bytes);
    Ok(rows.iter().map(|(id, bytes)| (*id, hash(bytes))).collect())
}

/// Returns the id of the first entry of a commit in doubt.
pub(crate) fn first_id(in_doubt: &Committed) -> Option<Uuid> {
    first(in_doubt).map(|entry| entry.id.uuid())
}

/// Whether exactly this commit is among the committed entries.
pub(crate) fn is_among(in_doubt: &Committed, committed: &HashMap<Uuid, String>) -> bool {
    first(in_doubt).is_some_and(|entry| committed.get(&entry.id.uuid()) == Some(&entry.hash))
}

fn first(in_doubt: &Committed) -> Option<&Entry> {
    in_doubt.entries.as_slice().split_first().map(|(entry, _)| &**entry)
}
