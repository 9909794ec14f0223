//! Times in a long log, for searches by date in a project.
//!
//! Positions and times of a log nearly always grow together, but a clock may be set back. So the
//! earliest and the latest time of each block of positions are kept in memory; a full block never
//! changes. A search by date reads the blocks that can hold an entry of these dates. Where the clock
//! was set, a block can hold any date between the two times; what lies between that block and the
//! others is not read.

use std::collections::HashMap;

use botarmy_domain::Timestamp;
use uuid::Uuid;

use crate::log_search::Positions;

/// Number of positions in a block.
pub const BLOCK: u64 = 1024;
/// Number of blocks from which on it costs less to search before and after them than to read them.
const GAP: usize = 8;
/// Maximum number of logs whose times are kept.
const KEPT: usize = 64;

/// Earliest and latest time of a block, in microseconds.
pub type Zone = (i64, i64);

/// The times of the logs that were searched by date.
#[derive(Debug, Default)]
pub struct Zones(HashMap<Uuid, Vec<Zone>>);

impl Zones {
    /// Returns the positions whose blocks are to be read before a search in a log of this length.
    #[must_use]
    pub fn missing(&self, log: Uuid, length: u64) -> Positions {
        let known = self.0.get(&log).map_or(0, |zones| zones.len() as u64);
        Positions { first: known * BLOCK + 1, last: length / BLOCK * BLOCK }
    }

    /// Adds the times of the blocks after these positions.
    pub fn add(&mut self, log: Uuid, after: u64, new: Vec<Zone>) {
        if !self.0.contains_key(&log) && self.0.len() >= KEPT {
            // Any of them: the next search in that log reads it once more.
            if let Some(any) = self.0.keys().next().copied() {
                self.0.remove(&any);
            }
        }
        let zones = self.0.entry(log).or_default();
        // Another search may have added them meanwhile.
        if zones.len() as u64 * BLOCK == after {
            zones.extend(new);
        }
    }

    /// Returns the parts of a log in which all entries of these dates are, newest first: those that
    /// are in no block yet, and the runs of blocks that can hold one.
    #[must_use]
    pub fn parts(
        &self,
        log: Uuid,
        length: u64,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Vec<Positions> {
        let zones = self.0.get(&log).map_or(&[][..], Vec::as_slice);
        let may_hold = |(earliest, latest): &Zone| {
            from.is_none_or(|from| *latest >= from.micros())
                && to.is_none_or(|to| *earliest <= to.micros())
        };
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (block, _) in zones.iter().enumerate().filter(|(_, zone)| may_hold(zone)) {
            match runs.last_mut() {
                Some((_, last)) if block - *last <= GAP => *last = block,
                _ => runs.push((block, block)),
            }
        }
        let end = |block: usize| (block as u64 + 1) * BLOCK;
        let mut parts = vec![Positions { first: zones.len() as u64 * BLOCK + 1, last: length }];
        parts.extend(
            runs.into_iter()
                .rev()
                .map(|(first, last)| Positions { first: end(first) - BLOCK + 1, last: end(last) }),
        );
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(micros))
    }

    #[test]
    fn a_search_reads_the_blocks_of_its_dates() {
        let log = Uuid::from_u128(1);
        let mut zones = Zones::default();
        assert_eq!(zones.missing(log, 5 * BLOCK), Positions { first: 1, last: 5 * BLOCK });
        zones.add(log, 0, vec![(0, 9), (10, 19), (20, 29), (30, 39), (40, 49)]);
        assert!(zones.missing(log, 5 * BLOCK + 3).is_empty());
        let parts = |from, to| zones.parts(log, 5 * BLOCK, from, to);
        let blocks = |first: u64, last: u64| Positions {
            first: (first - 1) * BLOCK + 1,
            last: last * BLOCK,
        };
        assert_eq!(parts(at(12), at(33))[1], blocks(2, 4));
        assert_eq!(parts(None, at(5))[1], blocks(1, 1));
        assert_eq!(parts(at(45), None)[1], blocks(5, 5));
        assert!(parts(at(60), None).iter().all(|part| part.is_empty()));
        // The newest entries are in no full block yet.
        let newest = zones.parts(log, 5 * BLOCK + 3, at(60), None)[0];
        assert_eq!(newest, Positions { first: 5 * BLOCK + 1, last: 5 * BLOCK + 3 });
    }

    #[test]
    fn a_clock_that_was_set_back_hides_nothing() {
        let log = Uuid::from_u128(1);
        let mut zones = Zones::default();
        zones.add(log, 0, vec![(0, 9), (10, 90), (20, 29), (80, 95)]);
        let found = zones.parts(log, 4 * BLOCK, at(85), at(95))[1];
        assert_eq!(found, Positions { first: BLOCK + 1, last: 4 * BLOCK });
    }

    #[test]
    fn a_block_in_which_the_clock_was_set_is_searched_without_all_blocks_before_it() {
        let log = Uuid::from_u128(1);
        let mut zones = Zones::default();
        let times = (0..100).map(|n| if n == 80 { (5, 809) } else { (n * 10, n * 10 + 9) });
        zones.add(log, 0, times.collect());
        let found = zones.parts(log, 100 * BLOCK, at(55), at(56));
        let block = |n: u64| Positions { first: n * BLOCK + 1, last: (n + 1) * BLOCK };
        assert_eq!(found[1..], [block(80), block(5)]);
    }
}
