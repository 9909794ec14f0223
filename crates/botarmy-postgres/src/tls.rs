//! Encrypted connections with rustls; only the certificates come from the system.

use std::sync::Arc;

use botarmy_tls::{Trust, TrustError, certificates, verifier};
use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::url::{PostgresUrl, Tls};

/// Error of setting up an encrypted connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the server's certificate cannot be checked")]
    Trust(#[source] TrustError),
    #[error("the certificates of sslcert cannot be read")]
    ClientCertificate(#[source] rustls::pki_types::pem::Error),
    #[error("the private key of sslkey cannot be read")]
    ClientKey(#[source] rustls::pki_types::pem::Error),
    #[error("there are no certificates to check the server's with; name a file with sslrootcert=")]
    NoCertificates,
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// Returns the TLS connector for the mode and certificates of this address.
pub(crate) fn connector(url: &PostgresUrl) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let trust = match (url.tls, &url.root_certificates) {
        (Tls::Checked, Some(file)) => Trust::File(file.clone()),
        (Tls::Checked, None) => Trust::System,
        // `sslmode=prefer`: who can present a false certificate can also force an unencrypted
        // connection.
        _ => Trust::Any,
    };
    let verifier = verifier(&trust, &provider).map_err(|error| match error {
        TrustError::NoAuthorities | TrustError::NoCertificate(_) => TlsError::NoCertificates,
        error => TlsError::Trust(error),
    })?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some(client) = &url.client_certificate else {
        return Ok(MakeRustlsConnect::new(builder.with_no_client_auth()));
    };
    let certificates = certificates(&client.certificate).map_err(TlsError::ClientCertificate)?;
    let key = PrivateKeyDer::from_pem_file(&client.key).map_err(TlsError::ClientKey)?;
    Ok(MakeRustlsConnect::new(builder.with_client_auth_cert(certificates, key)?))
}
