//! Contract of the lists of pending requests and of what is due on them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::{hitl, projects};
use botarmy_domain::hitl::{Asked, Counted, PendingFilter, SampleWindow, Selector};
use botarmy_domain::{
    Caller, Decision, DecisionContext, DomainError, HitlAction, HitlKind, HitlRequest,
    HitlRequestId, NewProject, NewRequest, Oversight, ProjectId, Reach, Response, Role, Scope,
    Sight, Snapshot, Timestamp, Workflow,
};
use botarmy_tests::dice::Dice;
use botarmy_tests::prove;

use crate::stores::Stores;

const WORKFLOW: &str = "
name = \"gated\"
[[policy]]
name = \"release\"
candidates = [\"user:ada\", \"group:leads\"]
groups = { security = 1 }
ttl_s = 600
on_expiry = \"reject\"
remind_after_s = [60, 120]
escalate = [{ after_s = 300, to = [\"group:board\"] }]
[[policy]]
name = \"admins\"
candidates = [\"role:admin\"]
[[policy]]
name = \"open\"
assignees = [\"group:leads\", \"user:bob\"]
[[step]]
name = \"Write\"
phase = \"1\"
agent = \"coder\"
output = \"source_code\"
";

const POLICIES: [Option<&str>; 4] = [None, Some("release"), Some("admins"), Some("open")];

pub async fn gated(stores: &Stores, name: &str) -> ProjectId {
    let context = stores.context();
    let id = context.fork(1).id_generator().project();
    let workflow = Workflow::from_toml(WORKFLOW).unwrap();
    let new = NewProject {
        name: name.to_owned(),
        description: None,
        workflow: None,
        oversight: Oversight::Low,
    };
    let create = move |s: &Snapshot| projects::create(&context, s, id, &new, Some(&workflow));
    stores.run(Scope::project(id), create).await.unwrap();
    id
}

pub async fn ask(stores: &Stores, project_id: ProjectId, policy: Option<&str>) -> HitlRequestId {
    let context = stores.context();
    let id = context.fork(1).id_generator().request();
    let new = NewRequest {
        project_id,
        task_id: None,
        question: "Is it right?".to_owned(),
        options: vec![],
        ttl_s: policy.is_none().then_some(60),
        artifacts: vec![],
        policy: policy.map(str::to_owned),
        assignees: vec![],
        response_schema: None,
    };
    let raise = move |s: &Snapshot| hitl::raise(&context, s, id, &new);
    stores.run(Scope::project(project_id), raise).await.unwrap();
    id
}

/// Takes a decision about a request, as this person or as the timers.
async fn act(
    stores: &Stores,
    id: HitlRequestId,
    caller: Caller,
    decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>
    + Send
    + Sync
    + 'static,
) {
    let context = stores.context().by(caller);
    let project = read(stores, id).await.project_id;
    let scope = Scope::project(project).request(id).everything_open();
    stores.run(scope, move |s| decide(&context, s)).await.unwrap();
}

async fn answer(stores: &Stores, id: HitlRequestId, person: &str) {
    let digest = Some(read(stores, id).await.subject.digest.clone());
    let response = Response {
        subject_digest: digest,
        content: Some("Blue.".to_owned()),
        comment: Some("It is.".to_owned()),
        ..Response::new(HitlAction::Amend)
    };
    act(stores, id, Caller::person(person), move |c, s| hitl::respond(c, s, id, &response)).await;
}

async fn delegate(stores: &Stores, id: HitlRequestId, of: &str, to: &'static str) {
    act(stores, id, Caller::person(of), move |c, s| hitl::delegate(c, s, id, to, None)).await;
}

async fn escalate(stores: &Stores, id: HitlRequestId) {
    act(stores, id, Caller::person("ada"), move |c, s| hitl::escalate(c, s, id)).await;
}

async fn read(stores: &Stores, id: HitlRequestId) -> Arc<HitlRequest> {
    stores.requests.request(id).await.unwrap().unwrap()
}

fn asked(selectors: &[&str]) -> Asked {
    let anywhere = selectors.iter().map(|text| text.parse().unwrap()).collect();
    Asked { anywhere, on_projects: Vec::new() }
}

/// Returns the requests that ask someone who is all of this.
async fn asking(stores: &Stores, selectors: &[&str]) -> Vec<HitlRequestId> {
    let filter = PendingFilter { asked: Some(asked(selectors)), ..PendingFilter::default() };
    let page = stores.requests.pending(&Reach::everything(), &filter, None, 100).await.unwrap();
    page.into_iter().map(|request| request.id).collect()
}

async fn of_group(stores: &Stores, group: &str) -> Vec<HitlRequestId> {
    let filter = PendingFilter { group: Some(group.to_owned()), ..PendingFilter::default() };
    let page = stores.requests.pending(&Reach::everything(), &filter, None, 100).await.unwrap();
    page.into_iter().map(|request| request.id).collect()
}

pub async fn the_people_whom_a_request_asks_follow_what_happens_to_it(stores: &Stores) {
    let project = gated(stores, "One").await;
    let simple = ask(stores, project, None).await;
    let release = ask(stores, project, Some("release")).await;
    assert_eq!(asking(stores, &["user:ada"]).await, [simple, release]);
    assert_eq!(asking(stores, &["group:leads"]).await, [simple, release]);
    assert_eq!(asking(stores, &["user:bob", "group:board"]).await, [simple]);
    assert_eq!(of_group(stores, "security").await, [release], "a seat");

    delegate(stores, release, "ada", "bob").await;
    assert_eq!(asking(stores, &["user:bob"]).await, [simple, release]);
    delegate(stores, release, "ada", "eve").await;
    assert_eq!(asking(stores, &["user:bob"]).await, [simple], "the last delegation counts");
    assert_eq!(asking(stores, &["user:eve"]).await, [simple, release]);

    assert_eq!(asking(stores, &["group:board"]).await, [simple]);
    escalate(stores, release).await;
    assert_eq!(asking(stores, &["group:board"]).await, [simple, release]);
    assert_eq!(of_group(stores, "board").await, [release]);
    assert_eq!(asking(stores, &["user:ada"]).await, [simple, release], "no one leaves");

    answer(stores, simple, "ada").await;
    answer(stores, release, "ada").await;
    for who in ["user:ada", "user:eve", "group:leads", "group:board"] {
        assert!(asking(stores, &[who]).await.is_empty(), "{who}");
    }
    assert!(of_group(stores, "security").await.is_empty());
}

/// Makes requests of all policies in three projects, some of them decided, delegated or escalated.
async fn fill(stores: &Stores, dice: &mut Dice) -> (Vec<ProjectId>, Vec<HitlRequestId>) {
    let mut projects = Vec::new();
    for name in ["One", "Two", "Three"] {
        projects.push(gated(stores, name).await);
    }
    let mut requests = Vec::new();
    for _ in 0..60 {
        let project = projects[dice.below(3) as usize];
        let policy = POLICIES[dice.below(4) as usize];
        let id = ask(stores, project, policy).await;
        match (dice.below(5), policy) {
            (0, _) => answer(stores, id, "ada").await,
            (1, Some("release")) => escalate(stores, id).await,
            (2, Some("release")) => delegate(stores, id, "ada", "bob").await,
            _ => {}
        }
        stores.pass(Duration::from_secs(dice.below(5)));
        requests.push(id);
    }
    stores.pause(projects[2]).await.unwrap();
    (projects, requests)
}

fn any_filter(dice: &mut Dice, projects: &[ProjectId], now: Timestamp) -> PendingFilter {
    let rarely = |dice: &mut Dice| dice.below(4) == 0;
    let project = projects[dice.below(3) as usize];
    let policy = ["", "release", "admins", "open", "other"][dice.below(5) as usize];
    let group = ["leads", "board", "security", "other"][dice.below(4) as usize];
    let all = ["user:ada", "user:bob", "group:leads", "group:board", "role:reviewer", "role:admin"];
    let chosen: BTreeSet<_> = all.into_iter().filter(|_| dice.below(4) == 0).collect();
    let mut person = asked(&chosen.into_iter().collect::<Vec<_>>());
    if dice.below(2) == 0 {
        let sight = Sight { projects: [project].into(), creator: None };
        person.on_projects.push((Role::Admin, Reach::limited([sight])));
    }
    PendingFilter {
        project: rarely(dice).then_some(project),
        policy: rarely(dice).then(|| policy.to_owned()),
        group: rarely(dice).then(|| group.to_owned()),
        asked: (dice.below(2) == 0).then_some(person),
        overdue_at: rarely(dice).then(|| now.before(Duration::from_secs(dice.below(600)))),
    }
}

pub async fn pending_requests_are_those_that_a_filter_selects(stores: &Stores) {
    let mut dice = Dice::new();
    let (projects, ids) = fill(stores, &mut dice).await;
    let mut requests = Vec::new();
    for id in ids {
        requests.push(read(stores, id).await);
    }
    let now = stores.context().now.after(Duration::from_secs(300));
    let mut found = 0;
    for _ in 0..prove::count(200, 3000) {
        let filter = any_filter(&mut dice, &projects, now);
        let reach = match dice.below(3) {
            0 => Reach::limited([Sight {
                projects: projects[..2].iter().copied().collect(),
                creator: None,
            }]),
            _ => Reach::everything(),
        };
        let selects = |request: &&Arc<HitlRequest>| {
            let sees = |reach: &Reach| reach.sees(request.project_id, None);
            sees(&reach) && filter.selects(request, sees)
        };
        let expected: Vec<_> = requests.iter().filter(selects).map(|request| request.id).collect();
        let limit = 1 + dice.below(20) as u32;
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = stores.requests.pending(&reach, &filter, after, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            all.extend(page.iter().map(|request| request.id));
            after = page.last().map(|request| request.id);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(all, expected, "{filter:?} {reach:?} {limit}");
        found += all.len();
    }
    assert!(found > 500, "the filters found hardly anything: {found}");
    // No text is part of a statement as it is.
    for text in ["'", "x' OR 'a'='a", "\\", "ünïcödé \u{1f600}", "%"] {
        let filter = PendingFilter {
            policy: Some(text.to_owned()),
            group: Some(text.to_owned()),
            asked: Some(Asked {
                anywhere: vec![Selector::User(text.to_owned())],
                on_projects: Vec::new(),
            }),
            ..PendingFilter::default()
        };
        let page = stores.requests.pending(&Reach::everything(), &filter, None, 10).await.unwrap();
        assert!(page.is_empty(), "{text}");
    }
}

/// Does what is due on a request.
async fn do_due(stores: &Stores, id: HitlRequestId) {
    act(stores, id, Caller::scheduler(), move |c, s| hitl::due(c, s, id, true)).await;
}

async fn due(stores: &Stores, may_expire: bool, limit: u32) -> Vec<HitlRequestId> {
    let now = stores.context().now;
    let due = stores.requests.due(now, may_expire, limit).await.unwrap();
    due.into_iter().map(|request| request.id).collect()
}

pub async fn what_is_due_is_found_in_its_order_and_expiries_when_they_may(stores: &Stores) {
    let (one, two) = (gated(stores, "One").await, gated(stores, "Two").await);
    let release = ask(stores, one, Some("release")).await;
    stores.pass(Duration::from_secs(10));
    let simple = ask(stores, two, None).await;
    assert!(due(stores, true, 10).await.is_empty());
    stores.pass(Duration::from_secs(50));
    assert_eq!(due(stores, true, 10).await, [release], "a reminder");
    stores.pass(Duration::from_secs(10));
    assert_eq!(due(stores, true, 10).await, [release, simple], "the longest due comes first");
    assert_eq!(due(stores, true, 1).await, [release]);
    assert_eq!(due(stores, false, 10).await, [release], "no expiry");
    do_due(stores, release).await;
    assert_eq!(due(stores, false, 10).await, []);
    stores.pass(Duration::from_secs(600));
    // Another reminder, the escalation and the expiry: the expiry is not the next.
    assert_eq!(due(stores, false, 10).await, [release]);
    assert_eq!(due(stores, true, 10).await, [simple, release]);
    do_due(stores, release).await;
    do_due(stores, simple).await;
    // The one has expired, and the other got another minute.
    assert_eq!(due(stores, true, 10).await, []);
    stores.pass(Duration::from_secs(60));
    assert_eq!(due(stores, true, 10).await, [simple]);
    assert_eq!(due(stores, false, 10).await, []);
    answer(stores, simple, "ada").await;
    assert_eq!(due(stores, true, 10).await, [], "it is decided");
}

pub async fn nothing_is_due_while_a_project_is_paused(stores: &Stores) {
    let project = gated(stores, "One").await;
    let (simple, release) =
        (ask(stores, project, None).await, ask(stores, project, Some("release")).await);
    stores.pass(Duration::from_secs(30));
    stores.pause(project).await.unwrap();
    stores.pass(Duration::from_secs(3600));
    assert_eq!(due(stores, true, 10).await, []);
    let while_paused = ask(stores, project, None).await;
    let overdue = async || {
        let overdue_at = Some(stores.context().now);
        let filter = PendingFilter { overdue_at, ..PendingFilter::default() };
        let page = stores.requests.pending(&Reach::everything(), &filter, None, 10).await.unwrap();
        page.into_iter().map(|request| request.id).collect::<Vec<_>>()
    };
    assert_eq!(overdue().await, [], "the clock stands still");
    let context = stores.context();
    let scope = Scope::project(project).open_requests();
    stores.run(scope, move |s| projects::resume(&context, s)).await.unwrap();
    assert_eq!(due(stores, true, 10).await, []);
    stores.pass(Duration::from_secs(31));
    assert_eq!(due(stores, true, 10).await, [simple, release]);
    assert_eq!(overdue().await, [simple]);
    stores.pass(Duration::from_secs(30));
    assert_eq!(overdue().await, [simple, while_paused]);
}

pub async fn pending_requests_are_counted_by_policy(stores: &Stores) {
    let project = gated(stores, "One").await;
    let mut ids = Vec::new();
    for policy in [None, Some("release"), Some("release"), Some("open")] {
        ids.push(ask(stores, project, policy).await);
    }
    answer(stores, ids[1], "ada").await;
    let sample = async |now| {
        let window = SampleWindow { since: Timestamp::from_micros(0), now };
        stores.requests.sample(&Reach::everything(), None, window, 10).await.unwrap()
    };
    let counted = |policy: Option<&str>, overdue| Counted {
        kind: HitlKind::Question,
        agent: None,
        policy: policy.map(str::to_owned),
        count: 1,
        overdue,
    };
    let sorted = |mut counts: Vec<Counted>| {
        counts.sort_by(|one, other| one.policy.cmp(&other.policy));
        counts
    };
    let now = stores.context().now;
    let found = sample(now).await;
    let expected = [counted(None, 0), counted(Some("open"), 0), counted(Some("release"), 0)];
    assert_eq!(sorted(found.pending), expected);
    assert_eq!(found.ended.len(), 1);
    assert_eq!(found.ended[0].policy.as_deref(), Some("release"));
    // The one without a policy has a minute.
    let found = sample(now.after(Duration::from_secs(61))).await;
    let expected = [counted(None, 1), counted(Some("open"), 0), counted(Some("release"), 0)];
    assert_eq!(sorted(found.pending), expected);
}
