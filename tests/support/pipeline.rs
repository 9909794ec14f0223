//! A pipelining HTTP/1.1 client: requests as bytes, many in flight on one connection, and responses
//! with all of their bytes. A test of millions of requests takes minutes with it, and can send what
//! no HTTP library would.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::TIMEOUT;

/// Largest number of requests in flight on a connection. Above it the server stops reading, and both
/// ends could wait for each other.
const IN_FLIGHT: usize = 16;
/// Times that a request is sent again because its connection ended before its response.
const ATTEMPTS: u32 = 5;

/// A request as it is sent.
#[derive(Debug, Clone)]
pub struct Call {
    bytes: Vec<u8>,
    /// Whether the response has no body, whatever its headers say.
    is_head: bool,
    /// Whether the request asks for another protocol. What follows it on the connection is not HTTP.
    is_upgrade: bool,
}

impl Call {
    /// Returns whether the request may share its connection with no other at the same time. The web
    /// framework remembers of the request that it has read last whether it is HEAD, and not of the one
    /// that it answers (`actix-http` 3.20), so that a body would follow where none may.
    const fn is_alone(&self) -> bool {
        self.is_head || self.is_upgrade
    }
}

impl Call {
    /// Creates a request. `headers` are lines that end with CR and LF. A body is sent with its length
    /// and as JSON.
    #[must_use]
    pub fn new(method: &str, path: &str, headers: &str, body: Option<&[u8]>) -> Self {
        let mut bytes =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}").into_bytes();
        if let Some(body) = body {
            let length = body.len();
            let of_body = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
            bytes.extend_from_slice(of_body.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body.unwrap_or_default());
        Self {
            bytes,
            is_head: method == "HEAD",
            is_upgrade: headers.contains("upgrade: websocket"),
        }
    }

    /// Creates a request with a key or a token.
    #[must_use]
    pub fn with_key(method: &str, path: &str, key: &str, body: Option<&Value>) -> Self {
        let body = body.map(|body| body.to_string().into_bytes());
        Self::new(method, path, &format!("authorization: Bearer {key}\r\n"), body.as_deref())
    }

    /// Returns the request with another content type.
    #[must_use]
    pub fn as_kind(self, kind: &str) -> Self {
        self.replaced("content-type: application/json\r\n", &format!("content-type: {kind}\r\n"))
    }

    /// Returns the request with the port in the name of the host, as browsers send it.
    #[must_use]
    pub fn at_port(self, port: u16) -> Self {
        self.replaced("host: localhost\r\n", &format!("host: localhost:{port}\r\n"))
    }

    fn replaced(mut self, line: &str, with: &str) -> Self {
        let at = self.bytes.windows(line.len()).position(|part| part == line.as_bytes());
        if let Some(at) = at {
            self.bytes.splice(at..at + line.len(), with.bytes());
        }
        self
    }

    /// Returns the request line and the headers, for the message of a test.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Body, without the form in which it was transferred.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn ends_connection(&self) -> bool {
        self.status == 101
            || self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A client that keeps one connection, and opens another when the server has closed it.
#[derive(Debug)]
pub struct Pipeline {
    /// Address, as `127.0.0.1:PORT`.
    address: String,
    connection: Option<TcpStream>,
    received: Vec<u8>,
}

impl Pipeline {
    /// Creates a client for the server at this address, such as `http://127.0.0.1:8080`.
    ///
    /// # Panics
    /// If the address is none of HTTP.
    #[must_use]
    pub fn to(base: &str) -> Self {
        let address = base.strip_prefix("http://").unwrap().to_owned();
        Self { address, connection: None, received: Vec::with_capacity(64 * 1024) }
    }

    /// Sends one request; returns the response.
    ///
    /// # Panics
    /// If there is none.
    pub async fn send(&mut self, call: &Call) -> Reply {
        self.send_all(std::slice::from_ref(call)).await.remove(0)
    }

    /// Sends one request; returns the response and the time from the first byte sent to the last one
    /// received.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn timed(&mut self, call: &Call) -> (Reply, Duration) {
        if self.connection.is_none() {
            self.connect().await;
        }
        let began = Instant::now();
        let reply = self.send(call).await;
        (reply, began.elapsed())
    }

    /// Sends requests, several in flight; returns their responses in the same order. Requests whose
    /// connection ended before their response are sent again.
    ///
    /// # Panics
    /// If there is no response to one of them.
    pub async fn send_all(&mut self, calls: &[Call]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(calls.len());
        let (mut attempts, mut reached) = (0, 0);
        while replies.len() < calls.len() {
            let before = replies.len();
            let open = tokio::time::timeout(TIMEOUT, self.exchange(calls, &mut replies)).await;
            let is_open = open.unwrap_or_else(|_| panic!("no answer to {}", calls[before].text()));
            if !is_open {
                self.connection = None;
            }
            attempts = if replies.len() > reached { 0 } else { attempts + 1 };
            reached = replies.len();
            assert!(attempts < ATTEMPTS, "the connection ends at {}", calls[reached].text());
        }
        replies
    }

    async fn connect(&mut self) {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        self.received.clear();
        self.connection = Some(stream);
    }

    /// Sends what was not answered yet, and reads the responses; returns whether the connection can be
    /// used for more.
    async fn exchange(&mut self, calls: &[Call], replies: &mut Vec<Reply>) -> bool {
        if self.connection.is_none() {
            self.connect().await;
        }
        let stream = self.connection.as_mut().unwrap();
        let mut in_flight: VecDeque<&Call> = VecDeque::new();
        let mut next = replies.len();
        loop {
            let mut bytes = Vec::new();
            // Half of them at a time, so that a packet has several requests.
            if in_flight.len() <= IN_FLIGHT / 2 {
                let is_alone = |call: &&&Call| call.is_alone();
                while in_flight.len() < IN_FLIGHT
                    && next < calls.len()
                    && in_flight.back().filter(is_alone).is_none()
                    && (in_flight.is_empty() || !calls[next].is_alone())
                {
                    bytes.extend_from_slice(&calls[next].bytes);
                    in_flight.push_back(&calls[next]);
                    next += 1;
                }
            }
            let sent = bytes.is_empty() || stream.write_all(&bytes).await.is_ok();
            let Some(first) = in_flight.front() else { return true };
            let reply = loop {
                match parse(&self.received, first.is_head) {
                    Some((reply, end)) => {
                        self.received.drain(..end);
                        break reply;
                    }
                    None if !sent && self.received.is_empty() => return false,
                    None => match stream.read_buf(&mut self.received).await {
                        Ok(0) | Err(_) => return false,
                        Ok(_) => {}
                    },
                }
            };
            let ends = reply.ends_connection() || first.is_upgrade;
            in_flight.pop_front();
            replies.push(reply);
            if ends {
                return false;
            }
        }
    }
}

/// Returns the first response and its length; `None` until it is complete.
fn parse(received: &[u8], is_head: bool) -> Option<(Reply, usize)> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..end - 4]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a response: {head:?}"));
    let mut reply = Reply { status, head, body: Vec::new() };
    if is_head || status < 200 || status == 204 || status == 304 {
        return Some((reply, end));
    }
    if let Some(length) = reply.header("content-length") {
        let length: usize = length.parse().unwrap();
        reply.body = received.get(end..end + length)?.to_vec();
        return Some((reply, end + length));
    }
    let encoding = reply.header("transfer-encoding");
    assert_eq!(encoding, Some("chunked"), "a response without a length: {}", reply.head);
    let mut at = end;
    loop {
        let line = received[at..].windows(2).position(|two| two == b"\r\n")? + at;
        let size = std::str::from_utf8(&received[at..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let chunk = received.get(line + 2..line + 2 + size + 2)?;
        at = line + 2 + size + 2;
        if size == 0 {
            return Some((reply, at));
        }
        reply.body.extend_from_slice(&chunk[..size]);
    }
}
