//! Everything from all logs, for those who subscribed to `all`: live only, in the order in which
//! it went on, and so in order within each log. The newest frames are kept; of older ones only
//! where they stand in which log, so that a slow subscriber can be given them from there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use botarmy_domain::{LogId, Timestamp};
use tokio::sync::Notify;

use crate::frame::Frames;
use crate::settings::LiveSettings;
use crate::topic::Listeners;

/// What there is for a subscriber of everything at its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FeedStep {
    /// This comes next.
    Frames(Frames),
    /// It has everything.
    Idle,
    /// These entries come next, and have to be read from their logs.
    Read(Vec<(LogId, u64)>),
    /// This many are forgotten.
    Lost(u64),
}

#[derive(Debug)]
struct Told {
    /// None where something could not be told.
    log: Option<LogId>,
    seq: Option<u64>,
    frames: Option<Frames>,
}

#[derive(Debug, Default)]
struct State {
    told: VecDeque<Told>,
    /// The number of the oldest one that is remembered.
    first: u64,
    /// The number of the oldest one whose frames are kept.
    kept: u64,
    bytes: usize,
    since: Option<Timestamp>,
}

/// Everything from all logs.
#[derive(Debug)]
pub(crate) struct Feed {
    settings: Arc<LiveSettings>,
    watched: AtomicBool,
    state: Mutex<State>,
    listeners: Listeners,
}

impl Feed {
    pub(crate) fn new(settings: Arc<LiveSettings>) -> Self {
        Self {
            settings,
            watched: AtomicBool::new(false),
            state: Mutex::default(),
            listeners: Listeners::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the feed")
    }

    /// Whether anybody wants everything.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    /// Since when somebody has wanted everything.
    pub(crate) fn watched_since(&self) -> Option<Timestamp> {
        self.state().since
    }

    /// Adds a listener. Answers its place.
    pub(crate) fn listen(&self, id: u64, wake: Arc<Notify>, now: Timestamp) -> u64 {
        let mut state = self.state();
        self.listeners.insert(id, wake);
        state.since.get_or_insert(now);
        self.watched.store(true, Ordering::Release);
        state.first + state.told.len() as u64
    }

    /// Takes a listener away. Answers whether it was the last.
    pub(crate) fn unlisten(&self, id: u64) -> bool {
        let mut state = self.state();
        self.listeners.remove(id);
        let nobody = self.listeners.is_empty();
        if nobody {
            self.watched.store(false, Ordering::Release);
            state.first += state.told.len() as u64;
            state.kept = state.first;
            state.told = VecDeque::new();
            state.bytes = 0;
            state.since = None;
        }
        nobody
    }

    /// Tells everybody something that happened in a log; without `seq` it is in no log.
    pub(crate) fn tell(&self, log: LogId, seq: Option<u64>, frames: Frames) {
        let mut state = self.state();
        if !self.is_watched() {
            return;
        }
        state.bytes += frames.bytes();
        state.told.push_back(Told { log: Some(log), seq, frames: Some(frames) });
        let LiveSettings { recent_frames, recent_bytes, all_backlog, .. } = *self.settings;
        let end = state.first + state.told.len() as u64;
        while state.kept + 1 < end
            && (end - state.kept > recent_frames as u64 || state.bytes > recent_bytes)
        {
            let index = usize::try_from(state.kept - state.first).unwrap_or(usize::MAX);
            let told = state.told.get_mut(index).filter(|told| told.log.is_some());
            let frames = told.and_then(|told| told.frames.take());
            state.bytes -= frames.map_or(0, |frames| frames.bytes());
            state.kept += 1;
        }
        while state.told.len() > all_backlog.max(recent_frames) {
            state.told.pop_front();
            state.first += 1;
        }
        drop(state);
        self.listeners.wake();
    }

    /// Tells everybody that something could not be told. It is in no log, so it is kept as long as
    /// its place is, and not counted: it is small, and there is one for many that are told.
    pub(crate) fn tell_loss(&self, frames: Frames) {
        let mut state = self.state();
        if self.is_watched() {
            state.told.push_back(Told { log: None, seq: None, frames: Some(frames) });
            drop(state);
            self.listeners.wake();
        }
    }

    /// What comes next at a place, which is moved past it. Logs that `elsewhere` names are left
    /// out.
    pub(crate) fn step(&self, place: &mut u64, elsewhere: impl Fn(LogId) -> bool) -> FeedStep {
        let state = self.state();
        if *place < state.first {
            let lost = state.first - *place;
            *place = state.first;
            return FeedStep::Lost(lost);
        }
        let mut cold = Vec::new();
        let skip = usize::try_from(*place - state.first).unwrap_or(usize::MAX);
        for told in state.told.iter().skip(skip) {
            if !told.log.is_some_and(&elsewhere) {
                match (&told.frames, told.seq) {
                    (Some(frames), _) if cold.is_empty() => {
                        *place += 1;
                        return FeedStep::Frames(frames.clone());
                    }
                    (None, Some(seq)) if cold.len() < self.settings.page as usize => {
                        cold.extend(told.log.map(|log| (log, seq)));
                    }
                    (None, None) => {}
                    _ => break,
                }
            }
            *place += 1;
        }
        if cold.is_empty() { FeedStep::Idle } else { FeedStep::Read(cold) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{LogWriter, log_of};
    use crate::frame;
    use botarmy_domain::EventType;
    use serde_json::json;

    fn feed(recent_frames: usize, all_backlog: usize) -> Feed {
        let settings = LiveSettings { recent_frames, all_backlog, ..LiveSettings::default() };
        Feed::new(Arc::new(settings))
    }

    fn told(feed: &Feed, count: usize) -> LogId {
        let log = log_of(count);
        for entry in &log {
            feed.tell(entry.log(), Some(entry.seq), frame::of_entry(entry));
        }
        log[0].log()
    }

    #[test]
    fn a_slow_subscriber_is_told_where_to_read_and_then_goes_on_live() {
        let feed = feed(2, 10);
        let mut place = feed.listen(1, Arc::default(), Timestamp::from_micros(0));
        let log = told(&feed, 5);
        let step = feed.step(&mut place, |_| false);
        assert_eq!(step, FeedStep::Read(vec![(log, 1), (log, 2), (log, 3)]));
        assert!(matches!(feed.step(&mut place, |_| false), FeedStep::Frames(_)));
        assert!(matches!(feed.step(&mut place, |_| false), FeedStep::Frames(_)));
        assert_eq!(feed.step(&mut place, |_| false), FeedStep::Idle);
    }

    #[test]
    fn who_falls_behind_too_far_is_told_how_far() {
        let feed = feed(2, 4);
        let mut place = feed.listen(1, Arc::default(), Timestamp::from_micros(0));
        told(&feed, 10);
        assert_eq!(feed.step(&mut place, |_| false), FeedStep::Lost(6));
        assert!(
            matches!(feed.step(&mut place, |_| false), FeedStep::Read(cold) if cold.len() == 2)
        );
    }

    #[test]
    fn logs_that_are_told_elsewhere_are_left_out() {
        let feed = feed(8, 8);
        let mut place = feed.listen(1, Arc::default(), Timestamp::from_micros(0));
        let entry = LogWriter::new(LogId::System).write(EventType::SystemWarning, json!({}));
        feed.tell(LogId::System, Some(1), frame::of_entry(&entry));
        assert_eq!(feed.step(&mut place, |log| log == LogId::System), FeedStep::Idle);
        assert_eq!(place, 1);
    }

    #[test]
    fn a_loss_is_told_in_its_place_also_to_who_is_slow() {
        let feed = feed(2, 10);
        let mut place = feed.listen(1, Arc::default(), Timestamp::from_micros(0));
        let log = told(&feed, 1);
        let loss = frame::loss(Timestamp::from_micros(0));
        feed.tell_loss(loss.clone());
        let other = told(&feed, 3);
        assert_eq!(feed.step(&mut place, |_| false), FeedStep::Read(vec![(log, 1)]));
        assert_eq!(feed.step(&mut place, |_| true), FeedStep::Frames(loss));
        assert_eq!(feed.step(&mut place, |_| false), FeedStep::Read(vec![(other, 1)]));
    }

    #[test]
    fn nothing_is_kept_when_nobody_listens() {
        let feed = feed(8, 8);
        feed.listen(1, Arc::default(), Timestamp::from_micros(0));
        told(&feed, 3);
        assert!(feed.unlisten(1) && !feed.is_watched());
        told(&feed, 3);
        let state = feed.state();
        assert!(state.told.is_empty() && state.bytes == 0);
    }
}
