//! The discussion of a request.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::hitl::{GateAct, GateComment};
use botarmy_domain::{
    Error, EventId, HitlRequest, HitlRequestId, Page, Permission, PrincipalId, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query, Segment, Whole};
use crate::idempotency::{Keyed, reply};
use crate::paging::{self, List, Range};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Permission::ProjectRead),
        Endpoint::new::<__path_add, _, _>(add, Permission::GateAnswer).keyed(),
    ]
}

/// Remark in the discussion of a request.
#[derive(Serialize, ToSchema)]
struct CommentView<'a> {
    /// Log entry that recorded it, which is its id.
    #[schema(value_type = Uuid)]
    id: EventId,
    /// Name of its author.
    by: &'a str,
    /// Principal of its author; null on an open server.
    #[schema(value_type = Option<Uuid>)]
    principal_id: Option<PrincipalId>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    text: &'a str,
    /// Remark that it answers.
    #[schema(value_type = Option<Uuid>)]
    reply_to: Option<EventId>,
}

impl<'a> CommentView<'a> {
    fn of(comment: &'a GateComment) -> Self {
        Self {
            id: comment.id,
            by: &comment.by.name,
            principal_id: comment.by.principal,
            at: comment.at,
            text: &comment.text,
            reply_to: comment.reply_to,
        }
    }
}

/// Page of remarks.
#[derive(Serialize, ToSchema)]
struct CommentPage<'a> {
    items: Vec<CommentView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<EventId>,
}

/// Page of a discussion.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CommentQuery {
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<EventId>,
}

/// Lists the discussion of a request, oldest first.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}/comments", operation_id = "list_request_comments",
    tag = "hitl", params(("request_id" = Uuid, Path), CommentQuery),
    responses(
        (status = 200, body = CommentPage, headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn list(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    Query(query): Query<CommentQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = Comments(state.queries.request(&caller, id).await?);
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Comments(Arc<HitlRequest>);

impl List for Comments {
    type Item = GateComment;
    type Cursor = EventId;

    async fn read(&self, after: Option<EventId>, limit: u32) -> Result<Page<GateComment>, Error> {
        let is_before = |comment: &&GateComment| after.is_some_and(|after| comment.id <= after);
        let rest = self.0.comments.iter().skip_while(is_before);
        Ok(Page::first(rest.take(limit as usize + 1).cloned().collect(), limit))
    }

    fn cursor(comment: &GateComment) -> EventId {
        comment.id
    }

    fn write(&self, comment: &GateComment, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &CommentView::of(comment))
    }
}

/// Remark for a discussion.
#[derive(Deserialize, ToSchema)]
struct NewCommentBody {
    /// Text of at most 10,000 characters; must not be blank.
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
    /// Remark that it answers.
    #[schema(value_type = Option<Uuid>)]
    reply_to: Option<EventId>,
}

/// Adds a remark to the discussion of a request, which may be over.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/comments", operation_id = "create_request_comment",
    tag = "hitl", params(("request_id" = Uuid, Path)), request_body = NewCommentBody,
    responses(
        (status = 201, body = CommentView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`too_many_comments`: a request has at most 500"),
    ),
)]
async fn add(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<NewCommentBody>,
) -> Result<HttpResponse, Problem> {
    let comment = GateAct::Comment { text: body.text, reply_to: body.reply_to };
    let shape = |request: &Arc<HitlRequest>| {
        reply(StatusCode::CREATED, &request.comments.last().map(CommentView::of))
    };
    let add = async |caller| state.gates.act(id, comment, caller).await;
    state.once(&keyed, caller, shape, add).await
}
