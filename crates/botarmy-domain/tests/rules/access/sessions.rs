//! Sign-ins, their ends and one-time links.

use botarmy_domain::access::{
    Browser, BrowserBinding, LINK_LIFETIME, MAX_SESSIONS, OpenIdIdentity, OpenIdSubject,
    PersonSessions, Session, SessionText, SignInLinkText,
};
use botarmy_domain::decide::access::{
    NewLink, NewSession, SignInProof, create_link, end_reused, end_session, sign_out, start_session,
};
use botarmy_domain::event::EventPayload;
use botarmy_domain::{Authentication, KeyDigest, Rights, SessionEnd};

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn browser() -> BrowserBinding {
    Browser { agent: "a browser".to_owned(), address: None }.binding()
}

/// Permissions with the places in which they are held.
type Held = BTreeSet<(Permission, String)>;

impl Installation {
    fn all(&self) -> Scope {
        self.everything().records::<PersonSessions>(self.principals.iter().copied())
    }

    fn person(&mut self, name: &str, grants: Vec<Grant>) -> PrincipalId {
        let new = NewPrincipal {
            name: name.to_owned(),
            kind: PrincipalKind::Person,
            groups: Vec::new(),
            grants,
        };
        let id = Principal::local_id(name);
        let scope = self.all().record::<Principal>(id);
        self.run(&scope, &cli(), |context, snapshot| create_principal(context, snapshot, &new))
            .unwrap();
        id
    }

    fn key_of(&mut self, id: PrincipalId, grants: Option<Vec<Grant>>) -> CredentialId {
        self.create_key(cli(), id, grants).unwrap()
    }

    fn sessions(&mut self, id: PrincipalId) -> PersonSessions {
        let scope = self.all().record::<PersonSessions>(id);
        let seen = self.world.look_at_log(&scope);
        let found = seen.record::<PersonSessions>(id);
        found.map_or_else(|| PersonSessions::new(id), |found| PersonSessions::clone(found))
    }

    fn session(&mut self, person: PrincipalId, id: CredentialId) -> Session {
        self.sessions(person).session(id).unwrap().clone()
    }

    fn sign_in(
        &mut self,
        caller: &Caller,
        person: PrincipalId,
        proof: &SignInProof,
    ) -> Result<Session, DomainError> {
        self.secrets += 1;
        let digest = SessionText::new([self.secrets; 32]).digest();
        let scope = self.all().record::<Principal>(person).record::<PersonSessions>(person);
        let made = self.run(&scope, caller, |context, snapshot| {
            let id = context.fork(1).id_generator().credential();
            let new = NewSession { id, digest, browser: browser(), lifetime: 12 * HOUR };
            start_session(context, snapshot, person, proof, &new)
        })?;
        let record = made.record::<PersonSessions>(person).unwrap();
        Ok(record.sessions.iter().find(|session| session.digest == digest).unwrap().clone())
    }

    fn sign_in_with_key(&mut self, key: CredentialId) -> Result<Session, DomainError> {
        let caller = self.caller(key);
        let person = caller.principal().unwrap();
        self.sign_in(&caller, person, &SignInProof::Key(key))
    }

    fn sign_in_with_link(
        &mut self,
        person: PrincipalId,
        digest: KeyDigest,
    ) -> Result<Session, DomainError> {
        let owner = self.principal(person);
        let link = CredentialId::from_uuid(uuid::Uuid::nil());
        let caller = Caller::proven(&owner, Authentication::Link, link, Rights::none());
        self.sign_in(&caller, person, &SignInProof::Link(digest))
    }

    fn link(&mut self, caller: &Caller, person: PrincipalId) -> Result<KeyDigest, DomainError> {
        self.secrets += 1;
        let digest = SignInLinkText::new([self.secrets; 32]).digest();
        let scope = self.all().record::<PersonSessions>(person);
        self.run(&scope, caller, |context, snapshot| {
            let id = context.fork(1).id_generator().credential();
            create_link(context, snapshot, person, &NewLink { id, digest })
        })?;
        Ok(digest)
    }

    fn signed_in(&mut self, session: &Session) -> Caller {
        Caller::with_session(&self.principal(session.principal), session)
    }

    fn leave(&mut self, session: &Session, everywhere: bool) -> Committed {
        let (caller, scope) = (self.signed_in(session), self.all());
        let (person, id) = (session.principal, Some(session.id));
        self.run(&scope, &caller, |context, snapshot| {
            sign_out(context, snapshot, person, id, everywhere)
        })
        .unwrap()
    }

    fn end(&mut self, caller: &Caller, session: &Session) -> Outcome {
        let (scope, person, id) = (self.all(), session.principal, session.id);
        self.run(&scope, caller, |context, snapshot| end_session(context, snapshot, person, id))
    }

    fn reuse(&mut self, session: &Session) -> Committed {
        let (scope, person, id) = (self.all(), session.principal, session.id);
        self.run(&scope, &Caller::system(), |context, snapshot| {
            end_reused(context, snapshot, person, id)
        })
        .unwrap()
    }

    fn openid(&mut self, name: &str, roles: &[Role]) -> Result<Session, DomainError> {
        let identity = identity(name);
        let person = Principal::openid_id(&identity.subject);
        let proof = SignInProof::OpenId(identity.clone(), roles.iter().copied().collect());
        self.sign_in(&Caller::openid(&identity), person, &proof)
    }
}

fn cli() -> Caller {
    Caller::local("cli")
}

fn identity(name: &str) -> OpenIdIdentity {
    let issuer = "https://id.example".to_owned();
    OpenIdIdentity {
        subject: OpenIdSubject { issuer, subject: "4711".to_owned() },
        name: name.to_owned(),
        groups: vec!["staff".to_owned(), "not/suitable".to_owned()],
    }
}

fn refusal(error: &DomainError) -> &str {
    match error {
        DomainError::Unauthenticated { code, .. } => code,
        other => code(other),
    }
}

fn reasons(done: &Committed) -> Vec<String> {
    let ended = done.entries.iter().filter_map(|entry| match EventPayload::of(entry).unwrap() {
        EventPayload::SessionEnded(ended) => Some(ended.reason),
        _ => None,
    });
    ended.collect()
}

#[test]
fn a_session_has_the_limits_of_the_key_it_was_started_with() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", vec![Grant::on_all(Role::Admin)]);
    let narrowed = vec![Grant::on_all(Role::Viewer)];
    let key = installation.key_of(ada, Some(narrowed.clone()));
    let version = installation.version();
    let session = installation.sign_in_with_key(key).unwrap();
    assert_eq!(installation.version(), version + 1);
    assert_eq!(session.narrowing.key, Some(key));
    assert_eq!(session.narrowing.grants, Some(narrowed));
    assert_eq!((session.started_with, session.browser), (Authentication::Key, browser()));
    assert_eq!(session.expires_at, session.started_at.after(12 * HOUR));
    let caller = installation.signed_in(&session);
    assert!(caller.rights().has_globally(Permission::ProjectRead));
    assert!(!caller.rights().has_globally(Permission::AccessManage));
    let again = installation.sign_in_with_key(key).unwrap();
    assert_ne!((again.id, again.digest), (session.id, session.digest), "always a new one");

    let scope = installation.everything();
    let short =
        NewApiKey { expires_at: Some(installation.world.now.after(HOUR)), ..installation.secret() };
    let made = installation.run(&scope, &cli(), |context, snapshot| {
        create_key(context, snapshot, ada, &with_id(context, &short))
    });
    let short = new_key(&made.unwrap());
    let end = installation.key(short).expires_at.unwrap();
    assert_eq!(installation.sign_in_with_key(short).unwrap().expires_at, end);
    installation.world.pass(HOUR);
    assert_eq!(refusal(&installation.sign_in_with_key(short).unwrap_err()), "sign_in_expired");
    installation.revoke(cli(), key).unwrap();
    assert_eq!(refusal(&installation.sign_in_with_key(key).unwrap_err()), "sign_in_invalid");
}

#[test]
fn only_active_people_sign_in() {
    let mut installation = Installation::new();
    let program = installation.caller_with("ci", vec![Grant::on_all(Role::Admin)]);
    let key = program.credential().unwrap();
    assert_eq!(refusal(&installation.sign_in_with_key(key).unwrap_err()), "not_a_person");
    let error = installation.link(&program, program.principal().unwrap()).unwrap_err();
    assert_eq!(refusal(&error), "not_a_person");
    let ada = installation.person("ada", vec![Grant::on_all(Role::Viewer)]);
    let key = installation.key_of(ada, None);
    let link = installation.link(&cli(), ada).unwrap();
    let disabled = PrincipalChange { disabled: Some(true), ..PrincipalChange::default() };
    installation.change(cli(), ada, &disabled).unwrap();
    assert_eq!(refusal(&installation.sign_in_with_key(key).unwrap_err()), "sign_in_invalid");
    assert_eq!(refusal(&installation.sign_in_with_link(ada, link).unwrap_err()), "sign_in_invalid");
    assert_eq!(refusal(&installation.link(&cli(), ada).unwrap_err()), "person_disabled");
    installation.change(cli(), ada, &deleted()).unwrap();
    assert_eq!(refusal(&installation.link(&cli(), ada).unwrap_err()), "not_found");
}

#[test]
fn a_link_is_used_once_and_within_ten_minutes() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", vec![Grant::on_all(Role::Viewer)]);
    let link = installation.link(&cli(), ada).unwrap();
    let other = installation.link(&cli(), ada).unwrap();
    let session = installation.sign_in_with_link(ada, link).unwrap();
    assert_eq!(session.started_with, Authentication::Link);
    assert_eq!(refusal(&installation.sign_in_with_link(ada, link).unwrap_err()), "sign_in_invalid");
    let bob = installation.person("bob", Vec::new());
    let error = installation.sign_in_with_link(bob, other).unwrap_err();
    assert_eq!(refusal(&error), "sign_in_invalid", "a link is for one person");
    installation.world.pass(LINK_LIFETIME);
    assert_eq!(
        refusal(&installation.sign_in_with_link(ada, other).unwrap_err()),
        "sign_in_expired"
    );
}

#[test]
fn a_link_for_oneself_has_the_limits_of_the_credential() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", vec![Grant::on_all(Role::Admin)]);
    let narrowed = vec![Grant::on_all(Role::Viewer)];
    let key = installation.key_of(ada, Some(narrowed.clone()));
    let caller = installation.caller(key);
    let link = installation.link(&caller, ada).unwrap();
    let session = installation.sign_in_with_link(ada, link).unwrap();
    assert_eq!(session.narrowing.grants, Some(narrowed.clone()));
    assert_eq!(session.narrowing.key, Some(key));
    installation.world.pass(HOUR);
    let caller = installation.signed_in(&session);
    let link = installation.link(&caller, ada).unwrap();
    let next = installation.sign_in_with_link(ada, link).unwrap();
    assert_eq!(next.narrowing.grants, Some(narrowed));
    assert_eq!(next.expires_at, session.expires_at, "links do not make a session last longer");
    installation.leave(&session, false);
    assert_eq!(refusal(&installation.link(&caller, ada).unwrap_err()), "sign_in_invalid");
    let caller = installation.signed_in(&next);
    let link = installation.link(&caller, ada).unwrap();
    installation.revoke(cli(), key).unwrap();
    assert_eq!(refusal(&installation.sign_in_with_link(ada, link).unwrap_err()), "sign_in_invalid");
    assert_eq!(refusal(&installation.link(&caller, ada).unwrap_err()), "sign_in_invalid");
}

#[test]
fn a_link_for_another_needs_its_grants_and_the_permission() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", vec![Grant::on_all(Role::Admin)]);
    let bob = installation.person("bob", vec![Grant::on_all(Role::Viewer)]);
    let viewer = installation.key_of(bob, None);
    let viewer = installation.caller(viewer);
    assert_eq!(refusal(&installation.link(&viewer, ada).unwrap_err()), "not_permitted");
    let admin = installation.key_of(ada, None);
    let admin = installation.caller(admin);
    installation.link(&admin, bob).unwrap();
    let worker = installation.person("worker", vec![Grant::on_own(Role::Worker)]);
    installation.link(&admin, worker).unwrap();
    let narrow = installation.key_of(ada, Some(vec![Grant::on_all(Role::Viewer)]));
    let narrow = installation.caller(narrow);
    assert_eq!(refusal(&installation.link(&narrow, bob).unwrap_err()), "not_permitted");
}

#[test]
fn the_eleventh_session_ends_the_oldest() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", Vec::new());
    let key = installation.key_of(ada, None);
    let mut started = Vec::new();
    for _ in 0..MAX_SESSIONS {
        installation.world.pass(Duration::from_secs(1));
        started.push(installation.sign_in_with_key(key).unwrap());
    }
    let now = installation.world.now;
    assert_eq!(installation.sessions(ada).active(now).count(), MAX_SESSIONS);
    let one_more = installation.sign_in_with_key(key).unwrap();
    let sessions = installation.sessions(ada);
    assert_eq!(sessions.active(now).count(), MAX_SESSIONS);
    let ended = sessions.session(started[0].id).unwrap().ended.unwrap();
    assert_eq!(ended.reason, SessionEnd::Superseded);
    assert_eq!(one_more.place, started[0].place);
    installation.world.pass(HOUR);
    let done = installation.reuse(&started[0]);
    assert!(done.entries.is_empty(), "its browser still has the cookie and is honest");
}

#[test]
fn the_cookie_of_a_session_that_was_signed_out_ends_all_sessions_once() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", Vec::new());
    let key = installation.key_of(ada, None);
    let sessions = [(); 3].map(|()| installation.sign_in_with_key(key).unwrap());
    let bob = installation.person("bob", Vec::new());
    let key = installation.key_of(bob, None);
    let foreign = installation.sign_in_with_key(key).unwrap();
    let link = installation.link(&cli(), ada).unwrap();
    assert_eq!(reasons(&installation.leave(&sessions[0], false)), ["signed_out"]);
    assert!(installation.leave(&sessions[0], false).entries.is_empty(), "it has ended");
    assert!(installation.reuse(&sessions[0]).entries.is_empty(), "requests were under way");
    assert!(installation.reuse(&sessions[1]).entries.is_empty(), "it has not ended");
    installation.world.pass(Duration::from_secs(6));
    let version = installation.version();
    let done = installation.reuse(&sessions[0]);
    assert_eq!(reasons(&done), ["reused"; 3]);
    assert_eq!(installation.version(), version + 1);
    let now = installation.world.now;
    assert_eq!(installation.sessions(ada).active(now).count(), 0);
    assert!(installation.session(bob, foreign.id).is_active(now));
    assert_eq!(refusal(&installation.sign_in_with_link(ada, link).unwrap_err()), "sign_in_invalid");
    assert!(installation.reuse(&sessions[0]).entries.is_empty(), "once is enough");
}

#[test]
fn signing_out_everywhere_ends_all_sessions_and_links() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", Vec::new());
    let key = installation.key_of(ada, None);
    let sessions = [(); 3].map(|()| installation.sign_in_with_key(key).unwrap());
    let link = installation.link(&cli(), ada).unwrap();
    let done = installation.leave(&sessions[1], true);
    let elsewhere = "signed_out_elsewhere";
    assert_eq!(reasons(&done), [elsewhere, elsewhere, "signed_out_everywhere"]);
    assert_eq!(refusal(&installation.sign_in_with_link(ada, link).unwrap_err()), "sign_in_invalid");
    installation.world.pass(HOUR);
    installation.sign_in_with_key(key).unwrap();
    assert!(installation.reuse(&sessions[0]).entries.is_empty(), "another browser has it still");
    assert_eq!(reasons(&installation.reuse(&sessions[1])).len(), 2);
}

#[test]
fn a_session_is_ended_by_its_person_and_by_admins() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", vec![Grant::on_all(Role::Viewer)]);
    let bob = installation.person("bob", vec![Grant::on_all(Role::Operator)]);
    let [of_ada, of_bob] = [ada, bob]
        .map(|person| installation.key_of(person, None))
        .map(|key| (installation.sign_in_with_key(key).unwrap(), installation.caller(key)));
    let error = installation.end(&of_bob.1, &of_ada.0).unwrap_err();
    assert_eq!(refusal(&error), "not_permitted");
    assert_eq!(reasons(&installation.end(&of_bob.1, &of_bob.0).unwrap()), ["revoked"]);
    assert!(installation.end(&of_bob.1, &of_bob.0).unwrap().entries.is_empty());
    assert_eq!(reasons(&installation.end(&cli(), &of_ada.0).unwrap()), ["revoked"]);
    let unknown = Session { id: CredentialId::from_uuid(uuid::Uuid::nil()), ..of_ada.0 };
    assert_eq!(refusal(&installation.end(&cli(), &unknown).unwrap_err()), "not_found");
}

#[test]
fn a_provider_says_which_groups_and_roles_a_person_has() {
    let mut installation = Installation::new();
    let namesake = installation.person("Ada", vec![Grant::on_all(Role::Viewer)]);
    let session = installation.openid("Ada", &[Role::Operator, Role::Reviewer]).unwrap();
    let id = session.principal;
    assert_ne!(id, namesake);
    assert_eq!(session.started_with, Authentication::OpenId);
    let ada = installation.principal(id);
    assert_eq!((ada.name.as_str(), ada.kind), ("Ada", PrincipalKind::Person));
    assert_eq!(ada.groups, BTreeSet::from(["staff".to_owned()]));
    assert_eq!(ada.grants, [Grant::on_all(Role::Operator), Grant::on_all(Role::Reviewer)]);
    let version = installation.version();
    installation.openid("Ada", &[Role::Operator, Role::Reviewer]).unwrap();
    assert_eq!(installation.version(), version + 1, "nothing but a session is new");
    // People give roles on single projects, and the provider those on all.
    let project = Grant::on_project(Role::Reviewer, projects()[0]);
    let by_hand = PrincipalChange {
        grants: Some(vec![project, Grant::on_all(Role::Admin)]),
        ..PrincipalChange::default()
    };
    installation.change(cli(), id, &by_hand).unwrap();
    installation.openid("Ada Lovelace", &[Role::Viewer]).unwrap();
    let ada = installation.principal(id);
    assert_eq!(ada.grants, [Grant::on_all(Role::Viewer), project]);
    assert_eq!(ada.name, "Ada Lovelace");
    assert_eq!(installation.principal(namesake).grants, [Grant::on_all(Role::Viewer)]);
}

#[test]
fn without_a_role_a_provider_takes_away_what_it_gave() {
    let mut installation = Installation::new();
    let identity = identity("Ada");
    let person = Principal::openid_id(&identity.subject);
    let refused = SignInProof::OpenId(identity.clone(), BTreeSet::new());
    let start = |installation: &mut Installation| {
        let scope = installation.all().record::<Principal>(person);
        let scope = scope.record::<PersonSessions>(person);
        installation
            .run(&scope, &Caller::openid(&identity), |context, snapshot| {
                let id = context.fork(1).id_generator().credential();
                let digest = SessionText::new([9; 32]).digest();
                let new = NewSession { id, digest, browser: browser(), lifetime: HOUR };
                start_session(context, snapshot, person, &refused, &new)
            })
            .unwrap()
    };
    assert!(start(&mut installation).entries.is_empty(), "nothing is created");
    installation.openid("Ada", &[Role::Admin]).unwrap();
    let done = start(&mut installation);
    let told: Vec<_> = done.entries.iter().map(|entry| entry.event_type).collect();
    assert_eq!(told, [EventType::GrantChanged]);
    assert_eq!(installation.principal(person).grants, []);
    assert!(start(&mut installation).entries.is_empty(), "it was taken away");
    for change in [PrincipalChange { disabled: Some(true), ..Default::default() }, deleted()] {
        installation.change(cli(), person, &change).unwrap();
        let error = installation.openid("Ada", &[Role::Admin]).unwrap_err();
        assert_eq!(refusal(&error), "person_disabled");
        assert_eq!(installation.principal(person).grants, []);
    }
}

/// A step about sessions.
#[derive(Debug, Clone)]
enum Step {
    WithKey(Index),
    WithLink(Index),
    LinkByKey(Index, Index),
    LinkBySession(Index, Index),
    End(Index),
    Leave(Index, bool),
    Pass,
}

fn any_step() -> impl Strategy<Value = Step> {
    let pair = || (any::<Index>(), any::<Index>());
    prop_oneof![
        4 => any::<Index>().prop_map(Step::WithKey),
        4 => any::<Index>().prop_map(Step::WithLink),
        3 => pair().prop_map(|(by, of)| Step::LinkByKey(by, of)),
        3 => pair().prop_map(|(by, of)| Step::LinkBySession(by, of)),
        1 => any::<Index>().prop_map(Step::End),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(of, all)| Step::Leave(of, all)),
        1 => Just(Step::Pass),
    ]
}

/// Rights without the work of workers, which those who manage projects let others do.
fn held(caller: &Caller) -> BTreeSet<(Permission, String)> {
    let mut held = permitted(caller.rights());
    held.retain(|(permission, _)| *permission != Permission::WorkDo);
    held
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    /// A session permits nothing that the credential did not permit with which it was started, or with
    /// which its link was created.
    #[test]
    fn no_sequence_of_sign_ins_gains_a_permission(
        people in proptest::collection::vec((any_grants(), proptest::option::of(any_grants())), 1..4),
        steps in proptest::collection::vec(any_step(), 1..16),
    ) {
        let mut installation = Installation::new();
        let mut keys = Vec::new();
        for (n, (grants, narrowed)) in people.into_iter().enumerate() {
            let person = installation.person(&format!("person {n}"), grants);
            keys.push(installation.key_of(person, narrowed));
        }
        let mut sessions: Vec<Session> = Vec::new();
        // Links by person and digest, with what their creators might do.
        let mut links: Vec<(PrincipalId, KeyDigest, Held)> = Vec::new();
        for step in steps {
            match step {
                Step::WithKey(of) => {
                    let key = keys[of.index(keys.len())];
                    let before = held(&installation.caller(key));
                    let session = installation.sign_in_with_key(key).unwrap();
                    prop_assert!(held(&installation.signed_in(&session)).is_subset(&before));
                    sessions.push(session);
                }
                Step::WithLink(of) if !links.is_empty() => {
                    let (person, digest, before) = links[of.index(links.len())].clone();
                    if let Ok(session) = installation.sign_in_with_link(person, digest) {
                        prop_assert!(held(&installation.signed_in(&session)).is_subset(&before));
                        sessions.push(session);
                        prop_assert!(installation.sign_in_with_link(person, digest).is_err());
                    }
                }
                Step::LinkByKey(by, of) => {
                    let caller = installation.caller(keys[by.index(keys.len())]);
                    let person = installation.key(keys[of.index(keys.len())]).principal;
                    if let Ok(digest) = installation.link(&caller, person) {
                        links.push((person, digest, held(&caller)));
                    }
                }
                Step::LinkBySession(by, of) if !sessions.is_empty() => {
                    let session = sessions[by.index(sessions.len())].clone();
                    let caller = installation.signed_in(&session);
                    let person = installation.key(keys[of.index(keys.len())]).principal;
                    if let Ok(digest) = installation.link(&caller, person) {
                        links.push((person, digest, held(&caller)));
                    }
                }
                Step::End(of) if !sessions.is_empty() => {
                    let session = sessions[of.index(sessions.len())].clone();
                    // One that is no longer remembered is unknown.
                    drop(installation.end(&cli(), &session));
                }
                Step::Leave(of, everywhere) if !sessions.is_empty() => {
                    let session = sessions[of.index(sessions.len())].clone();
                    installation.leave(&session, everywhere);
                }
                Step::Pass => installation.world.pass(Duration::from_secs(240)),
                _ => {}
            }
            for person in installation.principals.clone() {
                let now = installation.world.now;
                prop_assert!(installation.sessions(person).active(now).count() <= MAX_SESSIONS);
            }
        }
    }
}

#[test]
fn a_person_that_is_disabled_enabled_or_deleted_loses_its_sessions_and_links_for_good() {
    let switched = |disabled| PrincipalChange { disabled: Some(disabled), ..Default::default() };
    for change in [switched(true), PrincipalChange { deleted: true, ..Default::default() }] {
        let mut installation = Installation::new();
        let ada = installation.person("ada", Vec::new());
        let key = installation.key_of(ada, None);
        let sessions = [(); 2].map(|()| installation.sign_in_with_key(key).unwrap());
        let link = installation.link(&cli(), ada).unwrap();
        let scope = installation.all();
        let done = installation
            .run(&scope, &cli(), |context, snapshot| {
                change_principal(context, snapshot, ada, &change)
            })
            .unwrap();
        assert_eq!(done.entries[0].event_data["sessions_ended"], true);
        let record = installation.sessions(ada);
        assert!(record.links.is_empty());
        assert!(sessions.iter().all(|one| record.session(one.id).unwrap().ended.is_some()));
        if change.deleted {
            continue;
        }
        let enable = switched(false);
        let done = installation
            .run(&scope, &cli(), |context, snapshot| {
                change_principal(context, snapshot, ada, &enable)
            })
            .unwrap();
        assert!(!done.entries[0].event_data.contains_key("sessions_ended"), "there were none");
        assert_eq!(installation.sessions(ada), record);
        assert!(installation.sign_in_with_link(ada, link).is_err());
        installation.sign_in_with_key(key).unwrap();
    }
}

#[test]
fn a_change_of_grants_ends_no_session() {
    let mut installation = Installation::new();
    let ada = installation.person("ada", Vec::new());
    let key = installation.key_of(ada, None);
    let session = installation.sign_in_with_key(key).unwrap();
    let (scope, grants) = (installation.all(), Some(vec![Grant::on_own(Role::Viewer)]));
    let change = PrincipalChange { grants, ..Default::default() };
    installation
        .run(&scope, &cli(), |context, snapshot| change_principal(context, snapshot, ada, &change))
        .unwrap();
    assert_eq!(installation.session(ada, session.id), session);
}
