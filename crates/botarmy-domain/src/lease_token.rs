//! Tokens of leases: the secret that the holder of a lease presents with each call about it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::artifact::digest_bytes;
use crate::base62::{LENGTH, base62};
use crate::ids::TaskId;
use crate::lease::{LeaseHolder, WorkerId};
use crate::secret::Secret;

/// First characters of every token, by which scanners recognise a leaked one.
const PREFIX: &str = "botarmy_w_";

/// Random bytes of one claim, from which the tokens of its leases follow. They are kept in memory
/// only, until the response with the tokens has been built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSecret(Secret<[u8; 32]>);

impl LeaseSecret {
    /// Creates a secret of random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Returns the token of the lease that this claim gave to `holder`. Tokens of different tasks
    /// cannot be computed from each other.
    #[must_use]
    pub fn token(&self, task: TaskId, holder: &LeaseHolder) -> LeaseToken {
        // All parts have a fixed length, so no two inputs are the same bytes.
        let hash = Sha256::new()
            .chain_update(self.0.expose())
            .chain_update(task.bytes())
            .chain_update(holder.fence.to_be_bytes())
            .finalize();
        LeaseToken(Secret::new(format!("{PREFIX}{}", base62(hash.into()))))
    }
}

/// Token of a lease: `botarmy_w_` and 43 letters and digits. Whoever has it may act for the holder
/// of that lease, and can do nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseToken(Secret<String>);

impl LeaseToken {
    /// Returns the token as it is sent to its holder.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the digest that is stored in place of the token. It covers the name of the holder,
    /// so that a token is good for the exact lease with which it was handed out.
    #[must_use]
    pub fn digest(&self, worker: &WorkerId) -> TokenDigest {
        TokenDigest(digest_bytes(format!("{}\n{worker}", self.expose()).as_bytes()))
    }
}

/// Text that is not a lease token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a lease token")]
pub struct MalformedToken;

impl FromStr for LeaseToken {
    type Err = MalformedToken;

    fn from_str(text: &str) -> Result<Self, MalformedToken> {
        let digits = text.strip_prefix(PREFIX).ok_or(MalformedToken)?;
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric();
        if digits.len() != LENGTH || !digits.bytes().all(is_digit) {
            return Err(MalformedToken);
        }
        Ok(Self(Secret::new(text.to_owned())))
    }
}

/// SHA-256 of a token and the name of its holder, in hexadecimal. The token cannot be found from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id_generator::IdGenerator;
    use crate::timestamp::Timestamp;

    fn holder(worker: &str, fence: u32) -> LeaseHolder {
        LeaseHolder { worker: WorkerId::external(worker), fence }
    }

    #[test]
    fn a_token_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        let mut ids = IdGenerator::new(Timestamp::from_micros(0), 1);
        for bytes in [[0; 32], [255; 32], [7; 32]] {
            let token = LeaseSecret::new(bytes).token(ids.task(), &holder("w", 1));
            assert_eq!(token.expose().len(), PREFIX.len() + LENGTH);
            assert_eq!(token.expose().parse(), Ok(token.clone()));
            let text = token.expose();
            for other in [
                "",
                &text[1..],
                &text[..text.len() - 1],
                &format!("{text}a"),
                &format!(" {text}"),
                &text.to_uppercase(),
                &text.replace("botarmy_w_", "botarmy_k_"),
                &format!("{}-", &text[..text.len() - 1]),
                &format!("{}é", &text[..text.len() - 2]),
            ] {
                assert_eq!(other.parse::<LeaseToken>(), Err(MalformedToken), "{other}");
            }
        }
    }

    #[test]
    fn a_token_belongs_to_one_task_one_attempt_and_one_worker() {
        let mut ids = IdGenerator::new(Timestamp::from_micros(0), 1);
        let (one, other) = (ids.task(), ids.task());
        let secret = LeaseSecret::new([7; 32]);
        let token = secret.token(one, &holder("w", 1));
        assert_eq!(token, secret.token(one, &holder("w", 1)), "the same claim gives the same");
        assert_ne!(token, secret.token(other, &holder("w", 1)));
        assert_ne!(token, secret.token(one, &holder("w", 2)));
        assert_ne!(token, LeaseSecret::new([8; 32]).token(one, &holder("w", 1)));
        let worker = |name| WorkerId::external(name);
        assert_eq!(token.digest(&worker("w")), token.digest(&worker("w")));
        assert_ne!(token.digest(&worker("w")), token.digest(&worker("v")));
    }

    #[test]
    fn neither_a_token_nor_its_secret_is_in_a_debug_text() {
        let mut ids = IdGenerator::new(Timestamp::from_micros(0), 1);
        let secret = LeaseSecret::new([7; 32]);
        let token = secret.token(ids.task(), &holder("w", 1));
        assert_eq!(format!("{secret:?} {token:?}"), "LeaseSecret(…) LeaseToken(…)");
    }
}
