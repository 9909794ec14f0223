//! Messages, wake-ups and agent statuses that replicas share. Nothing in Redis is the only copy of
//! anything: without Redis a replica reacts more slowly but stays correct.
//!
//! Start with `redis.rs`: [`Redis`] connects in the background, and the adapters are made
//! from it.

mod agent_status;
mod connection;
mod envelope;
mod event_bus;
mod health;
mod inbox;
mod link;
mod local_wake_ups;
mod names;
mod outbox;
mod receive;
mod redis;
mod refusals;
mod send;
mod settings;
mod shared;
mod status_cache;
mod status_copy;
mod wake_ups;

pub use agent_status::RedisAgentStatus;
pub use event_bus::RedisEventBus;
pub use health::RedisHealth;
pub use redis::Redis;
pub use settings::{RedisSettings, RedisUrl, UrlError};
pub use wake_ups::RedisWakeUps;
