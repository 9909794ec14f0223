//! Keys: recognised, expired, revoked, on the server that does it and on others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use botarmy_domain::log::LogId;
use botarmy_domain::ports::{
    Access, AuditLog, Denial, Ids, Lifetime, NewKey, NewPrincipal, PrincipalChange, Records,
    StorePorts,
};
use botarmy_domain::records::{RecordKey, RecordKind, RecordValue};
use botarmy_domain::{
    CredentialId, DomainError, Error, EventType, Grant, Permission, PrincipalKind, ProjectId, Role,
    StoreError, Timestamp,
};
use botarmy_memory::{CountingIds, CountingSecrets, MemoryEventBus, MemoryStore, MemoryWakeUps};
use botarmy_orchestrator::{AccessControl, Engine, EngineSettings, Ports, Workflows, verify_state};
use tokio::sync::Notify;

use super::{Guarded, access_on, cli, id_of, run, stores};

/// Records that can be held up and made to fail.
#[derive(Clone)]
pub(super) struct Unreliable {
    store: MemoryStore,
    fails: Arc<AtomicBool>,
    /// While it is set, a list of keys that was read is not returned.
    holds: Arc<AtomicBool>,
    held: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Unreliable {
    fn new(store: MemoryStore) -> Self {
        let (fails, holds, held, go_on) = Default::default();
        Self { store, fails, holds, held, go_on }
    }

    /// Lets every read fail by which a server learns of changes of access, or none.
    pub(super) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { detail: "a test".to_owned(), source: None });
        }
        Ok(())
    }
}

#[async_trait]
impl Records for Unreliable {
    async fn find(&self, key: RecordKey) -> Result<Option<RecordValue>, StoreError> {
        if key.kind() == RecordKind::AccessVersion {
            self.check()?;
        }
        self.store.find(key).await
    }

    async fn list(&self, kind: RecordKind, limit: u32) -> Result<Vec<RecordValue>, StoreError> {
        self.store.list(kind, limit).await
    }

    async fn together(&self, kinds: &'static [RecordKind]) -> Result<Vec<RecordValue>, StoreError> {
        self.check()?;
        let found = self.store.together(kinds).await;
        if self.holds.swap(false, Ordering::SeqCst) {
            self.held.notify_one();
            self.go_on.notified().await;
        }
        found
    }

    async fn key_uses(&self) -> Result<Vec<(CredentialId, Timestamp)>, StoreError> {
        self.store.key_uses().await
    }

    async fn packages_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError> {
        self.store.packages_before(time, limit).await
    }
}

/// Ids that the harness does not make.
struct OtherIds(CountingIds);

impl Ids for OtherIds {
    fn seed(&self) -> u128 {
        self.0.seed() | 1 << 100
    }
}

/// Another server on the store of the harness, whose messages do not reach it.
pub(super) fn another_server(guarded: &Guarded) -> (AccessControl, Unreliable) {
    let records = Unreliable::new(guarded.harness.store.clone());
    let stores = StorePorts { records: Arc::new(records.clone()), ..stores(&guarded.harness) };
    let ports = Ports {
        stores,
        bus: Arc::new(MemoryEventBus::default()),
        wake_ups: Arc::new(MemoryWakeUps::default()),
        clock: guarded.harness.clock.clone(),
        ids: Arc::new(OtherIds(CountingIds::default())),
        secrets: Arc::new(CountingSecrets::default()),
    };
    let engine = Engine::new(ports, Workflows::default(), EngineSettings::default());
    (access_on(engine), records)
}

/// Waits until something is the case.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_key_is_its_principal_until_it_is_revoked() {
    let guarded = Guarded::new().await;
    let ada = guarded.key_of("ada", PrincipalKind::Person, &[Grant::on_all(Role::Viewer)]).await;
    let caller = guarded.access.authenticate(&ada).unwrap();
    assert_eq!((caller.name(), caller.principal()), ("ada", Some(id_of("ada"))));
    assert!(caller.rights().has_globally(Permission::ProjectRead));
    assert!(!caller.rights().has_globally(Permission::ProjectRun));
    let wrong = botarmy_domain::KeySecret::new([9; 32]).text();
    for other in ["", "x", &ada[1..], &ada.to_uppercase(), wrong.expose()] {
        assert_eq!(guarded.access.authenticate(other), Err(Denial::Invalid), "{other}");
    }
    let (id, narrowed) =
        guarded.another_key(id_of("ada"), Some(vec![Grant::on_own(Role::Viewer)])).await;
    let limited = guarded.access.authenticate(&narrowed).unwrap();
    assert!(!limited.rights().has_globally(Permission::ProjectRead));
    guarded.access.revoke_key(id, cli()).await.unwrap();
    assert_eq!(guarded.access.authenticate(&narrowed), Err(Denial::Invalid));
    assert_eq!(guarded.access.recheck(&limited), Err(Denial::Invalid));
    assert!(guarded.access.authenticate(&ada).is_ok(), "the other key still works");
    let disabled = PrincipalChange { disabled: Some(true), ..PrincipalChange::default() };
    guarded.access.create_principal(admin("root"), cli()).await.unwrap();
    guarded.access.change_principal(id_of("ada"), disabled, cli()).await.unwrap();
    assert_eq!(guarded.access.authenticate(&ada), Err(Denial::Invalid));
    let log = verify_state(&stores(&guarded.harness), LogId::System, None, 100).await.unwrap();
    assert!(log.is_valid(), "{log:?}");
}

fn admin(name: &str) -> NewPrincipal {
    NewPrincipal {
        name: name.to_owned(),
        kind: PrincipalKind::Person,
        groups: Vec::new(),
        grants: vec![Grant::on_all(Role::Admin)],
    }
}

#[tokio::test]
async fn a_change_of_grants_reaches_open_connections() {
    let guarded = Guarded::new().await;
    let caller = guarded.person("ada", &[Grant::on_all(Role::Operator)]).await;
    let change = PrincipalChange {
        grants: Some(vec![Grant::on_own(Role::Viewer)]),
        groups: Some(vec!["readers".to_owned()]),
        ..PrincipalChange::default()
    };
    guarded.access.change_principal(id_of("ada"), change, cli()).await.unwrap();
    let with_id = caller.with_request_id(Some("r".to_owned()));
    let now = guarded.access.recheck(&with_id).unwrap();
    assert!(!now.rights().has_globally(Permission::ProjectRead));
    assert!(now.groups().contains("readers"));
    assert_eq!(now.request_id(), Some("r"));
    let open = botarmy_domain::Caller::person("x");
    assert_eq!(guarded.access.recheck(&open), Ok(open.clone()));
    let shown = guarded.access.principal_of(&now).unwrap();
    assert_eq!(shown.grants, [Grant::on_own(Role::Viewer)]);
    assert_eq!(guarded.access.principal_of(&open), None);
}

#[tokio::test]
async fn a_key_expires_by_the_clock() {
    let guarded = Guarded::new().await;
    guarded.key_of("ci", PrincipalKind::Service, &[]).await;
    let new = |lifetime| NewKey {
        principal: id_of("ci"),
        name: "short".to_owned(),
        grants: None,
        lifetime,
    };
    let hour = Duration::from_secs(3600);
    let short = guarded.access.create_key(new(Lifetime::For(hour)), cli()).await.unwrap();
    let never = guarded.access.create_key(new(Lifetime::Unlimited), cli()).await.unwrap();
    guarded.harness.clock.advance(hour - Duration::from_secs(1));
    assert!(guarded.access.authenticate(short.text.expose()).is_ok());
    let overlap = Duration::from_secs(60);
    let next = guarded.access.rotate_key(short.key.id, overlap, None, cli()).await.unwrap();
    let lifetime = next.key.expires_at.map(|end| end.since(next.key.created_at));
    assert_eq!(lifetime, Some(hour), "as long as before");
    for (given, expected) in
        [(Lifetime::For(2 * hour), Some(2 * hour)), (Lifetime::Unlimited, None)]
    {
        let key = guarded.access.create_key(new(Lifetime::For(hour)), cli()).await.unwrap();
        let rotated = guarded.access.rotate_key(key.key.id, overlap, Some(given), cli()).await;
        let rotated = rotated.unwrap().key;
        assert_eq!(rotated.expires_at.map(|end| end.since(rotated.created_at)), expected);
    }
    guarded.harness.clock.advance(Duration::from_secs(1));
    assert_eq!(guarded.access.authenticate(short.text.expose()), Err(Denial::Expired));
    assert!(guarded.access.authenticate(next.text.expose()).is_ok());
    guarded.harness.clock.advance(Duration::from_secs(50 * 365 * 86_400));
    assert!(guarded.access.authenticate(never.text.expose()).is_ok());
    for wrong in [Duration::ZERO, Duration::MAX] {
        let refused = guarded.access.create_key(new(Lifetime::For(wrong)), cli()).await;
        assert!(matches!(refused, Err(Error::Refused(DomainError::Invalid { .. }))));
    }
}

#[tokio::test]
async fn another_server_notices_a_revocation_within_a_second_without_a_message() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ci", PrincipalKind::Service, &[]).await;
    let (other, _) = another_server(&guarded);
    let _running = run(&other);
    until(|| other.authenticate(&key).is_ok()).await;
    let caller = other.authenticate(&key).unwrap();
    guarded.access.revoke_key(caller.credential().unwrap(), cli()).await.unwrap();
    let revoked = Instant::now();
    until(|| other.authenticate(&key) == Err(Denial::Invalid)).await;
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
}

#[tokio::test]
async fn a_message_is_enough_to_notice_a_revocation() {
    let guarded = Guarded::new().await;
    let other = access_on(guarded.harness.engine.clone());
    let _running = run(&other);
    // The subscription begins with the first comparison.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut fastest = Duration::MAX;
    for n in 0..5 {
        let key = guarded.key_of(&format!("ci{n}"), PrincipalKind::Service, &[]).await;
        until(|| other.authenticate(&key).is_ok()).await;
        let caller = other.authenticate(&key).unwrap();
        guarded.access.revoke_key(caller.credential().unwrap(), cli()).await.unwrap();
        let revoked = Instant::now();
        until(|| other.authenticate(&key) == Err(Denial::Invalid)).await;
        fastest = fastest.min(revoked.elapsed());
    }
    assert!(fastest < Duration::from_millis(100), "{fastest:?}: the next comparison was later");
}

#[tokio::test]
async fn a_slow_read_does_not_revive_a_revoked_key() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ci", PrincipalKind::Service, &[]).await;
    let (other, records) = another_server(&guarded);
    other.load().await.unwrap();
    let caller = other.authenticate(&key).unwrap();
    // A change, so that the table is read anew; the list that was read has the key.
    guarded.key_of("else", PrincipalKind::Service, &[]).await;
    records.holds.store(true, Ordering::SeqCst);
    let reading = tokio::spawn({
        let other = other.clone();
        async move { other.load().await }
    });
    records.held.notified().await;
    guarded.access.revoke_key(caller.credential().unwrap(), cli()).await.unwrap();
    records.go_on.notify_one();
    reading.await.unwrap().unwrap();
    assert_eq!(other.authenticate(&key), Err(Denial::Invalid));
}

#[tokio::test]
async fn without_the_store_no_key_is_accepted_after_a_while() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ci", PrincipalKind::Service, &[]).await;
    let (other, records) = another_server(&guarded);
    assert_eq!(other.authenticate(&key), Err(Denial::Unavailable), "nothing was read yet");
    let _running = run(&other);
    until(|| other.authenticate(&key).is_ok()).await;
    records.fails.store(true, Ordering::SeqCst);
    let failed = Instant::now();
    until(|| other.authenticate(&key) == Err(Denial::Unavailable)).await;
    let used = failed.elapsed();
    assert!(used > Duration::from_secs(3), "{used:?}: a short failure is no reason");
    assert!(used < Duration::from_secs(6), "{used:?}");
    records.fails.store(false, Ordering::SeqCst);
    until(|| other.authenticate(&key).is_ok()).await;
}

#[tokio::test]
async fn a_server_that_cannot_read_its_own_change_accepts_no_key() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ci", PrincipalKind::Service, &[]).await;
    let (server, records) = another_server(&guarded);
    server.load().await.unwrap();
    let caller = server.authenticate(&key).unwrap();
    records.fails.store(true, Ordering::SeqCst);
    server.revoke_key(caller.credential().unwrap(), cli()).await.unwrap();
    assert_eq!(server.authenticate(&key), Err(Denial::Unavailable));
    records.fails.store(false, Ordering::SeqCst);
    server.load().await.unwrap();
    assert_eq!(server.authenticate(&key), Err(Denial::Invalid));
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_once_a_minute() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ci", PrincipalKind::Service, &[]).await;
    let _running = run(&guarded.access);
    let id = guarded.access.authenticate(&key).unwrap().credential().unwrap();
    let first = guarded.harness.now();
    let second = Duration::from_secs(1);
    let used = async || guarded.access.key(&cli(), id).await.unwrap().last_used_at;
    // The clock moves a little with every reading.
    let is_about = |time: Timestamp, expected: Timestamp| {
        time.since(expected) < second && expected.since(time) < second
    };
    let wait = async |expected| {
        while !used().await.is_some_and(|time| is_about(time, expected)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    wait(first).await;
    for seconds in [30, 28] {
        guarded.harness.clock.advance(Duration::from_secs(seconds));
        guarded.access.authenticate(&key).unwrap();
        // The table that replaces this one knows of the note.
        guarded.another_key(id_of("ci"), None).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(is_about(used().await.unwrap(), first));
    guarded.harness.clock.advance(Duration::from_secs(3));
    guarded.access.authenticate(&key).unwrap();
    wait(first.after(Duration::from_secs(61))).await;
}

#[tokio::test]
async fn refused_requests_are_summarised_in_the_log() {
    let guarded = Guarded::new().await;
    let running = run(&guarded.access);
    for _ in 0..100_000 {
        guarded.access.record_denial("key_invalid", "192.0.2.1".to_owned());
    }
    guarded.access.record_denial("not_permitted", "ada".to_owned());
    let logged = async || {
        let entries = guarded.harness.store.since(LogId::System, 0, 1000).await.unwrap();
        let denied = entries.items.into_iter();
        let denied = denied.filter(|entry| entry.event_type == EventType::AccessDenied);
        let count = |data: &serde_json::Map<_, _>| data["count"].as_u64().unwrap();
        denied.map(|entry| count(&entry.event_data)).collect::<Vec<_>>()
    };
    while logged().await.iter().sum::<u64>() < 100_001 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..500 {
        guarded.access.record_denial("key_invalid", "192.0.2.1".to_owned());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(logged().await, [100_000, 1], "the others wait for the end of the minute");
    running.send_replace(true);
    while logged().await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(logged().await.last(), Some(&500), "or for the end of the server");
}

#[tokio::test]
async fn the_first_administrator_is_made_once_by_however_many_servers() {
    let guarded = Guarded::new().await;
    let (other, _) = another_server(&guarded);
    assert!(!guarded.access.is_set_up().await.unwrap());
    let texts = [1, 2].map(|byte| botarmy_domain::KeySecret::new([byte; 32]).text());
    let (first, second) = tokio::join!(
        guarded.access.create_first_admin(texts[0].clone(), cli()),
        other.create_first_admin(texts[1].clone(), cli()),
    );
    let made = [first.unwrap().is_some(), second.unwrap().is_some()];
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert!(guarded.access.is_set_up().await.unwrap());
    guarded.access.load().await.unwrap();
    for (text, made) in texts.iter().zip(made) {
        assert_eq!(guarded.access.authenticate(text.expose()).is_ok(), made);
    }
}

#[tokio::test]
async fn principals_and_keys_are_listed_in_pages_for_admins_only() {
    let guarded = Guarded::new().await;
    let root = guarded.person("root", &[Grant::on_all(Role::Admin)]).await;
    for n in 0..5 {
        guarded.key_of(&format!("p{n}"), PrincipalKind::Service, &[]).await;
    }
    let deleted = PrincipalChange { deleted: true, ..PrincipalChange::default() };
    guarded.access.change_principal(id_of("p0"), deleted, root.clone()).await.unwrap();
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = guarded.access.principals(&root, after, 2).await.unwrap();
        names.extend(page.iter().map(|one| one.name.clone()));
        after = page.last_before_next().map(|one| one.id);
        if after.is_none() {
            break;
        }
    }
    names.sort();
    assert_eq!(names, ["p1", "p2", "p3", "p4", "root"]);
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = guarded.access.keys(&root, None, after, 2).await.unwrap();
        keys.extend(page.iter().map(|used| used.key.clone()));
        after = page.last_before_next().map(|used| used.key.id);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(keys.len(), 6);
    assert!(keys.iter().find(|key| key.principal == id_of("p0")).unwrap().revoked_at.is_some());
    let of_one = guarded.access.keys(&root, Some(id_of("p1")), None, 10).await.unwrap();
    assert_eq!(of_one.len(), 1);
    let nobody = guarded.person("viewer", &[Grant::on_all(Role::Viewer)]).await;
    let refused = |error: Error| matches!(error, Error::Refused(DomainError::NotPermitted { .. }));
    assert!(refused(guarded.access.principals(&nobody, None, 1).await.unwrap_err()));
    assert!(refused(guarded.access.keys(&nobody, None, None, 1).await.unwrap_err()));
    assert!(refused(guarded.access.key(&nobody, keys[0].id).await.unwrap_err()));
    let new = admin("mallory");
    assert!(refused(guarded.access.create_principal(new, nobody.clone()).await.unwrap_err()));
    let overlap = Duration::ZERO;
    assert!(refused(
        guarded.access.rotate_key(keys[0].id, overlap, None, nobody).await.unwrap_err()
    ));
}
