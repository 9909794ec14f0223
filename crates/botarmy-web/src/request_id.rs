//! Request ids: the client's if it is acceptable, else a new one.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::has_credential;

/// The header with the id of a request, in the request and in its response.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a client may choose, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// Returns the id of a request. An id that the client did not send, or that has characters which
/// could break a log line or a credential in it, is replaced by one made of `entropy` and written into the request's own
/// header, where everything that handles the request finds it.
pub fn assign_request_id(
    request: &mut ServiceRequest,
    entropy: impl FnOnce(&ServiceRequest) -> u128,
) -> HeaderValue {
    let acceptable = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
            && !id.to_str().is_ok_and(has_credential)
    };
    if let Some(id) = request.headers().get(REQUEST_ID).filter(acceptable) {
        return id.clone();
    }
    let id = HeaderValue::from_str(&format!("{:032x}", entropy(request)))
        .expect("hexadecimal digits are a header value");
    request.headers_mut().insert(REQUEST_ID, id.clone());
    id
}
