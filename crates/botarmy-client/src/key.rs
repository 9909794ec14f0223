//! The key of a client: never shown, and read from files that only their owner can read.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::ClientError;

/// Longest key, and largest file of one, in bytes.
const MAX_KEY: u64 = 1024;
/// Bits of a file mode that let others in.
const OTHERS: u32 = 0o077;
/// Beginning of a file that `curl -H @FILE` can send as well.
const FIELD: &str = "authorization:";
/// Scheme of the header.
const SCHEME: &str = "bearer ";

/// Key that authenticates a client. It is overwritten when it is no longer used.
#[derive(Clone)]
pub struct Key(Zeroizing<String>);

impl Key {
    /// Reads a key: the key alone, or the line `Authorization: Bearer KEY`.
    ///
    /// # Errors
    /// Text that no key can be. It is not repeated.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut key = text.trim();
        if let Some(rest) = without_prefix(key, FIELD) {
            key = without_prefix(rest.trim_start(), SCHEME)
                .ok_or("the header is not `Authorization: Bearer KEY`")?
                .trim_start();
        }
        let is_possible = |byte: u8| byte.is_ascii_graphic();
        match key {
            "" => Err("it is empty"),
            key if !key.bytes().all(is_possible) || key.len() as u64 > MAX_KEY => {
                Err("a key is one line of letters, digits and punctuation")
            }
            key => Ok(Self(Zeroizing::new(key.to_owned()))),
        }
    }

    /// Reads a key from a file.
    ///
    /// # Errors
    /// A file that users other than its owner can read, as with keys of SSH, or that holds no key.
    pub fn read(path: &Path) -> Result<Self, ClientError> {
        let failed = |source| ClientError::File {
            what: format!("the key file {}", path.display()),
            is_written: false,
            source,
        };
        let refused = |reason: &str| {
            ClientError::Configuration(format!("the key file {} {reason}", path.display()))
        };
        let file = File::open(path).map_err(failed)?;
        let there = file.metadata().map_err(failed)?;
        if there.is_dir() {
            return Err(refused("is a folder; name the file with the key in it"));
        }
        // A pipe, as of `--key-file <(pass show botarmy)`, has no other readers.
        if there.is_file() && there.mode() & OTHERS != 0 {
            let mode = there.mode() & 0o777;
            return Err(refused(&format!(
                "can be used by others than its owner (mode {mode:04o}), so the key is not sent; \
                 restrict it with `chmod 600`"
            )));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(2 * MAX_KEY).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text).map_err(|reason| refused(&format!("holds no key: {reason}")))
    }

    /// Returns the value of the header `Authorization`.
    pub(crate) fn header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.0.as_str()))
    }
}

fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_stands_alone_or_in_a_header() {
        for text in ["k_1\n", "Authorization: Bearer k_1\n", "authorization:bearer  k_1"] {
            assert_eq!(Key::parse(text).unwrap().header().as_str(), "Bearer k_1", "{text}");
        }
        for text in ["", " \n", "a b", "a\nb", "é", "Authorization: Basic k", "a\u{0}b"] {
            assert!(Key::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(format!("{:?}", Key::parse("k_1").unwrap()), "Key(not shown)");
    }

    #[test]
    fn a_file_that_others_can_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "k_1\n").unwrap();
        for (mode, is_accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(Key::read(&file).is_ok(), is_accepted, "{mode:o}");
        }
        assert!(Key::read(dir.path()).unwrap_err().to_string().contains("is a folder"));
        let error = Key::read(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none cannot be read"), "{error}");
    }
}
