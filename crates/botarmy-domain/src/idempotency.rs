//! Idempotency keys: a call that is sent again under the same key gets the reply to the first one, and
//! nothing is decided twice. The reply is kept in the transaction of the decision.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::artifact::{digest_bytes, hex};
use crate::error::DomainError;
use crate::record::{ColumnKind, ColumnValue, Record, RecordTable};
use crate::timestamp::Timestamp;

/// Time for which the reply to a keyed call is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Largest body of a reply that is kept, in bytes.
pub const MAX_REPLY: usize = 1024 * 1024;
/// Code of the conflict with a call that was replied to under the same key.
pub const ALREADY_REPLIED: &str = "already_replied";
/// Header that carries the key, which errors name as the field.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Key of a call: a SHA-256 over the principal and the key that it sent. Two principals never share
/// one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey([u8; 32]);

impl CallKey {
    /// Returns the key of a call by the principal of this kind and name. No name and no key may have a
    /// NUL.
    #[must_use]
    pub fn new(kind: &str, name: &str, key: &str) -> Self {
        Self(Sha256::digest(["botarmy.idempotency/1", kind, name, key].join("\0")).into())
    }

    /// Returns the key of the `n`th decision of a call that takes several.
    #[must_use]
    pub fn part(self, n: u32) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(n.to_be_bytes()).finalize().into())
    }
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallKey({self})")
    }
}

impl Serialize for CallKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |n: usize| u8::from_str_radix(text.get(n * 2..n * 2 + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
        let bytes = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// SHA-256 over what a call asks for: its method, path, query and body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDigest(String);

impl RequestDigest {
    /// Returns the digest of a call; `body` is a digest of its body.
    #[must_use]
    pub fn of(method: &str, path: &str, query: &str, body: &str) -> Self {
        Self(digest_bytes([method, path, query, body].join("\n").as_bytes()))
    }
}

/// Reply to a call, as the client received it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallReply {
    /// HTTP status.
    pub status: u16,
    /// Path of what was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Entity tag of what was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Body, which is JSON.
    pub body: String,
}

/// Kept reply to a keyed call. Without a reply, it stands for a call that took several decisions, each
/// of which has its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReply {
    /// Key of the call.
    pub key: CallKey,
    /// Digest of the call.
    pub request: RequestDigest,
    /// Reply; none for a call of several decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<CallReply>,
    /// Time from which the key can be used anew.
    pub expires_at: Timestamp,
}

impl KeptReply {
    /// Checks that the call under the same key is the same call.
    ///
    /// # Errors
    /// [`DomainError::Invalid`] if it is another one.
    pub fn check(&self, request: &RequestDigest) -> Result<(), DomainError> {
        if self.request == *request {
            return Ok(());
        }
        let message = "was used for another request; use a new key for each request";
        Err(DomainError::invalid(IDEMPOTENCY_KEY, message))
    }
}

impl Record for KeptReply {
    type Key = CallKey;

    const TABLE: RecordTable = RecordTable {
        name: "kept_replies",
        key: ("key_digest", ColumnKind::Text),
        extra: &[("expires_at", ColumnKind::Integer)],
    };

    // Two calls under one key may be about different logs: each would create a project of its own.
    const IS_SHARED: bool = true;

    fn key(&self) -> CallKey {
        self.key
    }

    fn extra(&self) -> Vec<ColumnValue> {
        vec![ColumnValue::Integer(self.expires_at.micros())]
    }
}

/// Shapes the reply from the result of a use case; `None` for a result of another type.
type Shape = dyn Fn(&dyn Any) -> Option<CallReply> + Send + Sync;

/// A call with an idempotency key, on its way to the decision that keeps the reply.
pub struct KeyedCall {
    key: CallKey,
    whole: Option<CallKey>,
    request: RequestDigest,
    shape: Box<Shape>,
}

impl KeyedCall {
    /// Creates a keyed call; `shape` makes the reply from the result of its use case.
    pub fn new<T: 'static>(
        key: CallKey,
        request: RequestDigest,
        shape: impl Fn(&T) -> CallReply + Send + Sync + 'static,
    ) -> Self {
        let shape = move |result: &dyn Any| result.downcast_ref::<T>().map(&shape);
        Self { key, whole: None, request, shape: Box::new(shape) }
    }

    /// Makes it one of several decisions of the call with the key `whole`.
    #[must_use]
    pub fn part_of(mut self, whole: CallKey) -> Self {
        self.whole = Some(whole);
        self
    }

    /// Returns the key under which the reply is kept.
    #[must_use]
    pub const fn key(&self) -> CallKey {
        self.key
    }

    /// Returns the key of the whole call, if it takes several decisions.
    #[must_use]
    pub const fn whole(&self) -> Option<CallKey> {
        self.whole
    }

    /// Returns the keys of the records that the decision reads and writes.
    pub fn keys(&self) -> impl Iterator<Item = CallKey> {
        [Some(self.key), self.whole].into_iter().flatten()
    }

    /// Returns the digest of the call.
    #[must_use]
    pub const fn request(&self) -> &RequestDigest {
        &self.request
    }

    /// Returns the reply to the result of the use case.
    ///
    /// # Panics
    /// If the use case has another result than the call was made for.
    #[must_use]
    pub fn reply<T: 'static>(&self, result: &T) -> CallReply {
        (self.shape)(result).expect("a call is made for the result of its use case")
    }
}

impl fmt::Debug for KeyedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCall").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Two keyed calls are the same if they ask for the same under the same key.
impl PartialEq for KeyedCall {
    fn eq(&self, other: &Self) -> bool {
        (self.key, self.whole, &self.request) == (other.key, other.whole, &other.request)
    }
}

impl Eq for KeyedCall {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_call_have_keys_of_their_own() {
        let key = CallKey::new("person", "ada", "1");
        let parts = [key.part(0), key.part(1), key, CallKey::new("person", "ada", "2").part(0)];
        assert_eq!(parts.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn a_kept_reply_reads_back_as_itself() {
        let kept = KeptReply {
            key: CallKey::new("system", "system", "k"),
            request: RequestDigest::of("POST", "/x", "", "d"),
            reply: Some(CallReply {
                status: 201,
                location: Some("/x/1".to_owned()),
                etag: None,
                body: "{\"a\": \"\\u0001\"}".to_owned(),
            }),
            expires_at: Timestamp::from_micros(7),
        };
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<KeptReply>(&text).unwrap(), kept);
        for wrong in ["", "0g", &"0".repeat(63), &"0".repeat(66), &"é".repeat(32)] {
            assert!(serde_json::from_value::<CallKey>(wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_part_of_a_call_is_in_its_digest() {
        let of = RequestDigest::of;
        let first = of("POST", "/a", "", "d");
        assert_eq!(first, of("POST", "/a", "", "d"));
        for other in [
            of("PUT", "/a", "", "d"),
            of("POST", "/b", "", "d"),
            of("POST", "/a", "x=1", "d"),
            of("POST", "/a", "", "e"),
        ] {
            assert_ne!(first, other);
        }
    }
}
