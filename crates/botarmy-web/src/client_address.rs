//! The address of the client of a request, also behind proxies.
//!
//! `X-Forwarded-For` can be sent by anyone. It is read only where the connection comes from a proxy
//! that the operator named, and only as far as such proxies have written it: from the right, up to
//! the first address that is none of theirs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Header to which every proxy adds the address of its peer.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Address of the client of a request, an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Networks whose addresses are proxies that tell the truth about their clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Parses networks such as `10.0.0.0/8` and `fd00::/8`, and single addresses.
    ///
    /// # Errors
    /// The first entry that is neither, or that names every address.
    pub fn parse<S: AsRef<str>>(networks: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let parse = |entry: S| {
            let text = entry.as_ref().trim();
            let network = match text.parse::<IpAddr>() {
                Ok(address) => Some(IpNet::from(address)),
                Err(_) => text.parse().ok(),
            };
            match network {
                Some(network) if network.prefix_len() == 0 => {
                    Err(format!("{text:?} is every address; name the proxies, such as 10.0.0.7"))
                }
                Some(network) => Ok(network),
                None => Err(format!(
                    "{text:?} is no network; write an address or a CIDR, such as 10.0.0.0/8"
                )),
            }
        };
        networks.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Returns `true` if no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `true` if this address is that of a trusted proxy. An IPv4 address counts as such
    /// also where it is written as IPv6 (`::ffff:10.0.0.1`).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the address of the client of a request that this peer sent. Each trusted hop is asked
    /// for the one before it. Where a hop names none, or what it names is no address, that hop is
    /// the client: no trusted proxy wrote what stands further left.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.is_empty() {
            return client;
        }
        let values: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
        let mut hops = values.iter().rev().flat_map(|value| {
            // Bytes that are no text are no address either, and end the search.
            value.to_str().unwrap_or("?").rsplit(',')
        });
        while self.contains(client)
            && let Some(hop) = hops.next().and_then(address)
        {
            client = hop.to_canonical();
        }
        client
    }
}

/// Parses a hop: an address, which some proxies write with a port or in brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        let trusted = TrustedProxies::parse(trusted).unwrap();
        trusted.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_sends() {
        for trusted in [&[][..], &["10.0.0.0/8"], &["fd00::/8"]] {
            assert_eq!(client(trusted, "192.0.2.1", &[b"198.51.100.7"]), "192.0.2.1");
        }
    }

    #[test]
    fn hops_are_read_from_the_right_up_to_the_first_that_is_not_trusted() {
        let trusted = ["10.0.0.0/8", "fd00::/8", "192.0.2.9"];
        for (forwarded, expected) in [
            (&[&b"198.51.100.7"[..]][..], "198.51.100.7"),
            (&[b"1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            (&[b"1.1.1.1, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
            (&[b"1.1.1.1,198.51.100.7 ,fd00::5,192.0.2.9"], "198.51.100.7"),
            // Several headers are one list.
            (&[b"1.1.1.1", b"198.51.100.7", b"10.1.1.1"], "198.51.100.7"),
            (&[b"198.51.100.7:4711"], "198.51.100.7"),
            (&[b"[2001:db8::7]:4711"], "2001:db8::7"),
            (&[b"[2001:db8::7]"], "2001:db8::7"),
            (&[b"2001:db8::7"], "2001:db8::7"),
            (&[b"::ffff:198.51.100.7"], "198.51.100.7"),
            (&[b"::ffff:10.1.1.1"], "10.1.1.1"),
            // A proxy's own request, or one from a client among the proxies.
            (&[], "10.0.0.1"),
            (&[b"10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            // No fallback to the left.
            (&[b"198.51.100.7, unknown"], "10.0.0.1"),
            (&[b"198.51.100.7, "], "10.0.0.1"),
            (&[b"198.51.100.7,,10.2.2.2"], "10.2.2.2"),
            (&[b"198.51.100.7", b""], "10.0.0.1"),
            (&[b"198.51.100.7", b"\xff"], "10.0.0.1"),
            (&[b"198.51.100.7, 10.2.2.2.2"], "10.0.0.1"),
            (&[b"198.51.100.7 10.2.2.2"], "10.0.0.1"),
        ] {
            assert_eq!(client(&trusted, "10.0.0.1", forwarded), expected, "{forwarded:?}");
        }
        let mapped = client(&trusted, "::ffff:10.0.0.1", &[b"198.51.100.7"]);
        assert_eq!(mapped, "198.51.100.7", "a listener for both families");
    }

    #[test]
    fn a_network_is_an_address_or_a_cidr() {
        for text in ["10.0.0.0/8", "10.0.0.1", "fd00::/8", "::1", " 10.0.0.0/8 "] {
            assert!(TrustedProxies::parse([text]).is_ok(), "{text}");
        }
        for text in
            ["", "10.0.0.0/33", "10.0.0", "proxy", "10.0.0.1:80", "10.0.0.0/8,10.0.0.1", "::/0"]
        {
            let error = TrustedProxies::parse([text]).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
