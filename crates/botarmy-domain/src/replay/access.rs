//! Principals and keys as the entries of the system log state them.

use std::collections::{BTreeMap, BTreeSet};

use super::row::{Difference, Row};
use crate::access::{ApiKey, Principal};
use crate::event::{EventPayload as E, KeyCreated};
use crate::ids::{CredentialId, PrincipalId};
use crate::log::Entry;
use crate::record::Record;
use crate::timestamp::Timestamp;

/// Principals and keys, as far as entries state them.
#[derive(Debug, Default)]
pub(super) struct AccessFacts {
    principals: BTreeMap<PrincipalId, Principal>,
    keys: BTreeMap<CredentialId, KeyFacts>,
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
    /// Applies an entry about a principal or a key.
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
                principal.groups = changed.groups;
                principal.grants = changed.grants;
                principal.disabled = changed.disabled;
                principal.deleted_at = changed.deleted.then_some(at);
                principal.updated_at = at;
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
            _ => {}
        }
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

    pub(super) fn principal_ids(&self) -> BTreeSet<PrincipalId> {
        self.principals.keys().copied().collect()
    }

    pub(super) fn api_key_ids(&self) -> BTreeSet<CredentialId> {
        self.keys.keys().copied().collect()
    }
}
