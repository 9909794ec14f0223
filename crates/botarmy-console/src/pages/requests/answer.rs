//! The answer to a request. The first form returns the page that asks for a confirmation, the second
//! commits. Whatever goes wrong, the page is shown again with the typed text.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::artifact::{digest, digest_bytes};
use botarmy_domain::hitl::HitlState;
use botarmy_domain::idempotency::ALREADY_REPLIED;
use botarmy_domain::{
    CallReply, Caller, DomainError, Error, HitlAction, HitlRequestId, HitlStatus, KeyedCall, Limit,
    Permission, Place, RequestDigest, Responded, Response,
};
use botarmy_web::Problem;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::{Notice, ReviewQuery, Typed};
use super::content;
use super::document;
use super::load::{self, Subject};
use super::page;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::pages::once;
use crate::view::icon::Icon;
use crate::view::request::{self, AnswerView, Case};
use crate::view::{diff, review, texts, usage};

/// The form.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct AnswerForm {
    #[serde(default)]
    form_token: String,
    key: String,
    subject_digest: String,
    action: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    comment: String,
    /// Index of the suggested answer.
    choice: Option<String>,
    /// Edited document.
    document: Option<String>,
    /// `json` if it is edited as JSON, `markdown` if its text is.
    edited: Option<String>,
    #[serde(default)]
    tokens: String,
    #[serde(default)]
    dollars: String,
    /// `yes` to commit, `no` to go back; absent in the first form.
    confirmed: Option<String>,
}

impl HasToken for AnswerForm {
    const DOCUMENT: Option<&'static str> = Some("document");

    fn form_token(&self) -> &str {
        &self.form_token
    }
}

impl AnswerForm {
    fn typed(&self) -> Typed {
        Typed {
            action: Some(self.action.clone()),
            content: self.content.clone(),
            comment: self.comment.clone(),
            choice: self.choice.as_deref().and_then(|choice| choice.parse().ok()),
            document: self.document.clone(),
            is_json: self.edited.as_deref() == Some("json"),
            tokens: self.tokens.clone(),
            dollars: self.dollars.clone(),
        }
    }

    /// Returns a digest over what the form asks for, by which a repetition is recognised.
    fn digest(&self) -> String {
        let parts = [
            self.action.as_str(),
            &self.subject_digest,
            &self.content,
            &self.comment,
            self.choice.as_deref().unwrap_or_default(),
            self.document.as_deref().unwrap_or_default(),
            self.edited.as_deref().unwrap_or_default(),
            &self.tokens,
            &self.dollars,
        ];
        digest_bytes(json!(parts).to_string().as_bytes())
    }
}

#[derive(Template)]
#[template(path = "request/confirm.html")]
struct ConfirmTemplate {
    layout: Layout,
    frame: Frame,
    path: String,
    answer: AnswerView,
    question: String,
    digest: String,
    short_digest: String,
    form: AnswerForm,
    /// Texts and values that are sent beside the decision, each with its name.
    said: Vec<(&'static str, String)>,
    is_rejection: bool,
    name: String,
}

/// Takes a form.
pub(crate) async fn answer(
    context: PageContext,
    path: Path<String>,
    Form { caller, fields }: Form<AnswerForm>,
) -> Result<HttpResponse, Problem> {
    let id = load::id(&path)?;
    once::check_key(&fields.key)?;
    let subject = load::load(&context, id).await?;
    match fields.confirmed.as_deref() {
        Some("no") => refused(&context, &subject, &fields, None, StatusCode::OK).await,
        Some("yes") => commit(&context, subject, caller, &fields).await,
        Some(_) => Err(Problem::invalid("confirmed", "must be yes or no")),
        None => confirm(&context, &subject, &fields).await,
    }
}

/// Shows what would be committed, unless it cannot be.
async fn confirm(
    context: &PageContext,
    subject: &Subject,
    form: &AnswerForm,
) -> Result<HttpResponse, Problem> {
    if let Some((notice, status)) = obstacle(subject, form) {
        return refused(context, subject, form, Some(notice), status).await;
    }
    let place = Place::Project { id: subject.project.id, creator: subject.project.creator };
    if let Err(error) = context.caller().check(Permission::GateAnswer, place) {
        let notice = Notice::bad(error.to_string());
        return refused(context, subject, form, Some(notice), StatusCode::FORBIDDEN).await;
    }
    let response = match read(subject, form).await? {
        Ok(response) => response,
        Err(problem) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let notice = Notice::bad(problem.to_string());
            return refused(context, subject, form, Some(notice), status).await;
        }
    };
    let request = &subject.request;
    let (whole, asked, given) = (subject.clone(), form.clone(), response.clone());
    let said = blocking(move || said(&whole, &asked, &given)).await?;
    let case = Case::of(request);
    let answer = answer_of(subject, response.action, form);
    let title = request::title(request, &subject.project.name).plain();
    let (layout, frame) = context.frame_with(Section::Inbox, title, subject.waiting);
    let path = format!("/console/requests/{}", request.id);
    let frame = frame.called("Confirm").below([
        ("Inbox".to_owned(), context.path("/console/inbox")),
        (request::subject(request).to_owned(), context.path(&path)),
    ]);
    html::respond(
        StatusCode::OK,
        &ConfirmTemplate {
            layout,
            frame,
            path: context.path(&format!("{path}/answer")),
            question: question(case, response.action, subject, form.document.is_some()),
            digest: request.subject.digest.clone(),
            short_digest: review::short(&request.subject.digest),
            said,
            form: form.clone(),
            is_rejection: response.action == HitlAction::Reject,
            name: context.caller().name().to_owned(),
            answer,
        },
    )
}

fn answer_of(subject: &Subject, action: HitlAction, form: &AnswerForm) -> AnswerView {
    let case = Case::of(&subject.request);
    let version = subject.version();
    let mut answer = request::answer(case, action, &subject.request, &subject.project, version);
    if action == HitlAction::Amend && form.document.is_some() {
        "Submit my version".clone_into(&mut answer.button);
        answer.consequence =
            "Your version takes the place of the document under review.".to_owned();
    }
    answer
}

/// Returns the question of the confirmation.
fn question(case: Case, action: HitlAction, subject: &Subject, is_edited: bool) -> String {
    let kind = subject.artifacts.first().map(|one| one.meta.artifact_type);
    let name = kind.map_or_else(|| "result".to_owned(), texts::artifact_in_sentence);
    let version = subject.version();
    match (case, action) {
        (Case::Review | Case::Replacement, HitlAction::Approve) if version > 0 => {
            format!("Approve version {version} of the {name}?")
        }
        (Case::Review | Case::Replacement, HitlAction::Reject) if version > 0 => {
            format!("Reject version {version} of the {name}?")
        }
        (Case::Review | Case::Replacement, HitlAction::Amend) if is_edited => {
            format!("Replace the {name} by your version?")
        }
        (Case::Review | Case::Replacement, HitlAction::Amend) => {
            format!("Send the {name} back with your feedback?")
        }
        (Case::Question, HitlAction::Approve) => "Send this answer?".to_owned(),
        (Case::Budget, HitlAction::Approve) => "Raise the limit?".to_owned(),
        (Case::Budget, HitlAction::Amend) => "Set this limit?".to_owned(),
        (Case::Failure | Case::Loop, HitlAction::Approve | HitlAction::Amend) => {
            "Try again?".to_owned()
        }
        (_, HitlAction::Reject) => "Reject this request?".to_owned(),
        (_, HitlAction::Approve) => "Approve it?".to_owned(),
        (_, HitlAction::Amend) => "Send this answer?".to_owned(),
    }
}

/// Returns the texts and values of a response with their names.
fn said(subject: &Subject, form: &AnswerForm, response: &Response) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    if let Some(content) = &response.content {
        let name =
            if response.action == HitlAction::Amend { "Your feedback" } else { "Your answer" };
        said.push((name, content.clone()));
    }
    match (&response.amended_content, Case::of(&subject.request)) {
        (Some(amounts), Case::Budget) => said.extend(limits(amounts)),
        (Some(document), _) => {
            said.push(("Your version", changed_lines(subject, form)));
            said.push(("Its digest", digest(document)));
        }
        (None, _) => {}
    }
    said.extend(response.comment.clone().map(|comment| ("Comment", comment)));
    said
}

/// Returns the limits that a person has entered, to the last digit. One that is left out stays.
fn limits(amounts: &Map<String, Value>) -> [(&'static str, String); 2] {
    let amount = |name: &str| amounts.get(name).and_then(Value::as_u64);
    let limit = Limit { tokens: amount("tokens"), cost_micro_usd: amount("cost_micro_usd") };
    let same = || "as before".to_owned();
    let (dollars, _) = usage::fields(limit);
    let dollars = limit.cost_micro_usd.map_or_else(same, |_| format!("${dollars}"));
    [
        ("New limit in tokens", limit.tokens.map_or_else(same, texts::grouped)),
        ("New limit in US dollars", dollars),
    ]
}

/// Returns the number of lines in which the version of a person differs from the document, and its size.
fn changed_lines(subject: &Subject, form: &AnswerForm) -> String {
    let text = lines(form.document.as_deref().unwrap_or_default());
    let before = subject.artifacts.first();
    let before = before.map(|one| content::editable(one, form.typed().is_json).0);
    let changes = diff::texts(&before.unwrap_or_default(), &text, false);
    let count = |lines| texts::counted(lines, "line", "lines");
    let size = texts::grouped(text.len() as u64);
    format!("{} added, {} removed; {size} bytes", count(changes.added), count(changes.removed))
}

/// Returns the reason for which a request takes no answer to this subject, and the status of the page.
fn obstacle(subject: &Subject, form: &AnswerForm) -> Option<(Notice, StatusCode)> {
    let request = &subject.request;
    if request.status() != HitlStatus::Pending {
        return Some((over(subject), StatusCode::CONFLICT));
    }
    (form.subject_digest != request.subject.digest)
        .then(|| (changed(subject), StatusCode::CONFLICT))
}

/// Returns the message that a request is over already.
fn over(subject: &Subject) -> Notice {
    const NOT_RECORDED: &str = "Your answer was not recorded.";
    let text = match &subject.request.state {
        HitlState::Expired { .. } => format!("The request has expired. {NOT_RECORDED}"),
        HitlState::Cancelled { .. } => format!("The request was cancelled. {NOT_RECORDED}"),
        _ => format!("The request was already decided. {NOT_RECORDED}"),
    };
    Notice::bad(text)
}

/// Returns the message that the document is another one now.
fn changed(subject: &Subject) -> Notice {
    let version = subject.version();
    let text = match version.checked_sub(1) {
        Some(before) if before > 0 => format!(
            "Version {version} was created while you were reading version {before}. Your answer was \
             not recorded; it would be about a document that you have not seen."
        ),
        _ => "The document changed while you were reading it. Your answer was not recorded."
            .to_owned(),
    };
    Notice { has_changes: subject.previous().is_some(), ..Notice::bad(text) }
}

/// Shows the request again with the typed text.
async fn refused(
    context: &PageContext,
    subject: &Subject,
    form: &AnswerForm,
    notice: Option<Notice>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    page::respond(context, subject, &ReviewQuery::default(), form.typed(), notice, status).await
}

/// Records the answer, once for the key of the form.
async fn commit(
    context: &PageContext,
    subject: Subject,
    caller: Caller,
    form: &AnswerForm,
) -> Result<HttpResponse, Problem> {
    let id = subject.request.id;
    let done = format!("/console/requests/{id}?answered=1");
    let response = match read(&subject, form).await? {
        Ok(response) => response,
        Err(problem) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let notice = Notice::bad(problem.to_string());
            return refused(context, &subject, form, Some(notice), status).await;
        }
    };
    let key = caller.call_key(&format!("console:{}", form.key));
    let digest =
        RequestDigest::of("POST", &format!("/console/requests/{id}/answer"), "", &form.digest());
    let location = done.clone();
    let call = KeyedCall::new(key, digest.clone(), move |_: &Responded| CallReply {
        status: StatusCode::SEE_OTHER.as_u16(),
        location: Some(location.clone()),
        etag: None,
        body: "{}".to_owned(),
    });
    let result =
        context.console.gates.respond(id, response, caller.clone().with_keyed_call(call)).await;
    let error = match result {
        Ok(_) => return Ok(html::redirect(&context.path(&done))),
        Err(Error::Refused(error)) => error,
        Err(error) => return Err(error.into()),
    };
    let is_repeated =
        matches!(&error, DomainError::Conflict { code, .. } if *code == ALREADY_REPLIED);
    if is_repeated {
        let kept = context.console.queries.kept_reply(&caller, key).await?;
        if kept.is_some_and(|kept| kept.check(&digest).is_ok()) {
            return Ok(html::redirect(&context.path(&done)));
        }
    }
    after_refusal(context, id, form, error).await
}

/// Shows the request as it is now, with the reason of a refusal.
async fn after_refusal(
    context: &PageContext,
    id: HitlRequestId,
    form: &AnswerForm,
    error: DomainError,
) -> Result<HttpResponse, Problem> {
    let subject = load::load(context, id).await?;
    let (notice, status) = match obstacle(&subject, form) {
        Some(obstacle) => obstacle,
        None if once::is_of_another(&error) => {
            let text =
                "This page was used for another answer. Load it again, and repeat your answer.";
            (Notice::bad(text), StatusCode::CONFLICT)
        }
        None => {
            let problem = Problem::from(error);
            let status = actix_web::ResponseError::status_code(&problem);
            (Notice::bad(problem.to_string()), status)
        }
    };
    refused(context, &subject, form, Some(notice), status).await
}

/// Returns the response that a form stands for, read beside the threads that serve.
async fn read(subject: &Subject, form: &AnswerForm) -> Result<Result<Response, Problem>, Problem> {
    let (subject, form) = (subject.clone(), form.clone());
    blocking(move || response(&subject, &form)).await
}

/// Returns the response that a form stands for.
///
/// # Errors
/// A 422 that says what is missing.
fn response(subject: &Subject, form: &AnswerForm) -> Result<Response, Problem> {
    let action: HitlAction = form
        .action
        .parse()
        .map_err(|_| Problem::invalid("action", "must be approve, amend or reject"))?;
    let given = |text: &str| Some(lines(text)).filter(|text| !text.trim().is_empty());
    let mut content = given(&form.content);
    let mut amended = None;
    match (Case::of(&subject.request), action) {
        (Case::Question, HitlAction::Approve) => {
            content = content.or_else(|| suggested(subject, form));
            if content.is_none() {
                return Err(missing("Choose an answer or write one."));
            }
        }
        (Case::Budget, HitlAction::Amend) => amended = Some(limit(form)?),
        (_, HitlAction::Amend) => {
            amended = match &form.document {
                Some(text) => Some(edited(subject, text, form.typed().is_json)?),
                None => None,
            };
            if content.is_none() && amended.is_none() {
                return Err(missing("Write what should change, or edit the document."));
            }
        }
        (_, HitlAction::Approve | HitlAction::Reject) => {
            let is_edited = form.document.as_deref().is_some_and(|text| {
                let before = subject.artifacts.first();
                before
                    .is_none_or(|one| content::editable(one, form.typed().is_json).0 != lines(text))
            });
            if content.is_some() || is_edited {
                return Err(missing(
                    "This answer takes neither feedback nor an edited document, and you have \
                     written one: choose the other answer to send it, or take your changes back.",
                ));
            }
        }
    }
    Ok(Response {
        action,
        content,
        comment: given(&form.comment),
        amended_content: amended,
        subject_digest: Some(form.subject_digest.clone()),
    })
}

fn missing(text: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}

/// Returns a text with the line ends of the API; browsers send those of HTTP.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn suggested(subject: &Subject, form: &AnswerForm) -> Option<String> {
    let index: usize = form.choice.as_deref()?.parse().ok()?;
    subject.request.options.get(index).cloned()
}

/// Returns the document that a person has edited.
fn edited(subject: &Subject, text: &str, is_json: bool) -> Result<Map<String, Value>, Problem> {
    let artifact = subject.artifacts.first();
    let artifact = artifact.ok_or_else(|| missing("There is no document to edit."))?;
    let (before, is_markdown) = content::editable(artifact, is_json);
    let text = lines(text);
    if text == before {
        return Err(missing("Your version is the same as the document under review."));
    }
    if is_markdown {
        let mut content = artifact.content.clone();
        content.insert("markdown".to_owned(), Value::String(text));
        return Ok(content);
    }
    document::read(&text)
}

/// Returns the limit that a person has entered.
fn limit(form: &AnswerForm) -> Result<Map<String, Value>, Problem> {
    let mut content = Map::new();
    if !form.tokens.trim().is_empty() {
        let tokens =
            texts::whole(&form.tokens).ok_or_else(|| missing("Tokens are a whole number."))?;
        content.insert("tokens".to_owned(), tokens.into());
    }
    if !form.dollars.trim().is_empty() {
        let cost = texts::micro_usd(&form.dollars)
            .ok_or_else(|| missing("An amount is a number of dollars, such as 2.50."))?;
        content.insert("cost_micro_usd".to_owned(), cost.into());
    }
    if content.is_empty() {
        return Err(missing("Enter the new limit in tokens, in dollars, or both."));
    }
    Ok(content)
}
