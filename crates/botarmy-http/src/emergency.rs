//! Emergency stops: stopping work at once, listing the stops, and releasing them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::{AgentType, Permission, ProjectId, Stopped, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query};
use crate::idempotency::{Keyed, reply};
use crate::{State, vocabulary};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_stop, _, _>(stop, Permission::StopSet).keyed(),
        Endpoint::new::<__path_stops, _, _>(stops, Permission::ProjectRead),
        Endpoint::new::<__path_release, _, _>(release, Permission::StopRelease),
    ]
}

/// Scope of an emergency stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reach {
    /// Scope of all work.
    Everything,
    /// Scope of the work of one agent type.
    AgentType,
    /// Scope of the work of one project.
    Project,
}

/// Returns the scope that the fields name.
fn scope_of(
    reach: Reach,
    agent: Option<AgentType>,
    project: Option<ProjectId>,
) -> Result<StopScope, Problem> {
    match (reach, agent, project) {
        (Reach::Everything, None, None) => Ok(StopScope::Everything),
        (Reach::AgentType, Some(agent), None) => Ok(StopScope::Agent(agent)),
        (Reach::Project, None, Some(project)) => Ok(StopScope::Project(project)),
        (Reach::AgentType, None, None) => Err(Problem::invalid("agent_type", "must be named")),
        (Reach::Project, None, None) => Err(Problem::invalid("project_id", "must be named")),
        // A client that names more than belongs to the scope may mean another one.
        (_, Some(_), _) if reach != Reach::AgentType => {
            Err(Problem::invalid("agent_type", "does not go with this scope"))
        }
        _ => Err(Problem::invalid("project_id", "does not go with this scope")),
    }
}

/// Request for an emergency stop.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewEmergencyStop)]
struct StopBody {
    scope: Reach,
    /// Agent type; required with the scope `agent_type`, refused with others.
    #[schema(value_type = Option<vocabulary::AgentType>)]
    agent_type: Option<AgentType>,
    /// Project; required with the scope `project`, refused with others.
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Reason, for people who find the work stopped.
    #[schema(min_length = 1, max_length = 2000)]
    reason: String,
}

/// Emergency stop in force.
#[derive(Serialize, ToSchema)]
#[schema(as = EmergencyStop)]
struct StopView<'a> {
    scope: Reach,
    #[schema(value_type = Option<vocabulary::AgentType>)]
    agent_type: Option<AgentType>,
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    reason: &'a str,
    stopped_by: &'a str,
    #[schema(value_type = String, format = DateTime)]
    stopped_at: Timestamp,
}

impl<'a> StopView<'a> {
    fn of(stop: &'a Stop) -> Self {
        let (scope, agent_type, project_id) = match stop.scope {
            StopScope::Everything => (Reach::Everything, None, None),
            StopScope::Agent(agent) => (Reach::AgentType, Some(agent), None),
            StopScope::Project(project) => (Reach::Project, None, Some(project)),
        };
        let Stop { reason, by, at, .. } = stop;
        Self { scope, agent_type, project_id, reason, stopped_by: by, stopped_at: *at }
    }
}

/// Emergency stop and its effect.
#[derive(Serialize, ToSchema)]
struct StoppedView<'a> {
    #[serde(flatten)]
    stop: StopView<'a>,
    /// Number of tasks that were running; they are back in the queue.
    interrupted: usize,
}

/// Stops the work of a project, of an agent type, or all work.
///
/// Running attempts are ended within a second, and their tasks wait in the queue. Nothing new starts
/// until the stop is released. A scope that is stopped already stays as it is (200).
#[utoipa::path(
    post, path = "/api/v1/emergency-stop", operation_id = "stop_work",
    tag = "emergency stop", request_body = StopBody,
    responses(
        (status = 201, body = StoppedView),
        (status = 200, body = StoppedView, description = "The scope was stopped already"),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "The project is over"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn stop(
    state: Data<State>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<StopBody>,
) -> Result<HttpResponse, Problem> {
    let scope = scope_of(body.scope, body.agent_type, body.project_id)?;
    let shape = |stopped: &Stopped| {
        let stop = StopView::of(&stopped.stop);
        let status = if stopped.is_new { StatusCode::CREATED } else { StatusCode::OK };
        reply(status, &StoppedView { stop, interrupted: stopped.interrupted })
    };
    let stop = async |caller| state.operations.stop(scope, body.reason, caller).await;
    state.once(&keyed, caller, shape, stop).await
}

/// Emergency stops in force.
#[derive(Serialize, ToSchema)]
struct StopsView<'a> {
    stops: Vec<StopView<'a>>,
}

/// Returns the emergency stops in force.
#[utoipa::path(
    get, path = "/api/v1/emergency-stop", operation_id = "list_emergency_stops",
    tag = "emergency stop",
    responses((status = 200, body = StopsView)),
)]
async fn stops(state: Data<State>, Caller(caller): Caller) -> Result<HttpResponse, Problem> {
    let stops = state.queries.emergency_stops(&caller).await?;
    Ok(HttpResponse::Ok().json(StopsView { stops: stops.iter().map(StopView::of).collect() }))
}

/// Scope and reason of a release.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReleaseQuery {
    #[param(inline)]
    scope: Reach,
    /// Agent type; required with the scope `agent_type`, refused with others.
    #[param(value_type = Option<vocabulary::AgentType>)]
    agent_type: Option<AgentType>,
    /// Project; required with the scope `project`, refused with others.
    #[param(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Reason.
    #[param(min_length = 1, max_length = 2000)]
    reason: String,
}

/// Releases an emergency stop.
#[utoipa::path(
    delete, path = "/api/v1/emergency-stop", operation_id = "release_emergency_stop",
    tag = "emergency stop", params(ReleaseQuery),
    responses(
        (status = 204, description = "The stop is released"),
        (status = 404, body = ProblemDocument, description = "The scope is not stopped"),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn release(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<ReleaseQuery>,
) -> Result<HttpResponse, Problem> {
    let scope = scope_of(query.scope, query.agent_type, query.project_id)?;
    state.operations.release(scope, query.reason, caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use botarmy_domain::Stopped;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Fakes, NOW, delete, get, post, project};

    const PATH: &str = "/api/v1/emergency-stop";

    fn stopped(scope: StopScope) -> Stop {
        Stop { scope, reason: "It spends too much".to_owned(), by: "ada".to_owned(), at: NOW }
    }

    #[actix_web::test]
    async fn a_stop_says_who_why_and_how_much_was_interrupted() {
        for (is_new, status) in [(true, 201), (false, 200)] {
            let mut fakes = Fakes::default();
            fakes.operations.expect_stop().returning(move |scope, reason, caller| {
                assert_eq!((reason.as_str(), caller.name()), ("It spends too much", "ada"));
                Ok(Stopped { stop: stopped(scope), is_new, interrupted: 3 })
            });
            let body = json!({
                "scope": "agent_type", "agent_type": "coder", "reason": "It spends too much",
            });
            let answer = fakes.send(post(PATH, &body).insert_header(("x-user-id", "ada"))).await;
            let expected = json!({
                "scope": "agent_type", "agent_type": "coder", "project_id": null,
                "reason": "It spends too much", "stopped_by": "ada", "stopped_at": NOW,
                "interrupted": 3,
            });
            assert_eq!((answer.status, answer.json()), (status, expected));
        }
    }

    #[actix_web::test]
    async fn what_is_meant_must_be_clear() {
        let id = project().id;
        for (body, field) in [
            (json!({"scope": "agent_type", "reason": "x"}), "agent_type"),
            (json!({"scope": "project", "reason": "x"}), "project_id"),
            (json!({"scope": "everything", "agent_type": "coder", "reason": "x"}), "agent_type"),
            (json!({"scope": "everything", "project_id": id, "reason": "x"}), "project_id"),
            (
                json!({"scope": "agent_type", "agent_type": "coder", "project_id": id, "reason": "x"}),
                "project_id",
            ),
            (json!({"scope": "world", "reason": "x"}), "scope"),
            (json!({"scope": "everything"}), "reason"),
        ] {
            let answer = Fakes::default().send(post(PATH, &body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{body}");
        }
    }

    #[actix_web::test]
    async fn what_is_stopped_is_listed_and_released() {
        let mut fakes = Fakes::default();
        fakes
            .queries
            .expect_emergency_stops()
            .returning(|_| Ok(vec![stopped(StopScope::Everything)]));
        fakes.operations.expect_release().times(1).returning(|scope, reason, _| {
            assert_eq!((scope, reason.as_str()), (StopScope::Everything, "all is well"));
            Ok(())
        });
        let release = format!("{PATH}?scope=everything&reason=all%20is%20well");
        let nameless = format!("{PATH}?scope=project&reason=x");
        let answers = fakes.send_all([get(PATH), delete(&release), delete(&nameless)]).await;
        let listed: Value = answers[0].json();
        assert_eq!(listed["stops"][0]["scope"], "everything");
        assert_eq!(answers[1].status, 204);
        assert_eq!((answers[2].status, answers[2].field().as_str()), (422, "project_id"));
    }
}
