//! Text files of limited size.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ClientError;

/// Reads a text file of at most `limit` bytes. `kind` names it in errors.
pub(crate) fn read(kind: &str, path: &Path, limit: u64) -> Result<String, ClientError> {
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(limit + 1).read_to_string(&mut text)).map_err(
        |source| ClientError::File {
            what: format!("{kind} {}", path.display()),
            is_written: false,
            source,
        },
    )?;
    if text.len() as u64 > limit {
        let reason = format!("{kind} {} has more than {limit} bytes", path.display());
        return Err(ClientError::Configuration(reason));
    }
    Ok(text)
}
