//! The table of principals and keys as of one version.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use botarmy_domain::{ApiKey, Caller, CredentialId, KeyDigest, Principal, PrincipalId, Timestamp};

/// Principals and valid keys. It never changes: another version is another table.
#[derive(Default)]
pub(super) struct Table {
    pub(super) version: u64,
    by_digest: HashMap<KeyDigest, Arc<Entry>>,
    by_id: HashMap<CredentialId, Arc<Entry>>,
    principals: HashMap<PrincipalId, Arc<Principal>>,
}

/// A key that is not revoked, of a principal that is active.
pub(super) struct Entry {
    /// The key. It may have expired.
    pub(super) key: Arc<ApiKey>,
    /// The caller with this key.
    pub(super) caller: Caller,
    /// Time of the last use that was noted, in microseconds.
    noted: AtomicI64,
}

impl Table {
    /// Creates the table of these principals and keys. `before` is the table in its place so far, whose
    /// notes of uses it continues.
    pub(super) fn new(
        version: u64,
        principals: Vec<Arc<Principal>>,
        keys: Vec<Arc<ApiKey>>,
        before: &Self,
    ) -> Self {
        let principals: HashMap<_, _> = principals.into_iter().map(|one| (one.id, one)).collect();
        let mut table = Self { version, principals, ..Self::default() };
        for key in keys {
            let owner = table.principals.get(&key.principal).filter(|owner| owner.is_active());
            let Some(owner) = owner.filter(|_| key.revoked_at.is_none()) else { continue };
            let noted = before.by_id.get(&key.id);
            let noted = noted.map_or(i64::MIN, |entry| entry.noted.load(Ordering::Relaxed));
            let caller = Caller::with_key(owner, &key);
            let entry = Arc::new(Entry { key, caller, noted: AtomicI64::new(noted) });
            table.by_digest.insert(entry.key.digest, Arc::clone(&entry));
            table.by_id.insert(entry.key.id, entry);
        }
        table
    }

    pub(super) fn with_digest(&self, digest: &KeyDigest) -> Option<&Entry> {
        self.by_digest.get(digest).map(|entry| &**entry)
    }

    pub(super) fn with_id(&self, id: CredentialId) -> Option<&Entry> {
        self.by_id.get(&id).map(|entry| &**entry)
    }

    pub(super) fn principal(&self, id: PrincipalId) -> Option<&Arc<Principal>> {
        self.principals.get(&id)
    }
}

impl Entry {
    /// Returns whether a use at `now` is to be noted because the last note is older than `interval`, and
    /// takes it for noted.
    pub(super) fn is_use_news(&self, now: Timestamp, interval: Duration) -> bool {
        let (now, noted) = (now.micros(), self.noted.load(Ordering::Relaxed));
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        now.saturating_sub(noted) >= interval
            && self.noted.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
