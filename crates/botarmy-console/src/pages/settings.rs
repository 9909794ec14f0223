//! The page with the settings of the browser.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use askama::Template;
use botarmy_web::Problem;
use serde::Deserialize;

use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::preferences::{Preferences, Theme};
use crate::view::icon::Icon;
use crate::{Console, next};

/// Path of the page.
const SETTINGS: &str = "/console/settings";

/// Values of the appearance, with their names and explanations.
const THEMES: [(&str, &str, &str); 3] = [
    ("system", "As the system", "Light or dark, as this device is set."),
    ("light", "Light", "Dark text on a light ground."),
    ("dark", "Dark", "Light text on a dark ground."),
];

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsTemplate {
    layout: Layout,
    frame: Frame,
    themes: &'static [(&'static str, &'static str, &'static str)],
    theme: &'static str,
    is_saved: bool,
}

#[derive(Default, Deserialize)]
struct SettingsQuery {
    /// Present after the form was sent.
    saved: Option<String>,
}

/// Shows the page.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: SettingsQuery = context.query()?;
    let theme = context.preferences.theme.as_str();
    let (layout, frame) = context.frame(Section::Settings, "Settings").await?;
    let is_saved = query.saved.is_some() && Preferences::are_kept(context.request.headers());
    context.respond(&SettingsTemplate { layout, frame, themes: &THEMES, theme, is_saved })
}

/// The form.
#[derive(Deserialize)]
pub(crate) struct SettingsForm {
    #[serde(default)]
    form_token: String,
    theme: String,
    zone: String,
    shortcuts: String,
}

impl HasToken for SettingsForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

/// Has the browser keep the settings.
pub(crate) async fn save(
    console: Data<Console>,
    Form { fields, .. }: Form<SettingsForm>,
) -> Result<HttpResponse, Problem> {
    let theme = Theme::parse(&fields.theme);
    let theme = theme.ok_or_else(|| Problem::invalid("theme", "must be system, light or dark"))?;
    let preferences = Preferences {
        theme,
        is_utc: one_of("zone", &fields.zone, "utc", "local")?,
        has_shortcuts: one_of("shortcuts", &fields.shortcuts, "on", "off")?,
    };
    let mut response = html::redirect(&console.path(&format!("{SETTINGS}?saved=1")));
    let cookie = preferences.cookie(&console.path(next::CONSOLE));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn one_of(field: &str, value: &str, yes: &str, no: &str) -> Result<bool, Problem> {
    match value {
        value if value == yes => Ok(true),
        value if value == no => Ok(false),
        _ => Err(Problem::invalid(field, format!("must be {yes} or {no}"))),
    }
}
