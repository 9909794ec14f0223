//! The choice of an adapter for every port: the one place that names them all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use anyhow::Context;
use botarmy_console::Console;
use botarmy_domain::Defaults;
use botarmy_domain::ports::{Clock, IdentityProvider, Ids, Secrets, StorePorts};
use botarmy_domain::{AgentType, WorkerId};
use botarmy_http::{Api, Concurrency, HttpSettings, LimitSettings, ServerIdentity};
use botarmy_live::{Hub, LiveSettings};
use botarmy_metrics::Figures;
use botarmy_orchestrator::{
    AccessControl, AccessSettings, Engine, EngineSettings, LeaseDispatcher, LeaseSettings, Leases,
    Ports, Runners, WebhookControl, Worker, WorkerSettings, Workflows,
};
use botarmy_web::{OriginRule, PublicUrl};
use botarmy_ws::WsSettings;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::channels::{self, Channels};
use crate::environment::environment;
use crate::features::Features;
use crate::health_log;
use crate::metrics;
use crate::open_files;
use crate::openid;
use crate::runners::{BuiltRunners, resolve_auto, work_by_agent};
use crate::settings::{Role, Settings};
use crate::steady_clock::SteadyClock;
use crate::stores::Stores;
use crate::system::{RandomIds, RandomSecrets, SystemClock};
use crate::traces::Traces;
use crate::webhooks;

/// Time limit for stopping the agents after their grace. The worker returns its tasks in less, unless
/// the store hangs.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit for the store to commit waiting decisions and to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Everything that runs in a server, put together.
pub struct System {
    /// The use cases.
    pub engine: Engine,
    /// Principals and keys.
    pub access: AccessControl,
    /// OpenID provider with which people sign in, if there is one.
    pub provider: Option<Arc<dyn IdentityProvider>>,
    /// Webhooks.
    webhooks: WebhookControl,
    /// Everything that is stored.
    pub stores: Stores,
    /// Channels for messages, wake-ups and agent statuses.
    pub channels: Channels,
    figures: Figures,
    traces: Traces,
    role: Role,
    worker: Arc<Worker>,
    leases: Leases,
    dispatcher: Option<LeaseDispatcher>,
    runners: BuiltRunners,
    served: BTreeSet<AgentType>,
    agents_line: String,
    /// Parties that do the work of each agent type with a runner.
    work_by_agent: Arc<BTreeMap<AgentType, String>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    timer_interval: Duration,
    grace: Duration,
    stop: watch::Sender<bool>,
    working: Option<JoinHandle<()>>,
    delivering: Option<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    /// Follows changes of access; ends when everything else has.
    following_access: Option<(watch::Sender<bool>, JoinHandle<()>)>,
    live: Option<Arc<Hub>>,
    open_files: u64,
}

impl System {
    /// Opens the store and puts everything together; nothing runs yet.
    ///
    /// # Errors
    /// A data directory that is in use or cannot be used, a workflow that is not sound, an address
    /// that cannot be read.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let configured = settings;
        let settings = &resolve_auto(settings, Features::COMPILED, &environment);
        let agents_line = BuiltRunners::describe(configured, settings);
        let workflows = Workflows::load(&settings.workflows.dir)?;
        // Where keys are needed, people are in groups of their own, which come and go.
        let groups = settings.gates.groups.keys().cloned().collect();
        let groups = (!settings.access.needs_keys()).then_some(&groups);
        workflows.check_rules(&settings.gates.rules(), groups)?;
        let clock: Arc<dyn Clock> = Arc::new(SteadyClock::new(SystemClock));
        let ids: Arc<dyn Ids> = Arc::new(RandomIds);
        // What cannot be used is refused before anything is touched.
        let redis = channels::redis(settings, &*ids)?;
        let traces = Traces::start(settings, &clock, &ids)?;
        let runners = BuiltRunners::build(settings, &environment, &clock, &traces.tracer)?;
        let secrets: Arc<dyn Secrets> = Arc::new(RandomSecrets);
        let provider = openid::provider(settings, &environment, &clock, &secrets)?;
        let sender = webhooks::sender(settings)?;
        let stores = Stores::open(settings).await?;
        let channels = Channels::open(settings, redis, &stores);
        let figures = metrics::figures(settings, &stores, &clock);
        let ports = Ports {
            stores: StorePorts {
                agents: Arc::clone(&channels.agents),
                ledger: figures.ledger(Arc::clone(&stores.ports.ledger)),
                ..stores.ports.clone()
            },
            bus: Arc::clone(&channels.bus),
            wake_ups: Arc::clone(&channels.wake_ups),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            secrets: Arc::clone(&secrets),
        };
        let engine = Engine::new(ports, workflows, engine_settings(settings));
        engine.set_installed_at(stores.created_at);
        engine.trace_with(Arc::clone(&traces.tracer));
        traces.add_metrics(&figures);
        engine.observe_usage(Arc::new(figures.clone()));
        if settings.server.role.works() {
            let choices = runners.names();
            if choices.is_empty() {
                tracing::info!("No agent type has a runner; tasks wait for external workers");
            } else {
                tracing::info!(runners = ?choices, "Work is done by: {}", choices.join(", "));
            }
        }
        let lease_settings = LeaseSettings {
            lease: Duration::from_secs(settings.worker.lease_s),
            first_call: Duration::from_secs(settings.worker.first_call_s),
            attempt_timeout: Duration::from_secs(settings.worker.attempt_timeout_s),
            poll: Duration::from_millis(settings.worker.poll_ms),
            max_output_bytes: settings.worker.max_output_bytes,
        };
        let worker_settings = WorkerSettings {
            id: WorkerId(format!("worker-{:016x}", ids.seed() >> 64)),
            slots: slots(settings),
            leases: lease_settings.clone(),
        };
        let assigned = runners.assign(settings).into_iter();
        let assigned: Runners =
            assigned.map(|(agent, runner)| (agent, figures.runner(runner))).collect();
        let served = assigned.keys().copied().collect();
        let worker = Worker::new(engine.clone(), assigned, worker_settings);
        let access = access_control(settings, engine.clone(), &stores);
        // Another process may have been killed a moment ago; of a store of its own it was this one.
        let holder = match stores.is_shared() {
            true => format!("server-{:016x}", ids.seed() >> 64),
            false => "server".to_owned(),
        };
        let webhooks = WebhookControl::new(
            engine.clone(),
            access.clone(),
            Arc::clone(&secrets),
            sender,
            settings.webhooks.settings(holder),
        );
        let (leases, dispatcher) =
            Leases::new(engine.clone(), lease_settings, secrets, Arc::new(access.clone()));
        Ok(Self {
            engine,
            access,
            provider,
            webhooks,
            stores,
            channels,
            figures,
            traces,
            role: settings.server.role,
            worker,
            leases,
            dispatcher: Some(dispatcher),
            runners,
            served,
            agents_line,
            work_by_agent: Arc::new(work_by_agent(settings)),
            clock,
            ids,
            timer_interval: Duration::from_millis(settings.orchestrator.timer_interval_ms),
            grace: Duration::from_secs(settings.http.shutdown_timeout_s),
            stop: watch::channel(false).0,
            working: None,
            delivering: None,
            background: Vec::new(),
            following_access: None,
            live: None,
            open_files: open_files::raise(),
        })
    }

    /// Returns `true` if any agent type has a runner in this process.
    #[must_use]
    pub fn has_runners(&self) -> bool {
        !self.runners.is_empty()
    }

    /// Returns `true` if an agent type has a runner in this process.
    #[must_use]
    pub fn serves(&self, agent: AgentType) -> bool {
        self.served.contains(&agent)
    }

    /// Returns a sentence about who does the work.
    #[must_use]
    pub fn agents_line(&self) -> String {
        self.agents_line.clone()
    }

    /// Lets the agents work and the timers run. Whoever has the store alone takes back first what an
    /// earlier process held; where others use it too, leases say what is still held.
    ///
    /// # Errors
    /// What the store could not do.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.stores.is_shared() {
            self.engine.wake_all_workers();
        } else {
            let taken = self.engine.take_back_everything().await;
            taken.context("what was running cannot be resumed")?;
        }
        if self.role.works() {
            let worker = Arc::clone(&self.worker).run(self.stop.subscribe(), self.grace);
            self.working = Some(tokio::spawn(worker));
        }
        if let Some(dispatcher) = self.dispatcher.take().filter(|_| self.role.answers()) {
            self.background.push(tokio::spawn(dispatcher.run(self.stop.subscribe())));
        }
        let webhooks = self.webhooks.clone();
        self.delivering = Some(tokio::spawn(webhooks.run(self.stop.subscribe())));
        let (stop, stopped) = watch::channel(false);
        self.following_access = Some((stop, tokio::spawn(self.access.clone().run(stopped))));
        let engine = self.engine.clone();
        self.background.push(tokio::spawn(async move { engine.watch_agents().await }));
        self.background.push(tokio::spawn(health_log::watch(self.stores.health.clone())));
        let (engine, interval) = (self.engine.clone(), self.timer_interval);
        self.background.push(tokio::spawn(async move { engine.run_timers(interval).await }));
        Ok(())
    }

    /// A server for REST and WebSocket clients on this listener, with TLS if there is an identity; it
    /// runs when it is awaited.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn http(
        &mut self,
        listener: TcpListener,
        identity: Option<&ServerIdentity>,
        settings: &Settings,
    ) -> anyhow::Result<Server> {
        let origins = OriginRule::new(&settings.http.cors_origins)
            .with_listener(listener.local_addr()?, identity.is_some())
            .with_hosts(&settings.http.hosts);
        let trusted_proxies = settings.http.trusted_proxies()?;
        let public_url = settings.http.public_url()?;
        let origins = match &public_url {
            Some(url) => origins.with_public_url(url),
            None => origins,
        };
        let bus_carries_all = self.channels.reaches_others() || !self.stores.is_shared();
        let live = Hub::start(
            Arc::clone(&self.channels.bus),
            Arc::new(self.engine.clone()),
            Arc::clone(&self.clock),
            LiveSettings {
                max_connections: settings.ws.max_connections,
                recent_frames: settings.ws.recent_frames,
                bus_carries_all,
                ..LiveSettings::default()
            },
        );
        metrics::add_live(&self.figures, &live);
        metrics::add_webhooks(&self.figures, &self.webhooks);
        self.live = Some(Arc::clone(&live));
        let workers = match settings.http.workers {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            workers => workers,
        };
        let grace = Duration::from_secs(settings.http.shutdown_timeout_s);
        let console = Console {
            access: Arc::new(self.access.clone()),
            sessions: Arc::new(self.access.clone()),
            queries: Arc::new(self.engine.clone()),
            logs: Arc::new(self.engine.clone()),
            gates: Arc::new(self.engine.clone()),
            projects: Arc::new(self.engine.clone()),
            tasks: Arc::new(self.engine.clone()),
            operations: Arc::new(self.engine.clone()),
            runners: Arc::clone(&self.work_by_agent),
            clock: Arc::clone(&self.clock),
            provider: self.provider.clone(),
            public_url: public_url.clone(),
            has_tls: identity.is_some(),
            body_limit: settings.http.body_limit_bytes,
            text_limit: settings.http.text_limit_bytes,
        };
        let mut api = self.api(settings, Arc::clone(&live), origins.clone(), public_url);
        api.settings.trusted_proxies = trusted_proxies;
        api.pages = Some(Arc::new(console.clone()));
        let sessions = Arc::new(ws_settings(settings, origins));
        let access = Arc::clone(&api.access);
        let on_connect = botarmy_ws::on_connect(&sessions);
        let mount = move |config: &mut actix_web::web::ServiceConfig| {
            botarmy_ws::routes(config, &live, &access, &sessions);
            botarmy_console::routes(config, &console);
        };
        Ok(botarmy_http::serve(listener, identity, api, workers, grace, on_connect, mount)?)
    }

    fn api(
        &self,
        settings: &Settings,
        live: Arc<Hub>,
        origins: OriginRule,
        public_url: Option<PublicUrl>,
    ) -> Api {
        let mut health = self.stores.health.clone();
        health.extend(self.channels.health.clone());
        health.push(self.worker.clone());
        health.push(Arc::new(self.engine.clone()));
        if self.role.works() {
            health.push(Arc::new(self.runners.clone()));
        }
        Api {
            projects: Arc::new(self.engine.clone()),
            tasks: Arc::new(self.engine.clone()),
            gates: Arc::new(self.engine.clone()),
            operations: Arc::new(self.engine.clone()),
            leases: Arc::new(self.leases.clone()),
            queries: Arc::new(self.engine.clone()),
            logs: Arc::new(self.engine.clone()),
            live,
            access: Arc::new(self.access.clone()),
            sessions: Arc::new(self.access.clone()),
            webhooks: Arc::new(self.webhooks.clone()),
            pages: None,
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            health,
            tracer: Arc::clone(&self.traces.tracer),
            metrics: Arc::new(self.figures.clone()),
            settings: HttpSettings {
                body_limit: settings.http.body_limit_bytes,
                unknown_fields: settings.http.unknown_fields,
                text_limit: settings.http.text_limit_bytes,
                body_timeout: Duration::from_secs(settings.http.body_timeout_s),
                waiting_per_address: settings.http.waiting_per_address,
                limits: limits(settings),
                docs_public: settings.access.docs_public,
                open_files: self.open_files,
                origins,
                public_url,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                probes_only: !self.role.answers(),
                spool: settings.store.data_dir.clone(),
                ..HttpSettings::default()
            },
        }
    }

    /// Ends the live streams: their clients come back and go on where they were.
    pub async fn close_live_sessions(&self) {
        if let Some(live) = &self.live {
            live.shutdown().await;
        }
    }

    /// Takes no more work, waits for what runs, and gives the rest back. What a store that hangs
    /// keeps from being given back is taken when its lease lapses.
    pub async fn drain(&mut self) {
        self.stop.send_replace(true);
        if let Some(mut working) = self.working.take() {
            match tokio::time::timeout(self.grace + DRAIN_TIMEOUT, &mut working).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(%error, "The worker did not stop as it should"),
                Err(_) => {
                    warn!(
                        "The worker did not stop in time; its tasks are free when their leases expire"
                    );
                    working.abort();
                }
            }
        }
        // An attempt that is cut off is made again by the next start, and its receiver gets it twice.
        if let Some(mut delivering) = self.delivering.take()
            && tokio::time::timeout(self.grace + DRAIN_TIMEOUT, &mut delivering).await.is_err()
        {
            warn!("A delivery did not end in time; it is made again after the next start");
            delivering.abort();
        }
        for task in self.background.drain(..) {
            task.abort();
        }
    }

    /// Commits what waits, lets the last news leave, and lets go of the store. What a store that
    /// hangs does not commit was not acknowledged.
    pub async fn close(self) {
        if let Some((stop, mut following)) = self.following_access {
            stop.send_replace(true);
            if tokio::time::timeout(CLOSE_TIMEOUT, &mut following).await.is_err() {
                following.abort();
            }
        }
        self.channels.close().await;
        if tokio::time::timeout(CLOSE_TIMEOUT, self.stores.close()).await.is_err() {
            warn!("The database was not closed in time; what was acknowledged is in it");
        }
        self.traces.close().await;
    }
}

/// Returns the settings of the use cases.
pub(crate) fn engine_settings(settings: &Settings) -> EngineSettings {
    let defaults = Defaults {
        gate_ttl_s: settings.orchestrator.gate_ttl_s,
        on_expiry: settings.orchestrator.on_expiry,
        backoff: Duration::from_millis(settings.orchestrator.retry_backoff_ms),
        confidence_threshold: settings.orchestrator.confidence_threshold,
        gates: settings.gates.rules(),
    };
    EngineSettings { defaults, budgets: settings.budgets() }
}

/// Returns access control, before principals and keys were read.
pub(crate) fn access_control(
    settings: &Settings,
    engine: Engine,
    stores: &Stores,
) -> AccessControl {
    const DAY: u64 = 24 * 3600;
    let access = AccessSettings {
        is_required: settings.access.needs_keys(),
        key_lifetime: Some(Duration::from_secs(u64::from(settings.access.key_days) * DAY)),
        session_lifetime: Duration::from_secs(settings.access.session_max_s),
        session_idle: Duration::from_secs(settings.access.session_idle_s),
        has_provider: !settings.oidc.issuer.is_empty(),
        group_roles: settings.oidc.group_roles(),
    };
    AccessControl::new(engine, Arc::new(RandomSecrets), Arc::clone(&stores.tickets), access)
}

fn limits(settings: &Settings) -> LimitSettings {
    let limits = &settings.limits;
    LimitSettings {
        person_units_per_s: limits.person_units_per_s,
        person_burst: limits.person_burst,
        service_units_per_s: limits.service_units_per_s,
        service_burst: limits.service_burst,
        failures_per_minute: limits.failures_per_minute,
        failures_burst: limits.failures_burst,
        logins_per_minute: limits.logins_per_minute,
        person: Concurrency {
            requests: limits.person_requests,
            long_polls: limits.person_polls,
            streams: limits.person_streams,
            heavy: limits.person_heavy,
        },
        service: Concurrency {
            requests: limits.service_requests,
            long_polls: limits.service_polls,
            streams: limits.service_streams,
            heavy: limits.service_heavy,
        },
    }
}

fn slots(settings: &Settings) -> BTreeMap<AgentType, u32> {
    AgentType::ALL.iter().map(|agent| (*agent, settings.agent(*agent).slots)).collect()
}

fn ws_settings(settings: &Settings, origins: OriginRule) -> WsSettings {
    WsSettings {
        heartbeat: Duration::from_secs(settings.ws.ping_interval_s),
        send_timeout: Duration::from_secs(settings.ws.send_timeout_s),
        unknown_fields: settings.http.unknown_fields,
        origins,
        ..WsSettings::default()
    }
}
