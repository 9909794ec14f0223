//! Entity tags of pages: a page that a browser has already is not sent again.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};

/// Adds the entity tag of each page, and answers 304 if the browser has it. The tag is weak, because the
/// body is compressed on its way.
pub(crate) async fn answer_unchanged(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known: Vec<_> = request.headers().get_all(header::IF_NONE_MATCH).cloned().collect();
    let response = next.call(request).await?.map_into_boxed_body();
    if !is_read || response.status() != StatusCode::OK || !is_html(response.headers()) {
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(body) => body,
        Err(body) => return Ok(ServiceResponse::new(request, response.set_body(body))),
    };
    let tag = tag(&body);
    let value = HeaderValue::from_str(&tag).expect("a tag is hexadecimal");
    let response = if known.iter().any(|known| has(known, &tag)) {
        let mut unchanged = HttpResponse::NotModified().finish();
        for (name, value) in response.headers() {
            if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
                unchanged.headers_mut().append(name.clone(), value.clone());
            }
        }
        unchanged
    } else {
        response.set_body(BoxBody::new(body))
    };
    let mut response = ServiceResponse::new(request, response);
    response.headers_mut().insert(header::ETAG, value);
    Ok(response)
}

fn is_html(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

fn tag(body: &[u8]) -> String {
    // The keys of this hasher are fixed, so that all replicas of one build use the same tags.
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// Whether a list of tags has this one, or is the star that stands for all. Weak and strong forms of a
/// tag are the same here (RFC 9110, section 8.8.3.2).
fn has(list: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let list = list.to_str().unwrap_or_default();
    list.split(',').any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_strong_forms_are_compared_alike() {
        let tag = tag(b"x");
        let strong = tag.trim_start_matches("W/").to_owned();
        for list in ["*", tag.as_str(), &strong, &format!("\"a\", {tag}")] {
            assert!(has(&HeaderValue::from_str(list).unwrap(), &tag), "{list}");
        }
        for list in ["", "\"a\"", "x"] {
            assert!(!has(&HeaderValue::from_str(list).unwrap(), &tag), "{list}");
        }
    }
}
