//! The time for which a connection serves a request: until all of the response is written.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use pin_project_lite::pin_project;

use super::Connection;

/// A connection that serves a request until this is dropped. Connections that nobody counts, as in
/// tests without a socket, have none.
pub(crate) struct Serving(Option<Arc<Connection>>);

impl Serving {
    /// Begins with the head of a request. With a body to come, the connection still waits until
    /// [`super::Paced`] has all of it.
    pub(crate) fn begin(connection: Option<&Arc<Connection>>, has_body: bool) -> Self {
        if let Some(connection) = connection {
            if has_body {
                connection.awaits_body();
            } else {
                connection.serves();
            }
        }
        Self(connection.cloned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.idles();
        }
    }
}

pin_project! {
    /// The body of a response, whose connection serves a request for as long as it is written.
    pub(crate) struct Tracked<B> {
        #[pin]
        body: B,
        serving: Serving,
    }
}

impl<B> Tracked<B> {
    pub(crate) const fn new(body: B, serving: Serving) -> Self {
        Self { body, serving }
    }
}

impl<B: MessageBody> MessageBody for Tracked<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }
}
