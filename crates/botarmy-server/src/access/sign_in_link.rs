//! The address of a sign-in link, as a browser opens it.

use std::net::Ipv6Addr;

use botarmy_domain::SignInLinkText;
use botarmy_web::OWN_LOOPBACK_NAME;

use crate::settings::Settings;

/// Returns the address under which a browser signs in with this code, for a server on this port. The code
/// is in the fragment, which browsers send nowhere.
///
/// # Errors
/// A public address that cannot be read.
pub(crate) fn sign_in_address(
    settings: &Settings,
    port: u16,
    code: &SignInLinkText,
) -> anyhow::Result<String> {
    let http = &settings.http;
    let named = || http.hosts.first().map(|host| bracketed(host.trim()));
    let server = match (http.public_url()?, named()) {
        (Some(url), _) => format!("{}{}", url.origin(), url.prefix()),
        (None, Some(host)) if http.has_tls() => format!("https://{host}:{port}"),
        // Cookies of this name are not sent to other servers of the machine.
        (None, _) if http.host.is_loopback() && http.has_tls() => {
            format!("https://localhost:{port}")
        }
        (None, _) if http.host.is_loopback() => format!("http://{OWN_LOOPBACK_NAME}:{port}"),
        // A proxy in front of it has the port of its scheme.
        (None, Some(host)) => format!("https://{host}"),
        (None, None) => format!("http://{OWN_LOOPBACK_NAME}:{port}"),
    };
    Ok(format!("{server}/console/login#{}", code.expose()))
}

/// Returns a host as it stands in an address.
fn bracketed(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_address_that_a_browser_can_reach() {
        let code = SignInLinkText::new([7; 32]);
        let address = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::defaults();
            change(&mut settings);
            let address = sign_in_address(&settings, 9000, &code).unwrap();
            let (address, fragment) = address.split_once('#').unwrap();
            assert_eq!(fragment, code.expose());
            address.to_owned()
        };
        assert_eq!(address(&|_| {}), "http://botarmy.localhost:9000/console/login");
        let tls = |settings: &mut Settings| settings.http.tls_cert = "x".into();
        assert_eq!(address(&tls), "https://localhost:9000/console/login");
        let named = |settings: &mut Settings| {
            settings.http.tls_cert = "x".into();
            settings.http.hosts = vec!["fd00::7".to_owned()];
        };
        assert_eq!(address(&named), "https://[fd00::7]:9000/console/login");
        let proxied = |settings: &mut Settings| {
            settings.http.host = [0, 0, 0, 0].into();
            settings.http.hosts = vec!["army.example".to_owned()];
        };
        assert_eq!(address(&proxied), "https://army.example/console/login");
        let public = |settings: &mut Settings| {
            settings.http.public_url = "https://army.example/bot/".to_owned();
        };
        assert_eq!(address(&public), "https://army.example/bot/console/login");
    }
}
