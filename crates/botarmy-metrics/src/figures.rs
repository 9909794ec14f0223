//! All figures of a server: what counts them, what reads them, and their text.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::Usage;
use botarmy_domain::ports::{
    AgentRunner, Clock, CommitObserver, HitlStore, Ledger, Metrics, RouteMeter, TaskStore,
    UsageObserver,
};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::{Metric, Registry};
use tracing::error;

use crate::ledger::{Commits, MeteredLedger};
use crate::models::Models;
use crate::process;
use crate::read::{Read, Take};
use crate::routes::{Durations, Routes};
use crate::runner::{Attempts, MeteredRunner};
use crate::store::{Ports, StoreFigures};

/// Limits of the figures.
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    /// Version of the server.
    pub version: String,
    /// Providers and models that have a series whatever workers report.
    pub models: Vec<(String, String)>,
    /// Largest number of other models that have a series.
    pub max_models: usize,
    /// Time for which the figures that are read from the store are shown again.
    pub refresh: Duration,
    /// Time that the store has to answer.
    pub timeout: Duration,
}

/// The figures of one process. Clones share them.
#[derive(Clone)]
pub struct Figures(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    routes: Routes,
    commits: Commits,
    attempts: Attempts,
    models: Models,
    store: StoreFigures,
}

impl Figures {
    /// Creates the figures; those of the queue and of requests are read from these ports.
    #[must_use]
    pub fn new(
        tasks: Arc<dyn TaskStore>,
        requests: Arc<dyn HitlStore>,
        clock: Arc<dyn Clock>,
        settings: MetricsSettings,
    ) -> Self {
        let MetricsSettings { version, models, max_models, refresh, timeout } = settings;
        let figures = Self(Arc::new(Inner {
            registry: Mutex::new(Registry::default()),
            routes: Routes::default(),
            commits: Commits::new(),
            attempts: Attempts::new(),
            models: Models::new(models, max_models),
            store: StoreFigures::new(Ports { tasks, requests }, clock, refresh, timeout),
        }));
        figures.register_requests();
        figures.register_commits();
        figures.register_store();
        figures.register_agents();
        let version = Read::gauge(move |take| take(&[("version", &version)], 1.0));
        figures.register("botarmy_build_info", "Version of the server, with the value 1", version);
        for (name, help, metric) in process::metrics() {
            figures.register(format!("process_{name}"), help, metric);
        }
        figures
    }

    fn register_requests(&self) {
        let routes = &self.0.routes;
        let of = routes.clone();
        self.register(
            "botarmy_http_requests",
            "Number of answered requests by route, method and status",
            Read::counter(move |take| of.requests(take)),
        );
        self.register(
            "botarmy_http_request_duration_seconds",
            "Time from the head of a request to that of its response",
            Durations(routes.clone()),
        );
    }

    fn register_commits(&self) {
        let commits = &self.0.commits;
        let read = |read: fn(&Commits, Take<'_>)| {
            let commits = commits.clone();
            Read::counter(move |take| read(&commits, take))
        };
        self.register("botarmy_decisions", "Number of decisions by result", read(Commits::results));
        self.register(
            "botarmy_log_entries",
            "Number of log entries that were written, by type",
            read(Commits::entries),
        );
        self.register(
            "botarmy_gate_decisions",
            "Number of requests to people that ended, by outcome",
            read(Commits::answers),
        );
        self.register(
            "botarmy_leases_expired",
            "Number of leases that ended without a result",
            read(Commits::expired),
        );
        self.register(
            "botarmy_commit_duration_seconds",
            "Time from handing a decision to the store to its commit",
            commits.duration(),
        );
        self.register(
            "botarmy_transaction_duration_seconds",
            "Time of a transaction in which the store commits decisions",
            commits.transaction(),
        );
        self.register(
            "botarmy_transaction_decisions",
            "Number of decisions in a transaction",
            commits.batch(),
        );
    }

    fn register_store(&self) {
        let gauge = |read: fn(&StoreFigures, Take<'_>)| {
            let store = self.0.store.clone();
            Read::gauge(move |take| read(&store, take))
        };
        self.register(
            "botarmy_queue_tasks",
            "Number of pending tasks: ready, or waiting for a retry or a paused project",
            gauge(StoreFigures::tasks),
        );
        self.register(
            "botarmy_queue_oldest_task_age_seconds",
            "Time for which the oldest ready task could have been claimed",
            gauge(StoreFigures::oldest_task),
        );
        self.register(
            "botarmy_leases_running",
            "Number of tasks that workers hold",
            gauge(StoreFigures::leases),
        );
        self.register(
            "botarmy_gates_open",
            "Number of requests that wait for a person",
            gauge(StoreFigures::open_requests),
        );
        self.register(
            "botarmy_gates_oldest_age_seconds",
            "Age of the oldest request that waits for a person",
            gauge(StoreFigures::oldest_request),
        );
        let store = self.0.store.clone();
        self.register(
            "botarmy_metrics_store_errors",
            "Number of times that the figures of the store could not be read",
            Read::counter(move |take| store.errors(take)),
        );
    }

    fn register_agents(&self) {
        self.register(
            "botarmy_attempt_duration_seconds",
            "Time of attempts of the runners in this process, by agent type and outcome",
            self.0.attempts.metric(),
        );
        let models = self.0.models.clone();
        self.register(
            "botarmy_model_tokens",
            "Number of tokens that attempts used, by provider, model and direction",
            Read::counter(move |take| models.tokens(take)),
        );
        let models = self.0.models.clone();
        self.register(
            "botarmy_model_cost_dollars",
            "Cost of attempts in US dollars, by provider and model",
            Read::counter(move |take| models.cost(take)),
        );
    }

    fn register(&self, name: impl Into<String>, help: &str, metric: impl Metric) {
        let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric);
    }

    /// Adds a gauge of another part of the server, which is read at every scrape: it must not wait.
    pub fn add_gauge(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.register(name, help, Read::gauge(move |take| take(&[], read())));
    }

    /// Adds a gauge with one label. The number of its values must be fixed.
    pub fn add_gauges<const N: usize>(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> [(&'static str, f64); N] + Send + Sync + 'static,
    ) {
        let read = move |take: Take<'_>| {
            read().into_iter().for_each(|(value, number)| take(&[(label, value)], number));
        };
        self.register(name, help, Read::gauge(read));
    }

    /// Adds a counter of another part of the server. Its name has no `_total`, which the text adds.
    pub fn add_counter(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.register(name, help, Read::counter(move |take| take(&[], read() as f64)));
    }

    /// Returns the ledger that counts what is committed.
    #[must_use]
    pub fn ledger(&self, inner: Arc<dyn Ledger>) -> Arc<dyn Ledger> {
        Arc::new(MeteredLedger::new(inner, self.0.commits.clone()))
    }

    /// Returns the runner that times its attempts.
    #[must_use]
    pub fn runner(&self, inner: Arc<dyn AgentRunner>) -> Arc<dyn AgentRunner> {
        Arc::new(MeteredRunner::new(inner, self.0.attempts.clone()))
    }
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

#[async_trait]
impl Metrics for Figures {
    fn route(&self, method: &str, route: &str) -> Arc<dyn RouteMeter> {
        self.0.routes.meter(method, route)
    }

    async fn text(&self) -> String {
        self.0.store.refresh().await;
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::with_capacity(64 << 10);
        if let Err(error) = prometheus_text::encode(&mut text, &registry) {
            error!(%error, "The metrics could not be written");
        }
        text
    }
}

impl CommitObserver for Figures {
    fn committed(&self, decisions: usize, elapsed: Duration) {
        self.0.commits.committed(decisions, elapsed);
    }
}

impl UsageObserver for Figures {
    fn used(&self, usage: &Usage) {
        self.0.models.count(usage);
    }
}
