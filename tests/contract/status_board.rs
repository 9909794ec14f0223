//! Stores whose status board is shared through Redis.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::{AuditLog, Decide, EventBus, Ledger};
use botarmy_domain::{
    BusMessage, Claim, Committed, CredentialId, Error, Scope, StoreError, TaskId, Timestamp,
};
use botarmy_redis::{Redis, RedisAgentStatus, RedisEventBus};
use botarmy_tests::services;

use crate::channels::{connected, settings};
use crate::stores::{self, Stores};

pub use stores::{memory, postgres, sqlite};

/// Returns the board of a replica on a Redis.
pub async fn redis() -> Option<Stores> {
    let redis = Redis::connect(settings(&services::redis()?, 1));
    connected(&redis).await;
    Some(shared(&redis, stores::memory().await?))
}

/// Returns the board of a replica that cannot reach its Redis.
pub async fn redis_away() -> Option<Stores> {
    let url = "redis://127.0.0.1:1".parse().unwrap();
    let redis = Redis::connect(botarmy_redis::RedisSettings::new(url, "test", 1));
    Some(shared(&redis, stores::memory().await?))
}

/// Returns these stores with their board in this Redis, and a ledger that publishes commits as the
/// use cases do.
pub fn shared(redis: &Redis, stores: Stores) -> Stores {
    let agents = Arc::clone(&stores.agents);
    let audit: Arc<dyn AuditLog> = Arc::clone(&stores.audit);
    let board = RedisAgentStatus::new(redis, agents, audit);
    let ledger =
        PublishingLedger { ledger: Arc::clone(&stores.ledger), bus: RedisEventBus::new(redis) };
    stores.with(Arc::new(ledger), Arc::new(board))
}

/// A ledger that publishes each commit.
struct PublishingLedger {
    ledger: Arc<dyn Ledger>,
    bus: RedisEventBus,
}

impl PublishingLedger {
    async fn publish(&self, committed: &Committed) {
        let news = committed.entries.iter().cloned().map(BusMessage::Entry).collect();
        self.bus.publish(news).await.unwrap();
    }
}

#[async_trait]
impl Ledger for PublishingLedger {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        let committed = self.ledger.transact(scope, decide).await?;
        self.publish(&committed).await;
        Ok(committed)
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        let committed = self.ledger.claim(claim).await?;
        self.publish(&committed).await;
        Ok(committed)
    }

    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError> {
        self.ledger.extend(task, fence, until).await
    }

    async fn note_key_use(&self, key: CredentialId, at: Timestamp) -> Result<(), StoreError> {
        self.ledger.note_key_use(key, at).await
    }

    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.ledger.forget_replies(now, limit).await
    }
}
