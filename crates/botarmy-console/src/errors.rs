//! Errors of requests for pages, as pages.

use std::time::Duration;

use actix_web::ResponseError;
use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, StatusCode, header};
use askama::Template;
use botarmy_web::{
    ErrorPage, ErrorPages, PageRequest, Problem, SESSION_COOKIE, SameSite, set_cookie,
};

use crate::html::{HEADERS, Layout, Onward};
use crate::pages::preview;
use crate::{Console, next};

/// Path to which a sign-in leads first. A browser that arrives there without its session has not kept the
/// cookie.
pub(crate) const SIGNED_IN: &str = "/console/signed-in";
/// Path of the sign-in.
pub(crate) const LOGIN: &str = "/console/login";

/// Codes of the problems of a session that is over.
const ENDED: [&str; 2] = ["session_invalid", "session_expired"];

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorTemplate<'a> {
    layout: Layout,
    status: u16,
    title: &'a str,
    detail: &'a str,
    request_id: &'a str,
    /// Path and query of the sign-in, if it would help.
    sign_in: Option<String>,
}

impl ErrorPages for Console {
    fn page(&self, problem: &Problem, request: &PageRequest) -> ErrorPage {
        if let Some(page) = preview::error(problem, &request.target) {
            return page;
        }
        let status = problem.status_code();
        let mut page = self.written(problem, request, status);
        // A browser that kept it would be refused again on each page.
        if problem.code().is_some_and(|code| ENDED.contains(&code)) {
            let gone = set_cookie(SESSION_COOKIE, "", SameSite::Strict, Some(Duration::ZERO));
            page.headers.push((header::SET_COOKIE, gone));
        }
        page
    }
}

impl Console {
    fn written(&self, problem: &Problem, request: &PageRequest, status: StatusCode) -> ErrorPage {
        if status == StatusCode::UNAUTHORIZED && request.method == Method::GET {
            let path = request.target.split('?').next().unwrap_or_default();
            if path == SIGNED_IN {
                return self.cookie_was_not_kept(problem, request);
            }
            let next = next::own(&request.target);
            if request.is_cross_site {
                return self.once_more(next);
            }
            return self.to_login(next);
        }
        let detail = if status == StatusCode::UNAUTHORIZED {
            "Your session has ended, and nothing was recorded. Go back in your browser to copy what you \
             have written, then sign in again."
                .to_owned()
        } else {
            problem.to_string()
        };
        self.error(problem, request, title(status), &detail)
    }

    fn error(
        &self,
        problem: &Problem,
        request: &PageRequest,
        title: &str,
        detail: &str,
    ) -> ErrorPage {
        let status = problem.status_code();
        let page = ErrorTemplate {
            layout: Layout::of(self),
            status: status.as_u16(),
            title,
            detail,
            request_id: &request.request_id,
            sign_in: (status == StatusCode::UNAUTHORIZED).then(|| sign_in_from(request)),
        };
        let mut headers = problem.headers().to_vec();
        headers.extend(HEADERS);
        // Templates of this crate fail only where a text cannot be written to memory.
        ErrorPage { status, headers, body: page.render().unwrap_or_default() }
    }

    /// Returns the redirection to the sign-in.
    fn to_login(&self, next: &str) -> ErrorPage {
        let location = self.path(&next::with_next(LOGIN, next));
        let location = HeaderValue::from_str(&location).expect("own paths are visible ASCII");
        let headers = vec![
            (header::LOCATION, location),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        ErrorPage { status: StatusCode::SEE_OTHER, headers, body: String::new() }
    }

    /// Returns the page that asks for the same once more, this time from a page of this server.
    fn once_more(&self, next: &str) -> ErrorPage {
        let url = self.path(next);
        let page = Onward {
            layout: Layout::of(self),
            url: &url,
            title: "One moment",
            link: "Continue to the console",
        };
        ErrorPage {
            status: StatusCode::OK,
            headers: HEADERS.to_vec(),
            body: page.render().unwrap_or_default(),
        }
    }

    fn cookie_was_not_kept(&self, problem: &Problem, request: &PageRequest) -> ErrorPage {
        let detail = "You were signed in, but your browser has not kept the cookie of the session. It \
                      does so over https, and on this machine at http://botarmy.localhost, \
                      http://localhost or http://127.0.0.1 with the port of the server. Allow cookies \
                      for this address, or use one of these.";
        self.error(problem, request, "The sign-in was not kept", detail)
    }
}

/// Returns the path and the query of the sign-in, which leads back to the page with the form.
fn sign_in_from(request: &PageRequest) -> String {
    let referer = request.referer.as_deref().unwrap_or_default();
    let page = referer.find("/console/").map_or("", |at| &referer[at..]);
    next::with_next(LOGIN, next::own(page))
}

fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "You are not signed in",
        403 => "This is not possible for you",
        404 => "This page does not exist",
        405 => "This is not possible here",
        409 => "This is not possible any more",
        413 => "This is too large",
        421 => "This is not a name of the server",
        429 => "Too many requests",
        503 => "The server is not available now",
        500.. => "The server failed",
        _ => "The request was not understood",
    }
}
