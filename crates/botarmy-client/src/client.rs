//! Requests to one server.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use url::Url;

use crate::error::ClientError;
use crate::http::{checked, client, is_local, read_all, transport_error};
use crate::key::Key;
use crate::retry::{self, Repetition};
use crate::selection::Connection;

/// Longest duration of a request, from the connection to the last byte of its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest pause in an answer that is read as it arrives, such as a package.
const PAUSE: Duration = Duration::from_secs(30);
/// Header in which a client says what it is.
const CLIENT: &str = "BotArmy-Client";

/// Kind of program that sends the requests. It says so itself: the log shows it as an aid, not as a
/// proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// The commands in a terminal.
    Terminal,
    /// An assistant that is connected over MCP.
    Mcp,
}

impl ClientKind {
    /// Returns the value of the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Mcp => "mcp",
        }
    }
}

/// Settings of a client beside its connection.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Kind of program.
    pub kind: ClientKind,
    /// Makes idempotency keys; each has to be new in the whole world.
    pub new_key: fn() -> String,
    /// Longest duration of a request.
    pub timeout: Duration,
}

impl Configuration {
    /// Returns the usual configuration of such a client.
    #[must_use]
    pub const fn new(kind: ClientKind, new_key: fn() -> String) -> Self {
        Self { kind, new_key, timeout: TIMEOUT }
    }
}

/// Client of one server. A copy shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: Url,
    key: Option<Key>,
    configuration: Configuration,
}

impl Client {
    /// Creates a client. Nothing is sent yet.
    ///
    /// # Errors
    /// An address that is none of a server, certificates that cannot be used, and a key that would be
    /// sent without encryption to another machine.
    pub fn new(connection: Connection, configuration: Configuration) -> Result<Self, ClientError> {
        let server = address(&connection.server)?;
        let is_open_to_others = server.scheme() == "http" && !is_local(&server);
        if connection.key.is_some() && is_open_to_others && !connection.allow_http {
            return Err(ClientError::Configuration(format!(
                "{server} has no encryption, so everyone on the way could read the key; use https, \
                 or allow it with --allow-http or `allow_http = true` in the profile"
            )));
        }
        let http = client(&server, connection.ca_file.as_deref())?;
        Ok(Self { http, server, key: connection.key, configuration })
    }

    /// Returns the address of the server.
    #[must_use]
    pub const fn server(&self) -> &Url {
        &self.server
    }

    /// Reads a document. The path is that below `/api/v1`, segment by segment; a segment may hold any
    /// text but none, `.` and `..`.
    ///
    /// # Errors
    /// Those of the connection, and of the server.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, ClientError> {
        self.value(Method::GET, path, query, None, Repetition::Harmless).await
    }

    /// Sends a document under a new idempotency key, so that it is repeated without doing anything
    /// twice. For operations that take no such key there is [`Client::post_once`].
    ///
    /// # Errors
    /// Those of the connection, and of the server.
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.value(Method::POST, path, &[], Some(body), Repetition::Harmless).await
    }

    /// Sends a document without an idempotency key. It is repeated only if the server did not accept
    /// it.
    ///
    /// # Errors
    /// Those of the connection, and of the server.
    pub async fn post_once(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.value(Method::POST, path, &[], Some(body), Repetition::Twofold).await
    }

    /// Changes something with PUT.
    ///
    /// # Errors
    /// Those of the connection, and of the server.
    pub async fn put(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.value(Method::PUT, path, &[], Some(body), Repetition::Twofold).await
    }

    /// Changes something with PATCH.
    ///
    /// # Errors
    /// Those of the connection, and of the server.
    pub async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.value(Method::PATCH, path, &[], Some(body), Repetition::Twofold).await
    }

    /// Removes something.
    ///
    /// # Errors
    /// Those of the connection, and of the server.
    pub async fn delete(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, ClientError> {
        self.value(Method::DELETE, path, query, None, Repetition::Twofold).await
    }

    /// Reads an answer of any size and passes its parts on. Returns its size.
    ///
    /// # Errors
    /// Those of the connection and of the server, and what `part` returns.
    pub async fn download<E: From<ClientError>>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        mut part: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let url = self.url(path, query)?;
        let mut response =
            self.sent(Repetition::Harmless, PAUSE, || self.request(Method::GET, &url)).await?;
        let mut size = 0;
        loop {
            let next = tokio::time::timeout(PAUSE, response.chunk()).await.map_err(|_| {
                ClientError::TimedOut { server: self.server.to_string(), after: PAUSE }
            })?;
            let next = next.map_err(|error| transport_error(&self.server, &error, PAUSE))?;
            let Some(bytes) = next else { return Ok(size) };
            size += bytes.len() as u64;
            part(&bytes)?;
        }
    }

    /// Opens a stream of events.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        last_event_id: Option<&str>,
    ) -> Result<Response, ClientError> {
        let mut request = self
            .request(Method::GET, &self.url(path, query)?)
            .header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.send(request, self.configuration.timeout).await
    }

    async fn value(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
        repetition: Repetition,
    ) -> Result<Value, ClientError> {
        self.answer(method, path, query, body, repetition).await.map(|(value, _)| value)
    }

    /// Reads a page of a list. Returns it with the cursor of the next page, if a header has it.
    pub(crate) async fn page(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<(Value, Option<String>), ClientError> {
        let (page, links) =
            self.answer(Method::GET, path, query, None, Repetition::Harmless).await?;
        Ok((page, links.as_deref().and_then(next_cursor)))
    }

    /// Sends a request until it has an answer. Returns it with its header `Link`.
    async fn answer(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
        repetition: Repetition,
    ) -> Result<(Value, Option<String>), ClientError> {
        let timeout = self.configuration.timeout;
        let url = self.url(path, query)?;
        let is_keyed = method == Method::POST && repetition == Repetition::Harmless;
        let key = is_keyed.then(self.configuration.new_key);
        let request = || {
            let mut request = self.request(method.clone(), &url).timeout(timeout);
            if let Some(key) = &key {
                request = request.header("idempotency-key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            request
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            // The answer belongs to the attempt: a connection may break off in the middle of it.
            let read = match self.send(request(), timeout).await {
                Ok(response) => {
                    let links = response.headers().get("link").and_then(|link| link.to_str().ok());
                    let links = links.map(str::to_owned);
                    read_all(&self.server, response, timeout).await.map(|body| (body, links))
                }
                Err(error) => Err(error),
            };
            match read {
                Ok((body, links)) if body.is_empty() => return Ok((Value::Null, links)),
                Ok((body, links)) => {
                    let value = serde_json::from_slice(&body).map_err(|_| self.no_json())?;
                    return Ok((value, links));
                }
                Err(error) => match retry::wait(&error, repetition, attempt) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Sends a request until it has an answer, and returns it as soon as it begins.
    async fn sent(
        &self,
        repetition: Repetition,
        timeout: Duration,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, ClientError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.send(request(), timeout).await {
                Ok(response) => return Ok(response),
                Err(error) => match retry::wait(&error, repetition, attempt) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Sends a request once, and waits until its answer begins.
    async fn send(
        &self,
        request: RequestBuilder,
        timeout: Duration,
    ) -> Result<Response, ClientError> {
        let late = || ClientError::TimedOut { server: self.server.to_string(), after: timeout };
        let answer = tokio::time::timeout(timeout, request.send()).await.map_err(|_| late())?;
        let response = answer.map_err(|error| transport_error(&self.server, &error, timeout))?;
        tokio::time::timeout(timeout, checked(&self.server, response, timeout))
            .await
            .map_err(|_| late())?
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self
            .http
            .request(method, url.clone())
            .header("accept", "application/json")
            .header(CLIENT, self.configuration.kind.as_str());
        let Some(key) = &self.key else { return request };
        let mut header = HeaderValue::from_str(&key.header()).expect("a key is visible ASCII");
        header.set_sensitive(true);
        request.header(AUTHORIZATION, header)
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, ClientError> {
        if let Some(segment) = path.iter().find(|segment| ["", ".", ".."].contains(*segment)) {
            return Err(ClientError::Configuration(format!("{segment:?} is no part of a path")));
        }
        let mut url = self.server.clone();
        url.path_segments_mut()
            .expect("the address has a host")
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn no_json(&self) -> ClientError {
        let reason = "it is not JSON; the address may be that of another program".to_owned();
        ClientError::Unexpected { server: self.server.to_string(), reason }
    }
}

/// Returns the cursor in the link to the next page (RFC 8288).
fn next_cursor(links: &str) -> Option<String> {
    let link = links.split(", <").find(|link| link.contains("rel=\"next\""))?;
    let target = link.trim_start_matches('<').split_once('>')?.0;
    let (_, query) = target.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned())
}

/// Reads the address of a server.
fn address(text: &str) -> Result<Url, ClientError> {
    let wrong = |reason: &str| {
        // It may hold a password.
        ClientError::Configuration(format!("the address of the server is not usable: {reason}"))
    };
    let example = "write it as https://botarmy.example or http://127.0.0.1:8080";
    let url = Url::parse(text.trim()).map_err(|error| wrong(&format!("{error}; {example}")))?;
    if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
        return Err(wrong(example));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not hold a name or a password; the key goes into a file"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must not hold ? or #"));
    }
    Ok(url)
}
