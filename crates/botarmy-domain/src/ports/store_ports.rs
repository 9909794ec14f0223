//! The storage ports as one bundle, so that a list of them exists once.

use std::sync::Arc;

use super::{
    AgentStatus, AuditLog, ContextStore, DeliveryStore, HitlStore, Ledger, ProjectStore, Records,
    TaskStore,
};

/// The driven ports that one store serves. Clones share the store.
#[derive(Clone)]
pub struct StorePorts {
    /// Commits decisions.
    pub ledger: Arc<dyn Ledger>,
    /// Reads projects.
    pub projects: Arc<dyn ProjectStore>,
    /// Reads tasks.
    pub tasks: Arc<dyn TaskStore>,
    /// Reads human-in-the-loop requests.
    pub requests: Arc<dyn HitlStore>,
    /// Reads artifacts.
    pub context: Arc<dyn ContextStore>,
    /// Reads packages, budget accounts, emergency stops and other records.
    pub records: Arc<dyn Records>,
    /// Reads the logs.
    pub audit: Arc<dyn AuditLog>,
    /// Reads the status of the agent types.
    pub agents: Arc<dyn AgentStatus>,
    /// Keeps the progress of webhooks.
    pub deliveries: Arc<dyn DeliveryStore>,
}

impl StorePorts {
    /// Returns the ports of a store that serves all of them.
    pub fn of<S>(store: S) -> Self
    where
        S: Ledger + ProjectStore + TaskStore + HitlStore + ContextStore + Records,
        S: AuditLog + AgentStatus + DeliveryStore,
    {
        let store = Arc::new(store);
        Self {
            ledger: store.clone(),
            projects: store.clone(),
            tasks: store.clone(),
            requests: store.clone(),
            context: store.clone(),
            records: store.clone(),
            audit: store.clone(),
            agents: store.clone(),
            deliveries: store,
        }
    }
}

impl std::fmt::Debug for StorePorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorePorts").finish_non_exhaustive()
    }
}
