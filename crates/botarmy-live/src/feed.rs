//! The feed: entries of all logs, for subscribers of `all`. Live only, in the order in which topics
//! publish them, and so in order within each log. The newest frames are kept; of older ones only
//! log and position, from which a slow subscriber reads them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use botarmy_domain::{LogId, ProjectId, Timestamp};
use tokio::sync::Notify;

use crate::frame::Frames;
use crate::listeners::Listeners;
use crate::settings::LiveSettings;

/// Next step for a subscriber at its position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FeedStep {
    /// Frames to send.
    Frames(Frames),
    /// Nothing to send.
    Idle,
    /// Entries to read from their logs and to send.
    Read(Vec<(LogId, u64)>),
    /// Number of entries that are no longer known.
    Lost(u64),
    /// Project of which it has to be known whether the subscriber sees it.
    Ask(ProjectId),
    /// Every entry with an earlier time stands before this place.
    Complete(Timestamp),
}

/// Whether a subscriber gets the entries of a log from the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Yes,
    No,
    /// It is not known whether it sees this project.
    Unknown(ProjectId),
}

#[derive(Debug)]
struct Item {
    /// `None` for a notice of loss, and for a time.
    log: Option<LogId>,
    seq: Option<u64>,
    /// Size of the frames, in bytes.
    bytes: usize,
    /// `None` once the item is too old to keep them, and for a time.
    frames: Option<Frames>,
    /// Time before which every entry stands before this item.
    complete: Option<Timestamp>,
}

impl Item {
    const EMPTY: Self = Self { log: None, seq: None, bytes: 0, frames: None, complete: None };
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Number of the oldest item.
    first: u64,
    /// Number of the oldest item whose frames are kept.
    kept: u64,
    /// Size of the kept frames, in bytes.
    bytes: usize,
    since: Option<Timestamp>,
}

/// Entries of all logs.
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` if the feed has listeners.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    /// Returns the time since when the feed has listeners.
    pub(crate) fn watched_since(&self) -> Option<Timestamp> {
        self.state().since
    }

    /// Adds a listener. Returns its position.
    pub(crate) fn add_listener(&self, id: u64, wake: Arc<Notify>, now: Timestamp) -> u64 {
        let mut state = self.state();
        self.listeners.insert(id, wake);
        state.since.get_or_insert(now);
        self.watched.store(true, Ordering::Release);
        state.first + state.items.len() as u64
    }

    /// Removes a listener. Returns `true` if it was the last.
    pub(crate) fn remove_listener(&self, id: u64) -> bool {
        let mut state = self.state();
        self.listeners.remove(id);
        let was_last = self.listeners.is_empty();
        if was_last {
            self.watched.store(false, Ordering::Release);
            state.first += state.items.len() as u64;
            state.kept = state.first;
            state.items = VecDeque::new();
            state.bytes = 0;
            state.since = None;
        }
        was_last
    }

    /// Publishes frames of a log. Without `seq` they are of an event that is in no log.
    pub(crate) fn publish(&self, log: LogId, seq: Option<u64>, frames: Frames) {
        let mut state = self.state();
        if !self.is_watched() {
            return;
        }
        let bytes = frames.bytes();
        state.bytes += bytes;
        let item = Item { log: Some(log), seq, bytes, frames: Some(frames), ..Item::EMPTY };
        state.items.push_back(item);
        let LiveSettings { recent_frames, recent_bytes, .. } = *self.settings;
        let end = state.first + state.items.len() as u64;
        while state.kept + 1 < end
            && (end - state.kept > recent_frames as u64 || state.bytes > recent_bytes)
        {
            let index = usize::try_from(state.kept - state.first).unwrap_or(usize::MAX);
            let item = state.items.get_mut(index).filter(|item| item.log.is_some());
            let frames = item.and_then(|item| item.frames.take());
            state.bytes -= frames.map_or(0, |frames| frames.bytes());
            state.kept += 1;
        }
        self.forget_oldest(&mut state);
        drop(state);
        self.listeners.wake();
    }

    /// Forgets the oldest items beyond the limit.
    fn forget_oldest(&self, state: &mut State) {
        let LiveSettings { recent_frames, feed_backlog, .. } = *self.settings;
        while state.items.len() > feed_backlog.max(recent_frames) {
            let oldest = state.items.pop_front();
            state.first += 1;
            if state.kept < state.first {
                state.kept = state.first;
                let frames = oldest.filter(|item| item.log.is_some()).and_then(|item| item.frames);
                state.bytes -= frames.map_or(0, |frames| frames.bytes());
            }
        }
    }

    /// Publishes that entries were lost. The notice is in no log, so it is kept as long as its
    /// place in the feed, and its size is not counted: it is small, and stands for many entries.
    pub(crate) fn publish_loss(&self, frames: Frames) {
        let mut state = self.state();
        if self.is_watched() {
            state.items.push_back(Item { frames: Some(frames), ..Item::EMPTY });
            self.forget_oldest(&mut state);
            drop(state);
            self.listeners.wake();
        }
    }

    /// Publishes that every entry with an earlier time was published.
    pub(crate) fn publish_complete(&self, up_to: Timestamp) {
        let mut state = self.state();
        if self.is_watched() {
            state.items.push_back(Item { complete: Some(up_to), ..Item::EMPTY });
            self.forget_oldest(&mut state);
            drop(state);
            self.listeners.wake();
        }
    }

    /// Returns the position after the newest item.
    pub(crate) fn end(&self) -> u64 {
        let state = self.state();
        state.first + state.items.len() as u64
    }

    /// Returns the next step at a position, and moves the position past it. Skips the logs that are
    /// not shown: those that the subscriber does not see, and those that it gets by themselves.
    pub(crate) fn step(&self, position: &mut u64, shown: impl Fn(LogId) -> Shown) -> FeedStep {
        let state = self.state();
        if *position < state.first {
            let lost = state.first - *position;
            *position = state.first;
            return FeedStep::Lost(lost);
        }
        let (mut to_read, mut bytes) = (Vec::new(), 0_usize);
        let LiveSettings { page, page_bytes, .. } = *self.settings;
        let skip = usize::try_from(*position - state.first).unwrap_or(usize::MAX);
        for item in state.items.iter().skip(skip) {
            // A notice of loss is of no log, and for everyone.
            let shown = item.log.map_or(Shown::Yes, &shown);
            if let Shown::Unknown(project) = shown {
                if to_read.is_empty() {
                    return FeedStep::Ask(project);
                }
                break;
            }
            if shown == Shown::Yes {
                if let Some(up_to) = item.complete {
                    if to_read.is_empty() {
                        *position += 1;
                        return FeedStep::Complete(up_to);
                    }
                    break;
                }
                match (&item.frames, item.seq) {
                    (Some(frames), _) if to_read.is_empty() => {
                        *position += 1;
                        return FeedStep::Frames(frames.clone());
                    }
                    (None, Some(seq)) if to_read.len() < page as usize && bytes < page_bytes => {
                        to_read.extend(item.log.map(|log| (log, seq)));
                        bytes += item.bytes;
                    }
                    // An event of the moment that is too old to send.
                    (None, None) => {}
                    _ => break,
                }
            }
            *position += 1;
        }
        if to_read.is_empty() { FeedStep::Idle } else { FeedStep::Read(to_read) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{LogWriter, log_of};
    use crate::frame;
    use botarmy_domain::EventType;
    use serde_json::json;

    fn feed(recent_frames: usize, feed_backlog: usize) -> Feed {
        let settings = LiveSettings { recent_frames, feed_backlog, ..LiveSettings::default() };
        Feed::new(Arc::new(settings))
    }

    fn publish(feed: &Feed, count: usize) -> LogId {
        let log = log_of(count);
        for entry in &log {
            feed.publish(entry.log(), Some(entry.seq), frame::of_entry(entry));
        }
        log[0].log()
    }

    #[test]
    fn a_slow_subscriber_is_told_where_to_read_and_then_goes_on_live() {
        let feed = feed(2, 10);
        let mut position = feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        let log = publish(&feed, 5);
        let step = feed.step(&mut position, |_| Shown::Yes);
        assert_eq!(step, FeedStep::Read(vec![(log, 1), (log, 2), (log, 3)]));
        assert!(matches!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Frames(_)));
        assert!(matches!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Frames(_)));
        assert_eq!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Idle);
    }

    #[test]
    fn a_slow_subscriber_reads_large_entries_one_by_one() {
        let settings = LiveSettings { recent_bytes: 1, page_bytes: 1, ..LiveSettings::default() };
        let feed = Feed::new(Arc::new(settings));
        let mut position = feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        let log = publish(&feed, 3);
        for seq in [1, 2] {
            let step = feed.step(&mut position, |_| Shown::Yes);
            assert_eq!(step, FeedStep::Read(vec![(log, seq)]));
        }
        assert!(matches!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Frames(_)));
    }

    #[test]
    fn who_falls_behind_too_far_is_told_how_far() {
        let feed = feed(2, 4);
        let mut position = feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        publish(&feed, 10);
        assert_eq!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Lost(6));
        assert!(
            matches!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Read(to_read) if to_read.len() == 2)
        );
    }

    #[test]
    fn logs_that_are_told_elsewhere_are_left_out() {
        let feed = feed(8, 8);
        let mut position = feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        let entry = LogWriter::new(LogId::System).write(EventType::SystemWarning, json!({}));
        feed.publish(LogId::System, Some(1), frame::of_entry(&entry));
        assert_eq!(
            feed.step(&mut position, |log| if log == LogId::System {
                Shown::No
            } else {
                Shown::Yes
            }),
            FeedStep::Idle
        );
        assert_eq!(position, 1);
    }

    #[test]
    fn an_entry_waits_until_it_is_known_whether_it_is_seen() {
        let feed = feed(8, 8);
        let mut position = feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        let log = publish(&feed, 1);
        let project = log.project().unwrap();
        let unknown = |log: LogId| Shown::Unknown(log.project().unwrap());
        assert_eq!(feed.step(&mut position, unknown), FeedStep::Ask(project));
        assert_eq!(feed.step(&mut position, unknown), FeedStep::Ask(project), "it is still there");
        assert!(matches!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Frames(_)));
    }

    #[test]
    fn a_loss_is_told_in_its_place_also_to_who_is_slow() {
        let feed = feed(2, 10);
        let mut position = feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        let log = publish(&feed, 1);
        let loss = frame::loss(Timestamp::from_micros(0));
        feed.publish_loss(loss.clone());
        let other = publish(&feed, 3);
        assert_eq!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Read(vec![(log, 1)]));
        assert_eq!(feed.step(&mut position, |_| Shown::No), FeedStep::Frames(loss));
        assert_eq!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Read(vec![(other, 1)]));
    }

    #[test]
    fn a_silent_feed_does_not_grow_with_its_scans() {
        let feed = feed(2, 4);
        let mut position = feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        publish(&feed, 3);
        for n in 0..100 {
            feed.publish_complete(Timestamp::from_micros(n));
        }
        {
            let state = feed.state();
            assert_eq!((state.items.len(), state.bytes), (4, 0));
        }
        assert_eq!(feed.step(&mut position, |_| Shown::Yes), FeedStep::Lost(99));
        let last = FeedStep::Complete(Timestamp::from_micros(96));
        assert_eq!(feed.step(&mut position, |_| Shown::Yes), last);
        publish(&feed, 1);
        assert!(feed.state().bytes > 0);
    }

    #[test]
    fn nothing_is_kept_when_nobody_listens() {
        let feed = feed(8, 8);
        feed.add_listener(1, Arc::default(), Timestamp::from_micros(0));
        publish(&feed, 3);
        assert!(feed.remove_listener(1) && !feed.is_watched());
        publish(&feed, 3);
        let state = feed.state();
        assert!(state.items.is_empty() && state.bytes == 0);
    }
}
