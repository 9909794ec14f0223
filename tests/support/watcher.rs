//! A WebSocket client.

use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::PATIENCE;

/// Somebody who watches live.
#[derive(Debug)]
pub struct Watcher(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Watcher {
    /// Connects to a server, with a query such as `?project_id=all`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn on(base: &str, query: &str) -> Self {
        Self::try_on(base, query).await.unwrap()
    }

    /// Connects, if the server is there.
    ///
    /// # Errors
    /// When it is not, or refuses.
    ///
    /// # Panics
    /// When there is no answer at all.
    pub async fn try_on(base: &str, query: &str) -> Result<Self, Box<Error>> {
        let url = format!("{}/ws{query}", base.replace("http", "ws"));
        let connecting = tokio::time::timeout(PATIENCE, connect_async(url)).await;
        let (stream, _) = connecting.expect("nobody answers")?;
        Ok(Self(stream))
    }

    /// The next frame; `None` when the connection has ended.
    ///
    /// # Panics
    /// When nothing comes for a long time.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match message.expect("nothing comes any more")?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}
