//! Cache of the logs that this replica wrote to last: their ends and projects. It may be out of
//! date; the write statement detects that, because it names the hash it builds on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use botarmy_domain::{Head, LogId, Project};

/// Minimum number of cached logs; the maximum is twice as many.
const KEPT: usize = 1024;

/// The end of a log and its project.
#[derive(Debug, Clone)]
pub(crate) struct CachedHead {
    pub(crate) head: Head,
    pub(crate) project: Arc<Project>,
}

/// Cache of the logs that were written to last. Clones share it, so commit workers build on each
/// other's writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadCache(Arc<Mutex<Generations>>);

/// Two generations of entries; unused ones are dropped with the older generation.
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

    /// Caches this head unless a newer one is cached.
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
