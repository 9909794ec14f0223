//! Names are resolved to addresses that are allowed, and the connection goes to these: a name that has
//! another address a moment later changes nothing.

use std::error::Error;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::refused;
use crate::networks::Networks;

/// Resolver for the client of one sender.
#[derive(Debug, Clone)]
pub(crate) struct CheckedResolver(pub(crate) Networks);

/// Refusal of a name because of an address that it has.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ForbiddenAddress(String);

/// Returns the addresses if all of them are allowed.
fn checked(
    networks: &Networks,
    name: &str,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, ForbiddenAddress> {
    let found: Vec<_> = found.collect();
    match found.iter().find(|address| !networks.allow(address.ip())) {
        Some(address) => Err(ForbiddenAddress(refused(name, address.ip()))),
        None => Ok(found),
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0.clone();
        Box::pin(async move {
            let name = name.as_str();
            // The port is that of the request in any case.
            let found = tokio::net::lookup_host((name, 0)).await?;
            let checked = checked(&networks, name, found)
                .map_err(|error| -> Box<dyn Error + Send + Sync> { error.into() })?;
            let addresses: Addrs = Box::new(checked.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_one_forbidden_address_is_refused() {
        let networks = Networks::default();
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        let public = addresses(&["1.1.1.1", "2606:4700::1"]);
        assert_eq!(checked(&networks, "a", public.clone().into_iter()).unwrap(), public);
        let mixed = addresses(&["1.1.1.1", "10.0.0.1"]);
        let error = checked(&networks, "rebind.example", mixed.into_iter()).unwrap_err();
        assert!(error.to_string().starts_with("rebind.example has the address 10.0.0.1,"));
    }
}
