//! The number of waiting requests, which every page shows and the script keeps current.

use actix_web::HttpResponse;
use askama::Template;
use botarmy_web::Problem;
use serde::Deserialize;

use crate::assets;
use crate::context::PageContext;
use crate::view::waiting::Waiting;

#[derive(Template)]
#[template(path = "parts/waiting.html")]
struct WaitingTemplate {
    waiting: Waiting,
    icon: String,
}

#[derive(Default, Deserialize)]
struct NoQuery {}

/// Shows the number alone.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let waiting = context.waiting().await?;
    let icon = context.path(&assets::icon(waiting.count));
    context.respond(&WaitingTemplate { waiting, icon })
}
