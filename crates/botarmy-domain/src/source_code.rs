//! The content of a `source_code` artifact: a set of text files and the one to open first.

use serde_json::{Map, Value, json};

use crate::package;

/// Most files that one `source_code` artifact may hold.
pub const MAX_FILES: usize = 2_000;
/// Most bytes that the files of one `source_code` artifact may hold together.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Most characters of a path that an error shows.
const MAX_SHOWN: usize = 300;

/// A set of text files and the one to open first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCode {
    /// Files. [`SourceCode::put`] keeps them in the order of their paths.
    pub files: Vec<SourceFile>,
    /// Path of the file to open first; `index.html` where the artifact names none.
    pub entry: String,
}

/// A text file of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path relative to the application's folder, with `/` between the parts.
    pub path: String,
    /// Text of the file.
    pub content: String,
}

/// The content of a `source_code` artifact does not have the expected structure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the source_code artifact cannot be used: {detail}")]
pub struct SourceCodeError {
    /// First problem found, as a clause such as `its list "files" is empty`.
    pub detail: String,
}

impl SourceFile {
    /// Creates a file.
    pub fn new(path: &str, content: impl Into<String>) -> Self {
        Self { path: path.to_owned(), content: content.into() }
    }

    /// Returns the extension of the file name in lower case, without the dot; empty if there is
    /// none.
    #[must_use]
    pub fn extension(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.')
            .map_or_else(String::new, |(_, extension)| extension.to_ascii_lowercase())
    }
}

impl SourceCode {
    /// Reads the content of a `source_code` artifact. The paths are not checked: see
    /// [`SourceCode::path_problems`].
    ///
    /// # Errors
    /// [`SourceCodeError`] when the list `files` is missing, empty, malformed or too large.
    pub fn read(content: &Value) -> Result<Self, SourceCodeError> {
        let malformed = |detail: String| SourceCodeError { detail };
        let list = content.get("files").and_then(Value::as_array).ok_or_else(|| {
            malformed("it needs a list \"files\" of {\"path\", \"content\"}".to_owned())
        })?;
        if list.is_empty() {
            return Err(malformed("its list \"files\" is empty".to_owned()));
        }
        if list.len() > MAX_FILES {
            return Err(malformed(format!("it has more than {MAX_FILES} files")));
        }
        let mut files = Vec::with_capacity(list.len());
        let mut bytes = 0;
        for (n, file) in list.iter().enumerate() {
            let text = |key: &str| {
                file.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
                    malformed(format!("files[{n}] needs \"{key}\" with a text as its value"))
                })
            };
            let path = text("path")?;
            // A leading "./" is harmless.
            let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
            let file = SourceFile { path, content: text("content")? };
            bytes += file.content.len();
            files.push(file);
        }
        if bytes > MAX_BYTES {
            return Err(malformed(format!("its files have more than {MAX_BYTES} bytes")));
        }
        let entry = content.get("entry").and_then(Value::as_str).unwrap_or("index.html").to_owned();
        Ok(Self { files, entry })
    }

    /// Returns the list `files` as an artifact stores it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let files =
            self.files.iter().map(|file| json!({"path": file.path, "content": file.content}));
        files.collect::<Vec<_>>().into()
    }

    /// Returns the file with this path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Returns the file with this path, for a change.
    pub fn file_mut(&mut self, path: &str) -> Option<&mut SourceFile> {
        self.files.iter_mut().find(|file| file.path == path)
    }

    /// Inserts a file, or replaces the one with the same path.
    pub fn put(&mut self, file: SourceFile) {
        match self.file_mut(&file.path) {
            Some(present) => *present = file,
            None => {
                let at = self.files.partition_point(|present| present.path < file.path);
                self.files.insert(at, file);
            }
        }
    }

    /// Returns the paths that cannot be unpacked on every system, each with the reason, by the
    /// rules of [`package::path_problems`].
    #[must_use]
    pub fn path_problems(&self) -> Vec<(&str, &'static str)> {
        package::path_problems(self.files.iter().map(|file| file.path.as_str()))
    }
}

/// Checks the paths in the list `files` of a `source_code` artifact that is to be stored, by the
/// rules of [`package::path_problems`]. What has no such list has no paths.
///
/// # Errors
/// The first path that cannot be used, with the reason.
pub fn check_paths(content: &Map<String, Value>) -> Result<(), String> {
    let files = content.get("files").and_then(Value::as_array).into_iter().flatten();
    let paths = files.filter_map(|file| file.get("path")?.as_str());
    match package::path_problems(paths).first() {
        None => Ok(()),
        Some((path, reason)) => {
            let shown: String = path.chars().take(MAX_SHOWN).collect();
            let cut = if shown.len() < path.len() { "…" } else { "" };
            Err(format!("the file path {:?} cannot be used: {reason}", format!("{shown}{cut}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_code_without_files_is_a_clear_error() {
        for (content, word) in [
            (json!({}), "\"files\""),
            (json!({"files": "index.html"}), "\"files\""),
            (json!({"files": []}), "empty"),
            (json!({"files": [{"path": "a"}]}), "files[0] needs \"content\""),
            (json!({"files": [{"path": 1, "content": ""}]}), "files[0] needs \"path\""),
            (json!({"files": [null]}), "files[0]"),
        ] {
            let error = SourceCode::read(&content).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("source_code"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_put_replaces_the_one_with_its_path_and_else_keeps_the_order() {
        let content = json!({"files": [{"path": "./b", "content": "1"}]});
        let mut source = SourceCode::read(&content).unwrap();
        source.put(SourceFile::new("b", "2"));
        source.put(SourceFile::new("a", "3"));
        let expected = json!([{"path": "a", "content": "3"}, {"path": "b", "content": "2"}]);
        assert_eq!(source.to_json(), expected);
        assert_eq!(SourceFile::new("x.d/Page.HTML", "").extension(), "html");
        assert_eq!(SourceFile::new("x.d/LICENSE", "").extension(), "");
    }
}
