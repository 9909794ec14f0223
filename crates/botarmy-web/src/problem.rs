//! Problem documents (RFC 9457): the one form of an error response.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use botarmy_domain::error_chain;
use serde::Serialize;
use utoipa::ToSchema;

/// The content type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The type of a 429, registered with IANA (draft-ietf-httpapi-ratelimit-headers-10, section 6.1).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
/// The title that is registered with it.
const QUOTA_EXCEEDED_TITLE: &str =
    "Request cannot be satisfied as assigned quota has been exceeded";

/// An error on its way to the client: the status, the document and its headers, and the cause,
/// which is for the log alone.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: Option<&'static str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    instance: Option<String>,
    /// Policies of which the quota is used up.
    violated: &'static [&'static str],
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// A field of the request that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, with dots and brackets for nested ones.
    field: String,
    /// The requirement that the value does not meet.
    message: String,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// `about:blank` where the status is specific enough, else a name that programs can match on,
    /// such as `urn:botarmy:problem:not_pending`.
    r#type: Cow<'a, str>,
    /// Name of this kind of problem, for people.
    title: Cow<'a, str>,
    /// HTTP status.
    status: u16,
    /// Sentence that a person can act on.
    detail: &'a str,
    /// Path of the request.
    instance: &'a str,
    /// Fields that are not acceptable.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// Names of the limits that the request exceeds, with status 429.
    #[serde(rename = "violated-policies", skip_serializing_if = "<[_]>::is_empty")]
    violated_policies: &'a [&'a str],
}

impl Problem {
    /// Creates a problem with this status and detail.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            status,
            code: None,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            instance: None,
            violated: &[],
            cause: None,
        }))
    }

    /// Creates a problem that says no more than its status.
    #[must_use]
    pub fn bare(status: StatusCode) -> Self {
        Self::new(status, reason(status))
    }

    /// Creates a 400.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Creates a 400 for a body of which the end did not arrive.
    #[must_use]
    pub fn truncated_body() -> Self {
        Self::bad_request(
            "The request body was truncated or malformed: the connection ended before its end, or \
             one of its chunks cannot be read.",
        )
    }

    /// Creates a 404 for a thing of this kind.
    pub fn not_found(kind: &str, id: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{kind} {id} does not exist."))
    }

    /// Creates a 405 with the methods that the path accepts, separated by commas.
    #[must_use]
    pub fn method_not_allowed(method: &Method, allow: &str) -> Self {
        let detail = format!("{method} is not possible here; this path accepts {allow}.");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        match HeaderValue::from_str(allow) {
            Ok(allow) => problem.with_header(header::ALLOW, allow),
            Err(_) => problem,
        }
    }

    /// Creates a 422 that names the field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let detail = format!("{field}: {message}");
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        problem.0.errors.push(FieldError { field, message });
        problem
    }

    /// Creates a 422 for parts of a document, each with its JSON Pointer and the requirement that it
    /// does not meet.
    pub fn invalid_parts(parts: impl IntoIterator<Item = (String, String)>) -> Self {
        let errors: Vec<_> =
            parts.into_iter().map(|(field, message)| FieldError { field, message }).collect();
        let detail: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail.join("; "));
        problem.0.errors = errors;
        problem
    }

    /// Creates a 500. The cause goes to the log alone.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let detail = "The server failed on this request. Its log has the cause under the request's \
                      id (X-Request-Id).";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
        problem.0.cause = Some(cause.into());
        problem
    }

    /// Creates a 503: the same request may succeed after a number of seconds.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_s))
    }

    /// Creates a 429: a limit is used up, and the same request may succeed after a number of seconds.
    pub fn too_many_requests(
        detail: impl Into<Cow<'static, str>>,
        policies: &'static [&'static str],
        retry_after_s: u64,
    ) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
        problem.0.violated = policies;
        problem
    }

    /// Returns the name of the kind of problem, for programs.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.0.code
    }

    /// Adds the name of the kind of problem, for programs.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.0.code = Some(code);
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds the cause, for the log alone.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Sets the path of the request.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        self.0.instance = Some(path.to_owned());
        self
    }

    /// Copies the problem without its cause, which can be neither copied nor logged twice.
    #[must_use]
    pub fn without_cause(&self) -> Self {
        Self(Box::new(Inner {
            status: self.0.status,
            code: self.0.code,
            detail: self.0.detail.clone(),
            errors: self.0.errors.clone(),
            headers: self.0.headers.clone(),
            instance: self.0.instance.clone(),
            violated: self.0.violated,
            cause: None,
        }))
    }

    /// Returns the document as JSON. The path is used where [`Problem::at`] has set none.
    #[must_use]
    pub fn body(&self, path: &str) -> String {
        let (kind, title) = match self.0.code {
            _ if !self.0.violated.is_empty() => {
                (QUOTA_EXCEEDED.into(), QUOTA_EXCEEDED_TITLE.into())
            }
            Some(code) => (format!("urn:botarmy:problem:{code}").into(), title(code).into()),
            None => (Cow::Borrowed("about:blank"), Cow::Borrowed(reason(self.0.status))),
        };
        let document = ProblemDocument {
            r#type: kind,
            title,
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            instance: self.0.instance.as_deref().unwrap_or(path),
            errors: &self.0.errors,
            violated_policies: self.0.violated,
        };
        serde_json::to_string(&document).expect("texts and numbers can be written as JSON")
    }

    /// Returns the headers beside the content type.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// Logs the cause, if there is one, with all causes behind it.
    pub fn log(&self) {
        let Some(cause) = &self.0.cause else { return };
        let error = error_chain(cause.as_ref());
        if self.0.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "The request failed");
        } else {
            tracing::warn!(%error, "The request could not be served now");
        }
    }
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// Returns `not_pending` as `Not pending`.
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
        if ends_connection(self.0.status) {
            response.force_close();
        }
        for (name, value) in self.headers() {
            response.insert_header((name.clone(), value.clone()));
        }
        response.content_type(CONTENT_TYPE).body(self.body(""))
    }
}

/// Whether the connection ends with a response of this status: the rest of the body is not waited
/// for (RFC 9110, sections 15.5.9 and 15.5.14).
#[must_use]
pub fn ends_connection(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_members_of_rfc_9457() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "Gone.");
        let document: serde_json::Value = serde_json::from_str(&problem.body("/x")).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "type": "about:blank", "title": "Not Found", "status": 404, "detail": "Gone.",
                "instance": "/x",
            })
        );
    }
}
