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

/// Returns how many commits of each decision are in doubt, for [`refused`].
pub(crate) fn before(jobs: &[Job]) -> Vec<usize> {
    jobs.iter().map(|job| job.in_doubt.len()).collect()
}

/// Removes the commits of an attempt that the database has refused, on a connection on which it has
/// rolled back since: nothing of them was committed. Those of earlier attempts stay.
pub(crate) fn refused(jobs: &mut [Job], before: &[usize]) {
    for (job, before) in jobs.iter_mut().zip(before) {
        job.in_doubt.truncate(*before);
        if job.in_doubt.is_empty() {
            job.since = None;
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
