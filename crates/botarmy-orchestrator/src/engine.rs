//! The state that all use cases share: the ports, the settings, and one way to commit.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use botarmy_domain::decide::keyed;
use botarmy_domain::hitl::Roster;
use botarmy_domain::ports::{
    Clock, Decide, EventBus, Ids, NoTracer, Secrets, StorePorts, Tracer, UsageObserver, WakeUps,
};
use botarmy_domain::rebuilt::{RELEASED_UNKNOWN, Rebuilt};
use botarmy_domain::{
    AgentType, Caller, Committed, Decision, DecisionContext, Defaults, DomainError, Error,
    KeptReply, LogId, OpenSpan, ProjectId, Scope, Snapshot, SpanKind, StoreError, Timestamp,
    TraceContext,
};
use tokio::sync::Notify;
use tracing::{debug, info};

use crate::budgets::Budgets;
use crate::output_validation::OutputValidator;
use crate::people_review::PeopleReview;
use crate::served_agents::ServedAgents;
use crate::wake_up_fanout::{WakeUpFanout, WakeUpReceiver};
use crate::workflows::Workflows;

/// Largest number of times that a log is read for one decision.
const MAX_REBUILDS: usize = 20;
/// Number of log entries that are read at once.
const REBUILD_PAGE: u32 = 1_000;

/// The driven ports of the use cases.
#[derive(Clone)]
pub struct Ports {
    /// Storage. Its status of the agent types may be one that several servers share.
    pub stores: StorePorts,
    /// Carries messages to the live streams and the other servers.
    pub bus: Arc<dyn EventBus>,
    /// Wakes workers.
    pub wake_ups: Arc<dyn WakeUps>,
    /// Gives the time.
    pub clock: Arc<dyn Clock>,
    /// Gives entropy.
    pub ids: Arc<dyn Ids>,
    /// Gives the secrets of links.
    pub secrets: Arc<dyn Secrets>,
}

/// Settings of the use cases.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Values for whatever a workflow or a request leaves open.
    pub defaults: Defaults,
    /// Spending limits.
    pub budgets: Budgets,
}

/// Returns the people who can sign in.
type People = dyn Fn() -> Option<Arc<Roster>> + Send + Sync;

/// The use cases. Clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// State that all clones of an engine share.
pub struct Inner {
    pub(crate) ports: Ports,
    pub(crate) workflows: Workflows,
    pub(crate) settings: EngineSettings,
    /// Agent types whose status may have changed since it was last stored.
    pub(crate) stale_agents: Mutex<BTreeSet<AgentType>>,
    pub(crate) stale: Notify,
    pub(crate) wake_up_fanout: WakeUpFanout,
    pub(crate) output_validator: OutputValidator,
    pub(crate) served_agents: ServedAgents,
    /// Time from which kept replies are looked through for expired ones again.
    pub(crate) next_forgetting: Mutex<Timestamp>,
    /// Progress through the requests that are looked at after the people have changed.
    pub(crate) people_review: PeopleReview,
    /// Records traces.
    tracer: OnceLock<Arc<dyn Tracer>>,
    /// The people who can sign in.
    people: OnceLock<Box<People>>,
    /// Time of this start, before which people could not answer.
    pub(crate) started_at: Timestamp,
    /// Observer of the usage of attempts.
    usage_observer: OnceLock<Arc<dyn UsageObserver>>,
    /// Time of the installation, and until it is known, of this start.
    installed_at: Mutex<Timestamp>,
}

impl std::ops::Deref for Engine {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Engine {
    /// Creates the use cases on these ports.
    #[must_use]
    pub fn new(ports: Ports, workflows: Workflows, settings: EngineSettings) -> Self {
        let now = ports.clock.now();
        Self(Arc::new(Inner {
            installed_at: Mutex::new(now),
            next_forgetting: Mutex::new(now),
            people_review: PeopleReview::default(),
            ports,
            workflows,
            settings,
            stale_agents: Mutex::default(),
            stale: Notify::new(),
            wake_up_fanout: WakeUpFanout::default(),
            output_validator: OutputValidator::default(),
            served_agents: ServedAgents::default(),
            tracer: OnceLock::new(),
            people: OnceLock::new(),
            started_at: now,
            usage_observer: OnceLock::new(),
        }))
    }

    /// Sets the time of the installation, which stands for the last activity of an agent type that has
    /// not worked yet.
    pub fn set_installed_at(&self, time: Timestamp) {
        *self.installed_at.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Records traces with this tracer from now on.
    pub fn trace_with(&self, tracer: Arc<dyn Tracer>) {
        drop(self.tracer.set(tracer));
    }

    /// Begins a span below `parent`, if that is recorded.
    pub(crate) fn span(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<TraceContext>,
    ) -> OpenSpan {
        OpenSpan::begin(self.tracer.get_or_init(|| Arc::new(NoTracer)), name, kind, parent)
    }

    /// Tells this observer of the usage of every attempt from now on.
    pub fn observe_usage(&self, observer: Arc<dyn UsageObserver>) {
        drop(self.usage_observer.set(observer));
    }

    pub(crate) fn usage_observer(&self) -> Option<&dyn UsageObserver> {
        self.usage_observer.get().map(|observer| &**observer)
    }

    pub(crate) fn installed_at(&self) -> Timestamp {
        *self.installed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the server has just started, so that people could not answer until then.
    pub(crate) fn in_grace(&self, now: Timestamp) -> bool {
        let grace = Duration::from_secs(self.settings.defaults.gates.grace_s.into());
        now < self.started_at.after(grace)
    }

    /// Returns the context of a decision that is taken now on behalf of `caller`.
    pub(crate) fn context(&self, caller: Caller) -> DecisionContext {
        let now = self.ports.clock.now();
        DecisionContext {
            now,
            in_grace: self.in_grace(now),
            seed: self.ports.ids.seed(),
            defaults: self.settings.defaults.clone(),
            roster: self.roster(),
            caller,
        }
    }

    /// Asks this function for the people who can sign in from now on; `None` on an open server.
    pub(crate) fn know_people(
        &self,
        people: impl Fn() -> Option<Arc<Roster>> + Send + Sync + 'static,
    ) {
        drop(self.people.set(Box::new(people)));
    }

    /// Returns the people who can sign in; `None` on an open server, which knows none.
    pub(crate) fn roster(&self) -> Option<Arc<Roster>> {
        self.people.get().and_then(|people| people())
    }

    /// Commits a decision, then publishes it. Both are finished once begun: a client that hangs up
    /// must not keep others from learning of what was committed.
    ///
    /// A project of an older version does not say which artifacts are released. They are read from
    /// its log first then, and written with the decision.
    pub(crate) async fn commit(
        &self,
        context: DecisionContext,
        scope: Scope,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>
        + Send
        + Sync
        + 'static,
    ) -> Result<Committed, Error> {
        let mut span = self.span("commit", SpanKind::Internal, context.caller.trace());
        let decide = Arc::new(move |snapshot: &Snapshot| decide(&context, snapshot));
        let mut rebuilt = None;
        for _ in 0..MAX_REBUILDS {
            let (decide, known) = (Arc::clone(&decide), rebuilt.clone());
            let decide: Decide =
                Box::new(move |snapshot| match Rebuilt::complete(known.as_ref(), snapshot)? {
                    Some(snapshot) => decide(&snapshot),
                    None => decide(snapshot),
                });
            match (self.transact(scope.clone(), decide).await, scope.log) {
                (
                    Err(Error::Refused(DomainError::Conflict { code: RELEASED_UNKNOWN, .. })),
                    LogId::Project(id),
                ) => rebuilt = Some(self.rebuild(id, rebuilt).await?),
                (done, _) => {
                    describe(&mut span, scope.log, &done);
                    return done;
                }
            }
        }
        // Every time something else was committed between the reading and the decision.
        Err(StoreError::Conflict.into())
    }

    /// Commits the decision of a call and returns its result, which `result` takes from the changed rows;
    /// `None` where the decision changed nothing. If the call came with an idempotency key, the reply is
    /// kept with the decision.
    pub(crate) async fn commit_call<T: 'static>(
        &self,
        context: DecisionContext,
        scope: Scope,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>
        + Send
        + Sync
        + 'static,
        result: impl Fn(&Committed) -> Option<T> + Clone + Send + Sync + 'static,
    ) -> Result<Option<T>, Error> {
        let Some(call) = context.caller.keyed_call().cloned() else {
            return Ok(result(&self.commit(context, scope, decide).await?));
        };
        let scope = scope.records::<KeptReply>(call.keys());
        let of = result.clone();
        let once = move |context: &DecisionContext, snapshot: &Snapshot| {
            let reply = |rows: &Committed| of(rows).map(|result| call.reply(&result));
            keyed::once(context, snapshot, &call, || decide(context, snapshot), reply)
        };
        Ok(result(&self.commit(context, scope, once).await?))
    }

    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        let engine = self.clone();
        let committing = tokio::spawn(async move {
            let committed = engine.ports.stores.ledger.transact(scope, decide).await?;
            engine.publish(&committed).await;
            Ok(committed)
        });
        match committing.await {
            Ok(done) => done,
            Err(error) => Err(StoreError::unavailable("the commit was interrupted", error).into()),
        }
    }

    /// Reads the released artifacts of a project from its log, from where `known` ends.
    async fn rebuild(&self, id: ProjectId, known: Option<Rebuilt>) -> Result<Rebuilt, StoreError> {
        let mut rebuilt = known.unwrap_or_else(|| Rebuilt::new(id));
        loop {
            let log = LogId::Project(id);
            let entries = self.ports.stores.audit.since(log, rebuilt.seq, REBUILD_PAGE).await?;
            let Some(last) = entries.last() else { break };
            debug!(project.id = %id, seq = last.seq, "Reading the released artifacts from the log");
            for entry in &entries {
                rebuilt.read(entry).map_err(|error| StoreError::Corrupt {
                    table: "events",
                    row: entry.id.to_string(),
                    detail: error.to_string(),
                })?;
            }
        }
        info!(project.id = %id, "Read the released artifacts of project {id} from its log");
        Ok(rebuilt)
    }

    /// Waits until there may be work, and returns the agent types it is for.
    pub(crate) async fn recv_wake_up(&self, receiver: &Arc<WakeUpReceiver>) -> BTreeSet<AgentType> {
        self.wake_up_fanout.recv(&*self.ports.wake_ups, receiver).await
    }

    pub(crate) fn take_stale_agents(&self) -> BTreeSet<AgentType> {
        std::mem::take(&mut *self.stale_agents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn mark_stale(&self, agents: BTreeSet<AgentType>) {
        if !agents.is_empty() {
            self.stale_agents.lock().unwrap_or_else(PoisonError::into_inner).extend(agents);
            self.stale.notify_one();
        }
    }
}

/// Adds the result of a commit to its span.
fn describe(span: &mut OpenSpan, log: LogId, done: &Result<Committed, Error>) {
    if !span.is_recorded() {
        return;
    }
    if let Some(project) = log.project() {
        span.set("botarmy.project.id", project.to_string());
    }
    match done {
        Ok(committed) => span.set("botarmy.log.entries", committed.entries.len() as u64),
        // A refusal is an answer, and the status of the request says which.
        Err(Error::Refused(_)) => span.set("botarmy.decision", "refused"),
        Err(_) => span.fail("store"),
    }
}
