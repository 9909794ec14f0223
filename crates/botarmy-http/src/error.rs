//! Errors of the framework as problem documents. Domain errors become problems in `botarmy-web`.

use actix_cors::CorsError;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_web::{FOREIGN_ORIGIN, RETRY_AFTER_S, has_credential};

pub(crate) use botarmy_web::{CONTENT_TYPE, Problem, ProblemDocument};

/// Converts any error of the framework. Its own text becomes the detail, unless the fault is the
/// server's.
pub(crate) fn from_framework(error: &actix_web::Error) -> Problem {
    let status = error.as_response_error().status_code();
    if let Some(problem) = error.as_error::<Problem>() {
        return problem.without_cause();
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return Problem::unavailable(error.to_string(), RETRY_AFTER_S);
    }
    if let Some(CorsError::OriginNotAllowed) = error.as_error() {
        return Problem::new(status, FOREIGN_ORIGIN);
    }
    if status.is_server_error() {
        return Problem::internal(error.to_string());
    }
    Problem::new(status, error.to_string())
}

/// Responds to requests for paths that nothing serves.
pub(crate) async fn unknown_route(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let help = if cfg!(feature = "docs") {
        "See /docs for the paths that exist, or /openapi.json for a description that programs can read."
    } else {
        "See /openapi.json for the paths that exist."
    };
    // A path with a credential is not repeated.
    let path = if has_credential(request.path()) { "this path" } else { request.path() };
    let detail = format!("There is nothing at {path}. {help}");
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}
