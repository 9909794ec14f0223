//! Applies the rule about foreign pages and host names (`botarmy-web/src/origin.rs`) to requests.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use botarmy_web::is_answer_link;

use crate::State;
use crate::error::Problem;

/// Returns an error for a request under a foreign name (421), and for one that may change something
/// and comes from a page of a foreign origin (403). Responses to reads are left to CORS, which keeps
/// them from foreign pages.
pub(crate) fn check(request: &ServiceRequest) -> Result<(), Problem> {
    let Some(state) = request.app_data::<Data<State>>() else { return Ok(()) };
    let settings = &state.settings;
    settings.origins.check_host(request.head())?;
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    // The page of an answer link tells no other page its address, so browsers send `null` with its form. No
    // page without the token can send one, and nothing but the token counts.
    if is_answer_link(own_path(request)) && is_null(request) {
        return Ok(());
    }
    settings.origins.check(request.head())
}

/// Returns whether a request says that it comes from a page without an origin.
fn is_null(request: &ServiceRequest) -> bool {
    let mut origins = request.headers().get_all(header::ORIGIN);
    origins.all(|origin| origin.as_bytes() == b"null")
}

/// Returns the path of a request without the prefix of the public address.
pub(crate) fn own_path(request: &ServiceRequest) -> &str {
    let state = request.app_data::<Data<State>>();
    let public_url = state.and_then(|state| state.settings.public_url.as_ref());
    let whole = request.path();
    public_url.and_then(|url| url.strip(whole)).unwrap_or(whole)
}

/// Headers that proxies add to the requests that they pass on.
const PROXY_HEADERS: [HeaderName; 3] =
    [header::FORWARDED, header::VIA, HeaderName::from_static("x-real-ip")];

/// Returns an error (403) for a request that came through a proxy, if the server has no access control
/// and knows of no proxy: whoever reaches the proxy would reach everything.
pub(crate) fn refuse_unknown_proxies(request: &ServiceRequest) -> Result<(), Problem> {
    let Some(state) = request.app_data::<Data<State>>() else { return Ok(()) };
    if state.access.is_required() || !state.settings.trusted_proxies.is_empty() {
        return Ok(());
    }
    let headers = request.headers();
    let is_forwarded = PROXY_HEADERS.iter().any(|name| headers.contains_key(name))
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded-"));
    if !is_forwarded {
        return Ok(());
    }
    let detail = "The request came through a proxy, and this server has no access control. Set \
                  access.mode = \"keys\", or name the proxy in http.trusted_proxies.";
    Err(Problem::new(StatusCode::FORBIDDEN, detail).with_code("proxied_without_access_control"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use actix_web::test::TestRequest;
    use actix_web::web::{self, ServiceConfig};
    use botarmy_web::OriginRule;
    use serde_json::json;

    use super::*;
    use crate::testing::{Answer, Fakes, get, path, post, project, raw, send_all};

    const OWN: &str = "127.0.0.1:8080";

    fn with(request: TestRequest, headers: &[(&str, &str)]) -> TestRequest {
        headers.iter().fold(request, |request, header| request.insert_header(*header))
    }

    /// Creates a project with these headers, or is refused before any port is called.
    async fn create(headers: &[(&str, &str)]) -> Answer {
        let mut fakes = Fakes::default();
        fakes.projects.expect_create_project().returning(|_, _| Ok(project().into()));
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
            (Some("HTTP://LOCALHOST:8080"), "localhost:8080", 201),
            // Another port, scheme or name is another origin.
            (Some("http://localhost"), "localhost", 403),
            (Some("http://localhost:9999"), "localhost:9999", 403),
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
            ("LocalHost.:8080", 200),
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
        for target in ["http://evil.example/livez", "http://evil.example/livez/"] {
            let absolute = with(get(target), &[("host", OWN)]);
            assert_eq!(Fakes::default().send(absolute).await.status, 421, "{target}");
        }
    }

    #[actix_web::test]
    async fn a_server_that_others_reach_answers_to_its_names_only_and_not_to_any_page() {
        let send = async |headers: &[(&str, &str)]| {
            let mut fakes = Fakes::default();
            fakes.settings.origins = OriginRule::new(["https://army.example"])
                .with_listener(SocketAddr::from(([0, 0, 0, 0], 8080)), false)
                .with_hosts(["army.example"]);
            fakes.projects.expect_create_project().returning(|_, _| Ok(project().into()));
            let create = post("/api/v1/projects", &json!({"name": "x"}));
            fakes.send(with(create, headers)).await.status
        };
        let host = ("host", "army.example");
        assert_eq!(send(&[host]).await, 201);
        assert_eq!(send(&[host, ("origin", "https://army.example")]).await, 201);
        assert_eq!(send(&[host, ("origin", "http://army.example:8080")]).await, 403);
        let own = ("host", "army.example:8080");
        assert_eq!(send(&[own, ("origin", "http://army.example:8080")]).await, 201);
        for foreign in ["localhost:8080", "127.0.0.1", "evil.example", ""] {
            assert_eq!(send(&[("host", foreign)]).await, 421, "{foreign}");
        }
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
