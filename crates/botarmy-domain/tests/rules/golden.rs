//! The stored form of every event, as a file. A stored log is read for years: a change here means
//! that old logs must still be readable, and that is worth a look.
//!
//! After an intended change, run the test with `UPDATE_GOLDEN=1` and read the difference.

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::budget::{Amount, BudgetAccount, BudgetKey, Limit};
use botarmy_domain::decide::budget::{self, Wanted, accounts_of};
use botarmy_domain::decide::{access, agents, artifacts, emergency, hitl, projects, webhooks};
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::event::{AccessDenied, EventPayload, Note, SessionEnded, SessionStarted};
use botarmy_domain::hitl::{AnswerLinkText, Delegation, NewAnswerLink};
use botarmy_domain::ports::{NewPrincipal, PrincipalChange};
use botarmy_domain::records::Listed;
use botarmy_domain::workflow::Workflow;
use botarmy_domain::{
    AgentType, ApiKey, ArtifactType, Authentication, Browser, Caller, Committed, CredentialId,
    DecisionContext, Entry, EventType, Grant, HitlAction, KeySecret, LeaseHolder, NewWebhook,
    OnExpiry, OpenIdIdentity, OpenIdSubject, Oversight, Package, PersonSessions, Principal,
    PrincipalKind, Response, Role, Row, Scope, SessionText, SignInLinkText, Via, Webhook,
    WebhookChange, WebhookFilter, WebhookId, WebhookKeys, WebhookStop, package,
};
use serde_json::{Map, json};

use crate::people::{reviewer, roster, session_of};
use crate::world::{World, worker};

const WORKFLOW: &str = "
name = \"golden\"
[[step]]
name = \"Plan\"
phase = \"1\"
agent = \"analyst\"
inputs = [\"user_input\"]
output = \"project_plan\"
gate = \"standard\"
";

/// A life in which everything happens that can.
fn life() -> World {
    let workflow = Workflow::from_toml(WORKFLOW).unwrap();
    assert!(workflow.steps[0].is_gated(Oversight::Standard));
    let mut world = World::new();
    world.start(&workflow).unwrap();
    world.pause().unwrap();
    world.resume().unwrap();
    let scope = Scope::project(world.project).everything_open();
    let plan = *world.look(&scope).tasks.keys().next().unwrap();
    world.claim(plan).unwrap();
    world.complete(plan, 1, object(json!({"goals": ["one"]}))).unwrap();

    let task = world.submit().unwrap();
    world.claim(task).unwrap();
    world.ask(task, 1).unwrap();
    let question = *world.pending_requests().last().unwrap();
    world.respond(question, HitlAction::Amend).unwrap();
    world.claim(task).unwrap();
    world.fail(task, 2, false).unwrap();
    world.pass(Duration::from_secs(10));
    world.claim(task).unwrap();
    world.requeue(task, 3).unwrap();
    world.claim(task).unwrap();
    world.fail(task, 4, true).unwrap();
    world.cancel_task(task).unwrap();

    let project = world.look(&scope).project.unwrap();
    world
        .run(&scope, |c, s| {
            let new = NewArtifact::new(ArtifactType::ProjectPlan, object(json!({"mine": true})));
            artifacts::store(c, s, AgentType::Analyst, &new)
        })
        .unwrap();
    world
        .run(&scope, |c, s| {
            // What a package holds is not the log's affair.
            let digest = "0".repeat(64);
            let made = Package { digest, ..package::build(&project, &[], c.now) };
            artifacts::package_made(c, s, &made)
        })
        .unwrap();
    let with_package = scope.clone().record::<Package>(project.id);
    let delete = |context: &_, snapshot: &_| {
        artifacts::package_deleted(context, snapshot, botarmy_domain::Permission::ProjectManage)
    };
    world.run(&with_package, delete).unwrap();
    world.run(&Scope::agent(AgentType::Coder), agents::reset).unwrap();
    let note = || Note(object(json!({"message": "…"})));
    for event in [
        EventPayload::SystemError(note()),
        EventPayload::SystemWarning(note()),
        EventPayload::AgentError(note()),
        EventPayload::WebhookReceived(note()),
    ] {
        let scope = Scope::log(botarmy_domain::LogId::System);
        world
            .run(&scope, |c, s| projects::system_note(&c.by(Caller::system()), s, &event))
            .unwrap();
    }
    world.force().unwrap();
    world
}

/// Lines that earlier versions wrote, and that are read but no longer written. In a project without a
/// workflow, an expired request halted the project; and a rejected budget did, as its question said. A
/// subject changed with the event of a request that is opened.
const EARLIER: [std::ops::Range<usize>; 3] = [25..26, 36..40, 42..54];

fn cancelled() -> World {
    let mut cancelled = World::new();
    cancelled.cancel().unwrap();
    cancelled
}

/// A workflow that is halted by expiry and reopened.
fn reopened() -> World {
    let mut world = World::with(Some(&Workflow::from_toml(WORKFLOW).unwrap()));
    world.defaults.on_expiry = OnExpiry::Reject;
    let request = world.raise().unwrap();
    world.pass(Duration::from_secs(61));
    world.expire(request).unwrap();
    world.reopen(request).unwrap();
    world
}

/// A plan that is approved, replaced by hand, and handed out again in its new version.
fn replaced() -> World {
    let step = "[[step]]\nname = \"Code\"\nphase = \"2\"\nagent = \"coder\"\n\
                inputs = [\"project_plan\"]\noutput = \"source_code\"\n";
    let workflow = Workflow::from_toml(&[WORKFLOW, step].concat()).unwrap();
    let mut world = World::with(Some(&workflow));
    let scope = Scope::project(world.project).everything_open();
    let pending = |world: &mut World| *world.look(&scope).tasks.keys().next().unwrap();
    let plan = pending(&mut world);
    world.claim(plan).unwrap();
    world.complete(plan, 1, object(json!({"goals": ["one"]}))).unwrap();
    let review = world.pending_requests()[0];
    world.respond(review, HitlAction::Approve).unwrap();
    world
        .run(&scope, |c, s| {
            let new =
                NewArtifact::new(ArtifactType::ProjectPlan, object(json!({"goals": ["two"]})));
            artifacts::store(c, s, AgentType::Analyst, &new)
        })
        .unwrap();
    let replacement = world.pending_requests()[0];
    world.respond(replacement, HitlAction::Approve).unwrap();
    let code = pending(&mut world);
    world.claim(code).unwrap();
    world
}

/// Spending and stopping.
fn overseen() -> World {
    let mut world = World::new();
    let id = world.project;
    let own = BudgetKey::Project(id);
    let open = Scope::project(id).everything_open();
    let limit = Limit { tokens: Some(150), cost_micro_usd: Some(1_000_000) };
    world
        .run(&open.clone().record::<BudgetAccount>(own), |c, s| budget::set(c, s, id, limit))
        .unwrap();
    for fence in 1..=2 {
        let task = world.submit().unwrap();
        let started = world.claim(task).unwrap();
        let budget_accounts = accounts_of(started.task(task).unwrap());
        let holder = LeaseHolder { worker: worker(), fence: 1 };
        let until = world.now.after(Duration::from_secs(60));
        let wanted = Wanted {
            amount: Amount { tokens: 100, cost_micro_usd: 1 },
            until,
            per_project: Limit::default(),
            per_day: Limit::default(),
        };
        let scope = open.clone().task(task).records::<BudgetAccount>(budget_accounts);
        let reserved = world.run(&scope, |c, s| {
            budget::reserve(&c.by(Caller::worker(&holder.worker)), s, task, &holder, &wanted, true)
        });
        assert_eq!(reserved.unwrap().task(task).is_some(), fence == 2, "the second has to wait");
    }
    let scope = open.record::<Stop>(StopScope::Project(id));
    let stop = StopScope::Project(id);
    world.run(&scope, |c, s| emergency::stop(c, s, stop, "too much")).unwrap();
    world.run(&scope, |c, s| emergency::release(c, s, stop, "well again")).unwrap();
    world
}

/// A result that is refused, and a worker that falls silent after it.
fn refused() -> World {
    let mut world = World::new();
    let task = world.submit().unwrap();
    for fence in 1..=2 {
        world.claim(task).unwrap();
        world.refuse(task, fence, "output: /goals: is missing").unwrap();
        world.pass(Duration::from_secs(301));
        world.expire_lease(task).unwrap();
        world.pass(Duration::from_secs(10));
    }
    world
}

/// Principals, keys, sessions and denials.
fn managed() -> World {
    let mut world = World::new();
    let key = |c: &DecisionContext, byte: u8| {
        let text = KeySecret::new([byte; 32]).text();
        access::NewApiKey {
            id: c.fork(1).id_generator().credential(),
            name: "laptop".to_owned(),
            hint: text.hint(),
            digest: text.digest(),
            grants: None,
            expires_at: Some(c.now.after(Duration::from_secs(3600))),
        }
    };
    let first = access::first_admin_scope();
    let made = world.run(&first, |c, s| access::first_admin(c, s, &key(c, 1))).unwrap();
    let keys = |rows: &Committed| {
        rows.rows.iter().find_map(|row| match row {
            Row::Record(record) => ApiKey::of(record).cloned(),
            _ => None,
        })
    };
    let admin = made.record::<Principal>(Principal::local_id("admin")).unwrap();
    let admin = Caller::with_key(admin, &keys(&made).unwrap()).with_via(Via::Mcp);
    let service = NewPrincipal {
        name: "ci".to_owned(),
        kind: PrincipalKind::Service,
        groups: vec!["builders".to_owned()],
        grants: vec![Grant::on_own(Role::Operator), Grant::on_project(Role::Worker, world.project)],
    };
    let id = Principal::local_id("ci");
    let of_service = access::scope().record::<Principal>(id);
    world
        .run(&of_service, |c, s| access::create_principal(&c.by(admin.clone()), s, &service))
        .unwrap();
    let narrowed = Some(vec![Grant::on_all(Role::Viewer)]);
    let made = world.run(&of_service, |c, s| {
        let new = access::NewApiKey { grants: narrowed.clone(), ..key(c, 2) };
        access::create_key(&c.by(admin.clone()), s, id, &new)
    });
    let old = keys(&made.unwrap()).unwrap().id;
    let of_key = of_service.clone().record::<ApiKey>(old);
    let day = Duration::from_secs(86_400);
    world
        .run(&of_key, |c, s| access::rotate_key(&c.by(admin.clone()), s, old, &key(c, 3), day))
        .unwrap();
    world.run(&of_key, |c, s| access::revoke_key(&c.by(Caller::local("cli")), s, old)).unwrap();
    let change = PrincipalChange { disabled: Some(true), ..PrincipalChange::default() };
    world
        .run(&of_service, |c, s| access::change_principal(&c.by(admin.clone()), s, id, &change))
        .unwrap();
    let system = Scope::log(botarmy_domain::LogId::System);
    let (start, session_id) = (world.now, old);
    for event in [
        EventPayload::SessionStarted(SessionStarted {
            session_id,
            principal_id: id,
            auth: Authentication::OpenId,
            link_id: None,
            key_id: None,
            grants: None,
            expires_at: start,
        }),
        EventPayload::SessionEnded(SessionEnded {
            session_id,
            principal_id: id,
            reason: "signed out".to_owned(),
        }),
    ] {
        let note =
            |c: &DecisionContext, s: &_| projects::system_note(&c.by(Caller::system()), s, &event);
        world.run(&system, note).unwrap();
    }
    let denied = [AccessDenied {
        reason: "key_invalid".to_owned(),
        source: "192.0.2.1".to_owned(),
        count: 3,
        first_at: start,
        last_at: start.after(Duration::from_secs(1)),
    }];
    world.run(&system, |c, s| access::note_denials(&c.by(Caller::system()), s, &denied)).unwrap();
    world
}

/// Sessions and links of a person.
fn signed_in() -> World {
    let mut world = World::new();
    let identity = OpenIdIdentity {
        subject: OpenIdSubject {
            issuer: "https://id.example".to_owned(),
            subject: "4711".to_owned(),
        },
        name: "Ada".to_owned(),
        groups: vec!["army-staff".to_owned()],
    };
    let person = Principal::openid_id(&identity.subject);
    let browser = Browser { agent: "a browser".to_owned(), address: None }.binding();
    let session = |c: &DecisionContext, byte: u8| access::NewSession {
        id: c.fork(1).id_generator().credential(),
        digest: SessionText::new([byte; 32]).digest(),
        browser,
        lifetime: Duration::from_secs(3600),
    };
    let scope = access::sessions_scope(person, None);
    let proof = access::SignInProof::OpenId(identity.clone(), BTreeSet::from([Role::Admin]));
    let by_provider = Caller::openid(&identity);
    let made = world
        .run(&scope, |c, s| {
            let c = c.by(by_provider.clone());
            access::start_session(&c, s, person, &proof, &session(&c, 1))
        })
        .unwrap();
    let ada = made.record::<Principal>(person).unwrap();
    let first = made.record::<PersonSessions>(person).unwrap().sessions[0].clone();
    let first = Caller::with_session(ada, &first).with_via(Via::Console);
    let text = KeySecret::new([2; 32]).text();
    let key = access::NewApiKey {
        id: CredentialId::from_uuid(uuid::Uuid::from_u128(7)),
        name: "laptop".to_owned(),
        hint: text.hint(),
        digest: text.digest(),
        grants: Some(vec![Grant::on_all(Role::Viewer)]),
        expires_at: None,
    };
    let with_key = access::sessions_scope(person, Some(key.id));
    let made = world
        .run(&with_key, |c, s| access::create_key(&c.by(first.clone()), s, person, &key))
        .unwrap();
    let by_key = Caller::with_key(ada, made.record::<ApiKey>(key.id).unwrap());
    let code = SignInLinkText::new([3; 32]).digest();
    for caller in [&first, &by_key] {
        world
            .run(&with_key, |c, s| {
                let id = c.fork(1).id_generator().credential();
                let digest = if caller == &by_key { code } else { text.digest() };
                let new = access::NewLink { id, digest };
                access::create_link(&c.by(caller.clone()), s, person, &new)
            })
            .unwrap();
    }
    let proof = access::SignInProof::Link(code);
    world
        .run(&with_key, |c, s| {
            let c = c.by(by_key.clone());
            access::start_session(&c, s, person, &proof, &session(&c, 4))
        })
        .unwrap();
    let own = first.credential();
    world.run(&scope, |c, s| access::sign_out(&c.by(first.clone()), s, person, own, true)).unwrap();
    let proof = access::SignInProof::OpenId(identity, BTreeSet::from([Role::Admin]));
    world
        .run(&scope, |c, s| {
            let c = c.by(by_provider.clone());
            access::start_session(&c, s, person, &proof, &session(&c, 5))
        })
        .unwrap();
    let change = PrincipalChange { disabled: Some(true), ..PrincipalChange::default() };
    let cli = Caller::local("cli");
    world
        .run(&scope, |c, s| access::change_principal(&c.by(cli.clone()), s, person, &change))
        .unwrap();
    world
}

/// A webhook from its creation to its deletion.
fn subscribed() -> World {
    let mut world = World::new();
    let id = WebhookId::from_uuid(uuid::Uuid::from_u128(9));
    let scope = webhooks::scope(id);
    let cli = Caller::local("cli");
    let keys = |n: u8| WebhookKeys::new([n; 32], [n + 1; 32], [n + 2; 32]);
    let filter = WebhookFilter {
        events: [EventType::TaskFailed, EventType::ProjectCompleted].into(),
        project_id: Some(world.project),
    };
    let new = NewWebhook {
        url: "https://hooks.example/s3cr3t".to_owned(),
        filter,
        description: "mail".to_owned(),
    };
    world.run(&scope, |c, s| webhooks::create(&c.by(cli.clone()), s, id, &new, &keys(1))).unwrap();
    let day = Duration::from_secs(86_400);
    let made = world
        .run(&scope, |c, s| webhooks::rotate(&c.by(cli.clone()), s, id, &keys(4), day))
        .unwrap();
    let seen = made.record::<Webhook>(id).unwrap().clone();
    world
        .run(&scope, |c, s| {
            let c = c.by(Caller::system());
            webhooks::disable(&c, s, &seen, WebhookStop::Failing, "8 attempts have failed")
        })
        .unwrap();
    let change = WebhookChange {
        events: Some(BTreeSet::new()),
        enabled: Some(true),
        ..WebhookChange::default()
    };
    world.run(&scope, |c, s| webhooks::change(&c.by(cli.clone()), s, id, &change)).unwrap();
    world.run(&scope, |c, s| webhooks::delete(&c.by(cli.clone()), s, id)).unwrap();
    world
}

const REVIEWED: &str = "
name = \"reviewed\"
[[policy]]
name = \"release\"
approvals = 2
groups = { security = 1 }
links = true
escalate = [{ after_s = 3600, to = [\"group:leads\"], ttl_s = 86400 }]
remind_after_s = [600]
[[step]]
name = \"Plan\"
phase = \"1\"
agent = \"analyst\"
inputs = [\"user_input\"]
output = \"project_plan\"
gate = \"standard\"
policy = \"release\"
";

/// A review by several people, who do everything with it that they can.
fn reviewed() -> World {
    let mut world = World::with(Some(&Workflow::from_toml(REVIEWED).unwrap()));
    let scope = Scope::project(world.project).everything_open();
    let [ada, ben, cyd] = [("Ada", "security"), ("Ben", "leads"), ("Cyd", "staff")]
        .map(|(name, group)| reviewer(name, &[group]));
    let [by_ada, by_ben, by_cyd] =
        [&ada, &ben, &cyd].map(|person| session_of(person).with_via(Via::Console));
    let everyone = roster(&[ada, ben, cyd.clone()]);
    world.roster.clone_from(&everyone);
    let plan = *world.look(&scope).tasks.keys().next().unwrap();
    world.claim(plan).unwrap();
    world.complete(plan, 1, object(json!({"goals": ["one"]}))).unwrap();
    let id = world.pending_requests()[0];
    let question = world.raise().unwrap();
    world.on(question, |c, s| hitl::claim(&c.by(by_ada.clone()), s, question)).unwrap();
    world.on(question, |c, s| hitl::unclaim(&c.by(by_ada.clone()), s, question)).unwrap();
    let approve = |world: &mut World| Response {
        subject_digest: Some(world.request(id).subject.digest.clone()),
        comment: Some("As it should be.".to_owned()),
        ..Response::new(HitlAction::Approve)
    };
    let approval = approve(&mut world);
    world.answer_as(&by_ada, id, &approval).unwrap();
    // The only person who can fill the seat leaves.
    world.roster = roster(&[cyd]);
    world.on(id, |c, s| hitl::withdraw(&c.by(by_ada.clone()), s, id)).unwrap();
    world.roster = everyone;
    world.expire(id).unwrap();
    world.pass(Duration::from_secs(601));
    world.expire(id).unwrap();
    world.on(id, |c, s| hitl::comment(&c.by(by_ben.clone()), s, id, "Why?", None)).unwrap();
    world
        .on(id, |c, s| hitl::delegate(&c.by(by_ben.clone()), s, id, "Cyd", Some("Please")))
        .unwrap();
    world.on(id, |c, s| hitl::extend(&c.by(by_cyd.clone()), s, id, 60, Some("A day"))).unwrap();
    let link = NewAnswerLink {
        person: by_cyd.clone(),
        digest: AnswerLinkText::new(id, [9; 32]).digest(),
        actions: vec![HitlAction::Approve],
        expires_at: world.now.after(Duration::from_secs(60)),
    };
    for _ in 0..2 {
        world.on(id, |c, s| hitl::issue_link(&c.by(by_cyd.clone()), s, id, &link)).unwrap();
    }
    let [revoked, used] = [0, 1].map(|n| world.request(id).links[n].id);
    world.on(id, |c, s| hitl::revoke_link(&c.by(by_cyd.clone()), s, id, revoked)).unwrap();
    world.answer_as(&by_ada, id, &approval).unwrap();
    let with_link = Response { link: Some(used), ..approve(&mut world) };
    world.answer_as(&by_cyd, id, &with_link).unwrap();
    world
}

/// A person in whose place another answers.
fn away() -> World {
    let mut world = World::new();
    let cli = Caller::local("cli");
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    for person in [&ada, &ben] {
        let new = NewPrincipal {
            name: person.name.clone(),
            kind: PrincipalKind::Person,
            groups: vec![],
            grants: person.grants.clone(),
        };
        let scope = access::scope().record::<Principal>(person.id);
        world.run(&scope, |c, s| access::create_principal(&c.by(cli.clone()), s, &new)).unwrap();
    }
    let (scope, start) = (access::scope().records::<Principal>([ada.id, ben.id]), world.now);
    let until = start.after(Duration::from_secs(86_400));
    let delegation = Delegation { to: ben.id, from: start, until };
    for delegation in [Some(&delegation), None] {
        let by = session_of(&ada).with_via(Via::Rest);
        world
            .run(&scope, |c, s| access::change_delegation(&c.by(by.clone()), s, ada.id, delegation))
            .unwrap();
    }
    world
}

#[expect(clippy::needless_pass_by_value, reason = "called with literals")]
fn object(value: serde_json::Value) -> Map<String, serde_json::Value> {
    value.as_object().cloned().unwrap()
}

#[test]
fn stored_events_look_as_they_always_did() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/events.jsonl");
    let before = std::fs::read_to_string(&path).unwrap();
    let before: Vec<_> = before.split_inclusive('\n').collect();
    let worlds = [
        life(),
        cancelled(),
        overseen(),
        reopened(),
        replaced(),
        refused(),
        managed(),
        signed_in(),
        subscribed(),
        reviewed(),
        away(),
    ];
    worlds.iter().for_each(World::check_replay);
    let entries: Vec<&Entry> =
        worlds.iter().flat_map(|world| &world.entries).map(AsRef::as_ref).collect();
    let mut lines: Vec<_> =
        entries.iter().map(|e| serde_json::to_string(e).unwrap() + "\n").collect();
    for earlier in EARLIER {
        let kept = before[earlier.clone()].iter().map(|line| (*line).to_owned());
        lines.splice(earlier.start..earlier.start, kept);
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, lines.concat()).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (line, expected) in lines.iter().zip(golden.lines()) {
        assert_eq!(line.trim_end(), expected);
    }
    assert_eq!(lines.len(), golden.lines().count());
    for line in golden.lines() {
        let read: Entry = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), line, "what is stored reads back");
        let payload = EventPayload::of(&read).unwrap();
        assert_eq!(payload.event_type(), read.event_type);
        assert_eq!(payload.to_data(), read.event_data, "a payload holds everything there is");
    }
    let told: BTreeSet<_> = entries.iter().map(|entry| entry.event_type).collect();
    let never: Vec<_> = EventType::ALL.iter().filter(|event| !told.contains(event)).collect();
    assert_eq!(never, [&EventType::ProjectFailed], "a golden line for every event there is");
}
