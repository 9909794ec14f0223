//! A bus, logs and a clock in memory, for the tests of this crate and of the borders that use it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::log::{Event, HeadMark, Line, LogSpan, Verification, Verifier};
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::{Clock, EventBus, LogQueries, Subscription};
use botarmy_domain::replay::StateVerification;
use botarmy_domain::{
    BusMessage, Caller, DomainError, Entry, EntryFilter, Error, EventId, EventType, Head,
    IdGenerator, LogId, Page, ProjectId, StoreError, TaskId, Timestamp,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Hub, LiveSettings};

static SEEDS: AtomicUsize = AtomicUsize::new(1);

/// Creates a hub that is stopped: it admits no connection. Must be called inside a tokio runtime.
#[must_use]
pub fn stopped_hub() -> Arc<Hub> {
    let world = World::new();
    let (bus, logs, clock) = (Arc::clone(&world), Arc::clone(&world), world);
    let hub = Hub::start(bus, logs, clock, LiveSettings::default());
    hub.stop();
    hub
}

/// Writes the entries of one log.
#[derive(Debug)]
pub struct LogWriter {
    head: Head,
    task: TaskId,
}

impl LogWriter {
    /// Creates a writer of an empty log.
    #[must_use]
    pub fn new(log: LogId) -> Self {
        Self { head: Head::empty(log), task: id_generator().task() }
    }

    /// Returns the log of a new project.
    #[must_use]
    pub fn project() -> LogId {
        LogId::Project(id_generator().project())
    }

    /// Appends an entry. The data must be a JSON object.
    pub fn write(&mut self, event_type: EventType, data: Value) -> Arc<Entry> {
        self.write_by(&Caller::person("ada"), event_type, data)
    }

    /// Appends an entry of this caller. The data must be a JSON object.
    pub fn write_by(&mut self, caller: &Caller, event_type: EventType, data: Value) -> Arc<Entry> {
        let Value::Object(data) = data else { panic!("event data is an object") };
        let event = Event {
            id: id_generator().event(),
            event_type,
            origin: caller.origin(),
            task_id: Some(self.task),
            hitl_request_id: None,
            data,
            at: id_generator().now(),
        };
        Arc::new(Entry::append(&mut self.head, event))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds the lock")
}

fn id_generator() -> botarmy_domain::IdGenerator {
    let n = SEEDS.fetch_add(1, Ordering::Relaxed);
    let at = Timestamp::from_micros(1_800_000_000_000_000_i64.saturating_add_unsigned(n as u64));
    IdGenerator::new(at, n as u128)
}

/// Advances the clock.
pub fn advance(time: Duration) {
    let micros = usize::try_from(time.as_micros()).unwrap_or(usize::MAX);
    SEEDS.fetch_add(micros, Ordering::Relaxed);
}

/// Returns a project's log of this length.
#[must_use]
pub fn log_of(length: usize) -> Vec<Arc<Entry>> {
    let mut writer = LogWriter::new(LogWriter::project());
    (0..length).map(|n| writer.write(EventType::TaskCreated, json!({"n": n}))).collect()
}

/// Returns an entry with its size, as a page of a log counts it.
fn sized(entry: &Arc<Entry>) -> Result<(Arc<Entry>, usize), Error> {
    Ok((Arc::clone(entry), botarmy_domain::json::size(&entry.event_data)))
}

type Logs = HashMap<LogId, (LogWriter, Vec<Arc<Entry>>)>;

/// Logs, a bus and a clock, with switches for what can go wrong.
#[derive(Debug, Default)]
pub struct World {
    logs: Mutex<Logs>,
    subscribers: Mutex<Vec<mpsc::UnboundedSender<BusMessage>>>,
    hidden: Mutex<HashSet<ProjectId>>,
    /// Number of reads so far.
    pub reads: AtomicUsize,
    /// Makes every read fail.
    pub down: AtomicBool,
    /// Duration of a read, in milliseconds.
    pub slow_ms: AtomicUsize,
}

impl World {
    /// Creates a world without logs.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn logs(&self) -> MutexGuard<'_, Logs> {
        lock(&self.logs)
    }

    /// Commits entries to a log, without an announcement on the bus.
    pub fn commit(&self, log: LogId, count: usize) -> Vec<Arc<Entry>> {
        (0..count).map(|n| self.commit_one(log, EventType::TaskCreated, json!({"n": n}))).collect()
    }

    /// Commits one entry to a log, without an announcement on the bus.
    pub fn commit_one(&self, log: LogId, event_type: EventType, data: Value) -> Arc<Entry> {
        let mut logs = self.logs();
        let (writer, entries) =
            logs.entry(log).or_insert_with(|| (LogWriter::new(log), Vec::new()));
        let entry = writer.write(event_type, data);
        entries.push(Arc::clone(&entry));
        entry
    }

    /// Begins the log of a new project that this caller creates. Returns the log.
    pub fn create_project(&self, caller: &Caller) -> LogId {
        let log = LogWriter::project();
        let mut writer = LogWriter::new(log);
        let entry = writer.write_by(caller, EventType::ProjectCreated, json!({}));
        self.logs().insert(log, (writer, vec![Arc::clone(&entry)]));
        self.announce_entry(&entry);
        log
    }

    /// Sends a message to every subscriber of the bus.
    pub fn announce(&self, message: &BusMessage) {
        lock(&self.subscribers).retain(|subscriber| subscriber.send(message.clone()).is_ok());
    }

    /// Announces a committed entry.
    pub fn announce_entry(&self, entry: &Arc<Entry>) {
        self.announce(&BusMessage::Entry(Arc::clone(entry)));
    }

    /// Commits entries to a log and announces them.
    pub fn commit_and_announce(&self, log: LogId, count: usize) {
        self.commit(log, count).iter().for_each(|entry| self.announce_entry(entry));
    }

    /// Ends every subscription to the bus.
    pub fn disconnect(&self) {
        lock(&self.subscribers).clear();
    }

    /// Returns the number of subscriptions to the bus.
    pub fn subscribers(&self) -> usize {
        lock(&self.subscribers).len()
    }

    /// Makes a project one that does not exist.
    pub fn hide(&self, id: ProjectId) {
        lock(&self.hidden).insert(id);
    }

    /// Removes the beginning of a log, as retention would.
    pub fn forget_up_to(&self, log: LogId, seq: u64) {
        if let Some((_, entries)) = self.logs().get_mut(&log) {
            entries.retain(|entry| entry.seq > seq);
        }
    }

    async fn reading(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let slow = self.slow_ms.load(Ordering::SeqCst);
        if slow > 0 {
            tokio::time::sleep(Duration::from_millis(slow as u64)).await;
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { detail: "down".to_owned(), source: None });
        }
        Ok(())
    }
}

#[async_trait]
impl LogQueries for World {
    async fn project_exists(&self, _: &Caller, id: ProjectId) -> Result<bool, Error> {
        self.reading().await?;
        Ok(!lock(&self.hidden).contains(&id))
    }

    async fn log_head(&self, _: &Caller, log: LogId) -> Result<Option<HeadMark>, Error> {
        self.reading().await?;
        let logs = self.logs();
        let last = logs.get(&log).and_then(|(_, entries)| entries.last());
        Ok(last.map(|entry| HeadMark { seq: entry.seq, hash: entry.hash.clone() }))
    }

    async fn log_entries(
        &self,
        _: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        self.reading().await?;
        let logs = self.logs();
        let entries = logs.get(&log).map(|(_, entries)| entries.as_slice()).unwrap_or_default();
        let after = entries.iter().filter(|entry| entry.seq > after).map(sized);
        Page::part(after, limit, PART_BYTES)
    }

    async fn log_spans(
        &self,
        _: &Caller,
        from: Timestamp,
        limit: u32,
    ) -> Result<Option<Vec<LogSpan>>, Error> {
        self.reading().await?;
        let logs = self.logs();
        let (mut spans, mut count) = (Vec::new(), 0);
        for (log, (_, entries)) in &*logs {
            let found: Vec<_> =
                entries.iter().filter(|e| e.created_at.millis() >= from.millis()).collect();
            count += found.len();
            if let [first, ..] = found[..] {
                let last = found.iter().map(|entry| entry.seq).max().unwrap_or(first.seq);
                spans.push(LogSpan { log: *log, first: first.seq, last });
            }
        }
        Ok((count <= limit as usize).then_some(spans))
    }

    async fn entry(&self, _: &Caller, id: EventId) -> Result<Arc<Entry>, Error> {
        self.reading().await?;
        let logs = self.logs();
        let found = logs.values().flat_map(|(_, entries)| entries).find(|entry| entry.id == id);
        Ok(found.cloned().ok_or_else(|| DomainError::not_found("Event", id))?)
    }

    async fn entries(
        &self,
        _: &Caller,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        self.reading().await?;
        let logs = self.logs();
        let mut entries: Vec<_> = logs
            .values()
            .flat_map(|(_, entries)| entries)
            .filter(|entry| filter.project.is_none_or(|id| entry.project_id == Some(id)))
            .filter(|entry| filter.task.is_none_or(|id| entry.task_id == Some(id)))
            .filter(|entry| filter.before.is_none_or(|before| entry.id < before))
            .filter(|entry| filter.from.is_none_or(|from| entry.created_at >= from))
            .cloned()
            .collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        Page::part(entries.iter().map(sized), limit, PART_BYTES)
    }

    async fn project_entries(
        &self,
        caller: &Caller,
        id: ProjectId,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        self.entries(caller, EntryFilter { project: Some(id), ..filter }, limit).await
    }

    async fn task_entries(
        &self,
        caller: &Caller,
        id: TaskId,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        self.entries(caller, EntryFilter { task: Some(id), ..filter }, limit).await
    }

    async fn log_lines(
        &self,
        caller: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Line>, Error> {
        let entries = self.log_entries(caller, log, after, limit).await?;
        Ok(entries.into_iter().map(Line::Entry).collect())
    }

    async fn verify_log(
        &self,
        caller: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        _: u32,
    ) -> Result<Verification, Error> {
        let head = self.log_head(caller, log).await?;
        let head = head.ok_or_else(|| DomainError::not_found("Log", log.key()))?;
        let mut verifier = Verifier::expecting(expected);
        let entries = self.log_entries(caller, log, 0, u32::MAX).await?;
        entries.iter().for_each(|entry| verifier.next(entry));
        Ok(verifier.finish(&head))
    }

    async fn verify_state(
        &self,
        caller: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        page: u32,
    ) -> Result<StateVerification, Error> {
        // It has no state beside the log.
        let log = self.verify_log(caller, log, expected, page).await?;
        Ok(StateVerification { log, rows: 0, difference: None })
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        id_generator().now()
    }
}

#[async_trait]
impl EventBus for World {
    async fn publish(&self, messages: Vec<BusMessage>) -> Result<(), StoreError> {
        messages.iter().for_each(|message| self.announce(message));
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.subscribers).push(sender);
        Ok(Box::new(FakeSubscription(receiver)))
    }
}

struct FakeSubscription(mpsc::UnboundedReceiver<BusMessage>);

#[async_trait]
impl Subscription for FakeSubscription {
    async fn next(&mut self) -> Option<BusMessage> {
        self.0.recv().await
    }
}
