//! What keeps foreign web pages out. There is no access control, and a browser on this machine
//! reaches the loopback interface for any page it shows, so two things are refused here:
//!
//! - A request that may change something and was sent by a page of another origin (cross-site
//!   request forgery). A browser sends those without asking first when they look like a form, and
//!   CORS only keeps the answer from the page. It does say which page it was: `Origin` stands in
//!   every request but GET and HEAD (Fetch standard, section 3.2). Other clients send none.
//! - A request under a name that is not one of this machine. A page can have its own name resolve
//!   to 127.0.0.1, and is then of the same origin as this server for the browser (DNS rebinding).
//!   The browser still says the name: it is the `Host`.

use std::net::{Ipv4Addr, Ipv6Addr};

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;

use crate::State;
use crate::error::Problem;

/// What a page of a foreign origin is told.
pub(crate) const FOREIGN_ORIGIN: &str = "Pages of this origin may not call this server. Add it to \
     http.cors_origins, exactly as the browser sends it, if they should.";

/// What a request under a foreign name is told.
const FOREIGN_HOST: &str = "The Host of this request is not a name of this machine. The server \
     listens on loopback and answers only as localhost, 127.x.x.x or [::1], so that no web page can \
     reach it under a name of its own (DNS rebinding). A proxy in front must send such a Host.";

/// Lets a request pass, or says why not.
pub(crate) fn check(request: &ServiceRequest) -> Result<(), Problem> {
    let Some(state) = request.app_data::<Data<State>>() else { return Ok(()) };
    let settings = &state.settings;
    if settings.loopback_only {
        let named = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let mut names = named.into_iter().chain(values(request.headers(), &header::HOST));
        if !names.all(is_this_machine) {
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, FOREIGN_HOST));
        }
    }
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let host = request.headers().get(header::HOST).map(|host| host.as_bytes());
    let mut origins = values(request.headers(), &header::ORIGIN);
    if origins.all(|origin| is_configured(origin, &settings.cors_origins) || is_own(origin, host)) {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::FORBIDDEN, FOREIGN_ORIGIN))
    }
}

fn values<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).map(|value| value.as_bytes())
}

fn is_configured(origin: &[u8], configured: &[String]) -> bool {
    let same = |known: &String| known.trim_end_matches('/').as_bytes().eq_ignore_ascii_case(origin);
    configured.iter().any(same)
}

/// Whether this is the origin of the pages that this server itself serves. That it is the name the
/// request went to says nothing unless that is a name of this machine.
fn is_own(origin: &[u8], host: Option<&[u8]>) -> bool {
    let (Some(authority), Some(host)) = (origin.strip_prefix(b"http://"), host) else {
        return false;
    };
    authority.eq_ignore_ascii_case(host) && is_this_machine(host)
}

/// Whether a `Host` (a name or an address, and perhaps a port) always means this machine.
fn is_this_machine(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use actix_web::web::{self, ServiceConfig};
    use serde_json::json;

    use super::*;
    use crate::testing::{Answer, Fakes, get, path, post, project, raw, send_all};

    const OWN: &str = "127.0.0.1:8080";

    fn with(request: TestRequest, headers: &[(&str, &str)]) -> TestRequest {
        headers.iter().fold(request, |request, header| request.insert_header(*header))
    }

    /// Makes a project with these headers, or is refused before anything is asked of anybody.
    async fn create(headers: &[(&str, &str)]) -> Answer {
        let mut fakes = Fakes::default();
        fakes.orchestrator.expect_create_project().returning(|_, _| Ok(project().into()));
        fakes.send(with(post("/api/v1/projects", &json!({"name": "x"})), headers)).await
    }

    #[actix_web::test]
    async fn a_page_changes_something_only_from_an_origin_that_may() {
        for (origin, host, status) in [
            (None, OWN, 201),
            (Some("http://localhost:3000"), OWN, 201),
            (Some("HTTP://LocalHost:3000"), OWN, 201),
            (Some("http://127.0.0.1:8080"), OWN, 201),
            (Some("http://localhost:8080"), "localhost:8080", 201),
            (Some("http://[::1]:8080"), "[::1]:8080", 201),
            (Some("http://localhost"), "localhost", 201),
            // Another port, scheme or name is another origin.
            (Some("http://localhost:8080"), OWN, 403),
            (Some("http://127.0.0.1:8081"), OWN, 403),
            (Some("https://127.0.0.1:8080"), OWN, 403),
            (Some("http://localhost:3001"), OWN, 403),
            (Some("http://evil.example"), OWN, 403),
            (Some("http://localhost:3000.evil.example"), OWN, 403),
            (Some("null"), OWN, 403),
            (Some("*"), OWN, 403),
            (Some(""), OWN, 403),
        ] {
            let mut headers = vec![("host", host)];
            headers.extend(origin.map(|origin| ("origin", origin)));
            let answer = create(&headers).await;
            assert_eq!(answer.status, status, "{origin:?} at {host}");
            if status == 403 {
                let problem = answer.json();
                assert_eq!(answer.header("content-type"), "application/problem+json");
                assert!(problem["detail"].as_str().unwrap().contains("http.cors_origins"));
                assert_eq!(problem["instance"], "/api/v1/projects");
            }
        }
    }

    #[actix_web::test]
    async fn a_foreign_page_is_refused_with_or_without_a_body_on_every_path() {
        let evil = [("origin", "http://evil.example"), ("host", OWN)];
        let delete = TestRequest::delete().uri("/api/v1/artifacts/cleanup-old");
        let form = TestRequest::post().uri("/api/v1/projects").set_payload("{\"name\": \"x\"}");
        let untyped = TestRequest::post().uri("/api/v1/projects").set_payload("{\"name\": \"x\"}");
        let requests = [
            raw(&path("/force-complete"), ""),
            with(form, &[("content-type", "text/plain")]),
            untyped,
            delete,
            raw("/nothing", ""),
            TestRequest::with_uri("/livez").method(Method::PUT),
        ];
        let answers = Fakes::default().send_all(requests.map(|request| with(request, &evil))).await;
        assert!(answers.iter().all(|answer| answer.status == 403));
        let read = Fakes::default().send(with(get("/livez"), &evil)).await;
        assert_eq!(read.status, 200, "what changes nothing is left to CORS");
    }

    #[actix_web::test]
    async fn under_a_foreign_name_nothing_is_answered() {
        for (host, status) in [
            ("localhost", 200),
            ("LOCALHOST:8080", 200),
            ("127.0.0.1", 200),
            ("127.8.9.10:1", 200),
            ("[::1]", 200),
            ("[0:0::1]:8080", 200),
            ("evil.example", 421),
            ("evil.example:8080", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example", 421),
            ("localhost@evil.example", 421),
            ("128.0.0.1", 421),
            ("0.0.0.0:8080", 421),
            ("[::2]:8080", 421),
            ("::1", 421),
            ("", 421),
        ] {
            let answer = Fakes::default().send(with(get("/livez"), &[("host", host)])).await;
            assert_eq!(answer.status, status, "{host}");
        }
        let answer = Fakes::default().send(with(get("/livez"), &[("host", "evil.example")])).await;
        assert!(answer.json()["detail"].as_str().unwrap().contains("DNS rebinding"));
        // An old client that names no host is not a browser.
        assert_eq!(Fakes::default().send(get("/livez")).await.status, 200);
        let absolute = with(get("http://evil.example/livez"), &[("host", OWN)]);
        assert_eq!(Fakes::default().send(absolute).await.status, 421);
    }

    #[actix_web::test]
    async fn a_server_that_others_reach_answers_to_any_name_but_not_to_any_page() {
        let send = async |headers: &[(&str, &str)]| {
            let mut fakes = Fakes::default();
            fakes.settings.loopback_only = false;
            fakes.settings.cors_origins = vec!["https://army.example".to_owned()];
            fakes.orchestrator.expect_create_project().returning(|_, _| Ok(project().into()));
            let create = post("/api/v1/projects", &json!({"name": "x"}));
            fakes.send(with(create, headers)).await.status
        };
        let host = ("host", "army.example");
        assert_eq!(send(&[host]).await, 201);
        assert_eq!(send(&[host, ("origin", "https://army.example")]).await, 201);
        assert_eq!(send(&[host, ("origin", "http://army.example")]).await, 403);
    }

    #[actix_web::test]
    async fn what_is_mounted_beside_is_guarded_too() {
        let beside = |config: &mut ServiceConfig| {
            config.route("/ws", web::to(|| async { "open" }));
        };
        let requests = [
            with(get("/ws"), &[("host", "evil.example")]),
            with(raw("/ws", ""), &[("host", OWN), ("origin", "http://evil.example")]),
            with(get("/ws"), &[("host", OWN)]),
        ];
        let answers = send_all(Fakes::default().api(), &beside, requests).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [421, 403, 200]);
    }
}
