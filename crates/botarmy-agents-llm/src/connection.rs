//! The connection to a provider: one request, one streamed answer.
//!
//! Nothing here repeats a request, and the HTTP client is configured not to. The client follows no
//! redirect, because a key must not reach another host, and accepts no compression, because a small
//! answer must not become a large one. Every body has a maximum size, also that of an error.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::ports::Clock;
use reqwest::Response;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::{AskError, AskErrorKind};
use crate::frames::{Frame, FrameError, Frames, Framing, MAX_FRAME_BYTES};
use crate::http::{self, SetupError};
use crate::protocols::{self, Ask, Reading};
use crate::provider::Provider;
use crate::provider_error;
use crate::wire::{Answer, Request, Stop, Wire};

/// Most bytes of one answer, reasoning included.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Most bytes of the body of an answer: each of its few bytes comes in a frame of some hundred.
const MAX_BODY_BYTES: usize = 512 * 1024 * 1024;
/// Most bytes of a body that is not an answer, such as an error.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Longest time that the body of an error may take.
const MAX_ERROR_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for the end of an answer after its reason. Some servers neither mark the end of their
/// answers nor close the connection.
const MAX_WAIT_FOR_END: Duration = Duration::from_secs(2);

/// A client for one model, with its configuration.
pub(crate) struct Connection {
    client: reqwest::Client,
    base_url: String,
    provider: Provider,
    model: String,
    clock: Arc<dyn Clock>,
}

/// Creates a client for a model. Sends nothing.
pub(crate) fn connect(
    provider: &Provider,
    model: &str,
    clock: Arc<dyn Clock>,
) -> Result<Connection, SetupError> {
    let (base_url, is_local) = http::base_url(&provider.name, &provider.base_url)?;
    Ok(Connection {
        client: http::client(is_local)?,
        base_url,
        provider: provider.clone(),
        model: model.to_owned(),
        clock,
    })
}

#[async_trait]
impl Wire for Connection {
    async fn ask(
        &self,
        request: &Request<'_>,
        received: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Answer, AskError> {
        let mut response = self.open(request).await?;
        let mut reading = Reading::default();
        let ended = self.read(&mut response, &mut reading, received).await;
        let counted = reading.counted;
        let stop = match (ended, reading.stop()) {
            (Ok(()), Some(stop)) => stop,
            (Ok(()), None) if reading.bytes == 0 => {
                return Err(AskError { kind: AskErrorKind::Empty, counted });
            }
            (Ok(()), None) => Stop::BrokenOff(AskErrorKind::CutOff),
            // The document may be complete all the same.
            (Err(kind @ (AskErrorKind::CutOff | AskErrorKind::Silent(_))), _)
                if !reading.text.is_empty() =>
            {
                Stop::BrokenOff(kind)
            }
            (Err(kind), _) => return Err(AskError { kind, counted }),
        };
        let stop = match stop {
            Stop::Other(word) => Stop::Other(self.sanitized(&word)),
            stop => stop,
        };
        Ok(Answer { text: reading.text, stop, counted })
    }
}

impl Connection {
    /// Sends the request; returns the response if its status is a success.
    async fn open(&self, request: &Request<'_>) -> Result<Response, AskErrorKind> {
        let provider = &self.provider;
        let call = protocols::call(
            provider.kind,
            &Ask {
                model: &self.model,
                key: provider.key.as_ref(),
                max_tokens: provider.max_tokens,
                schema: provider.schema.then_some(request.schema),
                system: request.system,
                text: request.text,
            },
        );
        let mut post = self.client.post(format!("{}{}", self.base_url, call.path)).json(&call.body);
        if let Some(trace) = request.trace {
            post = post.header("traceparent", trace.to_string());
        }
        for (name, value) in &call.headers {
            post = post.header(*name, http::secret_header(value)?);
        }
        let silent = |_| AskErrorKind::Silent(provider.silence);
        let sent = timeout(provider.silence, post.send()).await.map_err(silent)?;
        let response = sent.map_err(|error| http::error_kind(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let after = http::retry_after(response.headers(), self.clock.now());
        // An answer that rejects a key may repeat the key.
        let message = match status {
            401 | 403 => None,
            _ => error_body(response).await.and_then(|body| self.message_in(&body)),
        };
        Err(AskErrorKind::Status { status, after, message })
    }

    /// Reads the answer until its end. Any byte shows that the provider is alive.
    async fn read(
        &self,
        response: &mut Response,
        reading: &mut Reading,
        received: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), AskErrorKind> {
        let kind = self.provider.kind;
        let mut frames = Frames::new(protocols::framing(kind));
        let mut body = Beginning::new(protocols::framing(kind));
        let mut size = 0;
        let silence = self.provider.silence;
        let mut end_by = None;
        loop {
            if reading.reason.is_some() {
                let limit = silence.min(MAX_WAIT_FOR_END);
                end_by.get_or_insert_with(|| Instant::now() + limit);
            }
            let chunk = response.chunk();
            let waited = match end_by {
                Some(until) => timeout_at(until, chunk),
                None => timeout(silence, chunk),
            };
            let bytes = match waited.await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break,
                _ if end_by.is_some() => return Ok(()),
                Ok(Err(error)) => return Err(http::error_kind(&error)),
                Err(_) => return Err(AskErrorKind::Silent(silence)),
            };
            size += bytes.len();
            if size > MAX_BODY_BYTES {
                return Err(AskErrorKind::TooLarge(MAX_BODY_BYTES));
            }
            body.push(&bytes);
            if body.is_plain() {
                if body.is_full() {
                    break;
                }
                continue;
            }
            frames.push(&bytes).map_err(frame_error)?;
            while let Some(frame) = frames.next() {
                self.take(&frame, reading, &mut body, received)?;
                if reading.is_ended {
                    return Ok(());
                }
            }
        }
        if !body.is_plain() {
            frames.finish().map_err(frame_error)?;
            while let Some(frame) = frames.next() {
                match self.take(&frame, reading, &mut body, received) {
                    // It may be cut off.
                    Err(AskErrorKind::Unreadable) => {}
                    taken => taken?,
                }
            }
        }
        if body.is_understood { Ok(()) } else { Err(self.no_answer(&body)) }
    }

    /// Takes a frame into account.
    fn take(
        &self,
        frame: &Frame,
        reading: &mut Reading,
        body: &mut Beginning,
        received: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), AskErrorKind> {
        if body.is_plain() {
            return Ok(());
        }
        let data = frame.data.trim();
        // A sign of life that some proxies send in this form.
        if data.is_empty() || data.starts_with(':') {
            return Ok(());
        }
        if data == "[DONE]" {
            (reading.is_ended, body.is_understood) = (true, true);
            return Ok(());
        }
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            if body.is_understood {
                return Err(AskErrorKind::Unreadable);
            }
            body.is_no_stream = true;
            return Ok(());
        };
        if let Some(error) = provider_error::find(&value, frame.event == "error") {
            return Err(provider_error::kind(error, |text| self.sanitized(text)));
        }
        body.is_understood = true;
        let before = reading.bytes;
        protocols::read(self.provider.kind, &value, reading);
        if reading.bytes > MAX_ANSWER_BYTES {
            return Err(AskErrorKind::TooLarge(MAX_ANSWER_BYTES));
        }
        if reading.bytes > before {
            received(reading.bytes - before);
        }
        Ok(())
    }

    /// Returns the error for a body without a frame of the protocol, which may be an error document.
    fn no_answer(&self, body: &Beginning) -> AskErrorKind {
        let text = body.bytes.trim_ascii();
        if text.is_empty() {
            return AskErrorKind::Empty;
        }
        let value = serde_json::from_slice::<Value>(text).ok();
        match value.as_ref().and_then(|value| provider_error::find(value, false)) {
            Some(error) => provider_error::kind(error, |text| self.sanitized(text)),
            None => AskErrorKind::Unreadable,
        }
    }

    /// Returns the provider's message in the body of an error.
    fn message_in(&self, body: &[u8]) -> Option<String> {
        let body: Value = serde_json::from_slice(body).ok()?;
        provider_error::message(provider_error::find(&body, true)?).map(|text| self.sanitized(text))
    }

    fn sanitized(&self, text: &str) -> String {
        provider_error::sanitize(text, self.provider.key.as_ref())
    }
}

/// The beginning of a body, kept as long as no frame of it was understood.
#[derive(Debug)]
struct Beginning {
    framing: Framing,
    bytes: Vec<u8>,
    is_understood: bool,
    /// `true` if a frame is not JSON.
    is_no_stream: bool,
}

impl Beginning {
    const fn new(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new(), is_understood: false, is_no_stream: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        if !self.is_understood {
            let room = MAX_ERROR_BYTES - self.bytes.len();
            self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Returns `true` for a document instead of a stream: a frame is not JSON, or it begins as no frame
    /// does.
    fn is_plain(&self) -> bool {
        let start = self.bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_document = match self.framing {
            Framing::Events => matches!(start, Some(b'<' | b'[' | b'{')),
            Framing::Lines => matches!(start, Some(b'<' | b'[')),
        };
        !self.is_understood && (self.is_no_stream || is_document)
    }

    fn is_full(&self) -> bool {
        self.bytes.len() == MAX_ERROR_BYTES
    }
}

fn frame_error(error: FrameError) -> AskErrorKind {
    match error {
        FrameError::NotUtf8 => AskErrorKind::Unreadable,
        FrameError::TooLarge => AskErrorKind::TooLarge(MAX_FRAME_BYTES),
    }
}

/// Reads the body of an error, as far as it comes within its limits.
async fn error_body(mut response: Response) -> Option<Vec<u8>> {
    let until = Instant::now() + MAX_ERROR_WAIT;
    let mut body = Vec::new();
    while let Ok(Ok(Some(bytes))) = timeout_at(until, response.chunk()).await {
        let room = MAX_ERROR_BYTES - body.len();
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if body.len() == MAX_ERROR_BYTES {
            return None;
        }
    }
    Some(body)
}
