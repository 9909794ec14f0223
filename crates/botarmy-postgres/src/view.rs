//! What a batch saw of its logs, or has written to them since.

use std::collections::HashMap;
use std::sync::Arc;

use botarmy_domain::batch::{Loaded, Writes};
use botarmy_domain::log::GENESIS;
use botarmy_domain::{Head, LogId, Project, ProjectId, ProjectStatus};

use crate::recent::Known;

/// What a batch saw, or wrote itself since.
#[derive(Default)]
pub(crate) struct View {
    heads: HashMap<LogId, Head>,
    projects: HashMap<ProjectId, Arc<Project>>,
}

impl View {
    pub(crate) fn take_in(&mut self, loaded: &Loaded) {
        self.heads.extend(loaded.heads.iter().map(|head| (head.log, head.clone())));
        self.projects.extend(loaded.projects.iter().map(|row| (row.id, Arc::clone(row))));
    }

    pub(crate) fn follow(&mut self, writes: &Writes) {
        self.heads.extend(writes.heads.iter().map(|head| (head.log, head.clone())));
        self.projects.extend(writes.projects.iter().map(|row| (row.id, Arc::clone(row))));
    }

    /// What is to be remembered of a log.
    pub(crate) fn known(&self, log: LogId) -> Option<Known> {
        let head = self.heads.get(&log)?.clone();
        let project = Arc::clone(self.projects.get(&log.project()?)?);
        Some(Known { head, project })
    }

    /// The hash at the end of a log.
    pub(crate) fn hash(&self, log: LogId) -> &str {
        self.heads.get(&log).map_or(GENESIS, |head| &head.hash)
    }

    /// Whether a project starts new work.
    pub(crate) fn is_active(&self, project: ProjectId) -> bool {
        self.projects.get(&project).is_some_and(|row| row.status() == ProjectStatus::Active)
    }
}
