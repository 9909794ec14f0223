//! Small bodies, which are read before the request is routed.

use std::future::ready;
use std::pin::Pin;

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use crate::error::Problem;
use crate::extract::body_error;

/// The largest body that is read before routing, in bytes.
const SMALL_BODY: usize = 64 * 1024;

/// Reads a small body before the request is routed. The protocol layer has to close a connection
/// whose request got its response before its body was read; a client that sent `{}` to an endpoint
/// without a body would need a new connection each time.
///
/// A body in chunks is read as far as it is small, because the protocol layer ends a connection at
/// once when a chunk is malformed: a handler that waits for something else then gives no response,
/// and only one that waits for the body does.
pub(crate) async fn read_small_body(request: &mut ServiceRequest) -> Result<(), Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_small = length.is_some_and(|length| (1..=SMALL_BODY).contains(&length));
    let is_chunked =
        request.headers().contains_key(header::TRANSFER_ENCODING) && !request.head().upgrade();
    if !is_small && !is_chunked {
        return Ok(());
    }
    let mut payload = request.take_payload();
    let mut body = BytesMut::with_capacity(length.unwrap_or(0));
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.map_err(|error| body_error(&error))?);
        if body.len() > SMALL_BODY {
            return put_back(request, body.freeze(), payload);
        }
    }
    request.set_payload(Payload::from(body.freeze()));
    Ok(())
}

/// Gives a request its body again, of which the beginning was read already. Where a body means
/// nothing, a large one is refused.
fn put_back(request: &mut ServiceRequest, beginning: Bytes, rest: Payload) -> Result<(), Problem> {
    let method = request.method();
    if method.is_safe() || method == Method::DELETE {
        let detail = format!("The body of {method} means nothing here; leave it out.");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let body = stream::once(ready(Ok(beginning))).chain(rest);
    request.set_payload(Payload::from(Box::pin(body) as Pin<Box<dyn Stream<Item = _>>>));
    Ok(())
}
