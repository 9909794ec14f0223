//! Wake-ups, in this process at once and in the others through Redis.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use botarmy_domain::AgentType;
use botarmy_domain::ports::WakeUps;
use tokio::sync::Notify;

use crate::connection::Redis;

/// Wakes the workers of every replica. When Redis comes back, everybody here is woken once: a ring
/// of another replica may have been lost.
#[derive(Debug, Clone)]
pub struct RedisWakeUps(Redis);

impl RedisWakeUps {
    /// The bell of this replica.
    #[must_use]
    pub fn new(redis: &Redis) -> Self {
        Self(redis.clone())
    }
}

#[async_trait]
impl WakeUps for RedisWakeUps {
    fn notify(&self, agents: &BTreeSet<AgentType>) {
        if !agents.is_empty() {
            self.0.shared().wake_ups.notify(agents);
            self.0.shared().outbox.notify(agents);
        }
    }

    async fn wait(&self) -> BTreeSet<AgentType> {
        self.0.shared().wake_ups.wait().await
    }
}

/// The rings of this process that nobody has heard yet.
#[derive(Debug, Default)]
pub(crate) struct LocalWakeUps {
    woken: Mutex<BTreeSet<AgentType>>,
    notify: Notify,
}

impl LocalWakeUps {
    pub(crate) fn notify(&self, agents: &BTreeSet<AgentType>) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).extend(agents);
        self.notify.notify_one();
    }

    async fn wait(&self) -> BTreeSet<AgentType> {
        loop {
            self.notify.notified().await;
            let woken =
                std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner));
            // Two rings that were heard together may leave a second notice behind.
            if !woken.is_empty() {
                return woken;
            }
        }
    }
}
