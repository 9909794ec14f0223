//! Summaries of refused requests. However many are refused, the log gets few entries: one at once for
//! each reason and source, then one a minute, and not many in all.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::Timestamp;
use botarmy_domain::event::AccessDenied;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Time between two entries with the same reason and source.
const INTERVAL: Duration = Duration::from_secs(60);
/// Largest number of reasons and sources that are told apart; further sources share a summary.
const MAX_SUMMARIES: usize = 1_000;
/// Largest number of entries within [`INTERVAL`]; the others are written later.
const MAX_ENTRIES: usize = 60;
/// Longest text of a source, in characters.
const MAX_SOURCE: usize = 128;
/// Source of a summary for all sources that are too many.
const OTHERS: &str = "other sources";

/// Refused requests that are not in the log yet.
#[derive(Default)]
pub(super) struct DenialLog {
    state: Mutex<State>,
    first: Notify,
}

#[derive(Default)]
struct State {
    summaries: BTreeMap<(String, String), Summary>,
    /// Beginning of the present interval, and the number of entries in it.
    interval: Option<(Instant, usize)>,
}

/// Refused requests of one reason from one source.
struct Summary {
    /// Number since the last entry.
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    /// Time of the last entry.
    written: Option<Instant>,
}

impl DenialLog {
    /// Counts a refused request.
    pub(super) fn record(&self, reason: &str, source: &str, at: Timestamp) {
        let source: String = source.chars().take(MAX_SOURCE).collect();
        let mut state = self.state();
        let mut key = (reason.to_owned(), source);
        if state.summaries.len() >= MAX_SUMMARIES && !state.summaries.contains_key(&key) {
            key.1 = OTHERS.to_owned();
        }
        let is_first = state.add(key, 1, at, at);
        drop(state);
        if is_first {
            self.first.notify_one();
        }
    }

    /// Waits until a request was refused for a reason or from a source that is not in the log yet.
    pub(super) async fn first(&self) {
        self.first.notified().await;
    }

    /// Returns the summaries that are due, and takes them for written.
    pub(super) fn take_due(&self, now: Instant) -> Vec<AccessDenied> {
        let mut state = self.state();
        let mut written = match state.interval {
            Some((began, written)) if now < began + INTERVAL => written,
            _ => {
                state.interval = Some((now, 0));
                0
            }
        };
        let mut due = Vec::new();
        let is_due =
            |summary: &Summary| summary.written.is_none_or(|written| now >= written + INTERVAL);
        state.summaries.retain(|_, summary| summary.count > 0 || !is_due(summary));
        for ((reason, source), summary) in &mut state.summaries {
            if summary.count == 0 || !is_due(summary) || written >= MAX_ENTRIES {
                continue;
            }
            written += 1;
            due.push(AccessDenied {
                reason: reason.clone(),
                source: source.clone(),
                count: std::mem::take(&mut summary.count),
                first_at: summary.first_at,
                last_at: summary.last_at,
            });
            summary.written = Some(now);
        }
        state.interval = state.interval.map(|(began, _)| (began, written));
        due
    }

    /// Returns the summaries that are left when the server stops.
    pub(super) fn take_all(&self) -> Vec<AccessDenied> {
        self.take_due(Instant::now() + INTERVAL)
    }

    /// Counts summaries again that could not be written. They are due after the interval.
    pub(super) fn put_back(&self, denials: Vec<AccessDenied>) {
        let mut state = self.state();
        for denied in denials {
            let key = (denied.reason, denied.source);
            state.add(key, denied.count, denied.first_at, denied.last_at);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds to a summary. Returns whether it is new.
    fn add(
        &mut self,
        key: (String, String),
        count: u64,
        first: Timestamp,
        last: Timestamp,
    ) -> bool {
        let mut is_new = false;
        let summary = self.summaries.entry(key).or_insert_with(|| {
            is_new = true;
            Summary { count: 0, first_at: first, last_at: last, written: None }
        });
        if summary.count == 0 {
            summary.first_at = first;
        }
        summary.first_at = summary.first_at.min(first);
        summary.last_at = summary.last_at.max(last);
        summary.count = summary.count.saturating_add(count);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn sources(denials: &[AccessDenied]) -> Vec<(&str, u64)> {
        denials.iter().map(|denied| (denied.source.as_str(), denied.count)).collect()
    }

    #[tokio::test]
    async fn the_first_refusal_is_written_at_once_and_the_others_once_a_minute() {
        let log = DenialLog::default();
        let start = Instant::now();
        log.record("key_invalid", "a", at(1));
        log.first().await;
        assert_eq!(sources(&log.take_due(start)), [("a", 1)]);
        for n in 0..100 {
            log.record("key_invalid", "a", at(10 + n));
        }
        log.record("key_invalid", "b", at(3));
        assert_eq!(sources(&log.take_due(start + INTERVAL / 2)), [("b", 1)]);
        let due = log.take_due(start + INTERVAL);
        assert_eq!(sources(&due), [("a", 100)]);
        assert_eq!((due[0].first_at, due[0].last_at), (at(10), at(109)));
        assert_eq!(log.take_due(start + INTERVAL * 2), []);
    }

    #[test]
    fn many_sources_make_few_entries_and_no_refusal_is_lost() {
        let log = DenialLog::default();
        let start = Instant::now();
        for n in 0..10_000 {
            log.record("key_invalid", &format!("192.0.2.{n}"), at(n));
        }
        assert!(log.state().summaries.len() <= MAX_SUMMARIES + 1);
        let (mut total, mut entries) = (0, 0);
        for minute in 0..30 {
            let first = log.take_due(start + INTERVAL * minute);
            assert!(first.len() <= MAX_ENTRIES);
            assert_eq!(log.take_due(start + INTERVAL * minute + INTERVAL / 2), []);
            entries += first.len();
            total += first.iter().map(|denied| denied.count).sum::<u64>();
        }
        assert_eq!(total, 10_000);
        assert!(entries <= MAX_SUMMARIES + 1);
        assert!(log.state().summaries.is_empty(), "old summaries are forgotten");
    }

    #[test]
    fn a_summary_that_could_not_be_written_is_counted_again() {
        let log = DenialLog::default();
        let start = Instant::now();
        log.record("key_invalid", "a", at(1));
        let due = log.take_due(start);
        log.record("key_invalid", "a", at(5));
        log.put_back(due);
        let due = log.take_due(start + INTERVAL);
        assert_eq!(sources(&due), [("a", 2)]);
        assert_eq!((due[0].first_at, due[0].last_at), (at(1), at(5)));
    }
}
