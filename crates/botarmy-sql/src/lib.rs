//! What the storage crates share, whatever the dialect: entities as JSON text, columns read back
//! into words and numbers, a sentence for the row that cannot be read, and a whole database as rows.

pub mod column;
pub mod database_copy;
pub mod json;
pub mod time_of_id;

pub use column::{Column, bodies, body, corrupt, hash_column, integer, record, word};
