//! Cases in which stores tend to differ: unusual documents, reads during writes, and projects that
//! are paused and resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use botarmy_domain::decide::{agents, projects, tasks};
use botarmy_domain::log::{LogId, Verifier};
use botarmy_domain::{
    AgentStatusKind, AgentType, Caller, HitlKind, LeaseHolder, RunError, Scope, TaskStatus,
    WorkerId, artifact,
};
use serde_json::{Value, json};

use crate::stores::{Stores, holder, nothing};

/// A number that is read back with another last digit would have another hash.
pub async fn numbers_come_back_to_the_last_bit(stores: &Stores) {
    let project = stores.project("Numbers").await;
    let content = json!({
        "floats": [0.1 + 0.2, 1e23, 5e-324, f64::MAX, 1.234_567_890_123_456_7e-7, 2.5e-9, -0.5],
        "integers": [u64::MAX, i64::MIN, 9_007_199_254_740_993_u64],
    });
    let id = stores.artifact(project, content.clone()).await;
    let stored = stores.context.artifact(id).await.unwrap().unwrap();
    assert_eq!(json!(stored.content), content);
    assert_eq!(stored.meta.digest, artifact::digest(&stored.content));
}

/// The API accepts documents of up to 128 levels, and a store may wrap them.
pub async fn a_deep_document_comes_back(stores: &Stores) {
    let project = stores.project("Deep").await;
    let mut deep = json!("bottom");
    for _ in 0..126 {
        deep = Value::Array(vec![deep]);
    }
    let content = json!({ "deep": deep });
    let id = stores.artifact(project, content.clone()).await;
    let stored = stores.context.artifact(id).await.unwrap().unwrap();
    assert_eq!(json!(stored.content), content);
}

/// Cached state of a log must not be combined with newer rows: a decision may run twice, but each
/// run must see one consistent state.
pub async fn a_decision_sees_one_instant(stores: &Stores) {
    let project = stores.project("Together").await;
    // An open question keeps the project from completing with its last task.
    stores.raise(project).await;
    let torn = Arc::new(AtomicBool::new(false));
    for _ in 0..20 {
        let id = stores.submit(project, 5).await;
        assert_eq!(stores.claim(1).await, [id]);
        let (context, torn) = (stores.context(), Arc::clone(&torn));
        let done = stores.run(Scope::project(project).everything_open(), move |s| {
            let working = s.tasks.values().filter(|task| task.status() == TaskStatus::Working);
            if working.count() != s.head.counts.working as usize {
                torn.store(true, Ordering::SeqCst);
            }
            tasks::complete(
                &context.by(Caller::worker(&holder().worker)),
                s,
                id,
                &holder(),
                &nothing(),
            )
        });
        done.await.unwrap();
    }
    assert!(!torn.load(Ordering::SeqCst), "the counts were of another instant than the tasks");
}

pub async fn a_read_sees_what_was_just_acknowledged(stores: &Stores) {
    let project = stores.project("One").await;
    let mut running = Vec::new();
    for _ in 0..16 {
        let stores = stores.clone();
        running.push(tokio::spawn(async move {
            for _ in 0..10 {
                let before = stores.audit.head(LogId::Project(project)).await.unwrap().unwrap();
                let id = stores.submit(project, 5).await;
                assert!(stores.tasks.task(id).await.unwrap().is_some());
                let board = stores.tasks.status(project, 1000).await.unwrap().unwrap();
                assert!(board.tasks.iter().any(|task| task.id == id));
                let after = stores.audit.since(LogId::Project(project), before.seq, 1000).await;
                assert!(after.unwrap().iter().any(|entry| entry.task_id == Some(id)));
                let (_, head) = stores.projects.overview(project).await.unwrap().unwrap();
                assert!(head.seq > before.seq);
            }
        }));
    }
    for one in running {
        one.await.unwrap();
    }
}

pub async fn a_log_is_followed_without_a_gap_while_it_is_written(stores: &Stores) {
    let project = stores.project("One").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, reader) = (Arc::clone(&is_over), stores.clone());
    let following = tokio::spawn(async move {
        let (mut last, mut verifier) = (0, Verifier::default());
        loop {
            let was_over = over.load(Ordering::SeqCst);
            for entry in reader.audit.since(LogId::Project(project), last, 7).await.unwrap() {
                assert_eq!(entry.seq, last + 1);
                last = entry.seq;
                verifier.next(&entry);
            }
            let head = reader.audit.head(LogId::Project(project)).await.unwrap().unwrap();
            if was_over && head.seq == last {
                return verifier.finish(&head);
            }
            tokio::task::yield_now().await;
        }
    });
    let writing = (0..16).map(|_| {
        let stores = stores.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                stores.submit(project, 5).await;
            }
        })
    });
    for one in writing.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    is_over.store(true, Ordering::SeqCst);
    let found = following.await.unwrap();
    assert!(found.valid && found.entries == 161, "{found:?}");
}

pub async fn a_paused_project_keeps_its_place_in_the_queue(stores: &Stores) {
    let (first, second) = (stores.project("First").await, stores.project("Second").await);
    let early = stores.submit(first, 5).await;
    let held = stores.submit(first, 5).await;
    assert_eq!(stores.claim(1).await, [early]);
    stores.pause(first).await.unwrap();
    let late = stores.submit(second, 5).await;
    // Running work returns to the queue of a paused project.
    let (context, scope) = (stores.context(), Scope::project(first).task(early));
    let holder = LeaseHolder { worker: WorkerId("worker".to_owned()), fence: 1 };
    stores
        .run(scope, move |s| {
            tasks::requeue(&context.by(Caller::system()), s, early, &holder, "stopping")
        })
        .await
        .unwrap();
    assert_eq!(stores.claim(10).await, [late]);
    assert_eq!(stores.tasks.backlog().await.unwrap(), 2);
    let context = stores.context();
    let resume = move |s: &_| projects::resume(&context, s);
    stores.run(Scope::project(first).open_requests(), resume).await.unwrap();
    assert_eq!(stores.claim(10).await, [early, held]);
}

pub async fn the_tasks_of_an_ended_project_are_not_claimed(stores: &Stores) {
    let project = stores.project("One").await;
    stores.submit(project, 9).await;
    let context = stores.context();
    let scope = Scope::project(project).everything_open();
    stores.run(scope, move |s| projects::cancel(&context, s)).await.unwrap();
    assert!(stores.claim(10).await.is_empty());
    assert_eq!(stores.tasks.backlog().await.unwrap(), 0);
}

pub async fn an_agent_stays_in_error_until_it_is_cleared_or_answered(stores: &Stores) {
    let project = stores.project("One").await;
    let task = stores.submit(project, 5).await;
    stores.claim(1).await;
    let (context, scope) = (stores.context(), Scope::project(project).task(task));
    let holder = LeaseHolder { worker: WorkerId("worker".to_owned()), fence: 1 };
    let error = RunError::terminal("broken", "It broke.");
    stores
        .run(scope, move |s| {
            tasks::fail(&context.by(Caller::worker(&holder.worker)), s, task, &holder, &error)
        })
        .await
        .unwrap();
    let pending = stores.pending(None, 10).await.unwrap();
    assert_eq!(pending.iter().map(|request| request.kind).collect::<Vec<_>>(), [HitlKind::Failure]);
    let settle = async |sweep: bool| {
        let context = stores.context();
        let decide = move |s: &_| match sweep {
            true => agents::reset(&context, s),
            false => agents::refresh(&context.by(Caller::system()), s),
        };
        stores.run(Scope::agent(AgentType::Coder), decide).await.unwrap();
        stores.agents.status_of(AgentType::Coder).await.unwrap()
    };
    let broken = settle(false).await;
    assert_eq!(broken.status, AgentStatusKind::Error);
    assert!(broken.error_message.unwrap().contains("It broke."));
    let swept = settle(true).await;
    assert_eq!((swept.status, swept.error_message), (AgentStatusKind::Idle, None));
    assert_eq!(settle(false).await.status, AgentStatusKind::Idle, "it stays swept");
}
