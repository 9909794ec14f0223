//! A minimal HTTP/1.1 client, so that measuring takes as little of the machine as possible: one
//! persistent connection, one request at a time, answers with a length.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use botarmy_tests::access::header_line;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A persistent connection.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Whether requests have the key of the servers under test.
    has_key: bool,
}

/// Answer to a request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Returns the body of a successful answer, as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        if self.status >= 300 {
            bail!("answered {}: {}", self.status, String::from_utf8_lossy(self.body));
        }
        serde_json::from_slice(self.body).context("the answer is not JSON")
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: Vec::with_capacity(4096), has_key: true })
    }

    /// Sends no key from now on, as to an open server.
    pub(crate) fn without_key(mut self) -> Self {
        self.has_key = false;
        self
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer<'_>> {
        self.ask("GET", None, path, b"").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Result<Answer<'_>> {
        self.ask("POST", None, path, body).await
    }

    /// Puts JSON and expects success.
    pub(crate) async fn put(&mut self, path: &str, body: &Value) -> Result<Value> {
        self.ask("PUT", None, path, body.to_string().as_bytes()).await?.json()
    }

    /// Posts JSON and expects success.
    pub(crate) async fn create(&mut self, path: &str, body: &Value) -> Result<Value> {
        self.post(path, body.to_string().as_bytes()).await?.json()
    }

    /// Like [`Self::create`], with the token of a lease. Older servers give none.
    pub(crate) async fn create_with(
        &mut self,
        token: Option<&str>,
        path: &str,
        body: &Value,
    ) -> Result<Value> {
        self.ask("POST", token, path, body.to_string().as_bytes()).await?.json()
    }

    async fn ask(
        &mut self,
        method: &str,
        token: Option<&str>,
        path: &str,
        body: &[u8],
    ) -> Result<Answer<'_>> {
        let token = match token {
            Some(token) => format!("authorization: Bearer {token}\r\n"),
            None if self.has_key => header_line(),
            None => String::new(),
        };
        self.request.clear();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             {token}content-length: {}\r\n\r\n",
            body.len()
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the connection was closed instead of an answer");
            }
            if let Some((status, body, end)) = parse(&self.answer)?
                && self.answer.len() >= end
            {
                return Ok(Answer { status, body: &self.answer[body..end] });
            }
        }
    }
}

/// Returns the status and the range of the body; `None` until the head is complete.
fn parse(answer: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..head])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status: u16 = status.context("the answer has no status")?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let body = head.len() + 4;
    Ok(Some((status, body, body + length.context("the answer has no length")?)))
}
