//! Statements for records of every kind: finding, listing, writing and removing them. They follow
//! from the table of the kind and are prepared once.

use std::marker::PhantomData;
use std::sync::LazyLock;

use botarmy_domain::batch::RecordWrite;
use botarmy_domain::{ColumnKind, ColumnValue, RecordKey, RecordKind, RecordValue, StoreError};
use botarmy_sql::json;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::Sqlite;

use crate::error::reading;
use crate::load_error::LoadError;

/// Returns the record with this key.
pub(crate) fn find(
    connection: &mut SqliteConnection,
    key: RecordKey,
) -> Result<Option<RecordValue>, LoadError> {
    let text = find_text(connection, key)?;
    Ok(text.map(|text| botarmy_sql::record(key.kind(), key, &text)).transpose()?)
}

/// Returns the record with this key, for a read that is no part of a decision.
pub(crate) fn read(
    connection: &mut SqliteConnection,
    key: RecordKey,
) -> Result<Option<RecordValue>, StoreError> {
    let text =
        find_text(connection, key).map_err(|error| reading(key.kind().table().name, error))?;
    text.map(|text| botarmy_sql::record(key.kind(), key, &text)).transpose()
}

fn find_text(connection: &mut SqliteConnection, key: RecordKey) -> QueryResult<Option<String>> {
    let statement = Statement::<Text>::new(&statements(key.kind()).find, vec![key.stored()]);
    statement.get_result(connection).optional()
}

/// Returns records of a kind, at most `limit`, in the order of their stored keys.
pub(crate) fn list(
    connection: &mut SqliteConnection,
    kind: RecordKind,
    limit: u32,
) -> Result<Vec<RecordValue>, StoreError> {
    let values = vec![ColumnValue::Integer(limit.into())];
    let rows: Vec<(String, String)> =
        Statement::<(Text, Text)>::new(&statements(kind).list, values)
            .load(connection)
            .map_err(|error| reading(kind.table().name, error))?;
    rows.iter().map(|(row, text)| botarmy_sql::record(kind, row, text)).collect()
}

/// Writes or removes a record.
pub(crate) fn write(connection: &mut SqliteConnection, write: &RecordWrite) -> QueryResult<()> {
    let statements = statements(write.key.kind());
    let mut values = vec![write.key.stored()];
    let pieces = match &write.value {
        Some(record) => {
            values.extend(record.extra());
            values.push(ColumnValue::Text(json::write(record)));
            &statements.write
        }
        None => &statements.remove,
    };
    Statement::<Text>::new(pieces, values).execute(connection).map(drop)
}

/// The statements of a kind of record, each in pieces with a parameter between two of them.
struct Statements {
    find: Vec<String>,
    list: Vec<String>,
    write: Vec<String>,
    remove: Vec<String>,
}

impl Statements {
    fn of(kind: RecordKind) -> Self {
        let table = kind.table();
        let (name, (key, key_kind)) = (table.name, table.key);
        // The key names the row in an error message.
        let key_text = match key_kind {
            ColumnKind::Id => format!("lower(hex({key}))"),
            ColumnKind::Text | ColumnKind::Integer => key.to_owned(),
        };
        let columns: Vec<_> = table.extra.iter().map(|(name, _)| *name).chain(["body"]).collect();
        let updates: Vec<_> =
            columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let mut write =
            vec![format!("INSERT INTO {name} ({key}, {}) VALUES (", columns.join(", "))];
        write.extend(columns.iter().map(|_| ", ".to_owned()));
        write.push(format!(") ON CONFLICT ({key}) DO UPDATE SET {}", updates.join(", ")));
        Self {
            find: vec![format!("SELECT body FROM {name} WHERE {key} = ")],
            // SQLite plans a bare `LIMIT ?` anew for each value; see `statements::Limited`.
            list: vec![
                format!("SELECT {key_text}, body FROM {name} ORDER BY {key} LIMIT (0 + "),
                ")".to_owned(),
            ],
            write,
            remove: vec![format!("DELETE FROM {name} WHERE {key} = ")],
        }
    }
}

fn statements(kind: RecordKind) -> &'static Statements {
    static STATEMENTS: LazyLock<Vec<(RecordKind, Statements)>> =
        LazyLock::new(|| RecordKind::ALL.map(|kind| (kind, Statements::of(kind))).into());
    let of_kind = STATEMENTS.iter().find(|(of, _)| *of == kind);
    &of_kind.expect("every kind of record is on the list").1
}

/// A statement with its parameters.
struct Statement<Output> {
    pieces: &'static [String],
    values: Vec<ColumnValue>,
    output: PhantomData<Output>,
}

impl<Output> Statement<Output> {
    const fn new(pieces: &'static [String], values: Vec<ColumnValue>) -> Self {
        Self { pieces, values, output: PhantomData }
    }
}

/// Prepared statements are cached by text, because the type is the same for all of them.
impl<Output> QueryId for Statement<Output> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Output> Query for Statement<Output> {
    type SqlType = Output;
}

impl<Output> QueryFragment<Sqlite> for Statement<Output> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        for (n, piece) in self.pieces.iter().enumerate() {
            out.push_sql(piece);
            match self.values.get(n) {
                Some(ColumnValue::Id(id)) => {
                    out.push_bind_param::<Binary, [u8; 16]>(id.as_bytes())?;
                }
                Some(ColumnValue::Text(text)) => out.push_bind_param::<Text, _>(text)?,
                Some(ColumnValue::Integer(number)) => out.push_bind_param::<BigInt, _>(number)?,
                None => {}
            }
        }
        Ok(())
    }
}

impl<Output> RunQueryDsl<SqliteConnection> for Statement<Output> {}
