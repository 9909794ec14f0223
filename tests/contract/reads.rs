//! Contract of the query ports.

use std::time::Duration;

use botarmy_domain::decide::{agents, artifacts};
use botarmy_domain::log::LogId;
use botarmy_domain::ports::{PAGE_BYTES, RecordsExt};
use botarmy_domain::{
    AgentStatusKind, AgentType, ArtifactFilter, ArtifactType, Caller, ContextId, EntryFilter,
    EventId, EventSource, EventType, HitlRequestId, HitlStatus, Package, ProjectId, ProjectStatus,
    Scope, TaskFilter, TaskId, TaskLine, TaskStatus, package,
};
use serde_json::json;

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
    assert_eq!(board.tasks, [TaskLine::from(&*task)]);
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
        let filter = ArtifactFilter { artifact_type, source_agent, ..ArtifactFilter::default() };
        assert_eq!(stores.context.artifacts(project, filter, 10).await.unwrap().len(), count);
    }
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
        let page = stores.projects.projects(None, seen.last().copied(), 3).await.unwrap();
        seen.extend(page.iter().map(|project| project.id));
        page.last().map(|project| project.id)
    } {
        assert_eq!(seen.last(), Some(&last));
    }
    assert_eq!(seen, ids);
    let paused = stores.projects.projects(Some(ProjectStatus::Paused), None, 10).await.unwrap();
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
    let newest: Vec<_> = stores.requests.requests(project, None, 10).await.unwrap();
    assert_eq!(newest.iter().map(|request| request.id).collect::<Vec<_>>(), [third, first]);
    let pending = stores.requests.pending(Some(first), 10).await.unwrap();
    assert_eq!(pending.iter().map(|request| request.id).collect::<Vec<_>>(), [second, third]);
    let rejected = Some(HitlStatus::Rejected);
    assert!(stores.requests.requests(project, rejected, 10).await.unwrap().is_empty());
}

pub async fn due_things_are_found_when_they_are_due(stores: &Stores) {
    let project = stores.project("One").await;
    stores.submit(project, 5).await;
    stores.claim(1).await;
    let request = stores.raise(project).await;
    let now = stores.context().now;
    assert!(stores.requests.expired(now, 10).await.unwrap().is_empty());
    assert!(stores.tasks.expired_leases(now, 10).await.unwrap().is_empty());
    stores.pass(Duration::from_secs(61));
    let expired = stores.requests.expired(stores.context().now, 10).await.unwrap();
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

pub async fn lists_of_large_rows_are_short_and_go_on_without_a_gap(stores: &Stores) {
    let project = stores.project("One").await;
    // The third reaches the size of a page, the fourth has more than one.
    let sizes = [PAGE_BYTES / 3, PAGE_BYTES / 3, PAGE_BYTES / 2, 2 * PAGE_BYTES, 10, 10];
    let mut documents = Vec::new();
    for size in sizes {
        stores.ask(project, "x".repeat(size)).await;
        documents.push(stores.artifact(project, json!({ "text": "x".repeat(size) })).await);
    }
    let log = LogId::Project(project);
    let (mut after, mut pages) = (0, Vec::new());
    loop {
        let page = stores.audit.since(log, after, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.iter().map(|entry| entry.seq).eq(after + 1..=last.seq));
        after = last.seq;
        pages.push(page.len());
    }
    // The creation of the project comes first, and a small entry with each document.
    assert_eq!(after, 13);
    assert_eq!(pages, [6, 2, 5]);
    assert_eq!(stores.audit.since(log, 7, 1).await.unwrap()[0].seq, 8);

    let (mut found, mut pages) = (Vec::new(), Vec::new());
    loop {
        let bytes = Some(PAGE_BYTES);
        let filter = ArtifactFilter { after: found.last().copied(), bytes, ..Default::default() };
        let page = stores.context.artifacts(project, filter, 100).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.iter().map(|artifact| artifact.meta.id));
        pages.push(page.len());
    }
    assert_eq!((found, pages), (documents, vec![3, 1, 2]));
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
                artifacts::package_deleted(&context, s)
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
    let history = stores.agents.history(AgentType::Coder, 10).await.unwrap();
    let kinds: Vec<_> = history.iter().map(|record| record.status).collect();
    assert_eq!(kinds, [AgentStatusKind::Idle, AgentStatusKind::Working]);
    assert_eq!(stores.agents.history(AgentType::Coder, 1).await.unwrap().len(), 1);
    assert!(stores.agents.history(AgentType::Tester, 10).await.unwrap().is_empty());
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
