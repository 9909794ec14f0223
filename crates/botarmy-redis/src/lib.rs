//! What several replicas share in the moment: news, wake-ups, the agent status board. Nothing in
//! Redis is the only copy of anything. Without it a replica notices later what the others do, and
//! what it answers is as right as with it.
//!
//! Start with `redis.rs`: [`Redis`] looks for the server in the background, and the adapters
//! are made from it.

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
