//! What waits to be told to the other replicas. Whoever puts something in goes on at once; one task
//! takes out whatever has come together and sends it in one round trip.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::AgentType;
use botarmy_domain::ports::News;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{RedisError, pipe};
use tokio::sync::Notify;
use tracing::debug;

use crate::agent_status::{Marked, write_board};
use crate::connection::Shared;
use crate::envelope;

/// How many news go out together at most.
const BATCH: usize = 512;

/// How long it rests after Redis has refused something.
const REST: Duration = Duration::from_millis(50);

/// What waits, in bounded space.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    some: Notify,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    news: VecDeque<News>,
    /// News were dropped since the others were last told of a gap.
    lost: bool,
    rings: BTreeSet<AgentType>,
    statuses: BTreeMap<AgentType, Marked>,
    /// A batch is on its way.
    sending: bool,
}

/// What goes out together.
#[derive(Debug, Default)]
struct Batch {
    news: Vec<News>,
    lost: bool,
    rings: BTreeSet<AgentType>,
    statuses: BTreeMap<AgentType, Marked>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.news.is_empty() && !self.lost && self.rings.is_empty() && self.statuses.is_empty()
    }
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { waiting: Mutex::default(), some: Notify::new(), capacity }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// News for the others; what there is no room for becomes a gap.
    pub(crate) fn tell(&self, news: Vec<News>, statuses: Vec<Marked>) {
        let mut waiting = self.waiting();
        for one in statuses {
            waiting.statuses.insert(one.record.agent_type, one);
        }
        for one in news {
            if matches!(one, News::Gap) || waiting.news.len() >= self.capacity {
                waiting.lost = true;
            } else {
                waiting.news.push_back(one);
            }
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// A ring for the others. Rings for the same agent type that wait together are one.
    pub(crate) fn ring(&self, agents: &BTreeSet<AgentType>) {
        self.waiting().rings.extend(agents);
        self.some.notify_one();
    }

    /// Whether everything was sent.
    pub(crate) fn is_idle(&self) -> bool {
        let waiting = self.waiting();
        waiting.is_empty() && !waiting.sending
    }

    async fn filled(&self) {
        while self.waiting().is_empty() {
            self.some.notified().await;
        }
    }

    fn take(&self) -> Batch {
        let mut waiting = self.waiting();
        waiting.sending = true;
        let count = waiting.news.len().min(BATCH);
        Batch {
            news: waiting.news.drain(..count).collect(),
            lost: std::mem::take(&mut waiting.lost),
            rings: std::mem::take(&mut waiting.rings),
            statuses: std::mem::take(&mut waiting.statuses),
        }
    }

    /// Redis was away: what waits is old, and whoever hears of the gap reads it in the log. The
    /// rings are still wanted. The board is written anew as a whole.
    fn give_up(&self) {
        let mut waiting = self.waiting();
        waiting.lost |= !waiting.news.is_empty();
        waiting.news.clear();
        waiting.statuses.clear();
    }

    fn sent(&self, failed: Option<BTreeSet<AgentType>>) {
        let mut waiting = self.waiting();
        waiting.sending = false;
        if let Some(rings) = failed {
            waiting.lost = true;
            waiting.rings.extend(rings);
        }
    }
}

/// Sends what waits, for ever.
pub(crate) async fn send_for_ever(shared: &Shared) {
    loop {
        shared.outbox.filled().await;
        let connection = match shared.link.current() {
            Some(connection) => connection,
            None => {
                let connection = shared.link.up().await;
                shared.outbox.give_up();
                connection
            }
        };
        let batch = shared.outbox.take();
        match send(shared, connection, &batch).await {
            Ok(()) => shared.outbox.sent(None),
            Err(error) => {
                debug!(error, "News did not leave; the other servers will be told of a gap");
                shared.outbox.sent(Some(batch.rings));
                shared.link.doubt();
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn send(
    shared: &Shared,
    connection: MultiplexedConnection,
    batch: &Batch,
) -> Result<(), String> {
    let settings = &shared.settings;
    let mut messages = pipe();
    if !batch.rings.is_empty() {
        let ring = envelope::pack_ring(settings.instance, &batch.rings);
        messages.cmd("PUBLISH").arg(&shared.names.rings).arg(ring);
    }
    let max = settings.max_news_bytes;
    for message in envelope::pack(settings.instance, &batch.news, batch.lost, max) {
        messages.cmd("PUBLISH").arg(&shared.names.news).arg(message);
    }
    // The board goes first: whoever hears of a change may look at it.
    let (mut for_board, mut for_messages) = (connection.clone(), connection);
    let board = async {
        let statuses: Vec<_> = batch.statuses.values().cloned().collect();
        if let Err(error) = write_board(&mut for_board, shared, &statuses, false).await {
            debug!(%error, "The status board was not written");
            shared.board.distrust();
        }
    };
    let publishing = async {
        if messages.is_empty() {
            return Ok::<_, RedisError>(());
        }
        messages.exec_async(&mut for_messages).await
    };
    let both = async { tokio::join!(board, publishing).1 };
    match tokio::time::timeout(settings.timeout, both).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_come_together_and_are_kept_until_they_were_sent() {
        let outbox = Outbox::new(8);
        outbox.ring(&[AgentType::Coder].into());
        outbox.ring(&[AgentType::Coder, AgentType::Tester].into());
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

    fn progress() -> News {
        let mut mint =
            botarmy_domain::Moment { at: botarmy_domain::Timestamp::from_micros(1), seed: 1 }
                .mint();
        News::Progress(std::sync::Arc::new(botarmy_domain::ports::TaskProgress {
            project_id: mint.project(),
            task_id: mint.task(),
            agent_type: AgentType::Coder,
            message: String::new(),
            percent: None,
            at: mint.at(),
        }))
    }

    #[test]
    fn what_there_is_no_room_for_becomes_a_gap() {
        let outbox = Outbox::new(3);
        outbox.tell((0..10).map(|_| progress()).collect(), vec![]);
        let batch = outbox.take();
        assert_eq!((batch.news.len(), batch.lost), (3, true));
        outbox.sent(None);
        outbox.tell(vec![progress()], vec![]);
        assert!(!outbox.take().lost, "it is told once");
    }

    #[test]
    fn what_waited_for_redis_becomes_a_gap() {
        let outbox = Outbox::new(3);
        outbox.give_up();
        assert!(outbox.is_idle(), "nothing waited, nothing is lost");
        outbox.tell(vec![progress()], vec![]);
        outbox.give_up();
        let batch = outbox.take();
        assert!(batch.news.is_empty() && batch.lost);
    }
}
