//! API keys: the secret that a client sends with every request, and what is stored of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::grant::Grant;
use crate::base62::{DIGITS, LENGTH, base62};
use crate::ids::{CredentialId, PrincipalId};
use crate::record::{ColumnKind, ColumnValue, Record, RecordTable};
use crate::secret::Secret;
use crate::timestamp::Timestamp;

/// First characters of every key, by which scanners recognise a leaked one.
const PREFIX: &str = "botarmy_k_";
/// Number of digits of the checksum.
const CHECK_LENGTH: usize = 6;
/// Number of digits at the end by which people tell their keys apart.
const HINT: usize = 4;

/// Random bytes of a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret(Secret<[u8; 32]>);

impl KeySecret {
    /// Creates a secret of random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Returns the text of the key.
    #[must_use]
    pub fn text(&self) -> ApiKeyText {
        let mut text = format!("{PREFIX}{}", base62(*self.0.expose()));
        text.extend(checksum(&text).map(char::from));
        ApiKeyText(Secret::new(text))
    }
}

/// Text of a key: `botarmy_k_`, 43 letters and digits for 256 random bits, and 6 for the CRC-32 of
/// everything before, so that a key is recognised without asking a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyText(Secret<String>);

impl ApiKeyText {
    /// Returns the key as its owner sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the digest that is stored in place of the key. Its 256 random bits need neither salt nor
    /// stretching, and a search by the digest says nothing about the key through its duration.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.expose())
    }

    /// Returns the last characters of the random part, by which its owner recognises it.
    #[must_use]
    pub fn hint(&self) -> String {
        let end = PREFIX.len() + LENGTH;
        self.expose()[end - HINT..end].to_owned()
    }
}

/// Text that is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct MalformedKey;

impl FromStr for ApiKeyText {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        check(text).map(|()| Self(Secret::new(text.to_owned())))
    }
}

/// Checks that a text has the form of a key, and the checksum of one.
fn check(text: &str) -> Result<(), MalformedKey> {
    let digits = text.strip_prefix(PREFIX).ok_or(MalformedKey)?;
    let is_sound = digits.len() == LENGTH + CHECK_LENGTH
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_sound {
        return Err(MalformedKey);
    }
    let (body, check) = text.split_at(PREFIX.len() + LENGTH);
    if checksum(body) == check.as_bytes() { Ok(()) } else { Err(MalformedKey) }
}

/// Writes the CRC-32 of a text with [`CHECK_LENGTH`] digits.
fn checksum(text: &str) -> [u8; CHECK_LENGTH] {
    let mut number = crc32fast::hash(text.as_bytes());
    let mut digits = [0; CHECK_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits
}

/// SHA-256 of the text of a key, a session or a link. The text cannot be found from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// Returns the digest of the key with this text. Every request with a key needs it, so nothing is
    /// allocated.
    ///
    /// # Errors
    /// [`MalformedKey`] if the text is no key.
    pub fn of_key(text: &str) -> Result<Self, MalformedKey> {
        check(text).map(|()| Self::of(text))
    }

    /// Returns the digest of a text.
    #[must_use]
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({})", crate::hash::hash_text(&self.0))
    }
}

impl Serialize for KeyDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::hash::hash_text(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = crate::hash::hash_bytes(&text);
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Id of the key, which the log names.
    pub id: CredentialId,
    /// Principal that the key belongs to.
    pub principal: PrincipalId,
    /// Name that its owner gave it.
    pub name: String,
    /// Last characters of the key.
    pub hint: String,
    /// Digest of the key.
    pub digest: KeyDigest,
    /// Grants to which it narrows those of its principal; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time from which it is refused; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Time of its revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Key that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<CredentialId>,
}

impl ApiKey {
    /// Returns whether it has expired at this time.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl Record for ApiKey {
    type Key = CredentialId;

    const TABLE: RecordTable =
        RecordTable { name: "api_keys", key: ("id", ColumnKind::Id), extra: &[] };

    fn key(&self) -> CredentialId {
        self.id
    }

    fn stored_key(key: CredentialId) -> ColumnValue {
        ColumnValue::Id(key.uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        for bytes in [[0; 32], [255; 32], [7; 32]] {
            let key = KeySecret::new(bytes).text();
            let text = key.expose();
            assert_eq!(text.len(), 59);
            assert_eq!(text.parse(), Ok(key.clone()));
            assert_eq!(KeyDigest::of_key(text), Ok(key.digest()));
            assert!(text[PREFIX.len()..].contains(&key.hint()));
            for other in [
                "",
                &text[1..],
                &text[..text.len() - 1],
                &format!("{text}a"),
                &format!(" {text}"),
                &text.to_uppercase(),
                &text.replace("botarmy_k_", "botarmy_w_"),
                &format!("{}é", &text[..text.len() - 2]),
            ] {
                assert_eq!(other.parse::<ApiKeyText>(), Err(MalformedKey), "{other}");
                assert_eq!(KeyDigest::of_key(other), Err(MalformedKey), "{other}");
            }
        }
    }

    #[test]
    fn a_checksum_is_the_number_to_the_base_of_62() {
        for text in ["", "a", "botarmy_k_"] {
            let mut number = [0; 32];
            number[28..].copy_from_slice(&crc32fast::hash(text.as_bytes()).to_be_bytes());
            assert_eq!(checksum(text), base62(number).as_bytes()[LENGTH - CHECK_LENGTH..]);
        }
    }

    #[test]
    fn a_mistyped_character_is_noticed() {
        let text = KeySecret::new([7; 32]).text().expose().to_owned();
        for at in PREFIX.len()..text.len() {
            let mut typed = text.clone().into_bytes();
            typed[at] = if typed[at] == b'x' { b'y' } else { b'x' };
            let typed = String::from_utf8(typed).unwrap();
            assert_eq!(typed.parse::<ApiKeyText>(), Err(MalformedKey), "{at}");
        }
    }

    #[test]
    fn neither_a_key_nor_its_secret_is_in_a_debug_text() {
        let secret = KeySecret::new([7; 32]);
        assert_eq!(format!("{secret:?} {:?}", secret.text()), "KeySecret(…) ApiKeyText(…)");
    }

    #[test]
    fn a_digest_has_one_form() {
        let digest = KeySecret::new([7; 32]).text().digest();
        let form = serde_json::to_string(&digest).unwrap();
        assert_eq!(form.len(), 66);
        assert_eq!(serde_json::from_str::<KeyDigest>(&form).unwrap(), digest);
        assert!(serde_json::from_str::<KeyDigest>("\"ab\"").is_err());
    }
}
