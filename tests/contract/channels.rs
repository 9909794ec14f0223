//! The bus and the bell of one adapter, as two who use them see them: one speaks, the other listens.

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
use botarmy_tests::server::PATIENCE;
use botarmy_tests::services;
use serde_json::Value;

/// Who speaks, and who listens.
pub struct Channels {
    pub speaker: Side,
    pub listener: Side,
}

/// One end of the bus and of the bell.
#[derive(Clone)]
pub struct Side {
    pub bus: Arc<dyn EventBus>,
    pub wake_ups: Arc<dyn WakeUps>,
}

/// Both in one process.
pub async fn memory() -> Option<Channels> {
    let side = Side {
        bus: Arc::new(MemoryEventBus::default()),
        wake_ups: Arc::new(MemoryWakeUps::default()),
    };
    Some(Channels { speaker: side.clone(), listener: side })
}

/// Two replicas on one Redis.
pub async fn redis() -> Option<Channels> {
    let service = services::redis()?;
    let [speaker, listener] = [1, 2].map(|n| Redis::connect(settings(&service, n)));
    connected(&speaker).await;
    connected(&listener).await;
    let channels = Channels { speaker: Side::of(&speaker), listener: Side::of(&listener) };
    channels.settle().await;
    Some(channels)
}

/// One replica on a Redis, by itself.
pub async fn redis_alone() -> Option<Channels> {
    let redis = Redis::connect(settings(&services::redis()?, 1));
    connected(&redis).await;
    let channels = Channels { speaker: Side::of(&redis), listener: Side::of(&redis) };
    channels.settle().await;
    Some(channels)
}

/// No Redis where one should be: everything works inside the process.
pub async fn redis_away() -> Option<Channels> {
    let url = "redis://127.0.0.1:1".parse().unwrap();
    let redis = Redis::connect(RedisSettings::new(url, "test", 1));
    Some(Channels { speaker: Side::of(&redis), listener: Side::of(&redis) })
}

pub fn settings(service: &services::Redis, instance: u128) -> RedisSettings {
    RedisSettings::new(service.url.parse().unwrap(), &service.prefix, instance)
}

/// Returns when Redis is there.
pub async fn connected(redis: &Redis) {
    let health = RedisHealth::new(redis);
    let asking = async {
        while !matches!(health.check().await, Health::Healthy(_)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("Redis is not found");
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

    /// Lets pass what rang before.
    pub async fn hush(&self) {
        while tokio::time::timeout(QUIET, self.wake_ups.wait()).await.is_ok() {}
    }
}

/// How long nothing must be heard before it counts as silence.
pub const QUIET: Duration = Duration::from_millis(150);

impl Channels {
    /// Returns when what is said is heard, and what was said before has passed.
    async fn settle(&self) {
        let mut listener = self.listener.listen().await;
        until_heard(&self.speaker, &mut listener, u32::MAX).await;
        listener.hush().await;
        self.speaker.hush().await;
        self.listener.hush().await;
    }

    /// Nothing to look at afterwards.
    pub async fn check(&self) {}
}

/// Says it again and again until it is heard; answers what was heard before.
pub async fn until_heard(speaker: &Side, listener: &mut Listener, n: u32) -> Vec<BusMessage> {
    let (mut before, started) = (Vec::new(), std::time::Instant::now());
    loop {
        speaker.publish([progress(n)]).await;
        while let Some(news) = listener.within(Duration::from_millis(50)).await {
            if number(&news) == Some(n) {
                return before;
            }
            before.push(news);
        }
        assert!(started.elapsed() < PATIENCE, "{n} is not heard");
    }
}

/// Somebody who listens.
pub struct Listener(Box<dyn Subscription>);

impl Listener {
    pub async fn next(&mut self) -> BusMessage {
        self.within(PATIENCE).await.expect("nothing is heard")
    }

    pub async fn within(&mut self, time: Duration) -> Option<BusMessage> {
        tokio::time::timeout(time, self.0.next()).await.ok().flatten()
    }

    /// Everything until it is quiet.
    pub async fn hush(&mut self) -> Vec<BusMessage> {
        let mut received = Vec::new();
        while let Some(news) = self.within(QUIET).await {
            received.push(news);
        }
        received
    }
}

/// News with a number.
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

/// An entry with these data, as a store makes it.
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
