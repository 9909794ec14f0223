//! What surrounds every request: its id, its line in the log, its path without a trailing slash,
//! and what becomes of errors and panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_cors::Cors;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::web::Data;
use futures_util::FutureExt;
use tracing::Instrument;

use crate::State;
use crate::error::{CONTENT_TYPE, Problem};

/// The id of a request, in the request and in the answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id a client may give.
const MAX_REQUEST_ID: usize = 128;

/// Cross-origin access for the configured origins and no others.
pub(crate) fn cors(origins: &[String]) -> Cors {
    let usable = |origin: &&String| *origin != "*" && origin.parse::<Uri>().is_ok();
    origins
        .iter()
        .filter(usable)
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin))
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        .allow_any_header()
        .expose_headers([
            REQUEST_ID,
            header::CONTENT_DISPOSITION,
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
        ])
        .supports_credentials()
        .max_age(3600)
}

/// The outermost middleware.
pub(crate) async fn frame(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody + 'static>>, actix_web::Error> {
    let started = Instant::now();
    let id = identify(&mut request);
    let method = request.method().clone();
    let uri = request.uri().clone();
    straighten(&mut request);

    let name = id.to_str().unwrap_or_default();
    let span = if method.is_safe() {
        tracing::debug_span!("request", request.id = name)
    } else {
        tracing::info_span!("request", request.id = name)
    };
    // In a block of its own, so that a panic before the first await is caught too.
    let answer = async move { next.call(request).await }.instrument(span.clone());
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    let _inside = span.enter();
    let response = match answer {
        Ok(Ok(response)) => finish(response, uri.path(), &id),
        Ok(Err(error)) => {
            let status = error.as_response_error().status_code();
            Err(Problem::from_framework(status, Some(&error)))
        }
        Err(panic) => Err(Problem::internal(format!("a handler panicked: {}", said(&*panic)))),
    };
    let response = response.map_err(|problem| {
        problem.log();
        problem.about(uri.path()).with_header(REQUEST_ID, id.clone())
    });
    let status = response.as_ref().map_or_else(
        |problem| actix_web::ResponseError::status_code(problem),
        ServiceResponse::status,
    );
    let path = uri.path();
    let ms = started.elapsed().as_secs_f64() * 1000.0;
    if method.is_safe() && status.as_u16() < 400 {
        tracing::debug!(
            %method, path, status = status.as_u16(), ms, request.id = name,
            "{method} {path} {}", status.as_u16()
        );
    } else {
        tracing::info!(
            %method, path, status = status.as_u16(), ms, request.id = name,
            "{method} {path} {}", status.as_u16()
        );
    }
    Ok(response?)
}

/// Gives the request an id: the client's if it is a sane one, else a fresh one. It stands in the
/// request's own header from here on, where everybody finds it.
fn identify(request: &mut ServiceRequest) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
    };
    if let Some(id) = request.headers().get(REQUEST_ID).filter(sane) {
        return id.clone();
    }
    let seed = request.app_data::<Data<State>>().map_or(0, |state| state.ids.seed());
    let id = HeaderValue::from_str(&format!("{seed:032x}"))
        .expect("hexadecimal digits are a header value");
    request.headers_mut().insert(REQUEST_ID, id.clone());
    id
}

/// Takes the trailing slash away, and treats HEAD as GET: the protocol layer leaves the body out
/// because of what the client sent.
fn straighten(request: &mut ServiceRequest) {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
        // Ranges are for GET only (RFC 9110, section 14.2).
        request.headers_mut().remove(header::RANGE);
    }
    let path = request.path();
    if path.len() < 2 || !path.ends_with('/') {
        return;
    }
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { "/" } else { path };
    let uri = match request.uri().query() {
        Some(query) => format!("{path}?{query}").parse::<Uri>(),
        None => path.parse::<Uri>(),
    };
    let Ok(uri) = uri else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Gives the answer its id and, where it is an error, its document.
fn finish<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    path: &str,
    id: &HeaderValue,
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
            foreign = Problem::from_framework(status, error);
            &foreign
        }
    };
    problem.log();
    let body = BoxBody::new(problem.body(path));
    let status = actix_web::ResponseError::status_code(problem);
    let added = problem.headers().to_vec();
    let mut response = response.map_body(|_, _| EitherBody::right(body));
    *response.response_mut().status_mut() = status;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    for (name, value) in added {
        headers.insert(name, value);
    }
    headers.insert(REQUEST_ID, id.clone());
    Ok(response)
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}
