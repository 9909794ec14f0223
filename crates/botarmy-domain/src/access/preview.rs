//! Tokens in the addresses of previews: a frame in which generated code runs has no cookies, so the
//! address itself says what may be read.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::api_key::KeyDigest;
use super::session::SessionText;
use crate::base62::{LENGTH, base62};
use crate::ids::{ContextId, CredentialId};
use crate::timestamp::Timestamp;

/// Microseconds of an hour.
const HOUR: i64 = 3_600 * 1_000_000;
/// Beginning of the token on a server without access control.
const OPEN: &str = "open";

/// Token for one artifact. It names the artifact, the session and the hour of its making, and proves with
/// a digest that it was made in that session. It is accepted in its hour and in the next one.
///
/// It reads files of that artifact and nothing else, and only as long as its session may be used. Nothing
/// is stored for it: the digest is made of the digest of the session's cookie, which all servers have.
#[derive(Clone, PartialEq, Eq)]
pub struct PreviewToken {
    artifact: ContextId,
    proof: Option<Proof>,
}

#[derive(Clone, PartialEq, Eq)]
struct Proof {
    session: CredentialId,
    hour: i64,
    code: String,
}

/// Text that is not the token of a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the token of a preview")]
pub struct MalformedPreview;

/// Result of checking a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewCheck {
    /// It is valid now.
    Valid,
    /// It was made in the session, and its time is over or has not come.
    Expired,
    /// It was not made in the session.
    Forged,
}

impl PreviewToken {
    /// Creates the token for an artifact in a session, which has this id.
    #[must_use]
    pub fn new(
        text: &SessionText,
        session: CredentialId,
        artifact: ContextId,
        now: Timestamp,
    ) -> Self {
        let hour = now.micros().div_euclid(HOUR);
        let code = code(&text.digest(), session, artifact, hour);
        Self { artifact, proof: Some(Proof { session, hour, code }) }
    }

    /// Creates the token for an artifact on a server without access control.
    #[must_use]
    pub const fn open(artifact: ContextId) -> Self {
        Self { artifact, proof: None }
    }

    /// Returns the token as an address contains it: letters, digits and hyphens.
    #[must_use]
    pub fn expose(&self) -> String {
        let artifact = self.artifact.uuid().simple();
        match &self.proof {
            None => format!("{OPEN}-{artifact}"),
            Some(Proof { session, hour, code }) => {
                format!("{}-{artifact}-{hour}-{code}", session.uuid().simple())
            }
        }
    }

    /// Returns the artifact that it is for. Nothing is known of its validity.
    #[must_use]
    pub const fn artifact(&self) -> ContextId {
        self.artifact
    }

    /// Returns the session that it names; `None` for that of a server without access control.
    #[must_use]
    pub fn session(&self) -> Option<CredentialId> {
        self.proof.as_ref().map(|proof| proof.session)
    }

    /// Checks it against the digest of the cookie of the session that it names. The duration says nothing
    /// about the token.
    #[must_use]
    pub fn check(&self, digest: &KeyDigest, now: Timestamp) -> PreviewCheck {
        let Some(proof) = &self.proof else { return PreviewCheck::Forged };
        let expected = code(digest, proof.session, self.artifact, proof.hour);
        if !bool::from(expected.as_bytes().ct_eq(proof.code.as_bytes())) {
            return PreviewCheck::Forged;
        }
        let age = now.micros().div_euclid(HOUR).saturating_sub(proof.hour);
        if (0..=1).contains(&age) { PreviewCheck::Valid } else { PreviewCheck::Expired }
    }
}

fn code(digest: &KeyDigest, session: CredentialId, artifact: ContextId, hour: i64) -> String {
    let mut hash = Sha256::new();
    hash.update(b"botarmy.preview/1\0");
    hash.update(digest.bytes());
    hash.update(session.bytes());
    hash.update(artifact.bytes());
    hash.update(hour.to_be_bytes());
    base62(hash.finalize().into())
}

/// Without the digest.
impl fmt::Debug for PreviewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreviewToken({}, …)", self.artifact)
    }
}

impl FromStr for PreviewToken {
    type Err = MalformedPreview;

    fn from_str(text: &str) -> Result<Self, MalformedPreview> {
        let parts: Vec<&str> = text.split('-').collect();
        let artifact = |text: &str| match text.len() {
            32 => text.parse().map_err(|_| MalformedPreview),
            _ => Err(MalformedPreview),
        };
        let token = match parts.as_slice() {
            [OPEN, id] => Self::open(artifact(id)?),
            [session, id, hour, code] => {
                let is_code =
                    code.len() == LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if session.len() != 32 || !is_code {
                    return Err(MalformedPreview);
                }
                let session = session.parse().map_err(|_| MalformedPreview)?;
                let hour = hour.parse().map_err(|_| MalformedPreview)?;
                let code = (*code).to_owned();
                Self { artifact: artifact(id)?, proof: Some(Proof { session, hour, code }) }
            }
            _ => return Err(MalformedPreview),
        };
        // One token has one spelling.
        if token.expose() == text { Ok(token) } else { Err(MalformedPreview) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn session(n: u128) -> CredentialId {
        CredentialId::from_uuid(Uuid::from_u128(n))
    }

    fn artifact(n: u128) -> ContextId {
        ContextId::from_uuid(Uuid::from_u128(n))
    }

    fn text(n: u8) -> SessionText {
        SessionText::new([n; 32])
    }

    #[test]
    fn a_token_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        let token = PreviewToken::new(&text(7), session(1), artifact(2), NOW);
        let shown = token.expose();
        assert_eq!(shown.parse(), Ok(token.clone()));
        assert_eq!((token.artifact(), token.session()), (artifact(2), Some(session(1))));
        let open = PreviewToken::open(artifact(2));
        assert_eq!(open.expose().parse(), Ok(open.clone()));
        assert_eq!(open.session(), None);
        let id = Uuid::from_u128(2).simple().to_string();
        for other in [
            String::new(),
            "open".to_owned(),
            "open-".to_owned(),
            format!("open-{}", artifact(2)),
            format!("open-{}", id.replace('0', "a").to_uppercase()),
            format!("open-{id}-"),
            shown.replace("-500000-", "-+500000-"),
            shown.replace("-500000-", "-0500000-"),
            format!("{shown}0"),
            shown[1..].to_owned(),
            format!("{shown}-x"),
        ] {
            assert_eq!(other.parse::<PreviewToken>(), Err(MalformedPreview), "{other}");
        }
        assert!(!format!("{token:?}").contains(shown.rsplit('-').next().unwrap()));
    }

    #[test]
    fn a_token_belongs_to_one_session_one_artifact_and_two_hours() {
        let token = PreviewToken::new(&text(7), session(1), artifact(2), NOW);
        let digest = text(7).digest();
        let hour = Duration::from_secs(3_600);
        for (now, expected) in [
            (NOW, PreviewCheck::Valid),
            (NOW.after(hour), PreviewCheck::Valid),
            (NOW.after(2 * hour), PreviewCheck::Expired),
            (NOW.before(hour), PreviewCheck::Expired),
        ] {
            assert_eq!(token.check(&digest, now), expected);
        }
        assert_eq!(token.check(&text(8).digest(), NOW), PreviewCheck::Forged);
        assert_eq!(PreviewToken::open(artifact(2)).check(&digest, NOW), PreviewCheck::Forged);
        // The digest of one token is not that of another one.
        let code = token.expose().rsplit('-').next().unwrap().to_owned();
        let hour_of = NOW.micros() / HOUR;
        for (s, a, hour) in [(3, 2, hour_of), (1, 3, hour_of), (1, 2, hour_of + 1)] {
            let (s, a) = (session(s).uuid().simple(), artifact(a).uuid().simple());
            let other: PreviewToken = format!("{s}-{a}-{hour}-{code}").parse().unwrap();
            assert_eq!(other.check(&digest, NOW), PreviewCheck::Forged);
        }
    }
}
