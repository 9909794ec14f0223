//! What a lane remembers of the logs it wrote to last: where they ended, and their projects. It may
//! be out of date; the statement that writes says so, because it names the hash it builds on.

use std::collections::HashMap;
use std::sync::Arc;

use botarmy_domain::{Head, LogId, Project};

/// How many logs are remembered at least; at most twice as many.
const KEPT: usize = 512;

/// The end of a log and its project.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) head: Head,
    pub(crate) project: Arc<Project>,
}

/// The logs that were written to last, in two generations: what is not used for a while is
/// forgotten with the older one.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    young: HashMap<LogId, Known>,
    old: HashMap<LogId, Known>,
}

impl Recent {
    pub(crate) fn get(&mut self, log: LogId) -> Option<&Known> {
        if let Some(known) = self.old.remove(&log) {
            self.put(log, known);
        }
        self.young.get(&log)
    }

    pub(crate) fn put(&mut self, log: LogId, known: Known) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(log, known);
    }

    pub(crate) fn forget(&mut self, log: LogId) {
        self.young.remove(&log);
        self.old.remove(&log);
    }

    pub(crate) fn forget_everything(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}
