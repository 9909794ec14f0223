//! Reads of the logs: a single log in the order of its positions, all logs in the order of entry
//! ids.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{Entry, HeadMark, LogId};
use botarmy_domain::ports::AuditLog;
use botarmy_domain::{EntryFilter, EventId, EventSource, StoreError};
use botarmy_sql::{integer, time_of_id};
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::rows::{EventRow, head_mark};
use crate::schema::{events, heads};
use crate::store::PostgresStore;

const TABLE: &str = "events";

#[async_trait]
impl AuditLog for PostgresStore {
    async fn entries(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        let rows = self
            .read(TABLE, |connection| {
                let filter = filter.clone();
                async move { page(connection, &filter, limit).await }.boxed()
            })
            .await?;
        rows.iter().map(EventRow::entry).collect()
    }

    async fn entry(&self, id: EventId) -> Result<Option<Arc<Entry>>, StoreError> {
        let query =
            move || events::table.filter(events::id.eq(id.uuid())).select(EventRow::as_select());
        let row = self
            .read(TABLE, move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map(|row: EventRow| row.entry()).transpose()
    }

    async fn since(
        &self,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        let query = move || {
            events::table
                .filter(events::log.eq(log.key().uuid()))
                .filter(events::seq.gt(integer(after)))
                .order(events::seq)
                .limit(limit.into())
                .select(EventRow::as_select())
        };
        let rows: Vec<EventRow> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        rows.iter().map(EventRow::entry).collect()
    }

    async fn head(&self, log: LogId) -> Result<Option<HeadMark>, StoreError> {
        let query = move || heads::table.find(log.key().uuid()).select((heads::seq, heads::hash));
        let row: Option<(i64, Vec<u8>)> = self
            .read("heads", move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map(|(seq, hash)| head_mark(log, seq, &hash)).transpose()
    }
}

type Query<'a> = events::BoxedQuery<'a, Pg>;

/// Returns one page of entries, newest first.
async fn page(
    connection: &mut AsyncPgConnection,
    filter: &EntryFilter,
    limit: u32,
) -> QueryResult<Vec<EventRow>> {
    let mut query = narrowed(filter);
    // A cursor is a position in the order of the page.
    query = match (filter.project, filter.before) {
        (None, None) => query.order(events::id.desc()),
        (None, Some(before)) => before_id(query, before).order(events::id.desc()),
        (Some(_), before) => {
            if let Some(before) = before {
                query = match seq_of(connection, before).await? {
                    Some(seq) => query.filter(events::seq.lt(seq)),
                    None => before_id(query, before),
                };
            }
            query.order(events::seq.desc())
        }
    };
    let query = query.select(EventRow::as_select());
    query.limit(limit.into()).offset(filter.offset.into()).load(connection).await
}

fn before_id(query: Query<'_>, before: EventId) -> Query<'_> {
    query.filter(events::id.lt(before.uuid()))
}

async fn seq_of(connection: &mut AsyncPgConnection, id: EventId) -> QueryResult<Option<i64>> {
    let query = events::table.filter(events::id.eq(id.uuid())).select(events::seq);
    query.get_result(connection).await.optional()
}

/// Returns a query for the entries that pass the filter, without an order.
fn narrowed(filter: &EntryFilter) -> Query<'_> {
    let mut query = events::table.into_boxed();
    if let Some(project) = filter.project {
        query = query.filter(events::log.eq(project.uuid()));
    }
    if let Some(task) = filter.task {
        query = query.filter(events::task_id.eq(task.uuid()));
    }
    if let Some(request) = filter.request {
        query = query.filter(events::hitl_request_id.eq(request.uuid()));
    }
    if let Some(kind) = filter.event_type {
        query = query.filter(events::event_type.eq(kind.as_str()));
    }
    if let Some(source) = filter.event_source {
        query = query.filter(events::event_source.eq(source.as_str()));
        if matches!(source, EventSource::Webhook | EventSource::Scheduler) {
            // Literal values, because a generic plan would not use the partial index of these two.
            query = query.filter(sql::<Bool>("events.event_source IN ('webhook', 'scheduler')"));
        }
    }
    if let Some(from) = filter.from {
        query = query.filter(events::created_at.ge(from.micros()));
        if filter.project.is_none() {
            query = query.filter(events::id.ge(Uuid::from_bytes(time_of_id::first(from))));
        }
    }
    if let Some(to) = filter.to {
        query = query.filter(events::created_at.le(to.micros()));
        if filter.project.is_none() {
            query = query.filter(events::id.le(Uuid::from_bytes(time_of_id::last(to))));
        }
    }
    query
}
