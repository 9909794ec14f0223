//! Budgets: reservation, settlement, and behaviour at the limit.

use std::collections::BTreeMap;
use std::time::Duration;

use botarmy_domain::budget::{Amount, BudgetAccount, BudgetKey, Day, Limit};
use botarmy_domain::ports::{Gates, Operations, RecordsExt, Tasks, WorkerLeases};
use botarmy_domain::{
    AgentType, Defaults, DomainError, Error, EventType, HitlAction, HitlKind, HitlStatus, OnExpiry,
    Outcome, ProjectId, ProjectStatus, Response, RunError, Seen, TaskStatus, Usage, WorkQuery,
    WorkerId,
};
use botarmy_orchestrator::{Budgets, EngineSettings};
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use botarmy_tests::test_harness::{Setup, TestHarness, amend, owner, simply};
use serde_json::{Map, json};

use super::tasks::submit;

const WORST: Amount = Amount { tokens: 100, cost_micro_usd: 1_000 };

fn limit(tokens: u64) -> Limit {
    Limit { tokens: Some(tokens), cost_micro_usd: None }
}

fn used(tokens: u64) -> Usage {
    Usage {
        provider: Some("test".to_owned()),
        model: Some("m".to_owned()),
        input_tokens: tokens - 1,
        output_tokens: 1,
        cost_micro_usd: Some(tokens * 10),
    }
}

fn completes(tokens: u64) -> Act {
    Act::Return(Ok(Outcome::Completed {
        output: Map::from_iter([("text".to_owned(), json!("done"))]),
        artifacts: vec![],
        confidence: None,
        usage: used(tokens),
    }))
}

fn fails(tokens: u64) -> Act {
    let usage = Box::new(used(tokens));
    let (code, detail) = ("flaky".to_owned(), "The line was bad.".to_owned());
    Act::Return(Err(RunError::Retryable { code, detail, after: None, usage }))
}

fn harness(acts: impl IntoIterator<Item = Act>, budgets: Budgets) -> TestHarness {
    TestHarness::with_budgets(
        ScriptedRunner::default().on_agent(AgentType::Coder, acts).costing(WORST),
        budgets,
    )
}

fn per_project(tokens: u64) -> Budgets {
    Budgets { per_project: limit(tokens), ..Budgets::default() }
}

async fn account(harness: &TestHarness, id: ProjectId) -> BudgetAccount {
    let account = harness.store.record::<BudgetAccount>(BudgetKey::Project(id)).await.unwrap();
    account.map_or_else(|| BudgetAccount::new(BudgetKey::Project(id)), |account| (*account).clone())
}

#[tokio::test]
async fn usage_is_counted_once_an_attempt_also_of_those_that_failed() {
    let harness = harness([fails(30), fails(20), completes(7)], Budgets::default());
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    for _ in 0..3 {
        harness.work().await;
        harness.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Completed);
    let account = account(&harness, id).await;
    assert_eq!((account.spent().tokens, account.spent().cost_micro_usd), (57, 570));
    assert_eq!((account.spent.len(), account.spent[0].attempts), (1, 3));
    assert!(account.reserved.is_empty());
    assert_eq!(harness.count(id, EventType::BudgetReserved).await, 0, "nothing is limited");
}

#[tokio::test]
async fn at_the_limit_no_attempt_begins_and_a_person_is_asked_once() {
    let harness = harness([completes(60), completes(60), completes(60)], per_project(150));
    let id = harness.by_hand().await;
    for _ in 0..3 {
        submit(&harness, id).await;
    }
    harness.work().await;
    assert_eq!(harness.count(id, EventType::BudgetReserved).await, 1);
    assert_eq!(harness.runner.seen().len(), 1, "100 are reserved, 100 more do not fit into 150");
    let gate = harness.gate(id).await;
    assert_eq!(gate.kind, HitlKind::Question);
    let expected = "100 of 150 tokens are taken and the next attempt may need 100";
    assert!(gate.question.contains(expected), "{}", gate.question);
    let waiting = harness.tasks(id).await;
    let waiting = waiting.iter().filter(|task| task.status() == TaskStatus::WaitingForHitl);
    assert_eq!(waiting.count(), 2, "both wait for the same answer");
    assert_eq!(account(&harness, id).await.taken(harness.now()).tokens, 60);

    harness.answer(id, simply(HitlAction::Approve)).await;
    harness.work().await;
    // Raised by 150 to 300: twice 100 fit beside the 60 that were used.
    assert_eq!(account(&harness, id).await.limit, Some(limit(300)));
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(harness.runner.seen().len(), 3);
    assert_eq!(account(&harness, id).await.spent().tokens, 180);
    let tasks = harness.tasks(id).await;
    assert!(tasks.iter().all(|task| task.failures == 0), "waiting is no failure");
}

#[tokio::test]
async fn a_person_can_set_another_limit_or_give_the_work_up() {
    let content = |value: serde_json::Value| Response {
        amended_content: value.as_object().cloned(),
        ..simply(HitlAction::Amend)
    };
    let harness = harness([completes(60)], per_project(50));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    for nonsense in [
        amend("more, please"),
        content(json!({"tokens": -1})),
        content(json!({"tokens": "many"})),
        content(json!({"money": 3})),
    ] {
        let refused = harness.engine.respond(gate.id, nonsense, owner()).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(DomainError::BadRequest(_))), "{refused}");
    }
    harness.answer(id, content(json!({"tokens": 99}))).await;
    harness.work().await;
    assert_eq!(harness.runner.seen().len(), 0, "not enough: it is asked again");
    harness.answer(id, content(json!({"tokens": 100}))).await;
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);

    let (harness, id) = harness_with_one_waiting().await;
    assert!(
        harness.gate(id).await.question.ends_with("reject to cancel the tasks that wait for it.")
    );
    harness.answer(id, simply(HitlAction::Reject)).await;
    assert_eq!(harness.status(id).await, ProjectStatus::Active, "there is no workflow to halt");
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Cancelled);
    harness.check().await;
}

async fn harness_with_one_waiting() -> (TestHarness, ProjectId) {
    let harness = harness([completes(60)], per_project(50));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    (harness, id)
}

#[tokio::test]
async fn a_limit_that_is_raised_beside_the_question_answers_it() {
    let (harness, id) = harness_with_one_waiting().await;
    let gate = harness.gate(id).await;
    harness.engine.set_budget(id, limit(70), owner()).await.unwrap();
    assert_eq!(harness.gate(id).await.id, gate.id, "70 are still too few for 100");
    harness.engine.set_budget(id, Limit::default(), owner()).await.unwrap();
    assert!(harness.gates(id).await.is_empty());
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(harness.count(id, EventType::BudgetChanged).await, 2);
    let over = harness.engine.set_budget(id, limit(1), owner()).await.unwrap_err();
    assert!(matches!(over, Error::Refused(DomainError::Conflict { .. })), "{over}");
}

#[tokio::test]
async fn a_limit_that_has_changed_since_it_was_shown_is_not_replaced() {
    let harness = harness([], Budgets::default());
    let id = harness.by_hand().await;
    let shown = |set| owner().with_seen(Seen::of_limit(set));
    harness.engine.set_budget(id, limit(70), shown(None)).await.unwrap();
    for stale in [None, Some(limit(71)), Some(Limit::default())] {
        let error = harness.engine.set_budget(id, limit(1), shown(stale)).await.unwrap_err();
        let is_conflict = matches!(error, Error::Refused(DomainError::Conflict { .. }));
        assert!(is_conflict, "{error}");
    }
    assert_eq!(account(&harness, id).await.limit, Some(limit(70)));
    harness.engine.set_budget(id, limit(1), shown(Some(limit(70)))).await.unwrap();
    assert_eq!(account(&harness, id).await.limit, Some(limit(1)));
}

#[tokio::test]
async fn a_day_has_a_limit_over_all_projects_and_the_next_day_another() {
    let per_day = BTreeMap::from([(AgentType::Coder, limit(100))]);
    let budgets = Budgets { per_day, ..Budgets::default() };
    let harness = harness([completes(60), completes(60)], budgets);
    let (one, two) = (harness.by_hand().await, harness.by_hand().await);
    submit(&harness, one).await;
    harness.work().await;
    assert_eq!(harness.status(one).await, ProjectStatus::Completed);
    submit(&harness, two).await;
    harness.work().await;
    let gate = harness.gate(two).await;
    let day = Day::of(harness.now());
    assert!(gate.question.contains(&format!("budget of the coder for {day}")));
    assert_eq!(gate.expires_at, day.end());
    harness.clock.advance(day.end().since(harness.now()));
    harness.engine.run_due().await.unwrap();
    harness.work().await;
    assert_eq!(harness.status(two).await, ProjectStatus::Completed, "a new day, a new account");
    let request = botarmy_domain::ports::HitlStore::request(&harness.store, gate.id).await.unwrap();
    assert_eq!(request.unwrap().status(), HitlStatus::Expired);
    let tomorrow = BudgetKey::Day(AgentType::Coder, Day::of(harness.now()));
    assert_eq!(
        harness.store.record::<BudgetAccount>(tomorrow).await.unwrap().unwrap().spent().tokens,
        60
    );
}

#[tokio::test]
async fn what_a_dead_attempt_had_reserved_is_not_taken_for_ever() {
    let harness = harness([Act::Hang, completes(60)], per_project(150));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(
        std::sync::Arc::clone(&harness.worker).run(stopped, Duration::from_millis(10)),
    );
    while harness.runner.running() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(account(&harness, id).await.taken(harness.now()).tokens, 100, "it was not settled");
    // The same task reserves again, in place of its previous reservation.
    harness.work().await;
    assert_eq!(harness.status(id).await, ProjectStatus::Completed);
    assert_eq!(account(&harness, id).await.taken(harness.now()).tokens, 60);
}

#[tokio::test]
async fn a_runner_without_an_estimate_is_held_to_the_limit_once_it_has_passed_it() {
    let runner = ScriptedRunner::default().on_agent(AgentType::Coder, [fails(500), completes(1)]);
    let harness = TestHarness::with_budgets(runner.costing(Amount::default()), per_project(100));
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    harness.pass(Duration::from_secs(5)).await;
    harness.work().await;
    assert_eq!(harness.runner.seen().len(), 1, "the retry does not begin");
    assert!(harness.gate(id).await.question.contains("500 of 100 tokens are taken"));
}

#[tokio::test]
async fn a_question_about_a_day_never_outlives_it_however_often_it_is_extended() {
    let per_day = BTreeMap::from([(AgentType::Coder, limit(10))]);
    let defaults =
        Defaults { on_expiry: OnExpiry::KeepWaiting, gate_ttl_s: 20 * 3600, ..Defaults::default() };
    let settings = EngineSettings { defaults, budgets: Budgets { per_day, ..Budgets::default() } };
    let harness = TestHarness::with(
        ScriptedRunner::default().costing(WORST),
        Setup { settings, ..Setup::default() },
    );
    let id = harness.by_hand().await;
    let day = Day::of(harness.now());
    submit(&harness, id).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    harness.clock.advance(Duration::from_secs(20 * 3600 + 1));
    harness.engine.run_due().await.unwrap();
    assert_eq!(harness.gate(id).await.id, gate.id);
    assert_eq!(harness.gate(id).await.expires_at, day.end(), "extended to the end of the day");
    harness.clock.advance(Duration::from_secs(4 * 3600));
    harness.engine.run_due().await.unwrap();
    assert!(harness.gates(id).await.is_empty());
    assert_eq!(harness.tasks(id).await[0].status(), TaskStatus::Pending);
}

#[tokio::test]
async fn what_is_configured_is_the_least_that_an_attempt_is_taken_to_cost() {
    let money = Amount { tokens: 0, cost_micro_usd: 5 };
    let worst_case = BTreeMap::from([(AgentType::Coder, money)]);
    let harness = harness([completes(60)], Budgets { worst_case, ..per_project(99) });
    let id = harness.by_hand().await;
    submit(&harness, id).await;
    harness.work().await;
    assert!(harness.runner.seen().is_empty(), "the runner knows that it may need 100 tokens");
    assert_eq!(harness.gate(id).await.budget.unwrap().needs, WORST);
}

#[tokio::test]
async fn external_workers_are_held_to_limits_too() {
    let worst_case = BTreeMap::from([(AgentType::Coder, WORST)]);
    let harness = harness([], Budgets { worst_case, ..per_project(150) });
    let id = harness.by_hand().await;
    let leases = harness.leases();
    let lease = async || {
        let (worker, agents) = (WorkerId::external("w"), vec![AgentType::Coder]);
        let query = WorkQuery { worker, agents, max: 1, wait: Duration::ZERO, caller: owner() };
        leases.lease(query).await.unwrap().pop()
    };
    submit(&harness, id).await;
    let held = lease().await.unwrap();
    submit(&harness, id).await;
    assert!(lease().await.is_none(), "100 are reserved, 100 more do not fit into 150");
    assert_eq!(harness.gate(id).await.kind, HitlKind::Question);
    let done = Ok(Outcome::Completed {
        output: Map::from_iter([("a".to_owned(), json!(1))]),
        artifacts: vec![],
        confidence: None,
        usage: used(30),
    });
    leases.finish(held.presented(), done.clone()).await.unwrap();
    leases.finish(held.presented(), done).await.unwrap();
    assert_eq!(
        account(&harness, id).await.taken(harness.now()).tokens,
        30,
        "said twice, counted once"
    );
}

#[tokio::test]
async fn cancelling_a_task_keeps_the_budget_question_of_others() {
    let harness = harness([completes(60)], per_project(50));
    let id = harness.by_hand().await;
    let first = submit(&harness, id).await;
    let second = submit(&harness, id).await;
    harness.work().await;
    let gate = harness.gate(id).await;
    harness.engine.cancel_task(first.id, owner()).await.unwrap();
    assert_eq!(harness.gate(id).await.id, gate.id, "the other one still waits for it");
    harness.engine.cancel_task(second.id, owner()).await.unwrap();
    assert!(harness.gates(id).await.is_empty(), "no task waits for it any more");
    harness.check().await;
}
