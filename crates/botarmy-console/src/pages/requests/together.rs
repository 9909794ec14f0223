//! The answer to several requests together: each is listed with its digest, one confirmation decides all,
//! and each is a decision of its own.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use botarmy_domain::{DomainError, Error, HitlAction, HitlRequestId, HitlStatus, Response};
use botarmy_web::{Problem, UnknownFields, parse_query};
use serde::Deserialize;

use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::view::icon::Icon;
use crate::view::inbox::outcome;
use crate::view::request::{self, Case};
use crate::view::review;

/// Largest number of requests that are answered together.
const MAX_TOGETHER: usize = 100;
/// First part of the name of a field with a digest; the id follows.
const PREFIX: &str = "r.";

/// Fields by name.
type Fields = BTreeMap<String, String>;

/// Request in the list.
struct RowView {
    id: String,
    path: String,
    title: String,
    project: String,
    /// Digest that was shown in the inbox.
    digest: String,
    short_digest: String,
    /// Consequences of an approval and of a rejection.
    approval: String,
    rejection: String,
    /// Reason for which it cannot be answered here.
    obstacle: Option<String>,
}

#[derive(Template)]
#[template(path = "request/together.html")]
struct TogetherTemplate {
    layout: Layout,
    frame: Frame,
    rows: Vec<RowView>,
    /// Number of requests that can be answered.
    count: usize,
    notice: Option<&'static str>,
    comment: String,
}

struct ResultView {
    path: String,
    title: String,
    project: String,
    status: &'static str,
    class: &'static str,
    icon: Icon,
    detail: Option<String>,
}

#[derive(Template)]
#[template(path = "request/results.html")]
struct ResultsTemplate {
    layout: Layout,
    frame: Frame,
    rows: Vec<ResultView>,
    recorded: usize,
}

/// Form with one field per request.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct TogetherForm(Fields);

impl HasToken for TogetherForm {
    fn form_token(&self) -> &str {
        self.0.get("form_token").map_or("", String::as_str)
    }
}

/// Lists the selected requests.
pub(crate) async fn show_together(context: PageContext) -> Result<HttpResponse, Problem> {
    let query = context.request.query_string();
    let fields: Fields = parse_query(query, UnknownFields::Reject)?;
    let chosen = chosen(&fields, &[])?;
    list(&context, &chosen, None, String::new(), StatusCode::OK).await
}

/// Returns the requests that fields name, with the digests that were shown.
fn chosen(fields: &Fields, others: &[&str]) -> Result<Vec<(HitlRequestId, String)>, Problem> {
    let mut chosen = Vec::new();
    for (name, value) in fields {
        if others.contains(&name.as_str()) {
            continue;
        }
        let id = name.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| Problem::invalid(name, "is not known"))?;
        chosen.push((id, value.clone()));
    }
    if chosen.len() > MAX_TOGETHER {
        let detail = format!("Select at most {MAX_TOGETHER} requests.");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(chosen)
}

async fn list(
    context: &PageContext,
    chosen: &[(HitlRequestId, String)],
    notice: Option<&'static str>,
    comment: String,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let mut rows = Vec::new();
    for (id, digest) in chosen {
        rows.push(row(context, *id, digest).await?);
    }
    let count = rows.iter().filter(|row| row.obstacle.is_none()).count();
    let (layout, frame) = context.frame(Section::Inbox, "Answer together").await?;
    let frame = frame.below([("Inbox", context.path("/console/inbox"))]);
    html::respond(status, &TogetherTemplate { layout, frame, rows, count, notice, comment })
}

async fn row(context: &PageContext, id: HitlRequestId, digest: &str) -> Result<RowView, Problem> {
    let request = context.console.queries.request(context.caller(), id).await?;
    let project = context.console.queries.project(context.caller(), request.project_id).await?;
    let answer = |action| request::answer(Case::of(&request), action, &request, &project, 0);
    let obstacle = if request.status() != HitlStatus::Pending {
        review::end(&request, &project, context.now())
            .map(|end| format!("{} {}", end.sentence, end.time.text))
    } else if Case::of(&request) != Case::Review {
        Some("Has to be answered on its own page".to_owned())
    } else if request.subject.digest != digest {
        Some("The document has changed since the list was shown".to_owned())
    } else {
        None
    };
    Ok(RowView {
        id: id.to_string(),
        path: context.path(&format!("/console/requests/{id}")),
        title: request::title(&request, &project.name),
        project: project.name.clone(),
        short_digest: review::short(digest),
        digest: digest.to_owned(),
        approval: answer(HitlAction::Approve).consequence,
        rejection: answer(HitlAction::Reject).consequence,
        obstacle,
    })
}

/// Answers them, each in a decision of its own.
pub(crate) async fn answer_together(
    context: PageContext,
    Form { caller, fields: TogetherForm(fields) }: Form<TogetherForm>,
) -> Result<HttpResponse, Problem> {
    let chosen = chosen(&fields, &["form_token", "action", "comment"])?;
    let comment = fields.get("comment").cloned().unwrap_or_default().replace("\r\n", "\n");
    let action = match fields.get("action").map(String::as_str) {
        Some("approve") => HitlAction::Approve,
        Some("reject") => HitlAction::Reject,
        _ => {
            let notice = Some("Choose whether to approve or to reject them.");
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return list(&context, &chosen, notice, comment, status).await;
        }
    };
    let mut rows = Vec::new();
    let mut recorded = 0;
    for (id, digest) in chosen {
        let response = Response {
            action,
            content: None,
            comment: Some(comment.clone()).filter(|comment| !comment.trim().is_empty()),
            amended_content: None,
            subject_digest: Some(digest),
        };
        let detail = match context.console.gates.respond(id, response, caller.clone()).await {
            Ok(_) => {
                recorded += 1;
                None
            }
            Err(Error::Refused(DomainError::NotFound { .. })) => continue,
            Err(Error::Refused(error)) => Some(format!("{error} Your answer was not recorded.")),
            Err(error) => return Err(error.into()),
        };
        let request = context.console.queries.request(context.caller(), id).await?;
        let project = context.console.queries.project(context.caller(), request.project_id).await?;
        let (status, class, icon) = outcome(request.status());
        rows.push(ResultView {
            path: context.path(&format!("/console/requests/{id}")),
            title: request::title(&request, &project.name),
            project: project.name.clone(),
            status,
            class,
            icon,
            detail,
        });
    }
    let (layout, frame) = context.frame(Section::Inbox, "Answered together").await?;
    let frame = frame.below([("Inbox", context.path("/console/inbox"))]);
    context.respond(&ResultsTemplate { layout, frame, rows, recorded })
}
