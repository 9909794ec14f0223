//! The file of the package: its place is checked before anything begins, and it is written whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Longest beginning of a name, in bytes, so that the name of the file fits in 255.
const MAX_STEM: usize = 200;

/// Returns the place of the package: the one that was asked for, or else one in the current folder
/// that is named like the project.
///
/// # Errors
/// A place that is taken by a folder or by another package, or that cannot be written to.
pub(crate) fn place(wanted: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
    let out = match wanted {
        Some(out) => out.to_owned(),
        None => default_place(name)?,
    };
    check(&out)?;
    Ok(out)
}

fn default_place(name: &str) -> anyhow::Result<PathBuf> {
    let safe = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
    let mut stem = String::new();
    for letter in name.chars().map(safe) {
        if stem.len() + letter.len_utf8() > MAX_STEM {
            break;
        }
        stem.push(letter);
    }
    // A name that begins with a hyphen is an option to other programs.
    let stem = stem.trim_matches('_').trim_start_matches('-');
    let out = PathBuf::from(format!("{stem}_artifacts.zip"));
    if out.exists() {
        bail!(
            "{} exists already; say where the package is to go with --out FILE.zip",
            out.display()
        );
    }
    Ok(out)
}

/// Checks that a package can be written here, by creating the file that it is written to first.
fn check(out: &Path) -> anyhow::Result<()> {
    if out.is_dir() {
        bail!("{} is a folder; --out needs the path of a file", out.display());
    }
    let folder = folder(out);
    if !folder.is_dir() {
        bail!("the folder {} for the package does not exist; create it first", folder.display());
    }
    let partial = partial(out);
    let try_it = || {
        File::create(&partial)?;
        fs::remove_file(&partial)
    };
    try_it().with_context(|| format!("no file can be written in {}", folder.display()))
}

fn partial(out: &Path) -> PathBuf {
    let mut partial = out.as_os_str().to_owned();
    partial.push(".part");
    partial.into()
}

/// Returns the folder of the package.
pub(super) fn folder(out: &Path) -> &Path {
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes the package beside its place and moves it there, so that a file in that place is always
/// whole. A write that fails leaves nothing behind, and keeps an older package.
///
/// # Errors
/// The error of the file system, with the path.
pub(super) fn write(
    out: &Path,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut pending = Pending::create(out)?;
    content(pending.file()).with_context(|| cannot(out))?;
    pending.publish()
}

/// Package that is being written beside its place. It is removed unless it is published.
pub(crate) struct Pending<'a> {
    out: &'a Path,
    partial: PathBuf,
    file: File,
    is_published: bool,
}

impl<'a> Pending<'a> {
    /// Creates the file.
    ///
    /// # Errors
    /// The error of the file system, with the path.
    pub(crate) fn create(out: &'a Path) -> anyhow::Result<Self> {
        let partial = partial(out);
        let file = File::create(&partial).with_context(|| cannot(out))?;
        Ok(Self { out, partial, file, is_published: false })
    }

    /// Returns the file, to write to.
    pub(crate) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Moves the file to its place.
    ///
    /// # Errors
    /// The error of the file system, with the path.
    pub(crate) fn publish(mut self) -> anyhow::Result<()> {
        let publish = || {
            self.file.sync_all()?;
            fs::rename(&self.partial, self.out)?;
            // The new name is on the disk once its folder is.
            #[cfg(unix)]
            File::open(folder(self.out))?.sync_all()?;
            Ok::<_, io::Error>(())
        };
        publish().with_context(|| cannot(self.out))?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_published {
            // The first error says more than one about that.
            drop(fs::remove_file(&self.partial));
        }
    }
}

fn cannot(out: &Path) -> String {
    format!("{} cannot be written", out.display())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_to_is_refused_before_anything_begins() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &str| {
            let error = place(Some(&dir.path().join(path)), "x").unwrap_err();
            format!("{error:#}")
        };
        assert!(refused("gone/p.zip").contains("does not exist"));
        assert!(refused("").contains("is a folder"));
        assert!(place(Some(&dir.path().join("p.zip")), "x").is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the check leaves nothing behind");
    }

    #[test]
    fn a_package_replaces_an_older_one_whole() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("p.zip");
        write(&out, |file| file.write_all(b"old")).unwrap();
        write(&out, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_keeps_the_older_package_and_leaves_no_half_of_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("p.zip");
        write(&out, |file| file.write_all(b"old")).unwrap();
        let failed = write(&out, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(format!("{:#}", failed.unwrap_err()).contains("p.zip cannot be written"));
        assert_eq!(fs::read(&out).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
