//! The differences between the databases in SQL that is written as text.

use uuid::Uuid;

/// The parts of SQL in which the databases differ.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// Writes an id.
    pub id: fn(Uuid) -> String,
    /// Writes a text, in hexadecimal: no text is part of a statement as it is.
    pub text: fn(&str) -> String,
    /// Writes the condition that a column passes a test, so that no index serves it.
    pub without_index: fn(column: &str, test: &str) -> String,
}

impl Dialect {
    /// SQLite.
    pub const SQLITE: Self = Self {
        id: |id| format!("x'{}'", id.simple()),
        text: |text| format!("CAST(x'{}' AS TEXT)", hex(text)),
        without_index: |column, test| format!("+{column} {test}"),
    };

    /// PostgreSQL.
    pub const POSTGRES: Self = Self {
        id: |id| format!("'{id}'::uuid"),
        text: |text| {
            format!("convert_from(decode('{}', 'hex'), 'UTF8') COLLATE \"default\"", hex(text))
        },
        without_index: |column, test| format!("({column} {test}) IS TRUE"),
    };
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
