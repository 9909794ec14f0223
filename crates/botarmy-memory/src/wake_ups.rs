//! Wake-ups inside one process.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use botarmy_domain::AgentType;
use botarmy_domain::ports::WakeUps;
use tokio::sync::Notify;

/// Wakes the workers of this process. A wake-up without a waiter is kept for the next one.
#[derive(Debug, Default)]
pub struct MemoryWakeUps {
    woken: Mutex<BTreeSet<AgentType>>,
    notify: Notify,
}

#[async_trait]
impl WakeUps for MemoryWakeUps {
    fn notify(&self, agents: &BTreeSet<AgentType>) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).extend(agents);
        self.notify.notify_one();
    }

    async fn wait(&self) -> BTreeSet<AgentType> {
        self.notify.notified().await;
        std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rings_before_the_wait_are_kept_and_come_together() {
        let wake_ups = MemoryWakeUps::default();
        wake_ups.notify(&[AgentType::Coder].into());
        wake_ups.notify(&[AgentType::Tester].into());
        assert_eq!(wake_ups.wait().await, [AgentType::Coder, AgentType::Tester].into());
    }
}
