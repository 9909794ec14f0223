//! The answer to several requests together: each is listed with its digest, one confirmation decides all,
//! and each is a decision of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use botarmy_domain::decide::eligibility::GateView;
use botarmy_domain::{
    Caller, DomainError, Error, HitlAction, HitlRequest, HitlRequestId, HitlStatus, Project,
    Response, StoreError, error_chain,
};
use botarmy_web::{Problem, UnknownFields, parse_query};
use serde::Deserialize;
use tracing::warn;

use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::view::icon::Icon;
use crate::view::inbox::outcome;
use crate::view::request::{self, Case};
use crate::view::review;
use crate::view::sentence::Sentence;
use crate::view::waiting::Waiting;

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
    title: Sentence,
    project: String,
    /// Digest that was shown in the inbox.
    digest: String,
    short_digest: String,
    /// Consequences of an approval and of a rejection.
    approval: String,
    rejection: String,
    /// Reason for which it cannot be answered here.
    obstacle: Option<Sentence>,
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
    title: Sentence,
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
    /// Ids and digests of those whose result is unknown, or that were not tried.
    again: Vec<(String, String)>,
    action: &'static str,
    comment: String,
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
    let GateView { request, allowed } = context.console.queries.gate(context.caller(), id).await?;
    let project = context.console.queries.project(context.caller(), request.project_id).await?;
    let policy = &request.pinned_policy().policy;
    let answer = |action| request::answer(Case::of(&request), action, &request, &project, 0);
    let obstacle = if request.status() != HitlStatus::Pending {
        review::end(&request, &project, context.now())
            .map(|end| end.sentence.text(format!(" {}", end.time.text)))
    } else if let Some(error) = allowed.refusal {
        Some(error.to_string().into())
    } else if !policy.bulk {
        let sentence = Sentence::from("The policy “").name(&policy.name);
        Some(sentence.text("” wants each request to be answered by itself"))
    } else if Case::of(&request) != Case::Review {
        Some("Has to be answered on its own page".into())
    } else if request.subject.digest != digest {
        Some("The document has changed since the list was shown".into())
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
    if chosen.is_empty() {
        let detail = "Select at least one request in the inbox.";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let answer = Answer { action, comment };
    let mut results = Vec::new();
    let mut is_failing = false;
    for one in prepared(&context, chosen).await? {
        // A store that fails would let each of the others wait for it.
        let result = if is_failing {
            Some(Outcome::NotTried)
        } else {
            record(&context, &one, answer.to(&one), caller.clone()).await
        };
        let Some(result) = result else { continue };
        is_failing |= matches!(result, Outcome::Unknown);
        results.push((one, result));
    }
    results_page(&context, &answer, &results).await
}

/// Answer that is given to all.
struct Answer {
    action: HitlAction,
    comment: String,
}

impl Answer {
    fn to(&self, one: &Prepared) -> Response {
        Response {
            comment: Some(self.comment.clone()).filter(|comment| !comment.trim().is_empty()),
            subject_digest: Some(one.digest.clone()),
            in_bulk: true,
            ..Response::new(self.action)
        }
    }
}

/// Request with what the results say of it, read before anything is decided.
struct Prepared {
    request: Arc<HitlRequest>,
    project: Arc<Project>,
    /// Digest that was shown.
    digest: String,
}

/// Result of one answer.
enum Outcome {
    /// The answer is recorded; the request as it is now, if it could be read.
    Recorded(Option<Arc<HitlRequest>>),
    /// The answer is not recorded, for this reason.
    Refused(String),
    /// The store has failed: the answer may be recorded.
    Unknown,
    /// The store failed before it.
    NotTried,
}

/// Reads the requests. Those that do not exist for the caller are left out.
async fn prepared(
    context: &PageContext,
    chosen: Vec<(HitlRequestId, String)>,
) -> Result<Vec<Prepared>, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    let mut prepared = Vec::with_capacity(chosen.len());
    for (id, digest) in chosen {
        let request = match queries.request(caller, id).await {
            Err(Error::Refused(DomainError::NotFound { .. })) => continue,
            request => request?,
        };
        let project = queries.project(caller, request.project_id).await?;
        prepared.push(Prepared { request, project, digest });
    }
    Ok(prepared)
}

/// Gives one answer; `None` for a request that is gone.
async fn record(
    context: &PageContext,
    one: &Prepared,
    response: Response,
    caller: Caller,
) -> Option<Outcome> {
    const NOT_RECORDED: &str = "Your answer was not recorded.";
    let id = one.request.id;
    let own = caller.actor();
    let given = context.console.gates.respond(id, response.clone(), caller).await;
    let now = context.console.queries.request(context.caller(), id).await.ok();
    Some(match given {
        Ok(_) => Outcome::Recorded(now),
        Err(Error::Refused(DomainError::NotFound { .. })) => return None,
        Err(Error::Refused(error)) => Outcome::Refused(format!("{error} {NOT_RECORDED}")),
        Err(Error::Store(StoreError::Conflict)) => {
            Outcome::Refused(format!("Something else was decided at the same time. {NOT_RECORDED}"))
        }
        Err(Error::Store(error)) => {
            let chain = error_chain(&error);
            warn!(request.id = %id, error = chain, "An answer may or may not be recorded");
            match now {
                Some(now) if now.recorded(&own, &response).is_some() => {
                    Outcome::Recorded(Some(now))
                }
                _ => Outcome::Unknown,
            }
        }
    })
}

async fn results_page(
    context: &PageContext,
    answer: &Answer,
    results: &[(Prepared, Outcome)],
) -> Result<HttpResponse, Problem> {
    let rows: Vec<_> = results.iter().map(|(one, result)| shown(context, one, result)).collect();
    let recorded = results.iter().filter(|(_, one)| matches!(one, Outcome::Recorded(_))).count();
    let again: Vec<_> = results
        .iter()
        .filter(|(_, result)| matches!(result, Outcome::Unknown | Outcome::NotTried))
        .map(|(one, _)| (one.request.id.to_string(), one.digest.clone()))
        .collect();
    // The number of waiting requests must not keep the results from the person.
    let waiting = match context.waiting().await {
        Err(_) if !again.is_empty() => Waiting::default(),
        waiting => waiting?,
    };
    let (layout, frame) = context.frame_with(Section::Inbox, "Answered together", waiting);
    let frame = frame.below([("Inbox", context.path("/console/inbox"))]);
    let status = if again.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (action, comment) = (answer.action.as_str(), answer.comment.clone());
    let page = ResultsTemplate { layout, frame, rows, recorded, again, action, comment };
    html::respond(status, &page)
}

fn shown(context: &PageContext, one: &Prepared, result: &Outcome) -> ResultView {
    let now = match result {
        Outcome::Recorded(Some(now)) => now,
        _ => &one.request,
    };
    let (status, class, icon) = match result {
        Outcome::Recorded(Some(now)) => outcome(now.status()),
        Outcome::Recorded(None) => ("Recorded", "ok", Icon::Done),
        Outcome::Refused(_) => ("Not recorded", "bad", Icon::Failed),
        Outcome::Unknown => ("Unknown", "bad", Icon::Question),
        Outcome::NotTried => ("Not recorded", "bad", Icon::Failed),
    };
    let detail = match result {
        Outcome::Recorded(_) => None,
        Outcome::Refused(detail) => Some(detail.clone()),
        Outcome::Unknown => Some(
            "The server lost its store while it recorded your answer, and cannot tell whether it did."
                .to_owned(),
        ),
        Outcome::NotTried => Some("The server did not come to it.".to_owned()),
    };
    ResultView {
        path: context.path(&format!("/console/requests/{}", one.request.id)),
        title: request::title(now, &one.project.name),
        project: one.project.name.clone(),
        status,
        class,
        icon,
        detail,
    }
}
