//! Reads of the logs: a single log in the order of its positions, all logs in the order of entry
//! ids.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use botarmy_domain::log::{Entry, HeadMark, LogId, LogSpan};
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::AuditLog;
use botarmy_domain::{EntryFilter, EventId, Page, ProjectId, StoreError, Timestamp};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::integer;
use botarmy_sql::log_pages::{self, LogReader};
use botarmy_sql::log_spans;
use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::Sqlite;
use uuid::Uuid;

use crate::error::reading;
use crate::rows::{EventRow, IdRow, head_mark};
use crate::schema::{events, heads};
use crate::statements::{limited, page};
use crate::store::SqliteStore;

#[async_trait]
impl AuditLog for SqliteStore {
    async fn entries(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, StoreError> {
        let memory = self.search_memory();
        self.read_aside(move |connection| {
            if log_pages::is_search(&filter) {
                let mut reader = Reader { connection, left: PART_BYTES };
                let found = log_pages::page(&mut reader, &memory, Dialect::SQLITE, &filter, limit);
                let found = at_once(found).map_err(|error| reading("events", error))?;
                return found.try_map(|row| row.entry());
            }
            let query = newest(connection, &filter).map_err(|error| reading("events", error))?;
            let query = limited(query.select(EventRow::as_select()), limit).after(filter.offset);
            page(connection, "events", query, entry)
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
    ) -> Result<Page<Arc<Entry>>, StoreError> {
        self.read_list(limit, move |connection| {
            let key = log.key();
            let query = events::table
                .filter(events::log.eq(key.bytes().as_slice()))
                .filter(events::seq.gt(integer(after)))
                .order(events::seq)
                .select(EventRow::as_select());
            page(connection, "events", limited(query, limit), entry)
        })
        .await
    }

    async fn spans(&self, from: Timestamp, limit: u32) -> Result<Option<Vec<LogSpan>>, StoreError> {
        self.read_aside(move |connection| {
            let query = sql_query(log_spans::query(Dialect::SQLITE, from, limit));
            let rows: Vec<SpanRow> =
                query.load(connection).map_err(|error| reading("events", error))?;
            let rows: QueryResult<Vec<_>> = rows.iter().map(SpanRow::columns).collect();
            let rows = rows.map_err(|error| reading("events", error))?;
            Ok(log_spans::of_rows(rows, limit))
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

/// Reads an entry and its size.
fn entry(row: &EventRow) -> Result<(Arc<Entry>, usize), StoreError> {
    Ok((row.entry()?, row.size()))
}

/// Returns the query for entries, newest first, of a filter that needs no search.
fn newest<'a>(
    connection: &mut SqliteConnection,
    filter: &'a EntryFilter,
) -> QueryResult<Query<'a>> {
    let mut query: Query<'_> = events::table.into_boxed();
    // A cursor is a position in the order of the page.
    query = match (&filter.project, &filter.before) {
        (None, None) => query.order(events::id.desc()),
        (None, Some(before)) => before_id(query, before).order(events::id.desc()),
        (Some(project), before) => {
            query = query.filter(events::log.eq(project.bytes().as_slice()));
            if let Some(before) = before {
                query = match seq_of(connection, *before, *project)? {
                    Some(seq) => query.filter(events::seq.lt(seq)),
                    None => before_id(query, before),
                };
            }
            query.order(events::seq.desc())
        }
    };
    Ok(query)
}

fn before_id<'a>(query: Query<'a>, before: &'a EventId) -> Query<'a> {
    query.filter(events::id.lt(before.bytes().as_slice()))
}

/// Returns the position of an entry in the log of this project, if it is in it.
fn seq_of(
    connection: &mut SqliteConnection,
    id: EventId,
    project: ProjectId,
) -> QueryResult<Option<i64>> {
    let query = events::table
        .filter(events::id.eq(id.bytes().as_slice()))
        .filter(events::log.eq(project.bytes().as_slice()))
        .select(events::seq);
    query.get_result(connection).optional()
}

/// A connection on which a search runs. Its queries are answered at once.
struct Reader<'a> {
    connection: &'a mut SqliteConnection,
    /// Number of bytes of entries that still fit in the page.
    left: usize,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct SpanRow {
    #[diesel(sql_type = Binary)]
    log: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    first: i64,
    #[diesel(sql_type = BigInt)]
    last: i64,
    #[diesel(sql_type = BigInt)]
    entries: i64,
}

impl SpanRow {
    fn columns(&self) -> QueryResult<(LogId, i64, i64, i64)> {
        let key = Uuid::from_slice(&self.log)
            .map_err(|error| diesel::result::Error::DeserializationError(error.into()))?;
        let log = LogId::from_key(ProjectId::from_uuid(key));
        Ok((log, self.first, self.last, self.entries))
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
        let query = sql_query(sql);
        let rows = query.load_iter::<EventRow, DefaultLoadingMode>(self.connection)?;
        let rows = rows.map(|row| {
            let row = row?;
            let size = row.size();
            Ok::<_, diesel::result::Error>((row, size))
        });
        let page = Page::part(rows, u32::MAX, self.left)?;
        let size: usize = page.iter().map(EventRow::size).sum();
        self.left = self.left.saturating_sub(size);
        Ok(page)
    }

    async fn names(&mut self, sql: &str) -> QueryResult<Vec<String>> {
        let names: Vec<Name> = sql_query(sql).load(self.connection)?;
        Ok(names.into_iter().map(|row| row.name).collect())
    }

    async fn numbers(&mut self, sql: String) -> QueryResult<Vec<(i64, i64)>> {
        let numbers: Vec<Numbers> = sql_query(sql).load(self.connection)?;
        Ok(numbers.into_iter().map(|row| (row.a, row.b)).collect())
    }

    async fn id(&mut self, sql: String) -> QueryResult<Option<Uuid>> {
        let ids: Vec<IdRow> = sql_query(sql).load(self.connection)?;
        ids.first().map(IdRow::uuid).transpose()
    }
}

/// Returns the result of a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("SQLite answers on the thread that asks"),
    }
}
