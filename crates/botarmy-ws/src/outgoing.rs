//! The messages that a connection still has to send, bounded in bytes, and their form on the wire
//! (RFC 6455, section 5.2).
//!
//! The web framework takes as many bytes as its buffer for the socket has room for, so what a client
//! does not read stays here: one large message, or small ones of [`QUEUE_BYTES`] together. A message
//! is not copied until then, so that the connections that wait to send the same frame share it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::web::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Size of the messages that wait to be sent above which no other is accepted, in bytes.
const QUEUE_BYTES: usize = 64 * 1024;
/// Number of bytes that are passed on to the web framework at once.
const CHUNK: usize = 32 * 1024;
/// Memory that a message needs beside its payload, at most, in bytes.
const OVERHEAD: usize = 128;
/// Largest payload of a control frame (RFC 6455, section 5.5).
const MAX_CONTROL: usize = 125;

/// A message to a client.
#[derive(Debug)]
pub(crate) enum Message {
    Text(ByteString),
    Ping,
    Pong(Bytes),
    /// A close frame: the code and the reason, or neither.
    Close(Option<(u16, String)>),
}

/// The connection is gone, or its client takes nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stalled;

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Outgoing>,
    /// Memory for the messages of which not all has been taken, in bytes.
    bytes: usize,
    /// Set once the close frame was taken, or the sender is gone without one.
    ended: bool,
    /// Set once the receiver is gone.
    gone: bool,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Outgoing {
    /// Remaining bytes of the header.
    header: Bytes,
    /// Remaining bytes of the payload.
    payload: Bytes,
    /// Memory for the whole message, in bytes.
    size: usize,
    is_close: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Notified when bytes were taken.
    taken: Notify,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the queue where messages come in.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Shared>);

/// The bytes of the messages, as the body of the response.
#[derive(Debug)]
pub(crate) struct Receiver(Arc<Shared>);

/// Creates an empty queue.
pub(crate) fn queue() -> (Sender, Receiver) {
    let shared = Arc::<Shared>::default();
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Sender {
    /// Adds a message, and waits until there is room for another one.
    ///
    /// # Errors
    /// The client has taken nothing for `limit` while there was no room, or is gone.
    pub(crate) async fn send(&self, message: Message, limit: Duration) -> Result<(), Stalled> {
        let outgoing = Outgoing::of(message);
        let waker = {
            let mut queue = self.0.queue();
            queue.bytes += outgoing.size;
            queue.messages.push_back(outgoing);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        loop {
            let taken = self.0.taken.notified();
            {
                let queue = self.0.queue();
                if queue.gone {
                    return Err(Stalled);
                }
                if queue.bytes <= QUEUE_BYTES {
                    return Ok(());
                }
            }
            timeout(limit, taken).await.map_err(|_| Stalled)?;
        }
    }

    /// Sends a close frame, and waits until it was taken or the time is over.
    pub(crate) async fn close(&self, reason: Option<(u16, String)>, limit: Duration) {
        let closing = async {
            self.send(Message::Close(reason), limit).await?;
            loop {
                let taken = self.0.taken.notified();
                if self.0.queue().messages.is_empty() {
                    return Ok::<_, Stalled>(());
                }
                taken.await;
            }
        };
        // Best effort: the connection ends whether or not the frame arrives.
        drop(timeout(limit, closing).await);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let waker = {
            let mut queue = self.0.queue();
            // Without a close frame the connection breaks off, and what waits is of no use.
            if !queue.messages.back().is_some_and(|last| last.is_close) {
                queue.messages.clear();
                queue.bytes = 0;
                queue.ended = true;
            }
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Stream for Receiver {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut bytes = BytesMut::new();
        let mut queue = self.0.queue();
        while bytes.len() < CHUNK
            && let Some(first) = queue.messages.front_mut()
        {
            for part in [&mut first.header, &mut first.payload] {
                let fits = part.len().min(CHUNK - bytes.len());
                bytes.extend_from_slice(&part.split_to(fits));
            }
            if first.header.is_empty() && first.payload.is_empty() {
                let (size, is_close) = (first.size, first.is_close);
                queue.messages.pop_front();
                queue.bytes -= size;
                queue.ended |= is_close;
            }
        }
        if !bytes.is_empty() {
            drop(queue);
            self.0.taken.notify_one();
            return Poll::Ready(Some(Ok(bytes.freeze())));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.gone = true;
        queue.messages.clear();
        queue.bytes = 0;
        drop(queue);
        self.0.taken.notify_one();
    }
}

impl Outgoing {
    fn of(message: Message) -> Self {
        let (opcode, payload) = match message {
            Message::Text(text) => (0x1, text.into_bytes()),
            Message::Close(reason) => (0x8, close_payload(reason)),
            Message::Ping => (0x9, Bytes::new()),
            Message::Pong(bytes) => (0xA, bytes.slice(..bytes.len().min(MAX_CONTROL))),
        };
        let header = header(opcode, payload.len());
        Self { header, size: payload.len() + OVERHEAD, payload, is_close: opcode == 0x8 }
    }
}

/// Returns the header of a whole message: a server does not mask.
fn header(opcode: u8, size: usize) -> Bytes {
    let mut header = vec![0x80 | opcode];
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(size @ ..=125), _) => header.push(size),
        (_, Ok(size)) => {
            header.push(126);
            header.extend(size.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend((size as u64).to_be_bytes());
        }
    }
    header.into()
}

fn close_payload(reason: Option<(u16, String)>) -> Bytes {
    let Some((code, text)) = reason else { return Bytes::new() };
    let mut payload = code.to_be_bytes().to_vec();
    let fits = (0..=text.len().min(MAX_CONTROL - 2)).rev().find(|end| text.is_char_boundary(*end));
    payload.extend(&text.as_bytes()[..fits.unwrap_or(0)]);
    payload.into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures_util::{FutureExt, StreamExt};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn text(size: usize) -> Message {
        Message::Text("x".repeat(size).into())
    }

    fn take(receiver: &mut Receiver) -> Option<Bytes> {
        receiver.next().now_or_never().flatten().map(|bytes| bytes.unwrap())
    }

    #[tokio::test]
    async fn a_message_has_the_header_of_its_length() {
        assert_eq!(header(0x1, 0)[..], [0x81, 0]);
        assert_eq!(header(0x1, 125)[..], [0x81, 125]);
        assert_eq!(header(0x1, 126)[..], [0x81, 126, 0, 126]);
        assert_eq!(header(0x1, 65_535)[..], [0x81, 126, 255, 255]);
        assert_eq!(header(0x1, 65_536)[..], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        let (sender, mut receiver) = queue();
        sender.send(text(3), LIMIT).await.unwrap();
        assert_eq!(take(&mut receiver).unwrap()[..], *b"\x81\x03xxx");
    }

    #[tokio::test]
    async fn a_close_frame_has_its_code_and_a_reason_that_fits_and_is_the_last() {
        let (sender, mut receiver) = queue();
        let reason = (1001, "ö".repeat(100));
        let closing = async {
            sender.close(Some(reason), LIMIT).await;
            drop(sender);
        };
        let reading = async {
            let bytes = receiver.next().await.unwrap().unwrap();
            assert_eq!(bytes[..4], [0x88, 124, 3, 233]);
            assert_eq!(std::str::from_utf8(&bytes[4..]).unwrap(), "ö".repeat(61));
            assert!(receiver.next().await.is_none());
        };
        tokio::join!(closing, reading);
    }

    #[tokio::test]
    async fn no_message_is_accepted_while_a_large_one_waits() {
        let (sender, mut receiver) = queue();
        for _ in 0..3 {
            sender.send(text(QUEUE_BYTES / 4), LIMIT).await.unwrap();
        }
        let limit = Duration::from_millis(500);
        let mut sending = Box::pin(sender.send(text(4 * QUEUE_BYTES), limit));
        let (begin, mut read) = (Instant::now(), 0);
        while timeout(limit / 4, &mut sending).await.is_err() {
            // A client that takes something now and then is not given up.
            read += take(&mut receiver).unwrap().len();
        }
        assert!(read > 4 * QUEUE_BYTES, "{read}");
        assert!(begin.elapsed() > 2 * limit, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_and_costs_nothing_more() {
        let (sender, mut receiver) = queue();
        let (begin, limit) = (Instant::now(), Duration::from_millis(100));
        assert_eq!(sender.send(text(QUEUE_BYTES + 1), limit).await, Err(Stalled));
        assert!(begin.elapsed() >= limit);
        assert_eq!(sender.0.queue().messages.len(), 1);
        let shared = Arc::clone(&sender.0);
        drop(sender);
        assert!(shared.queue().messages.is_empty());
        assert!(receiver.next().await.is_none());
    }

    #[tokio::test]
    async fn a_connection_that_is_gone_accepts_nothing() {
        let (sender, receiver) = queue();
        drop(receiver);
        assert_eq!(sender.send(text(1), LIMIT).await, Err(Stalled));
    }
}
