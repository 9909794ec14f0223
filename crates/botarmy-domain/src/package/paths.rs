//! Safety of source file paths. A path is refused if it could harm a person who unpacks the
//! package, or a program that works in the folder: by leaving the folder ("zip slip"), by naming a
//! device, by hiding another file, or by naming a configuration that tools execute.

use std::collections::HashMap;

use super::active_names;
use super::folding::folded;
use crate::text;

/// Maximum length of a path in bytes. Windows allows 260 for the whole path including the folder.
pub const MAX_PATH: usize = 240;

/// Names that Windows treats as devices, in any case and with any extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Paths in use, to detect collisions on systems that do not tell all names apart.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Kind of each path, by its folded form.
    taken: HashMap<String, Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

impl Paths {
    /// Reserves a path, or returns the reason why it is refused. A leading `./` is removed.
    pub(super) fn take<'a>(&mut self, path: &'a str) -> Result<&'a str, &'static str> {
        let path = path.strip_prefix("./").unwrap_or(path);
        check_path(path)?;
        let folded = folded(path);
        match self.taken.get(&folded) {
            Some(Kind::File) => return Err("another file has this name"),
            Some(Kind::Folder) => return Err("a folder has this name"),
            None => {}
        }
        let folders = folded.match_indices('/').map(|(at, _)| &folded[..at]);
        if folders.clone().any(|folder| self.taken.get(folder) == Some(&Kind::File)) {
            return Err("a folder of this path is a file already");
        }
        if self.completes_repository(&folded) {
            return Err("the path completes a folder that Git takes for a repository");
        }
        for folder in folders {
            self.taken.entry(folder.to_owned()).or_insert(Kind::Folder);
        }
        self.taken.insert(folded, Kind::File);
        Ok(path)
    }

    /// Returns whether a file makes a repository of one of its folders. Git takes a folder for a
    /// repository, and obeys the `config` in it, if it holds `HEAD` and either `objects` and `refs`
    /// or a `commondir` that names where they are; the folder need not be called `.git`.
    fn completes_repository(&self, file: &str) -> bool {
        let mut starts = std::iter::once(0).chain(file.match_indices('/').map(|(at, _)| at + 1));
        starts.any(|start| {
            let (folder, below) = file.split_at(start);
            let (child, kind) = match below.split_once('/') {
                Some((child, _)) => (child, Kind::Folder),
                None => (below, Kind::File),
            };
            let has = |name: &str, wanted: Kind| {
                (child, kind) == (name, wanted)
                    || self.taken.get(&format!("{folder}{name}")) == Some(&wanted)
            };
            ["head", "commondir", "objects", "refs"].contains(&child)
                && has("head", Kind::File)
                && (has("commondir", Kind::File)
                    || has("objects", Kind::Folder) && has("refs", Kind::Folder))
        })
    }
}

/// Returns the paths that cannot be written together below a folder on every system, each with the
/// reason.
#[must_use]
pub fn path_problems<'a>(
    wanted: impl IntoIterator<Item = &'a str>,
) -> Vec<(&'a str, &'static str)> {
    let mut paths = Paths::default();
    let problem = |path| paths.take(path).err().map(|why| (path, why));
    wanted.into_iter().filter_map(problem).collect()
}

/// Checks that a path can be written below a folder on every system.
///
/// # Errors
/// The reason why it cannot.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("the path is empty");
    }
    if path.len() > MAX_PATH {
        return Err("the path is longer than 240 bytes");
    }
    if path.chars().any(|c| c.is_control() || text::is_bidi(c)) {
        return Err("the path has a control character");
    }
    if path.contains('\\') {
        return Err("the path has a backslash");
    }
    if path.starts_with('/') {
        return Err("the path is absolute");
    }
    if path.as_bytes().get(1) == Some(&b':') {
        return Err("the path begins with a drive letter");
    }
    if path.contains([':', '<', '>', '"', '|', '?', '*']) {
        return Err("the path has a character that not every system can store");
    }
    path.split('/').try_for_each(check_name)?;
    let mut pairs = path.split('/').zip(path.split('/').skip(1));
    if pairs.any(|(folder, name)| active_names::is_cvs(folder, name)) {
        return Err("the path names metadata of a version control system");
    }
    Ok(())
}

/// Checks that one part of a path can be the name of a file or folder.
fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => return Err("the path has an empty part"),
        ".." => return Err("the path leads out of its folder"),
        "." => return Err("the path has a part that is only a dot"),
        _ => {}
    }
    if name.ends_with(['.', ' ']) {
        return Err("a part of the path ends with a dot or a space");
    }
    if is_device(name) {
        return Err("a part of the path is the name of a device");
    }
    if folded(name).is_empty() {
        return Err("a part of the path has invisible characters only");
    }
    match active_names::reason(name) {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

/// `CON`, `com1.txt`, …: <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    if DEVICES.contains(&stem.as_str()) {
        return true;
    }
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    port.is_some_and(|port| {
        let mut digits = port.chars();
        let digit = digits.next().is_some_and(|c| c.is_ascii_digit() || "¹²³".contains(c));
        digit && digits.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_are_taken() {
        let mut paths = Paths::default();
        for path in [
            "main.py",
            "src/lib.rs",
            "src/deep/er/x.ts",
            ".gitignore",
            "app/[id]/page.tsx",
            "größe/naïve file.txt",
            "console.log",
            "com10.txt",
            "a..b/c",
            ".github/workflows/ci.yml",
            ".gitattributes",
            ".env",
            "src/git/config",
            "cvs/template.html",
            "HEAD",
            "config",
            "objects/cube.obj",
            "CLAUDE.md",
            "docs/claude/notes.md",
        ] {
            assert_eq!(paths.take(path), Ok(path));
        }
        assert_eq!(paths.take("./run.sh"), Ok("run.sh"));
    }

    #[test]
    fn hostile_paths_are_refused() {
        let long = "x/".repeat(200);
        for path in [
            "",
            "./",
            "/etc/passwd",
            "//server/share",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "./../x",
            "..\\x",
            "a\\b",
            "C:/x",
            "c:x",
            "a/b:stream",
            "nul",
            "NUL.txt",
            "src/Aux.rs",
            "com1",
            "LPT9.log",
            "com¹",
            "con .txt",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{202e}txt.exe",
            "a.",
            "a ",
            "a /b",
            "a//b",
            "a/",
            "a/./b",
            "what?",
            "a\u{200f}b",
            "\u{200b}",
            "a/\u{200d}\u{fe0f}/b",
            long.as_str(),
        ] {
            assert!(Paths::default().take(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_configuration_that_tools_execute_is_refused_by_name() {
        for path in [
            ".git/config",
            ".git",
            "sub/.git",
            "vendor/lib/.git/hooks/post-checkout",
            ".GIT/config",
            ".g\u{200c}it/config",
            "GIT~1/config",
            "git~1",
            ".hg/hgrc",
            ".svn/wc.db",
            ".jj/repo/config.toml",
            ".sl/config",
            ".bzr/branch/branch.conf",
            "_darcs/prefs/defaults",
            "_FOSSIL_",
            "CVS/Root",
            "a/cvs/entries",
            ".envrc",
            "app/.envrc",
            ".mise.toml",
            ".vscode/tasks.json",
            ".vscode/settings.json",
            "VSCODE~1/tasks.json",
            "team.code-workspace",
            ".idea/workspace.xml",
            ".devcontainer/devcontainer.json",
            ".exrc",
            ".dir-locals.el",
            ".gdbinit",
            ".Rprofile",
            ".claude/settings.json",
            ".mcp.json",
            ".codex/config.toml",
            ".gemini/settings.json",
            ".cursor/mcp.json",
        ] {
            let reason = check_path(path).unwrap_err();
            let named = reason.contains("version control") || reason.contains("tools execute");
            assert!(named, "{path:?}: {reason}");
        }
    }

    #[test]
    fn files_that_form_a_repository_are_refused_under_any_name_and_in_any_order() {
        let bare = ["config", "HEAD", "objects/pack/x", "refs/heads/main"];
        let common = ["HEAD", "config", "commondir"];
        for (files, folder) in [(&bare[..], ""), (&bare, "a/b/"), (&common, ""), (&common, "x/")] {
            for turn in 0..files.len() {
                let mut files: Vec<_> = files.iter().map(|f| format!("{folder}{f}")).collect();
                files.rotate_left(turn);
                let problems = path_problems(files.iter().map(String::as_str));
                assert_eq!(problems.len(), 1, "{files:?}");
                assert!(problems[0].1.contains("repository"), "{problems:?}");
            }
        }
        let apart = ["HEAD", "a/objects/x", "b/refs/y", "objects/z"];
        assert_eq!(path_problems(apart), []);
    }

    #[test]
    fn names_that_differ_in_case_composition_or_invisible_characters_are_one() {
        for (one, other) in [
            ("straße.txt", "STRASSE.TXT"),
            ("ſ.txt", "s.txt"),
            ("Σίσυφος", "σίσυφοσ"),
            ("src/caf\u{e9}.py", "src/cafe\u{301}.py"),
            ("a.txt", "a\u{200b}.txt"),
        ] {
            let problems = path_problems([one, other]);
            assert_eq!(problems, [(other, "another file has this name")]);
        }
        assert_eq!(path_problems(["straße/a", "strasse/b"]), []);
        let below = path_problems(["straße/a", "strasse"]);
        assert_eq!(below, [("strasse", "a folder has this name")]);
    }

    #[test]
    fn a_path_that_hides_another_is_refused() {
        let mut paths = Paths::default();
        assert!(paths.take("src/Main.py").is_ok());
        assert_eq!(paths.take("src/Main.py"), Err("another file has this name"));
        assert_eq!(paths.take("SRC/main.PY"), Err("another file has this name"));
        assert_eq!(paths.take("Src"), Err("a folder has this name"));
        assert_eq!(paths.take("src/main.py/x"), Err("a folder of this path is a file already"));
        assert!(paths.take("src/other.py").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_below_the_folder(path in "[a-zA-Z0-9./\\\\: \u{0}é~-]{0,24}") {
            if let Ok(taken) = Paths::default().take(&path) {
                let mut depth = 0;
                for part in std::path::Path::new(taken).components() {
                    prop_assert!(matches!(part, std::path::Component::Normal(_)));
                    depth += 1;
                }
                prop_assert!(depth > 0);
            }
        }
    }
}
