//! Encrypted connections with rustls; only the certificates come from the system.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::url::{PostgresUrl, Tls};

/// Error of setting up an encrypted connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the certificates of sslrootcert cannot be read")]
    Certificates(#[source] rustls::pki_types::pem::Error),
    #[error("the certificates of sslcert cannot be read")]
    ClientCertificate(#[source] rustls::pki_types::pem::Error),
    #[error("the private key of sslkey cannot be read")]
    ClientKey(#[source] rustls::pki_types::pem::Error),
    #[error("there are no certificates to check the server's with; name a file with sslrootcert=")]
    NoCertificates,
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
    #[error("the certificates cannot be used to check the server's")]
    Verifier(#[from] VerifierBuilderError),
}

/// Returns the TLS connector for the mode and certificates of this address.
pub(crate) fn connector(url: &PostgresUrl) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = if url.tls == Tls::Checked {
        Arc::new(Checked::new(url.root_certificates.as_deref(), provider)?)
    } else {
        Arc::new(Unchecked(provider))
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some(client) = &url.client_certificate else {
        return Ok(MakeRustlsConnect::new(builder.with_no_client_auth()));
    };
    let certificates = certificates(&client.certificate).map_err(TlsError::ClientCertificate)?;
    let key = PrivateKeyDer::from_pem_file(&client.key).map_err(TlsError::ClientKey)?;
    Ok(MakeRustlsConnect::new(builder.with_client_auth_cert(certificates, key)?))
}

fn certificates(
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(file)?.collect()
}

/// Verifier of a chain to a trusted authority. It also accepts a certificate that signed itself and
/// is trusted by name, as `openssl req -x509` makes one: that is an authority by its form, which a
/// chain may not end with.
#[derive(Debug)]
struct Checked {
    chain: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl Checked {
    fn new(file: Option<&Path>, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut trusted = Vec::new();
        if let Some(file) = file {
            trusted = certificates(file).map_err(TlsError::Certificates)?;
            for certificate in &trusted {
                roots.add(certificate.clone())?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(TlsError::NoCertificates);
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        Ok(Self { chain: chain.build()?, trusted })
    }
}

/// Whether an authority's certificate was found where a server's belongs. Its dates are valid then,
/// because they are checked before.
fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    other.0.to_string() == "CaUsedAsEndEntity"
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match checked {
            Err(error)
                if is_authority(&error) && self.trusted.iter().any(|one| one == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Verifier that accepts any certificate, as `sslmode=prefer` does: an attacker who can present a
/// false one can also force an unencrypted connection.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
