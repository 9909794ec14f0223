//! The ZIP archive of a package: the same files give the same bytes.
//!
//! An archive is written to a temporary file, one content at a time, so that the archive of a large
//! package needs the memory of one of its documents.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::error::BlockingError;
use actix_web::web;
use botarmy_domain::package::{Content, ContentKey, Plan};
use botarmy_domain::ports::Queries;
use botarmy_domain::{Caller, Error, Package};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// Returns the options of every file: all dated 1980-01-01 (the first day of the format) and
/// readable by all users.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644)
}

/// Error of building an archive.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// A temporary file cannot be written.
    #[error("the ZIP of a package cannot be written to a file")]
    File(#[from] io::Error),
    /// The contents cannot be read.
    #[error(transparent)]
    Contents(#[from] Error),
    /// The server stops.
    #[error("the ZIP of a package was not finished, because the server stops")]
    Stopped(#[from] BlockingError),
}

impl ZipError {
    /// Returns whether the disk of the temporary file has no room for it.
    pub(crate) fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::File(error) if full.contains(&error.kind()))
    }
}

/// Returns the archive of exactly what the record of the package lists, or `None` if it cannot be
/// built from the stored artifacts. Its temporary files have no name, and are in the first of these
/// folders that can be written to and has room. The memory it needs is that of the largest artifact,
/// a few times.
///
/// # Errors
/// An artifact that cannot be read, or a file that cannot be written.
pub async fn zip_package(
    queries: &dyn Queries,
    package: &Arc<Package>,
    caller: &Caller,
    mut folders: Vec<PathBuf>,
) -> Result<Option<ZipFile>, ZipError> {
    loop {
        match zip_in(queries, package, caller, folders.clone()).await {
            Err(error) if error.is_full() && folders.len() > 1 => {
                folders.remove(0);
            }
            built => return built,
        }
    }
}

async fn zip_in(
    queries: &dyn Queries,
    package: &Arc<Package>,
    caller: &Caller,
    folders: Vec<PathBuf>,
) -> Result<Option<ZipFile>, ZipError> {
    let mut outline = package.outline();
    let mut spool = web::block(move || ZipSpool::new(folders)).await??;
    let mut after = None;
    loop {
        let page = queries.package_sources(caller, package, after).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.meta.id);
        (outline, spool) = web::block(move || {
            for artifact in page {
                outline.add(&artifact, |key, bytes| spool.add(key, bytes))?;
            }
            Ok::<_, io::Error>((outline, spool))
        })
        .await??;
    }
    let wanted = Arc::clone(package);
    let finish = move || {
        let plan = outline.plan();
        wanted.matches(&plan).then(|| spool.finish(&plan)).transpose()
    };
    Ok(web::block(finish).await??)
}

/// An archive that is being written: contents are compressed in the order in which they come, into a
/// temporary file, and copied from there in the order of the names of the files.
struct ZipSpool {
    folders: Vec<PathBuf>,
    contents: ZipWriter<Spool>,
    /// Number of each content in `contents`.
    numbers: HashMap<ContentKey, usize>,
}

impl ZipSpool {
    /// Creates an archive without files. Its temporary files have no name, and are in the first of
    /// these folders that can be written to.
    fn new(folders: Vec<PathBuf>) -> io::Result<Self> {
        let contents = ZipWriter::new(Spool::new(&folders)?);
        Ok(Self { folders, contents, numbers: HashMap::new() })
    }

    /// Adds a content, which may be used for a file in the end.
    fn add(&mut self, key: ContentKey, bytes: &[u8]) -> io::Result<()> {
        let number = self.numbers.len();
        self.contents.start_file(number.to_string(), options())?;
        self.contents.write_all(bytes)?;
        self.numbers.insert(key, number);
        Ok(())
    }

    /// Returns the archive of these files.
    fn finish(self, plan: &Plan) -> io::Result<ZipFile> {
        let mut contents = ZipArchive::new(self.contents.finish()?.file)?;
        let mut archive = ZipWriter::new(Spool::new(&self.folders)?);
        for file in &plan.files {
            match &file.content {
                Content::Text(text) => {
                    archive.start_file(file.name.as_str(), options())?;
                    archive.write_all(text.as_bytes())?;
                }
                Content::Of(key) => {
                    let number =
                        self.numbers.get(key).ok_or(zip::result::ZipError::FileNotFound)?;
                    let content = contents.by_index_raw(*number)?;
                    archive.raw_copy_file_rename(content, file.name.as_str())?;
                }
            }
        }
        ZipFile::new(archive.finish()?.file)
    }
}

/// A temporary file that is written. After an error it accepts everything and keeps nothing, because
/// the library finishes an archive that is dropped, and prints an error of that to the standard
/// error output.
struct Spool {
    file: File,
    /// Position after an error, and the length that the file would have.
    failed: Option<(u64, u64)>,
}

impl Spool {
    fn new(folders: &[PathBuf]) -> io::Result<Self> {
        Ok(Self { file: temporary_file(folders)?, failed: None })
    }

    fn note<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        if done.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            let at = self.file.stream_position().unwrap_or(0);
            let len = self.file.metadata().map_or(at, |file| file.len().max(at));
            self.failed = Some((at, len));
        }
        done
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((at, len)) = &mut self.failed {
            *at += bytes.len() as u64;
            *len = (*at).max(*len);
            return Ok(bytes.len());
        }
        let written = self.file.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed.is_some() {
            return Ok(());
        }
        let flushed = self.file.flush();
        self.note(flushed)
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if let Some((at, len)) = &mut self.failed {
            let sought = match to {
                SeekFrom::Start(position) => Some(position),
                SeekFrom::Current(offset) => at.checked_add_signed(offset),
                SeekFrom::End(offset) => len.checked_add_signed(offset),
            };
            *at = sought.ok_or(io::ErrorKind::InvalidInput)?;
            return Ok(*at);
        }
        let sought = self.file.seek(to);
        self.note(sought)
    }
}

/// A finished archive, in a temporary file that is gone once the last copy of this is dropped.
#[derive(Debug, Clone)]
pub struct ZipFile {
    file: Arc<Mutex<File>>,
    len: usize,
}

impl ZipFile {
    fn new(mut file: File) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        Ok(Self { file: Arc::new(Mutex::new(file)), len })
    }

    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut file = temporary_file(&[std::env::temp_dir()]).unwrap();
        file.write_all(bytes).unwrap();
        Self::new(file).unwrap()
    }

    /// Returns the size of the archive, in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an archive without files has bytes too")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Copies the archive.
    ///
    /// # Errors
    /// The error of reading the temporary file or of writing the copy.
    pub fn copy_to(&self, to: &mut impl Write) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.rewind()?;
        io::copy(&mut *file, to).map(drop)
    }

    /// Reads these bytes of the archive.
    pub(crate) fn read(&self, start: usize, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Creates a file without a name in the first of these folders that can be written to.
fn temporary_file(folders: &[PathBuf]) -> io::Result<File> {
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    for folder in folders {
        match unnamed_file(folder) {
            Ok(file) => return Ok(file),
            Err(found) => error = found,
        }
    }
    Err(error)
}

fn unnamed_file(folder: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let process = std::process::id();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".botarmy-package-{process}-{number}.tmp"));
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            // One that a process of the same id left behind when it was killed between the two.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use botarmy_domain::artifact::digest_bytes;
    use botarmy_domain::package::{Outline, PackedFile};
    use botarmy_domain::{ArtifactType, Timestamp, package};
    use serde_json::json;

    use super::*;
    use crate::testing::{NOW, artifact, project};

    fn file(name: &str, content: &str) -> PackedFile {
        PackedFile {
            name: name.to_owned(),
            bytes: content.into(),
            digest: digest_bytes(content.as_bytes()),
            created_at: Timestamp::from_micros(1_800_000_000_000_000),
        }
    }

    /// Returns a ZIP archive of these files, sorted by name, made in memory.
    fn zip_bytes(files: &[PackedFile]) -> Vec<u8> {
        let mut files: Vec<&PackedFile> = files.iter().collect();
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for file in files {
            archive
                .start_file(file.name.as_str(), options())
                .expect("a package's names are short and each is there once");
            archive.write_all(&file.bytes).expect("memory can be written to");
        }
        archive.finish().expect("memory can be written to").into_inner()
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let (a, b) = (file("a.txt", "first"), file("source/größe.py", "second"));
        let bytes = zip_bytes(&[a.clone(), b.clone()]);
        assert_eq!(bytes, zip_bytes(&[b, a]));
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut content = String::new();
        archive.by_name("source/größe.py").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "second");
        let first = archive.by_index(0).unwrap();
        assert_eq!((&*first.name().unwrap(), first.unix_mode()), ("a.txt", Some(0o100_644)));
        assert_eq!(first.last_modified(), Some(DateTime::DEFAULT));
    }

    #[test]
    fn an_archive_in_a_file_has_the_files_and_bytes_of_one_in_memory() {
        let sources = |files| artifact(1, ArtifactType::SourceCode, json!({ "files": files }));
        let artifacts = vec![
            artifact(2, ArtifactType::ProjectPlan, json!({"größe": "one ".repeat(5000)})),
            sources(json!([
                {"path": "z.py", "content": "import flask\n"},
                {"path": "größe/a.py", "content": "print(1)\n"},
                {"path": "../x", "content": "refused"},
            ])),
        ];
        let made = package::build(&project(), &artifacts, NOW);
        let mut outline: Outline = made.outline();
        let missing = PathBuf::from("/nowhere/at/all");
        let folders = vec![missing.clone(), std::env::temp_dir()];
        let mut spool = ZipSpool::new(folders).unwrap();
        for artifact in &artifacts {
            outline.add(artifact, |key, bytes| spool.add(key, bytes)).unwrap();
        }
        let plan = outline.plan();
        assert!(made.matches(&plan));
        let archive = spool.finish(&plan).unwrap();
        let bytes = archive.read(0, archive.len()).unwrap();
        assert_eq!(bytes[7..20], archive.read(7, 13).unwrap());
        let mut copy = Vec::new();
        archive.copy_to(&mut copy).unwrap();
        assert_eq!(copy, bytes);
        let expected = zip_bytes(&package::layout(&made.cover, &artifacts));
        assert_eq!(bytes, expected, "{} and {} bytes", bytes.len(), expected.len());
        assert!(ZipSpool::new(vec![missing]).is_err());
    }

    #[test]
    fn no_files_are_an_empty_archive() {
        assert_eq!(zip::ZipArchive::new(Cursor::new(zip_bytes(&[]))).unwrap().len(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_without_room_is_an_error_once_and_then_accepts_the_end_of_the_archive() {
        let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        let mut spool = Spool { file: full, failed: None };
        let error = spool.write(b"local header").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((spool.write(b"central").unwrap(), spool.stream_position().unwrap()), (7, 7));
        assert_eq!(spool.seek(SeekFrom::Start(3)).unwrap(), 3);
        assert_eq!(spool.seek(SeekFrom::End(-1)).unwrap(), 6);
        assert!(spool.seek(SeekFrom::Current(-7)).is_err() && spool.flush().is_ok());
    }
}
