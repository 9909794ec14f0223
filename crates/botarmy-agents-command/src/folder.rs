//! The folder of an attempt: the files that a program starts with and those that are collected
//! from it afterwards.
//!
//! It is not a sandbox: a program can write wherever the server's user can. Only regular text
//! files in the project's folder are collected, and only those whose paths can be unpacked on
//! every system.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use botarmy_domain::RunError;
use botarmy_domain::ids::TaskId;
use botarmy_domain::package::{check_path, path_problems};
use botarmy_domain::source_code::{MAX_BYTES, MAX_FILES, SourceCode, SourceFile};
use botarmy_domain::timestamp::Timestamp;
use serde_json::{Map, Value, json};
use similar::{Algorithm, TextDiff};

use crate::text::beginning;

/// Time that a folder is kept for a question without an answer.
const KEEP_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most bytes of a diff in the metadata of an artifact.
const MAX_DIFF_BYTES: usize = 64 << 10;
/// Most refused files that the metadata names.
const MAX_REFUSED: usize = 50;
/// Most directory entries in a folder that is collected.
const MAX_NAMES: usize = 50_000;

/// The folder of an attempt, removed when it is dropped unless [`Folder::keep`] was called.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    keep: AtomicBool,
}

impl Folder {
    /// Creates a new folder, and removes those that earlier attempts of the task left behind.
    pub(crate) fn open(
        base: &Path,
        task: TaskId,
        attempt: u32,
        now: Timestamp,
    ) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(base)?;
        sweep(base, task, attempt, now);
        for n in 0_u32.. {
            let path = base.join(format!("{task}-{attempt}-{n}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let folder = Self { path, keep: AtomicBool::new(false) };
                    for inner in [folder.project(), folder.home(), folder.scratch()] {
                        DirBuilder::new().mode(0o700).create(inner)?;
                    }
                    return Ok(folder);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Returns the folder that was kept for the answer to a question, if it still exists.
    pub(crate) fn reopen(base: &Path, task: TaskId, name: &str) -> Option<Self> {
        let ours = name.starts_with(&format!("{task}-")) && !name.contains(['/', '\\']);
        let path = base.join(name);
        let there = path.symlink_metadata().is_ok_and(|folder| folder.is_dir());
        (ours && there).then(|| Self { path, keep: AtomicBool::new(false) })
    }

    /// Keeps the folder for the attempt after the answer, and returns its name.
    pub(crate) fn keep(&self) -> String {
        self.keep.store(true, Ordering::Release);
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns the path of the project's folder, in which the program starts.
    pub(crate) fn project(&self) -> PathBuf {
        self.path.join("project")
    }

    fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    fn scratch(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Returns the variables that lead a program to its folders; `home` takes the place of the
    /// attempt's own HOME.
    pub(crate) fn variables(&self, home: Option<&Path>) -> Vec<(String, OsString)> {
        let home = home.map_or_else(|| self.home(), Path::to_owned);
        vec![("HOME".to_owned(), home.into()), ("TMPDIR".to_owned(), self.scratch().into())]
    }

    /// Writes files into the project's folder.
    pub(crate) fn fill(&self, files: &[SourceFile]) -> io::Result<()> {
        let project = self.project();
        for file in files {
            let path = project.join(&file.path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut open = OpenOptions::new().write(true).create_new(true).open(&path)?;
            open.write_all(file.content.as_bytes())?;
        }
        Ok(())
    }

    /// Reads a text file of the project's folder that the program names.
    pub(crate) fn text(&self, path: &str) -> Result<String, String> {
        check_path(path).map_err(str::to_owned)?;
        let mut place = self.project();
        for part in path.split('/') {
            place.push(part);
            let found = place.symlink_metadata().map_err(|_| "there is no such file".to_owned())?;
            if found.is_symlink() {
                return Err("it is a link".to_owned());
            }
        }
        read(&place, MAX_BYTES).map_err(str::to_owned)
    }

    /// Collects the files of the project's folder. Folders named in `ignore` are skipped unless
    /// `given` has files in them.
    pub(crate) fn collect(
        &self,
        given: &[SourceFile],
        ignore: &[String],
    ) -> Result<CollectedFiles, RunError> {
        let mut walk = Walk { given, ignore, names: 0, bytes: 0, found: CollectedFiles::default() };
        walk.folder(&self.project(), "")?;
        let mut found = walk.found;
        found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let owned = |(path, reason): (&str, &str)| (path.to_owned(), reason.to_owned());
        let paths = found.files.iter().map(|file| file.path.as_str());
        let refused: Vec<_> = path_problems(paths).into_iter().map(owned).collect();
        found.files.retain(|file| !refused.iter().any(|(path, _)| file.path == *path));
        found.refused.extend(refused);
        Ok(found)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !*self.keep.get_mut() {
            let path = std::mem::take(&mut self.path);
            // On a thread of its own, since the folder may be large.
            let removal = std::thread::Builder::new().name("command-folder".to_owned());
            drop(removal.spawn(move || remove(&path)));
        }
    }
}

fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_ok() {
        return;
    }
    // Some tools write-protect what they download.
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        drop(fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inner.map(|entry| entry.path()));
    }
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(
            %error,
            "The folder {} cannot be removed; remove it by hand",
            path.display()
        );
    }
}

/// Removes the folders of the task's earlier attempts and every folder older than [`KEEP_FOR`].
fn sweep(base: &Path, task: TaskId, attempt: u32, now: Timestamp) {
    let own = format!("{task}-");
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let earlier = name
            .strip_prefix(&own)
            .and_then(|rest| rest.split('-').next()?.parse::<u32>().ok())
            .is_some_and(|other| other < attempt);
        let old = || {
            let modified = entry.metadata().and_then(|folder| folder.modified()).ok()?;
            let age = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
            let micros = i64::try_from(age.as_micros()).ok()?;
            Some(now.since(Timestamp::from_micros(micros)) > KEEP_FOR)
        };
        if earlier || old() == Some(true) {
            remove(&entry.path());
        }
    }
}

/// Files that were collected from a folder.
#[derive(Debug, Default)]
pub(crate) struct CollectedFiles {
    pub(crate) files: Vec<SourceFile>,
    /// Paths that were not collected, each with the reason.
    pub(crate) refused: Vec<(String, String)>,
}

struct Walk<'a> {
    given: &'a [SourceFile],
    ignore: &'a [String],
    names: usize,
    bytes: usize,
    found: CollectedFiles,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), RunError> {
        let entries = fs::read_dir(folder)
            .map_err(|error| RunError::retryable("folder_unreadable", format!("{error}.")))?;
        for entry in entries.flatten() {
            self.names += 1;
            if self.names > MAX_NAMES {
                return Err(too_much(&format!("more than {MAX_NAMES} names")));
            }
            let name = entry.file_name();
            let shown = format!("{prefix}{}", name.to_string_lossy());
            let Ok(kind) = entry.file_type() else { continue };
            let below = format!("{shown}/");
            if kind.is_dir() {
                let ignored = self.ignore.iter().any(|other| name == other.as_str());
                if ignored && !self.given.iter().any(|file| file.path.starts_with(&below)) {
                    continue;
                }
            }
            let named = name.to_str().ok_or("its name is not UTF-8");
            match named.and_then(|_| check_path(&shown)) {
                Err(reason) => self.refuse(shown, reason),
                Ok(()) if kind.is_dir() => self.folder(&entry.path(), &below)?,
                Ok(()) if kind.is_symlink() => self.refuse(shown, "it is a link"),
                Ok(()) if !kind.is_file() => self.refuse(shown, "it is not a regular file"),
                Ok(()) => match read(&entry.path(), MAX_BYTES) {
                    Err(reason) => self.refuse(shown, reason),
                    Ok(content) => {
                        self.bytes += content.len();
                        self.found.files.push(SourceFile::new(&shown, content));
                        if self.found.files.len() > MAX_FILES {
                            return Err(too_much(&format!("more than {MAX_FILES} files")));
                        }
                        if self.bytes > MAX_BYTES {
                            return Err(too_much(&format!("more than {MAX_BYTES} bytes")));
                        }
                    }
                },
            }
        }
        Ok(())
    }

    fn refuse(&mut self, path: String, reason: &str) {
        if self.found.refused.len() < MAX_REFUSED {
            self.found.refused.push((path, reason.to_owned()));
        }
    }
}

fn too_much(what: &str) -> RunError {
    RunError::terminal("too_many_files", format!("The command left {what} in its folder."))
}

/// Reads a regular text file, without following a link and without blocking on a device.
fn read(path: &Path, limit: usize) -> Result<String, &'static str> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = open.map_err(|_| "it cannot be read")?;
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

/// Returns the content of a `source_code` artifact with the collected files, and its metadata with
/// the differences to the files before.
pub(crate) fn source_code(
    given: Option<&Map<String, Value>>,
    before: &[SourceFile],
    found: &CollectedFiles,
    summary: &str,
) -> (Map<String, Value>, Map<String, Value>) {
    let old: BTreeMap<_, _> = before.iter().map(|file| (&*file.path, &*file.content)).collect();
    let new: BTreeMap<_, _> =
        found.files.iter().map(|file| (&*file.path, &*file.content)).collect();
    let paths: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    let mut diff = String::new();
    for path in paths {
        let (was, is) = (old.get(path), new.get(path));
        match (was, is) {
            (None, _) => added.push(path),
            (_, None) => removed.push(path),
            (was, is) if was != is => changed.push(path),
            _ => continue,
        }
        if diff.len() < MAX_DIFF_BYTES {
            diff.push_str(&difference(path, was.copied(), is.copied()));
        }
    }
    let cut = diff.len() > MAX_DIFF_BYTES;
    diff.truncate(beginning(&diff, MAX_DIFF_BYTES).len());
    let entry = given
        .and_then(|given| given.get("entry"))
        .filter(|entry| entry.as_str().is_some_and(|entry| new.contains_key(entry)));
    let mut content = Map::new();
    content.insert("title".to_owned(), "Source code".into());
    content.insert("summary".to_owned(), summary.into());
    if let Some(entry) = entry {
        content.insert("entry".to_owned(), entry.clone());
    }
    let files = found.files.iter().map(|file| json!({"path": file.path, "content": file.content}));
    content.insert("files".to_owned(), files.collect());
    let refused =
        found.refused.iter().map(|(path, reason)| json!({"path": path, "reason": reason}));
    let metadata = json!({
        "diff": diff, "diff_cut": cut, "added": added, "changed": changed, "removed": removed,
        "refused": refused.collect::<Vec<_>>(),
    });
    let Value::Object(metadata) = metadata else { unreachable!("it is written as an object") };
    (content, metadata)
}

fn difference(path: &str, was: Option<&str>, is: Option<&str>) -> String {
    let name = |side: &str, there: bool| {
        if there { format!("{side}/{path}") } else { "/dev/null".to_owned() }
    };
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .timeout(Duration::from_millis(200))
        .diff_lines(was.unwrap_or_default(), is.unwrap_or_default());
    let (before, after) = (name("a", was.is_some()), name("b", is.is_some()));
    diff.unified_diff().context_radius(3).header(&before, &after).to_string()
}

/// Returns the files that a program starts with.
pub(crate) fn given(content: Option<&Map<String, Value>>) -> Result<Vec<SourceFile>, RunError> {
    let Some(content) = content else { return Ok(Vec::new()) };
    if content.get("files").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let malformed = |detail: String| RunError::terminal("malformed_input", detail);
    let source = SourceCode::read(&Value::Object(content.clone()))
        .map_err(|error| malformed(format!("{error}.")))?;
    match source.path_problems().first() {
        Some((path, reason)) => Err(malformed(format!("The file {path:?}: {reason}."))),
        None => Ok(source.files),
    }
}
