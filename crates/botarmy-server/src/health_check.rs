//! `health-check`: asks a running server whether it is well, for images that hold no other client.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::Uri;
use anyhow::{Context, bail, ensure};
use botarmy_tls::{Trust, TrustError, verifier};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::output::say;
use crate::settings::Settings;

/// Time limit for the answer. The server gives each of its parts less than a second.
const LIMIT: Duration = Duration::from_secs(3);

/// The most of an answer that is read; the answer of a probe is a hundredth of it.
const LONGEST: u64 = 64 * 1024;

/// Server to ask.
#[derive(Debug)]
pub struct Target {
    url: String,
    /// Name for `Host`, if it is another than that in the address.
    host: Option<String>,
    trust: Trust,
}

impl Target {
    /// Returns the probe of a server on this machine that has these settings.
    #[must_use]
    pub fn own(settings: &Settings) -> Self {
        let host = match settings.http.host {
            // What listens everywhere is reached on loopback.
            IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        let scheme = if settings.http.has_tls() { "https" } else { "http" };
        let url = format!("{scheme}://{}/readyz", SocketAddr::new(host, settings.http.port));
        let name = settings.http.hosts.first().filter(|_| !settings.http.host.is_loopback());
        // An IPv6 address stands in brackets there.
        let name = name.map(|name| match name.trim().parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => name.trim().to_owned(),
        });
        // The connection does not leave this machine, and the request holds no secret. The files in
        // the settings may be newer than what the server uses.
        Self { url, host: name, trust: Trust::Any }
    }

    /// Returns the address that is requested.
    #[cfg(feature = "client")]
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns another path of the same server.
    pub(crate) fn at(mut self, path: &str) -> Self {
        self.url = self.url.replace("/readyz", path);
        self
    }

    /// Returns the server at this address. Its certificate is checked with the authorities in a
    /// file, or else with those of the system.
    #[must_use]
    pub fn other(url: String, authorities: Option<PathBuf>) -> Self {
        Self { url, host: None, trust: authorities.map_or(Trust::System, Trust::File) }
    }
}

/// Asks once, and says what the answer was. The exit code is 0 for the status 200 and 1 for any
/// other.
///
/// # Errors
/// When there is no answer.
pub fn health_check(target: &Target) -> anyhow::Result<ExitCode> {
    let url = &target.url;
    let (status, body) =
        exchange(target, &Question::default()).with_context(|| format!("{url} gives no answer"))?;
    say!("{url} answers {status} {body}");
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Request, apart from the server that it is for.
#[derive(Debug, Default)]
pub(crate) struct Question<'a> {
    /// JSON to send with POST; without it the method is GET.
    pub(crate) json: Option<&'a str>,
    /// More lines of the head, each with its end.
    pub(crate) head: &'a str,
}

/// Sends one request, and returns the status and the body of the answer.
///
/// HTTP/1.0 by hand: one request, one answer, the end. A client library would be a thousand times
/// as much code.
///
/// # Errors
/// An address that cannot be used, and no answer in time.
pub(crate) fn exchange(target: &Target, question: &Question<'_>) -> anyhow::Result<(u16, String)> {
    let until = Instant::now() + LIMIT;
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let uri: Uri = target.url.parse().context("it is not an address")?;
    let has_tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => bail!("an address here begins with http:// or https://"),
    };
    let authority = uri.authority().context("it names no host")?;
    let path = if uri.path() == "/" { "/readyz" } else { uri.path() };
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(if has_tls { 443 } else { 80 });
    let socket = connect((host, port).to_socket_addrs()?, left)?;
    socket.set_write_timeout(Some(left()))?;
    socket.set_read_timeout(Some(left()))?;
    let mut stream: Box<dyn ReadWrite> = if has_tls {
        let name = ServerName::try_from(host.to_owned()).context("its host is no name")?;
        let config = Arc::new(client_config(&target.trust)?);
        Box::new(StreamOwned::new(ClientConnection::new(config, name)?, socket.try_clone()?))
    } else {
        Box::new(socket.try_clone()?)
    };
    let name = target.host.as_deref().unwrap_or(authority.as_str());
    let Question { json, head } = question;
    let method = if json.is_some() { "POST" } else { "GET" };
    let json = json.unwrap_or_default();
    let length = match json.len() {
        0 => String::new(),
        length => {
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")
        }
    };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {name}\r\n{head}{length}Connection: close\r\n\r\n{json}"
    );
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while (answer.len() as u64) < LONGEST {
        socket.set_read_timeout(Some(left()))?;
        match stream.read(&mut piece).context("no whole answer in time")? {
            0 => break,
            read => answer.extend_from_slice(&piece[..read]),
        }
        ensure!(Instant::now() < until, "no whole answer in time");
    }
    parse(&String::from_utf8_lossy(&answer))
}

/// Returns the settings of a connection that accepts these certificates.
fn client_config(trust: &Trust) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = match verifier(trust, &provider) {
        Err(error @ TrustError::NoAuthorities) => bail!("{error}; name a file with --ca"),
        verifier => verifier?,
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// A name may lead to several addresses, of which the server listens on one.
fn connect(
    addresses: impl Iterator<Item = SocketAddr>,
    left: impl Fn() -> Duration,
) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, left()) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => bail!("the name leads to no address"),
    }
}

/// The status and the body.
fn parse(answer: &str) -> anyhow::Result<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let mut words = head.split_whitespace();
    ensure!(words.next().is_some_and(|word| word.starts_with("HTTP/1.")), "the answer is not HTTP");
    let status = words.next().context("the answer has no status")?.parse()?;
    Ok((status, body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_these_settings_is_asked_on_loopback_where_it_listens_everywhere() {
        let url = |settings: &Settings| Target::own(settings).url;
        let mut settings = Settings::defaults();
        assert_eq!(url(&settings), "http://127.0.0.1:8080/readyz");
        settings.http.host = Ipv4Addr::UNSPECIFIED.into();
        settings.http.port = 9000;
        assert_eq!(url(&settings), "http://127.0.0.1:9000/readyz");
        settings.http.host = Ipv6Addr::UNSPECIFIED.into();
        assert_eq!(url(&settings), "http://[::1]:9000/readyz");
        settings.http.host = [10, 0, 0, 7].into();
        settings.http.tls_cert = "cert.pem".into();
        assert_eq!(url(&settings), "https://10.0.0.7:9000/readyz");
    }

    #[test]
    fn a_server_that_others_reach_is_asked_under_its_first_name() {
        let mut settings = Settings::defaults();
        settings.http.hosts = vec!["army.example".to_owned()];
        assert_eq!(Target::own(&settings).host, None, "it listens on loopback");
        settings.http.host = Ipv4Addr::UNSPECIFIED.into();
        assert_eq!(Target::own(&settings).host.as_deref(), Some("army.example"));
        settings.http.hosts = vec!["fd00::7".to_owned()];
        assert_eq!(Target::own(&settings).host.as_deref(), Some("[fd00::7]"));
    }

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(answer).unwrap(), (503, "{}".to_owned()));
        for nonsense in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK"] {
            assert!(parse(nonsense).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        for (url, expected) in [
            ("ftp://127.0.0.1/", "begins with http://"),
            ("/readyz", "begins with http://"),
            ("http://", "not an address"),
        ] {
            let error =
                format!("{:#}", health_check(&Target::other(url.to_owned(), None)).unwrap_err());
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}
