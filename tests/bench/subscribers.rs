//! WebSocket clients.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use botarmy_domain::Timestamp;
use botarmy_tests::watcher::request;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Time limit of an expected frame.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Opens a connection with the subscriptions of this query.
pub(crate) async fn connect(address: SocketAddr, query: &str) -> Result<Socket> {
    let (socket, _) = connect_async(request(&format!("ws://{address}/ws?{query}"))).await?;
    Ok(socket)
}

/// A subscriber that keeps frames together with their time of arrival.
pub(crate) struct Subscriber(mpsc::UnboundedReceiver<(Instant, Value)>);

impl Subscriber {
    pub(crate) async fn open(address: SocketAddr, query: &str) -> Result<Self> {
        let mut socket = connect(address, query).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                let came = Instant::now();
                if let Message::Text(text) = message
                    && let Ok(frame) = serde_json::from_str(&text)
                    && sender.send((came, frame)).is_err()
                {
                    break;
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Returns the next frame of this type and discards others.
    pub(crate) async fn next(
        &mut self,
        event_type: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<(Instant, Value)> {
        let waiting = async {
            while let Some((came, frame)) = self.0.recv().await {
                if frame["event_type"] == event_type && wanted(&frame) {
                    return Ok((came, frame));
                }
            }
            bail!("the live stream has ended");
        };
        let waiting = tokio::time::timeout(TIMEOUT, waiting).await;
        waiting.with_context(|| format!("no frame of type {event_type} came"))?
    }
}

/// Returns the time of the event by the log.
pub(crate) fn logged_at(frame: &Value) -> Result<Timestamp> {
    let text = frame["timestamp"].as_str().context("a frame has a timestamp")?;
    Ok(Timestamp::parse(text)?)
}
