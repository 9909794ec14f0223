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
    /// `target_session_attrs` excludes servers that accept writes, or has an unknown value.
    #[error(
        "target_session_attrs={0} cannot be used: this server writes, so it always looks for the \
         one that accepts writes; leave it out, or use read-write, primary or any"
    )]
    SessionAttributes(String),
    /// A client certificate without its key, or the other way round.
    #[error("the PostgreSQL address names {0} and not {1}; a client certificate needs both files")]
    HalfCertificate(&'static str, &'static str),
    /// The numbers of hosts, addresses and ports differ.
    #[error(
        "the PostgreSQL address names {hosts} hosts, {addresses} of hostaddr and {ports} ports; \
         give each host one of them, or name one port for all"
    )]
    Servers {
        /// Number of hosts.
        hosts: usize,
        /// Number of values of `hostaddr`.
        addresses: usize,
        /// Number of ports.
        ports: usize,
    },
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

/// Certificate with which this server identifies itself, and its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=…&sslrootcert=…`
#[derive(Clone)]
pub struct PostgresUrl {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) client_certificate: Option<ClientCertificate>,
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
        let (mut certificate, mut key) = (None, None);
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
                Some(("sslcert", file)) => certificate = Some(PathBuf::from(file)),
                Some(("sslkey", file)) => key = Some(PathBuf::from(file)),
                Some(("target_session_attrs", "any" | "read-write" | "primary")) => {}
                Some(("target_session_attrs", other)) => {
                    return Err(UrlError::SessionAttributes(other.to_owned()));
                }
                _ => rest.push(pair),
            }
        }
        let client_certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(UrlError::HalfCertificate("sslcert", "sslkey")),
            (None, Some(_)) => return Err(UrlError::HalfCertificate("sslkey", "sslcert")),
        };
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
        let hosts = config.get_hosts();
        if hosts.is_empty() {
            return Err(UrlError::Missing("host"));
        }
        let (addresses, ports) = (config.get_hostaddrs().len(), config.get_ports().len());
        if !(addresses == 0 || addresses == hosts.len()) || !(ports <= 1 || ports == hosts.len()) {
            return Err(UrlError::Servers { hosts: hosts.len(), addresses, ports });
        }
        let port = |n| config.get_ports().get(n).or_else(|| config.get_ports().first());
        let servers = hosts.iter().enumerate().map(|(n, host)| {
            let port = port(n).copied().unwrap_or(5432);
            match host {
                Host::Tcp(host) => format!("{host}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        let servers = servers.collect::<Vec<_>>().join(",");
        let shown = format!("postgres://{user}@{servers}/{database}");
        let has_password = config.get_password().is_some();
        Ok(Self { config, tls, root_certificates, client_certificate, shown, has_password })
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
    fn several_servers_are_one_address() {
        let parse = |text: &str| text.parse::<PostgresUrl>();
        let url = parse("postgres://army@one:5433,two,three:5434/botarmy").unwrap();
        assert_eq!(url.to_string(), "postgres://army@one:5433,two:5432,three:5434/botarmy");
        for accepted in ["any", "read-write", "primary"] {
            parse(&format!("postgres://a@b/c?target_session_attrs={accepted}")).unwrap();
        }
        for refused in ["read-only", "standby", "prefer-standby", "maybe"] {
            let url = format!("postgres://a@b/c?target_session_attrs={refused}");
            assert!(matches!(parse(&url), Err(UrlError::SessionAttributes(_))), "{refused}");
        }
        let addresses = parse("postgres://a@b,c/d?hostaddr=127.0.0.1");
        assert!(matches!(addresses, Err(UrlError::Servers { hosts: 2, addresses: 1, .. })));
    }

    #[test]
    fn a_client_certificate_needs_its_key() {
        let with = |query: &str| format!("postgres://a@b/c?{query}").parse::<PostgresUrl>();
        let both = with("sslcert=/a.crt&sslkey=/a.key").unwrap().client_certificate.unwrap();
        assert_eq!((both.certificate, both.key), ("/a.crt".into(), "/a.key".into()));
        for (query, missing) in [("sslcert=/a.crt", "sslkey"), ("sslkey=/a.key", "sslcert")] {
            let error = with(query).unwrap_err().to_string();
            assert!(error.contains(&format!("and not {missing}")), "{error}");
        }
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
