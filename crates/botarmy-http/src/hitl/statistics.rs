//! Counts of requests, and the time that people take to answer them.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use botarmy_domain::{HitlRequestId, HitlStatistics, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Query, Whole, in_range};

/// Window when the client names none, in hours: a week.
const WINDOW_HOURS: u32 = 168;
/// Longest window, in hours: a year.
const MAX_WINDOW_HOURS: u32 = 8760;

/// Requests that are counted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatisticsQuery {
    /// Project whose requests are counted; all projects when absent.
    #[param(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Length of the window in hours, which ends now; 168 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 8760)]
    window_hours: Option<Whole>,
}

/// Counts of requests, and the time to an answer. Counted are all requests that are pending, and the
/// requests of the window that are not pending any more. A request belongs to the window if it was
/// raised in it.
#[derive(Serialize, ToSchema)]
struct StatisticsView<'a> {
    /// Project whose requests were counted; null for all projects.
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Length of the window in hours.
    window_hours: u32,
    /// Beginning of the window.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Whether the window has more than 10,000 requests that are not pending; only the newest are
    /// counted then.
    truncated: bool,
    /// Number of requests in each status; every status occurs.
    by_status: BTreeMap<&'static str, u64>,
    /// Number of requests of each kind; every kind occurs.
    by_kind: BTreeMap<&'static str, u64>,
    /// Number of requests about the work of each agent type; every agent type occurs.
    by_agent_type: BTreeMap<&'static str, u64>,
    /// Number of requests about no agent's work.
    without_agent_type: u64,
    /// Figures of each policy, sorted by name; the first is that of requests whose step names none.
    by_policy: Vec<PolicyFiguresView<'a>>,
    /// Pending request that waits longest; null where none is pending.
    oldest_pending: Option<OldestView>,
    time_to_answer: AnswerTimesView,
}

/// Figures of the requests of one policy.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyFigures)]
struct PolicyFiguresView<'a> {
    /// Name of the policy; null for requests whose step names none.
    policy: Option<&'a str>,
    /// Number of pending requests.
    pending: u64,
    /// Number of pending requests that people should have answered by now.
    overdue: u64,
    /// Number of requests of the window that people decided.
    decided: u64,
    /// Median of the seconds from a request to its decision; null where none was decided.
    median_s: Option<f64>,
    /// Time in seconds within which 95 of 100 were decided; null where none was decided.
    p95_s: Option<f64>,
}

/// Pending request that waits longest.
#[derive(Serialize, ToSchema)]
struct OldestView {
    #[schema(value_type = Uuid)]
    request_id: HitlRequestId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Times from raising a request of the window to the answer of a person.
#[derive(Serialize, ToSchema)]
struct AnswerTimesView {
    /// Number of requests that a person answered.
    answered: u64,
    /// Median in seconds; null without an answer.
    median_s: Option<f64>,
    /// Time in seconds within which nine of ten were answered; null without an answer.
    p90_s: Option<f64>,
}

/// Returns counts of requests, and the time that people take to answer them.
#[utoipa::path(
    get, path = "/api/v1/hitl/statistics", operation_id = "get_request_statistics",
    tag = "hitl", params(StatisticsQuery),
    responses((status = 200, body = StatisticsView), (status = 404, body = ProblemDocument)),
)]
pub(super) async fn statistics(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<StatisticsQuery>,
) -> Result<HttpResponse, Problem> {
    let hours = in_range("window_hours", query.window_hours, WINDOW_HOURS, 1..=MAX_WINDOW_HOURS)?;
    let found = state.queries.hitl_statistics(&caller, query.project_id, hours).await?;
    Ok(HttpResponse::Ok().json(view(query.project_id, hours, &found)))
}

fn view(project_id: Option<ProjectId>, hours: u32, found: &HitlStatistics) -> StatisticsView<'_> {
    let agents = found.by_agent.iter();
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let policies = found.by_policy.iter().map(|(policy, figures)| PolicyFiguresView {
        policy: policy.as_deref(),
        pending: figures.pending,
        overdue: figures.overdue,
        decided: figures.decided,
        median_s: seconds(figures.median),
        p95_s: seconds(figures.p95),
    });
    StatisticsView {
        project_id,
        window_hours: hours,
        since: found.since,
        truncated: found.truncated,
        by_status: found.by_status.iter().map(|(key, n)| (key.as_str(), *n)).collect(),
        by_kind: found.by_kind.iter().map(|(key, n)| (key.as_str(), *n)).collect(),
        by_agent_type: agents.filter_map(|(key, n)| Some((key.as_ref()?.as_str(), *n))).collect(),
        without_agent_type: found.by_agent.get(&None).copied().unwrap_or(0),
        by_policy: policies.collect(),
        oldest_pending: found.oldest.map(|oldest| OldestView {
            request_id: oldest.id,
            project_id: oldest.project_id,
            created_at: oldest.created_at,
        }),
        time_to_answer: AnswerTimesView {
            answered: found.answered,
            median_s: seconds(found.median),
            p90_s: seconds(found.p90),
        },
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::hitl::{Counted, HitlLine, HitlSample, OldestRequest};
    use botarmy_domain::{AgentType, HitlKind, HitlStatus};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, NOW, get, id_generator, no, project, unknown};

    #[actix_web::test]
    async fn statistics_name_every_word_and_their_window() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_hitl_statistics().returning(|_, asked, hours| {
            if asked == Some(unknown()) {
                return Err(no("Project", unknown()));
            }
            assert_eq!((asked, hours), (Some(project().id), 24));
            let columns = (HitlStatus::Amended, HitlKind::Question, Some(AgentType::Coder));
            let answered = NOW.after(Duration::from_millis(1500));
            let sample = HitlSample {
                pending: vec![Counted {
                    kind: HitlKind::Approval,
                    agent: None,
                    policy: Some("release".to_owned()),
                    count: 2,
                    overdue: 1,
                }],
                oldest: Some(OldestRequest {
                    id: id_generator().request(),
                    project_id: project().id,
                    created_at: NOW,
                }),
                ended: vec![HitlLine::new(columns, None, NOW, Some((answered, "ada")))],
            };
            Ok(HitlStatistics::of(&sample, NOW, 10))
        });
        let path = format!("/api/v1/hitl/statistics?window_hours=24&project_id={}", project().id);
        let other = format!("/api/v1/hitl/statistics?project_id={}", unknown());
        let bad = ["window_hours=0", "window_hours=8761", "project_id=x", "window=1"];
        let bad = bad.map(|query| get(&format!("/api/v1/hitl/statistics?{query}")));
        let answers = fakes.send_all([get(&path), get(&other)].into_iter().chain(bad)).await;
        let at = "2027-01-15T08:00:00.000000Z";
        assert_eq!(
            answers[0].json(),
            json!({
                "project_id": project().id, "window_hours": 24, "since": at, "truncated": false,
                "by_status": {
                    "pending": 2, "approved": 0, "rejected": 0, "amended": 1, "expired": 0,
                    "cancelled": 0,
                },
                "by_kind": {"approval": 2, "question": 1, "failure": 0},
                "by_agent_type": {
                    "orchestrator": 0, "analyst": 0, "architect": 0, "coder": 1, "tester": 0,
                    "deployer": 0,
                },
                "without_agent_type": 2,
                "by_policy": [
                    {"policy": null, "pending": 0, "overdue": 0, "decided": 1, "median_s": 1.5,
                     "p95_s": 1.5},
                    {"policy": "release", "pending": 2, "overdue": 1, "decided": 0,
                     "median_s": null, "p95_s": null},
                ],
                "oldest_pending": {
                    "request_id": id_generator().request(), "project_id": project().id,
                    "created_at": at,
                },
                "time_to_answer": {"answered": 1, "median_s": 1.5, "p90_s": 1.5},
            })
        );
        assert_eq!(answers[1].status, 404);
        let fields: Vec<_> = answers[2..].iter().map(crate::testing::Answer::field).collect();
        assert_eq!(fields, ["window_hours", "window_hours", "project_id", "window"]);
    }
}
