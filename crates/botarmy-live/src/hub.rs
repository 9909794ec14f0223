//! The hub: hears the bus once, keeps the watched logs in order, and lets every session take what
//! it needs at its own pace.
//!
//! ```text
//! bus ──▶ hear ──▶ topic of the log ──▶ recent frames ──▶ sessions that keep up
//!                    │ in order, once                       ▲
//!         audit log ─┴─ what was lost, read once            │ sessions that do not
//!                    └──────────────────────────────────────┘ read the log themselves
//! ```
//!
//! The bus carries news, the log carries truth. News that are late are waited for a moment; news
//! that are lost are noticed by the entry after them, by [`BusMessage::Lagged`], by a new subscription to
//! the bus, or by a look at the log when it has been silent for a while.
//!
//! **Invariant**: there is no queue per session. A hub remembers a bounded number of frames per
//! watched log, and nothing of a log that nobody watches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use botarmy_domain::ports::{AuditLog, BusMessage, Clock, EntryFilter, EventBus, ProjectStore};
use botarmy_domain::{Entry, LogId, ProjectId, StoreError, Timestamp};
use bytestring::ByteString;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::feed::Feed;
use crate::frame;
use crate::settings::LiveSettings;
use crate::subscriber::Subscriber;
use crate::topic::{Missing, Topic};

/// The shortest and the longest wait before something that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How many entries are read at once to fill a hole.
const FILL_PAGE: u32 = 256;
/// How often an entry that must exist is looked for before it is given up until later.
const FILL_TRIES: u32 = 6;
/// How many entries of all logs are read at once to look through them.
const LOOK_PAGE: u32 = 200;
/// How long after its time an entry may be committed, by another's clock, and still be found by a
/// look at all logs. What comes later is found with the next entry of its log.
const LATE: Duration = Duration::from_secs(5);

/// Hears the bus and serves every session of this process.
pub struct Hub {
    pub(crate) settings: Arc<LiveSettings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
    bus: Arc<dyn EventBus>,
    audit: Arc<dyn AuditLog>,
    projects: Arc<dyn ProjectStore>,
    topics: Mutex<HashMap<LogId, Arc<Topic>>>,
    /// Held by whoever looks through all logs.
    looking: tokio::sync::Mutex<()>,
    /// Before this time, in microseconds, everything that was written has been looked through.
    looked_up_to: AtomicI64,
    /// Up to this time a look went that may have been a glance.
    glanced_up_to: AtomicI64,
    /// The bus has lost something since then.
    lost_news: AtomicBool,
    catching_up: Semaphore,
    filling: Semaphore,
    next_id: AtomicU64,
    open: AtomicUsize,
    emptied: Notify,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Hub {
    /// Starts listening to the bus. Must be called inside a tokio runtime; the hub works there
    /// until [`Hub::shutdown`].
    #[must_use]
    pub fn start(
        bus: Arc<dyn EventBus>,
        audit: Arc<dyn AuditLog>,
        projects: Arc<dyn ProjectStore>,
        clock: Arc<dyn Clock>,
        settings: LiveSettings,
    ) -> Arc<Self> {
        let settings = Arc::new(settings);
        let hub = Arc::new(Self {
            clock,
            feed: Arc::new(Feed::new(Arc::clone(&settings))),
            bus,
            audit,
            projects,
            topics: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            looked_up_to: AtomicI64::new(0),
            glanced_up_to: AtomicI64::new(0),
            lost_news: AtomicBool::new(false),
            catching_up: Semaphore::new(settings.log_reads.max(1)),
            filling: Semaphore::new(settings.log_reads.max(1)),
            next_id: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
            stop: watch::Sender::new(false),
            settings,
        });
        tokio::spawn(Arc::clone(&hub).until_stopped(Arc::clone(&hub).listen()));
        tokio::spawn(Arc::clone(&hub).until_stopped(Arc::clone(&hub).recheck()));
        hub
    }

    /// Ends every session (close code 1001) and stops listening. Returns when the sessions are
    /// gone, or after [`LiveSettings::shutdown_wait`].
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let emptied = async {
            while self.connections() > 0 {
                self.emptied.notified().await;
            }
        };
        if tokio::time::timeout(self.settings.shutdown_wait, emptied).await.is_err() {
            warn!(connections = self.connections(), "Left sessions that could not be told");
        }
    }

    /// Returns when the hub is told to stop.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as the hub.
        drop(stop.wait_for(|stopped| *stopped).await);
    }

    async fn until_stopped(self: Arc<Self>, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.stopped() => {}
        }
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// How many logs are kept in order at the moment.
    #[must_use]
    pub fn watched_logs(&self) -> usize {
        self.topics().len()
    }

    /// Makes room for a connection; `None` when there is none, or the hub is stopping.
    #[must_use]
    pub fn admit(self: &Arc<Self>) -> Option<Admission> {
        let limit = self.settings.max_connections;
        let free = |open| (open < limit && !*self.stop.borrow()).then_some(open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok()?;
        Some(Admission(Arc::clone(self)))
    }

    /// A subscriber to the events of the system. With `after`, it is first told what the system
    /// log holds after that entry.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn subscriber(
        self: &Arc<Self>,
        after: Option<u64>,
    ) -> Result<Subscriber, StoreError> {
        Subscriber::new(Arc::clone(self), after).await
    }

    pub(crate) async fn project_exists(&self, id: ProjectId) -> Result<bool, StoreError> {
        Ok(self.projects.project(id).await?.is_some())
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<LogId, Arc<Topic>>> {
        self.topics.lock().expect("nothing panics while it holds the topics")
    }

    // Watching.

    /// Begins to watch a log.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        log: LogId,
        id: u64,
        wake: &Arc<Notify>,
    ) -> Result<Watch, StoreError> {
        let topic = {
            let mut topics = self.topics();
            let topic = topics.entry(log).or_insert_with(|| Arc::new(self.topic(log, None)));
            topic.listen(id, Arc::clone(wake));
            Arc::clone(topic)
        };
        // From here on it is given back, also when this future is dropped.
        let mut watch = Watch { hub: Arc::clone(self), id, topic, head: 0 };
        watch.head = match watch.topic.last() {
            Some(last) => last,
            None => {
                // Whatever is committed after this look is heard of, because the topic listens.
                let head = self.audit.head(log).await?.map_or(0, |head| head.seq);
                if watch.topic.begin(head) {
                    self.fill(&watch.topic, Duration::ZERO);
                }
                head
            }
        };
        Ok(watch)
    }

    fn topic(&self, log: LogId, begin: Option<u64>) -> Topic {
        Topic::new(log, begin, Arc::clone(&self.settings), Arc::clone(&self.feed))
    }

    fn unwatch(&self, topic: &Arc<Topic>, id: u64) {
        let mut topics = self.topics();
        if topic.unlisten(id) && !self.feed.is_watched() {
            Self::forget(&mut topics, topic);
        }
    }

    fn forget(topics: &mut HashMap<LogId, Arc<Topic>>, topic: &Arc<Topic>) {
        if topics.get(&topic.log).is_some_and(|known| Arc::ptr_eq(known, topic)) {
            topics.remove(&topic.log);
        }
        topic.close();
    }

    /// Begins to watch everything. Answers the place to begin at.
    pub(crate) fn watch_all(&self, id: u64, wake: &Arc<Notify>) -> u64 {
        self.feed.listen(id, Arc::clone(wake), self.clock.now())
    }

    pub(crate) fn unwatch_all(&self, id: u64) {
        let mut topics = self.topics();
        if self.feed.unlisten(id) {
            let unheard: Vec<_> =
                topics.values().filter(|topic| !topic.is_listened_to()).cloned().collect();
            unheard.iter().for_each(|topic| Self::forget(&mut topics, topic));
        }
    }

    // Hearing.

    async fn listen(self: Arc<Self>) {
        let mut wait = RETRY.0;
        loop {
            match self.bus.subscribe().await {
                Ok(mut subscription) => {
                    wait = RETRY.0;
                    // Nobody knows what was said before.
                    self.distrust_everything();
                    while let Some(news) = subscription.next().await {
                        self.hear(news);
                    }
                    warn!("The bus has gone away; live frames come late until it is back");
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(error, "Cannot listen to the bus; live frames come late until then");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    fn hear(self: &Arc<Self>, news: BusMessage) {
        match news {
            BusMessage::Entry(entry) => self.hear_entries([entry]),
            BusMessage::Progress(progress) => {
                let log = LogId::Project(progress.project_id);
                let topic = self.topics().get(&log).cloned();
                if topic.is_some() || self.feed.is_watched() {
                    let frames = frame::of_progress(&progress);
                    self.feed.tell(log, None, frames.clone());
                    if let Some(topic) = topic {
                        topic.mention(frames);
                    }
                }
            }
            BusMessage::Lagged => {
                debug!("The bus has dropped news; reading the watched logs");
                self.distrust_everything();
            }
        }
    }

    fn hear_entries(self: &Arc<Self>, entries: impl IntoIterator<Item = Arc<Entry>>) {
        for entry in entries {
            let log = entry.log();
            let topic = {
                let mut topics = self.topics();
                match topics.get(&log) {
                    Some(topic) => Arc::clone(topic),
                    None if self.feed.is_watched() => {
                        // Of a log that is younger than the last look everything is news. Before
                        // another entry of an older one, one may still come.
                        let is_new = entry.seq == 1 || self.is_younger_than_the_last_look(log);
                        let topic = Arc::new(self.topic(log, is_new.then_some(0)));
                        topics.insert(log, Arc::clone(&topic));
                        topic
                    }
                    None => continue,
                }
            };
            if topic.hear(entry) {
                self.fill(&topic, self.settings.reorder_wait);
            }
        }
    }

    // Filling holes.

    fn distrust_everything(self: &Arc<Self>) {
        let topics: Vec<_> = self.topics().values().cloned().collect();
        for topic in topics {
            if topic.distrust() {
                self.fill(&topic, Duration::ZERO);
            }
        }
        self.lost_news.store(true, Ordering::Release);
        if self.feed.is_watched() {
            let hub = Arc::clone(self);
            tokio::spawn(async move { hub.discover().await });
        }
    }

    /// Sees to what is missing, once for everybody who watches.
    fn fill(self: &Arc<Self>, topic: &Arc<Topic>, wait: Duration) {
        let (hub, topic) = (Arc::clone(self), Arc::clone(topic));
        let filling = async move { hub.fill_now(&topic, wait).await };
        tokio::spawn(Arc::clone(self).until_stopped(filling));
    }

    async fn fill_now(&self, topic: &Topic, wait: Duration) {
        let mut before = topic.last();
        tokio::time::sleep(wait).await;
        let (mut tries, mut retry) = (0, RETRY.0);
        loop {
            let after = match topic.missing(before) {
                Missing::Nothing => return,
                Missing::Wait => {
                    before = topic.last();
                    tokio::time::sleep(self.settings.reorder_wait).await;
                    continue;
                }
                Missing::Read(after) => after,
            };
            before = Some(after);
            let read = {
                let _turn = self.filling.acquire().await;
                self.audit.since(topic.log, after, FILL_PAGE).await
            };
            match read {
                Ok(entries) => {
                    let was_all = entries.len() < FILL_PAGE as usize;
                    if topic.fill(entries, was_all) {
                        (before, tries, retry) = (None, 0, RETRY.0);
                        continue;
                    }
                    tries += 1;
                    if tries == FILL_TRIES {
                        warn!(log = ?topic.log, after, "The log lacks an entry that was announced");
                        topic.give_up();
                        continue;
                    }
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(log = ?topic.log, error, "Cannot read the log; trying again");
                }
            }
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(RETRY.1);
        }
    }

    /// Looks at logs that have been silent: the last of some news may have been lost.
    async fn recheck(self: Arc<Self>) {
        let recheck = self.settings.recheck;
        // When it begins there is nothing that could have been missed.
        let mut ticks = tokio::time::interval_at(Instant::now() + recheck, recheck);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let topics: Vec<_> = self.topics().values().cloned().collect();
            for topic in &topics {
                if topic.distrust_silence(recheck) {
                    self.fill(topic, Duration::ZERO);
                }
            }
            if self.feed.is_watched() {
                self.discover().await;
                self.forget_the_quietest(topics);
            }
        }
    }

    /// Looks for entries of logs that nobody watches but subscribers of everything. As long as the
    /// bus carries all news, a page that holds something known is the last. Where it does not, that
    /// says nothing, since this server always knows of its own: then it looks at all that was
    /// written since the look before, or so much of it that they are told of a gap.
    async fn discover(self: &Arc<Self>) {
        let _turn = self.looking.lock().await;
        let Some(from) = self.watched_after(&self.looked_up_to) else { return };
        let now = self.clock.now();
        let lost_news = self.lost_news.swap(false, Ordering::AcqRel);
        let at_all = lost_news || !self.settings.hears_others;
        let mut found = Vec::new();
        let (mut before, mut looked, mut missed) = (None, 0, false);
        let was_all = loop {
            let filter = EntryFilter { from: Some(from), before, ..EntryFilter::default() };
            let page = match self.audit.entries(filter, LOOK_PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(error, "Cannot read the logs; trying again later");
                    self.lost_news.fetch_or(lost_news, Ordering::AcqRel);
                    self.hear_found(found);
                    return;
                }
            };
            before = page.last().map(|entry| entry.id);
            let size = page.len();
            looked += size;
            let was_all = size < LOOK_PAGE as usize;
            let topics = self.topics();
            let told = |entry: &Arc<Entry>| {
                let last = topics.get(&entry.log()).and_then(|topic| topic.last());
                last.is_some_and(|last| last >= entry.seq)
            };
            let found_before = found.len();
            found.extend(page.into_iter().filter(|entry| !told(entry)));
            drop(topics);
            // Of the newest page, the news may be on their way still.
            let new = found.len() - found_before;
            missed |= looked > LOOK_PAGE as usize && new > 0;
            let is_enough = !at_all && new < size;
            if was_all || is_enough || looked >= self.settings.all_look {
                break was_all || is_enough;
            }
        };
        // Where all that was seen is known, the bus works, and carried the rest too.
        if missed && !was_all {
            debug!(looked, "More was written than is looked through at once");
            self.feed.tell_loss(frame::loss(now));
        }
        self.hear_found(found);
        let up_to = now.before(LATE).micros();
        self.glanced_up_to.store(up_to, Ordering::Release);
        if at_all {
            self.looked_up_to.store(up_to, Ordering::Release);
        }
    }

    /// Takes in what was found, newest first.
    fn hear_found(self: &Arc<Self>, found: Vec<Arc<Entry>>) {
        self.hear_entries(found.into_iter().rev());
    }

    /// That time, or since when somebody has wanted everything, whichever is later.
    fn watched_after(&self, time: &AtomicI64) -> Option<Timestamp> {
        let time = Timestamp::from_micros(time.load(Ordering::Acquire));
        self.feed.watched_since().map(|since| since.max(time))
    }

    /// The id of a project says when it was made.
    fn is_younger_than_the_last_look(&self, log: LogId) -> bool {
        let made = log.project().and_then(|id| id.uuid().get_timestamp());
        let Some((seconds, nanos)) = made.map(|made| made.to_unix()) else { return false };
        let made = seconds.saturating_mul(1000) + u64::from(nanos / 1_000_000);
        let look = self.watched_after(&self.glanced_up_to);
        look.and_then(|look| u64::try_from(look.millis()).ok()).is_some_and(|look| made > look)
    }

    /// Keeps at least as many logs as [`Hub::discover`] looks at entries: what it finds of a log
    /// that was forgotten would be told again.
    fn forget_the_quietest(&self, topics: Vec<Arc<Topic>>) {
        let limit = self.settings.all_logs.max(self.settings.all_look);
        let mut quiet: Vec<_> =
            topics.into_iter().filter(|topic| !topic.is_listened_to()).collect();
        let Some(surplus) = quiet.len().checked_sub(limit) else { return };
        quiet.sort_by_key(|topic| topic.heard_at());
        let mut topics = self.topics();
        for topic in quiet.iter().take(surplus) {
            if !topic.is_listened_to() {
                Self::forget(&mut topics, topic);
            }
        }
    }

    // Reading for a session that catches up.

    /// Entries after a position; does not return before the log could be read.
    pub(crate) async fn read(&self, log: LogId, after: u64, limit: u32) -> Vec<Arc<Entry>> {
        let mut wait = RETRY.0;
        loop {
            let read = {
                let _turn = self.catching_up.acquire().await;
                self.audit.since(log, after, limit).await
            };
            match read {
                Ok(entries) if !entries.is_empty() => return entries,
                Ok(_) => warn!(?log, after, "The log lacks an entry that was there"),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(?log, error, "Cannot read the log; trying again");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the frame that tells a client of an error in what it sent.
    #[must_use]
    pub fn error_frame(&self, message: &str) -> ByteString {
        frame::error(message, self.now())
    }

    #[cfg(test)]
    pub(crate) fn topic_of(&self, log: LogId) -> Option<Arc<Topic>> {
        self.topics().get(&log).cloned()
    }
}

/// Room for one connection, until it is dropped.
#[derive(Debug)]
pub struct Admission(Arc<Hub>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.emptied.notify_one();
    }
}

/// A log that is watched, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    hub: Arc<Hub>,
    id: u64,
    pub(crate) topic: Arc<Topic>,
    /// Where the log ended when the watch began.
    pub(crate) head: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.unwatch(&self.topic, self.id);
    }
}

#[cfg(test)]
mod tests;
