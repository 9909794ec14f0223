//! A server that is asked to stop ends in time, whatever its state and that of its database.

use std::process::Stdio;
use std::time::{Duration, Instant};

use botarmy_tests::server::{TIMEOUT, TestServer, command};
use botarmy_tests::services::PostgresServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// Bit of SIGTERM in the set of caught signals in `/proc`.
const CATCHES_TERM: u64 = 1 << (15 - 1);

#[tokio::test]
async fn a_server_whose_database_hangs_ends_in_time() {
    let Some(postgres) = PostgresServer::start(&[]).await else { return };
    let url = postgres.url();
    let mut server = TestServer::with(&[
        ("BOTARMY_STORE__URL", &url),
        ("BOTARMY_HTTP__SHUTDOWN_TIMEOUT_S", "1"),
        ("BOTARMY_STORE__TIMEOUT_S", "60"),
        ("BOTARMY_AGENTS__CODER__RUNNER", "noop"),
        ("BOTARMY_AGENTS__CODER__SLOTS", "64"),
    ])
    .await;
    let project = server.by_hand().await;
    let path = format!("/api/v1/projects/{project}/tasks");
    let submit = || server.post(&path, json!({"agent_type": "coder", "instructions": "x"}));
    futures_util::future::join_all((0..100).map(|_| submit())).await;
    // Agents work on some tasks now, and requests get no answer.
    postgres.pause();
    let asking = server.raw(reqwest::Method::GET, "/api/v1/projects", None);
    drop(tokio::time::timeout(Duration::from_millis(300), asking).await);
    let asked_at = Instant::now();
    assert_eq!(server.terminate().await, Some(0), "{}", server.log.lock().unwrap());
    let took = asked_at.elapsed();
    assert!(took < Duration::from_secs(1 + 10), "{took:?}: {}", server.log.lock().unwrap());
}

#[tokio::test]
async fn a_server_that_is_stopped_while_it_starts_ends_in_order() {
    let Some(postgres) = PostgresServer::start(&[]).await else { return };
    postgres.pause();
    let dir = tempfile::tempdir().unwrap();
    let mut child = command(dir.path())
        .env("BOTARMY_STORE__URL", postgres.url())
        .args(["serve", "--port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let catches = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & CATCHES_TERM != 0
    };
    let started = Instant::now();
    while !catches() {
        assert!(started.elapsed() < TIMEOUT, "it does not listen to signals");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let asked_at = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(asked_at.elapsed() < Duration::from_secs(4), "it waits for its database");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("Stopped before anything was begun"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_the_database_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut serve = command(dir.path());
    serve
        .env("BOTARMY_REDIS__URL", "rediss://:s3cr3t@cache#insecure")
        .args(["serve", "--port", "0"]);
    let (code, said) = crate::say(&mut serve);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("redis.url") && !said.contains("s3cr3t"), "{said}");
    assert!(!dir.path().join("botarmy.db").exists(), "a database was made");
}
