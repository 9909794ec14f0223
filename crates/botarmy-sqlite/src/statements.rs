//! Small pieces that Diesel's query builder lacks, so that hot statements are prepared once.

use std::sync::Arc;

use botarmy_domain::StoreError;
use botarmy_domain::page::{PART_BYTES, Page};
use botarmy_sql::body;
use diesel::connection::DefaultLoadingMode;
use diesel::expression::{Expression, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sql_types::{BigInt, Bool};
use diesel::sqlite::Sqlite;
use serde::de::DeserializeOwned;

use crate::error::reading;
use crate::rows::key_text;

/// An insert that becomes an update where the row exists. Diesel prepares its own `ON CONFLICT`
/// anew each time; this one is kept. `otherwise` must follow from the table alone.
#[derive(Debug)]
pub(crate) struct Upsert<Insert> {
    pub(crate) insert: Insert,
    pub(crate) otherwise: &'static str,
}

impl<Insert: QueryId> QueryId for Upsert<Insert> {
    type QueryId = Upsert<Insert::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = Insert::HAS_STATIC_QUERY_ID;
}

impl<Insert: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Upsert<Insert> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.insert.walk_ast(out.reborrow())?;
        out.push_sql(self.otherwise);
        Ok(())
    }
}

impl<Insert> RunQueryDsl<SqliteConnection> for Upsert<Insert> {}

/// A query with a limit and an offset.
///
/// SQLite looks at the value of a bare `LIMIT ?` when it plans, and so plans the statement again
/// each time one is bound, which is half the time of a short read; behind a sum it does not look.
/// For the same reason rows are fetched by key with `get_result`: `first` adds a limit.
#[derive(Debug)]
pub(crate) struct Limited<Select> {
    select: Select,
    limit: i64,
    offset: i64,
}

/// Ends a query with a limit.
pub(crate) fn limited<Select>(select: Select, limit: u32) -> Limited<Select> {
    Limited { select, limit: limit.into(), offset: 0 }
}

impl<Select> Limited<Select> {
    /// Leaves out the first rows.
    pub(crate) fn after(mut self, offset: u32) -> Self {
        self.offset = offset.into();
        self
    }
}

impl<Select: QueryId> QueryId for Limited<Select> {
    type QueryId = Limited<Select::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = Select::HAS_STATIC_QUERY_ID;
}

impl<Select: Query> Query for Limited<Select> {
    type SqlType = Select::SqlType;
}

impl<Select: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Limited<Select> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.select.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT (0 + ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") OFFSET (0 + ");
        out.push_bind_param::<BigInt, _>(&self.offset)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<Select> RunQueryDsl<SqliteConnection> for Limited<Select> {}

/// Returns the page that begins with the first rows of a query, read one by one, so that no more
/// than a page is in memory. `read` returns an item and its size in bytes.
pub(crate) fn page<'query, Select, Row, T>(
    connection: &mut SqliteConnection,
    table: &'static str,
    query: Limited<Select>,
    read: impl Fn(&Row) -> Result<(T, usize), StoreError>,
) -> Result<Page<T>, StoreError>
where
    Limited<Select>: LoadQuery<'query, SqliteConnection, Row>,
    Row: 'static,
{
    let limit = u32::try_from(query.limit).unwrap_or(u32::MAX);
    // One row more shows whether there is another page.
    let query = Limited { limit: query.limit.saturating_add(1), ..query };
    let rows = query
        .load_iter::<Row, DefaultLoadingMode>(connection)
        .map_err(|error| reading(table, error))?;
    Page::part(
        rows.map(|row| read(&row.map_err(|error| reading(table, error))?)),
        limit,
        PART_BYTES,
    )
}

/// A row's key and its body.
type Keyed = (Vec<u8>, String);
/// An entity with the size of its row, in bytes.
type SizedEntity<T> = (Arc<T>, usize);

/// Returns a reader of an entity from its key and body, for [`page`].
pub(crate) fn entity<T: DeserializeOwned>(
    table: &'static str,
) -> impl Fn(&Keyed) -> Result<SizedEntity<T>, StoreError> {
    move |(key, text)| Ok((Arc::new(body(table, key_text(key), text)?), text.len()))
}

/// Conditions that have to stand in a statement word for word: SQLite uses a partial index only
/// for a statement that says literally what the index says.
macro_rules! literally {
    ($($(#[$meta:meta])* $name:ident = $sql:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, QueryId)]
        pub(crate) struct $name;

        impl Expression for $name {
            type SqlType = Bool;
        }

        impl QueryFragment<Sqlite> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                out.push_sql($sql);
                Ok(())
            }
        }

        impl<QS> AppearsOnTable<QS> for $name {}
        impl<QS> SelectableExpression<QS> for $name {}

        impl<G> ValidGrouping<G> for $name {
            type IsAggregate = is_aggregate::Never;
        }
    )+};
}

literally! {
    /// Uses the index `tasks_queue`.
    TaskIsPending = "tasks.status = 'pending'";
    /// Uses the index `tasks_working`.
    TaskIsWorking = "tasks.status = 'working'";
    /// Selects projects that still accept decisions.
    ProjectIsOpen = "projects.status IN ('active', 'paused')";
    /// Uses the indexes `hitl_requests_pending` and `hitl_requests_due`.
    RequestIsPending = "hitl_requests.status = 'pending'";
    /// Uses the index `hitl_requests_due_before_expiry`, for a pending request.
    RequestIsDueBeforeExpiry = "hitl_requests.due_at < hitl_requests.expires_at";
    /// Uses the index `events_by_agent`.
    EventIsAgentStatus = "events.event_type = 'agent_status_changed'";
}
