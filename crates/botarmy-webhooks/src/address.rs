//! The addresses of webhooks, as they are accepted.

use std::net::IpAddr;

use botarmy_domain::webhook::MAX_URL;
use url::{Host, Url};

use crate::networks::Networks;

/// Returns an address in its normal form.
///
/// # Errors
/// The rule that it breaks.
pub(crate) fn check(text: &str, allow_http: bool, networks: &Networks) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("must be at most {MAX_URL} bytes long"));
    }
    let url = Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => {
            return Err("must begin with https://; the setting webhooks.allow_http allows http://"
                .to_owned());
        }
        _ => return Err("must begin with https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user name or a password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment".to_owned());
    }
    match literal(&url) {
        Some(address) if !networks.allow(address) => {
            Err(format!("must not lead to {}", refused(&address.to_string(), address)))
        }
        _ if url.as_str().len() > MAX_URL => Err(format!("must be at most {MAX_URL} bytes long")),
        _ => Ok(url),
    }
}

/// Returns the address of a host that is written as one.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Returns the refusal of a host with this address.
pub(crate) fn refused(host: &str, address: IpAddr) -> String {
    let is_itself = host == address.to_string();
    let has = if is_itself { String::new() } else { format!("{host} has the address ") };
    format!(
        "{has}{address}, which is not public; an operator can allow its network in the setting \
         webhooks.allow_networks"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_brought_into_its_normal_form() {
        let none = Networks::default();
        for (text, normal) in [
            ("https://Hooks.Example/a?b=c", "https://hooks.example/a?b=c"),
            ("https://hooks.example:443", "https://hooks.example/"),
            ("https://1.1.1.1:8443/x", "https://1.1.1.1:8443/x"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ] {
            assert_eq!(check(text, false, &none).map(String::from).as_deref(), Ok(normal));
        }
        assert!(check("http://hooks.example/", true, &none).is_ok());
        let loopback = Networks::parse(&["127.0.0.0/8".to_owned()]).unwrap();
        assert!(check("http://127.0.0.1:9/", true, &loopback).is_ok());
    }

    #[test]
    fn hostile_addresses_are_refused() {
        let none = Networks::default();
        let long = format!("https://hooks.example/{}", "x".repeat(MAX_URL));
        for hostile in [
            "",
            "hooks.example",
            "//hooks.example",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "https://user@hooks.example/",
            "https://user:s3cr3t@hooks.example/",
            "https://hooks.example/#part",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://0/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://①②⑦.0.0.1/",
            "https://10.0.0.1./",
            &long,
        ] {
            let error = check(hostile, true, &none).expect_err(hostile);
            assert!(!error.contains("s3cr3t"), "{error}");
        }
        assert!(check("http://hooks.example/", false, &none).unwrap_err().contains("allow_http"));
    }
}
