//! Principals, keys and sessions as the entries of the system log state them.

use std::collections::{BTreeMap, BTreeSet};

use super::row::{Difference, Row};
use crate::access::{
    ApiKey, Browser, KeyDigest, Narrowing, PersonSessions, Principal, Session, SignInLink,
};
use crate::event::{EventPayload as E, KeyCreated, SessionStarted, SignInLinkCreated};
use crate::ids::{CredentialId, PrincipalId};
use crate::log::Entry;
use crate::record::Record;
use crate::timestamp::Timestamp;

/// Principals, keys and sessions, as far as entries state them.
#[derive(Debug, Default)]
pub(super) struct AccessFacts {
    principals: BTreeMap<PrincipalId, Principal>,
    keys: BTreeMap<CredentialId, KeyFacts>,
    /// Sessions and links by person, without digests and browsers.
    sessions: BTreeMap<PrincipalId, PersonSessions>,
}

/// A key, without its digest.
#[derive(Debug)]
struct KeyFacts {
    created: KeyCreated,
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
    replaced_by: Option<CredentialId>,
}

impl AccessFacts {
    /// Applies an entry about a principal, a key or a session.
    pub(super) fn apply(&mut self, entry: &Entry, payload: E) {
        let at = entry.created_at;
        match payload {
            E::PrincipalCreated(created) => {
                let principal = Principal {
                    id: created.principal_id,
                    kind: created.kind,
                    name: created.name,
                    openid: created.openid,
                    groups: created.groups,
                    grants: created.grants,
                    delegation: None,
                    disabled: false,
                    deleted_at: None,
                    created_at: at,
                    updated_at: at,
                };
                self.principals.insert(principal.id, principal);
            }
            E::GrantChanged(changed) => {
                let Some(principal) = self.principals.get_mut(&changed.principal_id) else {
                    return;
                };
                principal.name = changed.name;
                principal.groups = changed.groups;
                principal.grants = changed.grants;
                principal.disabled = changed.disabled;
                principal.deleted_at = changed.deleted.then_some(at);
                principal.updated_at = at;
                let sessions = self.sessions.get_mut(&changed.principal_id);
                if let (true, Some(sessions)) = (changed.sessions_ended, sessions) {
                    sessions.close(at);
                }
            }
            E::KeyCreated(created) => self.created(created, at),
            E::KeyRotated(rotated) => {
                if let Some(key) = self.keys.get_mut(&rotated.key_id) {
                    key.created.expires_at = Some(rotated.key_expires_at);
                    key.replaced_by = Some(rotated.replacement.key_id);
                }
                self.created(rotated.replacement, at);
            }
            E::KeyRevoked(revoked) => {
                if let Some(key) = self.keys.get_mut(&revoked.key_id) {
                    key.revoked_at = Some(at);
                }
            }
            E::SessionStarted(started) => self.session_started(started, at),
            E::SessionEnded(ended) => {
                let reason = ended.reason.parse();
                if let (Some(person), Ok(reason)) =
                    (self.sessions.get_mut(&ended.principal_id), reason)
                {
                    person.end(ended.session_id, reason, at);
                }
            }
            E::SignInLinkCreated(created) => self.link_created(created, at),
            E::DelegationChanged(changed) => {
                if let Some(principal) = self.principals.get_mut(&changed.principal) {
                    principal.delegation = changed.delegation;
                    principal.updated_at = at;
                }
            }
            _ => {}
        }
    }

    fn session_started(&mut self, started: SessionStarted, at: Timestamp) {
        let session = Session {
            id: started.session_id,
            principal: started.principal_id,
            place: 0,
            digest: KeyDigest::of(""),
            started_with: started.auth,
            narrowing: Narrowing { key: started.key_id, grants: started.grants },
            browser: Browser::default().binding(),
            started_at: at,
            expires_at: started.expires_at,
            ended: None,
        };
        self.person(started.principal_id).start(session, started.link_id, at);
    }

    fn link_created(&mut self, created: SignInLinkCreated, at: Timestamp) {
        let link = SignInLink {
            id: created.link_id,
            principal: created.principal_id,
            digest: KeyDigest::of(""),
            narrowing: Narrowing { key: created.key_id, grants: created.grants },
            session_until: created.session_expires_at,
            created_at: at,
            expires_at: created.expires_at,
        };
        self.person(created.principal_id).add_link(link, at);
    }

    fn person(&mut self, id: PrincipalId) -> &mut PersonSessions {
        self.sessions.entry(id).or_insert_with(|| PersonSessions::new(id))
    }

    fn created(&mut self, created: KeyCreated, created_at: Timestamp) {
        let id = created.key_id;
        let facts = KeyFacts { created, created_at, revoked_at: None, replaced_by: None };
        self.keys.insert(id, facts);
    }

    pub(super) fn principal(
        &self,
        id: PrincipalId,
        stored: Option<&Principal>,
        seq: u64,
    ) -> Result<(), Box<Difference>> {
        let table = Principal::TABLE.name;
        match (self.principals.get(&id), stored) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Difference::missing(table, id, seq)),
            (None, Some(_)) => Err(Difference::unknown(table, id)),
            (Some(expected), Some(found)) => {
                Row::new(table, id, seq).compare_members(expected, found)
            }
        }
    }

    pub(super) fn api_key(
        &self,
        id: CredentialId,
        stored: Option<&ApiKey>,
        seq: u64,
    ) -> Result<(), Box<Difference>> {
        let table = ApiKey::TABLE.name;
        match (self.keys.get(&id), stored) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Difference::missing(table, id, seq)),
            (None, Some(_)) => Err(Difference::unknown(table, id)),
            (Some(facts), Some(found)) => {
                let created = facts.created.clone();
                let expected = ApiKey {
                    id,
                    principal: created.principal_id,
                    name: created.name,
                    hint: created.hint,
                    digest: found.digest,
                    grants: created.grants,
                    created_at: facts.created_at,
                    expires_at: created.expires_at,
                    revoked_at: facts.revoked_at,
                    replaced_by: facts.replaced_by,
                };
                Row::new(table, id, seq).compare_members(&expected, found)
            }
        }
    }

    pub(super) fn sessions(
        &self,
        id: PrincipalId,
        stored: Option<&PersonSessions>,
        seq: u64,
    ) -> Result<(), Box<Difference>> {
        let table = PersonSessions::TABLE.name;
        match (self.sessions.get(&id), stored) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Difference::missing(table, id, seq)),
            (None, Some(_)) => Err(Difference::unknown(table, id)),
            (Some(facts), Some(found)) => {
                let mut expected = facts.clone();
                for session in &mut expected.sessions {
                    if let Some(found) = found.session(session.id) {
                        (session.digest, session.browser) = (found.digest, found.browser);
                    }
                }
                for link in &mut expected.links {
                    let found = found.links.iter().find(|found| found.id == link.id);
                    link.digest = found.map_or(link.digest, |found| found.digest);
                }
                Row::new(table, id, seq).compare_members(&expected, found)
            }
        }
    }

    pub(super) fn principal_ids(&self) -> BTreeSet<PrincipalId> {
        self.principals.keys().copied().collect()
    }

    pub(super) fn session_ids(&self) -> BTreeSet<PrincipalId> {
        self.sessions.keys().copied().collect()
    }

    pub(super) fn api_key_ids(&self) -> BTreeSet<CredentialId> {
        self.keys.keys().copied().collect()
    }
}
