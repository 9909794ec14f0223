//! Reads of the logs: a single log in the order of its positions, all logs in the order of entry
//! ids.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{Entry, HeadMark, LogId, LogSpan};
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::AuditLog;
use botarmy_domain::{EntryFilter, EventId, Page, ProjectId, StoreError, Timestamp};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::integer;
use botarmy_sql::log_pages::{self, LogReader, SearchMemory};
use botarmy_sql::log_spans;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::part::{page, part, surplus};
use crate::rows::{EventRow, IdRow, LISTED_EVENT, head_mark};
use crate::schema::{events, heads};
use crate::store::PostgresStore;

const TABLE: &str = "events";

#[async_trait]
impl AuditLog for PostgresStore {
    async fn entries(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, StoreError> {
        let rows = self
            .read(TABLE, |connection| {
                let (filter, memory) = (filter.clone(), self.search_memory());
                async move { newest(connection, &memory, &filter, limit).await }.boxed()
            })
            .await?;
        rows.try_map(|row| row.entry())
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
    ) -> Result<Page<Arc<Entry>>, StoreError> {
        let query = move || {
            let query = events::table
                .filter(events::log.eq(log.key().uuid()))
                .filter(events::seq.gt(integer(after)))
                .order(events::seq)
                .limit(surplus(limit))
                .select(EventRow::as_select());
            part(query, LISTED_EVENT, PART_BYTES)
        };
        let rows: Vec<(EventRow, i64)> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        page(rows, limit).try_map(|row| row.entry())
    }

    async fn spans(&self, from: Timestamp, limit: u32) -> Result<Option<Vec<LogSpan>>, StoreError> {
        let sql = log_spans::query(Dialect::POSTGRES, from, limit);
        let rows: Vec<SpanRow> = self
            .read(TABLE, |connection| {
                let query = sql_query(sql.clone());
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        Ok(log_spans::of_rows(rows.iter().map(SpanRow::columns), limit))
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
async fn newest(
    connection: &mut AsyncPgConnection,
    memory: &SearchMemory,
    filter: &EntryFilter,
    limit: u32,
) -> QueryResult<Page<EventRow>> {
    if log_pages::is_search(filter) {
        let mut reader = Reader { connection, left: PART_BYTES };
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
                query = match seq_of(connection, before, project).await? {
                    Some(seq) => query.filter(events::seq.lt(seq)),
                    None => before_id(query, before),
                };
            }
            query.order(events::seq.desc())
        }
    };
    let query = query.select(EventRow::as_select());
    let query = query.limit(surplus(limit)).offset(filter.offset.into());
    Ok(page(part(query, LISTED_EVENT, PART_BYTES).load(connection).await?, limit))
}

fn before_id(query: Query<'_>, before: EventId) -> Query<'_> {
    query.filter(events::id.lt(before.uuid()))
}

/// Returns the position of an entry in the log of this project, if it is in it.
async fn seq_of(
    connection: &mut AsyncPgConnection,
    id: EventId,
    project: ProjectId,
) -> QueryResult<Option<i64>> {
    let query = events::table
        .filter(events::id.eq(id.uuid()))
        .filter(events::log.eq(project.uuid()))
        .select(events::seq);
    query.get_result(connection).await.optional()
}

/// A connection on which a search runs. Its queries hold their values as text, so that PostgreSQL
/// plans each of them for its values: partial indexes and limits depend on those.
struct Reader<'a> {
    connection: &'a mut AsyncPgConnection,
    /// Number of bytes of entries that still fit in the page.
    left: usize,
}

/// An entry, and the number of entries that a query has found.
#[derive(QueryableByName)]
struct Found {
    #[diesel(embed)]
    event: EventRow,
    #[diesel(sql_type = BigInt)]
    found: i64,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct SpanRow {
    #[diesel(sql_type = SqlUuid)]
    log: Uuid,
    #[diesel(sql_type = BigInt)]
    first: i64,
    #[diesel(sql_type = BigInt)]
    last: i64,
    #[diesel(sql_type = BigInt)]
    entries: i64,
}

impl SpanRow {
    fn columns(&self) -> (LogId, i64, i64, i64) {
        let log = LogId::from_key(ProjectId::from_uuid(self.log));
        (log, self.first, self.last, self.entries)
    }
}

#[derive(QueryableByName)]
struct Numbers {
    #[diesel(sql_type = BigInt)]
    a: i64,
    #[diesel(sql_type = BigInt)]
    b: i64,
}

impl LogReader for Reader<'_> {
    type Row = EventRow;
    type Error = diesel::result::Error;

    async fn rows(&mut self, sql: String) -> QueryResult<Page<EventRow>> {
        let (head, tail) = LISTED_EVENT.around(self.left);
        let rows: Vec<Found> =
            sql_query(format!("{head}{sql}{tail}")).load(self.connection).await?;
        let page = page(rows.into_iter().map(|row| (row.event, row.found)).collect(), u32::MAX);
        let size: usize = page.iter().map(EventRow::size).sum();
        self.left = self.left.saturating_sub(size);
        Ok(page)
    }

    async fn names(&mut self, sql: &str) -> QueryResult<Vec<String>> {
        let names: Vec<Name> = sql_query(sql).load(self.connection).await?;
        Ok(names.into_iter().map(|row| row.name).collect())
    }

    async fn numbers(&mut self, sql: String) -> QueryResult<Vec<(i64, i64)>> {
        let numbers: Vec<Numbers> = sql_query(sql).load(self.connection).await?;
        Ok(numbers.into_iter().map(|row| (row.a, row.b)).collect())
    }

    async fn id(&mut self, sql: String) -> QueryResult<Option<Uuid>> {
        let ids: Vec<IdRow> = sql_query(sql).load(self.connection).await?;
        Ok(ids.into_iter().next().map(|row| row.id))
    }
}
