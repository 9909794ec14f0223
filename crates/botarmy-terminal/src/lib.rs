//! Text for a terminal: columns that fit its width, tables, documents and differences. It prints
//! nothing itself, and trusts no text: what could move the cursor or turn the direction of writing
//! is replaced before it is measured.

pub mod diff;
pub mod document;
pub mod markdown;
pub mod style;
pub mod table;
pub mod text;

pub use style::{Look, Style};
