//! Deployment of a build to a folder, and the later comparison of the folder with the build. All
//! file access of this crate is here and in `deployed_files.rs`, and all of it blocks.
//!
//! A deployment is written beside the folder that it replaces and then exchanged with it, so that a
//! reader finds the old folder or the new one, also after a crash. Links are never followed, because
//! other users may be able to write to the folder.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use botarmy_domain::source_code::SourceCode;
use serde_json::{Value, json};

use crate::deployed_files::{DeployedFolder, Expected, expected};
use crate::documents::generated_by;
use crate::error::DraftError;
use crate::statement::STATEMENT;
use crate::step::Step;
use crate::template::{bullets, markdown};

/// A deployment failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeployError {
    /// The input cannot be deployed.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The file system returned an error; a retry can help.
    #[error("cannot {action}")]
    Io {
        action: &'static str,
        #[source]
        source: io::Error,
    },
    /// The run was cancelled before the folder was replaced.
    #[error("the deployment was cancelled before the folder was replaced")]
    Cancelled,
}

trait During<T> {
    fn during(self, action: &'static str) -> Result<T, DeployError>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, action: &'static str) -> Result<T, DeployError> {
        self.map_err(|source| DeployError::Io { action, source })
    }
}

/// Folder for the deployments of one project.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    root: PathBuf,
    project: String,
}

impl Place {
    /// Returns the place of a project within the deployment folder.
    pub(crate) fn new(root: &Path, project: &str) -> Result<Self, DraftError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if project.is_empty() || project.len() > 64 || !project.chars().all(plain) {
            return Err(DraftError::Refused(
                "the project's id cannot be the name of a folder".to_owned(),
            ));
        }
        Ok(Self { root: root.to_owned(), project: project.to_owned() })
    }

    fn folder(&self) -> PathBuf {
        self.root.join(&self.project)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        self.root.join(format!(".{}.{ending}", self.project))
    }
}

/// Writes the files of a build to their place. A second call gives the same result. Calls `wanted`
/// before the folder is replaced, and stops if it returns `false`.
pub(crate) fn deploy(
    place: &Place,
    source: &SourceCode,
    wanted: impl Fn() -> bool,
) -> Result<Value, DeployError> {
    if let Some((path, reason)) = source.path_problems().into_iter().next() {
        return Err(DraftError::Refused(format!("{path:?}: {reason}")).into());
    }
    fs::create_dir_all(&place.root).during("make the deployment folder")?;
    let _lock = lock(place)?;
    recover(place)?;
    let fresh = place.beside("new");
    write(&fresh, source)?;
    if !wanted() {
        remove(&fresh).during("remove what was written")?;
        return Err(DeployError::Cancelled);
    }
    put_in_place(place, &fresh)?;

    let expected = expected(source);
    let findings = compare(&place.folder(), &expected).during("read the deployed files")?;
    let mut steps = vec![
        format!("Checked {} paths: none leaves the folder.", source.files.len()),
        "Wrote the files to a new folder beside the place.".to_owned(),
        "Put the new folder in the place.".to_owned(),
    ];
    if findings.is_empty() {
        steps.push("Read every file again: the digests agree.".to_owned());
    }
    Ok(log(Step::Deployment, place, &expected, &steps, &findings))
}

/// Compares the deployed files with the build and with the deployment log.
pub(crate) fn verify(
    place: &Place,
    source: &SourceCode,
    deployment: &Value,
) -> Result<Value, DeployError> {
    let expected = expected(source);
    let mut findings = Vec::new();
    let logged = logged(deployment)?;
    for (path, (digest, _)) in &expected {
        match logged.get(path.as_str()) {
            None => findings.push(format!("{path} is not in the deployment log.")),
            Some(known) if known != digest => {
                findings.push(format!("{path} has another digest in the deployment log."));
            }
            Some(_) => {}
        }
    }
    for path in logged.keys().filter(|path| !expected.contains_key(**path)) {
        findings.push(format!("{path} is in the deployment log, but not in the source code."));
    }
    if deployment.get("ok").and_then(Value::as_bool) != Some(true) {
        findings.push("The deployment log does not say that the deployment went well.".to_owned());
    }
    findings.extend(compare(&place.folder(), &expected).during("read the deployed files")?);
    let mut steps = vec![
        format!("Compared the digests of {} files with the deployment log.", expected.len()),
        "Read every deployed file again and compared it with the source code.".to_owned(),
    ];
    if findings.is_empty() {
        steps.push("Found nothing that differs.".to_owned());
    }
    Ok(log(Step::FinalCheck, place, &expected, &steps, &findings))
}

fn logged(deployment: &Value) -> Result<BTreeMap<&str, &str>, DraftError> {
    let malformed = |detail: &str| DraftError::Malformed {
        artifact: "deployment_log",
        detail: detail.to_owned(),
    };
    deployment
        .get("files")
        .and_then(Value::as_array)
        .ok_or_else(|| malformed("it needs a list \"files\" of {\"path\", \"digest\"}"))?
        .iter()
        .map(|file| {
            let text = |key: &str| file.get(key).and_then(Value::as_str);
            text("path")
                .zip(text("digest"))
                .ok_or_else(|| malformed("every file in it needs a \"path\" and a \"digest\""))
        })
        .collect()
}

fn log(
    step: Step,
    place: &Place,
    files: &Expected<'_>,
    steps: &[String],
    findings: &[String],
) -> Value {
    let ok = findings.is_empty();
    let target = place.folder().display().to_string();
    let title = match step {
        Step::FinalCheck => "Final check",
        _ => "Deployment log",
    };
    let summary = match (step, ok) {
        (Step::FinalCheck, true) => format!("All {} files are as they were built.", files.len()),
        (_, true) => format!("{} files are in place.", files.len()),
        (_, false) => format!("{} difference(s) found.", findings.len()),
    };
    let mut text = format!(
        "# {title}\n\n*{STATEMENT}.*\n\n{summary} Folder: `{}`\n\n## Steps\n\n{}\n",
        target.replace('`', "'"),
        bullets(steps)
    );
    if !ok {
        let lines = findings.iter().map(|finding| markdown(finding));
        text.push_str(&format!("\n## Differences\n\n{}\n", bullets(lines)));
    }
    let lines = files.iter().map(|(path, (digest, _))| format!("{} `{digest}`", markdown(path)));
    text.push_str(&format!("\n## Files\n\n{}\n", bullets(lines)));
    json!({
        "title": title,
        "generated_by": generated_by(step),
        "summary": summary,
        "target": target,
        "files": files.iter().map(|(path, (digest, bytes))| json!({
            "path": path, "digest": digest, "size": bytes.len(),
        })).collect::<Vec<_>>(),
        "ok": ok,
        "steps": steps,
        "differences": findings,
        "markdown": text,
    })
}

/// The lock of a place. It is a file, which is removed when the lock is released.
#[derive(Debug)]
struct DeploymentLock {
    path: PathBuf,
    /// Holds the lock until it is closed, which is after the removal.
    _file: File,
}

impl Drop for DeploymentLock {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "The lock {} cannot be removed", self.path.display());
        }
    }
}

/// Locks the place, so that one deployment of a project runs at a time, also between processes.
fn lock(place: &Place) -> Result<DeploymentLock, DeployError> {
    let path = place.beside("lock");
    loop {
        refuse_link(&path)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .custom_flags(no_follow())
            .open(&path)
            .during("open the lock of the deployment")?;
        file.lock().during("lock the deployment")?;
        // The deployment that held the lock has removed its file; a third one may have a new file.
        let mine = file.metadata().during("look at the lock of the deployment")?;
        let is_mine = |there: fs::Metadata| (there.dev(), there.ino()) == (mine.dev(), mine.ino());
        if fs::symlink_metadata(&path).is_ok_and(is_mine) {
            return Ok(DeploymentLock { path, _file: file });
        }
    }
}

fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("the flags of open fit")
}

/// Removes the remains of a deployment that was interrupted, and checks that the place is a folder or
/// does not exist.
fn recover(place: &Place) -> Result<(), DeployError> {
    let folder = place.folder();
    refuse_link(&folder)?;
    match fs::symlink_metadata(&folder) {
        Ok(there) if !there.is_dir() => {
            return Err(DraftError::Refused("the place is not a folder".to_owned()).into());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let old = place.beside("old");
            if fs::symlink_metadata(&old).is_ok_and(|there| there.is_dir()) {
                fs::rename(&old, &folder).during("put the earlier deployment back")?;
            }
        }
        other => {
            other.during("look at the place of the deployment")?;
        }
    }
    for ending in ["new", "old"] {
        remove(&place.beside(ending)).during("clear away an unfinished deployment")?;
    }
    Ok(())
}

fn refuse_link(path: &Path) -> Result<(), DraftError> {
    if fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_symlink()) {
        return Err(DraftError::Refused(
            "the place is a link, and links are not followed".to_owned(),
        ));
    }
    Ok(())
}

/// Removes a file or folder, if it exists, without following links.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn write(folder: &Path, source: &SourceCode) -> Result<(), DeployError> {
    let folder = DeployedFolder::create(folder).during("make a new folder")?;
    source.files.iter().try_for_each(|file| {
        folder.write(&file.path, file.content.as_bytes()).during("write a file to the disk")
    })
}

/// Exchanges the new folder with the one in the place.
fn put_in_place(place: &Place, fresh: &Path) -> Result<(), DeployError> {
    let folder = place.folder();
    if fs::symlink_metadata(&folder).is_err() {
        fs::rename(fresh, &folder).during("put the new folder in the place")?;
    } else if !exchange(fresh, &folder) {
        // This file system cannot exchange two folders at once. Between the two moves the place is
        // empty; after a crash there, the next deployment puts the old folder back.
        let old = place.beside("old");
        fs::rename(&folder, &old).during("put the old folder aside")?;
        fs::rename(fresh, &folder).during("put the new folder in the place")?;
    }
    for ending in ["new", "old"] {
        remove(&place.beside(ending)).during("remove the old folder")?;
    }
    File::open(&place.root).and_then(|root| root.sync_all()).during("write to the disk")?;
    Ok(())
}

/// Exchanges two folders atomically; returns `false` if the system cannot.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

/// Exchanges two folders atomically; returns `false` if the system cannot.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// Returns the differences between the files in a folder and the expected ones, one sentence each.
fn compare(folder: &Path, expected: &Expected<'_>) -> io::Result<Vec<String>> {
    match DeployedFolder::open(folder) {
        Ok(Some(folder)) => folder.differences(expected),
        Ok(None) => Ok(vec!["The place of the deployment is not a folder.".to_owned()]),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(vec!["The folder of the deployment does not exist.".to_owned()])
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use crate::application;
    use botarmy_domain::source_code::SourceFile;

    use super::*;
    use crate::product::Product;

    const PROJECT: &str = "0190a0b0-0000-7000-8000-00000000000a";

    fn source() -> SourceCode {
        let mut source = application::build(&Product::from_idea("recipes"));
        source.files.push(SourceFile::new("deep/er/note.txt", "hello"));
        source
    }

    struct Fixture {
        dir: tempfile::TempDir,
        place: Place,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let place = Place::new(&dir.path().join("sites"), PROJECT).unwrap();
            Self { dir, place }
        }

        fn deployed(source: &SourceCode) -> (Self, Value) {
            let fixture = Self::new();
            let log = deploy(&fixture.place, source, || true).unwrap();
            (fixture, log)
        }

        fn path(&self, path: &str) -> PathBuf {
            self.place.folder().join(path)
        }

        /// Names of everything that stands beside the deployment.
        fn left_over(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.place.root).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .filter(|name| name != PROJECT)
                .collect()
        }
    }

    #[test]
    fn what_is_deployed_is_what_was_built() {
        let source = source();
        let (fixture, log) = Fixture::deployed(&source);
        assert_eq!(log["ok"], true);
        for file in &source.files {
            assert_eq!(fs::read_to_string(fixture.path(&file.path)).unwrap(), file.content);
        }
        let check = verify(&fixture.place, &source, &log).unwrap();
        assert_eq!(
            (check["ok"].as_bool(), check["differences"].as_array().unwrap().len()),
            (Some(true), 0)
        );
        assert_eq!(fixture.left_over(), Vec::<String>::new());
    }

    #[test]
    fn deploying_again_gives_the_same_log_and_replaces_everything() {
        let source = source();
        let (fixture, log) = Fixture::deployed(&source);
        fs::write(fixture.path("index.html"), "tampered").unwrap();
        fs::write(fixture.path("extra.html"), "extra").unwrap();
        assert_eq!(deploy(&fixture.place, &source, || true).unwrap(), log);
        assert_eq!(verify(&fixture.place, &source, &log).unwrap()["ok"], true);
        assert!(!fixture.path("extra.html").exists());
        assert_eq!(fixture.left_over(), Vec::<String>::new());
    }

    #[test]
    fn a_tampered_deployment_is_found() {
        let source = source();
        type Tampering<'a> = (&'a str, &'a dyn Fn(&Fixture));
        let tamper: [Tampering<'_>; 5] = [
            ("index.html was changed", &|fixture| {
                fs::write(fixture.path("index.html"), "other").unwrap();
            }),
            ("app.js was changed: its digest", &|fixture| {
                let mut text = fs::read(fixture.path("app.js")).unwrap();
                text[0] ^= 1;
                fs::write(fixture.path("app.js"), text).unwrap();
            }),
            ("data.json is missing", &|fixture| {
                fs::remove_file(fixture.path("data.json")).unwrap();
            }),
            ("deep/x.html was added", &|fixture| {
                fs::write(fixture.path("deep/x.html"), "").unwrap();
            }),
            ("does not exist", &|fixture| fs::remove_dir_all(fixture.place.folder()).unwrap()),
        ];
        for (expected, tamper) in tamper {
            let (fixture, log) = Fixture::deployed(&source);
            tamper(&fixture);
            let check = verify(&fixture.place, &source, &log).unwrap();
            assert_eq!(check["ok"], false, "{expected}");
            let differences = check["differences"].to_string();
            assert!(differences.contains(expected), "{expected}: {differences}");
        }
    }

    #[test]
    fn a_log_that_does_not_match_the_source_is_found() {
        let source = source();
        let (fixture, log) = Fixture::deployed(&source);
        let mut other = source.clone();
        other.files[0].content.push('x');
        assert_eq!(verify(&fixture.place, &other, &log).unwrap()["ok"], false);
        let mut not_ok = log;
        not_ok["ok"] = false.into();
        assert_eq!(verify(&fixture.place, &source, &not_ok).unwrap()["ok"], false);
        for malformed in [json!({}), json!({"files": [1]}), json!({"files": "x"}), Value::Null] {
            let error = verify(&fixture.place, &source, &malformed).unwrap_err();
            assert!(error.to_string().contains("deployment_log"), "{error}");
        }
    }

    #[test]
    fn hostile_paths_are_refused_and_nothing_is_written() {
        for path in [
            "../out.txt",
            "/tmp/out.txt",
            "a/../../out.txt",
            "a\\..\\out",
            "nul",
            "C:x",
            ".git/config",
            "sub/.hg/hgrc",
        ] {
            let fixture = Fixture::new();
            let mut source = source();
            source.files.push(SourceFile::new(path, "x"));
            let error = deploy(&fixture.place, &source, || true).unwrap_err();
            assert!(matches!(error, DeployError::Draft(DraftError::Refused(_))), "{path}: {error}");
            assert_eq!(fs::read_dir(fixture.dir.path()).unwrap().count(), 0, "{path}");
        }
        for project in ["", "..", "a/b", ".hidden", "a b", "ä"] {
            assert!(Place::new(Path::new("x"), project).is_err(), "{project}");
        }
    }

    #[test]
    fn a_file_as_deep_as_a_path_can_be_is_deployed_and_verified() {
        let mut source = source();
        for path in ["a/".repeat(119) + "xy", "b/".repeat(33) + "page.html"] {
            source.files.push(SourceFile::new(&path, "deep"));
        }
        let (fixture, log) = Fixture::deployed(&source);
        assert_eq!(log["ok"], true, "{log}");
        let check = verify(&fixture.place, &source, &log).unwrap();
        assert_eq!(check["ok"], true, "{check}");
        let deepest = fixture.path(&("a/".repeat(119) + "xy"));
        fs::write(deepest, "other").unwrap();
        let mut added = fixture.path("a");
        for _ in 0..150 {
            added.push("b");
        }
        fs::create_dir_all(added).unwrap();
        let check = verify(&fixture.place, &source, &log).unwrap();
        let differences = check["differences"].as_array().unwrap();
        assert_eq!(differences.len(), 2, "{differences:?}");
        assert!(
            differences[0].as_str().unwrap().ends_with("xy was changed: it has 5 bytes, not 4.")
        );
        assert!(differences[1].as_str().unwrap().contains("was added"), "{differences:?}");
    }

    #[test]
    fn one_deployment_of_a_project_runs_at_a_time_and_no_lock_stays() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let fixture = Fixture::new();
        let (mut source, running) = (source(), AtomicU32::new(0));
        source.files.truncate(1);
        let alone = || {
            let others = running.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(1));
            running.fetch_sub(1, Ordering::SeqCst);
            assert_eq!(others, 0, "two deployments ran at the same time");
            true
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        deploy(&fixture.place, &source, alone).unwrap();
                    }
                });
            }
        });
        assert_eq!(fixture.left_over(), Vec::<String>::new());
        // One that an earlier version left, and one of a deployment that fails.
        fs::write(fixture.place.beside("lock"), "").unwrap();
        assert!(deploy(&fixture.place, &source, || false).is_err());
        assert_eq!(fixture.left_over(), Vec::<String>::new());
    }

    #[test]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;
        let source = source();
        // A link in the place of the folder.
        let fixture = Fixture::new();
        let elsewhere = fixture.dir.path().join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        fs::create_dir_all(&fixture.place.root).unwrap();
        symlink(&elsewhere, fixture.place.folder()).unwrap();
        let error = deploy(&fixture.place, &source, || true).unwrap_err();
        assert!(error.to_string().contains("link"), "{error}");
        // A link where the new folder is written.
        fs::remove_file(fixture.place.folder()).unwrap();
        symlink(&elsewhere, fixture.place.beside("new")).unwrap();
        let log = deploy(&fixture.place, &source, || true).unwrap();
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        // A link in place of a deployed file.
        fs::write(elsewhere.join("index.html"), &source.file("index.html").unwrap().content)
            .unwrap();
        fs::remove_file(fixture.path("index.html")).unwrap();
        symlink(elsewhere.join("index.html"), fixture.path("index.html")).unwrap();
        assert_eq!(verify(&fixture.place, &source, &log).unwrap()["ok"], false);
    }

    #[test]
    fn a_deployment_that_nobody_wants_any_more_changes_nothing() {
        let first = source();
        let (fixture, log) = Fixture::deployed(&first);
        let mut second = first.clone();
        second.files[0].content.push_str("later");
        let error = deploy(&fixture.place, &second, || false).unwrap_err();
        assert!(matches!(error, DeployError::Cancelled));
        assert_eq!(verify(&fixture.place, &first, &log).unwrap()["ok"], true);
        assert_eq!(fixture.left_over(), Vec::<String>::new());
    }

    #[test]
    fn what_a_crash_left_behind_is_cleared_away() {
        let source = source();
        let (fixture, log) = Fixture::deployed(&source);
        // Cut off between the two moves: the place is empty, the old folder stands beside it.
        fs::rename(fixture.place.folder(), fixture.place.beside("old")).unwrap();
        fs::create_dir(fixture.place.beside("new")).unwrap();
        fs::write(fixture.place.beside("new").join("half"), "written").unwrap();
        let called_off = deploy(&fixture.place, &source, || false);
        assert!(called_off.is_err());
        assert_eq!(
            verify(&fixture.place, &source, &log).unwrap()["ok"],
            true,
            "the old one is back"
        );
        assert_eq!(fixture.left_over(), Vec::<String>::new());
    }
}
