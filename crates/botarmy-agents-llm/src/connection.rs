//! The connection to a provider: one request, one streamed answer. The only file that names the
//! library for the providers' protocols; everything else uses [`Wire`].
//!
//! Nothing below repeats a request: the library does not, and the HTTP client is configured not
//! to. The client follows no redirect, because a key must not reach another host, and accepts no
//! compression, because a small answer must not become a large one. The library logs answers of
//! providers, which may hold part of a key: `botarmy-server` never shows its log lines.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ChatResponseFormat, ChatStreamEvent, JsonSpec,
    StopReason, Usage as WireUsage,
};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use serde_json::Value;

use crate::error::{AskError, AskErrorKind};
use crate::provider::{Key, Provider, ProviderKind};
use crate::usage::Tokens;
use crate::wire::{Answer, Request, Stop, Wire};

/// Most bytes of one answer, reasoning included.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Most characters of a provider's error message that are shown.
const MAX_MESSAGE_CHARS: usize = 300;
/// Longest wait that a provider can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// A connection to a provider cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The base URL is not an `http://` or `https://` URL, or has a user or a query.
    #[error(
        "base_url of the provider {0} must be an http:// or https:// URL without a user or a query"
    )]
    BaseUrl(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be created.
    #[error("the HTTP client cannot be created")]
    Http(#[from] reqwest::Error),
    /// The client of the protocol library cannot be created.
    #[error("the client for {0} cannot be created")]
    Client(String),
}

/// A client for one model, with its configuration.
pub(crate) struct Connection {
    client: Client,
    target: ServiceTarget,
    kind: ProviderKind,
    key: Option<Key>,
    max_tokens: u32,
    silence: Duration,
    schema: bool,
}

/// Creates a client for a model. Sends nothing.
pub(crate) fn connect(provider: &Provider, model: &str) -> Result<Connection, SetupError> {
    let mut base = provider.base_url.trim().to_owned();
    // Anything else in the URL may be a key, and error messages show the URL.
    let is_address = reqwest::Url::parse(&base).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    });
    if !is_address {
        return Err(SetupError::BaseUrl(provider.name.clone()));
    }
    if !base.ends_with('/') {
        base.push('/');
    }
    let client = Client::builder().with_reqwest(http_client()?).build();
    let client = client.map_err(|_| SetupError::Client(provider.name.clone()))?;
    // The library insists on a key, so a server without keys gets a placeholder.
    let key = provider.key.as_ref().map_or("none", Key::secret);
    let target = ServiceTarget {
        endpoint: Endpoint::from_owned(base),
        auth: AuthData::from_single(key),
        model: ModelIden::new(adapter(provider.kind), model),
    };
    Ok(Connection {
        client,
        target,
        kind: provider.kind,
        key: provider.key.clone(),
        max_tokens: provider.max_tokens,
        silence: provider.silence,
        schema: provider.schema,
    })
}

const fn adapter(kind: ProviderKind) -> AdapterKind {
    match kind {
        ProviderKind::OpenAi | ProviderKind::Compatible => AdapterKind::OpenAI,
        ProviderKind::Anthropic => AdapterKind::Anthropic,
        ProviderKind::Gemini => AdapterKind::Gemini,
        ProviderKind::Ollama => AdapterKind::Ollama,
    }
}

/// Creates an HTTP client with ring and the system's certificates. Without any certificates,
/// `https://` fails on use and `http://` works.
fn http_client() -> Result<reqwest::Client, SetupError> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
        .no_gzip()
        .user_agent(concat!("botarmy/", env!("CARGO_PKG_VERSION")));
    Ok(client.build()?)
}

#[async_trait]
impl Wire for Connection {
    async fn ask(
        &self,
        request: &Request<'_>,
        received: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Answer, AskError> {
        let options = self.options(request.schema);
        let turns = vec![ChatMessage::user(request.text)];
        let chat = ChatRequest::new(turns).with_system(request.system);
        let silence = self.silence;
        let timed_out = |_| AskErrorKind::Silent(silence);
        let opened = self.client.exec_chat_stream(self.target.clone(), chat, Some(&options));
        let mut stream = match tokio::time::timeout(silence, opened).await.map_err(timed_out)? {
            Ok(opened) => opened.stream,
            Err(error) => return Err(self.error_kind(&error).into()),
        };
        let mut text = String::new();
        let mut bytes = 0;
        let mut tools = BTreeSet::new();
        while let Some(event) =
            tokio::time::timeout(silence, stream.next()).await.map_err(timed_out)?
        {
            let length = match event {
                Ok(ChatStreamEvent::Chunk(chunk)) => {
                    text.push_str(&chunk.content);
                    chunk.content.len()
                }
                Ok(ChatStreamEvent::ReasoningChunk(chunk)) => chunk.content.len(),
                Ok(ChatStreamEvent::ToolCallChunk(chunk)) => {
                    tools.insert(chunk.tool_call.call_id);
                    1
                }
                Ok(ChatStreamEvent::End(end)) => {
                    let tokens = end.captured_usage.as_ref().map(tokens);
                    let stop = self.stop(end.captured_stop_reason, tokens, !tools.is_empty());
                    if text.is_empty() && stop == Stop::CutOff && bytes == 0 {
                        return Err(AskError { kind: AskErrorKind::Empty, tokens });
                    }
                    if stop == Stop::CutOff {
                        return Err(AskError { kind: AskErrorKind::CutOff, tokens });
                    }
                    return Ok(Answer { text, stop, tokens: tokens.unwrap_or_default() });
                }
                Ok(_) => 0,
                Err(error) => return Err(self.error_kind(&error).into()),
            };
            bytes += length;
            if bytes > MAX_ANSWER_BYTES {
                return Err(AskErrorKind::TooLarge(MAX_ANSWER_BYTES).into());
            }
            if length > 0 {
                received(length);
            }
        }
        Err(if bytes == 0 { AskErrorKind::Empty } else { AskErrorKind::CutOff }.into())
    }
}

impl Connection {
    fn options(&self, schema: &Value) -> ChatOptions {
        let options =
            ChatOptions::default().with_capture_usage(true).with_max_tokens(self.max_tokens);
        match (self.schema, self.kind) {
            (false, _) => options,
            // The library knows Ollama's JSON mode and not its schemas.
            (true, ProviderKind::Ollama) => {
                options.with_response_format(ChatResponseFormat::JsonMode)
            }
            (true, _) => options.with_response_format(JsonSpec::new("document", schema.clone())),
        }
    }

    fn stop(&self, reason: Option<StopReason>, tokens: Option<Tokens>, tools: bool) -> Stop {
        match reason {
            Some(StopReason::MaxTokens(_)) => Stop::Length,
            Some(StopReason::ContentFilter(_)) => Stop::Refused,
            Some(StopReason::ToolCall(_)) => Stop::ToolCall,
            _ if tools => Stop::ToolCall,
            Some(StopReason::Completed(_) | StopReason::StopSequence(_)) => Stop::Done,
            Some(StopReason::Other(word)) => Stop::Other(self.sanitized(&word)),
            // OpenAI's protocol marks its end, and the mark has arrived. For the others the library
            // reports an end when the connection closes; old versions of Ollama give no reason, but
            // their last line has token counts.
            None => match self.kind {
                ProviderKind::OpenAi | ProviderKind::Compatible => Stop::Done,
                ProviderKind::Ollama if tokens.is_some_and(|t| t.output > 0) => Stop::Done,
                _ => Stop::CutOff,
            },
        }
    }

    /// Classifies an error of the library. Its text is not used: it may hold the provider's answer.
    fn error_kind(&self, error: &genai::Error) -> AskErrorKind {
        if let Some(status) = error.status() {
            let after = error.headers().and_then(retry_after);
            let status = status.as_u16();
            // An answer that rejects a key may repeat the key.
            let message = match status {
                401 | 403 => None,
                _ => body_of(error).and_then(|body| self.message_in(body)),
            };
            return AskErrorKind::Status { status, after, message };
        }
        match error {
            genai::Error::WebStream { error, .. } => {
                if let Some(inner) = error.downcast_ref::<genai::Error>() {
                    self.error_kind(inner)
                } else if let Some(http) = error.downcast_ref::<reqwest::Error>() {
                    http_error_kind(http)
                } else {
                    AskErrorKind::Unreadable
                }
            }
            genai::Error::WebModelCall {
                webc_error: genai::webc::Error::Reqwest(http), ..
            } => http_error_kind(http),
            genai::Error::ChatResponse { body, .. } => {
                let error = body.get("error").unwrap_or(body);
                let word = |key| error.get(key).and_then(Value::as_str).map(str::to_owned);
                let word = word("type").or_else(|| word("status")).unwrap_or_default();
                let message = match word.as_str() {
                    "authentication_error" | "permission_error" => None,
                    _ => error.get("message").and_then(Value::as_str),
                };
                AskErrorKind::BrokenOff { word, message: message.map(|text| self.sanitized(text)) }
            }
            genai::Error::RequiresApiKey { .. } | genai::Error::NoAuthData { .. } => {
                AskErrorKind::Unusable("it requires a key".to_owned())
            }
            genai::Error::AdapterNotSupported { feature, .. } => {
                AskErrorKind::Unusable(format!("its protocol does not support {feature}"))
            }
            _ => AskErrorKind::Unreadable,
        }
    }

    /// Returns the provider's message in the body of an error.
    fn message_in(&self, body: &str) -> Option<String> {
        let body: Value = serde_json::from_str(body).ok()?;
        // Gemini streams a list.
        let body = body.get(0).unwrap_or(&body);
        let error = body.get("error").unwrap_or(body);
        let text = error.as_str().or_else(|| error.get("message")?.as_str())?;
        Some(self.sanitized(text))
    }

    fn sanitized(&self, text: &str) -> String {
        sanitize(text, self.key.as_ref())
    }
}

fn body_of(error: &genai::Error) -> Option<&str> {
    match error {
        genai::Error::HttpError { body, .. } => Some(body),
        genai::Error::WebModelCall { webc_error, .. }
        | genai::Error::WebAdapterCall { webc_error, .. } => match webc_error {
            genai::webc::Error::ResponseFailedStatus { body, .. } => Some(body),
            _ => None,
        },
        _ => None,
    }
}

fn http_error_kind(error: &reqwest::Error) -> AskErrorKind {
    if error.is_connect() {
        AskErrorKind::Unreachable
    } else if error.is_builder() {
        AskErrorKind::Unusable("the request cannot be built; check base_url and the key".to_owned())
    } else {
        AskErrorKind::CutOff
    }
}

/// Returns a provider's text in a form that may be shown: one line of at most
/// [`MAX_MESSAGE_CHARS`] characters, without the key or anything that looks like one.
fn sanitize(text: &str, key: Option<&Key>) -> String {
    let text = match key {
        Some(key) => text.replace(key.secret(), "(key)"),
        None => text.to_owned(),
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let secret = ["sk-", "AIza", "gsk_", "Bearer"].iter().any(|start| bare.starts_with(start));
        if secret { "(key)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ").chars().take(MAX_MESSAGE_CHARS).collect()
}

fn tokens(usage: &WireUsage) -> Tokens {
    let count = |n: Option<i32>| u64::try_from(n.unwrap_or(0)).unwrap_or(0);
    Tokens { input: count(usage.prompt_tokens), output: count(usage.completion_tokens) }
}

/// Returns the time that a provider asks to wait, from `retry-after-ms` or else from `retry-after`
/// in seconds (RFC 9110, section 10.2.3). The header's other form, a date, is not supported: none of
/// the providers uses it.
fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let number = |name: &str| -> Option<f64> {
        let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    let millis = number("retry-after-ms").map(|millis| millis / 1_000.0);
    let seconds = millis.or_else(|| number("retry-after"))?;
    Some(Duration::from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_without_keys() {
        let key = Key::new(" s3cr3t\n").unwrap();
        assert_eq!(
            sanitize("Wrong key s3cr3t\u{7}, or sk-12***34.", Some(&key)),
            "Wrong key (key) , or (key)"
        );
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_in_milliseconds() {
        let read = |name: &'static str, value: &'static str| {
            let headers = [(name.parse().unwrap(), value.parse().unwrap())];
            retry_after(&headers.into_iter().collect())
        };
        assert_eq!(read("retry-after", "3600"), Some(Duration::from_secs(3600)));
        assert_eq!(read("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(read("retry-after", "99999999"), Some(MAX_RETRY_AFTER));
        for odd in ["-1", "soon", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(read("retry-after", odd), None);
        }
    }
}
