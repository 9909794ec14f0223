//! Records: documents with a key that every store keeps in the same way. A record says here which
//! table holds it; [`records`](crate::records) lists all of them.

use std::fmt::{Debug, Display};
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A document that a store keeps under a key, as JSON in the column `body` of a table of its own.
///
/// A decision reads records by key, replaces them, or removes them; it never changes one in place.
pub trait Record:
    Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Key type; its text names the row in error messages.
    type Key: Debug + Display + Copy + Ord + Hash + Send + Sync + 'static;

    /// The table, as the migrations create it.
    const TABLE: RecordTable;

    /// Whether decisions about more than one log write the same record. A store locks such a record
    /// before it reads it; any other record is protected by the end of its log.
    const IS_SHARED: bool = false;

    /// Returns the key of this record.
    fn key(&self) -> Self::Key;

    /// Returns a key as the table stores it.
    fn stored_key(key: Self::Key) -> ColumnValue {
        ColumnValue::Text(key.to_string())
    }

    /// Returns the values of the extra columns, in the order of [`RecordTable::extra`].
    fn extra(&self) -> Vec<ColumnValue> {
        Vec::new()
    }
}

/// The table of a kind of record: its key, extra columns that queries need, and the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordTable {
    /// Name of the table.
    pub name: &'static str,
    /// Name and type of the key.
    pub key: (&'static str, ColumnKind),
    /// Names and types of the columns beside the key and the body.
    pub extra: &'static [(&'static str, ColumnKind)],
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A UUID.
    Id,
    /// A text.
    Text,
    /// A whole number, or a time in microseconds.
    Integer,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnValue {
    /// A UUID.
    Id(Uuid),
    /// A text.
    Text(String),
    /// A whole number, or a time in microseconds.
    Integer(i64),
}
