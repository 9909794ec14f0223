//! Forms, as browsers send them. Like every request, one with a field that it does not have is refused.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Bytes;
use botarmy_web::{Problem, UnknownFields, has_credential, parse_query};
use serde::de::DeserializeOwned;

const FORM: &str = "application/x-www-form-urlencoded";

/// Reads a form.
///
/// # Errors
/// A 415 for another kind of body, and a 422 that names the field. A credential is never repeated, even
/// where it stands in the place of a name.
pub(crate) fn read<T: DeserializeOwned>(request: &HttpRequest, body: &Bytes) -> Result<T, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(FORM) {
        let detail = format!("The body must be a form, with the content type {FORM}.");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let text = std::str::from_utf8(body).map_err(|_| Problem::bad_request("A form is ASCII."))?;
    parse_query(text, UnknownFields::Reject).map_err(|problem| {
        if has_credential(&problem.to_string()) {
            Problem::bad_request("A credential stands in the form where a name belongs.")
        } else {
            problem
        }
    })
}

/// Checks that no text of a form is longer than texts may be, but its document, if it has one.
///
/// # Errors
/// A 422 that names the field.
pub(crate) fn check_texts(
    body: &Bytes,
    limit: usize,
    document: Option<&str>,
) -> Result<(), Problem> {
    if body.len() <= limit {
        return Ok(());
    }
    let text = std::str::from_utf8(body).map_err(|_| Problem::bad_request("A form is ASCII."))?;
    let fields: BTreeMap<String, String> = parse_query(text, UnknownFields::Reject)?;
    let long =
        |(name, text): &(&String, &String)| text.len() > limit && Some(name.as_str()) != document;
    match fields.iter().find(long) {
        Some((name, text)) => {
            let message = format!("has {} bytes; at most {limit} are possible", text.len());
            Err(Problem::invalid(name.clone(), message))
        }
        None => Ok(()),
    }
}
