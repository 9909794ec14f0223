//! Tests on mocks of the stores: what is read, and what is made of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use botarmy_domain::log::{EntryFilter, Event, Head, HeadMark, Verification};
use botarmy_domain::ports::{
    Clock, Gates, Ids, LogQueries, MockAgentStatus, MockAuditLog, MockContextStore,
    MockDeliveryStore, MockEventBus, MockHitlStore, MockLedger, MockProjectStore, MockRecords,
    MockTaskStore, MockWakeUps, Operations, Projects, Queries, Secrets, StorePorts, Tasks,
};
use botarmy_domain::{
    Authentication, Caller, Counts, DomainError, Entry, Error, EventType, Grant, HitlAction,
    IdGenerator, LogId, Oversight, Page, Principal, PrincipalKind, Project, ProjectId,
    ProjectState, RecordValue, Response, Rights, Role, StopScope, StoreError, TaskFilter,
    Timestamp, package,
};
use serde_json::Map;

use crate::engine::{Engine, EngineSettings, Ports};
use crate::workflows::Workflows;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Stores on mocks. A call that a test does not expect panics.
#[derive(Default)]
struct Stores {
    projects: MockProjectStore,
    tasks: MockTaskStore,
    requests: MockHitlStore,
    context: MockContextStore,
    records: MockRecords,
    audit: MockAuditLog,
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct OneSeed;

impl Secrets for OneSeed {
    fn secret(&self) -> [u8; 32] {
        [1; 32]
    }
}

impl Ids for OneSeed {
    fn seed(&self) -> u128 {
        7
    }
}

impl Stores {
    fn engine(self) -> Engine {
        let stores = StorePorts {
            ledger: Arc::new(MockLedger::new()),
            projects: Arc::new(self.projects),
            tasks: Arc::new(self.tasks),
            requests: Arc::new(self.requests),
            context: Arc::new(self.context),
            records: Arc::new(self.records),
            audit: Arc::new(self.audit),
            agents: Arc::new(MockAgentStatus::new()),
            deliveries: Arc::new(MockDeliveryStore::new()),
        };
        let ports = Ports {
            stores,
            bus: Arc::new(MockEventBus::new()),
            wake_ups: Arc::new(MockWakeUps::new()),
            clock: Arc::new(StoppedClock),
            ids: Arc::new(OneSeed),
            secrets: Arc::new(OneSeed),
        };
        Engine::new(ports, Workflows::default(), EngineSettings::default())
    }
}

fn caller() -> Caller {
    Caller::person("ada")
}

fn id() -> ProjectId {
    IdGenerator::new(NOW, 7).project()
}

fn project() -> Arc<Project> {
    Arc::new(Project {
        id: id(),
        name: "To do".to_owned(),
        description: None,
        creator: None,
        oversight: Oversight::Standard,
        state: ProjectState::Active,
        plan: None,
        created_at: NOW,
        updated_at: NOW,
    })
}

/// The end of a project's log of this length, and its entries.
fn log(length: u64) -> (HeadMark, Vec<Arc<Entry>>) {
    let mut id_generator = IdGenerator::new(NOW, 7);
    let mut head = Head::empty(LogId::Project(id()));
    let entries = (0..length).map(|_| {
        let event = Event {
            id: id_generator.event(),
            event_type: EventType::TaskCreated,
            origin: caller().origin(),
            task_id: Some(id_generator.task()),
            hitl_request_id: None,
            data: Map::new(),
            at: NOW,
        };
        Arc::new(Entry::append(&mut head, event))
    });
    let entries = entries.collect();
    (HeadMark { seq: head.seq, hash: head.hash }, entries)
}

fn is_missing<T>(result: &Result<T, Error>, what: &str) -> bool {
    matches!(result, Err(Error::Refused(DomainError::NotFound { what: named, .. })) if *named == what)
}

#[tokio::test]
async fn the_project_of_an_empty_list_is_read_and_must_exist() {
    let mut stores = Stores::default();
    stores.tasks.expect_tasks().returning(|_, _, limit| {
        assert_eq!(limit, 100);
        Ok(Page::default())
    });
    stores.requests.expect_requests().returning(|_, _, _, _| Ok(Page::default()));
    stores.context.expect_artifacts().returning(|_, _, _| Ok(Page::default()));
    stores.projects.expect_project().times(1).returning(|_| Ok(Some(project())));
    stores.projects.expect_project().times(3).returning(|_| Ok(None));
    let engine = stores.engine();
    let tasks = async || engine.tasks(&caller(), id(), TaskFilter::default(), 100).await;
    assert!(tasks().await.unwrap().items.is_empty());
    assert!(is_missing(&tasks().await, "Project"));
    assert!(is_missing(&engine.requests(&caller(), id(), None, None, 100).await, "Project"));
    let artifacts = engine.artifacts(&caller(), id(), Default::default(), 100).await;
    assert!(is_missing(&artifacts, "Project"));
}

#[tokio::test]
async fn the_logs_of_a_project_and_of_a_task_know_when_there_is_none() {
    let task = IdGenerator::new(NOW, 8).task();
    let mut stores = Stores::default();
    stores.audit.expect_entries().times(1).returning(|filter, limit| {
        assert_eq!((filter.project, limit), (Some(id()), 100));
        Ok(Page::default())
    });
    stores.audit.expect_entries().times(1).returning(move |filter, limit| {
        assert_eq!((filter.task, limit), (Some(task), 50));
        Ok(Page::default())
    });
    stores.audit.expect_entry().returning(|_| Ok(None));
    stores.projects.expect_project().returning(|_| Ok(None));
    stores.tasks.expect_task().returning(|_| Ok(None));
    let engine = stores.engine();
    let filter = EntryFilter::default;
    let of_project = engine.project_entries(&caller(), id(), filter(), 100).await;
    assert!(is_missing(&of_project, "Project"));
    let of_task = engine.task_entries(&caller(), task, filter(), 50).await;
    assert!(is_missing(&of_task, "Task"));
    let event = IdGenerator::new(NOW, 9).event();
    assert!(is_missing(&engine.entry(&caller(), event).await, "Event"));
}

#[tokio::test]
async fn the_completion_is_of_the_newest_entry_or_of_the_project_without_one() {
    for (entries, last_updated) in [(log(1).1, NOW), (Vec::new(), project().updated_at)] {
        let mut stores = Stores::default();
        stores.projects.expect_overview().returning(|id| {
            let mut head = Head::empty(LogId::Project(id));
            head.counts = Counts { completed: 3, failed: 7, ..Counts::default() };
            Ok(Some((project(), head)))
        });
        stores.audit.expect_entries().returning(move |filter, limit| {
            assert_eq!((filter.project, limit), (Some(id()), 1));
            Ok(entries.iter().cloned().collect())
        });
        stores.records.expect_find().returning(|_| Ok(None));
        let report = stores.engine().completion(&caller(), id()).await.unwrap();
        assert_eq!((report.percentage(), report.last_updated), (30.0, last_updated));
        assert!(!report.is_complete() && !report.artifacts_available);
    }
}

#[tokio::test]
async fn artifacts_are_available_when_some_are_stored_or_there_is_a_package() {
    let package = RecordValue::Package(Arc::new(package::build(&project(), &[], NOW)));
    for (artifacts, found, available) in
        [(0, None, false), (0, Some(package), true), (1, None, true)]
    {
        let mut stores = Stores::default();
        stores.projects.expect_overview().returning(move |id| {
            let mut head = Head::empty(LogId::Project(id));
            head.counts.artifacts = artifacts;
            Ok(Some((project(), head)))
        });
        stores.audit.expect_entries().returning(|_, _| Ok(Page::default()));
        stores.records.expect_find().returning(move |_| Ok(found.clone()));
        let report = stores.engine().completion(&caller(), id()).await.unwrap();
        assert_eq!(report.artifacts_available, available);
    }
}

/// Checks a log that is stored as `entries`, while its head is `head`, two entries at a time.
async fn check(head: HeadMark, entries: Vec<Arc<Entry>>) -> Verification {
    let mut stores = Stores::default();
    stores.audit.expect_head().returning(move |_| Ok(Some(head.clone())));
    stores.audit.expect_since().returning(move |_, after, limit| {
        let page = entries.iter().filter(|entry| entry.seq > after);
        Ok(page.take(limit as usize).cloned().collect())
    });
    stores.engine().verify_log(&caller(), LogId::Project(id()), None, 2).await.unwrap()
}

#[tokio::test]
async fn a_log_is_checked_up_to_where_it_ended() {
    let (_, entries) = log(7);
    let (head, _) = log(5);
    let found = check(head.clone(), entries).await;
    assert!(found.valid && found.reason.is_none(), "{found:?}");
    assert_eq!((found.entries, found.head), (5, head));
}

#[tokio::test]
async fn tampering_is_found_where_it_is() {
    let (head, entries) = log(5);
    let mut changed = entries.clone();
    Arc::make_mut(&mut changed[3]).event_data.insert("x".into(), 1.into());
    let mut gap = entries.clone();
    gap.remove(1);
    let cut = entries[..3].to_vec();
    for (entries, first_bad) in [(changed, 4), (gap, 2), (cut, 4)] {
        let found = check(head.clone(), entries).await;
        assert_eq!((found.valid, found.first_bad_seq), (false, Some(first_bad)));
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_found_and_passed() {
    let (head, entries) = log(5);
    let mut stores = Stores::default();
    stores.audit.expect_head().returning(move |_| Ok(Some(head.clone())));
    stores.audit.expect_since().returning(move |_, after, limit| {
        if after < 2 && after + u64::from(limit) >= 2 {
            let row = "2".to_owned();
            return Err(StoreError::Corrupt { table: "log", row, detail: String::new() });
        }
        let page = entries.iter().filter(|entry| entry.seq > after);
        Ok(page.take(limit as usize).cloned().collect())
    });
    let found = stores.engine().verify_log(&caller(), LogId::Project(id()), None, 3).await.unwrap();
    assert_eq!((found.valid, found.first_bad_seq, found.entries), (false, Some(2), 5));
    assert!(found.reason.unwrap().contains("entry 2"));
}

#[tokio::test]
async fn a_log_that_does_not_exist_or_cannot_be_read_is_not_checked() {
    let mut stores = Stores::default();
    stores.audit.expect_head().times(1).returning(|_| Ok(None));
    let away = || StoreError::unavailable("reading", "gone");
    stores.audit.expect_head().times(1).returning(move |_| Err(away()));
    let engine = stores.engine();
    assert!(is_missing(
        &engine.verify_log(&caller(), LogId::Project(id()), None, 2).await,
        "Project"
    ));
    let error = engine.verify_log(&caller(), LogId::Project(id()), None, 2).await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Unavailable { .. })), "{error}");
}

/// A person that may read and answer in one project, which is not the one of the tests.
fn stranger() -> Caller {
    let elsewhere = IdGenerator::new(NOW, 70).project();
    let grants = vec![
        Grant::on_project(Role::Reviewer, elsewhere),
        Grant::on_project(Role::Operator, elsewhere),
    ];
    let rights = Rights::of(&grants, None);
    let person = Principal {
        id: Principal::local_id("eve"),
        kind: PrincipalKind::Person,
        name: "eve".to_owned(),
        openid: None,
        groups: BTreeSet::new(),
        grants,
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: NOW,
        updated_at: NOW,
    };
    let credential = IdGenerator::new(NOW, 71).credential();
    Caller::proven(&person, Authentication::Key, credential, rights)
}

/// Of an object outside of the reach nothing is read: neither by a query nor for a decision. The other
/// mocks would panic.
#[tokio::test]
async fn an_object_outside_of_the_reach_is_not_read() {
    let mut new_ids = IdGenerator::new(NOW, 7);
    let (task, request, event) = (new_ids.task(), new_ids.request(), new_ids.event());
    let artifact = new_ids.context();
    let mut stores = Stores::default();
    stores.projects.expect_within().returning(|reach, objects| {
        assert!(!reach.is_everything() && objects.len() == 1, "{reach:?} {objects:?}");
        Ok(BTreeSet::new())
    });
    let (engine, eve) = (stores.engine(), stranger());
    assert!(is_missing(&engine.project(&eve, id()).await, "Project"));
    assert!(is_missing(&engine.project_detail(&eve, id()).await, "Project"));
    assert!(is_missing(&engine.task(&eve, task).await, "Task"));
    assert!(is_missing(&engine.request(&eve, request).await, "Request"));
    assert!(is_missing(&engine.review(&eve, request).await, "Request"));
    assert!(is_missing(&engine.artifact(&eve, artifact).await, "Artifact"));
    assert!(is_missing(&engine.entry(&eve, event).await, "Event"));
    let filter = EntryFilter { task: Some(task), ..EntryFilter::default() };
    assert!(engine.entries(&eve, filter.clone(), 10).await.unwrap().is_empty());
    assert!(is_missing(&engine.project_entries(&eve, id(), filter.clone(), 10).await, "Project"));
    assert!(is_missing(&engine.task_entries(&eve, task, filter, 10).await, "Task"));
    assert!(is_missing(&engine.cancel_task(task, eve.clone()).await, "Task"));
    assert!(is_missing(&engine.retry_task(task, eve.clone()).await, "Task"));
    assert!(is_missing(&engine.pause_project(id(), eve.clone()).await, "Project"));
    assert!(is_missing(&engine.delete_package(id(), eve.clone()).await, "Project"));
    let stop = engine.stop(StopScope::Project(id()), String::new(), eve.clone()).await;
    assert!(is_missing(&stop, "Project"));
    let approval = Response {
        action: HitlAction::Approve,
        content: None,
        comment: None,
        amended_content: None,
        subject_digest: None,
        response: None,
        in_bulk: false,
        link: None,
    };
    assert!(is_missing(&engine.respond(request, approval, eve).await, "Request"));
}

#[tokio::test]
async fn for_a_caller_that_may_read_everything_the_store_is_not_asked_what_it_sees() {
    let mut stores = Stores::default();
    stores.projects.expect_project().times(1).returning(|_| Ok(Some(project())));
    stores.tasks.expect_task().times(1).returning(|_| Ok(None));
    let engine = stores.engine();
    engine.project(&caller(), id()).await.unwrap();
    let task = IdGenerator::new(NOW, 8).task();
    assert!(is_missing(&engine.task(&caller(), task).await, "Task"));
}
