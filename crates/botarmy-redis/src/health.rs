//! The health check of Redis.

use std::time::Instant;

use async_trait::async_trait;
use botarmy_domain::Health;
use botarmy_domain::ports::HealthCheck;
use deadpool_redis::redis::cmd;

use crate::redis::Redis;

/// Health check of Redis, which a server can work without.
#[derive(Debug, Clone)]
pub struct RedisHealth(Redis);

impl RedisHealth {
    /// Creates the health check of this replica's connection.
    #[must_use]
    pub fn new(redis: &Redis) -> Self {
        Self(redis.clone())
    }
}

/// Effect of a Redis that is away or refuses commands.
const COST: &str = "servers react more slowly to each other";

#[async_trait]
impl HealthCheck for RedisHealth {
    fn component(&self) -> &'static str {
        "redis"
    }

    fn needed(&self) -> bool {
        false
    }

    async fn check(&self) -> Health {
        let shared = self.0.shared();
        let settings = &shared.settings;
        let url = &settings.url;
        if let Some(error_text) = shared.link.error_text() {
            return Health::Unhealthy(format!("{url} cannot be reached: {error_text}; {COST}"));
        }
        if let Some((what, said)) = shared.refusals.first() {
            return Health::Unhealthy(format!("{url} refuses {what}: {said}; {COST}"));
        }
        let asking = async {
            let mut connection = shared.pool.get().await.map_err(|error| error.to_string())?;
            // Taking it from the pool has pinged once already; only this ping is measured.
            let started = Instant::now();
            let ping = cmd("PING");
            ping.exec_async(&mut connection).await.map_err(|error| error.to_string())?;
            Ok::<_, String>(started.elapsed())
        };
        match tokio::time::timeout(settings.patience, asking).await {
            Ok(Ok(_)) if shared.link.current().is_none() => {
                Health::Unhealthy(format!("not yet connected to {url}; {COST}"))
            }
            Ok(Ok(time)) => {
                let ms = time.as_secs_f64() * 1000.0;
                Health::Healthy(format!("connected to {url}, round trip {ms:.1} ms"))
            }
            Ok(Err(error)) => Health::Unhealthy(format!("{url} does not answer: {error}; {COST}")),
            Err(_) => {
                shared.link.suspect();
                let ms = settings.patience.as_millis();
                Health::Unhealthy(format!("{url} has not answered within {ms} ms; {COST}"))
            }
        }
    }
}
