//! Puts the news of one log in order. News come late, out of order, doubled or not at all; what
//! goes on from here is 1, 2, 3, … and each once.

use std::collections::BTreeMap;
use std::sync::Arc;

use botarmy_domain::Entry;

/// The order of one log.
#[derive(Debug)]
pub(crate) struct Sequencer {
    /// The last entry that went on; `None` until it is known where to begin.
    last: Option<u64>,
    /// The highest entry that is known to exist.
    known: u64,
    /// Entries that came before one that has to go on first.
    early: BTreeMap<u64, Arc<Entry>>,
    window: usize,
}

impl Sequencer {
    /// Begins after entry `last`, or where [`Sequencer::begin`] says. Holds back at most `window`
    /// entries.
    pub(crate) const fn new(last: Option<u64>, window: usize) -> Self {
        Self { last, known: 0, early: BTreeMap::new(), window }
    }

    /// The last entry that went on.
    pub(crate) const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Begins after entry `at`, or before the first entry that was held back, whichever is
    /// earlier. Does nothing when it has begun.
    pub(crate) fn begin(&mut self, at: u64, on: &mut Vec<Arc<Entry>>) {
        if self.last.is_none() {
            let first = self.early.first_key_value().map_or(u64::MAX, |(seq, _)| *seq);
            self.last = Some(at.min(first.saturating_sub(1)));
            self.drain(on);
        }
    }

    /// Begins before the first entry that was held back, if there is one.
    pub(crate) fn begin_with_held(&mut self, on: &mut Vec<Arc<Entry>>) {
        if !self.early.is_empty() {
            self.begin(u64::MAX, on);
        }
    }

    /// Takes an entry in, and puts into `on` what can go on because of it.
    pub(crate) fn hear(&mut self, entry: Arc<Entry>, on: &mut Vec<Arc<Entry>>) {
        let seq = entry.seq;
        self.known = self.known.max(seq);
        match self.last {
            Some(last) if seq <= last => {}
            Some(last) if seq == last + 1 => {
                self.last = Some(seq);
                on.push(entry);
                self.drain(on);
            }
            _ => {
                self.early.insert(seq, entry);
                if self.early.len() > self.window {
                    self.early.pop_last();
                }
            }
        }
    }

    fn drain(&mut self, on: &mut Vec<Arc<Entry>>) {
        let Some(mut last) = self.last else { return };
        while let Some(next) = self.early.first_entry() {
            if *next.key() > last + 1 {
                break;
            }
            let entry = next.remove();
            if entry.seq == last + 1 {
                last = entry.seq;
                on.push(entry);
            }
        }
        self.last = Some(last);
    }

    /// Whether an entry is known to exist that has not gone on.
    pub(crate) fn is_waiting(&self) -> bool {
        self.last.is_none_or(|last| self.known > last) && self.known > 0
    }

    /// Stops waiting for entries that nobody can find.
    pub(crate) fn give_up(&mut self) {
        self.early.clear();
        self.known = self.last.unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::log_of;

    fn told(begin: Option<u64>, window: usize, order: &[usize]) -> (Vec<u64>, Sequencer) {
        let log = log_of(20);
        let mut sequencer = Sequencer::new(begin, window);
        let mut on = Vec::new();
        for seq in order {
            sequencer.hear(Arc::clone(&log[seq - 1]), &mut on);
        }
        (on.iter().map(|entry| entry.seq).collect(), sequencer)
    }

    #[test]
    fn news_go_on_in_order_and_once_however_they_come() {
        assert_eq!(told(Some(0), 9, &[1, 2, 3]).0, [1, 2, 3]);
        assert_eq!(told(Some(0), 9, &[3, 1, 2]).0, [1, 2, 3]);
        assert_eq!(told(Some(0), 9, &[1, 1, 2, 1, 2, 3, 3]).0, [1, 2, 3]);
        assert_eq!(told(Some(4), 9, &[2, 6, 5, 4, 7]).0, [5, 6, 7]);
    }

    #[test]
    fn what_comes_before_its_turn_waits() {
        let (told, sequencer) = told(Some(0), 9, &[1, 3, 4]);
        assert_eq!(told, [1]);
        assert!(sequencer.is_waiting());
    }

    #[test]
    fn a_full_window_forgets_the_latest_but_not_that_they_exist() {
        let (told, mut sequencer) = told(Some(0), 2, &[3, 4, 5, 6, 1, 2]);
        assert_eq!(told, [1, 2, 3, 4]);
        assert!(sequencer.is_waiting(), "5 and 6 have to be read from the log");
        sequencer.give_up();
        assert!(!sequencer.is_waiting());
    }

    #[test]
    fn it_begins_before_the_first_entry_that_was_held() {
        let log = log_of(9);
        for (head, expected) in [(9, vec![6, 7]), (3, vec![]), (5, vec![6, 7])] {
            let mut sequencer = Sequencer::new(None, 9);
            let mut on = Vec::new();
            sequencer.hear(Arc::clone(&log[6]), &mut on);
            sequencer.hear(Arc::clone(&log[5]), &mut on);
            sequencer.begin(head, &mut on);
            assert_eq!(on.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expected);
            assert_eq!(sequencer.last(), Some(if expected.is_empty() { head } else { 7 }));
        }
    }
}
