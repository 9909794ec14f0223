//! The HTTP client, and the meaning of its errors and headers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::Timestamp;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::error::AskErrorKind;

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
}

/// Returns a base URL with a slash at its end, and whether it leads to this machine.
pub(crate) fn base_url(provider: &str, text: &str) -> Result<(String, bool), SetupError> {
    let mut base = text.trim().to_owned();
    // Anything else in the URL may be a key, and error messages show the URL.
    let url = Url::parse(&base).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let url = url.ok_or_else(|| SetupError::BaseUrl(provider.to_owned()))?;
    if !base.ends_with('/') {
        base.push('/');
    }
    Ok((base, is_loopback(&url)))
}

/// Creates an HTTP client with ring and the system's certificates. Without any certificates,
/// `https://` fails on use and `http://` works. `is_direct` ignores the proxy that the environment
/// names.
pub(crate) fn client(is_direct: bool) -> Result<reqwest::Client, SetupError> {
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
        .user_agent(concat!("botarmy/", env!("CARGO_PKG_VERSION")));
    let client = if is_direct { client.no_proxy() } else { client };
    Ok(client.build()?)
}

/// Returns `true` if a URL leads to this machine. A proxy would be another machine or a detour, and
/// would read the prompts.
fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        // The unspecified address leads to this machine, too.
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Returns a header value that is never shown.
pub(crate) fn secret_header(value: &str) -> Result<HeaderValue, AskErrorKind> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        AskErrorKind::Unusable("the key holds characters that no header can hold".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Classifies an error of the client. Its text is not used: it may hold the URL.
pub(crate) fn error_kind(error: &reqwest::Error) -> AskErrorKind {
    if error.is_connect() {
        AskErrorKind::Unreachable
    } else if error.is_builder() {
        AskErrorKind::Unusable("the request cannot be built; check base_url and the key".to_owned())
    } else {
        AskErrorKind::CutOff
    }
}

/// Returns the time that a provider asks to wait: from `retry-after-ms`, or else from `retry-after`
/// in seconds or as a date (RFC 9110, section 10.2.3). A date is compared with the date of the answer
/// where it has one, because the clocks of two machines differ.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| -> Option<f64> {
        let value: f64 = text(name)?.parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    let date = |name: &str| {
        let date = httpdate::parse_http_date(text(name)?).ok()?;
        let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_micros()).ok().map(Timestamp::from_micros)
    };
    let millis = number("retry-after-ms").map(|millis| millis / 1_000.0);
    let after = match millis.or_else(|| number("retry-after")) {
        Some(seconds) => Duration::from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64())),
        None => date("retry-after")?.since(date("date").unwrap_or(now)),
    };
    Some(after.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_in_milliseconds_and_as_a_date() {
        let now = Timestamp::from_micros(1_792_567_670_000_000);
        let read = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter();
            let headers =
                headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            retry_after(&headers.collect(), now)
        };
        assert_eq!(read(&[("retry-after", "3600")]), Some(Duration::from_secs(3600)));
        assert_eq!(read(&[("retry-after-ms", "1500")]), Some(Duration::from_millis(1500)));
        assert_eq!(read(&[("retry-after", "99999999")]), Some(MAX_RETRY_AFTER));
        // The three forms of RFC 9110, section 5.6.7.
        for date in [
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "Wednesday, 21-Oct-26 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2026",
        ] {
            let after = Some(Duration::from_secs(10));
            assert_eq!(read(&[("retry-after", date)]), after, "{date}");
            let sent = ("date", "Wed, 21 Oct 2026 07:27:00 GMT");
            let after = Some(Duration::from_secs(60));
            assert_eq!(read(&[("retry-after", date), sent]), after, "{date}");
        }
        let past = read(&[("retry-after", "Wed, 21 Oct 2020 07:28:00 GMT")]);
        assert_eq!(past, Some(Duration::ZERO));
        let far = read(&[("retry-after", "Thu, 21 Oct 2032 07:28:00 GMT")]);
        assert_eq!(far, Some(MAX_RETRY_AFTER));
        for odd in ["-1", "soon", "nan", "Wed, 42 Oct 2026 07:28:00 GMT"] {
            assert_eq!(read(&[("retry-after", odd)]), None, "{odd}");
        }
    }

    #[test]
    fn every_address_of_this_machine_is_loopback() {
        let is_loopback = |url: &str| is_loopback(&Url::parse(url).unwrap());
        for url in [
            "http://localhost:11434/",
            "http://LOCALHOST/v1",
            "http://ollama.localhost/",
            "http://localhost./",
            "http://127.0.0.1:8080/",
            "http://127.9.9.9/",
            "http://2130706433/",
            "http://0.0.0.0:11434/",
            "http://[::1]:11434/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::]/",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in
            ["https://api.openai.com/v1", "http://10.0.0.7/", "http://localhost.example.org/"]
        {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
