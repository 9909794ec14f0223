//! The providers: one request, one streamed answer. The only file that knows the library which
//! speaks their protocols; everything else here talks to [`Wire`].
//!
//! Nothing below repeats a request: the library does not, and the HTTP client is told not to. It
//! follows no redirect, since a key must not go where it was not meant for, and takes nothing
//! compressed, since a small answer must not become a large one. The library logs what providers
//! answer, which may hold part of a key: `botarmy-server` never shows its log lines.

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

use super::failure::{Failure, Fault};

/// The most bytes of one answer, with what the model thinks aloud.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// How much of what a provider says about an error is passed on, in characters.
const SENTENCE: usize = 300;
/// Nobody waits longer than this because a provider asks for it.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// Whose protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
    /// Ollama's chat.
    Ollama,
    /// Anything else that speaks OpenAI's chat completions.
    Compatible,
}

impl ProviderKind {
    /// Where it is found unless somebody says otherwise.
    #[must_use]
    pub const fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1/"),
            Self::Anthropic => Some("https://api.anthropic.com/v1/"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta/"),
            Self::Ollama => Some("http://localhost:11434/"),
            Self::Compatible => None,
        }
    }

    /// Whether it constrains answers to a schema. Not every server that is compatible does.
    #[must_use]
    pub const fn has_schema(self) -> bool {
        !matches!(self, Self::Compatible)
    }

    /// Whether it always wants a key.
    #[must_use]
    pub const fn needs_key(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic | Self::Gemini)
    }

    const fn adapter(self) -> AdapterKind {
        match self {
            Self::OpenAi | Self::Compatible => AdapterKind::OpenAI,
            Self::Anthropic => AdapterKind::Anthropic,
            Self::Gemini => AdapterKind::Gemini,
            Self::Ollama => AdapterKind::Ollama,
        }
    }
}

/// A key, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Keeps a key; surrounding white space, such as the end of a line, is not part of it.
    #[must_use]
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A provider as it is configured.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What it is called here.
    pub name: String,
    /// Whose protocol it speaks.
    pub kind: ProviderKind,
    /// Where it is.
    pub base_url: String,
    /// Its key.
    pub key: Option<Key>,
    /// The variable the key comes from: for people who look for what is wrong.
    pub key_env: Option<String>,
    /// The most tokens of one answer.
    pub max_tokens: u32,
    /// About how many tokens of context are shown.
    pub context_tokens: usize,
    /// How long it may say nothing.
    pub silence: Duration,
    /// Whether answers are constrained to a schema.
    pub schema: bool,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not an address.
    #[error(
        "base_url of the provider {0} is not an http:// or https:// address without a user or a query"
    )]
    BaseUrl(String),
    /// TLS.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP client.
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
    /// The library.
    #[error("no client for {0} can be made")]
    Client(String),
}

/// Speaks to one model.
#[async_trait]
pub(super) trait Wire: Send + Sync {
    /// Asks once, and tells how many bytes came whenever some come.
    async fn ask(
        &self,
        request: &Request<'_>,
        heard: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Answer, Failure>;
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) system: &'a str,
    pub(super) text: &'a str,
    pub(super) schema: &'a Value,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) stop: Stop,
    pub(super) tokens: Tokens,
}

/// Why the model stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Done,
    Length,
    Refused,
    ToolCall,
    CutOff,
    Other(String),
}

/// Tokens read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
}

/// A client for one model.
pub(super) struct Connection {
    client: Client,
    target: ServiceTarget,
    kind: ProviderKind,
    key: Option<Key>,
    max_tokens: u32,
    silence: Duration,
    schema: bool,
}

/// Makes a client; nothing is sent.
pub(super) fn connect(provider: &Provider, model: &str) -> Result<Connection, SetupError> {
    let mut base = provider.base_url.trim().to_owned();
    // What is more than an address may be a key, and would be shown.
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
    // A server without keys is sent a word that is none: the library insists on one.
    let key = provider.key.as_ref().map_or("none", |key| &key.0);
    let target = ServiceTarget {
        endpoint: Endpoint::from_owned(base),
        auth: AuthData::from_single(key),
        model: ModelIden::new(provider.kind.adapter(), model),
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

/// One HTTP client, with ring and with the system's certificates; where there are none, `https://`
/// is refused when it is used and `http://` works.
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
        heard: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Answer, Failure> {
        let options = self.options(request.schema);
        let turns = vec![ChatMessage::user(request.text)];
        let chat = ChatRequest::new(turns).with_system(request.system);
        let silence = self.silence;
        let quiet = |_| Fault::Silent(silence);
        let opened = self.client.exec_chat_stream(self.target.clone(), chat, Some(&options));
        let mut stream = match tokio::time::timeout(silence, opened).await.map_err(quiet)? {
            Ok(opened) => opened.stream,
            Err(error) => return Err(self.fault(&error).into()),
        };
        let mut text = String::new();
        let mut bytes = 0;
        let mut tools = BTreeSet::new();
        while let Some(event) = tokio::time::timeout(silence, stream.next()).await.map_err(quiet)? {
            let came = match event {
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
                        return Err(Failure { fault: Fault::Empty, tokens });
                    }
                    if stop == Stop::CutOff {
                        return Err(Failure { fault: Fault::CutOff, tokens });
                    }
                    return Ok(Answer { text, stop, tokens: tokens.unwrap_or_default() });
                }
                Ok(_) => 0,
                Err(error) => return Err(self.fault(&error).into()),
            };
            bytes += came;
            if bytes > MAX_ANSWER {
                return Err(Fault::TooLarge(MAX_ANSWER).into());
            }
            if came > 0 {
                heard(came);
            }
        }
        Err(if bytes == 0 { Fault::Empty } else { Fault::CutOff }.into())
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
            Some(StopReason::Other(word)) => Stop::Other(self.passed_on(&word)),
            // OpenAI's protocol ends with a word of its own, which has come. For the others the
            // library makes up an end when the connection closes; old Ollamas give no reason, but
            // their last line has counts.
            None => match self.kind {
                ProviderKind::OpenAi | ProviderKind::Compatible => Stop::Done,
                ProviderKind::Ollama if tokens.is_some_and(|t| t.output > 0) => Stop::Done,
                _ => Stop::CutOff,
            },
        }
    }

    /// What an error of the library means. Its text is not used: it holds what was answered.
    fn fault(&self, error: &genai::Error) -> Fault {
        if let Some(status) = error.status() {
            let after = error.headers().and_then(retry_after);
            let status = status.as_u16();
            // Whoever refuses a key likes to repeat it.
            let message = match status {
                401 | 403 => None,
                _ => body_of(error).and_then(|body| self.sentence_in(body)),
            };
            return Fault::Status { status, after, message };
        }
        match error {
            genai::Error::WebStream { error, .. } => {
                if let Some(inner) = error.downcast_ref::<genai::Error>() {
                    self.fault(inner)
                } else if let Some(http) = error.downcast_ref::<reqwest::Error>() {
                    http_fault(http)
                } else {
                    Fault::Unreadable
                }
            }
            genai::Error::WebModelCall {
                webc_error: genai::webc::Error::Reqwest(http), ..
            } => http_fault(http),
            genai::Error::ChatResponse { body, .. } => {
                let error = body.get("error").unwrap_or(body);
                let word = |key| error.get(key).and_then(Value::as_str).map(str::to_owned);
                let word = word("type").or_else(|| word("status")).unwrap_or_default();
                let message = match word.as_str() {
                    "authentication_error" | "permission_error" => None,
                    _ => error.get("message").and_then(Value::as_str),
                };
                Fault::BrokenOff { word, message: message.map(|text| self.passed_on(text)) }
            }
            genai::Error::RequiresApiKey { .. } | genai::Error::NoAuthData { .. } => {
                Fault::Unusable("it wants a key".to_owned())
            }
            genai::Error::AdapterNotSupported { feature, .. } => {
                Fault::Unusable(format!("its protocol has no {feature}"))
            }
            _ => Fault::Unreadable,
        }
    }

    /// The provider's sentence in the body of an error, if there is one.
    fn sentence_in(&self, body: &str) -> Option<String> {
        let body: Value = serde_json::from_str(body).ok()?;
        // Gemini streams a list.
        let body = body.get(0).unwrap_or(&body);
        let error = body.get("error").unwrap_or(body);
        let text = error.as_str().or_else(|| error.get("message")?.as_str())?;
        Some(self.passed_on(text))
    }

    fn passed_on(&self, text: &str) -> String {
        clean(text, self.key.as_ref())
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

fn http_fault(error: &reqwest::Error) -> Fault {
    if error.is_connect() {
        Fault::Unreachable
    } else if error.is_builder() {
        Fault::Unusable("the request cannot be made; check base_url and the key".to_owned())
    } else {
        Fault::CutOff
    }
}

/// A foreign sentence as it may be shown: one line, not long, without the key or anything that
/// looks like one.
fn clean(text: &str, key: Option<&Key>) -> String {
    let text = match key {
        Some(key) => text.replace(&key.0, "(key)"),
        None => text.to_owned(),
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let secret = ["sk-", "AIza", "gsk_", "Bearer"].iter().any(|start| bare.starts_with(start));
        if secret { "(key)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ").chars().take(SENTENCE).collect()
}

fn tokens(usage: &WireUsage) -> Tokens {
    let count = |n: Option<i32>| u64::try_from(n.unwrap_or(0)).unwrap_or(0);
    Tokens { input: count(usage.prompt_tokens), output: count(usage.completion_tokens) }
}

/// What a provider asks to wait: milliseconds where it says so, else seconds (RFC 9110, 10.2.3).
/// The other form of the header, a date, is not used by any of them and not read.
fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let number = |name: &str| -> Option<f64> {
        let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    let millis = number("retry-after-ms").map(|millis| millis / 1_000.0);
    let seconds = millis.or_else(|| number("retry-after"))?;
    Some(Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64())))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::new(" s3cr3t\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert_eq!(
            clean("Wrong key s3cr3t\u{7}, or sk-12***34.", Some(&key)),
            "Wrong key (key) , or (key)"
        );
        assert!(Key::new(" \n").is_none());
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_in_milliseconds() {
        let read = |name: &'static str, value: &'static str| {
            let headers = [(name.parse().unwrap(), value.parse().unwrap())];
            retry_after(&headers.into_iter().collect())
        };
        assert_eq!(read("retry-after", "3600"), Some(Duration::from_secs(3600)));
        assert_eq!(read("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(read("retry-after", "99999999"), Some(MAX_WAIT));
        for odd in ["-1", "soon", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(read("retry-after", odd), None);
        }
    }
}
