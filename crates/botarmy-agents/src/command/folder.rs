//! The folder of an attempt: what a command is given, and what is taken in from it afterwards.
//!
//! It is no prison: a program can write wherever the server's user can. Taken in is only what lies
//! in the project's folder, as regular files of text with paths that can be unpacked anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use botarmy_domain::ids::TaskId;
use botarmy_domain::package::check_path;
use botarmy_domain::ports::RunError;
use botarmy_domain::timestamp::Timestamp;
use serde_json::{Map, Value, json};
use similar::{Algorithm, TextDiff};

use crate::offline::files::{File, MAX_BYTES, MAX_FILES, SourceCode, path_problems};

/// How long a folder is kept for a question that is not answered.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most of a difference that is kept with an artifact.
const DIFF_BYTES: usize = 64 << 10;
/// How many refused files are named.
const REFUSED_NAMED: usize = 50;
/// How many names are looked at before there are too many.
const MAX_NAMES: usize = 50_000;

/// A folder that is removed when nobody needs it any more.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keep: AtomicBool,
}

impl Folder {
    /// A fresh one, with what earlier attempts of the task left behind removed.
    pub(super) fn open(
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

    /// The one that was kept while somebody was asked, if it is still there.
    pub(super) fn reopen(base: &Path, task: TaskId, name: &str) -> Option<Self> {
        let ours = name.starts_with(&format!("{task}-")) && !name.contains(['/', '\\']);
        let path = base.join(name);
        let there = path.symlink_metadata().is_ok_and(|folder| folder.is_dir());
        (ours && there).then(|| Self { path, keep: AtomicBool::new(false) })
    }

    /// Leaves it for the attempt after the answer; answers its name.
    pub(super) fn keep(&self) -> String {
        self.keep.store(true, Ordering::Release);
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where the command works.
    pub(super) fn project(&self) -> PathBuf {
        self.path.join("project")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Puts files into the project's folder.
    pub(super) fn fill(&self, files: &[File]) -> io::Result<()> {
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

    /// A file the command names, as text.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
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

    /// What is in the project's folder now.
    pub(super) fn collect(&self, given: &[File], ignore: &[String]) -> Result<Found, RunError> {
        let mut walk = Walk { given, ignore, names: 0, bytes: 0, found: Found::default() };
        walk.folder(&self.project(), "")?;
        let mut found = walk.found;
        found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let owned = |(path, reason): (&str, &str)| (path.to_owned(), reason.to_owned());
        let refused: Vec<_> = path_problems(&found.files).into_iter().map(owned).collect();
        found.files.retain(|file| !refused.iter().any(|(path, _)| file.path == *path));
        found.refused.extend(refused);
        Ok(found)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !*self.keep.get_mut() {
            let path = std::mem::take(&mut self.path);
            // Somewhere else, since it may be large.
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
        tracing::warn!(%error, "The folder {} is left behind", path.display());
    }
}

/// Removes what a killed server left of earlier attempts, and what was kept in vain.
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
            Some(now.since(Timestamp::from_micros(micros)) > KEPT)
        };
        if earlier || old() == Some(true) {
            remove(&entry.path());
        }
    }
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<File>,
    /// Paths that were not taken in, and why.
    pub(super) refused: Vec<(String, String)>,
}

struct Walk<'a> {
    given: &'a [File],
    ignore: &'a [String],
    names: usize,
    bytes: usize,
    found: Found,
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
            let sound = name.to_str().ok_or("its name is no UTF-8");
            match sound.and_then(|_| check_path(&shown)) {
                Err(reason) => self.refuse(shown, reason),
                Ok(()) if kind.is_dir() => self.folder(&entry.path(), &below)?,
                Ok(()) if kind.is_symlink() => self.refuse(shown, "it is a link"),
                Ok(()) if !kind.is_file() => self.refuse(shown, "it is no regular file"),
                Ok(()) => match read(&entry.path(), MAX_BYTES) {
                    Err(reason) => self.refuse(shown, reason),
                    Ok(content) => {
                        self.bytes += content.len();
                        self.found.files.push(File::new(&shown, content));
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
        if self.found.refused.len() < REFUSED_NAMED {
            self.found.refused.push((path, reason.to_owned()));
        }
    }
}

fn too_much(what: &str) -> RunError {
    RunError::terminal("too_many_files", format!("The command left {what} in its folder."))
}

/// A regular file of text, without following a link and without waiting for a device.
fn read(path: &Path, most: usize) -> Result<String, &'static str> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = open.map_err(|_| "it cannot be read")?;
    let metadata = file.metadata().map_err(|_| "it cannot be read")?;
    if !metadata.is_file() {
        return Err("it is no regular file");
    }
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|_| "it cannot be read")?;
    if bytes.len() > most {
        return Err("it is too large");
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is no text")?;
    if text.contains('\0') { Err("it is no text") } else { Ok(text) }
}

/// A `source_code` document of these files, and what is different: its content and its metadata.
pub(super) fn source_code(
    given: Option<&Map<String, Value>>,
    before: &[File],
    found: &Found,
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
        if diff.len() < DIFF_BYTES {
            diff.push_str(&difference(path, was.copied(), is.copied()));
        }
    }
    let cut = diff.len() > DIFF_BYTES;
    diff.truncate(super::beginning(&diff, DIFF_BYTES).len());
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

/// The files a command begins with.
pub(super) fn given(content: Option<&Map<String, Value>>) -> Result<Vec<File>, RunError> {
    let Some(content) = content else { return Ok(Vec::new()) };
    if content.get("files").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let malformed = |detail: String| RunError::terminal("malformed_input", detail);
    let source = SourceCode::read(&Value::Object(content.clone()))
        .map_err(|error| malformed(format!("{error}.")))?;
    match path_problems(&source.files).first() {
        Some((path, reason)) => Err(malformed(format!("The file {path:?}: {reason}."))),
        None => Ok(source.files),
    }
}
