//! The provider's public keys (RFC 7517).

use botarmy_domain::ports::ProviderError;
use serde_json::{Map, Value};
use url::Url;

use crate::http::{Http, fetch, untrusted};
use crate::signature::{Algorithm, PublicKey, bytes};

/// Largest number of keys that are looked at.
const MAX_KEYS: usize = 100;

/// Public keys for signatures.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<SignatureKey>);

#[derive(Debug)]
struct SignatureKey {
    id: Option<String>,
    /// Algorithm for which alone the key may be used.
    algorithm: Option<Algorithm>,
    key: PublicKey,
}

/// Fetches the keys.
pub(crate) async fn fetch_keys(http: &Http, url: &Url) -> Result<KeySet, ProviderError> {
    read(&fetch("the key set of the provider", http.get(url)).await?)
}

impl KeySet {
    /// Returns the key for a signature: the one with this id, or without an id the only one that fits
    /// (OpenID Connect Core 1.0, section 10.1).
    pub(crate) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&PublicKey, ProviderError> {
        let is_named = |key: &&SignatureKey| id.is_none() || key.id.as_deref() == id;
        let fits = |key: &&SignatureKey| {
            key.key.fits(algorithm) && key.algorithm.is_none_or(|only| only == algorithm)
        };
        let mut named = self.0.iter().filter(is_named).peekable();
        if named.peek().is_none() {
            return Err(untrusted(
                "the ID token is signed with a key that the provider does not have",
            ));
        }
        let mut fitting = named.filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(&key.key),
            (None, _) => {
                Err(untrusted("the ID token is signed with an algorithm that its key is not for"))
            }
            (Some(_), Some(_)) => Err(untrusted(
                "the ID token does not say which of the keys of the provider signed it",
            )),
        }
    }
}

/// Reads a key set. A key that is not for signatures or not understood is left out (RFC 7517, section
/// 5).
fn read(body: &Map<String, Value>) -> Result<KeySet, ProviderError> {
    let Some(Value::Array(keys)) = body.get("keys") else {
        return Err(untrusted("the key set of the provider has no keys"));
    };
    if keys.len() > MAX_KEYS {
        return Err(untrusted(format!(
            "the key set of the provider has more than {MAX_KEYS} keys"
        )));
    }
    let keys = keys.iter().filter_map(Value::as_object);
    // OpenID Connect Discovery 1.0, section 3. A key set is public, and such a key is known to all.
    if keys.clone().any(|key| key.contains_key("d") || text(key, "kty") == Some("oct")) {
        return Err(untrusted("the key set of the provider has a private or symmetric key"));
    }
    Ok(KeySet(keys.filter_map(signature_key).collect()))
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    key.get(name).and_then(Value::as_str)
}

/// Reads a key for signatures; `None` for any other.
fn signature_key(key: &Map<String, Value>) -> Option<SignatureKey> {
    let is_for_signatures = match (key.get("use"), key.get("key_ops")) {
        (Some(purpose), _) if purpose != "sig" => false,
        (_, Some(Value::Array(operations))) => operations.iter().any(|one| one == "verify"),
        (_, operations) => operations.is_none(),
    };
    if !is_for_signatures {
        return None;
    }
    let algorithm = match key.get("alg") {
        None => None,
        Some(name) => Some(Algorithm::named(name.as_str()?)?),
    };
    let id = match key.get("kid") {
        None => None,
        Some(id) => Some(id.as_str()?.to_owned()),
    };
    let part = |name: &str| text(key, name).and_then(bytes);
    let point = |length: usize| {
        let (x, y) = (part("x")?, part("y")?);
        (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
    };
    let public = match (text(key, "kty")?, text(key, "crv")) {
        // ring refuses zeros in front, which some providers write.
        ("RSA", _) => {
            let number = |name| part(name).map(|bytes| without_zeros(&bytes).to_vec());
            PublicKey::Rsa { n: number("n")?, e: number("e")? }
        }
        ("EC", Some("P-256")) => PublicKey::P256(point(32)?),
        ("EC", Some("P-384")) => PublicKey::P384(point(48)?),
        ("OKP", Some("Ed25519")) => {
            PublicKey::Ed25519(part("x").filter(|bytes| bytes.len() == 32)?)
        }
        _ => return None,
    };
    Some(SignatureKey { id, algorithm, key: public })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ed25519(more: &Value) -> Value {
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) });
        for (name, value) in more.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn set(keys: &Value) -> Result<KeySet, String> {
        let body = json!({ "keys": keys });
        read(body.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_that_are_not_for_signatures_or_not_understood_are_left_out() {
        let keys = json!([
            ed25519(&json!({ "use": "enc" })),
            ed25519(&json!({ "key_ops": ["encrypt"] })),
            ed25519(&json!({ "key_ops": "verify" })),
            ed25519(&json!({ "alg": "ES512" })),
            ed25519(&json!({ "kid": 7 })),
            ed25519(&json!({ "x": "AA" })),
            ed25519(&json!({ "x": "?" })),
            { "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" },
            { "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" },
            { "kty": "AKP" },
            {},
            "key",
        ]);
        assert!(set(&keys).unwrap().0.is_empty());
        let keys = json!([
            ed25519(&json!({})),
            ed25519(&json!({ "use": "sig", "key_ops": ["verify"], "alg": "EdDSA" })),
        ]);
        assert_eq!(set(&keys).unwrap().0.len(), 2);
    }

    #[test]
    fn a_set_with_secrets_is_refused() {
        for key in [
            json!({ "kty": "oct", "k": "c2VjcmV0" }),
            ed25519(&json!({ "d": "AA" })),
            json!({ "kty": "RSA", "d": "AA" }),
        ] {
            let error = set(&json!([ed25519(&json!({})), key])).unwrap_err();
            assert!(error.contains("private or symmetric"), "{error}");
        }
        assert!(read(&Map::new()).is_err());
        assert!(set(&json!({})).is_err());
    }

    #[test]
    fn a_key_without_an_id_is_used_only_if_there_is_no_other() {
        let one = set(&json!([ed25519(&json!({ "kid": "a" }))])).unwrap();
        let two = set(&json!([ed25519(&json!({ "kid": "a" })), ed25519(&json!({ "kid": "b" }))]));
        let (two, algorithm) = (two.unwrap(), Algorithm::EdDsa);
        one.find(None, algorithm).unwrap();
        one.find(Some("a"), algorithm).unwrap();
        two.find(Some("b"), algorithm).unwrap();
        for (set, id, algorithm, reason) in [
            (&two, None, algorithm, "does not say which"),
            (&one, Some("b"), algorithm, "does not have"),
            (&one, Some("a"), Algorithm::Rs256, "not for"),
            (&one, None, Algorithm::Es256, "not for"),
        ] {
            let error = set.find(id, algorithm).unwrap_err().to_string();
            assert!(error.contains(reason), "{id:?} {algorithm:?}: {error}");
        }
    }
}
