//! Several servers on one database and one Redis, and clients that record what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::server::{TIMEOUT, TestServer};
use crate::services::free_port;

/// Settings that the replicas of a test share.
#[derive(Debug, Clone)]
pub struct Cluster {
    variables: Vec<(String, String)>,
}

impl Cluster {
    /// Creates a cluster on these servers. Coder tasks are executed at once by a runner that does
    /// nothing; the lease of a silent worker expires after two seconds.
    #[must_use]
    pub fn on(postgres: &str, redis: Option<(&str, &str)>) -> Self {
        let mut cluster = Self { variables: Vec::new() }
            .with("STORE__URL", postgres)
            .with("AGENTS__CODER__RUNNER", "noop")
            .with("AGENTS__CODER__SLOTS", "16")
            .with("WORKER__LEASE_S", "2");
        if let Some((url, prefix)) = redis {
            cluster = cluster.with("REDIS__URL", url).with("REDIS__PREFIX", prefix);
        }
        cluster
    }

    /// Adds a setting, such as `WORKER__LEASE_S`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((format!("BOTARMY_{name}"), value.to_owned()));
        self
    }

    /// Starts a replica on a fixed port.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn replica(&self, role: &str) -> TestServer {
        let with_role = self.clone().with("SERVER__ROLE", role);
        let variables: Vec<(&str, &str)> = with_role
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        TestServer::on_port(free_port().unwrap(), &variables).await
    }
}

/// Acknowledgements that the clients of a project received.
#[derive(Debug, Clone, Default)]
pub struct Acks {
    /// Ids of acknowledged tasks.
    pub tasks: Vec<String>,
    /// Ids of acknowledged requests.
    pub requests: Vec<String>,
    /// Ids of acknowledged answers.
    pub answered: Vec<String>,
}

/// Clients that create projects, submit tasks, raise and answer requests, and record what was
/// acknowledged. They tolerate broken connections and 503; anything else fails the test. They pause
/// between requests, so that a test does not measure the length of the queue.
#[derive(Debug)]
pub struct Clients {
    stop: Arc<AtomicBool>,
    acks: Arc<Mutex<BTreeMap<String, Acks>>>,
    refused: Arc<AtomicU64>,
    running: JoinSet<()>,
}

impl Clients {
    /// Starts this many clients. Each sends every request to a random server and changes to another
    /// project from time to time.
    #[must_use]
    pub fn start(count: usize, bases: &[String], dice: &mut Dice) -> Self {
        Self::launch(count, bases, dice, Duration::from_millis(5), false)
    }

    /// Starts this many clients, each with one project that it writes to until it is stopped.
    /// Returns once all of them have begun.
    ///
    /// If they do not begin.
    /// When they cannot begin.
    pub async fn steady(count: usize, bases: &[String], dice: &mut Dice) -> Self {
        let clients = Self::launch(count, bases, dice, Duration::from_millis(30), true);
        let have_begun = || {
            let acks = clients.acks.lock().unwrap();
            acks.values().filter(|one| !one.tasks.is_empty()).count() == count
        };
        let started = Instant::now();
        while !have_begun() {
            assert!(started.elapsed() < TIMEOUT, "the clients do not begin");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        clients
    }

    fn launch(
        count: usize,
        bases: &[String],
        dice: &mut Dice,
        pause: Duration,
        stays: bool,
    ) -> Self {
        let (stop, acks) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let refused = Arc::new(AtomicU64::new(0));
        let mut running = JoinSet::new();
        for _ in 0..count {
            let mut client = Client {
                http: crate::server::client_builder().timeout(TIMEOUT).build().unwrap(),
                bases: bases.to_owned(),
                dice: dice.fork(),
                pause,
                stays,
                stop: Arc::clone(&stop),
                acks: Arc::clone(&acks),
                refused: Arc::clone(&refused),
            };
            running.spawn(async move { client.run().await });
        }
        Self { stop, acks, refused, running }
    }

    /// Returns the number of acknowledgements so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        let acks = self.acks.lock().unwrap();
        acks.values().map(|one| 1 + one.tasks.len() + one.requests.len() + one.answered.len()).sum()
    }

    /// Returns the acknowledged projects so far.
    #[must_use]
    pub fn projects(&self) -> Vec<String> {
        self.acks.lock().unwrap().keys().cloned().collect()
    }

    /// Returns the number of requests without an answer or with a 503.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Lets the clients finish their requests; returns their acknowledgements by project.
    ///
    /// # Panics
    /// If a client received an unexpected answer.
    pub async fn stop(mut self) -> BTreeMap<String, Acks> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(client) = self.running.join_next().await {
            client.unwrap();
        }
        std::mem::take(&mut *self.acks.lock().unwrap())
    }
}

struct Client {
    http: reqwest::Client,
    bases: Vec<String>,
    dice: Dice,
    pause: Duration,
    /// Whether the client keeps its first project.
    stays: bool,
    stop: Arc<AtomicBool>,
    acks: Arc<Mutex<BTreeMap<String, Acks>>>,
    refused: Arc<AtomicU64>,
}

impl Client {
    async fn run(&mut self) {
        let mut project = None;
        while !self.stop.load(Ordering::SeqCst) {
            let current = match project.take() {
                Some(current) if self.stays || self.dice.below(40) > 0 => current,
                _ => match self.project().await {
                    Some(made) => made,
                    None => continue,
                },
            };
            if self.dice.below(6) == 0 {
                self.ask_and_answer(&current).await;
            } else {
                let task =
                    json!({"agent_type": "coder", "instructions": "Do it", "max_attempts": 10});
                let path = format!("/api/v1/projects/{current}/tasks");
                if let Some(task) = self.create(&path, &task, "task_id").await {
                    self.record(&current, |acks| acks.tasks.push(task));
                }
            }
            project = Some(current);
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Creates a project that an open question keeps from completing.
    async fn project(&mut self) -> Option<String> {
        let id = self.create("/api/v1/projects", &json!({"name": "Load"}), "id").await?;
        self.acks.lock().unwrap().insert(id.clone(), Acks::default());
        let question = json!({"project_id": id, "question": "Is the load over?"});
        let request = self.create("/api/v1/hitl", &question, "request_id").await?;
        self.record(&id, |acks| acks.requests.push(request));
        Some(id)
    }

    async fn ask_and_answer(&mut self, project: &str) {
        let question = json!({"project_id": project, "question": "Is this right?"});
        let Some(request) = self.create("/api/v1/hitl", &question, "request_id").await else {
            return;
        };
        self.record(project, |acks| acks.requests.push(request.clone()));
        let path = format!("/api/v1/hitl/{request}/respond");
        if let Some((200, _)) = self.post(&path, &json!({"action": "approve"})).await {
            self.record(project, |acks| acks.answered.push(request));
        }
    }

    fn record(&self, project: &str, what: impl FnOnce(&mut Acks)) {
        what(self.acks.lock().unwrap().get_mut(project).unwrap());
    }

    async fn create(&mut self, path: &str, body: &Value, id: &str) -> Option<String> {
        let (status, answer) = self.post(path, body).await?;
        assert_eq!(status, 201, "{path}: {answer}");
        Some(answer[id].as_str().unwrap().to_owned())
    }

    /// Returns the answer, or `None` if there was none or it was a 503.
    async fn post(&mut self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let base = &self.bases[self.dice.below(self.bases.len() as u64) as usize];
        let request = self.http.post(format!("{base}{path}")).json(body);
        let answer = async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            let retry = response.headers().contains_key("retry-after");
            Some((status, retry, response.json::<Value>().await.ok()?))
        };
        match answer.await {
            Some((503, retry, answer)) => {
                assert!(retry, "a 503 says when to come back: {answer}");
                self.refused.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                None
            }
            Some((status, _, answer)) => {
                assert!(status < 500, "{path}: {status} {answer}");
                Some((status, answer))
            }
            None => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                None
            }
        }
    }
}

/// Returns the tasks with a lease at this moment, whether the worker is alive or not, and the
/// attempt of each.
///
/// # Panics
/// If the database does not answer.
pub async fn held(database: &tokio_postgres::Client) -> BTreeMap<String, i32> {
    let held = "SELECT id::text, attempt FROM tasks WHERE status = 'working'";
    let rows = database.query(held, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Stops a worker, which must be the only one, while it holds leases that it can no longer end by
/// itself; returns those. Its tasks take no time, so such a moment has to be found by trying.
///
/// # Panics
/// If none is found.
pub async fn freeze(
    worker: &TestServer,
    database: &tokio_postgres::Client,
) -> BTreeMap<String, i32> {
    for _ in 0..100 {
        worker.until(|_| async { !held(database).await.is_empty() }).await;
        worker.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(250)).await;
        // A result that was sent before the signal may wait for a lock that another connection of
        // the worker holds. It is committed whenever that lock is released: also after the worker's
        // end, which releases it.
        if !has_unfinished_statements(worker, database).await {
            let held = held(database).await;
            if !held.is_empty() {
                return held;
            }
        }
        worker.signal(Signal::CONT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the worker never holds anything");
}

/// Returns whether the database has yet to finish a statement that a stopped process sent to it:
/// one that runs or waits, or one that was not read from its connection.
async fn has_unfinished_statements(
    stopped: &TestServer,
    database: &tokio_postgres::Client,
) -> bool {
    let port = database.query_one("SELECT inet_server_port()", &[]).await.unwrap();
    let port: i32 = port.get(0);
    let folder = std::fs::read_dir(format!("/proc/{}/fd", stopped.pid())).unwrap();
    let sockets = folder.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    let sockets: BTreeSet<_> = sockets.map(|link| link.display().to_string()).collect();
    let all = tcp_connections();
    let ours = all.iter().filter(|one| one.remote_port == port);
    let ours = ours.filter(|one| sockets.contains(&format!("socket:[{}]", one.inode)));
    let ours: Vec<i32> = ours.map(|one| one.local_port).collect();
    let unread = |one: &TcpConnection| {
        one.local_port == port && ours.contains(&one.remote_port) && one.unread > 0
    };
    let active = "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY ($1) \
                  AND state = 'active'";
    let active: i64 = database.query_one(active, &[&ours]).await.unwrap().get(0);
    active > 0 || all.iter().any(unread)
}

/// One end of a connection over IPv4.
struct TcpConnection {
    local_port: i32,
    remote_port: i32,
    /// Bytes that have arrived but were not read.
    unread: u64,
    inode: String,
}

/// Returns both ends of all connections of this machine (proc(5), `/proc/net/tcp`).
fn tcp_connections() -> Vec<TcpConnection> {
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: &str| i32::from_str_radix(field.rsplit(':').next()?, 16).ok();
        Some(TcpConnection {
            local_port: port(fields.get(1)?)?,
            remote_port: port(fields.get(2)?)?,
            unread: u64::from_str_radix(fields.get(4)?.rsplit(':').next()?, 16).ok()?,
            inode: (*fields.get(9)?).to_owned(),
        })
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// Waits until every task of these projects is completed, as long as there is progress.
///
/// # Panics
/// If there is no progress for too long, or a task failed.
pub async fn all_done<'a>(server: &TestServer, projects: impl IntoIterator<Item = &'a String>) {
    let mut open: BTreeMap<&String, u64> = projects.into_iter().map(|one| (one, 0)).collect();
    let mut changed = Instant::now();
    while !open.is_empty() {
        for (project, before) in std::mem::take(&mut open) {
            let (status, counts) =
                server.get(&format!("/api/v1/projects/{project}/completion")).await;
            assert_eq!(status, 200, "{counts}");
            assert_eq!(counts["failed_tasks"], 0, "{counts}");
            let completed = counts["completed_tasks"].as_u64().unwrap();
            if completed > before {
                changed = Instant::now();
            }
            assert!(changed.elapsed() < TIMEOUT, "it is not getting done: {counts}");
            if counts["total_tasks"] != completed {
                open.insert(project, completed);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Checks that all acknowledgements of a project hold, that each of its tasks was completed once,
/// and that its log is complete; returns the length of the log.
///
/// If a check fails.
/// When it is not.
pub async fn holds(server: &TestServer, project: &str, acks: &Acks) -> u64 {
    let response = server
        .raw(reqwest::Method::GET, &format!("/api/v1/audit/projects/{project}/export"), None)
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let text = response.text().await.unwrap();
    let entries: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry.get("event_type").is_some())
        .collect();
    let mut completed: BTreeMap<&str, u32> = BTreeMap::new();
    let mut created: BTreeMap<&str, u32> = BTreeMap::new();
    let mut raised: BTreeMap<&str, u32> = BTreeMap::new();
    let mut answered: BTreeMap<&str, u32> = BTreeMap::new();
    for (n, entry) in (1..).zip(&entries) {
        assert_eq!(entry["seq"], n, "the log of {project} has a gap");
        let task = || entry["task_id"].as_str().unwrap();
        let request = || entry["hitl_request_id"].as_str().unwrap();
        match entry["event_type"].as_str().unwrap() {
            "task_created" => *created.entry(task()).or_default() += 1,
            "task_completed" => *completed.entry(task()).or_default() += 1,
            "hitl_request_created" => *raised.entry(request()).or_default() += 1,
            "hitl_response" => *answered.entry(request()).or_default() += 1,
            _ => {}
        }
    }
    let once = |map: &BTreeMap<&str, u32>| map.values().all(|times| *times == 1);
    assert!(once(&created) && once(&raised) && once(&answered), "something happened twice");
    assert!(once(&completed), "a task was completed twice");
    assert_eq!(created.len(), completed.len(), "a task of {project} was never completed");
    let knows = |map: &BTreeMap<&str, u32>, ids: &[String], what: &str| {
        let lost: Vec<_> = ids.iter().filter(|id| !map.contains_key(id.as_str())).collect();
        assert!(lost.is_empty(), "{what} that were acknowledged are lost: {lost:?}");
    };
    knows(&completed, &acks.tasks, "tasks");
    knows(&raised, &acks.requests, "requests");
    knows(&answered, &acks.answered, "answers");
    let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
    let length = entries.len() as u64;
    assert_eq!(found["head"]["seq"], length, "{found}");
    length
}
