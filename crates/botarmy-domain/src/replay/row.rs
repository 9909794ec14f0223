//! Comparison of one row, member by member.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text::short;

/// Maximum length in bytes of a value that a difference shows whole. The short form of a text is
/// not longer.
const MAX_SHOWN: usize = 300;

/// First difference between the stored state and the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Table of the row.
    pub table: String,
    /// Key of the row.
    pub row: String,
    /// Member of the row; absent if the row as a whole is missing or unknown to the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Position up to which the log was followed for the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Value according to the log.
    pub expected: String,
    /// Value in the store.
    pub found: String,
}

impl Difference {
    /// Creates the difference of a row that the log has and the store has not.
    pub(super) fn missing(table: &'static str, row: impl Display, seq: u64) -> Box<Self> {
        Box::new(Self {
            table: table.to_owned(),
            row: row.to_string(),
            field: None,
            seq: Some(seq),
            expected: "a row".to_owned(),
            found: "no row".to_owned(),
        })
    }

    /// Creates the difference of a row that the store has and the log has not.
    pub(super) fn unknown(table: &'static str, row: impl Display) -> Box<Self> {
        Box::new(Self {
            table: table.to_owned(),
            row: row.to_string(),
            field: None,
            seq: None,
            expected: "no row".to_owned(),
            found: "a row".to_owned(),
        })
    }

    /// Creates the difference of a row that cannot be read.
    #[must_use]
    pub fn unreadable(table: &'static str, row: String, detail: String) -> Self {
        Self {
            table: table.to_owned(),
            row,
            field: None,
            seq: None,
            expected: "a row that can be read".to_owned(),
            found: detail,
        }
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.table, self.row)?;
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": the log says {}, the store has {}", self.expected, self.found)?;
        match self.seq {
            Some(seq) => write!(f, " (up to entry {seq})"),
            None => Ok(()),
        }
    }
}

/// A row that is being compared.
pub(super) struct Row<Key> {
    table: &'static str,
    key: Key,
    seq: u64,
}

impl<Key: Display> Row<Key> {
    /// Creates the comparison of a row with the log up to the position `seq`.
    pub(super) const fn new(table: &'static str, key: Key, seq: u64) -> Self {
        Self { table, key, seq }
    }

    /// Compares a member.
    pub(super) fn compare<T: PartialEq + Serialize>(
        &self,
        field: &str,
        expected: &T,
        found: &T,
    ) -> Result<(), Box<Difference>> {
        if expected == found {
            return Ok(());
        }
        Err(self.difference(field, &value(expected), &value(found)))
    }

    /// Compares all members of an object, and names the first that differs.
    pub(super) fn compare_members<T: PartialEq + Serialize>(
        &self,
        expected: &T,
        found: &T,
    ) -> Result<(), Box<Difference>> {
        if expected == found {
            return Ok(());
        }
        Err(self.member("", &value(expected), &value(found)))
    }

    /// Compares a member that is an object or one of several variants, and names the first of its
    /// members that differs.
    pub(super) fn compare_within<T: PartialEq + Serialize>(
        &self,
        field: &str,
        expected: &T,
        found: &T,
    ) -> Result<(), Box<Difference>> {
        if expected == found {
            return Ok(());
        }
        Err(self.member(field, &value(expected), &value(found)))
    }

    fn member(&self, field: &str, expected: &Value, found: &Value) -> Box<Difference> {
        let (Value::Object(a), Value::Object(b)) = (expected, found) else {
            return self.difference(field, expected, found);
        };
        // The variant says more than a member that only one of two variants has.
        let mut names = ["status"].into_iter().chain(a.keys().chain(b.keys()).map(String::as_str));
        let differing = names.find(|name| a.get(*name) != b.get(*name));
        let Some(name) = differing else { return self.difference(field, expected, found) };
        let path = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
        let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or_default();
        self.difference(&path, &of(a), &of(b))
    }

    fn difference(&self, field: &str, expected: &Value, found: &Value) -> Box<Difference> {
        Box::new(Difference {
            table: self.table.to_owned(),
            row: self.key.to_string(),
            field: Some(field.to_owned()),
            seq: Some(self.seq),
            expected: shown(expected),
            found: shown(found),
        })
    }
}

fn value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("rows have text keys, so they are JSON")
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > MAX_SHOWN { short(text) } else { text }
}
