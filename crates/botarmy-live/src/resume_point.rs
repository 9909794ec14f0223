//! Positions after which a client that reconnects goes on: in one log a number, in all logs together
//! the time before which it has everything, with the positions in the logs that were written since.
//!
//! Entries of different logs have no common order in which they are committed, so no single number
//! is a position in all of them. The logs that were written in the last moments are few, and a
//! client that brings their positions back gets every entry once.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use botarmy_domain::{LogId, LogSpan, Timestamp};

/// Largest number of logs in the text of a position, which is sent with each event and comes back in
/// a header: 256 logs have 5 KiB. If more were written in the last moments, the least recent ones are left
/// out, and a client that reconnects may get entries of them again.
const MAX_LOGS: usize = 256;
/// Number of characters of a log in the text.
const KEY_CHARS: usize = 11;
/// Largest position in a log: the largest integer of every store.
pub const MAX_POSITION: u64 = i64::MAX as u64;

/// The text is not a position in all logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of an event of this stream")]
pub struct MalformedResumePoint;

/// The last 64 bits of the id of a project, of which 62 are random: enough to tell the logs apart
/// that were written in the last moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LogKey([u8; 8]);

impl LogKey {
    fn of(log: LogId) -> Self {
        let [.., a, b, c, d, e, f, g, h] = *log.key().bytes();
        Self([a, b, c, d, e, f, g, h])
    }
}

/// Last entry of a log that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    seq: u64,
    at: Timestamp,
}

/// Position in all logs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// Everything that was committed with an earlier time was sent.
    since: Timestamp,
    /// Position in the system log.
    system: u64,
    /// The other logs that were written since.
    sent: HashMap<LogKey, Sent>,
}

impl ResumePoint {
    /// Creates the position at which nothing of these spans is left to be sent.
    pub(crate) fn at_end(since: Timestamp, system: u64, spans: &[LogSpan], now: Timestamp) -> Self {
        let mut point = Self { since, system, sent: HashMap::new() };
        for span in spans {
            point.record(span.log, span.last, now);
        }
        point
    }

    /// Returns the position with all of its logs kept until a time after `now` was reached. The text
    /// does not say when they were written.
    pub(crate) fn kept_until(mut self, now: Timestamp) -> Self {
        self.since = self.since.min(now);
        self.sent.values_mut().for_each(|sent| sent.at = now);
        self
    }

    /// Returns the time before which everything was sent.
    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }

    /// Returns the position in the system log.
    pub(crate) const fn system(&self) -> u64 {
        self.system
    }

    /// Returns the part of a span that was not sent yet, if there is one.
    pub(crate) fn rest_of(&self, span: LogSpan) -> Option<LogSpan> {
        let sent = self.sent.get(&LogKey::of(span.log)).map_or(0, |sent| sent.seq);
        let rest = LogSpan { first: span.first.max(sent + 1), ..span };
        (rest.first <= rest.last).then_some(rest)
    }

    /// Records that an entry is sent. Returns `false` if it was sent already.
    pub(crate) fn record(&mut self, log: LogId, seq: u64, at: Timestamp) -> bool {
        if log == LogId::System {
            let is_new = seq > self.system;
            self.system = self.system.max(seq);
            return is_new;
        }
        let sent = self.sent.entry(LogKey::of(log)).or_insert(Sent { seq: 0, at });
        let is_new = seq > sent.seq;
        if is_new {
            *sent = Sent { seq, at: sent.at.max(at) };
        }
        is_new
    }

    /// Records that everything before this time was sent.
    pub(crate) fn advance(&mut self, to: Timestamp) {
        if to > self.since {
            self.since = to;
            self.sent.retain(|_, sent| sent.at >= to);
        }
    }
}

impl fmt::Display for ResumePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.since.micros(), self.system)?;
        let mut sent: Vec<_> = self.sent.iter().collect();
        if sent.len() > MAX_LOGS {
            sent.select_nth_unstable_by_key(MAX_LOGS, |(_, sent)| std::cmp::Reverse(sent.at));
            sent.truncate(MAX_LOGS);
        }
        let mut key = [0; KEY_CHARS];
        for (log, sent) in sent {
            let written = URL_SAFE_NO_PAD.encode_slice(log.0, &mut key);
            written.expect("eight bytes have eleven characters");
            f.write_str(".")?;
            f.write_str(str::from_utf8(&key).expect("Base64 is ASCII"))?;
            sent.seq.fmt(f)?;
        }
        Ok(())
    }
}

/// Parses a number of digits alone.
fn number(text: &str) -> Result<u64, MalformedResumePoint> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.filter(|number| *number <= MAX_POSITION).ok_or(MalformedResumePoint)
}

impl FromStr for ResumePoint {
    type Err = MalformedResumePoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let since = number(parts.next().unwrap_or_default())?;
        let since = Timestamp::from_micros(since.cast_signed());
        let system = number(parts.next().ok_or(MalformedResumePoint)?)?;
        let mut sent = HashMap::new();
        for part in parts {
            let (key, seq) = part.split_at_checked(KEY_CHARS).ok_or(MalformedResumePoint)?;
            let mut bytes = [0; 8];
            let read = URL_SAFE_NO_PAD.decode_slice(key, &mut bytes);
            read.map_err(|_| MalformedResumePoint)?;
            let new = Sent { seq: number(seq)?, at: since };
            if sent.insert(LogKey(bytes), new).is_some() || sent.len() > MAX_LOGS {
                return Err(MalformedResumePoint);
            }
        }
        Ok(Self { since, system, sent })
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::IdGenerator;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn logs(count: u32) -> Vec<LogId> {
        let id = |n: u32| LogId::Project(IdGenerator::new(at(1), n.into()).project());
        (1..=count).map(id).collect()
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let logs = logs(3);
        let mut point = ResumePoint::at_end(at(5_000), 7, &[], at(0));
        for (n, log) in logs.iter().enumerate() {
            assert!(point.record(*log, n as u64 + 1, at(6_000)));
        }
        let read: ResumePoint = point.to_string().parse().unwrap();
        assert_eq!(read.kept_until(at(6_000)), point);
        assert_eq!(ResumePoint::at_end(at(5), 0, &[], at(0)).to_string(), "5.0");
    }

    #[test]
    fn other_texts_are_refused() {
        let key = URL_SAFE_NO_PAD.encode([7; 8]);
        for text in [
            "",
            ".",
            "5",
            "5.",
            ".5",
            "5.0.",
            "+5.0",
            "-5.0",
            "5.x",
            "5.0.short",
            "a.0",
            "9223372036854775808.0",
            "99999999999999999999.0",
            "5.0.AAAAAAAAAAé1",
        ] {
            assert_eq!(text.parse::<ResumePoint>(), Err(MalformedResumePoint), "{text:?}");
        }
        for text in [format!("5.0.{key}"), format!("5.0.{key}-1"), format!("5.0.{key}1.{key}2")] {
            assert_eq!(text.parse::<ResumePoint>(), Err(MalformedResumePoint), "{text:?}");
        }
        assert!(format!("5.0.{key}1").parse::<ResumePoint>().is_ok());
    }

    #[test]
    fn an_entry_is_sent_once() {
        let log = logs(1)[0];
        let mut point = ResumePoint::at_end(at(0), 3, &[], at(0));
        assert!(point.record(log, 4, at(1)) && !point.record(log, 4, at(1)));
        assert!(!point.record(LogId::System, 3, at(1)) && point.record(LogId::System, 4, at(1)));
        let span = |first, last| LogSpan { log, first, last };
        assert_eq!(point.rest_of(span(2, 4)), None);
        assert_eq!(point.rest_of(span(2, 9)), Some(span(5, 9)));
        assert_eq!(point.rest_of(span(7, 9)), Some(span(7, 9)));
    }

    #[test]
    fn logs_that_are_silent_leave_the_position() {
        let logs = logs(2);
        let mut point = ResumePoint::at_end(at(0), 0, &[], at(0));
        point.record(logs[0], 1, at(10));
        point.record(logs[1], 1, at(30));
        point.advance(at(20));
        point.advance(at(15));
        assert_eq!((point.since(), point.sent.len()), (at(20), 1));
        assert!(point.sent.contains_key(&LogKey::of(logs[1])));
    }

    #[test]
    fn a_position_has_no_more_than_the_most_recent_logs() {
        let logs = logs(MAX_LOGS as u32 + 50);
        let mut point = ResumePoint::at_end(at(0), 0, &[], at(0));
        for (n, log) in logs.iter().enumerate() {
            point.record(*log, 1_000_000, at(n as i64));
        }
        let text = point.to_string();
        assert!(text.len() < 5 * 1024, "{}", text.len());
        let read: ResumePoint = text.parse().unwrap();
        assert_eq!(read.sent.len(), MAX_LOGS);
        assert!(logs[50..].iter().all(|log| read.sent.contains_key(&LogKey::of(*log))));
    }
}
