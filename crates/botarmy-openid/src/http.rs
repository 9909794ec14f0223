//! The HTTP client: no redirects, a time limit, and a limit of what is read.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::ProviderError;
use botarmy_tls::{Trust, TrustError, verifier};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use crate::settings::{SetupError, is_local};

/// Longest duration of one request, from the connection to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Client for one provider.
#[derive(Debug, Clone)]
pub(crate) struct Http(reqwest::Client);

/// Answer with a JSON object.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Map<String, Value>,
}

impl Http {
    /// Creates a client with ring and the certificates of the system. A provider on this machine is
    /// called without a proxy.
    pub(crate) fn new(issuer: &Url) -> Result<Self, SetupError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let tls = match verifier(&Trust::System, &provider) {
            Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
            // A provider on this machine is called without TLS.
            Err(TrustError::NoAuthorities) if is_local(issuer) => {
                builder.with_root_certificates(rustls::RootCertStore::empty())
            }
            Err(error) => return Err(error.into()),
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.with_no_client_auth())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(TIMEOUT)
            .user_agent(concat!("botarmy/", env!("CARGO_PKG_VERSION")));
        let client = if is_local(issuer) { client.no_proxy() } else { client };
        Ok(Self(client.build()?))
    }

    /// Starts a GET request for JSON.
    pub(crate) fn get(&self, url: &Url) -> RequestBuilder {
        self.0.get(url.clone()).header("accept", "application/json")
    }

    /// Starts a POST request with a form, for JSON.
    pub(crate) fn post(&self, url: &Url, form: String) -> RequestBuilder {
        self.0
            .post(url.clone())
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
    }
}

/// Sends a request and returns the JSON object of the answer, whatever its status. `what` names the
/// answer in errors.
pub(crate) async fn send(what: &str, request: RequestBuilder) -> Result<Answer, ProviderError> {
    let response = request.send().await.map_err(|error| transport_error(what, &error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(untrusted(format!("{what} redirects, which is not followed")));
    }
    let body = read(what, response).await?;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(body)) => Ok(Answer { status, body }),
        _ if !status.is_success() => Err(bad_status(what, status, None)),
        _ => Err(untrusted(format!("{what} is not a JSON object"))),
    }
}

/// Sends a request and returns the JSON object of a successful answer.
pub(crate) async fn fetch(
    what: &str,
    request: RequestBuilder,
) -> Result<Map<String, Value>, ProviderError> {
    let answer = send(what, request).await?;
    if answer.status.is_success() {
        Ok(answer.body)
    } else {
        Err(bad_status(what, answer.status, None))
    }
}

async fn read(what: &str, mut response: Response) -> Result<Vec<u8>, ProviderError> {
    let too_long = || untrusted(format!("{what} has more than 1 MiB"));
    if response.content_length().is_some_and(|length| length > MAX_ANSWER as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| transport_error(what, &error))? {
        if body.len() + part.len() > MAX_ANSWER {
            return Err(too_long());
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// Returns the error for a status, with the name of the provider's error if it has one.
pub(crate) fn bad_status(what: &str, status: StatusCode, name: Option<&str>) -> ProviderError {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    unavailable(format!("{what} has the status {}{name}", status.as_u16()))
}

/// Returns the error of a request. Only the cause of a connection error is shown, which has no part
/// of the request.
fn transport_error(what: &str, error: &reqwest::Error) -> ProviderError {
    if error.is_timeout() {
        return unavailable(format!("{what} did not come within {} s", TIMEOUT.as_secs()));
    }
    if !error.is_connect() {
        return unavailable(format!("{what} broke off"));
    }
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    unavailable(format!("no connection for {what}{cause}"))
}

/// Returns the error for an answer that is not accepted.
pub(crate) fn untrusted(reason: impl Into<String>) -> ProviderError {
    ProviderError::Untrusted(reason.into())
}

/// Returns the error for a provider that does not answer as it should.
pub(crate) fn unavailable(reason: impl Into<String>) -> ProviderError {
    ProviderError::Unavailable(reason.into())
}
