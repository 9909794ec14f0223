//! Distribution of wake-ups to several receivers in one process: the worker, and the dispatcher that
//! serves external workers. The port delivers a wake-up to one waiting caller; that receiver passes
//! it on to the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use botarmy_domain::AgentType;
use botarmy_domain::ports::WakeUps;
use tokio::sync::Notify;

/// All receivers of this process.
#[derive(Default)]
pub(crate) struct WakeUpFanout(Mutex<Vec<Weak<WakeUpReceiver>>>);

/// Wake-ups that were passed on to one receiver and not taken yet.
#[derive(Default)]
pub(crate) struct WakeUpReceiver {
    pending: Mutex<BTreeSet<AgentType>>,
    notify: Notify,
}

impl WakeUpReceiver {
    fn pending(&self) -> MutexGuard<'_, BTreeSet<AgentType>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WakeUpFanout {
    fn receivers(&self) -> MutexGuard<'_, Vec<Weak<WakeUpReceiver>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a receiver, until it is dropped. It may have missed earlier wake-ups, so its owner looks
    /// for all work first.
    pub(crate) fn add_receiver(&self) -> Arc<WakeUpReceiver> {
        let receiver = Arc::default();
        let mut receivers = self.receivers();
        receivers.retain(|receiver| receiver.strong_count() > 0);
        receivers.push(Arc::downgrade(&receiver));
        receiver
    }

    /// Waits until there may be work, and returns the agent types it is for. Can be dropped at any
    /// time without losing a wake-up.
    pub(crate) async fn recv(
        &self,
        wake_ups: &dyn WakeUps,
        receiver: &Arc<WakeUpReceiver>,
    ) -> BTreeSet<AgentType> {
        tokio::select! {
            woken = wake_ups.wait() => {
                let receivers = self.receivers();
                let others = receivers.iter().filter_map(Weak::upgrade);
                for other in others.filter(|other| !Arc::ptr_eq(other, receiver)) {
                    other.pending().extend(&woken);
                    other.notify.notify_one();
                }
                woken
            }
            () = receiver.notify.notified() => std::mem::take(&mut *receiver.pending()),
        }
    }
}
