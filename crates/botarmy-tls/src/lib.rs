//! The certificates of servers, as their clients check them: [`verifier`] accepts what a [`Trust`]
//! names. It is for rustls with any provider of cryptography.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Certificates that a client accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate. It is for connections on which an attacker who could present a false one
    /// gains nothing by it.
    Any,
    /// Those of the system's authorities.
    System,
    /// Those of the authorities in this PEM file, and the certificates in it.
    File(PathBuf),
}

/// Error of reading the certificates that a client accepts.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The system has no authorities.
    #[error("this system has no certificates of authorities")]
    NoAuthorities,
    /// The file has no certificate that can be used.
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// The file cannot be read.
    #[error("the certificates in {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// The certificates cannot be used.
    #[error("the certificates cannot be used to check a server's")]
    Unusable(#[from] VerifierBuilderError),
}

/// Returns a verifier that accepts these certificates. It also accepts a certificate that signed
/// itself and is in the file, as `openssl req -x509` makes one: that is an authority by its form,
/// which a chain may not end with.
///
/// # Errors
/// Certificates that cannot be read, or none.
pub fn verifier(
    trust: &Trust,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
    let mut roots = RootCertStore::empty();
    let named = match trust {
        Trust::Any => return Ok(Arc::new(Unchecked(Arc::clone(provider)))),
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Vec::new()
        }
        Trust::File(file) => {
            let named =
                certificates(file).map_err(|error| TrustError::Unreadable(file.clone(), error))?;
            // A bundle may hold certificates of forms that are not supported.
            roots.add_parsable_certificates(named.clone());
            named
        }
    };
    if roots.is_empty() {
        return Err(match trust {
            Trust::File(file) => TrustError::NoCertificate(file.clone()),
            _ => TrustError::NoAuthorities,
        });
    }
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(Arc::new(Checked { chain: chain.build()?, named }))
}

/// Returns the certificates in a PEM file.
///
/// # Errors
/// A file that cannot be read, or is not PEM.
pub fn certificates(
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(file)?.collect()
}

/// Verifier of a chain to a trusted authority, or of a certificate that is trusted by name.
#[derive(Debug)]
struct Checked {
    chain: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

/// Returns `true` for the error of an authority's certificate where a server's belongs. Its dates are
/// valid then, because they are checked before.
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
                if is_authority(&error) && self.named.iter().any(|one| one == end_entity) =>
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

/// Verifier that accepts any certificate.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::crypto::ring::default_provider;

    use super::*;

    /// Creates the certificate of an authority for this name, with its key.
    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
    }

    /// Returns whether a server with this certificate is accepted under this name.
    fn accepts(trust: &Trust, certificate: &CertificateDer<'_>, name: &str) -> bool {
        let verifier = verifier(trust, &Arc::new(default_provider())).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        verifier.verify_server_cert(certificate, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn a_file_names_authorities_and_certificates_that_signed_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trusted.pem");
        let (known, unknown) = (authority("db.example"), authority("db.example"));
        std::fs::write(&file, known.pem()).unwrap();
        let trust = Trust::File(file);
        let signed_by = |issuer: &CertifiedIssuer<'_, KeyPair>| {
            let parameters = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
            parameters.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap()
        };
        let (good, foreign) = (signed_by(&known), signed_by(&unknown));
        for (certificate, name, accepted) in [
            (good.der(), "db.example", true),
            (good.der(), "other.example", false),
            (foreign.der(), "db.example", false),
            (known.der(), "db.example", true),
            (known.der(), "other.example", false),
            (unknown.der(), "db.example", false),
        ] {
            assert_eq!(accepts(&trust, certificate, name), accepted, "{name}");
            assert!(accepts(&Trust::Any, certificate, name), "{name}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "nothing\n").unwrap();
        let refused = |file: PathBuf| {
            verifier(&Trust::File(file), &Arc::new(default_provider())).unwrap_err().to_string()
        };
        assert!(refused(empty).ends_with("empty.pem holds no certificate in PEM form"));
        assert!(refused(dir.path().join("gone.pem")).ends_with("gone.pem cannot be read"));
    }
}
