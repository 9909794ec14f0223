//! The subject of a request as one tab shows it. It takes long for large documents, so that it is worked
//! out beside the threads that serve.

use std::collections::BTreeMap;

use botarmy_domain::{Artifact, ArtifactType, SourceCode};
use serde_json::Value;

use super::asked::{ReviewQuery, Typed};
use super::load::Subject;
use crate::pages::preview;
use crate::view::diff::{self, FileChange, FileChanges};
use crate::view::markup::Markup;
use crate::view::raw::RawView;
use crate::view::review::{self, DocumentView, Tab};
use crate::view::{raw, source, texts};

/// Subject of a request, worked out.
pub(super) struct Content {
    /// Tabs that the subject has.
    pub(super) tabs: Vec<Tab>,
    /// Tab that is shown.
    pub(super) tab: Tab,
    /// Number of files, if the subject is source code.
    pub(super) files: Option<usize>,
    /// Numbers of added and removed lines, if there is a version before.
    pub(super) totals: Option<(usize, usize)>,
    pub(super) shown: Shown,
}

/// Contents of the tab.
pub(super) enum Shown {
    Documents(Vec<DocumentView>),
    /// Inputs of a step that has not run.
    Plan(Vec<DocumentView>),
    Edit(EditView),
    /// The application that begins with this file.
    Preview(String),
    Files {
        files: Vec<FileLink>,
        open: Option<OpenFile>,
    },
    Changes(Vec<FileChanges>),
    Raw(Vec<Raw>),
    /// Something that is no document.
    Other,
}

/// Document that is edited.
pub(super) struct EditView {
    pub(super) text: String,
    pub(super) is_markdown: bool,
    /// Whether there are members beside the text.
    pub(super) has_members: bool,
}

pub(super) struct FileLink {
    /// Path of the file as a value of a query.
    pub(super) query: String,
    pub(super) name: String,
    pub(super) is_current: bool,
    pub(super) change: String,
}

pub(super) struct OpenFile {
    pub(super) name: String,
    pub(super) size: usize,
    pub(super) lines: Vec<Markup>,
}

pub(super) struct Raw {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) digest: String,
    pub(super) view: RawView,
}

impl Raw {
    /// Returns the path of all of it.
    pub(super) fn whole(&self, prefix: &str) -> String {
        format!("{prefix}/console/raw/context/{}", self.id)
    }
}

/// Works out the subject. `wanted` is the tab that is asked for; one that this subject does not have leads
/// to the first. A document is edited only if `may_edit`.
pub(super) fn content(
    subject: &Subject,
    query: &ReviewQuery,
    wanted: Option<Tab>,
    typed: &Typed,
    may_edit: bool,
) -> Content {
    let code = subject.artifacts.first().and_then(|one| review::source(one));
    let entry = code.as_ref().and_then(preview::entry).map(str::to_owned);
    let mut tabs = tabs(subject, code.is_some(), entry.is_some());
    let is_editing = (query.is_editing() || typed.document.is_some()) && may_edit;
    if is_editing && !tabs.contains(&Tab::Document) {
        // Source code is edited as JSON.
        tabs.insert(0, Tab::Document);
    }
    let tab = wanted.filter(|tab| tabs.contains(tab)).unwrap_or(tabs[0]);
    let changes = changes(subject, query.shows_all());
    let totals = changes.as_deref().map(diff::totals);
    let shown = match (tab, code.as_ref(), entry) {
        (Tab::Document, ..) if is_editing => Shown::Edit(edit(subject, query, typed)),
        (Tab::Plan, ..) => Shown::Plan(inputs(subject)),
        (Tab::Preview, _, Some(entry)) => Shown::Preview(entry),
        (Tab::Files, Some(code), _) => files(code, query.file(), changes.as_deref()),
        (Tab::Changes, ..) => changes.map_or_else(|| documents(subject), Shown::Changes),
        (Tab::Context | Tab::History, ..) => Shown::Other,
        (Tab::Raw, ..) => Shown::Raw(raws(subject)),
        (Tab::Document | Tab::Preview | Tab::Files, ..) => documents(subject),
    };
    Content { tab, files: code.map(|code| code.files.len()), totals, shown, tabs }
}

/// Returns the tabs that a subject has.
fn tabs(subject: &Subject, is_code: bool, has_preview: bool) -> Vec<Tab> {
    let mut tabs = match (is_code, has_preview) {
        _ if subject.request.planned.is_some() => vec![Tab::Plan],
        (true, true) => vec![Tab::Preview, Tab::Files],
        (true, false) => vec![Tab::Files],
        (false, _) => vec![Tab::Document],
    };
    if subject.compared().is_some() {
        tabs.push(Tab::Changes);
    }
    if subject.request.planned.is_none() {
        tabs.push(Tab::Context);
    }
    tabs.push(Tab::History);
    if !subject.artifacts.is_empty() {
        tabs.push(Tab::Raw);
    }
    tabs
}

fn documents(subject: &Subject) -> Shown {
    Shown::Documents(subject.artifacts.iter().map(|artifact| review::read(artifact)).collect())
}

/// Returns the inputs of a step that are read as documents; source code is only named.
fn inputs(subject: &Subject) -> Vec<DocumentView> {
    let artifacts = subject.artifacts.iter();
    let documents = artifacts.filter(|one| one.meta.artifact_type != ArtifactType::SourceCode);
    documents.map(|artifact| review::read(artifact)).collect()
}

/// Returns the text of a document as it is edited, and whether that is its Markdown: the text under
/// `markdown`, or all of it as JSON if there is none or JSON is asked for.
pub(super) fn editable(artifact: &Artifact, is_json: bool) -> (String, bool) {
    match artifact.content.get("markdown") {
        Some(Value::String(text)) if !is_json => (text.clone(), true),
        _ => (pretty(artifact), false),
    }
}

fn pretty(artifact: &Artifact) -> String {
    serde_json::to_string_pretty(&artifact.content).expect("an object can be written as JSON")
}

fn edit(subject: &Subject, query: &ReviewQuery, typed: &Typed) -> EditView {
    let is_json = typed.is_json || query.edits_json();
    let artifact = subject.artifacts.first();
    let (text, is_markdown) =
        artifact.map_or_else(|| (String::new(), true), |one| editable(one, is_json));
    EditView {
        text: typed.document.clone().unwrap_or(text),
        is_markdown,
        has_members: artifact.is_some_and(|one| one.content.len() > 1),
    }
}

fn files(code: &SourceCode, wanted: Option<&str>, changes: Option<&[FileChanges]>) -> Shown {
    let wanted = wanted.unwrap_or(&code.entry);
    let open = code.files.iter().find(|file| file.path == wanted).or_else(|| code.files.first());
    let current = open.map(|file| file.path.clone()).unwrap_or_default();
    let changes: BTreeMap<&str, &FileChanges> =
        changes.into_iter().flatten().map(|file| (file.path.as_str(), file)).collect();
    let change = |name: &str| match changes.get(name) {
        None => String::new(),
        Some(file) if file.kind == FileChange::Added => "new".to_owned(),
        Some(file) => format!("+{} −{}", file.changes.added, file.changes.removed),
    };
    let links = code.files.iter().map(|file| FileLink {
        query: crate::next::escaped(&file.path),
        name: file.path.clone(),
        is_current: file.path == current,
        change: change(&file.path),
    });
    let open = open.map(|file| OpenFile {
        name: file.path.clone(),
        size: file.content.len(),
        lines: source::lines(&file.path, &file.content),
    });
    Shown::Files { files: links.collect(), open }
}

/// Compares the version under review with the one before, or with the one that replaces it.
fn changes(subject: &Subject, all: bool) -> Option<Vec<FileChanges>> {
    let (old, new) = subject.compared()?;
    Some(match (review::source(&old), review::source(&new)) {
        (Some(old), Some(new)) => {
            let old = old.files.iter().map(|file| (file.path.as_str(), file.content.as_str()));
            let new = new.files.iter().map(|file| (file.path.as_str(), file.content.as_str()));
            diff::files(old, new, all)
        }
        _ => {
            let changes = diff::texts(&review::text(&old), &review::text(&new), all);
            let path = new.meta.artifact_type.as_str().to_owned();
            vec![FileChanges { path, kind: FileChange::Changed, changes }]
        }
    })
}

fn raws(subject: &Subject) -> Vec<Raw> {
    let of = |artifact: &std::sync::Arc<Artifact>| Raw {
        id: artifact.meta.id.to_string(),
        name: texts::artifact(artifact.meta.artifact_type),
        digest: artifact.meta.digest.clone(),
        view: raw::view(&artifact.content),
    };
    subject.artifacts.iter().map(of).collect()
}
