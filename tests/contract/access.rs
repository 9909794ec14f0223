//! Contract of principals and keys, which are records of the system log.

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_domain::access::{MAX_SESSIONS, SessionText, SignInLinkText};
use botarmy_domain::decide::access::{self, NewApiKey, NewLink, NewSession, SignInProof};
use botarmy_domain::ports::{NewPrincipal, RecordsExt};
use botarmy_domain::{
    AccessVersion, ApiKey, Authentication, Browser, Caller, CredentialId, DomainError, Error,
    Grant, KeyDigest, KeySecret, PersonSessions, Principal, PrincipalId, PrincipalKind, ProjectId,
    RecordKind, RecordValue, Rights, Role,
};
use uuid::Uuid;

use crate::stores::Stores;

fn key(stores: &Stores, name: &str, seed: u8) -> NewApiKey {
    let text = KeySecret::new([seed; 32]).text();
    let project = ProjectId::from_uuid(Uuid::from_u128(7));
    NewApiKey {
        id: stores.context().id_generator().credential(),
        name: name.to_owned(),
        hint: text.hint(),
        digest: text.digest(),
        grants: Some(vec![Grant::on_all(Role::Viewer), Grant::on_project(Role::Worker, project)]),
        expires_at: Some(stores.context().now.after(Duration::from_secs(86_400))),
    }
}

async fn first_admin(stores: &Stores, seed: u8) -> bool {
    let (context, key) = (stores.context(), key(stores, "first", seed));
    let decide = move |s: &_| access::first_admin(&context, s, &key);
    !stores.run(access::first_admin_scope(), decide).await.unwrap().rows.is_empty()
}

async fn create(stores: &Stores, name: &str) -> PrincipalId {
    let context = stores.context();
    let new = NewPrincipal {
        name: name.to_owned(),
        kind: PrincipalKind::Service,
        groups: vec!["Ünïcödé \u{1f600}".to_owned(), "b".to_owned()],
        grants: vec![Grant::on_own(Role::Operator), Grant::on_all(Role::Viewer)],
    };
    let id = Principal::local_id(name);
    let scope = access::scope().record::<Principal>(id);
    let decide = move |s: &_| access::create_principal(&context, s, &new);
    let made = stores.run(scope, decide).await.unwrap();
    let stored = stores.records.record::<Principal>(id).await.unwrap();
    assert_eq!(stored.as_ref(), made.record::<Principal>(id));
    assert_eq!(stored.unwrap().groups.len(), 2);
    id
}

async fn version(stores: &Stores) -> u64 {
    let version = stores.records.record::<AccessVersion>(AccessVersion::KEY).await.unwrap();
    version.map_or(0, |counted| counted.version)
}

pub async fn principals_and_keys_come_back_as_written(stores: &Stores) {
    assert_eq!(version(stores).await, 0);
    assert!(first_admin(stores, 1).await);
    let owner = create(stores, "Robot Nº 1").await;
    let (context, new) = (stores.context(), key(stores, "Laptop \"ä\"", 2));
    let id = new.id;
    let scope = access::scope().record::<Principal>(owner);
    let made = stores.run(scope, move |s| access::create_key(&context, s, owner, &new)).await;
    let made = made.unwrap().record::<ApiKey>(id).cloned().unwrap();
    assert_eq!(stores.records.record::<ApiKey>(id).await.unwrap(), Some(made.clone()));
    let (context, new) = (stores.context(), key(stores, "", 3));
    let other = new.id;
    let scope = access::scope().record::<Principal>(owner).record::<ApiKey>(id);
    let overlap = Duration::from_secs(60);
    let rotate = move |s: &_| access::rotate_key(&context, s, id, &new, overlap);
    let rotated = stores.run(scope, rotate).await.unwrap();
    let keys = stores.records.all::<ApiKey>().await.unwrap();
    assert_eq!(keys.len(), 3);
    assert!(keys.is_sorted_by_key(|key| key.id));
    let of = |id: CredentialId| keys.iter().find(|key| key.id == id);
    assert_eq!(of(id), rotated.record::<ApiKey>(id));
    assert_eq!(of(other), rotated.record::<ApiKey>(other));
    assert_eq!((of(id).unwrap().replaced_by, &of(id).unwrap().digest), (Some(other), &made.digest));
    assert_eq!(stores.records.all::<Principal>().await.unwrap().len(), 2);
    assert_eq!(version(stores).await, 4);
}

pub async fn changes_of_access_at_once_are_all_counted(stores: &Stores) {
    let starting = (0..4_u8).map(|seed| {
        let stores = stores.clone();
        tokio::spawn(async move { first_admin(&stores, seed).await })
    });
    let mut firsts = 0;
    for one in starting.collect::<Vec<_>>() {
        firsts += u32::from(one.await.unwrap());
    }
    assert_eq!(firsts, 1, "one of the servers that start at once creates the first administrator");
    let creating = (0..20).map(|n| {
        let stores = stores.clone();
        tokio::spawn(async move { create(&stores, &format!("service {n}")).await })
    });
    let mut ids = BTreeSet::new();
    for one in creating.collect::<Vec<_>>() {
        ids.insert(one.await.unwrap());
    }
    let stored = stores.records.all::<Principal>().await.unwrap();
    assert_eq!((ids.len(), stored.len()), (20, 21));
    assert_eq!(version(stores).await, 21);
}

/// Creates a person, and returns its id.
async fn person(stores: &Stores, name: &str) -> PrincipalId {
    let context = stores.context();
    let new = NewPrincipal {
        name: name.to_owned(),
        kind: PrincipalKind::Person,
        groups: Vec::new(),
        grants: vec![Grant::on_all(Role::Viewer)],
    };
    let id = Principal::local_id(name);
    let create = move |s: &_| access::create_principal(&context, s, &new);
    stores.run(access::scope().record::<Principal>(id), create).await.unwrap();
    id
}

async fn link(stores: &Stores, person: PrincipalId, seed: u8) -> KeyDigest {
    let context = stores.context();
    let digest = SignInLinkText::new([seed; 32]).digest();
    let new = NewLink { id: context.fork(1).id_generator().credential(), digest };
    let create = move |s: &_| access::create_link(&context, s, person, &new);
    stores.run(access::sessions_scope(person, None), create).await.unwrap();
    digest
}

/// Signs a person in with a link.
async fn sign_in(
    stores: &Stores,
    person: PrincipalId,
    link: KeyDigest,
    seed: u8,
) -> Result<CredentialId, Error> {
    let owner = stores.records.record::<Principal>(person).await.unwrap().unwrap();
    let nil = CredentialId::from_uuid(Uuid::nil());
    let caller = Caller::proven(&owner, Authentication::Link, nil, Rights::none());
    let context = stores.context().by(caller);
    let new = NewSession {
        id: context.fork(1).id_generator().credential(),
        digest: SessionText::new([seed; 32]).digest(),
        browser: Browser { agent: "Ünïcödé/1".to_owned(), address: None }.binding(),
        lifetime: Duration::from_secs(3_600),
    };
    let id = new.id;
    let proof = SignInProof::Link(link);
    let start = move |s: &_| access::start_session(&context, s, person, &proof, &new);
    stores.run(access::sessions_scope(person, None), start).await?;
    Ok(id)
}

async fn sessions(stores: &Stores, person: PrincipalId) -> PersonSessions {
    let found = stores.records.record::<PersonSessions>(person).await.unwrap();
    PersonSessions::clone(&found.unwrap())
}

pub async fn sessions_and_links_come_back_as_written(stores: &Stores) {
    let ada = person(stores, "Ada \u{1f600}").await;
    let digest = link(stores, ada, 1).await;
    let unused = link(stores, ada, 2).await;
    let stored = sessions(stores, ada).await;
    assert_eq!(stored.links.iter().map(|link| link.digest).collect::<Vec<_>>(), [digest, unused]);
    let id = sign_in(stores, ada, digest, 3).await.unwrap();
    let stored = sessions(stores, ada).await;
    let session = stored.session(id).unwrap();
    assert_eq!(session.digest, SessionText::new([3; 32]).digest());
    assert_eq!(session.started_with, Authentication::Link);
    assert_eq!(stored.links.iter().map(|link| link.digest).collect::<Vec<_>>(), [unused]);
    let context = stores.context();
    let end = move |s: &_| access::end_session(&context, s, ada, id);
    let done = stores.run(access::sessions_scope(ada, None), end).await.unwrap();
    assert_eq!(
        done.record::<PersonSessions>(ada).map(|one| &**one),
        Some(&sessions(stores, ada).await)
    );
    assert!(sessions(stores, ada).await.session(id).unwrap().ended.is_some());
}

pub async fn a_link_starts_one_session_however_many_try(stores: &Stores) {
    let ada = person(stores, "ada").await;
    let digest = link(stores, ada, 1).await;
    let tries = (0..8_u8).map(|seed| {
        let stores = stores.clone();
        tokio::spawn(async move { sign_in(&stores, ada, digest, seed).await })
    });
    let mut started = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => started += 1,
            Err(Error::Refused(DomainError::Unauthenticated { .. })) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(started, 1);
    assert_eq!(sessions(stores, ada).await.sessions.len(), 1);
}

pub async fn sign_ins_at_once_leave_no_more_sessions_than_allowed(stores: &Stores) {
    let ada = person(stores, "ada").await;
    let digests = [1, 2, 3].map(|seed| link(stores, ada, seed));
    let mut waiting = Vec::new();
    for digest in digests {
        waiting.push(digest.await);
    }
    for seed in 10..20_u8 {
        let digest = link(stores, ada, seed).await;
        sign_in(stores, ada, digest, seed).await.unwrap();
    }
    // Ten links are kept; the first three were replaced by none of the used ones.
    let tries = waiting.into_iter().zip(30_u8..).map(|(digest, seed)| {
        let stores = stores.clone();
        tokio::spawn(async move { sign_in(&stores, ada, digest, seed).await.unwrap() })
    });
    for one in tries.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let now = stores.context().now;
    let stored = sessions(stores, ada).await;
    assert_eq!((stored.active(now).count(), stored.sessions.len()), (MAX_SESSIONS, 13));
    let places: BTreeSet<_> = stored.active(now).map(|session| session.place).collect();
    assert_eq!(places.len(), MAX_SESSIONS, "no place is taken twice");
}

const KINDS: &[RecordKind] =
    &[RecordKind::AccessVersion, RecordKind::Principal, RecordKind::ApiKey, RecordKind::Stop];

/// Every decision here writes one principal and counts, so a reading that is a mixture shows.
pub async fn records_are_read_together_as_of_one_commit(stores: &Stores) {
    assert_eq!(stores.records.together(KINDS).await.unwrap(), []);
    assert!(first_admin(stores, 1).await);
    let writing = {
        let stores = stores.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                create(&stores, &format!("service {n}")).await;
            }
        })
    };
    let mut seen = BTreeSet::new();
    loop {
        let is_last = writing.is_finished();
        let found = stores.records.together(KINDS).await.unwrap();
        let kinds: Vec<_> =
            found.iter().map(|one| KINDS.iter().position(|k| *k == one.key().kind())).collect();
        assert!(kinds.is_sorted(), "kind by kind");
        let RecordValue::AccessVersion(version) = &found[0] else { panic!("{found:?}") };
        let principals = found.iter().filter(|one| matches!(one, RecordValue::Principal(_)));
        assert_eq!(principals.count() as u64, version.version);
        seen.insert(version.version);
        if is_last {
            break;
        }
    }
    writing.await.unwrap();
    assert_eq!(seen.last(), Some(&41));
}
