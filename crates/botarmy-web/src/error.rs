//! The one match from domain errors to statuses. It stands beside [`Problem`] because only this
//! crate may convert into it.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use botarmy_domain::ports::Denial;
use botarmy_domain::{DomainError, Error, StoreError};

use crate::Problem;

/// Seconds that a client should wait while a dependency is away.
pub const RETRY_AFTER_S: u64 = 2;

/// Seconds that a client should wait after too many changes at the same time.
const RETRY_AFTER_CONFLICT_S: u64 = 1;

/// Seconds that a client should wait while the disk is full: a person has to act.
pub const RETRY_AFTER_FULL_S: u64 = 60;

impl From<DomainError> for Problem {
    fn from(error: DomainError) -> Self {
        match error {
            DomainError::NotFound { what, id } => Self::not_found(what, id),
            DomainError::Conflict { code, detail } => {
                Self::new(StatusCode::CONFLICT, detail).with_code(code)
            }
            DomainError::Unauthenticated { code, detail } => {
                unauthenticated(code, detail.into(), code == "token_invalid")
            }
            DomainError::NotPermitted { elsewhere, .. } => {
                let code = if elsewhere { "needs_all_projects" } else { "not_permitted" };
                Self::new(StatusCode::FORBIDDEN, error.to_string()).with_code(code)
            }
            DomainError::Forbidden { code, detail } => {
                Self::new(StatusCode::FORBIDDEN, detail).with_code(code)
            }
            DomainError::Invalid { field, message } => Self::invalid(field, message),
            DomainError::InvalidDocument(parts) => {
                Self::invalid_parts(parts.into_iter().map(|part| (part.pointer, part.message)))
            }
            DomainError::PreconditionRequired { code, detail } => {
                Self::new(StatusCode::PRECONDITION_REQUIRED, detail).with_code(code)
            }
            DomainError::Gone { code, detail } => {
                Self::new(StatusCode::GONE, detail).with_code(code)
            }
            DomainError::BadRequest(detail) => Self::bad_request(detail),
        }
    }
}

/// Returns a 401 with its challenge (RFC 6750, section 3.1).
fn unauthenticated(code: &'static str, detail: Cow<'static, str>, was_sent: bool) -> Problem {
    let challenge = if was_sent {
        "Bearer realm=\"botarmy\", error=\"invalid_token\""
    } else {
        "Bearer realm=\"botarmy\""
    };
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .with_code(code)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Required => unauthenticated(
                "key_required",
                "Send an API key, as `Authorization: Bearer KEY`. An administrator creates one with \
                 `botarmy-server keys create NAME --role ROLE`, or with POST /api/v1/access/keys."
                    .into(),
                false,
            ),
            Denial::Invalid => {
                unauthenticated("key_invalid", "The credential is not valid.".into(), true)
            }
            Denial::Expired => unauthenticated(
                "key_expired",
                "The key has expired. Ask an administrator for a new one.".into(),
                true,
            ),
            Denial::Unavailable => Self::unavailable(
                "The credentials cannot be checked now; try again in a moment.",
                RETRY_AFTER_S,
            ),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::unavailable(
                "Too many changes were made at the same time. Nothing was changed; try again.",
                RETRY_AFTER_CONFLICT_S,
            )
            .with_cause(error),
            StoreError::Full { .. } => Self::unavailable(
                "The disk of the store is full. Nothing was changed; an operator has to free \
                 space on it.",
                RETRY_AFTER_FULL_S,
            )
            .with_cause(error),
            StoreError::Unavailable { .. } => Self::unavailable(
                "The store cannot be reached now. Nothing was changed; try again in a moment.",
                RETRY_AFTER_S,
            )
            .with_cause(error),
            StoreError::Corrupt { .. } => Self::internal(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(error) => error.into(),
            Error::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use botarmy_domain::InvalidPart;

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
        let unauthenticated =
            DomainError::Unauthenticated { code: "token_invalid", detail: "No.".to_owned() };
        let (status, body) = of(unauthenticated.into());
        assert_eq!((status, &body["type"]), (401, &"urn:botarmy:problem:token_invalid".into()));
        let part = |pointer: &str| InvalidPart {
            pointer: pointer.to_owned(),
            message: "is missing".to_owned(),
        };
        let (status, body) =
            of(DomainError::InvalidDocument(vec![part("/a/0"), part("/b")]).into());
        assert_eq!((status, &body["errors"][1]["field"]), (422, &"/b".into()));
        assert_eq!(body["detail"], "/a/0: is missing; /b: is missing");
        let (status, _) = of(DomainError::BadRequest("What?".to_owned()).into());
        assert_eq!(status, 400);
        let (status, _) = of(StoreError::Conflict.into());
        assert_eq!(status, 503);
        let (status, body) = of(StoreError::unavailable("SELECT 1", "no route to host").into());
        assert_eq!(status, 503);
        assert!(!body.to_string().contains("SELECT"));
        let (status, body) = of(StoreError::full("INSERT", "no space").into());
        assert_eq!(status, 503);
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.starts_with("The disk of the store is full."), "{detail}");
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
    fn an_unavailable_store_says_when_to_come_back() {
        let problem = Problem::from(StoreError::unavailable("x", "y"));
        assert_eq!(problem.error_response().headers().get("retry-after").unwrap(), "2");
    }
}
