//! Opening connections and their settings.

use std::fmt::Write as _;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::BigInt;

use crate::settings::SqliteSettings;

/// Error of opening a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// SQLite could not open the file.
    #[error("SQLite could not open the file")]
    Open(#[from] ConnectionError),
    /// SQLite rejected a setting.
    #[error("SQLite rejected a setting")]
    Setting(#[from] DieselError),
}

/// Opens the connection that writes. Turns the file into a WAL database if it is none.
pub(crate) fn writer(settings: &SqliteSettings) -> Result<SqliteConnection, ConnectError> {
    let mut connection = SqliteConnection::establish(&uri(&settings.path, "rw"))?;
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = {busy};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA wal_autocheckpoint = {checkpoint};
         PRAGMA journal_size_limit = 67108864;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -32768;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
        busy = settings.busy_timeout.as_millis(),
        synchronous = settings.synchronous.as_str(),
        checkpoint = settings.checkpoint_pages,
    ))?;
    Ok(connection)
}

/// Opens a connection that reads.
pub(crate) fn reader(settings: &SqliteSettings) -> Result<SqliteConnection, ConnectError> {
    let mut connection = SqliteConnection::establish(&uri(&settings.path, "ro"))?;
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = {busy};
         PRAGMA query_only = ON;
         PRAGMA cache_size = -8192;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
        busy = settings.busy_timeout.as_millis(),
    ))?;
    Ok(connection)
}

/// Opens a read-only connection for the checks before the store is opened.
pub(crate) fn visitor(path: &Path) -> Result<SqliteConnection, ConnectError> {
    let look = |mode| {
        let mut connection = SqliteConnection::establish(&uri(path, mode))?;
        connection.batch_execute(
            "PRAGMA busy_timeout = 1000; PRAGMA query_only = ON;
             SELECT count(*) FROM sqlite_schema;",
        )?;
        Ok(connection)
    };
    match look("ro") {
        // A process was killed in a transaction before the file had a write-ahead log, as during
        // the first start. A reader has to roll that back first, which needs write access.
        Err(ConnectError::Setting(DieselError::DatabaseError(_, said)))
            if said.message() == "attempt to write a readonly database" =>
        {
            look("rw")
        }
        looked => looked,
    }
}

/// Opens a connection for a dry run; without a file its database is in memory.
pub(crate) fn rehearsal(path: Option<&Path>) -> Result<SqliteConnection, ConnectError> {
    let uri = path.map_or_else(|| ":memory:".to_owned(), |path| uri(path, "rw"));
    let mut connection = SqliteConnection::establish(&uri)?;
    connection.batch_execute("PRAGMA busy_timeout = 1000;")?;
    Ok(connection)
}

/// Returns a path as SQLite's URI (<https://www.sqlite.org/uri.html>), with special characters
/// escaped.
pub(crate) fn uri(path: &Path, mode: &str) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(*byte));
            }
            _ => write!(uri, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    uri.push_str("?mode=");
    uri.push_str(mode);
    uri
}

/// Evaluates an expression that is a number.
pub(crate) fn number(connection: &mut SqliteConnection, expression: &str) -> QueryResult<i64> {
    diesel::select(sql::<BigInt>(expression)).get_result(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_path_is_special() {
        assert_eq!(uri(Path::new("/a b/c?d#e%.db"), "ro"), "file:/a%20b/c%3Fd%23e%25.db?mode=ro");
    }
}
