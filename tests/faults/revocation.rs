//! Revoked keys on three servers under load: refused within a second everywhere, with Redis, without
//! it, and while it is gone. Without the database no key is accepted after a while, and never one that
//! was revoked.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Clients, Cluster};
use botarmy_tests::dice::Dice;
use botarmy_tests::pipeline::{Call, Pipeline};
use botarmy_tests::prove::count;
use botarmy_tests::server::{TIMEOUT, TestServer};
use botarmy_tests::services::{self, PostgresServer, RedisServer};
use futures_util::StreamExt;
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Revocations in every test run, and in the long form.
const REVOCATIONS: (u32, u32) = (5, 200);
/// Time within which a revocation has taken effect on every server.
const AT_MOST: Duration = Duration::from_secs(1);
/// Time for which a server accepts keys without knowing whether they are still valid.
const UNCONFIRMED: Duration = Duration::from_secs(5);
/// Margin of a busy machine for what is to happen after that time.
const MARGIN: Duration = Duration::from_millis(1500);
const ME: &str = "/api/v1/access/me";
const LEASES: &str = "/api/v1/worker/leases";

/// A key and its id.
#[derive(Clone)]
struct Key {
    id: String,
    text: String,
}

/// Creates a program that reads and works, with a key.
async fn key(server: &TestServer, name: &str) -> Key {
    let grants = json!([{"role": "viewer", "on": "all"}, {"role": "worker", "on": "all"}]);
    let body = json!({"name": name, "kind": "service", "grants": grants});
    let (status, made) = server.post("/api/v1/access/principals", body).await;
    assert_eq!(status, 201, "{made}");
    let body = json!({"principal_id": made["id"], "name": "a key"});
    let (status, key) = server.post("/api/v1/access/keys", body).await;
    assert_eq!(status, 201, "{key}");
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    Key { id: text("id"), text: text("key") }
}

async fn revoke(server: &TestServer, key: &Key) {
    let (status, answer) = server.delete(&format!("/api/v1/access/keys/{}", key.id)).await;
    assert_eq!(status, 200, "{answer}");
}

/// Returns the status that a key gets.
async fn status_of(pipeline: &mut Pipeline, key: &Key) -> u16 {
    pipeline.send(&Call::with_key("GET", ME, &key.text, None)).await.status
}

/// Waits until a server accepts a key that another has created.
async fn is_known(base: &str, key: &Key) {
    let (mut pipeline, began) = (Pipeline::to(base), Instant::now());
    while status_of(&mut pipeline, key).await != 200 {
        assert!(began.elapsed() < TIMEOUT, "the key is not known");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks until a server refuses a key; returns the end of the last request that it accepted.
async fn refused(base: &str, key: &Key, since: Instant) -> Duration {
    let (mut pipeline, mut accepted) = (Pipeline::to(base), Duration::ZERO);
    loop {
        match status_of(&mut pipeline, key).await {
            200 => accepted = since.elapsed(),
            401 => return accepted,
            other => panic!("{other}"),
        }
        assert!(since.elapsed() < TIMEOUT, "a revoked key is still accepted");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Opens a live connection that waits for its end; returns the close code and when it came.
async fn socket(base: &str, key: &Key) -> tokio::task::JoinHandle<(Option<u16>, Instant)> {
    let url = format!("{}/ws?project_id=all", base.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    let bearer = format!("Bearer {}", key.text).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let mut socket = connect_async(request).await.unwrap().0;
    tokio::spawn(async move {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => {
                    return (frame.map(|frame| u16::from(frame.code)), Instant::now());
                }
                Some(Ok(_)) => {}
                _ => return (None, Instant::now()),
            }
        }
    })
}

/// Begins to wait for a task that does not come; returns the status and when it came.
fn poll(base: &str, key: &Key) -> tokio::task::JoinHandle<(u16, Instant)> {
    let body = json!({"worker_id": "w", "agents": ["deployer"], "max": 1, "wait_s": 30});
    let call = Call::with_key("POST", LEASES, &key.text, Some(&body));
    let mut pipeline = Pipeline::to(base);
    tokio::spawn(async move { (pipeline.send(&call).await.status, Instant::now()) })
}

/// Slowest of several revocations, by what they end.
#[derive(Debug, Default)]
struct Slowest {
    requests: Duration,
    sockets: Duration,
    polls: Duration,
}

/// Three servers with clients that write to all of them.
struct Loaded {
    servers: Vec<TestServer>,
    clients: Clients,
    dice: Dice,
    names: u32,
}

impl Loaded {
    async fn on(cluster: &Cluster) -> Self {
        let mut dice = Dice::new();
        let servers =
            tokio::join!(cluster.replica("all"), cluster.replica("all"), cluster.replica("all"));
        let servers = vec![servers.0, servers.1, servers.2];
        let bases: Vec<_> = servers.iter().map(|server| server.base.clone()).collect();
        let clients = Clients::start(4, &bases, &mut dice);
        Self { servers, clients, dice, names: 0 }
    }

    /// Revokes keys on one server after the other; measures until all servers refuse each, and until
    /// all that was open with it has ended.
    async fn revoke(&mut self, rounds: u32) -> Slowest {
        let mut slowest = Slowest::default();
        for _ in 0..rounds {
            self.names += 1;
            let (by, of) = (self.dice.below(3) as usize, self.dice.below(3) as usize);
            let key = key(&self.servers[of], &format!("revoked {}", self.names)).await;
            let bases: Vec<_> = self.servers.iter().map(|server| server.base.clone()).collect();
            join_all(bases.iter().map(|base| is_known(base, &key))).await;
            let sockets = join_all(bases.iter().map(|base| socket(base, &key))).await;
            let polls: Vec<_> = bases.iter().map(|base| poll(base, &key)).collect();
            // At any phase of the intervals at which the servers compare what they know.
            tokio::time::sleep(Duration::from_millis(150 + self.dice.below(600))).await;
            assert!(polls.iter().all(|poll| !poll.is_finished()), "there is nothing to do");

            revoke(&self.servers[by], &key).await;
            let since = Instant::now();
            let requests = join_all(bases.iter().map(|base| refused(base, &key, since))).await;
            slowest.requests = slowest.requests.max(requests.into_iter().max().unwrap());
            for socket in sockets {
                let ended = tokio::time::timeout(TIMEOUT, socket).await.expect("it stays open");
                let (code, at) = ended.unwrap();
                assert_eq!(code, Some(4401));
                slowest.sockets = slowest.sockets.max(at - since);
            }
            for poll in polls {
                let ended = tokio::time::timeout(TIMEOUT, poll).await.expect("it goes on waiting");
                let (status, at) = ended.unwrap();
                assert_eq!(status, 401, "a poll of a revoked key");
                slowest.polls = slowest.polls.max(at - since);
            }
        }
        slowest
    }

    /// Checks the slowest revocation, and that there was a load.
    async fn end(self, what: &str, rounds: u32, slowest: &Slowest) {
        let acknowledged = self.clients.acknowledged();
        println!(
            "{rounds} revocations on three servers, {what}: {slowest:?}, beside {acknowledged} \
             acknowledged writes"
        );
        assert!(acknowledged > rounds as usize, "there was no load");
        for time in [slowest.requests, slowest.sockets, slowest.polls] {
            assert!(time <= AT_MOST, "{slowest:?}");
        }
        self.clients.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_loaded_servers_refuse_a_revoked_key_within_a_second_without_redis() {
    let Some(database) = services::database().await else { return };
    let mut loaded = Loaded::on(&Cluster::on(&database.url(), None)).await;
    let rounds = count(REVOCATIONS.0, REVOCATIONS.1);
    let slowest = loaded.revoke(rounds).await;
    loaded.end("without Redis", rounds, &slowest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_loaded_servers_refuse_a_revoked_key_within_a_second_with_redis() {
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    let redis = (redis.url.as_str(), redis.prefix.as_str());
    let mut loaded = Loaded::on(&Cluster::on(&database.url(), Some(redis))).await;
    let rounds = count(REVOCATIONS.0, REVOCATIONS.1);
    let slowest = loaded.revoke(rounds).await;
    loaded.end("with Redis", rounds, &slowest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_or_dies_delays_no_revocation_beyond_a_second() {
    let Some(database) = services::database().await else { return };
    let Some(mut redis) = RedisServer::start().await else { return };
    let cluster = Cluster::on(&database.url(), Some((&redis.url(), "revocation:")));
    let mut loaded = Loaded::on(&cluster).await;
    // A third with Redis, a third while it hangs, and a third without it.
    let rounds = count(REVOCATIONS.0, REVOCATIONS.1);
    let mut slowest = loaded.revoke(rounds.div_ceil(3)).await;
    for kills in [false, true] {
        if kills {
            redis.resume();
            redis.kill();
        } else {
            redis.pause();
        }
        let more = loaded.revoke(rounds.div_ceil(3)).await;
        slowest.requests = slowest.requests.max(more.requests);
        slowest.sockets = slowest.sockets.max(more.sockets);
        slowest.polls = slowest.polls.max(more.polls);
    }
    loaded.end("Redis gone in the middle", rounds, &slowest).await;
}

/// Watches a server for a time; returns the ends of the last acceptance and of each change of status.
async fn watch(base: String, key: Key, time: Duration) -> Vec<(Duration, u16)> {
    let (began, mut pipeline, mut seen) = (Instant::now(), Pipeline::to(&base), Vec::new());
    while began.elapsed() < time {
        let status = status_of(&mut pipeline, &key).await;
        seen.push((began.elapsed(), status));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

fn last(seen: &[(Duration, u16)], status: u16) -> Option<Duration> {
    seen.iter().rev().find(|one| one.1 == status).map(|one| one.0)
}

fn first(seen: &[(Duration, u16)], status: u16) -> Option<Duration> {
    seen.iter().find(|one| one.1 == status).map(|one| one.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_no_key_is_accepted_for_long_and_a_revoked_one_never_again() {
    let Some((mut postgres, url)) = PostgresServer::with_database(&[]).await else { return };
    let cluster = Cluster::on(&url, None);
    let servers = [cluster.replica("all").await, cluster.replica("all").await];
    for round in 0..count(1, 10) {
        let valid = key(&servers[0], &format!("valid {round}")).await;
        let revoked = key(&servers[0], &format!("revoked {round}")).await;
        for server in &servers {
            is_known(&server.base, &valid).await;
            is_known(&server.base, &revoked).await;
        }
        // The other server may not know of it when the database goes.
        revoke(&servers[0], &revoked).await;
        if round % 2 == 0 {
            postgres.pause();
        } else {
            postgres.kill();
        }
        let time = UNCONFIRMED + MARGIN + Duration::from_millis(500);
        let keys = [&valid, &revoked];
        let watching = servers.iter().flat_map(|server| {
            keys.map(|key| tokio::spawn(watch(server.base.clone(), key.clone(), time)))
        });
        let seen: Vec<_> = join_all(watching).await.into_iter().map(Result::unwrap).collect();
        for seen in [&seen[0], &seen[2]] {
            let accepted = last(seen, 200).expect("a short failure is no reason");
            assert!(accepted <= UNCONFIRMED + MARGIN, "{accepted:?}: {seen:?}");
            assert!(first(seen, 503).is_some_and(|first| first <= UNCONFIRMED + MARGIN));
            assert_eq!(last(seen, 401), None, "a valid key is never called invalid");
        }
        assert_eq!(last(&seen[1], 200), None, "the server that revoked it knows");
        let elsewhere = last(&seen[3], 200).unwrap_or_default();
        assert!(elsewhere <= UNCONFIRMED + MARGIN, "{elsewhere:?}");
        println!(
            "without the database: valid until {:?} and {:?}, revoked until {elsewhere:?}",
            last(&seen[0], 200).unwrap(),
            last(&seen[2], 200).unwrap()
        );
        // Probes need no key, and problems say when to come back.
        for server in &servers {
            assert_eq!(server.get("/livez").await.0, 200);
            let call = Call::with_key("GET", ME, &valid.text, None);
            let reply = Pipeline::to(&server.base).send(&call).await;
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert!(reply.header("retry-after").is_some(), "{}", reply.head);
        }
        // From its return on, the first answer about the revoked key that is not 503 is 401.
        let back = servers.iter().map(|server| {
            let (base, revoked) = (server.base.clone(), revoked.clone());
            tokio::spawn(async move {
                let (mut pipeline, began) = (Pipeline::to(&base), Instant::now());
                loop {
                    match status_of(&mut pipeline, &revoked).await {
                        503 => assert!(began.elapsed() < TIMEOUT, "it does not come back"),
                        other => return other,
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        });
        let back: Vec<_> = back.collect();
        if round % 2 == 0 {
            postgres.resume();
        } else {
            postgres.start_again().await;
        }
        for status in join_all(back).await {
            assert_eq!(status.unwrap(), 401, "a revoked key");
        }
        for server in &servers {
            is_known(&server.base, &valid).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_frozen_while_a_key_was_revoked_does_not_accept_it_afterwards() {
    let Some(database) = services::database().await else { return };
    let cluster = Cluster::on(&database.url(), None);
    let servers = [cluster.replica("all").await, cluster.replica("all").await];
    let revoked = key(&servers[0], "revoked").await;
    is_known(&servers[1].base, &revoked).await;
    servers[1].signal(Signal::STOP);
    revoke(&servers[0], &revoked).await;
    // What it remembers is too old to be trusted by then.
    tokio::time::sleep(UNCONFIRMED + Duration::from_millis(200)).await;
    let mut asking = Vec::new();
    for _ in 0..20 {
        let call = Call::with_key("GET", ME, &revoked.text, None);
        let mut pipeline = Pipeline::to(&servers[1].base);
        asking.push(tokio::spawn(async move { pipeline.send(&call).await.status }));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    servers[1].signal(Signal::CONT);
    for status in join_all(asking).await {
        let status = status.unwrap();
        // actix-http counts the time for the head of a request from a clock that it reads twice a second. A
        // connection that is accepted before the first tick after the pause is one that came too late.
        assert!([401, 408, 503].contains(&status), "{status}");
    }
    refused_for_good(&servers[1], &revoked).await;
}

/// Waits until a server says that a key is invalid, and not only that it does not know.
async fn refused_for_good(server: &TestServer, key: &Key) {
    let (mut pipeline, began) = (Pipeline::to(&server.base), Instant::now());
    loop {
        match status_of(&mut pipeline, key).await {
            401 => return,
            503 => assert!(began.elapsed() < TIMEOUT),
            other => panic!("{other}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
