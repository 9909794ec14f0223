//! TLS of the server itself: everything is served encrypted, the certificate can be replaced, and
//! clients that stall or leave are noticed as they are without it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_tests::access::header_line;
use botarmy_tests::server::{TIMEOUT, TestServer, client_builder, command};
use botarmy_tests::watcher::request;
use futures_util::StreamExt;
use reqwest::{Certificate, Client, Method};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use serde_json::{Value, json};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::rest::header;
use crate::say;

/// Names of the certificates.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Writes a certificate that signed itself and its key as NAME.crt and NAME.key; returns both paths.
pub(crate) fn certificate(folder: &Path, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).unwrap();
    write_pair(folder, name, &made.cert.pem(), &made.signing_key.serialize_pem())
}

fn write_pair(folder: &Path, name: &str, certificate: &str, key: &str) -> (String, String) {
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    std::fs::write(file("crt"), certificate).unwrap();
    std::fs::write(file("key"), key).unwrap();
    set_mode(&file("key"), 0o600);
    (file("crt").display().to_string(), file("key").display().to_string())
}

fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
}

/// A server with TLS, and the folder of its certificate `server.crt`.
struct Encrypted {
    server: TestServer,
    folder: tempfile::TempDir,
    cert: String,
    key: String,
}

impl Encrypted {
    async fn with(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = certificate(folder.path(), "server");
        let tls = [("BOTARMY_HTTP__TLS_CERT", &*cert), ("BOTARMY_HTTP__TLS_KEY", &*key)];
        let server = TestServer::with(&[&tls, variables].concat()).await;
        assert!(server.base.starts_with("https://"));
        Self { server, folder, cert, key }
    }

    fn address(&self) -> SocketAddr {
        self.server.base.strip_prefix("https://").unwrap().parse().unwrap()
    }

    /// Returns an encrypted connection that trusts nothing but the certificate in this file.
    fn connect(&self, trusted: &str) -> Tls {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let config = Arc::new(config(trusted, &[&rustls::version::TLS13, &rustls::version::TLS12]));
        StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket)
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn config(trusted: &str, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Returns a client of its own connections that trusts nothing but the certificate in this file.
fn client(trusted: &str) -> Client {
    let trusted = Certificate::from_pem(&std::fs::read(trusted).unwrap()).unwrap();
    client_builder().tls_certs_only([trusted]).pool_max_idle_per_host(0).build().unwrap()
}

/// Sends a probe on a connection that stays open; returns the head of the answer.
fn probe(stream: &mut (impl Read + Write)) -> std::io::Result<String> {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => break,
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_served_encrypted_with_1_2_and_1_3_and_nothing_in_the_clear() {
    let encrypted = Encrypted::with(&[]).await;
    let Encrypted { server, cert, .. } = &encrypted;
    let client = client(cert);
    for (path, status) in [
        ("/livez", 200),
        ("/docs", 200),
        ("/openapi.json", 200),
        ("/api/v1/projects", 200),
        ("/nothing", 404),
        ("/ws", 426),
    ] {
        let url = format!("{}{path}", server.base);
        let response = client.get(url).timeout(TIMEOUT).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(header(&response, "strict-transport-security"), "max-age=31536000", "{path}");
    }
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut connection =
            ClientConnection::new(Arc::new(config(cert, &[version])), name).unwrap();
        let mut socket = TcpStream::connect(encrypted.address()).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        assert!(probe(&mut stream).unwrap().starts_with("HTTP/1.1 200"), "{version:?}");
        assert_eq!(connection.protocol_version(), Some(version.version));
    }
    let mut plain = TcpStream::connect(encrypted.address()).unwrap();
    plain.set_read_timeout(Some(TIMEOUT)).unwrap();
    let answer = probe(&mut plain).unwrap_or_default();
    assert!(!answer.contains("HTTP"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_frames_are_encrypted_too() {
    let Encrypted { server, cert, folder: _folder, .. } = Encrypted::with(&[]).await;
    let address = server.base.strip_prefix("https://").unwrap();
    let config = config(&cert, &[&rustls::version::TLS13]);
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, socket).await.unwrap();
    let url = format!("ws://{address}/ws?project_id=all");
    let (mut live, _) = client_async(request(&url), stream).await.unwrap();
    let project = server.by_hand().await;
    loop {
        let frame = tokio::time::timeout(TIMEOUT, live.next()).await.unwrap().unwrap().unwrap();
        let Message::Text(text) = frame else { continue };
        if text.contains(&project) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_encrypted_server_is_its_own_and_one_in_the_clear_is_foreign() {
    let Encrypted { server, cert, folder: _folder, .. } = Encrypted::with(&[]).await;
    let (client, port) = (client(&cert), server.base.rsplit(':').next().unwrap());
    for (origin, status) in [("https://127.0.0.1", 201), ("http://127.0.0.1", 403)] {
        let request = client
            .post(format!("{}/api/v1/projects", server.base))
            .header("origin", format!("{origin}:{port}"))
            .json(&json!({"name": "x"}));
        assert_eq!(request.send().await.unwrap().status(), status, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sighup_new_connections_get_the_new_certificate_and_open_ones_go_on() {
    let encrypted = Encrypted::with(&[]).await;
    let Encrypted { server, folder, cert, key } = &encrypted;
    let first = folder.path().join("first.crt").display().to_string();
    std::fs::copy(cert, &first).unwrap();
    let mut open = encrypted.connect(&first);
    assert!(probe(&mut open).unwrap().starts_with("HTTP/1.1 200"));

    certificate(folder.path(), "server");
    server.signal(Signal::HUP);
    server.until(|server| async { server.said("were read again") }).await;
    assert!(probe(&mut open).unwrap().starts_with("HTTP/1.1 200"), "the open connection goes on");
    assert!(probe(&mut encrypted.connect(cert)).unwrap().starts_with("HTTP/1.1 200"));
    let refused = probe(&mut encrypted.connect(&first)).unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");

    // What cannot be used changes nothing.
    let good = folder.path().join("good.crt").display().to_string();
    std::fs::copy(cert, &good).unwrap();
    let (_, other) = certificate(folder.path(), "other");
    std::fs::copy(other, key).unwrap();
    server.signal(Signal::HUP);
    server.until(|server| async { server.said("the server goes on with the earlier ones") }).await;
    assert!(server.said("does not belong to the first certificate"));
    for file in [cert, key] {
        std::fs::remove_file(file).unwrap();
    }
    server.signal(Signal::HUP);
    server.until(|server| async { server.said("cannot be read") }).await;
    assert!(probe(&mut open).unwrap().starts_with("HTTP/1.1 200"));
    assert!(probe(&mut encrypted.connect(&good)).unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn files_that_cannot_be_used_stop_the_start_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path(), "one");
    let (_, other) = certificate(folder.path(), "other");
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name).display().to_string();
        std::fs::write(&file, text).unwrap();
        file
    };
    let (empty, words) =
        (file("empty.pem", ""), file("words.pem", "neither PEM nor anything else"));
    let damaged =
        file("damaged.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let missing = folder.path().join("missing.pem").display().to_string();
    let not_a_certificate =
        file("bytes.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (cert, key, setting, wrong, why) in [
        (&missing, &key, "http.tls_cert", &missing, "No such file"),
        (&cert, &missing, "http.tls_key", &missing, "No such file"),
        (&empty, &key, "http.tls_cert", &empty, "is not PEM, or holds no certificate"),
        (&words, &key, "http.tls_cert", &words, "is not PEM, or holds no certificate"),
        (&damaged, &key, "http.tls_cert", &damaged, "is not PEM: its certificate is damaged"),
        (&key, &key, "http.tls_cert", &key, "is not PEM, or holds no certificate"),
        (&cert, &words, "http.tls_key", &words, "is not PEM, or holds no private key"),
        (&cert, &cert, "http.tls_key", &cert, "is not PEM, or holds no private key"),
        (&cert, &other, "http.tls_key", &other, "does not belong to the first certificate of"),
        (&not_a_certificate, &key, "http.tls_cert", &not_a_certificate, "can be used"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let mut server = command(data.path());
        server.env("BOTARMY_HTTP__TLS_CERT", cert).env("BOTARMY_HTTP__TLS_KEY", key);
        let (code, said) = say(server.args(["serve", "--port", "0"]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("{setting}: {wrong} ")), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("BEGIN PRIVATE"), "{said}");
        assert_eq!(data.path().read_dir().unwrap().count(), 0, "nothing was begun");
    }
}

#[tokio::test]
async fn a_key_that_everyone_can_read_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path(), "server");
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        set_mode(Path::new(&key), mode);
        let variables = [("BOTARMY_HTTP__TLS_CERT", &*cert), ("BOTARMY_HTTP__TLS_KEY", &*key)];
        let server = TestServer::with(&variables).await;
        let said = server.said("can be read by every user of this machine");
        assert_eq!(said, warned, "{mode:o}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_asks_an_encrypted_server_and_checks_the_certificate_of_another() {
    let Encrypted { server, folder, cert, key } = Encrypted::with(&[]).await;
    let check = |arguments: &[&str]| {
        let mut check = command(folder.path());
        // The certificates of this system do not matter.
        check.env("SSL_CERT_FILE", "/dev/null").env_remove("SSL_CERT_DIR");
        say(check.arg("health-check").args(arguments))
    };
    let (url, authority) = (server.base.as_str(), authority(folder.path()));
    let (code, said) = check(&["--url", url, "--ca", &cert]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("answers 200"), "{said}");
    let named = url.replace("127.0.0.1", "localhost") + "/livez";
    let (code, said) = check(&["--url", &named, "--ca", &cert]);
    assert_eq!(code, Some(0), "{said}");
    let (other, _) = certificate(folder.path(), "other");
    let plain = url.replace("https", "http");
    for (arguments, why) in [
        (vec!["--url", url], "certificate"),
        (vec!["--url", url, "--ca", &other], "certificate"),
        (vec!["--url", url, "--ca", "/missing.pem"], "cannot be read"),
        (vec!["--url", url, "--ca", &key], "holds no certificate"),
        (vec!["--url", &plain], "gives no answer"),
    ] {
        let (code, said) = check(&arguments);
        assert_ne!(code, Some(0), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    drop(server);

    // Certificates of an authority of one's own, and one that is an authority by its form.
    for name in ["signed", "authority"] {
        let file = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let (cert, key) = (file("crt").display().to_string(), file("key").display().to_string());
        let variables = [("BOTARMY_HTTP__TLS_CERT", &*cert), ("BOTARMY_HTTP__TLS_KEY", &*key)];
        let server = TestServer::with(&variables).await;
        let (code, said) = check(&["--url", &server.base, "--ca", &authority]);
        assert_eq!(code, Some(0), "{name}: {said}");
        let (code, said) = check(&["--url", &server.base, "--ca", &other]);
        assert_ne!(code, Some(0), "{name}: {said}");
        // Without an address, the server with these settings is asked.
        let mut own = command(folder.path());
        own.envs(variables).env("BOTARMY_HTTP__PORT", server.base.rsplit(':').next().unwrap());
        let (code, said) = say(own.arg("health-check"));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("{}/readyz answers 200", server.base)), "{said}");
    }
}

/// Writes a certificate that is an authority by its form and one that it signed, each with its key;
/// returns the path of the first.
fn authority(folder: &Path) -> String {
    let parameters = || rcgen::CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
    let (mut own, key) = (parameters(), rcgen::KeyPair::generate().unwrap());
    own.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = own.self_signed(&key).unwrap().pem();
    let (path, _) = write_pair(folder, "authority", &certificate, &key.serialize_pem());
    let issuer = rcgen::Issuer::new(own, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut signed = parameters();
    signed.distinguished_name.push(rcgen::DnType::CommonName, "server");
    let signed = signed.signed_by(&key, &issuer).unwrap().pem();
    write_pair(folder, "signed", &signed, &key.serialize_pem());
    path
}

/// Returns the time until the server closes a connection.
fn closed_after(mut stream: TcpStream, started: Instant) -> Duration {
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut rest = [0; 1024];
    loop {
        match stream.read(&mut rest) {
            Ok(1..) => {}
            Ok(0) => return started.elapsed(),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                return started.elapsed();
            }
        }
    }
}

/// First bytes of a handshake: a record of 512 bytes is announced, and does not come.
const BEGUN: &[u8] = &[22, 3, 1, 2, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_does_not_end_is_closed_like_a_slow_head() {
    let encrypted = Encrypted::with(&[]).await;
    let address = encrypted.address();
    let clients: Vec<_> = [&[], BEGUN]
        .into_iter()
        .map(|bytes| {
            std::thread::spawn(move || {
                let (mut stream, started) = (TcpStream::connect(address).unwrap(), Instant::now());
                stream.write_all(bytes).unwrap();
                closed_after(stream, started)
            })
        })
        .chain([std::thread::spawn(move || {
            // A byte in every tenth of a second.
            let (mut stream, started) = (TcpStream::connect(address).unwrap(), Instant::now());
            let mut writer = stream.try_clone().unwrap();
            stream.write_all(BEGUN).unwrap();
            std::thread::spawn(move || {
                while writer.write_all(b"\x01").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
            closed_after(stream, started)
        })])
        .collect();
    for client in clients {
        let took = client.join().unwrap();
        assert!((4..10).contains(&took.as_secs()), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_do_not_end_count_for_the_limit_of_their_address() {
    let encrypted = Encrypted::with(&[("BOTARMY_HTTP__WAITING_PER_ADDRESS", "3")]).await;
    let started = Instant::now();
    let stalled: Vec<_> = (0..10)
        .map(|_| {
            let mut stream = TcpStream::connect(encrypted.address()).unwrap();
            stream.write_all(BEGUN).unwrap();
            std::thread::spawn(move || closed_after(stream, started))
        })
        .collect();
    let mut took: Vec<_> = stalled.into_iter().map(|client| client.join().unwrap()).collect();
    took.sort_unstable();
    // Seven are too many; the others have the time of a handshake.
    assert!(took[6] < Duration::from_millis(3900), "{took:?}");
    assert!(took[7] > Duration::from_millis(3900), "{took:?}");
    assert_eq!(encrypted.server.get("/livez").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_gets_408_under_tls_too() {
    let encrypted = Encrypted::with(&[("BOTARMY_HTTP__BODY_TIMEOUT_S", "1")]).await;
    let mut stream = encrypted.connect(&encrypted.cert);
    let head = "POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n";
    let head = format!("{head}{}Content-Length: 100\r\n\r\n{{", header_line());
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The client hears of the end, too: `read_to_end` fails without a close_notify.
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

/// Way in which a client leaves. What it returns is kept until the round is over.
type End = fn(Tls) -> Option<Tls>;

const ENDS: [(&str, End); 4] = [
    ("a close_notify", |mut stream| {
        stream.conn.send_close_notify();
        stream.conn.complete_io(&mut stream.sock).unwrap();
        Some(stream)
    }),
    ("a close without a close_notify", |stream| {
        drop(stream);
        None
    }),
    ("a half-close without a close_notify", |stream| {
        stream.sock.shutdown(Shutdown::Write).unwrap();
        Some(stream)
    }),
    ("a reset", |stream| {
        set_socket_linger(&stream.sock, Some(Duration::ZERO)).unwrap();
        drop(stream);
        None
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_leaves_an_encrypted_connection_is_leased_nothing() {
    let encrypted = Encrypted::with(&[
        ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
        ("BOTARMY_WORKER__POLL_MS", "600000"),
    ])
    .await;
    let server = &encrypted.server;
    let project = server.by_hand().await;
    let poll = |worker: &str, wait_s: u64| json!({"worker_id": worker, "agents": ["coder"], "max": 1, "wait_s": wait_s});
    for (name, end) in ENDS {
        let body = poll("gone", 30).to_string();
        let mut stream = encrypted.connect(&encrypted.cert);
        let head = format!(
            "POST /api/v1/worker/leases HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\n{}Content-Length: {}\r\n\r\n",
            header_line(),
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        stream.flush().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let kept = end(stream);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let task = server.submit(&project, "coder", "A greeting").await;
        let (status, answer) = server.post("/api/v1/worker/leases", poll("live", 5)).await;
        assert_eq!(status, 200, "after {name}: {answer}");
        let lease = &answer["leases"][0];
        assert_eq!((&lease["task"]["task"]["id"], &lease["fence"]), (&json!(task), &json!(1)));
        let (status, said) = server.say(lease, "complete", json!({"output": {"a": 1}})).await;
        assert_eq!(status, 200, "after {name}: {said}");
        drop(kept);
    }
    // A client that stays gets its task.
    let body = poll("stays", 10).to_string();
    let request = client(&encrypted.cert)
        .request(Method::POST, format!("{}/api/v1/worker/leases", server.base))
        .header("content-type", "application/json")
        .body(body);
    let waiting = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.submit(&project, "coder", "A greeting").await;
    let answer: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["leases"].as_array().map(Vec::len), Some(1), "{answer}");
}
