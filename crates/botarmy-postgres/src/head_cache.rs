//! What a replica remembers of the logs it wrote to last: where they ended, and their projects. It
//! may be out of date; the statement that writes says so, because it names the hash it builds on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use botarmy_domain::{Head, LogId, Project};

/// How many logs are remembered at least; at most twice as many.
const KEPT: usize = 1024;

/// The end of a log and its project.
#[derive(Debug, Clone)]
pub(crate) struct CachedHead {
    pub(crate) head: Head,
    pub(crate) project: Arc<Project>,
}

/// The logs that were written to last. Clones share it: what one lane writes, another builds on.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadCache(Arc<Mutex<Generations>>);

/// What is not used for a while is forgotten with the older generation.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<LogId, CachedHead>,
    old: HashMap<LogId, CachedHead>,
}

impl HeadCache {
    pub(crate) fn get(&self, log: LogId) -> Option<CachedHead> {
        let mut generations = self.lock();
        if let Some(cached) = generations.old.remove(&log) {
            generations.put(cached);
        }
        generations.young.get(&log).cloned()
    }

    /// Remembers this, unless something newer is known.
    pub(crate) fn put(&self, cached: Option<CachedHead>) {
        if let Some(cached) = cached {
            self.lock().put(cached);
        }
    }

    pub(crate) fn forget(&self, log: LogId) {
        let mut generations = self.lock();
        generations.young.remove(&log);
        generations.old.remove(&log);
    }

    pub(crate) fn forget_everything(&self) {
        *self.lock() = Generations::default();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, cached: CachedHead) {
        let log = cached.head.log;
        let newest = self.young.get(&log).or_else(|| self.old.get(&log));
        if newest.is_some_and(|newest| newest.head.seq > cached.head.seq) {
            return;
        }
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(log, cached);
    }
}
