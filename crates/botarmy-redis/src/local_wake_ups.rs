//! Wake-ups of this process that were not delivered yet.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use botarmy_domain::AgentType;
use tokio::sync::Notify;

/// Agent types to wake in this process.
#[derive(Debug, Default)]
pub(crate) struct LocalWakeUps {
    woken: Mutex<BTreeSet<AgentType>>,
    notify: Notify,
}

impl LocalWakeUps {
    pub(crate) fn notify(&self, agents: &BTreeSet<AgentType>) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).extend(agents);
        self.notify.notify_one();
    }

    pub(crate) async fn wait(&self) -> BTreeSet<AgentType> {
        loop {
            self.notify.notified().await;
            let woken =
                std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner));
            // Two wake-ups that were taken together may leave a second notice behind.
            if !woken.is_empty() {
                return woken;
            }
        }
    }
}
