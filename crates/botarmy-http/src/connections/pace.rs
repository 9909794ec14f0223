//! The pace at which a request body has to arrive.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Connection;

/// The rate at which a body has to arrive after its first seconds, in bytes per second: less than
/// the slowest lines that people work over.
const MIN_RATE: u32 = 16 * 1024;

/// A request body that has to arrive within some seconds, or at [`MIN_RATE`] from then on. It ends
/// with an error otherwise.
pub(crate) struct Paced {
    body: Payload,
    connection: Option<Arc<Connection>>,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// Begins with the head of the request.
    pub(crate) fn new(
        body: Payload,
        timeout: Duration,
        connection: Option<&Arc<Connection>>,
    ) -> Self {
        let deadline = Instant::now() + timeout;
        Self { body, connection: connection.cloned(), deadline, timer: None }
    }

    /// Converts it to a payload again.
    pub(crate) fn into_payload(self) -> Payload {
        Payload::from(Box::pin(self) as Pin<Box<dyn Stream<Item = _>>>)
    }
}

/// Returns `true` for the error of a body that arrived too slowly.
pub(crate) fn is_too_slow(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

impl Stream for Paced {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.body).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                self.deadline += Duration::from_secs(1) * length / MIN_RATE;
                return Poll::Ready(Some(Ok(bytes)));
            }
            Poll::Ready(end) => {
                if let Some(connection) = self.connection.take() {
                    connection.serves();
                }
                return Poll::Ready(end);
            }
            Poll::Pending => {}
        }
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let error = io::Error::new(io::ErrorKind::TimedOut, "the body arrives too slowly");
        Poll::Ready(Some(Err(PayloadError::Io(error))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    /// Returns how many chunks of this size arrive, one after every 20 ms, and whether all did; the
    /// first tenth of a second is free.
    async fn arrived(size: usize, chunks: usize) -> (usize, bool) {
        let body = stream::unfold(0, move |n| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            (n < chunks).then(|| (Ok(Bytes::from(vec![b'x'; size])), n + 1))
        });
        let body = Payload::from(Box::pin(body) as Pin<Box<dyn Stream<Item = _>>>);
        let mut paced = Paced::new(body, Duration::from_millis(100), None).into_payload();
        let mut arrived = 0;
        loop {
            match paced.next().await {
                None => return (arrived, true),
                Some(Ok(_)) => arrived += 1,
                Some(Err(error)) => {
                    assert!(is_too_slow(&error), "{error}");
                    return (arrived, false);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_body_arrives_within_the_first_seconds_or_at_the_least_rate() {
        let (few, ended) = arrived(1, 20).await;
        assert!(!ended && few <= 5, "{few}: a byte at a time");
        let (none, ended) = arrived(0, 20).await;
        assert!(!ended && none <= 5, "{none}: nothing at all");
        // 16 KiB a second are 328 bytes in 20 ms; a busy machine may pause longer.
        assert_eq!(
            arrived(20_000, 20).await,
            (20, true),
            "longer than the first seconds, but fast"
        );
        let (some, ended) = arrived(100, 100).await;
        assert!(!ended && some < 20, "{some}: a third of the rate");
    }
}
