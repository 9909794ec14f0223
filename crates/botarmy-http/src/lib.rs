//! JSON over HTTP: parses a request, makes one call through a port, shapes the answer. Also the
//! OpenAPI document, packages as ZIP and the health probes.
//!
//! [`serve`] takes a listener and an [`Api`] (the ports) and returns a server that runs when it is
//! awaited. Every answer, also an error from deep inside the framework, passes through one frame
//! that gives it an `X-Request-Id` and, where it is an error, a problem document (RFC 9457).

mod agents;
mod artifacts;
mod audit;
mod context;
mod docs;
mod endpoint;
mod error;
mod extract;
mod frame;
mod health;
mod hitl;
mod projects;
mod range;
mod tasks;
#[cfg(test)]
mod testing;
mod words;
pub mod zip;

use std::any::Any;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer, body::MessageBody, middleware::from_fn};
use botarmy_domain::ports::{
    AgentStatus, AuditLog, Clock, ContextStore, HealthCheck, HitlStore, Ids, Orchestrator,
    PackageStore, ProjectStore, TaskStore,
};

use crate::artifacts::ZipCache;

/// What the API is made of: the ports it speaks to, and its settings.
#[derive(Clone)]
pub struct Api {
    /// Everything that can be asked.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// Reading projects.
    pub projects: Arc<dyn ProjectStore>,
    /// Reading tasks.
    pub tasks: Arc<dyn TaskStore>,
    /// Reading human-in-the-loop requests.
    pub requests: Arc<dyn HitlStore>,
    /// Reading artifacts.
    pub context: Arc<dyn ContextStore>,
    /// Reading which packages were made.
    pub packages: Arc<dyn PackageStore>,
    /// Reading the logs.
    pub audit: Arc<dyn AuditLog>,
    /// Reading what the agents are doing.
    pub agents: Arc<dyn AgentStatus>,
    /// The time, for `timestamp` in a health answer.
    pub clock: Arc<dyn Clock>,
    /// Entropy, for the ids of requests that bring none.
    pub ids: Arc<dyn Ids>,
    /// The parts that a health probe asks.
    pub health: Vec<Arc<dyn HealthCheck>>,
    /// Numbers and names.
    pub settings: HttpSettings,
}

/// Numbers and names of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The service's name in health answers and in the OpenAPI document.
    pub service: String,
    /// Its version.
    pub version: String,
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// Origins whose pages may read answers, such as `http://localhost:3000`. Exact; no wildcard.
    pub cors_origins: Vec<String>,
    /// How long a page of a list is when the client does not say.
    pub page: u32,
    /// How long it may be at most.
    pub page_max: u32,
    /// How many tasks `GET /projects/{id}/status` shows at most.
    pub status_tasks: u32,
    /// How many log entries are read at a time for an export or a check.
    pub log_page: u32,
    /// How many bytes of finished ZIPs are kept in memory.
    pub zip_cache: usize,
    /// How long one part may take to answer a health probe.
    pub probe_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            service: "botarmy".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            body_limit: 10 * 1024 * 1024,
            cors_origins: vec![
                "http://localhost:3000".to_owned(),
                "http://localhost:5173".to_owned(),
            ],
            page: 100,
            page_max: 1000,
            status_tasks: 10_000,
            log_page: 250,
            zip_cache: 64 * 1024 * 1024,
            // A probe answers within a second, so each part gets a little less.
            probe_timeout: Duration::from_millis(900),
        }
    }
}

/// What every handler is given: the ports, and what the API keeps for itself.
pub(crate) struct State {
    api: Api,
    zips: ZipCache,
}

impl State {
    fn new(api: Api) -> Data<Self> {
        let zips = ZipCache::new(api.settings.zip_cache);
        Data::new(Self { api, zips })
    }
}

impl std::ops::Deref for State {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// A server on this listener. Nothing happens until the returned future is polled; signals are the
/// caller's affair, who stops it through its handle.
///
/// `on_connect` is shown every new connection. `more` mounts what does not belong to this crate into the same application, behind the same
/// frame: the WebSocket route.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    api: Api,
    workers: usize,
    shutdown_timeout: Duration,
    on_connect: impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static,
    more: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let state = State::new(api);
    let server = HttpServer::new(move || app(state.clone(), &more))
        .workers(workers.max(1))
        .shutdown_timeout(shutdown_timeout.as_secs())
        .on_connect(on_connect)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// The OpenAPI document, version 3.1, as JSON.
#[must_use]
pub fn openapi() -> String {
    docs::document(&HttpSettings::default().version)
}

/// One worker's application.
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
    let cors = frame::cors(&state.settings.cors_origins);
    App::new()
        .app_data(state)
        .configure(more)
        .configure(|config| endpoint::mount(config, endpoints()))
        .default_service(actix_web::web::to(error::unknown_route))
        .wrap(cors)
        .wrap(from_fn(frame::frame))
}

/// Every endpoint, the most asked for first.
fn endpoints() -> Vec<endpoint::Endpoint> {
    [
        projects::endpoints(),
        tasks::endpoints(),
        agents::endpoints(),
        hitl::endpoints(),
        context::endpoints(),
        artifacts::endpoints(),
        audit::endpoints(),
        health::endpoints(),
        docs::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
