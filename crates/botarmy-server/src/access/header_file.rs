//! The file with the key of the first administrator, as a header that `curl -H @FILE` sends.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use botarmy_domain::ApiKeyText;

/// Name of the file in the data folder.
const NAME: &str = "admin.header";
/// Name of the file until it is complete.
const PARTIAL: &str = "admin.header.partial";
/// Beginning of the only line.
const FIELD: &str = "Authorization: Bearer ";
/// Bits of a file mode that let others in.
const OTHERS: u32 = 0o077;

/// Returns the path of the file in a data folder.
#[must_use]
pub fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Reads the key in the file, if there is a file.
///
/// # Errors
/// A file that others can read, or that holds no key. It is not changed.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<ApiKeyText>> {
    let path = path(folder);
    let cannot = || format!("{} cannot be read", path.display());
    let there = match fs::symlink_metadata(&path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(cannot),
    };
    if !is_private(&there, rustix::process::geteuid().as_raw()) {
        bail!(
            "{} must be a file that belongs to the user of the server and that no other user can read, \
             because its key would become that of the administrator. Remove it, or restrict it with \
             chown and chmod 600",
            path.display()
        );
    }
    let mut text = String::new();
    File::open(&path)
        .and_then(|file| file.take(1024).read_to_string(&mut text))
        .with_context(cannot)?;
    let key = text.trim_end().strip_prefix(FIELD).and_then(|key| key.parse().ok());
    match key {
        Some(key) => Ok(Some(key)),
        None => bail!("{} holds no key; remove it, so that a new one is made", path.display()),
    }
}

/// Returns whether this is a file that belongs to a user and that no other user can read. The key of
/// another user who can write into the folder must not become that of the administrator.
fn is_private(there: &Metadata, user: u32) -> bool {
    there.is_file() && there.mode() & OTHERS == 0 && there.uid() == user
}

/// Writes the file. It appears complete or not at all, survives a loss of power, and no other file is
/// replaced.
///
/// # Errors
/// A file that exists, or a folder that cannot be written to.
pub(crate) fn write(folder: &Path, key: &ApiKeyText) -> anyhow::Result<PathBuf> {
    let path = path(folder);
    let partial = folder.join(PARTIAL);
    let written = create(&partial, key).and_then(|()| publish(&partial, &path));
    written.with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

fn create(partial: &Path, key: &ApiKeyText) -> io::Result<()> {
    // One that an earlier start left behind. No other server uses the folder.
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial)?;
    file.write_all(format!("{FIELD}{}\n", key.expose()).as_bytes())?;
    file.sync_all()
}

/// Gives the file its name, unless that is taken.
fn publish(partial: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(partial, path) {
        // Not every file system has hard links; then an empty file reserves the name.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ) =>
        {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            fs::rename(partial, path)?;
        }
        linked => linked.and_then(|()| fs::remove_file(partial))?,
    }
    File::open(path.parent().unwrap_or_else(|| Path::new("."))).and_then(|folder| folder.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use botarmy_domain::KeySecret;

    use super::*;

    #[test]
    fn the_file_is_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (KeySecret::new([1; 32]).text(), KeySecret::new([2; 32]).text());
        assert_eq!(read(folder.path()).unwrap(), None);
        let path = write(folder.path(), &one).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("Authorization: Bearer {}\n", one.expose()));
        write(folder.path(), &two).unwrap_err();
        assert_eq!(read(folder.path()).unwrap(), Some(one));
    }

    #[test]
    fn the_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &KeySecret::new([1; 32]).text()).unwrap();
        let there = fs::symlink_metadata(&path).unwrap();
        assert!(is_private(&there, there.uid()));
        assert!(!is_private(&there, there.uid() + 1));
    }

    #[test]
    fn what_an_interrupted_start_left_behind_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(PARTIAL), "Authoriz").unwrap();
        let key = KeySecret::new([1; 32]).text();
        write(folder.path(), &key).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(key));
        assert!(!folder.path().join(PARTIAL).exists());
    }

    #[test]
    fn a_file_of_others_or_without_a_key_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeySecret::new([1; 32]).text();
        let path = write(folder.path(), &key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = format!("{:#}", read(folder.path()).unwrap_err());
        assert!(error.contains("chmod 600") && !error.contains(key.expose()), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "s3cr3t", "Authorization: Bearer s3cr3t\n"] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", read(folder.path()).unwrap_err());
            assert!(error.contains("holds no key") && !error.contains("s3cr3t"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        read(folder.path()).unwrap_err();
    }
}
