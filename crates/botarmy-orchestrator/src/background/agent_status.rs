//! Keeping the stored status of the agent types up to date.

use std::time::Duration;

use botarmy_domain::decide::agents;
use botarmy_domain::{Caller, Scope};
use tracing::warn;

use crate::engine::Engine;

/// Shortest time between two updates. Under load one update then covers many tasks; a first change
/// is stored at once.
const PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// Stores the status of agent types whenever it changes. Does not return.
    pub async fn watch_agents(&self) {
        loop {
            self.stale.notified().await;
            self.settle_agents().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Stores the status of the agent types for which it may have changed.
    pub async fn settle_agents(&self) {
        for agent in self.take_stale_agents() {
            let context = self.context(Caller::system());
            if let Err(error) = self.commit(context, Scope::agent(agent), agents::refresh).await {
                warn!(%agent, %error, "The status of agent type {agent} could not be stored; trying again with its next change");
                self.mark_stale([agent].into());
                return;
            }
        }
    }
}
