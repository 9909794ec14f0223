//! The folder of an attempt: the files that a program starts with and those that are collected
//! from it afterwards.
//!
//! It is not a sandbox: without one, a program can write wherever the server's user can. Only
//! regular text files in the project's folder are collected, and only those whose paths can be
//! unpacked on every system. The folder is opened before the program starts and walked from its
//! descriptor, so a program that replaces it by a link has nothing else taken in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use botarmy_domain::RunError;
use botarmy_domain::ids::TaskId;
use botarmy_domain::package::{check_path, path_problems};
use botarmy_domain::source_code::{MAX_BYTES, MAX_FILES, SourceCode, SourceFile};
use botarmy_domain::timestamp::Timestamp;
use rustix::fs::FileType;
use serde_json::{Map, Value, json};
use similar::{Algorithm, TextDiff};

use crate::text::beginning;
use crate::tree::Tree;

/// Time that a folder is kept for a question without an answer.
const KEEP_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most bytes of a diff in the metadata of an artifact.
const MAX_DIFF_BYTES: usize = 64 << 10;
/// Most refused files that the metadata names.
const MAX_REFUSED: usize = 50;
/// Most directory entries in a folder that is collected.
const MAX_NAMES: usize = 50_000;

/// Names of the folders below the folder of an attempt.
const PROJECT: &str = "project";
const HOME: &str = "home";
const SCRATCH: &str = "tmp";

/// The folder of an attempt, removed when it is dropped unless [`Folder::keep`] was called.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    own: Tree,
    project: Tree,
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
        // A sandbox shows the folder at this path, where no link leads to it.
        let base = &base.canonicalize()?;
        sweep(base, task, attempt, now);
        let above = Tree::open(base)?;
        for n in 0_u32.. {
            let name = format!("{task}-{attempt}-{n}");
            match above.create_folder(&name) {
                Ok(own) => {
                    let project = own.create_folder(PROJECT)?;
                    own.create_folder(HOME)?;
                    own.create_folder(SCRATCH)?;
                    let (path, keep) = (base.join(name), AtomicBool::new(false));
                    return Ok(Self { path, own, project, keep });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Returns the folder that was kept for the answer to a question, if it still exists and
    /// nothing in it was replaced by a link.
    pub(crate) fn reopen(base: &Path, task: TaskId, name: &str) -> Option<Self> {
        let ours = name.starts_with(&format!("{task}-")) && !name.contains(['/', '\\']);
        let base = ours.then(|| base.canonicalize().ok()).flatten()?;
        let own = Tree::open(&base).ok()?.folder(OsStr::new(name)).ok()?;
        let inner = |name: &str| own.folder(OsStr::new(name)).ok();
        let (project, _, _) = (inner(PROJECT)?, inner(HOME)?, inner(SCRATCH)?);
        Some(Self { path: base.join(name), own, project, keep: AtomicBool::new(false) })
    }

    /// Keeps the folder for the attempt after the answer, and returns its name.
    pub(crate) fn keep(&self) -> String {
        self.keep.store(true, Ordering::Release);
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns the path of the project's folder, in which the program starts.
    pub(crate) fn project(&self) -> PathBuf {
        self.path.join(PROJECT)
    }

    /// Returns the path of the attempt's own HOME.
    pub(crate) fn home(&self) -> PathBuf {
        self.path.join(HOME)
    }

    /// Returns the path of the folder for temporary files.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.path.join(SCRATCH)
    }

    /// Returns the path of the file in which a sandbox reports its state. It is beside the folders
    /// that a program in the sandbox sees.
    pub(crate) fn sandbox_status(&self) -> PathBuf {
        self.path.join("sandbox.json")
    }

    /// Returns the variables that lead a program to its folders; `home` takes the place of the
    /// attempt's own HOME.
    pub(crate) fn variables(&self, home: Option<&Path>) -> Vec<(String, OsString)> {
        let home = home.map_or_else(|| self.home(), Path::to_owned);
        vec![("HOME".to_owned(), home.into()), ("TMPDIR".to_owned(), self.scratch().into())]
    }

    /// Writes files into the project's folder.
    pub(crate) fn fill(&self, files: &[SourceFile]) -> io::Result<()> {
        files
            .iter()
            .try_for_each(|file| self.project.create_file(&file.path, file.content.as_bytes()))
    }

    /// Reads a text file of the project's folder that the program names.
    pub(crate) fn text(&self, path: &str) -> Result<String, String> {
        check_path(path).map_err(str::to_owned)?;
        self.project.text_at(path, MAX_BYTES).map_err(str::to_owned)
    }

    /// Collects the files of the project's folder. Folders named in `ignore` are skipped unless
    /// `given` has files in them.
    pub(crate) fn collect(
        &self,
        given: &[SourceFile],
        ignore: &[String],
    ) -> Result<CollectedFiles, RunError> {
        if !self.project.is_in(&self.own, PROJECT) {
            let detail = "The command replaced the folder in which it was started.";
            return Err(RunError::terminal("folder_replaced", detail));
        }
        let mut walk = Walk { given, ignore, names: 0, bytes: 0, found: CollectedFiles::default() };
        walk.folder(&self.project, "")?;
        let mut found = walk.found;
        found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let owned = |(path, reason): (&str, &str)| (path.to_owned(), reason.to_owned());
        let paths = found.files.iter().map(|file| file.path.as_str());
        let refused: Vec<_> = path_problems(paths).into_iter().map(owned).collect();
        found.files.retain(|file| !refused.iter().any(|(path, _)| file.path == *path));
        for (path, reason) in refused {
            found.refuse(path, &reason);
        }
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
        // Permissions are those of the target of a link.
        if !folder.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            continue;
        }
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
    /// Paths that were not collected, each with the reason; [`MAX_REFUSED`] at the most.
    pub(crate) refused: Vec<(String, String)>,
    /// Number of further paths that were not collected.
    pub(crate) refused_more: usize,
}

impl CollectedFiles {
    fn refuse(&mut self, path: String, reason: &str) {
        if self.refused.len() < MAX_REFUSED {
            self.refused.push((path, reason.to_owned()));
        } else {
            self.refused_more += 1;
        }
    }
}

struct Walk<'a> {
    given: &'a [SourceFile],
    ignore: &'a [String],
    names: usize,
    bytes: usize,
    found: CollectedFiles,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Tree, prefix: &str) -> Result<(), RunError> {
        let entries = folder
            .entries(MAX_NAMES - self.names)
            .map_err(|error| RunError::retryable("folder_unreadable", format!("{error}.")))?;
        self.names += entries.len();
        if self.names > MAX_NAMES {
            return Err(too_much(&format!("more than {MAX_NAMES} names")));
        }
        for entry in entries {
            let name = &entry.name;
            let shown = format!("{prefix}{}", name.to_string_lossy());
            let is_folder = entry.kind == Some(FileType::Directory);
            if is_folder && self.ignores(name, &format!("{shown}/")) {
                continue;
            }
            let named = name.to_str().ok_or("its name is not UTF-8");
            if let Err(reason) = named.and_then(|_| check_path(&shown)) {
                self.found.refuse(shown, reason);
                continue;
            }
            match entry.kind {
                Some(FileType::Directory) => match folder.folder(name) {
                    Ok(inner) => self.folder(&inner, &format!("{shown}/"))?,
                    Err(error) => {
                        self.found.refuse(shown, &format!("the folder cannot be opened: {error}"));
                    }
                },
                Some(FileType::RegularFile) => match folder.text(name, MAX_BYTES) {
                    Ok(content) => self.take(&shown, content)?,
                    Err(reason) => self.found.refuse(shown, reason),
                },
                Some(FileType::Symlink) => self.found.refuse(shown, "it is a link"),
                Some(_) => self.found.refuse(shown, "it is not a regular file"),
                None => self.found.refuse(shown, "it cannot be read"),
            }
        }
        Ok(())
    }

    fn ignores(&self, name: &OsStr, below: &str) -> bool {
        self.ignore.iter().any(|other| name == other.as_str())
            && !self.given.iter().any(|file| file.path.starts_with(below))
    }

    fn take(&mut self, path: &str, content: String) -> Result<(), RunError> {
        self.bytes += content.len();
        self.found.files.push(SourceFile::new(path, content));
        if self.found.files.len() > MAX_FILES {
            return Err(too_much(&format!("more than {MAX_FILES} files")));
        }
        if self.bytes > MAX_BYTES {
            return Err(too_much(&format!("more than {MAX_BYTES} bytes")));
        }
        Ok(())
    }
}

fn too_much(what: &str) -> RunError {
    RunError::terminal("too_many_files", format!("The command left {what} in its folder."))
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
        "refused": refused.collect::<Vec<_>>(), "refused_more": found.refused_more,
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use botarmy_domain::IdGenerator;

    use super::*;

    /// A folder with a file, beside another one with a secret in the same place.
    fn fixture() -> (tempfile::TempDir, Folder, PathBuf) {
        let base = tempfile::tempdir().unwrap();
        let secrets = base.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("a.txt"), "s3cr3t").unwrap();
        let now = Timestamp::from_micros(0);
        let task = IdGenerator::new(Timestamp::from_micros(1), 1).task();
        let folder = Folder::open(&base.path().join("work"), task, 1, now).unwrap();
        folder.fill(&[SourceFile::new("d/a.txt", "mine")]).unwrap();
        (base, folder, secrets)
    }

    #[test]
    fn a_folder_that_is_replaced_by_a_link_is_refused_and_not_followed() {
        let (_base, folder, secrets) = fixture();
        let project = folder.project();
        fs::rename(&project, folder.home().join("moved")).unwrap();
        symlink(&secrets, &project).unwrap();
        let error = folder.collect(&[], &[]).unwrap_err();
        assert!(matches!(&error, RunError::Terminal { code, .. } if code == "folder_replaced"));
        assert_eq!(folder.text("d/a.txt").unwrap(), "mine", "the folder that was opened");
        assert!(folder.text("a.txt").is_err());
        // Another folder in its place is not the one that was given either.
        fs::remove_file(&project).unwrap();
        fs::create_dir(&project).unwrap();
        assert!(folder.collect(&[], &[]).is_err());
    }

    #[test]
    fn a_kept_folder_with_a_link_in_it_is_not_opened_again() {
        for name in [PROJECT, HOME, SCRATCH] {
            let (base, folder, secrets) = fixture();
            let task = IdGenerator::new(Timestamp::from_micros(1), 1).task();
            let (kept, work) = (folder.keep(), base.path().join("work"));
            // Dropped without that, it would be removed at any moment from now on.
            Folder::reopen(&work, task, &kept).unwrap().keep();
            let inner = folder.path.join(name);
            fs::remove_dir_all(&inner).unwrap();
            symlink(&secrets, &inner).unwrap();
            assert!(Folder::reopen(&work, task, &kept).is_none(), "{name}");
        }
    }

    /// The rule under a race: a folder becomes a link between the look at it and its opening.
    #[test]
    fn a_link_that_appears_while_files_are_collected_is_not_followed() {
        let (_base, folder, secrets) = fixture();
        let (place, aside) = (folder.project().join("d"), folder.home().join("aside"));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(&place, &aside).unwrap();
                    symlink(&secrets, &place).unwrap();
                    fs::remove_file(&place).unwrap();
                    fs::rename(&aside, &place).unwrap();
                }
            });
            let mut secret = None;
            for _ in 0..5_000 {
                let found = folder.collect(&[], &[]).unwrap();
                let named = folder.text("d/a.txt").ok();
                let mut read = found.files.into_iter().map(|file| file.content).chain(named);
                secret = secret.or(read.find(|content| content != "mine"));
            }
            done.store(true, Ordering::Relaxed);
            assert_eq!(secret, None);
        });
    }

    #[test]
    fn more_refused_files_than_are_named_are_counted() {
        let (_base, folder, _) = fixture();
        for n in 0..MAX_REFUSED + 7 {
            symlink("nowhere", folder.project().join(format!("link-{n}"))).unwrap();
        }
        let found = folder.collect(&[], &[]).unwrap();
        assert_eq!((found.refused.len(), found.refused_more), (MAX_REFUSED, 7));
        let (_, metadata) = source_code(None, &[], &found, "");
        assert_eq!(metadata["refused_more"], 7);
    }
}
