//! One watched log: its entries in order, and the newest frames, kept once for all subscribers.
//!
//! Nothing is kept for a single subscriber but its [`Position`]. It takes the next frame from here
//! while it keeps up, and from the log itself when that frame is no longer here. So a slow
//! subscriber costs no memory, and delays no other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::{Entry, LogId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::feed::Feed;
use crate::frame::{self, Frames};
use crate::listeners::Listeners;
use crate::sequencer::{Sequencer, Window};
use crate::settings::LiveSettings;

/// Position of a subscriber in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Last entry that the subscriber has.
    pub(crate) after: u64,
    /// Number of the next recent frame, while the subscriber keeps up with them.
    at: Option<u64>,
}

impl Position {
    /// Returns the position after an entry that was read from the log.
    pub(crate) const fn read_up_to(after: u64) -> Self {
        Self { after, at: None }
    }
}

/// Next step for a subscriber at its position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Frames to send.
    Frames(Frames),
    /// Nothing to send.
    Idle,
    /// Entries to read from the log.
    Read,
}

/// Next step for missing entries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No entry is missing.
    Nothing,
    /// Some are late, but entries keep leaving in order: wait.
    Wait,
    /// Read the log after this entry.
    Read(u64),
}

#[derive(Debug)]
struct Recent {
    /// Entry of the frames; for an event that is in no log, the entry before it.
    seq: u64,
    logged: bool,
    frames: Frames,
}

#[derive(Debug)]
struct State {
    sequencer: Sequencer,
    recent: VecDeque<Recent>,
    /// Number of the oldest recent frame, counted from when the log was first watched.
    first: u64,
    /// Size of the recent frames, in bytes.
    bytes: usize,
    /// Set if messages may have been lost, so that the log has to be read.
    stale: bool,
    /// Set while a task reads the missing entries.
    filling: bool,
    received_at: Instant,
    /// Set once the topic has left the hub. Entries go to the topic that took its place.
    closed: bool,
}

/// A watched log.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) log: LogId,
    settings: Arc<LiveSettings>,
    feed: Arc<Feed>,
    state: Mutex<State>,
    listeners: Listeners,
}

impl Topic {
    /// Creates a topic without entries. It begins after entry `begin`, or where [`Topic::begin`]
    /// says.
    pub(crate) fn new(
        log: LogId,
        begin: Option<u64>,
        settings: Arc<LiveSettings>,
        feed: Arc<Feed>,
    ) -> Self {
        let window = Window { entries: settings.reorder_window, bytes: settings.reorder_bytes };
        let state = State {
            sequencer: Sequencer::new(begin, window),
            recent: VecDeque::new(),
            first: 0,
            bytes: 0,
            stale: false,
            filling: false,
            received_at: Instant::now(),
            closed: false,
        };
        Self { log, settings, feed, state: Mutex::new(state), listeners: Listeners::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives an entry. Returns whether the caller has to begin to fill gaps, as
    /// [`Topic::missing`] tells it.
    #[must_use]
    pub(crate) fn receive(&self, entry: Arc<Entry>) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.received_at = Instant::now();
        let mut out = Vec::new();
        state.sequencer.receive(entry, &mut out);
        let wants_filling = state.wants_filling();
        self.publish(state, &out);
        wants_filling
    }

    /// Sets the last entry of the log at the time it was read. Returns whether the caller has to
    /// begin to fill gaps.
    #[must_use]
    pub(crate) fn begin(&self, head: u64) -> bool {
        let mut state = self.state();
        let mut out = Vec::new();
        state.sequencer.begin(head, &mut out);
        let wants_filling = state.wants_filling();
        self.publish(state, &out);
        wants_filling
    }

    /// Records that messages may have been lost. Returns whether the caller has to begin to fill
    /// gaps.
    #[must_use]
    pub(crate) fn mark_stale(&self) -> bool {
        let mut state = self.state();
        state.stale = true;
        state.wants_filling()
    }

    /// Does the same if the topic has listeners and received nothing for this long.
    #[must_use]
    pub(crate) fn mark_stale_if_silent(&self, silence: Duration) -> bool {
        let mut state = self.state();
        let silent = state.received_at.elapsed() >= silence && !self.listeners.is_empty();
        state.stale |= silent;
        silent && state.wants_filling()
    }

    /// Returns the next step for the task that fills gaps, which ends when it is
    /// [`Missing::Nothing`]. `before` is the last entry that had left at the previous call: while
    /// it changes, entries keep arriving and the log need not be read.
    pub(crate) fn missing(&self, before: Option<u64>) -> Missing {
        let mut state = self.state();
        let mut out = Vec::new();
        state.sequencer.begin_with_held(&mut out);
        let unwanted = state.closed || (self.listeners.is_empty() && !self.feed.is_watched());
        let missing = match state.sequencer.last() {
            Some(last) if state.stale && !unwanted => Missing::Read(last),
            Some(last) if state.sequencer.is_waiting() && !unwanted => {
                if before == Some(last) {
                    Missing::Read(last)
                } else {
                    Missing::Wait
                }
            }
            _ => Missing::Nothing,
        };
        state.filling = missing != Missing::Nothing;
        self.publish(state, &out);
        missing
    }

    /// Receives entries that were read from the log. Returns `false` when the log had no more,
    /// although an entry is known to exist.
    pub(crate) fn fill(&self, entries: Vec<Arc<Entry>>, was_all: bool) -> bool {
        let mut state = self.state();
        if state.closed {
            return true;
        }
        state.received_at = Instant::now();
        let mut out = Vec::new();
        for entry in entries {
            state.sequencer.receive(entry, &mut out);
        }
        state.stale &= !was_all;
        let found = !was_all || !state.sequencer.is_waiting();
        self.publish(state, &out);
        found
    }

    /// Stops waiting for entries that are not in the log.
    pub(crate) fn give_up(&self) {
        let mut state = self.state();
        state.sequencer.give_up();
        state.stale = false;
    }

    /// Publishes frames of an event that is in no log.
    pub(crate) fn publish_unlogged(&self, frames: Frames) {
        let mut state = self.state();
        let Some(seq) = state.sequencer.last() else { return };
        if !self.listeners.is_empty() {
            self.keep(&mut state, Recent { seq, logged: false, frames });
            drop(state);
            self.listeners.wake();
        }
    }

    /// Publishes entries that left the sequencer. Takes the caller's lock over: without it, a later
    /// entry could overtake them.
    fn publish(&self, mut state: MutexGuard<'_, State>, entries: &[Arc<Entry>]) {
        let (has_listeners, watched) = (!self.listeners.is_empty(), self.feed.is_watched());
        if entries.is_empty() || !(has_listeners || watched) {
            return;
        }
        for entry in entries {
            let frames = frame::of_entry(entry);
            if watched {
                self.feed.publish(self.log, Some(entry.seq), frames.clone());
            }
            if has_listeners {
                self.keep(&mut state, Recent { seq: entry.seq, logged: true, frames });
            }
        }
        drop(state);
        self.listeners.wake();
    }

    fn keep(&self, state: &mut State, recent: Recent) {
        state.bytes += recent.frames.bytes();
        state.recent.push_back(recent);
        let LiveSettings { recent_frames, recent_bytes, .. } = *self.settings;
        while state.recent.len() > 1
            && (state.recent.len() > recent_frames || state.bytes > recent_bytes)
        {
            if let Some(oldest) = state.recent.pop_front() {
                state.bytes -= oldest.frames.bytes();
                state.first += 1;
            }
        }
    }

    /// Returns the position after an entry.
    pub(crate) fn position(&self, after: u64) -> Position {
        Position { after, at: self.state().find(after) }
    }

    /// Returns the next step at a position, and moves the position past it.
    pub(crate) fn step(&self, position: &mut Position) -> Step {
        let state = self.state();
        loop {
            let here = position.at.filter(|at| *at >= state.first);
            let Some(at) = here.or_else(|| state.find(position.after)) else {
                position.at = None;
                return Step::Read;
            };
            let recent = usize::try_from(at - state.first).ok().and_then(|n| state.recent.get(n));
            let Some(recent) = recent else {
                position.at = Some(at);
                return Step::Idle;
            };
            position.at = Some(at + 1);
            if recent.logged {
                if recent.seq <= position.after {
                    continue;
                }
                position.after = recent.seq;
            }
            return Step::Frames(recent.frames.clone());
        }
    }

    /// Returns the last entry that was published.
    pub(crate) fn last(&self) -> Option<u64> {
        self.state().sequencer.last()
    }

    pub(crate) fn add_listener(&self, id: u64, wake: Arc<Notify>) {
        let _state = self.state();
        self.listeners.insert(id, wake);
    }

    /// Removes a listener. Returns `true` if it was the last.
    pub(crate) fn remove_listener(&self, id: u64) -> bool {
        let mut state = self.state();
        self.listeners.remove(id);
        let was_last = self.listeners.is_empty();
        if was_last {
            state.first += state.recent.len() as u64;
            state.recent = VecDeque::new();
            state.bytes = 0;
        }
        was_last
    }

    /// Returns `true` if a subscriber listens to this log by itself.
    pub(crate) fn has_listeners(&self) -> bool {
        !self.listeners.is_empty()
    }

    pub(crate) fn received_at(&self) -> Instant {
        self.state().received_at
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> (usize, usize) {
        let state = self.state();
        (state.recent.len(), state.bytes)
    }
}

impl State {
    /// Returns `true` if a task has to begin to fill gaps. Records that one does.
    fn wants_filling(&mut self) -> bool {
        let wants = !self.filling && (self.stale || self.sequencer.is_waiting());
        self.filling |= wants;
        wants
    }

    /// Returns the number of the recent frame that comes next after an entry, unless it is gone.
    fn find(&self, after: u64) -> Option<u64> {
        if self.sequencer.last().is_none_or(|last| after >= last) {
            return Some(self.first + self.recent.len() as u64);
        }
        let index = self.recent.partition_point(|recent| recent.seq <= after);
        let next = self.recent.get(index)?;
        (next.logged && next.seq == after + 1).then_some(self.first + index as u64)
    }
}
