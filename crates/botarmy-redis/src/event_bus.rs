//! The event bus, in this process directly and between processes through Redis.

use async_trait::async_trait;
use botarmy_domain::ports::{EventBus, Subscription};
use botarmy_domain::{BusMessage, StoreError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::redis::Redis;

/// Event bus between the replicas that share a Redis. Subscribers of this process get messages
/// directly, with or without Redis. Messages that other replicas may have missed are a gap for them.
#[derive(Debug, Clone)]
pub struct RedisEventBus(Redis);

impl RedisEventBus {
    /// Creates the bus of this replica.
    #[must_use]
    pub fn new(redis: &Redis) -> Self {
        Self(redis.clone())
    }
}

#[async_trait]
impl EventBus for RedisEventBus {
    /// Never waits for Redis and never fails.
    async fn publish(&self, news: Vec<BusMessage>) -> Result<(), StoreError> {
        let shared = self.0.shared();
        let statuses = news.iter().filter_map(|one| shared.status_cache.note(one)).collect();
        for one in &news {
            // An error only means that there is no subscriber.
            drop(shared.subscribers.send(one.clone()));
        }
        shared.outbox.enqueue(news, statuses);
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let receiver = self.0.shared().subscribers.subscribe();
        Ok(Box::new(RedisSubscription { receiver, _redis: self.0.clone() }))
    }
}

struct RedisSubscription {
    receiver: broadcast::Receiver<BusMessage>,
    _redis: Redis,
}

#[async_trait]
impl Subscription for RedisSubscription {
    async fn next(&mut self) -> Option<BusMessage> {
        match self.receiver.recv().await {
            Ok(news) => Some(news),
            Err(RecvError::Lagged(_)) => Some(BusMessage::Lagged),
            Err(RecvError::Closed) => None,
        }
    }
}
