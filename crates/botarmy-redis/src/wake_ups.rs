//! Wake-ups, in this process directly and between processes through Redis.

use std::collections::BTreeSet;

use async_trait::async_trait;
use botarmy_domain::AgentType;
use botarmy_domain::ports::WakeUps;

use crate::redis::Redis;

/// Wakes the workers of every replica. After each connection to Redis the workers of this replica are
/// woken once, because a wake-up of another replica may have been lost.
#[derive(Debug, Clone)]
pub struct RedisWakeUps(Redis);

impl RedisWakeUps {
    /// Creates the wake-ups of this replica.
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
