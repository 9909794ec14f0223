//! Heads and projects that a batch has read or written.

use std::collections::HashMap;
use std::sync::Arc;

use botarmy_domain::batch::{Rows, WriteSet};
use botarmy_domain::log::GENESIS;
use botarmy_domain::{Head, LogId, Project, ProjectId, ProjectStatus};

use crate::head_cache::CachedHead;

/// Heads and projects that a batch has read or written.
#[derive(Default)]
pub(crate) struct ReadView {
    heads: HashMap<LogId, Head>,
    projects: HashMap<ProjectId, Arc<Project>>,
}

impl ReadView {
    pub(crate) fn take_in(&mut self, loaded: &Rows) {
        self.heads.extend(loaded.heads.iter().map(|head| (head.log, head.clone())));
        self.projects.extend(loaded.projects.iter().map(|row| (row.id, Arc::clone(row))));
    }

    pub(crate) fn follow(&mut self, writes: &WriteSet) {
        self.heads.extend(writes.heads.iter().map(|head| (head.log, head.clone())));
        self.projects.extend(writes.projects.iter().map(|row| (row.id, Arc::clone(row))));
    }

    /// Returns the head and project of a log for the cache.
    pub(crate) fn cached(&self, log: LogId) -> Option<CachedHead> {
        let head = self.heads.get(&log)?.clone();
        let project = Arc::clone(self.projects.get(&log.project()?)?);
        Some(CachedHead { head, project })
    }

    /// Returns the hash at the end of a log.
    pub(crate) fn hash(&self, log: LogId) -> &str {
        self.heads.get(&log).map_or(GENESIS, |head| &head.hash)
    }

    /// Whether a project starts new work.
    pub(crate) fn is_active(&self, project: ProjectId) -> bool {
        self.projects.get(&project).is_some_and(|row| row.status() == ProjectStatus::Active)
    }
}
