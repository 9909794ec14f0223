//! The storage ports as one bundle, so that a list of them exists once.

use std::sync::Arc;

use super::{
    AgentStatus, AuditLog, BudgetStore, ContextStore, EmergencyStops, HitlStore, Ledger,
    PackageStore, ProjectStore, TaskStore,
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
    /// Reads packages.
    pub packages: Arc<dyn PackageStore>,
    /// Reads budget accounts.
    pub budgets: Arc<dyn BudgetStore>,
    /// Reads emergency stops.
    pub stops: Arc<dyn EmergencyStops>,
    /// Reads the logs.
    pub audit: Arc<dyn AuditLog>,
    /// Reads the status of the agent types.
    pub agents: Arc<dyn AgentStatus>,
}

impl StorePorts {
    /// Returns the ports of a store that serves all of them.
    pub fn of<S>(store: S) -> Self
    where
        S: Ledger + ProjectStore + TaskStore + HitlStore + ContextStore + PackageStore,
        S: BudgetStore + EmergencyStops + AuditLog + AgentStatus,
    {
        let store = Arc::new(store);
        Self {
            ledger: store.clone(),
            projects: store.clone(),
            tasks: store.clone(),
            requests: store.clone(),
            context: store.clone(),
            packages: store.clone(),
            budgets: store.clone(),
            stops: store.clone(),
            audit: store.clone(),
            agents: store,
        }
    }
}

impl std::fmt::Debug for StorePorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorePorts").finish_non_exhaustive()
    }
}
