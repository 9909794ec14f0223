//! The whole file as rows, for `store copy` and for checking a backup.

use std::fs::File;
use std::path::Path;

use async_trait::async_trait;
use botarmy_domain::StoreError;
use botarmy_sql::database_copy::{Cell, CopyMark, DatabaseCopy, Row, Table};
use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, QueryableByName};
use diesel::prelude::*;
use diesel::query_builder::BoxedSqlQuery;
use diesel::row::{Field, NamedRow};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteType};

use crate::connection;
use crate::error::reading;
use crate::migrate;
use crate::open::{self, OpenError};
use crate::settings::SqliteSettings;

/// A database file that this process has locked, or that no process uses. Its methods block the
/// thread: they are for a command that does nothing else.
pub struct SqliteDatabaseCopy {
    name: String,
    connection: SqliteConnection,
    _lock: Option<File>,
}

impl SqliteDatabaseCopy {
    /// Opens the source of a copy. It must exist, be complete and be of this version; it is locked
    /// and not changed.
    ///
    /// # Errors
    /// Returns an error that names the remedy.
    pub fn source(path: &Path) -> Result<Self, OpenError> {
        open::must_exist(path)?;
        let lock = open::lock(path)?;
        let missing = migrate::status(path)?.into_iter().find(|migration| !migration.is_applied);
        if let Some(missing) = missing {
            return Err(OpenError::Behind { path: path.to_owned(), missing: missing.name });
        }
        let mut source = Self::read_only(path, Some(lock))?;
        refuse_a_half(&mut source.connection, path)?;
        Ok(source)
    }

    /// Opens a file that no server uses, such as a backup. It may be of an older version: the
    /// format of the logs has not changed.
    ///
    /// # Errors
    /// Returns an error that names the remedy.
    pub fn file(path: &Path) -> Result<Self, OpenError> {
        open::inspect(path)?;
        Self::read_only(path, None)
    }

    fn read_only(path: &Path, lock: Option<File>) -> Result<Self, OpenError> {
        let mut connection = connection::reader(&SqliteSettings::new(path))
            .map_err(|error| OpenError::sqlite(path, error))?;
        connection.batch_execute("BEGIN").map_err(|error| OpenError::sqlite(path, error))?;
        Ok(Self::of(path, connection, lock))
    }

    /// Opens the target of a copy. A missing file is created; the file is locked. One that an older
    /// version has written to is refused unchanged.
    ///
    /// # Errors
    /// Returns an error that names the remedy.
    pub fn target(path: &Path) -> Result<Self, OpenError> {
        let lock = open::lock(path)?;
        let (applied, missing): (Vec<_>, Vec<_>) =
            migrate::status(path)?.into_iter().partition(|migration| migration.is_applied);
        if let (false, Some(missing)) = (applied.is_empty(), missing.into_iter().next())
            && !is_empty(path)?
        {
            return Err(OpenError::Behind { path: path.to_owned(), missing: missing.name });
        }
        open::create(path)?;
        let mut connection = connection::writer(&SqliteSettings::new(path))
            .map_err(|error| OpenError::sqlite(path, error))?;
        migrate::apply(&mut connection, path)?;
        Ok(Self::of(path, connection, Some(lock)))
    }

    fn of(path: &Path, connection: SqliteConnection, lock: Option<File>) -> Self {
        let directory = open::directory(path);
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        Self { name: format!("sqlite:{}", directory.display()), connection, _lock: lock }
    }
}

/// Whether the file has no data: a copy may have been killed between two migrations.
fn is_empty(path: &Path) -> Result<bool, OpenError> {
    let mut connection =
        connection::visitor(path).map_err(|error| OpenError::sqlite(path, error))?;
    diesel::select(diesel::dsl::sql::<Bool>("NOT EXISTS (SELECT 1 FROM heads)"))
        .get_result(&mut connection)
        .map_err(|error| OpenError::sqlite(path, error))
}

/// Returns an error for a file that holds an unfinished copy.
pub(crate) fn refuse_a_half(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(), OpenError> {
    match mark(connection).map_err(|error| OpenError::sqlite(path, error))? {
        None => Ok(()),
        Some(mark) => {
            Err(OpenError::HalfCopied { path: path.to_owned(), source_name: mark.source })
        }
    }
}

#[async_trait]
impl DatabaseCopy for SqliteDatabaseCopy {
    fn name(&self) -> &str {
        &self.name
    }

    async fn rows(
        &mut self,
        table: &'static Table,
        after: Option<&[Cell]>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let keys = names(table.key_columns());
        let condition = after.map_or_else(String::new, |key| {
            format!("WHERE ({keys}) > ({})", vec!["?"; key.len()].join(", "))
        });
        let sql = format!(
            "SELECT {} FROM {} {condition} ORDER BY {keys} LIMIT {limit}",
            names(table.columns),
            table.name
        );
        load(&mut self.connection, table, sql, after.unwrap_or_default())
    }

    async fn last(&mut self, table: &'static Table) -> Result<Option<Row>, StoreError> {
        let backwards: Vec<_> =
            table.key_columns().iter().map(|(name, _)| format!("{name} DESC")).collect();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            names(table.columns),
            table.name,
            backwards.join(", ")
        );
        Ok(load(&mut self.connection, table, sql, &[])?.pop())
    }

    async fn append(&mut self, table: &'static Table, rows: &[Row]) -> Result<(), StoreError> {
        // One statement is one transaction. It takes up to 32,766 values: some 2,900 rows.
        let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            table.name,
            names(table.columns),
            vec![row; rows.len()].join(", ")
        );
        let query = rows.iter().flatten().fold(diesel::sql_query(sql).into_boxed(), bind);
        query.execute(&mut self.connection).map(drop).map_err(|error| writing(table.name, error))
    }

    async fn mark(&mut self) -> Result<Option<CopyMark>, StoreError> {
        mark(&mut self.connection).map_err(|error| reading(MARKS, error))
    }

    async fn set_mark(&mut self, mark: Option<&CopyMark>) -> Result<(), StoreError> {
        use crate::schema::copies_in_progress::dsl;
        let failed = |error| writing(MARKS, error);
        match mark {
            Some(mark) => diesel::insert_into(dsl::copies_in_progress)
                .values((dsl::source.eq(&mark.source), dsl::fingerprint.eq(&mark.fingerprint)))
                .execute(&mut self.connection)
                .map_err(failed)?,
            None => diesel::delete(dsl::copies_in_progress)
                .execute(&mut self.connection)
                .map_err(failed)?,
        };
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let again = self.connection.batch_execute("COMMIT; BEGIN");
        again.map_err(|error| StoreError::unavailable("reading the database again", error))
    }
}

const MARKS: &str = "copies_in_progress";

fn mark(connection: &mut SqliteConnection) -> QueryResult<Option<CopyMark>> {
    use crate::schema::copies_in_progress::dsl;
    let columns = (dsl::source, dsl::fingerprint);
    let row = dsl::copies_in_progress.select(columns).first(connection).optional()?;
    Ok(row.map(|(source, fingerprint)| CopyMark { source, fingerprint }))
}

fn names<T>(columns: &[(&str, T)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn load(
    connection: &mut SqliteConnection,
    table: &'static Table,
    sql: String,
    key: &[Cell],
) -> Result<Vec<Row>, StoreError> {
    let query = key.iter().fold(diesel::sql_query(sql).into_boxed(), bind);
    let rows: Vec<Cells> = query.load(connection).map_err(|error| reading(table.name, error))?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

type Query<'a> = BoxedSqlQuery<'a, Sqlite, diesel::query_builder::SqlQuery>;

fn bind<'a>(query: Query<'a>, cell: &'a Cell) -> Query<'a> {
    match cell {
        Cell::Null => query.bind::<Nullable<Text>, _>(None::<String>),
        Cell::Integer(number) => query.bind::<BigInt, _>(number),
        Cell::Text(text) => query.bind::<Text, _>(text),
        Cell::Bytes(bytes) => query.bind::<Binary, _>(bytes),
    }
}

fn writing(table: &'static str, error: diesel::result::Error) -> StoreError {
    StoreError::unavailable(format!("writing {table}"), error)
}

/// A row with its cells in the shared form of both dialects.
struct Cells(Row);

impl QueryableByName<Sqlite> for Cells {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> deserialize::Result<Self> {
        let cells = (0..row.field_count()).map(|n| {
            let field = diesel::row::Row::get(row, n).ok_or("a column is missing")?;
            let Some(mut value) = field.value() else { return Ok(Cell::Null) };
            match value.value_type() {
                Some(SqliteType::Text) => Ok(Cell::Text(value.read_text().to_owned())),
                Some(SqliteType::Binary) => Ok(Cell::Bytes(value.read_blob().to_owned())),
                Some(SqliteType::Long | SqliteType::Integer | SqliteType::SmallInt) => {
                    Ok(Cell::Integer(value.read_long()))
                }
                other => Err(format!("a value of type {other:?}").into()),
            }
        });
        cells.collect::<deserialize::Result<_>>().map(Self)
    }
}
