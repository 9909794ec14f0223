//! A deployment under load: replicas are replaced one after another, and a version that does not
//! become ready is rolled back. Once with real processes on PostgreSQL, once with a stand-in for
//! Docker that records its arguments.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use botarmy_tests::server::{TIMEOUT, binary};
use botarmy_tests::services;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::documentation::root;

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/usr/bin/env bash\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A separate environment. Processes that were started in it are killed with this value.
struct Environment {
    dir: TempDir,
    base_port: u16,
}

impl Environment {
    fn new(settings: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let base_port = services::free_ports(2).unwrap();
        let path = dir.path().display();
        let access = botarmy_tests::access::variables();
        let access = access.iter().map(|(name, value)| format!("{name}={value}\n"));
        let access: String = access.collect();
        let text = format!(
            "STATE='{path}/state'\nBASE_PORT={base_port}\nREPLICAS=2\nREADY_TIMEOUT_S=20\n{access}\
             {settings}\n"
        );
        std::fs::write(dir.path().join("test.env"), text).unwrap();
        Self { dir, base_port }
    }

    /// Adds a version that runs the binary under test after this shell code.
    fn version(&self, name: &str, first: &str) {
        let binary = binary().display().to_string();
        let text = format!("export VERSION_IS={name}\n{first}\nexec '{binary}' \"$@\"");
        script(&self.dir.path().join(name), &text);
    }

    /// Returns a command that runs the script with these arguments in this environment. It is
    /// killed when its future is dropped.
    fn command(&self, action: &str, version: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(root().join("deploy/deploy"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BOTARMY_")) {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap();
        command
            .args([action, &self.dir.path().join("test.env").display().to_string()])
            .args(Some(version).filter(|version| !version.is_empty()))
            .env("BINARY", self.dir.path().join(version))
            .env("PATH", format!("{}:{path}", self.dir.path().display()))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs the script; returns its exit code and its output, followed by what the replicas logged.
    async fn run(&self, action: &str, version: &str) -> (Option<i32>, String) {
        let mut command = self.command(action, version);
        let Output { status, stdout, stderr } =
            tokio::time::timeout(TIMEOUT * 2, command.output()).await.expect("it ends").unwrap();
        let mut said = String::from_utf8([stdout, stderr].concat()).unwrap();
        for replica in [1, 2] {
            let log = self.dir.path().join(format!("state/replica-{replica}.log"));
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let newest =
                text.lines().rev().take(5).map(|line| format!("replica {replica}: {line}\n"));
            said.extend(newest);
        }
        (status.code(), said)
    }

    /// Returns the target of the link `current` or `previous`.
    fn recorded(&self, link: &str) -> String {
        let target = std::fs::read_link(self.dir.path().join("state").join(link)).unwrap();
        target.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// Returns the processes of this environment with their versions. They are recognised by the
    /// path of the environment in theirs.
    fn processes(&self) -> BTreeMap<i32, String> {
        let mark = format!("STATE={}/state", self.dir.path().display());
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let variables = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let variables = String::from_utf8_lossy(&variables).into_owned();
            if variables.split('\0').any(|variable| variable == mark) {
                let version = variables.split('\0').find_map(|v| v.strip_prefix("VERSION_IS="));
                found.insert(pid, version.unwrap_or_default().to_owned());
            }
        }
        found
    }

    /// Returns the versions of the running replicas.
    fn running(&self) -> Vec<String> {
        self.processes().into_values().collect()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        for pid in self.processes().into_keys() {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let until = Instant::now() + TIMEOUT;
        while !self.processes().is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !std::thread::panicking() {
            assert!(self.processes().is_empty(), "a process outlived its test");
        }
    }
}

/// A client that creates projects one after another on any replica that accepts them.
struct Busy {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Busy {
    fn start(base_port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let client = botarmy_tests::server::http_client();
            let mut acknowledged = Vec::new();
            let mut refused = 0;
            while !stopped.load(Ordering::Relaxed) {
                let name = format!("Project {}", acknowledged.len());
                match create(&client, base_port, &name).await {
                    Some(id) => acknowledged.push(id),
                    None => {
                        // A request may fall between the stop of one replica and the start of the
                        // next.
                        refused += 1;
                        assert!(refused < 3, "no replica took a request, three times in a row");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                }
                refused = 0;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            acknowledged
        });
        Self { stop, task }
    }

    /// Returns the acknowledged projects.
    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn create(client: &Client, base_port: u16, name: &str) -> Option<String> {
    for port in [base_port, base_port + 1] {
        let request = client
            .post(format!("http://127.0.0.1:{port}/api/v1/projects"))
            .body(json!({ "name": name }).to_string())
            .header("content-type", "application/json")
            .timeout(TIMEOUT);
        let Ok(response) = request.send().await else { continue };
        if response.status() == 201
            && let Ok(project) = response.json::<Value>().await
        {
            return Some(project["id"].as_str().unwrap().to_owned());
        }
    }
    None
}

/// Checks that every replica has all of these projects.
async fn are_all_there(base_port: u16, projects: &[String]) {
    let client = botarmy_tests::server::http_client();
    for (n, id) in projects.iter().enumerate() {
        let port = base_port + u16::from(n % 2 == 1);
        let url = format!("http://127.0.0.1:{port}/api/v1/projects/{id}");
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "project {id} was acknowledged and is lost");
    }
}

#[tokio::test]
async fn a_deploy_loses_nothing_and_takes_back_what_does_not_get_ready() {
    let Some(database) = services::database().await else { return };
    let env = Environment::new(&format!(
        "BACKEND=process\nBOTARMY_STORE__URL='{}'\nBOTARMY_LOG__FORMAT=json",
        database.url()
    ));
    env.version("a", "");
    env.version("b", "");
    env.version("ends", "if [ \"$1\" = serve ]; then exit 1; fi");
    env.version("hangs", "if [ \"$1\" = serve ]; then exec sleep 600; fi");
    env.version("broken", "exit 1");

    let (code, said) = env.run("up", "a").await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (env.recorded("current"), env.running()),
        ("a".into(), vec!["a".into(), "a".into()])
    );

    // Another version is deployed while a client is busy.
    let busy = Busy::start(env.base_port);
    let (code, said) = env.run("up", "b").await;
    let mut projects = busy.end().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(projects.len() > 10, "only {} projects were created meanwhile", projects.len());
    are_all_there(env.base_port, &projects).await;
    assert_eq!(env.running(), ["b", "b"]);
    assert_eq!((env.recorded("previous"), env.recorded("current")), ("a".into(), "b".into()));

    // A version that ends, and one that never becomes ready, are rolled back.
    std::fs::write(
        env.dir.path().join("test.env"),
        std::fs::read_to_string(env.dir.path().join("test.env")).unwrap() + "READY_TIMEOUT_S=2\n",
    )
    .unwrap();
    let busy = Busy::start(env.base_port);
    for (version, why) in [("ends", "replica 1 has ended"), ("hangs", "not ready within 2 s")] {
        let untouched = env.processes();
        let (code, said) = env.run("up", version).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(why) && said.contains("going back to b"), "{said}");
        assert_eq!(env.running(), ["b", "b"], "{said}");
        let now = env.processes();
        let same = untouched.keys().filter(|pid| now.contains_key(pid)).count();
        assert_eq!(same, 1, "the second replica was left alone: {said}");
        assert_eq!(env.recorded("current"), "b");
    }

    // A version that cannot migrate leaves all replicas unchanged.
    let untouched = env.processes();
    let (code, said) = env.run("up", "broken").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no replica was touched"), "{said}");
    assert_eq!(env.processes(), untouched);

    // A rollback on request.
    let (code, said) = env.run("rollback", "").await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (env.recorded("current"), env.running()),
        ("a".into(), vec!["a".into(), "a".into()])
    );
    projects.extend(busy.end().await);
    are_all_there(env.base_port, &projects).await;

    let (code, said) = env.run("stop", "").await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(env.running(), Vec::<String>::new());
}

#[tokio::test]
async fn a_version_that_refuses_the_database_is_not_gone_back_to() {
    let Some(database) = services::database().await else { return };
    let settings = format!("BACKEND=process\nBOTARMY_STORE__URL='{}'", database.url());
    let env = Environment::new(&settings);
    // Simulates a migration of `b` that `a` does not know.
    let flag = env.dir.path().join("migrated").display().to_string();
    env.version("a", &format!("if [ -e '{flag}' ]; then exit 1; fi"));
    env.version("b", &format!("if [ \"$1\" = migrate ]; then touch '{flag}'; fi"));
    for version in ["a", "b"] {
        let (code, said) = env.run("up", version).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let untouched = env.processes();
    let (code, said) = env.run("rollback", "").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("a refuses the database") && said.contains("migrate --down"), "{said}");
    assert_eq!(env.processes(), untouched, "what serves goes on serving");
    assert_eq!(env.recorded("current"), "b");
}

#[tokio::test]
async fn a_deploy_that_was_broken_off_can_be_gone_back_from() {
    let Some(database) = services::database().await else { return };
    let settings = format!("BACKEND=process\nBOTARMY_STORE__URL='{}'", database.url());
    let env = Environment::new(&settings);
    env.version("a", "");
    env.version("b", "");
    env.version("hangs", "if [ \"$1\" = serve ]; then exec sleep 600; fi");
    for version in ["a", "b"] {
        let (code, said) = env.run("up", version).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let mut deploy = env.command("up", "hangs").stdout(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + TIMEOUT;
    // The migration runs as `hangs` too, so the process has to be the recorded one.
    let noted = || {
        let text = std::fs::read_to_string(env.dir.path().join("state/replica-1.pid")).ok()?;
        env.processes().get(&text.split(' ').next()?.parse().ok()?).cloned()
    };
    while noted().as_deref() != Some("hangs") {
        assert!(Instant::now() < until, "the deploy does not get that far");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    deploy.kill().await.unwrap();
    let (code, said) = env.run("rollback", "").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going back from hangs to b"), "{said}");
    assert_eq!(env.running(), ["b", "b"]);
    assert_eq!((env.recorded("previous"), env.recorded("current")), ("a".into(), "b".into()));

    // A successful deployment records itself and its predecessor.
    let (code, said) = env.run("up", "a").await;
    assert_eq!(code, Some(0), "{said}");
    let releases = std::fs::read_dir(env.dir.path().join("state/releases")).unwrap();
    let mut left: Vec<_> = releases.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a", "b"]);
}

#[tokio::test]
async fn a_deployment_that_cannot_begin_gives_the_reason() {
    for (settings, expected) in [
        ("BACKEND=heroics", "BACKEND=process or BACKEND=compose"),
        ("BACKEND=process", "BOTARMY_STORE__URL is not set"),
        ("PASSWORD=${NOBODY_HAS_SET_THIS:?is not set}", "NOBODY_HAS_SET_THIS: is not set"),
    ] {
        let env = Environment::new(settings);
        let (code, said) = env.run("up", "a").await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let env = Environment::new("BACKEND=process\nBOTARMY_STORE__URL=postgres://x@localhost/x");
    for (action, version, expected) in [
        ("up", "../a", "cannot be the name of a version"),
        ("rollback", "", "no version to go back to"),
        ("sideways", "", "usage:"),
    ] {
        let (code, said) = env.run(action, version).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

/// A `docker` that records its arguments; replicas of the version `broken` never become ready.
const DOCKER: &str = r#"
here=$(dirname "$0")
[ "$*" = "compose version" ] && exit 0
echo "${VERSION:-} ${*:6}" | sed 's/--profile full //' >>"$here/asked"
case "$VERSION $*" in "broken "*" exec "*) exit 1 ;; esac
"#;

#[tokio::test]
async fn containers_are_built_then_migrated_then_replaced_one_after_another() {
    let env = Environment::new("BACKEND=compose\nREADY_TIMEOUT_S=1");
    script(&env.dir.path().join("docker"), DOCKER);
    let asked = || {
        let file = env.dir.path().join("asked");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        drop(std::fs::remove_file(file));
        let mut lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.dedup();
        lines
    };
    let replaced = |replica: u8, version: &str| {
        [
            format!("stop botarmy-{replica}"),
            format!(
                "{version} up --detach --no-deps --no-build --force-recreate botarmy-{replica}"
            ),
            format!("{version} exec -T botarmy-{replica} botarmy-server health-check"),
        ]
    };
    let begun = |version: &str| {
        vec![
            format!("{version} build migrate"),
            format!("{version} up --detach --wait postgres redis"),
            format!("{version} run --rm --no-deps migrate"),
        ]
    };

    let (code, said) = env.run("up", "one").await;
    assert_eq!(code, Some(0), "{said}");
    let expected = [begun("one"), replaced(1, "one").into(), replaced(2, "one").into()].concat();
    assert_eq!(asked(), expected);

    let (code, said) = env.run("up", "broken").await;
    assert_eq!(code, Some(1), "{said}");
    let expected = [
        begun("broken"),
        replaced(1, "broken").into(),
        vec!["one run --rm --no-deps migrate migrate --status".to_owned()],
        replaced(1, "one").into(),
    ];
    assert_eq!(asked(), expected.concat(), "the second replica was left alone");
    assert_eq!(env.recorded("current"), "one");
}
