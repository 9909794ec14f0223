//! The Redis adapters while Redis fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use botarmy_domain::decide::agents;
use botarmy_domain::ports::{AgentStatus, HealthCheck};
use botarmy_domain::{
    AgentRecord, AgentType, BusMessage, Health, Page, PastStatus, Scope, StoreError,
};
use botarmy_redis::{Redis, RedisAgentStatus, RedisHealth, RedisSettings};
use botarmy_tests::server::TIMEOUT;
use botarmy_tests::services::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::channels::{Listener, Side, connected, number, progress, until_received};
use crate::status_board;
use crate::stores::{self, Stores};

fn settings(server: &RedisServer, instance: u128) -> RedisSettings {
    RedisSettings::new(server.url().parse().unwrap(), "test", instance)
}

/// Returns two replicas on this Redis.
async fn replicas(server: &RedisServer) -> [Redis; 2] {
    let replicas = [1, 2].map(|n| Redis::connect(settings(server, n)));
    for redis in &replicas {
        connected(redis).await;
    }
    replicas
}

async fn until<F: Future<Output = bool>>(what: &str, ask: impl Fn() -> F) {
    let started = Instant::now();
    while !ask().await {
        assert!(started.elapsed() < TIMEOUT, "{what} takes too long");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn is_well(redis: &Redis) -> bool {
    matches!(RedisHealth::new(redis).check().await, Health::Healthy(_))
}

/// Expects a gap, and then a new message.
async fn receives_a_gap_and_continues(speaker: &Side, listener: &mut Listener, n: u32) {
    let before = until_received(speaker, listener, n).await;
    let mut gap = before.iter().any(|news| matches!(news, BusMessage::Lagged));
    while !gap {
        gap = matches!(listener.next().await, BusMessage::Lagged);
    }
}

/// Sends a raw command to Redis.
async fn say(server: &RedisServer, command: &str) -> String {
    let address = server.url().replace("redis://", "");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 64 * 1024];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// The status of a store that can be made to fail.
struct Fragile {
    agents: Arc<dyn AgentStatus>,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl AgentStatus for Fragile {
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("reading agents", "it is broken"));
        }
        self.agents.statuses().await
    }

    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError> {
        let all = self.statuses().await?;
        Ok(all.into_iter().find(|record| record.agent_type == agent).unwrap())
    }

    async fn history(
        &self,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, StoreError> {
        self.agents.history(agent, before, limit).await
    }
}

/// Returns a board on this Redis that shows whether an answer came from there: while `broken` is
/// set, the store behind it fails.
async fn fragile(redis: &Redis, stores: Stores) -> (Stores, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let agents: Arc<dyn AgentStatus> =
        Arc::new(Fragile { agents: Arc::clone(&stores.agents), broken: Arc::clone(&broken) });
    let ledger = Arc::clone(&stores.ledger);
    (status_board::shared(redis, stores.with(ledger, agents)), broken)
}

/// Waits until the board answers from Redis.
async fn is_filled(stores: &Stores, broken: &AtomicBool) {
    let asking = async || {
        broken.store(true, Ordering::SeqCst);
        let answer = stores.agents.statuses().await;
        broken.store(false, Ordering::SeqCst);
        // A store that works again fills it soon.
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer.is_ok()
    };
    until("filling the board", asking).await;
}

async fn sweep(stores: &Stores, agent: AgentType) -> AgentRecord {
    let context = stores.context();
    let now = context.now;
    let decide = move |snapshot: &_| agents::reset(&context, snapshot);
    stores.run(Scope::agent(agent), decide).await.unwrap();
    let record = stores.agents.status_of(agent).await.unwrap();
    assert_eq!(record.cleared_at, Some(now), "its author sees the change");
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_returns_empty_causes_a_gap_and_is_filled_again() {
    let Some(mut server) = RedisServer::start().await else { return };
    let [a, b] = replicas(&server).await;
    let (board, broken) = fragile(&b, stores::memory().await.unwrap()).await;
    is_filled(&board, &broken).await;
    let (speaker, listener) = (Side::of(&a), Side::of(&b));
    let (mut here, mut there) = (speaker.listen().await, listener.listen().await);
    until_received(&speaker, &mut there, 1).await;
    here.hush().await;
    there.hush().await;

    server.kill();
    speaker.publish([progress(2)]).await;
    assert_eq!(number(&here.next().await), Some(2), "it still arrives in the same process");
    until("noticing", async || !is_well(&a).await && !is_well(&b).await).await;
    speaker.publish([progress(3)]).await;
    let swept = sweep(&board, AgentType::Coder).await;
    listener.hush().await;

    server.start_again().await;
    receives_a_gap_and_continues(&speaker, &mut there, 4).await;
    let all: BTreeSet<_> = AgentType::ALL.iter().copied().collect();
    let mut woken = BTreeSet::new();
    while woken != all {
        woken.append(&mut tokio::time::timeout(TIMEOUT, listener.wake_ups.wait()).await.unwrap());
    }
    listener.hush().await;
    speaker.wake_ups.notify(&[AgentType::Tester].into());
    let rung = tokio::time::timeout(TIMEOUT, listener.wake_ups.wait()).await.unwrap();
    assert_eq!(rung, [AgentType::Tester].into());
    is_filled(&board, &broken).await;
    broken.store(true, Ordering::SeqCst);
    assert_eq!(board.agents.status_of(AgentType::Coder).await.unwrap(), swept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_redis_delays_no_caller() {
    let Some(server) = RedisServer::start().await else { return };
    let [a, b] = replicas(&server).await;
    let (board, broken) = fragile(&a, stores::memory().await.unwrap()).await;
    is_filled(&board, &broken).await;
    let (speaker, listener) = (Side::of(&a), Side::of(&b));
    let (mut here, mut there) = (speaker.listen().await, listener.listen().await);
    until_received(&speaker, &mut there, 1).await;
    here.hush().await;
    there.hush().await;

    server.pause();
    let started = Instant::now();
    for n in 0..1000 {
        speaker.publish([progress(n)]).await;
        speaker.wake_ups.notify(&[AgentType::Coder].into());
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "1,000 news took {took:?}");
    for n in 0..1000 {
        assert_eq!(number(&here.next().await), Some(n));
    }
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let started = Instant::now();
        sweep(&board, AgentType::Coder).await;
        longest = longest.max(started.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "a status took {longest:?}");
    let started = Instant::now();
    until("noticing", async || RedisHealthDown::of(&a).await && RedisHealthDown::of(&b).await)
        .await;
    assert!(started.elapsed() < Duration::from_secs(6), "noticed after {:?}", started.elapsed());

    server.resume();
    receives_a_gap_and_continues(&speaker, &mut there, 2000).await;
    until("coming back", async || is_well(&a).await && is_well(&b).await).await;
    is_filled(&board, &broken).await;
}

/// Checks that the connection was given up, not only one command.
struct RedisHealthDown;

impl RedisHealthDown {
    async fn of(redis: &Redis) -> bool {
        let health = RedisHealth::new(redis).check().await;
        matches!(health, Health::Unhealthy(why) if why.contains("cannot be reached"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_absent_at_first_is_found_when_it_comes() {
    let Some(mut server) = RedisServer::start().await else { return };
    server.stop();
    let started = Instant::now();
    let [a, b] = [1, 2].map(|n| Redis::connect(settings(&server, n)));
    let board = status_board::shared(&b, stores::memory().await.unwrap());
    assert!(started.elapsed() < Duration::from_millis(500), "starting had to wait");
    let (speaker, listener) = (Side::of(&a), Side::of(&b));
    let (mut here, mut there) = (speaker.listen().await, listener.listen().await);
    speaker.publish([progress(1)]).await;
    assert_eq!(number(&here.next().await), Some(1));
    speaker.wake_ups.notify(&[AgentType::Coder].into());
    assert_eq!(speaker.wake_ups.wait().await, [AgentType::Coder].into());
    sweep(&board, AgentType::Coder).await;
    until("noticing", async || RedisHealthDown::of(&a).await).await;

    server.start_again().await;
    receives_a_gap_and_continues(&speaker, &mut there, 2).await;
    until("finding it", async || is_well(&a).await && is_well(&b).await).await;
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_queue_holds_becomes_a_gap() {
    let Some(server) = RedisServer::start().await else { return };
    let small = RedisSettings { queue: 100, ..settings(&server, 1) };
    let (a, b) = (Redis::connect(small), Redis::connect(settings(&server, 2)));
    connected(&a).await;
    connected(&b).await;
    let (speaker, listener) = (Side::of(&a), Side::of(&b));
    let mut there = listener.listen().await;
    until_received(&speaker, &mut there, 1).await;
    there.hush().await;
    // Shorter than the time after which the connection counts as lost.
    server.pause();
    for n in 0..500 {
        speaker.publish((n * 100..n * 100 + 100).map(progress)).await;
    }
    server.resume();
    let received = there.hush().await;
    let numbers: Vec<_> = received.iter().filter_map(number).collect();
    assert!(
        received.iter().any(|news| matches!(news, BusMessage::Lagged)),
        "{} arrived",
        numbers.len()
    );
    assert!(numbers.len() < 1000 && numbers.is_sorted(), "{} arrived", numbers.len());
    receives_without_a_gap(&speaker, &mut there, 60_000).await;
}

/// Expects the next message without another gap.
async fn receives_without_a_gap(speaker: &Side, listener: &mut Listener, n: u32) {
    let before = until_received(speaker, listener, n).await;
    assert!(before.is_empty(), "{before:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_for_a_channel_becomes_a_gap() {
    let Some(server) = RedisServer::start().await else { return };
    let small = RedisSettings { max_news_bytes: 10_000, ..settings(&server, 1) };
    let (a, b) = (Redis::connect(small), Redis::connect(settings(&server, 2)));
    connected(&a).await;
    connected(&b).await;
    let mut there = Side::of(&b).listen().await;
    until_received(&Side::of(&a), &mut there, 1).await;
    there.hush().await;
    let large = crate::channels::entry(&serde_json::json!({ "text": "x".repeat(20_000) }));
    Side::of(&a).publish([BusMessage::Entry(large), progress(2)]).await;
    assert_eq!(number(&there.next().await), Some(2));
    assert!(matches!(there.next().await, BusMessage::Lagged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_message_becomes_a_gap() {
    let Some(server) = RedisServer::start().await else { return };
    let redis = Redis::connect(settings(&server, 1));
    connected(&redis).await;
    let side = Side::of(&redis);
    let mut listener = side.listen().await;
    listener.hush().await;
    side.hush().await;
    say(&server, r#"PUBLISH test:v1:0:news "someone\nE{}\nP[]\nZ\n""#).await;
    say(&server, r#"PUBLISH test:v1:0:rings "someone\ntypist coder""#).await;
    say(&server, "PUBLISH test:v1:0:rings nonsense").await;
    for _ in 0..3 {
        assert!(matches!(listener.next().await, BusMessage::Lagged));
    }
    assert_eq!(side.wake_ups.wait().await, [AgentType::Coder].into());
    say(&server, r#"PUBLISH test:v2:0:news "someone\nE{}\n""#).await;
    assert!(listener.hush().await.is_empty(), "another version is ignored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_was_lost_or_is_foreign_is_written_anew() {
    let Some(server) = RedisServer::start().await else { return };
    let quick =
        RedisSettings { refresh_interval: Duration::from_millis(100), ..settings(&server, 1) };
    let redis = Redis::connect(quick);
    connected(&redis).await;
    let (board, broken) = fragile(&redis, stores::memory().await.unwrap()).await;
    is_filled(&board, &broken).await;
    let swept = sweep(&board, AgentType::Coder).await;

    say(&server, "FLUSHALL").await;
    assert_eq!(board.agents.status_of(AgentType::Coder).await.unwrap(), swept);
    is_filled(&board, &broken).await;

    let foreign = r#"{\"agent_type\":\"coder\",\"status\":\"error\",\"active_tasks\":7}"#;
    for text in [format!("999999 {foreign}"), "nonsense".to_owned()] {
        say(&server, &format!("HSET test:v1:0:agents coder \"{text}\"")).await;
        until("healing", async || {
            board.agents.status_of(AgentType::Coder).await.unwrap() == swept
                && !say(&server, "HGET test:v1:0:agents coder").await.contains(&text[..6])
        })
        .await;
    }
    is_filled(&board, &broken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_refuses_to_publish_is_unhealthy() {
    let Some(server) = RedisServer::start().await else { return };
    say(&server, "ACL SETUSER limited on >word ~* &* +@all").await;
    let url = server.url().replace("redis://", "redis://limited:word@");
    let [limited, other] = [(1, url), (2, server.url())]
        .map(|(n, url)| Redis::connect(RedisSettings::new(url.parse().unwrap(), "test", n)));
    connected(&limited).await;
    connected(&other).await;
    let (board, broken) = fragile(&limited, stores::memory().await.unwrap()).await;
    is_filled(&board, &broken).await;
    let (speaker, mut there) = (Side::of(&limited), Side::of(&other).listen().await);
    until_received(&speaker, &mut there, 1).await;
    there.hush().await;
    for (forbid, allow, what) in [
        ("-publish", "+publish", "refuses news"),
        ("-evalsha", "+evalsha", "refuses the status board"),
    ] {
        say(&server, &format!("ACL SETUSER limited {forbid}")).await;
        speaker.publish([progress(2)]).await;
        sweep(&board, AgentType::Coder).await;
        until(what, async || {
            let health = RedisHealth::new(&limited).check().await;
            matches!(&health, Health::Unhealthy(why) if why.contains(what) && why.contains("NOPERM"))
        })
        .await;
        assert!(is_well(&other).await);
        there.hush().await;
        say(&server, &format!("ACL SETUSER limited {allow}")).await;
        until("being well again", async || is_well(&limited).await).await;
        if allow == "+publish" {
            assert!(matches!(there.next().await, BusMessage::Lagged), "lost messages are reported");
        }
        is_filled(&board, &broken).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_changed_on_one_replica_is_seen_on_another() {
    let Some(server) = RedisServer::start().await else { return };
    let [a, b] = replicas(&server).await;
    let stores = stores::memory().await.unwrap();
    let here = status_board::shared(&a, stores.clone());
    let broken = Arc::new(AtomicBool::new(false));
    let fragile = Fragile { agents: Arc::clone(&stores.agents), broken: Arc::clone(&broken) };
    let there = RedisAgentStatus::new(&b, Arc::new(fragile), Arc::clone(&stores.audit));
    until("filling the board", async || {
        broken.store(true, Ordering::SeqCst);
        let answer = there.statuses().await;
        broken.store(false, Ordering::SeqCst);
        answer.is_ok()
    })
    .await;
    broken.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        let swept = sweep(&here, AgentType::Tester).await;
        until("seeing it", async || {
            there.status_of(AgentType::Tester).await.is_ok_and(|record| record == swept)
        })
        .await;
    }
}
