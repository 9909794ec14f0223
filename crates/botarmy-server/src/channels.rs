//! Messages between the servers on one database: through Redis if `redis.url` names one. Without it
//! each server polls the database. The rest of the server uses the ports only.

use std::sync::Arc;

use botarmy_domain::ports::{AgentStatus, EventBus, HealthCheck, Ids, WakeUps};
use botarmy_memory::{MemoryEventBus, MemoryWakeUps};
#[cfg(feature = "redis")]
use botarmy_redis::{
    Redis, RedisAgentStatus, RedisEventBus, RedisHealth, RedisSettings, RedisWakeUps,
};
use tracing::{info, warn};

use crate::settings::{Role, Settings};
use crate::stores::Stores;

/// Without the feature `redis` there are no such settings: `features.rs` refuses `redis.url`.
#[cfg(not(feature = "redis"))]
#[derive(Debug)]
pub enum RedisSettings {}

/// Ports for bus messages, wake-ups and agent statuses.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its type")]
pub struct Channels {
    pub bus: Arc<dyn EventBus>,
    pub wake_ups: Arc<dyn WakeUps>,
    pub agents: Arc<dyn AgentStatus>,
    /// Health check of Redis, if it is used.
    pub health: Option<Arc<dyn HealthCheck>>,
    #[cfg(feature = "redis")]
    redis: Option<Redis>,
}

impl Channels {
    /// Starts to connect to Redis, if there are settings for [one](redis). Redis may be away.
    #[must_use]
    pub fn open(settings: &Settings, redis: Option<RedisSettings>, stores: &Stores) -> Self {
        log_consequences(settings, stores.is_shared());
        match redis {
            None => Self {
                bus: Arc::new(MemoryEventBus::default()),
                wake_ups: Arc::new(MemoryWakeUps::default()),
                agents: Arc::clone(&stores.ports.agents),
                health: None,
                #[cfg(feature = "redis")]
                redis: None,
            },
            #[cfg(feature = "redis")]
            Some(redis) => Self::through_redis(redis, stores),
            #[cfg(not(feature = "redis"))]
            Some(never) => match never {},
        }
    }

    #[cfg(feature = "redis")]
    fn through_redis(settings: RedisSettings, stores: &Stores) -> Self {
        let redis = Redis::connect(settings);
        let (agents, audit) = (Arc::clone(&stores.ports.agents), Arc::clone(&stores.ports.audit));
        Self {
            bus: Arc::new(RedisEventBus::new(&redis)),
            wake_ups: Arc::new(RedisWakeUps::new(&redis)),
            agents: Arc::new(RedisAgentStatus::new(&redis, agents, audit)),
            health: Some(Arc::new(RedisHealth::new(&redis))),
            redis: Some(redis),
        }
    }

    /// Returns `true` if messages of other servers arrive here.
    #[must_use]
    pub const fn reaches_others(&self) -> bool {
        self.health.is_some()
    }

    /// Sends the last messages and closes the connection.
    pub async fn close(&self) {
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis {
            redis.close().await;
        }
    }
}

/// Returns the settings for Redis, if `redis.url` names one.
///
/// # Errors
/// An invalid URL.
#[cfg(feature = "redis")]
pub fn redis(settings: &Settings, ids: &dyn Ids) -> anyhow::Result<Option<RedisSettings>> {
    let redis = &settings.redis;
    if redis.url.is_empty() {
        return Ok(None);
    }
    let url = redis.url.parse().map_err(|error| anyhow::anyhow!("redis.url: {error}"))?;
    Ok(Some(RedisSettings::new(url, redis.prefix.as_str(), ids.seed())))
}

/// Returns `None`: without the feature `redis` there are no settings for Redis.
///
/// # Errors
/// None.
#[cfg(not(feature = "redis"))]
pub fn redis(_: &Settings, _: &dyn Ids) -> anyhow::Result<Option<RedisSettings>> {
    Ok(None)
}

fn log_consequences(settings: &Settings, is_shared: bool) {
    let is_used = !settings.redis.url.is_empty();
    let poll_ms = settings.worker.poll_ms;
    match (is_shared, is_used) {
        (true, false) if settings.server.role != Role::All => warn!(
            "redis.url is empty, and this server does only a part of the work: tasks wait up to \
             {poll_ms} ms for a worker on another server, and live frames of what others do come \
             late. Nothing is lost. Name a Redis that all servers share to have both at once"
        ),
        (true, false) => info!(
            "redis.url is empty: what other servers on this database do is noticed by asking it, \
             every {poll_ms} ms for tasks"
        ),
        (false, true) => warn!(
            "redis.url is set, and SQLite has nobody to share it with. Whoever uses the same Redis \
             with another database needs another redis.prefix"
        ),
        _ => {}
    }
}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_read_is_refused_by_key_and_not_repeated() {
        let ids = crate::system::RandomIds;
        let mut settings = Settings::defaults();
        assert!(redis(&settings, &ids).unwrap().is_none());
        settings.redis.url = "redis://:s3cr3t@cache:6379/1".to_owned();
        let read = redis(&settings, &ids).unwrap().unwrap();
        assert!(!format!("{read:?}").contains("s3cr3t"));
        settings.redis.url = "rediss://:s3cr3t@cache#insecure".to_owned();
        let error = redis(&settings, &ids).unwrap_err().to_string();
        assert!(error.contains("redis.url") && !error.contains("s3cr3t"), "{error}");
    }
}
