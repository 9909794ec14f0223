//! The provider, and this server as its client.

use std::net::IpAddr;

use botarmy_domain::Secret;
use botarmy_tls::TrustError;
use url::Url;

/// Provider, and this server as one of its clients.
#[derive(Debug, Clone)]
pub struct OpenIdSettings {
    /// Issuer, exactly as the provider writes it.
    pub issuer: String,
    /// Id of this server at the provider.
    pub client_id: String,
    /// Secret of this server at the provider; `None` for a public client, which proves with PKCE alone
    /// that it began the sign-in.
    pub client_secret: Option<ClientSecret>,
    /// Scopes to ask for; `openid` is among them.
    pub scopes: Vec<String>,
    /// Claim with the groups of a person: a name, or names of nested objects with dots between them.
    pub groups_claim: String,
}

/// Secret of a client. It is never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret(Secret<String>);

impl ClientSecret {
    /// Creates a secret from its text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Reason for which a provider cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The issuer is not an address that can be used.
    #[error(
        "the issuer must be an https:// address without user, query and fragment; http:// is possible \
         for localhost and addresses of the loopback only"
    )]
    Issuer,
    /// There are no certificates to check the provider's with.
    #[error("the certificate of the provider cannot be checked")]
    Trust(#[from] TrustError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be created.
    #[error("the HTTP client cannot be created")]
    Http(#[from] reqwest::Error),
}

/// Checks that an issuer is an address that can be used.
///
/// # Errors
/// [`SetupError::Issuer`]
pub fn check_issuer(issuer: &str) -> Result<(), SetupError> {
    issuer_url(issuer).map(drop)
}

/// Returns the issuer as a URL.
pub(crate) fn issuer_url(issuer: &str) -> Result<Url, SetupError> {
    let url = Url::parse(issuer).map_err(|_| SetupError::Issuer)?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && !has_user(&url);
    let is_safe = url.scheme() == "https" || is_local(&url);
    if is_plain && is_safe && issuer.trim() == issuer { Ok(url) } else { Err(SetupError::Issuer) }
}

/// Returns `true` if a URL has a user or a password.
pub(crate) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns `true` for an `http://` URL that leads to this machine. Names below `localhost` are not
/// among them, because a resolver may ask the network for them.
pub(crate) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost",
    };
    url.scheme() == "http" && is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_encrypted_or_on_this_machine() {
        for issuer in [
            "https://id.example",
            "https://id.example/realms/army",
            "https://id.example/",
            "https://id.example:8443",
            "http://localhost:9400",
            "http://127.0.0.1:9400/x",
            "http://[::1]:9400",
        ] {
            check_issuer(issuer).unwrap();
        }
        for issuer in [
            "",
            "id.example",
            "http://id.example",
            "http://10.0.0.7",
            "http://0.0.0.0",
            "http://localhost.example",
            "http://army.localhost",
            "https://id.example?tenant=1",
            "https://id.example#x",
            "https://ada:s3cr3t@id.example",
            "https://ada@id.example",
            " https://id.example",
            "ftp://localhost",
            "unix:/run/id",
        ] {
            let error = check_issuer(issuer).unwrap_err().to_string();
            assert!(!error.contains("s3cr3t"), "{issuer}: {error}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", ClientSecret::new("s3cr3t".to_owned())), "ClientSecret(…)");
    }
}
