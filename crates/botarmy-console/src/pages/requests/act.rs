//! Work of people on a request beside answering it: reserving it, asking another person, giving it more
//! time, reminding, and discussing it. Each is a form of its own, and done once for the key of the form.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Path;
use actix_web::{HttpResponse, ResponseError as _};
use botarmy_domain::{DomainError, Error, HitlRequest};
use botarmy_web::Problem;

use super::act_form::{ActForm, mark};
use super::asked::{Notice, ReviewQuery, Typed};
use super::{load, page};
use crate::context::PageContext;
use crate::guard::Form;
use crate::html;
use crate::pages::once::{self, Created, Sent};

/// Takes a form.
pub(crate) async fn act(
    context: PageContext,
    path: Path<String>,
    Form { caller, fields }: Form<ActForm>,
) -> Result<HttpResponse, Problem> {
    let id = load::id(&path)?;
    once::check_key(&fields.key)?;
    let asked = fields.read()?;
    let page = format!("/console/requests/{id}");
    let path = format!("{page}/act");
    let sent = Sent {
        key: &fields.key,
        path: &path,
        fields: &[&fields.act, &fields.to, &fields.by_s, &fields.comment, &fields.reply_to],
    };
    let (visitor, name) = (context.visitor.clone(), fields.act.clone());
    let end = if name == "comment" { "#discussion" } else { "" };
    let location = move |request: &Arc<HitlRequest>| {
        let mark = visitor.mark(&mark(request, &name));
        let mark = mark.map_or_else(String::new, |mark| format!("?done={name}&mark={mark}"));
        format!("{page}{mark}{end}")
    };
    let gates = &context.console.gates;
    let place = location.clone();
    let done = once::once(&context, caller, sent, location, async |caller| {
        gates.act(id, asked, caller).await
    });
    let error = match done.await {
        Ok(Created::Now(request)) => return Ok(html::redirect(&context.path(&place(&request)))),
        Ok(Created::Before(place)) => return Ok(html::redirect(&context.path(&place))),
        Err(Error::Refused(error)) => error,
        Err(error) => return Err(error.into()),
    };
    let (notice, status) = refusal(error);
    let subject = load::load(&context, id).await?;
    let typed = Typed { act: fields, ..Typed::default() };
    let query = ReviewQuery::default();
    page::respond(&context, &subject, &query, typed, Some(Notice::bad(notice)), status).await
}

/// Returns the message of a refusal, and the status of the page.
fn refusal(error: DomainError) -> (String, StatusCode) {
    if once::is_of_another(&error) {
        let text = "This page was used for something else. Load it again, and repeat what you did.";
        return (text.to_owned(), StatusCode::CONFLICT);
    }
    if let DomainError::Invalid { field, message } = &error {
        let name = match *field {
            "to" => "The other person",
            "by_s" => "The time",
            _ => "Your text",
        };
        return (
            format!("Nothing was changed. {name} {message}."),
            StatusCode::UNPROCESSABLE_ENTITY,
        );
    }
    let problem = Problem::from(error);
    (problem.to_string(), problem.status_code())
}
