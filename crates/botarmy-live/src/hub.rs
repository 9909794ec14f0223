//! The hub: receives the messages of the bus once, keeps the watched logs in order, and lets every
//! session take frames at its own pace.
//!
//! ```text
//! bus ──▶ receive ──▶ topic of the log ──▶ recent frames ──▶ sessions that keep up
//!                       │ in order, once                       ▲
//!          audit log ───┴─ lost entries, read once             │ sessions that fall behind
//!                       └──────────────────────────────────────┘ read the log themselves
//! ```
//!
//! The bus is fast and may lose messages; the log is complete. A late entry is waited for a moment.
//! A lost one is noticed by the entry after it, by [`BusMessage::Lagged`], by a new subscription to
//! the bus, or by reading a log that has been silent for a while.
//!
//! **Invariant**: there is no queue per session. A hub keeps frames of a bounded number and size per
//! watched log, shared by all sessions, and nothing of a log that is not watched. A session that
//! falls behind holds a few pages of logs, of a bounded size. A single frame can be larger than
//! either bound.
//!
//! This file has the life of the hub, the registry of topics, and reads for sessions; `intake.rs`
//! what arrives from the bus and what is missing; `discovery.rs` the scan of all logs.
//!
//! [`BusMessage::Lagged`]: botarmy_domain::BusMessage::Lagged

mod discovery;
mod intake;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::ports::{Clock, EventBus, LogQueries};
use botarmy_domain::{
    Caller, Entry, Error, EventType, LogId, LogSpan, PrincipalId, ProjectId, Timestamp,
};
use bytestring::ByteString;
use tokio::sync::{Notify, Semaphore, watch};
use tracing::warn;

use crate::feed::Feed;
use crate::frame::{self, Frame};
use crate::settings::LiveSettings;
use crate::topic::Topic;
use crate::visibility::Creators;

/// The shortest and the longest wait before a failed operation is tried again.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Receives the messages of the bus and serves every session of this process.
pub struct Hub {
    pub(crate) settings: Arc<LiveSettings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
    bus: Arc<dyn EventBus>,
    /// Logs, read on behalf of the server: one read serves all sessions.
    logs: Arc<dyn LogQueries>,
    reader: Caller,
    pub(crate) creators: Creators,
    topics: Mutex<HashMap<LogId, Arc<Topic>>>,
    /// Held during a scan of all logs, so that one runs at a time.
    scanning: tokio::sync::Mutex<()>,
    /// Time in microseconds before which a full scan has seen every entry.
    scanned_up_to: AtomicI64,
    /// Time in microseconds up to which the last scan went, full or not.
    seen_up_to: AtomicI64,
    /// Set if the bus has lost messages since the last full scan.
    messages_lost: AtomicBool,
    catch_up_reads: Semaphore,
    gap_reads: Semaphore,
    next_id: AtomicU64,
    connections: AtomicUsize,
    pub(crate) counts: LiveCounts,
    connection_closed: Notify,
    stop: watch::Sender<bool>,
}

/// Counts of what keeps clients from getting every frame at once, since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct LiveCounts {
    /// Gap frames.
    pub(crate) gaps: AtomicU64,
    /// Reads of logs for clients that have fallen behind.
    pub(crate) catch_ups: AtomicU64,
    /// Reports of the bus that it has lost messages.
    pub(crate) losses: AtomicU64,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Hub {
    /// Creates a hub that listens to the bus until [`Hub::shutdown`]. Must be called inside a tokio
    /// runtime.
    #[must_use]
    pub fn start(
        bus: Arc<dyn EventBus>,
        logs: Arc<dyn LogQueries>,
        clock: Arc<dyn Clock>,
        settings: LiveSettings,
    ) -> Arc<Self> {
        let settings = Arc::new(settings);
        let hub = Arc::new(Self {
            clock,
            feed: Arc::new(Feed::new(Arc::clone(&settings))),
            bus,
            logs,
            reader: Caller::system(),
            creators: Creators::default(),
            topics: Mutex::default(),
            scanning: tokio::sync::Mutex::default(),
            scanned_up_to: AtomicI64::new(0),
            seen_up_to: AtomicI64::new(0),
            messages_lost: AtomicBool::new(false),
            catch_up_reads: Semaphore::new(settings.log_reads.max(1)),
            gap_reads: Semaphore::new(settings.log_reads.max(1)),
            next_id: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            counts: LiveCounts::default(),
            connection_closed: Notify::new(),
            stop: watch::Sender::new(false),
            settings,
        });
        tokio::spawn(Arc::clone(&hub).until_stopped(Arc::clone(&hub).listen_to_bus()));
        tokio::spawn(Arc::clone(&hub).until_stopped(Arc::clone(&hub).recheck()));
        hub
    }

    /// Stops listening and ends every session. Returns when all are closed, or after
    /// [`LiveSettings::shutdown_wait`].
    pub async fn shutdown(&self) {
        self.stop();
        let all_closed = async {
            while self.connections() > 0 {
                self.connection_closed.notified().await;
            }
        };
        if tokio::time::timeout(self.settings.shutdown_wait, all_closed).await.is_err() {
            warn!(connections = self.connections(), "Not every live connection closed in time");
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns when the hub is being shut down.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // It fails only if the sender is gone, which lives as long as the hub.
        drop(stop.wait_for(|stopped| *stopped).await);
    }

    async fn until_stopped(self: Arc<Self>, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.stopped() => {}
        }
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Returns the number of `gap` frames that clients were sent.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.counts.gaps.load(Ordering::Relaxed)
    }

    /// Returns the number of times that a log was read because a client had fallen behind.
    #[must_use]
    pub fn catch_ups(&self) -> u64 {
        self.counts.catch_ups.load(Ordering::Relaxed)
    }

    /// Returns the number of times that the bus reported lost messages.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.counts.losses.load(Ordering::Relaxed)
    }

    /// Returns a `gap` frame, and counts it.
    pub(crate) fn gap(&self, place: Option<(LogId, u64)>, data: serde_json::Value) -> Frame {
        self.counts.gaps.fetch_add(1, Ordering::Relaxed);
        frame::gap(place, data, self.now())
    }

    /// Returns the number of logs that are kept in order at the moment.
    #[must_use]
    pub fn watched_logs(&self) -> usize {
        self.topics().len()
    }

    /// Reserves room for a connection. Returns `None` when there is none, or the hub is being shut
    /// down.
    #[must_use]
    pub fn admit(self: &Arc<Self>) -> Option<Admission> {
        let limit = self.settings.max_connections;
        let free = |open| (open < limit && !*self.stop.borrow()).then_some(open + 1);
        self.connections.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok()?;
        Some(Admission(Arc::clone(self)))
    }

    /// Returns the frame that tells a client of an error in what it sent.
    #[must_use]
    pub fn error_frame(&self, message: &str) -> ByteString {
        frame::error(message, self.now()).text
    }

    pub(crate) async fn project_exists(&self, id: ProjectId) -> Result<bool, Error> {
        self.logs.project_exists(&self.reader, id).await
    }

    /// Reads the creator of a project from the first entry of its log, and remembers it. Waits until the
    /// log can be read.
    pub(crate) async fn learn_creator(&self, id: ProjectId) -> Option<PrincipalId> {
        if let Some(creator) = self.creators.get(id) {
            return creator;
        }
        let mut wait = RETRY.0;
        loop {
            let read = {
                let _turn = self.catch_up_reads.acquire().await;
                self.logs.log_entries(&self.reader, LogId::Project(id), 0, 1).await
            };
            match read {
                Ok(entries) => {
                    // Of a project that does not exist nothing is remembered.
                    let creator = creator_of(entries.items.first()?);
                    self.creators.insert(id, creator);
                    return creator;
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(%id, error, "Cannot read the creator of a project; trying again");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<LogId, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch a log, and has `wake` notified of its entries.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        log: LogId,
        id: u64,
        wake: &Arc<Notify>,
    ) -> Result<Watch, Error> {
        let topic = {
            let mut topics = self.topics();
            let topic = topics.entry(log).or_insert_with(|| Arc::new(self.topic(log, None)));
            topic.add_listener(id, Arc::clone(wake));
            Arc::clone(topic)
        };
        // Made before the first await, so that the listener is removed if this future is dropped.
        let mut watch = Watch { hub: Arc::clone(self), id, topic, head: 0 };
        watch.head = match watch.topic.last() {
            Some(last) => last,
            None => {
                // An entry that is committed after this read arrives at the topic, which listens.
                let head = self.logs.log_head(&self.reader, log).await?.map_or(0, |head| head.seq);
                if watch.topic.begin(head) {
                    self.fill(&watch.topic, Duration::ZERO);
                }
                head
            }
        };
        Ok(watch)
    }

    /// Returns the position at which a subscriber that has everything up to `after` begins: that
    /// position, or the end of the log where it ends before.
    pub(crate) async fn begin_of(&self, watch: &Watch, after: u64) -> Result<u64, Error> {
        if after <= watch.head.max(watch.topic.last().unwrap_or(0)) {
            return Ok(after);
        }
        // An entry that another server has committed and told of may not have arrived here yet.
        let head = self.logs.log_head(&self.reader, watch.topic.log).await?;
        Ok(head.map_or(0, |head| head.seq).min(after))
    }

    fn topic(&self, log: LogId, begin: Option<u64>) -> Topic {
        Topic::new(log, begin, Arc::clone(&self.settings), Arc::clone(&self.feed))
    }

    fn unwatch(&self, topic: &Arc<Topic>, id: u64) {
        let mut topics = self.topics();
        if topic.remove_listener(id) && !self.feed.is_watched() {
            Self::forget(&mut topics, topic);
        }
    }

    fn forget(topics: &mut HashMap<LogId, Arc<Topic>>, topic: &Arc<Topic>) {
        // Another topic may have taken its place since.
        if topics.get(&topic.log).is_some_and(|known| Arc::ptr_eq(known, topic)) {
            topics.remove(&topic.log);
        }
        topic.close();
    }

    /// Begins to watch all logs. Returns the position in the feed to begin at.
    pub(crate) fn watch_all(&self, id: u64, wake: &Arc<Notify>) -> u64 {
        self.feed.add_listener(id, Arc::clone(wake), self.clock.now())
    }

    /// Reads the spans of the entries of all logs since a time, and the end of the system log.
    ///
    /// `None` stands for spans of more entries than are caught up with.
    pub(crate) async fn spans(
        &self,
        from: Timestamp,
    ) -> Result<(Option<Vec<LogSpan>>, u64), Error> {
        let _turn = self.catch_up_reads.acquire().await;
        let limit = self.settings.resume_limit;
        let spans = self.logs.log_spans(&self.reader, from, limit).await?;
        let system = self.logs.log_head(&self.reader, LogId::System).await?;
        Ok((spans, system.map_or(0, |head| head.seq)))
    }

    /// Ends a watch of all logs.
    pub(crate) fn unwatch_all(&self, id: u64) {
        let mut topics = self.topics();
        if self.feed.remove_listener(id) {
            let unused: Vec<_> =
                topics.values().filter(|topic| !topic.has_listeners()).cloned().collect();
            unused.iter().for_each(|topic| Self::forget(&mut topics, topic));
        }
    }

    /// Reads entries after a position that is known to have some, for a session that catches up.
    /// Waits until the log can be read.
    pub(crate) async fn read(&self, log: LogId, after: u64, limit: u32) -> Vec<Arc<Entry>> {
        self.counts.catch_ups.fetch_add(1, Ordering::Relaxed);
        let mut wait = RETRY.0;
        loop {
            let read = {
                let _turn = self.catch_up_reads.acquire().await;
                self.logs.log_entries(&self.reader, log, after, limit).await
            };
            match read {
                Ok(entries) if !entries.is_empty() => return entries.items,
                Ok(_) => warn!(?log, after, "The log lacks an entry it had; reading it again"),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(?log, error, "Cannot read the log for a live client; trying again");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    #[cfg(test)]
    pub(crate) fn topic_of(&self, log: LogId) -> Option<Arc<Topic>> {
        self.topics().get(&log).cloned()
    }
}

/// Returns the principal that created the project of this entry, if the entry says so.
fn creator_of(entry: &Entry) -> Option<PrincipalId> {
    if entry.event_type != EventType::ProjectCreated {
        return None;
    }
    entry.event_metadata.get("principal")?.as_str()?.parse().ok()
}

/// Room for one connection, until it is dropped.
#[derive(Debug)]
pub struct Admission(Arc<Hub>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
        self.0.connection_closed.notify_one();
    }
}

/// Watch of one log, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    hub: Arc<Hub>,
    id: u64,
    pub(crate) topic: Arc<Topic>,
    /// Last entry of the log when the watch began.
    pub(crate) head: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.unwatch(&self.topic, self.id);
    }
}

#[cfg(test)]
mod tests;
