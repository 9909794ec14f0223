//! The check of a log: every hash, every position, and the end.

use serde::{Deserialize, Serialize};

use super::{Entry, Form, GENESIS, HeadMark, Line, LogId};

/// Checks the hashes of a log entry by entry, in order.
#[derive(Debug, Clone)]
pub struct Verifier {
    log: Option<LogId>,
    seq: u64,
    hash: String,
    expected: Option<HeadMark>,
    rounded: u64,
    first_bad: Option<(u64, String)>,
}

/// Result of checking a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Whether every entry is unchanged and in its place.
    pub valid: bool,
    /// Number of entries that were read.
    pub entries: u64,
    /// Last entry that was read: the end of the log that was checked.
    pub head: HeadMark,
    /// Position of the first entry that is missing or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad_seq: Option<u64>,
    /// Defect at that position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of entries by earlier versions that contain numbers of 2^53 or more. Their hashes do
    /// not show a change of the last digits of these numbers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounded_entries: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Default for Verifier {
    fn default() -> Self {
        Self::expecting(None)
    }
}

impl Verifier {
    /// Creates a verifier. A log that does not contain the expected head is not valid: it was cut
    /// off before it, or another log was written from there on.
    #[must_use]
    pub fn expecting(expected: Option<HeadMark>) -> Self {
        let mut verifier = Self {
            log: None,
            seq: 0,
            hash: GENESIS.to_owned(),
            expected,
            rounded: 0,
            first_bad: None,
        };
        verifier.compare_head();
        verifier
    }

    /// Checks the next entry.
    pub fn next(&mut self, entry: &Entry) {
        let position = self.seq + 1;
        let log = *self.log.get_or_insert(entry.log());
        if entry.seq != position {
            self.bad(position, format!("entry {} stands in its place", entry.seq));
        } else if entry.log() != log {
            self.bad(position, "it belongs to another log".to_owned());
        } else {
            match entry.form_after(&self.hash) {
                Some(Form::Exact) => {}
                Some(Form::Rounded) => self.rounded += 1,
                None => self.bad(
                    position,
                    "its hash is not that of its fields and the hash before".to_owned(),
                ),
            }
        }
        self.seq = position;
        self.hash.clone_from(&entry.hash);
        self.compare_head();
    }

    /// Checks the next line.
    pub fn line(&mut self, line: &Line) {
        match line {
            Line::Entry(entry) => self.next(entry),
            Line::Unreadable(unreadable) => {
                self.unreadable(format!("it cannot be read: {}", unreadable.reason));
            }
            Line::End(_) => self.unreadable("the last line of an export stands in its place"),
        }
    }

    /// Marks the next position as bad because what stands there cannot be read as an entry.
    pub fn unreadable(&mut self, reason: impl Into<String>) {
        self.seq += 1;
        self.bad(self.seq, reason.into());
        self.compare_head();
    }

    /// Returns the result. `head` is the recorded end of the log; it reveals a log that was
    /// truncated although every remaining entry is valid.
    #[must_use]
    pub fn finish(mut self, head: &HeadMark) -> Verification {
        let end = self.seq;
        if end != head.seq {
            let reason = format!("the log has {end} entries, and its recorded end is {}", head.seq);
            self.bad(end.min(head.seq) + 1, reason);
        } else if self.hash != head.hash {
            self.bad(end + 1, format!("the recorded end of the log has the hash {}", head.hash));
        }
        if let Some(expected) = self.expected.take().filter(|expected| expected.seq > end) {
            self.bad(end + 1, format!("the log ends before {}", expected.seq));
        }
        let (first_bad_seq, reason) = self.first_bad.unzip();
        Verification {
            valid: first_bad_seq.is_none(),
            entries: self.seq,
            head: HeadMark { seq: self.seq, hash: self.hash },
            first_bad_seq,
            reason,
            rounded_entries: self.rounded,
        }
    }

    fn compare_head(&mut self) {
        if let Some(expected) = &self.expected
            && expected.seq == self.seq
            && expected.hash != self.hash
        {
            let reason = format!("its hash is not the expected {}", expected.hash);
            self.bad(self.seq, reason);
        }
    }

    fn bad(&mut self, seq: u64, reason: String) {
        self.first_bad.get_or_insert((seq, reason));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::log::Head;
    use crate::log::tests::log_of;
    use crate::timestamp::Timestamp;

    fn mark(head: &Head) -> HeadMark {
        HeadMark { seq: head.seq, hash: head.hash.clone() }
    }

    fn verify_expecting(
        expected: Option<HeadMark>,
        head: &HeadMark,
        entries: &[Entry],
    ) -> Verification {
        let mut verifier = Verifier::expecting(expected);
        entries.iter().for_each(|entry| verifier.next(entry));
        verifier.finish(head)
    }

    fn verify(head: &Head, entries: &[Entry]) -> Verification {
        verify_expecting(None, &mark(head), entries)
    }

    #[test]
    fn an_untouched_log_is_valid_also_after_a_round_trip_through_json() {
        let (head, entries) = log_of(5);
        let json = serde_json::to_string(&entries).unwrap();
        let read: Vec<Entry> = serde_json::from_str(&json).unwrap();
        let found = verify(&head, &read);
        assert!(found.valid && found.entries == 5 && found.first_bad_seq.is_none());
        assert_eq!(found.head, mark(&head));
    }

    #[test]
    fn every_kind_of_tampering_is_found_where_it_is() {
        type Tamper = fn(&mut Vec<Entry>);
        let tampering: [(&str, Tamper, u64); 6] = [
            ("data", |log| drop(log[2].event_data.insert("n".to_owned(), 9.into())), 3),
            ("time", |log| log[1].created_at = Timestamp::from_micros(5), 2),
            ("actor", |log| drop(log[0].event_metadata.insert("actor".into(), "x".into())), 1),
            ("removed", |log| drop(log.remove(3)), 4),
            ("swapped", |log| log.swap(1, 2), 2),
            ("cut short", |log| log.truncate(4), 5),
        ];
        for (name, tamper, first_bad) in tampering {
            let (head, mut entries) = log_of(5);
            tamper(&mut entries);
            let found = verify(&head, &entries);
            assert!(!found.valid && found.reason.is_some(), "{name}");
            assert_eq!(found.first_bad_seq, Some(first_bad), "{name}");
        }
    }

    #[test]
    fn a_large_integer_that_is_changed_by_one_is_found() {
        for number in [9_007_199_254_740_992_u64, 9_007_199_254_740_993, u64::MAX - 1] {
            let (mut head, mut entries) = log_of(1);
            let mut event = crate::log::tests::event_after(&entries);
            event.data = json!({"output": {"n": number}}).as_object().cloned().unwrap();
            entries.push(Entry::append(&mut head, event));
            assert!(verify(&head, &entries).valid);
            entries[1].event_data["output"]["n"] = (number + 1).into();
            assert_eq!(verify(&head, &entries).first_bad_seq, Some(2), "{number}");
        }
    }

    #[test]
    fn an_entry_that_an_earlier_version_sealed_stays_valid_and_is_counted() {
        let (head, entries) = log_of(1);
        let mut entry = entries[0].clone();
        entry.event_data["n"] = 9_007_199_254_740_993_u64.into();
        let text = crate::canonical::form_1(&entry.sealed(GENESIS)).unwrap();
        entry.hash = crate::artifact::digest_bytes(&text);
        assert_ne!(entry.hash, entry.seal(GENESIS));
        let end = HeadMark { seq: head.seq, hash: entry.hash.clone() };
        let found = verify_expecting(None, &end, &[entry]);
        assert!(found.valid && found.rounded_entries == 1, "{found:?}");
    }

    #[test]
    fn a_log_without_the_expected_head_is_not_valid_although_every_hash_is() {
        let (head, entries) = log_of(5);
        let noted = mark(&head);
        let at = |n: usize| HeadMark { seq: n as u64, hash: entries[n - 1].hash.clone() };
        // The log went on after the head was noted.
        assert!(verify_expecting(Some(at(3)), &noted, &entries).valid);
        assert!(verify_expecting(Some(noted.clone()), &noted, &entries).valid);
        let genesis = HeadMark { seq: 0, hash: GENESIS.to_owned() };
        assert!(verify_expecting(Some(genesis), &noted, &entries).valid);
        // It was cut off, and its recorded end was rewritten.
        let cut = verify_expecting(Some(noted.clone()), &at(4), &entries[..4]);
        assert_eq!((cut.valid, cut.first_bad_seq, cut.head.seq), (false, Some(5), 4));
        // Another log.
        let other = HeadMark { hash: at(1).hash, ..at(3) };
        let found = verify_expecting(Some(other), &noted, &entries);
        assert_eq!((found.valid, found.first_bad_seq), (false, Some(3)));
        let nothing = HeadMark { seq: 0, hash: at(1).hash };
        assert_eq!(verify_expecting(Some(nothing), &noted, &entries).first_bad_seq, Some(0));
    }
}
