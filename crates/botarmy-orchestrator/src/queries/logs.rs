//! Reading and checking the logs.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{EntryFilter, HeadMark, Verification, Verifier};
use botarmy_domain::page::Page;
use botarmy_domain::ports::{LogQueries, Queries};
use botarmy_domain::{
    Caller, DomainError, Entry, Error, EventId, LogId, ProjectId, StoreError, TaskId,
};

use super::{no_project, surplus};
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
    ) -> Result<Vec<Arc<Entry>>, Error> {
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
        let found = self.ports.stores.audit.entries(filter, surplus(limit)).await?;
        Ok(Page::first(found, limit))
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

    async fn verify_log(
        &self,
        _: &Caller,
        id: ProjectId,
        page: u32,
    ) -> Result<Verification, Error> {
        let (audit, log) = (&self.ports.stores.audit, LogId::Project(id));
        let head = audit.head(log).await?.ok_or_else(|| no_project(id))?;
        let mut verifier = Verifier::default();
        let mut after = 0;
        while after < head.seq {
            let entries = match audit.since(log, after, page).await {
                Ok(entries) => entries,
                // One entry of the page cannot be read: read one at a time until it is passed.
                Err(StoreError::Corrupt { .. }) => match audit.since(log, after, 1).await {
                    Ok(one) => one,
                    Err(StoreError::Corrupt { .. }) => {
                        verifier.unreadable();
                        after += 1;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            };
            let Some(last) = entries.last() else { break };
            // A store that was tampered with may not count upwards; this always ends.
            after = last.seq.max(after + 1);
            let up_to_head = entries.iter().filter(|entry| entry.seq <= head.seq);
            up_to_head.for_each(|entry| verifier.next(entry));
        }
        Ok(verifier.finish(&head))
    }
}
