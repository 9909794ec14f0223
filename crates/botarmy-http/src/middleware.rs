//! The outermost middleware: assigns request ids, finds the client's address, refuses foreign pages,
//! hosts and proxies, normalises paths, logs every request, turns errors and panics into problem
//! documents, and adds the headers that every response has.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use actix_cors::Cors;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, Uri};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse, ResponseError};
use botarmy_web::{
    ClientAddress, ErrorPage, ErrorPages, OriginRule, PageRequest, REQUEST_ID, assign_request_id,
    ends_connection, has_preview_token, is_answer_link, is_credential_in_path, names_credential,
};
use futures_util::FutureExt;
use tracing::Instrument;

use crate::State;
use crate::admission::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::connections::{Connection, Paced, Serving, Tracked};
use crate::error::{CONTENT_TYPE, Problem, from_framework};
use crate::idempotency::REPLAYED;
use crate::origin_check;
use crate::route_meters;
use crate::security_headers::SecurityHeaders;
use crate::trace::{self, Trace};
use botarmy_domain::{OpenSpan, text};

/// Headers that pages of other origins may read.
const EXPOSED: [HeaderName; 10] = [
    REQUEST_ID,
    REPLAYED,
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
];

/// Grants cross-origin access to the configured origins and no others.
pub(crate) fn cors(origins: &OriginRule) -> Cors {
    let origins = origins.clone();
    Cors::default()
        .allowed_origin_fn(move |origin, _| origins.is_configured(origin.as_bytes()))
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_any_header()
        .expose_headers(EXPOSED)
        .max_age(3600)
}

/// Returns the origin of a request, if it is one of the configured ones.
fn configured_origin(request: &ServiceRequest) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    let state = request.app_data::<Data<State>>()?;
    state.settings.origins.is_configured(origin.as_bytes()).then(|| origin.clone())
}

/// Names in [`EXPOSED`] as the value of a header.
static EXPOSED_VALUE: LazyLock<HeaderValue> = LazyLock::new(|| {
    let exposed = EXPOSED.map(|name| name.to_string()).join(", ");
    HeaderValue::from_str(&exposed).expect("names of headers are visible ASCII")
});

/// Leaves the names of exposed headers to responses that a page of another origin reads, in one order. The
/// CORS layer adds them to every response, in an order that differs between processes.
fn write_exposed(headers: &mut HeaderMap, has_origin: bool) {
    if has_origin && headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_VALUE.clone());
    } else {
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    }
}

/// Lets a page of this origin read an error that did not pass through the CORS layer.
fn readable_from(problem: Problem, origin: HeaderValue) -> Problem {
    problem
        .with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)
        .with_header(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_VALUE.clone())
        .with_header(header::VARY, HeaderValue::from_static("Origin"))
}

/// Handles one request from its arrival to its response.
pub(crate) async fn frame(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Tracked<EitherBody<impl MessageBody + 'static>>>, actix_web::Error> {
    let started = Instant::now();
    let serving = pace(&mut request);
    let id = assign_request_id(&mut request, |request| {
        request.app_data::<Data<State>>().map_or(0, |state| state.ids.seed())
    });
    let method = request.method().clone();
    let uri = request.uri().clone();
    let has_origin = request.headers().contains_key(header::ORIGIN);
    let origin = configured_origin(&request);
    let is_preflight = method == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let checked = if is_preflight && origin.is_some() {
        // The request that follows it is checked; a page cannot read why a preflight was refused.
        Ok(())
    } else {
        // Before the path is rewritten, which would drop the host of an absolute target.
        origin_check::check(&request)
            .and_then(|()| origin_check::refuse_unknown_proxies(&request))
            .and_then(|()| refuse_credentials(&uri, origin_check::own_path(&request)))
    };
    let client = client_address(&request);
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let state = request.app_data::<Data<State>>().cloned();
    let mut traced = state.as_ref().map(|state| trace::begin(&state.tracer, request.headers()));
    if let Some(context) = traced.as_ref().and_then(OpenSpan::context) {
        request.extensions_mut().insert(Trace(context));
    }
    let has_tls = state.as_ref().is_some_and(|state| state.settings.has_tls);
    normalize(&mut request);
    let page = Page::of(&request);

    let name = id.to_str().unwrap_or_default();
    let span = if method.is_safe() {
        tracing::debug_span!("request", request.id = name)
    } else {
        tracing::info_span!("request", request.id = name)
    };
    // In a block of its own, so that a panic before the first await is caught too.
    let result = async move {
        checked?;
        next.call(request).await
    };
    let result = result.instrument(span.clone());
    let result = AssertUnwindSafe(result).catch_unwind().await;
    let failed = !matches!(&result, Ok(Ok(response)) if response.status().as_u16() < 400);
    // Reads are logged at debug level; when one fails, its line still needs the request id.
    let span = if failed && span.is_disabled() {
        tracing::info_span!("request", request.id = name)
    } else {
        span
    };
    let routed = match &result {
        Ok(Ok(response)) => Some(response.request().clone()),
        _ => None,
    };
    let _inside = span.enter();
    let path = without_credentials(uri.path());
    let response = match result {
        Ok(Ok(response)) => finish(response, path, &id, page.as_ref()),
        Ok(Err(error)) => Err(from_framework(&error)),
        Err(panic) => {
            Err(Problem::internal(format!("a handler panicked: {}", text::panic_message(&*panic))))
        }
    };
    let headers = SecurityHeaders::new(has_tls);
    let response = response
        .map(|mut response| {
            headers.add(response.headers_mut());
            write_exposed(response.headers_mut(), has_origin);
            response
        })
        .map_err(|problem| {
            problem.log();
            let problem = problem.at(path).with_header(REQUEST_ID, id.clone());
            let problem = headers.add_to_problem(problem);
            match origin {
                Some(origin) => readable_from(problem, origin),
                None => problem,
            }
        });
    let response = response.map_err(|problem| match &page {
        Some(page) => page.error(&problem, headers),
        None => problem.into(),
    });
    let status = response
        .as_ref()
        .map_or_else(|error| error.as_response_error().status_code(), ServiceResponse::status);
    let elapsed = started.elapsed();
    if let Some(state) = &state {
        route_meters::answered(state, &method, routed.as_ref(), status.as_u16(), elapsed);
    }
    if let Some(traced) = traced.as_mut().filter(|traced| traced.is_recorded()) {
        let route = route_meters::route(routed.as_ref());
        trace::answered(traced, &method, &route, status.as_u16());
    }
    let ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    // The query is left out: it may hold what does not belong into a log.
    let (status, client) = (status.as_u16(), client.map(tracing::field::display));
    if method.is_safe() && status < 400 {
        tracing::debug!(%method, path, status, ms, client, "Answered");
    } else {
        tracing::info!(%method, path, status, ms, client, "Answered");
    }
    Ok(response?.map_body(|_, body| Tracked::new(body, serving)))
}

/// Returns an error for a request with a credential in its path or query, where proxies, browsers and
/// other servers log it. It does not repeat the value.
fn refuse_credentials(uri: &Uri, own_path: &str) -> Result<(), Problem> {
    let place = match uri.query().and_then(names_credential) {
        _ if is_credential_in_path(uri.path()) && !is_answer_link(own_path) => {
            "A credential stands in the path.".to_owned()
        }
        Some(name) => format!("{name} stands in the query."),
        None => return Ok(()),
    };
    Err(Problem::bad_request(format!(
        "{place} Credentials are not accepted there, because paths and queries are logged on their \
         way; treat this one as known to others and replace it."
    )))
}

/// Returns a path as it may be logged and repeated: one with a credential is left out.
fn without_credentials(path: &str) -> &str {
    if has_preview_token(path) {
        "/console/preview/(token)"
    } else if is_answer_link(path) {
        "/g/(token)"
    } else if is_credential_in_path(path) {
        "(a path with a credential)"
    } else {
        path
    }
}

/// Returns the address of the client of a request; `None` in a test without a socket.
fn client_address(request: &ServiceRequest) -> Option<ClientAddress> {
    let peer = request.peer_addr()?.ip();
    let state = request.app_data::<Data<State>>()?;
    Some(ClientAddress(state.settings.trusted_proxies.client(peer, request.headers())))
}

/// Begins to serve a request: from here its body has to arrive at a certain pace.
fn pace(request: &mut ServiceRequest) -> Serving {
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    let length = request.headers().get(header::CONTENT_LENGTH);
    let is_sent = request.headers().contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0");
    let has_body = is_sent && !request.head().upgrade();
    if has_body {
        let timeout = request.app_data::<Data<State>>().map(|state| state.settings.body_timeout);
        let paced =
            Paced::new(request.take_payload(), timeout.unwrap_or_default(), connection.as_ref());
        request.set_payload(paced.into_payload());
    }
    Serving::begin(connection.as_ref(), has_body)
}

/// Removes a trailing slash and the prefix of the public address from the path, and treats HEAD as
/// GET: the protocol layer remembers the method that was sent and leaves the body out.
fn normalize(request: &mut ServiceRequest) {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
        // Ranges are for GET only (RFC 9110, section 14.2).
        request.headers_mut().remove(header::RANGE);
    }
    let (whole, path) = (request.path(), origin_check::own_path(request));
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    if path == whole {
        return;
    }
    let uri = match request.uri().query() {
        Some(query) => format!("{path}?{query}").parse::<Uri>(),
        None => path.parse::<Uri>(),
    };
    let Ok(uri) = uri else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Request for a page, and the writer of pages of errors.
struct Page {
    pages: Arc<dyn ErrorPages>,
    request: PageRequest,
}

impl Page {
    fn of(request: &ServiceRequest) -> Option<Self> {
        let pages = request.app_data::<Data<State>>()?.pages.clone()?;
        Some(Self { pages, request: PageRequest::of(request)? })
    }

    /// Returns a problem that has not become a response as an error with its page.
    fn error(&self, problem: &Problem, headers: SecurityHeaders) -> actix_web::Error {
        let ErrorPage { status, headers: own, body } = self.pages.page(problem, &self.request);
        let mut response = HttpResponse::build(status);
        if ends_connection(problem.status_code()) {
            response.force_close();
        }
        let mut response = response.body(body);
        for (name, value) in own {
            response.headers_mut().insert(name, value);
        }
        if let Ok(id) = HeaderValue::from_str(&self.request.request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        headers.add(response.headers_mut());
        InternalError::from_response(problem.to_string(), response).into()
    }
}

/// Returns a problem as it is sent: as a page, or as a problem document.
fn written(problem: &Problem, path: &str, page: Option<&Page>) -> ErrorPage {
    if let Some(page) = page {
        return page.pages.page(problem, &page.request);
    }
    let mut headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))];
    headers.extend(problem.headers().iter().cloned());
    ErrorPage { status: problem.status_code(), headers, body: problem.body(path) }
}

/// Adds the request id to a response and, where it is an error, the problem document or the page.
fn finish<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    path: &str,
    id: &HeaderValue,
    page: Option<&Page>,
) -> Result<ServiceResponse<EitherBody<B>>, Problem> {
    let status = response.status();
    let error = response.response().error();
    let bare = !response.headers().contains_key(header::CONTENT_TYPE);
    if status.as_u16() < 400 || (error.is_none() && !bare) {
        let mut response = response.map_into_left_body();
        response.headers_mut().insert(REQUEST_ID, id.clone());
        return Ok(response);
    }
    let foreign;
    let problem = match error.and_then(actix_web::Error::as_error::<Problem>) {
        Some(problem) => problem,
        None => {
            foreign = error.map_or_else(|| Problem::bare(status), from_framework);
            &foreign
        }
    };
    problem.log();
    let ends = ends_connection(problem.status_code());
    let ErrorPage { status, headers: added, body } = written(problem, path, page);
    let body = BoxBody::new(body);
    let mut response = response.map_body(|_, _| EitherBody::right(body));
    *response.response_mut().status_mut() = status;
    if ends {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_ENCODING);
    if page.is_some() {
        headers.remove(header::WWW_AUTHENTICATE);
        headers.remove(header::CONTENT_TYPE);
    }
    for (name, value) in added {
        headers.insert(name, value);
    }
    headers.insert(REQUEST_ID, id.clone());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use actix_web::web::{self, ServiceConfig};
    use actix_web::{HttpResponse, error};
    use botarmy_domain::Page;

    use crate::testing::{Fakes, get, log, path, post, project, raw, send_all};

    #[actix_web::test]
    async fn every_answer_carries_the_id_of_its_request() {
        let fresh = format!("{:032x}", 0xabc);
        let with = |id: &str| get("/livez").insert_header(("x-request-id", id));
        let long = "x".repeat(129);
        let answers = Fakes::default()
            .send_all([
                with("my-id_1.2"),
                get("/livez"),
                with("bad id"),
                with(&long),
                with(""),
                get("/nothing").insert_header(("x-request-id", "n")),
                raw("/livez", "").insert_header(("x-request-id", "m")),
                raw("/api/v1/projects", "{").insert_header(("x-request-id", "e")),
            ])
            .await;
        let ids: Vec<&str> = answers.iter().map(|answer| answer.header("x-request-id")).collect();
        assert_eq!(ids, ["my-id_1.2", &fresh, &fresh, &fresh, &fresh, "n", "m", "e"]);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 200, 404, 405, 400]);
    }

    #[actix_web::test]
    async fn what_is_not_there_and_what_is_not_possible_are_problems() {
        let answers = Fakes::default().send_all([get("/nothing/"), raw("/health", "")]).await;
        let body = answers[0].json();
        assert!(body["detail"].as_str().unwrap().contains("/docs"), "{body}");
        assert_eq!((&body["status"], &body["instance"]), (&404.into(), &"/nothing/".into()));
        assert_eq!(answers[1].header("allow"), "GET, HEAD");
        assert!(answers.iter().all(|a| a.header("content-type") == "application/problem+json"));
    }

    #[actix_web::test]
    async fn a_trailing_slash_changes_nothing() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_projects().times(3).returning(|_, _, _, limit| {
            assert_eq!(limit, 3);
            Ok(Page::first(Vec::new(), limit))
        });
        fakes.queries.expect_activities().times(3).returning(|_, _| Ok(Vec::new()));
        let requests =
            ["/api/v1/projects?limit=3", "/api/v1/projects/?limit=3", "/api/v1/projects//?limit=3"];
        for answer in fakes.send_all(requests.map(get)).await {
            assert_eq!(answer.status, 200);
        }
    }

    #[actix_web::test]
    async fn head_is_served_where_get_is() {
        let head = |path: &str| TestRequest::with_uri(path).method(actix_web::http::Method::HEAD);
        let answers = Fakes::default().send_all([head("/livez"), head("/nothing")]).await;
        assert_eq!((answers[0].status, answers[1].status), (200, 404));
    }

    fn misbehaving(config: &mut ServiceConfig) {
        config
            .route("/panic", web::get().to(panics))
            .route(
                "/foreign",
                web::get().to(|| async {
                    Err::<HttpResponse, _>(error::ErrorNotFound("Project 7 does not exist."))
                }),
            )
            .route(
                "/secret",
                web::get().to(|| async {
                    Err::<HttpResponse, _>(error::ErrorInternalServerError("password is 1234"))
                }),
            )
            .route("/bare", web::get().to(|| async { HttpResponse::new(StatusCode::CONFLICT) }));
    }

    async fn panics() -> HttpResponse {
        panic!("on purpose")
    }

    #[actix_web::test]
    async fn a_panic_is_500_and_the_next_request_is_served() {
        let requests = [get("/panic"), get("/livez"), get("/panic"), get("/livez")];
        let answers = send_all(Fakes::default().api(), &misbehaving, requests).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [500, 200, 500, 200]);
        assert_eq!(answers[0].header("content-type"), "application/problem+json");
        assert_eq!(answers[0].json()["instance"], "/panic");
        assert!(!answers[0].header("x-request-id").is_empty());
        assert!(!String::from_utf8_lossy(&answers[0].body).contains("purpose"));
    }

    #[actix_web::test]
    async fn errors_of_what_is_mounted_beside_become_problems_too() {
        let requests = [get("/foreign"), get("/secret"), get("/bare")];
        let answers = send_all(Fakes::default().api(), &misbehaving, requests).await;
        assert_eq!((answers[0].status, answers[1].status, answers[2].status), (404, 500, 409));
        assert_eq!(answers[0].json()["detail"], "Project 7 does not exist.");
        assert!(!String::from_utf8_lossy(&answers[1].body).contains("1234"));
        assert_eq!(answers[2].json()["title"], "Conflict");
    }

    #[actix_web::test]
    async fn only_configured_origins_are_let_in() {
        let from = |origin: &str| get("/livez").insert_header(("origin", origin));
        let preflight = |origin: &str| {
            TestRequest::with_uri("/api/v1/projects")
                .method(actix_web::http::Method::OPTIONS)
                .insert_header(("origin", origin))
                .insert_header(("access-control-request-method", "POST"))
                .insert_header(("access-control-request-headers", "content-type,x-user-id"))
        };
        let (own, foreign) = ("http://localhost:3000", "http://evil.example");
        let requests = [from(own), from(foreign), preflight(own), preflight(foreign), from("null")];
        let answers = Fakes::default().send_all(requests).await;
        let allowed: Vec<&str> =
            answers.iter().map(|answer| answer.header("access-control-allow-origin")).collect();
        assert_eq!(allowed, [own, "", own, "", ""]);
        assert_eq!((answers[0].status, answers[1].status, answers[2].status), (200, 200, 200));
        let exposed = super::EXPOSED.map(|name| name.to_string()).join(", ");
        assert_eq!(answers[0].header("access-control-expose-headers"), exposed);
        let without = Fakes::default().send(get("/livez")).await;
        assert_eq!(without.header("access-control-expose-headers"), "", "no page reads it");
        assert!(without.header("vary").contains("Origin"), "a cache keeps them apart");
        assert_eq!(answers[3].status, 400);
        assert!(answers[3].json()["detail"].as_str().unwrap().contains("http.cors_origins"));
    }

    #[actix_web::test]
    async fn a_credential_in_a_path_is_refused_and_repeated_nowhere() {
        let key = crate::testing::key(1);
        let paths = [
            format!("/api/v1/projects/{key}"),
            format!("/nothing/{key}/"),
            format!("/api/v1/projects/{}", key.replace('_', "%5F")),
            format!("/api/v1/projects/%62{}", &key[1..]),
        ];
        let requests = paths.iter().map(|path| get(path));
        for answer in Fakes::default().send_all(requests).await {
            assert_eq!(answer.status, 400);
            let body = answer.json();
            assert_eq!(body["instance"], "(a path with a credential)");
            assert!(!body.to_string().contains(&key[20..]), "{body}");
        }
    }

    #[actix_web::test]
    async fn a_page_of_a_configured_origin_can_read_errors_made_before_routing() {
        let own = "http://localhost:3000";
        let preflight = |path: &str| {
            TestRequest::with_uri(path)
                .method(actix_web::http::Method::OPTIONS)
                .insert_header(("access-control-request-method", "GET"))
        };
        for (origin, allowed) in [(own, own), ("http://evil.example", "")] {
            let from = |request: TestRequest| request.insert_header(("origin", origin));
            let mut fakes = Fakes::default();
            fakes.queries.expect_project().returning(|_, _| panic!("on purpose"));
            let requests = [
                from(get("/livez?token=s3cr3t")),
                from(get("/livez").insert_header(("host", "elsewhere.example"))),
                from(get(&path(""))),
            ];
            let answers = fakes.send_all(requests).await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [400, 421, 500], "{origin}");
            for answer in answers {
                assert_eq!(answer.header("access-control-allow-origin"), allowed);
                let exposed = answer.header("access-control-expose-headers");
                assert_eq!(exposed.contains("x-request-id"), origin == own, "{exposed}");
                assert_eq!(answer.header("vary").contains("Origin"), origin == own);
            }
        }
        let preflights = [
            preflight("/livez?token=s3cr3t"),
            preflight("/livez").insert_header(("host", "elsewhere.example")),
        ];
        let preflights = preflights.map(|request| request.insert_header(("origin", own)));
        for answer in Fakes::default().send_all(preflights).await {
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, own));
        }
    }

    #[actix_web::test]
    async fn a_credential_in_a_query_is_400_on_every_path_whatever_unknown_fields_mean() {
        for path in ["/livez?token=s3cr3t", "/api/v1/projects?limit=1&API_KEY=s3cr3t", "/x?key"] {
            let mut fakes = Fakes::default();
            fakes.settings.unknown_fields = botarmy_web::UnknownFields::Ignore;
            let answer = fakes.send(get(path)).await;
            assert_eq!(answer.status, 400, "{path}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("s3cr3t"), "{path}");
        }
        let other = get("/livez?keys=1&tokens=2");
        assert_eq!(Fakes::default().send(other).await.status, 422, "it is merely unknown");
    }

    #[actix_web::test]
    async fn a_body_over_the_limit_is_413_with_or_without_a_length() {
        for length in [true, false] {
            let mut fakes = Fakes::default();
            fakes.settings.body_limit = 100;
            let body = format!("{{\"name\":\"{}\"}}", "x".repeat(200));
            let request = raw("/api/v1/projects", body.clone());
            let request = if length {
                request.insert_header(("content-length", body.len().to_string()))
            } else {
                request
            };
            let answer = fakes.send(request).await;
            assert_eq!((answer.status, &answer.json()["status"]), (413, &413.into()));
        }
    }

    #[actix_web::test]
    async fn a_body_is_json_unless_it_says_otherwise() {
        let typed = |content_type: Option<&str>| {
            let request = TestRequest::post().uri("/api/v1/projects").set_payload("{\"name\": 7}");
            match content_type {
                Some(value) => request.insert_header(("content-type", value)),
                None => request,
            }
        };
        for (content_type, status) in [
            (None, 422),
            (Some("application/json"), 422),
            (Some("Application/JSON; charset=utf-8"), 422),
            (Some("application/merge-patch+json"), 422),
            (Some("text/plain"), 415),
            (Some("application/x-www-form-urlencoded"), 415),
            (Some("multipart/form-data; boundary=x"), 415),
            (Some("nonsense"), 415),
        ] {
            let answer = Fakes::default().send(typed(content_type)).await;
            assert_eq!(answer.status, status, "{content_type:?}");
        }
        let zipped = post("/api/v1/projects", &serde_json::json!({}))
            .insert_header(("content-encoding", "gzip"));
        assert_eq!(Fakes::default().send(zipped).await.status, 415);
    }

    #[actix_web::test]
    async fn who_asks_is_who_they_say_or_anonymous_or_refused() {
        let long = "\u{e9}".repeat(129);
        for (users, expected) in [
            (&[][..], Some("anonymous")),
            (&["ada"][..], Some("ada")),
            (&["  ada@example.org "], Some("ada@example.org")),
            (&["Zo\u{eb}"], Some("Zo\u{eb}")),
            (
                &["\u{438}\u{432}\u{430}\u{43d}\u{43e}\u{432}"],
                Some("\u{438}\u{432}\u{430}\u{43d}\u{43e}\u{432}"),
            ),
            (&[&long[2..]], Some(&long[2..])),
            (&[&long], None),
            (&["  "], None),
            (&["\u{200b}"], None),
            (&["ada\u{202e}"], None),
            (&["ada\tb"], None),
            (&["ada", "ada"], None),
            (&["ada", "bob"], None),
        ] {
            let mut fakes = Fakes::default();
            fakes.queries.expect_project().returning(|_, _| Ok(project().into()));
            let name = expected.map(str::to_owned);
            fakes.projects.expect_force_complete().returning(move |_, caller| {
                assert_eq!(Some(caller.name()), name.as_deref());
                Ok(Vec::new())
            });
            let request = users.iter().fold(raw(&path("/force-complete"), ""), |request, user| {
                request
                    .append_header(("x-user-id", HeaderValue::from_bytes(user.as_bytes()).unwrap()))
            });
            let answer = fakes.send(request).await;
            assert_eq!(answer.status, if expected.is_some() { 200 } else { 400 }, "{users:?}");
            if expected.is_none() {
                assert!(answer.json()["detail"].as_str().unwrap().contains("X-User-Id"));
            }
        }
        let latin_1 = HeaderValue::from_bytes(b"Zo\xeb").unwrap();
        let request = raw(&path("/force-complete"), "").insert_header(("x-user-id", latin_1));
        assert_eq!(Fakes::default().send(request).await.status, 400);
    }

    #[actix_web::test]
    async fn answers_are_compressed_for_those_who_can_read_it() {
        let mut fakes = Fakes::default();
        fakes.logs.expect_entries().returning(|_, _, limit| Ok(Page::first(log(50).1, limit)));
        let list = || get("/api/v1/audit/events");
        let broken = raw("/api/v1/projects", "{").insert_header(("accept-encoding", "gzip"));
        let answers = fakes
            .send_all([list(), list().insert_header(("accept-encoding", "gzip")), broken])
            .await;
        assert_eq!(answers[0].header("content-encoding"), "");
        assert_eq!(answers[1].header("content-encoding"), "gzip");
        assert!(answers[1].body.len() < answers[0].body.len() / 2);
        assert_eq!(
            (answers[2].header("content-encoding"), &answers[2].json()["status"]),
            ("", &400.into())
        );
    }
}
