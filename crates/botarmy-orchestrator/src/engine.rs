//! The state that all use cases share: the ports, the settings, and one way to commit.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use botarmy_domain::ports::{Clock, Decide, EventBus, Ids, StorePorts, WakeUps};
use botarmy_domain::{
    AgentType, Caller, Committed, Decision, DecisionContext, Defaults, DomainError, Error, Scope,
    Snapshot, StoreError,
};
use tokio::sync::Notify;

use crate::budgets::Budgets;
use crate::output_validation::OutputValidator;
use crate::wake_up_fanout::{WakeUpFanout, WakeUpReceiver};
use crate::workflows::Workflows;

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
}

/// Settings of the use cases.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Values for whatever a workflow or a request leaves open.
    pub defaults: Defaults,
    /// Spending limits.
    pub budgets: Budgets,
}

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
        Self(Arc::new(Inner {
            ports,
            workflows,
            settings,
            stale_agents: Mutex::default(),
            stale: Notify::new(),
            wake_up_fanout: WakeUpFanout::default(),
            output_validator: OutputValidator::default(),
        }))
    }

    /// Returns the context of a decision that is taken now on behalf of `caller`.
    pub(crate) fn context(&self, caller: Caller) -> DecisionContext {
        DecisionContext {
            now: self.ports.clock.now(),
            seed: self.ports.ids.seed(),
            defaults: self.settings.defaults,
            caller,
        }
    }

    /// Commits a decision, then publishes it. Both are finished once begun: a client that hangs up
    /// must not keep others from learning of what was committed.
    pub(crate) async fn commit(
        &self,
        context: DecisionContext,
        scope: Scope,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>
        + Send
        + Sync
        + 'static,
    ) -> Result<Committed, Error> {
        let engine = self.clone();
        let decide: Decide = Box::new(move |snapshot| decide(&context, snapshot));
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
