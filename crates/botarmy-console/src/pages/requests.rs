//! Requests to people: the page of one, its answer, and the answer to several together.

mod act;
mod act_form;
mod answer;
mod asked;
mod content;
mod load;
mod page;
mod together;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use botarmy_web::Problem;

use crate::context::PageContext;

pub(crate) use act::act;
pub(crate) use answer::answer;
pub(crate) use together::{answer_together, show_together};

/// Shows the page of a request.
pub(crate) async fn show(
    context: PageContext,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let query: asked::ReviewQuery = context.query_beside_part()?;
    let subject = load::load(&context, load::id(&path)?).await?;
    let notice = query.notice(&context, &subject);
    page::respond(&context, &subject, &query, asked::Typed::default(), notice, StatusCode::OK).await
}
