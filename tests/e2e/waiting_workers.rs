//! Workers that wait for a task. Many of them cost the store no more than one. To those that end
//! meanwhile nothing is leased, however they end; the next worker gets the task, through a proxy
//! that hides the end too.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use botarmy_tests::access::header_line;
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use botarmy_tests::server::{TestServer, client_builder};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const LEASES: &str = "/api/v1/worker/leases";

/// Rounds of each way to end, in a test run and in the long form.
const ROUNDS: (u32, u32) = (5, 25);

/// Time in which the server surely has a request, and has noticed that a connection has ended.
const A_MOMENT: Duration = Duration::from_millis(150);

/// Starts a server without coders of its own, where only a wake-up or a request claims anything.
async fn server() -> TestServer {
    server_with(&[]).await
}

/// The same with these settings.
async fn server_with(more: &[(&str, &str)]) -> TestServer {
    let mut variables =
        vec![("BOTARMY_AGENTS__CODER__RUNNER", "none"), ("BOTARMY_WORKER__POLL_MS", "600000")];
    variables.extend(more);
    TestServer::with(&variables).await
}

fn address(server: &TestServer) -> SocketAddr {
    server.base.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Begins a request for work on a connection of its own.
fn poll(address: SocketAddr) -> TcpStream {
    let body =
        json!({"worker_id": "gone", "agents": ["coder"], "max": 1, "wait_s": 30}).to_string();
    let head = format!(
        "POST {LEASES} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         {}Content-Length: {}\r\n\r\n",
        header_line(),
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    stream
}

/// Begins a request for work in a process of its own.
fn poll_in_a_process(server: &TestServer) -> Child {
    let body =
        json!({"worker_id": "gone", "agents": ["coder"], "max": 1, "wait_s": 30}).to_string();
    Command::new("curl")
        .args(["-sS", "--noproxy", "*", "-H", "Content-Type: application/json", "-d", &body])
        .args(["-H", header_line().trim_end()])
        .arg(format!("{}{LEASES}", server.base))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("curl is not installed, and the tests need it")
}

fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Way in which a worker ends. What it returns is kept until the round is over.
type End = fn(&TestServer) -> Box<dyn Send>;

const ENDS: [(&str, End); 5] = [
    ("a close", |server| {
        let stream = poll(address(server));
        std::thread::sleep(A_MOMENT);
        drop(stream);
        Box::new(())
    }),
    ("a reset", |server| {
        let stream = poll(address(server));
        std::thread::sleep(A_MOMENT);
        reset(stream);
        Box::new(())
    }),
    ("a half-close", |server| {
        let stream = poll(address(server));
        std::thread::sleep(A_MOMENT);
        stream.shutdown(Shutdown::Write).unwrap();
        Box::new(stream)
    }),
    ("SIGKILL", |server| killed(server, Signal::KILL)),
    ("SIGTERM", |server| killed(server, Signal::TERM)),
];

fn killed(server: &TestServer, signal: Signal) -> Box<dyn Send> {
    let mut child = poll_in_a_process(server);
    std::thread::sleep(A_MOMENT);
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait().unwrap();
    Box::new(())
}

async fn submit(server: &TestServer, project: &str) -> String {
    let body = json!({"agent_type": "coder", "instructions": "A greeting"});
    let (status, task) = server.post(&format!("/api/v1/projects/{project}/tasks"), body).await;
    assert_eq!(status, 201, "{task}");
    task["task_id"].as_str().unwrap().to_owned()
}

/// Leases a task for a live worker, which waits up to this many seconds.
async fn take(server: &TestServer, wait_s: u64) -> Value {
    let body = json!({"worker_id": "live", "agents": ["coder"], "max": 1, "wait_s": wait_s});
    let (status, answer) = server.post(LEASES, body).await;
    assert_eq!(status, 200, "no task within {wait_s} s: {answer}");
    answer["leases"][0].clone()
}

async fn complete(server: &TestServer, lease: &Value) {
    let (status, said) = server.say(lease, "complete", json!({"output": {"a": 1}})).await;
    assert_eq!((status, &said["status"]), (200, &json!("completed")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_leased_to_a_worker_that_ended_while_it_waited() {
    let server = server().await;
    for (how, end) in ENDS {
        for round in 1..=count(ROUNDS.0, ROUNDS.1) {
            let project = server.by_hand().await;
            let kept = tokio::task::block_in_place(|| end(&server));
            tokio::time::sleep(A_MOMENT).await;
            let id = submit(&server, &project).await;
            let started = Instant::now();
            let lease = take(&server, 2).await;
            assert!(started.elapsed() < Duration::from_secs(2), "{how}, round {round}");
            assert_eq!(lease["task"]["task"]["id"], json!(id));
            // The task was not even claimed for the worker that ended.
            assert_eq!(lease["fence"], json!(1), "{how}, round {round}");
            complete(&server, &lease).await;
            drop(kept);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_arrives_while_its_worker_ends_is_not_lost() {
    // A response that left just before the end looks as if it had arrived. So most of the time of
    // this test is spent waiting for the first call about a lease that nobody has.
    let server = server_with(&[
        ("BOTARMY_WORKER__FIRST_CALL_S", "1"),
        ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "20"),
    ])
    .await;
    let mut dice = Dice::new();
    for round in 1..=count(ROUNDS.0, ROUNDS.1 * 4) {
        let project = server.by_hand().await;
        let stream = poll(address(&server));
        tokio::time::sleep(A_MOMENT).await;
        let pause = Duration::from_micros(dice.below(4000));
        let is_reset = dice.below(2) == 0;
        let ending = std::thread::spawn(move || {
            std::thread::sleep(pause);
            if is_reset { reset(stream) } else { drop(stream) }
        });
        let id = submit(&server, &project).await;
        ending.join().unwrap();
        // In the worst case the response left just before the end, and no call follows it.
        let lease = take(&server, 20).await;
        assert_eq!(lease["task"]["task"]["id"], json!(id), "round {round}");
        complete(&server, &lease).await;
        let (_, task) = server.get(&format!("/api/v1/tasks/{id}")).await;
        assert_eq!(task["failures"], json!(0), "round {round}");
    }
}

/// Passes bytes on to the server and never ends a connection to it, whatever the client does.
fn proxy_that_hides_the_end(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut upstream = TcpStream::connect(server).unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut bytes) {
                    upstream.write_all(&bytes[..length]).unwrap();
                }
                // As if the client were there and silent.
                while let Ok(1..) = upstream.read(&mut bytes) {}
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_hides_the_end_the_next_worker_waits_for_seconds_only() {
    let server = server().await;
    let project = server.by_hand().await;
    let proxy = proxy_that_hides_the_end(address(&server));
    let rounds = count(ROUNDS.0, ROUNDS.1);
    for _ in 0..rounds {
        drop(poll(proxy));
    }
    tokio::time::sleep(A_MOMENT).await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..rounds {
        ids.insert(submit(&server, &project).await);
    }
    for id in &ids {
        server.until_is(&format!("/api/v1/tasks/{id}"), "/status", "working").await;
    }
    let started = Instant::now();
    for _ in 0..rounds {
        let lease = take(&server, 20).await;
        assert!(ids.remove(lease["task"]["task"]["id"].as_str().unwrap()));
        complete(&server, &lease).await;
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let (_, events) =
        server.get(&format!("/api/v1/audit/projects/{project}/events?limit=1000")).await;
    let events = events.as_array().unwrap().iter();
    let returned: Vec<_> =
        events.filter(|event| event["event_type"] == "task_lease_lapsed").collect();
    assert_eq!(returned.len(), rounds as usize, "each was given to a worker that had ended");
    for event in returned {
        assert_eq!(event["event_data"]["reason"], "its worker made no call about it");
    }
}

/// Returns how many times the thread that writes to the database has waited for something to do:
/// once for each batch of claims and decisions.
fn batches(server: &TestServer) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let read = |path: &Path, name| std::fs::read_to_string(path.join(name)).unwrap_or_default();
    let mut threads = threads.map(|thread| thread.unwrap().path());
    let writer = threads.find(|path| read(path, "comm").trim() == "sqlite-writer").unwrap();
    let status = read(&writer, "status");
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Polls again and again, each time for this many seconds, and returns when it gets a lease.
async fn poll_until_leased(
    client: reqwest::Client,
    url: String,
    wait_s: u64,
    polls: Arc<AtomicU64>,
) -> Value {
    let body = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": wait_s});
    loop {
        let response = client.post(&url).json(&body).send().await.unwrap();
        polls.fetch_add(1, Ordering::Relaxed);
        if response.status() == 200 {
            return response.json().await.unwrap();
        }
        assert_eq!(response.status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_waiting_workers_ask_the_database_no_more_often_than_one() {
    let server = server().await;
    let project = server.by_hand().await;
    let client = client_builder().pool_max_idle_per_host(2000).build().unwrap();
    let (polls, url) = (Arc::new(AtomicU64::new(0)), format!("{}{LEASES}", server.base));
    let (workers, seconds) = (u64::from(count(400, 1000)), count(3, 30));
    let mut waiting = JoinSet::new();
    for n in 0..workers {
        let (client, url, polls) = (client.clone(), url.clone(), Arc::clone(&polls));
        waiting.spawn(poll_until_leased(client, url, 2 + n % 8, polls));
    }
    // All of them wait when some have polled again.
    server.until(|_| async { polls.load(Ordering::Relaxed) > 80 }).await;
    let (begun, polled, before) = (Instant::now(), polls.load(Ordering::Relaxed), batches(&server));
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let (asked, polled) = (batches(&server) - before, polls.load(Ordering::Relaxed) - polled);
    // Five looks at the queue in a second, and some for what else happens in a server.
    let most = u64::try_from(begun.elapsed().as_millis()).unwrap() / 200 + 20;
    println!("{polled} polls in {:?}: {asked} batches", begun.elapsed());
    assert!(polled > 80, "only {polled} workers polled again");
    assert!(asked <= most, "{polled} polls took {asked} batches, not {most}");

    // A task goes to one of them, and the others go on waiting.
    let id = submit(&server, &project).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting.join_next()).await;
    let answer = answer.expect("nobody gets the task").unwrap().unwrap();
    assert_eq!(answer["leases"][0]["task"]["task"]["id"], json!(id));
    complete(&server, &answer["leases"][0]).await;
    assert!(waiting.try_join_next().is_none(), "it went to two of them");
}
