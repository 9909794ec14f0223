//! Sockets of clients. A socket reports that its client has closed it, also while a request
//! is being handled, and whether a response left.
//!
//! Under TLS the end of a client is its `close_notify`, or the end of the connection without one.
//!
//! The web framework reads on while a handler waits, but keeps what it finds to itself: a client that
//! closed its side may still read, so by default the response is made and sent. A request for work is
//! different. What is claimed for a client that is gone is kept from all others.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::tls::Socket;

/// Longest time for which a connection that the server ended takes more bytes.
const MAX_LINGER: Duration = Duration::from_secs(1);
/// Largest number of bytes that it takes.
const MAX_LINGER_BYTES: usize = 4 << 20;

/// Connection of a client: its socket, and the state that its requests see.
pub(crate) struct PeerStream {
    /// Absent only while the connection is dropped.
    socket: Option<Socket>,
    peer: Peer,
}

impl PeerStream {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket: Some(socket), peer: Peer::default() }
    }

    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        self.socket.as_ref().and_then(Socket::connection)
    }

    fn pinned(&mut self) -> io::Result<Pin<&mut Socket>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(crate) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// Has the socket closed without taking what the client still sends: it is one too many.
    pub(crate) fn abandon(&self) {
        self.peer.close();
    }

    /// Takes note of a write that failed.
    fn written<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(written, Poll::Ready(Err(_))) {
            self.peer.close();
        }
        written
    }
}

impl Drop for PeerStream {
    fn drop(&mut self) {
        let may_still_send = !self.peer.is_closed();
        self.peer.close();
        if let (true, Some(socket), Ok(runtime)) =
            (may_still_send, self.socket.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(linger(socket));
        }
    }
}

/// Takes what the client is still sending, for a moment. Closing a socket with unread bytes resets the
/// connection, and the client may lose the response that tells it what is wrong (RFC 9112, section
/// 9.6).
async fn linger(mut socket: Socket) {
    // The protocol layer may have done it already.
    drop(socket.shutdown().await);
    let drain = async {
        let mut rest = [0; 4096];
        let mut taken = 0;
        while taken < MAX_LINGER_BYTES
            && let Ok(length @ 1..) = socket.read(&mut rest).await
        {
            taken += length;
        }
    };
    // Whatever comes later is lost.
    drop(tokio::time::timeout(MAX_LINGER, drain).await);
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining() > 0);
        let read = self.pinned()?.poll_read(cx, buf);
        let is_over = match &read {
            Poll::Ready(Ok(())) => room && buf.filled().len() == before,
            Poll::Ready(Err(error)) => error.kind() != io::ErrorKind::WouldBlock,
            Poll::Pending => false,
        };
        if is_over {
            self.peer.close();
        }
        read
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.pinned()?.poll_write(cx, buf);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.pinned()?.poll_write_vectored(cx, bufs);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    /// The protocol layer calls it whenever everything that it had to send was written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.pinned()?.poll_flush(cx);
        let flushed = self.written(flushed);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.peer.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned()?.poll_shutdown(cx)
    }
}

/// Client at the other end of a connection, as the requests on it see it.
#[derive(Clone, Default)]
pub(crate) struct Peer(Rc<PeerState>);

#[derive(Default)]
struct PeerState {
    closed: Cell<bool>,
    /// Waits for the client to close. A connection has one request at a time.
    waiting: RefCell<Option<Waker>>,
    /// Called when everything was written.
    leaving: RefCell<Vec<Delivery>>,
}

/// Function that is called with `true` when a response was written, and with `false` when it was not.
type Delivered = Box<dyn FnOnce(bool)>;

/// Calls its function exactly once, with `false` if it is dropped.
struct Delivery(Option<Delivered>);

impl Delivery {
    fn report(mut self, written: bool) {
        if let Some(delivered) = self.0.take() {
            delivered(written);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(delivered) = self.0.take() {
            delivered(false);
        }
    }
}

impl Peer {
    /// Returns the client of a request; `None` if it has no connection of its own, as in a test.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Self>().cloned()
    }

    /// Returns whether the client closed its side of the connection, or the connection failed.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.get()
    }

    /// Waits until the client closes its side of the connection.
    pub(crate) async fn closed(&self) {
        poll_fn(|cx| {
            if self.is_closed() {
                return Poll::Ready(());
            }
            *self.0.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn close(&self) {
        self.0.closed.set(true);
        // Whatever has not left by now does not reach the client.
        drop(self.0.leaving.take());
        if let Some(waker) = self.0.waiting.take() {
            waker.wake();
        }
    }

    fn flushed(&self) {
        for delivery in self.0.leaving.take() {
            delivery.report(true);
        }
    }
}

/// Body that reports whether it was written to the connection before the client closed it.
pub(crate) struct ReportedBody {
    bytes: Bytes,
    peer: Option<Peer>,
    delivery: Option<Delivery>,
}

impl ReportedBody {
    /// Creates a body for this client. `delivered` is called exactly once.
    pub(crate) fn new(
        bytes: Bytes,
        peer: Option<Peer>,
        delivered: impl FnOnce(bool) + 'static,
    ) -> Self {
        Self { bytes, peer, delivery: Some(Delivery(Some(Box::new(delivered)))) }
    }
}

impl MessageBody for ReportedBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let Some(delivery) = self.delivery.take() else { return Poll::Ready(None) };
        match &self.peer {
            None => delivery.report(true),
            Some(peer) if peer.is_closed() => delivery.report(false),
            Some(peer) => peer.0.leaving.borrow_mut().push(delivery),
        }
        Poll::Ready(Some(Ok(std::mem::take(&mut self.bytes))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream as Client};

    use futures_util::FutureExt;

    use super::*;

    /// Returns both ends of a connection.
    fn pair() -> (Client, PeerStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::connect(listener.local_addr().unwrap()).unwrap();
        let (served, _) = listener.accept().unwrap();
        served.set_nonblocking(true).unwrap();
        (client, PeerStream::new(Socket::Plain(TcpStream::from_std(served).unwrap())))
    }

    fn reported(peer: &Peer) -> (Rc<Cell<Option<bool>>>, ReportedBody) {
        let seen = Rc::new(Cell::new(None));
        let told = Rc::clone(&seen);
        let body =
            ReportedBody::new(Bytes::from_static(b"x"), Some(peer.clone()), move |written| {
                assert_eq!(told.replace(Some(written)), None, "it is called once");
            });
        (seen, body)
    }

    async fn next(body: &mut ReportedBody) -> Option<Bytes> {
        poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await.map(|bytes| bytes.unwrap())
    }

    #[actix_web::test]
    async fn a_client_that_closes_or_half_closes_is_noticed_by_the_read_that_waits() {
        let ends: [fn(Client); 2] = [drop, |client| {
            client.shutdown(Shutdown::Write).unwrap();
            std::mem::forget(client);
        }];
        for end in ends {
            let (mut client, mut connection) = pair();
            let peer = connection.peer();
            client.write_all(b"a").unwrap();
            let mut byte = [0; 1];
            assert_eq!(connection.read(&mut byte).await.unwrap(), 1);
            assert!(!peer.is_closed());
            let (read, ()) = tokio::join!(connection.read(&mut byte), async {
                assert!(peer.closed().now_or_never().is_none());
                end(client);
                peer.closed().await;
            });
            assert_eq!((read.unwrap(), peer.is_closed()), (0, true));
        }
    }

    #[actix_web::test]
    async fn a_body_counts_as_delivered_when_it_was_flushed_and_not_before() {
        let (_client, mut connection) = pair();
        let (seen, mut body) = reported(&connection.peer());
        assert_eq!(next(&mut body).await.unwrap(), "x");
        assert_eq!(seen.get(), None, "it is in a buffer");
        connection.write_all(b"x").await.unwrap();
        connection.flush().await.unwrap();
        assert_eq!((seen.get(), next(&mut body).await), (Some(true), None));
        drop(connection);
        assert_eq!(seen.get(), Some(true));
    }

    #[actix_web::test]
    async fn a_body_that_was_not_flushed_before_the_end_was_not_delivered() {
        let (_client, connection) = pair();
        let (seen, body) = reported(&connection.peer());
        drop(body);
        assert_eq!(seen.get(), Some(false), "it was not taken");

        let (seen, mut body) = reported(&connection.peer());
        next(&mut body).await.unwrap();
        drop(connection);
        assert_eq!(seen.get(), Some(false), "the connection ended");

        let (client, mut connection) = pair();
        drop(client);
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0);
        let (seen, mut body) = reported(&connection.peer());
        next(&mut body).await.unwrap();
        assert_eq!(seen.get(), Some(false), "the client had closed");
    }
}
