//! The HTTP client for a collector.

use std::net::IpAddr;
use std::sync::Arc;

use botarmy_tls::{Trust, TrustError, verifier};
use reqwest::header::CONTENT_TYPE;
use url::{Host, Url};

use crate::settings::{OtelSettings, SetupError};

/// Path of the traces below the address of a collector.
const TRACES: &str = "v1/traces";

/// Client for one collector.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
}

impl Client {
    /// Creates a client. Sends nothing.
    pub(crate) fn new(settings: &OtelSettings) -> Result<Self, SetupError> {
        let url = traces_url(&settings.endpoint).ok_or(SetupError::Endpoint)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let tls = match verifier(&Trust::System, &provider) {
            Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
            Err(TrustError::NoAuthorities) if url.scheme() == "http" => {
                builder.with_root_certificates(rustls::RootCertStore::empty())
            }
            Err(error) => return Err(error.into()),
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.with_no_client_auth())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(settings.timeout)
            .user_agent(concat!("botarmy/", env!("CARGO_PKG_VERSION")));
        let http = if is_loopback(&url) { http.no_proxy() } else { http };
        Ok(Self { http: http.build()?, url })
    }

    /// Sends a batch; the error is a sentence for the log.
    pub(crate) async fn send(&self, body: Vec<u8>) -> Result<(), String> {
        let post = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        match post.body(body).send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("the collector answers {}", response.status())),
            Err(error) if error.is_timeout() => Err("the collector does not answer in time".into()),
            Err(error) => Err(format!("the collector cannot be reached: {}", error.without_url())),
        }
    }
}

/// Returns the address for traces of a collector, as OTLP defines it.
fn traces_url(endpoint: &str) -> Option<Url> {
    let mut url = Url::parse(endpoint.trim()).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(TRACES) {
        url.set_path(&format!("{path}/{TRACES}"));
    }
    is_plain.then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_sent_below_the_address_of_the_collector() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4318", Some("http://127.0.0.1:4318/v1/traces")),
            ("https://otel.example/tenant/", Some("https://otel.example/tenant/v1/traces")),
            ("https://otel.example/v1/traces", Some("https://otel.example/v1/traces")),
            ("http://user:secret@otel.example", None),
            ("http://otel.example?key=secret", None),
            ("otel.example:4318", None),
            ("ftp://otel.example", None),
        ] {
            assert_eq!(traces_url(endpoint).as_ref().map(Url::as_str), url, "{endpoint}");
        }
    }
}
