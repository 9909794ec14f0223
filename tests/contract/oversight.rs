//! Budgets and emergency stops in the store: rows that several logs share.

use std::time::Duration;

use botarmy_domain::budget::{Amount, BudgetAccount, BudgetKey, Day, Limit};
use botarmy_domain::decide::budget::{self, Wanted, accounts_of};
use botarmy_domain::decide::emergency;
use botarmy_domain::decide::tasks::{self, Work};
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::ports::RecordsExt;
use botarmy_domain::{
    AgentType, Caller, Committed, DomainError, EventType, LogId, ProjectId, ProjectStatus, Scope,
    Task, TaskStatus, Usage,
};

use crate::stores::{Stores, holder, user};

/// Returns the reservation of an attempt: 10 tokens of the 45 that its agent type may use in a day.
fn wanted(stores: &Stores) -> Wanted {
    Wanted {
        amount: Amount { tokens: 10, cost_micro_usd: 0 },
        until: stores.context().now.after(Duration::from_secs(60)),
        per_project: Limit::default(),
        per_day: Limit { tokens: Some(45), cost_micro_usd: None },
    }
}

async fn reserve(stores: &Stores, task: &Task) -> Committed {
    let (id, context, wanted) = (task.id, stores.context(), wanted(stores));
    let scope = Scope::project(task.project_id)
        .task(id)
        .open_requests()
        .records::<BudgetAccount>(accounts_of(task));
    let holder = holder();
    let reserve = move |s: &_| {
        budget::reserve(&context.by(Caller::worker(&holder.worker)), s, id, &holder, &wanted, true)
    };
    stores.run(scope, reserve).await.unwrap()
}

async fn settle(stores: &Stores, task: &Task) {
    let (id, context) = (task.id, stores.context());
    let usage = Usage { input_tokens: 3, output_tokens: 1, ..Usage::default() };
    let work = Work { output: Default::default(), artifacts: vec![], confidence: None, usage };
    let scope =
        Scope::project(task.project_id).task(id).records::<BudgetAccount>(accounts_of(task));
    let holder = holder();
    let complete = move |s: &_| {
        tasks::complete(&context.by(Caller::worker(&holder.worker)), s, id, &holder, &work)
    };
    stores.run(scope, complete).await.unwrap();
}

pub async fn one_budget_account_is_charged_by_many_logs_at_once(stores: &Stores) {
    let mut claimed = Vec::new();
    for n in 0..6 {
        let project = stores.project(&format!("Project {n}")).await;
        stores.submit(project, 5).await;
    }
    for id in stores.claim(6).await {
        claimed.push(stores.tasks.task(id).await.unwrap().unwrap());
    }
    assert_eq!(claimed.len(), 6);
    let reserving = claimed.iter().map(|task| reserve(stores, task));
    let reserved = futures_util::future::join_all(reserving).await;
    let waits = |committed: &Committed, task: &Task| committed.task(task.id).is_some();
    let (waiting, begun): (Vec<_>, Vec<_>) =
        claimed.iter().zip(&reserved).partition(|(task, committed)| waits(committed, task));
    assert_eq!((begun.len(), waiting.len()), (4, 2), "four times ten fit into forty-five");

    let [_, day] = accounts_of(&claimed[0]);
    let account = stores.records.record::<BudgetAccount>(day).await.unwrap().unwrap();
    assert_eq!(account.taken(stores.context().now).tokens, 40);
    let settling = begun.iter().map(|(task, _)| settle(stores, task));
    futures_util::future::join_all(settling).await;
    let account = stores.records.record::<BudgetAccount>(day).await.unwrap().unwrap();
    assert_eq!((account.taken(stores.context().now).tokens, account.spent[0].attempts), (16, 4));
    for (task, _) in &waiting {
        let task = stores.tasks.task(task.id).await.unwrap().unwrap();
        assert_eq!(task.status(), TaskStatus::WaitingForHitl);
    }
}

async fn stop(stores: &Stores, scope: StopScope) -> Committed {
    let context = stores.context();
    stores.run(rows(scope), move |s| emergency::stop(&context, s, scope, "too much")).await.unwrap()
}

async fn release(stores: &Stores, scope: StopScope) -> Result<Committed, botarmy_domain::Error> {
    let context = stores.context();
    let release = move |s: &_| emergency::release(&context, s, scope, "well again");
    stores.run(rows(scope), release).await
}

fn rows(scope: StopScope) -> Scope {
    let rows = match scope {
        StopScope::Project(id) => Scope::project(id).everything_open(),
        _ => Scope::log(LogId::System),
    };
    rows.record::<Stop>(scope)
}

pub async fn stopped_work_is_not_claimed_until_it_is_released(stores: &Stores) {
    let project = stores.project("Stopped").await;
    stores.submit(project, 5).await;
    for scope in
        [StopScope::Everything, StopScope::Agent(AgentType::Coder), StopScope::Project(project)]
    {
        assert_eq!(stop(stores, scope).await.entries[0].event_type, EventType::EmergencyStopped);
        assert!(stop(stores, scope).await.entries.is_empty(), "it stands already");
        assert!(stores.claim(5).await.is_empty(), "{scope}");
        assert_eq!(stores.records.all::<Stop>().await.unwrap()[0].scope, scope);
        release(stores, scope).await.unwrap();
        assert!(stores.records.all::<Stop>().await.unwrap().is_empty());
        let again = release(stores, scope).await;
        assert!(matches!(again, Err(botarmy_domain::Error::Refused(DomainError::NotFound { .. }))));
    }
    stop(stores, StopScope::Agent(AgentType::Tester)).await;
    assert!(!stores.claim(5).await.is_empty(), "others work on");
    // Work that runs in a stopped project is requeued by the same decision.
    let stopped = stop(stores, StopScope::Project(project)).await;
    let expired_leases = |event| event == EventType::TaskLeaseExpired;
    assert_eq!(stopped.entries.iter().filter(|e| expired_leases(e.event_type)).count(), 1);
    let now = stores.projects.project(project).await.unwrap().unwrap();
    assert_eq!(now.status(), ProjectStatus::Paused);
    release(stores, StopScope::Project(project)).await.unwrap();
    assert!(!stores.claim(5).await.is_empty());
}

pub async fn budget_accounts_and_stops_are_read_back_as_written(stores: &Stores) {
    let project = stores.project("Kept").await;
    let day = BudgetKey::Day(AgentType::Coder, Day::of(stores.context().now));
    for key in [BudgetKey::Project(project), day] {
        assert_eq!(stores.records.record::<BudgetAccount>(key).await.unwrap(), None);
    }
    let limit = Limit { tokens: Some(u64::MAX / 4), cost_micro_usd: Some(0) };
    let committed = set(stores, project, limit).await;
    assert_eq!(committed.entries[0].event_type, EventType::BudgetChanged);
    let account =
        stores.records.record::<BudgetAccount>(BudgetKey::Project(project)).await.unwrap().unwrap();
    assert_eq!((account.limit, account.spent.len()), (Some(limit), 0));
    set(stores, project, Limit::default()).await;
    let account =
        stores.records.record::<BudgetAccount>(BudgetKey::Project(project)).await.unwrap().unwrap();
    assert_eq!(account.limit, Some(Limit::default()));

    for scope in [StopScope::Project(project), StopScope::Agent(AgentType::Coder)] {
        stop(stores, scope).await;
    }
    let stops = stores.records.all::<Stop>().await.unwrap();
    let scopes: Vec<_> = stops.iter().map(|stop| stop.scope).collect();
    assert_eq!(scopes, [StopScope::Agent(AgentType::Coder), StopScope::Project(project)]);
    assert_eq!((stops[0].reason.as_str(), stops[0].by.as_str()), ("too much", user().name()));
}

async fn set(stores: &Stores, project: ProjectId, limit: Limit) -> Committed {
    let context = stores.context();
    let scope = Scope::project(project)
        .everything_open()
        .record::<BudgetAccount>(BudgetKey::Project(project));
    stores.run(scope, move |s| budget::set(&context, s, project, limit)).await.unwrap()
}
