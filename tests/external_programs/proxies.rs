//! The examples of `docs/proxies.md`, word for word but for addresses and TLS, in the programs that
//! they are for: the server behind each of them works as it does without one, also for workers that
//! end while they wait.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use botarmy_tests::access::header_line;
use botarmy_tests::external_programs::proxies;
use botarmy_tests::prove::count;
use botarmy_tests::server::{TIMEOUT, TestServer, http_client};
use reqwest::{Method, Response};
use rustix::net::sockopt::set_socket_linger;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::alone;

const PAGE: &str = include_str!("../../docs/proxies.md");

/// Returns the example in this language.
fn example(language: &str) -> String {
    let begin = format!("```{language}\n");
    let (_, rest) = PAGE.split_once(&begin).unwrap_or_else(|| panic!("no {language} in the page"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// Replaces a text that the example must have.
fn replaced(text: &str, part: &str, by: &str) -> String {
    assert!(text.contains(part), "{part} is not in the example:\n{text}");
    text.replace(part, by)
}

/// A proxy that ends with this value.
pub(crate) struct Proxy {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns a port that is free now. The server has to know it before the proxy begins.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns a command for a program of unpacked packages, which finds the libraries beside it.
fn unpacked(tree: &Path, program: &Path) -> Command {
    let libraries = tree.join("usr/lib").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let libraries = std::env::join_paths(libraries.filter(|path| path.is_dir())).unwrap();
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", libraries);
    command
}

async fn start(folder: TempDir, mut command: Command, port: u16) -> Proxy {
    let log = std::fs::File::create(folder.path().join("output")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.current_dir(folder.path()).env("HOME", folder.path());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let proxy = Proxy { child, port, _folder: folder };
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let output = std::fs::read_to_string(proxy._folder.path().join("output"));
        assert!(started.elapsed() < TIMEOUT, "{command:?} did not start: {output:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    proxy
}

async fn nginx(command: Command, server: &str, port: u16) -> Proxy {
    nginx_before(command, server, "", port).await
}

/// Starts nginx from this tree with the example, in front of the group of servers with this name, which
/// `upstream` defines.
pub(crate) async fn nginx_with(tree: &Path, name: &str, upstream: &str, port: u16) -> Proxy {
    nginx_before(unpacked(tree, &program(tree, "nginx")), name, upstream, port).await
}

async fn nginx_before(mut command: Command, server: &str, upstream: &str, port: u16) -> Proxy {
    let folder = TempDir::new().unwrap();
    let location = replaced(&example("nginx"), "127.0.0.1:8080", server);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
         access_log off;\n{temporary}{upstream}server {{\nlisten 127.0.0.1:{port};\n{location}}}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
    command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    start(folder, command, port).await
}

async fn caddy(mut command: Command, server: &str, port: u16) -> Proxy {
    let folder = TempDir::new().unwrap();
    let site = replaced(&example("caddy"), "127.0.0.1:8080", server);
    let site = replaced(&site, "army.example {", &format!("http://army.example:{port} {{"));
    let config = format!("{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}}\n{site}");
    std::fs::write(folder.path().join("Caddyfile"), config).unwrap();
    command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
    start(folder, command, port).await
}

async fn haproxy(mut command: Command, server: &str, port: u16) -> Proxy {
    let folder = TempDir::new().unwrap();
    let config = replaced(&example("haproxy"), "127.0.0.1:8080", server);
    let bind = "bind :443 ssl crt /etc/haproxy/army.example.pem";
    let config = replaced(&config, bind, &format!("bind 127.0.0.1:{port}"));
    std::fs::write(folder.path().join("haproxy.cfg"), config).unwrap();
    command.args(["-f", "haproxy.cfg", "-db"]);
    start(folder, command, port).await
}

/// Sends a request through the proxy, as a browser at the public address does.
async fn send(
    proxy: &Proxy,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) -> Response {
    let host = format!("army.example:{}", proxy.port);
    let url = format!("http://127.0.0.1:{}{path}", proxy.port);
    let mut request = http_client().request(method, url).timeout(TIMEOUT).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body);
    }
    request.send().await.unwrap()
}

/// Uses the server through a proxy: pages, links, changes, a large body and a live connection.
async fn use_through(name: &str, proxy: &Proxy) {
    let own = format!("http://army.example:{}", proxy.port);
    let alive = send(proxy, Method::GET, "/botarmy/livez", &[], None).await;
    assert_eq!(alive.status(), 200, "{name}");

    let page = send(proxy, Method::GET, "/botarmy/docs", &[], None).await.text().await.unwrap();
    assert!(page.contains("src=\"/botarmy/docs/swagger-ui-bundle.js\""), "{name}: {page:.300}");
    let script = send(proxy, Method::GET, "/botarmy/docs/swagger-initializer.js", &[], None).await;
    assert!(script.text().await.unwrap().contains("/botarmy/openapi.json"), "{name}");
    let document = send(proxy, Method::GET, "/botarmy/openapi.json", &[], None).await;
    let document: Value = document.json().await.unwrap();
    assert_eq!(document["servers"][0]["url"], format!("{own}/botarmy"), "{name}");

    let path = "/botarmy/api/v1/projects";
    let create = |origin: &'static str, own: String, text: usize| async move {
        let origin = if origin.is_empty() { own } else { origin.to_owned() };
        let body = json!({"name": "x", "description": "x".repeat(text)}).to_string();
        send(proxy, Method::POST, path, &[("origin", origin.as_str())], Some(body)).await
    };
    let created = create("", own.clone(), 1_000_000).await;
    assert_eq!(created.status(), 201, "{name}");
    let location = created.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with("/botarmy/api/v1/projects/"), "{name}: {location}");
    assert_eq!(send(proxy, Method::GET, &location, &[], None).await.status(), 200, "{name}");
    assert_eq!(create("http://evil.example", own.clone(), 1).await.status(), 403, "{name}");

    let upgrade = [
        ("origin", own.as_str()),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let live = send(proxy, Method::GET, "/botarmy/ws?project_id=all", &upgrade, None).await;
    assert_eq!(live.status(), 101, "{name}");
}

/// Proxies, by the names of their programs.
const PROXIES: [&str; 3] = ["nginx", "caddy", "haproxy"];

/// Returns the path of a program of the tree.
fn program(tree: &Path, name: &str) -> PathBuf {
    ["usr/sbin", "usr/bin"]
        .map(|folder| tree.join(folder).join(name))
        .into_iter()
        .find(|program| program.exists())
        .unwrap_or_else(|| panic!("{name} is not in {}", tree.display()))
}

/// Starts a server and a proxy of this name in front of it, as the page says.
async fn behind(tree: &Path, name: &str, settings: &[(&str, &str)]) -> (TestServer, Proxy) {
    let program = program(tree, name);
    let port = free_port();
    let public_url = format!("http://army.example:{port}/botarmy");
    let settings = [settings, &[("BOTARMY_HTTP__PUBLIC_URL", public_url.as_str())]].concat();
    let server = TestServer::with(&settings).await;
    let address = server.base.trim_start_matches("http://");
    let command = unpacked(tree, &program);
    let proxy = match name {
        "nginx" => nginx(command, address, port).await,
        "caddy" => caddy(command, address, port).await,
        _ => haproxy(command, address, port).await,
    };
    (server, proxy)
}

#[tokio::test]
async fn the_server_works_behind_each_proxy_as_the_page_says() {
    let Some(tree) = proxies() else { return };
    let _alone = alone().await;
    for name in PROXIES {
        let (server, proxy) = behind(&tree, name, &[]).await;
        use_through(name, &proxy).await;
        // Without the setting the same request is for another host.
        let foreign = server.base.clone() + "/livez";
        let foreign = http_client().get(foreign).header("host", "other.example").send().await;
        assert_eq!(foreign.unwrap().status(), 421, "{name}");
    }
}

const LEASES: &str = "/botarmy/api/v1/worker/leases";

/// Rounds of each way to end, in a test run and in the long form.
const ROUNDS: (u32, u32) = (3, 25);

/// Time in which a request surely is with the server, and the end of a connection with the proxy.
const A_MOMENT: Duration = Duration::from_millis(500);

/// Time within which a live worker has a task, whatever became of the one before it.
const NEXT_WORKER: Duration = Duration::from_secs(20);

fn work(worker: &str, wait_s: u64) -> String {
    json!({"worker_id": worker, "agents": ["coder"], "max": 1, "wait_s": wait_s}).to_string()
}

/// Begins a request for work through the proxy, on a connection of its own.
fn poll(proxy: &Proxy) -> TcpStream {
    let body = work("gone", 30);
    let head = format!(
        "POST {LEASES} HTTP/1.1\r\nHost: army.example:{}\r\nContent-Type: application/json\r\n\
         {}Content-Length: {}\r\n\r\n",
        proxy.port,
        header_line(),
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    stream
}

/// Begins requests for work through the proxy, and ends them in one of several ways.
type End = fn(&Proxy, u32);

const ENDS: [(&str, End); 3] = [
    ("a close", |proxy, rounds| {
        let streams: Vec<_> = (0..rounds).map(|_| poll(proxy)).collect();
        std::thread::sleep(A_MOMENT);
        drop(streams);
    }),
    ("a reset", |proxy, rounds| {
        let streams: Vec<_> = (0..rounds).map(|_| poll(proxy)).collect();
        std::thread::sleep(A_MOMENT);
        for stream in streams {
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
    }),
    ("SIGKILL", |proxy, rounds| {
        let begin = |_| {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--noproxy", "*", "-H", "Content-Type: application/json"]);
            curl.args(["-H", header_line().trim_end()]);
            curl.args(["-d", &work("gone", 30), "-H"])
                .arg(format!("Host: army.example:{}", proxy.port));
            curl.arg(format!("http://127.0.0.1:{}{LEASES}", proxy.port));
            curl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            curl.spawn().expect("curl is not installed, and the tests need it")
        };
        let workers: Vec<Child> = (0..rounds).map(begin).collect();
        std::thread::sleep(A_MOMENT);
        for mut worker in workers {
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn behind_each_proxy_the_next_live_worker_has_the_task_of_one_that_ended() {
    let Some(tree) = proxies() else { return };
    let _alone = alone().await;
    let rounds = count(ROUNDS.0, ROUNDS.1);
    let settings =
        [("BOTARMY_AGENTS__CODER__RUNNER", "none"), ("BOTARMY_WORKER__POLL_MS", "600000")];
    for name in PROXIES {
        let (server, proxy) = behind(&tree, name, &settings).await;
        for (how, end) in ENDS {
            let project = server.by_hand().await;
            tokio::task::block_in_place(|| end(&proxy, rounds));
            tokio::time::sleep(A_MOMENT).await;
            for _ in 0..rounds {
                let body = json!({"agent_type": "coder", "instructions": "A greeting"});
                let path = format!("/api/v1/projects/{project}/tasks");
                assert_eq!(server.post(&path, body).await.0, 201, "{name}");
            }
            let (started, mut again) = (Instant::now(), 0);
            for _ in 0..rounds {
                let body = Some(work("live", 30));
                let leased = send(&proxy, Method::POST, LEASES, &[], body).await;
                assert_eq!(leased.status(), 200, "{name}, {how}");
                let leased: Value = leased.json().await.unwrap();
                let lease = &leased["leases"][0];
                again += u32::from(lease["fence"] != json!(1));
                let (status, said) = server.say(lease, "complete", json!({"output": {}})).await;
                assert_eq!(status, 200, "{name}, {how}: {said}");
            }
            let took = started.elapsed();
            println!("{name}, {how}: {again} of {rounds} were leased before, all within {took:?}");
            assert!(took < NEXT_WORKER, "{name}, {how}: {took:?}");
            // Each of the examples passes the end on, so that nothing is leased to nobody.
            assert_eq!(again, 0, "{name}, {how}");
        }
    }
}
