//! Contract of principals and keys, which are records of the system log.

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_domain::decide::access::{self, NewApiKey};
use botarmy_domain::ports::{NewPrincipal, RecordsExt};
use botarmy_domain::{
    AccessVersion, ApiKey, CredentialId, Grant, KeySecret, Principal, PrincipalId, PrincipalKind,
    ProjectId, Role,
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
