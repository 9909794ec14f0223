//! Contract of the reach: lists, samples, searches and claims find what a plain filter over the
//! visible projects finds, and know nothing of the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::{agents, hitl};
use botarmy_domain::hitl::{HitlLine, PendingFilter, SampleWindow};
use botarmy_domain::log::LogId;
use botarmy_domain::{
    AgentType, ArtifactFilter, Authentication, Caller, Claim, ContextId, CredentialId, Entry,
    EntryFilter, EventId, EventSource, EventType, Grant, HitlAction, HitlRequest, HitlRequestId,
    HitlStatus, ObjectId, Page, PrincipalId, Project, ProjectId, ProjectStatus, Reach, Response,
    Rights, Role, Row, Scope, Sight, Task, TaskFilter, TaskId, TaskStatus, WorkerId,
};
use botarmy_tests::dice::Dice;
use botarmy_tests::prove;
use serde_json::json;
use uuid::Uuid;

use crate::stores::Stores;

fn principal(n: u128) -> PrincipalId {
    PrincipalId::from_uuid(Uuid::from_u128(0xa11 << 64 | n))
}

fn creator(n: u128) -> Caller {
    let at = botarmy_domain::Timestamp::from_micros(0);
    let grants = vec![Grant::on_all(Role::Admin)];
    let principal = botarmy_domain::Principal {
        id: principal(n),
        kind: botarmy_domain::PrincipalKind::Person,
        name: format!("creator {n}"),
        openid: None,
        groups: BTreeSet::new(),
        grants: grants.clone(),
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: at,
        updated_at: at,
    };
    let credential = CredentialId::from_uuid(Uuid::from_u128(n));
    Caller::proven(&principal, Authentication::Key, credential, Rights::of(&grants, None))
}

/// Everything in a store, read without a limit of the reach.
struct Contents {
    projects: BTreeMap<ProjectId, Arc<Project>>,
    requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    entries: BTreeMap<EventId, Arc<Entry>>,
}

impl Contents {
    async fn of(stores: &Stores) -> Self {
        let everything = Reach::everything();
        let projects = stores.projects.projects(&everything, None, None, 1000).await.unwrap();
        let projects: BTreeMap<_, _> = projects.into_iter().map(|row| (row.id, row)).collect();
        let (mut requests, mut entries) = (BTreeMap::new(), BTreeMap::new());
        for log in projects.keys().map(|id| LogId::Project(*id)).chain([LogId::System]) {
            let found = stores.audit.since(log, 0, 10_000).await.unwrap();
            assert!(!found.has_more && !found.is_empty(), "{log:?}");
            entries.extend(found.into_iter().map(|entry| (entry.id, entry)));
        }
        for id in projects.keys() {
            let found = stores.requests.requests(*id, None, None, 1000).await.unwrap();
            requests.extend(found.into_iter().map(|request| (request.id, request)));
        }
        Self { projects, requests, entries }
    }

    fn sees(&self, reach: &Reach, project: ProjectId) -> bool {
        reach.sees(project, self.projects[&project].creator)
    }

    /// Returns a random reach: named projects, own projects, both, or what is in two such sights.
    fn any_reach(&self, dice: &mut Dice) -> Reach {
        let sights = match dice.below(8) {
            0 => 0,
            1..=5 => 1,
            _ => 2,
        };
        let mut sight = || {
            let named = self.projects.keys().filter(|_| dice.below(3) == 0).copied();
            let mut projects: BTreeSet<ProjectId> = named.collect();
            if dice.below(4) == 0 {
                projects.clear();
            }
            if dice.below(4) == 0 {
                // Of no project, and that of the log of the system.
                projects.insert(ProjectId::from_uuid(Uuid::from_u128(1)));
                projects.insert(ProjectId::from_uuid(Uuid::nil()));
            }
            let creator = (dice.below(2) == 0).then(|| principal(dice.below(4).into()));
            Sight { projects, creator }
        };
        Reach::limited((0..sights).map(|_| sight()).collect::<Vec<_>>())
    }

    fn any_project(&self, dice: &mut Dice) -> ProjectId {
        *self.projects.keys().nth(dice.below(self.projects.len() as u64) as usize).unwrap()
    }

    fn any_entry(&self, dice: &mut Dice) -> &Arc<Entry> {
        self.entries.values().nth(dice.below(self.entries.len() as u64) as usize).unwrap()
    }

    fn any_filter(&self, dice: &mut Dice) -> EntryFilter {
        let mut filter = EntryFilter { reach: self.any_reach(dice), ..EntryFilter::default() };
        if dice.below(3) == 0 {
            filter.project = Some(self.any_project(dice));
        }
        if dice.below(3) == 0 {
            filter.event_type = Some(self.any_entry(dice).event_type);
        }
        if dice.below(4) == 0 {
            let all = EventSource::ALL;
            filter.event_source = Some(all[dice.below(all.len() as u64) as usize]);
        }
        match dice.below(6) {
            0 => filter.from = Some(self.any_entry(dice).created_at),
            1 => filter.to = Some(self.any_entry(dice).created_at),
            _ => {}
        }
        match dice.below(8) {
            0 => filter.task = self.any_entry(dice).task_id,
            1 => filter.request = self.any_entry(dice).hitl_request_id,
            _ => {}
        }
        match dice.below(4) {
            0 => filter.offset = dice.below(20) as u32,
            // Far enough for the ranks of entries.
            1 if dice.below(4) == 0 => filter.offset = 2001,
            2 => filter.before = Some(self.any_entry(dice).id),
            _ => {}
        }
        filter
    }

    /// Returns the ids of a page of entries as a plain filter finds them, and whether there are more.
    fn entries(&self, filter: &EntryFilter, limit: usize) -> (Vec<EventId>, bool) {
        let in_log =
            |id: &EventId| self.entries.get(id).filter(|entry| entry.project_id == filter.project);
        let cursor = filter.before.as_ref().and_then(in_log).map(|entry| entry.seq);
        let is_before = |entry: &Entry| match (filter.project, cursor) {
            (Some(_), Some(seq)) => entry.seq < seq,
            _ => filter.before.is_none_or(|before| entry.id < before),
        };
        let mut found: Vec<&Arc<Entry>> = self
            .entries
            .values()
            .filter(|entry| match entry.project_id {
                Some(project) => self.sees(&filter.reach, project),
                None => filter.reach.is_everything(),
            })
            .filter(|entry| filter.project.is_none_or(|id| entry.project_id == Some(id)))
            .filter(|entry| filter.task.is_none_or(|id| entry.task_id == Some(id)))
            .filter(|entry| filter.request.is_none_or(|id| entry.hitl_request_id == Some(id)))
            .filter(|entry| filter.event_type.is_none_or(|kind| entry.event_type == kind))
            .filter(|entry| filter.event_source.is_none_or(|one| entry.event_source == one))
            .filter(|entry| filter.from.is_none_or(|from| entry.created_at >= from))
            .filter(|entry| filter.to.is_none_or(|to| entry.created_at <= to))
            .filter(|entry| is_before(entry))
            .collect();
        match filter.project {
            Some(_) => found.sort_by_key(|entry| Reverse(entry.seq)),
            None => found.sort_by_key(|entry| Reverse(entry.id)),
        }
        cut(found.into_iter().map(|entry| entry.id).skip(filter.offset as usize), limit)
    }
}

/// Returns the first items, and whether there are more.
fn cut<T>(items: impl IntoIterator<Item = T>, limit: usize) -> (Vec<T>, bool) {
    let mut items: Vec<T> = items.into_iter().collect();
    let has_more = items.len() > limit;
    items.truncate(limit);
    (items, has_more)
}

fn ids<T, I>(page: &Page<Arc<T>>, id: impl Fn(&T) -> I) -> (Vec<I>, bool) {
    (page.iter().map(|item| id(item)).collect(), page.has_more)
}

async fn answer(stores: &Stores, project: ProjectId, id: HitlRequestId) {
    let context = stores.context();
    let response = Response {
        action: HitlAction::Approve,
        content: None,
        comment: None,
        amended_content: None,
        subject_digest: None,
        response: None,
        in_bulk: false,
        link: None,
    };
    let scope = Scope::project(project).request(id);
    stores.run(scope, move |s| hitl::respond(&context, s, id, &response)).await.unwrap();
}

/// Fills a store with projects of several creators and of none, and with work in all of them.
async fn fill(stores: &Stores, dice: &mut Dice) {
    let mut projects = Vec::new();
    for n in 0..9_u64 {
        let project = match n % 3 {
            0 => stores.project(&format!("Of none {n}")).await,
            by => stores.project_as(creator(by.into()), &format!("Of {by}: {n}")).await,
        };
        projects.push(project);
    }
    for _ in 0..80 {
        let project = projects[dice.below(9) as usize];
        match dice.below(3) {
            0 => drop(stores.submit(project, dice.below(10) as u8).await),
            1 => drop(stores.raise(project).await),
            _ => {
                let request = stores.raise(project).await;
                answer(stores, project, request).await;
            }
        }
    }
    assert!(!stores.claim(3).await.is_empty());
    let context = stores.context();
    let refresh = move |s: &_| agents::refresh(&context.by(Caller::system()), s);
    stores.run(Scope::agent(AgentType::Coder), refresh).await.unwrap();
    stores.pause(projects[1]).await.unwrap();
    stores.pause(projects[3]).await.unwrap();
}

pub async fn the_creator_of_a_project_is_stored(stores: &Stores) {
    let own = stores.project_as(creator(1), "Own").await;
    let other = stores.project("Of an unnamed person").await;
    let read = async |id| stores.projects.project(id).await.unwrap().unwrap().creator;
    assert_eq!((read(own).await, read(other).await), (Some(principal(1)), None));
    let seen_by = async |n| {
        let creator = Some(principal(n));
        let reach = Reach::limited([Sight { projects: BTreeSet::new(), creator }]);
        let found = stores.projects.projects(&reach, None, None, 10).await.unwrap();
        found.iter().map(|project| project.id).collect::<Vec<_>>()
    };
    assert_eq!((seen_by(1).await, seen_by(2).await), (vec![own], vec![]));
    // A later change of the project leaves it.
    stores.pause(own).await.unwrap();
    assert_eq!(seen_by(1).await, [own]);
}

pub async fn lists_are_those_of_the_projects_within_the_reach(stores: &Stores) {
    let mut dice = Dice::new();
    fill(stores, &mut dice).await;
    let all = Contents::of(stores).await;
    for _ in 0..prove::count(60, 1000) {
        let reach = all.any_reach(&mut dice);
        let limit = 1 + dice.below(5) as u32;

        let status = [None, Some(ProjectStatus::Active), Some(ProjectStatus::Paused)];
        let status = status[dice.below(3) as usize];
        let visible = |project: &&Arc<Project>| {
            reach.sees(project.id, project.creator)
                && status.is_none_or(|status| project.status() == status)
        };
        let mut rest: Vec<_> =
            all.projects.values().rev().filter(visible).map(|project| project.id).collect();
        let mut before = None;
        loop {
            let page = stores.projects.projects(&reach, status, before, limit).await.unwrap();
            let expected = cut(rest.iter().copied(), limit as usize);
            assert_eq!(ids(&page, |project| project.id), expected, "{reach:?} {status:?}");
            rest.drain(..page.len());
            before = page.last().map(|project| project.id);
            if !page.has_more {
                break;
            }
        }

        let mut rest = Vec::new();
        for project in all.projects.values().filter(|project| all.sees(&reach, project.id)) {
            let filter = TaskFilter { status: Some(TaskStatus::Working), agent: None, after: None };
            let working = stores.tasks.tasks(project.id, filter, 1000).await.unwrap();
            rest.extend(working.iter().map(|task| task.id));
        }
        rest.sort();
        let mut after = None;
        loop {
            let page = stores.tasks.leased(&reach, after, limit).await.unwrap();
            let expected = cut(rest.iter().copied(), limit as usize);
            assert_eq!(ids(&page, |task| task.id), expected, "{reach:?}");
            rest.drain(..page.len());
            after = page.last().map(|task| task.id);
            if !page.has_more {
                break;
            }
        }

        let pending = |request: &&Arc<HitlRequest>| {
            request.status() == HitlStatus::Pending && all.sees(&reach, request.project_id)
        };
        let mut rest: Vec<_> =
            all.requests.values().filter(pending).map(|request| request.id).collect();
        let mut after = None;
        loop {
            let page = stores
                .requests
                .pending(&reach, &PendingFilter::default(), after, limit)
                .await
                .unwrap();
            let expected = cut(rest.iter().copied(), limit as usize);
            assert_eq!(ids(&page, |request| request.id), expected, "{reach:?}");
            rest.drain(..page.len());
            after = page.last().map(|request| request.id);
            if !page.has_more {
                break;
            }
        }
    }
}

pub async fn a_sample_is_that_of_the_projects_within_the_reach(stores: &Stores) {
    let mut dice = Dice::new();
    fill(stores, &mut dice).await;
    let all = Contents::of(stores).await;
    for _ in 0..prove::count(60, 1000) {
        let reach = all.any_reach(&mut dice);
        let project = (dice.below(3) == 0).then(|| all.any_project(&mut dice));
        let since = all.any_entry(&mut dice).created_at;
        let window = SampleWindow { since, now: stores.context().now };
        let limit = 1 + dice.below(10) as u32;
        let sample = stores.requests.sample(&reach, project, window, limit).await.unwrap();
        let visible: Vec<_> = all
            .requests
            .values()
            .filter(|request| all.sees(&reach, request.project_id))
            .filter(|request| project.is_none_or(|id| request.project_id == id))
            .collect();
        let pending = || visible.iter().filter(|request| request.status() == HitlStatus::Pending);
        let counted: u64 = sample.pending.iter().map(|counted| counted.count).sum();
        assert_eq!(counted, pending().count() as u64, "{reach:?} {project:?}");
        let oldest = sample.oldest.map(|request| request.id);
        assert_eq!(oldest, pending().map(|request| request.id).next(), "{reach:?} {project:?}");
        let ended = visible.iter().rev().filter(|request| request.status() != HitlStatus::Pending);
        let ended = ended.filter(|request| request.created_at >= since);
        let ended: Vec<_> = ended.map(|request| HitlLine::from(&***request)).collect();
        assert_eq!(sample.ended, cut(ended, limit as usize).0, "{reach:?} {project:?} {since}");
    }
}

pub async fn searches_find_entries_within_the_reach(stores: &Stores) {
    let mut dice = Dice::new();
    fill(stores, &mut dice).await;
    let all = Contents::of(stores).await;
    let mut found_some = 0;
    for _ in 0..prove::count(300, 5000) {
        let filter = all.any_filter(&mut dice);
        let limit = 1 + dice.below(30) as u32;
        let page = stores.audit.entries(filter.clone(), limit).await.unwrap();
        let expected = all.entries(&filter, limit as usize);
        assert_eq!(ids(&page, |entry| entry.id), expected, "{filter:?} limit {limit}");
        found_some += u32::from(!page.is_empty() && !filter.reach.is_everything());
    }
    assert!(found_some > 10, "{found_some} searches of a limited reach found something");
    // Entries of the system are in no limited reach, whatever it names.
    let nil = Sight { projects: [ProjectId::from_uuid(Uuid::nil())].into(), creator: None };
    let filter = EntryFilter { reach: Reach::limited([nil]), ..EntryFilter::default() };
    assert!(stores.audit.entries(filter, 10).await.unwrap().is_empty());
    let changed = Some(EventType::AgentStatusChanged);
    let filter = EntryFilter { event_type: changed, ..EntryFilter::default() };
    assert!(!stores.audit.entries(filter.clone(), 10).await.unwrap().is_empty());
    let named = Sight { projects: all.projects.keys().copied().collect(), creator: None };
    let filter = EntryFilter { reach: Reach::limited([named]), ..filter };
    assert!(stores.audit.entries(filter, 10).await.unwrap().is_empty());
}

/// Returns every object of every project, with its project.
async fn objects(stores: &Stores, all: &Contents) -> BTreeMap<ObjectId, ProjectId> {
    let mut found: BTreeMap<_, _> =
        all.projects.keys().map(|id| (ObjectId::Project(*id), *id)).collect();
    for id in all.projects.keys().copied() {
        let tasks = stores.tasks.tasks(id, TaskFilter::default(), 1000).await.unwrap();
        found.extend(tasks.iter().map(|task| (ObjectId::Task(task.id), id)));
        let filter = ArtifactFilter::default();
        let artifacts = stores.context.artifacts(id, filter, 1000).await.unwrap();
        found.extend(artifacts.iter().map(|one| (ObjectId::Artifact(one.meta.id), id)));
    }
    let requests = all.requests.values();
    found.extend(requests.map(|request| (ObjectId::Request(request.id), request.project_id)));
    let entries = all.entries.values().filter_map(|one| Some((one.id, one.project_id?)));
    found.extend(entries.map(|(id, project)| (ObjectId::Entry(id), project)));
    found
}

/// Returns an object of the same kind with another id.
fn with_id(object: ObjectId, id: Uuid) -> ObjectId {
    match object {
        ObjectId::Project(_) => ObjectId::Project(ProjectId::from_uuid(id)),
        ObjectId::Task(_) => ObjectId::Task(TaskId::from_uuid(id)),
        ObjectId::Request(_) => ObjectId::Request(HitlRequestId::from_uuid(id)),
        ObjectId::Artifact(_) => ObjectId::Artifact(ContextId::from_uuid(id)),
        ObjectId::Entry(_) => ObjectId::Entry(EventId::from_uuid(id)),
    }
}

pub async fn an_object_is_found_if_it_exists_in_a_project_within_the_reach(stores: &Stores) {
    let mut dice = Dice::new();
    fill(stores, &mut dice).await;
    let projects: Vec<_> = Contents::of(stores).await.projects.into_keys().collect();
    for n in 0..20 {
        let project = projects[dice.below(projects.len() as u64) as usize];
        stores.artifact(project, json!({ "n": n })).await;
    }
    let all = Contents::of(stores).await;
    let objects = objects(stores, &all).await;
    let kinds: BTreeSet<_> = objects.keys().map(|object| object.kind()).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    for _ in 0..prove::count(60, 1000) {
        let reach = all.any_reach(&mut dice);
        let mut wanted = BTreeSet::new();
        for _ in 0..1 + dice.below(8) {
            let nth = dice.below(objects.len() as u64) as usize;
            let (object, _) = objects.iter().nth(nth).unwrap();
            let id = object.uuid().as_u128();
            wanted.insert(match dice.below(4) {
                // Ids next to one that exists, and at both ends of all ids.
                0 => with_id(*object, Uuid::from_u128(id + 1)),
                1 => with_id(*object, Uuid::from_u128(id - 1)),
                2 if dice.below(3) == 0 => with_id(*object, Uuid::nil()),
                2 if dice.below(3) == 0 => with_id(*object, Uuid::max()),
                _ => *object,
            });
        }
        let is_within = |object: &&ObjectId| {
            objects.get(object).is_some_and(|project| all.sees(&reach, *project))
        };
        let expected: BTreeSet<_> = wanted.iter().filter(is_within).copied().collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let found = stores.projects.within(&reach, &wanted).await.unwrap();
        assert_eq!(found, expected, "{reach:?} {wanted:?}");
    }
    assert!(stores.projects.within(&Reach::everything(), &[]).await.unwrap().is_empty());
}

pub async fn an_entry_of_the_system_is_within_no_reach(stores: &Stores) {
    let mut dice = Dice::new();
    fill(stores, &mut dice).await;
    let all = Contents::of(stores).await;
    let of_system = |entry: &&Arc<Entry>| entry.project_id.is_none();
    let entries: Vec<_> =
        all.entries.values().filter(of_system).map(|entry| ObjectId::Entry(entry.id)).collect();
    assert!(!entries.is_empty());
    let named = [ProjectId::from_uuid(Uuid::nil())].into();
    let nil = Reach::limited([Sight { projects: named, creator: None }]);
    for reach in [Reach::everything(), nil] {
        assert!(stores.projects.within(&reach, &entries).await.unwrap().is_empty(), "{reach:?}");
    }
}

pub async fn many_objects_are_looked_for_at_once(stores: &Stores) {
    let (mine, foreign) = (stores.project("Mine").await, stores.project("Foreign").await);
    let (mut wanted, mut expected) = (Vec::new(), BTreeSet::new());
    for n in 0..130 {
        let own = ObjectId::Artifact(stores.artifact(mine, json!({ "n": n })).await);
        let other = ObjectId::Artifact(stores.artifact(foreign, json!({ "n": n })).await);
        wanted.extend([own, other]);
        expected.insert(own);
    }
    let reach = Reach::limited([Sight { projects: [mine].into(), creator: None }]);
    assert_eq!(stores.projects.within(&reach, &wanted).await.unwrap(), expected);
}

/// Claims as a coder with this reach; returns the claimed tasks in order.
async fn claim(stores: &Stores, reach: &Reach, slots: u32) -> Vec<TaskId> {
    let worker = WorkerId("worker".to_owned());
    let context = stores.context().by(Caller::worker(&worker));
    let claim = Claim {
        worker,
        slots: BTreeMap::from([(AgentType::Coder, slots)]),
        reach: reach.clone(),
        lease: Duration::from_secs(300),
        external: None,
        context,
    };
    let claimed = stores.ledger.claim(claim).await.unwrap();
    let task = |row: &Row| match row {
        Row::Task(task) => Some(task.id),
        _ => None,
    };
    claimed.rows.iter().filter_map(task).collect()
}

/// Returns the pending tasks of all active projects within the reach, in the order of the queue.
async fn queue(stores: &Stores, all: &Contents, reach: &Reach) -> Vec<TaskId> {
    let mut queue: Vec<Arc<Task>> = Vec::new();
    for project in all.projects.values() {
        let filter = TaskFilter { status: Some(TaskStatus::Pending), ..TaskFilter::default() };
        if project.status() == ProjectStatus::Active && all.sees(reach, project.id) {
            queue.extend(stores.tasks.tasks(project.id, filter, 1000).await.unwrap());
        }
    }
    queue.sort_by_key(|task| (Reverse(task.priority), task.turn_at, task.id));
    queue.into_iter().map(|task| task.id).collect()
}

pub async fn a_claim_takes_the_first_tasks_within_its_reach(stores: &Stores) {
    let mut dice = Dice::new();
    fill(stores, &mut dice).await;
    let all = Contents::of(stores).await;
    let nothing = Reach::limited([Sight::default()]);
    assert!(claim(stores, &nothing, 100).await.is_empty());
    loop {
        let reach = all.any_reach(&mut dice);
        let slots = 1 + dice.below(3) as u32;
        let expected = cut(queue(stores, &all, &reach).await, slots as usize).0;
        assert_eq!(claim(stores, &reach, slots).await, expected, "{reach:?}");
        if queue(stores, &all, &Reach::everything()).await.is_empty() {
            break;
        }
    }
}

pub async fn a_claim_finds_its_task_behind_many_others(stores: &Stores) {
    let foreign = stores.project("Foreign").await;
    let named = stores.project("Named").await;
    let own = stores.project_as(creator(1), "Own").await;
    for _ in 0..150 {
        stores.submit(foreign, 9).await;
    }
    let (of_named, of_own) = (stores.submit(named, 0).await, stores.submit(own, 0).await);
    let see = |projects: &[ProjectId], creator| {
        let projects = projects.iter().copied().collect();
        Reach::limited([Sight { projects, creator }])
    };
    let both = see(&[named], Some(principal(1)));
    assert_eq!(claim(stores, &see(&[], Some(principal(2))), 200).await, []);
    assert_eq!(claim(stores, &see(&[named], None), 200).await, [of_named]);
    assert_eq!(claim(stores, &both, 200).await, [of_own]);
    assert_eq!(claim(stores, &both, 200).await, []);
    assert_eq!(claim(stores, &see(&[foreign], None), 200).await.len(), 150);
}

pub async fn workers_at_once_take_each_task_once_and_only_their_own(stores: &Stores) {
    let mut projects = Vec::new();
    for n in 0..4_u128 {
        projects.push(stores.project_as(creator(n), &format!("Of {n}")).await);
    }
    let mut running = Vec::new();
    for (n, project) in projects.iter().copied().enumerate() {
        let stores = stores.clone();
        running.push(tokio::spawn(async move {
            for _ in 0..30 {
                stores.submit(project, (n % 2) as u8).await;
            }
        }));
    }
    // Each worker sees its own project and the one after it.
    let claiming = (0..4_usize).map(|n| {
        let (stores, seen) = (stores.clone(), [projects[n], projects[(n + 1) % 4]]);
        let creator = Some(principal(n as u128));
        let reach = Reach::limited([Sight { projects: [seen[1]].into(), creator }]);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..40 {
                taken.extend(claim(&stores, &reach, 2).await);
                tokio::task::yield_now().await;
            }
            (seen, taken)
        })
    });
    let mut all = BTreeSet::new();
    let claiming: Vec<_> = claiming.collect();
    for one in running {
        one.await.unwrap();
    }
    for one in claiming {
        let (seen, taken) = one.await.unwrap();
        for id in taken {
            let task = stores.tasks.task(id).await.unwrap().unwrap();
            assert!(seen.contains(&task.project_id), "{task:?}");
            assert!(all.insert(id), "{id} was claimed twice");
        }
    }
    let rest = claim(stores, &Reach::everything(), 1000).await;
    assert!(rest.iter().all(|id| all.insert(*id)));
    assert_eq!(all.len(), 120);
}

pub async fn the_latest_use_of_a_key_is_kept(stores: &Stores) {
    let key = |n: u128| CredentialId::from_uuid(Uuid::from_u128(n));
    assert_eq!(stores.records.key_uses().await.unwrap(), []);
    let (first, second) = (stores.context().now, stores.context().now);
    let note = async |n, at| stores.ledger.note_key_use(key(n), at).await.unwrap();
    note(2, first).await;
    note(1, second).await;
    note(1, first).await;
    assert_eq!(stores.records.key_uses().await.unwrap(), [(key(1), second), (key(2), first)]);
    note(2, second).await;
    assert_eq!(stores.records.key_uses().await.unwrap(), [(key(1), second), (key(2), second)]);
    // Servers note uses at once, in any order.
    let times: Vec<_> = (0..20).map(|_| stores.context().now).collect();
    let noting = times.iter().rev().map(|at| {
        let (stores, at) = (stores.clone(), *at);
        tokio::spawn(async move { stores.ledger.note_key_use(key(1), at).await.unwrap() })
    });
    for noting in noting.collect::<Vec<_>>() {
        noting.await.unwrap();
    }
    assert_eq!(stores.records.key_uses().await.unwrap()[0], (key(1), times[19]));
}
