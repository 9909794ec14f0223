//! Answers about the budget of a day, from which all projects take.

use std::collections::BTreeMap;

use botarmy_domain::budget::{Amount, Limit};
use botarmy_domain::ports::Gates;
use botarmy_domain::{
    AgentType, Caller, DomainError, Error, Grant, GrantTarget, HitlAction, HitlRequestId,
    Permission, ProjectId, Response, Role,
};
use botarmy_orchestrator::Budgets;
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::{TestHarness, simply};
use serde_json::{Map, json};

use super::Guarded;
use crate::tasks::submit;

/// Returns a harness in which a task has met the limit of a day, its project with the request about it, and
/// a person who answers on that project alone.
async fn over_the_limit() -> (Guarded, ProjectId, HitlRequestId, Caller) {
    let limit = Limit { tokens: Some(50), cost_micro_usd: None };
    let budgets =
        Budgets { per_day: BTreeMap::from([(AgentType::Coder, limit)]), ..Budgets::default() };
    let runner = ScriptedRunner::default().costing(Amount { tokens: 100, cost_micro_usd: 0 });
    let guarded = Guarded::on(TestHarness::with_budgets(runner, budgets)).await;
    let id = guarded.harness.by_hand().await;
    submit(&guarded.harness, id).await;
    guarded.harness.work().await;
    let gate = guarded.harness.gate(id).await.id;
    let one = Grant { role: Role::Reviewer, target: GrantTarget::Project(id) };
    let ada = guarded.person("ada", &[one]).await;
    (guarded, id, gate, ada)
}

#[tokio::test]
async fn the_limit_of_a_day_is_changed_only_by_those_who_answer_on_all_projects() {
    let (guarded, id, gate, ada) = over_the_limit().await;
    let harness = &guarded.harness;
    let amounts = Map::from_iter([("tokens".to_owned(), json!(1_000))]);
    let other = Response { amended_content: Some(amounts), ..simply(HitlAction::Amend) };
    for response in [simply(HitlAction::Approve), other] {
        let refused = harness.engine.respond(gate, response, ada.clone()).await.unwrap_err();
        let expected =
            DomainError::NotPermitted { permission: Permission::GateAnswer, elsewhere: true };
        assert!(matches!(refused, Error::Refused(error) if error == expected));
    }
    assert_eq!(harness.gate(id).await.id, gate, "nothing has changed");
    let bob = guarded.person("bob", &[Grant::on_all(Role::Reviewer)]).await;
    harness.engine.respond(gate, simply(HitlAction::Approve), bob).await.unwrap();
    assert!(harness.gates(id).await.is_empty());
}

#[tokio::test]
async fn those_who_answer_on_one_project_may_reject_what_it_asks_of_a_day() {
    let (guarded, id, gate, ada) = over_the_limit().await;
    guarded.harness.engine.respond(gate, simply(HitlAction::Reject), ada).await.unwrap();
    assert!(guarded.harness.gates(id).await.is_empty());
}
