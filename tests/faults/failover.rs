//! PostgreSQL with a standby: the primary changes, and the servers follow it.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Clients, Cluster, all_done, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::server::TestServer;
use botarmy_tests::services::{PostgresServer, connect, execute, url_of};
use serde_json::json;

/// Maximum time from the moment at which the new primary accepts writes to writes of every server.
const FOLLOWED: Duration = Duration::from_secs(10);

/// Settings with which an acknowledged commit is on the standby too.
const SYNCHRONOUS: [(&str, &str); 2] =
    [("synchronous_standby_names", "*"), ("synchronous_commit", "on")];

/// A primary, its standby, and the address that names both.
struct Pair {
    primary: PostgresServer,
    standby: PostgresServer,
    url: String,
}

impl Pair {
    async fn start(settings: &[(&str, &str)]) -> Option<Self> {
        // Without a standby, a commit would wait for one.
        let (primary, _) = PostgresServer::with_database(&[]).await?;
        let standby = primary.standby().await;
        for (name, value) in settings {
            let sql = format!("ALTER SYSTEM SET {name} = '{value}'");
            execute(&primary.url(), &sql).await.unwrap();
        }
        execute(&primary.url(), "SELECT pg_reload_conf()").await.unwrap();
        let ports = [primary.port(), standby.port()];
        let [one, two] = ports.map(|port| format!("127.0.0.1:{port}"));
        let url = format!("postgres://botarmy@{one},{two}/botarmy");
        Some(Self { primary, standby, url })
    }

    /// Promotes the standby, without a standby of its own.
    async fn promote(&mut self) {
        self.standby.promote().await;
        let alone = "ALTER SYSTEM RESET synchronous_standby_names";
        execute(&self.standby.url(), alone).await.unwrap();
        execute(&self.standby.url(), "SELECT pg_reload_conf()").await.unwrap();
        std::mem::swap(&mut self.primary, &mut self.standby);
    }
}

/// Returns the time after which every server writes again.
async fn all_write(servers: &[TestServer], since: Instant) -> Duration {
    for server in servers {
        let body = || json!({"name": "After the failover"});
        server.until(|s| async { s.post("/api/v1/projects", body()).await.0 == 201 }).await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_follow_the_primary_and_nothing_acknowledged_is_lost() {
    let Some(mut pair) = Pair::start(&SYNCHRONOUS).await else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&pair.url, None);
    let servers = [cluster.replica("all").await, cluster.replica("all").await];
    let bases: Vec<_> = servers.iter().map(|server| server.base.clone()).collect();
    let clients = Clients::start(4, &bases, &mut dice);
    // The first failover goes to the second server of the address, the second one back.
    for is_killed in [true, false] {
        tokio::time::sleep(Duration::from_millis(500 + dice.below(500))).await;
        let before = clients.acknowledged();
        if is_killed {
            pair.primary.kill();
        } else {
            pair.primary.stop();
        }
        pair.promote().await;
        // Meanwhile the old primary comes back as a standby, which accepts connections and no writes.
        let (followed, ()) = tokio::join!(
            all_write(&servers, Instant::now()),
            pair.standby.start_as_standby_of(&pair.primary)
        );
        println!("{before} acknowledged before; every server wrote {followed:?} after");
        assert!(followed < FOLLOWED, "{followed:?}");
        all_write(&servers, Instant::now()).await;
        let now = clients.acknowledged();
        servers[0].until(|_| async { clients.acknowledged() > now + 20 }).await;
        for setting in
            ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]
        {
            execute(&pair.primary.url(), setting).await.unwrap();
        }
    }
    let acks = clients.stop().await;
    all_done(&servers[0], acks.keys()).await;
    for (project, acks) in &acks {
        holds(&servers[1], project, acks).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_becomes_read_only_under_its_connections_is_left() {
    let Some(mut pair) = Pair::start(&[]).await else { return };
    // With many lanes, the first write afterwards may take one that was never connected.
    let cluster = Cluster::on(&pair.url, None).with("STORE__LANES", "16");
    let servers = [cluster.replica("all").await, cluster.replica("all").await];
    let body = json!({"name": "Before"});
    for server in &servers {
        let (status, project) = server.post("/api/v1/projects", body.clone()).await;
        assert_eq!(status, 201, "{project}");
        // Connections for reads, which no error ends.
        let path = format!("/api/v1/projects/{}", project["id"].as_str().unwrap());
        let reads = futures_util::future::join_all((0..8).map(|_| server.get(&path))).await;
        assert!(reads.iter().all(|(status, _)| *status == 200));
    }
    caught_up(&pair).await;
    // No connection ends: only the next write shows that this server accepts none any more.
    for setting in
        ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]
    {
        execute(&pair.primary.url(), setting).await.unwrap();
    }
    refuses_writes(&pair.primary).await;
    pair.promote().await;
    let followed = all_write(&servers, Instant::now()).await;
    println!("every server wrote {followed:?} after");
    assert!(followed < FOLLOWED, "{followed:?}");
    // What was written is read, from no connection to the old server.
    let (status, project) = servers[0].post("/api/v1/projects", json!({"name": "New"})).await;
    assert_eq!(status, 201, "{project}");
    let path = format!("/api/v1/projects/{}", project["id"].as_str().unwrap());
    for server in &servers {
        for _ in 0..20 {
            let (status, answer) = server.get(&path).await;
            assert_eq!(status, 200, "a server reads from the old primary: {answer}");
        }
    }
}

/// Waits until the setting is in effect. A new connection has it only after all others were told.
async fn refuses_writes(server: &PostgresServer) {
    let setting = "SELECT current_setting('default_transaction_read_only') = 'on'";
    loop {
        let connection = connect(&server.url()).await.unwrap();
        if connection.query_one(setting, &[]).await.unwrap().get(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the standby has everything.
async fn caught_up(pair: &Pair) {
    let [primary, standby] =
        [&pair.primary, &pair.standby].map(|one| url_of(&one.url(), "botarmy"));
    let (primary, standby) = (connect(&primary).await.unwrap(), connect(&standby).await.unwrap());
    let written = primary.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap();
    let has = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", written.get::<_, String>(0));
    while !standby.query_one(&*has, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_the_address_that_hangs_does_not_hide_the_primary() {
    let Some(mut pair) = Pair::start(&[]).await else { return };
    let cluster = Cluster::on(&pair.url, None).with("STORE__TIMEOUT_S", "2");
    let servers = [cluster.replica("all").await];
    assert_eq!(servers[0].post("/api/v1/projects", json!({"name": "Before"})).await.0, 201);
    caught_up(&pair).await;
    // It accepts connections and answers nothing.
    pair.primary.pause();
    pair.promote().await;
    let followed = all_write(&servers, Instant::now()).await;
    println!("it wrote {followed:?} after");
    assert!(followed < FOLLOWED, "{followed:?}");
    pair.standby.resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_starts_on_standbys_alone_and_the_error_says_why() {
    let Some(pair) = Pair::start(&[]).await else { return };
    let alone = url_of(&pair.standby.url(), "botarmy");
    let dir = tempfile::tempdir().unwrap();
    let output = botarmy_tests::server::command(dir.path())
        .args(["serve", "--port", "0"])
        .env("BOTARMY_STORE__URL", alone)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("accepts no writes: it is a standby"), "{said}");
}
