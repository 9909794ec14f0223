//! Changes of principals and keys: the callers that may make them, and that no sequence of them gains
//! anything.

mod sessions;

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_domain::decide::access::{
    NewApiKey, change_principal, create_key, create_principal, first_admin, first_admin_scope,
    note_denials, revoke_key, rotate_key, scope, set_member_roles,
};
use botarmy_domain::ports::{NewPrincipal, PrincipalChange};
use botarmy_domain::records::Listed;
use botarmy_domain::{
    AccessVersion, ApiKey, Caller, Committed, CredentialId, DecisionContext, DomainError,
    EventType, Grant, GrantTarget, KeySecret, Permission, Principal, PrincipalId, PrincipalKind,
    ProjectId, Rights, Role, Row, Scope, Seen,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::{Outcome, World};

/// The system log, with everything about access that is in it.
struct Installation {
    world: World,
    principals: BTreeSet<PrincipalId>,
    keys: BTreeSet<CredentialId>,
    secrets: u8,
}

#[expect(clippy::needless_pass_by_value, reason = "called with new values")]
impl Installation {
    /// An installation with its first administrator.
    fn new() -> Self {
        let (principals, keys) = Default::default();
        let mut new = Self { world: World::new(), principals, keys, secrets: 0 };
        let key = new.secret();
        new.run(&first_admin_scope(), &Caller::local("cli"), |context, snapshot| {
            first_admin(context, snapshot, &with_id(context, &key))
        })
        .unwrap();
        new
    }

    fn secret(&mut self) -> NewApiKey {
        self.secrets += 1;
        let text = KeySecret::new([self.secrets; 32]).text();
        NewApiKey {
            id: CredentialId::from_uuid(uuid::Uuid::nil()),
            name: "key".to_owned(),
            hint: text.hint(),
            digest: text.digest(),
            grants: None,
            expires_at: None,
        }
    }

    fn run(
        &mut self,
        scope: &Scope,
        caller: &Caller,
        decide: impl Fn(
            &DecisionContext,
            &botarmy_domain::Snapshot,
        ) -> Result<botarmy_domain::Decision, DomainError>,
    ) -> Outcome {
        let done = self
            .world
            .run(scope, |context, snapshot| decide(&context.by(caller.clone()), snapshot))?;
        for row in &done.rows {
            let Row::Record(record) = row else { continue };
            self.principals.extend(Principal::of(record).map(|one| one.id));
            self.keys.extend(ApiKey::of(record).map(|one| one.id));
        }
        Ok(done)
    }

    /// Returns a scope with every principal and every key.
    fn everything(&self) -> Scope {
        scope()
            .records::<Principal>(self.principals.iter().copied())
            .records::<ApiKey>(self.keys.iter().copied())
    }

    fn principal(&mut self, id: PrincipalId) -> Principal {
        let scope = self.everything();
        Principal::clone(self.world.look_at_log(&scope).record::<Principal>(id).unwrap())
    }

    fn key(&mut self, id: CredentialId) -> ApiKey {
        let scope = self.everything();
        ApiKey::clone(self.world.look_at_log(&scope).record::<ApiKey>(id).unwrap())
    }

    fn version(&mut self) -> u64 {
        let seen = self.world.look_at_log(&scope());
        seen.record::<AccessVersion>(AccessVersion::KEY).map_or(0, |stored| stored.version)
    }

    /// Returns the caller with this key.
    fn caller(&mut self, id: CredentialId) -> Caller {
        let key = self.key(id);
        Caller::with_key(&self.principal(key.principal), &key)
    }

    fn create(&mut self, caller: Caller, name: &str, grants: Vec<Grant>) -> Outcome {
        let scope = self.everything().record::<Principal>(Principal::local_id(name));
        let new = NewPrincipal {
            name: name.to_owned(),
            kind: PrincipalKind::Service,
            groups: Vec::new(),
            grants,
        };
        self.run(&scope, &caller, |context, snapshot| create_principal(context, snapshot, &new))
    }

    fn change(&mut self, caller: Caller, id: PrincipalId, change: &PrincipalChange) -> Outcome {
        let scope = self.everything();
        self.run(&scope, &caller, |context, snapshot| {
            change_principal(context, snapshot, id, change)
        })
    }

    fn set_roles(
        &mut self,
        caller: Caller,
        id: PrincipalId,
        project: (ProjectId, Option<PrincipalId>),
        roles: BTreeSet<Role>,
    ) -> Outcome {
        let scope = scope().record::<Principal>(id);
        self.run(&scope, &caller, |context, snapshot| {
            set_member_roles(context, snapshot, project, id, &roles)
        })
    }

    fn create_key(
        &mut self,
        caller: Caller,
        id: PrincipalId,
        grants: Option<Vec<Grant>>,
    ) -> Result<CredentialId, DomainError> {
        let (scope, key) = (self.everything(), NewApiKey { grants, ..self.secret() });
        let made = self.run(&scope, &caller, |context, snapshot| {
            create_key(context, snapshot, id, &with_id(context, &key))
        })?;
        Ok(new_key(&made))
    }

    fn rotate(
        &mut self,
        caller: Caller,
        id: CredentialId,
        overlap: Duration,
    ) -> Result<CredentialId, DomainError> {
        let (scope, key) = (self.everything(), self.secret());
        let made = self.run(&scope, &caller, |context, snapshot| {
            rotate_key(context, snapshot, id, &with_id(context, &key), overlap)
        })?;
        Ok(new_key(&made))
    }

    fn revoke(&mut self, caller: Caller, id: CredentialId) -> Outcome {
        let scope = self.everything();
        self.run(&scope, &caller, |context, snapshot| revoke_key(context, snapshot, id))
    }

    /// Creates a principal with these grants, and returns the caller with a key of it.
    fn caller_with(&mut self, name: &str, grants: Vec<Grant>) -> Caller {
        self.create(Caller::local("cli"), name, grants).unwrap();
        let id = self.create_key(Caller::local("cli"), Principal::local_id(name), None).unwrap();
        self.caller(id)
    }
}

fn with_id(context: &DecisionContext, key: &NewApiKey) -> NewApiKey {
    NewApiKey { id: context.fork(1).id_generator().credential(), ..key.clone() }
}

/// Returns the key that a decision created: the last one that it wrote.
fn new_key(made: &Committed) -> CredentialId {
    let keys = made.rows.iter().filter_map(|row| match row {
        Row::Record(record) => ApiKey::of(record),
        _ => None,
    });
    keys.collect::<Vec<_>>().pop().unwrap().id
}

fn admin_id() -> PrincipalId {
    Principal::local_id("admin")
}

fn code(error: &DomainError) -> &str {
    match error {
        DomainError::Conflict { code, .. } | DomainError::Forbidden { code, .. } => code,
        DomainError::NotFound { .. } => "not_found",
        DomainError::NotPermitted { .. } => "not_permitted",
        DomainError::Invalid { .. } => "invalid",
        _ => "other",
    }
}

fn deleted() -> PrincipalChange {
    PrincipalChange { deleted: true, ..PrincipalChange::default() }
}

#[test]
fn only_admins_on_everything_and_the_operator_of_the_store_manage_access() {
    let project = World::new().project;
    for role in Role::ALL {
        for grant in [Grant::on_all(*role), Grant::on_own(*role), Grant::on_project(*role, project)]
        {
            let mut installation = Installation::new();
            let caller = installation.caller_with("x", vec![grant]);
            let key = installation.create_key(Caller::local("cli"), admin_id(), None).unwrap();
            let may = grant == Grant::on_all(Role::Admin);
            let version = installation.version();
            let disable = PrincipalChange { disabled: Some(true), ..PrincipalChange::default() };
            let results = [
                installation.create(caller.clone(), "y", Vec::new()).map(drop),
                installation.create_key(caller.clone(), admin_id(), None).map(drop),
                installation.rotate(caller.clone(), key, Duration::ZERO).map(drop),
                installation.revoke(caller.clone(), key).map(drop),
                installation.change(caller.clone(), admin_id(), &disable).map(drop),
            ];
            for result in results {
                match result {
                    Ok(()) => assert!(may, "{grant:?}"),
                    Err(error) => {
                        assert!(!may && code(&error) == "not_permitted", "{grant:?}: {error:?}");
                    }
                }
            }
            let changes = if may { 5 } else { 0 };
            assert_eq!(installation.version(), version + changes, "{grant:?}");
            let denied =
                installation.run(&Scope::log(botarmy_domain::LogId::System), &caller, |c, s| {
                    note_denials(c, s, &[])
                });
            assert_eq!(code(&denied.unwrap_err()), "not_permitted", "the server alone does this");
        }
    }
}

#[test]
fn roles_and_groups_are_changed_as_they_were_shown() {
    let mut installation = Installation::new();
    let (id, cli) = (admin_id(), || Caller::local("cli"));
    let shown = installation.principal(id);
    let grants = |role| PrincipalChange {
        grants: Some(vec![Grant::on_all(Role::Admin), Grant::on_own(role)]),
        ..PrincipalChange::default()
    };
    let groups =
        PrincipalChange { groups: Some(vec!["a".to_owned()]), ..PrincipalChange::default() };
    let seen = Seen::of_grants(&shown.grants);
    installation.change(cli().with_seen(seen.clone()), id, &grants(Role::Viewer)).unwrap();
    let version = installation.version();
    let stale = installation.change(cli().with_seen(seen), id, &grants(Role::Operator));
    assert_eq!(code(&stale.unwrap_err()), "changed_meanwhile");
    let other = installation.change(cli().with_seen(Seen::of_grants(&[])), id, &groups);
    assert_eq!(code(&other.unwrap_err()), "changed_meanwhile");
    assert_eq!(installation.version(), version);
    // Groups do not depend on the roles, and a caller that was shown nothing decides as ever.
    installation.change(cli().with_seen(Seen::of_groups(&shown.groups)), id, &groups).unwrap();
    installation.change(cli(), id, &grants(Role::Operator)).unwrap();
}

#[test]
fn the_first_administrator_is_created_once() {
    let mut installation = Installation::new();
    let admin = installation.principal(admin_id());
    assert_eq!(admin.grants, [Grant::on_all(Role::Admin)]);
    assert_eq!((admin.kind, installation.keys.len()), (PrincipalKind::Person, 1));
    let key = installation.secret();
    let again =
        installation.run(&first_admin_scope(), &Caller::local("cli"), |context, snapshot| {
            first_admin(context, snapshot, &with_id(context, &key))
        });
    assert!(again.unwrap().entries.is_empty());
    assert_eq!(installation.version(), 1);
}

#[test]
fn the_last_administrator_with_a_valid_key_stays() {
    let mut installation = Installation::new();
    let cli = || Caller::local("cli");
    let first = *installation.keys.first().unwrap();
    let admin = installation.caller(first);
    let viewer = PrincipalChange {
        grants: Some(vec![Grant::on_all(Role::Viewer)]),
        ..PrincipalChange::default()
    };
    let is_disabled =
        |disabled| PrincipalChange { disabled: Some(disabled), ..PrincipalChange::default() };
    let two = Principal::local_id("two");
    installation.create(cli(), "two", vec![Grant::on_all(Role::Admin)]).unwrap();
    // A principal without a key, with a narrower key, and with one that has expired.
    let narrowed = Some(vec![Grant::on_all(Role::Viewer)]);
    installation.create_key(cli(), two, narrowed.clone()).unwrap();
    let expired = installation.create_key(cli(), two, None).unwrap();
    installation.rotate(cli(), expired, Duration::ZERO).unwrap();
    let replacement = installation.key(expired).replaced_by.unwrap();
    installation.revoke(cli(), replacement).unwrap();
    let also_narrowed = installation.create_key(cli(), admin_id(), narrowed).unwrap();
    let refused = |installation: &mut Installation, caller: &Caller| {
        for change in [&viewer, &is_disabled(true), &deleted()] {
            let error = installation.change(caller.clone(), admin_id(), change).unwrap_err();
            assert_eq!(code(&error), "last_admin");
        }
        let error = installation.revoke(caller.clone(), first).unwrap_err();
        assert_eq!(code(&error), "last_admin");
    };
    refused(&mut installation, &admin);
    let usable = installation.create_key(cli(), two, None).unwrap();
    installation.change(cli(), two, &is_disabled(true)).unwrap();
    refused(&mut installation, &admin);
    installation.change(cli(), two, &is_disabled(false)).unwrap();
    // What does not concern the right is permitted, and so is a key in place of the last one.
    installation.revoke(admin.clone(), also_narrowed).unwrap();
    installation.rotate(admin.clone(), usable, Duration::ZERO).unwrap();
    installation.change(admin, admin_id(), &deleted()).unwrap();
    let last = installation.key(usable).replaced_by.unwrap();
    let caller = installation.caller(last);
    assert_eq!(code(&installation.revoke(caller.clone(), last).unwrap_err()), "last_admin");
    installation.rotate(caller, last, Duration::ZERO).unwrap();
    // A command on the store may: it can make another.
    installation.change(cli(), two, &deleted()).unwrap();
}

#[test]
fn a_deleted_principal_loses_its_keys_and_keeps_its_name() {
    let mut installation = Installation::new();
    let cli = || Caller::local("cli");
    let id = Principal::local_id("ci");
    installation.create(cli(), "ci", vec![Grant::on_own(Role::Operator)]).unwrap();
    let keys = [(); 3].map(|()| installation.create_key(cli(), id, None).unwrap());
    installation.revoke(cli(), keys[0]).unwrap();
    let version = installation.version();
    let done = installation.change(cli(), id, &deleted()).unwrap();
    let told: Vec<_> = done.entries.iter().map(|entry| entry.event_type).collect();
    assert_eq!(told, [EventType::GrantChanged, EventType::KeyRevoked, EventType::KeyRevoked]);
    assert_eq!(installation.version(), version + 1, "one change");
    assert!(keys.iter().all(|key| installation.key(*key).revoked_at.is_some()));
    assert!(installation.principal(id).deleted_at.is_some());
    for name in ["ci", "CI", " ci ", "\u{ff43}i"] {
        let error = installation.create(cli(), name.trim(), Vec::new()).unwrap_err();
        assert_eq!(code(&error), "name_taken");
    }
    assert_eq!(code(&installation.change(cli(), id, &deleted()).unwrap_err()), "not_found");
    assert_eq!(code(&installation.create_key(cli(), id, None).unwrap_err()), "not_found");
    assert_eq!(
        code(&installation.rotate(cli(), keys[1], Duration::ZERO).unwrap_err()),
        "not_found"
    );
}

#[test]
fn a_replaced_key_works_until_the_overlap_is_over() {
    let mut installation = Installation::new();
    let cli = || Caller::local("cli");
    let narrowed = vec![Grant::on_all(Role::Viewer)];
    let old = installation.create_key(cli(), admin_id(), Some(narrowed.clone())).unwrap();
    let new = installation.rotate(cli(), old, Duration::from_secs(60)).unwrap();
    let (before, after) = (installation.key(old), installation.key(new));
    let now = after.created_at;
    assert_eq!(after.grants, Some(narrowed));
    assert_eq!((before.replaced_by, before.digest == after.digest), (Some(new), false));
    assert!(!before.has_expired(now.after(Duration::from_secs(59))));
    assert!(before.has_expired(now.after(Duration::from_secs(60))));
    let again = installation.rotate(cli(), old, Duration::ZERO).unwrap_err();
    assert_eq!(code(&again), "key_replaced");
    installation.revoke(cli(), new).unwrap();
    assert!(installation.revoke(cli(), new).unwrap().entries.is_empty(), "once is enough");
    assert_eq!(code(&installation.rotate(cli(), new, Duration::ZERO).unwrap_err()), "key_revoked");
    let at_once = installation.create_key(cli(), admin_id(), None).unwrap();
    installation.rotate(cli(), at_once, Duration::ZERO).unwrap();
    let ended = installation.key(at_once);
    assert!(ended.has_expired(ended.expires_at.unwrap()));
}

#[test]
fn malformed_principals_are_refused() {
    let mut installation = Installation::new();
    for name in ["", " ", "a/b", "a\nb"] {
        assert!(installation.create(Caller::local("cli"), name, Vec::new()).is_err(), "{name:?}");
    }
    let id = |n: u128| ProjectId::from_uuid(uuid::Uuid::from_u128(n));
    let many: Vec<_> = (1..=257).map(|n| Grant::on_project(Role::Viewer, id(n))).collect();
    let error = installation.create(Caller::local("cli"), "x", many).unwrap_err();
    assert_eq!(code(&error), "invalid");
    assert_eq!(installation.version(), 1);
}

/// A call that somebody makes with a key.
#[derive(Debug, Clone)]
enum Call {
    Create(Vec<Grant>),
    Change(Index, Vec<Grant>),
    Member(Index, ProjectId, BTreeSet<Role>),
    CreateKey(Index, Option<Vec<Grant>>),
    Rotate(Index),
    Revoke(Index),
}

#[test]
fn managers_of_a_project_decide_about_its_members_and_nothing_else() {
    let mut installation = Installation::new();
    let [one, two] = projects();
    let manager = installation.caller_with("manager", vec![Grant::on_project(Role::Admin, one)]);
    let on_all = vec![Grant::on_all(Role::Viewer), Grant::on_project(Role::Operator, two)];
    installation.create(Caller::local("cli"), "ada", on_all.clone()).unwrap();
    let ada = Principal::local_id("ada");
    let roles = |roles: &[Role]| roles.iter().copied().collect::<BTreeSet<_>>();

    // Each change replaces the roles there, and leaves the other grants.
    let before = installation.version();
    for given in [&[Role::Reviewer, Role::Admin][..], &[Role::Worker], &[]] {
        installation.set_roles(manager.clone(), ada, (one, None), roles(given)).unwrap();
        let on_one = given.iter().map(|role| Grant::on_project(*role, one));
        let wanted: BTreeSet<_> = on_all.iter().copied().chain(on_one).collect();
        assert_eq!(installation.principal(ada).grants, wanted.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(installation.version(), before + 3, "other servers notice each");
    let again = installation.set_roles(manager.clone(), ada, (one, None), roles(&[])).unwrap();
    assert!(again.entries.is_empty(), "nothing has changed");

    // What was decided about other roles than there are now is refused.
    let stale = manager.clone().with_seen(Seen::of_roles(&roles(&[Role::Admin])));
    let refused = installation.set_roles(stale, ada, (one, None), roles(&[Role::Viewer]));
    assert_eq!(code(&refused.unwrap_err()), "changed_meanwhile");
    let fresh = manager.clone().with_seen(Seen::of_roles(&roles(&[])));
    installation.set_roles(fresh, ada, (one, None), roles(&[])).unwrap();

    // Another project does not exist for them, and a principal that does not exist is unknown.
    let elsewhere = installation.set_roles(manager.clone(), ada, (two, None), roles(&[]));
    assert!(matches!(elsewhere, Err(DomainError::NotFound { .. })), "{elsewhere:?}");
    let bob = Principal::local_id("bob");
    let unknown = installation.set_roles(manager, bob, (one, None), roles(&[]));
    assert!(matches!(unknown, Err(DomainError::NotFound { .. })), "{unknown:?}");

    // Roles below that of a manager do not suffice, and those on all projects do.
    for role in [Role::Viewer, Role::Operator, Role::Reviewer] {
        let name = format!("one {role}");
        let caller = installation.caller_with(&name, vec![Grant::on_project(role, one)]);
        let refused = installation.set_roles(caller, ada, (one, None), roles(&[Role::Viewer]));
        let lacks = Permission::ProjectManage;
        assert!(
            matches!(refused, Err(DomainError::NotPermitted { permission, .. }) if permission == lacks),
            "{refused:?}"
        );
    }
    let admin = installation.caller_with("chief", vec![Grant::on_all(Role::Admin)]);
    installation.set_roles(admin, ada, (two, None), roles(&[Role::Reviewer])).unwrap();

    // One that manages what it creates passes on what it holds there, on its own projects alone.
    let creator = installation.caller_with("creator", vec![Grant::on_own(Role::Admin)]);
    let own = creator.principal();
    let given = roles(&[Role::Operator, Role::Worker]);
    installation.set_roles(creator.clone(), ada, (one, own), given.clone()).unwrap();
    let refused = installation.set_roles(creator, ada, (one, Some(ada)), given);
    assert!(matches!(refused, Err(DomainError::NotFound { .. })), "{refused:?}");

    // A key that is narrowed to another role manages nothing.
    let id = installation.create_key(
        Caller::local("cli"),
        Principal::local_id("chief"),
        Some(vec![Grant::on_all(Role::Operator)]),
    );
    let narrowed = installation.caller(id.unwrap());
    let refused = installation.set_roles(narrowed, ada, (one, None), roles(&[]));
    assert!(matches!(refused, Err(DomainError::NotPermitted { .. })), "{refused:?}");
}

fn projects() -> [ProjectId; 2] {
    [1, 2].map(|n| ProjectId::from_uuid(uuid::Uuid::from_u128(n)))
}

fn any_grants() -> impl Strategy<Value = Vec<Grant>> {
    let target = prop_oneof![
        3 => Just(GrantTarget::All),
        1 => Just(GrantTarget::Own),
        2 => proptest::sample::select(projects().to_vec()).prop_map(GrantTarget::Project),
    ];
    let role = proptest::sample::select(Role::ALL.to_vec());
    proptest::collection::vec(
        (role, target).prop_map(|(role, target)| Grant { role, target }),
        0..3,
    )
}

fn any_roles() -> impl Strategy<Value = BTreeSet<Role>> {
    proptest::collection::btree_set(proptest::sample::select(Role::ALL.to_vec()), 0..3)
}

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        any_grants().prop_map(Call::Create),
        (any::<Index>(), any_grants()).prop_map(|(of, grants)| Call::Change(of, grants)),
        (any::<Index>(), proptest::sample::select(projects().to_vec()), any_roles())
            .prop_map(|(of, project, roles)| Call::Member(of, project, roles)),
        (any::<Index>(), proptest::option::of(any_grants()))
            .prop_map(|(of, grants)| Call::CreateKey(of, grants)),
        any::<Index>().prop_map(Call::Rotate),
        any::<Index>().prop_map(Call::Revoke),
    ]
}

/// Everything that rights permit: permissions on everything, on projects of one's own, on projects.
fn permitted(rights: &Rights) -> BTreeSet<(Permission, String)> {
    let mut permitted = BTreeSet::new();
    for permission in Permission::ALL {
        let mut add = |has: bool, place: &str| {
            if has {
                permitted.insert((*permission, place.to_owned()));
            }
        };
        add(rights.has_globally(*permission), "all");
        add(rights.has_for_new(*permission), "own");
        for project in projects() {
            add(rights.has(*permission, project, false), &project.to_string());
        }
    }
    permitted
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    /// Whatever a principal or a key gains was held by the caller who gave it, apart from letting
    /// workers work.
    #[test]
    fn no_sequence_of_calls_gains_a_permission(
        start in proptest::collection::vec((any_grants(), proptest::option::of(any_grants())), 1..4),
        calls in proptest::collection::vec((any::<Index>(), any_call()), 1..12),
    ) {
        let mut installation = Installation::new();
        let cli = || Caller::local("cli");
        for (n, (grants, narrowed)) in start.into_iter().enumerate() {
            let name = format!("start {n}");
            installation.create(cli(), &name, grants).unwrap();
            let id = Principal::local_id(&name);
            installation.create_key(cli(), id, narrowed).unwrap();
        }
        for (n, (by, call)) in calls.into_iter().enumerate() {
            let keys: Vec<_> = installation.keys.iter().copied().collect();
            let principals: Vec<_> = installation.principals.iter().copied().collect();
            let with = keys[by.index(keys.len())];
            let key = installation.key(with);
            if key.revoked_at.is_some() || !installation.principal(key.principal).is_active() {
                continue;
            }
            let caller = installation.caller(with);
            let mut before = std::collections::BTreeMap::new();
            for key in &keys {
                before.insert(*key, permitted(installation.caller(*key).rights()));
            }
            let done = match call {
                Call::Create(grants) => {
                    let name = format!("new {n}");
                    let made = installation.create(caller.clone(), &name, grants);
                    made.map(|_| {
                        // The new principal is as good as its grants, which a key would show.
                        installation.create_key(cli(), Principal::local_id(&name), None).map(drop)
                    }).and_then(|made| made)
                }
                Call::Change(of, grants) => {
                    let change = PrincipalChange { grants: Some(grants), ..Default::default() };
                    let id = principals[of.index(principals.len())];
                    installation.change(caller.clone(), id, &change).map(drop)
                }
                Call::Member(of, project, roles) => {
                    let id = principals[of.index(principals.len())];
                    installation.set_roles(caller.clone(), id, (project, None), roles).map(drop)
                }
                Call::CreateKey(of, grants) => {
                    let id = principals[of.index(principals.len())];
                    installation.create_key(caller.clone(), id, grants).map(drop)
                }
                Call::Rotate(of) => {
                    installation.rotate(caller.clone(), keys[of.index(keys.len())], Duration::ZERO).map(drop)
                }
                Call::Revoke(of) => {
                    installation.revoke(caller.clone(), keys[of.index(keys.len())]).map(drop)
                }
            };
            let held = permitted(caller.rights());
            for key in installation.keys.clone() {
                let now = permitted(installation.caller(key).rights());
                let had = before.get(&key).cloned().unwrap_or_default();
                for (permission, place) in now.difference(&had) {
                    prop_assert!(done.is_ok());
                    let lets_work = *permission == Permission::WorkDo
                        && held.contains(&(Permission::ProjectManage, place.clone()));
                    let is_held = held.contains(&(*permission, place.clone()));
                    prop_assert!(is_held || lets_work, "{permission} on {place} out of nothing");
                }
            }
        }
    }
}
