//! The address of a database. It may hold a password, so it is never printed whole.

use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// An address that cannot be used. Never holds the address itself.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// The scheme is not `postgres` or `postgresql`.
    #[error("a PostgreSQL address begins with postgres:// or postgresql://")]
    Scheme,
    /// `tokio-postgres` does not understand it.
    #[error(
        "the PostgreSQL address cannot be read; it is postgres://USER:PASSWORD@HOST:PORT/DATABASE, \
         with %XX for special characters: {0}"
    )]
    Malformed(String),
    /// A part is missing.
    #[error(
        "the PostgreSQL address names no {0}; it is postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    Missing(&'static str),
    /// `sslmode` has an unknown value.
    #[error(
        "sslmode={0} is not known; use disable, prefer, require, verify-ca or verify-full (the last \
         three all check the certificate, against the system's or those of sslrootcert=FILE)"
    )]
    SslMode(String),
}

/// Encryption mode of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Not encrypted.
    Off,
    /// Encrypted if the server supports it, without checking the certificate: the default, as in
    /// libpq. It protects from passive listeners only.
    Preferred,
    /// Encrypted, with a valid certificate for the host.
    Checked,
}

/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…`
#[derive(Clone)]
pub struct PostgresUrl {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) root_certificates: Option<PathBuf>,
    shown: String,
    has_password: bool,
}

impl PostgresUrl {
    /// Whether the address holds a password.
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.has_password
    }
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(UrlError::Scheme);
        }
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let mut tls = Tls::Preferred;
        let mut root_certificates = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => {
                    tls = match mode {
                        "disable" => Tls::Off,
                        "allow" | "prefer" => Tls::Preferred,
                        "require" | "verify-ca" | "verify-full" => Tls::Checked,
                        other => return Err(UrlError::SslMode(other.to_owned())),
                    }
                }
                Some(("sslrootcert", file)) => root_certificates = Some(PathBuf::from(file)),
                _ => rest.push(pair),
            }
        }
        let address = if rest.is_empty() {
            address.to_owned()
        } else {
            format!("{address}?{}", rest.join("&"))
        };
        let mut config = Config::from_str(&address).map_err(|error| {
            UrlError::Malformed(
                std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string),
            )
        })?;
        config.ssl_mode(match tls {
            Tls::Off => SslMode::Disable,
            Tls::Preferred => SslMode::Prefer,
            Tls::Checked => SslMode::Require,
        });
        let user = config.get_user().ok_or(UrlError::Missing("user"))?;
        let database = config.get_dbname().ok_or(UrlError::Missing("database"))?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => return Err(UrlError::Missing("host")),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let shown = format!("postgres://{user}@{host}:{port}/{database}");
        let has_password = config.get_password().is_some();
        Ok(Self { config, tls, root_certificates, shown, has_password })
    }
}

/// Prints the address without its password.
impl std::fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Prints the address without its password.
impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url: PostgresUrl = "postgres://army:s3cr%23t@db:5433/botarmy".parse().unwrap();
        assert!(url.has_password());
        assert_eq!(url.to_string(), "postgres://army@db:5433/botarmy");
        assert!(!format!("{url:?}").contains("s3cr"));
        for bad in ["postgres://army:s3cr3t@db:port/x", "postgres://a:s3cr3t@/x?sslmode=s3cr"] {
            let error = bad.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn tls_is_what_the_address_asks_for() {
        let tls = |query: &str| {
            format!("postgres://army@db/botarmy{query}").parse::<PostgresUrl>().map(|url| url.tls)
        };
        assert_eq!(tls("").unwrap(), Tls::Preferred);
        assert_eq!(tls("?sslmode=disable&application_name=x").unwrap(), Tls::Off);
        assert_eq!(tls("?sslmode=require").unwrap(), Tls::Checked);
        assert_eq!(tls("?sslmode=verify-full&sslrootcert=/ca.pem").unwrap(), Tls::Checked);
        assert!(matches!(tls("?sslmode=maybe"), Err(UrlError::SslMode(_))));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (url, what) in [
            ("mysql://x@y/z", "begins with"),
            ("postgres://host/db", "names no user"),
            ("postgres://army@host", "names no database"),
        ] {
            let error = url.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(error.contains(what), "{url}: {error}");
        }
    }
}
