//! One watched log: its news in order, and the newest frames, kept once for everyone who watches.
//!
//! Nothing is kept for a single client. Each has a [`Place`] in the log; it takes the next frame
//! from here while it keeps up, and from the log itself when what it needs is no longer here. So
//! a slow client costs what its place costs, and nobody waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use botarmy_domain::{Entry, LogId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::feed::Feed;
use crate::frame::{self, Frames};
use crate::sequencer::Sequencer;
use crate::settings::LiveSettings;

/// Where a client stands in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The last entry it was told; it is told none up to here.
    pub(crate) after: u64,
    /// The next of the recent frames, while it keeps up with them.
    at: Option<u64>,
}

impl Place {
    /// After this entry, which was read from the log.
    pub(crate) const fn read_up_to(after: u64) -> Self {
        Self { after, at: None }
    }
}

/// What there is for a client at its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This comes next.
    Frames(Frames),
    /// It has everything.
    Idle,
    /// What comes next has to be read from the log.
    Read,
}

/// What there is to do about entries that have not come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing: they are all there.
    Nothing,
    /// Some are late, but others keep coming.
    Wait,
    /// The log has to be read after this position.
    Read(u64),
}

/// Who is woken when there is something new.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<HashMap<u64, Arc<Notify>>>);

impl Listeners {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Notify>>> {
        self.0.lock().expect("nothing panics while it holds the listeners")
    }

    pub(crate) fn insert(&self, id: u64, wake: Arc<Notify>) {
        self.all().insert(id, wake);
    }

    pub(crate) fn remove(&self, id: u64) {
        self.all().remove(&id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// To be called without holding what they will look at, which is the first thing they do.
    pub(crate) fn wake(&self) {
        self.all().values().for_each(|listener| listener.notify_one());
    }
}

#[derive(Debug)]
struct Recent {
    /// The entry this tells of; for what is in no log, the entry before it.
    seq: u64,
    logged: bool,
    frames: Frames,
}

#[derive(Debug)]
struct State {
    sequencer: Sequencer,
    recent: VecDeque<Recent>,
    /// The number of the first recent frame, counted from when the log was first watched.
    first: u64,
    bytes: usize,
    /// News may have been lost: the log has to be looked at.
    stale: bool,
    /// Somebody reads what is missing.
    filling: bool,
    heard_at: Instant,
    /// It has left the hub; what still comes is for the one in its place.
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
    /// A log of which nothing was heard. It begins after entry `begin`, or where
    /// [`Topic::begin`] says.
    pub(crate) fn new(
        log: LogId,
        begin: Option<u64>,
        settings: Arc<LiveSettings>,
        feed: Arc<Feed>,
    ) -> Self {
        let state = State {
            sequencer: Sequencer::new(begin, settings.reorder_window),
            recent: VecDeque::new(),
            first: 0,
            bytes: 0,
            stale: false,
            filling: false,
            heard_at: Instant::now(),
            closed: false,
        };
        Self { log, settings, feed, state: Mutex::new(state), listeners: Listeners::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds a topic")
    }

    /// Takes in news. Answers whether somebody has to see to what is missing, which the caller
    /// then does with [`Topic::missing`].
    #[must_use]
    pub(crate) fn hear(&self, entry: Arc<Entry>) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.heard_at = Instant::now();
        let mut on = Vec::new();
        state.sequencer.hear(entry, &mut on);
        let wants_filling = state.wants_filling();
        self.tell(state, &on);
        wants_filling
    }

    /// Says where the log ended when somebody looked.
    #[must_use]
    pub(crate) fn begin(&self, head: u64) -> bool {
        let mut state = self.state();
        let mut on = Vec::new();
        state.sequencer.begin(head, &mut on);
        let wants_filling = state.wants_filling();
        self.tell(state, &on);
        wants_filling
    }

    /// News may have been lost.
    #[must_use]
    pub(crate) fn distrust(&self) -> bool {
        let mut state = self.state();
        state.stale = true;
        state.wants_filling()
    }

    /// The same, if somebody listens and nothing was heard for this long.
    #[must_use]
    pub(crate) fn distrust_silence(&self, silence: Duration) -> bool {
        let mut state = self.state();
        let silent = state.heard_at.elapsed() >= silence && !self.listeners.is_empty();
        state.stale |= silent;
        silent && state.wants_filling()
    }

    /// What is missing, for whoever sees to it; when it is nothing, nobody does any more. `before`
    /// is the last entry that had gone on when this was asked before.
    pub(crate) fn missing(&self, before: Option<u64>) -> Missing {
        let mut state = self.state();
        let mut on = Vec::new();
        state.sequencer.begin_with_held(&mut on);
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
        self.tell(state, &on);
        missing
    }

    /// Takes in what was read after the position that was missing. Answers false when the log had
    /// no more, although there should be something.
    pub(crate) fn fill(&self, entries: Vec<Arc<Entry>>, was_all: bool) -> bool {
        let mut state = self.state();
        if state.closed {
            return true;
        }
        state.heard_at = Instant::now();
        let mut on = Vec::new();
        for entry in entries {
            state.sequencer.hear(entry, &mut on);
        }
        state.stale &= !was_all;
        let found = !was_all || !state.sequencer.is_waiting();
        self.tell(state, &on);
        found
    }

    /// Stops looking for entries that are not there.
    pub(crate) fn give_up(&self) {
        let mut state = self.state();
        state.sequencer.give_up();
        state.stale = false;
    }

    /// Tells the listeners something that is in no log.
    pub(crate) fn mention(&self, frames: Frames) {
        let mut state = self.state();
        let Some(seq) = state.sequencer.last() else { return };
        if !self.listeners.is_empty() {
            self.keep(&mut state, Recent { seq, logged: false, frames });
            drop(state);
            self.listeners.wake();
        }
    }

    /// Lets everybody know of entries that are next.
    fn tell(&self, mut state: MutexGuard<'_, State>, entries: &[Arc<Entry>]) {
        let (listened, watched) = (!self.listeners.is_empty(), self.feed.is_watched());
        if entries.is_empty() || !(listened || watched) {
            return;
        }
        for entry in entries {
            let frames = frame::of_entry(entry);
            if watched {
                self.feed.tell(self.log, Some(entry.seq), frames.clone());
            }
            if listened {
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

    /// The place after this entry.
    pub(crate) fn place(&self, after: u64) -> Place {
        Place { after, at: self.state().find(after) }
    }

    /// What comes next at a place, which is moved past it.
    pub(crate) fn step(&self, place: &mut Place) -> Step {
        let state = self.state();
        loop {
            let here = place.at.filter(|at| *at >= state.first);
            let Some(at) = here.or_else(|| state.find(place.after)) else {
                place.at = None;
                return Step::Read;
            };
            let recent = usize::try_from(at - state.first).ok().and_then(|n| state.recent.get(n));
            let Some(recent) = recent else {
                place.at = Some(at);
                return Step::Idle;
            };
            place.at = Some(at + 1);
            if recent.logged {
                if recent.seq <= place.after {
                    continue;
                }
                place.after = recent.seq;
            }
            return Step::Frames(recent.frames.clone());
        }
    }

    /// The last entry that went on.
    pub(crate) fn last(&self) -> Option<u64> {
        self.state().sequencer.last()
    }

    pub(crate) fn listen(&self, id: u64, wake: Arc<Notify>) {
        let _state = self.state();
        self.listeners.insert(id, wake);
    }

    /// Takes a listener away. Answers whether it was the last.
    pub(crate) fn unlisten(&self, id: u64) -> bool {
        let mut state = self.state();
        self.listeners.remove(id);
        let nobody = self.listeners.is_empty();
        if nobody {
            state.first += state.recent.len() as u64;
            state.recent = VecDeque::new();
            state.bytes = 0;
        }
        nobody
    }

    /// Whether anybody listens to this log by itself.
    pub(crate) fn is_listened_to(&self) -> bool {
        !self.listeners.is_empty()
    }

    pub(crate) fn heard_at(&self) -> Instant {
        self.state().heard_at
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
    /// Whether somebody has to begin reading what is missing.
    fn wants_filling(&mut self) -> bool {
        let wants = !self.filling && (self.stale || self.sequencer.is_waiting());
        self.filling |= wants;
        wants
    }

    /// Where among the recent frames a place after this entry is.
    fn find(&self, after: u64) -> Option<u64> {
        if self.sequencer.last().is_none_or(|last| after >= last) {
            return Some(self.first + self.recent.len() as u64);
        }
        let index = self.recent.partition_point(|recent| recent.seq <= after);
        let next = self.recent.get(index)?;
        (next.logged && next.seq == after + 1).then_some(self.first + index as u64)
    }
}
