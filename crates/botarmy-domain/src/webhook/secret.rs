//! The keys that sign what a subscription is sent, in the forms of Standard Webhooks 1.0.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{hash_bytes, hash_text};
use crate::secret::Secret;
use crate::timestamp::Timestamp;

/// Keys of one subscription. The two are independent: whoever verifies with the shared secret cannot
/// make the signatures of the other key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookKeys {
    /// Secret that server and receiver share, for HMAC-SHA256 (`v1`).
    pub shared: KeyBytes,
    /// Seed of the private key for Ed25519 (`v1a`).
    pub seed: KeyBytes,
    /// Public key that belongs to the seed.
    pub public: KeyBytes,
}

/// Bytes of a key, stored as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBytes(Secret<[u8; 32]>);

impl KeyBytes {
    /// Creates a key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Returns the bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl Serialize for KeyBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hash_text(self.expose()))
    }
}

impl<'de> Deserialize<'de> for KeyBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Secret::new(String::deserialize(deserializer)?);
        let bytes = hash_bytes(text.expose());
        bytes.map(Self::new).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

impl WebhookKeys {
    /// Creates keys of random bytes. `public` has to belong to `seed`.
    #[must_use]
    pub fn new(shared: [u8; 32], seed: [u8; 32], public: [u8; 32]) -> Self {
        Self {
            shared: KeyBytes::new(shared),
            seed: KeyBytes::new(seed),
            public: KeyBytes::new(public),
        }
    }

    /// Returns the shared secret as its receiver needs it: `whsec_` and base64.
    #[must_use]
    pub fn secret_text(&self) -> WebhookSecretText {
        let bytes = STANDARD.encode(self.shared.expose());
        WebhookSecretText(Secret::new(format!("whsec_{bytes}")))
    }

    /// Returns the public key as receivers need it: `whpk_` and base64.
    #[must_use]
    pub fn public_text(&self) -> String {
        format!("whpk_{}", STANDARD.encode(self.public.expose()))
    }
}

/// Text of a shared secret, which is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSecretText(Secret<String>);

impl WebhookSecretText {
    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Keys that were replaced, and the time until which they still sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiringSecret {
    /// The keys.
    pub keys: WebhookKeys,
    /// Time from which they do not sign any more.
    pub until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_as_they_were_stored_and_no_debug_text_has_them() {
        let keys = WebhookKeys::new([7; 32], [8; 32], [9; 32]);
        let stored = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<WebhookKeys>(&stored).unwrap(), keys);
        let shown = format!("{keys:?} {:?}", keys.secret_text());
        assert!(
            !shown.contains("07") && !shown.contains("BwcH") && !shown.contains('7'),
            "{shown}"
        );
        assert!(serde_json::from_str::<KeyBytes>("\"ab\"").is_err());
    }

    #[test]
    fn texts_have_the_forms_of_the_specification() {
        let keys = WebhookKeys::new([0; 32], [8; 32], [0xff; 32]);
        let zeros = format!("whsec_{}=", "A".repeat(43));
        assert_eq!(keys.secret_text().expose(), zeros);
        assert_eq!(keys.public_text(), format!("whpk_{}8=", "/".repeat(42)));
    }
}
