//! The files of a deployment on the disk. They are written and read from the descriptors of their
//! folders, without following links: other users may be able to write to the place.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use botarmy_domain::artifact::digest_bytes;
use botarmy_domain::package::MAX_PATH;
use botarmy_domain::source_code::SourceCode;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::Errno;

/// Files of a build with their digests, by path.
pub(crate) type Expected<'a> = BTreeMap<String, (String, &'a [u8])>;

/// Returns the files of a build with their digests.
pub(crate) fn expected(source: &SourceCode) -> Expected<'_> {
    let with_digest = |bytes| (digest_bytes(bytes), bytes);
    let files = source.files.iter();
    files.map(|file| (file.path.clone(), with_digest(file.content.as_bytes()))).collect()
}

/// Flags for a folder, which must not be a link.
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Flags for a file that is read: neither a link nor a device that blocks.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// Flags for a file that is created.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open folder of a deployment.
#[derive(Debug)]
pub(crate) struct DeployedFolder(OwnedFd);

impl DeployedFolder {
    /// Creates a folder at a path.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        mkdirat(CWD, path, Mode::from_raw_mode(0o777))?;
        Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
    }

    /// Opens the folder at a path. `Ok(None)` if something else is there.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match openat(CWD, path, FOLDER, Mode::empty()) {
            Ok(folder) => Ok(Some(Self(folder))),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a new file to the disk, and creates the folders on its path.
    pub(crate) fn write(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut place = None;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            let above = place.as_ref().unwrap_or(&self.0);
            match mkdirat(above, part, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            place = Some(openat(above, part, FOLDER, Mode::empty())?);
        }
        let above = place.as_ref().unwrap_or(&self.0);
        let mut file = File::from(openat(above, name, NEW_FILE, Mode::from_raw_mode(0o666))?);
        file.write_all(content)?;
        file.sync_all()
    }

    /// Returns the differences between the files in the folder and the expected ones, one sentence
    /// each.
    pub(crate) fn differences(&self, expected: &Expected<'_>) -> io::Result<Vec<String>> {
        let mut comparison = Comparison { expected, seen: BTreeSet::new(), findings: Vec::new() };
        comparison.folder(&self.0, "")?;
        let Comparison { seen, mut findings, .. } = comparison;
        let missing = expected.keys().filter(|path| !seen.contains(path.as_str()));
        findings.extend(missing.map(|path| format!("{path} is missing.")));
        findings.sort();
        Ok(findings)
    }
}

struct Comparison<'a> {
    expected: &'a Expected<'a>,
    seen: BTreeSet<&'a str>,
    findings: Vec<String>,
}

impl Comparison<'_> {
    /// Compares everything below a folder. As no path of a build is longer than [`MAX_PATH`], every
    /// folder of it is reached, and the depth has a limit.
    fn folder(&mut self, folder: &OwnedFd, prefix: &str) -> io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let path = format!("{prefix}{}", name.to_string_lossy());
            let kind = match entry.file_type() {
                // Some file systems do not say.
                FileType::Unknown => {
                    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(found.st_mode)
                }
                kind => kind,
            };
            match kind {
                FileType::Directory if path.len() > MAX_PATH => self.findings.push(format!(
                    "{path} was added; no file of a build is as deep, and it was not looked into."
                )),
                FileType::Directory => {
                    let inner = openat(folder, name, FOLDER, Mode::empty())?;
                    self.folder(&inner, &format!("{path}/"))?;
                }
                FileType::RegularFile => self.file(folder, name, &path)?,
                _ => {
                    self.findings
                        .push(format!("{path} is not a plain file; it was not looked into."));
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, folder: &OwnedFd, name: &OsStr, path: &str) -> io::Result<()> {
        let is_text = name.to_str().is_some();
        let Some((path, (digest, bytes))) = self.expected.get_key_value(path).filter(|_| is_text)
        else {
            self.findings.push(format!("{path} was added."));
            return Ok(());
        };
        self.seen.insert(path);
        let file = match openat(folder, name, FILE, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => {
                self.findings.push(format!("{path} is not a plain file; it was not looked into."));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let size = file.metadata()?.len();
        if size != bytes.len() as u64 {
            self.findings
                .push(format!("{path} was changed: it has {size} bytes, not {}.", bytes.len()));
            return Ok(());
        }
        let mut content = Vec::with_capacity(bytes.len());
        file.take(size + 1).read_to_end(&mut content)?;
        if digest_bytes(&content) != *digest {
            self.findings.push(format!("{path} was changed: its digest differs."));
        }
        Ok(())
    }
}
