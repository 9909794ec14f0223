//! Wake-ups inside one process.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use botarmy_domain::AgentType;
use botarmy_domain::ports::WakeUps;
use tokio::sync::Notify;

/// Wakes the workers of this process. A ring while nobody waits is kept for the next who does.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<BTreeSet<AgentType>>,
    notify: Notify,
}

#[async_trait]
impl WakeUps for Bell {
    fn ring(&self, agents: &BTreeSet<AgentType>) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).extend(agents);
        self.notify.notify_one();
    }

    async fn wait(&self) -> BTreeSet<AgentType> {
        self.notify.notified().await;
        std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rings_before_the_wait_are_kept_and_come_together() {
        let bell = Bell::default();
        bell.ring(&[AgentType::Coder].into());
        bell.ring(&[AgentType::Tester].into());
        assert_eq!(bell.wait().await, [AgentType::Coder, AgentType::Tester].into());
    }
}
