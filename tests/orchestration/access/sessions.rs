//! Sessions of browsers: signing in, being recognised, signing out, on one server and on two.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use botarmy_domain::access::{MAX_SESSIONS, PreviewToken};
use botarmy_domain::log::LogId;
use botarmy_domain::ports::{
    Access, AuditLog, Denial, PrincipalChange, Sessions, SignIn, SignInRefusal, StartedSession,
};
use botarmy_domain::{
    Authentication, Browser, Caller, ContextId, CredentialId, DomainError, Error, EventType, Grant,
    OpenIdIdentity, OpenIdSubject, Permission, Principal, PrincipalId, PrincipalKind, Role,
};
use botarmy_orchestrator::{AccessControl, AccessSettings, verify_state};
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::TestHarness;

use super::keys::{another_server, until};
use super::{Guarded, access_with, cli, id_of, run, stores};

const MINUTE: Duration = Duration::from_secs(60);

fn browser() -> Browser {
    Browser { agent: "Browser/1".to_owned(), address: Some(IpAddr::from([127, 0, 0, 1])) }
}

impl Guarded {
    pub(super) async fn with(settings: AccessSettings) -> Self {
        let harness = TestHarness::new(ScriptedRunner::default());
        let access = access_with(harness.engine.clone(), settings);
        access.load().await.unwrap();
        Self { harness, access }
    }

    async fn sign_in(&self, proof: SignIn) -> Result<StartedSession, SignInRefusal> {
        self.access.sign_in(proof, &browser(), Some("r-1".to_owned())).await
    }

    pub(super) async fn with_key(&self, key: &str) -> StartedSession {
        self.sign_in(SignIn::Key(key.to_owned())).await.unwrap()
    }

    /// Creates a person with these grants, and signs it in with a key.
    async fn signed_in(&self, name: &str, grants: &[Grant]) -> StartedSession {
        let key = self.key_of(name, PrincipalKind::Person, grants).await;
        self.with_key(&key).await
    }

    async fn link_for(&self, person: PrincipalId) -> String {
        self.access.create_link(person, cli()).await.unwrap().text.expose().to_owned()
    }

    fn knows(&self, session: &StartedSession) -> Result<Caller, Denial> {
        self.access.caller_of(session.text.expose(), &browser())
    }

    fn pass(&self, time: Duration) {
        self.harness.clock.advance(time);
    }

    async fn change(&self, name: &str, change: PrincipalChange) {
        self.access.change_principal(id_of(name), change, cli()).await.unwrap();
    }

    /// Checks that the stored rows follow from the log.
    async fn verify(&self) {
        let log = verify_state(&stores(&self.harness), LogId::System, None, 100).await.unwrap();
        assert!(log.is_valid(), "{log:?}");
    }

    /// Returns the log of the system as text.
    async fn log(&self) -> String {
        let log = self.harness.store.since(LogId::System, 0, 10_000).await.unwrap();
        log.items.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect()
    }
}

fn is_not_found<T>(done: &Result<T, Error>) -> bool {
    matches!(done, Err(Error::Refused(DomainError::NotFound { .. })))
}

#[tokio::test]
async fn a_cookie_is_its_person_until_it_signs_out() {
    let guarded = Guarded::new().await;
    let started = guarded.signed_in("ada", &[Grant::on_all(Role::Viewer)]).await;
    let caller = guarded.knows(&started).unwrap();
    assert_eq!(caller, started.caller);
    assert_eq!((caller.name(), caller.principal()), ("ada", Some(id_of("ada"))));
    assert_eq!(caller.authentication(), Authentication::Session);
    assert_eq!(caller.credential(), Some(started.session.id));
    assert!(caller.rights().has_globally(Permission::ProjectRead));
    let text = started.text.expose();
    for other in ["", "x", &text[1..], &text.to_uppercase(), &format!("{text} ")] {
        assert_eq!(guarded.access.caller_of(other, &browser()), Err(Denial::Invalid), "{other}");
        assert_eq!(guarded.access.authenticate(other), Err(Denial::Invalid), "{other}");
    }
    assert_eq!(guarded.access.authenticate(text), Err(Denial::Invalid), "no key");
    let with_id = caller.clone().with_request_id(Some("r".to_owned()));
    assert_eq!(guarded.access.recheck(&with_id).unwrap().request_id(), Some("r"));
    guarded.access.sign_out(caller.clone(), false).await.unwrap();
    assert_eq!(guarded.knows(&started), Err(Denial::Invalid));
    assert_eq!(guarded.access.recheck(&caller), Err(Denial::Invalid));
    guarded.access.sign_out(caller, false).await.unwrap();
    guarded.verify().await;
}

#[tokio::test]
async fn a_session_belongs_to_its_browser() {
    let guarded = Guarded::new().await;
    let started = guarded.signed_in("ada", &[]).await;
    let of = |agent: &str, address: &str| Browser {
        agent: agent.to_owned(),
        address: Some(address.parse().unwrap()),
    };
    let cookie = started.text.expose();
    for (browser, is_same) in [
        (of("Browser/1", "127.0.0.1"), true),
        (of("Browser/1", "::1"), true),
        (of("Browser/1", "10.0.0.1"), false),
        (of("Browser/1", "192.0.2.1"), false),
        (of("Browser/2", "127.0.0.1"), false),
        (of("", "127.0.0.1"), false),
        (Browser { address: None, ..browser() }, false),
    ] {
        let found = guarded.access.caller_of(cookie, &browser);
        assert_eq!(found.is_ok(), is_same, "{browser:?}");
        let found = guarded.access.find_caller(cookie, &browser).await;
        assert_eq!(found.is_ok(), is_same, "{browser:?}");
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_unused_and_in_any_case_after_its_time() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ada", PrincipalKind::Person, &[]).await;
    let (idle, busy) = (guarded.with_key(&key).await, guarded.with_key(&key).await);
    for _ in 0..11 {
        guarded.pass(59 * MINUTE);
        guarded.knows(&busy).unwrap();
        // Looking whether an open connection may stay is no use.
        assert_eq!(guarded.access.recheck(&idle.caller).is_ok(), idle_is_young(&guarded, &idle));
    }
    assert_eq!(guarded.knows(&idle), Err(Denial::Expired));
    guarded.pass(59 * MINUTE);
    guarded.knows(&busy).unwrap();
    guarded.pass(12 * MINUTE);
    assert_eq!(guarded.knows(&busy), Err(Denial::Expired), "12 hours");
    assert_eq!(guarded.access.recheck(&busy.caller), Err(Denial::Expired));
    assert_eq!(
        guarded.access.find_caller(busy.text.expose(), &browser()).await,
        Err(Denial::Expired)
    );
    guarded.verify().await;
}

#[tokio::test]
async fn a_preview_belongs_to_its_session_and_does_not_keep_it_alive() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ada", PrincipalKind::Person, &[]).await;
    let (one, other) = (guarded.with_key(&key).await, guarded.with_key(&key).await);
    let artifact = ContextId::from_uuid(one.session.id.uuid());
    let token = |started: &StartedSession, id| {
        PreviewToken::new(&started.text, id, artifact, guarded.harness.now())
    };
    let ask =
        async |token: &PreviewToken| guarded.access.find_caller_of_preview(token, &browser()).await;
    let right = token(&one, one.session.id);
    assert_eq!(ask(&right).await.unwrap(), one.caller);
    // Made with the cookie of one session, in the name of the other.
    assert_eq!(ask(&token(&one, other.session.id)).await, Err(Denial::Invalid));
    let unknown = CredentialId::from_uuid(one.session.principal.uuid());
    assert_eq!(ask(&token(&one, unknown)).await, Err(Denial::Invalid));
    assert_eq!(ask(&PreviewToken::open(artifact)).await, Err(Denial::Invalid));
    let thief = Browser { agent: "Browser/2".to_owned(), ..browser() };
    assert_eq!(guarded.access.find_caller_of_preview(&right, &thief).await, Err(Denial::Invalid));
    guarded.access.sign_out(one.caller.clone(), false).await.unwrap();
    assert_eq!(ask(&right).await, Err(Denial::Invalid));
    // The frame of the other session asks all the time, and its person does nothing.
    for _ in 0..6 {
        guarded.pass(9 * MINUTE);
        ask(&token(&other, other.session.id)).await.unwrap();
    }
    let last = token(&other, other.session.id);
    guarded.pass(7 * MINUTE);
    assert_eq!(ask(&last).await, Err(Denial::Expired), "an hour without a use");
}

/// Returns whether the session was started less than an hour ago.
fn idle_is_young(guarded: &Guarded, started: &StartedSession) -> bool {
    guarded.harness.now().since(started.session.started_at) < 60 * MINUTE
}

#[tokio::test]
async fn a_session_never_has_more_than_its_key_and_ends_with_it() {
    let guarded = Guarded::new().await;
    guarded.key_of("ada", PrincipalKind::Person, &[Grant::on_all(Role::Admin)]).await;
    let narrowed = Some(vec![Grant::on_own(Role::Viewer)]);
    let (id, key) = guarded.another_key(id_of("ada"), narrowed).await;
    let started = guarded.with_key(&key).await;
    assert!(!started.caller.rights().has_globally(Permission::ProjectRead));
    guarded.access.revoke_key(id, cli()).await.unwrap();
    assert_eq!(guarded.knows(&started), Err(Denial::Invalid));
    assert_eq!(guarded.access.recheck(&started.caller), Err(Denial::Invalid));
    let (id, key) = guarded.another_key(id_of("ada"), None).await;
    let started = guarded.with_key(&key).await;
    guarded.access.rotate_key(id, MINUTE, None, cli()).await.unwrap();
    guarded.knows(&started).unwrap();
    guarded.pass(MINUTE);
    assert_eq!(guarded.knows(&started), Err(Denial::Expired), "the key was replaced");
    let refused = guarded.sign_in(SignIn::Key(key)).await.unwrap_err();
    assert!(matches!(refused, SignInRefusal::Expired), "{refused:?}");
    guarded.verify().await;
}

#[tokio::test]
async fn changes_of_a_person_reach_its_sessions_at_once() {
    let guarded = Guarded::new().await;
    guarded.key_of("root", PrincipalKind::Person, &[Grant::on_all(Role::Admin)]).await;
    let started = guarded.signed_in("ada", &[Grant::on_all(Role::Admin)]).await;
    let grants = Some(vec![Grant::on_all(Role::Viewer)]);
    guarded.change("ada", PrincipalChange { grants, ..Default::default() }).await;
    let caller = guarded.access.recheck(&started.caller).unwrap();
    assert!(!caller.rights().has_globally(Permission::AccessManage));
    assert_eq!(guarded.knows(&started), Ok(caller));
    guarded.change("ada", PrincipalChange { disabled: Some(true), ..Default::default() }).await;
    assert_eq!(guarded.knows(&started), Err(Denial::Invalid));
    guarded.change("ada", PrincipalChange { disabled: Some(false), ..Default::default() }).await;
    assert_eq!(guarded.knows(&started), Err(Denial::Invalid), "it does not come back");
    guarded.change("ada", PrincipalChange { deleted: true, ..Default::default() }).await;
    assert_eq!(guarded.knows(&started), Err(Denial::Invalid));
    guarded.verify().await;
}

#[tokio::test]
async fn programs_and_wrong_keys_do_not_sign_in() {
    let guarded = Guarded::new().await;
    let program = guarded.key_of("ci", PrincipalKind::Service, &[Grant::on_all(Role::Admin)]).await;
    let refused = guarded.sign_in(SignIn::Key(program)).await.unwrap_err();
    assert!(matches!(refused, SignInRefusal::NotAPerson), "{refused:?}");
    assert_eq!(refused.code(), "not_a_person");
    let unknown = botarmy_domain::KeySecret::new([9; 32]).text().expose().to_owned();
    let code = botarmy_domain::SignInLinkText::new([9; 32]).expose().to_owned();
    for proof in [
        SignIn::Key(String::new()),
        SignIn::Key(unknown.clone()),
        SignIn::Key(code.clone()),
        SignIn::Link(String::new()),
        SignIn::Link(unknown),
        SignIn::Link(code),
    ] {
        let refused = guarded.sign_in(proof.clone()).await.unwrap_err();
        assert!(matches!(refused, SignInRefusal::Invalid), "{proof:?}: {refused:?}");
    }
    assert!(!guarded.log().await.contains("session_started"));
}

#[tokio::test]
async fn of_two_that_use_a_link_at_once_one_is_signed_in() {
    let guarded = Guarded::new().await;
    guarded.key_of("ada", PrincipalKind::Person, &[Grant::on_all(Role::Viewer)]).await;
    for _ in 0..20 {
        let link = guarded.link_for(id_of("ada")).await;
        let tries = (0..4).map(|_| {
            let (access, link) = (guarded.access.clone(), link.clone());
            tokio::spawn(async move { access.sign_in(SignIn::Link(link), &browser(), None).await })
        });
        let mut started = 0;
        for one in tries.collect::<Vec<_>>() {
            match one.await.unwrap() {
                Ok(_) => started += 1,
                Err(refused) => assert!(matches!(refused, SignInRefusal::Invalid), "{refused:?}"),
            }
        }
        assert_eq!(started, 1);
    }
    let link = guarded.link_for(id_of("ada")).await;
    guarded.pass(10 * MINUTE);
    let refused = guarded.sign_in(SignIn::Link(link)).await.unwrap_err();
    assert!(matches!(refused, SignInRefusal::Expired), "{refused:?}");
    guarded.verify().await;
}

#[tokio::test]
async fn a_person_has_ten_sessions_and_sees_its_own() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ada", PrincipalKind::Person, &[]).await;
    let mut started = Vec::new();
    for _ in 0..=MAX_SESSIONS {
        guarded.pass(Duration::from_secs(1));
        started.push(guarded.with_key(&key).await);
    }
    assert_eq!(guarded.knows(&started[0]), Err(Denial::Invalid), "the eleventh ended it");
    let ada = guarded.knows(&started[1]).unwrap();
    let bob = guarded.signed_in("bob", &[]).await;
    let own = guarded.access.sessions(&ada, Some(id_of("ada")), None, 4).await.unwrap();
    assert!(own.has_more);
    let after = own.items.last().map(|used| used.session.id);
    let rest = guarded.access.sessions(&ada, Some(id_of("ada")), after, 50).await.unwrap();
    let listed: Vec<_> = own.items.iter().chain(&rest.items).map(|used| used.session.id).collect();
    let expected: Vec<_> = started[1..].iter().map(|started| started.session.id).collect();
    assert_eq!((listed, rest.has_more), (expected, false));
    assert!(own.items.iter().all(|used| used.name == "ada"));
    for foreign in [None, Some(id_of("bob"))] {
        let refused = guarded.access.sessions(&ada, foreign, None, 10).await;
        assert!(matches!(refused, Err(Error::Refused(DomainError::NotPermitted { .. }))));
    }
    let all = guarded.access.sessions(&cli(), None, None, 100).await.unwrap();
    assert_eq!(all.items.len(), MAX_SESSIONS + 1);

    // Another's session is as unknown as one that never was.
    assert!(is_not_found(&guarded.access.end_session(bob.session.id, ada.clone()).await));
    let unknown = CredentialId::from_uuid(uuid::Uuid::nil());
    assert!(is_not_found(&guarded.access.end_session(unknown, cli()).await));
    guarded.access.end_session(started[2].session.id, ada.clone()).await.unwrap();
    assert_eq!(guarded.knows(&started[2]), Err(Denial::Invalid));
    assert!(guarded.access.end_session(bob.session.id, cli()).await.unwrap());
    assert_eq!(guarded.knows(&bob), Err(Denial::Invalid));
    assert!(!guarded.access.end_session(bob.session.id, cli()).await.unwrap(), "it has ended");
    guarded.verify().await;
}

#[tokio::test]
async fn the_cookie_of_a_session_that_was_signed_out_ends_the_others_and_is_recorded() {
    let guarded = Guarded::new().await;
    let _running = run(&guarded.access);
    let key = guarded.key_of("ada", PrincipalKind::Person, &[]).await;
    let (stolen, other) = (guarded.with_key(&key).await, guarded.with_key(&key).await);
    let bob = guarded.signed_in("bob", &[]).await;
    guarded.access.sign_out(stolen.caller.clone(), false).await.unwrap();
    for _ in 0..10 {
        assert_eq!(guarded.knows(&stolen), Err(Denial::Invalid));
    }
    guarded.pass(Duration::from_secs(6));
    guarded.knows(&other).unwrap();
    assert_eq!(guarded.knows(&stolen), Err(Denial::Invalid));
    until(|| guarded.knows(&other) == Err(Denial::Invalid)).await;
    guarded.knows(&bob).unwrap();
    let again = guarded.with_key(&key).await;
    assert_eq!(guarded.knows(&stolen), Err(Denial::Invalid));
    // A decision that comes after the one that would follow from the cookie.
    guarded.with_key(&key).await;
    guarded.knows(&again).unwrap();
    assert_eq!(guarded.log().await.matches("\"reused\"").count(), 2);
    guarded.verify().await;
}

#[tokio::test]
async fn a_session_that_ended_in_any_other_way_harms_nothing() {
    let guarded = Guarded::new().await;
    let _running = run(&guarded.access);
    let key = guarded.key_of("ada", PrincipalKind::Person, &[]).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(guarded.with_key(&key).await);
    }
    guarded.access.end_session(sessions[0].session.id, cli()).await.unwrap();
    guarded.access.sign_out(sessions[1].caller.clone(), true).await.unwrap();
    guarded.pass(MINUTE);
    let fresh = guarded.with_key(&key).await;
    for one in [&sessions[0], &sessions[2]] {
        assert_eq!(guarded.knows(one), Err(Denial::Invalid));
    }
    let last = guarded.with_key(&key).await;
    for one in [&fresh, &last] {
        guarded.knows(one).unwrap();
    }
    assert!(!guarded.log().await.contains("\"reused\""));
}

#[tokio::test]
async fn another_server_knows_a_session_at_once_and_its_end_within_a_second() {
    let guarded = Guarded::new().await;
    let (other, _) = another_server(&guarded);
    other.load().await.unwrap();
    let started = guarded.signed_in("ada", &[]).await;
    let cookie = started.text.expose();
    assert_eq!(other.caller_of(cookie, &browser()), Err(Denial::Invalid));
    assert_eq!(other.find_caller(cookie, &browser()).await.unwrap(), started.caller);
    let _running = run(&other);
    guarded.access.sign_out(started.caller.clone(), false).await.unwrap();
    let ended = Instant::now();
    until(|| other.recheck(&started.caller) == Err(Denial::Invalid)).await;
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
}

#[tokio::test]
async fn a_link_works_on_another_server_at_once() {
    let guarded = Guarded::new().await;
    guarded.key_of("ada", PrincipalKind::Person, &[]).await;
    let (other, _) = another_server(&guarded);
    other.load().await.unwrap();
    let link = guarded.link_for(id_of("ada")).await;
    other.sign_in(SignIn::Link(link), &browser(), None).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_used_on_one_server_does_not_end_on_another() {
    let guarded = Guarded::new().await;
    let _running = run(&guarded.access);
    let started = guarded.signed_in("ada", &[]).await;
    let (other, _) = another_server(&guarded);
    other.load().await.unwrap();
    let cookie = started.text.expose();
    other.caller_of(cookie, &browser()).unwrap();
    guarded.pass(50 * MINUTE);
    guarded.knows(&started).unwrap();
    // The note of the use is written in the background.
    let (records, use_id) = (&stores(&guarded.harness).records, started.session.use_id());
    while records.key_uses().await.unwrap().iter().all(|(id, _)| *id != use_id) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    guarded.pass(50 * MINUTE);
    assert_eq!(other.caller_of(cookie, &browser()), Err(Denial::Expired), "it does not know yet");
    assert!(other.find_caller(cookie, &browser()).await.is_ok());
    assert!(other.caller_of(cookie, &browser()).is_ok());
    // A server that starts later knows as well.
    let (third, _) = another_server(&guarded);
    third.load().await.unwrap();
    third.caller_of(cookie, &browser()).unwrap();
    guarded.pass(61 * MINUTE);
    assert_eq!(third.find_caller(cookie, &browser()).await, Err(Denial::Expired));
}

#[tokio::test]
async fn a_running_server_reads_the_uses_on_others_by_itself() {
    let idle = Duration::from_secs(1);
    let guarded =
        Guarded::with(AccessSettings { session_idle: idle, ..AccessSettings::default() }).await;
    let _running = run(&guarded.access);
    let started = guarded.signed_in("ada", &[]).await;
    let settings = AccessSettings { session_idle: idle, ..AccessSettings::default() };
    let other = access_with(guarded.harness.engine.clone(), settings);
    let _other_running = run(&other);
    let cookie = started.text.expose();
    until(|| other.caller_of(cookie, &browser()).is_ok()).await;
    guarded.pass(idle * 9 / 10);
    guarded.knows(&started).unwrap();
    guarded.pass(idle * 9 / 10);
    until(|| other.recheck(&started.caller).is_ok()).await;
}

#[tokio::test]
async fn the_oidc_groups_of_a_person_are_its_roles() {
    let mapped = |group: &str, roles: &[Role]| (group.to_owned(), roles.iter().copied().collect());
    let group_roles = BTreeMap::from([
        mapped("army-admins", &[Role::Admin]),
        mapped("army-staff", &[Role::Viewer, Role::Operator]),
    ]);
    let guarded = Guarded::with(AccessSettings { group_roles, ..AccessSettings::default() }).await;
    let local = guarded.signed_in("Ada", &[Grant::on_all(Role::Viewer)]).await;
    let identity = |groups: &[&str]| OpenIdIdentity {
        subject: OpenIdSubject {
            issuer: "https://id.example".to_owned(),
            subject: "4711".to_owned(),
        },
        name: "Ada".to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let sign_in = async |groups: &[&str]| guarded.sign_in(SignIn::OpenId(identity(groups))).await;
    let refused = sign_in(&["others", "ARMY-ADMINS", "army-admins "]).await.unwrap_err();
    assert_eq!(refused.code(), "no_mapped_group");
    assert!(!guarded.log().await.contains("4711"), "nothing is created");
    let started = sign_in(&["others", "army-admins"]).await.unwrap();
    assert!(started.caller.rights().has_globally(Permission::AccessManage));
    assert!(started.caller.groups().contains("others"));
    let id = Principal::openid_id(&identity(&[]).subject);
    assert_eq!(started.caller.principal(), Some(id));
    assert_ne!(local.caller.principal(), Some(id));
    assert!(!started.caller.is(&local.caller.actor()) && !local.caller.is(&started.caller.actor()));
    assert_ne!(started.caller.worker_id("w"), local.caller.worker_id("w"));
    let staff = sign_in(&["army-staff"]).await.unwrap();
    assert!(!staff.caller.rights().has_globally(Permission::AccessManage));
    let earlier = guarded.knows(&started).unwrap();
    assert!(!earlier.rights().has_globally(Permission::AccessManage), "in all sessions");
    let refused = sign_in(&[]).await.unwrap_err();
    assert_eq!(refused.code(), "no_mapped_group");
    assert!(!guarded.knows(&started).unwrap().rights().has_somewhere(Permission::ProjectRead));
    let disabled = PrincipalChange { disabled: Some(true), ..PrincipalChange::default() };
    guarded.access.change_principal(id, disabled, cli()).await.unwrap();
    let refused = sign_in(&["army-admins"]).await.unwrap_err();
    assert_eq!(refused.code(), "person_disabled");
    guarded.verify().await;
}

#[tokio::test]
async fn the_log_says_who_signed_in_and_has_no_secret() {
    let guarded = Guarded::new().await;
    let key = guarded.key_of("ada", PrincipalKind::Person, &[]).await;
    let by_key = guarded.with_key(&key).await;
    let for_itself = guarded.access.create_link(id_of("ada"), by_key.caller.clone()).await.unwrap();
    let code = for_itself.text.expose().to_owned();
    let by_link = guarded.sign_in(SignIn::Link(code.clone())).await.unwrap();
    guarded.access.sign_out(by_link.caller.clone(), true).await.unwrap();
    let entries = guarded.harness.store.since(LogId::System, 0, 100).await.unwrap().items;
    let about = [
        EventType::SessionStarted,
        EventType::SignInLinkCreated,
        EventType::SessionStarted,
        EventType::SessionEnded,
        EventType::SessionEnded,
    ];
    let told: Vec<_> = entries.iter().filter(|entry| about.contains(&entry.event_type)).collect();
    assert_eq!(told.iter().map(|entry| entry.event_type).collect::<Vec<_>>(), about);
    assert!(told.iter().all(|entry| entry.event_metadata["actor"] == "ada"));
    assert_eq!(told[0].event_metadata["request_id"], "r-1");
    assert_eq!(told[0].event_metadata["via"], "console");
    let auths: Vec<_> = told.iter().map(|entry| &entry.event_metadata["auth"]).collect();
    assert_eq!(auths, ["key", "session", "link", "session", "session"]);
    let shown = format!(
        "{} {by_key:?} {by_link:?} {for_itself:?} {:?}",
        guarded.log().await,
        SignIn::Link(code.clone())
    );
    for secret in [by_key.text.expose(), by_link.text.expose(), &code, &key] {
        assert!(!shown.contains(&secret[10..]), "a secret is shown");
    }
    guarded.verify().await;
}

#[tokio::test]
async fn without_the_store_no_session_is_accepted_after_a_while() {
    let guarded = Guarded::new().await;
    let started = guarded.signed_in("ada", &[]).await;
    let (other, records) = another_server(&guarded);
    let cookie = started.text.expose();
    assert_eq!(other.caller_of(cookie, &browser()), Err(Denial::Unavailable));
    records.fail(true);
    assert_eq!(other.find_caller(cookie, &browser()).await, Err(Denial::Unavailable));
    let refused = other.sign_in(SignIn::Key(String::new()), &browser(), None).await;
    assert!(matches!(refused, Err(SignInRefusal::Invalid)));
    records.fail(false);
    other.load().await.unwrap();
    other.caller_of(cookie, &browser()).unwrap();
}

/// Every method of the port is that of a trait object, as the borders hold it.
#[test]
fn the_port_is_object_safe() {
    fn takes(_: &dyn Sessions) {}
    let _: fn(&AccessControl) = |access| takes(access);
}
