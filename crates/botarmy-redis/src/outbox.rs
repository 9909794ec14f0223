//! Messages that wait to be sent to other replicas, in bounded memory. Adding one never waits; one
//! task sends everything that waits in one round trip. While Redis is away only the fact that
//! messages were lost and the agent types to wake are kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use botarmy_domain::{AgentType, BusMessage};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::status_cache::Marked;

/// Largest number of messages that are sent together.
const BATCH: usize = 512;

/// Approximate memory of a message beside its contents.
const OVERHEAD: usize = 512;

/// Messages that wait to be sent, in bounded memory.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    some: Notify,
    capacity: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whether Redis is connected.
    is_open: bool,
    /// Messages with the size of each.
    news: VecDeque<(BusMessage, usize)>,
    bytes: usize,
    /// Whether messages were dropped since the last gap was sent.
    lost: bool,
    rings: BTreeSet<AgentType>,
    statuses: BTreeMap<AgentType, Marked>,
    /// Whether a batch is being sent.
    sending: bool,
}

/// Messages that are sent together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) news: Vec<BusMessage>,
    pub(crate) lost: bool,
    pub(crate) rings: BTreeSet<AgentType>,
    pub(crate) statuses: BTreeMap<AgentType, Marked>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.news.is_empty() && !self.lost && self.rings.is_empty() && self.statuses.is_empty()
    }
}

impl Outbox {
    pub(crate) fn new(capacity: usize, max_bytes: usize) -> Self {
        Self { waiting: Mutex::default(), some: Notify::new(), capacity, max_bytes }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds messages. Without room or without a connection they become a gap.
    pub(crate) fn enqueue(&self, news: Vec<BusMessage>, statuses: Vec<Marked>) {
        let mut waiting = self.waiting();
        if waiting.is_open {
            for one in statuses {
                waiting.statuses.insert(one.record.agent_type, one);
            }
        }
        for one in news {
            let size = size(&one);
            let has_room =
                waiting.news.len() < self.capacity && waiting.bytes + size <= self.max_bytes;
            if waiting.is_open && has_room && !matches!(one, BusMessage::Lagged) {
                waiting.bytes += size;
                waiting.news.push_back((one, size));
            } else {
                waiting.lost = true;
            }
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Adds a wake-up. Waiting wake-ups of the same agent type are merged.
    pub(crate) fn notify(&self, agents: &BTreeSet<AgentType>) {
        self.waiting().rings.extend(agents);
        self.some.notify_one();
    }

    /// Returns whether everything was sent.
    pub(crate) fn is_idle(&self) -> bool {
        let waiting = self.waiting();
        waiting.is_empty() && !waiting.sending
    }

    pub(crate) async fn filled(&self) {
        while self.waiting().is_empty() {
            self.some.notified().await;
        }
    }

    pub(crate) fn take(&self) -> Batch {
        let mut waiting = self.waiting();
        waiting.sending = true;
        let count = waiting.news.len().min(BATCH);
        let (news, sizes): (_, Vec<_>) = waiting.news.drain(..count).unzip();
        waiting.bytes -= sizes.iter().sum::<usize>();
        Batch {
            news,
            lost: std::mem::take(&mut waiting.lost),
            rings: std::mem::take(&mut waiting.rings),
            statuses: std::mem::take(&mut waiting.statuses),
        }
    }

    /// Marks Redis as connected.
    pub(crate) fn open(&self) {
        self.waiting().is_open = true;
    }

    /// Marks Redis as away. Waiting messages become a gap, after which other replicas read the log.
    /// Wake-ups are kept. Statuses are dropped, because all of them are written after connecting.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_open = false;
        waiting.lost |= !waiting.news.is_empty();
        waiting.news = VecDeque::new();
        waiting.bytes = 0;
        waiting.statuses.clear();
    }

    pub(crate) fn sent(&self, failed: Option<BTreeSet<AgentType>>) {
        let mut waiting = self.waiting();
        waiting.sending = false;
        if let Some(rings) = failed {
            waiting.lost = true;
            waiting.rings.extend(rings);
        }
    }
}

/// Returns the approximate size of a message in memory.
fn size(news: &BusMessage) -> usize {
    OVERHEAD
        + match news {
            BusMessage::Entry(entry) => {
                size_of_object(&entry.event_data) + size_of_object(&entry.event_metadata)
            }
            BusMessage::Progress(progress) => progress.message.len(),
            BusMessage::Lagged => 0,
        }
}

fn size_of_object(object: &Map<String, Value>) -> usize {
    object.iter().map(|(key, value)| key.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(size_of_value).sum(),
            Value::Object(object) => size_of_object(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::AgentRecord;

    use super::*;

    fn open(capacity: usize, max_bytes: usize) -> Outbox {
        let outbox = Outbox::new(capacity, max_bytes);
        outbox.open();
        outbox
    }

    #[test]
    fn rings_come_together_and_are_kept_until_they_were_sent() {
        let outbox = open(8, usize::MAX);
        outbox.notify(&[AgentType::Coder].into());
        outbox.notify(&[AgentType::Coder, AgentType::Tester].into());
        let batch = outbox.take();
        assert_eq!(batch.rings, [AgentType::Coder, AgentType::Tester].into());
        assert!(!outbox.is_idle(), "it is on its way");
        outbox.sent(Some(batch.rings));
        let again = outbox.take();
        assert_eq!(again.rings.len(), 2);
        assert!(again.lost, "and news may have been lost with it");
        outbox.sent(None);
        assert!(outbox.is_idle());
    }

    fn progress() -> BusMessage {
        saying(String::new())
    }

    fn saying(message: String) -> BusMessage {
        let mut id_generator =
            botarmy_domain::IdGenerator::new(botarmy_domain::Timestamp::from_micros(1), 1);
        BusMessage::Progress(std::sync::Arc::new(botarmy_domain::TaskProgress {
            project_id: id_generator.project(),
            task_id: id_generator.task(),
            agent_type: AgentType::Coder,
            message,
            percent: None,
            at: id_generator.now(),
        }))
    }

    #[test]
    fn what_there_is_no_room_for_becomes_a_gap() {
        let outbox = open(3, usize::MAX);
        outbox.enqueue((0..10).map(|_| progress()).collect(), vec![]);
        let batch = outbox.take();
        assert_eq!((batch.news.len(), batch.lost), (3, true));
        outbox.sent(None);
        outbox.enqueue(vec![progress()], vec![]);
        assert!(!outbox.take().lost, "it is told once");
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_too() {
        let outbox = open(100, 10_000);
        outbox.enqueue((0..10).map(|_| saying("x".repeat(3000))).collect(), vec![]);
        let batch = outbox.take();
        assert_eq!((batch.news.len(), batch.lost), (2, true));
        outbox.enqueue(vec![saying("x".repeat(9000))], vec![]);
        assert_eq!(outbox.take().news.len(), 1, "there is room again");
        outbox.enqueue(vec![saying("x".repeat(20_000))], vec![]);
        let batch = outbox.take();
        assert!(batch.news.is_empty() && batch.lost);
    }

    #[test]
    fn the_size_of_an_entry_is_that_of_what_it_tells() {
        let mut data = Map::new();
        data.insert("texts".to_owned(), vec!["x".repeat(1000), "y".repeat(1000)].into());
        assert!((2000..2300).contains(&size_of_object(&data)), "{}", size_of_object(&data));
    }

    #[test]
    fn while_redis_is_away_nothing_is_kept_but_the_loss_and_the_rings() {
        let status = || Marked { seq: 1, record: AgentRecord::idle(AgentType::Coder) };
        let outbox = open(3, usize::MAX);
        outbox.close();
        assert!(outbox.is_idle(), "nothing waited, nothing is lost");
        outbox.open();
        outbox.enqueue(vec![progress()], vec![status()]);
        outbox.notify(&[AgentType::Coder].into());
        outbox.close();
        outbox.enqueue(vec![progress()], vec![status()]);
        let waiting = outbox.waiting();
        assert!(waiting.news.is_empty() && waiting.bytes == 0 && waiting.statuses.is_empty());
        drop(waiting);
        outbox.open();
        let batch = outbox.take();
        assert!(batch.lost && batch.rings == [AgentType::Coder].into());
    }
}
