//! The whole database as rows, for `store copy`.

use async_trait::async_trait;
use botarmy_domain::{StoreError, Task};
use botarmy_sql::database_copy::{
    Cell, CopyMark, DatabaseCopy, HEADS, Kind, Row, TABLES, TASKS, Table,
};
use botarmy_sql::{body, json};
use diesel::deserialize::{self, QueryableByName};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::row::{Field, NamedRow};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use crate::connect::Purpose;
use crate::error::reading;
use crate::migrate;
use crate::open::OpenError;
use crate::rows;
use crate::settings::PostgresSettings;
use crate::url::PostgresUrl;

/// The key of the lock that a copy holds on its target, beside that of migrations.
const LOCK: &str = "pg_try_advisory_lock(1111585390)";

/// Session that reads from one snapshot without a time limit.
const SNAPSHOT: &str = "SET idle_in_transaction_session_timeout = 0; \
     BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Tables are read in the order of their keys, which their indexes have; tables that were filled a
/// moment ago have no statistics that would say so.
const IN_ORDER: &str = "SET enable_seqscan = off; SET enable_sort = off";

/// A database on one connection. Others may use it at the same time: a source answers from a
/// snapshot, and the copy command compares both sides at the end.
pub struct PostgresDatabaseCopy {
    name: String,
    connection: AsyncPgConnection,
}

impl PostgresDatabaseCopy {
    /// Opens the source of a copy. It must be complete and of this version; it is not changed.
    ///
    /// # Errors
    /// Returns an error that names the remedy.
    pub async fn source(settings: &PostgresSettings) -> Result<Self, OpenError> {
        let url = &settings.url;
        let states = migrate::status(settings).await?;
        if let Some(missing) = states.into_iter().find(|migration| !migration.is_applied) {
            return Err(OpenError::Behind { url: url.to_string(), missing: missing.name });
        }
        let mut connection = migrate::visit(settings, Purpose::Visiting).await?;
        refuse_a_half(&mut connection, url).await?;
        let mut source = Self::of(url, connection).await?;
        let begun = source.connection.batch_execute(SNAPSHOT).await;
        begun.map_err(|error| OpenError::database(url, error))?;
        Ok(source)
    }

    /// Opens the target of a copy and excludes other copies. An empty database gets its tables; one
    /// of an older version is refused unchanged, because it may hold data.
    ///
    /// # Errors
    /// Returns an error that names the remedy.
    pub async fn target(settings: &PostgresSettings) -> Result<Self, OpenError> {
        let url = &settings.url;
        let mut connection = migrate::visit(settings, Purpose::Migrating).await?;
        let is_ours: bool = diesel::select(diesel::dsl::sql::<Bool>(LOCK))
            .get_result(&mut connection)
            .await
            .map_err(|error| OpenError::database(url, error))?;
        if !is_ours {
            return Err(OpenError::BeingCopied { url: url.to_string() });
        }
        let (applied, missing): (Vec<_>, Vec<_>) =
            migrate::status(settings).await?.into_iter().partition(|one| one.is_applied);
        if let Some(missing) = missing.into_iter().next() {
            // A copy may have been killed between two migrations: then nothing was ever written.
            let is_empty = applied.is_empty()
                || diesel::select(diesel::dsl::sql::<Bool>("NOT EXISTS (SELECT 1 FROM heads)"))
                    .get_result(&mut connection)
                    .await
                    .map_err(|error| OpenError::database(url, error))?;
            if !is_empty {
                return Err(OpenError::Behind { url: url.to_string(), missing: missing.name });
            }
            migrate::up(settings).await?;
        }
        Self::of(url, connection).await
    }

    async fn of(url: &PostgresUrl, mut connection: AsyncPgConnection) -> Result<Self, OpenError> {
        let set = connection.batch_execute(IN_ORDER).await;
        set.map_err(|error| OpenError::database(url, error))?;
        Ok(Self { name: url.to_string(), connection })
    }
}

/// Returns an error for a database that holds an unfinished copy.
pub(crate) async fn refuse_a_half(
    connection: &mut AsyncPgConnection,
    url: &PostgresUrl,
) -> Result<(), OpenError> {
    match mark(connection).await.map_err(|error| OpenError::database(url, error))? {
        None => Ok(()),
        Some(mark) => Err(OpenError::HalfCopied { url: url.to_string(), source_name: mark.source }),
    }
}

#[async_trait]
impl DatabaseCopy for PostgresDatabaseCopy {
    fn name(&self) -> &str {
        &self.name
    }

    async fn rows(
        &mut self,
        table: &'static Table,
        after: Option<&[Cell]>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let keys = keys(table, "");
        let condition = after.map_or_else(String::new, |key| {
            let values: Vec<_> = (1..=key.len()).map(|n| format!("${n}")).collect();
            format!("WHERE ({}) > ({})", keys.join(", "), values.join(", "))
        });
        let sql = format!(
            "SELECT {} FROM {} {condition} ORDER BY {} LIMIT {limit}",
            read_columns(table),
            table.name,
            keys.join(", ")
        );
        load(&mut self.connection, table, sql, after.unwrap_or_default()).await
    }

    async fn last(&mut self, table: &'static Table) -> Result<Option<Row>, StoreError> {
        let backwards = keys(table, " DESC").join(", ");
        let columns = read_columns(table);
        let sql = format!("SELECT {columns} FROM {} ORDER BY {backwards} LIMIT 1", table.name);
        Ok(load(&mut self.connection, table, sql, &[]).await?.pop())
    }

    async fn append(&mut self, table: &'static Table, rows: &[Row]) -> Result<(), StoreError> {
        let mut columns: Vec<_> =
            table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut values: Vec<_> = table
            .columns
            .iter()
            .map(|(name, kind)| format!("new.{}", stored(name, *kind)))
            .collect();
        let mut arrays: Vec<_> = (1..)
            .zip(table.columns)
            .map(|(n, (_, kind))| format!("${n}::{}[]", element(*kind)))
            .collect();
        let mut names = columns.clone();
        // Column that only this dialect has.
        let attempts = if *table == TASKS { Some(attempts(rows)?) } else { None };
        if attempts.is_some() {
            columns.push("attempt".to_owned());
            names.push("attempt".to_owned());
            values.push("new.attempt".to_owned());
            arrays.push(format!("${}::bigint[]", arrays.len() + 1));
        }
        if *table == HEADS {
            columns.push("previous".to_owned());
            values.push(PREVIOUS.to_owned());
        }
        let sql = format!(
            "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS new ({})",
            table.name,
            columns.join(", "),
            values.join(", "),
            arrays.join(", "),
            names.join(", ")
        );
        let mut query = diesel::sql_query(sql).into_boxed();
        for (n, (_, kind)) in table.columns.iter().enumerate() {
            query = bind_column(query, *kind, rows.iter().map(|row| &row[n]));
        }
        if let Some(attempts) = attempts {
            query = query.bind::<Array<BigInt>, _>(attempts);
        }
        query.execute(&mut self.connection).await.map(drop).map_err(|e| writing(table.name, e))
    }

    async fn mark(&mut self) -> Result<Option<CopyMark>, StoreError> {
        mark(&mut self.connection).await.map_err(|error| reading(MARKS, error))
    }

    async fn set_mark(&mut self, mark: Option<&CopyMark>) -> Result<(), StoreError> {
        use crate::schema::copies_in_progress::dsl;
        let failed = |error| writing(MARKS, error);
        match mark {
            Some(mark) => diesel::insert_into(dsl::copies_in_progress)
                .values((dsl::source.eq(&mark.source), dsl::fingerprint.eq(&mark.fingerprint)))
                .execute(&mut self.connection)
                .await
                .map_err(failed)?,
            None => {
                // Without fresh statistics the next server would plan for empty tables. The copy
                // counts as unfinished until this succeeds, so running the command again repeats
                // it.
                let tables = TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ");
                let analyzed = self.connection.batch_execute(&format!("ANALYZE {tables}")).await;
                analyzed.map_err(failed)?;
                diesel::delete(dsl::copies_in_progress)
                    .execute(&mut self.connection)
                    .await
                    .map_err(failed)?
            }
        };
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let again = async {
            self.connection.batch_execute("COMMIT").await?;
            self.connection.batch_execute(SNAPSHOT).await
        };
        again.await.map_err(|error| StoreError::unavailable("reading the database again", error))
    }
}

const MARKS: &str = "copies_in_progress";

/// The hash of the entry before the last one of a log.
const PREVIOUS: &str = "coalesce((SELECT hash FROM events \
     WHERE events.log = new.log AND events.seq = new.seq - 1), decode(repeat('00', 32), 'hex'))";

async fn mark(connection: &mut AsyncPgConnection) -> QueryResult<Option<CopyMark>> {
    use crate::schema::copies_in_progress::dsl;
    let columns = (dsl::source, dsl::fingerprint);
    let row = dsl::copies_in_progress.select(columns).first(connection).await.optional()?;
    Ok(row.map(|(source, fingerprint)| CopyMark { source, fingerprint }))
}

/// Returns the sort key of a table: texts by bytes, independent of the collation of the database.
fn keys(table: &Table, suffix: &str) -> Vec<String> {
    let key = |(name, kind): &(&str, Kind)| match kind {
        Kind::Text => format!("{name} COLLATE \"C\"{suffix}"),
        _ => format!("{name}{suffix}"),
    };
    table.key_columns().iter().map(key).collect()
}

fn read_columns(table: &Table) -> String {
    let column = |(name, kind): &(&str, Kind)| match kind {
        Kind::Json => format!("{name}::text"),
        Kind::Integer => format!("{name}::bigint"),
        Kind::Flag => format!("{name}::integer::bigint"),
        Kind::Id | Kind::Bytes | Kind::Text => (*name).to_owned(),
    };
    table.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// Returns the PostgreSQL type of a parameter.
const fn element(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "uuid",
        Kind::Bytes => "bytea",
        Kind::Text | Kind::Json => "text",
        Kind::Integer | Kind::Flag => "bigint",
    }
}

/// Returns the expression that converts a parameter to its column type.
fn stored(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Json => format!("{name}::json"),
        Kind::Flag => format!("{name} <> 0"),
        Kind::Id | Kind::Bytes | Kind::Text | Kind::Integer => name.to_owned(),
    }
}

async fn load(
    connection: &mut AsyncPgConnection,
    table: &'static Table,
    sql: String,
    key: &[Cell],
) -> Result<Vec<Row>, StoreError> {
    let key = table.key_columns().iter().zip(key);
    let query =
        key.fold(diesel::sql_query(sql).into_boxed(), |q, ((_, kind), cell)| bind(q, *kind, cell));
    let loaded: Vec<Cells> =
        query.load(connection).await.map_err(|error| reading(table.name, error))?;
    let mut rows: Vec<_> = loaded.into_iter().map(|row| row.0).collect();
    if *table == TASKS {
        rows.iter_mut().try_for_each(with_its_lease)?;
    }
    Ok(rows)
}

/// Sets the expiry of the lease in the body: this dialect updates the column only.
fn with_its_lease(row: &mut Row) -> Result<(), StoreError> {
    let [Cell::Bytes(id), .., lease @ Cell::Integer(_), Cell::Text(text)] = row.as_mut_slice()
    else {
        return Ok(());
    };
    let Cell::Integer(lapses) = lease else { return Ok(()) };
    let id = Uuid::from_slice(id).unwrap_or_default();
    let stored: Task = body(TASKS.name, id, text)?;
    let task = rows::task((id, Some(*lapses), text.clone()))?;
    if task != stored {
        *text = json::write(&task);
    }
    Ok(())
}

/// Returns the attempt number of each task.
fn attempts(rows: &[Row]) -> Result<Vec<i64>, StoreError> {
    let attempt = |row: &Row| match row.last() {
        Some(Cell::Text(text)) => {
            let task: Task = body(TASKS.name, TASKS.name_of(row), text)?;
            Ok(i64::from(task.attempt))
        }
        _ => Err(botarmy_sql::corrupt(TASKS.name, TASKS.name_of(row), "it has no body")),
    };
    rows.iter().map(attempt).collect()
}

type Query<'a> = BoxedSqlQuery<'a, Pg, SqlQuery>;

fn bind<'a>(query: Query<'a>, kind: Kind, cell: &'a Cell) -> Query<'a> {
    match kind {
        Kind::Id => query.bind::<Nullable<SqlUuid>, _>(id(cell)),
        Kind::Bytes => query.bind::<Nullable<Binary>, _>(bytes(cell)),
        Kind::Text | Kind::Json => query.bind::<Nullable<Text>, _>(text(cell)),
        Kind::Integer | Kind::Flag => query.bind::<Nullable<BigInt>, _>(integer(cell)),
    }
}

fn bind_column<'a>(
    query: Query<'a>,
    kind: Kind,
    cells: impl Iterator<Item = &'a Cell>,
) -> Query<'a> {
    match kind {
        Kind::Id => query.bind::<Array<Nullable<SqlUuid>>, _>(cells.map(id).collect::<Vec<_>>()),
        Kind::Bytes => {
            query.bind::<Array<Nullable<Binary>>, _>(cells.map(bytes).collect::<Vec<_>>())
        }
        Kind::Text | Kind::Json => {
            query.bind::<Array<Nullable<Text>>, _>(cells.map(text).collect::<Vec<_>>())
        }
        Kind::Integer | Kind::Flag => {
            query.bind::<Array<Nullable<BigInt>>, _>(cells.map(integer).collect::<Vec<_>>())
        }
    }
}

/// Returns the id in a cell. A cell of another kind is sent as NULL, which the table rejects or the
/// final comparison reports.
fn id(cell: &Cell) -> Option<Uuid> {
    bytes(cell).and_then(|bytes| Uuid::from_slice(bytes).ok())
}

fn bytes(cell: &Cell) -> Option<&[u8]> {
    if let Cell::Bytes(bytes) = cell { Some(bytes) } else { None }
}

fn text(cell: &Cell) -> Option<&str> {
    if let Cell::Text(text) = cell { Some(text) } else { None }
}

fn integer(cell: &Cell) -> Option<i64> {
    if let Cell::Integer(number) = cell { Some(*number) } else { None }
}

fn writing(table: &'static str, error: diesel::result::Error) -> StoreError {
    StoreError::unavailable(format!("writing {table}"), error)
}

/// A row with its cells in the shared form of both dialects.
struct Cells(Row);

/// Type ids of the wire protocol (`pg_type.oid`, the same in every PostgreSQL).
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const TEXT: u32 = 25;
const UUID: u32 = 2950;

impl QueryableByName<Pg> for Cells {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        let cells = (0..row.field_count()).map(|n| {
            let field = diesel::row::Row::get(row, n).ok_or("a column is missing")?;
            let Some(value) = field.value() else { return Ok(Cell::Null) };
            match value.get_oid().get() {
                UUID | BYTEA => Ok(Cell::Bytes(value.as_bytes().to_owned())),
                TEXT => Ok(Cell::Text(String::from_utf8(value.as_bytes().to_owned())?)),
                INT8 => Ok(Cell::Integer(i64::from_be_bytes(value.as_bytes().try_into()?))),
                other => Err(format!("a value of type {other}").into()),
            }
        });
        cells.collect::<deserialize::Result<_>>().map(Self)
    }
}
