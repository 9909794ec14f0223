//! Artifacts of a project, and the page of one with its versions, its changes and its preview.

use std::sync::Arc;

use actix_web::web::Path;
use actix_web::{HttpMessage, HttpResponse};
use askama::Template;
use botarmy_domain::{
    Artifact, ArtifactFilter, ArtifactRef, ArtifactType, ContextId, PreviewToken, ProjectId,
    SessionText,
};
use botarmy_web::{Problem, Session};
use serde::Deserialize;

use super::choice::{self, Choice};
use super::preview;
use super::project::{self as page, Shared};
use crate::api_source::ApiSource;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::Layout;
use crate::part::{Part, Versioned as _};
use crate::view::artifact::{self, ChangesView, ContentView, RowView, VersionView};
use crate::view::diff::{FileChange, Row};
use crate::view::document;
use crate::view::icon::Icon;
use crate::view::project::Tab;
use crate::view::raw::{self, RawView};
use crate::view::texts;

/// Number of artifacts on a page.
const WINDOW: u32 = 100;
/// Most versions of one type that are listed.
const MAX_VERSIONS: u32 = 200;

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Artifact after which the page begins.
    after: Option<ContextId>,
}

#[derive(Template)]
#[template(path = "project/artifacts.html")]
struct ArtifactsTemplate {
    layout: Layout,
    frame: Frame,
    shared: Shared,
    list: Part,
    path: String,
    kinds: Vec<Choice>,
    is_filtered: bool,
}

#[derive(Template)]
#[template(path = "project/artifact_list.html")]
struct ListTemplate<'a> {
    prefix: &'a str,
    path: &'a str,
    /// Path of the first page with the same filters.
    first: String,
    rows: Vec<RowView>,
    is_filtered: bool,
    is_later: bool,
    next: Option<String>,
}

/// Shows the list, oldest first.
pub(crate) async fn show(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let query: ListQuery = context.query_beside_part()?;
    let kind: Option<ArtifactType> = choice::given("type", query.kind.as_deref())?;
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    let id = loaded.project().id;
    let filter =
        ArtifactFilter { artifact_type: kind, after: query.after, ..ArtifactFilter::default() };
    let found = context.console.queries.artifacts(context.caller(), id, filter, WINDOW).await?;
    let path = loaded.path(&context, "/artifacts");
    let pairs = kind.map_or_else(String::new, |kind| format!("type={kind}&"));
    let now = context.now();
    let prefix = context.path("");
    let list = ListTemplate {
        prefix: &prefix,
        path: &path,
        first: choice::with(&path, &pairs),
        next: found.last_before_next().map(|last| format!("{path}?{pairs}after={}", last.meta.id)),
        rows: found.items.iter().map(|one| artifact::row(one, now)).collect(),
        is_filtered: kind.is_some(),
        is_later: query.after.is_some(),
    };
    let list = Part::new("list", &page::topic(id), &list)?;
    let api = format!("/context/project/{id}");
    let shared = page::shared(&context, &loaded, Tab::Artifacts, &api)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&list, &shared.head, &shared.tabs]);
    }
    let title = format!("Artifacts of {}", loaded.project().name);
    let (layout, frame) = page::frame(&context, &loaded, &title, Some("Artifacts")).await?;
    let kinds = choice::of(ArtifactType::ALL, kind, texts::artifact);
    let is_filtered = kind.is_some();
    context.respond(&ArtifactsTemplate { layout, frame, shared, list, path, kinds, is_filtered })
}

#[derive(Debug, Default, Deserialize)]
struct ArtifactQuery {
    /// `preview`, `raw`, or absent for the document or the files.
    view: Option<String>,
    /// Artifact with which it is compared.
    against: Option<ContextId>,
    /// `1` if unchanged parts are shown too.
    all: Option<String>,
    /// Path of the file that is shown.
    file: Option<String>,
}

/// View of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Content,
    Preview,
    Changes,
    Raw,
}

impl ArtifactQuery {
    fn view(&self) -> Result<View, Problem> {
        match (self.against, self.view.as_deref()) {
            (Some(_), None | Some("changes")) => Ok(View::Changes),
            (None, None | Some("" | "content" | "files")) => Ok(View::Content),
            (None, Some("preview")) => Ok(View::Preview),
            (None, Some("changes")) => Ok(View::Changes),
            (None, Some("raw")) => Ok(View::Raw),
            _ => Err(Problem::invalid("view", "must be content, preview, changes or raw")),
        }
    }
}

/// Content of the chosen tab.
enum Body {
    Content(ContentView),
    Preview {
        src: String,
    },
    NoPreview,
    Changes {
        changes: ChangesView,
        old: usize,
        all: bool,
    },
    /// There is nothing to compare it with.
    Only,
    Raw(RawView),
}

/// Tab of the page.
struct TabLink {
    label: &'static str,
    path: String,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "artifact/page.html")]
struct ArtifactTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    label: &'static str,
    row: RowView,
    number: usize,
    versions: Vec<VersionView>,
    digest: String,
    path: String,
    /// Path of all of it as JSON.
    whole: String,
    tabs: Vec<TabLink>,
    body: Body,
}

/// Shows an artifact.
pub(crate) async fn artifact(
    context: PageContext,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let query: ArtifactQuery = context.query()?;
    let view = query.view()?;
    let id: ContextId = id.parse().map_err(|_| Problem::not_found("Artifact", id.as_str()))?;
    let (queries, caller) = (&context.console.queries, context.caller());
    let found = queries.artifact(caller, id).await?;
    let project = queries.project(caller, found.meta.project_id).await?;
    let of_type = of_type(&context, project.id, found.meta.artifact_type).await?;
    let number = of_type.iter().position(|one| one.id == id).map_or(0, |at| at + 1);
    let now = context.now();
    let path = context.path(&format!("/console/artifacts/{id}"));
    let read = Arc::clone(&found);
    let work = move || {
        let code = document::source_code(read.meta.artifact_type, &read.content);
        (code.is_some(), code.as_ref().and_then(preview::entry).map(str::to_owned))
    };
    let (is_code, entry) = blocking(work).await?;
    let body = match view {
        View::Content => {
            let (found, file) = (Arc::clone(&found), query.file.clone());
            Body::Content(blocking(move || artifact::content(&found, file.as_deref())).await?)
        }
        View::Raw => {
            let found = Arc::clone(&found);
            Body::Raw(blocking(move || raw::view(&found.content)).await?)
        }
        View::Preview => match &entry {
            Some(entry) => Body::Preview { src: preview_path(&context, id, entry) },
            None => Body::NoPreview,
        },
        View::Changes => {
            let old = match query.against {
                Some(against) => {
                    let old = queries.artifact(caller, against).await?;
                    if !artifact::are_comparable(&old, &found) {
                        let rule = "must be another version of the same artifact";
                        return Err(Problem::invalid("against", rule));
                    }
                    Some(old)
                }
                None => match number.checked_sub(2).and_then(|at| of_type.get(at)) {
                    Some(before) => Some(queries.artifact(caller, before.id).await?),
                    None => None,
                },
            };
            changes(&of_type, old, Arc::clone(&found), query.all.is_some()).await?
        }
    };
    let tab = |label, end: &str, of| TabLink {
        label,
        path: format!("{path}{end}"),
        is_current: view == of,
    };
    let content = if is_code { "Files" } else { "Document" };
    let mut tabs = vec![tab(content, "", View::Content)];
    if entry.is_some() {
        tabs.insert(0, tab("Preview", "?view=preview", View::Preview));
    }
    if of_type.len() > 1 {
        tabs.push(tab("Changes", "?view=changes", View::Changes));
    }
    tabs.push(tab("Raw", "?view=raw", View::Raw));
    let label = artifact::label(found.meta.artifact_type);
    let title = format!("{label} of {}", project.name);
    let own = context.path(&format!("/console/projects/{}", project.id));
    let (layout, frame) = context.frame(Section::Projects, title).await?;
    let frame = frame
        .below([
            ("Projects".to_owned(), context.path("/console/projects")),
            (project.name.clone(), own.clone()),
            ("Artifacts".to_owned(), format!("{own}/artifacts")),
        ])
        .called(format!("{label}, version {number}"))
        .following(project.id);
    context.respond(&ArtifactTemplate {
        layout,
        frame,
        api: ApiSource::new(&context, &format!("/context/{id}"))?,
        label,
        row: artifact::row(&found, now),
        number,
        versions: artifact::versions(&of_type, id, now),
        digest: found.meta.digest.clone(),
        path,
        whole: context.path(&format!("/console/raw/context/{id}")),
        tabs,
        body,
    })
}

async fn changes(
    of_type: &[ArtifactRef],
    old: Option<Arc<Artifact>>,
    new: Arc<Artifact>,
    all: bool,
) -> Result<Body, Problem> {
    let Some(old) = old else { return Ok(Body::Only) };
    let place = of_type.iter().position(|one| one.id == old.meta.id);
    let number = place.map_or(0, |at| at + 1);
    let changes = blocking(move || artifact::changes(&old, &new, all)).await?;
    Ok(Body::Changes { changes, old: number, all })
}

/// Reads which artifacts of a type there are, oldest first.
async fn of_type(
    context: &PageContext,
    project: ProjectId,
    kind: ArtifactType,
) -> Result<Vec<ArtifactRef>, Problem> {
    let filter = ArtifactFilter { artifact_type: Some(kind), ..ArtifactFilter::default() };
    let queries = &context.console.queries;
    Ok(queries.artifact_refs(context.caller(), project, filter, MAX_VERSIONS).await?.items)
}

/// Returns the address of a preview for the frame that shows it.
pub(super) fn preview_path(context: &PageContext, artifact: ContextId, entry: &str) -> String {
    let session = context.request.extensions().get::<Session>().map(|Session(text)| text.clone());
    let token = token(context, session.as_ref(), artifact);
    let parts: Vec<String> = entry.split('/').map(escaped).collect();
    context.path(&format!("/console/preview/{}/{}", token.expose(), parts.join("/")))
}

fn token(
    context: &PageContext,
    session: Option<&SessionText>,
    artifact: ContextId,
) -> PreviewToken {
    match (session, context.caller().credential()) {
        (Some(text), Some(id)) => PreviewToken::new(text, id, artifact, context.now()),
        // Without access control there are no sessions.
        _ => PreviewToken::open(artifact),
    }
}

/// Escapes a part of a path.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
