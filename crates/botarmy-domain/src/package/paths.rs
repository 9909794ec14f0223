//! Safety of source file paths. A path is refused if it could harm a person who unpacks the
//! package: by leaving the folder ("zip slip"), by naming a device, or by hiding another file.

use std::collections::HashMap;

use crate::text;

/// Maximum length of a path in bytes. Windows allows 260 for the whole path including the folder.
const MAX_PATH: usize = 240;

/// Names that Windows treats as devices, in any case and with any extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Paths in use, to detect collisions on systems with case-insensitive names.
#[derive(Debug, Default)]
pub(super) struct Paths {
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
        let folded: String = path.chars().flat_map(char::to_lowercase).collect();
        match self.taken.get(&folded) {
            Some(Kind::File) => return Err("another file has this name"),
            Some(Kind::Folder) => return Err("a folder has this name"),
            None => {}
        }
        let folders = folded.match_indices('/').map(|(at, _)| &folded[..at]);
        if folders.clone().any(|folder| self.taken.get(folder) == Some(&Kind::File)) {
            return Err("a folder of this path is a file already");
        }
        for folder in folders {
            self.taken.entry(folder.to_owned()).or_insert(Kind::Folder);
        }
        self.taken.insert(folded, Kind::File);
        Ok(path)
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
    path.split('/').try_for_each(check_name)
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
    Ok(())
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
            long.as_str(),
        ] {
            assert!(Paths::default().take(path).is_err(), "{path:?}");
        }
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
