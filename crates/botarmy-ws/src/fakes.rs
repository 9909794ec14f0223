//! Stand-ins for the bus and the stores, for this crate's tests.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::log::{Event, HeadMark, Origin};
use botarmy_domain::ports::{
    AuditLog, BusMessage, Clock, EntryFilter, EventBus, ProjectStore, Subscription,
};
use botarmy_domain::{
    Entry, EventId, EventType, Head, LogId, Moment, Oversight, Project, ProjectId, ProjectState,
    ProjectStatus, StoreError, TaskId, Timestamp,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

static SEEDS: AtomicUsize = AtomicUsize::new(1);

/// Writes entries of one log.
pub(crate) struct Story {
    head: Head,
    task: TaskId,
}

impl Story {
    pub(crate) fn new(log: LogId) -> Self {
        Self { head: Head::empty(log), task: id_generator().task() }
    }

    /// A project nobody has heard of.
    pub(crate) fn project() -> LogId {
        LogId::Project(id_generator().project())
    }

    pub(crate) fn tell(&mut self, event_type: EventType, data: Value) -> Arc<Entry> {
        let Value::Object(data) = data else { panic!("event data is an object") };
        let event = Event {
            id: id_generator().event(),
            event_type,
            origin: Origin::user("ada"),
            task_id: Some(self.task),
            hitl_request_id: None,
            data,
            at: id_generator().at(),
        };
        Arc::new(Entry::append(&mut self.head, event))
    }
}

fn id_generator() -> botarmy_domain::IdGenerator {
    let n = SEEDS.fetch_add(1, Ordering::Relaxed);
    let at = Timestamp::from_micros(1_800_000_000_000_000 + i64::try_from(n).unwrap());
    Moment { at, seed: n as u128 }.id_generator()
}

/// Lets time pass.
pub(crate) fn pass(time: Duration) {
    SEEDS.fetch_add(usize::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
}

/// A project's log of this length.
pub(crate) fn log_of(length: usize) -> Vec<Arc<Entry>> {
    let mut story = Story::new(Story::project());
    (0..length).map(|n| story.tell(EventType::TaskCreated, json!({"n": n}))).collect()
}

type Stories = HashMap<LogId, (Story, Vec<Arc<Entry>>)>;

/// A world: logs, a bus, a clock.
#[derive(Default)]
pub(crate) struct World {
    stories: Mutex<Stories>,
    ears: Mutex<Vec<mpsc::UnboundedSender<BusMessage>>>,
    unknown: Mutex<HashSet<ProjectId>>,
    /// How often a log was read.
    pub(crate) reads: AtomicUsize,
    /// The stores do not answer.
    pub(crate) down: AtomicBool,
    /// How long a read takes, in milliseconds.
    pub(crate) slow_ms: AtomicUsize,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn stories(&self) -> MutexGuard<'_, Stories> {
        self.stories.lock().unwrap()
    }

    /// Commits entries to a log and tells nobody.
    pub(crate) fn commit(&self, log: LogId, count: usize) -> Vec<Arc<Entry>> {
        (0..count).map(|n| self.commit_one(log, EventType::TaskCreated, json!({"n": n}))).collect()
    }

    pub(crate) fn commit_one(&self, log: LogId, event_type: EventType, data: Value) -> Arc<Entry> {
        let mut stories = self.stories();
        let (story, entries) = stories.entry(log).or_insert_with(|| (Story::new(log), Vec::new()));
        let entry = story.tell(event_type, data);
        entries.push(Arc::clone(&entry));
        entry
    }

    pub(crate) fn tell(&self, news: &BusMessage) {
        self.ears.lock().unwrap().retain(|ear| ear.send(news.clone()).is_ok());
    }

    pub(crate) fn tell_entry(&self, entry: &Arc<Entry>) {
        self.tell(&BusMessage::Entry(Arc::clone(entry)));
    }

    /// Commits entries to a log and tells everybody.
    pub(crate) fn happen(&self, log: LogId, count: usize) {
        self.commit(log, count).iter().for_each(|entry| self.tell_entry(entry));
    }

    /// Cuts off everybody who listens.
    pub(crate) fn cut(&self) {
        self.ears.lock().unwrap().clear();
    }

    pub(crate) fn ears(&self) -> usize {
        self.ears.lock().unwrap().len()
    }

    /// Says that a project does not exist.
    pub(crate) fn deny(&self, id: ProjectId) {
        self.unknown.lock().unwrap().insert(id);
    }

    /// Loses the beginning of a log, as retention would.
    pub(crate) fn lose(&self, log: LogId, up_to: u64) {
        self.stories().get_mut(&log).unwrap().1.retain(|entry| entry.seq > up_to);
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
impl AuditLog for World {
    async fn entries(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.reading().await?;
        let stories = self.stories();
        let mut entries: Vec<_> = stories
            .values()
            .flat_map(|(_, entries)| entries)
            .filter(|entry| filter.before.is_none_or(|before| entry.id < before))
            .filter(|entry| filter.from.is_none_or(|from| entry.created_at >= from))
            .cloned()
            .collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        entries.truncate(limit as usize);
        Ok(entries)
    }

    async fn entry(&self, _: EventId) -> Result<Option<Arc<Entry>>, StoreError> {
        Ok(None)
    }

    async fn since(
        &self,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.reading().await?;
        let stories = self.stories();
        let entries = stories.get(&log).map(|(_, entries)| entries.as_slice()).unwrap_or_default();
        let after = entries.iter().filter(|entry| entry.seq > after);
        Ok(after.take(limit as usize).cloned().collect())
    }

    async fn head(&self, log: LogId) -> Result<Option<HeadMark>, StoreError> {
        self.reading().await?;
        let stories = self.stories();
        let last = stories.get(&log).and_then(|(_, entries)| entries.last());
        Ok(last.map(|entry| HeadMark { seq: entry.seq, hash: entry.hash.clone() }))
    }
}

#[async_trait]
impl ProjectStore for World {
    async fn project(&self, id: ProjectId) -> Result<Option<Arc<Project>>, StoreError> {
        self.reading().await?;
        let at = Timestamp::from_micros(0);
        let project = Project {
            id,
            name: "x".to_owned(),
            description: None,
            oversight: Oversight::Standard,
            state: ProjectState::Active,
            plan: None,
            created_at: at,
            updated_at: at,
        };
        Ok((!self.unknown.lock().unwrap().contains(&id)).then(|| Arc::new(project)))
    }

    async fn overview(&self, _: ProjectId) -> Result<Option<(Arc<Project>, Head)>, StoreError> {
        Ok(None)
    }

    async fn projects(
        &self,
        _: Option<ProjectStatus>,
        _: Option<ProjectId>,
        _: u32,
    ) -> Result<Vec<Arc<Project>>, StoreError> {
        Ok(Vec::new())
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        id_generator().at()
    }
}

#[async_trait]
impl EventBus for World {
    async fn publish(&self, news: Vec<BusMessage>) -> Result<(), StoreError> {
        news.iter().for_each(|news| self.tell(news));
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.ears.lock().unwrap().push(sender);
        Ok(Box::new(Ear(receiver)))
    }
}

struct Ear(mpsc::UnboundedReceiver<BusMessage>);

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Option<BusMessage> {
        self.0.recv().await
    }
}
