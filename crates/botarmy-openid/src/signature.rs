//! Signed tokens (RFC 7515, compact form) and the algorithms that are accepted. All of them are
//! asymmetric: with a shared secret, each client of the provider could sign.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use botarmy_domain::ports::ProviderError;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use crate::http::untrusted;

/// Algorithm of a signature (RFC 7518, section 3.1; RFC 8037; RFC 9864).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// Returns the algorithm with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    const fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            Self::Es256 | Self::Es384 | Self::EdDsa => None,
        }
    }
}

/// Public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// RSA: modulus and exponent, big endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// P-256: the uncompressed point.
    P256(Vec<u8>),
    /// P-384: the uncompressed point.
    P384(Vec<u8>),
    /// Ed25519.
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// Returns `true` if the key is for this algorithm.
    pub(crate) const fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.rsa().is_some(),
            Self::P256(_) => matches!(algorithm, Algorithm::Es256),
            Self::P384(_) => matches!(algorithm, Algorithm::Es384),
            Self::Ed25519(_) => matches!(algorithm, Algorithm::EdDsa),
        }
    }

    /// Returns `true` if the key, which fits the algorithm, made this signature.
    fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm.rsa()) {
            (Self::Rsa { n, e }, Some(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Self::P256(point), None) if self.fits(algorithm) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
            }
            (Self::P384(point), None) if self.fits(algorithm) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
                    .verify(message, signature)
            }
            (Self::Ed25519(key), None) if self.fits(algorithm) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature)
            }
            _ => return false,
        }
        .is_ok()
    }
}

/// Token in compact form. Its signature has not been verified, and its payload cannot be read before.
pub(crate) struct SignedToken<'a> {
    pub(crate) algorithm: Algorithm,
    /// Id of the key, if the token names one.
    pub(crate) key_id: Option<String>,
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> SignedToken<'a> {
    /// Parses a token.
    ///
    /// # Errors
    /// [`ProviderError::Untrusted`] for a token that is malformed, encrypted, not signed, signed with
    /// an algorithm that is not accepted, or no ID token.
    pub(crate) fn parse(token: &'a str) -> Result<Self, ProviderError> {
        let mut parts = token.split('.');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(header), Some(payload), Some(signature), None) = parts else {
            return Err(untrusted("the ID token is not a signed token in compact form"));
        };
        let header = object(header).ok_or_else(|| untrusted("the ID token has no header"))?;
        let name = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let algorithm = Algorithm::named(name).ok_or_else(|| {
            untrusted(
                "the ID token is not signed, or with an algorithm that is not accepted; RS, PS, ES \
                 (256 and 384) and EdDSA are",
            )
        })?;
        if header.contains_key("crit") {
            return Err(untrusted("the ID token has an extension that is not understood"));
        }
        match header.get("typ") {
            None | Some(Value::Null) => {}
            Some(Value::String(kind)) if kind.eq_ignore_ascii_case("JWT") => {}
            // RFC 8725, section 3.11: a token for something else, such as `at+jwt`.
            Some(_) => return Err(untrusted("the ID token is a token of another kind")),
        }
        let key_id = match header.get("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(untrusted("the ID token names a key that is no text")),
        };
        let signature = bytes(signature)
            .ok_or_else(|| untrusted("the signature of the ID token is malformed"))?;
        let message = &token[..token.rfind('.').unwrap_or_default()];
        Ok(Self { algorithm, key_id, message, payload, signature })
    }

    /// Returns the claims if the key made the signature.
    pub(crate) fn claims(&self, key: &PublicKey) -> Result<Map<String, Value>, ProviderError> {
        if !key.verifies(self.algorithm, self.message.as_bytes(), &self.signature) {
            return Err(untrusted("the signature of the ID token is not valid"));
        }
        object(self.payload).ok_or_else(|| untrusted("the ID token has no claims"))
    }
}

/// Decodes base64url without padding (RFC 7515, section 2).
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes a JSON object.
fn object(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&bytes(text)?) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn a_header_that_is_not_understood_is_refused() {
        for header in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"EdDSA","typ":"JWT","kid":"a"}"#,
            r#"{"alg":"Ed25519","typ":"jwt","kid":null}"#,
        ] {
            assert!(SignedToken::parse(&token(header)).is_ok(), "{header}");
        }
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"NONE"}"#,
            r#"{"alg":""}"#,
            r#"{"alg":null}"#,
            "{}",
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"rs256"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"ES512"}"#,
            r#"{"alg":"ES256K"}"#,
            r#"{"alg":"RS256","crit":["b64"],"b64":true}"#,
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","kid":7}"#,
            r#"["alg","RS256"]"#,
            "RS256",
        ] {
            assert!(SignedToken::parse(&token(header)).is_err(), "{header}");
        }
        for text in ["", ".", "..", "a.b", "a.b.c.d.e", &format!("{}.x", token("{}"))] {
            assert!(SignedToken::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_of_another_type_verifies_nothing() {
        let keys = [
            PublicKey::Rsa { n: vec![1; 256], e: vec![1, 0, 1] },
            PublicKey::P256(vec![4; 65]),
            PublicKey::P384(vec![4; 97]),
            PublicKey::Ed25519(vec![0; 32]),
        ];
        for name in ["RS256", "PS512", "ES256", "ES384", "EdDSA"] {
            let algorithm = Algorithm::named(name).unwrap();
            assert_eq!(keys.iter().filter(|key| key.fits(algorithm)).count(), 1, "{name}");
            for key in &keys {
                assert!(!key.verifies(algorithm, b"message", &[0; 64]), "{name} {key:?}");
            }
        }
    }
}
