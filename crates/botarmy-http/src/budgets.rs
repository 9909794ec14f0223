//! Budgets: the spending limit of a project, and its usage.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use botarmy_domain::budget::{Amount, BudgetReport, Limit, UsageReport, UsageTotal};
use botarmy_domain::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Segment};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_budget, _, _>(budget, Permission::ProjectRead),
        Endpoint::new::<__path_set_budget, _, _>(set_budget, Permission::ProjectManage),
        Endpoint::new::<__path_usage, _, _>(usage, Permission::ProjectRead),
    ]
}

/// Limit of tokens and money; `null` where there is no limit.
#[derive(Serialize, ToSchema)]
struct LimitView {
    tokens: Option<u64>,
    /// Millionths of a US dollar.
    cost_micro_usd: Option<u64>,
}

impl From<Limit> for LimitView {
    fn from(limit: Limit) -> Self {
        Self { tokens: limit.tokens, cost_micro_usd: limit.cost_micro_usd }
    }
}

/// Amount of tokens and money.
#[derive(Serialize, ToSchema)]
struct AmountView {
    tokens: u64,
    /// Millionths of a US dollar.
    cost_micro_usd: u64,
}

impl From<Amount> for AmountView {
    fn from(amount: Amount) -> Self {
        Self { tokens: amount.tokens, cost_micro_usd: amount.cost_micro_usd }
    }
}

/// Budget of a project.
#[derive(Serialize, ToSchema)]
#[schema(as = Budget)]
struct BudgetView {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// Limit that people set, else the configured one.
    limit: LimitView,
    /// Whether people set the limit.
    is_set: bool,
    /// Amount that was spent.
    used: AmountView,
    /// Amount that running attempts may still spend.
    reserved: AmountView,
    /// Rest of the limit.
    left: LimitView,
}

impl From<BudgetReport> for BudgetView {
    fn from(report: BudgetReport) -> Self {
        Self {
            project_id: report.project_id,
            limit: report.limit.into(),
            is_set: report.is_set,
            used: report.used.into(),
            reserved: report.reserved.into(),
            left: report.left.into(),
        }
    }
}

/// Returns the budget of a project and the rest of it.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/budget", operation_id = "get_budget",
    tag = "budgets",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = BudgetView), (status = 404, body = ProblemDocument)),
)]
async fn budget(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let report = state.queries.budget(&caller, id).await?;
    Ok(HttpResponse::Ok().json(BudgetView::from(report)))
}

/// New limit of a project.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewBudget)]
struct BudgetBody {
    /// Tokens, input and output together; no limit when absent or `null`.
    tokens: Option<u64>,
    /// Millionths of a US dollar; no limit when absent or `null`.
    cost_micro_usd: Option<u64>,
}

/// Sets the budget of a project.
///
/// Tasks that waited for budget and have room now go on. What was spent already counts against the
/// new limit.
#[utoipa::path(
    put, path = "/api/v1/projects/{project_id}/budget", operation_id = "set_budget",
    tag = "budgets",
    params(("project_id" = Uuid, Path)), request_body = BudgetBody,
    responses(
        (status = 200, body = BudgetView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "The project is over"),
    ),
)]
async fn set_budget(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    Json(body): Json<BudgetBody>,
) -> Result<HttpResponse, Problem> {
    let limit = Limit { tokens: body.tokens, cost_micro_usd: body.cost_micro_usd };
    let report = state.operations.set_budget(id, limit, caller).await?;
    Ok(HttpResponse::Ok().json(BudgetView::from(report)))
}

/// Amount that was spent.
#[derive(Serialize, ToSchema)]
struct SpentView {
    /// Number of attempts, failed ones included.
    attempts: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// Input and output tokens together.
    tokens: u64,
    /// Millionths of a US dollar, as far as prices are known.
    cost_micro_usd: u64,
}

impl From<UsageTotal> for SpentView {
    fn from(total: UsageTotal) -> Self {
        Self {
            attempts: total.attempts,
            input_tokens: total.input_tokens,
            output_tokens: total.output_tokens,
            tokens: total.tokens(),
            cost_micro_usd: total.cost_micro_usd,
        }
    }
}

/// Usage of one model.
#[derive(Serialize, ToSchema)]
struct ModelSpentView {
    provider: Option<String>,
    model: Option<String>,
    #[serde(flatten)]
    spent: SpentView,
}

/// Usage of a project.
#[derive(Serialize, ToSchema)]
#[schema(as = ProjectUsage)]
struct UsageView {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    total: SpentView,
    by_agent_type: BTreeMap<&'static str, SpentView>,
    by_model: Vec<ModelSpentView>,
}

impl UsageView {
    fn of(project_id: ProjectId, usage: UsageReport) -> Self {
        let by_agent = usage.by_agent.into_iter().map(|(agent, total)| (agent, total.into()));
        let by_model = usage.by_model.into_iter().map(|((provider, model), total)| {
            ModelSpentView { provider, model, spent: total.into() }
        });
        Self {
            project_id,
            total: usage.total.into(),
            by_agent_type: by_agent.collect(),
            by_model: by_model.collect(),
        }
    }
}

/// Returns the usage of a project by agent type and by model.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/usage", operation_id = "get_project_usage",
    tag = "budgets",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = UsageView), (status = 404, body = ProblemDocument)),
)]
async fn usage(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let usage = state.queries.usage(&caller, id).await?;
    Ok(HttpResponse::Ok().json(UsageView::of(id, usage)))
}

#[cfg(test)]
mod tests {
    use botarmy_domain::AgentType;
    use botarmy_domain::budget::{BudgetAccount, BudgetKey, Spent};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, NOW, get, no, project, put};

    fn account() -> BudgetAccount {
        let line = |agent, model: &str, input_tokens| Spent {
            agent,
            provider: Some("openai".to_owned()),
            model: Some(model.to_owned()),
            attempts: 1,
            input_tokens,
            output_tokens: 1,
            cost_micro_usd: 5,
        };
        BudgetAccount {
            limit: Some(Limit { tokens: Some(100), cost_micro_usd: None }),
            spent: vec![
                line(AgentType::Coder, "a", 10),
                line(AgentType::Coder, "b", 20),
                line(AgentType::Tester, "a", 30),
            ],
            ..BudgetAccount::new(BudgetKey::Project(project().id))
        }
    }

    fn fakes() -> Fakes {
        let mut fakes = Fakes::default();
        let report = account().report(project().id, Limit::default(), NOW);
        fakes.queries.expect_budget().returning(move |_, _| Ok(report));
        fakes.queries.expect_usage().returning(|_, _| Ok(account().usage()));
        fakes
    }

    fn path(rest: &str) -> String {
        format!("/api/v1/projects/{}{rest}", project().id)
    }

    #[actix_web::test]
    async fn a_budget_shows_what_is_left_of_it() {
        let answer = fakes().send(get(&path("/budget"))).await;
        let expected = json!({
            "project_id": project().id, "is_set": true,
            "limit": {"tokens": 100, "cost_micro_usd": null},
            "used": {"tokens": 63, "cost_micro_usd": 15},
            "reserved": {"tokens": 0, "cost_micro_usd": 0},
            "left": {"tokens": 37, "cost_micro_usd": null},
        });
        assert_eq!((answer.status, answer.json()), (200, expected));
    }

    #[actix_web::test]
    async fn usage_is_told_by_agent_type_and_by_model() {
        let usage = fakes().send(get(&path("/usage"))).await.json();
        assert_eq!(
            usage["total"],
            json!({
                "attempts": 3, "input_tokens": 60, "output_tokens": 3, "tokens": 63,
                "cost_micro_usd": 15,
            })
        );
        assert_eq!(usage["by_agent_type"]["coder"]["tokens"], 32);
        assert_eq!(usage["by_model"][0]["model"], "a");
        assert_eq!(usage["by_model"][0]["tokens"], 42);
    }

    #[actix_web::test]
    async fn a_limit_is_set_and_what_is_no_limit_is_refused() {
        let mut fakes = fakes();
        fakes.operations.expect_set_budget().times(1).returning(|_, limit, caller| {
            assert_eq!(limit, Limit { tokens: Some(7), cost_micro_usd: None });
            assert_eq!(caller.name(), "ada");
            let account = BudgetAccount { limit: Some(limit), ..account() };
            Ok(account.report(project().id, Limit::default(), NOW))
        });
        let good = put(&path("/budget"), &json!({"tokens": 7, "cost_micro_usd": null}));
        let bad =
            [json!({"tokens": -1}), json!({"tokens": 1.5}), json!({"tokens": "7"}), json!([])];
        let bad = bad.iter().map(|body| put(&path("/budget"), body));
        let requests = [good.insert_header(("x-user-id", "ada"))].into_iter().chain(bad);
        let answers = fakes.send_all(requests).await;
        assert_eq!((answers[0].status, &answers[0].json()["left"]["tokens"]), (200, &json!(0)));
        for answer in &answers[1..] {
            assert!(matches!(answer.status, 400 | 422), "{}", answer.json());
        }
    }

    #[actix_web::test]
    async fn a_project_that_is_not_there_has_no_budget() {
        for rest in ["/budget", "/usage"] {
            let mut fakes = Fakes::default();
            fakes.queries.expect_budget().returning(|_, id| Err(no("Project", id)));
            fakes.queries.expect_usage().returning(|_, id| Err(no("Project", id)));
            assert_eq!(fakes.send(get(&path(rest))).await.status, 404);
        }
    }
}
