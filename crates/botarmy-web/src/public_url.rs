//! The address under which clients reach the server through a proxy.

use std::str::FromStr;

use actix_web::dev::RequestHead;
use actix_web::http::{Uri, header};

use crate::Problem;

/// Address of the server for its clients: scheme, host, port, and the path below which a proxy
/// serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    prefix: String,
}

impl PublicUrl {
    /// Returns scheme, host and port, such as `https://army.example`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the path below which the server is served, without a slash at its end: empty or such
    /// as `/botarmy`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the path without the prefix, or `None` for a path that does not begin with it. A
    /// proxy may pass the prefix on or leave it out.
    #[must_use]
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.prefix.is_empty() {
            return None;
        }
        match path.strip_prefix(&self.prefix)? {
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }
}

/// Returns the scheme, host and port under which a client reaches the server: those of the public address,
/// or else those that the request names, which were checked to be the server's.
///
/// # Errors
/// A 400 for a request without a host.
pub fn origin_of(
    head: &RequestHead,
    public_url: Option<&PublicUrl>,
    has_tls: bool,
) -> Result<String, Problem> {
    if let Some(url) = public_url {
        return Ok(url.origin().to_owned());
    }
    let host = head.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| Problem::bad_request("The request names no host."))?;
    let scheme = if has_tls { "https" } else { "http" };
    Ok(format!("{scheme}://{host}"))
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "{text:?} is not the address of a server: write http or https, a host, and a path if \
                 there is one, such as https://army.example/botarmy"
            )
        };
        let uri: Uri = text.trim().parse().map_err(|_| refused())?;
        let (scheme, authority) = (uri.scheme_str(), uri.authority());
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (scheme, authority) else {
            return Err(refused());
        };
        let is_clean = |part: &str| !part.is_empty() && part != "." && part != "..";
        let prefix = uri.path().trim_end_matches('/');
        if uri.query().is_some()
            || text.contains('#')
            || authority.as_str().contains('@')
            || authority.as_str().ends_with(':')
            || !prefix.split('/').skip(1).all(is_clean)
        {
            return Err(refused());
        }
        let origin = format!("{scheme}://{}", authority.as_str().to_ascii_lowercase());
        Ok(Self { origin, prefix: prefix.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_an_origin_and_a_prefix() {
        for (text, origin, prefix) in [
            ("https://army.example", "https://army.example", ""),
            ("https://Army.example/", "https://army.example", ""),
            ("http://army.example:8443/a/botarmy/", "http://army.example:8443", "/a/botarmy"),
            (" https://[::1]:1/x ", "https://[::1]:1", "/x"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((url.origin(), url.prefix()), (origin, prefix), "{text}");
        }
        for text in [
            "",
            "army.example",
            "/botarmy",
            "ftp://army.example",
            "https://",
            "https://a b",
            "https://ada@army.example",
            "https://army.example/?x=1",
            "https://army.example/#x",
            "https://army.example:/",
            "https://army.example//x",
            "https://army.example/a/../b",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_prefix_is_taken_from_paths_below_it_alone() {
        let url: PublicUrl = "https://army.example/botarmy".parse().unwrap();
        for (path, rest) in [
            ("/botarmy", Some("/")),
            ("/botarmy/", Some("/")),
            ("/botarmy/docs", Some("/docs")),
            ("/botarmyx", None),
            ("/docs", None),
        ] {
            assert_eq!(url.strip(path), rest, "{path}");
        }
        let url: PublicUrl = "https://army.example".parse().unwrap();
        assert_eq!(url.strip("/docs"), None);
    }
}
