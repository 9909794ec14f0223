//! A double of the model providers: OpenAI's chat completions, Anthropic's messages, Gemini's
//! generateContent and Ollama's chat, streamed, on one port. It sends the replies that a test sets,
//! including invalid ones.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Input and output tokens that every complete answer reports.
pub const TOKENS: (u64, u64) = (100, 20);

/// Protocol of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
    /// generateContent.
    Gemini,
    /// Ollama's chat.
    Ollama,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Ollama];
}

/// Reaction of the double to one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Streams this text in pieces and ends regularly.
    Say(String),
    /// Streams this text and ends because of the maximum length.
    Length(String),
    /// Refuses to answer.
    Refuse,
    /// Calls a tool that was not offered.
    ToolCall,
    /// Sends this status with these headers and this body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Sends 200 with a body of this content type.
    Body(&'static str, String),
    /// Streams half of the text, then drops the connection.
    CutOff(String),
    /// Streams the text, then sends nothing more and keeps the connection.
    Stall(String),
    /// Sends nothing and keeps the connection.
    Hang,
    /// Sends an error in the middle of the stream, where the protocol supports it.
    Error(&'static str),
    /// Streams this text with a byte at the start of its summary that is not UTF-8.
    InvalidUtf8(String),
    /// Waits, then continues with the next reaction.
    After(Duration, Box<Self>),
    /// Streams a piece, waits, and so on.
    Slowly(Duration, String),
    /// Streams these pieces of a body as they are, each after a wait.
    Pieces(Vec<(Duration, String)>, Last),
    /// Sends this status and content type, then this piece again and again, as fast as it is read.
    Endless(u16, &'static str, String),
}

/// End of a body that a test has written itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// The body ends regularly.
    Finished,
    /// The connection is dropped within the body.
    Dropped,
    /// Nothing follows, and the connection stays.
    Held,
}

/// A request that the double received.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Protocol of the request.
    pub protocol: Protocol,
    /// Path of the request line.
    pub path: String,
    /// Headers, in lower case.
    pub head: String,
    /// Body of the request.
    pub body: Value,
}

impl Asked {
    /// Returns all texts in the request.
    #[must_use]
    pub fn text(&self) -> String {
        fn collect(value: &Value, text: &mut String) {
            match value {
                Value::String(one) => {
                    text.push_str(one);
                    text.push('\n');
                }
                Value::Array(items) => items.iter().for_each(|item| collect(item, text)),
                Value::Object(map) => map.values().for_each(|item| collect(item, text)),
                _ => {}
            }
        }
        let mut text = String::new();
        collect(&self.body, &mut text);
        text
    }

    /// Returns the name of the workflow step that the request is about.
    #[must_use]
    pub fn step(&self) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once("# Step\n\n")?;
        Some(rest.split_once(" (")?.0.to_owned())
    }
}

type Answerer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A double of the model providers.
pub struct Double {
    /// `http://127.0.0.1:PORT`
    pub base: String,
    script: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Double {
    /// Starts a double that replies with `answer` unless [`Self::then`] has set a reply.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (script, asked) = (Arc::default(), Arc::default());
        let (open, sent) = (Arc::default(), Arc::default());
        let desk = Desk {
            script: Arc::clone(&script),
            asked: Arc::clone(&asked),
            open: Arc::clone(&open),
            sent: Arc::clone(&sent),
            answer: Arc::new(answer),
        };
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let desk = desk.clone();
                tokio::spawn(async move { desk.serve(stream).await });
            }
        });
        Self { base, script, asked, open, sent, serving }
    }

    /// Starts a double that always streams this text.
    pub async fn saying(text: &str) -> Self {
        let text = text.to_owned();
        Self::start(move |_| Reply::Say(text.clone())).await
    }

    /// Sets the reply to the next request.
    ///
    /// # Panics
    /// Never.
    pub fn then(&self, reply: Reply) {
        self.script.lock().unwrap().push_back(reply);
    }

    /// Returns the requests so far.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the number of clients with an open request.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes of endless replies that were sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// Returns the base URL for this protocol.
    #[must_use]
    pub fn url(&self, protocol: Protocol) -> String {
        match protocol {
            Protocol::OpenAi | Protocol::Anthropic => format!("{}/v1", self.base),
            Protocol::Gemini => format!("{}/v1beta/", self.base),
            Protocol::Ollama => self.base.clone(),
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct Desk {
    script: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    answer: Arc<Answerer>,
}

/// Counts a client while it is connected.
struct Client(Arc<AtomicUsize>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Desk {
    async fn serve(self, mut stream: TcpStream) {
        self.open.fetch_add(1, Ordering::SeqCst);
        let _client = Client(Arc::clone(&self.open));
        let Some(asked) = read(&mut stream).await else { return };
        self.asked.lock().unwrap().push(asked.clone());
        let next = self.script.lock().unwrap().pop_front();
        let reply = next.unwrap_or_else(|| (self.answer)(&asked));
        let (mut reader, mut writer) = stream.split();
        let mut nothing = [0; 64];
        // A client that disconnects ends the reply at any point.
        tokio::select! {
            _ = speak(&mut writer, asked.protocol, reply, &self.sent) => {}
            _ = reader.read(&mut nothing) => {}
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let (head, start) = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..end]).to_lowercase(), end + 4);
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < start + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let path = head.split_whitespace().nth(1)?.to_owned();
    let protocol = match path.as_str() {
        path if path.ends_with("/chat/completions") => Protocol::OpenAi,
        path if path.ends_with("/messages") => Protocol::Anthropic,
        path if path.contains(":streamgeneratecontent") => Protocol::Gemini,
        _ => Protocol::Ollama,
    };
    let body = serde_json::from_slice(&bytes[start..start + length]).unwrap_or_default();
    Some(Asked { protocol, path, head, body })
}

/// End of an answer.
#[derive(Clone, Copy)]
enum End {
    Well,
    Length,
    Refused,
    Tool,
}

type Sent = std::io::Result<()>;

async fn speak(
    to: &mut (impl AsyncWriteExt + Unpin),
    protocol: Protocol,
    reply: Reply,
    sent: &AtomicUsize,
) -> Sent {
    match reply {
        Reply::Say(text) => stream(to, protocol, &text, End::Well, Duration::ZERO).await,
        Reply::Slowly(wait, text) => stream(to, protocol, &text, End::Well, wait).await,
        Reply::Length(text) => stream(to, protocol, &text, End::Length, Duration::ZERO).await,
        Reply::Refuse => stream(to, protocol, "", End::Refused, Duration::ZERO).await,
        Reply::ToolCall => stream(to, protocol, "", End::Tool, Duration::ZERO).await,
        Reply::CutOff(text) => {
            begin(to, protocol).await?;
            for piece in pieces(&text[..text.len() / 2]) {
                chunk(to, &says(protocol, piece)).await?;
            }
            to.flush().await
        }
        Reply::InvalidUtf8(text) => {
            begin(to, protocol).await?;
            // A character that occurs nowhere else marks the place of the invalid byte.
            let text = text.replacen("\"summary\":\"", "\"summary\":\"\u{e000}", 1);
            for piece in pieces(&text) {
                let frame = says(protocol, piece);
                let (before, after) = frame.split_once('\u{e000}').unwrap_or((&frame, ""));
                let byte: &[u8] = if before.len() < frame.len() { b"\xff" } else { b"" };
                raw(to, &[before.as_bytes(), byte, after.as_bytes()].concat()).await?;
            }
            chunk(to, &ends(protocol, End::Well)).await?;
            finish(to).await
        }
        Reply::Stall(text) => {
            begin(to, protocol).await?;
            for piece in pieces(&text) {
                chunk(to, &says(protocol, piece)).await?;
            }
            to.flush().await?;
            std::future::pending().await
        }
        Reply::Error(word) => {
            begin(to, protocol).await?;
            let error = json!({"type": "error", "error": {"type": word, "message": "Broken."}});
            let frame = match protocol {
                Protocol::Anthropic => format!("event: error\ndata: {error}\n\n"),
                Protocol::Ollama => format!("{error}\n"),
                _ => format!("data: {error}\n\n"),
            };
            chunk(to, &frame).await?;
            finish(to).await
        }
        Reply::Hang => std::future::pending().await,
        Reply::After(wait, reply) => {
            tokio::time::sleep(wait).await;
            Box::pin(speak(to, protocol, *reply, sent)).await
        }
        Reply::Pieces(pieces, last) => {
            head(to, 200, content_type(protocol)).await?;
            for (wait, piece) in pieces {
                tokio::time::sleep(wait).await;
                chunk(to, &piece).await?;
                to.flush().await?;
            }
            match last {
                Last::Finished => finish(to).await,
                Last::Dropped => Ok(()),
                Last::Held => std::future::pending().await,
            }
        }
        Reply::Endless(status, kind, piece) => {
            head(to, status, kind).await?;
            loop {
                chunk(to, &piece).await?;
                to.flush().await?;
                sent.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
        Reply::Status(status, headers, body) => whole(to, status, &headers, &body).await,
        Reply::Body(kind, body) => whole(to, 200, &[("content-type", kind.into())], &body).await,
    }
}

async fn whole(
    to: &mut (impl AsyncWriteExt + Unpin),
    status: u16,
    headers: &[(&'static str, String)],
    body: &str,
) -> Sent {
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
    to.write_all(head.as_bytes()).await?;
    to.write_all(body.as_bytes()).await?;
    to.flush().await
}

async fn stream(
    to: &mut (impl AsyncWriteExt + Unpin),
    protocol: Protocol,
    text: &str,
    end: End,
    wait: Duration,
) -> Sent {
    begin(to, protocol).await?;
    for piece in pieces(text) {
        chunk(to, &says(protocol, piece)).await?;
        if !wait.is_zero() {
            to.flush().await?;
            tokio::time::sleep(wait).await;
        }
    }
    chunk(to, &ends(protocol, end)).await?;
    finish(to).await
}

async fn begin(to: &mut (impl AsyncWriteExt + Unpin), protocol: Protocol) -> Sent {
    head(to, 200, content_type(protocol)).await?;
    chunk(to, &begins(protocol)).await
}

async fn head(to: &mut (impl AsyncWriteExt + Unpin), status: u16, kind: &str) -> Sent {
    let head = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    to.write_all(head.as_bytes()).await
}

const fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ollama => "application/x-ndjson",
        _ => "text/event-stream",
    }
}

/// Returns the frames of a regular answer with this text: its beginning, its text, and its end.
#[must_use]
pub fn frames(protocol: Protocol, text: &str) -> Vec<String> {
    let text = pieces(text).into_iter().map(|piece| says(protocol, piece));
    let end = [ends(protocol, End::Well)];
    std::iter::once(begins(protocol)).chain(text).chain(end).filter(|one| !one.is_empty()).collect()
}

/// Returns the frames before the first text.
fn begins(protocol: Protocol) -> String {
    if protocol != Protocol::Anthropic {
        return String::new();
    }
    let start = json!({"type": "message_start", "message": {"id": "m", "role": "assistant",
        "content": [], "usage": {"input_tokens": TOKENS.0, "output_tokens": 1}}});
    let block = json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "text", "text": ""}});
    format!(
        "event: message_start\ndata: {start}\n\n\
         event: content_block_start\ndata: {block}\n\n"
    )
}

async fn chunk(to: &mut (impl AsyncWriteExt + Unpin), text: &str) -> Sent {
    raw(to, text.as_bytes()).await
}

async fn raw(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> Sent {
    if bytes.is_empty() {
        return Ok(());
    }
    to.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
    to.write_all(&[bytes, b"\r\n"].concat()).await
}

async fn finish(to: &mut (impl AsyncWriteExt + Unpin)) -> Sent {
    to.write_all(b"0\r\n\r\n").await?;
    to.flush().await
}

/// Splits a text into a few pieces, never within a character.
fn pieces(text: &str) -> Vec<&str> {
    let most = (text.len() / 8).max(16);
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = most.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Returns the frame of a piece of text.
#[must_use]
pub fn says(protocol: Protocol, piece: &str) -> String {
    match protocol {
        Protocol::OpenAi => {
            let delta = json!({"id": "c", "object": "chat.completion.chunk", "choices": [
                {"index": 0, "delta": {"content": piece}, "finish_reason": null}]});
            format!("data: {delta}\n\n")
        }
        Protocol::Anthropic => {
            let delta = json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": piece}});
            format!("event: content_block_delta\ndata: {delta}\n\n")
        }
        Protocol::Gemini => {
            let part = json!({"candidates": [{"index": 0,
                "content": {"role": "model", "parts": [{"text": piece}]}}]});
            format!("data: {part}\r\n\r\n")
        }
        Protocol::Ollama => {
            let line = json!({"model": "m", "done": false,
                "message": {"role": "assistant", "content": piece}});
            format!("{line}\n")
        }
    }
}

fn ends(protocol: Protocol, end: End) -> String {
    let tool = matches!(end, End::Tool);
    let (input, output) = TOKENS;
    match protocol {
        Protocol::OpenAi => {
            let mut text = String::new();
            if tool {
                let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0,
                    "id": "t", "type": "function",
                    "function": {"name": "rm", "arguments": "{}"}}]}}]});
                let _ = write!(text, "data: {call}\n\n");
            }
            let reason = match end {
                End::Well => "stop",
                End::Length => "length",
                End::Refused => "content_filter",
                End::Tool => "tool_calls",
            };
            let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
            let usage = json!({"choices": [], "usage": {"prompt_tokens": input,
                "completion_tokens": output, "total_tokens": input + output}});
            let _ = write!(text, "data: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n");
            text
        }
        Protocol::Anthropic => {
            let mut text = String::from(
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            );
            if tool {
                let call = json!({"type": "content_block_start", "index": 1,
                    "content_block": {"type": "tool_use", "id": "t", "name": "rm", "input": {}}});
                let _ = write!(text, "event: content_block_start\ndata: {call}\n\n");
            }
            let reason = match end {
                End::Well => "end_turn",
                End::Length => "max_tokens",
                End::Refused => "refusal",
                End::Tool => "tool_use",
            };
            let delta = json!({"type": "message_delta", "delta": {"stop_reason": reason},
                "usage": {"output_tokens": output}});
            let _ = write!(
                text,
                "event: message_delta\ndata: {delta}\n\n\
                 event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
            );
            text
        }
        Protocol::Gemini => {
            let parts = if tool {
                json!([{"functionCall": {"name": "rm", "args": {}}}])
            } else {
                json!([{"text": ""}])
            };
            let reason = match end {
                End::Well | End::Tool => "STOP",
                End::Length => "MAX_TOKENS",
                End::Refused => "SAFETY",
            };
            let last = json!({
                "candidates": [{"index": 0, "finishReason": reason,
                    "content": {"role": "model", "parts": parts}}],
                "usageMetadata": {"promptTokenCount": input, "candidatesTokenCount": output,
                    "totalTokenCount": input + output},
            });
            format!("data: {last}\r\n\r\n")
        }
        Protocol::Ollama => {
            let mut message = json!({"role": "assistant", "content": ""});
            if tool {
                message["tool_calls"] = json!([{"function": {"name": "rm", "arguments": {}}}]);
            }
            let reason = match end {
                End::Length => "length",
                // Ollama has no content filter; its protocol value is replaced here.
                End::Refused => "content_filter",
                End::Well | End::Tool => "stop",
            };
            let last = json!({"model": "m", "done": true, "done_reason": reason,
                "message": message, "prompt_eval_count": input, "eval_count": output});
            format!("{last}\n")
        }
    }
}

/// Returns a valid document for every step of the `sdlc` workflow: a small application whose first
/// build has a defect that its test finds.
#[must_use]
pub fn sensible(asked: &Asked) -> Reply {
    Reply::Say(sensible_document(asked.step().as_deref(), &asked.text()).to_string())
}

/// Returns a document that the schema of this step of `sdlc` accepts, given the text that the step
/// is shown: a test passes when the repaired source is in it.
#[must_use]
pub fn sensible_document(step: Option<&str>, text: &str) -> Value {
    let files = |script: &str| json!([{"path": "app.js", "content": script}]);
    let mut document = match step {
        Some("Project Planning") => json!({
            "goals": ["Keep recipes."], "scope": {"in": ["a list"], "out": ["accounts"]},
            "milestones": [{"id": "M1", "name": "A list", "done_when": "it is shown"}],
            "risks": [], "questions": [],
        }),
        Some("Requirements Analysis") => json!({
            "user_stories": [{"id": "S1", "as_a": "cook", "i_want": "to see a list",
                "so_that": "I find things", "acceptance": [{"id": "A1", "text": "It is shown."}]}],
            "quality": [],
        }),
        Some("Architectural Design") => json!({
            "components": [{"file": "index.html", "responsibility": "everything"}], "flow": [],
            "decisions": [{"decision": "static", "reason": "simple", "alternative": "a server"}],
        }),
        Some("Implementation Planning") => json!({
            "tasks": [{"id": "T1", "title": "List", "file": "index.html", "done_when": "shown"}],
            "tests": [], "not_covered": [],
        }),
        Some("Code Generation") => json!({"entry": "index.html", "deleted": [], "files": [
            {"path": "index.html", "content": "<!doctype html><title>Recipes</title>\
             <script src=\"app.js\"></script>"},
            {"path": "app.js", "content": "defective();"},
        ]}),
        Some("Code Refinement") => {
            json!({"entry": "index.html", "deleted": [], "files": files("defective(); // tidy")})
        }
        Some("Bug Fix") => {
            json!({"entry": "index.html", "deleted": [], "files": files("mended();")})
        }
        Some("Code Testing") => {
            let passed = text.contains("mended();");
            let failure = json!({"check": "A1", "file": "app.js", "detail": "it is defective"});
            json!({
                "passed": passed, "failures": if passed { json!([]) } else { json!([failure]) },
                "checks": [{"name": "A1", "passed": passed, "detail": "read"}],
            })
        }
        Some("Deployment" | "Final Check") => json!({"ok": true}),
        other => json!({"markdown": format!("Something about {other:?}.")}),
    };
    document["title"] = json!("By a model");
    document["summary"] = json!("A model's work.");
    document["confidence"] = json!(0.9);
    document
}
