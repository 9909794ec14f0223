//! Several listeners on the one bell of a process: the worker, and the desk that serves workers
//! outside. A ring is heard by whoever waits for the bell first, who tells the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use botarmy_domain::AgentType;
use tokio::sync::Notify;

use crate::engine::Engine;

/// Everybody who listens.
#[derive(Default)]
pub(crate) struct WakeUpFanout(Mutex<Vec<Weak<WakeUpReceiver>>>);

/// What somebody was told and has not heard yet.
#[derive(Default)]
pub(crate) struct WakeUpReceiver {
    told: Mutex<BTreeSet<AgentType>>,
    notify: Notify,
}

impl WakeUpReceiver {
    fn told(&self) -> MutexGuard<'_, BTreeSet<AgentType>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Somebody more who listens, until the ear is dropped. What was rung before may have been
    /// heard by others alone: whoever begins to listen looks at everything first.
    pub(crate) fn add_receiver(&self) -> Arc<WakeUpReceiver> {
        let receiver = Arc::default();
        let mut wake_up_fanout =
            self.wake_up_fanout.0.lock().unwrap_or_else(PoisonError::into_inner);
        wake_up_fanout.retain(|receiver| receiver.strong_count() > 0);
        wake_up_fanout.push(Arc::downgrade(&receiver));
        receiver
    }

    /// Returns when there may be work, and says for whom. Safe against being dropped half way.
    pub(crate) async fn recv_wake_up(&self, receiver: &Arc<WakeUpReceiver>) -> BTreeSet<AgentType> {
        tokio::select! {
            woken = self.ports.wake_ups.wait() => {
                let wake_up_fanout = self.wake_up_fanout.0.lock().unwrap_or_else(PoisonError::into_inner);
                let others = wake_up_fanout.iter().filter_map(Weak::upgrade);
                for other in others.filter(|other| !Arc::ptr_eq(other, receiver)) {
                    other.told().extend(&woken);
                    other.notify.notify_one();
                }
                woken
            }
            () = receiver.notify.notified() => std::mem::take(&mut *receiver.told()),
        }
    }
}
