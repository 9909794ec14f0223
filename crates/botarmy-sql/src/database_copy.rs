//! A whole database, table by table, in a form that both dialects share: for moving it to another
//! database, and for comparing the two. Rows are copied as they are stored, without conversion to
//! entities, so that every text arrives unchanged.

use std::sync::LazyLock;

use async_trait::async_trait;
use botarmy_domain::log::{Entry, HeadMark, LogId, hash_text};
use botarmy_domain::{
    ColumnKind, EventId, HitlRequestId, ProjectId, RecordKind, RecordTable, StoreError, TaskId,
    Timestamp,
};
use uuid::Uuid;

use crate::{Column, corrupt};

/// A value in a row, as SQLite stores it: ids and hashes are bytes, times and flags are numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// A number, a time in microseconds, or 0 and 1 for no and yes.
    Integer(i64),
    /// A text, or JSON as text.
    Text(String),
    /// The sixteen bytes of an id, or the bytes of a hash.
    Bytes(Vec<u8>),
}

/// The values of a row, in the order of [`Table::columns`].
pub type Row = Vec<Cell>;

/// Type of a column, for databases with strict types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Id,
    /// Bytes.
    Bytes,
    /// A word.
    Text,
    /// A JSON document.
    Json,
    /// A number or a time.
    Integer,
    /// A boolean.
    Flag,
}

/// A table that both dialects have. Columns that only one of them has follow from the others.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Name of the table.
    pub name: &'static str,
    /// Columns; those of the key come first.
    pub columns: &'static [(&'static str, Kind)],
    /// Number of leading columns that make the key.
    pub key: usize,
}

impl Table {
    /// Returns the key of a row.
    #[must_use]
    pub fn key_of<'a>(&self, row: &'a [Cell]) -> &'a [Cell] {
        &row[..self.key]
    }

    /// Returns the columns of the key.
    #[must_use]
    pub fn key_columns(&self) -> &'static [(&'static str, Kind)] {
        &self.columns[..self.key]
    }

    /// Returns the key of a row as it appears in errors.
    #[must_use]
    pub fn name_of(&self, row: &[Cell]) -> String {
        let name = |cell: &Cell| match cell {
            Cell::Null => "-".to_owned(),
            Cell::Integer(number) => number.to_string(),
            Cell::Text(text) => text.clone(),
            Cell::Bytes(bytes) => {
                Uuid::from_slice(bytes).map_or_else(|_| hash_text(bytes), |id| id.to_string())
            }
        };
        self.key_of(row).iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

/// The end of every log, by the id of the log.
pub const HEADS: Table = Table {
    name: "heads",
    columns: &[
        ("log", Kind::Id),
        ("seq", Kind::Integer),
        ("hash", Kind::Bytes),
        ("counts", Kind::Json),
        ("next_turn", Kind::Integer),
    ],
    key: 1,
};

/// The tasks.
pub const TASKS: Table = Table {
    name: "tasks",
    columns: &[
        ("id", Kind::Id),
        ("project_id", Kind::Id),
        ("agent", Kind::Text),
        ("status", Kind::Text),
        ("held", Kind::Flag),
        ("priority", Kind::Integer),
        ("turn_at", Kind::Integer),
        ("ready_at", Kind::Integer),
        ("lease_expires_at", Kind::Integer),
        ("body", Kind::Json),
    ],
    key: 1,
};

/// The entries of all logs, log by log in their order.
pub const EVENTS: Table = Table {
    name: "events",
    columns: &[
        ("log", Kind::Id),
        ("seq", Kind::Integer),
        ("id", Kind::Id),
        ("event_type", Kind::Text),
        ("event_source", Kind::Text),
        ("task_id", Kind::Id),
        ("hitl_request_id", Kind::Id),
        ("created_at", Kind::Integer),
        ("hash", Kind::Bytes),
        ("event_metadata", Kind::Json),
        ("event_data", Kind::Json),
    ],
    key: 2,
};

/// Every table, in an order in which they can be filled: what others refer to comes first, and the
/// ends of the logs come last.
pub static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let records = RecordKind::ALL.map(|kind| table_of(kind.table()));
    ROWS.into_iter().chain(records).chain([EVENTS, HEADS]).collect()
});

const ROWS: [Table; 9] = [
    Table {
        name: "projects",
        columns: &[
            ("id", Kind::Id),
            ("status", Kind::Text),
            ("creator", Kind::Id),
            ("body", Kind::Json),
        ],
        key: 1,
    },
    TASKS,
    Table {
        name: "hitl_requests",
        columns: &[
            ("id", Kind::Id),
            ("project_id", Kind::Id),
            ("agent", Kind::Text),
            ("kind", Kind::Text),
            ("status", Kind::Text),
            ("expires_at", Kind::Integer),
            ("created_at", Kind::Integer),
            ("due_at", Kind::Integer),
            ("answer_by", Kind::Integer),
            ("policy", Kind::Text),
            ("restricted", Kind::Flag),
            ("body", Kind::Json),
        ],
        key: 1,
    },
    Table {
        name: "hitl_people",
        columns: &[("who", Kind::Text), ("request_id", Kind::Id)],
        key: 2,
    },
    Table {
        name: "artifacts",
        columns: &[
            ("id", Kind::Id),
            ("project_id", Kind::Id),
            ("source_agent", Kind::Text),
            ("artifact_type", Kind::Text),
            ("digest", Kind::Bytes),
            ("previous", Kind::Id),
            ("created_at", Kind::Integer),
            ("metadata", Kind::Json),
            ("content", Kind::Json),
        ],
        key: 1,
    },
    Table {
        name: "key_uses",
        columns: &[("key_id", Kind::Id), ("used_at", Kind::Integer)],
        key: 1,
    },
    Table {
        name: "webhook_cursors",
        columns: &[
            ("webhook_id", Kind::Id),
            ("log", Kind::Id),
            ("seq", Kind::Integer),
            ("attempts", Kind::Integer),
        ],
        key: 2,
    },
    Table {
        name: "webhook_leases",
        columns: &[
            ("webhook_id", Kind::Id),
            ("holder", Kind::Text),
            ("fence", Kind::Integer),
            ("expires_at", Kind::Integer),
            ("retry_at", Kind::Integer),
        ],
        key: 1,
    },
    Table {
        name: "webhook_deliveries",
        columns: &[("webhook_id", Kind::Id), ("id", Kind::Id), ("body", Kind::Json)],
        key: 2,
    },
];

/// Returns the table of a kind of record: its key, its extra columns and its body.
fn table_of(record: &RecordTable) -> Table {
    let column = |(name, kind): &(&'static str, ColumnKind)| match kind {
        ColumnKind::Id => (*name, Kind::Id),
        ColumnKind::Text => (*name, Kind::Text),
        ColumnKind::Integer => (*name, Kind::Integer),
    };
    let body = [("body", Kind::Json)];
    let columns = [record.key].iter().chain(record.extra).map(column).chain(body).collect();
    // As many as there are kinds of records, and made once.
    Table { name: record.name, columns: Vec::leak(columns), key: 1 }
}

/// Mark in a database while a copy is written into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyMark {
    /// Name of the source, without a password.
    pub source: String,
    /// A digest over the ends of all its logs: the same only for the same source at the same point.
    pub fingerprint: String,
}

/// A whole database, read or written table by table.
///
/// An implementation
/// - MUST answer every read of a source from one state of the database, from when it was opened or
///   last [renewed](Self::renew);
/// - MUST order rows by their key as [`Cell`]s are ordered, so that two databases can be compared
///   side by side;
/// - MUST append all of the given rows or none;
/// - MUST NOT append where a row with the same key is.
#[async_trait]
pub trait DatabaseCopy: Send {
    /// Returns the name of the database, without a password.
    fn name(&self) -> &str;

    /// Returns the next rows of a table, at most `limit`, after the one with this key.
    async fn rows(
        &mut self,
        table: &'static Table,
        after: Option<&[Cell]>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError>;

    /// Returns the last row of a table.
    async fn last(&mut self, table: &'static Table) -> Result<Option<Row>, StoreError>;

    /// Appends rows to a table and waits until they are durable.
    async fn append(&mut self, table: &'static Table, rows: &[Row]) -> Result<(), StoreError>;

    /// Returns the mark of an unfinished copy.
    async fn mark(&mut self) -> Result<Option<CopyMark>, StoreError>;

    /// Sets the mark of an unfinished copy, or removes it with `None`.
    async fn set_mark(&mut self, mark: Option<&CopyMark>) -> Result<(), StoreError>;

    /// Moves later reads to the current state of the database.
    async fn renew(&mut self) -> Result<(), StoreError>;
}

/// Reads an entry from a row of [`EVENTS`].
///
/// # Errors
/// [`StoreError::Corrupt`] with the name of the row.
pub fn entry(row: &[Cell]) -> Result<Entry, StoreError> {
    let name = EVENTS.name_of(row);
    let read = Reader(Column { table: EVENTS.name, row: &name });
    let [log, seq, id, event_type, event_source, task, request, at, hash, metadata, data] = row
    else {
        return Err(corrupt(EVENTS.name, name, "it has another number of columns"));
    };
    Ok(Entry {
        id: EventId::from_uuid(read.id("id", id)?),
        project_id: LogId::from_key(ProjectId::from_uuid(read.id("log", log)?)).project(),
        task_id: read.maybe_id("task_id", task)?.map(TaskId::from_uuid),
        hitl_request_id: read.maybe_id("hitl_request_id", request)?.map(HitlRequestId::from_uuid),
        event_type: read.0.word("event_type", read.text("event_type", event_type)?)?,
        event_source: read.0.word("event_source", read.text("event_source", event_source)?)?,
        event_data: read.0.json("event_data", read.text("event_data", data)?)?,
        event_metadata: read.0.json("event_metadata", read.text("event_metadata", metadata)?)?,
        created_at: Timestamp::from_micros(read.integer("created_at", at)?),
        seq: read.0.number("seq", read.integer("seq", seq)?)?,
        hash: hash_text(read.bytes("hash", hash)?),
    })
}

/// Reads the end of a log from a row of [`HEADS`].
///
/// # Errors
/// [`StoreError::Corrupt`] with the name of the row.
pub fn head_mark(row: &[Cell]) -> Result<HeadMark, StoreError> {
    let name = HEADS.name_of(row);
    let read = Reader(Column { table: HEADS.name, row: &name });
    let [_, seq, hash, ..] = row else {
        return Err(corrupt(HEADS.name, name, "it has another number of columns"));
    };
    Ok(HeadMark {
        seq: read.0.number("seq", read.integer("seq", seq)?)?,
        hash: hash_text(read.bytes("hash", hash)?),
    })
}

/// Reads the cells of one row.
struct Reader<'a>(Column<'a>);

impl Reader<'_> {
    fn bytes<'c>(&self, name: &str, cell: &'c Cell) -> Result<&'c [u8], StoreError> {
        if let Cell::Bytes(bytes) = cell { Ok(bytes) } else { Err(self.0.bad(name, "no bytes")) }
    }

    fn text<'c>(&self, name: &str, cell: &'c Cell) -> Result<&'c str, StoreError> {
        if let Cell::Text(text) = cell { Ok(text) } else { Err(self.0.bad(name, "no text")) }
    }

    fn integer(&self, name: &str, cell: &Cell) -> Result<i64, StoreError> {
        if let Cell::Integer(n) = cell { Ok(*n) } else { Err(self.0.bad(name, "no number")) }
    }

    fn id(&self, name: &str, cell: &Cell) -> Result<Uuid, StoreError> {
        Uuid::from_slice(self.bytes(name, cell)?).map_err(|error| self.0.bad(name, error))
    }

    fn maybe_id(&self, name: &str, cell: &Cell) -> Result<Option<Uuid>, StoreError> {
        if *cell == Cell::Null { Ok(None) } else { self.id(name, cell).map(Some) }
    }
}
