//! The port: one request for each message, with a time limit, and without redirections or proxies.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use botarmy_domain::ports::{WebhookMessage, WebhookSender};
use botarmy_domain::{SendResult, Timestamp};
use botarmy_tls::{Trust, TrustError, verifier};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, redirect, retry};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::warn;
use url::Url;

use crate::address;
use crate::networks::Networks;
use crate::resolver::{CheckedResolver, ForbiddenAddress};
use crate::signature;

/// Largest part of a response that is read, in bytes, so that the connection can be used again.
const MAX_READ: usize = 16 * 1024;
/// Time for which an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Settings of a sender.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Longest duration of an attempt, from the name of the host to the last byte.
    pub timeout: Duration,
    /// Whether addresses may begin with `http://`.
    pub allow_http: bool,
    /// Networks to which messages are sent beside the public internet.
    pub networks: Networks,
}

/// Error of creating the HTTP client.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    /// The certificates of the system cannot be used.
    #[error("the certificates of this system cannot be used")]
    Trust(#[from] TrustError),
    /// TLS cannot be used.
    #[error("TLS cannot be used")]
    Tls(#[from] rustls::Error),
    /// The client cannot be created.
    #[error("the HTTP client cannot be created")]
    Client(#[from] reqwest::Error),
}

/// Sends messages over HTTP.
#[derive(Debug)]
pub struct HttpSender {
    /// Created with the first message: reading the certificates of the system takes several
    /// milliseconds, and most servers have no webhook.
    client: OnceCell<reqwest::Client>,
    settings: SenderSettings,
}

impl HttpSender {
    /// Creates a sender that trusts the certificates of the system.
    #[must_use]
    pub const fn new(settings: SenderSettings) -> Self {
        Self { client: OnceCell::const_new(), settings }
    }

    fn new_client(settings: &SenderSettings) -> Result<reqwest::Client, SetupError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let tls = match verifier(&Trust::System, &provider) {
            Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
            // A system without certificates can still send without TLS, where that is allowed.
            Err(TrustError::NoAuthorities) => {
                builder.with_root_certificates(rustls::RootCertStore::empty())
            }
            Err(error) => return Err(error.into()),
        };
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.with_no_client_auth())
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .dns_resolver(CheckedResolver(settings.networks.clone()))
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("botarmy/", env!("CARGO_PKG_VERSION")));
        Ok(builder.build()?)
    }

    fn checked(&self, url: &str) -> Result<Url, String> {
        address::check(url, self.settings.allow_http, &self.settings.networks)
    }

    async fn attempt(&self, message: WebhookMessage) -> Result<Taken, String> {
        // The settings may have changed since the address was stored.
        let url = self.checked(&message.url).map_err(|rule| format!("the address {rule}"))?;
        let id = message.id.to_string();
        let timestamp = message.at.micros().div_euclid(1_000_000);
        let signature = signature::header(&message.keys, &id, timestamp, &message.body);
        let client = self.client.get_or_try_init(async || Self::new_client(&self.settings));
        let client = client.await.map_err(|error| {
            warn!(error = &error as &dyn Error, "Webhooks cannot be sent");
            error.to_string()
        })?;
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature)
            .body(message.body);
        let response = request.send().await.map_err(|error| self.explain(&error))?;
        let status = response.status().as_u16();
        let retry_after_s = retry_after(response.headers(), message.at);
        read_some(response).await;
        Ok(Taken { status, retry_after_s })
    }

    /// Returns the reason of a failed request, without its address.
    fn explain(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no response within {} ms", self.settings.timeout.as_millis());
        }
        let mut cause = error.source();
        while let Some(now) = cause {
            if let Some(forbidden) = now.downcast_ref::<ForbiddenAddress>() {
                return forbidden.to_string();
            }
            match now.source() {
                Some(deeper) => cause = Some(deeper),
                None => break,
            }
        }
        let reason = if error.is_connect() { "no connection" } else { "the connection broke off" };
        cause.map_or_else(|| reason.to_owned(), |cause| format!("{reason}: {cause}"))
    }
}

/// Response of a receiver.
struct Taken {
    status: u16,
    retry_after_s: Option<u64>,
}

/// Reads the beginning of a response and drops it.
async fn read_some(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(part)) = response.chunk().await {
        read += part.len();
        if read > MAX_READ {
            break;
        }
    }
}

/// Returns the seconds after which the receiver wants the next attempt (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = u64::try_from(now.micros().div_euclid(1_000_000)).ok()?;
    Some(at.as_secs().saturating_sub(now))
}

#[async_trait]
impl WebhookSender for HttpSender {
    fn check(&self, url: &str) -> Result<String, String> {
        self.checked(url).map(String::from)
    }

    fn public_key(&self, seed: &[u8; 32]) -> [u8; 32] {
        signature::public_key(seed)
    }

    async fn send(&self, message: WebhookMessage) -> SendResult {
        let began = Instant::now();
        let attempt = self.attempt(message).await;
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (http_status, retry_after_s, error) = match attempt {
            Ok(Taken { status, .. }) if (200..300).contains(&status) => (Some(status), None, None),
            Ok(Taken { status, retry_after_s }) => {
                let reason = match status {
                    300..400 => format!("the status {status}, a redirection, is not followed"),
                    _ => format!("the status {status}"),
                };
                (Some(status), retry_after_s, Some(reason))
            }
            Err(reason) => (None, None, Some(reason)),
        };
        SendResult { http_status, error, retry_after_s, duration_ms }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_time_of_the_next_attempt_is_read_in_both_forms() {
        let now = Timestamp::from_micros(784_111_770_000_000);
        let read = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now)
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(read("Sat, 06 Nov 1993 08:49:37 GMT"), Some(0));
        for wrong in ["", "-1", "soon", "99999999999999999999"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
