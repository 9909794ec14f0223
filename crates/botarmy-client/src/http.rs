//! The HTTP client: certificates, limits, and errors in words.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use botarmy_tls::{Trust, TrustError, verifier};
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::{Host, Url};

use crate::error::{ClientError, Problem};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read as a whole, in bytes. The largest documents of a server have 10 MiB.
const MAX_ANSWER: usize = 64 << 20;
/// Largest answer with an error.
const MAX_PROBLEM: usize = 1 << 20;

/// Creates the client. Redirects are not followed: the key is for this server alone.
pub(crate) fn client(server: &Url, ca_file: Option<&Path>) -> Result<reqwest::Client, ClientError> {
    let wrong = |error: &dyn std::error::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        ClientError::Configuration(format!("{error}{cause}"))
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?;
    let trust = ca_file.map_or(Trust::System, |file| Trust::File(file.to_owned()));
    let tls = match verifier(&trust, &provider) {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
        // Without TLS none are needed.
        Err(TrustError::NoAuthorities) if server.scheme() == "http" => {
            builder.with_root_certificates(rustls::RootCertStore::empty())
        }
        Err(error) => return Err(wrong(&error)),
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("botarmy/", env!("CARGO_PKG_VERSION")));
    let client = if is_local(server) { client.no_proxy() } else { client };
    client.build().map_err(|error| wrong(&error))
}

/// Returns whether a server is on this machine.
pub(crate) fn is_local(server: &Url) -> bool {
    match server.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns the error of a request that has no answer. `timeout` is the time that it had.
pub(crate) fn transport_error(
    server: &Url,
    error: &reqwest::Error,
    timeout: Duration,
) -> ClientError {
    let server = server.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let reason =
        if error.is_timeout() { "it did not answer in time".into() } else { cause.to_string() };
    if error.is_connect() {
        ClientError::Unreachable { server, reason }
    } else if error.is_timeout() {
        ClientError::TimedOut { server, after: timeout }
    } else {
        ClientError::BrokenOff { server, reason }
    }
}

/// Returns a successful answer as it is, and any other as an error.
pub(crate) async fn checked(
    server: &Url,
    response: Response,
    timeout: Duration,
) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status.is_redirection() {
        let to = response.headers().get("location").and_then(|to| to.to_str().ok());
        let reason = format!(
            "it redirects to {}, which is not followed; name the address that answers",
            to.unwrap_or("another address")
        );
        return Err(ClientError::Unexpected { server: server.to_string(), reason });
    }
    let retry_after = seconds(response.headers());
    let request_id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let request_id = request_id.map(str::to_owned);
    let body = read(server, response, MAX_PROBLEM, timeout).await.unwrap_or_default();
    let problem = Problem::read(status.as_u16(), &body);
    Err(ClientError::Problem(Box::new(Problem { retry_after, request_id, ..problem })))
}

/// Returns the header `Retry-After`, which our servers state in seconds.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Reads an answer as a whole.
pub(crate) async fn read_all(
    server: &Url,
    response: Response,
    timeout: Duration,
) -> Result<Vec<u8>, ClientError> {
    read(server, response, MAX_ANSWER, timeout).await
}

async fn read(
    server: &Url,
    mut response: Response,
    limit: usize,
    timeout: Duration,
) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    let next = |error: reqwest::Error| transport_error(server, &error, timeout);
    while let Some(part) = response.chunk().await.map_err(next)? {
        if body.len() + part.len() > limit {
            let reason = format!("it has more than {} MiB", limit >> 20);
            return Err(ClientError::Unexpected { server: server.to_string(), reason });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
