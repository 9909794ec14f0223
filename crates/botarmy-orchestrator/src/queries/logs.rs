//! Reading and checking the logs.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{EntryFilter, HeadMark, Line, Verification, Verifier};
use botarmy_domain::page::Page;
use botarmy_domain::ports::{LogQueries, Queries};
use botarmy_domain::replay::StateVerification;
use botarmy_domain::{Caller, DomainError, Entry, Error, EventId, LogId, ProjectId, TaskId};

use super::{log_reader, state};
use crate::engine::Engine;

#[async_trait]
impl LogQueries for Engine {
    async fn project_exists(&self, _: &Caller, id: ProjectId) -> Result<bool, Error> {
        Ok(self.ports.stores.projects.project(id).await?.is_some())
    }

    async fn log_head(&self, _: &Caller, log: LogId) -> Result<Option<HeadMark>, Error> {
        Ok(self.ports.stores.audit.head(log).await?)
    }

    async fn log_entries(
        &self,
        _: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        Ok(self.ports.stores.audit.since(log, after, limit).await?)
    }

    async fn entry(&self, _: &Caller, id: EventId) -> Result<Arc<Entry>, Error> {
        let entry = self.ports.stores.audit.entry(id).await?;
        Ok(entry.ok_or_else(|| DomainError::not_found("Event", id))?)
    }

    async fn entries(
        &self,
        _: &Caller,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        Ok(self.ports.stores.audit.entries(filter, limit).await?)
    }

    async fn project_entries(
        &self,
        caller: &Caller,
        id: ProjectId,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        let filter = EntryFilter { project: Some(id), ..filter };
        let found = self.entries(caller, filter, limit).await?;
        if found.items.is_empty() {
            self.existing_project(id).await?;
        }
        Ok(found)
    }

    async fn task_entries(
        &self,
        caller: &Caller,
        id: TaskId,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        let filter = EntryFilter { task: Some(id), ..filter };
        let found = self.entries(caller, filter, limit).await?;
        if found.items.is_empty() {
            self.task(caller, id).await?;
        }
        Ok(found)
    }

    async fn log_lines(
        &self,
        _: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Line>, Error> {
        Ok(log_reader::lines(&*self.ports.stores.audit, log, after, limit).await?)
    }

    async fn verify_log(
        &self,
        _: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        page: u32,
    ) -> Result<Verification, Error> {
        let audit = &*self.ports.stores.audit;
        let head = log_reader::existing_head(audit, log).await?;
        let mut verifier = Verifier::expecting(expected);
        let mut after = 0;
        while after < head.seq {
            let lines = log_reader::lines(audit, log, after, page).await?;
            let Some(last) = lines.last() else { break };
            // A store that was tampered with may not count upwards; this always ends.
            after = last.seq().max(after + 1);
            let up_to_head = lines.iter().filter(|line| line.seq() <= head.seq);
            up_to_head.for_each(|line| verifier.line(line));
        }
        Ok(verifier.finish(&head))
    }

    async fn verify_state(
        &self,
        _: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        page: u32,
    ) -> Result<StateVerification, Error> {
        state::verify_state(&self.ports.stores, log, expected, page).await
    }
}
