//! The order of one log. Entries arrive late, out of order, twice or not at all; they leave as
//! 1, 2, 3, … and each once.

use std::collections::BTreeMap;
use std::sync::Arc;

use botarmy_domain::{Entry, json};

/// Puts the entries of one log in order.
#[derive(Debug)]
pub(crate) struct Sequencer {
    /// Last entry that left; `None` until it is known where to begin.
    last: Option<u64>,
    /// Highest entry that is known to exist.
    known: u64,
    /// Entries that arrived before one that has to leave first.
    early: BTreeMap<u64, Arc<Entry>>,
    /// Size of those entries, in bytes.
    bytes: usize,
    /// Most that is held back.
    window: Window,
}

/// Most that a sequencer holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Number of entries.
    pub(crate) entries: usize,
    /// Size of their data, in bytes.
    pub(crate) bytes: usize,
}

impl Sequencer {
    /// Creates a sequencer that begins after entry `last`, or where [`Sequencer::begin`] says. It
    /// holds back at most `window`.
    pub(crate) const fn new(last: Option<u64>, window: Window) -> Self {
        Self { last, known: 0, early: BTreeMap::new(), bytes: 0, window }
    }

    /// Returns the last entry that left.
    pub(crate) const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Begins after entry `at`, or before the first entry that is held back, whichever is earlier.
    /// Does nothing if it has begun.
    pub(crate) fn begin(&mut self, at: u64, out: &mut Vec<Arc<Entry>>) {
        if self.last.is_none() {
            let first = self.early.first_key_value().map_or(u64::MAX, |(seq, _)| *seq);
            self.last = Some(at.min(first.saturating_sub(1)));
            self.drain(out);
        }
    }

    /// Begins before the first entry that is held back, if there is one.
    pub(crate) fn begin_with_held(&mut self, out: &mut Vec<Arc<Entry>>) {
        if !self.early.is_empty() {
            self.begin(u64::MAX, out);
        }
    }

    /// Receives an entry, and adds to `out` the entries that can leave because of it.
    pub(crate) fn receive(&mut self, entry: Arc<Entry>, out: &mut Vec<Arc<Entry>>) {
        let seq = entry.seq;
        self.known = self.known.max(seq);
        match self.last {
            Some(last) if seq <= last => {}
            Some(last) if seq == last + 1 => {
                self.last = Some(seq);
                out.push(entry);
                self.drain(out);
            }
            _ => {
                self.bytes += size(&entry);
                if let Some(twice) = self.early.insert(seq, entry) {
                    self.bytes -= size(&twice);
                }
                // `known` remembers that the dropped ones exist, so that they are read from the log.
                while self.early.len() > self.window.entries || self.bytes > self.window.bytes {
                    let Some((_, latest)) = self.early.pop_last() else { break };
                    self.bytes -= size(&latest);
                }
            }
        }
    }

    fn drain(&mut self, out: &mut Vec<Arc<Entry>>) {
        let Some(mut last) = self.last else { return };
        while let Some(next) = self.early.first_entry() {
            if *next.key() > last + 1 {
                break;
            }
            let entry = next.remove();
            self.bytes -= size(&entry);
            if entry.seq == last + 1 {
                last = entry.seq;
                out.push(entry);
            }
        }
        self.last = Some(last);
    }

    /// Returns `true` if an entry is known to exist that has not left.
    pub(crate) fn is_waiting(&self) -> bool {
        self.last.is_none_or(|last| self.known > last) && self.known > 0
    }

    /// Stops waiting for entries that are not in the log either.
    pub(crate) fn give_up(&mut self) {
        self.early.clear();
        self.bytes = 0;
        self.known = self.last.unwrap_or(0);
    }
}

fn size(entry: &Entry) -> usize {
    json::size(&entry.event_data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{LogWriter, log_of};
    use botarmy_domain::{EventType, LogId};
    use serde_json::json;

    fn window(entries: usize) -> Window {
        Window { entries, bytes: usize::MAX }
    }

    fn order(begin: Option<u64>, entries: usize, order: &[usize]) -> (Vec<u64>, Sequencer) {
        let log = log_of(20);
        let mut sequencer = Sequencer::new(begin, window(entries));
        let mut out = Vec::new();
        for seq in order {
            sequencer.receive(Arc::clone(&log[seq - 1]), &mut out);
        }
        (out.iter().map(|entry| entry.seq).collect(), sequencer)
    }

    #[test]
    fn entries_leave_in_order_and_once_however_they_arrive() {
        assert_eq!(order(Some(0), 9, &[1, 2, 3]).0, [1, 2, 3]);
        assert_eq!(order(Some(0), 9, &[3, 1, 2]).0, [1, 2, 3]);
        assert_eq!(order(Some(0), 9, &[1, 1, 2, 1, 2, 3, 3]).0, [1, 2, 3]);
        assert_eq!(order(Some(4), 9, &[2, 6, 5, 4, 7]).0, [5, 6, 7]);
    }

    #[test]
    fn an_entry_before_its_turn_waits() {
        let (out, sequencer) = order(Some(0), 9, &[1, 3, 4]);
        assert_eq!(out, [1]);
        assert!(sequencer.is_waiting());
    }

    #[test]
    fn a_full_window_forgets_the_latest_but_not_that_they_exist() {
        let (out, mut sequencer) = order(Some(0), 2, &[3, 4, 5, 6, 1, 2]);
        assert_eq!(out, [1, 2, 3, 4]);
        assert!(sequencer.is_waiting(), "5 and 6 have to be read from the log");
        sequencer.give_up();
        assert!(!sequencer.is_waiting());
    }

    #[test]
    fn the_window_is_full_at_its_size_in_bytes_too() {
        let mut log = LogWriter::new(LogId::System);
        let mut write =
            |n: usize| log.write(EventType::SystemWarning, json!({ "message": "x".repeat(n) }));
        let log = [write(10), write(400), write(400), write(400), write(400)];
        let mut sequencer = Sequencer::new(Some(0), Window { entries: 9, bytes: 1000 });
        let mut out = Vec::new();
        for seq in [2, 3, 3, 4, 5] {
            sequencer.receive(Arc::clone(&log[seq - 1]), &mut out);
            assert!(sequencer.bytes <= 1000, "{}", sequencer.bytes);
        }
        assert_eq!((sequencer.early.len(), out.len()), (2, 0));
        sequencer.receive(Arc::clone(&log[0]), &mut out);
        assert_eq!(out.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(sequencer.is_waiting(), "4 and 5 have to be read from the log");
        assert_eq!(sequencer.bytes, 0);
    }

    #[test]
    fn it_begins_before_the_first_entry_that_is_held_back() {
        let log = log_of(9);
        for (head, expected) in [(9, vec![6, 7]), (3, vec![]), (5, vec![6, 7])] {
            let mut sequencer = Sequencer::new(None, window(9));
            let mut out = Vec::new();
            sequencer.receive(Arc::clone(&log[6]), &mut out);
            sequencer.receive(Arc::clone(&log[5]), &mut out);
            sequencer.begin(head, &mut out);
            assert_eq!(out.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expected);
            assert_eq!(sequencer.last(), Some(if expected.is_empty() { head } else { 7 }));
        }
    }
}
