//! Functions of PostgreSQL that queries call.

use diesel::sql_types::Text;

diesel::define_sql_function! {
    /// Returns the size of a text in bytes, without reading the text where it is stored apart.
    fn octet_length(text: Text) -> Integer;
}
