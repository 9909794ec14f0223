//! Errors as problem documents (RFC 9457), and the one match from what went wrong to a status.
//! The frame fills in `instance`, and logs here, once, with the whole chain.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use actix_cors::CorsError;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use botarmy_domain::{DomainError, Error, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::origin_check::FOREIGN_ORIGIN;

/// The content type of a problem document.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// How long a client should wait when a dependency is away, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    /// What kind of conflict, for programs; the status says enough otherwise.
    code: Option<&'static str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    instance: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// A field that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field, with dots and brackets for what is nested.
    field: String,
    /// What is wrong with it.
    message: String,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// `about:blank` where the status says it all, else a name that programs can match on, such as
    /// `urn:botarmy:problem:not_pending`.
    r#type: Cow<'a, str>,
    /// The name for people.
    title: Cow<'a, str>,
    /// The HTTP status.
    status: u16,
    /// A sentence a person can act on.
    detail: &'a str,
    /// The path that was asked for.
    instance: &'a str,
    /// The fields that are not acceptable.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem with this status and this sentence.
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            status,
            code: None,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            instance: None,
            cause: None,
        }))
    }

    /// 400.
    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404.
    pub(crate) fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} {id} does not exist."))
    }

    /// 422, naming the field.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field}: {message}"));
        problem.0.errors.push(FieldError { field, message });
        problem
    }

    /// 405, naming what is allowed.
    pub(crate) fn method_not_allowed(method: &Method, allow: &str) -> Self {
        let detail = format!("{method} is not possible here; this path takes {allow}.");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        match HeaderValue::from_str(allow) {
            Ok(allow) => problem.with_header(header::ALLOW, allow),
            Err(_) => problem,
        }
    }

    /// 500; what happened is for the log alone.
    pub(crate) fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let detail = "Something is wrong with the server. The request id finds it in the logs.";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
        problem.0.cause = Some(cause.into());
        problem
    }

    /// 503: what was asked may work in a moment.
    fn unavailable(
        detail: &'static str,
        retry_after_s: u32,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.0.cause = Some(cause.into());
        problem.with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_s))
    }

    /// With one more header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// About this path.
    pub(crate) fn about(mut self, path: &str) -> Self {
        self.0.instance = Some(path.to_owned());
        self
    }

    /// 400, for a body that did not arrive whole.
    pub(crate) fn cut_off() -> Self {
        Self::bad_request("The body ended before its end.")
    }

    /// The same as any error of the framework: its own sentence is shown, unless it is the
    /// server's fault.
    pub(crate) fn from_framework(error: &actix_web::Error) -> Self {
        let status = error.as_response_error().status_code();
        if let Some(problem) = error.as_error::<Self>() {
            return problem.again();
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let retry_after = HeaderValue::from(RETRY_AFTER_S);
            return Self::new(status, error.to_string())
                .with_header(header::RETRY_AFTER, retry_after);
        }
        if let Some(CorsError::OriginNotAllowed) = error.as_error() {
            return Self::new(status, FOREIGN_ORIGIN);
        }
        if status.is_server_error() {
            return Self::internal(error.to_string());
        }
        Self::new(status, error.to_string())
    }

    /// Nothing but a status.
    pub(crate) fn bare(status: StatusCode) -> Self {
        Self::new(status, status.canonical_reason().unwrap_or("Error"))
    }

    /// The same problem; what caused it was told to the log already.
    fn again(&self) -> Self {
        Self(Box::new(Inner {
            status: self.0.status,
            code: self.0.code,
            detail: self.0.detail.clone(),
            errors: self.0.errors.clone(),
            headers: self.0.headers.clone(),
            instance: self.0.instance.clone(),
            cause: None,
        }))
    }

    /// The document.
    pub(crate) fn body(&self, path: &str) -> String {
        let reason = self.0.status.canonical_reason().unwrap_or("Error");
        let document = ProblemDocument {
            r#type: self.0.code.map_or(Cow::Borrowed("about:blank"), |code| {
                Cow::Owned(format!("urn:botarmy:problem:{code}"))
            }),
            title: self.0.code.map_or(Cow::Borrowed(reason), |code| title(code).into()),
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            instance: self.0.instance.as_deref().unwrap_or(path),
            errors: &self.0.errors,
        };
        serde_json::to_string(&document).expect("a problem document can be written")
    }

    /// The headers beside the content type.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// Tells the log why the server failed, with the whole chain of causes.
    pub(crate) fn log(&self) {
        let Some(cause) = &self.0.cause else { return };
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(cause) = next {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            next = cause.source();
        }
        if self.0.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %chain, "The request failed: {chain}");
        } else {
            tracing::warn!(error = %chain, "The request could not be served now: {chain}");
        }
    }
}

/// `not_pending` as `Not pending`.
fn title(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        for (name, value) in self.headers() {
            response.insert_header((name.clone(), value.clone()));
        }
        response.content_type(CONTENT_TYPE).body(self.body(""))
    }
}

impl From<DomainError> for Problem {
    fn from(refusal: DomainError) -> Self {
        match refusal {
            DomainError::NotFound { what, id } => Self::not_found(what, id),
            DomainError::Conflict { code, detail } => {
                let mut problem = Self::new(StatusCode::CONFLICT, detail);
                problem.0.code = Some(code);
                problem
            }
            DomainError::Invalid { field, message } => Self::invalid(field, message),
            DomainError::BadRequest(detail) => Self::bad_request(detail),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::unavailable(
                "Too many changes came at the same instant. Nothing was changed; try again.",
                1,
                error,
            ),
            StoreError::Unavailable { .. } => Self::unavailable(
                "The store cannot be reached now. Nothing was changed; try again in a moment.",
                RETRY_AFTER_S,
                error,
            ),
            StoreError::Corrupt { .. } => Self::internal(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Store(error) => error.into(),
        }
    }
}

/// Whatever nobody else serves.
pub(crate) async fn unknown_route(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = format!(
        "There is nothing at {}. What there is, is shown at /docs; the same for programs is \
         /openapi.json.",
        request.path()
    );
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(problem: &Problem) -> serde_json::Value {
        serde_json::from_str(&problem.body("/x")).unwrap()
    }

    #[test]
    fn every_domain_error_has_its_status() {
        let of = |error: Error| {
            let problem = Problem::from(error);
            (problem.status_code().as_u16(), document(&problem))
        };
        let (status, body) = of(DomainError::not_found("Project", "7").into());
        assert_eq!((status, &body["detail"]), (404, &"Project 7 does not exist.".into()));
        let (status, body) = of(DomainError::conflict("not_pending", "It was approved.").into());
        assert_eq!((status, &body["title"]), (409, &"Not pending".into()));
        assert_eq!(body["type"], "urn:botarmy:problem:not_pending");
        let (status, body) = of(DomainError::invalid("name", "must not be blank").into());
        assert_eq!((status, &body["errors"][0]["field"]), (422, &"name".into()));
        let (status, _) = of(DomainError::BadRequest("What?".to_owned()).into());
        assert_eq!(status, 400);
        let (status, _) = of(StoreError::Conflict.into());
        assert_eq!(status, 503);
        let (status, body) = of(StoreError::unavailable("SELECT 1", "no route to host").into());
        assert_eq!(status, 503);
        assert!(!body.to_string().contains("SELECT"));
        let (status, body) = of(StoreError::Corrupt {
            table: "tasks",
            row: "1".to_owned(),
            detail: "no such column".to_owned(),
        }
        .into());
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("tasks"));
    }

    #[test]
    fn a_document_has_the_members_of_rfc_9457() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "Gone.");
        assert_eq!(
            document(&problem),
            serde_json::json!({
                "type": "about:blank", "title": "Not Found", "status": 404, "detail": "Gone.",
                "instance": "/x",
            })
        );
    }

    #[test]
    fn what_is_away_says_when_to_come_back() {
        let problem = Problem::from(StoreError::unavailable("x", "y"));
        assert_eq!(problem.error_response().headers().get("retry-after").unwrap(), "2");
    }
}
