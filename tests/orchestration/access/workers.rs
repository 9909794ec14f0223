//! External workers with keys: the tasks that they are given, and the leases that they may use.

use std::time::Duration;

use botarmy_domain::ports::{Access, PrincipalChange, Projects, Tasks, WorkerLeases};
use botarmy_domain::task::TaskState;
use botarmy_domain::{
    AgentType, Caller, DomainError, Error, EventType, Grant, Leased, NewProject, NewTask, Outcome,
    Oversight, PresentedLease, PrincipalKind, ProjectId, Role, TaskId, Usage, WorkQuery, WorkerId,
};
use botarmy_orchestrator::Leases;
use serde_json::json;

use super::{Guarded, cli, id_of};

async fn project(guarded: &Guarded, by: Caller) -> ProjectId {
    let new = NewProject {
        name: "By hand".to_owned(),
        description: None,
        workflow: None,
        oversight: Oversight::Standard,
    };
    guarded.harness.engine.create_project(new, by).await.unwrap().id
}

async fn submit(guarded: &Guarded, project_id: ProjectId) -> TaskId {
    let new = NewTask {
        project_id,
        agent: AgentType::Coder,
        instructions: "Write something".to_owned(),
        context_ids: vec![],
        priority: None,
        max_attempts: None,
    };
    guarded.harness.engine.submit_task(new, cli()).await.unwrap().id
}

fn query(caller: &Caller, max: u32, wait: Duration) -> WorkQuery {
    WorkQuery {
        worker: WorkerId::external("w"),
        agents: vec![AgentType::Coder],
        max,
        wait,
        caller: caller.clone(),
    }
}

async fn take(leases: &Leases, caller: &Caller, max: u32) -> Vec<Leased> {
    leases.lease(query(caller, max, Duration::ZERO)).await.unwrap()
}

/// Returns a call about a lease with the key of this caller, and no token.
fn by_key(leased: &Leased, caller: &Caller) -> PresentedLease {
    PresentedLease { token: None, caller: Some(caller.clone()), ..leased.presented() }
}

fn done() -> Result<Outcome, botarmy_domain::RunError> {
    Ok(Outcome::Completed {
        output: json!({"done": true}).as_object().cloned().unwrap(),
        artifacts: vec![],
        confidence: None,
        usage: Usage::default(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "results are made on the spot")]
fn is_unauthenticated<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Refused(DomainError::Unauthenticated { .. })))
}

#[tokio::test]
async fn a_worker_is_given_tasks_of_its_projects_only() {
    let guarded = Guarded::new().await;
    let ours = project(&guarded, cli()).await;
    let theirs = project(&guarded, cli()).await;
    for _ in 0..3 {
        submit(&guarded, theirs).await;
    }
    let task = submit(&guarded, ours).await;
    let grants = [Grant::on_project(Role::Worker, ours)];
    let ci = guarded.caller("ci", PrincipalKind::Service, &grants).await;
    let leases = guarded.leases();
    let got = take(&leases, &ci, 10).await;
    assert_eq!(got.iter().map(|leased| leased.lease.task).collect::<Vec<_>>(), [task]);
    assert_eq!(got[0].lease.holder.worker, WorkerId::external("ci/w"));
    assert!(take(&leases, &ci, 10).await.is_empty());
    let all = guarded.caller("all", PrincipalKind::Service, &[Grant::on_all(Role::Worker)]).await;
    assert_eq!(take(&leases, &all, 10).await.len(), 3, "that ci found none hides none");
    let viewer = guarded.person("eve", &[Grant::on_all(Role::Viewer)]).await;
    let refused = leases.lease(query(&viewer, 1, Duration::ZERO)).await;
    assert!(matches!(refused, Err(Error::Refused(DomainError::NotPermitted { .. }))));
    let own = [Grant::on_own(Role::Operator), Grant::on_own(Role::Worker)];
    let owner = guarded.caller("owner", PrincipalKind::Service, &own).await;
    assert!(take(&leases, &owner, 1).await.is_empty());
    let mine = project(&guarded, owner.clone()).await;
    submit(&guarded, ours).await;
    let task = submit(&guarded, mine).await;
    assert_eq!(take(&leases, &owner, 10).await[0].lease.task, task);
}

#[tokio::test]
async fn workers_that_wait_are_served_although_others_see_nothing() {
    let guarded = Guarded::new().await;
    let ours = project(&guarded, cli()).await;
    let theirs = project(&guarded, cli()).await;
    let leases = guarded.leases();
    let mut waiting = Vec::new();
    for (name, on) in [("one", theirs), ("two", ours), ("three", ours)] {
        let grants = [Grant::on_project(Role::Worker, on)];
        let caller = guarded.caller(name, PrincipalKind::Service, &grants).await;
        let leases = leases.clone();
        waiting.push(tokio::spawn(async move {
            leases.lease(query(&caller, 1, Duration::from_secs(5))).await.unwrap()
        }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let tasks = [submit(&guarded, ours).await, submit(&guarded, ours).await];
    let foreign = waiting.remove(0);
    for (waiting, task) in waiting.into_iter().zip(tasks) {
        let got = tokio::time::timeout(Duration::from_secs(3), waiting).await.unwrap().unwrap();
        assert_eq!(got[0].lease.task, task);
    }
    assert!(foreign.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lease_is_used_with_its_token_or_by_its_principal() {
    let guarded = Guarded::new().await;
    let ours = project(&guarded, cli()).await;
    submit(&guarded, ours).await;
    let worker = [Grant::on_all(Role::Worker)];
    let ci = guarded.caller("ci", PrincipalKind::Service, &worker).await;
    let other = guarded.caller("other", PrincipalKind::Service, &worker).await;
    let leases = guarded.leases();
    let leased = take(&leases, &ci, 1).await.remove(0);
    let with_token = leased.presented();
    let nothing = PresentedLease { token: None, ..with_token.clone() };
    let open = PresentedLease { caller: Some(Caller::person("ci")), ..nothing.clone() };
    for forged in [by_key(&leased, &other), nothing, open] {
        assert!(is_unauthenticated(leases.heartbeat(forged.clone(), None).await));
        assert!(is_unauthenticated(leases.finish(forged, done()).await));
    }
    // The same name for a lease of another does not help.
    let mut renamed = by_key(&leased, &other);
    renamed.lease.holder.worker = other.worker_id("w");
    let lost = leases.finish(renamed, done()).await.unwrap_err();
    assert!(matches!(lost, Error::Refused(DomainError::Conflict { code: "lease_lost", .. })));
    leases.heartbeat(with_token.clone(), None).await.unwrap();
    leases.heartbeat(by_key(&leased, &ci), None).await.unwrap();
    let task = leases.finish(by_key(&leased, &ci), done()).await.unwrap();
    assert!(matches!(task.state, TaskState::Completed { .. }));
    leases.finish(with_token, done()).await.unwrap();
    assert!(is_unauthenticated(leases.finish(by_key(&leased, &other), done()).await));
    let log = guarded.harness.log(ours).await;
    let of = |event| log.iter().find(|entry| entry.event_type == event).unwrap();
    for event in [EventType::TaskStarted, EventType::TaskCompleted] {
        let entry = of(event);
        assert_eq!((entry.actor(), entry.principal()), ("external/ci/w", Some(id_of("ci"))));
    }
    guarded.harness.check().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_grant_cannot_use_its_lease_with_its_key() {
    let guarded = Guarded::new().await;
    let ours = project(&guarded, cli()).await;
    submit(&guarded, ours).await;
    let key = guarded
        .key_of("ci", PrincipalKind::Service, &[Grant::on_project(Role::Worker, ours)])
        .await;
    let ci = guarded.access.authenticate(&key).unwrap();
    let leases = guarded.leases();
    let leased = take(&leases, &ci, 1).await.remove(0);
    let change = PrincipalChange { grants: Some(Vec::new()), ..PrincipalChange::default() };
    guarded.access.change_principal(id_of("ci"), change, cli()).await.unwrap();
    let ci = guarded.access.authenticate(&key).unwrap();
    for refused in [
        leases.heartbeat(by_key(&leased, &ci), None).await.map(drop),
        leases.finish(by_key(&leased, &ci), done()).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Refused(DomainError::NotPermitted { .. }))));
    }
}

#[tokio::test]
async fn the_token_of_a_worker_without_a_right_requeues_its_task_and_accepts_no_result() {
    let guarded = Guarded::new().await;
    let ours = project(&guarded, cli()).await;
    let leases = guarded.leases();
    let change = |change| guarded.access.change_principal(id_of("ci"), change, cli());
    let grants = |grants: &[Grant]| PrincipalChange {
        grants: Some(grants.to_vec()),
        ..PrincipalChange::default()
    };
    let is_disabled =
        |disabled| PrincipalChange { disabled: Some(disabled), ..PrincipalChange::default() };
    let worker = [Grant::on_project(Role::Worker, ours)];
    let key = guarded.key_of("ci", PrincipalKind::Service, &worker).await;
    for (ended, restored) in
        [(grants(&[]), grants(&worker)), (is_disabled(true), is_disabled(false))]
    {
        let task = submit(&guarded, ours).await;
        let ci = guarded.access.authenticate(&key).unwrap();
        let leased = take(&leases, &ci, 1).await.remove(0);
        leases.heartbeat(leased.presented(), None).await.unwrap();
        change(ended).await.unwrap();
        assert!(is_unauthenticated(leases.heartbeat(leased.presented(), None).await));
        assert!(is_unauthenticated(leases.finish(leased.presented(), done()).await));
        leases.refuse(leased.presented(), "It cannot be read".to_owned()).await;
        change(restored).await.unwrap();
        // The lease is lost for good.
        let lost = leases.finish(leased.presented(), done()).await.unwrap_err();
        assert!(matches!(lost, Error::Refused(DomainError::Conflict { code: "lease_lost", .. })));
        let events = guarded.harness.log(ours).await;
        let refused = EventType::TaskResultRefused;
        assert!(events.iter().all(|entry| entry.event_type != refused));
        let ci = guarded.access.authenticate(&key).unwrap();
        let again = take(&leases, &ci, 1).await.remove(0);
        assert_eq!(again.lease.task, task);
        leases.finish(again.presented(), done()).await.unwrap();
    }
    guarded.harness.check().await;
}
