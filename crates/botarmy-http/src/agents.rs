//! Agents: the status of each type, and its history.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::{
    AgentRecord, AgentStatusKind, AgentType, Error, Page, PastStatus, Permission, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Query, Segment, Whole, in_range};
use crate::idempotency::{Keyed, reply};
use crate::paging::{self, List, Range};
use crate::vocabulary;

/// Number of status changes when the client asks for none.
const HISTORY: u32 = 10;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_statuses, _, _>(statuses, Permission::AgentsRead),
        Endpoint::new::<__path_status, _, _>(status, Permission::AgentsRead),
        Endpoint::new::<__path_history, _, _>(history, Permission::AgentsRead),
        Endpoint::new::<__path_reset, _, _>(reset, Permission::AgentsReset).keyed(),
    ]
}

/// Status of an agent type.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentStatus)]
struct AgentView<'a> {
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::AgentStatusKind)]
    status: AgentStatusKind,
    /// Oldest of its running tasks.
    #[schema(value_type = Option<Uuid>)]
    current_task_id: Option<TaskId>,
    /// Time of its last activity; the time of the installation until it has worked.
    #[schema(value_type = String, format = DateTime)]
    last_activity: Option<Timestamp>,
    error_message: Option<&'a str>,
    /// Number of its running tasks.
    active_tasks: u32,
}

impl<'a> AgentView<'a> {
    fn of(record: &'a AgentRecord) -> Self {
        Self {
            agent_type: record.agent_type,
            status: record.status,
            current_task_id: record.current_task_id,
            last_activity: record.last_activity,
            error_message: record.error_message.as_deref(),
            active_tasks: record.active_tasks,
        }
    }
}

/// Returns the status of every agent type, by its name.
#[utoipa::path(
    get, path = "/api/v1/agents/status", operation_id = "list_agent_statuses", tag = "agents",
    responses((status = 200, body = BTreeMap<String, AgentView>)),
)]
async fn statuses(state: Data<State>, Caller(caller): Caller) -> Result<HttpResponse, Problem> {
    let records = state.queries.agents(&caller).await?;
    let by_type: BTreeMap<&str, AgentView<'_>> =
        records.iter().map(|record| (record.agent_type.as_str(), AgentView::of(record))).collect();
    Ok(HttpResponse::Ok().json(by_type))
}

/// Returns the status of an agent type.
#[utoipa::path(
    get, path = "/api/v1/agents/status/{agent_type}", operation_id = "get_agent_status",
    tag = "agents",
    params(("agent_type" = vocabulary::AgentType, Path)),
    responses((status = 200, body = AgentView), (status = 422, body = ProblemDocument)),
)]
async fn status(
    state: Data<State>,
    Segment(agent): Segment<AgentType>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let record = state.queries.agent(&caller, agent).await?;
    Ok(HttpResponse::Ok().json(AgentView::of(&record)))
}

/// Length of the history.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// Largest number of status changes; 10 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// Cursor of the page; the `Link` header of the page before has it.
    #[param(value_type = Option<u64>, minimum = 1)]
    cursor: Option<Whole>,
}

/// Earlier status of an agent type.
#[derive(Serialize, ToSchema)]
struct AgentHistoryLine<'a> {
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::AgentStatusKind)]
    status: AgentStatusKind,
    #[schema(value_type = Option<Uuid>)]
    current_task_id: Option<TaskId>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_activity: Option<Timestamp>,
    error_message: Option<&'a str>,
    /// Time at which the status began.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

/// Returns the earlier statuses of an agent type, newest first.
///
/// A page ends early when it would be large; the `Link` header names the next one.
#[utoipa::path(
    get, path = "/api/v1/agents/status-history/{agent_type}",
    operation_id = "list_agent_status_history",
    tag = "agents",
    params(("agent_type" = vocabulary::AgentType, Path), HistoryQuery),
    responses(
        (status = 200, body = [AgentHistoryLine], headers(("Link" = String))),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn history(
    state: Data<State>,
    Segment(agent): Segment<AgentType>,
    Caller(caller): Caller,
    Query(query): Query<HistoryQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = in_range("limit", query.limit, HISTORY, 1..=state.settings.page_max)?;
    let after = query.cursor.map(|cursor| cursor.positive("cursor")).transpose()?;
    let list = HistoryList { state: &state, caller: &caller, agent };
    paging::respond_array(&state, &request, &list, Range { after, limit }).await
}

/// Earlier statuses of an agent type, newest first.
struct HistoryList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    agent: AgentType,
}

impl List for HistoryList<'_> {
    type Item = PastStatus;
    type Cursor = u64;

    async fn read(&self, before: Option<u64>, limit: u32) -> Result<Page<PastStatus>, Error> {
        self.state.queries.agent_history(self.caller, self.agent, before, limit).await
    }

    fn cursor(past: &PastStatus) -> u64 {
        past.seq
    }

    fn write(&self, past: &PastStatus, json: &mut Vec<u8>) -> serde_json::Result<()> {
        let record = &past.record;
        let line = AgentHistoryLine {
            agent_type: record.agent_type,
            status: record.status,
            current_task_id: record.current_task_id,
            last_activity: record.last_activity,
            error_message: record.error_message.as_deref(),
            updated_at: record.updated_at,
        };
        serde_json::to_writer(json, &line)
    }
}

/// Agent type after a reset.
#[derive(Serialize, ToSchema)]
struct ResetView {
    message: String,
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    #[schema(value_type = vocabulary::AgentStatusKind)]
    status: AgentStatusKind,
}

/// Clears the error state of an agent type.
///
/// Its running tasks go on.
#[utoipa::path(
    post, path = "/api/v1/agents/status/{agent_type}/reset", operation_id = "reset_agent_status",
    tag = "agents",
    params(("agent_type" = vocabulary::AgentType, Path)),
    responses((status = 200, body = ResetView), (status = 422, body = ProblemDocument)),
)]
async fn reset(
    state: Data<State>,
    Segment(agent): Segment<AgentType>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let shape = move |record: &AgentRecord| {
        let message = format!("The status of agent type {agent} was reset.");
        reply(StatusCode::OK, &ResetView { message, agent_type: agent, status: record.status })
    };
    let reset = async |caller| state.operations.reset_agent(agent, caller).await;
    state.once(&keyed, caller, shape, reset).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, NOW, get, raw};

    fn coder() -> AgentRecord {
        AgentRecord {
            status: AgentStatusKind::Error,
            error_message: Some("It broke.".to_owned()),
            last_activity: Some(NOW),
            updated_at: Some(NOW),
            ..AgentRecord::idle(AgentType::Coder)
        }
    }

    #[actix_web::test]
    async fn all_six_are_shown_by_name() {
        let mut fakes = Fakes::default();
        fakes
            .queries
            .expect_agents()
            .returning(|_| Ok(AgentType::ALL.iter().map(|t| AgentRecord::idle(*t)).collect()));
        let body = fakes.send(get("/api/v1/agents/status")).await.json();
        assert_eq!(body.as_object().unwrap().len(), 6);
        assert_eq!(
            body["tester"],
            json!({
                "agent_type": "tester", "status": "idle", "current_task_id": null,
                "last_activity": null, "error_message": null, "active_tasks": 0,
            })
        );
    }

    #[actix_web::test]
    async fn an_unknown_agent_type_is_422() {
        let requests = [
            get("/api/v1/agents/status/typist"),
            get("/api/v1/agents/status-history/typist"),
            raw("/api/v1/agents/status/typist/reset", ""),
        ];
        for answer in Fakes::default().send_all(requests).await {
            assert_eq!((answer.status, answer.field().as_str()), (422, "agent_type"));
        }
    }

    #[actix_web::test]
    async fn the_history_has_ten_lines_unless_asked_for_more() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_agent_history().times(1).returning(|_, _, _, limit| {
            assert_eq!(limit, 10);
            Ok(Page { items: vec![PastStatus { seq: 7, record: coder() }], has_more: false })
        });
        fakes.queries.expect_agent_history().times(1).returning(|_, _, _, limit| {
            assert_eq!(limit, 1000);
            Ok(Page { items: Vec::new(), has_more: false })
        });
        let path = "/api/v1/agents/status-history/coder";
        let limited = |limit: &str| get(&format!("{path}?limit={limit}"));
        let answers =
            fakes.send_all([get(path), limited("1000"), limited("0"), limited("1001")]).await;
        assert_eq!(
            answers[0].json(),
            json!([{
                "agent_type": "coder", "status": "error", "current_task_id": null,
                "last_activity": "2027-01-15T08:00:00.000000Z", "error_message": "It broke.",
                "updated_at": "2027-01-15T08:00:00.000000Z",
            }])
        );
        assert_eq!(answers[1].json(), json!([]));
        assert!(answers[2..].iter().all(|a| a.status == 422 && a.field() == "limit"));
    }

    #[actix_web::test]
    async fn a_reset_says_what_took_effect() {
        let mut fakes = Fakes::default();
        fakes.operations.expect_reset_agent().returning(|agent, _| Ok(AgentRecord::idle(agent)));
        let body = fakes.send(raw("/api/v1/agents/status/coder/reset", "")).await.json();
        assert_eq!((&body["agent_type"], &body["status"]), (&"coder".into(), &"idle".into()));
    }
}
