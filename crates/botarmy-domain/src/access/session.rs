//! Sessions of browsers, and the one-time links with which they start.

use core::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::api_key::KeyDigest;
use super::grant::Grant;
use super::principal::derived_uuid;
use super::secret_text::secret_text;
use crate::base62::base62;
use crate::ids::{CredentialId, PrincipalId};
use crate::record::{ColumnKind, ColumnValue, Record, RecordTable};
use crate::secret::Secret;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AddressClass, Authentication, SessionEnd};

/// Largest number of sessions that a person has at once; a further one ends the oldest.
pub const MAX_SESSIONS: usize = 10;
/// Largest number of ended sessions that are remembered for a person.
const MAX_ENDED: usize = 20;
/// Largest number of links that a person has at once; a further one replaces the oldest.
pub const MAX_LINKS: usize = 10;
/// Time for which a link can be used.
pub const LINK_LIFETIME: Duration = Duration::from_secs(600);
/// Time after a sign-out in which its cookie may still arrive with requests that were under way.
const SIGN_OUT_GRACE: Duration = Duration::from_secs(5);

secret_text!(
    /// Cookie of a session: `botarmy_s_` and 43 letters and digits for 256 random bits.
    SessionText, "botarmy_s_",
    /// Text that is not the cookie of a session.
    MalformedSession, "not a session"
);

secret_text!(
    /// One-time code of a sign-in link: `botarmy_l_` and 43 letters and digits for 256 random bits.
    SignInLinkText, "botarmy_l_",
    /// Text that is not the code of a sign-in link.
    MalformedLink, "not a sign-in link"
);

impl SessionText {
    /// Returns the token that forms of this session carry. It follows from the cookie, which cannot be
    /// found from it, and is stored nowhere.
    #[must_use]
    pub fn form_token(&self) -> FormToken {
        let digest = Sha256::digest(["botarmy.form/1", self.expose()].join("\0"));
        FormToken(Secret::new(base62(digest.into())))
    }
}

/// Token in the forms of a session, which shows that a change was asked for on one of its pages.
#[derive(Debug, Clone)]
pub struct FormToken(Secret<String>);

impl FormToken {
    /// Returns the token as a page contains it: 43 letters and digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns whether this text is the token. The duration says nothing about the token.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.expose().as_bytes().ct_eq(text.as_bytes()).into()
    }
}

/// Browser that a request comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Browser {
    /// The header `User-Agent`; empty without one.
    pub agent: String,
    /// Address of the client, as seen behind trusted proxies; `None` if it is unknown.
    pub address: Option<IpAddr>,
}

impl Browser {
    /// Returns the form in which a session remembers the browser.
    #[must_use]
    pub fn binding(&self) -> BrowserBinding {
        BrowserBinding {
            agent: KeyDigest::of(&self.agent),
            address: AddressClass::of(self.address),
        }
    }
}

/// Browser that a session is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserBinding {
    /// Digest of the header `User-Agent`.
    pub agent: KeyDigest,
    /// Class of the client's address.
    pub address: AddressClass,
}

impl AddressClass {
    /// Returns the class of an address. An unknown address counts as public.
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        let Some(address) = address else { return Self::Public };
        let address = address.to_canonical();
        let is_private = match address {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                // 100.64.0.0/10 is shared by the customers of a provider (RFC 6598).
                v4.is_private() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64)
            }
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        };
        match (address.is_loopback(), is_private) {
            (true, _) => Self::Loopback,
            (false, true) => Self::Private,
            (false, false) => Self::Public,
        }
    }
}

/// Limits that a session takes over from the credential with which it was started. It never has more
/// rights than that credential.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Narrowing {
    /// Key that the session ends with: when it is revoked or expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CredentialId>,
    /// Grants to which those of the person are narrowed; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
}

/// A session of a browser, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Id of the session, which the log names.
    pub id: CredentialId,
    /// Person who signed in.
    pub principal: PrincipalId,
    /// Number from 0 that no other session of the person has at the same time. The use of a session is
    /// noted under it.
    pub place: u8,
    /// Digest of the cookie.
    pub digest: KeyDigest,
    /// Proof with which the person signed in: a key, a link or an OpenID provider.
    pub started_with: Authentication,
    /// Limits that come with the proof.
    #[serde(flatten)]
    pub narrowing: Narrowing,
    /// Browser that it is bound to.
    pub browser: BrowserBinding,
    /// Time of the sign-in.
    pub started_at: Timestamp,
    /// Time from which it is refused, however much it is used.
    pub expires_at: Timestamp,
    /// End before that time; `None` while it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndedSession>,
}

/// End of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// Time of the end.
    pub at: Timestamp,
    /// Reason.
    pub reason: SessionEnd,
}

impl Session {
    /// Returns whether it was not ended and has not expired at this time. It may still have been left
    /// unused for too long.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// Returns whether its cookie, presented at this time, is a sign of theft: an honest browser deletes
    /// it at the sign-out. Requests that were under way at that moment do not count.
    #[must_use]
    pub fn is_reuse(&self, now: Timestamp) -> bool {
        self.ended.is_some_and(|ended| {
            let is_sign_out =
                matches!(ended.reason, SessionEnd::SignedOut | SessionEnd::SignedOutEverywhere);
            is_sign_out && now > ended.at.after(SIGN_OUT_GRACE)
        })
    }

    /// Returns the id under which its use is noted. Later sessions in the same place have the same one,
    /// so the notes of a person are never more than [`MAX_SESSIONS`].
    #[must_use]
    pub fn use_id(&self) -> CredentialId {
        let (principal, place) = (self.principal.to_string(), self.place.to_string());
        CredentialId::from_uuid(derived_uuid("botarmy.session/1", &[&principal, &place]))
    }
}

/// A link with which a person can sign in once, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInLink {
    /// Id of the link, which the log names.
    pub id: CredentialId,
    /// Person who signs in with it.
    pub principal: PrincipalId,
    /// Digest of its code.
    pub digest: KeyDigest,
    /// Limits of the session that it starts.
    #[serde(flatten)]
    pub narrowing: Narrowing,
    /// Time at which that session ends at the latest: the end of the session in which it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_until: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time from which it is refused.
    pub expires_at: Timestamp,
}

/// Sessions and links of one person, a record. Its size is limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonSessions {
    /// The person.
    pub principal: PrincipalId,
    /// Sessions in the order of their beginnings: those that may be used, and ended ones whose cookies
    /// have not expired.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// Links in the order of their creation that were not used.
    #[serde(default)]
    pub links: Vec<SignInLink>,
}

impl PersonSessions {
    /// Creates the record of a person without sessions.
    #[must_use]
    pub const fn new(principal: PrincipalId) -> Self {
        Self { principal, sessions: Vec::new(), links: Vec::new() }
    }

    /// Returns the session.
    #[must_use]
    pub fn session(&self, id: CredentialId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// Returns the sessions that may be used at this time.
    pub fn active(&self, now: Timestamp) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(move |session| session.is_active(now))
    }

    /// Returns the smallest place that no session occupies.
    fn free_place(&self, now: Timestamp) -> u8 {
        let is_free = |place: &u8| self.active(now).all(|session| session.place != *place);
        (0..=u8::MAX).find(is_free).unwrap_or(u8::MAX)
    }

    /// Adds a session in a place that is free, and removes the link with which it was started.
    pub(crate) fn start(
        &mut self,
        mut session: Session,
        link: Option<CredentialId>,
        at: Timestamp,
    ) {
        self.links.retain(|one| Some(one.id) != link);
        session.place = self.free_place(at);
        self.sessions.push(session);
        self.tidy(at);
    }

    /// Ends a session. If it is an end everywhere, no link is left.
    pub(crate) fn end(&mut self, id: CredentialId, reason: SessionEnd, at: Timestamp) {
        let session = self.sessions.iter_mut().find(|session| session.id == id);
        if let Some(session) = session {
            session.ended = Some(EndedSession { at, reason });
        }
        match reason {
            SessionEnd::SignedOutEverywhere
            | SessionEnd::SignedOutElsewhere
            | SessionEnd::Reused => self.links.clear(),
            SessionEnd::SignedOut | SessionEnd::Superseded | SessionEnd::Revoked => {}
        }
        self.tidy(at);
    }

    /// Ends all sessions and removes all links, because the person was disabled, enabled or deleted.
    /// Returns whether there were any.
    pub(crate) fn close(&mut self, at: Timestamp) -> bool {
        let mut has_changed = !self.links.is_empty();
        self.links.clear();
        for session in self.sessions.iter_mut().filter(|session| session.ended.is_none()) {
            session.ended = Some(EndedSession { at, reason: SessionEnd::Revoked });
            has_changed = true;
        }
        if has_changed {
            self.tidy(at);
        }
        has_changed
    }

    /// Adds a link.
    pub(crate) fn add_link(&mut self, link: SignInLink, at: Timestamp) {
        self.links.push(link);
        self.tidy(at);
    }

    /// Removes what has expired at this time, and the oldest of too many.
    fn tidy(&mut self, now: Timestamp) {
        self.sessions.retain(|session| now < session.expires_at);
        self.links.retain(|link| now < link.expires_at);
        let ended = self.sessions.iter().filter(|session| session.ended.is_some()).count();
        let mut surplus = ended.saturating_sub(MAX_ENDED);
        self.sessions.retain(|session| {
            let is_surplus = session.ended.is_some() && surplus > 0;
            surplus -= usize::from(is_surplus);
            !is_surplus
        });
        let surplus = self.links.len().saturating_sub(MAX_LINKS);
        self.links.drain(..surplus);
    }
}

impl Record for PersonSessions {
    type Key = PrincipalId;

    const TABLE: RecordTable =
        RecordTable { name: "sessions", key: ("principal_id", ColumnKind::Id), extra: &[] };

    fn key(&self) -> PrincipalId {
        self.principal
    }

    fn stored_key(key: PrincipalId) -> ColumnValue {
        ColumnValue::Id(key.uuid())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::base62::LENGTH;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn id(n: u128) -> CredentialId {
        CredentialId::from_uuid(Uuid::from_u128(n))
    }

    fn person() -> PrincipalId {
        PrincipalId::from_uuid(Uuid::from_u128(7))
    }

    fn session(n: u128, started_at: Timestamp) -> Session {
        Session {
            id: id(n),
            principal: person(),
            place: 0,
            digest: SessionText::new([1; 32]).digest(),
            started_with: Authentication::Key,
            narrowing: Narrowing::default(),
            browser: Browser::default().binding(),
            started_at,
            expires_at: started_at.after(HOUR),
            ended: None,
        }
    }

    fn link(n: u128, created_at: Timestamp) -> SignInLink {
        SignInLink {
            id: id(n),
            principal: person(),
            digest: SignInLinkText::new([2; 32]).digest(),
            narrowing: Narrowing::default(),
            session_until: None,
            created_at,
            expires_at: created_at.after(LINK_LIFETIME),
        }
    }

    #[test]
    fn a_secret_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        let (cookie, code) = (SessionText::new([7; 32]), SignInLinkText::new([7; 32]));
        assert_eq!(cookie.expose().parse(), Ok(cookie.clone()));
        assert_eq!(code.expose().parse(), Ok(code.clone()));
        assert_eq!(code.expose().parse::<SessionText>(), Err(MalformedSession));
        assert_eq!(cookie.expose().parse::<SignInLinkText>(), Err(MalformedLink));
        assert_ne!(cookie.digest(), code.digest());
        let text = cookie.expose();
        for other in ["", &text[1..], &format!("{text}0"), &format!("{} ", &text[..52])] {
            assert_eq!(other.parse::<SessionText>(), Err(MalformedSession), "{other}");
        }
    }

    #[test]
    fn no_secret_is_in_a_debug_text() {
        let (cookie, code) = (SessionText::new([7; 32]), SignInLinkText::new([7; 32]));
        let shown = format!("{cookie:?} {code:?} {:?}", cookie.form_token());
        assert_eq!(shown, "SessionText(…) SignInLinkText(…) FormToken(…)");
    }

    #[test]
    fn a_form_token_belongs_to_one_cookie() {
        let (one, other) = (SessionText::new([7; 32]), SessionText::new([8; 32]));
        let token = one.form_token();
        assert!(one.form_token().matches(token.expose()));
        assert!(!other.form_token().matches(token.expose()));
        assert_eq!(token.expose().len(), LENGTH);
        assert!(!one.expose().contains(token.expose()));
        for wrong in ["", &token.expose()[1..], &format!("{}x", token.expose()), one.expose()] {
            assert!(!token.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_classes() {
        use AddressClass as A;
        for (address, class) in [
            ("127.0.0.1", A::Loopback),
            ("127.1.2.3", A::Loopback),
            ("::1", A::Loopback),
            ("::ffff:127.0.0.1", A::Loopback),
            ("10.1.2.3", A::Private),
            ("172.16.0.1", A::Private),
            ("172.31.255.255", A::Private),
            ("192.168.1.1", A::Private),
            ("169.254.1.1", A::Private),
            ("100.64.0.1", A::Private),
            ("100.127.255.255", A::Private),
            ("::ffff:10.0.0.1", A::Private),
            ("fd00::1", A::Private),
            ("fe80::1", A::Private),
            ("100.63.0.1", A::Public),
            ("100.128.0.1", A::Public),
            ("172.32.0.1", A::Public),
            ("192.0.2.1", A::Public),
            ("2001:db8::1", A::Public),
        ] {
            assert_eq!(A::of(Some(address.parse().unwrap())), class, "{address}");
        }
        assert_eq!(A::of(None), A::Public);
    }

    #[test]
    fn only_a_sign_out_makes_a_cookie_suspicious_and_not_at_once() {
        let mut one = session(1, NOW);
        let later = NOW.after(Duration::from_secs(60));
        assert!(!one.is_reuse(later));
        for reason in SessionEnd::ALL {
            one.ended = Some(EndedSession { at: NOW, reason: *reason });
            let expected =
                matches!(reason, SessionEnd::SignedOut | SessionEnd::SignedOutEverywhere);
            assert_eq!(one.is_reuse(later), expected, "{reason}");
            assert!(!one.is_reuse(NOW.after(SIGN_OUT_GRACE)), "{reason}");
        }
    }

    #[test]
    fn sessions_at_the_same_time_have_different_places() {
        let mut record = PersonSessions::new(person());
        let places = |record: &PersonSessions| -> Vec<u8> {
            record.sessions.iter().map(|session| session.place).collect()
        };
        (1..=3).for_each(|n| record.start(session(n, NOW), None, NOW));
        assert_eq!(places(&record), [0, 1, 2]);
        record.end(id(2), SessionEnd::Revoked, NOW);
        record.start(session(4, NOW), None, NOW);
        assert_eq!(places(&record), [0, 1, 2, 1]);
        let ids: std::collections::BTreeSet<_> =
            record.sessions.iter().map(Session::use_id).collect();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn a_record_stays_small() {
        let mut record = PersonSessions::new(person());
        for n in 0..1_000 {
            record.start(session(n, NOW), None, NOW);
            record.end(id(n), SessionEnd::SignedOut, NOW);
            record.add_link(link(2_000 + n, NOW), NOW);
        }
        assert_eq!((record.sessions.len(), record.links.len()), (MAX_ENDED, MAX_LINKS));
        assert_eq!(record.sessions.last().map(|last| last.id), Some(id(999)));
        assert_eq!(record.links.last().map(|last| last.id), Some(id(2_999)));
        let later = NOW.after(HOUR);
        record.start(session(5_000, later), None, later);
        assert_eq!((record.sessions.len(), record.links.len()), (1, 0), "what expired is gone");
    }

    #[test]
    fn an_end_everywhere_leaves_no_link() {
        for reason in SessionEnd::ALL {
            let mut record = PersonSessions::new(person());
            record.start(session(1, NOW), None, NOW);
            record.add_link(link(2, NOW), NOW);
            record.end(id(1), *reason, NOW);
            let is_left = matches!(
                reason,
                SessionEnd::SignedOut | SessionEnd::Superseded | SessionEnd::Revoked
            );
            assert_eq!(!record.links.is_empty(), is_left, "{reason}");
        }
    }

    #[test]
    fn a_link_is_gone_once_a_session_was_started_with_it() {
        let mut record = PersonSessions::new(person());
        record.add_link(link(1, NOW), NOW);
        record.add_link(link(2, NOW), NOW);
        record.start(session(3, NOW), Some(id(1)), NOW);
        assert_eq!(record.links.iter().map(|link| link.id).collect::<Vec<_>>(), [id(2)]);
    }
}
