//! A folder that is reached through its descriptor. Neither a link in it nor what happens to its
//! path after it was opened leads anywhere else.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, statat};
use rustix::io::Errno;

/// Flags for a folder that is looked into.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Flags for a file that is read: neither a link nor a device that blocks.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// Flags for a file that is created.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub(crate) struct Tree(OwnedFd);

/// An entry of a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    /// Kind of the entry itself, not of what a link points to; `None` if it cannot be told.
    pub(crate) kind: Option<FileType>,
}

impl Tree {
    /// Opens the folder at a path. Links in this path are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
    }

    /// Opens a folder directly below this one, unless it is a link.
    pub(crate) fn folder(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// Creates a folder directly below this one, for the server's user only.
    pub(crate) fn create_folder(&self, name: &str) -> io::Result<Self> {
        mkdirat(&self.0, name, Mode::RWXU)?;
        self.folder(OsStr::new(name))
    }

    /// Creates a file below this folder, and the folders on its path.
    pub(crate) fn create_file(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut place = None;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            let above = place.as_ref().unwrap_or(self);
            match mkdirat(&above.0, part, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            place = Some(above.folder(OsStr::new(part))?);
        }
        let above = place.as_ref().unwrap_or(self);
        let file = openat(&above.0, name, NEW_FILE, Mode::from_raw_mode(0o666))?;
        File::from(file).write_all(content)
    }

    /// Reads the text file at a path below this folder. The parts of the path must not be links.
    ///
    /// # Errors
    /// The reason why there is no such text.
    pub(crate) fn text_at(&self, path: &str, limit: usize) -> Result<String, &'static str> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut place = None;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            let above: &Self = place.as_ref().unwrap_or(self);
            above.refuse_link(OsStr::new(part))?;
            let next = above.folder(OsStr::new(part)).map_err(|_| "it cannot be read")?;
            place = Some(next);
        }
        let above = place.as_ref().unwrap_or(self);
        above.refuse_link(OsStr::new(name))?;
        above.text(OsStr::new(name), limit)
    }

    fn refuse_link(&self, name: &OsStr) -> Result<(), &'static str> {
        match self.kind(name) {
            None => Err("there is no such file"),
            Some(FileType::Symlink) => Err("it is a link"),
            Some(_) => Ok(()),
        }
    }

    /// Reads a text file directly below this folder.
    ///
    /// # Errors
    /// The reason why it is not a text that may be read.
    pub(crate) fn text(&self, name: &OsStr, limit: usize) -> Result<String, &'static str> {
        let file = openat(&self.0, name, FILE, Mode::empty()).map_err(|error| match error {
            Errno::LOOP => "it is a link",
            _ => "it cannot be read",
        })?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(|_| "it cannot be read")?;
        if !metadata.is_file() {
            return Err("it is not a regular file");
        }
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| "it cannot be read")?;
        if bytes.len() > limit {
            return Err("it is too large");
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is not text")?;
        if text.contains('\0') { Err("it is not text") } else { Ok(text) }
    }

    /// Returns the entries of this folder, and one more than `limit` at the most.
    pub(crate) fn entries(&self, limit: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not say.
                FileType::Unknown => self.kind(name),
                kind => Some(kind),
            };
            entries.push(Entry { name: name.to_owned(), kind });
            if entries.len() > limit {
                break;
            }
        }
        Ok(entries)
    }

    fn kind(&self, name: &OsStr) -> Option<FileType> {
        let found = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(found.st_mode))
    }

    /// Returns whether the folder is still the one with this name below `above`.
    pub(crate) fn is_in(&self, above: &Self, name: &str) -> bool {
        let here = fstat(&self.0);
        let there = statat(&above.0, name, AtFlags::SYMLINK_NOFOLLOW);
        here.is_ok_and(|here| {
            there.is_ok_and(|there| (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino))
        })
    }
}
