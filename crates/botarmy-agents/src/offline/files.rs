//! Source code as an artifact carries it: a set of text files with paths that are safe to unpack
//! anywhere.

use botarmy_domain::package;
use serde_json::{Value, json};

use super::brief::DraftError;

/// The most files that are accepted from outside.
pub(crate) const MAX_FILES: usize = 2_000;
/// The largest file set that is accepted from outside, in bytes.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;

/// One text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Where it goes: relative, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) content: String,
}

impl File {
    pub(crate) fn new(path: &str, content: impl Into<String>) -> Self {
        Self { path: path.to_owned(), content: content.into() }
    }

    /// The ending of the name in lower case, without the dot.
    pub(crate) fn kind(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or_else(String::new, |(_, kind)| kind.to_ascii_lowercase())
    }
}

/// A set of files and the one to open first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceCode {
    pub(crate) files: Vec<File>,
    pub(crate) entry: String,
}

impl SourceCode {
    /// Reads the content of a `source_code` artifact. The paths may still be anything; see
    /// [`path_problems`].
    pub(crate) fn read(content: &Value) -> Result<Self, DraftError> {
        let malformed = |detail: String| DraftError::Malformed { artifact: "source_code", detail };
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
            let file = File { path, content: text("content")? };
            bytes += file.content.len();
            files.push(file);
        }
        if bytes > MAX_BYTES {
            return Err(malformed(format!("its files have more than {MAX_BYTES} bytes")));
        }
        let entry = content.get("entry").and_then(Value::as_str).unwrap_or("index.html").to_owned();
        Ok(Self { files, entry })
    }

    /// The files as an artifact carries them.
    pub(crate) fn to_json(&self) -> Value {
        let files =
            self.files.iter().map(|file| json!({"path": file.path, "content": file.content}));
        files.collect::<Vec<_>>().into()
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn file_mut(&mut self, path: &str) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.path == path)
    }

    /// Puts a file in, in place of the one with the same path.
    pub(crate) fn put(&mut self, file: File) {
        match self.file_mut(&file.path) {
            Some(present) => *present = file,
            None => {
                let at = self.files.partition_point(|present| present.path < file.path);
                self.files.insert(at, file);
            }
        }
    }
}

/// What is wrong with the paths of a file set; empty when all of them can be unpacked on every
/// system.
pub(crate) fn path_problems(files: &[File]) -> Vec<(&str, &'static str)> {
    package::path_problems(files.iter().map(|file| file.path.as_str()))
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
}
