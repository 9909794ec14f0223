//! Contract of the query ports.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::{agents, artifacts};
use botarmy_domain::log::{LogId, LogSpan};
use botarmy_domain::page::{PART_BYTES, Page};
use botarmy_domain::ports::RecordsExt;
use botarmy_domain::{
    AgentStatusKind, AgentType, ArtifactFilter, ArtifactType, Caller, ContextId, Entry,
    EntryFilter, EventId, EventSource, EventType, HitlKind, HitlRequestId, HitlStatus,
    OpenRequests, Package, Permission, ProjectId, ProjectStatus, Reach, Scope, TaskFilter, TaskId,
    TaskLine, TaskStatus, Timestamp, Workload, package,
};
use serde_json::json;
use uuid::Uuid;

use crate::stores::Stores;

pub async fn everything_comes_back_as_it_was_written(stores: &Stores) {
    let project = stores.project("Ünïcödé \u{1f600}").await;
    let content = json!({
        "text": "a\"b\\c\u{fffd}\n\u{1f600}", "float": 0.1, "big": 9_007_199_254_740_991_i64,
        "negative": -3, "nested": {"z": [1, [2, {"a": null}]], "a": true}, "empty": {},
    });
    let artifact = stores.artifact(project, content.clone()).await;
    let stored = stores.context.artifact(artifact).await.unwrap().unwrap();
    assert_eq!(json!(stored.content), content);
    assert_eq!(stored.meta.digest, botarmy_domain::artifact::digest(&content));
    let request = stores.raise(project).await;
    let task = stores.try_submit(project, 7, &[artifact]).await.unwrap();
    let task = stores.tasks.task(task).await.unwrap().unwrap();
    assert_eq!((task.priority, task.context_ids.as_slice()), (7, [artifact].as_slice()));
    let request = stores.requests.request(request).await.unwrap().unwrap();
    assert_eq!(request.options, ["Yes"]);
    let found = stores.projects.project(project).await.unwrap().unwrap();
    assert_eq!(found.name, "Ünïcödé \u{1f600}");
    assert_eq!(found.description.as_deref(), Some("Ünïcödé \u{1f600} \"quoted\""));
    let board = stores.tasks.status(project, 10).await.unwrap().unwrap();
    assert_eq!(board.tasks.items, [TaskLine::from(&*task)]);
    assert_eq!(board.project_status, ProjectStatus::Active);
}

pub async fn artifacts_come_in_the_order_they_are_asked_for(stores: &Stores) {
    let project = stores.project("One").await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(stores.artifact(project, json!({ "n": n })).await);
    }
    let wanted = [ids[3], ids[0], ids[3], ids[4]];
    let found = stores.context.artifacts_by_id(&wanted).await.unwrap();
    assert_eq!(found.iter().map(|artifact| artifact.meta.id).collect::<Vec<_>>(), wanted);
    let filter = ArtifactFilter { after: Some(ids[1]), ..ArtifactFilter::default() };
    let page = stores.context.artifacts(project, filter, 2).await.unwrap();
    assert_eq!(page.iter().map(|artifact| artifact.meta.id).collect::<Vec<_>>(), ids[2..4]);
    for (artifact_type, source_agent, count) in [
        (Some(ArtifactType::AgentOutput), Some(AgentType::Coder), 5),
        (Some(ArtifactType::SourceCode), None, 0),
        (None, Some(AgentType::Tester), 0),
    ] {
        let filter = ArtifactFilter { artifact_type, source_agent, after: None };
        let refs = stores.context.artifact_refs(project, filter.clone(), 10).await.unwrap();
        assert_eq!((refs.len(), refs.has_more), (count, false));
        assert_eq!(stores.context.artifacts(project, filter, 10).await.unwrap().len(), count);
    }
}

pub async fn artifacts_are_listed_without_their_contents(stores: &Stores) {
    let project = stores.project("One").await;
    let large = json!({ "text": "é\"\n".repeat(200_000) });
    let (first, second) =
        (stores.artifact(project, json!({})).await, stores.artifact(project, large.clone()).await);
    let third = stores.artifact(project, large.clone()).await;
    let all = stores.context.artifacts_by_id(&[first, second, third]).await.unwrap();
    let read = async |after, limit| {
        let filter = ArtifactFilter { after, ..ArtifactFilter::default() };
        stores.context.artifact_refs(project, filter, limit).await.unwrap()
    };
    // A page with contents would end before.
    let page = read(None, 3).await;
    assert!(!page.has_more);
    assert_eq!(page.items, all.iter().map(|one| one.meta.clone()).collect::<Vec<_>>());
    let page = read(None, 2).await;
    assert_eq!((page.len(), page.has_more), (2, true));
    assert_eq!(read(Some(second), 2).await.items, [all[2].meta.clone()]);
    let other = stores.project("Other").await;
    let none = stores.context.artifact_refs(other, ArtifactFilter::default(), 9).await.unwrap();
    assert!(none.is_empty());

    let unknown = ContextId::from_uuid(project.uuid());
    let mut sizes = stores.context.artifact_sizes(&[third, unknown, first]).await.unwrap();
    sizes.sort_unstable();
    let bytes = |value: &serde_json::Value| value.to_string().len() as u64;
    assert_eq!(sizes, [(first, bytes(&json!({}))), (third, bytes(&large))]);
}

pub async fn projects_are_paged_newest_first(stores: &Stores) {
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(stores.project(&format!("Project {n}")).await);
    }
    ids.reverse();
    stores.pause(ids[2]).await.unwrap();
    let mut seen = Vec::new();
    while let Some(last) = {
        let page = stores
            .projects
            .projects(&Reach::everything(), None, seen.last().copied(), 3)
            .await
            .unwrap();
        seen.extend(page.iter().map(|project| project.id));
        page.last().map(|project| project.id)
    } {
        assert_eq!(seen.last(), Some(&last));
    }
    assert_eq!(seen, ids);
    let paused = stores
        .projects
        .projects(&Reach::everything(), Some(ProjectStatus::Paused), None, 10)
        .await
        .unwrap();
    assert_eq!(paused.iter().map(|project| project.id).collect::<Vec<_>>(), [ids[2]]);
}

pub async fn tasks_and_requests_are_filtered_and_paged(stores: &Stores) {
    let (project, other) = (stores.project("One").await, stores.project("Two").await);
    let mut tasks = Vec::new();
    for _ in 0..5 {
        tasks.push(stores.submit(project, 5).await);
    }
    stores.submit(other, 5).await;
    stores.claim(2).await;
    let with = |status, agent, after| TaskFilter { status, agent, after };
    let list = async |filter, limit| -> Vec<TaskId> {
        let found = stores.tasks.tasks(project, filter, limit).await.unwrap();
        found.iter().map(|task| task.id).collect()
    };
    assert_eq!(list(with(None, None, None), 3).await, tasks[..3]);
    assert_eq!(list(with(None, None, Some(tasks[2])), 10).await, tasks[3..]);
    let working = list(with(Some(TaskStatus::Working), Some(AgentType::Coder), None), 10).await;
    assert!(!working.is_empty() && working.iter().all(|id| tasks.contains(id)));
    assert!(list(with(None, Some(AgentType::Tester), None), 10).await.is_empty());
    assert_eq!(stores.tasks.working(10).await.unwrap().len(), 2);
    assert_eq!(stores.tasks.backlog().await.unwrap(), 4);
    // Ready are the tasks of active projects, at their time.
    let ready = async |now| {
        let found = stores.tasks.ready(now).await.unwrap();
        found.iter().map(|ready| (ready.agent, ready.count)).collect::<Vec<_>>()
    };
    let now = stores.context().now;
    assert_eq!(ready(now).await, [(AgentType::Coder, 4)]);
    assert!(ready(now.before(Duration::from_secs(3600))).await.is_empty());
    let filter = with(Some(TaskStatus::Pending), None, None);
    let of_other = stores.tasks.tasks(other, filter, 10).await.unwrap().len() as u64;
    stores.pause(other).await.unwrap();
    assert_eq!(ready(stores.context().now).await, [(AgentType::Coder, 4 - of_other)]);

    let first = stores.raise(project).await;
    let second = stores.raise(other).await;
    let third = stores.raise(project).await;
    let newest = stores.requests.requests(project, None, None, 10).await.unwrap();
    assert_eq!(newest.iter().map(|request| request.id).collect::<Vec<_>>(), [third, first]);
    let older = stores.requests.requests(project, None, Some(third), 10).await.unwrap();
    assert_eq!(older.iter().map(|request| request.id).collect::<Vec<_>>(), [first]);
    let pending = stores.pending(Some(first), 10).await.unwrap();
    assert_eq!(pending.iter().map(|request| request.id).collect::<Vec<_>>(), [second, third]);
    let rejected = Some(HitlStatus::Rejected);
    assert!(stores.requests.requests(project, rejected, None, 10).await.unwrap().is_empty());
}

pub async fn unfinished_work_is_counted_with_the_age_of_the_oldest(stores: &Stores) {
    let now = || stores.context().now;
    assert!(stores.tasks.workload(now()).await.unwrap().is_empty());
    assert!(stores.requests.open_requests().await.unwrap().is_empty());
    let (project, paused) = (stores.project("One").await, stores.project("Two").await);
    let mut tasks = vec![stores.submit(paused, 5).await];
    for _ in 0..4 {
        tasks.push(stores.submit(project, 5).await);
    }
    stores.pause(paused).await.unwrap();
    let load = async |at| stores.tasks.workload(at).await.unwrap();
    let ready_at = stores.tasks.task(tasks[1]).await.unwrap().unwrap().ready_at;
    let mut expected = Workload {
        agent: AgentType::Coder,
        pending: 5,
        ready: 4,
        ready_since: Some(ready_at),
        working: 0,
    };
    assert_eq!(load(now()).await, [expected]);
    // Nothing was ready before it was submitted.
    let before = Workload { ready: 0, ready_since: None, ..expected };
    assert_eq!(load(ready_at.before(Duration::from_micros(1))).await, [before]);
    assert_eq!(stores.claim(4).await.len(), 4);
    expected = Workload { pending: 1, ready: 0, ready_since: None, working: 4, ..expected };
    assert_eq!(load(now()).await, [expected]);

    let (first, _) = (stores.raise(project).await, stores.raise(paused).await);
    let oldest = stores.requests.request(first).await.unwrap().unwrap().created_at;
    let open = stores.requests.open_requests().await.unwrap();
    assert_eq!(open, [OpenRequests { kind: HitlKind::Question, count: 2, oldest }]);
}

pub async fn due_things_are_found_when_they_are_due(stores: &Stores) {
    let project = stores.project("One").await;
    stores.submit(project, 5).await;
    stores.claim(1).await;
    let request = stores.raise(project).await;
    let now = stores.context().now;
    assert!(stores.requests.due(now, true, 10).await.unwrap().is_empty());
    assert!(stores.tasks.expired_leases(now, 10).await.unwrap().is_empty());
    stores.pass(Duration::from_secs(61));
    let expired = stores.requests.due(stores.context().now, true, 10).await.unwrap();
    assert_eq!(expired.iter().map(|request| request.id).collect::<Vec<_>>(), [request]);
    stores.pass(Duration::from_secs(300));
    assert_eq!(stores.tasks.expired_leases(stores.context().now, 10).await.unwrap().len(), 1);
}

pub async fn entries_pass_every_filter_and_page(stores: &Stores) {
    let (project, other) = (stores.project("One").await, stores.project("Two").await);
    let task = stores.submit(project, 5).await;
    stores.submit(other, 5).await;
    stores.claim(1).await;
    let request = stores.raise(project).await;
    let find = async |filter: EntryFilter| -> Vec<EventType> {
        let found = stores.audit.entries(filter, 100).await.unwrap();
        found.iter().map(|entry| entry.event_type).collect()
    };
    let any = EntryFilter::default;
    use EventType::{HitlRequestCreated, ProjectCreated, TaskCreated, TaskStarted};
    let of_project = EntryFilter { project: Some(project), ..any() };
    assert_eq!(
        find(of_project.clone()).await,
        [HitlRequestCreated, TaskStarted, TaskCreated, ProjectCreated]
    );
    assert_eq!(find(EntryFilter { task: Some(task), ..any() }).await, [TaskStarted, TaskCreated]);
    assert_eq!(find(EntryFilter { request: Some(request), ..any() }).await, [HitlRequestCreated]);
    let created = EntryFilter { event_type: Some(TaskCreated), ..any() };
    assert_eq!(find(created).await.len(), 2);
    let agents = EntryFilter { event_source: Some(EventSource::Agent), ..any() };
    assert_eq!(find(agents).await, [TaskStarted]);

    let all = stores.audit.entries(any(), 100).await.unwrap();
    assert_eq!(all.len(), 6);
    assert!(all.is_sorted_by(|newer, older| newer.created_at >= older.created_at));
    let (from, to) = (all[3].created_at, all[1].created_at);
    let between = EntryFilter { from: Some(from), to: Some(to), ..any() };
    let between = stores.audit.entries(between, 100).await.unwrap();
    assert_eq!(between.iter().map(|e| e.id).collect::<Vec<_>>(), ids(&all[1..4]));
    let rest = EntryFilter { before: Some(all[1].id), ..any() };
    assert_eq!(ids(&stores.audit.entries(rest, 2).await.unwrap()), ids(&all[2..4]));
    let offset = EntryFilter { offset: 4, ..any() };
    assert_eq!(ids(&stores.audit.entries(offset, 100).await.unwrap()), ids(&all[4..]));
    let own = stores.audit.entries(of_project.clone(), 100).await.unwrap();
    let rest = EntryFilter { before: Some(own[1].id), ..of_project };
    assert_eq!(ids(&stores.audit.entries(rest, 100).await.unwrap()), ids(&own[2..]));
    assert_eq!(stores.audit.entry(all[2].id).await.unwrap().as_ref(), Some(&all[2]));
}

fn ids(entries: &[std::sync::Arc<botarmy_domain::Entry>]) -> Vec<EventId> {
    entries.iter().map(|entry| entry.id).collect()
}

pub async fn a_log_is_read_from_any_position_without_a_gap(stores: &Stores) {
    let project = stores.project("One").await;
    for _ in 0..20 {
        stores.submit(project, 5).await;
    }
    let log = LogId::Project(project);
    for after in [0, 1, 7, 20, 21, 1000] {
        let found = stores.audit.since(log, after, 5).await.unwrap();
        let seqs: Vec<_> = found.iter().map(|entry| entry.seq).collect();
        let expected: Vec<_> = (after + 1..=21).take(5).collect();
        assert_eq!(seqs, expected);
    }
    assert_eq!(stores.audit.head(log).await.unwrap().unwrap().seq, 21);
    let unknown = LogId::Project(stores.context().id_generator().project());
    assert!(stores.audit.since(unknown, 0, 5).await.unwrap().is_empty());
    assert_eq!(stores.audit.head(unknown).await.unwrap(), None);
}

pub async fn spans_name_every_log_with_entries_since_a_time(stores: &Stores) {
    let (old, new) = (stores.project("Old").await, stores.project("New").await);
    stores.submit(old, 5).await;
    let old_log = LogId::Project(old);
    let last = stores.audit.since(old_log, 0, 10).await.unwrap().items.pop().unwrap();
    let (log, everything) = (LogId::Project(new), Timestamp::from_micros(0));
    for _ in 0..3 {
        stores.submit(new, 5).await;
    }
    let all = stores.audit.spans(everything, 1000).await.unwrap().unwrap();
    let entries: u64 = all.iter().map(|span| span.last - span.first + 1).sum();
    assert!(all.is_sorted() && all.contains(&LogSpan { log, first: 1, last: 4 }), "{all:?}");
    assert!(all.contains(&LogSpan { log: old_log, first: 1, last: 2 }), "{all:?}");
    // Of the entries at that millisecond and later.
    let since = stores.audit.spans(last.created_at, 1000).await.unwrap().unwrap();
    let of_old = since.iter().find(|span| span.log == old_log).unwrap();
    assert_eq!(of_old.last, 2);
    assert!(since.iter().any(|span| span.log == log));
    let later = Timestamp::from_micros(last.created_at.micros() + 3_600_000_000);
    assert_eq!(stores.audit.spans(later, 1000).await.unwrap(), Some(Vec::new()));
    let limit = u32::try_from(entries).unwrap();
    assert_eq!(stores.audit.spans(everything, limit).await.unwrap(), Some(all));
    assert_eq!(stores.audit.spans(everything, limit - 1).await.unwrap(), None);
}

pub async fn packages_are_there_until_they_are_deleted(stores: &Stores) {
    let project = stores.project("One").await;
    assert_eq!(stores.records.record::<Package>(project).await.unwrap(), None);
    let found = stores.projects.project(project).await.unwrap().unwrap();
    let context = stores.context();
    let now = context.now;
    let made = package::build(&found, &[], context.now);
    let package = made.clone();
    stores
        .run(Scope::project(project), move |s| artifacts::package_made(&context, s, &package))
        .await
        .unwrap();
    assert_eq!(stores.records.record::<Package>(project).await.unwrap().as_deref(), Some(&made));
    assert!(stores.records.packages_before(now, 10).await.unwrap().is_empty());
    let later = stores.context().now;
    assert_eq!(stores.records.packages_before(later, 10).await.unwrap(), [project]);
    let context = stores.context();
    for times in [1, 0] {
        let context = context.clone();
        let deleted = stores
            .run(Scope::project(project).record::<Package>(project), move |s| {
                artifacts::package_deleted(&context, s, Permission::ProjectManage)
            })
            .await
            .unwrap();
        assert_eq!(deleted.entries.len(), times, "there is nothing to delete twice");
    }
    assert_eq!(stores.records.record::<Package>(project).await.unwrap(), None);
}

pub async fn agents_are_derived_and_remembered(stores: &Stores) {
    let all = stores.agents.statuses().await.unwrap();
    assert_eq!(all.iter().map(|a| a.agent_type).collect::<Vec<_>>(), AgentType::ALL);
    assert!(all.iter().all(|agent| agent.status == AgentStatusKind::Idle));
    let project = stores.project("One").await;
    let task = stores.submit(project, 5).await;
    let refresh = async || {
        let context = stores.context();
        let scope = Scope::agent(AgentType::Coder);
        stores
            .run(scope, move |s| agents::refresh(&context.by(Caller::system()), s))
            .await
            .unwrap();
        stores.agents.status_of(AgentType::Coder).await.unwrap()
    };
    assert_eq!(refresh().await.status, AgentStatusKind::Idle);
    stores.claim(1).await;
    let working = refresh().await;
    assert_eq!((working.status, working.active_tasks), (AgentStatusKind::Working, 1));
    assert_eq!(working.current_task_id, Some(task));
    stores.complete(project, task).await.unwrap();
    assert_eq!(refresh().await.status, AgentStatusKind::Idle);
    let history = stores.agents.history(AgentType::Coder, None, 10).await.unwrap();
    let kinds: Vec<_> = history.iter().map(|past| past.record.status).collect();
    assert_eq!(kinds, [AgentStatusKind::Idle, AgentStatusKind::Working]);
    let newest = stores.agents.history(AgentType::Coder, None, 1).await.unwrap();
    assert_eq!((&newest[..], newest.has_more), (&history[..1], true));
    let before = Some(newest[0].seq);
    let older = stores.agents.history(AgentType::Coder, before, 1).await.unwrap();
    assert_eq!((&older[..], older.has_more), (&history[1..], false));
    assert!(stores.agents.history(AgentType::Tester, None, 10).await.unwrap().is_empty());
}

pub async fn what_does_not_exist_is_none(stores: &Stores) {
    let id = stores.context().id_generator().uuid();
    let project = ProjectId::from_uuid(id);
    assert!(stores.projects.project(project).await.unwrap().is_none());
    assert!(stores.projects.overview(project).await.unwrap().is_none());
    assert!(stores.tasks.status(project, 10).await.unwrap().is_none());
    assert!(stores.tasks.task(TaskId::from_uuid(id)).await.unwrap().is_none());
    assert!(stores.requests.request(HitlRequestId::from_uuid(id)).await.unwrap().is_none());
    assert!(stores.context.artifact(ContextId::from_uuid(id)).await.unwrap().is_none());
    assert!(stores.context.artifacts_by_id(&[ContextId::from_uuid(id)]).await.unwrap().is_empty());
    assert!(stores.audit.entry(EventId::from_uuid(id)).await.unwrap().is_none());
    assert!(stores.records.record::<Package>(project).await.unwrap().is_none());
    let refused = stores.pause(project).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("Project {project} does not exist"));
}

/// A list as it is walked: the ids of a page with the sizes of their rows.
type Walked = Page<(Uuid, usize)>;

fn walked<T>(page: Page<Arc<T>>, of: impl Fn(&T) -> (Uuid, usize)) -> Walked {
    page.try_map(|item| Ok::<_, Infallible>(of(&item))).unwrap()
}

/// Follows a list from page to page, and calls `meanwhile` after the first one. Checks that each
/// page ends with the row that reaches its bytes.
async fn walk(
    read: impl AsyncFn(Option<Uuid>) -> Walked,
    meanwhile: impl AsyncFn() -> (),
) -> Vec<Uuid> {
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = read(seen.last().copied()).await;
        let size: usize = page.iter().map(|(_, size)| size).sum();
        let last = page.last().map_or(0, |(_, size)| *size);
        assert!(!page.is_empty(), "a page that was announced is empty");
        assert!(size - last < PART_BYTES, "a page of {size} bytes ends too late");
        assert!(!page.has_more || size > PART_BYTES * 9 / 10, "{size} bytes are too few");
        seen.extend(page.iter().map(|(id, _)| id));
        pages += 1;
        if !page.has_more {
            assert!(pages > 2, "{pages} pages");
            return seen;
        }
        if pages == 1 {
            meanwhile().await;
        }
    }
}

pub async fn a_page_ends_with_the_row_that_reaches_its_bytes(stores: &Stores) {
    // Some rows are as large as a page, and the small ones between them do not hide that.
    let text = |n: usize| match n % 4 {
        0 => "x".repeat(PART_BYTES + 1),
        1 => "short".to_owned(),
        // Such a text cannot be compressed much.
        2 => (0..400_000_u64).map(|n| char::from(b'a' + (n * n / 7 % 23) as u8)).collect(),
        _ => "yz".repeat(200_000),
    };
    let size = |json: String| json.len();
    let project = stores.project("One").await;
    let task = stores.submit(project, 5).await;
    let (mut projects, mut requests, mut tasks, mut artifacts) = (vec![], vec![], vec![], vec![]);
    for n in 0..9 {
        projects.push(stores.project_with("Large", &text(n)).await.uuid());
        requests.push(stores.raise_with(project, &text(n)).await.uuid());
        tasks.push(stores.submit_with(project, &text(n), 5, &[]).await.unwrap().uuid());
        artifacts.push(stores.artifact(project, json!({ "text": text(n) })).await.uuid());
    }
    let nothing = async || {};

    let read = async |after: Option<Uuid>| {
        let after = after.map(ContextId::from_uuid);
        let filter = ArtifactFilter { after, ..ArtifactFilter::default() };
        let page = stores.context.artifacts(project, filter, 100).await.unwrap();
        walked(page, |a| (a.meta.id.uuid(), size(json!([a.content, a.metadata]).to_string())))
    };
    assert_eq!(walk(read, nothing).await, artifacts);
    let read = async |after: Option<Uuid>| {
        let filter =
            TaskFilter { after: after.map(TaskId::from_uuid).or(Some(task)), ..Default::default() };
        let page = stores.tasks.tasks(project, filter, 100).await.unwrap();
        walked(page, |task| (task.id.uuid(), size(json!(task).to_string())))
    };
    assert_eq!(walk(read, nothing).await, tasks);
    let read = async |before: Option<Uuid>| {
        let before = before.map(ProjectId::from_uuid);
        let page = stores.projects.projects(&Reach::everything(), None, before, 10).await.unwrap();
        walked(page, |project| (project.id.uuid(), size(json!(project).to_string())))
    };
    let newest_first: Vec<Uuid> = projects.iter().rev().copied().chain([project.uuid()]).collect();
    assert_eq!(walk(read, nothing).await, newest_first);
    let add = async || {
        stores.raise(project).await;
    };
    let read = async |before: Option<Uuid>| {
        let before = before.map(HitlRequestId::from_uuid);
        let status = Some(HitlStatus::Pending);
        let page = stores.requests.requests(project, status, before, 100).await.unwrap();
        walked(page, |request| (request.id.uuid(), size(json!(request).to_string())))
    };
    let newest_first: Vec<Uuid> = requests.iter().rev().copied().collect();
    assert_eq!(walk(read, add).await, newest_first);
    let read = async |after: Option<Uuid>| {
        let after = after.map(HitlRequestId::from_uuid);
        let page = stores.pending(after, 100).await.unwrap();
        walked(page, |request| (request.id.uuid(), size(json!(request).to_string())))
    };
    assert_eq!(walk(read, nothing).await[..9], requests);

    // Every way in which the logs are searched.
    let of = |entry: &Entry| {
        let size = size(json!([entry.event_data, entry.event_metadata]).to_string());
        (entry.id.uuid(), size)
    };
    let log = LogId::Project(project);
    let mut entries = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry: &Arc<Entry>| entry.seq);
        let page = stores.audit.since(log, after, 100).await.unwrap();
        let sizes: Vec<usize> = page.iter().map(|entry| of(entry).1).collect();
        assert!(sizes[..sizes.len() - 1].iter().sum::<usize>() < PART_BYTES);
        let has_more = page.has_more;
        entries.extend(page);
        if !has_more {
            break;
        }
    }
    assert!(entries.iter().map(|entry| entry.seq).eq(1..=entries.len() as u64));
    let any = EntryFilter::default;
    let of_project = EntryFilter { project: Some(project), ..any() };
    let created = Some(EventType::HitlRequestCreated);
    let (from, to) = (Some(entries[0].created_at), Some(entries[entries.len() - 1].created_at));
    for filter in [
        any(),
        EntryFilter { from, to, ..any() },
        EntryFilter { event_type: created, ..any() },
        of_project.clone(),
        EntryFilter { offset: 3, ..of_project.clone() },
        EntryFilter { from, to, ..of_project.clone() },
        EntryFilter { event_type: created, ..of_project.clone() },
        EntryFilter { event_type: created, from, to, ..of_project },
    ] {
        let read = async |before: Option<Uuid>| {
            let before = before.map(EventId::from_uuid);
            let offset = if before.is_some() { 0 } else { filter.offset };
            let filter = EntryFilter { before, offset, ..filter.clone() };
            walked(stores.audit.entries(filter, 1000).await.unwrap(), of)
        };
        let found = walk(read, async || {}).await;
        let expected: Vec<Uuid> = entries
            .iter()
            .rev()
            .filter(|entry| filter.event_type.is_none_or(|kind| entry.event_type == kind))
            .skip(filter.offset as usize)
            .map(|entry| entry.id.uuid())
            .collect();
        let own: Vec<Uuid> = match filter.project {
            Some(_) => found,
            None => found.into_iter().filter(|id| expected.contains(id)).collect(),
        };
        assert_eq!(own, expected, "{filter:?}");
    }
}
