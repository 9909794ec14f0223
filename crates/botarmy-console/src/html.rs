//! Responses with pages, and the headers that every page has.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use askama::Template;
use botarmy_web::Problem;

use crate::preferences::Preferences;
use crate::view::waiting::Waiting;
use crate::{Console, assets};

/// Policy of pages: files and calls of their own origin, no script or style in the page itself, no frame
/// around it, and no other base for links.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; manifest-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Headers of pages. With `no-referrer`, browsers would send `Origin: null` with forms. A page is shown
/// again only after the server has agreed to it.
pub(crate) const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Parts of the layout that differ by server: the paths of its files.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Path of the prefix of the public address.
    pub(crate) prefix: String,
    pub(crate) style: String,
    pub(crate) script: String,
    pub(crate) icon: String,
    pub(crate) manifest: String,
    /// Appearance that the person has chosen, if it is not that of the system.
    pub(crate) theme: Option<&'static str>,
}

impl Layout {
    pub(crate) fn of(console: &Console) -> Self {
        let asset = |name| console.path(&assets::path(name));
        Self {
            prefix: console.path(""),
            style: asset("console.css"),
            script: asset("console.js"),
            icon: asset("icon.svg"),
            manifest: asset("console.webmanifest"),
            theme: None,
        }
    }

    /// Sets the appearance, and the icon with the number of waiting requests.
    pub(crate) fn with(mut self, preferences: &Preferences, waiting: Waiting) -> Self {
        self.theme = preferences.theme.forced();
        self.icon = format!("{}{}", self.prefix, assets::icon(waiting.count));
        self
    }
}

/// Page that sends the browser on by itself, as a page of this server: then the browser sends the cookie
/// of the session, which it leaves out when another site has sent it here. A redirection that follows a
/// form also counts as the target of the form, which pages may not have elsewhere.
#[derive(Template)]
#[template(path = "onward.html")]
pub(crate) struct Onward<'a> {
    pub(crate) layout: Layout,
    pub(crate) url: &'a str,
    pub(crate) title: &'a str,
    pub(crate) link: &'a str,
}

/// Returns a response with this page.
///
/// # Errors
/// A 500 for a template that fails.
pub(crate) fn respond(status: StatusCode, page: &impl Template) -> Result<HttpResponse, Problem> {
    Ok(respond_html(status, page.render().map_err(Problem::internal)?))
}

/// Returns a response with this HTML.
pub(crate) fn respond_html(status: StatusCode, html: String) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    for header in HEADERS {
        response.insert_header(header);
    }
    response.body(html)
}

/// Returns a redirection to this path.
pub(crate) fn redirect(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}
