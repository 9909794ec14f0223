//! The keys with which principals manage access, and whether the log shows who let them.
//!
//! On an open server anyone can create principals and keys under any name, and they stay valid when the
//! server needs keys later. The log tells them apart: their entries have a user as their source, and no
//! proof of its identity, or come from a key of that kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use botarmy_domain::event::EventPayload;
use botarmy_domain::{
    ApiKey, CredentialId, Entry, EventSource, EventType, Grant, Permission, Principal, PrincipalId,
    Rights, StoreError,
};
use serde_json::Value;

/// Events that give a principal the right to manage access, or a key.
pub(super) const EVENTS: [EventType; 4] = [
    EventType::PrincipalCreated,
    EventType::GrantChanged,
    EventType::KeyCreated,
    EventType::KeyRotated,
];

/// Keys with which principals manage access now.
#[derive(Debug, Default)]
pub struct Admins {
    /// Keys that a caller with a proof of its identity created, of principals that such a caller gave the
    /// right, or that had it before the key was created.
    pub proven: Vec<AdminKey>,
    /// Keys, or keys of principals, that anyone may have created on an open server.
    pub unproven: Vec<AdminKey>,
}

/// A key with which its owner manages access.
#[derive(Debug, Clone)]
pub struct AdminKey {
    /// The owner.
    pub principal: Arc<Principal>,
    /// The key.
    pub key: Arc<ApiKey>,
}

impl Admins {
    /// Returns whether no key manages access.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proven.is_empty() && self.unproven.is_empty()
    }

    /// Tells keys with which principals manage access apart, by the entries of these [`EVENTS`].
    ///
    /// # Errors
    /// An entry that cannot be read.
    pub(super) fn told_apart(
        keys: Vec<AdminKey>,
        mut entries: Vec<Arc<Entry>>,
    ) -> Result<Self, StoreError> {
        entries.sort_unstable_by_key(|entry| entry.seq);
        let mut proofs = Proofs::default();
        for entry in &entries {
            proofs.read(entry).map_err(|detail| StoreError::Corrupt {
                table: "events",
                row: entry.id.to_string(),
                detail,
            })?;
        }
        let (proven, unproven) = keys.into_iter().partition(|one| proofs.is_proven(one.key.id));
        Ok(Self { proven, unproven })
    }
}

/// Keys, and principals with the right to manage access, as the log shows them up to an entry.
#[derive(Debug, Default)]
struct Proofs {
    keys: BTreeMap<CredentialId, (PrincipalId, Given)>,
    admins: BTreeMap<PrincipalId, Given>,
}

/// Entry that gave something.
#[derive(Debug, Clone, Copy)]
struct Given {
    seq: u64,
    /// Whether its caller proved its identity, with a credential that is proven itself.
    is_proven: bool,
}

impl Proofs {
    /// Returns whether a key, and the right of its owner, were given with a proof. A right that came
    /// before the key was known to the one who made the key.
    fn is_proven(&self, key: CredentialId) -> bool {
        let Some((owner, key)) = self.keys.get(&key) else { return false };
        let right = self.admins.get(owner);
        key.is_proven && right.is_none_or(|right| right.is_proven || right.seq < key.seq)
    }

    /// Returns whether the caller of an entry proved its identity. What a caller does with an unproven
    /// key is unproven, too: else it could replace its key by a proven one.
    fn is_by_proven(&self, entry: &Entry) -> bool {
        let text = |name| entry.event_metadata.get(name).and_then(Value::as_str);
        if entry.event_source != EventSource::User {
            return true;
        }
        match text("auth") {
            None => false,
            Some("local") => true,
            Some("key") => {
                let key = text("credential").and_then(|id| id.parse().ok());
                key.is_some_and(|key| self.is_proven(key))
            }
            Some(_) => {
                let right = entry.principal().and_then(|id| self.admins.get(&id));
                right.is_some_and(|right| right.is_proven)
            }
        }
    }

    fn read(&mut self, entry: &Entry) -> Result<(), String> {
        let given = Given { seq: entry.seq, is_proven: self.is_by_proven(entry) };
        match EventPayload::of(entry).map_err(|error| error.to_string())? {
            EventPayload::PrincipalCreated(made) => {
                self.granted(made.principal_id, &made.grants, true, given);
            }
            EventPayload::GrantChanged(changed) => {
                let is_active = !changed.disabled && !changed.deleted;
                self.granted(changed.principal_id, &changed.grants, is_active, given);
            }
            EventPayload::KeyCreated(made) => {
                self.keys.insert(made.key_id, (made.principal_id, given));
            }
            EventPayload::KeyRotated(rotated) => {
                let made = rotated.replacement;
                self.keys.insert(made.key_id, (made.principal_id, given));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes note of the entry with which a principal gets the right. Later ones do not count while it
    /// has it.
    fn granted(&mut self, id: PrincipalId, grants: &[Grant], is_active: bool, given: Given) {
        if is_active && Rights::of(grants, None).has_globally(Permission::AccessManage) {
            self.admins.entry(id).or_insert(given);
        } else {
            self.admins.remove(&id);
        }
    }
}
