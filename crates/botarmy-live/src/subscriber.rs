//! The subscriptions of one connection, and its position in each of them.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use botarmy_domain::page::PART_BYTES;
use botarmy_domain::{Caller, Error, LogId, LogSpan, PrincipalId, ProjectId, Timestamp};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::feed::{FeedStep, Shown};
use crate::frame::{self, Frame, Frames};
use crate::hub::{Hub, Watch};
use crate::topic::{Position, Step};
use crate::visibility::{Seen, Visibility};

/// Longest time to wait for the creator of a project whose subscriber has other rights than before.
const CREATOR_TIMEOUT: Duration = Duration::from_millis(500);

/// Something that can be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Events of a project.
    Project(ProjectId),
    /// Events of every project.
    All,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Project(id) => id.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = botarmy_domain::ids::MalformedId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::Project) }
    }
}

/// Error of a subscription. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The project does not exist.
    #[error("Project {0} does not exist.")]
    NoSuchProject(ProjectId),
    /// A position was given with `all`; a position is one in one log.
    #[error("`after` is a position in one project's log; with `all` it means nothing.")]
    AfterAll,
    /// The position is one of another stream.
    #[error(
        "The position is not one of this stream: a project is followed from a number, all \
             projects from the id of an event of the stream of all."
    )]
    OtherStream,
    /// The connection has the largest number of subscriptions.
    #[error("A connection can subscribe to at most {0} projects; unsubscribe from one first.")]
    TooMany(usize),
    /// The store cannot be read.
    #[error("The store cannot be reached now; try again later.")]
    Store(#[from] Error),
}

/// A read in progress. It is a task of its own, so that a slow client does not hold a place in the
/// queue of reads while a frame is sent to it.
pub(crate) struct Reading<T>(JoinHandle<T>);

impl<T: Send + 'static> Reading<T> {
    pub(crate) fn of(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Polls for the result. It is empty if the task panicked, so that the read begins again.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T>
    where
        T: Default,
    {
        Pin::new(&mut self.0).poll(cx).map(Result::unwrap_or_default)
    }
}

impl<T> Drop for Reading<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Subscription to one log.
struct Cursor {
    watch: Watch,
    position: Position,
    /// Frames that were taken and are not sent yet.
    pending: VecDeque<Frame>,
    /// Set while entries have to be read from the log, and the read has not begun.
    behind: bool,
    reading: Option<Reading<Vec<Arc<botarmy_domain::Entry>>>>,
}

/// Number of pages of entries that a connection holds, however many subscriptions it has. More than
/// one, so that a log that cannot be read does not hold up the others.
const PAGES: usize = 4;

/// Subscription to the feed of all logs.
struct Everything {
    position: u64,
    pending: VecDeque<Frame>,
    /// Entries to read from their logs, while the read has not begun.
    behind: Vec<(LogId, u64)>,
    /// Entries to read from their logs before the position.
    spans: VecDeque<LogSpan>,
    /// The first of them, once its log is known to be seen.
    next_span: Option<LogSpan>,
    /// Time before which every entry stands before the position, once it is known.
    complete: Option<Timestamp>,
    reading: Option<Reading<Found>>,
    /// Read of the creator of the project of the next entry.
    asking: Option<Reading<Option<PrincipalId>>>,
}

/// Frames that were read.
#[derive(Default)]
struct Found {
    frames: Vec<Frames>,
    /// Places of those that did not fit.
    places: Vec<(LogId, u64)>,
    /// Rest of the span that was read.
    rest: Option<LogSpan>,
}

/// Subscriptions of one connection: the system log if its caller sees all projects, and projects as the
/// client asks.
pub struct Subscriber {
    hub: Arc<Hub>,
    visibility: Visibility,
    id: u64,
    wake: Arc<Notify>,
    /// The system log first, then projects.
    cursors: Vec<Cursor>,
    everything: Option<Everything>,
    /// Subscription that the next frame is taken from, so that a busy log does not delay another.
    turn: usize,
    /// Subscription for which entries were read last.
    reader: usize,
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Hub {
    /// Creates a subscriber for a caller. If the caller sees all projects, it is subscribed to the system
    /// log, from the entry after `after`, else from now on. Entries there that the caller has no
    /// permission for are left out.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read.
    pub async fn subscriber(
        self: &Arc<Self>,
        caller: &Caller,
        after: Option<u64>,
    ) -> Result<Subscriber, Error> {
        let mut subscriber = self.subscriber_of_projects(caller);
        if subscriber.visibility.has_system_log() {
            let watch = self.watch(LogId::System, subscriber.id, &subscriber.wake).await?;
            subscriber.cursors.push(Cursor::new(self, watch, after).await?);
        }
        Ok(subscriber)
    }

    /// Creates a subscriber for a caller that gets nothing of the system log.
    pub(crate) fn subscriber_of_projects(self: &Arc<Self>, caller: &Caller) -> Subscriber {
        Subscriber {
            hub: Arc::clone(self),
            visibility: Visibility::of(caller),
            id: self.next_id(),
            wake: Arc::default(),
            cursors: Vec::new(),
            everything: None,
            turn: 0,
            reader: 0,
        }
    }
}

impl Subscriber {
    /// Continues with the rights that the caller has now. Returns the subscriptions that end with those
    /// it has lost. The system log that it did not see before comes with a new connection only.
    pub async fn set_caller(&mut self, caller: &Caller) -> Vec<Target> {
        let visibility = Visibility::of(caller);
        if visibility == self.visibility {
            return Vec::new();
        }
        self.visibility = visibility;
        let mut ended = Vec::new();
        for cursor in std::mem::take(&mut self.cursors) {
            match cursor.log() {
                LogId::System if self.visibility.has_system_log() => {
                    // What was read for other rights may be more than these show.
                    self.cursors.push(Cursor { pending: VecDeque::new(), ..cursor });
                }
                LogId::System => {}
                LogId::Project(project) => {
                    let seen = self.sees(project);
                    if tokio::time::timeout(CREATOR_TIMEOUT, seen).await.unwrap_or(false) {
                        self.cursors.push(cursor);
                    } else {
                        ended.push(Target::Project(project));
                    }
                }
            }
        }
        if self.everything.is_some() && !self.visibility.has_projects() {
            self.unsubscribe(Target::All);
            ended.push(Target::All);
        }
        self.withhold_unseen();
        ended
    }

    /// Drops what was read for a subscriber of `all` and is no longer seen. Entries of a project whose
    /// creator is not known are among it.
    fn withhold_unseen(&mut self) {
        let (visibility, hub) = (&self.visibility, &self.hub);
        let sees = |log: LogId| match log {
            LogId::System => visibility.has_system_log(),
            LogId::Project(id) => visibility.project(id, hub.creators.get(id)) == Seen::Yes,
        };
        if let Some(everything) = &mut self.everything {
            everything.pending.retain(|frame| frame.log.is_some_and(sees));
            everything.behind.retain(|(log, _)| sees(*log));
        }
    }

    /// Returns whether the caller sees a project. Reads its creator where it depends on that.
    async fn sees(&self, project: ProjectId) -> bool {
        let seen = self.visibility.project(project, self.hub.creators.get(project));
        match seen {
            Seen::Yes => true,
            Seen::No => false,
            Seen::Unknown => {
                let creator = self.hub.learn_creator(project).await;
                self.visibility.project(project, Some(creator)) == Seen::Yes
            }
        }
    }

    /// Subscribes to a project from the entry after `after` in its log, else from now on. Returns
    /// the position after which every entry will come; `None` for [`Target::All`].
    ///
    /// If the log ends before `after`, a gap frame says where, and the entries after its end come.
    ///
    /// A second subscription to the same project moves the position to `after`, if it is given.
    ///
    /// # Errors
    /// [`SubscribeError`]; nothing has changed then.
    pub async fn subscribe(
        &mut self,
        target: Target,
        after: Option<u64>,
    ) -> Result<Option<u64>, SubscribeError> {
        let project = match (target, after) {
            (Target::Project(project), _) => project,
            (Target::All, Some(_)) => return Err(SubscribeError::AfterAll),
            (Target::All, None) => {
                let (hub, id, wake) = (&self.hub, self.id, &self.wake);
                self.everything.get_or_insert_with(|| Everything {
                    position: hub.watch_all(id, wake),
                    pending: VecDeque::new(),
                    behind: Vec::new(),
                    spans: VecDeque::new(),
                    next_span: None,
                    complete: None,
                    reading: None,
                    asking: None,
                });
                return Ok(None);
            }
        };
        let log = LogId::Project(project);
        if let Some(cursor) = self.cursors.iter_mut().find(|cursor| cursor.log() == log) {
            if let Some(after) = after {
                cursor.go_to(&self.hub, after).await?;
            }
            return Ok(Some(cursor.position.after));
        }
        let limit = self.hub.settings.max_subscriptions;
        let of_projects = self.cursors.iter().filter(|cursor| cursor.log() != LogId::System);
        if of_projects.count() >= limit {
            return Err(SubscribeError::TooMany(limit));
        }
        // A project that is not seen is one that does not exist.
        if !self.sees(project).await || !self.hub.project_exists(project).await? {
            return Err(SubscribeError::NoSuchProject(project));
        }
        let watch = self.hub.watch(log, self.id, &self.wake).await?;
        let cursor = Cursor::new(&self.hub, watch, after).await?;
        let position = cursor.position.after;
        self.cursors.push(cursor);
        Ok(Some(position))
    }

    /// Ends a subscription, if there is one. Its frames that are not sent yet are dropped.
    pub fn unsubscribe(&mut self, target: Target) {
        match target {
            Target::Project(project) => {
                self.cursors.retain(|cursor| cursor.log() != LogId::Project(project));
            }
            Target::All => {
                if self.everything.take().is_some() {
                    self.hub.unwatch_all(self.id);
                }
            }
        }
    }

    /// Waits for the next frame. Nothing is lost if the future is dropped before it returns.
    pub async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.ready() {
                return frame;
            }
            let wake = Arc::clone(&self.wake);
            tokio::select! {
                () = wake.notified() => {}
                () = std::future::poll_fn(|cx| self.poll_reading(cx)) => {}
            }
        }
    }

    /// Returns a frame that can be sent now, and begins to read entries where that is needed.
    fn ready(&mut self) -> Option<Frame> {
        let frame = self.taken();
        self.begin_read();
        frame
    }

    /// Continues the subscription to all logs from now on. What was taken and is not sent yet is
    /// dropped.
    pub(crate) fn restart_all(&mut self) {
        if let Some(everything) = &mut self.everything {
            *everything = Everything {
                position: self.hub.feed.end(),
                pending: VecDeque::new(),
                behind: Vec::new(),
                spans: VecDeque::new(),
                next_span: None,
                complete: None,
                reading: None,
                asking: None,
            };
        }
    }

    /// Continues the subscription to all logs with these entries, before the position in the feed.
    pub(crate) fn continue_with(&mut self, mut spans: Vec<LogSpan>) {
        if let Some(everything) = &mut self.everything {
            // From another log each time: a client that is always cut off early gets to all of them.
            let begin = usize::try_from(self.id).unwrap_or(0) % spans.len().max(1);
            spans.rotate_left(begin);
            everything.spans = spans.into();
        }
    }

    /// Returns the spans of the logs that the caller sees.
    pub(crate) async fn seen(&self, spans: Vec<LogSpan>) -> Vec<LogSpan> {
        let mut seen = Vec::new();
        for span in spans {
            if match span.log {
                LogId::System => self.has_system_log(),
                LogId::Project(project) => self.sees(project).await,
            } {
                seen.push(span);
            }
        }
        seen
    }

    pub(crate) fn has_system_log(&self) -> bool {
        self.visibility.has_system_log()
    }

    pub(crate) const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Returns the time before which all entries of all logs were taken, if it has become known.
    pub(crate) fn take_complete(&mut self) -> Option<Timestamp> {
        self.everything.as_mut()?.complete.take()
    }

    /// Begins to read entries for the next subscription that is behind, unless what was read for
    /// [`PAGES`] of them is not sent yet.
    fn begin_read(&mut self) {
        let everything = self.everything.as_ref();
        let everything = everything.filter(|all| all.reading.is_some() || !all.pending.is_empty());
        let holds_page = |cursor: &&Cursor| cursor.reading.is_some() || !cursor.pending.is_empty();
        let held =
            self.cursors.iter().filter(holds_page).count() + usize::from(everything.is_some());
        if held >= PAGES {
            return;
        }
        let count = self.cursors.len() + 1;
        for n in 1..=count {
            let index = self.reader.wrapping_add(n) % count;
            let begun = match self.cursors.get_mut(index) {
                Some(cursor) => cursor.begin_read(&self.hub),
                None => self.everything.as_mut().is_some_and(|all| all.begin_read(&self.hub)),
            };
            if begun {
                self.reader = index;
                return;
            }
        }
    }

    fn taken(&mut self) -> Option<Frame> {
        let count = self.cursors.len() + 1;
        self.turn = self.turn.wrapping_add(1);
        for n in 0..count {
            let index = self.turn.wrapping_add(n) % count;
            let frame = match self.cursors.get_mut(index) {
                Some(cursor) => cursor.ready(&self.visibility),
                None => self.next_of_feed(),
            };
            if frame.is_some() {
                return frame;
            }
        }
        None
    }

    fn next_of_feed(&mut self) -> Option<Frame> {
        let everything = self.everything.as_mut()?;
        if let Some(frame) = everything.pending.pop_front() {
            return Some(frame);
        }
        if everything.waits() {
            return None;
        }
        let (cursors, visibility, hub) = (&self.cursors, &self.visibility, &self.hub);
        let shown = |log| {
            if cursors.iter().any(|cursor| cursor.log() == log) {
                return Shown::No;
            }
            let LogId::Project(id) = log else { return Shown::No };
            match visibility.project(id, hub.creators.get(id)) {
                Seen::Yes => Shown::Yes,
                Seen::No => Shown::No,
                Seen::Unknown => Shown::Unknown(id),
            }
        };
        let step = loop {
            let Some(span) = everything.spans.front() else {
                break hub.feed.step(&mut everything.position, shown);
            };
            match shown(span.log) {
                Shown::Unknown(project) => break FeedStep::Ask(project),
                Shown::Yes => {
                    everything.next_span = everything.spans.pop_front();
                    return None;
                }
                Shown::No => everything.spans.pop_front(),
            };
        };
        match step {
            FeedStep::Idle => None,
            FeedStep::Complete(up_to) => {
                everything.complete = Some(up_to);
                self.wake.notify_one();
                None
            }
            FeedStep::Frames(frames) => {
                everything.pending.extend(frames.then);
                Some(frames.first)
            }
            FeedStep::Read(places) => {
                everything.behind = places;
                None
            }
            FeedStep::Ask(project) => {
                let hub = Arc::clone(hub);
                let asking = async move {
                    let creator = hub.learn_creator(project).await;
                    // Also of a log that is no longer kept, or the question would come again.
                    hub.creators.insert(project, creator);
                    creator
                };
                everything.asking = Some(Reading::of(asking));
                None
            }
            FeedStep::Lost(count) => {
                let mut data = json!({
                    "message": "This client was too slow: events were left out. Read the audit \
                                log, or subscribe to a project with `after`.",
                });
                // The number counts events of all projects.
                if visibility.has_all_projects() {
                    data["missed"] = count.into();
                }
                Some(hub.gap(None, data))
            }
        }
    }

    /// Polls the reads in progress. Ready when one of them has ended.
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut poll = Poll::Pending;
        for cursor in &mut self.cursors {
            let Some(reading) = &mut cursor.reading else { continue };
            if let Poll::Ready(entries) = reading.poll(cx) {
                cursor.reading = None;
                cursor.receive(&entries, &self.visibility, &self.hub);
                poll = Poll::Ready(());
            }
        }
        let Some(everything) = &mut self.everything else { return poll };
        if let Some(asking) = &mut everything.asking
            && asking.poll(cx).is_ready()
        {
            // The hub remembers the answer, and the next step finds it there.
            everything.asking = None;
            poll = Poll::Ready(());
        }
        if let Some(reading) = &mut everything.reading
            && let Poll::Ready(read) = reading.poll(cx)
        {
            everything.reading = None;
            everything.behind = read.places;
            if let Some(rest) = read.rest {
                everything.spans.push_front(rest);
            }
            for frames in read.frames {
                everything.pending.push_back(frames.first);
                everything.pending.extend(frames.then);
            }
            // The caller may have lost rights while it was read.
            self.withhold_unseen();
            poll = Poll::Ready(());
        }
        poll
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.unsubscribe(Target::All);
    }
}

impl Everything {
    /// Returns `true` while it waits for a read.
    fn waits(&self) -> bool {
        let has_work = !self.behind.is_empty() || self.next_span.is_some();
        has_work || self.reading.is_some() || self.asking.is_some()
    }

    /// Begins to read the entries that have to be read, when those before are sent. Returns `false`
    /// if there is nothing to begin.
    fn begin_read(&mut self, hub: &Arc<Hub>) -> bool {
        if !self.pending.is_empty() {
            return false;
        }
        let places = std::mem::take(&mut self.behind);
        if !places.is_empty() {
            self.reading = Some(Reading::of(read_everywhere(Arc::clone(hub), places)));
            return true;
        }
        let Some(span) = self.next_span.take() else { return false };
        self.reading = Some(Reading::of(read_span(Arc::clone(hub), span)));
        true
    }
}

impl Cursor {
    async fn new(hub: &Hub, watch: Watch, after: Option<u64>) -> Result<Self, Error> {
        let position = watch.topic.position(watch.head);
        let mut cursor =
            Self { watch, position, pending: VecDeque::new(), behind: false, reading: None };
        if let Some(after) = after {
            cursor.go_to(hub, after).await?;
        }
        Ok(cursor)
    }

    fn log(&self) -> LogId {
        self.watch.topic.log
    }

    async fn go_to(&mut self, hub: &Hub, after: u64) -> Result<(), Error> {
        let begin = hub.begin_of(&self.watch, after).await?;
        self.position = self.watch.topic.position(begin);
        self.pending.clear();
        self.behind = false;
        self.reading = None;
        if begin < after {
            let place = Some((self.log(), begin));
            let data = json!({
                "message": "The log ends before the position that was asked for, as after the \
                            restore of a back-up: the entries up to that position do not exist.",
                "after": after, "head": begin,
            });
            self.pending.push_back(hub.gap(place, data));
        }
        Ok(())
    }

    fn ready(&mut self, visibility: &Visibility) -> Option<Frame> {
        if let Some(frame) = self.pending.pop_front() {
            return Some(frame);
        }
        if self.reading.is_some() || self.behind {
            return None;
        }
        let mut step = self.watch.topic.step(&mut self.position);
        while let Step::Frames(frames) = &step
            && !visibility.has(frames.needs)
        {
            step = self.watch.topic.step(&mut self.position);
        }
        match step {
            Step::Idle => None,
            Step::Frames(frames) => {
                self.pending.extend(frames.then);
                Some(frames.first)
            }
            Step::Read => {
                self.behind = true;
                None
            }
        }
    }

    /// Begins to read the entries after the position, if they have to be read. Returns `false` if
    /// they need not.
    fn begin_read(&mut self, hub: &Arc<Hub>) -> bool {
        if !std::mem::take(&mut self.behind) {
            return false;
        }
        let (hub, log, after) = (Arc::clone(hub), self.log(), self.position.after);
        let page = hub.settings.page;
        self.reading = Some(Reading::of(async move { hub.read(log, after, page).await }));
        true
    }

    /// Adds the frames of entries that were read after the position.
    fn receive(
        &mut self,
        entries: &[Arc<botarmy_domain::Entry>],
        visibility: &Visibility,
        hub: &Hub,
    ) {
        for entry in entries {
            if entry.seq > self.position.after + 1 {
                let data = json!({
                    "message": "Entries that were asked for are no longer kept.",
                    "after": self.position.after, "next": entry.seq,
                });
                let place = Some((entry.log(), entry.seq - 1));
                self.pending.push_back(hub.gap(place, data));
            }
            let frames = frame::of_entry(entry);
            if visibility.has(frames.needs) {
                self.pending.push_back(frames.first);
                self.pending.extend(frames.then);
            }
            self.position = Position::read_up_to(entry.seq);
        }
    }
}

/// Reads entries of several logs. Returns their frames in the order of `places`, and the places that
/// are left when the frames have become large.
async fn read_everywhere(hub: Arc<Hub>, places: Vec<(LogId, u64)>) -> Found {
    let (mut read, mut bytes) = (HashMap::new(), 0);
    let mut found = Vec::new();
    for (n, (log, seq)) in places.iter().enumerate() {
        if !read.contains_key(&(*log, *seq)) {
            if bytes >= PART_BYTES {
                return Found { frames: found, places: places[n..].to_vec(), rest: None };
            }
            let of_log = places[n..].iter().filter(|place| place.0 == *log);
            let last = of_log.map(|place| place.1).max().unwrap_or(*seq);
            let count = u32::try_from(last - seq + 1).unwrap_or(u32::MAX).min(1000);
            for entry in hub.read(*log, seq - 1, count).await {
                let frames = frame::of_entry(&entry);
                bytes += frames.bytes();
                read.insert((*log, entry.seq), frames);
            }
        }
        found.extend(read.remove(&(*log, *seq)));
    }
    Found { frames: found, ..Found::default() }
}

/// Reads a page of a span.
async fn read_span(hub: Arc<Hub>, span: LogSpan) -> Found {
    let count = u32::try_from(span.last - span.first + 1).unwrap_or(u32::MAX);
    let mut entries = hub.read(span.log, span.first - 1, count.min(hub.settings.page)).await;
    entries.retain(|entry| entry.seq <= span.last);
    let next = entries.last().map_or(span.last, |entry| entry.seq) + 1;
    let rest = (next <= span.last).then_some(LogSpan { first: next, ..span });
    let frames = entries.iter().map(|entry| frame::of_entry(entry)).collect();
    Found { frames, places: Vec::new(), rest }
}
