//! The address of Redis, and the limits of this replica. The address may contain a password, so it
//! is never printed whole.

use std::str::FromStr;
use std::time::Duration;

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
};

/// Error of an address that cannot be used. Never contains the address itself.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// The address asks for TLS without a check of the certificate.
    #[error(
        "#insecure asks for an encrypted connection to anyone; leave it out, and name the authority \
         of a certificate of your own in the variable SSL_CERT_FILE"
    )]
    Insecure,
    /// The address is not one of Redis.
    #[error(
        "the Redis address cannot be read; it is redis://USER:PASSWORD@HOST:PORT/DATABASE, \
         rediss:// for the same with TLS, or unix:///PATH, with %XX for special characters"
    )]
    Malformed,
}

/// `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://…` with TLS, or `unix:///PATH`.
#[derive(Clone)]
pub struct RedisUrl {
    info: ConnectionInfo,
    shown: String,
}

impl RedisUrl {
    /// Returns the number of the database. Channels are shared by all databases, so their names contain
    /// it.
    pub(crate) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// Returns the parameters of a connection. Messages are small and must not wait to fill a packet.
    pub(crate) fn connection(&self, protocol: ProtocolVersion) -> ConnectionInfo {
        // The name of the library would need one more right, and older servers do not know it.
        let redis = self.info.redis_settings().clone();
        let redis = redis.set_protocol(protocol).set_skip_set_lib_name();
        let tcp = TcpSettings::default().set_nodelay(true);
        self.info.clone().set_redis_settings(redis).set_tcp_settings(tcp)
    }
}

impl FromStr for RedisUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // The error of the library may repeat parts of the address, so it is dropped.
        let info = text.into_connection_info().map_err(|_| UrlError::Malformed)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            use_ring();
        }
        Client::open(info.clone()).map_err(|_| UrlError::Malformed)?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}"),
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(UrlError::Insecure),
            ConnectionAddr::TcpTls { host, port, .. } => format!("rediss://{host}:{port}"),
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            _ => return Err(UrlError::Malformed),
        };
        let shown = match info.redis_settings().db() {
            0 => place,
            database => format!("{place}/{database}"),
        };
        Ok(Self { info, shown })
    }
}

/// Selects ring as the process's provider of cryptography, because the library asks the process for
/// one. Another part of the program may have done so already.
fn use_ring() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Without user and password.
impl std::fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Without user and password.
impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Address of Redis, and limits of this replica.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// The server.
    pub url: RedisUrl,
    /// Beginning of channels and keys, different for each installation on one Redis.
    pub prefix: String,
    /// Number that is unique to this replica, by which it recognises its own messages.
    pub instance: u128,
    /// Number of messages that may wait to be sent; more become a gap.
    pub queue: usize,
    /// Approximate size in bytes of messages that may wait to be sent; more become a gap.
    pub queue_bytes: usize,
    /// Size in bytes of received messages that may wait to be decoded; more become a gap.
    pub inbox_bytes: usize,
    /// Number of messages that a subscriber may be behind before it gets a gap. Not limited in bytes:
    /// the messages are references to entries, the subscribers are parts of this program, and
    /// messages that the slowest has not taken are kept once for all.
    pub backlog: usize,
    /// Largest size of a message in bytes; a larger one becomes a gap.
    pub max_news_bytes: usize,
    /// Time limit for connecting and for commands in the background, after which Redis counts as away.
    pub timeout: Duration,
    /// Interval between two pings of an idle connection.
    pub ping_interval: Duration,
    /// Time limit for commands that a caller waits for, after which the store is read.
    pub patience: Duration,
    /// Interval between two comparisons of the agent statuses with the store.
    pub refresh_interval: Duration,
}

impl RedisSettings {
    /// Creates settings with the default limits.
    #[must_use]
    pub fn new(url: RedisUrl, prefix: impl Into<String>, instance: u128) -> Self {
        Self {
            url,
            prefix: prefix.into(),
            instance,
            queue: 4096,
            queue_bytes: 16 * 1024 * 1024,
            inbox_bytes: 16 * 1024 * 1024,
            backlog: 16_384,
            max_news_bytes: 1024 * 1024,
            timeout: Duration::from_secs(2),
            ping_interval: Duration::from_secs(1),
            patience: Duration::from_millis(250),
            refresh_interval: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url: RedisUrl = "redis://army:s3cr%23t@cache:6380/2".parse().unwrap();
        assert_eq!(url.to_string(), "redis://cache:6380/2");
        let settings = RedisSettings::new(url, "botarmy", 1);
        let shown = format!("{settings:?}");
        assert!(shown.contains("cache:6380") && !shown.contains("s3cr"), "{shown}");
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_being_repeated() {
        for (text, expected) in [
            ("rediss://:s3cr3t@cache#insecure", UrlError::Insecure),
            ("http://:s3cr3t@cache", UrlError::Malformed),
            ("redis://:s3cr3t@cache:port", UrlError::Malformed),
            ("s3cr3t", UrlError::Malformed),
        ] {
            let error = text.parse::<RedisUrl>().unwrap_err();
            assert!(!error.to_string().contains("s3cr3t"), "{error}");
            assert_eq!(error, expected, "{text}");
        }
    }

    #[test]
    fn the_database_and_the_port_have_their_usual_defaults() {
        let tls: RedisUrl = "rediss://:s3cr3t@cache/1".parse().unwrap();
        assert_eq!((tls.to_string().as_str(), tls.database()), ("rediss://cache:6379/1", 1));
        let url: RedisUrl = "redis://cache".parse().unwrap();
        assert_eq!((url.to_string().as_str(), url.database()), ("redis://cache:6379", 0));
    }
}
