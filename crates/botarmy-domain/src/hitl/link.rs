//! Links with which one person answers one request, without signing in.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::HitlRequest;
use crate::access::KeyDigest;
use crate::actor::Actor;
use crate::base62::{LENGTH, base62};
use crate::caller::Caller;
use crate::ids::{CredentialId, HitlRequestId, parse_uuid};
use crate::secret::Secret;
use crate::timestamp::Timestamp;
use crate::vocabulary::HitlAction;

/// First characters of every token, by which scanners recognise a leaked one.
const PREFIX: &str = "botarmy_a_";
/// Number of hexadecimal digits of the id of the request in a token.
const ID_DIGITS: usize = 32;
/// Largest number of links of a request that one person has and that can be used.
pub const MAX_LINKS_OF_PERSON: usize = 20;
/// Number of links that a request keeps that can be used no more.
const MAX_VOID: usize = 500;

/// A link, as its request keeps it. The secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLink {
    /// Id of the link.
    pub id: CredentialId,
    /// Person who answers with it.
    pub person: Actor,
    /// Digest of its token.
    pub digest: KeyDigest,
    /// Digest of the subject that it is about.
    pub subject_digest: String,
    /// Answers that can be given.
    pub actions: Vec<HitlAction>,
    /// Party that made it.
    pub issued_by: Actor,
    /// Time at which it was made.
    pub issued_at: Timestamp,
    /// Time from which it is refused.
    pub expires_at: Timestamp,
    /// Time of the answer that was given with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// Time at which it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl AnswerLink {
    /// Returns whether an answer can be given with it at this time.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && self.revoked_at.is_none() && now < self.expires_at
    }
}

impl HitlRequest {
    /// Returns whether the request can be answered with a link at this time.
    pub(crate) fn takes(&self, link: &AnswerLink, now: Timestamp) -> bool {
        link.is_usable(now) && link.subject_digest == self.subject.digest
    }

    /// Adds a link. Of those that can be used no more, it keeps the newest: people who follow one are told
    /// why it does nothing.
    pub(crate) fn add_link(&mut self, link: AnswerLink) {
        let (now, subject) = (link.issued_at, &self.subject.digest);
        let is_void = |link: &AnswerLink| !link.is_usable(now) || link.subject_digest != *subject;
        let void = self.links.iter().filter(|link| is_void(link)).count();
        let mut surplus = void.saturating_sub(MAX_VOID);
        self.links.retain(|link| {
            let goes = surplus > 0 && is_void(link);
            surplus -= usize::from(goes);
            !goes
        });
        self.links.push(link);
    }
}

/// Request for a link.
#[derive(Debug, Clone)]
pub struct NewAnswerLink {
    /// Person who answers with it, with its present rights.
    pub person: Caller,
    /// Digest of its token.
    pub digest: KeyDigest,
    /// Answers that can be given.
    pub actions: Vec<HitlAction>,
    /// Time from which it is refused.
    pub expires_at: Timestamp,
}

/// Token of a link: `botarmy_a_`, the id of the request, and 43 letters and digits for 256 random bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerLinkText {
    request: HitlRequestId,
    text: Secret<String>,
}

impl AnswerLinkText {
    /// Creates the token of a link to this request from 256 random bits.
    #[must_use]
    pub fn new(request: HitlRequestId, bytes: [u8; 32]) -> Self {
        let text = format!("{PREFIX}{}{}", request.uuid().simple(), base62(bytes));
        Self { request, text: Secret::new(text) }
    }

    /// Returns the token as it is in the address of the link.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Returns the request that the link is to.
    #[must_use]
    pub const fn request(&self) -> HitlRequestId {
        self.request
    }

    /// Returns the digest that is stored in its place. The token cannot be found from it.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.expose())
    }
}

/// Text that is not the token of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the token of an answer link")]
pub struct MalformedLink;

impl FromStr for AnswerLinkText {
    type Err = MalformedLink;

    fn from_str(text: &str) -> Result<Self, MalformedLink> {
        let rest = text.strip_prefix(PREFIX).ok_or(MalformedLink)?;
        let is_sound = rest.len() == ID_DIGITS + LENGTH
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !rest[..ID_DIGITS].bytes().any(|byte| byte.is_ascii_uppercase());
        let id = is_sound.then(|| parse_uuid(&rest[..ID_DIGITS]).ok()).flatten();
        let request = id.map(HitlRequestId::from_uuid).ok_or(MalformedLink)?;
        Ok(Self { request, text: Secret::new(text.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id_generator::IdGenerator;

    #[test]
    fn a_token_names_its_request_and_is_read_back_and_nothing_else_is_one() {
        let request = IdGenerator::new(Timestamp::from_micros(0), 1).request();
        let token = AnswerLinkText::new(request, [7; 32]);
        let read: AnswerLinkText = token.expose().parse().unwrap();
        assert_eq!((read.request(), &read), (request, &token));
        assert_ne!(token.digest(), AnswerLinkText::new(request, [8; 32]).digest());
        let text = token.expose();
        for other in ["", "botarmy_a_", &text[1..], &text[..text.len() - 1], &format!("{text}0")] {
            assert_eq!(other.parse::<AnswerLinkText>(), Err(MalformedLink), "{other}");
        }
        assert_eq!(text.to_uppercase().parse::<AnswerLinkText>(), Err(MalformedLink));
        assert!(!format!("{token:?}").contains(text), "Debug leaves the token out");
    }
}
