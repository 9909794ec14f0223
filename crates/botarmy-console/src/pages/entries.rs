//! Pages of entries of logs, of all parties or of one.

use std::sync::Arc;

use botarmy_domain::{Entry, EntryFilter, Error, EventId, Page};

/// Number of entries on a page.
pub(super) const WINDOW: u32 = 100;
/// Number of entries that are read at once to find those of one party.
const PART: u32 = 1000;
/// Number of times that entries are read to find those of one party, before the page ends.
const MAX_PARTS: u32 = 10;

/// Entries of a page.
#[derive(Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Arc<Entry>>,
    /// Entry before which the next page begins.
    pub(super) next: Option<EventId>,
    /// Number of entries that were looked through for those of one party.
    pub(super) searched: Option<usize>,
}

/// Reads a page of entries. No index knows the names of parties, so entries of one are searched for in a
/// limited number, and the next page goes on from there.
///
/// # Errors
/// Those of `read`.
pub(super) async fn find(
    filter: &EntryFilter,
    actor: &str,
    read: impl AsyncFn(EntryFilter, u32) -> Result<Page<Arc<Entry>>, Error>,
) -> Result<Found, Error> {
    if actor.is_empty() {
        let page = read(filter.clone(), WINDOW).await?;
        let next = page.last_before_next().map(|last| last.id);
        return Ok(Found { entries: page.items, next, searched: None });
    }
    let (mut found, mut searched) = (Found::default(), 0);
    let mut before = filter.before;
    for _ in 0..MAX_PARTS {
        let page = read(EntryFilter { before, ..filter.clone() }, PART).await?;
        let count = page.items.len();
        for (n, entry) in page.items.into_iter().enumerate() {
            searched += 1;
            before = Some(entry.id);
            if entry.actor() == actor {
                found.entries.push(entry);
            }
            if found.entries.len() == WINDOW as usize {
                let is_last = n + 1 == count && !page.has_more;
                found.next = before.filter(|_| !is_last);
                return Ok(Found { searched: Some(searched), ..found });
            }
        }
        if !page.has_more {
            return Ok(Found { searched: Some(searched), ..found });
        }
    }
    Ok(Found { next: before, searched: Some(searched), ..found })
}
