//! Contract of a ledger.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use botarmy_domain::decide::projects;
use botarmy_domain::log::LogId;
use botarmy_domain::{Caller, DomainError, Error, ProjectStatus, Scope, TaskFilter, TaskStatus};

use crate::stores::Stores;

pub async fn a_decision_and_its_entries_are_there_together(stores: &Stores) {
    let project = stores.project("One").await;
    let task = stores.submit(project, 5).await;
    let stored = stores.tasks.task(task).await.unwrap().unwrap();
    assert_eq!(stored.status(), TaskStatus::Pending);
    let log = stores.audit.since(LogId::Project(project), 0, 10).await.unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(log[1].task_id, Some(task));
    let (_, head) = stores.projects.overview(project).await.unwrap().unwrap();
    assert_eq!((head.seq, head.counts.pending), (2, 1));
    assert_eq!(head.hash, log[1].hash);
}

pub async fn a_refusal_changes_nothing_and_affects_no_other_decision(stores: &Stores) {
    let project = stores.project("One").await;
    let mut running = Vec::new();
    for n in 0..60 {
        let stores = stores.clone();
        // Every third is invalid: a priority above the highest.
        let priority = if n % 3 == 0 { 99 } else { 5 };
        running.push(tokio::spawn(async move { stores.try_submit(project, priority, &[]).await }));
    }
    let (mut good, mut bad) = (0, 0);
    for one in running {
        match one.await.unwrap() {
            Ok(_) => good += 1,
            Err(Error::Refused(DomainError::Invalid { field: "priority", .. })) => bad += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((good, bad), (40, 20));
    let tasks = stores.tasks.tasks(project, TaskFilter::default(), 1000).await.unwrap();
    assert_eq!(tasks.len(), 40);
    let head = stores.audit.head(LogId::Project(project)).await.unwrap().unwrap();
    assert_eq!(head.seq, 41);
}

pub async fn entries_are_numbered_without_a_gap_under_many_writers(stores: &Stores) {
    let projects = [stores.project("One").await, stores.project("Two").await];
    let mut running = Vec::new();
    for n in 0..64 {
        let stores = stores.clone();
        let project = projects[n % 2];
        running.push(tokio::spawn(async move {
            for _ in 0..10 {
                stores.submit(project, 5).await;
            }
        }));
    }
    for one in running {
        one.await.unwrap();
    }
    for project in projects {
        let log = stores.audit.since(LogId::Project(project), 0, 1000).await.unwrap();
        let seqs: Vec<_> = log.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (1..=321).collect::<Vec<_>>());
        let ids: BTreeSet<_> = log.iter().map(|entry| entry.id).collect();
        assert_eq!(ids.len(), 321, "an id was used twice");
    }
}

pub async fn a_decision_sees_what_was_committed_before_it(stores: &Stores) {
    let project = stores.project("One").await;
    let artifact = stores.artifact(project, serde_json::json!({"a": 1})).await;
    let task = stores.try_submit(project, 5, &[artifact]).await.unwrap();
    let seen = Arc::new(AtomicBool::new(false));
    let saw = Arc::clone(&seen);
    let context = stores.context();
    let scope = Scope::project(project).task(task).artifacts(&[artifact]).everything_open();
    stores
        .run(scope, move |snapshot| {
            let all = snapshot.head.seq == 3
                && snapshot.project.is_some()
                && snapshot.tasks.contains_key(&task)
                && snapshot.artifacts.contains_key(&artifact);
            saw.store(all, Ordering::SeqCst);
            projects::check_completion(&context, snapshot)
        })
        .await
        .unwrap();
    assert!(seen.load(Ordering::SeqCst));
}

pub async fn of_many_decisions_that_leave_a_state_exactly_one_wins(stores: &Stores) {
    let project = stores.project("One").await;
    let mut running = Vec::new();
    for _ in 0..32 {
        let stores = stores.clone();
        running.push(tokio::spawn(async move { stores.pause(project).await.is_ok() }));
    }
    let mut won = 0;
    for one in running {
        won += usize::from(one.await.unwrap());
    }
    assert_eq!(won, 1);
    let paused = stores.projects.project(project).await.unwrap().unwrap();
    assert_eq!(paused.status(), ProjectStatus::Paused);
}

pub async fn a_commit_is_finished_when_the_caller_is_dropped(stores: &Stores) {
    let project = stores.project("One").await;
    for _ in 0..20 {
        let submitting = stores.submit(project, 5);
        // Polled once, so that it has begun, and then dropped.
        drop(tokio::time::timeout(Duration::ZERO, submitting).await);
    }
    // The commit of a later caller comes after those of the dropped ones.
    stores.submit(project, 5).await;
    let tasks = stores.tasks.tasks(project, TaskFilter::default(), 100).await.unwrap();
    let head = stores.audit.head(LogId::Project(project)).await.unwrap().unwrap();
    assert_eq!(tasks.len(), 21, "something that was begun is missing");
    assert_eq!(head.seq, 22);
}

pub async fn no_task_is_leased_to_two_workers(stores: &Stores) {
    let project = stores.project("One").await;
    for _ in 0..102 {
        stores.submit(project, 5).await;
    }
    let mut running = Vec::new();
    for _ in 0..8 {
        let stores = stores.clone();
        running.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = stores.claim(5).await;
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed);
            }
        }));
    }
    let mut all = Vec::new();
    for one in running {
        all.extend(one.await.unwrap());
    }
    assert_eq!(all.len(), 102);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 102, "a task was given twice");
}

pub async fn a_claim_takes_what_comes_first(stores: &Stores) {
    let project = stores.project("One").await;
    let mut tasks = Vec::new();
    for priority in [5, 1, 9, 5] {
        tasks.push(stores.submit(project, priority).await);
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(stores.claim(1).await);
    }
    assert_eq!(order, [tasks[2], tasks[0], tasks[3], tasks[1]], "priority, then age");
}

pub async fn a_claim_lets_other_projects_in_between(stores: &Stores) {
    let crowd = stores.project("Crowd").await;
    for _ in 0..50 {
        stores.submit(crowd, 5).await;
    }
    let small = stores.project("Small").await;
    let task = stores.submit(small, 5).await;
    let claimed = stores.claim(10).await;
    assert!(claimed.contains(&task), "one task waits behind fifty of another project");
}

pub async fn a_claim_respects_slots_readiness_and_paused_projects(stores: &Stores) {
    let paused = stores.project("Paused").await;
    stores.submit(paused, 9).await;
    stores.pause(paused).await.unwrap();
    let project = stores.project("One").await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(stores.submit(project, 5).await);
    }
    assert!(stores.claim(0).await.is_empty(), "no slots, no tasks");
    assert_eq!(stores.claim(2).await, tasks[..2]);
    assert_eq!(stores.claim(2).await, tasks[2..]);
    assert!(stores.claim(2).await.is_empty());
    // A failed attempt waits before it can be claimed again.
    let (task, context) = (tasks[0], stores.context());
    stores
        .run(Scope::project(project).task(task), move |snapshot| {
            let holder = botarmy_domain::LeaseHolder {
                worker: botarmy_domain::WorkerId("worker".to_owned()),
                fence: 1,
            };
            let error = botarmy_domain::RunError::retryable("x", "x");
            botarmy_domain::decide::tasks::fail(
                &context.by(Caller::worker(&holder.worker)),
                snapshot,
                task,
                &holder,
                &error,
            )
        })
        .await
        .unwrap();
    assert!(stores.claim(2).await.is_empty(), "it is not ready yet");
    stores.pass(Duration::from_secs(2));
    assert_eq!(stores.claim(2).await, [task]);
}

pub async fn a_lease_is_extended_by_its_holder_only(stores: &Stores) {
    let project = stores.project("One").await;
    let task = stores.submit(project, 5).await;
    let until = stores.context().now.after(Duration::from_secs(1000));
    assert!(!stores.ledger.extend(task, 1, until).await.unwrap(), "it has no lease");
    stores.claim(1).await;
    assert!(stores.ledger.extend(task, 1, until).await.unwrap());
    assert!(!stores.ledger.extend(task, 2, until).await.unwrap(), "another fence");
    let held = stores.tasks.task(task).await.unwrap().unwrap();
    assert_eq!(held.lease().unwrap().expires_at, until);
    stores.pass(Duration::from_secs(400));
    let expired_leases = stores.tasks.expired_leases(stores.context().now, 10).await.unwrap();
    assert!(expired_leases.is_empty(), "the extended lease is alive");
    stores.complete(project, task).await.unwrap();
    assert!(!stores.ledger.extend(task, 1, until).await.unwrap(), "it is done");
}
