//! Ranks of entries over all logs, for a page that begins far from the newest entry.
//!
//! Entries are only ever added, nearly always after all others. So the id of every few thousandth
//! entry, counted from the oldest, is kept in memory, and a page far away begins with a short walk
//! from the mark before it. Each log knows its length; if their sum shows that an entry has come in
//! before a mark, the marks are made again.

use std::time::{Duration, Instant};

use uuid::Uuid;

/// Number of entries from one mark to the next.
pub const STEP: u64 = 4096;
/// Number of entries after the last mark. Entries of several servers do not arrive in the order of
/// their ids; those that come late come among these.
const MARGIN: u64 = 2 * STEP;
/// Time for which the marks are used without counting again.
const FRESH: Duration = Duration::from_secs(1);

/// Lengths of the logs and of the part after the last mark, from one snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// Sum of the positions of the ends of all logs.
    pub logs: u64,
    /// Number of entries after the last mark.
    pub after_last: u64,
}

/// Next step before the marks can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// None.
    Ready,
    /// The marks were discarded; count again.
    Count,
    /// Add the mark that is [`STEP`] entries after the last one.
    Add,
}

/// The marks of a database.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// Ids of the entries with the ranks `STEP`, `2 * STEP`, …
    ids: Vec<Uuid>,
    after_last: u64,
    /// Difference between the number of entries and the sum of the lengths of the logs when the
    /// marks were made. It changes when an entry comes in before the last mark.
    excess: Option<i128>,
    counted: Option<Instant>,
}

/// Place of an entry: the number of entries to leave out after a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The mark; all zeros before the oldest entry.
    pub after: Uuid,
    /// Number of entries between the mark and the entry.
    pub skip: u64,
}

impl Marks {
    /// Returns the last mark; all zeros if there is none.
    #[must_use]
    pub fn last(&self) -> Uuid {
        self.ids.last().copied().unwrap_or(Uuid::nil())
    }

    /// Returns the number of entries if it was counted a moment ago.
    #[must_use]
    pub fn fresh(&self) -> Option<u64> {
        self.counted.filter(|at| at.elapsed() < FRESH).map(|_| self.all())
    }

    /// Takes in new lengths.
    pub fn count(&mut self, lengths: Lengths) -> Next {
        self.after_last = lengths.after_last;
        let excess = i128::from(self.all()) - i128::from(lengths.logs);
        if !self.ids.is_empty() && *self.excess.get_or_insert(excess) != excess {
            *self = Self::default();
            return Next::Count;
        }
        if self.after_last >= STEP + MARGIN {
            self.counted = None;
            return Next::Add;
        }
        self.counted = Some(Instant::now());
        Next::Ready
    }

    /// Adds the mark that is [`STEP`] entries after the last one.
    pub fn add(&mut self, id: Uuid) -> Next {
        self.ids.push(id);
        self.after_last -= STEP;
        if self.after_last >= STEP + MARGIN { Next::Add } else { Next::Count }
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.ids.len() as u64 * STEP + self.after_last
    }

    /// Returns the place of the entry with this rank, where the oldest has rank 1.
    #[must_use]
    pub fn place(&self, rank: u64) -> Place {
        let marks = usize::try_from((rank - 1) / STEP).unwrap_or(usize::MAX).min(self.ids.len());
        let after = marks.checked_sub(1).map_or(Uuid::nil(), |last| self.ids[last]);
        Place { after, skip: rank - 1 - marks as u64 * STEP }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> Uuid {
        Uuid::from_u128(n.into())
    }

    /// Makes the marks of the entries 1 to `all`.
    fn marks(all: u64) -> Marks {
        let mut marks = Marks::default();
        while count(&mut marks, all, all) != Next::Ready {
            let rank = marks.ids.len() as u64 * STEP + STEP;
            marks.add(id(rank));
        }
        marks
    }

    fn count(marks: &mut Marks, logs: u64, all: u64) -> Next {
        marks.count(Lengths { logs, after_last: all - marks.ids.len() as u64 * STEP })
    }

    #[test]
    fn a_place_is_less_than_a_step_from_its_mark() {
        let all = 20 * STEP + 7;
        let marks = marks(all);
        assert!(marks.ids.len() > 15);
        for rank in [1, 2, STEP, STEP + 1, 7 * STEP - 1, 7 * STEP, 7 * STEP + 1] {
            let Place { after, skip } = marks.place(rank);
            assert_eq!(after.as_u128() as u64 + skip + 1, rank);
            assert!(skip < STEP, "{rank}: {skip}");
        }
        let Place { after, skip } = marks.place(all);
        assert_eq!((after, skip), (marks.last(), all - 1 - marks.ids.len() as u64 * STEP));
    }

    #[test]
    fn an_entry_before_a_mark_discards_the_marks() {
        let all = 10 * STEP;
        let mut marks = marks(all);
        assert_eq!(count(&mut marks, all + 1, all + 1), Next::Ready);
        assert_eq!(marks.fresh(), Some(all + 1));
        // One more in all, and none more after the last mark.
        assert_eq!(count(&mut marks, all + 2, all + 1), Next::Count);
        assert_eq!((marks.last(), marks.fresh()), (Uuid::nil(), None));
    }
}
