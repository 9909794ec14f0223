//! The source of a request whose caller is not known.

use std::fmt;
use std::net::IpAddr;

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use botarmy_web::ClientAddress;

use crate::connections::network;

/// Address that a request comes from, or of IPv6 its network, because a client has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source(pub(super) Option<IpAddr>);

impl Source {
    pub(super) fn of(request: &ServiceRequest) -> Self {
        Self(request.extensions().get::<ClientAddress>().map(|client| network(client.0)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address @ IpAddr::V6(_)) => write!(f, "{address}/64"),
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}
