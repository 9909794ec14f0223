//! A receiver of webhooks: it keeps what it gets, and answers as a test wants it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A message, as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
    /// Path and query.
    pub target: String,
    /// Status with which it was answered.
    pub status: u16,
    /// Time of its arrival.
    pub at: Instant,
}

/// An answer that a test wants.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Time before the answer.
    pub delay: Duration,
}

impl Answer {
    /// Returns the answer with this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    answers: VecDeque<Answer>,
    otherwise: Option<Answer>,
}

/// A receiver on loopback.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    /// Returns a header; empty if it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Returns the project of the entry, and its position.
    ///
    /// # Panics
    /// If it is no message about an entry.
    #[must_use]
    pub fn place(&self) -> (Option<String>, u64) {
        let message = self.json();
        let project = message["data"]["project_id"].as_str().map(str::to_owned);
        (project, message["data"]["seq"].as_u64().unwrap())
    }

    /// Returns the signatures of a version.
    #[must_use]
    pub fn signatures(&self, version: &str) -> Vec<String> {
        let all = self.header("webhook-signature").split(' ');
        let of = all.filter_map(|one| one.split_once(',')).filter(|(known, _)| *known == version);
        of.map(|(_, signature)| signature.to_owned()).collect()
    }

    /// Returns whether a signature is one with this secret (`whsec_`) or public key (`whpk_`).
    ///
    /// # Panics
    /// If the key is neither.
    #[must_use]
    pub fn is_signed_with(&self, key: &str) -> bool {
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let content = format!("{id}.{at}.{}", self.body);
        let decoded = |version| {
            let signatures = self.signatures(version).into_iter();
            signatures.map(|text| STANDARD.decode(text).unwrap()).collect::<Vec<_>>()
        };
        if let Some(secret) = key.strip_prefix("whsec_") {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(secret).unwrap());
            let tag = hmac::sign(&secret, content.as_bytes());
            return decoded("v1").iter().any(|signature| signature == tag.as_ref());
        }
        let public = STANDARD.decode(key.strip_prefix("whpk_").unwrap()).unwrap();
        let public = UnparsedPublicKey::new(&ED25519, public);
        decoded("v1a").iter().any(|signature| public.verify(content.as_bytes(), signature).is_ok())
    }
}

impl Receiver {
    /// Starts a receiver that accepts everything.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Self { port, state, task }
    }

    /// Returns the address of the receiver with this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers the next messages like this, one after the other.
    ///
    /// # Panics
    /// If another user of the state panicked.
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().answers.extend(answers);
    }

    /// Answers all further messages like this, or accepts them with `None`.
    ///
    /// # Panics
    /// If another user of the state panicked.
    pub fn always(&self, answer: Option<Answer>) {
        self.state.lock().unwrap().otherwise = answer;
    }

    /// Returns everything that arrived, in order.
    ///
    /// # Panics
    /// If another user of the state panicked.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }
}

/// Reads requests and answers them until the connection ends.
async fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut buffer = Vec::new();
    while let Some((mut received, rest)) = read(&mut stream, buffer).await {
        buffer = rest;
        let answer = {
            let mut state = state.lock().unwrap();
            let answer = state.answers.pop_front().or_else(|| state.otherwise.clone());
            let answer = answer.unwrap_or_else(|| Answer::status(204));
            received.status = answer.status;
            state.received.push(received);
            answer
        };
        tokio::time::sleep(answer.delay).await;
        let more: String =
            answer.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if answer.status == 204 { "" } else { "content-length: 0\r\n" };
        let text = format!("HTTP/1.1 {} X\r\n{more}{length}\r\n", answer.status);
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads one request. Returns it with what came after it.
async fn read(stream: &mut TcpStream, mut buffer: Vec<u8>) -> Option<(Received, Vec<u8>)> {
    loop {
        let end = buffer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let target = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: Vec<_> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let rest = buffer.split_off(end + 4 + length);
                let body = String::from_utf8(buffer.split_off(end + 4)).unwrap();
                let at = Instant::now();
                return Some((Received { headers, body, target, status: 0, at }, rest));
            }
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}
