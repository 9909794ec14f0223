//! Workers that end while they wait for a task: nothing is leased to them, however they end. The
//! next worker gets the task, through a proxy that hides the end too.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const LEASES: &str = "/api/v1/worker/leases";

/// Rounds of each way to end, in a test run and in the long form.
const ROUNDS: (u32, u32) = (5, 25);

/// Time in which the server surely has a request, and has noticed that a connection has ended.
const A_MOMENT: Duration = Duration::from_millis(150);

/// Starts a server without coders of its own, where only a wake-up or a request claims anything.
async fn server() -> TestServer {
    TestServer::with(&[
        ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
        ("BOTARMY_WORKER__POLL_MS", "600000"),
    ])
    .await
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
         Content-Length: {}\r\n\r\n",
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
    let server = server().await;
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
