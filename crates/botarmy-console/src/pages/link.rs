//! The page of a link with which a person answers one request without signing in.
//!
//! The token in the path is all that the page needs, and all that counts: cookies are not looked at, so
//! that a page of another site, which does not know the token, can do nothing with the browser of the
//! person. Reading the page changes nothing, also when a program that checks mail opens it.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use askama::Template;
use botarmy_domain::hitl::{AnswerLinkText, LinkedRequest};
use botarmy_domain::{
    Artifact, Caller, DomainError, Error, HitlAction, HitlKind, HitlRequest, Response,
};
use botarmy_web::{Problem, REQUEST_ID, RefusedSignIn};
use serde::Deserialize;

use crate::Console;
use crate::blocking::blocking;
use crate::form;
use crate::html::Layout;
use crate::view::review::{self, DocumentView};
use crate::view::sentence::Sentence;
use crate::view::{gate, texts};

/// Policy of the page: no script, no call, and a form to this server alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// Headers of the page. The address has a secret, so no cache keeps it and no other page is told it.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
];

/// Content of a document.
enum BodyView {
    Text(DocumentView),
    /// Path and content of each file.
    Files(Vec<(String, String)>),
}

struct SubjectView {
    name: &'static str,
    digest: String,
    body: BodyView,
}

struct FormView {
    path: String,
    question: String,
    documents: Vec<SubjectView>,
    /// Instructions of the task that would begin.
    planned: Option<String>,
    digest: String,
    /// Word and label of each answer.
    actions: Vec<(&'static str, &'static str)>,
    /// Schema of the answer, if there is one.
    schema: Option<String>,
    response: String,
    comment_label: &'static str,
    comment: String,
    person: String,
}

#[derive(Template)]
#[template(path = "link/page.html")]
struct LinkTemplate {
    layout: Layout,
    title: &'static str,
    done: Option<String>,
    error: Option<String>,
    /// Approvals that there are and that are missing, where one is not enough.
    standing: Option<Sentence>,
    form: Option<FormView>,
}

/// Fields of the form.
#[derive(Default, Deserialize)]
struct LinkForm {
    action: LinkAction,
    subject_digest: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    response: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LinkAction {
    Approve,
    #[default]
    Reject,
    RequestChanges,
}

/// Shows the request of a link.
pub(crate) async fn show(
    console: Data<Console>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Some(token) = token(&request) else { return unknown(&console) };
    match console.gates.linked(&token).await {
        Ok(linked) => page(&console, &token, linked, &LinkForm::default(), None).await,
        Err(Error::Refused(DomainError::NotFound { .. })) => unknown(&console),
        Err(error) => Err(error.into()),
    }
}

/// Takes the answer of a person, and uses the link up.
pub(crate) async fn answer(
    console: Data<Console>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let Some(token) = token(&request) else { return unknown(&console) };
    let form: LinkForm = form::read(&request, &body)?;
    form::check_texts(&body, console.text_limit, None)?;
    let refused = match response(&form) {
        Ok(response) => {
            let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
            let context = Caller::person("anonymous").with_request_id(id.map(str::to_owned));
            match console.gates.respond_with_link(&token, response, context).await {
                Ok(responded) => return answered(&console, form.action, &responded.request),
                Err(error) => Problem::from(error),
            }
        }
        Err(problem) => problem,
    };
    if refused.status_code().is_server_error() {
        return Err(refused);
    }
    match console.gates.linked(&token).await {
        Ok(linked) => page(&console, &token, linked, &form, Some(refused)).await,
        Err(Error::Refused(DomainError::NotFound { .. })) => unknown(&console),
        Err(error) => Err(error.into()),
    }
}

/// Returns the token in the path; `None` for a text that is none.
fn token(request: &HttpRequest) -> Option<AnswerLinkText> {
    request.match_info().get("token")?.parse().ok()
}

/// Returns the answer in the form.
fn response(form: &LinkForm) -> Result<Response, Problem> {
    let action = match form.action {
        LinkAction::Approve => HitlAction::Approve,
        LinkAction::Reject => HitlAction::Reject,
        LinkAction::RequestChanges => HitlAction::Amend,
    };
    let text = Some(form.comment.clone()).filter(|text| !text.trim().is_empty());
    let (content, comment) = if action == HitlAction::Amend { (text, None) } else { (None, text) };
    let answer = Some(form.response.trim()).filter(|answer| !answer.is_empty());
    let answer = answer.map(serde_json::from_str).transpose();
    let answer =
        answer.map_err(|error| Problem::invalid("response", format!("is no JSON: {error}")))?;
    Ok(Response {
        content,
        comment,
        subject_digest: Some(form.subject_digest.clone()),
        response: answer,
        ..Response::new(action)
    })
}

/// Returns the page of a link: with a form while it can be used, or else the reason.
async fn page(
    console: &Console,
    token: &AnswerLinkText,
    linked: LinkedRequest,
    typed: &LinkForm,
    refused: Option<Problem>,
) -> Result<HttpResponse, Problem> {
    let layout = Layout::of(console);
    if let Some(reason) = linked.refusal {
        let error = Some(reason.to_string());
        let title = "This link cannot be used any more";
        let page = LinkTemplate { layout, title, done: None, error, standing: None, form: None };
        return respond(StatusCode::GONE, &page);
    }
    let LinkedRequest { request, artifacts, link, .. } = linked;
    let documents = blocking(move || artifacts.iter().map(document).collect()).await?;
    let schema = request.response_schema.as_ref();
    let schema = schema.map(|schema| format!("{:#}", serde_json::json!(schema)));
    let form = FormView {
        path: console.path(&format!("/g/{}", token.expose())),
        question: request.question.clone(),
        documents,
        planned: request.planned.as_ref().map(|planned| planned.instructions.clone()),
        digest: request.subject.digest.clone(),
        actions: link.actions.iter().map(|action| label(*action)).collect(),
        schema,
        response: typed.response.clone(),
        comment_label: if link.actions.contains(&HitlAction::Amend) {
            "Comment, or what should change"
        } else {
            "Comment"
        },
        comment: typed.comment.clone(),
        person: link.person.name.clone(),
    };
    let status = refused.as_ref().map_or(StatusCode::OK, |problem| problem.status_code());
    let error = refused.map(|problem| problem.to_string());
    let (title, standing) = (title(&request), gate::standing(&request));
    respond(status, &LinkTemplate { layout, title, done: None, error, standing, form: Some(form) })
}

fn title(request: &HitlRequest) -> &'static str {
    match request.kind {
        HitlKind::Approval => "Review",
        HitlKind::Question => "Question",
        HitlKind::Failure => "Failure",
    }
}

const fn label(action: HitlAction) -> (&'static str, &'static str) {
    match action {
        HitlAction::Approve => ("approve", "Approve"),
        HitlAction::Reject => ("reject", "Reject"),
        HitlAction::Amend => ("request_changes", "Request changes"),
    }
}

fn document(artifact: &Arc<Artifact>) -> SubjectView {
    let body = match review::source(artifact) {
        Some(code) => {
            let files = code.files.into_iter().map(|file| (file.path, file.content));
            BodyView::Files(files.collect())
        }
        None => BodyView::Text(review::read(artifact)),
    };
    let name = texts::artifact(artifact.meta.artifact_type);
    SubjectView { name, digest: artifact.meta.digest.clone(), body }
}

/// Returns the page after an answer.
fn answered(
    console: &Console,
    action: LinkAction,
    request: &HitlRequest,
) -> Result<HttpResponse, Problem> {
    let what = match action {
        LinkAction::Approve => "Your approval",
        LinkAction::Reject => "Your rejection",
        LinkAction::RequestChanges => "What should change",
    };
    let done = Some(format!("{what} is recorded. The request is {} now.", request.status()));
    let title = "Your answer is recorded";
    let (layout, standing) = (Layout::of(console), gate::standing(request));
    let page = LinkTemplate { layout, title, done, error: None, standing, form: None };
    respond(StatusCode::OK, &page)
}

/// Returns the page for a token that belongs to no link, which may have been guessed.
fn unknown(console: &Console) -> Result<HttpResponse, Problem> {
    let error = Some("There is no such link. Check that the address is complete.".to_owned());
    let title = "Link not found";
    let layout = Layout::of(console);
    let page = LinkTemplate { layout, title, done: None, error, standing: None, form: None };
    let mut response = respond(StatusCode::NOT_FOUND, &page)?;
    response.extensions_mut().insert(RefusedSignIn { code: "link_unknown", is_guess: true });
    Ok(response)
}

fn respond(status: StatusCode, page: &LinkTemplate) -> Result<HttpResponse, Problem> {
    let html = page.render().map_err(Problem::internal)?;
    let mut response = HttpResponse::build(status);
    for header in HEADERS {
        response.insert_header(header);
    }
    Ok(response.body(html))
}
