//! The one rule about web pages and host names, for HTTP requests and WebSocket upgrades alike.
//!
//! There is no access control, and a browser reaches the loopback interface for any page it shows.
//! Two kinds of requests are refused:
//!
//! - **Foreign pages** ([`OriginRule`], 403): a request that may change something, or that opens a
//!   WebSocket, sent by a page of another origin (cross-site request forgery and WebSocket
//!   hijacking; RFC 6455, section 10.2). CORS only keeps the response from the page; the request
//!   itself arrives. Browsers name the page in `Origin` (Fetch standard, section 3.2); other
//!   clients send no such header and are not restricted.
//! - **Foreign names** ([`OriginRule::check_host`], 421): a request for a name that is neither
//!   configured nor, where the server listens on loopback, a name that always means this machine. A
//!   page can have its own name resolve to the address of this server and is then of the same origin
//!   as the server for the browser (DNS rebinding). The browser still sends that name as `Host`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::dev::RequestHead;
use actix_web::http::header::HeaderName;
use actix_web::http::{StatusCode, header};

use crate::{Problem, PublicUrl};

/// Name under which browsers reach the server on their own machine (RFC 6761, section 6.3). Cookies of
/// pages under it are not sent to other servers of the machine, which browsers know as `localhost`.
pub const OWN_LOOPBACK_NAME: &str = "botarmy.localhost";

/// Names that always mean the machine itself. Others below `localhost` are left out, because not every
/// resolver keeps them on the machine.
const LOOPBACK_NAMES: [&str; 2] = ["localhost", OWN_LOOPBACK_NAME];

/// Detail of the 403 for a change that does not come from a page of the server itself.
const NOT_OWN_PAGE: &str = "Changes in the console are accepted from its own pages only. A browser says \
     which page sends a request, in Origin or Sec-Fetch-Site; this request names another page or none. \
     Programs use the API with a key. Behind a proxy, http.public_url must be the address in the browser.";

/// Detail of the 403 for a page of a foreign origin.
pub const FOREIGN_ORIGIN: &str = "Pages of this origin may not call this server. To allow them, \
     add the origin to http.cors_origins as scheme, host and port.";

/// Header in which a browser says where a request comes from (Fetch Metadata, section 2.3).
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Detail of the 421 for a request under a foreign name.
const FOREIGN_HOST: &str = "The Host of this request is not a name of this server. It responds to the \
     names in http.hosts, to the host of http.public_url and, while it listens on loopback, to \
     localhost, botarmy.localhost, 127.x.x.x and [::1], so that no web page can reach it under a name of its own (DNS \
     rebinding). Add the name that clients use to http.hosts.";

/// Returns `true` if a text can be a name of the server: a host name or an IP address, without a
/// scheme and a port.
#[must_use]
pub fn is_host(text: &str) -> bool {
    Host::configured(text.trim()).is_some()
}

/// Origins whose pages may call this server, the configured ones and its own, and the names of the
/// server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginRule {
    configured: Vec<String>,
    listener: Option<OwnOrigins>,
    public: Option<String>,
    hosts: Vec<String>,
}

impl OriginRule {
    /// Creates the rule from configured origins such as `http://localhost:3000`. Case, a default
    /// port and a slash at the end make no difference. An entry that is no origin (`*`, `null`, a
    /// name without a scheme) allows nothing and is logged.
    pub fn new<S: AsRef<str>>(configured: impl IntoIterator<Item = S>) -> Self {
        let mut origins = Vec::new();
        for entry in configured {
            let origin = entry.as_ref().trim().trim_end_matches('/');
            if WebOrigin::parse(origin.as_bytes()).is_some() {
                origins.push(origin.to_owned());
            } else {
                tracing::warn!(
                    origin,
                    "Ignoring an entry of http.cors_origins that is not an origin; write scheme, \
                     host and port, such as http://localhost:3000"
                );
            }
        }
        Self { configured: origins, listener: None, public: None, hosts: Vec::new() }
    }

    /// Adds the origins of pages that this listener serves, with TLS or without, and the loopback
    /// names if that is where it listens.
    #[must_use]
    pub fn with_listener(mut self, address: SocketAddr, has_tls: bool) -> Self {
        let scheme = if has_tls { "https" } else { "http" };
        let is_loopback = address.ip().is_loopback();
        self.listener = Some(OwnOrigins { scheme, port: address.port(), is_loopback });
        self
    }

    /// Adds names of the server, such as `army.example` or `10.0.0.7`. An entry for which
    /// [`is_host`] is false names nothing.
    #[must_use]
    pub fn with_hosts<S: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.hosts.extend(hosts.into_iter().map(|host| host.as_ref().trim().to_owned()));
        self
    }

    /// Adds the origin of pages that a proxy serves in front of the server, and its name.
    #[must_use]
    pub fn with_public_url(mut self, url: &PublicUrl) -> Self {
        self.public = Some(url.origin().to_owned());
        self
    }

    /// Returns the origin of the address that clients use, if one is configured.
    fn public(&self) -> Option<WebOrigin<'_>> {
        WebOrigin::parse(self.public.as_deref()?.as_bytes())
    }

    /// Returns `true` if a host is one of the configured names.
    fn is_named(&self, host: Host<'_>) -> bool {
        self.hosts.iter().any(|name| Host::configured(name) == Some(host))
    }

    /// Returns an error (421) unless every name under which a request asks for the server, in `Host`
    /// or in an absolute target, is a configured name, that of the public address or, where the
    /// server listens on loopback, a loopback name. The port may be any. A request that names no
    /// host is accepted: no browser sends one.
    ///
    /// # Errors
    /// The problem to respond with.
    pub fn check_host(&self, head: &RequestHead) -> Result<(), Problem> {
        let public = self.public();
        let on_loopback = self.listener.is_some_and(|listener| listener.is_loopback);
        let is_own = |name: &[u8]| {
            let host = std::str::from_utf8(name).ok().and_then(split_port);
            host.is_some_and(|(host, _)| {
                (on_loopback && host.is_loopback())
                    || public.is_some_and(|public| public.host == host)
                    || self.is_named(host)
            })
        };
        if requested_names(head).all(is_own) {
            Ok(())
        } else {
            Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, FOREIGN_HOST))
        }
    }

    /// Returns an error (403) unless the request comes from a page that may call this server or
    /// from no page at all.
    ///
    /// # Errors
    /// The problem to respond with.
    pub fn check(&self, head: &RequestHead) -> Result<(), Problem> {
        let may_call = |origin: &[u8]| self.is_configured(origin) || self.is_own(origin, head);
        if values(head, &header::ORIGIN).all(may_call) {
            Ok(())
        } else {
            Err(Problem::new(StatusCode::FORBIDDEN, FOREIGN_ORIGIN))
        }
    }

    /// Returns an error (403) unless the browser says that the request comes from a page of this server:
    /// by its origin, or where it sends none, by `Sec-Fetch-Site`. The configured origins do not count.
    ///
    /// # Errors
    /// The problem to respond with.
    pub fn check_own(&self, head: &RequestHead) -> Result<(), Problem> {
        let mut origins = values(head, &header::ORIGIN).peekable();
        let mut sites = values(head, &SEC_FETCH_SITE).peekable();
        let is_told = origins.peek().is_some() || sites.peek().is_some();
        let is_own = origins.all(|origin| self.is_own(origin, head))
            && sites.all(|site| site == b"same-origin");
        if is_told && is_own {
            Ok(())
        } else {
            Err(Problem::new(StatusCode::FORBIDDEN, NOT_OWN_PAGE).with_code("foreign_page"))
        }
    }

    /// Returns `true` if this value of `Origin` is that of a page of this server.
    fn is_own(&self, origin: &[u8], head: &RequestHead) -> bool {
        let Some(origin) = WebOrigin::parse(origin) else { return false };
        self.public() == Some(origin)
            || self.listener.is_some_and(|listener| {
                (origin.host.is_loopback() || self.is_named(origin.host))
                    && listener.served(origin, head)
            })
    }

    /// Returns `true` if this value of `Origin` is one of the configured origins.
    #[must_use]
    pub fn is_configured(&self, origin: &[u8]) -> bool {
        let Some(origin) = WebOrigin::parse(origin) else { return false };
        let known = |text: &String| WebOrigin::parse(text.as_bytes()) == Some(origin);
        self.configured.iter().any(known)
    }
}

/// Origins whose pages this server serves itself: its scheme, a loopback or configured name, and the
/// port that is bound, also where port 0 was asked for.
///
/// Other names are left out on purpose: any name can be made to resolve to this machine, so that a
/// page was loaded under the name it calls proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OwnOrigins {
    scheme: &'static str,
    port: u16,
    is_loopback: bool,
}

impl OwnOrigins {
    /// Returns `true` if a page of this origin was served here, under the very name and port that it
    /// calls.
    fn served(&self, origin: WebOrigin<'_>, head: &RequestHead) -> bool {
        let is_listener =
            origin.scheme.eq_ignore_ascii_case(self.scheme) && origin.port == Some(self.port);
        // Another name or port in `Host` means that the page was loaded from elsewhere, for
        // instance from a local server that a port mapping has put on this server's port.
        let is_called = |name: &[u8]| {
            let name = std::str::from_utf8(name).ok();
            name.and_then(|name| WebOrigin::new(self.scheme, name)) == Some(origin)
        };
        let mut names = requested_names(head).peekable();
        is_listener && names.peek().is_some() && names.all(is_called)
    }
}

/// A web origin (RFC 6454). Two are equal when their scheme, host and port are, whatever their case
/// and whether or not they name a default port.
#[derive(Debug, Clone, Copy)]
struct WebOrigin<'a> {
    scheme: &'a str,
    host: Host<'a>,
    /// `None` for a scheme that has no default port.
    port: Option<u16>,
}

impl<'a> WebOrigin<'a> {
    /// Parses `scheme://host` or `scheme://host:port`. Returns `None` for anything else, such as
    /// `null`, a path, or a user before the host.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (scheme, authority) = std::str::from_utf8(text).ok()?.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        is_scheme.then(|| Self::new(scheme, authority))?
    }

    fn new(scheme: &'a str, authority: &'a str) -> Option<Self> {
        let (host, port) = split_port(authority)?;
        let port = match port {
            "" if scheme.eq_ignore_ascii_case("http") => Some(80),
            "" if scheme.eq_ignore_ascii_case("https") => Some(443),
            "" => None,
            digits => Some(digits.parse().ok()?),
        };
        Some(Self { scheme, host, port })
    }
}

impl PartialEq for WebOrigin<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host == other.host
            && self.port == other.port
    }
}

impl Eq for WebOrigin<'_> {}

/// A host as it stands in an origin or a `Host`.
#[derive(Debug, Clone, Copy)]
enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[') {
            return address.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        // With a dot at the end a name is absolute; it is the same host.
        let name = text.strip_suffix('.').unwrap_or(text);
        if let Ok(address) = name.parse() {
            return Some(Self::V4(address));
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (!name.is_empty() && name.bytes().all(is_part)).then_some(Self::Name(name))
    }

    /// Parses a name as it stands in the settings: without a port, and an IPv6 address with or
    /// without brackets.
    fn configured(text: &'a str) -> Option<Self> {
        match text.parse() {
            Ok(address) => Some(Self::V6(address)),
            Err(_) => Self::parse(text),
        }
    }

    /// Returns `true` if the host always means the machine itself.
    fn is_loopback(self) -> bool {
        match self {
            Self::Name(name) => LOOPBACK_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)),
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => one.eq_ignore_ascii_case(other),
            (Self::V4(one), Self::V4(other)) => one == other,
            (Self::V6(one), Self::V6(other)) => one == other,
            _ => false,
        }
    }
}

/// Splits a host from the digits of its port, which are empty where it has none.
fn split_port(authority: &str) -> Option<(Host<'_>, &str)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    };
    Some((Host::parse(host)?, port))
}

/// Returns the names under which a request asks for the server.
fn requested_names(head: &RequestHead) -> impl Iterator<Item = &[u8]> {
    let target = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    target.into_iter().chain(values(head, &header::HOST))
}

fn values<'a>(
    head: &'a RequestHead,
    name: &'a header::HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    head.headers().get_all(name).map(|value| value.as_bytes())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let parse = |text| WebOrigin::parse(str::as_bytes(text)).expect(text);
        parse(one) == parse(other)
    }

    #[test]
    fn a_change_in_the_console_comes_from_a_page_of_the_server_itself() {
        let rule = OriginRule::new(["http://localhost:3000"])
            .with_listener(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), false);
        let own = "http://botarmy.localhost:8080";
        for (origin, site, expected) in [
            (Some(own), None, true),
            (Some(own), Some("same-origin"), true),
            (None, Some("same-origin"), true),
            (None, None, false),
            (Some("null"), None, false),
            (Some("null"), Some("same-origin"), false),
            (Some(own), Some("same-site"), false),
            (Some(own), Some("cross-site"), false),
            (None, Some("none"), false),
            (Some("http://localhost:3000"), None, false),
            (Some("http://localhost:8080"), None, false),
            (Some("http://botarmy.localhost:8081"), Some("same-site"), false),
            (Some("http://evil.localhost:8080"), None, false),
        ] {
            let mut request = TestRequest::post().insert_header(("host", "botarmy.localhost:8080"));
            if let Some(origin) = origin {
                request = request.insert_header(("origin", origin));
            }
            if let Some(site) = site {
                request = request.insert_header(("sec-fetch-site", site));
            }
            let request = request.to_http_request();
            rule.check_host(request.head()).unwrap();
            let checked = rule.check_own(request.head());
            assert_eq!(checked.is_ok(), expected, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn origins_are_compared_after_normalisation() {
        for (one, other) in [
            ("HTTP://LOCALHOST:8080", "http://localhost:8080"),
            ("http://localhost", "http://localhost:80"),
            ("http://localhost:", "http://localhost:80"),
            ("https://army.example:443", "https://army.example"),
            ("http://localhost.:8080", "http://localhost:8080"),
            ("http://127.0.0.1.:8080", "http://127.0.0.1:8080"),
            ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
            ("http://[2001:DB8::1]", "http://[2001:db8:0::1]:80"),
            ("app+x://Local", "APP+X://local"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("http://localhost:8080", "https://localhost:8080"),
            ("http://localhost:8080", "http://localhost:8081"),
            ("http://localhost:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1", "http://[::1]"),
            ("http://127.0.0.1", "http://[::ffff:127.0.0.1]"),
            ("app://local", "app://local:80"),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn anything_else_is_no_origin() {
        for text in [
            "",
            "*",
            "null",
            "file://",
            "localhost:3000",
            "://localhost",
            "1http://localhost",
            "http://",
            "http://.",
            "http://:80",
            "http://localhost/",
            "http://localhost/path",
            "http://localhost:80:80",
            "http://localhost:65536",
            "http://localhost:+80",
            "http://localhost:8080 ",
            "http://ada@localhost",
            "http://::1",
            "http://[::1",
            "http://[::1]x",
            "http://[localhost]",
            "http://localhost http://localhost",
            "http://b\u{fc}cher.example",
        ] {
            assert!(WebOrigin::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    fn own() -> OriginRule {
        OriginRule::default().with_listener(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), false)
    }

    fn check(rule: &OriginRule, origins: &[&str], hosts: &[&str]) -> bool {
        let request = TestRequest::default();
        let request =
            origins.iter().fold(request, |request, o| request.append_header(("origin", *o)));
        let request = hosts.iter().fold(request, |request, h| request.append_header(("host", *h)));
        let request = request.to_http_request();
        rule.check(request.head()).is_ok()
    }

    #[test]
    fn own_pages_come_from_the_listener_and_call_it_under_the_name_they_were_loaded_from() {
        let rule = own();
        for (origin, host, may_call) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://localhost:8080", "localhost:8080", true),
            ("HTTP://LOCALHOST:8080", "localhost:8080", true),
            ("http://localhost:8080", "LOCALHOST.:8080", true),
            ("http://[::1]:8080", "[0:0::1]:8080", true),
            ("http://localhost:9999", "localhost:9999", false),
            ("http://localhost", "localhost", false),
            ("http://localhost:8080", "localhost:9999", false),
            ("http://localhost:8080", "127.0.0.1:8080", false),
            ("https://localhost:8080", "localhost:8080", false),
            ("http://evil.example:8080", "evil.example:8080", false),
            ("null", "localhost:8080", false),
        ] {
            assert_eq!(check(&rule, &[origin], &[host]), may_call, "{origin} at {host}");
        }
        assert!(!check(&rule, &["http://localhost:8080"], &[]), "no name was asked for");
    }

    #[test]
    fn on_a_default_port_the_port_may_be_left_out() {
        let own = OwnOrigins { scheme: "https", port: 443, is_loopback: true };
        for (origin, host, served) in [
            ("https://localhost", "localhost", true),
            ("https://localhost:443", "localhost", true),
            ("https://localhost", "localhost:443", true),
            ("http://localhost", "localhost", false),
            ("http://localhost:443", "localhost:443", false),
        ] {
            let request = TestRequest::default().insert_header(("host", host)).to_http_request();
            let origin = WebOrigin::parse(origin.as_bytes()).expect(origin);
            assert_eq!(own.served(origin, request.head()), served, "{origin:?} at {host}");
        }
    }

    #[test]
    fn every_origin_and_every_host_has_to_be_right() {
        let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let rule = OriginRule::new(["http://localhost:3000"]).with_listener(listener, false);
        let (own, known) = ("http://localhost:8080", "http://localhost:3000");
        let evil = "http://evil.example";
        assert!(check(&rule, &[], &["evil.example"]), "only pages have an origin");
        assert!(check(&rule, &[own, known], &["localhost:8080"]));
        assert!(!check(&rule, &[known, evil], &["localhost:8080"]));
        assert!(!check(&rule, &[own], &["localhost:8080", "evil.example"]));
        let absolute = TestRequest::with_uri("http://evil.example/x")
            .insert_header(("host", "localhost:8080"))
            .insert_header(("origin", own))
            .to_http_request();
        assert!(rule.check(absolute.head()).is_err());
    }

    #[test]
    fn configured_origins_are_normalised_and_what_is_none_allows_nothing() {
        let rule = OriginRule::new([
            "http://LocalHost:3000/",
            " https://army.example:443",
            "*",
            "null",
            "army.example",
        ]);
        for (origin, may_call) in [
            ("http://localhost:3000", true),
            ("https://army.example", true),
            ("http://army.example", false),
            ("null", false),
            ("http://localhost:3000.evil.example", false),
        ] {
            assert_eq!(check(&rule, &[origin], &["anything"]), may_call, "{origin}");
        }
    }
    #[test]
    fn the_public_address_is_an_own_origin_and_an_own_name_after_normalisation() {
        let url = "https://army.example:8443/botarmy".parse().unwrap();
        let rule = own().with_public_url(&url);
        for (origin, host, may_call) in [
            ("https://army.example:8443", "army.example:8443", true),
            ("HTTPS://Army.Example.:8443", "127.0.0.1:8080", true),
            ("http://localhost:8080", "localhost:8080", true),
            ("http://army.example:8443", "army.example:8443", false),
            ("https://army.example", "army.example", false),
            ("https://evil.example:8443", "army.example:8443", false),
        ] {
            assert_eq!(check(&rule, &[origin], &[host]), may_call, "{origin} at {host}");
        }
        for (host, is_served) in [
            ("army.example:8443", true),
            ("ARMY.example.", true),
            ("localhost:1", true),
            ("evil.example", false),
            ("army.example.evil.example", false),
        ] {
            let request = TestRequest::default().insert_header(("host", host)).to_http_request();
            assert_eq!(rule.check_host(request.head()).is_ok(), is_served, "{host}");
        }
        let default = own().with_public_url(&"https://army.example".parse().unwrap());
        assert!(check(&default, &["https://army.example:443"], &["army.example"]));
    }
    #[test]
    fn elsewhere_than_on_loopback_only_configured_names_are_answered() {
        let listener = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443));
        let rule = OriginRule::default().with_listener(listener, true).with_hosts([
            "Army.example.",
            "10.0.0.7",
            "fd00::7",
            " [fd00::8] ",
            "not a host",
        ]);
        for (host, is_served) in [
            ("army.example", true),
            ("ARMY.EXAMPLE.:1", true),
            ("10.0.0.7:8443", true),
            ("[fd00:0::7]", true),
            ("[fd00::8]:8443", true),
            ("fd00::7", false),
            ("localhost", false),
            ("127.0.0.1:8443", false),
            ("10.0.0.8", false),
            ("x.army.example", false),
            ("army.example.evil.example", false),
            ("army.example@evil.example", false),
            ("not a host", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header(("host", host)).to_http_request();
            assert_eq!(rule.check_host(request.head()).is_ok(), is_served, "{host}");
        }
        for (origin, host, may_call) in [
            ("https://army.example:8443", "army.example:8443", true),
            ("http://army.example:8443", "army.example:8443", false),
            ("https://army.example", "army.example", false),
            ("https://army.example:8443", "10.0.0.7:8443", false),
            ("https://evil.example:8443", "evil.example:8443", false),
        ] {
            assert_eq!(check(&rule, &[origin], &[host]), may_call, "{origin} at {host}");
        }
    }

    #[test]
    fn a_configured_name_is_a_host_without_scheme_and_port() {
        for text in ["army.example", "army", "10.0.0.7", "::1", "[::1]", "a_b.example."] {
            assert!(is_host(text), "{text}");
        }
        for text in
            ["", ".", "*", "*.example", "https://a", "a:80", "a/b", "a b", "[::1]:80", "a,b"]
        {
            assert!(!is_host(text), "{text}");
        }
    }
}
