//! The task that opens the connection to Redis, watches it, and opens it again when it is lost.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use botarmy_domain::AgentType;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, RedisError, Value, cmd,
};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::envelope;
use crate::shared::Shared;

/// Shortest and longest wait before the connection is opened again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Connects, and connects again whenever the connection is lost.
pub(crate) async fn keep_up(shared: &Arc<Shared>) {
    let (link, url) = (&shared.link, &shared.settings.url);
    let mut tries = 0;
    let mut is_reported = false;
    loop {
        let lost = Arc::new(Notify::new());
        let error_text = match open(shared, &lost).await {
            Ok(connection) => {
                info!("Connected to {url}");
                is_reported = false;
                link.set_error(None);
                link.suspected.store(false, Ordering::Release);
                shared.outbox.open();
                link.current.send_replace(Some(connection.clone()));
                report_gap(shared);
                let (answered, error_text) = watch(connection, &lost, shared).await;
                if answered {
                    tries = 0;
                }
                link.current.send_replace(None);
                shared.outbox.close();
                shared.status_cache.distrust();
                error_text
            }
            Err(error_text) => error_text,
        };
        if !is_reported {
            warn!(
                "{url} cannot be reached: {error_text}. Trying again; until then this server \
                 reacts more slowly to others, but loses nothing"
            );
            is_reported = true;
        }
        link.set_error(Some(error_text));
        tokio::time::sleep(wait(shared.settings.instance, tries)).await;
        tries += 1;
    }
}

/// Watches a connection until it is lost. Returns whether it ever answered, and the reason for the
/// loss.
async fn watch(
    mut connection: MultiplexedConnection,
    lost: &Notify,
    shared: &Shared,
) -> (bool, String) {
    let (settings, link) = (&shared.settings, &shared.link);
    let mut answered = false;
    loop {
        tokio::select! {
            () = lost.notified() => return (answered, "the connection was closed".to_owned()),
            () = link.suspect.notified() => {}
            () = tokio::time::sleep(settings.ping_interval) => {}
        }
        let ping = cmd("PING");
        let asked = tokio::time::timeout(settings.timeout, ping.exec_async(&mut connection));
        match asked.await {
            Ok(Ok(())) => {
                answered = true;
                link.suspected.store(false, Ordering::Release);
            }
            Ok(Err(error)) => return (answered, error.to_string()),
            Err(_) => {
                let limit = settings.timeout.as_millis();
                return (answered, format!("no answer within {limit} ms"));
            }
        }
    }
}

/// Returns the wait before the next try: twice as long each time, and different between replicas.
fn wait(instance: u128, tries: u32) -> Duration {
    let longest = RETRY.0.saturating_mul(1 << tries.min(10)).min(RETRY.1);
    let mut hasher = DefaultHasher::new();
    (instance, tries).hash(&mut hasher);
    let quarters = (hasher.finish() % 64) as u32;
    // Between three quarters of it and all of it, so that replicas do not connect at once.
    longest * (192 + quarters) / 256
}

/// Opens a connection and subscribes to both channels.
async fn open(shared: &Arc<Shared>, lost: &Arc<Notify>) -> Result<MultiplexedConnection, String> {
    let settings = &shared.settings;
    let opening = async {
        let client = Client::open(settings.url.connection(ProtocolVersion::RESP3))?;
        // A weak reference: the connection is kept in the state that this closure would keep alive.
        let (weak, lost) = (Arc::downgrade(shared), Arc::clone(lost));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout))
            .set_push_sender(move |push| {
                if let Some(shared) = weak.upgrade() {
                    receive(&shared, &lost, push);
                }
                Ok::<_, RedisError>(())
            });
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(&[&shared.names.news, &shared.names.rings]).await?;
        Ok(connection)
    };
    match tokio::time::timeout(settings.timeout * 2, opening).await {
        Ok(opened) => opened.map_err(|error: RedisError| error.to_string()),
        Err(_) => Err("it did not accept the connection in time".to_owned()),
    }
}

/// Handles a push message of the connection. Never waits.
fn receive(shared: &Shared, lost: &Notify, push: PushInfo) {
    match push.kind {
        PushKind::Disconnection => lost.notify_one(),
        PushKind::Message => {
            let mut data = push.data.into_iter();
            let (Some(Value::BulkString(channel)), Some(Value::BulkString(message))) =
                (data.next(), data.next())
            else {
                return;
            };
            if envelope::is_from(&message, shared.settings.instance) {
                return;
            }
            if channel == shared.names.rings.as_bytes() {
                shared.wake_ups.notify(&envelope::unpack_wake_up(&message));
            } else if shared.subscribers.receiver_count() > 0 {
                shared.inbox.put(message);
            }
        }
        _ => {}
    }
}

/// Reports a gap after connecting, because messages may have been missed before.
fn report_gap(shared: &Shared) {
    shared.inbox.miss();
    shared.wake_ups.notify(&AgentType::ALL.iter().copied().collect());
    shared.status_cache.distrust();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_and_replicas_come_at_different_times() {
        for tries in 0..20 {
            let longest = RETRY.0.saturating_mul(1 << tries.min(10)).min(RETRY.1);
            let waited = wait(1, tries);
            assert!(waited <= longest && waited >= longest * 3 / 4, "{tries}: {waited:?}");
        }
        let all: std::collections::BTreeSet<_> =
            (0..50).map(|instance| wait(instance, 5)).collect();
        assert!(all.len() > 10);
    }
}
