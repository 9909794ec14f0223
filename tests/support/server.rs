//! The real server as users run it: a separate process on a free port with its own data directory,
//! driven over HTTP and WebSocket, killed at the end of the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::access;
use crate::documented;

/// Time limit of any wait in a test.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the binary under test, built by the same command as the tests.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    let binary = built().join("botarmy-server");
    assert!(
        binary.exists(),
        "{} is missing: build it with `cargo build --workspace --all-targets`, as ./tests/run does",
        binary.display()
    );
    binary
}

/// Returns the folder of the binaries, from one of them or from a test in the folder `deps` below
/// it.
pub(crate) fn built() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap() } else { folder }.to_owned()
}

/// Returns [`bare`] with this data directory.
#[must_use]
pub fn command(data_dir: &Path) -> Command {
    let mut command = bare();
    command.arg("--data-dir").arg(data_dir).current_dir(data_dir);
    command
}

/// Returns a command for the binary without the settings and keys of this machine, and without a
/// sandbox for the programs that it starts.
#[must_use]
pub fn bare() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    // Programs of tests write beside their folders, and not every machine has bubblewrap.
    command.env("BOTARMY_AGENTS__SANDBOX", "none");
    command
}

fn is_ours(name: &str) -> bool {
    name.starts_with("BOTARMY_") || name.ends_with("_API_KEY")
}

/// Creates an HTTP client with the [key](crate::access) of the servers under test.
///
/// # Panics
/// Never.
#[must_use]
pub fn http_client() -> reqwest::Client {
    client_builder().build().unwrap()
}

/// Creates a builder of HTTP clients with the [key](crate::access) of the servers under test. A
/// request with another credential of its own sends that alone.
///
/// # Panics
/// Never.
pub fn client_builder() -> reqwest::ClientBuilder {
    let builder = bare_client_builder();
    if !access::needs_keys() {
        return builder;
    }
    let mut headers = HeaderMap::new();
    let mut credential = HeaderValue::from_str(&access::bearer()).unwrap();
    credential.set_sensitive(true);
    headers.insert(AUTHORIZATION, credential);
    builder.default_headers(headers)
}

/// Creates a builder of HTTP clients without a key. The build of `reqwest` leaves the choice of the
/// TLS provider to the program.
pub fn bare_client_builder() -> reqwest::ClientBuilder {
    // Another test may have installed it already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
}

/// A running server.
pub struct TestServer {
    child: Child,
    /// Address, such as `http://127.0.0.1:PORT`; `https` if the server has TLS, whose certificate the
    /// methods here do not check.
    pub base: String,
    dir: Arc<TempDir>,
    port: u16,
    variables: Vec<(String, String)>,
    /// Its log output so far.
    pub log: Arc<Mutex<String>>,
    client: reqwest::Client,
}

impl TestServer {
    /// Starts a server with default settings.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts a server on existing data, with these variables.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn on(dir: TempDir, variables: &[(&str, &str)]) -> Self {
        Self::launch(Arc::new(dir), 0, owned(variables)).await
    }

    /// Starts a server with these variables, such as `("BOTARMY_HTTP__BODY_LIMIT_BYTES", "1000")`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn with(variables: &[(&str, &str)]) -> Self {
        Self::on_port(0, variables).await
    }

    /// Starts a server on this port, which it keeps when it is started again; 0 takes a free one
    /// each time.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn on_port(port: u16, variables: &[(&str, &str)]) -> Self {
        Self::launch(Arc::new(TempDir::new().unwrap()), port, owned(variables)).await
    }

    /// Starts a server through a program that is given its command line, such as a shell that sets
    /// limits first.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn through(mut program: Command, variables: &[(&str, &str)]) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let server = command(dir.path());
        program.arg(server.get_program()).args(server.get_args()).current_dir(dir.path());
        for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
            program.env_remove(name);
        }
        Self::spawn(program, dir, 0, owned(variables)).await
    }

    async fn launch(dir: Arc<TempDir>, port: u16, variables: Vec<(String, String)>) -> Self {
        Self::spawn(command(dir.path()), dir, port, variables).await
    }

    async fn spawn(
        mut command: Command,
        dir: Arc<TempDir>,
        port: u16,
        variables: Vec<(String, String)>,
    ) -> Self {
        let mode = variables.iter().find(|(name, _)| name == access::MODE);
        let mode = mode.map(|(_, mode)| mode.clone());
        let mut child = command
            .env("BOTARMY_LOG__FORMAT", "json")
            // Tests wait for requests to expire soon after a start.
            .env("BOTARMY_GATES__GRACE_S", "0")
            .envs(if mode.is_some() { Vec::new() } else { access::variables() })
            .envs(variables.iter().cloned())
            .args(["serve", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
        let reader = BufReader::new(child.stderr.take().unwrap());
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line.clone() + "\n"));
                if let Some((_, rest)) = line.split_once("Serving on ") {
                    let address: String =
                        rest.chars().take_while(|c| !c.is_whitespace() && *c != '"').collect();
                    drop(say.send(address));
                }
            }
        });
        let address = tokio::time::timeout(TIMEOUT, said.recv()).await.ok().flatten();
        let Some(address) = address else {
            drop(child.kill());
            panic!("the server did not start:\n{}", log.lock().unwrap());
        };
        // What listens everywhere is reached on loopback.
        let base = address.replace("//0.0.0.0:", "//127.0.0.1:");
        let has_tls = base.starts_with("https://");
        // With a mode of its own a test tries credentials itself.
        let builder = if mode.is_some() { bare_client_builder() } else { client_builder() };
        let client = builder.tls_danger_accept_invalid_certs(has_tls).build().unwrap();
        let is_worker =
            |(name, role): &(String, String)| name.ends_with("__ROLE") && role == "worker";
        let answers = !variables.iter().any(is_worker);
        let server = Self { child, base, dir, port, variables, log, client };
        server.until(|server| async move { server.get("/readyz").await.0 == 200 }).await;
        if access::needs_keys() && mode.is_none() && answers {
            server.until(access::let_admin_work).await;
        }
        server
    }

    /// Returns the id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Kills it at once (SIGKILL), and starts it again on the same data.
    ///
    /// # Panics
    /// If it does not start again.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// Kills it at once (SIGKILL), even if it is stopped.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data, after it has ended.
    ///
    /// # Panics
    /// If it does not start again.
    pub async fn start_again(&mut self) {
        let again = Self::launch(Arc::clone(&self.dir), self.port, self.variables.clone()).await;
        // Dropping the old value is harmless, because its process has ended.
        *self = again;
    }

    /// Starts it again on the same data, after it has ended, with these variables in place of its own.
    ///
    /// # Panics
    /// If it does not start again.
    pub async fn start_again_with(&mut self, variables: &[(&str, &str)]) {
        self.variables = owned(variables);
        self.start_again().await;
    }

    /// Asks it to stop (SIGTERM) and waits; returns its exit code.
    ///
    /// # Panics
    /// If it does not stop.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < TIMEOUT, "the server does not stop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a request without a body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.raw(Method::GET, path, None).await.unwrap()).await
    }

    /// Sends a JSON body with POST.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.raw(Method::POST, path, Some(body.to_string())).await.unwrap()).await
    }

    /// Sends a JSON body with PUT.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.raw(Method::PUT, path, Some(body.to_string())).await.unwrap()).await
    }

    /// Sends DELETE without a body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.raw(Method::DELETE, path, None).await.unwrap()).await
    }

    /// Makes a call about a lease, with its token.
    ///
    /// # Panics
    /// If there is no answer, or it is no lease.
    pub async fn say(&self, lease: &Value, verb: &str, body: Value) -> (u16, Value) {
        self.say_text(lease, verb, body.to_string()).await
    }

    /// Makes a call about a lease with a body as it is written, for what no [`Value`] can express.
    ///
    /// # Panics
    /// If there is no answer, or it is no lease.
    pub async fn say_text(&self, lease: &Value, verb: &str, body: String) -> (u16, Value) {
        let name = lease["lease"].as_str().unwrap();
        let path = format!("{}/api/v1/worker/leases/{name}/{verb}", self.base);
        let request = self.client.post(path).bearer_auth(lease["token"].as_str().unwrap());
        let request = request.header("content-type", "application/json").body(body);
        answer(request.timeout(TIMEOUT).send().await.unwrap()).await
    }

    /// Sends a JSON body with POST; `None` when there is no answer, as while it is being killed.
    pub async fn try_post(&self, path: &str, body: Value) -> Option<(u16, Value)> {
        let response = self.raw(Method::POST, path, Some(body.to_string())).await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    /// Sends any request and returns the response.
    ///
    /// # Errors
    /// If there is no answer.
    ///
    /// # Panics
    /// If the documentation of the operation does not name the status of the response.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> reqwest::Result<Response> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.timeout(TIMEOUT).send().await?;
        documented::check(&method, path, response.status().as_u16());
        Ok(response)
    }

    /// Returns whether the server's log has this text.
    ///
    /// # Panics
    /// If reading the log panicked.
    #[must_use]
    pub fn said(&self, text: &str) -> bool {
        self.log.lock().unwrap().contains(text)
    }

    /// Polls until the condition holds.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn until<'a, F: Future<Output = bool> + 'a>(&'a self, ask: impl Fn(&'a Self) -> F) {
        let started = Instant::now();
        while !ask(self).await {
            assert!(
                started.elapsed() < TIMEOUT,
                "this takes too long; the server's log:\n{}",
                self.log.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Polls this path until the answer has this text at a JSON pointer, such as `/status`; returns
    /// the time that took.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn until_is(&self, path: &str, pointer: &str, text: &str) -> Duration {
        let started = Instant::now();
        let is = |answer: &Value| answer.pointer(pointer).and_then(Value::as_str) == Some(text);
        self.until(|server| async move { is(&server.get(path).await.1) }).await;
        started.elapsed()
    }

    /// Creates a project with a workflow and returns its id.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn project(&self, idea: &str) -> String {
        let body = serde_json::json!({"name": "Recipes", "description": idea, "workflow": "sdlc"});
        let (status, project) = self.post("/api/v1/projects", body).await;
        assert_eq!(status, 201, "{project}");
        project["id"].as_str().unwrap().to_owned()
    }

    /// Creates a project without a workflow and returns its id.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn by_hand(&self) -> String {
        let body = serde_json::json!({"name": "By hand"});
        let (status, project) = self.post("/api/v1/projects", body).await;
        assert_eq!(status, 201, "{project}");
        project["id"].as_str().unwrap().to_owned()
    }

    /// Submits a task and returns its id.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn submit(&self, project: &str, agent: &str, instructions: &str) -> String {
        let body = serde_json::json!({"agent_type": agent, "instructions": instructions});
        let (status, task) = self.post(&format!("/api/v1/projects/{project}/tasks"), body).await;
        assert_eq!(status, 201, "{task}");
        task["task_id"].as_str().unwrap().to_owned()
    }

    /// Returns a task.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/tasks/{id}")).await.1
    }

    /// Returns the log of a project, oldest entry first.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn events(&self, project: &str) -> Vec<Value> {
        let path = format!("/api/v1/audit/projects/{project}/events?limit=1000");
        let mut events = self.list(&path).await;
        events.reverse();
        events
    }

    /// Returns a list that is an array, from page to page.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let response = self.raw(Method::GET, &path, None).await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            next = next_page(&response);
            items.extend(response.json::<Vec<Value>>().await.unwrap());
        }
        items
    }

    /// Waits for the next open gate of a project; `None` if the project ends first.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn next_gate(&self, project: &str) -> Option<Value> {
        let started = Instant::now();
        loop {
            let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
            let (_, open) = self.get(&path).await;
            if let Some(gate) = open.as_array().and_then(|open| open.first()) {
                return Some(gate.clone());
            }
            let (_, project) = self.get(&format!("/api/v1/projects/{project}")).await;
            if !["active", "paused"].contains(&project["status"].as_str().unwrap_or_default()) {
                return None;
            }
            assert!(started.elapsed() < TIMEOUT, "no gate opens: {project}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Answers a gate.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn respond(&self, gate: &Value, body: Value) -> (u16, Value) {
        let id = gate["request_id"].as_str().unwrap();
        self.post(&format!("/api/v1/hitl/{id}/respond"), body).await
    }

    /// Approves every gate until the project ends; returns its status.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn approve_all(&self, project: &str) -> String {
        while let Some(gate) = self.next_gate(project).await {
            let digest = &gate["subject"]["digest"];
            let body = serde_json::json!({"action": "approve", "subject_digest": digest});
            self.respond(&gate, body).await;
        }
        let (_, project) = self.get(&format!("/api/v1/projects/{project}")).await;
        project["status"].as_str().unwrap().to_owned()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn answer(response: Response) -> (u16, Value) {
    let status: StatusCode = response.status();
    let text = response.text().await.unwrap();
    (status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Returns the path of the next page, from the `Link` header of a page.
///
/// # Panics
/// If the header is not a single link of this kind.
#[must_use]
pub fn next_page(response: &Response) -> Option<String> {
    let link = response.headers().get(reqwest::header::LINK)?.to_str().unwrap();
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(target.unwrap_or_else(|| panic!("not a link to the next page: {link}")).to_owned())
}
