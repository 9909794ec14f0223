//! Errors as pages: people who use a browser get HTML in place of a problem document.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, header};
use botarmy_domain::ContextId;

use crate::{Problem, REQUEST_ID};

/// First part of the paths that are pages.
const PAGES: &str = "/console";

/// Beginning of the paths of previews; a token follows.
const PREVIEWS: &str = "/console/preview/";

/// Returns the token and the rest of the path of a preview; `None` for another path.
#[must_use]
pub fn preview_path(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PREVIEWS)?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// Returns whether a path, with the prefix of the public address or without it, is that of a preview. Its
/// token must not be logged.
#[must_use]
pub fn has_preview_token(path: &str) -> bool {
    path.contains(PREVIEWS)
}

/// Beginning of the paths of answer links; a token follows.
const ANSWER_LINKS: &str = "/g/";

/// Returns whether a path of the server is that of an answer link: one part follows, with the token. A slash
/// at the end does not matter.
#[must_use]
pub fn is_answer_link(path: &str) -> bool {
    let token = path.strip_prefix(ANSWER_LINKS);
    let token = token.map(|token| token.strip_suffix('/').unwrap_or(token));
    token.is_some_and(|token| !token.is_empty() && !token.contains('/'))
}

/// Artifact whose preview a request asks for, an extension of the request. It is put there in one place,
/// after the token was found to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preview(pub ContextId);

/// Returns whether a path of the server is that of a page, or of something that belongs to pages.
#[must_use]
pub fn is_page(path: &str) -> bool {
    let rest = path.strip_prefix(PAGES);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns whether the sender of a request shows HTML.
#[must_use]
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(','));
    types.any(|one| {
        let name = one.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("text/html")
    })
}

/// Returns a path of pages in which ids are printable ASCII characters. The router compiles a regular
/// expression for each on every thread, which takes 11 us; for any characters it takes 34 us.
#[must_use]
pub fn ascii(path: &str) -> String {
    path.replace('}', ":[!-.0-~]+}")
}

/// Request for a page, as far as the page of its error depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Method.
    pub method: Method,
    /// Path without the prefix of the public address, and query.
    pub target: String,
    /// Whether a page of another site has sent the browser here, so that it left out the cookie of the
    /// session.
    pub is_cross_site: bool,
    /// Address of the page from which it was sent, as the browser says; it may be any text.
    pub referer: Option<String>,
    /// Id of the request.
    pub request_id: String,
}

impl PageRequest {
    /// Returns the request if it is one for a page. Its path must have been normalised, and its id
    /// assigned.
    #[must_use]
    pub fn of(request: &ServiceRequest) -> Option<Self> {
        if !is_page(request.path()) && !is_answer_link(request.path()) {
            return None;
        }
        let site = request.headers().get("sec-fetch-site");
        let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let referer = request.headers().get(header::REFERER);
        let target = request.uri().path_and_query();
        Some(Self {
            method: request.method().clone(),
            // The token of an answer link leads to no other page.
            target: target
                .filter(|_| is_page(request.path()))
                .map_or_else(String::new, ToString::to_string),
            is_cross_site: site
                .is_some_and(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site")),
            referer: referer.and_then(|url| url.to_str().ok()).map(str::to_owned),
            request_id: id.unwrap_or_default().to_owned(),
        })
    }
}

/// Error of a request for a page, as a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// Status; that of the problem, or of a redirection in its place.
    pub status: StatusCode,
    /// Headers beside those of the problem.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// HTML.
    pub body: String,
}

/// Writes errors as pages.
pub trait ErrorPages: Send + Sync + 'static {
    /// Returns the page in place of this problem.
    fn page(&self, problem: &Problem, request: &PageRequest) -> ErrorPage;
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn pages_are_below_one_path() {
        for (path, expected) in [
            ("/console", true),
            ("/console/login", true),
            ("/consoles", false),
            ("/api/v1/console", false),
            ("//console", false),
            ("/", false),
        ] {
            assert_eq!(is_page(path), expected, "{path}");
        }
    }

    #[test]
    fn one_part_with_a_token_makes_an_answer_link() {
        for (path, expected) in [
            ("/g/t", true),
            ("/g/t/", true),
            ("/g/t//", false),
            ("/g/t/u", false),
            ("/g//", false),
            ("/g/", false),
            ("/g", false),
            ("/x/g/t", false),
        ] {
            assert_eq!(is_answer_link(path), expected, "{path}");
        }
    }

    #[test]
    fn the_path_of_a_preview_begins_with_its_token() {
        for (path, expected) in [
            ("/console/preview/t/a/b.js", Some(("t", "a/b.js"))),
            ("/console/preview/t/", Some(("t", ""))),
            ("/console/preview/t", Some(("t", ""))),
            ("/console/preview/", Some(("", ""))),
            ("/console/preview", None),
            ("/console/previews/t", None),
        ] {
            assert_eq!(preview_path(path), expected, "{path}");
        }
    }

    #[test]
    fn a_browser_says_that_it_shows_html() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("application/json, Text/HTML;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
            ("text/html5", false),
        ] {
            let request = TestRequest::get().insert_header(("accept", accept)).to_srv_request();
            assert_eq!(accepts_html(request.headers()), expected, "{accept}");
        }
    }

    #[test]
    fn a_request_for_a_page_says_where_it_comes_from() {
        for (site, expected) in
            [("none", false), ("same-origin", false), ("same-site", true), ("cross-site", true)]
        {
            let request = TestRequest::get()
                .uri("/console?x=1")
                .insert_header(("sec-fetch-site", site))
                .insert_header((REQUEST_ID, "r-1"))
                .to_srv_request();
            let page = PageRequest::of(&request).unwrap();
            assert_eq!((page.target.as_str(), page.is_cross_site), ("/console?x=1", expected));
            assert_eq!(page.request_id, "r-1");
        }
        assert_eq!(PageRequest::of(&TestRequest::get().uri("/x").to_srv_request()), None);
    }
}
