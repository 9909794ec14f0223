//! Rules of reviews one by one: who answers in whose place, what ends a review, and what does not count.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::decide::{artifacts, hitl};
use botarmy_domain::hitl::{AnswerLinkText, Delegation, GateSettings, HitlState, NewAnswerLink};
use botarmy_domain::vocabulary::Verdict;
use botarmy_domain::{
    AgentType, ArtifactType, Authentication, Caller, DomainError, HitlAction, HitlKind,
    HitlRequest, HitlRequestId, HitlStatus, NewRequest, OnExpiry, Principal, ProjectStatus,
    Response, Role, Scope, WorkerId, Workflow,
};
use serde_json::{Value, json};

use crate::people::{of_provider, principal, reviewer, roster, session_of, with_proof};
use crate::world::{Outcome, World};

/// Returns a workflow with one step, reviewed under a policy with these lines.
fn workflow(policy: &str, step: &str) -> Workflow {
    let text = format!(
        "name = \"one\"\n[[policy]]\nname = \"p\"\ndigest = \"optional\"\ncomment = []\n{policy}\n\
         [[step]]\nname = \"Plan\"\nphase = \"1\"\nagent = \"analyst\"\noutput = \"project_plan\"\n\
         gate = \"standard\"\npolicy = \"p\"\n{step}\n"
    );
    Workflow::from_toml(&text).unwrap()
}

/// Step after the first.
const DEPLOY: &str = "[[step]]\nname = \"Deploy\"\nphase = \"2\"\nagent = \"deployer\"\n\
    inputs = [\"project_plan\"]\noutput = \"deployment_log\"\ngate = \"standard\"\n";

/// Returns a world in which the step is under review by these people.
fn reviewed(policy: &str, people: &[Principal]) -> (World, HitlRequestId) {
    let mut world = World::with(Some(&workflow(policy, "")));
    world.roster = roster(people);
    let gate = made(&mut world);
    (world, gate)
}

/// Executes the step, and returns its review.
fn made(world: &mut World) -> HitlRequestId {
    let scope = Scope::project(world.project).everything_open();
    let task = *world.look(&scope).tasks.keys().next().unwrap();
    let attempt = world.look(&scope).tasks[&task].attempt + 1;
    world.claim(task).unwrap();
    world.complete(task, attempt, object(json!({"goals": [attempt]}))).unwrap();
    *world.pending_requests().last().unwrap()
}

/// Stores a plan in the name of a person.
fn store(world: &mut World, by: &Principal) {
    let scope = Scope::project(world.project).everything_open();
    let new = NewArtifact::new(ArtifactType::ProjectPlan, object(json!({"by": by.name})));
    let by = session_of(by);
    world
        .run(&scope, |c, s| artifacts::store(&c.by(by.clone()), s, AgentType::Analyst, &new))
        .unwrap();
}

#[expect(clippy::needless_pass_by_value, reason = "called with literals")]
fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn approve() -> Response {
    Response::new(HitlAction::Approve)
}

fn reject() -> Response {
    Response::new(HitlAction::Reject)
}

fn changes() -> Response {
    let content = Some("Otherwise".to_owned());
    Response { content, ..Response::new(HitlAction::Amend) }
}

fn amendment() -> Response {
    let amended_content = Some(object(json!({"goals": ["mine"]})));
    Response { amended_content, ..Response::new(HitlAction::Amend) }
}

/// Returns the code of the error, or `ok`.
fn code(outcome: Outcome) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(
            DomainError::Conflict { code, .. }
            | DomainError::Forbidden { code, .. }
            | DomainError::Gone { code, .. }
            | DomainError::PreconditionRequired { code, .. },
        ) => code,
        Err(DomainError::Invalid { .. }) => "invalid",
        Err(DomainError::BadRequest(_)) => "bad_request",
        Err(DomainError::NotPermitted { .. }) => "not_permitted",
        Err(DomainError::NotFound { .. }) => "not_found",
        Err(other) => panic!("{other:?}"),
    }
}

fn say(world: &mut World, by: &Principal, id: HitlRequestId, response: &Response) -> &'static str {
    code(world.answer_as(&session_of(by), id, response))
}

fn delegates(world: &mut World, id: HitlRequestId, by: &Principal, to: &str) -> &'static str {
    code(world.on(id, |c, s| hitl::delegate(&c.by(session_of(by)), s, id, to, None)))
}

#[test]
fn candidates_are_people_groups_and_roles_and_others_are_refused() {
    let ada = reviewer("ada", &["security"]);
    let ben = reviewer("ben", &[]);
    let eve = principal("eve", ada.kind, &[], &[Role::Admin]);
    let namesake = of_provider("ada");
    let all = [ada, ben, eve, namesake];
    for (candidates, answers) in [
        ("user:ada", [true, false, false, false]),
        ("group:security", [true, false, false, false]),
        ("role:admin", [false, false, true, false]),
        ("role:reviewer", [true, true, true, true]),
    ] {
        for (person, may) in all.iter().zip(answers) {
            let policy = format!("candidates = [\"{candidates}\"]");
            let (mut world, id) = reviewed(&policy, &all);
            let found = say(&mut world, person, id, &approve());
            let expected = if may { "ok" } else { "not_eligible" };
            assert_eq!(found, expected, "{} of {candidates}", person.id);
        }
    }
}

#[test]
fn an_open_server_has_its_groups_from_the_settings() {
    let mut world = World::with(Some(&workflow("groups = { leads = 1 }\napprovals = 1", "")));
    let groups = [("leads".to_owned(), ["ada".to_owned()].into())].into();
    let gates = GateSettings { groups, ..GateSettings::default() };
    world.defaults.gates = Arc::new(gates);
    let id = made(&mut world);
    world.answer_as(&Caller::person("ben"), id, &approve()).unwrap();
    assert_eq!(world.request(id).status(), HitlStatus::Pending, "no seat for the other");
    world.answer_as(&Caller::person("ada"), id, &approve()).unwrap();
    assert_eq!(world.request(id).status(), HitlStatus::Approved);
    assert!(world.request(id).votes.iter().all(|vote| vote.auth == Authentication::Open));
}

#[test]
fn programs_answer_nothing_whatever_their_roles() {
    let ada = principal("ada", reviewer("a", &[]).kind, &[], &[Role::Admin, Role::Worker]);
    let ci = principal("ci", botarmy_domain::PrincipalKind::Service, &[], &[Role::Admin]);
    let (mut world, id) = reviewed("", std::slice::from_ref(&ada));
    let key = with_proof(&ada, Authentication::Key);
    let worker = WorkerId::external("ada/w");
    let programs =
        [with_proof(&ci, Authentication::Key), key.as_worker(&worker), key.with_token_as(&worker)];
    for program in programs {
        for response in [approve(), reject(), changes(), amendment()] {
            let refused = world.answer_as(&program, id, &response);
            assert_eq!(code(refused), "persons_only", "{}", program.name());
        }
        let refused = world.on(id, |c, s| hitl::claim(&c.by(program.clone()), s, id));
        assert_eq!(code(refused), "persons_only");
    }
    assert_eq!(code(world.answer_as(&key, id, &approve())), "ok", "a person with a key");
}

#[test]
fn a_policy_can_refuse_keys() {
    let ada = reviewer("ada", &[]);
    let (mut world, id) = reviewed("auth = \"interactive\"", std::slice::from_ref(&ada));
    let with_key = with_proof(&ada, Authentication::Key);
    assert_eq!(code(world.answer_as(&with_key, id, &approve())), "interactive_required");
    assert_eq!(say(&mut world, &ada, id, &approve()), "ok");
}

#[test]
fn excluded_people_and_their_delegates_release_nothing_but_may_reject() {
    let [ada, ben, cyd] = ["ada", "ben", "cyd"].map(|name| reviewer(name, &[]));
    let mut run = principal("ada", ada.kind, &[], &[Role::Reviewer, Role::Operator]);
    run.id = ada.id;
    let people = [run.clone(), ben.clone(), cyd.clone()];
    let seen = |world: &mut World, id, response: Response| {
        let subject_digest = Some(world.request(id).subject.digest.clone());
        Response { subject_digest, ..response }
    };
    let (mut world, id) =
        reviewed("exclude = [\"author\"]\ncandidates = [\"user:ada\", \"user:cyd\"]", &people);
    store(&mut world, &run);
    for response in [approve(), amendment()] {
        let response = seen(&mut world, id, response);
        assert_eq!(say(&mut world, &run, id, &response), "separation_of_duties");
    }
    assert_eq!(delegates(&mut world, id, &run, "ben"), "ok");
    let response = seen(&mut world, id, approve());
    assert_eq!(say(&mut world, &ben, id, &response), "separation_of_duties", "for another");
    // A place in which the delegate can do more comes first.
    assert_eq!(delegates(&mut world, id, &cyd, "ben"), "ok");
    assert_eq!(say(&mut world, &ben, id, &response), "ok");
    assert_eq!(world.request(id).votes[0].on_behalf_of.as_ref().unwrap().name, "cyd");

    let (mut world, id) = reviewed("exclude = [\"author\"]", &people);
    store(&mut world, &run);
    let response = seen(&mut world, id, reject());
    assert_eq!(say(&mut world, &run, id, &response), "ok");
}

#[test]
fn an_amendment_by_another_leaves_the_maker_excluded() {
    let [ada, ben, cyd] = ["ada", "ben", "cyd"].map(|name| reviewer(name, &[]));
    let mut world = World::with(Some(&workflow("exclude = [\"author\"]", "")));
    world.roster = roster(&[ada.clone(), ben.clone(), cyd.clone()]);
    let scope = Scope::project(world.project).everything_open();
    let task = *world.look(&scope).tasks.keys().next().unwrap();
    let mut owner = ada.clone();
    owner.grants.push(botarmy_domain::Grant::on_all(Role::Worker));
    let id = WorkerId::external("ada/w");
    let worker = with_proof(&owner, Authentication::Key).as_worker(&id);
    let lease = Duration::from_secs(60);
    use botarmy_domain::decide::tasks;
    let holder = botarmy_domain::LeaseHolder { worker: id.clone(), fence: 1 };
    let work = tasks::Work {
        output: object(json!({"goals": []})),
        artifacts: vec![],
        confidence: None,
        usage: botarmy_domain::Usage::default(),
    };
    let with_task = scope.clone().task(task);
    world
        .run(&with_task, |c, s| tasks::claim(&c.by(worker.clone()), s, task, &id, lease, None))
        .unwrap();
    world
        .run(&with_task, |c, s| tasks::complete(&c.by(worker.clone()), s, task, &holder, &work))
        .unwrap();
    let first = world.pending_requests()[0];
    assert_eq!(say(&mut world, &ada, first, &approve()), "separation_of_duties");
    assert_eq!(say(&mut world, &ben, first, &amendment()), "ok");
    let second = world.pending_requests()[0];
    assert_eq!(say(&mut world, &ada, second, &approve()), "separation_of_duties");
    assert_eq!(say(&mut world, &ben, second, &approve()), "separation_of_duties");
    assert_eq!(say(&mut world, &cyd, second, &approve()), "ok");
}

#[test]
fn a_place_passes_through_three_people_and_never_back() {
    let people = ["ada", "ben", "cyd", "dan", "eve"].map(|name| reviewer(name, &[]));
    let (mut world, id) = reviewed("candidates = [\"user:ada\"]", &people);
    let [ada, ben, cyd, dan, eve] = &people;
    assert_eq!(delegates(&mut world, id, ada, "ada"), "delegated_in_a_circle");
    assert_eq!(delegates(&mut world, id, ada, "nobody"), "invalid");
    assert_eq!(delegates(&mut world, id, eve, "ben"), "not_eligible");
    assert_eq!(delegates(&mut world, id, ada, "ben"), "ok");
    assert_eq!(delegates(&mut world, id, ben, "cyd"), "ok");
    assert_eq!(delegates(&mut world, id, cyd, "ben"), "delegated_in_a_circle");
    assert_eq!(delegates(&mut world, id, cyd, "dan"), "ok");
    assert_eq!(delegates(&mut world, id, dan, "eve"), "too_many_delegations");
    assert_eq!(say(&mut world, ben, id, &approve()), "not_eligible", "passed on");
    assert_eq!(say(&mut world, dan, id, &approve()), "ok");
    let vote = world.request(id).votes[0].clone();
    assert_eq!((vote.voter.name.as_str(), vote.place().name.as_str()), ("dan", "ada"));
}

#[test]
fn a_person_and_the_delegate_have_one_vote_together() {
    let [ada, ben, cyd] =
        [("ada", "a"), ("ben", "b"), ("cyd", "c")].map(|(n, g)| reviewer(n, &[g]));
    let (mut world, id) =
        reviewed("approvals = 2\ngroups = { a = 1 }", &[ada.clone(), ben.clone(), cyd]);
    assert_eq!(delegates(&mut world, id, &ada, "ben"), "ok");
    assert_eq!(say(&mut world, &ben, id, &approve()), "ok");
    assert_eq!(say(&mut world, &ada, id, &approve()), "ok");
    let request = world.request(id);
    assert_eq!((request.status(), request.votes.len()), (HitlStatus::Pending, 1), "one place");
    // Its person has answered, so the delegate has only the own place left.
    assert_eq!(say(&mut world, &ben, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved);
}

#[test]
fn a_delegation_ends_with_the_rights_of_its_person() {
    let [ada, ben, cyd] = [("ada", "leads"), ("ben", "b"), ("cyd", "c")]
        .map(|(name, group)| reviewer(name, &[group]));
    let mut without_role = ada.clone();
    without_role.grants = Vec::new();
    let mut without_group = ada.clone();
    without_group.groups.clear();
    let mut deleted = ada.clone();
    deleted.deleted_at = Some(deleted.created_at);
    for changed in [without_role, without_group, deleted] {
        let policy = "candidates = [\"group:leads\"]";
        let (mut world, id) = reviewed(policy, &[ada.clone(), ben.clone(), cyd.clone()]);
        assert_eq!(delegates(&mut world, id, &ada, "ben"), "ok");
        assert_eq!(delegates(&mut world, id, &ben, "cyd"), "ok");
        world.roster = roster(&[changed, ben.clone(), cyd.clone()]);
        for person in [&ben, &cyd] {
            assert_eq!(say(&mut world, person, id, &approve()), "not_eligible");
        }
        world.roster = roster(&[ada.clone(), ben.clone(), cyd.clone()]);
        assert_eq!(say(&mut world, &cyd, id, &approve()), "ok", "the rights are back");
    }
}

#[test]
fn the_place_of_another_takes_nothing_from_those_who_are_asked_themselves() {
    let [ada, ben] = [("ada", &["a"][..]), ("ben", &["b"])].map(|(name, of)| reviewer(name, of));
    let people = [principal("ada", ada.kind, &["a"], &[Role::Reviewer, Role::Operator]), ben];
    let [ada, ben] = &people;
    // The person who delegates is excluded, so its seat is of no use.
    let policy = "groups = { a = 1 }\napprovals = 2\nexclude = [\"author\"]";
    let (mut world, id) = reviewed(policy, &people);
    store(&mut world, ada);
    let subject_digest = Some(world.request(id).subject.digest.clone());
    let seen = Response { subject_digest, ..approve() };
    assert_eq!(delegates(&mut world, id, ada, "ben"), "ok");
    assert_eq!(say(&mut world, ben, id, &seen), "ok");
    assert_eq!(world.request(id).votes[0].on_behalf_of, None);

    // A rejection that is enough stays so, and one in the place of a person whose rejection is enough is.
    for (veto, of) in [("b", None), ("a", Some("ada"))] {
        let policy = format!("groups = {{ a = 1 }}\napprovals = 2\nveto = [\"{veto}\"]");
        let (mut world, id) = reviewed(&policy, &people);
        assert_eq!(delegates(&mut world, id, ada, "ben"), "ok");
        assert_eq!(say(&mut world, ben, id, &reject()), "ok");
        let request = world.request(id);
        assert_eq!(request.status(), HitlStatus::Rejected, "{veto}");
        let place = request.votes[0].on_behalf_of.as_ref().map(|of| of.name.as_str());
        assert_eq!(place, of, "{veto}");
        world.check_replay();
    }
}

#[test]
fn only_those_who_are_asked_or_manage_the_project_escalate_and_remind() {
    let ada = reviewer("ada", &["leads"]);
    let eve = reviewer("eve", &["security"]);
    let boss = principal("boss", ada.kind, &[], &[Role::Admin]);
    let bot = principal("bot", botarmy_domain::PrincipalKind::Service, &[], &[Role::Reviewer]);
    let policy = "candidates = [\"group:leads\"]\nescalate = [\
                  { after_s = 3600, to = [\"group:security\"] }, \
                  { after_s = 7200, to = [\"role:admin\"] }]";
    let (mut world, id) = reviewed(policy, &[ada.clone(), eve.clone(), boss.clone()]);
    let escalates = |world: &mut World, by: Caller| {
        code(world.on(id, |c, s| hitl::escalate(&c.by(by.clone()), s, id)))
    };
    let reminds = |world: &mut World, by: Caller| {
        code(world.on(id, |c, s| hitl::remind(&c.by(by.clone()), s, id)))
    };
    let key = with_proof(&bot, Authentication::Key);
    for (by, refusal) in [(session_of(&eve), "not_eligible"), (key, "persons_only")] {
        assert_eq!(escalates(&mut world, by.clone()), refusal);
        assert_eq!(reminds(&mut world, by), refusal);
    }
    world.on(id, |c, s| hitl::claim(&c.by(session_of(&ada)), s, id)).unwrap();
    world.pass(Duration::from_secs(3_601));
    let freed = world.on(id, |c, s| hitl::unclaim(&c.by(session_of(&eve)), s, id));
    assert_eq!(code(freed), "not_eligible");
    assert_eq!(say(&mut world, &eve, id, &approve()), "not_eligible");
    assert_eq!(reminds(&mut world, session_of(&ada)), "ok");
    assert_eq!(escalates(&mut world, session_of(&ada)), "ok");
    assert_eq!(escalates(&mut world, session_of(&boss)), "ok", "it manages the project");
    assert_eq!(say(&mut world, &eve, id, &approve()), "ok");
}

#[test]
fn who_stores_a_document_in_the_place_of_an_approved_one_amends_it() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let storer = principal("ada", ada.kind, &[], &[Role::Reviewer, Role::Operator]);
    let mut world = World::with(Some(&workflow("exclude = [\"amender\"]", DEPLOY)));
    world.roster = roster(&[storer.clone(), ben.clone()]);
    let id = made(&mut world);
    assert_eq!(say(&mut world, &storer, id, &approve()), "ok");
    store(&mut world, &storer);
    let again = *world.pending_requests().last().unwrap();
    assert!(world.request(again).replaces.is_some());
    assert_eq!(say(&mut world, &storer, again, &approve()), "separation_of_duties");
    assert_eq!(say(&mut world, &ben, again, &approve()), "ok");
}

#[test]
fn who_cannot_release_a_request_cannot_keep_others_from_it() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let run = principal("ada", ada.kind, &[], &[Role::Reviewer, Role::Operator]);
    let policy = "exclude = [\"author\"]\nlinks = true";
    let (mut world, id) = reviewed(policy, &[run.clone(), ben.clone()]);
    store(&mut world, &run);
    let claims = |world: &mut World, by: &Principal| {
        code(world.on(id, |c, s| hitl::claim(&c.by(session_of(by)), s, id)))
    };
    assert_eq!(claims(&mut world, &run), "separation_of_duties");
    assert_eq!(claims(&mut world, &ben), "ok");
    let link = |world: &mut World, by: &Principal, action| {
        let person = with_proof(by, Authentication::Link);
        let digest = AnswerLinkText::new(id, [9; 32]).digest();
        let expires_at = world.now.after(Duration::from_secs(60));
        let new = NewAnswerLink { person, digest, actions: vec![action], expires_at };
        code(world.on(id, |c, s| hitl::issue_link(&c.by(session_of(by)), s, id, &new)))
    };
    assert_eq!(link(&mut world, &run, HitlAction::Approve), "separation_of_duties");
    assert_eq!(link(&mut world, &run, HitlAction::Reject), "ok");
    let issued = (0..30).filter(|_| link(&mut world, &run, HitlAction::Reject) == "ok").count();
    assert_eq!(issued, 19, "a person has 20 links at most");
    assert_eq!(link(&mut world, &ben, HitlAction::Approve), "ok", "others have their own");
    let says = |world: &mut World, by: &Principal| {
        code(world.on(id, |c, s| hitl::comment(&c.by(session_of(by)), s, id, "Hm.", None)))
    };
    assert_eq!((0..150).filter(|_| says(&mut world, &run) == "ok").count(), 100);
    assert_eq!(says(&mut world, &ben), "ok");
}

#[test]
fn that_too_few_people_are_left_is_noticed_when_they_change_and_so_is_the_end_of_it() {
    let ada = reviewer("ada", &["leads"]);
    let ben = reviewer("ben", &["leads"]);
    let policy = "groups = { leads = 2 }\nescalate = [{ after_s = 3600, to = [\"role:admin\"] }]";
    let (mut world, id) = reviewed(policy, &[ada.clone(), ben.clone()]);
    let review = |world: &mut World| {
        world.on(id, |c, s| hitl::review_people(&c.by(Caller::scheduler()), s, id)).unwrap();
        world.check_replay();
        world.request(id).unsatisfiable
    };
    let before = world.entries.len();
    assert!(!review(&mut world));
    assert_eq!(world.entries.len(), before, "nothing has changed");
    world.roster = roster(&[ada.clone(), reviewer("ben", &[])]);
    assert!(review(&mut world));
    let (at, what) = world.request(id).due().unwrap();
    assert!(at <= world.now, "{what:?}");
    world.roster = roster(&[ada.clone(), ben]);
    assert!(!review(&mut world));
    assert!(world.request(id).due().unwrap().0 > world.now);
    // A delegate has no second vote for the place of another.
    let people = [ada, reviewer("cyd", &[])];
    world.roster = roster(&people);
    assert_eq!(delegates(&mut world, id, &people[0], "cyd"), "ok");
    assert!(world.request(id).unsatisfiable);
}

#[test]
fn a_delegate_takes_the_place_with_which_the_least_is_missing() {
    let [sam, pam, pia] = [("sam", "security"), ("pam", "product"), ("pia", "product")]
        .map(|(name, group)| reviewer(name, &[group]));
    let people = [sam.clone(), pam.clone(), pia.clone()];
    let policy = "groups = { security = 1, product = 1 }";
    let (mut world, id) = reviewed(policy, &people);
    assert_eq!(delegates(&mut world, id, &sam, "pam"), "ok");
    assert_eq!(say(&mut world, &pia, id, &approve()), "ok");
    assert_eq!(say(&mut world, &pam, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved);
    // The other way round, the same answer once more counts where it is missing now.
    let (mut world, id) = reviewed(policy, &people);
    assert_eq!(delegates(&mut world, id, &sam, "pam"), "ok");
    assert_eq!(say(&mut world, &pam, id, &approve()), "ok");
    assert_eq!(say(&mut world, &pia, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Pending);
    assert_eq!(say(&mut world, &pam, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved);
    world.check_replay();
    // One who is not asked takes the place that fills a seat, whichever was delegated first.
    for order in [["dan", "sue"], ["sue", "dan"]] {
        let [dan, sue, eli] = [("dan", "board"), ("sue", "security"), ("eli", "board")]
            .map(|(name, group)| reviewer(name, &[group]));
        let people = [dan.clone(), sue.clone(), eli.clone(), reviewer("cyd", &[])];
        let policy = "groups = { security = 1 }\napprovals = 2\n\
                      candidates = [\"group:board\", \"group:security\"]";
        let (mut world, id) = reviewed(policy, &people);
        for name in order {
            let by = if name == "dan" { &dan } else { &sue };
            assert_eq!(delegates(&mut world, id, by, "cyd"), "ok");
        }
        assert_eq!(say(&mut world, &eli, id, &approve()), "ok");
        assert_eq!(say(&mut world, &people[3], id, &approve()), "ok");
        assert_eq!(world.request(id).status(), HitlStatus::Approved, "{order:?}");
    }
}

#[test]
fn an_approval_counts_for_the_groups_that_its_person_is_in_by_now() {
    let [bob, eli] = ["bob", "eli"].map(|name| reviewer(name, &[]));
    let policy = "groups = { security = 1 }\napprovals = 2";
    let (mut world, id) = reviewed(policy, &[bob.clone(), eli.clone()]);
    assert_eq!(say(&mut world, &bob, id, &approve()), "ok");
    assert_eq!(say(&mut world, &eli, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Pending);
    let bob = reviewer("bob", &["security"]);
    world.roster = roster(&[bob.clone(), eli]);
    assert_eq!(say(&mut world, &bob, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved);

    // A vote keeps its groups, so it still fills its seat after its person has left the group.
    let [sue, ada] = [("sue", "security"), ("ada", "board")].map(|(n, g)| reviewer(n, &[g]));
    let (mut world, id) = reviewed(policy, &[sue.clone(), ada.clone()]);
    assert_eq!(say(&mut world, &sue, id, &approve()), "ok");
    world.roster = roster(&[reviewer("sue", &[]), ada.clone()]);
    world.on(id, |c, s| hitl::review_people(&c.by(Caller::scheduler()), s, id)).unwrap();
    assert!(!world.request(id).unsatisfiable);
    assert_eq!(say(&mut world, &ada, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved);
}

#[test]
fn a_claim_ends_with_the_place_of_its_person_and_can_always_be_given_up() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &["board"]));
    let policy = "candidates = [\"group:board\"]";
    let claims = |world: &mut World, by: &Principal, id| {
        code(world.on(id, |c, s| hitl::claim(&c.by(session_of(by)), s, id)))
    };
    for changed in [Some(reviewer("ada", &[])), None] {
        let (mut world, id) = reviewed(policy, &[ada.clone(), ben.clone()]);
        assert_eq!(claims(&mut world, &ada, id), "ok");
        assert_eq!(say(&mut world, &ben, id, &approve()), "claimed");
        let people: Vec<_> = changed.clone().into_iter().chain([ben.clone()]).collect();
        world.roster = roster(&people);
        if let Some(changed) = &changed {
            let freed = world.on(id, |c, s| hitl::unclaim(&c.by(session_of(changed)), s, id));
            assert_eq!(code(freed), "ok", "it is the own claim");
            assert_eq!(world.request(id).claim, None);
        } else {
            assert_eq!(claims(&mut world, &ben, id), "ok", "nobody holds it");
        }
        assert_eq!(say(&mut world, &ben, id, &approve()), "ok");
    }
    let (mut world, id) = reviewed(policy, &[ada.clone(), ben, reviewer("cyd", &[])]);
    assert_eq!(claims(&mut world, &ada, id), "ok");
    assert_eq!(delegates(&mut world, id, &ada, "cyd"), "ok");
    assert_eq!(world.request(id).claim, None, "the place was passed on");
    assert_eq!(delegates(&mut world, id, &ada, "cyd"), "delegated_in_a_circle");
    world.check_replay();
}

#[test]
fn a_form_is_not_answered_with_words() {
    let ada = reviewer("ada", &[]);
    let mut world = World::new();
    world.roster = roster(std::slice::from_ref(&ada));
    let id = question(&mut world, None, Some(json!({"type": "object"}))).unwrap();
    for other in [changes(), amendment()] {
        assert_eq!(say(&mut world, &ada, id, &other), "bad_request");
    }
    assert_eq!(say(&mut world, &ada, id, &reject()), "ok");
}

#[test]
fn links_are_for_people_who_may_answer_and_void_ones_are_remembered() {
    let ada = reviewer("ada", &["board"]);
    let boss = principal("boss", ada.kind, &[], &[Role::Admin]);
    let viewer = principal("vic", ada.kind, &["board"], &[Role::Viewer]);
    let policy = "candidates = [\"group:board\"]\nlinks = true";
    let (mut world, id) = reviewed(policy, &[ada.clone(), boss.clone(), viewer.clone()]);
    let link = |world: &mut World, of: &Principal| {
        let person = with_proof(of, Authentication::Link);
        let digest = AnswerLinkText::new(id, [3; 32]).digest();
        let expires_at = world.now.after(Duration::from_secs(60));
        let actions = vec![HitlAction::Approve];
        let new = NewAnswerLink { person, digest, actions, expires_at };
        code(world.on(id, |c, s| hitl::issue_link(&c.by(session_of(&boss)), s, id, &new)))
    };
    assert_eq!(link(&mut world, &viewer), "not_eligible");
    assert_eq!(link(&mut world, &boss), "not_eligible");
    assert_eq!((0..25).filter(|_| link(&mut world, &ada) == "ok").count(), 20);
    let first = world.request(id).links[0].id;
    world.on(id, |c, s| hitl::revoke_link(&c.by(session_of(&boss)), s, id, first)).unwrap();
    assert_eq!(link(&mut world, &ada), "ok", "one of the others is void");
    assert!(world.request(id).links.iter().any(|link| link.id == first), "it is remembered");
    world.pass(Duration::from_secs(61));
    assert_eq!(link(&mut world, &ada), "ok");
    world.check_replay();
}

#[test]
fn people_and_groups_that_do_not_exist_are_not_asked() {
    let ada = reviewer("ada", &["leads"]);
    let mut world = World::new();
    world.roster = roster(std::slice::from_ref(&ada));
    let mut ask = |assignees: &[&str]| {
        let new = NewRequest {
            assignees: assignees.iter().map(|text| text.parse().unwrap()).collect(),
            ..new_question(&world)
        };
        let scope = Scope::project(world.project).everything_open();
        let id = HitlRequestId::from_uuid(uuid::Uuid::from_u128(7));
        code(world.run(&scope, |c, s| hitl::raise(c, s, id, &new)))
    };
    for wrong in ["user:nobody", "group:nobody", "role:worker"] {
        assert_eq!(ask(&["user:ada", wrong]), "invalid", "{wrong}");
    }
    assert_eq!(ask(&["user:ada"; 30]), "ok", "one person, named often");
    assert_eq!(ask(&["group:leads", "role:reviewer"]), "ok");
}

#[test]
fn standing_delegations_apply_when_a_review_opens_and_when_it_is_escalated() {
    let [mut ada, ben, mut cyd] = ["ada", "ben", "cyd"].map(|name| reviewer(name, &[name]));
    let start = World::new().now;
    let until = start.after(Duration::from_secs(86_400));
    ada.delegation = Some(Delegation { to: ben.id, from: start, until });
    let policy =
        "candidates = [\"group:ada\"]\nescalate = [{ after_s = 60, to = [\"group:cyd\"] }]";
    let (mut world, id) = reviewed(policy, &[ada.clone(), ben.clone(), cyd.clone()]);
    assert_eq!(world.request(id).delegates.len(), 1);
    assert_eq!(say(&mut world, &cyd, id, &approve()), "not_eligible");
    cyd.delegation = Some(Delegation { to: ada.id, from: start, until });
    world.roster = roster(&[ada, ben.clone(), cyd]);
    world.pass(Duration::from_secs(61));
    world.expire(id).unwrap();
    let delegates = world.request(id).delegates.clone();
    let of: Vec<_> = delegates.iter().map(|one| (&*one.of.name, &*one.to.name)).collect();
    assert_eq!(of, [("ada", "ben"), ("cyd", "ben")], "through two people");
    assert_eq!(say(&mut world, &ben, id, &approve()), "ok");
}

#[test]
fn a_claim_holds_others_off_until_it_ends() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let (mut world, id) = reviewed("", &[ada.clone(), ben.clone()]);
    let claim = |world: &mut World, by: &Principal| {
        code(world.on(id, |c, s| hitl::claim(&c.by(session_of(by)), s, id)))
    };
    assert_eq!(claim(&mut world, &ada), "ok");
    assert_eq!(claim(&mut world, &ben), "claimed");
    assert_eq!(say(&mut world, &ben, id, &approve()), "claimed");
    let unclaim = world.on(id, |c, s| hitl::unclaim(&c.by(session_of(&ben)), s, id));
    assert_eq!(code(unclaim), "claimed");
    world.pass(Duration::from_secs(3_601));
    assert_eq!(say(&mut world, &ben, id, &approve()), "ok", "an abandoned claim blocks nothing");
    let (mut world, id) = reviewed("approvals = 2", &[ada.clone(), ben]);
    let refused = world.on(id, |c, s| hitl::claim(&c.by(session_of(&ada)), s, id));
    assert_eq!(code(refused), "not_claimable");
}

#[test]
fn a_review_is_extended_as_often_as_its_policy_says() {
    let ada = reviewer("ada", &[]);
    let (mut world, id) = reviewed("ttl_s = 100\nmax_extensions = 1", std::slice::from_ref(&ada));
    let mut extend =
        |by_s| code(world.on(id, |c, s| hitl::extend(&c.by(session_of(&ada)), s, id, by_s, None)));
    assert_eq!([extend(0), extend(60), extend(60)], ["invalid", "ok", "too_many_extensions"]);
}

#[test]
fn a_stopped_clock_stands_still_for_what_people_extend_and_escalate() {
    let ada = reviewer("ada", &[]);
    let policy = "ttl_s = 100\nescalate = [{ after_s = 50, to = [\"role:admin\"], ttl_s = 200 }]";
    let (mut world, id) = reviewed(policy, std::slice::from_ref(&ada));
    let opened = world.request(id).created_at;
    world.pause().unwrap();
    let paused = world.request(id).schedule.paused_at.unwrap();
    world.pass(Duration::from_secs(10_000));
    assert_eq!(code(world.expire(id)), "not_due");
    world.on(id, |c, s| hitl::extend(&c.by(session_of(&ada)), s, id, 10, None)).unwrap();
    assert_eq!(world.request(id).expires_at.since(opened).as_secs(), 110);
    world.on(id, |c, s| hitl::escalate(&c.by(session_of(&ada)), s, id)).unwrap();
    assert_eq!(world.request(id).expires_at.since(paused).as_secs(), 200);
    world.resume().unwrap();
    let resumed = world.now;
    assert_eq!(
        world.request(id).expires_at.since(resumed).as_secs(),
        200,
        "the pause costs nothing and gives nothing"
    );
    world.check_replay();
}

#[test]
fn after_the_last_round_a_person_says_how_to_go_on() {
    let ada = reviewer("ada", &[]);
    let (mut world, first) = reviewed("max_rounds = 2", std::slice::from_ref(&ada));
    assert_eq!(world.request(first).round, 1);
    assert_eq!(say(&mut world, &ada, first, &changes()), "ok");
    let second = made(&mut world);
    assert_eq!(world.request(second).round, 2);
    assert_eq!(say(&mut world, &ada, second, &changes()), "ok");
    let failure = world.pending_requests()[0];
    assert_eq!(world.request(failure).kind, HitlKind::Failure);
    assert_eq!(say(&mut world, &ada, failure, &approve()), "ok");
    let third = made(&mut world);
    assert_eq!(world.request(third).round, 1, "it counts anew");
    assert_eq!(say(&mut world, &ada, third, &approve()), "ok");
    world.check_replay();
}

#[test]
fn a_policy_asks_for_the_digest_for_comments_and_for_single_approvals() {
    let ada = reviewer("ada", &[]);
    let mut strict = workflow("", "");
    let policy = json!({"name": "p", "digest": "required", "comment": ["approve"], "bulk": false});
    strict.policies = vec![serde_json::from_value(policy).unwrap()];
    let mut world = World::with(Some(&strict));
    world.roster = roster(std::slice::from_ref(&ada));
    let id = made(&mut world);
    assert_eq!(say(&mut world, &ada, id, &approve()), "digest_required");
    let subject_digest = Some(world.request(id).subject.digest.clone());
    let old = Response { subject_digest: Some("0".repeat(64)), ..approve() };
    assert_eq!(say(&mut world, &ada, id, &old), "subject_changed");
    let named = Response { subject_digest, ..approve() };
    assert_eq!(say(&mut world, &ada, id, &named), "invalid", "without a comment");
    let blank = Response { comment: Some(" ".to_owned()), ..named.clone() };
    assert_eq!(say(&mut world, &ada, id, &blank), "invalid");
    let told = Response { comment: Some("Good".to_owned()), ..named };
    let in_bulk = Response { in_bulk: true, ..told.clone() };
    assert_eq!(say(&mut world, &ada, id, &in_bulk), "bulk_not_allowed");
    assert_eq!(say(&mut world, &ada, id, &told), "ok");
}

#[test]
fn a_link_answers_once_for_one_person_about_one_subject() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let issue = |world: &mut World, id, by: &Principal, actions: Vec<HitlAction>| {
        let caller = with_proof(by, Authentication::Link);
        let expires_at = world.now.after(Duration::from_secs(60));
        let digest = AnswerLinkText::new(id, [7; 32]).digest();
        let new = NewAnswerLink { person: caller.clone(), digest, actions, expires_at };
        code(world.on(id, |c, s| hitl::issue_link(&c.by(caller.clone()), s, id, &new)))
    };
    let with = |world: &mut World, id, by: &Principal, response: Response| {
        let link = world.request(id).links.last().map(|link| link.id);
        let response = Response { link, ..response };
        code(world.answer_as(&with_proof(by, Authentication::Link), id, &response))
    };
    let people = [ada.clone(), ben.clone()];
    let (mut world, id) = reviewed("", &people);
    assert_eq!(issue(&mut world, id, &ada, vec![HitlAction::Approve]), "links_not_allowed");
    let (mut world, id) = reviewed("links = true\napprovals = 2", &people);
    assert_eq!(issue(&mut world, id, &ada, vec![]), "invalid");
    assert_eq!(issue(&mut world, id, &ada, vec![HitlAction::Approve]), "ok");
    assert_eq!(with(&mut world, id, &ada, reject()), "invalid", "another action");
    assert_eq!(with(&mut world, id, &ben, approve()), "not_found", "another person");
    assert_eq!(with(&mut world, id, &ada, approve()), "ok");
    let again = Response { comment: Some("Once more".to_owned()), ..approve() };
    assert_eq!(with(&mut world, id, &ada, again), "link_used");
    assert_eq!(issue(&mut world, id, &ben, vec![HitlAction::Approve]), "ok");
    world.pass(Duration::from_secs(60));
    assert_eq!(with(&mut world, id, &ben, approve()), "link_expired");
    assert_eq!(issue(&mut world, id, &ben, vec![HitlAction::Approve, HitlAction::Amend]), "ok");
    let link = world.request(id).links.last().unwrap().id;
    assert_eq!(say(&mut world, &ben, id, &amendment()), "ok");
    let digest = world.request(id).subject.digest.clone();
    let about_new = Response { subject_digest: Some(digest), ..reject() };
    let about_new = Response { action: HitlAction::Approve, ..about_new };
    let linked = Response { link: Some(link), comment: Some("!".to_owned()), ..about_new };
    let caller = with_proof(&ben, Authentication::Link);
    assert_eq!(code(world.answer_as(&caller, id, &linked)), "subject_changed");
    let by = session_of(&ben);
    world.on(id, |c, s| hitl::revoke_link(&c.by(by.clone()), s, id, link)).unwrap();
    assert_eq!(code(world.answer_as(&caller, id, &linked)), "link_revoked");
    world.check_replay();
}

#[test]
fn what_too_few_people_may_approve_is_escalated_at_once_and_never_approved_by_time() {
    let ada = reviewer("ada", &[]);
    let ben = reviewer("ben", &["security", "leads"]);
    let policy = "groups = { security = 1 }\ncandidates = [\"user:ada\"]\n\
                  escalate = [{ after_s = 3600, to = [\"group:leads\"] }]";
    let (mut world, id) = reviewed(policy, &[ada, ben.clone()]);
    assert!(world.request(id).unsatisfiable);
    assert_eq!(say(&mut world, &ben, id, &approve()), "not_eligible");
    world.expire(id).unwrap();
    let request = world.request(id);
    assert_eq!((request.unsatisfiable, request.schedule.escalated), (false, 1));
    assert_eq!(code(world.expire(id)), "not_due");
    assert_eq!(say(&mut world, &ben, id, &approve()), "ok");

    for (security, ended) in [(&["security"][..], HitlStatus::Approved), (&[], HitlStatus::Pending)]
    {
        let text = "groups = { security = 1 }\nttl_s = 60\non_expiry = \"approve\"";
        let mut world = World::with(Some(&workflow(text, "")));
        let gates = GateSettings { allow_expiry_approval: true, ..GateSettings::default() };
        world.defaults.gates = Arc::new(gates);
        world.roster = roster(&[reviewer("cyd", security)]);
        let id = made(&mut world);
        world.pass(Duration::from_secs(61));
        world.expire(id).unwrap();
        assert_eq!(world.request(id).status(), ended);
        world.check_replay();
    }
}

#[test]
fn approval_by_time_needs_the_permission_of_the_server() {
    let mut world = World::with(Some(&workflow("ttl_s = 60\non_expiry = \"approve\"", "")));
    let id = made(&mut world);
    assert_eq!(world.request(id).on_expiry, OnExpiry::KeepWaiting);
}

#[test]
fn only_the_very_same_answer_of_the_same_person_is_a_replay() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let namesake = of_provider("ada");
    let people = [ada.clone(), ben.clone(), namesake.clone()];
    let (mut world, id) = reviewed("approvals = 2", &people);
    assert_eq!(say(&mut world, &ada, id, &approve()), "ok");
    let before = world.entries.len();
    assert_eq!(say(&mut world, &ada, id, &approve()), "ok");
    assert_eq!(world.entries.len(), before, "a replay");
    assert_eq!(say(&mut world, &namesake, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved, "another person");
    let before = world.entries.len();
    for person in [&ada, &namesake] {
        assert_eq!(say(&mut world, person, id, &approve()), "ok");
    }
    assert_eq!(world.entries.len(), before, "also after the decision");
    let other = Response { comment: Some("!".to_owned()), ..approve() };
    assert_eq!(say(&mut world, &ada, id, &other), "not_pending");
    assert_eq!(say(&mut world, &ben, id, &approve()), "not_pending");
}

#[test]
fn another_answer_in_a_form_is_no_replay() {
    let ada = reviewer("ada", &[]);
    let mut world = World::new();
    world.roster = roster(std::slice::from_ref(&ada));
    let id = question(&mut world, None, Some(json!({"type": "object"}))).unwrap();
    let answer = |n| Response { response: Some(json!({ "n": n })), ..approve() };
    assert_eq!(say(&mut world, &ada, id, &approve()), "invalid", "without the form");
    assert_eq!(say(&mut world, &ada, id, &answer(1)), "ok");
    assert_eq!(say(&mut world, &ada, id, &answer(1)), "ok");
    assert_eq!(say(&mut world, &ada, id, &answer(2)), "not_pending");
}

fn new_question(world: &World) -> NewRequest {
    NewRequest {
        project_id: world.project,
        task_id: None,
        question: "Well?".to_owned(),
        options: vec![],
        ttl_s: None,
        artifacts: vec![],
        policy: None,
        assignees: vec![],
        response_schema: None,
    }
}

/// Raises a question under a policy.
fn question(
    world: &mut World,
    policy: Option<&str>,
    response_schema: Option<Value>,
) -> Result<HitlRequestId, DomainError> {
    let new = NewRequest {
        policy: policy.map(str::to_owned),
        response_schema: response_schema.map(object),
        ..new_question(world)
    };
    let scope = Scope::project(world.project).everything_open();
    let id = HitlRequestId::from_uuid(uuid::Uuid::from_u128(u128::from(world.now.micros() as u64)));
    world.run(&scope, |c, s| hitl::raise(c, s, id, &new)).map(|_| id)
}

#[test]
fn a_question_to_several_people_is_not_answered_by_one() {
    let people = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let [ada, ben] = &people;
    let (mut world, _) = reviewed("approvals = 2", &people);
    let schema = question(&mut world, Some("p"), Some(json!({"type": "object"})));
    assert!(matches!(schema, Err(DomainError::Invalid { .. })), "{schema:?}");
    let id = question(&mut world, Some("p"), None).unwrap();
    for alone in [changes(), amendment()] {
        assert_eq!(say(&mut world, ada, id, &alone), "bad_request");
    }
    let request = world.request(id);
    assert!(matches!(request.state, HitlState::Pending) && request.votes.is_empty());
    assert_eq!(say(&mut world, ada, id, &approve()), "ok");
    assert_eq!(say(&mut world, ben, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved);
}

#[test]
fn the_floor_of_the_server_applies_to_reviews_and_again_when_they_are_asked_again() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let (mut world, id) = reviewed("", &[ada.clone(), ben.clone()]);
    world.defaults.gates = Arc::new(GateSettings { min_approvals: 2, ..GateSettings::default() });
    assert_eq!(world.request(id).pinned_policy().policy.approvals(), 1, "as it was opened");
    assert_eq!(say(&mut world, &ada, id, &reject()), "ok");
    world.reopen(id).unwrap();
    let again = world.pending_requests()[0];
    assert_eq!(world.request(again).pinned_policy().policy.approvals(), 2);
    assert_eq!(say(&mut world, &ada, again, &approve()), "ok");
    assert_eq!(world.request(again).status(), HitlStatus::Pending);
    assert_eq!(say(&mut world, &ben, again, &approve()), "ok");
    world.check_replay();
}

#[test]
fn a_row_of_an_older_version_is_read_and_answered() {
    let mut world = World::with(Some(&workflow("", "")));
    let id = made(&mut world);
    let mut row = serde_json::to_value(&*world.request(id)).unwrap();
    let members = row.as_object_mut().unwrap();
    for member in ["policy", "votes", "schedule", "round", "assignees", "delegates", "links"] {
        members.remove(member);
    }
    let old: HitlRequest = serde_json::from_value(row).unwrap();
    assert_eq!(old.pinned_policy().policy.approvals(), 1);
    assert_eq!((old.round, old.needs().approvals), (1, 1));
    assert!(old.due().is_some());
}

#[test]
fn what_is_reviewed_before_it_runs_is_asked_again_when_its_inputs_change() {
    let people = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let [ada, _] = &people;
    let mut definition = workflow("", DEPLOY);
    let mut before = definition.policies[0].clone();
    before.name = "before".to_owned();
    before.when = botarmy_domain::vocabulary::ReviewTime::Before;
    definition.policies.push(before);
    definition.steps[1].policy = Some("before".to_owned());
    let mut world = World::with(Some(&definition));
    world.roster = roster(&people);
    let plan = made(&mut world);
    assert_eq!(say(&mut world, ada, plan, &approve()), "ok");
    let first = world.pending_requests()[0];
    assert!(world.request(first).planned.is_some());
    assert_eq!(say(&mut world, ada, first, &amendment()), "bad_request", "nothing to replace");
    let scope = Scope::project(world.project).everything_open();
    let new = NewArtifact::new(ArtifactType::ProjectPlan, object(json!({"goals": ["new"]})));
    world.run(&scope, |c, s| artifacts::store(c, s, AgentType::Analyst, &new)).unwrap();
    let replacement = *world.pending_requests().last().unwrap();
    assert_eq!(say(&mut world, ada, replacement, &approve()), "ok");
    assert_eq!(say(&mut world, ada, first, &approve()), "ok");
    assert!(world.look(&scope).tasks.is_empty(), "it was cleared for other inputs");
    let second = world.pending_requests()[0];
    assert_ne!(world.request(second).subject.digest, world.request(first).subject.digest);
    assert_eq!(say(&mut world, ada, second, &approve()), "ok");
    assert_eq!(world.look(&scope).tasks.len(), 1);
    let status = world.look(&scope).project.unwrap().status();
    assert_eq!(status, ProjectStatus::Active);
    world.check_replay();
}

#[test]
fn a_request_with_many_actions_can_still_be_decided() {
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let (mut world, id) = reviewed("approvals = 2", &[ada.clone(), ben.clone()]);
    let by = session_of(&ada);
    let mut taken_back = 0;
    while say(&mut world, &ada, id, &approve()) == "ok"
        && world.on(id, |c, s| hitl::withdraw(&c.by(by.clone()), s, id)).is_ok()
    {
        taken_back += 1;
    }
    assert!(taken_back >= 40, "{taken_back}");
    assert_eq!(say(&mut world, &ada, id, &reject()), "ok", "it decides");
    let (mut world, id) = reviewed("approvals = 2", &[ada.clone(), ben.clone()]);
    while say(&mut world, &ada, id, &approve()) == "ok"
        && world.on(id, |c, s| hitl::withdraw(&c.by(by.clone()), s, id)).is_ok()
    {}
    assert_eq!(say(&mut world, &ben, id, &approve()), "ok");
    assert_eq!(world.request(id).status(), HitlStatus::Approved);
}

#[test]
fn what_a_caller_may_do_is_told_as_it_is_decided() {
    use botarmy_domain::decide::eligibility::Eligibility;
    let [ada, ben] = ["ada", "ben"].map(|name| reviewer(name, &[]));
    let (mut world, id) = reviewed("approvals = 2\nexclude = [\"starter\"]", &[ada.clone(), ben]);
    let question = question(&mut world, Some("p"), None).unwrap();
    let scope = Scope::project(world.project).request(id).request(question);
    let seen = world.look_at_log(&scope);
    let project = seen.project.as_ref().unwrap();
    let allowed = |id: HitlRequestId| {
        let (settings, roster) = (GateSettings::default(), roster(std::slice::from_ref(&ada)));
        let request = &seen.requests[&id];
        let roster = roster.as_deref();
        Eligibility { request, project, settings: &settings, roster }
            .allowed(&session_of(&ada), world.now)
            .verdicts
    };
    let all = [Verdict::Approve, Verdict::Reject, Verdict::RequestChanges, Verdict::Amend];
    let mut expected = all.to_vec();
    expected.sort_unstable();
    assert_eq!(allowed(id), expected);
    let mut expected = vec![Verdict::Approve, Verdict::Reject];
    expected.sort_unstable();
    assert_eq!(allowed(question), expected);
}
