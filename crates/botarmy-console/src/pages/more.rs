//! All entries of the navigation, for small screens, which show the first ones only.

use actix_web::HttpResponse;
use askama::Template;
use botarmy_web::Problem;
use serde::Deserialize;

use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::Layout;

#[derive(Template)]
#[template(path = "more.html")]
struct MoreTemplate {
    layout: Layout,
    frame: Frame,
}

#[derive(Default, Deserialize)]
struct NoQuery {}

/// Shows the list.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let (layout, frame) = context.frame(Section::More, "More").await?;
    context.respond(&MoreTemplate { layout, frame })
}
