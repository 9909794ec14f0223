//! JSON over HTTP: parses a request, makes one call through a port, shapes the answer. Also the
//! OpenAPI document, packages as ZIP and the health probes.
//!
//! [`serve`] takes a listener and an [`Api`] (the ports) and returns a server that runs when it is
//! awaited. Every response, also an error of the framework, passes through one middleware that adds
//! an `X-Request-Id` and, where it is an error, a problem document (RFC 9457).

mod access;
mod admission;
mod agents;
mod artifacts;
mod audit;
mod budgets;
mod connections;
mod docs;
#[cfg(feature = "docs")]
mod docs_page;
mod documented;
mod emergency;
mod endpoint;
mod error;
mod event_stream;
mod extract;
mod health;
mod hitl;
mod idempotency;
mod leases;
mod metrics;
mod middleware;
mod origin_check;
mod packages;
mod paging;
mod peer;
mod projects;
mod range;
mod route_meters;
mod security_headers;
mod small_body;
mod status_cache;
mod tasks;
#[cfg(test)]
mod testing;
mod tls;
mod trace;
mod vocabulary;
mod webhooks;
mod worker_document;
pub mod zip;

use std::any::Any;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{Service, apply_fn_factory, map_config};
use actix_web::dev::{
    AppConfig, Extensions, Server, ServiceFactory, ServiceRequest, ServiceResponse,
};
use actix_web::rt::net::TcpStream;
use actix_web::web::{Bytes, Data, ServiceConfig};
use actix_web::{App, body::MessageBody, middleware::from_fn};
use botarmy_domain::ports::{
    Access, Clock, Gates, HealthCheck, Ids, LogQueries, Metrics, Operations, Projects, Queries,
    Sessions, Tasks, Tracer, Webhooks, WorkerLeases,
};
use botarmy_live::Hub;
use botarmy_web::{ErrorPages, OriginRule, PublicUrl, TrustedProxies, UnknownFields};

use crate::admission::Admission;
pub use crate::admission::{Concurrency, LimitSettings};
use crate::connections::{Connections, GuardedStream, WaitingLimits};
use crate::error::Problem;
use crate::idempotency::InProgress;
use crate::packages::ZipCache;
use crate::status_cache::StatusCache;
pub use crate::tls::{ServerIdentity, TlsError};

/// Parts of the API: the ports that it calls, and its settings.
#[derive(Clone)]
pub struct Api {
    /// The life cycle of projects.
    pub projects: Arc<dyn Projects>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
    /// Requests to people.
    pub gates: Arc<dyn Gates>,
    /// Artifacts, packages, budgets, emergency stops and agents.
    pub operations: Arc<dyn Operations>,
    /// Leases of external workers.
    pub leases: Arc<dyn WorkerLeases>,
    /// Reads everything but the logs.
    pub queries: Arc<dyn Queries>,
    /// Reads the logs.
    pub logs: Arc<dyn LogQueries>,
    /// Live frames, for event streams.
    pub live: Arc<Hub>,
    /// Recognises callers, and manages principals and keys.
    pub access: Arc<dyn Access>,
    /// Recognises people who are signed in.
    pub sessions: Arc<dyn Sessions>,
    /// Manages subscriptions of webhooks.
    pub webhooks: Arc<dyn Webhooks>,
    /// Writes the errors of requests for pages; without it they are problem documents.
    pub pages: Option<Arc<dyn ErrorPages>>,
    /// Time, for `timestamp` in a health response and for limits.
    pub clock: Arc<dyn Clock>,
    /// Entropy, for the ids of requests that bring none.
    pub ids: Arc<dyn Ids>,
    /// Components that a health probe checks.
    pub health: Vec<Arc<dyn HealthCheck>>,
    /// Records traces.
    pub tracer: Arc<dyn Tracer>,
    /// Figures of the process.
    pub metrics: Arc<dyn Metrics>,
    /// Limits and names.
    pub settings: HttpSettings,
}

/// Limits and names of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Name of the service in health responses and in the OpenAPI document.
    pub service: String,
    /// Version of the service, in the same places.
    pub version: String,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// Largest single text that people write, such as a description, in bytes.
    pub text_limit: usize,
    /// Treatment of fields and parameters that a request does not have.
    pub unknown_fields: UnknownFields,
    /// Time for the body of a request; one that is not complete by then must arrive at 16 KiB a
    /// second.
    pub body_timeout: Duration,
    /// Largest number of connections from one address that are idle or whose request has not arrived
    /// completely; 0 for no limit.
    pub waiting_per_address: usize,
    /// Limits of principals and of failed authentication.
    pub limits: LimitSettings,
    /// Whether the documentation of the API is open to everyone.
    pub docs_public: bool,
    /// Largest number of files that the process may have open, which limits connections.
    pub open_files: u64,
    /// Origins whose pages may read responses and change things, and the names of the server.
    pub origins: OriginRule,
    /// Proxies whose `X-Forwarded-For` is believed, and to which the limit of connections from one
    /// address does not apply.
    pub trusted_proxies: TrustedProxies,
    /// Address that clients use, if it is another than that of the listener.
    pub public_url: Option<PublicUrl>,
    /// The server has TLS of its own; set by [`serve`].
    pub has_tls: bool,
    /// Serve only health probes and metrics, as in a process that has no other role than to work.
    pub probes_only: bool,
    /// Length of a page of a list when the client asks for none.
    pub page: u32,
    /// Largest length of a page that a client may ask for.
    pub page_max: u32,
    /// Largest number of tasks in `GET /projects/{id}/status`.
    pub status_tasks: u32,
    /// Number of log entries that an export or a check reads at a time.
    pub log_page: u32,
    /// Size of the finished ZIPs that are kept, in bytes.
    pub zip_cache: usize,
    /// Folder for the temporary files of ZIPs; where it cannot be written to, they are in the folder
    /// of the machine for temporary files.
    pub spool: PathBuf,
    /// Time that one component has to respond to a health probe.
    pub probe_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            service: "botarmy".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            body_limit: 10 * 1024 * 1024,
            text_limit: 1024 * 1024,
            unknown_fields: UnknownFields::Reject,
            body_timeout: Duration::from_secs(10),
            waiting_per_address: 512,
            limits: LimitSettings::default(),
            docs_public: true,
            open_files: 20_000,
            origins: OriginRule::new(["http://localhost:3000", "http://localhost:5173"])
                .with_listener(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), false),
            trusted_proxies: TrustedProxies::default(),
            public_url: None,
            has_tls: false,
            probes_only: false,
            page: 100,
            page_max: 1000,
            status_tasks: 10_000,
            log_page: 250,
            zip_cache: 512 * 1024 * 1024,
            spool: std::env::temp_dir(),
            // A probe responds within a second, so each component gets a little less.
            probe_timeout: Duration::from_millis(900),
        }
    }
}

/// State of the application, shared by all handlers: the ports and the caches.
pub(crate) struct State {
    api: Api,
    zips: ZipCache,
    status_cache: StatusCache,
    in_progress: InProgress,
    admission: Admission,
    /// The OpenAPI document, written when it is first read.
    document: OnceLock<Bytes>,
}

impl State {
    fn new(api: Api) -> Data<Self> {
        let zips = ZipCache::new(api.settings.zip_cache);
        let (status_cache, document) = (StatusCache::default(), OnceLock::new());
        let in_progress = InProgress::default();
        let HttpSettings { docs_public, limits, .. } = &api.settings;
        let admission = Admission::new(&endpoints(), *docs_public, limits);
        Data::new(Self { api, zips, status_cache, in_progress, admission, document })
    }

    /// Returns the path under which clients reach this path of the server.
    pub(crate) fn public_path(&self, path: &str) -> String {
        let prefix = self.settings.public_url.as_ref().map_or("", PublicUrl::prefix);
        format!("{prefix}{path}")
    }

    /// Returns an error for a text that is longer than texts may be.
    pub(crate) fn check_text(&self, field: &str, text: &str) -> Result<(), Problem> {
        let limit = self.settings.text_limit;
        if text.len() > limit {
            let message = format!("has {} bytes; at most {limit} are possible", text.len());
            return Err(Problem::invalid(field, message));
        }
        Ok(())
    }

    /// Returns an error for an optional text that is longer than texts may be.
    pub(crate) fn check_optional(&self, field: &str, text: Option<&str>) -> Result<(), Problem> {
        text.map_or(Ok(()), |text| self.check_text(field, text))
    }

    /// Returns an error for suggested answers that together are longer than a text may be.
    pub(crate) fn check_options(&self, options: Option<&[String]>) -> Result<(), Problem> {
        let limit = self.settings.text_limit;
        let length: usize = options.unwrap_or_default().iter().map(String::len).sum();
        if length > limit {
            let message = format!("have {length} bytes; at most {limit} are possible");
            return Err(Problem::invalid("options", message));
        }
        Ok(())
    }
}

impl std::ops::Deref for State {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Time that an idle connection stays open: longer than load balancers keep theirs, usually a
/// minute, so that none of them sends a request into a connection that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Time for the head of the first request of a connection.
const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for which a connection stays open after a response to a request whose body was not read, so
/// that the client gets the response although it is still sending.
const LINGER: Duration = Duration::from_secs(1);

/// Number of files that are left for other things than connections.
const RESERVED_FILES: usize = 128;
/// Largest number of connections of a worker of the server.
const MAX_CONNECTIONS: usize = 25_600;

/// Returns a server on this listener. It does nothing until it is polled, and handles no signals:
/// the caller stops it through its handle.
///
/// With an `identity`, every connection is encrypted. `more` mounts routes of other crates into the
/// same application, behind the same middleware; the WebSocket route is one. `on_connect` is called
/// with every new connection, before a handshake.
///
/// # Errors
/// An error of the listener.
pub fn serve(
    listener: TcpListener,
    identity: Option<&ServerIdentity>,
    mut api: Api,
    workers: usize,
    shutdown_timeout: Duration,
    on_connect: impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static,
    more: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let workers = workers.max(1);
    let address = listener.local_addr()?;
    let acceptor = identity.map(ServerIdentity::acceptor).transpose();
    let acceptor = acceptor.map_err(std::io::Error::other)?;
    api.settings.has_tls = acceptor.is_some();
    api.settings.origins = api.settings.origins.with_listener(address, api.settings.has_tls);
    // The other half is for the database, for requests that are served, and for what waits for a
    // worker of the server.
    let open_files = usize::try_from(api.settings.open_files).unwrap_or(usize::MAX);
    let limits =
        WaitingLimits { per_address: api.settings.waiting_per_address, total: open_files / 2 };
    let connections = Connections::new(limits, api.settings.trusted_proxies.clone());
    tokio::spawn(Connections::run(Arc::downgrade(&connections)));
    let most = (open_files.saturating_sub(RESERVED_FILES) / workers).clamp(1, MAX_CONNECTIONS);
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(most)
        .shutdown_timeout(shutdown_timeout.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let state = State::new(api);
    let on_connect = Arc::new(on_connect);
    let factory = move || {
        let (stopping, on_connect) = (stopping.clone(), Arc::clone(&on_connect));
        let app = app(state.clone(), &more);
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(FIRST_HEAD_TIMEOUT)
            .client_disconnect_timeout(LINGER)
            .h1_allow_half_closed(true)
            .local_addr(address)
            .on_connect_ext(move |stream: &GuardedStream, data: &mut Extensions| {
                data.insert(Arc::clone(stream.connection()));
                data.insert(stream.peer());
                if let Some(socket) = stream.socket() {
                    on_connect(socket, data);
                }
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let (connections, acceptor) = (Arc::clone(&connections), acceptor.clone());
        apply_fn_factory(http, move |socket: TcpStream, http| {
            let peer = socket.peer_addr().ok();
            // Fails on a closed socket only, which the next read reports.
            drop(socket.set_nodelay(true));
            let stream = GuardedStream::new(socket, acceptor.as_ref(), &connections);
            let served = http.call((stream, Protocol::Http1, peer));
            async move { served.await.inspect_err(|error| log_end(peer, error)) }
        })
    };
    Ok(builder.listen("http", listener, factory)?.run())
}

/// Logs the end of a connection that did not end well. The protocol layer's own lines name neither
/// the peer nor the request, so they are left out of the log.
fn log_end(peer: Option<SocketAddr>, error: &DispatchError) {
    let peer = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    match error {
        DispatchError::Parse(error) => {
            tracing::info!(peer, %error, "Refused a malformed request from {peer}: {error}");
        }
        DispatchError::Body(_) | DispatchError::InternalError => {
            tracing::error!(peer, %error, "A response to {peer} could not be completed: {error}");
        }
        _ => tracing::debug!(peer, %error, "The connection of {peer} ended: {error}"),
    }
}

/// Returns the OpenAPI document, version 3.1, as JSON.
#[must_use]
pub fn openapi() -> String {
    docs::document(&HttpSettings::default().version, None)
}

/// Builds the application of one server thread.
fn app<M: Fn(&mut ServiceConfig)>(
    state: Data<State>,
    more: &M,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<M>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<M>,
> {
    let cors = middleware::cors(&state.settings.origins);
    let (probes_only, metrics) = (state.settings.probes_only, Arc::clone(&state.metrics));
    App::new()
        .app_data(state)
        .configure(|config| {
            if probes_only {
                let endpoints = [health::endpoints(), metrics::endpoints()].into_iter().flatten();
                endpoint::mount(config, endpoints.collect(), &*metrics);
            } else {
                endpoint::mount_for_pages(config, endpoints(), &*metrics);
                more(config);
                endpoint::mount(config, endpoints(), &*metrics);
            }
        })
        .default_service(actix_web::web::to(error::unknown_route))
        .wrap(from_fn(admission::admit))
        .wrap(cors)
        .wrap(from_fn(middleware::frame))
}

/// Returns every endpoint, the busiest first: the router tries them in this order.
fn endpoints() -> Vec<endpoint::Endpoint> {
    [
        tasks::endpoints(),
        leases::endpoints(),
        projects::endpoints(),
        agents::endpoints(),
        hitl::endpoints(),
        budgets::endpoints(),
        emergency::endpoints(),
        artifacts::endpoints(),
        packages::endpoints(),
        audit::endpoints(),
        event_stream::endpoints(),
        access::endpoints(),
        webhooks::endpoints(),
        health::endpoints(),
        metrics::endpoints(),
        docs::endpoints(),
        #[cfg(feature = "docs")]
        docs_page::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};

    use botarmy_domain::Page;

    use super::*;
    use crate::testing::{Fakes, log};

    /// Sends bytes to a server on a real socket and reads until it closes the connection. The
    /// requests are made for the port on which it listens.
    async fn exchange(
        fakes: Fakes,
        requests: impl FnOnce(u16) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_secs(60);
        let server = serve(listener, None, fakes.api(), 1, patience, |_, _| {}, |_| {}).unwrap();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server);
        let exchange = actix_web::web::block(move || {
            let one = |request: Vec<u8>| {
                let mut stream = TcpStream::connect(address).unwrap();
                // The server may answer and close before it has taken all of it.
                let _ = stream.write_all(&request);
                let _ = stream.shutdown(Shutdown::Write);
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer);
                String::from_utf8_lossy(&answer).into_owned()
            };
            requests(address.port()).into_iter().map(one).collect()
        });
        let answers = exchange.await.unwrap();
        handle.stop(true).await;
        running.await.unwrap().unwrap();
        answers
    }

    #[actix_web::test]
    async fn an_idle_connection_does_not_hold_up_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_secs(60);
        let server =
            serve(listener, None, Fakes::default().api(), 1, patience, |_, _| {}, |_| {}).unwrap();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server);
        let idle = actix_web::web::block(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).unwrap();
            stream
        });
        let idle = idle.await.unwrap();
        let started = std::time::Instant::now();
        handle.stop(true).await;
        running.await.unwrap().unwrap();
        assert!(started.elapsed() < patience / 4, "{:?}", started.elapsed());
        drop(idle);
    }

    fn request(head: &str, body: &str) -> Vec<u8> {
        format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n{body}").into_bytes()
    }

    #[actix_web::test]
    async fn over_the_wire_head_has_no_body_and_a_large_body_gets_its_answer() {
        let mut fakes = Fakes::default();
        fakes.settings.body_limit = 1000;
        fakes.logs.expect_entries().returning(|_, _, limit| Ok(Page::first(log(20).1, limit)));
        let large = "x".repeat(3_000_000);
        let post = format!("POST /api/v1/projects HTTP/1.1\r\nContent-Length: {}", large.len());
        let requests = vec![
            request("GET /livez HTTP/1.1", ""),
            request("HEAD /livez HTTP/1.1", ""),
            request("HEAD /api/v1/audit/events HTTP/1.1", ""),
            request(&post, &large),
            request("POST /api/v1/projects HTTP/1.1\r\nContent-Length: 9", "{\"na"),
            b"POST /api/v1/projects/x/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}\
              GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                .to_vec(),
        ];
        let answers = exchange(fakes, |_| requests).await;
        assert!(
            answers[0].starts_with("HTTP/1.1 200")
                && answers[0].ends_with("{\"status\":\"alive\"}")
        );
        let head = answers[1].to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 18"), "{head}");
        assert!(answers[1].ends_with("\r\n\r\n") && answers[2].ends_with("\r\n\r\n"));
        assert!(answers[3].starts_with("HTTP/1.1 413"), "{:.200}", answers[3]);
        assert!(answers[3].contains("larger than 1000 bytes"));
        assert!(answers[4].starts_with("HTTP/1.1 400") || answers[4].is_empty(), "{}", answers[4]);
        assert!(answers[5].starts_with("HTTP/1.1 422"), "{}", answers[5]);
        assert!(answers[5].contains("HTTP/1.1 200"), "a body nobody reads closes nothing");
    }

    #[actix_web::test]
    async fn over_the_wire_a_body_is_not_waited_for_before_the_credential_is_checked() {
        let (access, _) = crate::testing::with_keys(&[]);
        let fakes = Fakes { access: Some(access), ..Fakes::default() };
        // One is small enough to be read before routing, and neither arrives completely.
        let requests = [9, 3_000_000].map(|length| {
            let head = format!("POST /api/v1/projects HTTP/1.1\r\nContent-Length: {length}");
            request(&head, "{\"na")
        });
        for answer in exchange(fakes, |_| requests.into()).await {
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer:.200}");
        }
    }

    #[actix_web::test]
    async fn over_the_wire_a_path_that_is_too_long_gets_its_answer() {
        let path = "0".repeat(1_000_000);
        let head = format!("POST /api/v1/worker/leases/{path}/heartbeat HTTP/1.1");
        let answers = exchange(Fakes::default(), move |_| vec![request(&head, "")]).await;
        assert!(answers[0].starts_with("HTTP/1.1 431"), "{}", answers[0]);
    }

    #[actix_web::test]
    async fn over_the_wire_a_page_is_own_only_at_the_port_that_is_bound() {
        let cases = [
            ("http://localhost:PORT", "localhost:PORT", 422),
            ("HTTP://LOCALHOST:PORT", "localhost:PORT", 422),
            ("http://localhost:PORT", "LOCALHOST.:PORT", 422),
            ("http://127.0.0.1:PORT", "127.0.0.1:PORT", 422),
            ("http://[::1]:PORT", "[0:0::1]:PORT", 422),
            ("http://localhost:1", "localhost:1", 403),
            ("http://localhost", "localhost", 403),
            ("http://localhost:PORT", "localhost:1", 403),
            ("http://localhost:1", "localhost:PORT", 403),
            ("https://localhost:PORT", "localhost:PORT", 403),
            ("http://localhost:PORT", "127.0.0.1:PORT", 403),
        ];
        let requests = move |port: u16| {
            let request = |(origin, host, _): (&str, &str, u16)| {
                let head = format!("Host: {host}\r\nOrigin: {origin}\r\nConnection: close");
                let head = head.replace("PORT", &port.to_string());
                // Without a body it is 422, once it has been let in.
                format!("POST /api/v1/projects/x/pause HTTP/1.1\r\n{head}\r\n\r\n").into_bytes()
            };
            cases.map(request).to_vec()
        };
        let answers = exchange(Fakes::default(), requests).await;
        for ((origin, host, status), answer) in cases.into_iter().zip(answers) {
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&expected), "{origin} at {host}: {answer:.200}");
        }
    }
}
