//! The table in memory, without a store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ids::{CredentialId, PrincipalId};
use botarmy_domain::{
    AccessVersion, ApiKey, ApiKeyText, Grant, KeySecret, Principal, PrincipalKind, RecordValue,
    Role, Timestamp,
};

use super::cache::Cache;
use super::table::Table;

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

fn principal(name: &str) -> Arc<Principal> {
    Arc::new(Principal {
        id: Principal::local_id(name),
        kind: PrincipalKind::Service,
        name: name.to_owned(),
        openid: None,
        groups: BTreeSet::new(),
        grants: vec![Grant::on_all(Role::Viewer)],
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: NOW,
        updated_at: NOW,
    })
}

fn key(byte: u8, principal: PrincipalId) -> (ApiKeyText, Arc<ApiKey>) {
    let text = KeySecret::new([byte; 32]).text();
    let key = ApiKey {
        id: CredentialId::from_uuid(principal.uuid()),
        principal,
        name: "key".to_owned(),
        hint: text.hint(),
        digest: text.digest(),
        grants: None,
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
    };
    (text, Arc::new(key))
}

fn table(version: u64, keys: &[Arc<ApiKey>]) -> Table {
    table_after(version, &principal("ci"), keys, &Table::default())
}

fn table_after(version: u64, owner: &Principal, keys: &[Arc<ApiKey>], before: &Table) -> Table {
    let mut records: Vec<RecordValue> =
        vec![AccessVersion { version }.into(), owner.clone().into()];
    records.extend(keys.iter().map(|key| RecordValue::from(ApiKey::clone(key))));
    Table::new(&records, before, false)
}

#[tokio::test]
async fn a_table_that_was_read_before_another_never_replaces_it() {
    let (text, key) = key(1, Principal::local_id("ci"));
    let cache = Cache::new(false);
    let is_known = || cache.latest().with_digest(&text.digest()).is_some();
    cache.install(table(5, &[Arc::clone(&key)]));
    assert!(is_known());
    cache.install(table(6, &[]));
    for version in [0, 5, 6] {
        cache.install(table(version, &[Arc::clone(&key)]));
        assert!(!is_known(), "version {version}");
    }
    cache.install(table(7, &[key]));
    assert!(is_known());
}

#[test]
fn only_valid_keys_of_active_principals_are_in_a_table() {
    let (text, valid) = key(1, Principal::local_id("ci"));
    let is_known = |principal: Principal, key: ApiKey| {
        let table = table_after(1, &principal, &[Arc::new(key)], &Table::default());
        table.with_digest(&text.digest()).is_some()
    };
    let (ci, valid) = (Principal::clone(&principal("ci")), ApiKey::clone(&valid));
    assert!(is_known(ci.clone(), valid.clone()));
    assert!(!is_known(Principal { disabled: true, ..ci.clone() }, valid.clone()));
    assert!(!is_known(Principal { deleted_at: Some(NOW), ..ci.clone() }, valid.clone()));
    assert!(!is_known(ci, ApiKey { revoked_at: Some(NOW), ..valid.clone() }));
    assert!(!is_known(Principal::clone(&principal("other")), valid));
}

#[test]
fn the_note_of_a_use_outlives_its_table() {
    let (text, key) = key(1, Principal::local_id("ci"));
    let first = table(1, &[Arc::clone(&key)]);
    let minute = Duration::from_secs(60);
    let is_news =
        |table: &Table, now| table.with_digest(&text.digest()).unwrap().uses.is_news(now, minute);
    assert!(is_news(&first, NOW));
    assert!(!is_news(&first, NOW));
    let second = table_after(2, &principal("ci"), &[key], &first);
    assert!(!is_news(&second, NOW.after(minute - Duration::from_micros(1))));
    assert!(is_news(&second, NOW.after(minute)));
}
