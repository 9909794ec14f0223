//! Pages of a search in the logs: the queries of [`crate::log_search`] in their order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use botarmy_domain::{EntryFilter, Page, Reach};
use uuid::Uuid;

use crate::dialect::Dialect;
use crate::log_marks::{Lengths, Marks, Next, STEP};
use crate::log_search::{
    FEW, FEW_LOGS, Positions, SHORT_LOG, Search, TYPES, has_kind, has_subject,
};
use crate::log_zones::{BLOCK, Zones};

/// Offset over all logs from which a page is found by its rank.
pub const FAR: u32 = 2000;

/// A connection on which a search runs.
pub trait LogReader: Send {
    /// An entry as it is stored.
    type Row: Send;
    /// Error of a query.
    type Error: Send;

    /// Reads entries, at least one if there is one. The page ends early, and then has more, where the
    /// entries that this reader has read would have more than [`botarmy_domain::page::PART_BYTES`].
    fn rows(
        &mut self,
        sql: String,
    ) -> impl Future<Output = Result<Page<Self::Row>, Self::Error>> + Send;

    /// Reads texts from the column `name`.
    fn names(&mut self, sql: &str)
    -> impl Future<Output = Result<Vec<String>, Self::Error>> + Send;

    /// Reads pairs of numbers from the columns `a` and `b`.
    fn numbers(
        &mut self,
        sql: String,
    ) -> impl Future<Output = Result<Vec<(i64, i64)>, Self::Error>> + Send;

    /// Reads at most one id from the column `id`.
    fn id(&mut self, sql: String)
    -> impl Future<Output = Result<Option<Uuid>, Self::Error>> + Send;
}

/// Knowledge about the logs that searches have gained, for the searches after them.
#[derive(Debug, Default)]
pub struct SearchMemory {
    marks: Mutex<Marks>,
    zones: Mutex<Zones>,
}

impl SearchMemory {
    fn zones(&self) -> MutexGuard<'_, Zones> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a page needs a search, or follows from an index on ids or positions alone.
#[must_use]
pub fn is_search(filter: &EntryFilter) -> bool {
    !filter.reach.is_everything()
        || has_kind(filter)
        || has_subject(filter)
        || filter.from.is_some()
        || filter.to.is_some()
        || filter.offset > FAR
}

/// Returns one page of entries, newest first.
///
/// # Errors
/// Any error of a query.
pub async fn page<R: LogReader>(
    reader: &mut R,
    memory: &SearchMemory,
    dialect: Dialect,
    filter: &EntryFilter,
    limit: u32,
) -> Result<Page<R::Row>, R::Error> {
    // One entry more shows whether there is another page.
    let found = search(reader, memory, dialect, filter, limit.saturating_add(1)).await?;
    let is_cut = found.has_more;
    let page = Page::first(found.items, limit);
    Ok(Page { has_more: page.has_more || is_cut, ..page })
}

/// Returns entries, newest first.
async fn search<R: LogReader>(
    reader: &mut R,
    memory: &SearchMemory,
    dialect: Dialect,
    filter: &EntryFilter,
    limit: u32,
) -> Result<Page<R::Row>, R::Error> {
    let mut search =
        Search { dialect, filter: filter.clone(), types: Vec::new(), below: None, floor: None };
    if let Some(project) = filter.project {
        if !filter.reach.is_everything() {
            let within = search.is_within_reach(project.uuid());
            if positive(&reader.numbers(within).await?).is_none() {
                return Ok(none());
            }
            // All entries of the log are within the reach, or none.
            search.filter.reach = Reach::everything();
        }
        let mut cursor = None;
        if let Some(before) = filter.before {
            let seq = search.seq_of(before.uuid(), project.uuid());
            cursor = positive(&reader.numbers(seq).await?);
            // An id of no entry of this log is a moment in time.
            search.below = if cursor.is_none() { Some(before.uuid()) } else { None };
        }
        if has_subject(filter) {
            return reader.rows(search.by_subject(cursor, limit)).await;
        }
        return in_log(reader, memory, search, project.uuid(), cursor, limit).await;
    }
    search.below = filter.before.map(|before| before.uuid());
    if has_subject(filter) {
        return reader.rows(search.by_subject(None, limit)).await;
    }
    if has_kind(filter) {
        find_types(reader, &mut search).await?;
        if search.is_empty() {
            return Ok(none());
        }
    }
    let is_limited = !filter.reach.is_everything();
    if is_limited && !is_better_by_kind_or_time(reader, &mut search, limit).await? {
        return reader.rows(search.within_reach(limit)).await;
    }
    if has_kind(filter) {
        return reader.rows(search.by_kind(limit)).await;
    }
    let is_plain = filter.from.is_none() && filter.to.is_none() && filter.before.is_none();
    if is_plain && !is_limited && filter.offset > FAR {
        return far(reader, memory, search, limit).await;
    }
    reader.rows(search.by_time(limit)).await
}

/// Returns the page of a search that finds nothing.
const fn none<T>() -> Page<T> {
    Page { items: Vec::new(), has_more: false }
}

/// Returns whether a page within a limited reach is found at less cost among the entries of all projects
/// than among all entries within the reach, and limits the search to the newest of them.
async fn is_better_by_kind_or_time<R: LogReader>(
    reader: &mut R,
    search: &mut Search,
    limit: u32,
) -> Result<bool, R::Error> {
    let extent = reader.numbers(search.extent()).await?;
    let (logs, entries) = extent.first().copied().unwrap_or_default();
    let (logs, entries) = (u64::try_from(logs).unwrap_or(0), u64::try_from(entries).unwrap_or(0));
    if logs > FEW_LOGS {
        return Ok(true);
    }
    if entries <= FEW {
        return Ok(false);
    }
    if has_whole_page(reader, search, FEW, limit).await? {
        return Ok(true);
    }
    if has_kind(&search.filter) {
        let of_kind = positive(&reader.numbers(search.count_of_kind(entries)).await?).unwrap_or(0);
        if of_kind < entries {
            return Ok(true);
        }
    }
    has_whole_page(reader, search, entries, limit).await
}

/// Returns whether a search finds a whole page among so many of the newest entries, or these are all
/// entries; limits it to them in the first case.
async fn has_whole_page<R: LogReader>(
    reader: &mut R,
    search: &mut Search,
    newest: u64,
    limit: u32,
) -> Result<bool, R::Error> {
    search.floor = reader.id(search.nth_newest(newest)).await?;
    if search.floor.is_none() {
        return Ok(true);
    }
    let found = positive(&reader.numbers(search.count(limit)).await?).unwrap_or(0);
    if found < limit.into() {
        search.floor = None;
        return Ok(false);
    }
    Ok(true)
}

/// Reads the types that are in the logs if the search does not name one.
async fn find_types<R: LogReader>(reader: &mut R, search: &mut Search) -> Result<(), R::Error> {
    if search.filter.event_type.is_none() {
        search.types = reader.names(TYPES).await?;
    }
    Ok(())
}

/// Returns the first number if it is positive.
fn positive(numbers: &[(i64, i64)]) -> Option<u64> {
    numbers.first().and_then(|(number, _)| u64::try_from(*number).ok()).filter(|n| *n > 0)
}

/// Searches the log of a project.
async fn in_log<R: LogReader>(
    reader: &mut R,
    memory: &SearchMemory,
    mut search: Search,
    log: Uuid,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<R::Row>, R::Error> {
    let filter = &search.filter;
    let length = positive(&reader.numbers(search.length(log)).await?).unwrap_or(0);
    let mut all = Positions { first: 1, last: cursor.map_or(length, |seq| length.min(seq - 1)) };
    let (has_kind, has_dates) = (has_kind(filter), filter.from.is_some() || filter.to.is_some());
    if !has_kind && !has_dates && search.below.is_none() {
        // Positions have no gaps.
        all.last = all.last.saturating_sub(filter.offset.into());
        search.filter.offset = 0;
    }
    let mut parts = vec![all];
    if has_dates && length > SHORT_LOG {
        read_times(reader, memory, &search, log, length).await?;
        let (from, to) = (search.filter.from, search.filter.to);
        parts = memory.zones().parts(log, length, from, to);
        parts.iter_mut().for_each(|part| *part = part.within(all));
    }
    if has_kind {
        find_types(reader, &mut search).await?;
        if search.is_empty() {
            return Ok(none());
        }
        parts = parts.into_iter().flat_map(Positions::split).collect();
    }
    let mut found = none();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let left = limit - u32::try_from(found.items.len()).unwrap_or(limit).min(limit);
        if left == 0 {
            break;
        }
        let rows = reader.rows(search.in_part(log, part, left)).await?;
        if rows.is_empty() && search.filter.offset > 0 {
            let passed = positive(&reader.numbers(search.count_in_log(log, part)).await?);
            let passed = u32::try_from(passed.unwrap_or(0)).unwrap_or(u32::MAX);
            search.filter.offset = search.filter.offset.saturating_sub(passed);
        } else if !rows.is_empty() {
            search.filter.offset = 0;
        }
        found.items.extend(rows.items);
        if rows.has_more {
            found.has_more = true;
            break;
        }
    }
    Ok(found)
}

/// Reads the times of the blocks of a log that are not known yet.
async fn read_times<R: LogReader>(
    reader: &mut R,
    memory: &SearchMemory,
    search: &Search,
    log: Uuid,
    length: u64,
) -> Result<(), R::Error> {
    let missing = memory.zones().missing(log, length);
    if !missing.is_empty() {
        let times = reader.numbers(search.times(log, missing, BLOCK)).await?;
        memory.zones().add(log, missing.first - 1, times);
    }
    Ok(())
}

/// Finds a page far from the newest entry by its rank among all entries.
async fn far<R: LogReader>(
    reader: &mut R,
    memory: &SearchMemory,
    mut search: Search,
    limit: u32,
) -> Result<Page<R::Row>, R::Error> {
    let mut marks = memory.marks().clone();
    let all = match marks.fresh() {
        Some(all) => all,
        None => {
            let mut next = Next::Count;
            while next != Next::Ready {
                next = match next {
                    Next::Add => {
                        let id = reader.id(search.oldest_after(marks.last(), STEP - 1));
                        match id.await? {
                            Some(id) => marks.add(id),
                            None => Next::Count,
                        }
                    }
                    _ => {
                        let lengths = search.lengths(marks.last());
                        let lengths = reader.numbers(lengths).await?;
                        let (logs, after_last) = lengths.first().copied().unwrap_or_default();
                        marks.count(Lengths {
                            logs: u64::try_from(logs).unwrap_or(0),
                            after_last: u64::try_from(after_last).unwrap_or(0),
                        })
                    }
                };
            }
            *memory.marks() = marks.clone();
            marks.all()
        }
    };
    let Some(rank) = all.checked_sub(search.filter.offset.into()).filter(|rank| *rank > 0) else {
        return Ok(none());
    };
    let place = marks.place(rank);
    let first = search.oldest_after(place.after, place.skip);
    let Some(first) = reader.id(first).await? else { return Ok(none()) };
    search.filter.offset = 0;
    reader.rows(search.page_that_begins_with(first, limit)).await
}
