//! The status board of the agent types, shared by the replicas.
//!
//! The truth is in the store. What is in Redis is a copy that every replica keeps up: each status
//! change is written there when it was committed, the whole board when Redis was connected to and
//! every few seconds, so that a lost write heals. What the copy lacks is asked of the store.
//!
//! A record stands on the board with the position in the system log that it was read at, and only
//! moves forward. A replica also remembers what it committed or heard of, and never answers with
//! less than that: whoever changes a status through it sees the change.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use botarmy_domain::event::agent_record_of;
use botarmy_domain::ports::{AgentStatus, AuditLog};
use botarmy_domain::{AgentRecord, AgentType, BusMessage, LogId, StoreError};
use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{RedisError, Script, cmd};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{debug, info};

use crate::connection::{CommandError, Redis, Shared};

/// How often the store is read again to get a picture between two entries.
const TRIES: u32 = 3;

/// Puts records on the board unless newer ones are there. `ARGV[1]` is `anew` where what is there
/// does not count.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for i = 2, #ARGV, 3 do
           local there = redis.call('HGET', KEYS[1], ARGV[i])
           local at = tonumber(there and string.match(there, '^%d+') or '0')
           if ARGV[1] == 'anew' or at <= tonumber(ARGV[i + 1]) then
             redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
           end
         end",
    )
});

/// A record, and the position in the system log it holds for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marked {
    pub(crate) seq: u64,
    pub(crate) record: AgentRecord,
}

impl Marked {
    fn read(text: &str) -> Option<Self> {
        let (seq, record) = text.split_once(' ')?;
        Some(Self { seq: seq.parse().ok()?, record: serde_json::from_str(record).ok()? })
    }
}

/// What this replica knows of the board without asking.
#[derive(Debug)]
pub(crate) struct StatusCache {
    known: Mutex<BTreeMap<AgentType, Marked>>,
    /// How often there was a reason to distrust the copy in Redis.
    reasons: AtomicU64,
    /// How many of them there were when the copy was last compared with the store.
    dealt_with: AtomicU64,
    stale: Notify,
}

impl Default for StatusCache {
    /// A board that was not compared yet.
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            reasons: AtomicU64::new(1),
            dealt_with: AtomicU64::new(0),
            stale: Notify::new(),
        }
    }
}

impl StatusCache {
    fn known(&self) -> MutexGuard<'_, BTreeMap<AgentType, Marked>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a change of status that was committed here or elsewhere; `None` for other news.
    pub(crate) fn note(&self, news: &BusMessage) -> Option<Marked> {
        let BusMessage::Entry(entry) = news else { return None };
        if entry.log() != LogId::System {
            return None;
        }
        let marked = Marked { seq: entry.seq, record: agent_record_of(entry)? };
        self.remember(&marked);
        Some(marked)
    }

    fn remember(&self, marked: &Marked) {
        let mut known = self.known();
        let before = known.get(&marked.record.agent_type);
        if before.is_none_or(|before| before.seq <= marked.seq) {
            known.insert(marked.record.agent_type, marked.clone());
        }
    }

    /// The copy in Redis may lack something: the store is asked until it was compared again.
    pub(crate) fn distrust(&self) {
        self.reasons.fetch_add(1, Ordering::AcqRel);
        self.stale.notify_one();
    }

    /// Takes in what the store said, and answers what is to stand on the board: that, or what is
    /// newer. With `foreign`, what was known `before` the store was asked is of another database;
    /// what was noted since then is not.
    fn take_in(
        &self,
        records: &[Marked],
        before: &BTreeMap<AgentType, Marked>,
        foreign: bool,
    ) -> Vec<Marked> {
        if foreign {
            self.known().retain(|agent, marked| before.get(agent) != Some(marked));
        }
        records.iter().for_each(|one| self.remember(one));
        self.known().values().cloned().collect()
    }

    fn is_trusted(&self) -> bool {
        self.dealt_with.load(Ordering::Acquire) == self.reasons.load(Ordering::Acquire)
    }

    /// The newer of what is in Redis and what is known here.
    fn newest(&self, mut copy: HashMap<AgentType, Marked>) -> Option<Vec<AgentRecord>> {
        let known = self.known();
        let newest = |agent: &AgentType| {
            let there = copy.remove(agent)?;
            let here = known.get(agent).filter(|here| here.seq >= there.seq);
            Some(here.map_or(there.record, |here| here.record.clone()))
        };
        AgentType::ALL.iter().map(newest).collect()
    }
}

/// Writes records to the copy in Redis.
pub(crate) async fn write_board(
    connection: &mut impl ConnectionLike,
    shared: &Shared,
    records: &[Marked],
    anew: bool,
) -> Result<(), RedisError> {
    if records.is_empty() {
        return Ok(());
    }
    let mut write = WRITE.key(&shared.names.agents);
    write.arg(if anew { "anew" } else { "on" });
    for one in records {
        let json = serde_json::to_string(&one.record).expect("a record is plain JSON");
        write.arg(one.record.agent_type.as_str()).arg(one.seq).arg(json);
    }
    write.invoke_async(connection).await
}

/// The status board of the agent types: from Redis where it is there and whole, else from the
/// store. What an agent did before always comes from the store.
///
/// Another replica's change is seen here when its news have arrived, usually within milliseconds,
/// and after [`crate::RedisSettings::refresh_interval`] at the latest.
pub struct RedisAgentStatus {
    redis: Redis,
    truth: Arc<Truth>,
    keeping: JoinHandle<()>,
}

/// The store behind the board.
struct Truth {
    agents: Arc<dyn AgentStatus>,
    audit: Arc<dyn AuditLog>,
}

impl std::fmt::Debug for RedisAgentStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisAgentStatus").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl Drop for RedisAgentStatus {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl RedisAgentStatus {
    /// The board before this store. The positions of its records come from the store's log. Must be
    /// called inside a tokio runtime, which keeps the board up.
    ///
    /// The bus on the same Redis MUST be the one that status changes are told to.
    #[must_use]
    pub fn new(redis: &Redis, agents: Arc<dyn AgentStatus>, audit: Arc<dyn AuditLog>) -> Self {
        let truth = Arc::new(Truth { agents, audit });
        let keeping = keep(Arc::clone(redis.shared()), Arc::clone(&truth));
        Self { redis: redis.clone(), truth, keeping: tokio::spawn(keeping) }
    }

    /// The board as it is in Redis, if that can be relied on.
    async fn status_cache(&self) -> Option<Vec<AgentRecord>> {
        let shared = self.redis.shared();
        if !shared.status_cache.is_trusted() || !shared.link.is_up() {
            return None;
        }
        match tokio::time::timeout(shared.settings.patience, read(shared)).await {
            Ok(Ok(copy)) => {
                let status_cache = shared.status_cache.newest(copy);
                if status_cache.is_none() {
                    shared.status_cache.distrust();
                }
                status_cache
            }
            Ok(Err(error)) => {
                debug!(%error, "The status board cannot be read in Redis");
                match error {
                    CommandError::Refused(_) => shared.status_cache.distrust(),
                    CommandError::Lost(_) => shared.link.suspect(),
                }
                None
            }
            Err(_) => {
                shared.link.suspect();
                None
            }
        }
    }
}

#[async_trait]
impl AgentStatus for RedisAgentStatus {
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError> {
        match self.status_cache().await {
            Some(status_cache) => Ok(status_cache),
            None => self.truth.agents.statuses().await,
        }
    }

    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError> {
        let status_cache = self.status_cache().await.unwrap_or_default();
        match status_cache.into_iter().find(|record| record.agent_type == agent) {
            Some(record) => Ok(record),
            None => self.truth.agents.status_of(agent).await,
        }
    }

    async fn history(&self, agent: AgentType, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        self.truth.agents.history(agent, limit).await
    }
}

/// What is in Redis, as far as it can be read here.
async fn read(shared: &Shared) -> Result<HashMap<AgentType, Marked>, CommandError> {
    let connection = shared.pool.get().await;
    let mut connection = connection.map_err(|error| CommandError::Lost(error.to_string()))?;
    let all: HashMap<String, String> =
        cmd("HGETALL").arg(&shared.names.agents).query_async(&mut connection).await?;
    let readable = all.iter().filter_map(|(agent, text)| {
        let (agent, marked) = (agent.parse().ok()?, Marked::read(text)?);
        (marked.record.agent_type == agent).then_some((agent, marked))
    });
    Ok(readable.collect())
}

/// Compares the copy with the store when somebody asks for it and every few seconds, for ever.
async fn keep(shared: Arc<Shared>, truth: Arc<Truth>) {
    loop {
        drop(shared.link.up().await);
        let reasons = shared.status_cache.reasons.load(Ordering::Acquire);
        let refreshed = tokio::time::timeout(shared.settings.timeout, refresh(&shared, &truth));
        let refreshed = refreshed
            .await
            .unwrap_or_else(|_| Err(CommandError::Lost("no answer in time".to_owned())));
        shared.refusals.note("the status board", &refreshed, &shared.settings.url);
        match refreshed {
            Ok(()) => shared.status_cache.dealt_with.store(reasons, Ordering::Release),
            Err(error) => {
                debug!(%error, "The status board in Redis cannot be compared with the store");
                shared.status_cache.distrust();
                // Not at once: it may be a store that is busy enough.
                tokio::time::sleep(shared.settings.ping_interval).await;
            }
        }
        tokio::select! {
            () = shared.status_cache.stale.notified() => {}
            () = tokio::time::sleep(shared.settings.refresh_interval) => {}
        }
    }
}

async fn refresh(shared: &Shared, truth: &Truth) -> Result<(), CommandError> {
    let lost = |error: &dyn std::error::Error| CommandError::Lost(error.to_string());
    let copy = read(shared).await?;
    let known = shared.status_cache.known().clone();
    let (seq, records) = truth.picture().await.map_err(|error| lost(&error))?;
    // Every position was read in the log before it was put down, so none can be ahead of it: that
    // is the board of another database, or of this one before it was restored from a backup.
    let ahead = copy.values().chain(known.values()).any(|marked| marked.seq > seq.first);
    if ahead {
        info!("The status board in Redis is not of this database; it is written anew");
    }
    let marked = |record| Marked { seq: seq.label, record };
    let records: Vec<_> = records.into_iter().map(marked).collect();
    let newest = shared.status_cache.take_in(&records, &known, ahead);
    let mut connection = shared.pool.get().await.map_err(|error| lost(&error))?;
    Ok(write_board(&mut connection, shared, &newest, ahead).await?)
}

/// Where the system log was when the store was read.
struct Read {
    /// When the reading began.
    first: u64,
    /// What the records are marked with.
    label: u64,
}

impl Truth {
    /// All records, and a position that they hold for. Nothing was logged while they were read, if
    /// that can be had; else they may be a little newer than their position, never older.
    async fn picture(&self) -> Result<(Read, Vec<AgentRecord>), StoreError> {
        let first = self.head().await?;
        let mut before = first;
        for tries in 1.. {
            let records = self.agents.statuses().await?;
            let after = self.head().await?;
            if after == before || tries == TRIES {
                return Ok((Read { first, label: before }, records));
            }
            before = after;
        }
        unreachable!("the last try returns")
    }

    async fn head(&self) -> Result<u64, StoreError> {
        Ok(self.audit.head(LogId::System).await?.map_or(0, |head| head.seq))
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::AgentStatusKind;

    use super::*;

    fn marked(seq: u64, status: AgentStatusKind) -> Marked {
        Marked { seq, record: AgentRecord { status, ..AgentRecord::idle(AgentType::Coder) } }
    }

    fn whole(coder: Marked) -> HashMap<AgentType, Marked> {
        let idle =
            |agent: &AgentType| (*agent, Marked { seq: 0, record: AgentRecord::idle(*agent) });
        let mut all: HashMap<_, _> = AgentType::ALL.iter().map(idle).collect();
        all.insert(AgentType::Coder, coder);
        all
    }

    fn coder(status_cache: &[AgentRecord]) -> AgentStatusKind {
        status_cache.iter().find(|record| record.agent_type == AgentType::Coder).unwrap().status
    }

    #[test]
    fn a_replica_never_answers_with_less_than_it_knows() {
        let status_cache = StatusCache::default();
        status_cache.remember(&marked(5, AgentStatusKind::Working));
        status_cache.remember(&marked(4, AgentStatusKind::Error));
        let older = status_cache.newest(whole(marked(3, AgentStatusKind::Idle))).unwrap();
        assert_eq!(coder(&older), AgentStatusKind::Working);
        let newer = status_cache.newest(whole(marked(6, AgentStatusKind::Idle))).unwrap();
        assert_eq!(coder(&newer), AgentStatusKind::Idle);
        assert_eq!(newer.iter().map(|r| r.agent_type).collect::<Vec<_>>(), AgentType::ALL);
    }

    #[test]
    fn a_board_that_lacks_an_agent_is_none() {
        let mut copy = whole(marked(3, AgentStatusKind::Idle));
        copy.remove(&AgentType::Tester);
        assert!(StatusCache::default().newest(copy).is_none());
    }

    #[test]
    fn what_was_committed_while_a_foreign_board_was_found_out_is_kept() {
        let status_cache = StatusCache::default();
        let of = |agent_type, seq| Marked { seq, record: AgentRecord::idle(agent_type) };
        status_cache.remember(&marked(900, AgentStatusKind::Error));
        status_cache.remember(&of(AgentType::Tester, 900));
        let before = status_cache.known().clone();
        let committed = of(AgentType::Analyst, 12);
        status_cache.remember(&committed);
        let picture = [AgentType::Analyst, AgentType::Coder, AgentType::Tester];
        let picture = picture.map(|agent| of(agent, 10));
        let written = status_cache.take_in(&picture, &before, true);
        let seqs: Vec<_> = written.iter().map(|one| (one.record.agent_type, one.seq)).collect();
        assert!(seqs.contains(&(AgentType::Analyst, 12)), "{seqs:?}");
        assert!(seqs.contains(&(AgentType::Coder, 10)), "{seqs:?}");
        assert!(seqs.contains(&(AgentType::Tester, 10)), "{seqs:?}");
        assert_eq!(written, status_cache.known().values().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn what_stands_on_the_board_comes_back() {
        let marked = marked(7, AgentStatusKind::WaitingForHitl);
        let text = format!("7 {}", serde_json::to_string(&marked.record).unwrap());
        assert_eq!(Marked::read(&text), Some(marked));
        for bad in ["", "7", "x {}", "7 {}", "7 {\"agent_type\":\"typist\"}"] {
            assert_eq!(Marked::read(bad), None, "{bad}");
        }
    }
}
