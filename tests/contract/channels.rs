//! The bus and the wake-ups of one adapter, seen from a sender and a receiver.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::log::Event;
use botarmy_domain::ports::{EventBus, HealthCheck, Subscription, WakeUps};
use botarmy_domain::{
    AgentType, BusMessage, Caller, Entry, EventType, Head, Health, IdGenerator, LogId,
    TaskProgress, Timestamp,
};
use botarmy_memory::{MemoryEventBus, MemoryWakeUps};
use botarmy_redis::{Redis, RedisEventBus, RedisHealth, RedisSettings, RedisWakeUps};
use botarmy_tests::server::TIMEOUT;
use botarmy_tests::services;
use serde_json::Value;

/// A sender and a receiver.
pub struct Channels {
    pub speaker: Side,
    pub listener: Side,
}

/// One end of the bus and of the wake-ups.
#[derive(Clone)]
pub struct Side {
    pub bus: Arc<dyn EventBus>,
    pub wake_ups: Arc<dyn WakeUps>,
}

/// Returns both in one process.
pub async fn memory() -> Option<Channels> {
    let side = Side {
        bus: Arc::new(MemoryEventBus::default()),
        wake_ups: Arc::new(MemoryWakeUps::default()),
    };
    Some(Channels { speaker: side.clone(), listener: side })
}

/// Returns two replicas on one Redis.
pub async fn redis() -> Option<Channels> {
    let service = services::redis()?;
    let [speaker, listener] = [1, 2].map(|n| Redis::connect(settings(&service, n)));
    connected(&speaker).await;
    connected(&listener).await;
    let channels = Channels { speaker: Side::of(&speaker), listener: Side::of(&listener) };
    channels.settle().await;
    Some(channels)
}

/// Returns a single replica on a Redis.
pub async fn redis_alone() -> Option<Channels> {
    let redis = Redis::connect(settings(&services::redis()?, 1));
    connected(&redis).await;
    let channels = Channels { speaker: Side::of(&redis), listener: Side::of(&redis) };
    channels.settle().await;
    Some(channels)
}

/// Returns a replica whose Redis cannot be reached: everything works within the process.
pub async fn redis_away() -> Option<Channels> {
    let url = "redis://127.0.0.1:1".parse().unwrap();
    let redis = Redis::connect(RedisSettings::new(url, "test", 1));
    Some(Channels { speaker: Side::of(&redis), listener: Side::of(&redis) })
}

pub fn settings(service: &services::Redis, instance: u128) -> RedisSettings {
    RedisSettings::new(service.url.parse().unwrap(), &service.prefix, instance)
}

/// Waits until Redis is connected.
pub async fn connected(redis: &Redis) {
    let health = RedisHealth::new(redis);
    let asking = async {
        while !matches!(health.check().await, Health::Healthy(_)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, asking).await.expect("Redis is not found");
}

impl Side {
    pub fn of(redis: &Redis) -> Self {
        Self {
            bus: Arc::new(RedisEventBus::new(redis)),
            wake_ups: Arc::new(RedisWakeUps::new(redis)),
        }
    }

    pub async fn publish(&self, news: impl IntoIterator<Item = BusMessage>) {
        self.bus.publish(news.into_iter().collect()).await.unwrap();
    }

    pub async fn listen(&self) -> Listener {
        Listener(self.bus.subscribe().await.unwrap())
    }

    /// Discards earlier notifications.
    pub async fn hush(&self) {
        while tokio::time::timeout(QUIET, self.wake_ups.wait()).await.is_ok() {}
    }
}

/// Duration of silence that counts as such.
pub const QUIET: Duration = Duration::from_millis(150);

impl Channels {
    /// Waits until messages arrive, and discards earlier ones.
    async fn settle(&self) {
        let mut listener = self.listener.listen().await;
        until_received(&self.speaker, &mut listener, u32::MAX).await;
        listener.hush().await;
        self.speaker.hush().await;
        self.listener.hush().await;
    }

    /// Checks nothing; channels leave nothing behind.
    pub async fn check(&self) {}
}

/// Sends a message repeatedly until it arrives; returns the messages that arrived before.
pub async fn until_received(speaker: &Side, listener: &mut Listener, n: u32) -> Vec<BusMessage> {
    let (mut before, started) = (Vec::new(), std::time::Instant::now());
    loop {
        speaker.publish([progress(n)]).await;
        while let Some(news) = listener.within(Duration::from_millis(50)).await {
            if number(&news) == Some(n) {
                return before;
            }
            before.push(news);
        }
        assert!(started.elapsed() < TIMEOUT, "{n} does not arrive");
    }
}

/// A subscriber.
pub struct Listener(Box<dyn Subscription>);

impl Listener {
    pub async fn next(&mut self) -> BusMessage {
        self.within(TIMEOUT).await.expect("no message arrives")
    }

    pub async fn within(&mut self, time: Duration) -> Option<BusMessage> {
        tokio::time::timeout(time, self.0.next()).await.ok().flatten()
    }

    /// Returns all messages until there is silence.
    pub async fn hush(&mut self) -> Vec<BusMessage> {
        let mut received = Vec::new();
        while let Some(news) = self.within(QUIET).await {
            received.push(news);
        }
        received
    }
}

/// Returns a message with a number.
pub fn progress(n: u32) -> BusMessage {
    let mut id_generator = IdGenerator::new(Timestamp::from_micros(1_000_000), n.into());
    BusMessage::Progress(Arc::new(TaskProgress {
        project_id: id_generator.project(),
        task_id: id_generator.task(),
        agent_type: AgentType::Coder,
        message: n.to_string(),
        percent: None,
        at: id_generator.now(),
    }))
}

pub fn number(news: &BusMessage) -> Option<u32> {
    match news {
        BusMessage::Progress(progress) => progress.message.parse().ok(),
        _ => None,
    }
}

/// Returns an entry with these data, as a store creates it.
pub fn entry(data: &Value) -> Arc<Entry> {
    let mut id_generator = IdGenerator::new(Timestamp::from_micros(1_000_001), 9);
    let mut head = Head::empty(LogId::Project(id_generator.project()));
    let event = Event {
        id: id_generator.event(),
        event_type: EventType::TaskCreated,
        origin: Caller::person("some\none").origin(),
        task_id: Some(id_generator.task()),
        hitl_request_id: None,
        data: data.as_object().cloned().unwrap(),
        at: id_generator.now(),
    };
    Arc::new(Entry::append(&mut head, event))
}
