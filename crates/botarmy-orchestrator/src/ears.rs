//! Several listeners on the one bell of a process: the worker, and the desk that serves workers
//! outside. A ring is heard by whoever waits for the bell first, who tells the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use botarmy_domain::AgentType;
use tokio::sync::Notify;

use crate::engine::Engine;

/// Everybody who listens.
#[derive(Default)]
pub(crate) struct Ears(Mutex<Vec<Weak<Ear>>>);

/// What somebody was told and has not heard yet.
#[derive(Default)]
pub(crate) struct Ear {
    told: Mutex<BTreeSet<AgentType>>,
    notify: Notify,
}

impl Ear {
    fn told(&self) -> MutexGuard<'_, BTreeSet<AgentType>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Somebody more who listens, until the ear is dropped. What was rung before may have been
    /// heard by others alone: whoever begins to listen looks at everything first.
    pub(crate) fn listen(&self) -> Arc<Ear> {
        let ear = Arc::default();
        let mut ears = self.ears.0.lock().unwrap_or_else(PoisonError::into_inner);
        ears.retain(|ear| ear.strong_count() > 0);
        ears.push(Arc::downgrade(&ear));
        ear
    }

    /// Returns when there may be work, and says for whom. Safe against being dropped half way.
    pub(crate) async fn heard(&self, ear: &Arc<Ear>) -> BTreeSet<AgentType> {
        tokio::select! {
            rung = self.ports.bell.wait() => {
                let ears = self.ears.0.lock().unwrap_or_else(PoisonError::into_inner);
                let others = ears.iter().filter_map(Weak::upgrade);
                for other in others.filter(|other| !Arc::ptr_eq(other, ear)) {
                    other.told().extend(&rung);
                    other.notify.notify_one();
                }
                rung
            }
            () = ear.notify.notified() => std::mem::take(&mut *ear.told()),
        }
    }
}
