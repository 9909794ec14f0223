//! Agent types with a runner on this server, or with an external worker that polls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::{AgentType, Timestamp};

/// Time after the end of a poll for which its worker counts as present: a worker that has just
/// finished a task polls again within it.
const PRESENCE: Duration = Duration::from_secs(60);

/// The agent types that are served.
#[derive(Debug, Default)]
pub(crate) struct ServedAgents(Mutex<Served>);

#[derive(Debug, Default)]
struct Served {
    by_runners: BTreeSet<AgentType>,
    /// Time until which an external worker counts as present.
    by_workers: BTreeMap<AgentType, Timestamp>,
}

impl ServedAgents {
    /// Records the agent types that this server works for.
    pub(crate) fn by_runners(&self, agents: impl IntoIterator<Item = AgentType>) {
        self.locked().by_runners.extend(agents);
    }

    /// Records an external worker that waits for tasks of these agent types.
    pub(crate) fn by_worker(&self, agents: &[AgentType], now: Timestamp, wait: Duration) {
        let until = now.after(wait + PRESENCE);
        let mut served = self.locked();
        for agent in agents {
            let known = served.by_workers.entry(*agent).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// Returns whether a runner or a worker is known for this agent type.
    pub(crate) fn has(&self, agent: AgentType, now: Timestamp) -> bool {
        let served = self.locked();
        served.by_runners.contains(&agent)
            || served.by_workers.get(&agent).is_some_and(|until| *until > now)
    }

    fn locked(&self) -> MutexGuard<'_, Served> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
