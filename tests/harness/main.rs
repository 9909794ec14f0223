//! Tests of the test helpers: separate databases, private servers that can be broken, and reports
//! of skipped tests.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::process::{Command, Output};
use std::time::Duration;

use botarmy_tests::services::{self, PostgresServer, RedisServer, connect, execute};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn tables(url: &str) -> i64 {
    let sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    connect(url).await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}

/// Sends a command to Redis and returns the answer in plain text.
async fn ask_redis(url: &str, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(url.strip_prefix("redis://").unwrap()).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..length]).trim().to_owned())
}

#[tokio::test]
async fn each_test_has_a_separate_database_that_is_dropped_with_it() {
    let Some(one) = services::database().await else { return };
    let Some(other) = services::database().await else { return };
    let Some(empty) = services::empty_database().await else { return };
    assert_eq!(tables(&empty.url()).await, 0);
    let migrated = tables(&one.url()).await;
    assert!(migrated > 0, "the template was migrated");
    execute(&one.url(), "CREATE TABLE mine ()").await.unwrap();
    assert_eq!(tables(&one.url()).await, migrated + 1);
    assert_eq!(tables(&other.url()).await, migrated);
    let url = one.url();
    let _still_connected = connect(&url).await.unwrap();
    drop(one);
    assert!(connect(&url).await.is_err());
}

#[tokio::test]
async fn many_databases_are_made_at_once() {
    let made = futures_util::future::join_all((0..8).map(|_| services::database())).await;
    let mut urls: Vec<_> = made.iter().flatten().map(services::Database::url).collect();
    let number = urls.len();
    urls.dedup();
    assert_eq!(urls.len(), number);
}

#[tokio::test]
async fn postgres_keeps_its_data_when_it_is_stopped_and_when_it_is_killed() {
    let Some(mut server) = PostgresServer::start(&[("max_connections", "17")]).await else {
        return;
    };
    let url = server.url();
    execute(&url, "CREATE TABLE kept AS SELECT current_setting('max_connections')").await.unwrap();
    server.stop();
    assert!(connect(&url).await.is_err());
    server.start_again().await;
    assert_eq!(server.url(), url);
    execute(&url, "INSERT INTO kept VALUES ('and this')").await.unwrap();
    let _still_connected = connect(&url).await.unwrap();
    server.kill();
    assert!(connect(&url).await.is_err());
    server.start_again().await;
    let rows = connect(&url).await.unwrap().query("SELECT * FROM kept", &[]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, ["17", "and this"]);
}

#[tokio::test]
async fn a_paused_postgres_answers_only_once_it_is_resumed() {
    let Some(server) = PostgresServer::start(&[]).await else { return };
    let client = connect(&server.url()).await.unwrap();
    server.pause();
    let asked = client.query_one("SELECT 1", &[]);
    tokio::pin!(asked);
    let moment = Duration::from_millis(300);
    assert!(tokio::time::timeout(moment, &mut asked).await.is_err(), "an old connection waits");
    let url = server.url();
    let fresh = connect(&url);
    assert!(tokio::time::timeout(moment, fresh).await.is_err(), "a new connection waits");
    server.resume();
    asked.await.unwrap();
}

#[tokio::test]
async fn redis_is_paused_resumed_and_restarted_empty() {
    let Some(mut server) = RedisServer::start().await else { return };
    let url = server.url();
    assert_eq!(ask_redis(&url, "SET key value").await.unwrap(), "+OK");
    server.pause();
    let asked = tokio::time::timeout(Duration::from_millis(300), ask_redis(&url, "PING")).await;
    assert!(asked.is_err(), "it answers nothing");
    server.resume();
    assert_eq!(ask_redis(&url, "EXISTS key").await.unwrap(), ":1");
    server.kill();
    ask_redis(&url, "PING").await.unwrap_err();
    server.start_again().await;
    assert_eq!(ask_redis(&url, "EXISTS key").await.unwrap(), ":0");
}

#[tokio::test]
async fn each_test_has_a_prefix_on_the_shared_redis() {
    let (Some(one), Some(other)) = (services::redis(), services::redis()) else { return };
    assert_ne!(one.prefix, other.prefix);
    assert_eq!(ask_redis(&one.url, "PING").await.unwrap(), "+PONG");
}

#[test]
fn the_tools_are_those_of_the_server() {
    for name in ["initdb", "pg_dump", "pg_restore", "psql"] {
        let Some(mut tool) = services::postgres_tool(name) else { return };
        assert!(tool.arg("--version").output().unwrap().status.success(), "{name}");
    }
}

/// Runs one of the tests above as if started by hand, with these variables only.
fn by_hand(variables: &[(&str, &str)]) -> Output {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "many_databases_are_made_at_once"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BOTARMY_")) {
        test.env_remove(name);
    }
    test.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn without_services_a_test_reports_that_it_was_skipped() {
    let output = by_hand(&[]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let line = "left out: many_databases_are_made_at_once: needs PostgreSQL; ./tests/run gets it\n";
    assert!(said.contains(line), "{said}");
}

#[test]
fn where_services_must_be_there_a_test_that_lacks_one_fails() {
    assert!(!by_hand(&[(services::SERVICES, "required")]).status.success());
}
