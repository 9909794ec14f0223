//! Reads of the logs: a single log in the order of its positions, all logs in the order of entry
//! ids.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{Entry, HeadMark, LogId};
use botarmy_domain::ports::{AuditLog, PAGE_BYTES};
use botarmy_domain::{EntryFilter, EventId, StoreError};
use botarmy_sql::log_pages::{self, LogReader, SearchMemory};
use botarmy_sql::log_search::Dialect;
use botarmy_sql::{fitting, integer};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::rows::{EventRow, head_mark};
use crate::schema::{events, heads};
use crate::sql_functions::octet_length;
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
                let (filter, memory) = (filter.clone(), self.search_memory());
                async move { page(connection, &memory, &filter, limit).await }.boxed()
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
        let query = move |limit: u32| {
            events::table
                .filter(events::log.eq(log.key().uuid()))
                .filter(events::seq.gt(integer(after)))
                .order(events::seq)
                .limit(limit.into())
        };
        let rows: Vec<EventRow> = self
            .read(TABLE, move |connection| {
                async move {
                    let mut limit = limit;
                    // A list of one needs no sizes.
                    if limit > 1 {
                        let sizes = query(limit).select(octet_length(events::event_data));
                        limit = fitting(PAGE_BYTES, &sizes.load(&mut *connection).await?);
                    }
                    query(limit).select(EventRow::as_select()).load(connection).await
                }
                .boxed()
            })
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
    memory: &SearchMemory,
    filter: &EntryFilter,
    limit: u32,
) -> QueryResult<Vec<EventRow>> {
    if log_pages::is_search(filter) {
        let mut reader = Reader(connection);
        return log_pages::page(&mut reader, memory, Dialect::POSTGRES, filter, limit).await;
    }
    let mut query: Query<'_> = events::table.into_boxed();
    // A cursor is a position in the order of the page.
    query = match (filter.project, filter.before) {
        (None, None) => query.order(events::id.desc()),
        (None, Some(before)) => before_id(query, before).order(events::id.desc()),
        (Some(project), before) => {
            query = query.filter(events::log.eq(project.uuid()));
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

/// A connection on which a search runs. Its queries hold their values as text, so that PostgreSQL
/// plans each of them for its values: partial indexes and limits depend on those.
struct Reader<'a>(&'a mut AsyncPgConnection);

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Numbers {
    #[diesel(sql_type = BigInt)]
    a: i64,
    #[diesel(sql_type = BigInt)]
    b: i64,
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl LogReader for Reader<'_> {
    type Row = EventRow;
    type Error = diesel::result::Error;

    async fn rows(&mut self, sql: String) -> QueryResult<Vec<EventRow>> {
        sql_query(sql).load(self.0).await
    }

    async fn names(&mut self, sql: &str) -> QueryResult<Vec<String>> {
        let names: Vec<Name> = sql_query(sql).load(self.0).await?;
        Ok(names.into_iter().map(|row| row.name).collect())
    }

    async fn numbers(&mut self, sql: String) -> QueryResult<Vec<(i64, i64)>> {
        let numbers: Vec<Numbers> = sql_query(sql).load(self.0).await?;
        Ok(numbers.into_iter().map(|row| (row.a, row.b)).collect())
    }

    async fn id(&mut self, sql: String) -> QueryResult<Option<Uuid>> {
        let ids: Vec<Id> = sql_query(sql).load(self.0).await?;
        Ok(ids.into_iter().next().map(|row| row.id))
    }
}
