//! Headers with which browsers limit what a response can do, on every response.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::error::Problem;

/// Policy of pages: their own files and calls, no frame around them, and no other base for links.
const PAGE_POLICY: &str = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Policy of generated content, which a browser must not run in the origin of the server.
const DOWNLOAD_POLICY: &str = "sandbox";
/// Time for which browsers use TLS only: a year.
const TRANSPORT_SECURITY: &str = "max-age=31536000";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Headers that every response gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SecurityHeaders {
    has_tls: bool,
}

impl SecurityHeaders {
    /// Begins with whether the server has TLS of its own.
    pub(crate) const fn new(has_tls: bool) -> Self {
        Self { has_tls }
    }

    /// Adds the headers. What a handler has set, such as a policy of its own, stays.
    pub(crate) fn add(self, headers: &mut HeaderMap) {
        for (name, value) in self.always() {
            set(headers, name, value);
        }
        if headers.contains_key(header::CONTENT_DISPOSITION) {
            set(headers, header::CONTENT_SECURITY_POLICY, DOWNLOAD_POLICY);
        }
        let is_page = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|content_type| content_type.as_bytes().starts_with(b"text/html"));
        if is_page {
            set(headers, header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
            set(headers, OPENER_POLICY, "same-origin");
        }
        if !headers.contains_key(header::ETAG) {
            set(headers, header::CACHE_CONTROL, "no-store");
        }
    }

    /// Adds them to a problem that has not become a response yet.
    pub(crate) fn add_to_problem(self, problem: Problem) -> Problem {
        self.always()
            .chain([(header::CACHE_CONTROL, "no-store")])
            .fold(problem, |problem, (name, value)| {
                problem.with_header(name, HeaderValue::from_static(value))
            })
    }

    fn always(self) -> impl Iterator<Item = (HeaderName, &'static str)> {
        let transport =
            self.has_tls.then_some((header::STRICT_TRANSPORT_SECURITY, TRANSPORT_SECURITY));
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "no-referrer")]
            .into_iter()
            .chain(transport)
    }
}

/// Adds a header unless there is one.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(has_tls: bool, given: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        SecurityHeaders::new(has_tls).add(&mut headers);
        headers
    }

    fn text(headers: &HeaderMap, name: HeaderName) -> &str {
        headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn only_pages_and_downloads_have_a_policy_and_only_tls_promises_itself() {
        let json = added(false, &[(header::CONTENT_TYPE, "application/json")]);
        assert_eq!(text(&json, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(text(&json, header::REFERRER_POLICY), "no-referrer");
        assert_eq!(text(&json, header::CACHE_CONTROL), "no-store");
        assert_eq!(text(&json, header::CONTENT_SECURITY_POLICY), "");
        assert_eq!(text(&json, header::STRICT_TRANSPORT_SECURITY), "");
        let page = added(true, &[(header::CONTENT_TYPE, "text/html; charset=utf-8")]);
        assert_eq!(text(&page, header::CONTENT_SECURITY_POLICY), PAGE_POLICY);
        assert_eq!(text(&page, OPENER_POLICY), "same-origin");
        assert_eq!(text(&page, header::STRICT_TRANSPORT_SECURITY), TRANSPORT_SECURITY);
        let download = [(header::CONTENT_DISPOSITION, "attachment"), (header::ETAG, "\"x\"")];
        let download = added(false, &download);
        assert_eq!(text(&download, header::CONTENT_SECURITY_POLICY), "sandbox");
        assert_eq!(text(&download, header::CACHE_CONTROL), "", "a validator allows a copy");
    }

    #[test]
    fn what_a_handler_has_set_stays() {
        let own = added(
            false,
            &[
                (header::CONTENT_TYPE, "text/html"),
                (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
                (header::CACHE_CONTROL, "max-age=3600"),
                (header::REFERRER_POLICY, "same-origin"),
            ],
        );
        assert_eq!(text(&own, header::CONTENT_SECURITY_POLICY), "default-src 'none'");
        assert_eq!(text(&own, header::CACHE_CONTROL), "max-age=3600");
        assert_eq!(text(&own, header::REFERRER_POLICY), "same-origin");
    }
}
