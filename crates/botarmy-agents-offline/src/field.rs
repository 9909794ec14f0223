//! Fields of the items that a product keeps.

use serde::{Deserialize, Serialize};

/// A field of the items that the product keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Field {
    /// Key in the stored data; also part of element ids.
    pub(crate) name: String,
    /// Label in the form and the list.
    #[serde(default)]
    pub(crate) label: String,
    /// Control and representation.
    #[serde(default)]
    pub(crate) kind: FieldKind,
    /// `true` if an item must have a value for it.
    #[serde(default)]
    pub(crate) required: bool,
    /// Options of a `choice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) options: Vec<String>,
}

/// Control and representation of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldKind {
    Long,
    Number,
    Money,
    Date,
    Choice,
    Check,
    Rating,
    Photo,
    /// Time of day, `HH:MM`.
    Time,
    /// Address on the web.
    Link,
    /// Lines of a document, `text | quantity | price` each; only panels edit and show them.
    Lines,
    /// Dates separated by spaces; only panels edit and show them.
    Days,
    /// One line of text; also used for an unknown kind.
    #[default]
    #[serde(other)]
    Text,
}

impl FieldKind {
    /// Returns the name of the kind in documents.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Long => "long text",
            Self::Number => "number",
            Self::Money => "amount of money",
            Self::Date => "date",
            Self::Choice => "one of several",
            Self::Check => "yes or no",
            Self::Rating => "1 to 5 stars",
            Self::Photo => "address of a picture",
            Self::Time => "time of day",
            Self::Link => "address on the web",
            Self::Lines => "lines with text, quantity and price",
            Self::Days => "ticked days",
        }
    }
}
