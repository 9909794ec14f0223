//! Statements for records of every kind: finding, listing, writing and removing them. They follow
//! from the tables of the kinds.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use botarmy_domain::batch::RecordWrite;
use botarmy_domain::{ColumnKind, ColumnValue, RecordKey, RecordKind, RecordValue, StoreError};
use botarmy_sql::json;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Json, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::json_text::JsonText;
use crate::load_error::LoadError;

/// Loads the records with these keys, with one statement for each kind.
pub(crate) async fn load(
    mut connection: &AsyncPgConnection,
    keys: &BTreeSet<RecordKey>,
) -> Result<Vec<RecordValue>, LoadError> {
    let mut loaded = Vec::new();
    for kind in RecordKind::ALL {
        let keys: Vec<_> = keys.iter().copied().filter(|key| key.kind() == kind).collect();
        if !keys.is_empty() {
            loaded.extend(records(kind, &find(kind, &keys).load(&mut connection).await?)?);
        }
    }
    Ok(loaded)
}

/// A record as it is stored: the text of its key, and its body.
pub(crate) type Row = (String, String);

/// Reads records of a kind from their rows.
pub(crate) fn records(kind: RecordKind, rows: &[Row]) -> Result<Vec<RecordValue>, StoreError> {
    rows.iter().map(|(row, text)| botarmy_sql::record(kind, row, text)).collect()
}

/// Returns the statement that selects the records with these keys, all of the same kind.
pub(crate) fn find(kind: RecordKind, keys: &[RecordKey]) -> Select {
    let mut column = Parameter::column(kind.table().key.1);
    keys.iter().for_each(|key| column.push(key.stored()));
    Select { kind, pieces: &reads(kind).find, parameters: vec![column] }
}

/// Returns the statement that selects records of a kind, at most `limit`, in the order of their
/// stored keys.
pub(crate) fn list(kind: RecordKind, limit: u32) -> Select {
    Select { kind, pieces: &reads(kind).list, parameters: vec![Parameter::Number(limit.into())] }
}

/// Returns the statement that selects all records of these kinds, each row with the name of its table.
pub(crate) fn together(kinds: &[RecordKind]) -> SelectTogether {
    let select = |kind: &RecordKind| {
        let table = kind.table();
        let (name, (key, _)) = (table.name, table.key);
        format!("SELECT '{name}'::text AS name, {key}::text AS key, body FROM {name}")
    };
    let selects: Vec<_> = kinds.iter().map(select).collect();
    SelectTogether(selects.join(" UNION ALL ") + " ORDER BY name, key")
}

/// A statement that selects rows of records of several kinds.
#[derive(Debug, Clone)]
pub(crate) struct SelectTogether(String);

// Prepared statements are cached by text.
impl QueryId for SelectTogether {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for SelectTogether {
    type SqlType = (Text, Text, Text);
}

impl QueryFragment<Pg> for SelectTogether {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&self.0);
        Ok(())
    }
}

/// The statements that read a kind of record, each in pieces with a parameter between two of them.
struct Reads {
    find: Vec<String>,
    list: Vec<String>,
}

impl Reads {
    fn of(kind: RecordKind) -> Self {
        let table = kind.table();
        let (name, (key, key_kind)) = (table.name, table.key);
        // Texts are sorted byte by byte, whatever the language of the database.
        let order = if key_kind == ColumnKind::Text { " COLLATE \"C\"" } else { "" };
        let select = format!("SELECT {key}::text, body FROM {name}");
        Self {
            find: vec![format!("{select} WHERE {key} = ANY ("), ")".to_owned()],
            list: vec![format!("{select} ORDER BY {key}{order} LIMIT ")],
        }
    }
}

fn reads(kind: RecordKind) -> &'static Reads {
    static READS: LazyLock<Vec<(RecordKind, Reads)>> =
        LazyLock::new(|| RecordKind::ALL.map(|kind| (kind, Reads::of(kind))).into());
    let of_kind = READS.iter().find(|(of, _)| *of == kind);
    &of_kind.expect("every kind of record is on the list").1
}

/// A statement that selects rows of records.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) kind: RecordKind,
    pieces: &'static [String],
    parameters: Vec<Parameter>,
}

// Prepared statements are cached by text, because the type is the same for all kinds.
impl QueryId for Select {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Select {
    type SqlType = (Text, Text);
}

impl QueryFragment<Pg> for Select {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        walk(self.pieces, &self.parameters, out)
    }
}

/// The part of a statement that writes and removes records, after a part that names in `moved` the
/// logs whose end was moved. A record is written only with the log whose decision changed it.
#[derive(Debug)]
pub(crate) struct RecordWrites {
    parameters: Vec<Parameter>,
}

impl Default for RecordWrites {
    fn default() -> Self {
        Self::of(&[])
    }
}

/// The text of the part is always the same.
impl QueryId for RecordWrites {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RecordWrites {
    /// Returns the part that makes these changes, which are of different records.
    pub(crate) fn of(writes: &[RecordWrite]) -> Self {
        Self {
            parameters: RecordKind::ALL
                .into_iter()
                .flat_map(|kind| columns(kind, writes))
                .collect(),
        }
    }
}

/// Returns the parameters for one kind, in the order of [`write_pieces`].
fn columns(kind: RecordKind, writes: &[RecordWrite]) -> impl Iterator<Item = Parameter> {
    let table = kind.table();
    let key_column = || Parameter::column(table.key.1);
    let mut removed = [Parameter::Ids(Vec::new()), key_column()];
    let mut written = vec![Parameter::Ids(Vec::new()), key_column()];
    written.extend(table.extra.iter().map(|(_, kind)| Parameter::column(*kind)));
    let mut bodies = Vec::new();
    for write in writes.iter().filter(|write| write.key.kind() == kind) {
        let row = [ColumnValue::Id(write.log.key().uuid()), write.key.stored()].into_iter();
        match &write.value {
            Some(record) => {
                let row = row.chain(record.extra());
                written.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
                bodies.push(JsonText(json::write(record)));
            }
            None => removed.iter_mut().zip(row).for_each(|(column, value)| column.push(value)),
        }
    }
    removed.into_iter().chain(written).chain([Parameter::Bodies(bodies)])
}

/// Returns the text for one kind, in pieces with a parameter between two of them.
fn write_pieces(kind: RecordKind) -> Vec<String> {
    let table = kind.table();
    let (name, (key, _)) = (table.name, table.key);
    let columns: Vec<_> = table.extra.iter().map(|(name, _)| *name).chain(["body"]).collect();
    let updates: Vec<_> =
        columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let (columns, updates) = (columns.join(", "), updates.join(", "));
    let and = || ", ".to_owned();
    let mut pieces = vec![
        format!(", removed_{name} AS (DELETE FROM {name} USING unnest("),
        and(),
        format!(
            ") AS gone (log, key) WHERE {name}.{key} = gone.key \
             AND gone.log IN (SELECT log FROM moved)), \
             written_{name} AS (INSERT INTO {name} ({key}, {columns}) \
             SELECT {key}, {columns} FROM unnest("
        ),
        and(),
        and(),
    ];
    pieces.extend(table.extra.iter().map(|_| and()));
    pieces.push(format!(
        ") AS new (log, {key}, {columns}) WHERE new.log IN (SELECT log FROM moved) \
         ON CONFLICT ({key}) DO UPDATE SET {updates})"
    ));
    pieces
}

impl QueryFragment<Pg> for RecordWrites {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
            let mut all: Vec<String> = vec![String::new()];
            for kind in RecordKind::ALL {
                let mut pieces = write_pieces(kind).into_iter();
                // The end of one kind and the beginning of the next are one piece.
                if let (Some(last), Some(first)) = (all.last_mut(), pieces.next()) {
                    last.push_str(&first);
                }
                all.extend(pieces);
            }
            all
        });
        walk(&PIECES, &self.parameters, out)
    }
}

/// A parameter: a column of values, or a number.
#[derive(Debug, Clone)]
enum Parameter {
    Ids(Vec<Uuid>),
    Texts(Vec<String>),
    Numbers(Vec<i64>),
    Bodies(Vec<JsonText>),
    Number(i64),
}

impl Parameter {
    const fn column(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Id => Self::Ids(Vec::new()),
            ColumnKind::Text => Self::Texts(Vec::new()),
            ColumnKind::Integer => Self::Numbers(Vec::new()),
        }
    }

    /// Adds a value to a column.
    ///
    /// # Panics
    /// When the value is of another kind: a record declares its columns and gives their values.
    fn push(&mut self, value: ColumnValue) {
        match (self, value) {
            (Self::Ids(ids), ColumnValue::Id(id)) => ids.push(id),
            (Self::Texts(texts), ColumnValue::Text(text)) => texts.push(text),
            (Self::Numbers(numbers), ColumnValue::Integer(number)) => numbers.push(number),
            (column, value) => unreachable!("{value:?} does not belong into {column:?}"),
        }
    }
}

fn walk<'b>(
    pieces: &'b [String],
    parameters: &'b [Parameter],
    mut out: AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    for (n, piece) in pieces.iter().enumerate() {
        out.push_sql(piece);
        match parameters.get(n) {
            Some(Parameter::Ids(ids)) => out.push_bind_param::<Array<SqlUuid>, _>(ids)?,
            Some(Parameter::Texts(texts)) => out.push_bind_param::<Array<Text>, _>(texts)?,
            Some(Parameter::Numbers(numbers)) => {
                out.push_bind_param::<Array<BigInt>, _>(numbers)?;
            }
            Some(Parameter::Bodies(bodies)) => out.push_bind_param::<Array<Json>, _>(bodies)?,
            Some(Parameter::Number(number)) => out.push_bind_param::<BigInt, _>(number)?,
            None => {}
        }
    }
    Ok(())
}
