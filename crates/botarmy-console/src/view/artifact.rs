//! Artifacts: their list, their versions, and the page of one.

use botarmy_domain::{
    Artifact, ArtifactRef, ArtifactType, ContextId, SourceCode, SourceFile, Timestamp,
};

use super::amounts;
use super::diff::{self, Changes, FileChanges};
use super::document::{self, DocumentView};
use super::icon::Icon;
use super::log::shortened_hash;
use super::markup::Markup;
use super::project::artifact_icon;
use super::source;
use super::texts;
use super::time::TimeView;

/// Row of the list of artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowView {
    pub(crate) id: String,
    pub(crate) label: &'static str,
    pub(crate) icon: Icon,
    pub(crate) agent: &'static str,
    pub(crate) note: Option<String>,
    pub(crate) digest: String,
    pub(crate) created: TimeView,
}

/// Returns the row of an artifact.
pub(crate) fn row(artifact: &Artifact, now: Timestamp) -> RowView {
    let kind = artifact.meta.artifact_type;
    RowView {
        id: artifact.meta.id.to_string(),
        label: texts::artifact(kind),
        icon: artifact_icon(kind),
        agent: texts::agent(artifact.meta.source_agent),
        note: document::outcome(kind, &artifact.content),
        digest: shortened_hash(&artifact.meta.digest),
        created: TimeView::relative(artifact.meta.created_at, now),
    }
}

/// Version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct VersionView {
    pub(crate) id: String,
    pub(crate) number: usize,
    pub(crate) agent: &'static str,
    pub(crate) digest: String,
    pub(crate) created: TimeView,
    pub(crate) is_current: bool,
}

/// Returns the versions of an artifact, the newest first: all of its project that have its type.
pub(crate) fn versions(
    of_type: &[ArtifactRef],
    current: ContextId,
    now: Timestamp,
) -> Vec<VersionView> {
    let version = |(n, meta): (usize, &ArtifactRef)| VersionView {
        id: meta.id.to_string(),
        number: n + 1,
        agent: texts::agent(meta.source_agent),
        digest: shortened_hash(&meta.digest),
        created: TimeView::relative(meta.created_at, now),
        is_current: meta.id == current,
    };
    let mut views: Vec<_> = of_type.iter().enumerate().map(version).collect();
    views.reverse();
    views
}

/// Content of an artifact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ContentView {
    Document(Box<DocumentView>),
    Files(FilesView),
}

/// Files of source code, of which one is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FilesView {
    pub(crate) names: Vec<NameView>,
    pub(crate) file: Option<FileView>,
    /// Files that a package leaves out, with the reason.
    pub(crate) refused: Vec<(String, &'static str)>,
    pub(crate) summary: Option<String>,
}

/// Name of a file in the list of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameView {
    pub(crate) path: String,
    /// The path as a value of a query.
    pub(crate) query: String,
    pub(crate) is_current: bool,
}

/// File that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileView {
    pub(crate) path: String,
    pub(crate) lines: Vec<Markup>,
    pub(crate) facts: Vec<String>,
}

/// Returns the content of an artifact. `path` names the file to show; the first one otherwise.
pub(crate) fn content(artifact: &Artifact, path: Option<&str>) -> ContentView {
    let kind = artifact.meta.artifact_type;
    let Some(code) = document::source_code(kind, &artifact.content) else {
        return ContentView::Document(Box::new(document::view(kind, &artifact.content)));
    };
    let wanted = path.unwrap_or(&code.entry);
    let shown = code.file(wanted).or_else(|| code.files.first());
    let shown_path = shown.map(|file| file.path.clone());
    let summary = artifact.content.get("summary").and_then(serde_json::Value::as_str);
    ContentView::Files(FilesView {
        names: code
            .files
            .iter()
            .map(|file| NameView {
                path: file.path.clone(),
                query: escaped(&file.path),
                is_current: Some(&file.path) == shown_path.as_ref(),
            })
            .collect(),
        file: shown.map(file_view),
        refused: code
            .path_problems()
            .into_iter()
            .map(|(path, reason)| (path.to_owned(), reason))
            .collect(),
        summary: summary.map(str::to_owned),
    })
}

fn file_view(file: &SourceFile) -> FileView {
    let lines = source::lines(&file.path, &file.content);
    let mut facts = vec![
        texts::counted(source::line_count(&file.content), "line", "lines"),
        amounts::size(file.content.len() as u64),
    ];
    if file.content.len() > source::MAX_BYTES {
        facts.push("without colours, because it is long".to_owned());
    }
    FileView { path: file.path.clone(), lines, facts }
}

/// Escapes a value of a query.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Changes between two versions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ChangesView {
    Text(Changes),
    Files(Vec<FileChanges>),
}

impl ChangesView {
    /// Returns the numbers of added and removed lines.
    pub(crate) fn totals(&self) -> (usize, usize) {
        match self {
            Self::Text(changes) => (changes.added, changes.removed),
            Self::Files(files) => diff::totals(files),
        }
    }

    /// Whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(changes) => changes.added == 0 && changes.removed == 0,
            Self::Files(files) => files.is_empty(),
        }
    }
}

/// Compares two versions.
pub(crate) fn changes(old: &Artifact, new: &Artifact, all: bool) -> ChangesView {
    let code =
        |artifact: &Artifact| document::source_code(artifact.meta.artifact_type, &artifact.content);
    if let (Some(old), Some(new)) = (code(old), code(new)) {
        return ChangesView::Files(diff::files(pairs(&old), pairs(&new), all));
    }
    let text = |artifact: &Artifact| document::text(artifact.meta.artifact_type, &artifact.content);
    ChangesView::Text(diff::texts(&text(old), &text(new), all))
}

/// Returns the files with their texts.
fn pairs(code: &SourceCode) -> impl Iterator<Item = (&str, &str)> {
    code.files.iter().map(|file| (file.path.as_str(), file.content.as_str()))
}

/// Whether two artifacts can be versions of each other.
pub(crate) fn are_comparable(one: &Artifact, other: &Artifact) -> bool {
    one.meta.project_id == other.meta.project_id
        && one.meta.artifact_type == other.meta.artifact_type
}

/// Returns the name of a type of artifact.
pub(crate) const fn label(kind: ArtifactType) -> &'static str {
    texts::artifact(kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::samples::{NOW, artifact};

    fn code(n: u128, text: &str) -> Artifact {
        let content = json!({"entry": "a.js", "files": [
            {"path": "a.js", "content": text}, {"path": "b &.md", "content": "# b"},
        ]});
        artifact(n, ArtifactType::SourceCode, &content)
    }

    #[test]
    fn files_are_listed_and_one_is_shown() {
        let ContentView::Files(files) = content(&code(1, "let a;\n"), None) else { panic!() };
        let names: Vec<_> =
            files.names.iter().map(|name| (name.query.as_str(), name.is_current)).collect();
        assert_eq!(names, [("a.js", true), ("b%20%26.md", false)]);
        let file = files.file.unwrap();
        assert_eq!(file.lines[0].as_str(), "<span class=\"k\">let</span> a;");
        assert_eq!(file.facts, ["1 line", "7 bytes"]);
        let ContentView::Files(files) = content(&code(1, ""), Some("../x")) else { panic!() };
        assert_eq!(files.file.unwrap().path, "a.js");
    }

    #[test]
    fn versions_are_numbered_from_the_oldest_and_listed_from_the_newest() {
        let all = [code(1, "a").meta, code(2, "b").meta];
        let views = versions(&all, all[0].id, NOW);
        let shown: Vec<_> = views.iter().map(|view| (view.number, view.is_current)).collect();
        assert_eq!(shown, [(2, false), (1, true)]);
    }

    #[test]
    fn two_versions_are_compared_file_by_file_or_as_texts() {
        let changes = changes(&code(1, "a\n"), &code(2, "b\n"), false);
        assert_eq!((changes.totals(), changes.is_empty()), ((1, 1), false));
        let ChangesView::Files(files) = changes else { panic!() };
        assert_eq!(files.len(), 1);
        let plan = |n, text| artifact(n, ArtifactType::ProjectPlan, &json!({"markdown": text}));
        let changes = super::changes(&plan(1, "# A\n"), &plan(2, "# A\n"), false);
        assert!(changes.is_empty() && matches!(changes, ChangesView::Text(_)));
        assert!(!are_comparable(&plan(1, "x"), &code(2, "x")));
    }
}
