//! A WebSocket client.

use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use crate::access;
use crate::server::TIMEOUT;

/// Returns the request that opens a WebSocket, with the [key](access) of the servers under test.
///
/// # Panics
/// If this is no address.
#[must_use]
pub fn request(url: &str) -> Request {
    let mut request = url.into_client_request().unwrap();
    if access::needs_keys() {
        request.headers_mut().insert("authorization", access::bearer().parse().unwrap());
    }
    request
}

/// A subscriber to live events.
#[derive(Debug)]
pub struct Watcher(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Watcher {
    /// Connects to a server, with a query such as `?project_id=all`.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn on(base: &str, query: &str) -> Self {
        Self::try_on(base, query).await.unwrap()
    }

    /// Connects, if the server can be reached.
    ///
    /// If it cannot be reached, or refuses.
    /// When it is not, or refuses.
    ///
    /// # Panics
    /// If there is no answer at all.
    pub async fn try_on(base: &str, query: &str) -> Result<Self, Box<Error>> {
        let request = request(&format!("{}/ws{query}", base.replace("http", "ws")));
        let connecting = tokio::time::timeout(TIMEOUT, connect_async(request)).await;
        let (stream, _) = connecting.expect("no answer")?;
        Ok(Self(stream))
    }

    /// Connects through a socket with a small receive buffer: frames that are not read soon queue
    /// in the server.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn with_small_buffer(base: &str, query: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let address = base.strip_prefix("http://").unwrap();
        let stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let stream = MaybeTlsStream::Plain(stream);
        let request = request(&format!("ws://{address}/ws{query}"));
        let (stream, _) = client_async(request, stream).await.unwrap();
        Self(stream)
    }

    /// Returns the next frame; `None` when the connection has ended.
    ///
    /// # Panics
    /// If nothing arrives within the time limit.
    pub async fn next(&mut self) -> Option<Value> {
        let next = tokio::time::timeout(TIMEOUT, self.next_untimed()).await;
        next.expect("nothing comes any more")
    }

    /// Returns the next frame without a time limit; `None` when the connection has ended.
    ///
    /// # Panics
    /// If a frame is not JSON.
    pub async fn next_untimed(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}
