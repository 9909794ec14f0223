//! The list of shortcuts.

use actix_web::HttpResponse;
use askama::Template;
use botarmy_web::Problem;
use serde::Deserialize;

use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::Layout;
use crate::view::icon::Icon;

/// Keys with their effects; several keys are separated by spaces.
type Keys = &'static [(&'static str, &'static str)];

const GROUPS: [(&str, Keys); 3] = [
    (
        "Everywhere",
        &[
            ("g i", "Inbox"),
            ("g p", "Projects"),
            ("g s", "Settings"),
            ("/", "Search"),
            ("c", "Copy the id of what is shown"),
            ("?", "This list"),
        ],
    ),
    (
        "Lists",
        &[("j k", "Next and previous row"), ("Enter", "Open the row"), ("x", "Select the row")],
    ),
    (
        "A request",
        &[
            ("a m r", "Choose to approve, to amend or to reject"),
            ("Ctrl Enter", "Submit your decision, also while you type"),
            ("n", "Next request"),
            ("[ ]", "Previous and next tab"),
        ],
    ),
];

#[derive(Template)]
#[template(path = "help.html")]
struct HelpTemplate {
    layout: Layout,
    frame: Frame,
    groups: &'static [(&'static str, Keys)],
}

#[derive(Default, Deserialize)]
struct NoQuery {}

/// Shows the page.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let (layout, frame) = context.frame(Section::Settings, "Keyboard shortcuts").await?;
    let frame = frame.below([("Settings", context.path("/console/settings"))]);
    context.respond(&HelpTemplate { layout, frame, groups: &GROUPS })
}
