//! The metrics of a server: what is counted, and which parts are asked at a scrape.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::AgentType;
use botarmy_domain::ports::Clock;
use botarmy_live::Hub;
use botarmy_metrics::{Figures, MetricsSettings};
use botarmy_orchestrator::WebhookControl;

use crate::settings::{RunnerChoice, Settings};
use crate::stores::Stores;

/// Creates the metrics of a server with this database.
pub(crate) fn figures(settings: &Settings, stores: &Stores, clock: &Arc<dyn Clock>) -> Figures {
    let (tasks, requests) = (Arc::clone(&stores.ports.tasks), Arc::clone(&stores.ports.requests));
    let model = |agent: &AgentType| match &settings.agent(*agent).runner {
        RunnerChoice::Llm { provider, model } => Some((provider.clone(), model.clone())),
        _ => None,
    };
    let limits = MetricsSettings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: AgentType::ALL.iter().filter_map(model).collect(),
        max_models: settings.metrics.max_models,
        refresh: Duration::from_secs(settings.metrics.refresh_s),
        timeout: Duration::from_millis(settings.metrics.timeout_ms),
    };
    let figures = Figures::new(tasks, requests, Arc::clone(clock), limits);
    stores.observe_commits(Arc::new(figures.clone()));
    let store = stores.clone();
    figures.add_gauges(
        "botarmy_store_queue_decisions",
        "Number of decisions that wait to be committed, and that can wait",
        "is",
        move || {
            let (waiting, capacity) = store.queued();
            [("waiting", waiting as f64), ("capacity", capacity as f64)]
        },
    );
    let store = stores.clone();
    figures.add_gauges(
        "botarmy_database_connections",
        "Number of connections for reading: in use, open and idle, and at most",
        "state",
        move || {
            let (used, open, most) = store.connections();
            let idle = open.saturating_sub(used);
            [("used", used as f64), ("idle", idle as f64), ("max", most as f64)]
        },
    );
    figures
}

/// Adds the metrics of webhooks.
pub(crate) fn add_webhooks(figures: &Figures, webhooks: &WebhookControl) {
    let control = webhooks.clone();
    figures.add_gauge(
        "botarmy_webhook_subscriptions",
        "Number of webhooks that this server delivers for",
        move || control.figures().runners as f64,
    );
    let control = webhooks.clone();
    figures.add_gauge(
        "botarmy_webhook_backlog_logs",
        "Number of logs with entries that wait to be delivered, for each of these webhooks",
        move || control.figures().backlog as f64,
    );
    let control = webhooks.clone();
    figures.add_counter(
        "botarmy_webhook_deliveries",
        "Number of attempts to deliver that the receiver has taken",
        move || control.figures().delivered,
    );
    let control = webhooks.clone();
    figures.add_counter(
        "botarmy_webhook_failures",
        "Number of attempts to deliver that have failed",
        move || control.figures().failed,
    );
}

/// Adds the metrics of the live streams.
pub(crate) fn add_live(figures: &Figures, live: &Arc<Hub>) {
    let hub = Arc::clone(live);
    figures.add_gauge("botarmy_live_subscribers", "Number of live connections", move || {
        hub.connections() as f64
    });
    let hub = Arc::clone(live);
    figures.add_gauge(
        "botarmy_live_watched_logs",
        "Number of logs that live connections watch",
        move || hub.watched_logs() as f64,
    );
    let hub = Arc::clone(live);
    figures.add_counter(
        "botarmy_live_gaps",
        "Number of gap frames, which tell a client that entries were left out",
        move || hub.gaps(),
    );
    let hub = Arc::clone(live);
    figures.add_counter(
        "botarmy_live_catch_ups",
        "Number of reads of a log for a client that had fallen behind",
        move || hub.catch_ups(),
    );
    let hub = Arc::clone(live);
    figures.add_counter(
        "botarmy_live_bus_losses",
        "Number of times that the event bus reported lost messages, which are then read from the logs",
        move || hub.losses(),
    );
}
