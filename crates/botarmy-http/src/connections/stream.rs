//! A socket that can be closed from outside while it waits for its client.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::{Connection, Connections};
use crate::peer::{Peer, PeerStream};
use crate::tls::Socket;

/// Socket of a [`Connection`].
pub(crate) struct GuardedStream {
    socket: PeerStream,
    connection: Arc<Connection>,
}

impl GuardedStream {
    /// Adds the connection of this socket, which begins with a handshake where there is TLS.
    pub(crate) fn new(
        socket: TcpStream,
        tls: Option<&TlsAcceptor>,
        all: &Arc<Connections>,
    ) -> Self {
        let connection = all.add(socket.peer_addr().ok());
        Self { socket: PeerStream::new(Socket::new(socket, tls)), connection }
    }

    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        self.socket.socket()
    }

    pub(crate) fn peer(&self) -> Peer {
        self.socket.peer()
    }

    pub(crate) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn check(&self) -> io::Result<()> {
        if self.connection.is_closed() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it waited for too long"));
        }
        Ok(())
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        if self.connection.is_closed() {
            self.socket.abandon();
        }
        self.connection.all.remove(&self.connection);
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.reader.register(cx.waker());
        self.check()?;
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.connection.received();
        }
        if poll.is_pending() {
            self.connection.is_read_to_the_end();
        }
        poll
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let poll = Pin::new(&mut self.socket).poll_write(cx, bytes);
        if matches!(poll, Poll::Ready(Ok(_))) {
            self.connection.sent();
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
