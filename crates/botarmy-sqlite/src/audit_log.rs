//! Reads of the logs: a single log in the order of its positions, all logs in the order of entry
//! ids.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{Entry, HeadMark, LogId};
use botarmy_domain::ports::AuditLog;
use botarmy_domain::{EntryFilter, EventId, EventSource, StoreError};
use botarmy_sql::{integer, time_of_id};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use crate::error::reading;
use crate::rows::{EventRow, head_mark};
use crate::schema::{events, heads};
use crate::statements::{EventHasRequest, EventHasTask, EventIsOfRareSource, limited};
use crate::store::SqliteStore;

#[async_trait]
impl AuditLog for SqliteStore {
    async fn entries(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.read_aside(move |connection| {
            let rows = page(connection, &filter, limit).map_err(|e| reading("events", e))?;
            rows.iter().map(EventRow::entry).collect()
        })
        .await
    }

    async fn entry(&self, id: EventId) -> Result<Option<Arc<Entry>>, StoreError> {
        self.read_now(|connection| {
            let query = events::table.filter(events::id.eq(id.bytes().as_slice()));
            let query = query.select(EventRow::as_select());
            let row = query.get_result(connection).optional().map_err(|e| reading("events", e))?;
            row.map(|row| row.entry()).transpose()
        })
    }

    async fn since(
        &self,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.read_list(limit, move |connection| {
            let key = log.key();
            let query = events::table
                .filter(events::log.eq(key.bytes().as_slice()))
                .filter(events::seq.gt(integer(after)))
                .order(events::seq)
                .select(EventRow::as_select());
            let rows =
                limited(query, limit).load(connection).map_err(|error| reading("events", error))?;
            rows.iter().map(EventRow::entry).collect()
        })
        .await
    }

    async fn head(&self, log: LogId) -> Result<Option<HeadMark>, StoreError> {
        self.read_now(|connection| {
            let row: Option<(i64, Vec<u8>)> = heads::table
                .find(log.key().bytes().as_slice())
                .select((heads::seq, heads::hash))
                .get_result(connection)
                .optional()
                .map_err(|error| reading("heads", error))?;
            row.map(|(seq, hash)| head_mark(log, seq, &hash)).transpose()
        })
    }
}

type Query<'a> = events::BoxedQuery<'a, Sqlite>;

/// Returns one page of entries, newest first.
fn page(
    connection: &mut SqliteConnection,
    filter: &EntryFilter,
    limit: u32,
) -> QueryResult<Vec<EventRow>> {
    let mut query = narrowed(filter);
    // A cursor is a position in the order of the page.
    query = match (&filter.project, &filter.before) {
        (None, None) => query.order(events::id.desc()),
        (None, Some(before)) => before_id(query, before).order(events::id.desc()),
        (Some(_), before) => {
            if let Some(before) = before {
                query = match seq_of(connection, *before)? {
                    Some(seq) => query.filter(events::seq.lt(seq)),
                    None => before_id(query, before),
                };
            }
            query.order(events::seq.desc())
        }
    };
    limited(query.select(EventRow::as_select()), limit).after(filter.offset).load(connection)
}

fn before_id<'a>(query: Query<'a>, before: &'a EventId) -> Query<'a> {
    query.filter(events::id.lt(before.bytes().as_slice()))
}

fn seq_of(connection: &mut SqliteConnection, id: EventId) -> QueryResult<Option<i64>> {
    let query = events::table.filter(events::id.eq(id.bytes().as_slice())).select(events::seq);
    query.get_result(connection).optional()
}

/// Returns a query for the entries that pass the filter, without an order.
fn narrowed(filter: &EntryFilter) -> Query<'_> {
    let mut query = events::table.into_boxed();
    if let Some(project) = &filter.project {
        query = query.filter(events::log.eq(project.bytes().as_slice()));
    }
    if let Some(task) = &filter.task {
        query = query.filter(EventHasTask).filter(events::task_id.eq(task.bytes().as_slice()));
    }
    if let Some(request) = &filter.request {
        let is_about = events::hitl_request_id.eq(request.bytes().as_slice());
        query = query.filter(EventHasRequest).filter(is_about);
    }
    if let Some(kind) = filter.event_type {
        query = query.filter(events::event_type.eq(kind.as_str()));
    }
    if let Some(source) = filter.event_source {
        query = query.filter(events::event_source.eq(source.as_str()));
        if matches!(source, EventSource::Webhook | EventSource::Scheduler) {
            query = query.filter(EventIsOfRareSource);
        }
    }
    if let Some(from) = filter.from {
        query = query.filter(events::created_at.ge(from.micros()));
        if filter.project.is_none() {
            query = query.filter(events::id.ge(time_of_id::first(from).to_vec()));
        }
    }
    if let Some(to) = filter.to {
        query = query.filter(events::created_at.le(to.micros()));
        if filter.project.is_none() {
            query = query.filter(events::id.le(time_of_id::last(to).to_vec()));
        }
    }
    query
}
