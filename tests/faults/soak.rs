//! An hour of mixed load at a fixed rate: memory, descriptors and threads of the server level off.
//!
//! Everything that clients do is in the load: workflows whose gates are answered, external workers
//! with leases and heartbeats, stored documents, packages, exports, lists, searches, requests that
//! are refused, subscribers that come and go or do not read, clients that send slowly or leave
//! while they wait. The readings are printed as a table; `BOTARMY_TEST_READINGS` names a file that
//! gets them while the test runs.
//!
//! Memory rises while caches fill: the page caches of SQLite (32 MiB for the connection that writes,
//! 8 MiB for each that reads), status lists (8 MiB), compiled schemas and, while a client subscribes
//! to all projects, the positions of their logs. Each has a limit, and all are full after the first
//! third: the server has one connection for short reads and one for long ones here, because a
//! connection that is hardly ever used fills its cache slowly. So what an activity leaves behind for
//! ever shows as growth from the second third to the last.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use botarmy_tests::access::header_line;
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use botarmy_tests::server::{TIMEOUT, TestServer, client_builder};
use botarmy_tests::watcher::Watcher;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const LEASES: &str = "/api/v1/worker/leases";
/// Length of the load in seconds, in a test run and in the long form.
const SECONDS: (u32, u32) = (6, 3600);
/// Time between the beginnings of two activities.
const PAUSE: Duration = Duration::from_millis(125);
/// Number of external workers.
const WORKERS: usize = 4;
/// Agent type that external workers serve; the server works for all others.
const EXTERNAL: &str = "orchestrator";
/// Most memory by which the last third of the hour may exceed the second: what the allocator has
/// not returned differs by so much from one moment to another.
const MEMORY_SLACK: u64 = 4 << 20;
/// Number of packages that the server keeps, each in an open file.
const PACKAGES: u64 = 64;
/// Most memory of the server under this load: the limits of its caches, 56 MiB, and what it needs
/// beside them.
const MAX_MEMORY: u64 = 192 << 20;

/// The state of a process at one time, as Linux reports it (proc(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Reading {
    seconds: u64,
    /// Resident memory in bytes, and the part of it that is no file.
    resident: u64,
    anonymous: u64,
    threads: u64,
    files: u64,
    sockets: u64,
    /// Processor time in hundredths of a second.
    ticks: u64,
    /// Size of the database with its write-ahead log, in bytes.
    stored: u64,
    /// Activities that have begun, and those that go on.
    begun: u64,
    running: u64,
    /// Tasks that run and that wait, as the server reports them.
    tasks: (u64, u64),
}

impl Reading {
    fn of(pid: u32, data_dir: &Path) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // After the name, which may have spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let (mut files, mut sockets) = (0, 0);
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            // It may have been closed meanwhile.
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            if target.to_string_lossy().starts_with("socket:") { sockets += 1 } else { files += 1 }
        }
        let size = |name: &str| std::fs::metadata(data_dir.join(name)).map_or(0, |file| file.len());
        Self {
            resident: number("VmRSS:") * 1024,
            anonymous: number("RssAnon:") * 1024,
            threads: number("Threads:"),
            files,
            sockets,
            ticks: fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap(),
            stored: size("botarmy.db") + size("botarmy.db-wal"),
            ..Self::default()
        }
    }

    const HEAD: &str = "seconds\trss_kb\tanon_kb\tthreads\tfiles\tsockets\tcpu_ticks\tstored_kb\
                        \tbegun\trunning\ttasks_running\ttasks_waiting";

    fn line(&self) -> String {
        let kib = |bytes: u64| bytes / 1024;
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            self.seconds,
            kib(self.resident),
            kib(self.anonymous),
            self.threads,
            self.files,
            self.sockets,
            self.ticks,
            kib(self.stored),
            self.begun,
            self.running,
            self.tasks.0,
            self.tasks.1
        )
    }
}

fn median(readings: &[Reading], of: impl Fn(&Reading) -> u64) -> u64 {
    let mut values: Vec<_> = readings.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Returns what did not level off: a quantity whose median in the last third of the readings
/// exceeds that in the second third by more than it may.
fn still_rising(readings: &[Reading]) -> Vec<String> {
    let third = readings.len() / 3;
    let (second, last) = (&readings[third..2 * third], &readings[2 * third..]);
    let mut rising = Vec::new();
    let mut compare = |name: &str, of: fn(&Reading) -> u64, slack: u64| {
        let (before, after) = (median(second, of), median(last, of));
        if after > before + slack {
            rising.push(format!("{name}: {before}, then {after}"));
        }
    };
    compare("memory", |reading| reading.resident, MEMORY_SLACK);
    compare("threads", |reading| reading.threads, 2);
    compare("open files", |reading| reading.files, 2);
    compare("open sockets", |reading| reading.sockets, 8);
    rising
}

#[test]
fn what_grows_with_every_activity_is_found_and_what_fills_up_first_is_not() {
    let readings = |resident: fn(u64) -> u64| -> Vec<Reading> {
        let of = |seconds| Reading { seconds, resident: resident(seconds), ..Reading::default() };
        (0..3600).step_by(5).map(of).collect()
    };
    // A kilobyte for each of eight activities a second.
    let leak = readings(|seconds| (100 << 20) + seconds * 8 * 1024);
    assert_eq!(still_rising(&leak).len(), 1, "{:?}", still_rising(&leak));
    // A cache that is full after a quarter of an hour, and the noise of an allocator.
    let cache =
        readings(|seconds| (100 << 20) + seconds.min(900) * 50_000 + (seconds * 7919 % 3_000_000));
    assert_eq!(still_rising(&cache), [""; 0]);
    let mut sockets = readings(|_| 0);
    sockets.iter_mut().for_each(|reading| reading.sockets = reading.seconds / 60);
    assert_eq!(still_rising(&sockets).len(), 1);
}

/// Clients of one server.
struct Load {
    base: String,
    client: reqwest::Client,
    /// Projects that were created last.
    projects: Mutex<Vec<String>>,
    stop: AtomicBool,
    /// How long clients stay that only wait.
    stay: Duration,
    kinds: [AtomicU64; KINDS.len()],
}

/// An activity, and how often it comes among others.
type Kind = (&'static str, u64);
const KINDS: [Kind; 9] = [
    ("workflow", 2),
    ("task", 5),
    ("documents", 5),
    ("subscriber", 5),
    ("reader", 5),
    ("refused", 6),
    ("slow", 2),
    ("left", 2),
    ("export", 2),
];

impl Load {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends a request; returns status and body.
    async fn send(&self, method: Method, path: &str, body: Option<String>) -> (u16, Vec<u8>) {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.timeout(TIMEOUT).send().await;
        let response = response.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        (status, body.to_vec())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.send(Method::POST, path, Some(body.to_string())).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn create(&self, path: &str, body: &Value) -> Value {
        let (status, made) = self.post(path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {made}");
        made
    }

    async fn project(&self, body: &Value) -> String {
        let made = self.create("/api/v1/projects", body).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let mut projects = self.projects.lock().unwrap();
        projects.push(id.clone());
        if projects.len() > 64 {
            projects.remove(0);
        }
        id
    }

    fn any_project(&self, dice: &mut Dice) -> Option<String> {
        let projects = self.projects.lock().unwrap();
        if projects.is_empty() {
            return None;
        }
        Some(projects[dice.below(projects.len() as u64) as usize].clone())
    }

    /// Answers every request of a project until it ends.
    async fn until_over(&self, project: &str, dice: &mut Dice) {
        let started = Instant::now();
        loop {
            let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
            for open in self.get(&path).await.as_array().unwrap() {
                let answer = match dice.below(8) {
                    0 => json!({"action": "amend", "content": "It must fit a telephone"}),
                    _ => json!({"action": "approve"}),
                };
                let path = format!("/api/v1/hitl/{}/respond", open["request_id"].as_str().unwrap());
                self.create(&path, &answer).await;
            }
            let status = self.get(&format!("/api/v1/projects/{project}")).await;
            match status["status"].as_str().unwrap() {
                "completed" => return,
                "active" => {}
                other => panic!("{project} is {other}: {status}"),
            }
            assert!(started.elapsed() < TIMEOUT * 2, "{project} does not end: {status}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn package(&self, project: &str) {
        self.get(&format!("/api/v1/artifacts/{project}/summary")).await;
        let path = format!("/api/v1/artifacts/{project}/download");
        let (status, zip) = self.send(Method::GET, &path, None).await;
        assert_eq!((status, &zip[..2]), (200, &b"PK"[..]));
    }

    async fn workflow(&self, dice: &mut Dice) {
        let ideas = [
            "A recipe-sharing site for small families",
            "A list of tools to lend",
            "Training plans of a rowing club",
            "Stock and invoices of a small shop",
        ];
        let idea = ideas[dice.below(4) as usize];
        let body = json!({"name": "Soak", "description": idea, "workflow": "sdlc"});
        let project = self.project(&body).await;
        self.until_over(&project, dice).await;
        self.package(&project).await;
    }

    /// Submits tasks by hand, which external workers take.
    async fn task(&self, dice: &mut Dice) {
        let project = self.project(&json!({"name": "By hand"})).await;
        for _ in 0..=dice.below(3) {
            let body = json!({"agent_type": EXTERNAL, "instructions": "measure ".repeat(50)});
            self.create(&format!("/api/v1/projects/{project}/tasks"), &body).await;
        }
        self.until_over(&project, dice).await;
    }

    /// Takes tasks as an external worker until the load ends.
    async fn worker(&self, n: usize, mut dice: Dice) {
        let wait_s = self.stay.as_secs().clamp(1, 30);
        while !self.stopped() {
            let poll = json!({"worker_id": format!("soak-{n}"), "agents": [EXTERNAL],
                              "max": 1 + dice.below(3), "wait_s": wait_s});
            let (status, answer) = self.post(LEASES, &poll).await;
            assert!([200, 204].contains(&status), "{status}: {answer}");
            let leases = answer["leases"].as_array().cloned().unwrap_or_default();
            for lease in &leases {
                self.beat(lease, 0).await;
            }
            for lease in &leases {
                self.work(lease, &mut dice).await;
            }
        }
    }

    /// Makes a call about a lease.
    async fn say(&self, lease: &Value, verb: &str, body: &Value) -> StatusCode {
        let name = lease["lease"].as_str().unwrap();
        let request = self.client.post(format!("{}{LEASES}/{name}/{verb}", self.base));
        let request = request.bearer_auth(lease["token"].as_str().unwrap());
        request.json(body).timeout(TIMEOUT).send().await.unwrap().status()
    }

    async fn beat(&self, lease: &Value, progress: u8) {
        let body = json!({"message": "It goes on", "progress": progress});
        assert_eq!(self.say(lease, "heartbeat", &body).await, StatusCode::OK);
    }

    async fn work(&self, lease: &Value, dice: &mut Dice) {
        tokio::time::sleep(Duration::from_millis(10 + dice.below(60))).await;
        self.beat(lease, 80).await;
        let (verb, body) = match dice.below(10) {
            // Only the first attempt fails, so that the task ends.
            0 if lease["fence"] == 1 => {
                ("fail", json!({"code": "busy", "message": "Not now", "retryable": true}))
            }
            1 => ("ask", json!({"question": "Is this right?", "options": ["Yes", "No"]})),
            _ => {
                let output = json!({"note": "word ".repeat(200)});
                let usage = json!({"input_tokens": 7, "output_tokens": 3});
                ("complete", json!({"output": output, "usage": usage}))
            }
        };
        let status = self.say(lease, verb, &body).await;
        assert!(status.is_success(), "{verb}: {status}");
    }

    /// Stores documents of a kilobyte to 200, reads them, and makes a package of them.
    async fn documents(&self, dice: &mut Dice) {
        let project = self.project(&json!({"name": "Documents"})).await;
        let mut last = String::new();
        for n in 0..=dice.below(3) {
            let text = format!("{n} measure ").repeat(100 << dice.below(8));
            let body = json!({"project_id": project, "source_agent": "analyst",
                              "artifact_type": "project_plan", "content": {"markdown": text}});
            let made = self.create("/api/v1/context", &body).await;
            last = made["context_id"].as_str().unwrap().to_owned();
        }
        self.get(&format!("/api/v1/context/{last}")).await;
        self.get(&format!("/api/v1/context/project/{project}?content=true")).await;
        let path = format!("/api/v1/projects/{project}/force-complete");
        assert_eq!(self.send(Method::POST, &path, None).await.0, 200);
        self.package(&project).await;
        if dice.below(2) == 0 {
            let path = format!("/api/v1/artifacts/{project}/artifacts");
            assert_eq!(self.send(Method::DELETE, &path, None).await.0, 200);
        }
    }

    /// Subscribes, reads some frames or none, and leaves with or without saying so.
    async fn subscriber(&self, dice: &mut Dice) {
        let project = self.any_project(dice);
        let query = match (dice.below(4), project) {
            (0, _) | (_, None) => "?project_id=all".to_owned(),
            (1, _) => String::new(),
            (2, Some(project)) => format!("?project_id={project}&after=0"),
            (_, Some(project)) => format!("?project_id={project}"),
        };
        let stay = self.stay.mul_f64(dice.below(100) as f64 / 100.0);
        if dice.below(4) == 0 {
            let watcher = Watcher::with_small_buffer(&self.base, &query).await;
            tokio::time::sleep(stay).await;
            return drop(watcher);
        }
        let mut watcher = Watcher::on(&self.base, &query).await;
        let read = async { while watcher.next_untimed().await.is_some() {} };
        drop(tokio::time::timeout(stay, read).await);
        if dice.below(2) == 0 {
            // The server may be gone first.
            drop(watcher.0.close(None).await);
        }
    }

    /// Reads lists and searches the logs.
    async fn reader(&self, dice: &mut Dice) {
        let offset = dice.below(20_000);
        for path in [
            "/api/v1/projects?limit=50".to_owned(),
            "/api/v1/audit/events?event_type=hitl_response&limit=100".to_owned(),
            "/api/v1/audit/events?event_source=user&limit=100".to_owned(),
            format!("/api/v1/audit/events?offset={offset}&limit=100"),
            "/api/v1/agents/status".to_owned(),
            "/api/v1/agents/status-history/analyst".to_owned(),
            "/api/v1/hitl/pending".to_owned(),
            "/health/detailed".to_owned(),
            "/openapi.json".to_owned(),
            "/docs".to_owned(),
        ] {
            self.get(&path).await;
        }
        let Some(project) = self.any_project(dice) else { return };
        for path in [
            format!("/api/v1/projects/{project}/status"),
            format!("/api/v1/projects/{project}/tasks"),
            format!("/api/v1/projects/{project}/usage"),
            format!("/api/v1/projects/{project}/completion"),
            format!("/api/v1/audit/projects/{project}/events?start_date=2020-01-01&limit=100"),
        ] {
            self.get(&path).await;
        }
    }

    /// Sends what the server refuses.
    async fn refused(&self, dice: &mut Dice) {
        let nobody = "00000000-0000-7000-8000-000000000000";
        let (method, path, body) = match dice.below(8) {
            0 => (Method::POST, "/api/v1/projects".to_owned(), Some("{\"name\": ".to_owned())),
            1 => {
                let body = json!({"name": "x", "workfow": "sdlc"}).to_string();
                (Method::POST, "/api/v1/projects".to_owned(), Some(body))
            }
            2 => (Method::GET, format!("/api/v1/projects/{nobody}"), None),
            3 => (Method::GET, format!("/nothing/{}", dice.below(u64::MAX)), None),
            4 => (Method::POST, format!("{LEASES}/nonsense/heartbeat"), Some("{}".to_owned())),
            5 => (Method::GET, "/api/v1/audit/events?limit=none".to_owned(), None),
            6 => {
                let body = json!({"action": "approve"}).to_string();
                (Method::POST, format!("/api/v1/hitl/{nobody}/respond"), Some(body))
            }
            _ => {
                let content = json!({"markdown": "x".repeat(300_000), "deep": {"a": 1}});
                let body = json!({"project_id": nobody, "source_agent": "analyst",
                                  "artifact_type": "project_plan", "content": content});
                (Method::POST, "/api/v1/context".to_owned(), Some(body.to_string()))
            }
        };
        let (status, answer) = self.send(method, &path, body).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!((400..500).contains(&status), "{path}: {status} {answer}");
    }

    fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Sends the beginning of a request, then a byte now and then, until the server has enough or
    /// the client does.
    async fn slow(&self, dice: &mut Dice) {
        let body = format!(
            "POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 100000\r\n\r\n\
             {{\"name\": \"",
            header_line()
        );
        let beginning = ["", "GET /li", &body][dice.below(3) as usize];
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        // The server may have closed it meanwhile.
        drop(stream.write_all(beginning.as_bytes()).await);
        let (started, mut bytes) = (Instant::now(), [0; 1024]);
        while started.elapsed() < self.stay * 2 {
            let pause = Duration::from_millis(500);
            match tokio::time::timeout(pause, stream.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(_)) => {}
                Err(_) if beginning.is_empty() => {}
                Err(_) => drop(stream.write_all(b"x").await),
            }
        }
    }

    /// Begins to wait for work, and leaves while it waits. Work that comes before that is done: a task
    /// that one client after another leaves with would not end in time.
    async fn left(&self, dice: &mut Dice) {
        let poll = json!({"worker_id": "left", "agents": [EXTERNAL], "max": 1, "wait_s": 30});
        let stay = self.stay.mul_f64(dice.below(100) as f64 / 100.0);
        let Ok((_, answer)) = tokio::time::timeout(stay, self.post(LEASES, &poll)).await else {
            return;
        };
        for lease in answer["leases"].as_array().into_iter().flatten() {
            self.beat(lease, 0).await;
            self.work(lease, dice).await;
        }
    }

    /// Verifies and exports a log, or a part of it.
    async fn export(&self, dice: &mut Dice) {
        let Some(project) = self.any_project(dice) else { return };
        let verdict = self.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
        assert_eq!(verdict["valid"], true, "{verdict}");
        let url = format!("{}/api/v1/audit/projects/{project}/export", self.base);
        let mut response = self.client.get(url).timeout(TIMEOUT).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let stays = dice.below(2) == 0;
        while response.chunk().await.unwrap().is_some() && stays {}
    }

    async fn begin(self: Arc<Self>, mut dice: Dice) {
        let all = KINDS.iter().map(|(_, share)| share).sum();
        let mut at = dice.below(all);
        let mut kind = 0;
        while at >= KINDS[kind].1 {
            at -= KINDS[kind].1;
            kind += 1;
        }
        self.kinds[kind].fetch_add(1, Ordering::Relaxed);
        let dice = &mut dice;
        match KINDS[kind].0 {
            "workflow" => self.workflow(dice).await,
            "task" => self.task(dice).await,
            "documents" => self.documents(dice).await,
            "subscriber" => self.subscriber(dice).await,
            "reader" => self.reader(dice).await,
            "refused" => self.refused(dice).await,
            "slow" => self.slow(dice).await,
            "left" => self.left(dice).await,
            "export" => self.export(dice).await,
            other => unreachable!("there is no activity {other}"),
        }
    }
}

/// Returns the numbers of running and of waiting tasks.
async fn tasks(server: &TestServer) -> (u64, u64) {
    let (_, health) = server.get("/health/detailed").await;
    let message = health["components"]["task_queue"]["message"].as_str().unwrap_or_default();
    let mut numbers = message.split_whitespace().filter_map(|word| word.parse().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// The readings, and the file that gets them as well.
struct Table {
    readings: Vec<Reading>,
    text: String,
    file: Option<std::path::PathBuf>,
}

impl Table {
    fn add(&mut self, reading: Reading) {
        writeln!(self.text, "{}", reading.line()).unwrap();
        self.readings.push(reading);
        if let Some(file) = &self.file {
            std::fs::write(file, &self.text).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_descriptors_and_threads_level_off_under_mixed_load() {
    let seconds = count(SECONDS.0, SECONDS.1);
    let is_full = seconds == SECONDS.1;
    let length = Duration::from_secs(seconds.into());
    let runner = format!("BOTARMY_AGENTS__{}__RUNNER", EXTERNAL.to_uppercase());
    let server = TestServer::with(&[
        (runner.as_str(), "none"),
        ("BOTARMY_WORKER__FIRST_CALL_S", "5"),
        ("BOTARMY_STORE__READERS", "1"),
    ])
    .await;
    let load = Arc::new(Load {
        base: server.base.clone(),
        // So that connections which are not needed do not look like forgotten ones.
        client: client_builder().pool_idle_timeout(Duration::from_secs(1)).build().unwrap(),
        projects: Mutex::default(),
        stop: AtomicBool::new(false),
        stay: Duration::from_secs(if is_full { 10 } else { 1 }),
        kinds: std::array::from_fn(|_| AtomicU64::new(0)),
    });
    let file = std::env::var_os("BOTARMY_TEST_READINGS").map(std::path::PathBuf::from);
    let mut table = Table { readings: Vec::new(), text: Reading::HEAD.to_owned() + "\n", file };
    let before = Reading::of(server.pid(), server.data_dir());

    let mut dice = Dice::new();
    let (mut running, mut workers) = (JoinSet::new(), JoinSet::new());
    for n in 0..WORKERS {
        let (load, dice) = (Arc::clone(&load), dice.fork());
        workers.spawn(async move { load.worker(n, dice).await });
    }
    let (started, mut begun) = (Instant::now(), 0);
    let every = length / if is_full { 720 } else { 12 };
    let mut next = every;
    while started.elapsed() < length {
        running.spawn(Arc::clone(&load).begin(dice.fork()));
        begun += 1;
        tokio::time::sleep((PAUSE * begun).saturating_sub(started.elapsed())).await;
        while let Some(done) = running.try_join_next() {
            done.unwrap();
        }
        assert!(workers.try_join_next().is_none(), "a worker ended");
        assert!(running.len() < 500, "the server does not keep up with the load");
        if started.elapsed() >= next {
            next += every;
            let tasks = tasks(&server).await;
            table.add(Reading {
                seconds: started.elapsed().as_secs(),
                begun: begun.into(),
                running: running.len() as u64,
                tasks,
                ..Reading::of(server.pid(), server.data_dir())
            });
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    load.stop.store(true, Ordering::Relaxed);
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    println!("{}", table.text);
    let counts = KINDS.iter().zip(&load.kinds);
    for ((name, _), count) in counts {
        println!("{name}: {}", count.load(Ordering::Relaxed));
    }

    // Nothing is left of clients that are gone. The two readers of SQLite stay open, each with the
    // database and its write-ahead log, and so do the packages.
    let kept = 2 * 2 + PACKAGES;
    let over = Instant::now();
    let after = loop {
        let after = Reading::of(server.pid(), server.data_dir());
        if after.sockets <= before.sockets + 2 && after.files <= before.files + kept {
            break after;
        }
        assert!(over.elapsed() < TIMEOUT, "before {before:?}, after the load {after:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!("before: {}\nafter: {}", before.line(), after.line());
    assert_eq!(tasks(&server).await, (0, 0), "every task has come to its end");
    let most = table.readings.iter().map(|reading| reading.resident).max().unwrap();
    assert!(most < MAX_MEMORY, "{} MB", most >> 20);
    if is_full {
        assert_eq!(still_rising(&table.readings), [""; 0]);
    }
}
