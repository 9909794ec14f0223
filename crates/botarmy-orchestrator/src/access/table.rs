//! The table of principals, keys and sessions as of one version.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use botarmy_domain::hitl::{Person, Roster};
use botarmy_domain::records::Listed;
use botarmy_domain::{
    AccessVersion, ApiKey, Caller, CredentialId, KeyDigest, PersonSessions, Principal, PrincipalId,
    PrincipalKind, RecordKind, RecordValue, Session, SignInLink, Timestamp,
};

/// Records of which a table consists.
pub(super) const KINDS: &[RecordKind] = &[
    RecordKind::AccessVersion,
    RecordKind::Principal,
    RecordKind::ApiKey,
    RecordKind::PersonSessions,
];

/// Principals, valid keys and sessions. It never changes: another version is another table.
#[derive(Default)]
pub(super) struct Table {
    pub(super) version: u64,
    by_digest: HashMap<KeyDigest, Arc<Entry>>,
    by_id: HashMap<CredentialId, Arc<Entry>>,
    principals: HashMap<PrincipalId, Arc<Principal>>,
    sessions: HashMap<KeyDigest, Arc<SessionEntry>>,
    sessions_by_id: HashMap<CredentialId, Arc<SessionEntry>>,
    /// Sessions that were ended and whose cookies have not expired.
    ended: HashMap<KeyDigest, Arc<Session>>,
    links: HashMap<KeyDigest, Arc<SignInLink>>,
    /// The people who can sign in.
    roster: Arc<Roster>,
}

/// A key that is not revoked, of a principal that is active.
pub(super) struct Entry {
    /// The key. It may have expired.
    pub(super) key: Arc<ApiKey>,
    /// The caller with this key.
    pub(super) caller: Caller,
    /// Uses.
    pub(super) uses: Uses,
}

/// A session that was not ended, of a person that is active, whose key was not revoked.
pub(super) struct SessionEntry {
    /// The session. It may have expired.
    pub(super) session: Arc<Session>,
    /// Id under which its use is noted.
    pub(super) use_id: CredentialId,
    /// The person, signed in.
    pub(super) caller: Caller,
    /// Time at which it ends at the latest: the end of its key may come before its own.
    pub(super) ends_at: Timestamp,
    /// Uses.
    pub(super) uses: Uses,
}

/// Times of the last use of a credential, in microseconds.
pub(super) struct Uses {
    /// The last use that is known, here or on another server.
    last: AtomicI64,
    /// The last use that was noted.
    noted: AtomicI64,
}

impl Table {
    /// Creates the table of these records. `before` is the table in its place so far, whose uses it
    /// continues; `is_open` says that people may come whom it does not have.
    pub(super) fn new(records: &[RecordValue], before: &Self, is_open: bool) -> Self {
        let version = records.iter().find_map(AccessVersion::of);
        let version = version.map_or(0, |counted| counted.version);
        let principals = records.iter().filter_map(Principal::of);
        let principals: HashMap<_, _> = principals.map(|one| (one.id, Arc::clone(one))).collect();
        let roster = Arc::new(Roster::new(people(&principals), is_open));
        let mut table = Self { version, principals, roster, ..Self::default() };
        for key in records.iter().filter_map(ApiKey::of) {
            table.add_key(key, before);
        }
        for person in records.iter().filter_map(PersonSessions::of) {
            table.add_sessions(person, before);
        }
        table
    }

    /// Returns the people who can sign in.
    pub(super) const fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    fn add_key(&mut self, key: &Arc<ApiKey>, before: &Self) {
        let Some(owner) = self.active(key.principal).filter(|_| key.revoked_at.is_none()) else {
            return;
        };
        let caller = Caller::with_key(owner, key);
        let uses = Uses::after(before.by_id.get(&key.id).map(|entry| &entry.uses), i64::MIN);
        let entry = Arc::new(Entry { key: Arc::clone(key), caller, uses });
        self.by_digest.insert(entry.key.digest, Arc::clone(&entry));
        self.by_id.insert(entry.key.id, entry);
    }

    fn add_sessions(&mut self, person: &PersonSessions, before: &Self) {
        for session in &person.sessions {
            let session = Arc::new(session.clone());
            if session.ended.is_some() {
                self.ended.insert(session.digest, session);
                continue;
            }
            let Some(ends_at) = self.end_of(&session) else { continue };
            let Some(owner) = self.active(session.principal) else { continue };
            let caller = Caller::with_session(owner, &session);
            let known = before.sessions_by_id.get(&session.id).map(|entry| &entry.uses);
            let uses = Uses::after(known, session.started_at.micros());
            let use_id = session.use_id();
            let entry = Arc::new(SessionEntry { session, use_id, caller, ends_at, uses });
            self.sessions.insert(entry.session.digest, Arc::clone(&entry));
            self.sessions_by_id.insert(entry.session.id, entry);
        }
        let links = person.links.iter().map(|link| (link.digest, Arc::new(link.clone())));
        self.links.extend(links);
    }

    /// Returns the end of a session; `None` if its key was revoked.
    fn end_of(&self, session: &Session) -> Option<Timestamp> {
        let Some(key) = session.narrowing.key else { return Some(session.expires_at) };
        let key = &self.by_id.get(&key)?.key;
        Some(key.expires_at.map_or(session.expires_at, |end| end.min(session.expires_at)))
    }

    fn active(&self, id: PrincipalId) -> Option<&Principal> {
        self.principals.get(&id).map(|owner| &**owner).filter(|owner| owner.is_active())
    }

    pub(super) fn with_digest(&self, digest: &KeyDigest) -> Option<&Entry> {
        self.by_digest.get(digest).map(|entry| &**entry)
    }

    pub(super) fn with_id(&self, id: CredentialId) -> Option<&Entry> {
        self.by_id.get(&id).map(|entry| &**entry)
    }

    pub(super) fn session(&self, digest: &KeyDigest) -> Option<&SessionEntry> {
        self.sessions.get(digest).map(|entry| &**entry)
    }

    pub(super) fn session_with_id(&self, id: CredentialId) -> Option<&SessionEntry> {
        self.sessions_by_id.get(&id).map(|entry| &**entry)
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &SessionEntry> {
        self.sessions_by_id.values().map(|entry| &**entry)
    }

    /// Returns the person of a session, also of one that was ended.
    pub(super) fn owner_of_session(&self, id: CredentialId) -> Option<PrincipalId> {
        let open = self.sessions_by_id.get(&id).map(|entry| entry.session.principal);
        let ended = || self.ended.values().find(|session| session.id == id);
        open.or_else(|| ended().map(|session| session.principal))
    }

    pub(super) fn ended(&self, digest: &KeyDigest) -> Option<&Session> {
        self.ended.get(digest).map(|session| &**session)
    }

    pub(super) fn link(&self, digest: &KeyDigest) -> Option<&SignInLink> {
        self.links.get(digest).map(|link| &**link)
    }

    pub(super) fn principal(&self, id: PrincipalId) -> Option<&Arc<Principal>> {
        self.principals.get(&id)
    }
}

impl Uses {
    /// Creates the uses that continue known ones; without them, the last was at `start`.
    fn after(known: Option<&Self>, start: i64) -> Self {
        let load = |time: &AtomicI64| AtomicI64::new(time.load(Ordering::Relaxed));
        let new = || Self { last: AtomicI64::new(start), noted: AtomicI64::new(start) };
        known.map_or_else(new, |known| Self { last: load(&known.last), noted: load(&known.noted) })
    }

    /// Returns the time of the last use that is known.
    pub(super) fn last(&self) -> Timestamp {
        Timestamp::from_micros(self.last.load(Ordering::Relaxed))
    }

    /// Learns of a use that was noted, here or on another server.
    pub(super) fn learn(&self, at: Timestamp) {
        self.last.fetch_max(at.micros(), Ordering::Relaxed);
        self.noted.fetch_max(at.micros(), Ordering::Relaxed);
    }

    /// Counts a use. Returns whether it is to be noted because the last note is older than `interval`,
    /// and takes it for noted.
    pub(super) fn is_news(&self, now: Timestamp, interval: Duration) -> bool {
        let (now, noted) = (now.micros(), self.noted.load(Ordering::Relaxed));
        self.last.fetch_max(now, Ordering::Relaxed);
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        now.saturating_sub(noted) >= interval
            && self.noted.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Returns the active people among these principals, in the order of their ids.
fn people(principals: &HashMap<PrincipalId, Arc<Principal>>) -> Vec<Person> {
    let is_person = |one: &&Arc<Principal>| one.is_active() && one.kind == PrincipalKind::Person;
    let mut people: Vec<_> =
        principals.values().filter(is_person).map(|one| Person::new(one)).collect();
    people.sort_unstable_by_key(|person| person.id);
    people
}
