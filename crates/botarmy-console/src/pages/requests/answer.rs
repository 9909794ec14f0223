//! The answer to a request. The first form returns the page that asks for a confirmation, the second
//! commits. Whatever goes wrong, the page is shown again with the typed text.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::artifact::{digest, digest_bytes};
use botarmy_domain::hitl::HitlState;
use botarmy_domain::idempotency::ALREADY_REPLIED;
use botarmy_domain::vocabulary::Verdict;
use botarmy_domain::{
    CallReply, Caller, DomainError, Error, HitlAction, HitlRequestId, HitlStatus, InvalidPart,
    KeyedCall, Limit, Permission, Place, RequestDigest, Responded, Response,
};
use botarmy_web::Problem;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::{Notice, ReviewQuery, Typed};
use super::content;
use super::load::{self, Subject};
use super::page;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::pages::once;
use crate::view::answer_form::{self, AnswerForm as SchemaForm, Errors};
use crate::view::icon::Icon;
use crate::view::request::{self, AnswerView, Case};
use crate::view::{diff, review, texts, typed_json, usage};

/// Most errors of a document that are listed.
const MAX_PARTS: usize = 5;

/// The form.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnswerForm {
    key: String,
    subject_digest: String,
    action: String,
    content: String,
    comment: String,
    /// Index of the suggested answer.
    choice: Option<String>,
    /// Edited document.
    document: Option<String>,
    /// `json` if it is edited as JSON, `markdown` if its text is.
    edited: Option<String>,
    tokens: String,
    dollars: String,
    /// `yes` to commit, `no` to go back; absent in the first form.
    confirmed: Option<String>,
    /// Fields of an answer with a schema, whose names depend on it.
    fields: answer_form::Typed,
}

/// Fields of the form by name.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct AnswerFields(BTreeMap<String, String>);

impl HasToken for AnswerFields {
    const DOCUMENT: Option<&'static str> = Some("document");

    fn form_token(&self) -> &str {
        self.0.get("form_token").map_or("", String::as_str)
    }
}

impl AnswerFields {
    /// Returns the form that the fields are of.
    ///
    /// # Errors
    /// A 422 that names a field which is missing, or which the form does not have.
    fn form(self) -> Result<AnswerForm, Problem> {
        let Self(mut fields) = self;
        fields.remove("form_token");
        let mut needed = |name: &'static str| {
            fields.remove(name).ok_or_else(|| Problem::invalid(name, "is missing"))
        };
        let (key, subject_digest, action) =
            (needed("key")?, needed("subject_digest")?, needed("action")?);
        let mut optional = |name: &str| fields.remove(name);
        let form = AnswerForm {
            key,
            subject_digest,
            action,
            content: optional("content").unwrap_or_default(),
            comment: optional("comment").unwrap_or_default(),
            choice: optional("choice"),
            document: optional("document"),
            edited: optional("edited"),
            tokens: optional("tokens").unwrap_or_default(),
            dollars: optional("dollars").unwrap_or_default(),
            confirmed: optional("confirmed"),
            fields: answer_form::Typed::new(),
        };
        let is_of_schema =
            |name: &&String| *name == answer_form::JSON || name.starts_with(answer_form::PREFIX);
        match fields.keys().find(|name| !is_of_schema(name)) {
            Some(name) => Err(Problem::invalid(name.clone(), "is not a field of this form")),
            None => Ok(AnswerForm { fields, ..form }),
        }
    }
}

/// Reason for which a form stands for no response.
struct Wrong {
    text: String,
    /// Errors of fields.
    errors: Errors,
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self { text, errors: Errors::new() }
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
            fields: self.fields.clone(),
            ..Typed::default()
        }
    }

    /// Returns a digest over what the form asks for, by which a repetition is recognised.
    fn digest(&self) -> String {
        let parts = json!([
            self.action.as_str(),
            &self.subject_digest,
            &self.content,
            &self.comment,
            self.choice.as_deref().unwrap_or_default(),
            self.document.as_deref().unwrap_or_default(),
            self.edited.as_deref().unwrap_or_default(),
            &self.tokens,
            &self.dollars,
            &self.fields,
        ]);
        digest_bytes(parts.to_string().as_bytes())
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
    said: Vec<(String, String)>,
    is_rejection: bool,
    /// Whether the answer can be taken back.
    is_vote: bool,
    name: String,
}

/// Takes a form.
pub(crate) async fn answer(
    context: PageContext,
    path: Path<String>,
    Form { caller, fields }: Form<AnswerFields>,
) -> Result<HttpResponse, Problem> {
    let id = load::id(&path)?;
    let fields = fields.form()?;
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
        Err(wrong) => return refused_as_wrong(context, subject, form, wrong).await,
    };
    if let Some(error) =
        subject.allowed.refusal.clone().filter(|_| !subject.may(response.verdict()))
    {
        let problem = Problem::from(error);
        let status = actix_web::ResponseError::status_code(&problem);
        let notice = Notice::bad(problem.to_string());
        return refused(context, subject, form, Some(notice), status).await;
    }
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
            is_vote: request.pinned_policy().policy.approvals() > 1
                && response.action != HitlAction::Amend,
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
        (Case::Planned, HitlAction::Approve) => "Let the step run?".to_owned(),
        (Case::Planned, HitlAction::Amend) => "Have the step planned again?".to_owned(),
        (Case::Planned, HitlAction::Reject) => "Reject the step?".to_owned(),
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
fn said(subject: &Subject, form: &AnswerForm, response: &Response) -> Vec<(String, String)> {
    let mut said = Vec::new();
    if let (Some(answer), Some(schema)) = (&response.response, &subject.request.response_schema) {
        said.extend(answer_form::of(schema).said(answer));
    }
    if let Some(content) = &response.content {
        let name =
            if response.action == HitlAction::Amend { "Your feedback" } else { "Your answer" };
        said.push((name.to_owned(), content.clone()));
    }
    match (&response.amended_content, Case::of(&subject.request)) {
        (Some(amounts), Case::Budget) => {
            said.extend(limits(amounts).map(|(name, amount)| (name.to_owned(), amount)));
        }
        (Some(document), _) => {
            said.push(("Your version".to_owned(), changed_lines(subject, form)));
            said.push(("Its digest".to_owned(), digest(document)));
        }
        (None, _) => {}
    }
    said.extend(response.comment.clone().map(|comment| ("Comment".to_owned(), comment)));
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

/// Shows the request again with what is wrong with the form.
async fn refused_as_wrong(
    context: &PageContext,
    subject: &Subject,
    form: &AnswerForm,
    Wrong { text, errors }: Wrong,
) -> Result<HttpResponse, Problem> {
    let (query, status) = (ReviewQuery::default(), StatusCode::UNPROCESSABLE_ENTITY);
    let typed = Typed { errors, ..form.typed() };
    page::respond(context, subject, &query, typed, Some(Notice::bad(text)), status).await
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
        Err(wrong) => return refused_as_wrong(context, &subject, form, wrong).await,
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
            if let DomainError::InvalidDocument(parts) = &error {
                return refused_as_wrong(context, &subject, form, wrong(&subject, parts)).await;
            }
            let problem = Problem::from(error);
            let status = actix_web::ResponseError::status_code(&problem);
            (Notice::bad(problem.to_string()), status)
        }
    };
    refused(context, &subject, form, Some(notice), status).await
}

/// Returns what is wrong with an answer or a document, as far as possible by its fields.
fn wrong(subject: &Subject, parts: &[InvalidPart]) -> Wrong {
    let form = subject.request.response_schema.as_ref().map(answer_form::of);
    let (mut errors, mut others) = (Errors::new(), Vec::new());
    for part in parts {
        let line = located(part);
        match form.as_ref().and_then(|form| form.field_of(&part.pointer)) {
            Some(name) if form == Some(SchemaForm::Json) => {
                let known = errors.entry(name).or_default();
                *known = if known.is_empty() { line } else { format!("{known}; {line}") };
            }
            Some(name) => drop(errors.entry(name).or_insert_with(|| part.message.clone())),
            None => others.push(line),
        }
    }
    let mut text = if errors.is_empty() {
        "Your version does not match the schema, and was not recorded.".to_owned()
    } else {
        "Your answer was not recorded: some of it is not as it has to be.".to_owned()
    };
    let more = others.len().saturating_sub(MAX_PARTS);
    for line in others.into_iter().take(MAX_PARTS) {
        text = format!("{text} {}.", line.trim_end_matches('.'));
    }
    if more > 0 {
        text = format!("{text} There are {more} more errors.");
    }
    Wrong { text, errors }
}

/// Returns an error with the place in what was typed.
fn located(part: &InvalidPart) -> String {
    let inner = |prefix| part.pointer.strip_prefix(prefix);
    let place = inner("/amended_content").or_else(|| inner("/response"));
    match place.unwrap_or(&part.pointer) {
        "" => format!("It: {}", part.message),
        place => format!("`{place}`: {}", part.message),
    }
}

/// Returns the response that a form stands for, read beside the threads that serve.
async fn read(subject: &Subject, form: &AnswerForm) -> Result<Result<Response, Wrong>, Problem> {
    let (subject, form) = (subject.clone(), form.clone());
    blocking(move || response(&subject, &form)).await
}

/// Returns the response that a form stands for.
///
/// # Errors
/// The error, with what is missing or malformed.
fn response(subject: &Subject, form: &AnswerForm) -> Result<Response, Wrong> {
    let action: HitlAction =
        form.action.parse().map_err(|_| missing("The answer must be approve, amend or reject."))?;
    let given = |text: &str| Some(lines(text)).filter(|text| !text.trim().is_empty());
    let mut content = given(&form.content);
    let (mut amended, mut answer) = (None, None);
    match (Case::of(&subject.request), action) {
        (_, HitlAction::Approve) if subject.request.response_schema.is_some() => {
            answer = Some(by_schema(subject, form)?);
        }
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
    let response = Response {
        content,
        comment: given(&form.comment),
        amended_content: amended,
        subject_digest: Some(form.subject_digest.clone()),
        response: answer,
        ..Response::new(action)
    };
    check_comment(subject, &response)?;
    Ok(response)
}

/// Checks that there is a comment where the policy wants one, before a person is asked to confirm.
fn check_comment(subject: &Subject, response: &Response) -> Result<(), Wrong> {
    let policy = &subject.request.pinned_policy().policy;
    let has_words = response.content().is_some() || response.comment().is_some();
    let is_wanted = policy.comment.contains(&response.verdict());
    if !is_wanted || has_words || response.verdict() == Verdict::RequestChanges {
        return Ok(());
    }
    let policy = match policy.name.as_str() {
        "" => "The policy".to_owned(),
        name => format!("The policy “{name}”"),
    };
    Err(format!("{policy} wants a reason for this answer: write a comment.").into())
}

/// Returns the answer in the form that the request asks for.
fn by_schema(subject: &Subject, form: &AnswerForm) -> Result<Value, Wrong> {
    let schema = subject.request.response_schema.clone().unwrap_or_default();
    answer_form::of(&schema).read(&form.fields).map_err(|errors| Wrong {
        text: "Your answer was not recorded: some of it is missing or not as it has to be."
            .to_owned(),
        errors,
    })
}

fn missing(text: &str) -> Wrong {
    text.to_owned().into()
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
fn edited(subject: &Subject, text: &str, is_json: bool) -> Result<Map<String, Value>, Wrong> {
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
    Ok(typed_json::object(&text, "Your version")?)
}

/// Returns the limit that a person has entered.
fn limit(form: &AnswerForm) -> Result<Map<String, Value>, Wrong> {
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
