//! The positions of the entries since a time, by log.

use botarmy_domain::Timestamp;
use botarmy_domain::log::{LogId, LogSpan};
use uuid::Uuid;

use crate::dialect::Dialect;
use crate::time_of_id;

/// Returns the query for the spans of entries of this time or later: a row with the key of the log,
/// the first and the last position and the number of entries for each log. No more than one entry
/// beyond `limit` is read.
#[must_use]
pub fn query(dialect: Dialect, from: Timestamp, limit: u32) -> String {
    let from = (dialect.id)(Uuid::from_bytes(time_of_id::first(from)));
    let limit = u64::from(limit) + 1;
    format!(
        "SELECT log, min(seq) AS first, max(seq) AS last, count(*) AS entries \
         FROM (SELECT log, seq FROM events WHERE id >= {from} ORDER BY id LIMIT {limit}) AS found \
         GROUP BY log ORDER BY log"
    )
}

/// Returns the spans, or `None` if they have more entries than `limit`. A row is the log, the first and
/// the last position, and the number of entries.
#[must_use]
pub fn of_rows(
    rows: impl IntoIterator<Item = (LogId, i64, i64, i64)>,
    limit: u32,
) -> Option<Vec<LogSpan>> {
    let (mut spans, mut entries) = (Vec::new(), 0_u64);
    for (log, first, last, count) in rows {
        entries += count.unsigned_abs();
        spans.push(LogSpan { log, first: first.unsigned_abs(), last: last.unsigned_abs() });
    }
    (entries <= u64::from(limit)).then_some(spans)
}
