//! The statuses of the agent types, shared by the replicas.
//!
//! The store is authoritative. Redis has a copy that every replica updates: each status when it was
//! committed, all statuses after connecting and every few seconds, so that a lost write is
//! repaired. The store is read for whatever the copy lacks.
//!
//! A record in the copy carries the position in the system log at which it was read, and only moves
//! forward. `status_cache.rs` adds the statuses that this replica knows itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use botarmy_domain::ports::{AgentStatus, AuditLog};
use botarmy_domain::{AgentRecord, AgentType, LogId, Page, PastStatus, StoreError};
use tokio::task::JoinHandle;
use tracing::{debug, info};

use crate::redis::Redis;
use crate::refusals::CommandError;
use crate::shared::Shared;
use crate::status_cache::Marked;
use crate::status_copy;

/// Number of tries to read the store without an entry in between.
const TRIES: u32 = 3;

/// Statuses of the agent types: from Redis if the copy is complete, else from the store. The history
/// always comes from the store.
///
/// A change by another replica is visible when its message arrives, usually within milliseconds, and
/// after [`crate::RedisSettings::refresh_interval`] at the latest.
pub struct RedisAgentStatus {
    redis: Redis,
    truth: Arc<Truth>,
    keeping: JoinHandle<()>,
}

/// The store behind the copy.
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
    /// Creates the statuses on top of this store. The positions of records come from the log of the
    /// store. Must be called inside a tokio runtime, which keeps the copy up to date.
    ///
    /// Status changes MUST be published on the bus of the same Redis.
    #[must_use]
    pub fn new(redis: &Redis, agents: Arc<dyn AgentStatus>, audit: Arc<dyn AuditLog>) -> Self {
        let truth = Arc::new(Truth { agents, audit });
        let keeping = keep(Arc::clone(redis.shared()), Arc::clone(&truth));
        Self { redis: redis.clone(), truth, keeping: tokio::spawn(keeping) }
    }

    /// Returns the statuses from Redis, if the copy can be relied on.
    async fn status_cache(&self) -> Option<Vec<AgentRecord>> {
        let shared = self.redis.shared();
        if !shared.status_cache.is_trusted() || !shared.link.is_up() {
            return None;
        }
        match tokio::time::timeout(shared.settings.patience, status_copy::read(shared)).await {
            Ok(Ok(copy)) => {
                let status_cache = shared.status_cache.newest(copy);
                if status_cache.is_none() {
                    shared.status_cache.distrust();
                }
                status_cache
            }
            Ok(Err(error)) => {
                debug!(%error, "The agent statuses cannot be read from Redis; reading the store");
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

    async fn history(
        &self,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, StoreError> {
        self.truth.agents.history(agent, before, limit).await
    }
}

/// Compares the copy with the store when it is distrusted and at intervals. Does not return.
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
                debug!(%error, "The agent statuses in Redis cannot be compared with the store; trying again");
                shared.status_cache.distrust();
                // Not at once, because the store may be overloaded.
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
    let copy = status_copy::read(shared).await?;
    let known = shared.status_cache.known().clone();
    let (seq, records) = truth.picture().await.map_err(|error| lost(&error))?;
    // Every position was read from the log before it was written, so none can be ahead of the log.
    // One that is belongs to another database, or to this one before a backup was restored.
    let ahead = copy.values().chain(known.values()).any(|marked| marked.seq > seq.first);
    if ahead {
        info!("The agent statuses in Redis are of another database; writing them anew");
    }
    let marked = |record| Marked { seq: seq.label, record };
    let records: Vec<_> = records.into_iter().map(marked).collect();
    let newest = shared.status_cache.take_in(&records, &known, ahead);
    let mut connection = shared.pool.get().await.map_err(|error| lost(&error))?;
    Ok(status_copy::write(&mut connection, shared, &newest, ahead).await?)
}

/// Position of the system log when the store was read.
struct Read {
    /// Position when the reading began.
    first: u64,
    /// Position that the records are marked with.
    label: u64,
}

impl Truth {
    /// Returns all records, and a position that they are valid for. If possible nothing was logged
    /// while they were read; else they may be newer than their position, but never older.
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
