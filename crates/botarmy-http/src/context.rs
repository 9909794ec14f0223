//! The context store: reading artifacts, and putting one in by hand.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::ports::ArtifactFilter;
use botarmy_domain::{
    AgentType, Artifact, ArtifactType, ContextId, NewArtifact, ProjectId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query, Segment, Whole, in_range};
use crate::projects::{find, split_page};
use crate::{range, words};

/// How many artifacts a page has when the client does not say. Less than elsewhere, because an
/// artifact can be as large as a request body.
const PAGE: u32 = 50;
/// How many it may have.
const PAGE_MAX: u32 = 100;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_create, _, _>(create),
        Endpoint::new::<__path_of_project, _, _>(of_project),
        Endpoint::new::<__path_read, _, _>(read).as_is(),
    ]
}

/// An artifact. It never changes; a new version points to the one before.
#[derive(Serialize, ToSchema)]
#[schema(as = Artifact)]
pub(crate) struct ArtifactView<'a> {
    #[schema(value_type = Uuid)]
    context_id: ContextId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = words::AgentType)]
    source_agent: AgentType,
    #[schema(value_type = words::ArtifactType)]
    artifact_type: ArtifactType,
    #[schema(value_type = Object)]
    content: &'a Map<String, Value>,
    #[schema(value_type = Object)]
    artifact_metadata: &'a Map<String, Value>,
    /// SHA-256 of the content's canonical JSON (RFC 8785).
    digest: &'a str,
    /// The version it replaces.
    #[schema(value_type = Option<Uuid>)]
    previous: Option<ContextId>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> ArtifactView<'a> {
    pub(crate) fn of(artifact: &'a Artifact) -> Self {
        let meta = &artifact.meta;
        Self {
            context_id: meta.id,
            project_id: meta.project_id,
            source_agent: meta.source_agent,
            artifact_type: meta.artifact_type,
            content: &artifact.content,
            artifact_metadata: &artifact.metadata,
            digest: &meta.digest,
            previous: meta.previous,
            created_at: meta.created_at,
            updated_at: meta.created_at,
        }
    }
}

/// An artifact somebody puts in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewArtifactBody {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// In whose name.
    #[schema(value_type = words::AgentType)]
    source_agent: AgentType,
    #[schema(value_type = words::ArtifactType)]
    artifact_type: ArtifactType,
    #[schema(value_type = Object)]
    content: Map<String, Value>,
    #[schema(value_type = Option<Object>)]
    artifact_metadata: Option<Map<String, Value>>,
}

/// Stores an artifact.
#[utoipa::path(
    post, path = "/api/v1/context", tag = "context", request_body = NewArtifactBody,
    responses(
        (status = 201, body = ArtifactView, headers(("Location" = String), ("ETag" = String))),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn create(
    state: Data<State>,
    Caller(origin): Caller,
    Json(body): Json<NewArtifactBody>,
) -> Result<HttpResponse, Problem> {
    let new = NewArtifact {
        artifact_type: body.artifact_type,
        content: body.content,
        metadata: body.artifact_metadata.unwrap_or_default(),
    };
    let artifact =
        state.orchestrator.add_artifact(body.project_id, body.source_agent, new, origin).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/api/v1/context/{}", artifact.meta.id)))
        .insert_header((header::ETAG, etag(&artifact)))
        .json(ArtifactView::of(&artifact)))
}

/// Which artifacts of a project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ArtifactQuery {
    /// Of this type.
    #[param(value_type = Option<words::ArtifactType>)]
    artifact_type: Option<ArtifactType>,
    /// Made by this agent type.
    #[param(value_type = Option<words::AgentType>)]
    source_agent: Option<AgentType>,
    /// How many at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Whole>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<ContextId>,
}

/// A page of artifacts.
#[derive(Serialize, ToSchema)]
struct ArtifactPage<'a> {
    items: Vec<ArtifactView<'a>>,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<ContextId>,
}

/// Lists the artifacts of a project, oldest first.
#[utoipa::path(
    get, path = "/api/v1/context/project/{project_id}", tag = "context",
    params(("project_id" = Uuid, Path), ArtifactQuery),
    responses((status = 200, body = ArtifactPage), (status = 404, body = ProblemDocument)),
)]
async fn of_project(
    state: Data<State>,
    Segment(project): Segment<ProjectId>,
    Query(query): Query<ArtifactQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = in_range("limit", query.limit, PAGE, 1..=PAGE_MAX)?;
    let filter = ArtifactFilter {
        artifact_type: query.artifact_type,
        source_agent: query.source_agent,
        after: query.cursor,
    };
    let found = state.context.artifacts(project, filter, limit + 1).await?;
    if found.is_empty() {
        find(&state, project).await?;
    }
    let (page, next) = split_page(&found, limit);
    let items = page.iter().map(|artifact| ArtifactView::of(artifact)).collect();
    let next_cursor = next.map(|artifact| artifact.meta.id);
    Ok(HttpResponse::Ok().json(ArtifactPage { items, next_cursor }))
}

/// Shows an artifact. Its `ETag` is the digest of its content.
#[utoipa::path(
    get, path = "/api/v1/context/{context_id}", tag = "context",
    params(("context_id" = Uuid, Path), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, body = ArtifactView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already"),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn read(
    state: Data<State>,
    Segment(id): Segment<ContextId>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let artifact = state.context.artifact(id).await?;
    let artifact = artifact.ok_or_else(|| Problem::not_found("Artifact", id))?;
    let etag = etag(&artifact);
    if range::is_known(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(ArtifactView::of(&artifact)))
}

fn etag(artifact: &Artifact) -> String {
    format!("\"{}\"", artifact.meta.digest)
}
