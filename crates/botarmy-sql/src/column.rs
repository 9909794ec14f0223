//! Conversion of columns and bodies. An error names the row that cannot be read.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use botarmy_domain::log::hash_bytes;
use botarmy_domain::{ReadyTasks, RecordKind, RecordValue, StoreError};
use serde::de::DeserializeOwned;

use crate::json;

/// Returns the error for a row that cannot be read.
pub fn corrupt(table: &'static str, row: impl Display, detail: impl Display) -> StoreError {
    StoreError::Corrupt { table, row: row.to_string(), detail: detail.to_string() }
}

/// Reads an entity from its body.
///
/// # Errors
/// [`StoreError::Corrupt`] with the name of the row.
pub fn body<T: DeserializeOwned>(
    table: &'static str,
    row: impl Display,
    body: &str,
) -> Result<T, StoreError> {
    json::read(body).map_err(|detail| corrupt(table, row, detail))
}

/// Reads a record from its body.
///
/// # Errors
/// [`StoreError::Corrupt`] with the name of the row.
pub fn record(kind: RecordKind, row: impl Display, body: &str) -> Result<RecordValue, StoreError> {
    json::read_as(kind, body).map_err(|detail| corrupt(kind.table().name, row, detail))
}

/// Reads entities from their keys and bodies.
///
/// # Errors
/// [`StoreError::Corrupt`] with the name of the first row that cannot be read.
pub fn bodies<T: DeserializeOwned, Key: Display>(
    table: &'static str,
    rows: impl IntoIterator<Item = (Key, String)>,
) -> Result<Vec<Arc<T>>, StoreError> {
    rows.into_iter().map(|(key, text)| body(table, key, &text).map(Arc::new)).collect()
}

/// Reads a word of a row.
///
/// # Errors
/// [`StoreError::Corrupt`] with the name of the row and of the column.
pub fn word<T: FromStr<Err: Display>>(
    table: &'static str,
    row: impl Display,
    name: &str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error| corrupt(table, row, format!("{name}: {error}")))
}

/// Returns the numbers of ready tasks by agent type, in the order of agent types.
///
/// # Errors
/// [`StoreError::Corrupt`] if an agent type cannot be read.
pub fn ready_tasks(rows: Vec<(String, i64)>) -> Result<Vec<ReadyTasks>, StoreError> {
    let read = |(agent, count): (String, i64)| {
        let agent = word("tasks", &agent, "agent", &agent)?;
        Ok(ReadyTasks { agent, count: u64::try_from(count).unwrap_or(0) })
    };
    let mut found = rows.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
    found.sort_unstable_by_key(|ready| ready.agent);
    Ok(found)
}

/// Returns the 32 bytes of a hash for its column.
///
/// # Panics
/// If the text is not 64 hexadecimal digits.
#[must_use]
pub fn hash_column(hash: &str) -> [u8; 32] {
    hash_bytes(hash).expect("hashes are made as 64 hexadecimal digits")
}

/// Converts a number for a signed column; larger values become `i64::MAX`.
#[must_use]
pub fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One row, whose columns are read by name.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// Name of the table.
    pub table: &'static str,
    /// Key of the row as it appears in errors.
    pub row: &'a str,
}

impl Column<'_> {
    /// Reads a word of a vocabulary.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is no such word.
    pub fn word<T: FromStr<Err: Display>>(&self, name: &str, text: &str) -> Result<T, StoreError> {
        word(self.table, self.row, name, text)
    }

    /// Reads a value from JSON text.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the text is no JSON or has another shape.
    pub fn json<T: DeserializeOwned>(&self, name: &str, text: &str) -> Result<T, StoreError> {
        json::read(text).map_err(|error| self.bad(name, error))
    }

    /// Reads a number that must not be negative.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is negative.
    pub fn number(&self, name: &str, number: i64) -> Result<u64, StoreError> {
        u64::try_from(number).map_err(|error| self.bad(name, error))
    }

    /// Returns the error for a column that cannot be read.
    pub fn bad(&self, name: &str, detail: impl Display) -> StoreError {
        corrupt(self.table, self.row, format!("{name}: {detail}"))
    }
}
