use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant as Time;

use actix_web::dev::Service;
use actix_web::{App, HttpMessage, HttpServer};
use botarmy_domain::ProjectId;
use botarmy_domain::ports::MockAccess;
use botarmy_web::OriginRule;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, protocol};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use botarmy_domain::LogId;
use botarmy_live::LiveSettings;
use botarmy_live::fakes::{LogWriter, World};

mod access;

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SOON: Duration = Duration::from_secs(10);

struct Server {
    world: Arc<World>,
    hub: Arc<Hub>,
    callers: Callers,
    address: SocketAddr,
    handle: dev::ServerHandle,
}

/// Header in which a client of these tests names one of [`Callers`].
const CALLER: &str = "x-caller";

/// Callers by name, as they are now.
type Callers = Arc<Mutex<HashMap<String, Result<Caller, Denial>>>>;

fn caller_of(callers: &Callers, name: &str) -> Result<Caller, Denial> {
    let callers = callers.lock().unwrap();
    callers.get(name).cloned().unwrap_or_else(|| Ok(Caller::person(name)))
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not awaited: the arbiter ends with the test's runtime.
        drop(self.handle.stop(false));
    }
}

async fn serve(settings: WsSettings) -> Server {
    serve_limited(LiveSettings::default(), settings).await
}

async fn serve_limited(limits: LiveSettings, settings: WsSettings) -> Server {
    let world = World::new();
    let (bus, logs, clock) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
    let hub = Hub::start(bus, logs, clock, limits);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let settings =
        WsSettings { origins: settings.origins.with_listener(address, false), ..settings };
    let (mounted, settings) = (Arc::clone(&hub), Arc::new(settings));
    let on_connect = on_connect(&settings);
    let callers = Callers::default();
    let mut access = MockAccess::new();
    let known = Arc::clone(&callers);
    access.expect_recheck().returning(move |caller| caller_of(&known, caller.name()));
    let access: Arc<dyn Access> = Arc::new(access);
    let mount = move |cfg: &mut web::ServiceConfig| routes(cfg, &mounted, &access, &settings);
    let known = Arc::clone(&callers);
    let app = move || {
        let known = Arc::clone(&known);
        // As the middleware of the server does it.
        let app = App::new().wrap_fn(move |request, service| {
            let name = request.headers().get(CALLER).and_then(|name| name.to_str().ok());
            if let Ok(caller) = caller_of(&known, name.unwrap_or("anonymous")) {
                request.extensions_mut().insert(botarmy_web::Caller(caller));
            }
            service.call(request)
        });
        app.configure(&mount)
    };
    let server = HttpServer::new(app).on_connect(on_connect).workers(1).listen(listener).unwrap();
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    while world.subscribers() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Server { world, hub, callers, address, handle }
}

impl Server {
    fn url(&self, query: &str) -> String {
        format!("ws://{}/ws{query}", self.address)
    }

    async fn connect(&self, query: &str) -> Client {
        timeout(SOON, connect_async(self.url(query))).await.unwrap().unwrap().0
    }

    /// Returns the status and the problem document in place of an upgrade.
    async fn refusal(&self, query: &str, headers: &[(&'static str, &str)]) -> (u16, Value) {
        let mut request = self.url(query).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Err(Error::Http(response)) => {
                let status = response.status().as_u16();
                let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
                assert_eq!(kind, "application/problem+json");
                let body = response.body().as_deref().unwrap_or_default();
                (status, serde_json::from_slice(body).unwrap())
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

async fn read(client: &mut Client) -> Value {
    loop {
        match timeout(SOON, client.next()).await.expect("a frame should have come") {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("expected a frame, got {other:?}"),
        }
    }
}

/// Returns the code with which the connection is closed.
async fn close_code(client: &mut Client) -> u16 {
    loop {
        match timeout(SOON, client.next()).await.expect("it should have been closed") {
            Some(Ok(Message::Close(reason))) => return reason.unwrap().code.into(),
            Some(Ok(_)) => {}
            other => panic!("expected a close frame, got {other:?}"),
        }
    }
}

async fn say(client: &mut Client, text: &str) {
    client.send(Message::text(text)).await.unwrap();
}

fn id_of(log: LogId) -> ProjectId {
    log.project().unwrap()
}

#[actix_web::test]
async fn a_subscriber_gets_the_past_and_the_present() {
    let server = serve(WsSettings::default()).await;
    let log = LogWriter::project();
    server.world.commit_and_announce(log, 100);
    let mut client = server.connect(&format!("?project_id={}&after=40", id_of(log))).await;
    server.world.commit_and_announce(log, 10);
    for seq in 41..=110 {
        let frame = read(&mut client).await;
        assert_eq!(frame["seq"], seq);
        assert_eq!(frame["project_id"], json!(id_of(log)));
    }
}

#[actix_web::test]
async fn the_trailing_slash_and_both_forms_of_an_id_are_welcome() {
    let server = serve(WsSettings::default()).await;
    let log = LogWriter::project();
    let plain = id_of(log).uuid().simple().to_string().to_uppercase();
    let url = format!("ws://{}/ws/?project_id={plain}", server.address);
    let (mut client, _) = connect_async(url).await.unwrap();
    server.world.commit_and_announce(log, 1);
    assert_eq!(read(&mut client).await["seq"], 1);
}

#[actix_web::test]
async fn clients_are_answered_and_understood() {
    let server = serve(WsSettings::default()).await;
    let log = LogWriter::project();
    server.world.commit_and_announce(log, 3);
    let mut client = server.connect("").await;
    say(&mut client, r#"{"type":"ping"}"#).await;
    assert_eq!(read(&mut client).await, json!({"type": "pong"}));

    let id = id_of(log);
    say(&mut client, &json!({"type": "subscribe", "project_id": id, "after": 1}).to_string()).await;
    let answer = json!({"type": "subscribed", "project_id": id, "after": 1});
    assert_eq!(read(&mut client).await, answer);
    assert_eq!(read(&mut client).await["seq"], 2);
    assert_eq!(read(&mut client).await["seq"], 3);

    say(&mut client, &json!({"type": "unsubscribe", "project_id": id}).to_string()).await;
    assert_eq!(read(&mut client).await, json!({"type": "unsubscribed", "project_id": id}));
    server.world.commit_and_announce(log, 1);
    server.world.commit_and_announce(LogId::System, 1);
    assert_eq!(read(&mut client).await["project_id"], Value::Null);

    say(&mut client, r#"{"type":"subscribe","project_id":"all"}"#).await;
    assert_eq!(read(&mut client).await, json!({"type": "subscribed", "project_id": "all"}));
    server.world.commit_and_announce(LogWriter::project(), 1);
    assert_eq!(read(&mut client).await["seq"], 1);
}

#[actix_web::test]
async fn whatever_else_a_client_says_gets_an_error_and_the_subscription_stays() {
    let server = serve(WsSettings::default()).await;
    let (log, missing) = (LogWriter::project(), LogWriter::project());
    server.world.hide(id_of(missing));
    let mut client = server.connect(&format!("?project_id={}", id_of(log))).await;
    let too_far = u64::MAX;
    let missing = id_of(missing);
    for (said, expected) in [
        ("hello".to_owned(), "not JSON"),
        ("{\"type\":\"ping\",\"type\":\"ping\"}".to_owned(), "type: occurs twice"),
        ("[1]".to_owned(), "`type` must be one of"),
        (r#"{"type":"sing"}"#.to_owned(), "`type` must be one of"),
        (r#"{"type":"subscribe"}"#.to_owned(), "`project_id` must be given"),
        (r#"{"type":"subscribe","project_id":7}"#.to_owned(), "`project_id` must be given"),
        (r#"{"type":"subscribe","project_id":"x"}"#.to_owned(), "not a UUID"),
        (format!(r#"{{"type":"subscribe","project_id":"{missing}"}}"#), "does not exist"),
        (
            format!(r#"{{"type":"subscribe","project_id":"{missing}","after":-1}}"#),
            "must be a position",
        ),
        (
            format!(r#"{{"type":"subscribe","project_id":"{missing}","after":{too_far}}}"#),
            "must be a position",
        ),
        (r#"{"type":"subscribe","project_id":"all","after":1}"#.to_owned(), "with `all` it means"),
    ] {
        say(&mut client, &said).await;
        let frame = read(&mut client).await;
        assert_eq!(frame["event_type"], "error", "{said}");
        let message = frame["data"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{said}: {message}");
    }
    client.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    assert_eq!(read(&mut client).await["event_type"], "error");
    server.world.commit_and_announce(log, 1);
    assert_eq!(read(&mut client).await["seq"], 1);
}

#[actix_web::test]
async fn what_can_be_refused_is_refused_before_the_upgrade() {
    let server = serve(WsSettings::default()).await;
    let missing = id_of(LogWriter::project());
    server.world.hide(missing);
    let refused = async |query: &str| server.refusal(query, &[]).await;

    let (status, problem) = refused(&format!("?project_id={missing}")).await;
    assert_eq!(status, 404);
    assert_eq!(problem["detail"], format!("Project {missing} does not exist."));
    assert_eq!(problem["instance"], "/ws");
    for (query, field) in [
        ("?project_id=x", "project_id"),
        ("?project_id=", "project_id"),
        (&*format!("?project_id={missing}&after=-1"), "after"),
        (&*format!("?project_id={missing}&after=x"), "after"),
        (&*format!("?project_id={missing}&after=9223372036854775808"), "after"),
        ("?project_id=all&after=1", "after"),
        ("?after=", "after"),
    ] {
        let (status, problem) = refused(query).await;
        assert_eq!(status, 422, "{query}");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    server.world.down.store(true, Ordering::SeqCst);
    assert_eq!(refused(&format!("?project_id={missing}")).await.0, 503);
    server.world.down.store(false, Ordering::SeqCst);
    assert_eq!(server.hub.connections(), 0);
    assert_eq!(server.hub.watched_logs(), 0);
}

#[actix_web::test]
async fn a_full_house_is_said_before_the_upgrade_and_when_to_come_back() {
    let limits = LiveSettings { max_connections: 2, ..LiveSettings::default() };
    let server = serve_limited(limits, WsSettings::default()).await;
    let _first = server.connect("").await;
    let second = server.connect("").await;
    let Err(Error::Http(response)) = connect_async(server.url("")).await else {
        panic!("there should be no room");
    };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    drop(second);
    let begun = Time::now();
    while connect_async(server.url("")).await.is_err() {
        assert!(begun.elapsed() < SOON, "a place should be free again");
    }
}

async fn plain(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[actix_web::test]
async fn who_does_not_speak_websocket_is_told_so() {
    let server = serve(WsSettings::default()).await;
    let response = plain(server.address, "GET /ws HTTP/1.1").await;
    assert!(response.starts_with("HTTP/1.1 426 "), "{response}");
    assert!(response.to_lowercase().contains("\r\nupgrade: websocket\r\n"), "{response}");
    let missing = id_of(LogWriter::project());
    server.world.hide(missing);
    let response = plain(server.address, &format!("GET /ws?project_id={missing} HTTP/1.1")).await;
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    let response = plain(server.address, "POST /ws HTTP/1.1").await;
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    assert!(response.to_lowercase().contains("\r\nallow: get\r\n"), "{response}");
}

#[actix_web::test]
async fn pages_from_elsewhere_may_not_connect() {
    let origins = OriginRule::new(["http://localhost:3000", "https://console.example"]);
    let server = serve(WsSettings { origins, ..WsSettings::default() }).await;
    let port = server.address.port().to_string();
    for (origin, host, may_connect) in [
        ("http://localhost:3000", "anything", true),
        ("https://console.example", "api.example", true),
        ("https://CONSOLE.example", "api.example", true),
        ("https://console.example:443", "api.example", true),
        ("http://127.0.0.1:PORT", "127.0.0.1:PORT", true),
        ("http://[::1]:PORT", "[::1]:PORT", true),
        ("http://127.1.2.3:PORT", "127.1.2.3:PORT", true),
        ("HTTP://LOCALHOST:PORT", "localhost:PORT", true),
        ("http://localhost:PORT", "LOCALHOST.:PORT", true),
        // Another scheme, port or name than the listener's.
        ("https://localhost:PORT", "localhost:PORT", false),
        ("http://localhost", "localhost", false),
        ("http://localhost:1", "localhost:1", false),
        ("http://localhost:1", "localhost:PORT", false),
        ("http://localhost:PORT", "127.0.0.1:PORT", false),
        ("http://evil.example", "localhost:PORT", false),
        ("https://console.example.evil.example", "localhost:PORT", false),
        // A foreign name that was made to resolve to this machine.
        ("http://evil.example:PORT", "evil.example:PORT", false),
        ("null", "localhost:PORT", false),
        ("", "localhost:PORT", false),
        ("file://", "localhost:PORT", false),
    ] {
        let (origin, host) = (origin.replace("PORT", &port), host.replace("PORT", &port));
        let mut request = server.url("").into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("host", host.parse().unwrap());
        let connected = connect_async(request).await.is_ok();
        assert_eq!(connected, may_connect, "{origin} at {host}");
    }
}

#[actix_web::test]
async fn a_page_from_elsewhere_is_refused_and_one_of_ours_is_not() {
    let server = serve(WsSettings::default()).await;
    let (status, problem) = server.refusal("", &[("origin", "http://evil.example")]).await;
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("http.cors_origins"), "{problem}");
    let mut request = server.url("").into_client_request().unwrap();
    request.headers_mut().insert("origin", "http://localhost:5173".parse().unwrap());
    assert!(connect_async(request).await.is_ok());
}

#[actix_web::test]
async fn an_unknown_parameter_or_member_is_refused_and_the_subscription_stays() {
    let server = serve(WsSettings::default()).await;
    let (status, problem) = server.refusal("?project=all", &[]).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &"project".into()));
    assert!(problem["detail"].as_str().unwrap().contains("`project_id`"), "{problem}");
    let log = LogWriter::project();
    let mut client = server.connect(&format!("?project_id={}", id_of(log))).await;
    for (message, name) in [
        (r#"{"type":"subscribe","project_id":"all","aftr":7}"#, "aftr"),
        (r#"{"type":"unsubscribe","project_id":"all","after":7}"#, "after"),
        (r#"{"type":"ping","x":1}"#, "`x`"),
    ] {
        say(&mut client, message).await;
        let frame = read(&mut client).await;
        assert_eq!(frame["event_type"], "error");
        assert!(frame.to_string().contains(name), "{frame}");
    }
    server.world.commit_and_announce(log, 1);
    assert_eq!(read(&mut client).await["seq"], 1);

    let unknown_fields = UnknownFields::Ignore;
    let server = serve(WsSettings { unknown_fields, ..WsSettings::default() }).await;
    let mut client = server.connect("?projct=all").await;
    say(&mut client, r#"{"type":"ping","x":1}"#).await;
    assert_eq!(read(&mut client).await["type"], "pong");
}

#[actix_web::test]
async fn a_message_that_is_too_long_closes_with_1009_before_it_has_all_come() {
    let server = serve(WsSettings::default()).await;
    let mut client = server.connect("").await;
    say(&mut client, &" ".repeat(65_536)).await;
    assert_eq!(read(&mut client).await["event_type"], "error", "64 KiB exactly are allowed");
    say(&mut client, &" ".repeat(65_537)).await;
    assert_eq!(close_code(&mut client).await, 1009);

    let mut client = server.connect("").await;
    let MaybeTlsStream::Plain(stream) = client.get_mut() else { panic!("no TLS here") };
    let header = [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    stream.write_all(&header).await.unwrap();
    assert_eq!(close_code(&mut client).await, 1009, "a frame of 4 GiB that never comes");
}

#[actix_web::test]
async fn text_that_is_none_closes_with_1007_and_a_broken_frame_with_1002() {
    let server = serve(WsSettings::default()).await;
    for (bytes, code) in [
        (vec![0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe], 1007),
        (vec![0x01, 0x82, 0, 0, 0, 0, 0xff, 0xfe, 0x80, 0x80, 0, 0, 0, 0], 1007),
        (vec![0xc1, 0x81, 0, 0, 0, 0, 0x41], 1002),
        (vec![0x81, 0x01, 0x41], 1002),
        (vec![0x80, 0x81, 0, 0, 0, 0, 0x41], 1002),
    ] {
        let mut client = server.connect("").await;
        let MaybeTlsStream::Plain(stream) = client.get_mut() else { panic!("no TLS here") };
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut client).await, code, "{bytes:02x?}");
    }
}

#[actix_web::test]
async fn a_client_that_says_goodbye_is_answered() {
    let server = serve(WsSettings::default()).await;
    let mut client = server.connect("").await;
    let reason = protocol::CloseFrame { code: 1000.into(), reason: "bye".into() };
    client.close(Some(reason)).await.unwrap();
    assert_eq!(close_code(&mut client).await, 1000);
    let begun = Time::now();
    while server.hub.connections() > 0 {
        assert!(begun.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[actix_web::test]
async fn a_ping_is_answered_with_what_it_held() {
    let server = serve(WsSettings::default()).await;
    let mut client = server.connect("").await;
    client.send(Message::Ping(Bytes::from_static(b"abc"))).await.unwrap();
    let pong = timeout(SOON, client.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"abc")));
}

#[actix_web::test]
async fn a_silent_peer_is_closed_and_one_that_answers_is_kept() {
    let heartbeat = Duration::from_millis(100);
    let server = serve(WsSettings { heartbeat, ..WsSettings::default() }).await;
    let log = LogWriter::project();
    let mut client = server.connect(&format!("?project_id={}", id_of(log))).await;
    let mut silent = server.connect("").await;
    let world = Arc::clone(&server.world);
    let late = tokio::spawn(async move {
        tokio::time::sleep(heartbeat * 6).await;
        world.commit_and_announce(log, 1);
    });
    assert_eq!(read(&mut client).await["seq"], 1, "its pongs are sent as it reads");
    late.await.unwrap();
    // Nothing was read from it until now, so nothing was answered.
    assert_eq!(close_code(&mut silent).await, 1008);
    assert_eq!(server.hub.connections(), 1);
}

#[actix_web::test]
async fn a_client_that_stops_reading_is_given_up_and_delays_nobody() {
    let settings = WsSettings {
        send_timeout: Duration::from_millis(300),
        heartbeat: Duration::from_millis(500),
        ..WsSettings::default()
    };
    let server = serve(settings).await;
    let log = LogWriter::project();
    let query = format!("?project_id={}", id_of(log));
    let mut stalled = server.connect(&query).await;
    let mut quick = server.connect(&query).await;
    let data = json!({"output": "x".repeat(20_000)});
    let begun = Time::now();
    for seq in 1..=1000 {
        let event_type = botarmy_domain::EventType::TaskCompleted;
        let entry = server.world.commit_one(log, event_type, data.clone());
        server.world.announce_entry(&entry);
        assert_eq!(read(&mut quick).await["seq"], seq);
    }
    let took = begun.elapsed();
    while server.hub.connections() > 1 {
        assert!(begun.elapsed() < took + SOON, "the stalled one should have been given up");
        say(&mut quick, r#"{"type":"ping"}"#).await;
        assert_eq!(read(&mut quick).await["type"], "pong");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if cfg!(target_os = "linux") {
        // The kernel has given up the socket, with what was buffered for it.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let mut received = 0;
        let ended = loop {
            match timeout(SOON, stalled.next()).await.expect("the connection should be over") {
                Some(Ok(_)) => received += 1,
                other => break other,
            }
        };
        let reset = std::io::ErrorKind::ConnectionReset;
        assert!(matches!(&ended, Some(Err(Error::Io(e))) if e.kind() == reset), "{ended:?}");
        assert!(received < 1000, "{received} frames of 20 kB do not fit into buffers");
    }
}

#[actix_web::test]
async fn everybody_is_told_when_the_server_stops() {
    let server = serve(WsSettings::default()).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(server.connect("").await);
    }
    let hub = Arc::clone(&server.hub);
    let stopping = tokio::spawn(async move { hub.shutdown().await });
    for client in &mut clients {
        assert_eq!(close_code(client).await, 1001);
    }
    timeout(SOON, stopping).await.unwrap().unwrap();
    assert_eq!(server.hub.connections(), 0);
    assert_eq!(server.refusal("", &[]).await.0, 503);
}
