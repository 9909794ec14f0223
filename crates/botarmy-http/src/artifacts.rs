//! Artifacts, which clients reach under `/context`: reading them, and storing one by hand.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::{
    AgentType, Artifact, ArtifactFilter, ArtifactType, CallReply, ContextId, Error, NewArtifact,
    Page, Permission, ProjectId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Flag, Json, Query, Segment, Whole, in_range};
use crate::idempotency::{Keyed, reply};
use crate::paging::{self, List, Range};
use crate::{State, range, vocabulary};

/// Number of artifacts of a page when the client asks for none. Less than elsewhere, because an
/// artifact can be as large as a request body.
const PAGE: u32 = 50;
/// Largest number of artifacts that a client can ask for.
const PAGE_MAX: u32 = 100;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_create, _, _>(create, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_of_project, _, _>(of_project, Permission::ProjectRead),
        Endpoint::new::<__path_read, _, _>(read, Permission::ProjectRead).uncompressed(),
    ]
}

/// Artifact. It never changes; a new version points to the one before.
#[derive(Serialize, ToSchema)]
#[schema(as = Artifact)]
pub(crate) struct ArtifactView<'a> {
    #[schema(value_type = Uuid)]
    context_id: ContextId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = vocabulary::AgentType)]
    source_agent: AgentType,
    #[schema(value_type = vocabulary::ArtifactType)]
    artifact_type: ArtifactType,
    /// Content; in a list, null unless it is asked for.
    #[schema(value_type = Option<Object>)]
    content: Option<&'a Map<String, Value>>,
    #[schema(value_type = Object)]
    artifact_metadata: &'a Map<String, Value>,
    /// SHA-256 of the content's canonical JSON (RFC 8785), in hexadecimal.
    digest: &'a str,
    /// Artifact that this one replaces.
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
            content: Some(&artifact.content),
            artifact_metadata: &artifact.metadata,
            digest: &meta.digest,
            previous: meta.previous,
            created_at: meta.created_at,
            updated_at: meta.created_at,
        }
    }
}

/// Request for a new artifact.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewArtifactBody {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// Agent type in whose name it is stored.
    #[schema(value_type = vocabulary::AgentType)]
    source_agent: AgentType,
    #[schema(value_type = vocabulary::ArtifactType)]
    artifact_type: ArtifactType,
    #[schema(value_type = Object)]
    content: Map<String, Value>,
    #[schema(value_type = Option<Object>)]
    artifact_metadata: Option<Map<String, Value>>,
}

/// Stores an artifact in a project.
#[utoipa::path(
    post, path = "/api/v1/context", operation_id = "create_artifact",
    tag = "context", request_body = NewArtifactBody,
    responses(
        (status = 201, body = ArtifactView, headers(("Location" = String), ("ETag" = String))),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn create(
    state: Data<State>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<NewArtifactBody>,
) -> Result<HttpResponse, Problem> {
    let new = NewArtifact {
        artifact_type: body.artifact_type,
        content: body.content,
        metadata: body.artifact_metadata.unwrap_or_default(),
    };
    let paths = state.clone();
    let shape = move |artifact: &Arc<Artifact>| CallReply {
        location: Some(paths.public_path(&format!("/api/v1/context/{}", artifact.meta.id))),
        etag: Some(etag(artifact)),
        ..reply(StatusCode::CREATED, &ArtifactView::of(artifact))
    };
    let add = async |caller| {
        state.operations.add_artifact(body.project_id, body.source_agent, new, caller).await
    };
    state.once(&keyed, caller, shape, add).await
}

/// Filter and page of the artifacts of a project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ArtifactQuery {
    /// Artifact type to filter by.
    #[param(value_type = Option<vocabulary::ArtifactType>)]
    artifact_type: Option<ArtifactType>,
    /// Agent type to filter by.
    #[param(value_type = Option<vocabulary::AgentType>)]
    source_agent: Option<AgentType>,
    /// Whether the items have their content; false when absent.
    #[param(value_type = Option<bool>)]
    content: Option<Flag>,
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<ContextId>,
}

/// Page of artifacts.
#[derive(Serialize, ToSchema)]
struct ArtifactPage<'a> {
    items: Vec<ArtifactView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<ContextId>,
}

/// Lists the artifacts of a project, oldest first.
///
/// The items have no content unless it is asked for. A page ends early when it would be large.
#[utoipa::path(
    get, path = "/api/v1/context/project/{project_id}", operation_id = "list_artifacts",
    tag = "context",
    params(("project_id" = Uuid, Path), ArtifactQuery),
    responses(
        (status = 200, body = ArtifactPage, headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn of_project(
    state: Data<State>,
    Segment(project): Segment<ProjectId>,
    Caller(caller): Caller,
    Query(query): Query<ArtifactQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = in_range("limit", query.limit, PAGE, 1..=PAGE_MAX)?;
    let filter = ArtifactFilter {
        artifact_type: query.artifact_type,
        source_agent: query.source_agent,
        after: query.cursor,
    };
    let with_content = query.content.is_some_and(|Flag(content)| content);
    let list = ArtifactList { state: &state, caller: &caller, project, filter, with_content };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

/// Artifacts of a project, oldest first.
struct ArtifactList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    project: ProjectId,
    filter: ArtifactFilter,
    with_content: bool,
}

impl List for ArtifactList<'_> {
    type Item = Arc<Artifact>;
    type Cursor = ContextId;

    async fn read(
        &self,
        after: Option<ContextId>,
        limit: u32,
    ) -> Result<Page<Arc<Artifact>>, Error> {
        let filter = ArtifactFilter { after, ..self.filter };
        self.state.queries.artifacts(self.caller, self.project, filter, limit).await
    }

    fn cursor(artifact: &Arc<Artifact>) -> ContextId {
        artifact.meta.id
    }

    fn write(&self, artifact: &Arc<Artifact>, json: &mut Vec<u8>) -> serde_json::Result<()> {
        let view = ArtifactView::of(artifact);
        let content = view.content.filter(|_| self.with_content);
        serde_json::to_writer(json, &ArtifactView { content, ..view })
    }
}

/// Returns an artifact.
///
/// Its `ETag` is the digest of its content.
#[utoipa::path(
    get, path = "/api/v1/context/{context_id}", operation_id = "get_artifact", tag = "context",
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
    Caller(caller): Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let artifact = state.queries.artifact(&caller, id).await?;
    let etag = etag(&artifact);
    if range::is_known(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(ArtifactView::of(&artifact)))
}

fn etag(artifact: &Artifact) -> String {
    format!("\"{}\"", artifact.meta.digest)
}

#[cfg(test)]
mod tests {
    use botarmy_domain::DomainError;
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, artifact, get, no, post, project, unknown};

    fn plan() -> std::sync::Arc<Artifact> {
        artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "# Plan"}))
    }

    #[actix_web::test]
    async fn an_artifact_is_stored_and_shown_with_its_digest() {
        let mut fakes = Fakes::default();
        fakes.operations.expect_add_artifact().returning(|project_id, agent, new, _| {
            assert_eq!((project_id, agent), (project().id, AgentType::Analyst));
            assert!(new.metadata.is_empty());
            Ok(plan())
        });
        let body = json!({
            "project_id": project().id, "source_agent": "analyst",
            "artifact_type": "project_plan", "content": {"markdown": "# Plan"},
        });
        let answer = fakes.send(post("/api/v1/context", &body)).await;
        let at = "2027-01-15T08:00:00.000000Z";
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("etag"), format!("\"{}\"", plan().meta.digest));
        assert_eq!(answer.header("location"), format!("/api/v1/context/{}", plan().meta.id));
        assert_eq!(
            answer.json(),
            json!({
                "context_id": plan().meta.id, "project_id": project().id,
                "source_agent": "coder", "artifact_type": "project_plan",
                "content": {"markdown": "# Plan"}, "artifact_metadata": {},
                "digest": plan().meta.digest, "previous": null, "created_at": at,
                "updated_at": at,
            })
        );
    }

    #[actix_web::test]
    async fn a_bad_artifact_is_refused_naming_the_field() {
        let good = json!({
            "project_id": project().id, "source_agent": "analyst",
            "artifact_type": "project_plan", "content": {},
        });
        for (field, value) in [
            ("project_id", json!("x")),
            ("source_agent", json!("typist")),
            ("artifact_type", json!("poem")),
            ("content", json!("text")),
            ("content", json!([])),
            ("artifact_metadata", json!(7)),
        ] {
            let mut body = good.clone();
            body[field] = value;
            let answer = Fakes::default().send(post("/api/v1/context", &body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{body}");
        }
        let mut fakes = Fakes::default();
        fakes
            .operations
            .expect_add_artifact()
            .returning(|_, _, _, _| Err(DomainError::not_found("Project", unknown()).into()));
        assert_eq!(fakes.send(post("/api/v1/context", &good)).await.status, 404);
    }

    #[actix_web::test]
    async fn an_artifact_the_client_has_is_not_sent_again() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_artifact().returning(|_, _| Ok(plan()));
        let path = format!("/api/v1/context/{}", plan().meta.id);
        let etag = format!("\"{}\"", plan().meta.digest);
        let answers = fakes
            .send_all([
                get(&path).insert_header(("accept-encoding", "gzip")),
                get(&path).insert_header(("if-none-match", etag.as_str())),
            ])
            .await;
        assert_eq!((answers[0].status, answers[0].header("etag")), (200, etag.as_str()));
        assert_eq!(answers[0].header("content-encoding"), "");
        assert_eq!((answers[1].status, answers[1].header("etag")), (304, etag.as_str()));
        assert!(answers[1].body.is_empty());
    }

    #[actix_web::test]
    async fn a_list_filters_pages_and_knows_its_project() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_artifacts().times(1).returning(|_, _, filter, limit| {
            assert_eq!(filter.artifact_type, Some(ArtifactType::ProjectPlan));
            assert_eq!((filter.source_agent, limit), (Some(AgentType::Coder), 1));
            Ok(Page::first(vec![plan(), plan()], limit))
        });
        fakes.queries.expect_artifacts().returning(|_, id, _, _| Err(no("Project", id)));
        let list = format!("/api/v1/context/project/{}", project().id);
        let answers = fakes
            .send_all([
                get(&format!("{list}?artifact_type=project_plan&source_agent=coder&limit=1")),
                get(&list),
                get(&format!("{list}?artifact_type=poem")),
                get(&format!("{list}?limit=101")),
            ])
            .await;
        assert_eq!(answers[0].json()["next_cursor"], json!(plan().meta.id));
        assert_eq!(answers[1].status, 404);
        assert_eq!((answers[2].status, answers[2].field().as_str()), (422, "artifact_type"));
        assert_eq!((answers[3].status, answers[3].field().as_str()), (422, "limit"));
    }

    #[actix_web::test]
    async fn an_unknown_artifact_is_404() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_artifact().returning(|_, id| Err(no("Artifact", id)));
        let answer = fakes.send(get(&format!("/api/v1/context/{}", unknown()))).await;
        assert_eq!(answer.status, 404);
        assert_eq!(Fakes::default().send(get("/api/v1/context/1")).await.field(), "context_id");
    }
}
