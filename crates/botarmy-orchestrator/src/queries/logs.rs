//! Reading and checking the logs.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{EntryFilter, HeadMark, Line, LogSpan, Verification, Verifier};
use botarmy_domain::page::Page;
use botarmy_domain::ports::{LogQueries, Queries};
use botarmy_domain::replay::StateVerification;
use botarmy_domain::{
    Caller, DomainError, Entry, Error, EventId, EventType, LogId, ObjectId, Permission, ProjectId,
    Reach, TaskId, Timestamp,
};

use super::{log_reader, state};
use crate::engine::Engine;

/// Number of entries that are read at once where some are left out.
const READ_AT_ONCE: u32 = 500;
/// Largest number of such readings for one page.
const MAX_READS: u32 = 100;

#[async_trait]
impl LogQueries for Engine {
    async fn project_exists(&self, caller: &Caller, id: ProjectId) -> Result<bool, Error> {
        match self.readable_project(caller, id).await {
            Ok(_) => Ok(true),
            Err(Error::Refused(DomainError::NotFound { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn log_head(&self, caller: &Caller, log: LogId) -> Result<Option<HeadMark>, Error> {
        self.check_log(caller, log).await?;
        Ok(self.ports.stores.audit.head(log).await?)
    }

    async fn log_entries(
        &self,
        caller: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        self.check_log(caller, log).await?;
        Ok(self.ports.stores.audit.since(log, after, limit).await?)
    }

    async fn log_spans(
        &self,
        caller: &Caller,
        from: Timestamp,
        limit: u32,
    ) -> Result<Option<Vec<LogSpan>>, Error> {
        self.check_log(caller, LogId::System).await?;
        Ok(self.ports.stores.audit.spans(from, limit).await?)
    }

    async fn entry(&self, caller: &Caller, id: EventId) -> Result<Arc<Entry>, Error> {
        let object = ObjectId::Entry(id);
        self.check_seen(caller, Permission::ProjectRead, object).await?;
        if !caller.rights().has_globally(Permission::SystemRead) {
            // One that may read all projects, but not the system log.
            let everything = Reach::everything();
            if self.ports.stores.projects.within(&everything, &[object]).await?.is_empty() {
                return Err(DomainError::not_found("Event", id).into());
            }
        }
        let entry = self.ports.stores.audit.entry(id).await?;
        Ok(entry.ok_or_else(|| DomainError::not_found("Event", id))?)
    }

    async fn entries(
        &self,
        caller: &Caller,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        let filter = EntryFilter { reach: caller.reach(Permission::ProjectRead)?, ..filter };
        if !self.sees_named(caller, &filter).await? {
            return Ok(Page::default());
        }
        let is_system_hidden = !caller.rights().has_globally(Permission::SystemRead);
        if filter.reach.is_everything() && is_system_hidden {
            return self.entries_of_projects(filter, limit).await;
        }
        Ok(self.ports.stores.audit.entries(filter, limit).await?)
    }

    async fn project_entries(
        &self,
        caller: &Caller,
        id: ProjectId,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        self.check_readable(caller, id).await?;
        if !self.sees_named(caller, &filter).await? {
            return Ok(Page::default());
        }
        let filter = EntryFilter { project: Some(id), ..filter };
        let found = self.ports.stores.audit.entries(filter, limit).await?;
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
        self.check_seen(caller, Permission::ProjectRead, ObjectId::Task(id)).await?;
        if !self.sees_named(caller, &filter).await? {
            return Ok(Page::default());
        }
        let filter = EntryFilter { task: Some(id), ..filter };
        let found = self.ports.stores.audit.entries(filter, limit).await?;
        if found.items.is_empty() {
            self.task(caller, id).await?;
        }
        Ok(found)
    }

    async fn log_lines(
        &self,
        caller: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Line>, Error> {
        self.check_log(caller, log).await?;
        Ok(log_reader::lines(&*self.ports.stores.audit, log, after, limit).await?)
    }

    async fn verify_log(
        &self,
        caller: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        page: u32,
    ) -> Result<Verification, Error> {
        self.check_log(caller, log).await?;
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
        caller: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        page: u32,
    ) -> Result<StateVerification, Error> {
        self.check_log(caller, log).await?;
        state::verify_state(&self.ports.stores, log, expected, page).await
    }
}

impl Engine {
    /// Returns whether the caller sees the objects that a filter names. A search for entries of one that it
    /// does not see would find nothing, but take longer than one for an object that does not exist.
    async fn sees_named(&self, caller: &Caller, filter: &EntryFilter) -> Result<bool, Error> {
        let named = [
            filter.project.map(ObjectId::Project),
            filter.task.map(ObjectId::Task),
            filter.request.map(ObjectId::Request),
        ];
        let named = named.iter().flatten().copied();
        let seen = self.seen(caller, Permission::ProjectRead, named.clone()).await?;
        Ok(seen.len() == named.count())
    }

    /// Returns entries of all projects that pass the filter, newest first, without those of the system
    /// log. A page may be shorter than `limit` where many of those lie between.
    async fn entries_of_projects(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error> {
        let mut found = Page::default();
        if filter.event_type.is_some_and(EventType::is_of_system) {
            return Ok(found);
        }
        let mut skipped = filter.offset;
        let mut filter = EntryFilter { offset: 0, ..filter };
        let limit = limit as usize;
        for _ in 0..MAX_READS {
            let page = self.ports.stores.audit.entries(filter.clone(), READ_AT_ONCE).await?;
            let next = page.last_before_next().map(|entry| entry.id);
            for entry in page.items.into_iter().filter(|entry| entry.project_id.is_some()) {
                if skipped > 0 {
                    skipped -= 1;
                } else if found.items.len() < limit {
                    found.items.push(entry);
                } else {
                    found.has_more = true;
                    return Ok(found);
                }
            }
            filter.before = next;
            if next.is_none() {
                return Ok(found);
            }
        }
        found.has_more = !found.items.is_empty();
        Ok(found)
    }
}
