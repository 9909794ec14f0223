//! Files of a package and their content.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::contents::{Cover, PackageFile};
use super::markdown::{cell, document, one_line, title};
use super::paths::Paths;
use super::requirements::{imports, requirements};
use crate::artifact::{Artifact, ArtifactRef, digest_bytes};
use crate::ids::ContextId;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType};

/// Maximum length of a refused path, and of a reason, in the manifest, in characters.
const SHOWN: usize = 300;

/// A file of a package with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFile {
    /// Path in the package, with `/` between folders.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
    /// SHA-256 of the content, in lower-case hexadecimal.
    pub digest: String,
    /// Time of creation of the content.
    pub created_at: Timestamp,
}

/// Returns the files of a package, sorted by name, with their bytes. The same cover and the same
/// artifacts give the same bytes, whatever the order of the artifacts. [`Outline`] does the same
/// without holding more than one content.
#[must_use]
pub fn layout(cover: &Cover, artifacts: &[Arc<Artifact>]) -> Vec<PackedFile> {
    let mut outline = Outline::new(cover.clone());
    let mut contents: BTreeMap<ContentKey, Vec<u8>> = BTreeMap::new();
    for artifact in artifacts {
        let added = outline.add(artifact, |key, bytes| {
            contents.insert(key, bytes.to_vec());
            Ok::<_, Infallible>(())
        });
        let Ok(()) = added;
    }
    let file = |file: PlannedFile| {
        let bytes = match file.content {
            Content::Text(text) => text.into_bytes(),
            Content::Of(key) => contents.get(&key).cloned().unwrap_or_default(),
        };
        PackedFile { name: file.name, bytes, digest: file.digest, created_at: file.created_at }
    };
    outline.plan().files.into_iter().map(file).collect()
}

/// Facts about the artifacts of a package, without their contents. Artifacts are added one
/// after the other, so that only one content has to be in memory.
///
/// An artifact that another one replaces is omitted from the package, though the manifest lists it.
/// Source code becomes files below `source/`, everything else Markdown below `documents/`. A file
/// that cannot be written safely is omitted and listed in the manifest under `refused`, together
/// with the files that were omitted when the source code was collected.
#[derive(Debug)]
pub struct Outline {
    cover: Cover,
    parts: BTreeMap<ContextId, OutlinePart>,
}

/// A content that an artifact adds to a package: one of its source files, or its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKey {
    /// The artifact.
    pub artifact: ContextId,
    /// Number of the source file in the artifact; `None` for the document.
    pub file: Option<usize>,
}

/// The files of a package, sorted by name, without the contents that come from artifacts.
#[derive(Debug)]
pub struct Plan {
    /// The files.
    pub files: Vec<PlannedFile>,
}

/// A file of a package.
#[derive(Debug)]
pub struct PlannedFile {
    /// Path in the package, with `/` between folders.
    pub name: String,
    /// Size in bytes.
    pub size: usize,
    /// SHA-256 of the content, in lower-case hexadecimal.
    pub digest: String,
    /// Time of creation of the content.
    pub created_at: Timestamp,
    /// Content of the file.
    pub content: Content,
}

/// Content of a planned file.
#[derive(Debug)]
pub enum Content {
    /// The text itself.
    Text(String),
    /// The content that [`Outline::add`] passed on under this key.
    Of(ContentKey),
}

/// Size and digest of a content.
#[derive(Debug, Clone)]
struct Stamp {
    size: usize,
    digest: String,
}

impl Stamp {
    fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len(), digest: digest_bytes(bytes) }
    }
}

/// One artifact in an outline.
#[derive(Debug)]
struct OutlinePart {
    meta: ArtifactRef,
    author: Option<String>,
    not_built: Vec<String>,
    sources: Vec<SourceFile>,
    document: Option<Stamp>,
    not_collected: Vec<RefusedFile>,
}

/// An item in the list of files of source code.
#[derive(Debug)]
struct SourceFile {
    path: Option<String>,
    /// `None` if the content is not text.
    content: Option<Stamp>,
    /// Modules that a Python file imports.
    imports: Vec<String>,
}

impl Outline {
    /// Creates an outline without artifacts.
    #[must_use]
    pub const fn new(cover: Cover) -> Self {
        Self { cover, parts: BTreeMap::new() }
    }

    /// Adds an artifact, and passes each content that it may add to the package on to `write`. Some
    /// of them are not in the package in the end, as where a later artifact replaces this one.
    ///
    /// # Errors
    /// The error of `write`.
    pub fn add<E>(
        &mut self,
        artifact: &Artifact,
        mut write: impl FnMut(ContentKey, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let id = artifact.meta.id;
        let mut sources = Vec::new();
        for (n, file) in source_files(artifact).into_iter().flatten().enumerate() {
            let path = file.get("path").and_then(Value::as_str);
            let text = file.get("content").and_then(Value::as_str);
            if let (Some(_), Some(text)) = (path, text) {
                write(ContentKey { artifact: id, file: Some(n) }, text.as_bytes())?;
            }
            let is_python = path.is_some_and(|path| path.ends_with(".py"));
            let python = text.filter(|_| is_python).unwrap_or_default();
            let imports: BTreeSet<&str> = imports(python).into_iter().collect();
            sources.push(SourceFile {
                path: path.map(str::to_owned),
                content: text.map(|text| Stamp::of(text.as_bytes())),
                imports: imports.into_iter().map(str::to_owned).collect(),
            });
        }
        let mut stamp = None;
        if let Some(text) = document_of(artifact) {
            write(ContentKey { artifact: id, file: None }, text.as_bytes())?;
            stamp = Some(Stamp::of(text.as_bytes()));
        }
        let part = OutlinePart {
            meta: artifact.meta.clone(),
            author: author_of(artifact),
            not_built: not_built_of(artifact),
            sources,
            document: stamp,
            not_collected: not_collected(artifact),
        };
        self.parts.insert(id, part);
        Ok(())
    }

    /// Returns the files of the package.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let replaced: BTreeMap<ContextId, ContextId> =
            self.parts.values().filter_map(|a| Some((a.meta.previous?, a.meta.id))).collect();
        let current: Vec<&OutlinePart> =
            self.parts.values().filter(|a| !replaced.contains_key(&a.meta.id)).collect();
        let newest = self.parts.values().map(|part| part.meta.created_at).max();
        let at = newest.unwrap_or(self.cover.created_at);

        let (mut files, refused) = sources(&current);
        files.extend(documents(&current));
        files.extend(requirements_of(&files, &current));
        let text = |name, text| PlannedFile::text(name, text, at);
        files.push(text("README.md", readme(&self.cover, &current, &files)));
        files.push(text("project_summary.md", summary(&self.cover, &current, &files)));
        let manifest = Manifest {
            project: &self.cover,
            files: files.iter().map(ManifestFile::of).collect(),
            artifacts: self
                .parts
                .values()
                .map(|part| ManifestArtifact::of(&part.meta, &replaced))
                .collect(),
            refused,
        };
        files.push(text("manifest.json", manifest.json()));
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Plan { files }
    }
}

impl Plan {
    /// Returns the records of the files.
    #[must_use]
    pub fn records(&self) -> Vec<PackageFile> {
        self.files.iter().map(PlannedFile::record).collect()
    }
}

impl PlannedFile {
    fn text(name: &str, text: String, created_at: Timestamp) -> Self {
        Self::new(name.to_owned(), Stamp::of(text.as_bytes()), created_at, Content::Text(text))
    }

    fn new(name: String, stamp: Stamp, created_at: Timestamp, content: Content) -> Self {
        Self { name, size: stamp.size, digest: stamp.digest, created_at, content }
    }

    /// Returns the record of the file, without its content.
    fn record(&self) -> PackageFile {
        let base = self.name.rsplit('/').next().unwrap_or_default();
        let ending = base.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        PackageFile {
            name: self.name.clone(),
            file_type: ending.filter(|e| !e.is_empty()).unwrap_or_else(|| "file".to_owned()),
            created_at: self.created_at,
            size: self.size as u64,
            digest: self.digest.clone(),
        }
    }
}

/// A source file that is omitted from the package or from its artifact, with the reason.
#[derive(Debug, Clone, Serialize)]
struct RefusedFile {
    artifact: ContextId,
    path: String,
    reason: String,
}

impl RefusedFile {
    fn new(artifact: ContextId, path: &str, reason: &str) -> Self {
        let shown = |text: &str| text.chars().take(SHOWN).collect();
        Self { artifact, path: shown(path), reason: shown(reason) }
    }
}

/// Returns the files of the source code. If several artifacts contain the same file, the newest one
/// counts.
fn sources(current: &[&OutlinePart]) -> (Vec<PlannedFile>, Vec<RefusedFile>) {
    let mut paths = Paths::default();
    let mut files = Vec::new();
    let mut refused = Vec::new();
    for part in current.iter().rev() {
        for (n, file) in part.sources.iter().enumerate() {
            let taken = match (file.path.as_deref(), &file.content) {
                (None, _) => Err("it has no path"),
                (_, None) => Err("its content is not text"),
                (Some(path), Some(stamp)) => paths.take(path).map(|path| (path, stamp)),
            };
            match taken {
                Ok((path, stamp)) => files.push(PlannedFile::new(
                    format!("source/{path}"),
                    stamp.clone(),
                    part.meta.created_at,
                    Content::Of(ContentKey { artifact: part.meta.id, file: Some(n) }),
                )),
                Err(reason) => {
                    let path = file.path.as_deref().unwrap_or_default();
                    refused.push(RefusedFile::new(part.meta.id, path, reason));
                }
            }
        }
        refused.extend(part.not_collected.iter().cloned());
    }
    (files, refused)
}

/// Returns the files that were omitted when an artifact was collected from a folder, as its
/// metadata lists them.
fn not_collected(artifact: &Artifact) -> Vec<RefusedFile> {
    let is_source = artifact.meta.artifact_type == ArtifactType::SourceCode;
    let metadata = is_source.then_some(&artifact.metadata);
    let listed = metadata.and_then(|metadata| metadata.get("refused")?.as_array());
    let mut refused: Vec<_> = listed
        .into_iter()
        .flatten()
        .filter_map(|file| {
            let text = |key: &str| file.get(key).and_then(Value::as_str);
            Some(RefusedFile::new(artifact.meta.id, text("path")?, text("reason")?))
        })
        .collect();
    let more = metadata.and_then(|metadata| metadata.get("refused_more")?.as_u64()).unwrap_or(0);
    if more > 0 {
        let reason = format!("{more} more files were omitted, which the artifact does not name");
        refused.push(RefusedFile::new(artifact.meta.id, "", &reason));
    }
    refused
}

/// Returns the list of files of an artifact that is source code.
fn source_files(artifact: &Artifact) -> Option<&Vec<Value>> {
    if artifact.meta.artifact_type != ArtifactType::SourceCode {
        return None;
    }
    artifact.content.get("files")?.as_array()
}

/// Renders an artifact as Markdown, without its source files. Returns `None` for source code that
/// has nothing else.
fn document_of(artifact: &Artifact) -> Option<String> {
    let title = title(artifact.meta.artifact_type.as_str());
    if source_files(artifact).is_none() {
        return Some(document(&title, &artifact.content));
    }
    let rest = artifact.content.iter().filter(|(name, _)| *name != "files");
    let rest: Map<String, Value> =
        rest.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!rest.is_empty()).then(|| document(&title, &rest))
}

/// Returns the documents, numbered from the second of its type on.
fn documents(current: &[&OutlinePart]) -> Vec<PlannedFile> {
    let mut seen: BTreeMap<ArtifactType, u32> = BTreeMap::new();
    let mut files = Vec::new();
    for part in current {
        let Some(stamp) = &part.document else { continue };
        let word = part.meta.artifact_type.as_str();
        let n = seen.entry(part.meta.artifact_type).or_insert(0);
        *n += 1;
        let name = match *n {
            1 => format!("documents/{word}.md"),
            n => format!("documents/{word}_{n}.md"),
        };
        let content = Content::Of(ContentKey { artifact: part.meta.id, file: None });
        files.push(PlannedFile::new(name, stamp.clone(), part.meta.created_at, content));
    }
    files
}

/// Returns `requirements.txt` if Python sources import third-party modules.
fn requirements_of(files: &[PlannedFile], current: &[&OutlinePart]) -> Option<PlannedFile> {
    let parts: BTreeMap<ContextId, &OutlinePart> =
        current.iter().map(|part| (part.meta.id, *part)).collect();
    let mut python: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut own = None;
    for file in files {
        let (Some(path), Content::Of(key)) = (file.name.strip_prefix("source/"), &file.content)
        else {
            continue;
        };
        if path == "requirements.txt" {
            own = Some((file, *key));
        }
        if path.ends_with(".py") {
            let source = key.file.and_then(|n| parts.get(&key.artifact)?.sources.get(n));
            let imports = source.into_iter().flat_map(|source| &source.imports);
            python.insert(path, imports.map(String::as_str).collect());
        }
    }
    let at = files.iter().map(|file| file.created_at).max()?;
    let needed = requirements(&python)?;
    Some(match own {
        // The list of the sources is kept as it is.
        Some((file, key)) => {
            let stamp = Stamp { size: file.size, digest: file.digest.clone() };
            PlannedFile::new("requirements.txt".to_owned(), stamp, at, Content::Of(key))
        }
        None => PlannedFile::text("requirements.txt", needed, at),
    })
}

/// Most lines about authors and about missing parts, and the most characters of each.
const MAX_LINES: usize = 50;

/// Returns what is known about the authors of an artifact, from `generated_by` in the metadata or in
/// the content.
fn author_of(artifact: &Artifact) -> Option<String> {
    // The metadata comes from the runner, the content from the agent.
    let maps = [&artifact.metadata, &artifact.content];
    maps.into_iter().find_map(|map| author(map.get("generated_by")?))
}

/// Returns a statement about an author: its own, or one that names its model.
fn author(generated_by: &Value) -> Option<String> {
    let text = |key: &str| generated_by.get(key)?.as_str();
    if let Some(statement) = generated_by.as_str().or_else(|| text("statement")) {
        return Some(line(statement));
    }
    Some(line(&format!("Written by the model {}/{}", text("provider")?, text("model")?)))
}

/// Returns the requirements that an artifact lists under `not_built`, each once. More of them than a
/// package names are left out, which cannot change what it names.
fn not_built_of(artifact: &Artifact) -> Vec<String> {
    let list = artifact.content.get("not_built").and_then(Value::as_array);
    distinct(list.into_iter().flatten().filter_map(Value::as_str).map(line))
}

fn line(text: &str) -> String {
    one_line(text).chars().take(SHOWN).collect()
}

fn distinct(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if seen.len() < MAX_LINES && !seen.contains(&line) {
            seen.push(line);
        }
    }
    seen
}

/// Renders the sections about who made the artifacts, and about what is missing.
fn provenance(current: &[&OutlinePart]) -> String {
    let mut text = String::new();
    let authors = distinct(current.iter().filter_map(|part| part.author.clone()));
    let not_built = distinct(current.iter().flat_map(|part| part.not_built.iter().cloned()));
    for (heading, lines) in [("How it was made", authors), ("Not built", not_built)] {
        if lines.is_empty() {
            continue;
        }
        let _ = write!(text, "\n## {heading}\n\n");
        for line in lines {
            let _ = writeln!(text, "- {}", line.trim_end_matches('.').to_owned() + ".");
        }
    }
    text
}

/// Writes the description of the project, if there is one.
fn write_description(cover: &Cover, text: &mut String) {
    if let Some(description) = cover.description.as_deref().map(str::trim)
        && !description.is_empty()
    {
        let _ = writeln!(text, "{description}\n");
    }
}

/// Renders `README.md`.
fn readme(cover: &Cover, current: &[&OutlinePart], files: &[PlannedFile]) -> String {
    let mut text = format!("# {}\n\n", one_line(&cover.name));
    write_description(cover, &mut text);
    if let Some(workflow) = &cover.workflow
        && Some(workflow.idea.as_str()) != cover.description.as_deref()
        && workflow.idea != cover.name
    {
        let _ = writeln!(text, "## Idea\n\n{}\n", workflow.idea.trim());
    }
    text.push_str("## In this package\n\n");
    let sources = files.iter().filter(|file| file.name.starts_with("source/")).count();
    if sources > 0 {
        let _ = writeln!(text, "- `source/`: the source code, {sources} {}", plural(sources));
    }
    let documents = files.iter().filter(|file| file.name.starts_with("documents/")).count();
    if documents > 0 {
        let _ = writeln!(text, "- `documents/`: the documents, {documents} {}", plural(documents));
    }
    if files.iter().any(|file| file.name == "requirements.txt") {
        text.push_str("- `requirements.txt`: what the Python sources need (`pip install -r`)\n");
    }
    text.push_str(
        "- `project_summary.md`: where the project stood, its steps and its artifacts\n\
         - `manifest.json`: every file and every artifact with its SHA-256, and what was left \
         out\n",
    );
    text.push_str(&provenance(current));
    text
}

const fn plural(n: usize) -> &'static str {
    if n == 1 { "file" } else { "files" }
}

/// Renders `project_summary.md`: the description, the status of the project, its steps and its artifacts.
fn summary(cover: &Cover, current: &[&OutlinePart], files: &[PlannedFile]) -> String {
    let mut text = format!("# Summary of {}\n\n", one_line(&cover.name));
    write_description(cover, &mut text);
    let _ = write!(
        text,
        "| | |\n|---|---|\n| Project | `{}` |\n| Status | {} |\n| Oversight | {} |\n\
         | Created | {} |\n| Artifacts | {} |\n| Files | {} |\n",
        cover.project_id,
        cover.status,
        cover.oversight,
        cover.created_at,
        current.len(),
        files.len() + 2, // this one and the manifest
    );
    if let Some(workflow) = &cover.workflow {
        let _ = writeln!(text, "| Workflow | {} |", cell(&workflow.name));
    }
    if !cover.overridden.is_empty() {
        text.push_str("\n## Open when it was completed by force\n\n");
        for sentence in &cover.overridden {
            let _ = writeln!(text, "- {}", one_line(sentence));
        }
    }
    text.push_str(&provenance(current));
    if let Some(workflow) = &cover.workflow {
        text.push_str("\n## Steps\n\n| Phase | Step | Agent | Status |\n|---|---|---|---|\n");
        for step in &workflow.steps {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                cell(&step.phase),
                cell(&step.name),
                step.agent,
                step.status
            );
        }
    }
    text.push_str("\n## Artifacts\n\n");
    if current.is_empty() {
        text.push_str("There are none yet.\n");
        return text;
    }
    text.push_str("| Artifact | Made by | At | Id | SHA-256 |\n|---|---|---|---|---|\n");
    for part in current {
        let meta = &part.meta;
        let _ = writeln!(
            text,
            "| {} | {} | {} | `{}` | `{}` |",
            meta.artifact_type, meta.source_agent, meta.created_at, meta.id, meta.digest
        );
    }
    text
}

/// Content of `manifest.json`.
#[derive(Serialize)]
struct Manifest<'a> {
    project: &'a Cover,
    files: BTreeSet<ManifestFile<'a>>,
    artifacts: Vec<ManifestArtifact<'a>>,
    refused: Vec<RefusedFile>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct ManifestFile<'a> {
    name: &'a str,
    size: usize,
    sha256: &'a str,
}

#[derive(Serialize)]
struct ManifestArtifact<'a> {
    id: ContextId,
    #[serde(rename = "type")]
    artifact_type: ArtifactType,
    digest: &'a str,
    source_agent: AgentType,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<ContextId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<ContextId>,
}

impl Manifest<'_> {
    fn json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a manifest can be written");
        json.push('\n');
        json
    }
}

impl<'a> ManifestFile<'a> {
    fn of(file: &'a PlannedFile) -> Self {
        Self { name: &file.name, size: file.size, sha256: &file.digest }
    }
}

impl<'a> ManifestArtifact<'a> {
    fn of(meta: &'a ArtifactRef, replaced: &BTreeMap<ContextId, ContextId>) -> Self {
        Self {
            id: meta.id,
            artifact_type: meta.artifact_type,
            digest: &meta.digest,
            source_agent: meta.source_agent,
            created_at: meta.created_at,
            previous: meta.previous,
            replaced_by: replaced.get(&meta.id).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Package, build};
    use super::*;
    use crate::artifact::digest;
    use crate::id_generator::IdGenerator;
    use crate::project::{Plan, Project, ProjectState};
    use crate::vocabulary::Oversight;
    use crate::workflow::{Progress, Workflow};

    const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn project() -> Project {
        Project {
            id: IdGenerator::new(AT, 1).project(),
            name: "A to-do list".to_owned(),
            description: Some("For two.".to_owned()),
            creator: None,
            oversight: Oversight::Standard,
            state: ProjectState::Active,
            plan: None,
            created_at: AT,
            updated_at: AT,
        }
    }

    fn artifact(n: u64, artifact_type: ArtifactType, content: Value) -> Arc<Artifact> {
        let mut id_generator =
            IdGenerator::new(AT.after(std::time::Duration::from_secs(n)), n.into());
        let Value::Object(content) = content else { unreachable!() };
        let meta = ArtifactRef {
            id: id_generator.context(),
            project_id: project().id,
            source_agent: AgentType::Coder,
            artifact_type,
            digest: digest(&content),
            previous: None,
            created_at: id_generator.now(),
        };
        Arc::new(Artifact { meta, content, metadata: Map::new() })
    }

    fn source(n: u64, files: &Value) -> Arc<Artifact> {
        artifact(n, ArtifactType::SourceCode, json!({ "files": files }))
    }

    fn replacing(before: &Artifact, after: &Arc<Artifact>) -> Arc<Artifact> {
        let mut after = (**after).clone();
        after.meta.previous = Some(before.meta.id);
        Arc::new(after)
    }

    fn names(files: &[PackedFile]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    fn text<'a>(files: &'a [PackedFile], name: &str) -> &'a str {
        let file = files.iter().find(|file| file.name == name).unwrap();
        std::str::from_utf8(&file.bytes).unwrap()
    }

    fn of(artifacts: &[Arc<Artifact>]) -> Vec<PackedFile> {
        layout(&Cover::of(&project()), artifacts)
    }

    #[test]
    fn an_empty_project_has_its_three_files() {
        let files = of(&[]);
        assert_eq!(names(&files), ["README.md", "manifest.json", "project_summary.md"]);
        assert!(text(&files, "README.md").starts_with("# A to-do list\n\nFor two.\n"));
        assert!(files.iter().all(|file| file.created_at == AT));
    }

    #[test]
    fn sources_are_files_and_the_rest_is_markdown() {
        let files = of(&[
            artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "# Plan"})),
            artifact(2, ArtifactType::AgentOutput, json!({"a": 1})),
            artifact(3, ArtifactType::AgentOutput, json!({"b": 1})),
            source(4, &json!([{"path": "src/app.py", "content": "import flask\n"}])),
        ]);
        assert_eq!(
            names(&files),
            [
                "README.md",
                "documents/agent_output.md",
                "documents/agent_output_2.md",
                "documents/project_plan.md",
                "manifest.json",
                "project_summary.md",
                "requirements.txt",
                "source/src/app.py",
            ]
        );
        assert_eq!(text(&files, "documents/project_plan.md"), "# Plan\n");
        assert_eq!(text(&files, "source/src/app.py"), "import flask\n");
        assert_eq!(text(&files, "requirements.txt"), "flask\n");
    }

    #[test]
    fn the_own_list_of_requirements_of_the_sources_is_kept() {
        let own = json!({"path": "requirements.txt", "content": "flask==3.0\n"});
        let with = |import: &str| {
            let python = json!({"path": "app.py", "content": import});
            of(&[source(1, &json!([python, own]))])
        };
        assert_eq!(text(&with("import flask"), "requirements.txt"), "flask==3.0\n");
        assert!(!names(&with("import os")).contains(&"requirements.txt"));
    }

    #[test]
    fn what_was_replaced_is_named_but_not_packed() {
        let first = source(1, &json!([{"path": "old.js", "content": "1"}]));
        let second = source(2, &json!([{"path": "new.js", "content": "2"}]));
        let second = replacing(&first, &second);
        let files = of(&[Arc::clone(&first), Arc::clone(&second)]);
        assert!(names(&files).contains(&"source/new.js"));
        assert!(!names(&files).contains(&"source/old.js"));
        let manifest: Value = serde_json::from_str(text(&files, "manifest.json")).unwrap();
        assert_eq!(manifest["artifacts"][0]["replaced_by"], json!(second.meta.id));
        assert_eq!(manifest["artifacts"][1]["previous"], json!(first.meta.id));
    }

    #[test]
    fn hostile_files_are_listed_and_not_written() {
        let files = of(&[source(
            1,
            &json!([
                {"path": "../../etc/cron.d/x", "content": "* * * * *"},
                {"path": "/etc/passwd", "content": ""},
                {"path": "C:\\x.exe", "content": ""},
                {"path": "nul.txt", "content": ""},
                {"path": "ok.txt", "content": "ok"},
                {"path": "OK.TXT", "content": "hidden"},
                {"path": "ok.txt/below", "content": ""},
                {"path": ".git/config", "content": "[core]"},
                {"path": 7, "content": ""},
                {"path": "binary", "content": [1, 2]},
                "not even an object",
            ]),
        )]);
        assert_eq!(
            names(&files),
            ["README.md", "manifest.json", "project_summary.md", "source/ok.txt"]
        );
        let manifest: Value = serde_json::from_str(text(&files, "manifest.json")).unwrap();
        let refused = manifest["refused"].as_array().unwrap();
        assert_eq!(refused.len(), 10);
        assert_eq!(refused[0]["path"], "../../etc/cron.d/x");
        assert_eq!(refused[0]["reason"], "the path leads out of its folder");
        assert!(refused.iter().all(|file| file["reason"].as_str().is_some()));
    }

    #[test]
    fn files_that_an_attempt_omitted_are_listed_in_the_manifest() {
        let collected = source(1, &json!([{"path": "index.html", "content": "<p>"}]));
        let mut collected = (*collected).clone();
        let long = "x".repeat(1_000);
        let metadata = json!({
            "refused": [
                {"path": "logo.png", "reason": "it is not text"},
                {"path": "latest", "reason": "it is a link"},
                {"path": long, "reason": long},
                {"path": 7, "reason": "malformed"},
                "malformed",
            ],
            "refused_more": 12,
        });
        let Value::Object(metadata) = metadata else { unreachable!() };
        collected.metadata = metadata;
        let id = collected.meta.id;
        let plan = artifact(2, ArtifactType::ProjectPlan, json!({"markdown": "x"}));
        let mut plan = (*plan).clone();
        plan.metadata = collected.metadata.clone();
        let files = of(&[Arc::new(collected.clone()), Arc::new(plan)]);
        let manifest: Value = serde_json::from_str(text(&files, "manifest.json")).unwrap();
        let refused = manifest["refused"].as_array().unwrap();
        assert_eq!(
            refused[0],
            json!({"artifact": id, "path": "logo.png", "reason": "it is not text"})
        );
        assert_eq!(refused[1]["path"], "latest");
        assert_eq!(refused[2]["path"].as_str().unwrap().len(), SHOWN);
        assert!(refused[3]["reason"].as_str().unwrap().contains("12 more"), "{refused:?}");
        assert_eq!(refused.len(), 4);
        // What was replaced is not in the package, and neither is what it omitted.
        let fixed = replacing(&collected, &source(3, &json!([{"path": "a", "content": ""}])));
        let files = of(&[Arc::new(collected), fixed]);
        let manifest: Value = serde_json::from_str(text(&files, "manifest.json")).unwrap();
        assert_eq!(manifest["refused"], json!([]));
    }

    #[test]
    fn of_two_artifacts_with_the_same_file_the_newer_one_wins() {
        let files = of(&[
            source(1, &json!([{"path": "a.txt", "content": "old"}])),
            source(2, &json!([{"path": "a.txt", "content": "new"}])),
        ]);
        assert_eq!(text(&files, "source/a.txt"), "new");
        let manifest: Value = serde_json::from_str(text(&files, "manifest.json")).unwrap();
        assert_eq!(manifest["refused"][0]["reason"], "another file has this name");
    }

    #[test]
    fn the_manifest_has_the_digest_of_every_other_file() {
        let files = of(&[source(1, &json!([{"path": "a", "content": "x"}]))]);
        let manifest: Value = serde_json::from_str(text(&files, "manifest.json")).unwrap();
        let listed = manifest["files"].as_array().unwrap();
        assert_eq!(listed.len(), files.len() - 1);
        for file in listed {
            let packed = files.iter().find(|packed| packed.name == file["name"]).unwrap();
            assert_eq!(file["sha256"], digest_bytes(&packed.bytes));
            assert_eq!(file["size"], packed.bytes.len());
        }
    }

    #[test]
    fn the_same_state_gives_the_same_bytes_in_any_order_at_any_time() {
        let artifacts = [
            artifact(1, ArtifactType::ProjectPlan, json!({"z": 1, "a": {"k": [1, 2.0]}})),
            source(2, &json!([{"path": "b.py", "content": ""}, {"path": "a.py", "content": ""}])),
        ];
        let reversed: Vec<_> = artifacts.iter().rev().cloned().collect();
        let first = build(&project(), &artifacts, AT);
        let later = build(&project(), &reversed, AT.after(std::time::Duration::from_secs(9)));
        assert_eq!((&first.digest, &first.files), (&later.digest, &later.files));
        assert_eq!(first.artifacts, later.artifacts);
    }

    #[test]
    fn a_package_stays_as_it_was_when_the_project_goes_on() {
        let artifacts = [artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "x"}))];
        let mut project = project();
        let package = build(&project, &artifacts, AT);
        let (by, overridden) = ("me".into(), vec![]);
        project.state = ProjectState::Completed { at: AT, by, overridden, forced: false };
        let json = serde_json::to_string(&package).unwrap();
        let stored: Package = serde_json::from_str(&json).unwrap();
        assert_eq!(stored, package);
        let plan_of = |artifacts: &[Arc<Artifact>]| {
            let mut outline = stored.outline();
            for artifact in artifacts {
                outline.add(artifact, |_, _| Ok::<_, Infallible>(())).unwrap();
            }
            outline.plan()
        };
        assert!(stored.matches(&plan_of(&artifacts)));
        assert_ne!(build(&project, &artifacts, AT).digest, package.digest);
        assert!(!stored.matches(&plan_of(&[])));
    }

    #[test]
    fn the_summary_shows_status_steps_and_artifacts() {
        let workflow = Workflow::from_toml(
            "name = \"w\"\n[[step]]\nname = \"Plan | it\"\nphase = \"One\"\nagent = \"analyst\"\n\
             output = \"project_plan\"\n",
        )
        .unwrap();
        let mut project = project();
        project.description = Some(" For small families. ".to_owned());
        project.plan = Some(Plan {
            digest: workflow.digest(),
            idea: "An idea".to_owned(),
            starter: None,
            progress: Progress::start(&workflow),
            workflow: workflow.into(),
        });
        let plan = artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "x"}));
        let files = layout(&Cover::of(&project), &[Arc::clone(&plan)]);
        let summary = text(&files, "project_summary.md");
        assert!(summary.contains("\n\nFor small families.\n\n| | |"), "{summary}");
        assert!(summary.contains("| Status | active |"), "{summary}");
        assert!(summary.contains("| One | Plan \\| it | analyst | waiting |"), "{summary}");
        assert!(summary.contains(&plan.meta.digest), "{summary}");
        assert!(text(&files, "README.md").contains("## Idea\n\nAn idea\n"));
    }

    #[test]
    fn the_readme_and_the_summary_say_who_made_it_and_what_is_missing() {
        let made = |n, not_built: &[&str]| {
            let content = json!({
                "generated_by": {"statement": "Written by a\nmachine."}, "not_built": not_built,
            });
            artifact(n, ArtifactType::ProjectPlan, content)
        };
        let files = of(&[made(1, &["Payments"]), made(2, &["Payments", "# Maps"])]);
        for name in ["README.md", "project_summary.md"] {
            let text = text(&files, name);
            assert!(text.contains("\n## How it was made\n\n- Written by a machine.\n"), "{text}");
            assert!(text.contains("\n## Not built\n\n- Payments.\n- # Maps.\n"), "{text}");
        }
    }

    #[test]
    fn a_files_type_is_its_ending() {
        let kind = |name| PlannedFile::text(name, String::new(), AT).record().file_type;
        assert_eq!(kind("source/a.B/index.HTML"), "html");
        assert_eq!(kind("source/a.b/Dockerfile"), "file");
        assert_eq!(kind("source/x."), "file");
    }
}
