//! TLS of the server: its certificate and key, which can be replaced while it runs, and the socket
//! that begins with a handshake.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// Error of reading the certificate and the key of the server.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// Certificate and key of the server, from two PEM files. Copies share them.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<CurrentKey>,
}

/// Pair that new connections get.
#[derive(Debug)]
struct CurrentKey(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for CurrentKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl ServerIdentity {
    /// Reads both files.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let pair = read(certificate, key)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: Arc::new(CurrentKey(RwLock::new(Arc::new(pair)))),
        })
    }

    /// Reads both files again. New connections get the new pair; those that are open go on. After an
    /// error everything stays as it was.
    ///
    /// # Errors
    /// As for [`ServerIdentity::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let pair = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// Returns what accepts connections with this pair, as TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// Versions that the cryptography does not know, which cannot be.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut config = builder
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let of = |setting: &str, file: &Path, what: &dyn fmt::Display| {
        TlsError(format!("{setting}: {} {what}", file.display()))
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|error| of("http.tls_cert", certificate, &unreadable(&error, "certificate")))?;
    if chain.is_empty() {
        let what = unreadable(&pem::Error::NoItemsFound, "certificate");
        return Err(of("http.tls_cert", certificate, &what));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| of("http.tls_key", key, &unreadable(&error, "private key")))?;
    warn_if_others_can_read(key);
    let private =
        ring::default_provider().key_provider.load_private_key(private).map_err(|_| {
            of(
                "http.tls_key",
                key,
                &"holds a key of a kind that is not supported; use ECDSA or RSA",
            )
        })?;
    let pair = CertifiedKey::new(chain, private);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let what = format!(
                "does not belong to the first certificate of {}; the server's own certificate has to \
                 stand first there",
                certificate.display()
            );
            Err(of("http.tls_key", key, &what))
        }
        Err(error) => {
            let what = format!("holds no certificate that can be used: {error}");
            Err(of("http.tls_cert", certificate, &what))
        }
    }
}

/// Returns the reason for which a PEM file cannot be used. The contents are not repeated.
fn unreadable(error: &pem::Error, item: &str) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => {
            format!("is not PEM, or holds no {item} that is not encrypted (-----BEGIN …-----)")
        }
        _ => format!("is not PEM: its {item} is damaged"),
    }
}

#[cfg(unix)]
fn warn_if_others_can_read(key: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(key).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        tracing::warn!(
            file = %key.display(),
            "The private key of http.tls_key can be read by every user of this machine; \
             run `chmod o= FILE` on it"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &Path) {}

/// Socket of a client: plain, or encrypted after a handshake that the first read makes. Until that is
/// done nothing can be written.
pub(crate) enum Socket {
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Encrypted(Box<TlsStream<TcpStream>>),
    /// The handshake failed, and the connection is closed.
    Failed,
}

impl Socket {
    pub(crate) fn new(socket: TcpStream, tls: Option<&TlsAcceptor>) -> Self {
        match tls {
            Some(acceptor) => Self::Handshake(Box::new(acceptor.accept(socket))),
            None => Self::Plain(socket),
        }
    }

    /// Returns the connection below the encryption; `None` after a handshake that failed.
    pub(crate) fn connection(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Handshake(accept) => accept.get_ref(),
            Self::Encrypted(stream) => Some(stream.get_ref().0),
            Self::Failed => None,
        }
    }

    fn not_encrypted() -> io::Error {
        io::Error::new(io::ErrorKind::NotConnected, "the TLS handshake is not complete")
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Self::Handshake(accept) = &mut *self {
            match ready!(Pin::new(accept.as_mut()).poll(cx)) {
                Ok(stream) => *self = Self::Encrypted(Box::new(stream)),
                Err(error) => {
                    *self = Self::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Handshake(_) | Self::Failed => Poll::Ready(Err(Self::not_encrypted())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Self::Handshake(_) | Self::Failed => Poll::Ready(Err(Self::not_encrypted())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
            Self::Handshake(_) | Self::Failed => Poll::Ready(Err(Self::not_encrypted())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Encrypted(stream) => stream.is_write_vectored(),
            Self::Handshake(_) | Self::Failed => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            // Nothing was written.
            Self::Handshake(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Handshake(accept) => match accept.get_mut() {
                Some(socket) => Pin::new(socket).poll_shutdown(cx),
                None => Poll::Ready(Ok(())),
            },
            Self::Failed => Poll::Ready(Ok(())),
        }
    }
}
