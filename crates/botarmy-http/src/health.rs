//! Health of the server and of its components. A component that hangs counts as unhealthy before the
//! timeout of the prober.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use botarmy_domain::ports::HealthCheck;
use botarmy_domain::{Health, Permission, Place, Timestamp};
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::{Endpoint, Requires};
use crate::error::Problem;
use crate::extract::Caller;

/// Components of `GET /health/detailed`.
const COMPONENTS: [&str; 6] = ["database", "redis", "task_queue", "agents", "llm", "audit_system"];
/// Components of `GET /healthz`.
const CHECKS: [&str; 4] = ["database", "redis", "task_queue", "audit_system"];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_health, _, _>(health, Requires::Public),
        Endpoint::new::<__path_detailed, _, _>(detailed, Permission::SystemRead),
        Endpoint::new::<__path_health_ready, _, _>(health_ready, Requires::Public),
        Endpoint::new::<__path_health_z, _, _>(health_z, Requires::Public),
        Endpoint::new::<__path_healthz, _, _>(healthz, Requires::Public),
        Endpoint::new::<__path_livez, _, _>(livez, Requires::Public),
        Endpoint::new::<__path_readyz, _, _>(readyz, Requires::Public),
    ]
}

/// Health of a component, and whether the server needs it.
struct Finding {
    component: &'static str,
    needed: bool,
    health: Health,
}

impl Finding {
    fn is_unwell(&self) -> bool {
        matches!(self.health, Health::Unhealthy(_))
    }
}

/// Checks all components at the same time.
async fn findings(state: &State) -> Vec<Finding> {
    let limit = state.settings.probe_timeout;
    let asked = state.health.iter().map(|check: &Arc<dyn HealthCheck>| async move {
        let health = tokio::time::timeout(limit, check.check()).await.unwrap_or_else(|_| {
            Health::Unhealthy(format!("no answer within {} ms", limit.as_millis()))
        });
        Finding { component: check.component(), needed: check.needed(), health }
    });
    join_all(asked).await
}

/// Answer of a running server.
#[derive(Serialize, ToSchema)]
struct HealthView<'a> {
    status: &'static str,
    service: &'a str,
    version: &'a str,
}

/// Returns name and version of the server.
#[utoipa::path(
    get, path = "/health", operation_id = "get_health",
    tag = "health", responses((status = 200, body = HealthView)),
)]
async fn health(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(HealthView {
        status: "healthy",
        service: &state.settings.service,
        version: &state.settings.version,
    })
}

/// Health of the server with its components.
#[derive(Serialize, ToSchema)]
struct DetailedView<'a> {
    /// `healthy`, `degraded` (a component is unhealthy) or `unhealthy` (a needed component is).
    status: &'static str,
    service: &'a str,
    version: &'a str,
    components: BTreeMap<&'static str, ComponentView<'a>>,
}

/// Health of a component.
#[derive(Serialize, ToSchema)]
struct ComponentView<'a> {
    /// `healthy`, `unhealthy` or `not_configured`.
    status: &'static str,
    message: &'a str,
}

impl<'a> ComponentView<'a> {
    fn of(finding: Option<&'a Finding>) -> Self {
        match finding.map(|finding| &finding.health) {
            Some(Health::Healthy(message)) => Self { status: "healthy", message },
            Some(Health::Unhealthy(message)) => Self { status: "unhealthy", message },
            Some(Health::NotConfigured) | None => {
                Self { status: "not_configured", message: "not used in this configuration" }
            }
        }
    }
}

/// Returns the health of every component.
///
/// The status is 503, with the same body, when a needed component is unhealthy.
#[utoipa::path(
    get, path = "/health/detailed", operation_id = "get_detailed_health", tag = "health",
    responses((status = 200, body = DetailedView), (status = 503, body = DetailedView)),
)]
async fn detailed(state: Data<State>, Caller(caller): Caller) -> Result<HttpResponse, Problem> {
    // No call of the domain follows that would check it.
    caller.check(Permission::SystemRead, Place::Installation)?;
    let findings = findings(&state).await;
    let of = |name: &str| findings.iter().find(|finding| finding.component == name);
    let status = if findings.iter().any(|finding| finding.needed && finding.is_unwell()) {
        "unhealthy"
    } else if findings.iter().any(Finding::is_unwell) {
        "degraded"
    } else {
        "healthy"
    };
    let code = if status == "unhealthy" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok(HttpResponse::build(code).json(DetailedView {
        status,
        service: &state.settings.service,
        version: &state.settings.version,
        components: COMPONENTS.iter().map(|name| (*name, ComponentView::of(of(name)))).collect(),
    }))
}

/// Readiness of the server.
#[derive(Serialize, ToSchema)]
struct ReadyView {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// The same in a sentence.
    message: String,
    /// Needed components that are unhealthy.
    failing: Vec<&'static str>,
}

async fn ready(state: &State) -> HttpResponse {
    let findings = findings(state).await;
    let failing: Vec<&'static str> = findings
        .iter()
        .filter(|finding| finding.needed && finding.is_unwell())
        .map(|finding| finding.component)
        .collect();
    if failing.is_empty() {
        let message = "The server is ready.".to_owned();
        HttpResponse::Ok().json(ReadyView { status: "ready", message, failing })
    } else {
        let message = format!("The server is not ready; failing: {}.", failing.join(", "));
        HttpResponse::ServiceUnavailable().json(ReadyView { status: "not_ready", message, failing })
    }
}

/// Returns whether the server is ready to work.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "get_readiness", tag = "health",
    responses((status = 200, body = ReadyView), (status = 503, body = ReadyView)),
)]
async fn health_ready(state: Data<State>) -> HttpResponse {
    ready(&state).await
}

/// Returns the readiness of the server at the path of Kubernetes probes.
#[utoipa::path(
    get, path = "/readyz", operation_id = "get_readyz", tag = "health",
    responses((status = 200, body = ReadyView), (status = 503, body = ReadyView)),
)]
async fn readyz(state: Data<State>) -> HttpResponse {
    ready(&state).await
}

/// Answer of a live process.
#[derive(Serialize, ToSchema)]
struct LiveView {
    /// Always `alive`.
    status: &'static str,
}

/// Confirms that the process is alive, without a check of its components.
#[utoipa::path(
    get, path = "/livez", operation_id = "get_livez", tag = "health",
    responses((status = 200, body = LiveView)),
)]
async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(LiveView { status: "alive" })
}

/// Health of the components, for probes.
#[derive(Serialize, ToSchema)]
struct ProbeView<'a> {
    /// `healthy` or `degraded`.
    status: &'static str,
    service: &'a str,
    version: &'a str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// `pass` or `fail` for each component. One that the configuration does not use passes.
    checks: BTreeMap<&'static str, &'static str>,
    health_percentage: f64,
    /// Number of healthy components of all, such as `4/4`.
    services_healthy: String,
}

async fn probe(state: &State) -> HttpResponse {
    let findings = findings(state).await;
    let of = |name: &str| findings.iter().find(|finding| finding.component == name);
    let fails = |name: &str| of(name).is_some_and(Finding::is_unwell);
    let used = |name: &str| of(name).is_some_and(|f| f.health != Health::NotConfigured);
    let passing = CHECKS.iter().filter(|name| !fails(name)).count();
    let mut configured = CHECKS.iter().filter(|name| used(name)).peekable();
    let nothing_works = configured.peek().is_some() && configured.all(|name| fails(name));
    let (passing, all) = if nothing_works { (0, CHECKS.len()) } else { (passing, CHECKS.len()) };
    let code = if nothing_works { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let percentage = f64::from(u32::try_from(passing * 10_000 / all).unwrap_or(0)) / 100.0;
    HttpResponse::build(code).json(ProbeView {
        status: if passing == all { "healthy" } else { "degraded" },
        service: &state.settings.service,
        version: &state.settings.version,
        timestamp: state.clock.now(),
        checks: CHECKS
            .iter()
            .map(|name| (*name, if fails(name) { "fail" } else { "pass" }))
            .collect(),
        health_percentage: percentage,
        services_healthy: format!("{passing}/{all}"),
    })
}

/// Returns a summary of the component checks.
///
/// The status is 503 only when every configured component fails.
#[utoipa::path(
    get, path = "/health/z", operation_id = "get_health_summary", tag = "health",
    responses((status = 200, body = ProbeView), (status = 503, body = ProbeView)),
)]
async fn health_z(state: Data<State>) -> HttpResponse {
    probe(&state).await
}

/// Returns a summary of the component checks at the path of Kubernetes probes.
///
/// The status is 503 only when every configured component fails.
#[utoipa::path(
    get, path = "/healthz", operation_id = "get_healthz", tag = "health",
    responses((status = 200, body = ProbeView), (status = 503, body = ProbeView)),
)]
async fn healthz(state: Data<State>) -> HttpResponse {
    probe(&state).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Answer, Fakes, Part, get};

    fn well() -> Health {
        Health::Healthy("fine".to_owned())
    }

    fn unwell() -> Health {
        Health::Unhealthy("gone".to_owned())
    }

    fn part(name: &'static str, needed: bool, health: Health) -> Arc<dyn HealthCheck> {
        Arc::new(Part { name, needed, health, after: Duration::ZERO })
    }

    async fn ask(path: &str, parts: Vec<Arc<dyn HealthCheck>>) -> Answer {
        Fakes { health: parts, ..Fakes::default() }.send(get(path)).await
    }

    #[actix_web::test]
    async fn a_server_without_parts_is_healthy() {
        let answer = ask("/health", Vec::new()).await;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            answer.json(),
            json!({"status": "healthy", "service": "botarmy", "version": version})
        );
        for path in ["/livez", "/readyz", "/health/ready", "/healthz", "/health/z"] {
            assert_eq!(ask(path, Vec::new()).await.status, 200, "{path}");
        }
    }

    #[actix_web::test]
    async fn what_is_not_used_says_so_and_what_is_needed_decides() {
        let detailed = |parts| ask("/health/detailed", parts);
        let parts = vec![
            part("database", true, well()),
            part("redis", false, Health::NotConfigured),
            part("llm", false, unwell()),
        ];
        let answer = detailed(parts).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["status"]), (200, &"degraded".into()));
        let components = &body["components"];
        assert_eq!(components["database"], json!({"status": "healthy", "message": "fine"}));
        assert_eq!(components["redis"]["status"], "not_configured");
        assert_eq!(components["task_queue"]["status"], "not_configured");
        assert_eq!(components["llm"], json!({"status": "unhealthy", "message": "gone"}));
        let answer = detailed(vec![part("database", true, unwell())]).await;
        assert_eq!((answer.status, &answer.json()["status"]), (503, &"unhealthy".into()));
        for path in ["/health/ready", "/readyz"] {
            let answer = ask(path, vec![part("database", true, unwell())]).await;
            assert_eq!(answer.status, 503);
            let message = "The server is not ready; failing: database.";
            assert_eq!(
                answer.json(),
                json!({"status": "not_ready", "message": message, "failing": ["database"]})
            );
            let answer = ask(path, vec![part("database", true, well())]).await;
            let message = "The server is ready.";
            assert_eq!(
                answer.json(),
                json!({"status": "ready", "message": message, "failing": []})
            );
        }
    }

    #[actix_web::test]
    async fn every_view_shows_the_component_that_makes_the_server_unready() {
        for name in ["database", "task_queue", "audit_system"] {
            let parts = || vec![part(name, true, unwell())];
            assert_eq!(ask("/readyz", parts()).await.json()["failing"], json!([name]));
            let detailed = ask("/health/detailed", parts()).await;
            assert_eq!(detailed.json()["components"][name]["status"], "unhealthy", "{name}");
            let (_, probe) = probe(parts()).await;
            assert_eq!(probe["checks"][name], "fail", "{name}");
        }
    }

    async fn probe(parts: Vec<Arc<dyn HealthCheck>>) -> (u16, Value) {
        let answer = ask("/healthz", parts).await;
        (answer.status, answer.json())
    }

    #[actix_web::test]
    async fn a_probe_counts_what_passes() {
        let parts = || {
            vec![
                part("database", true, well()),
                part("redis", false, Health::NotConfigured),
                part("task_queue", true, well()),
                part("audit_system", true, well()),
            ]
        };
        let (status, body) = probe(parts()).await;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            (status, body),
            (
                200,
                json!({
                    "status": "healthy", "service": "botarmy", "version": version,
                    "timestamp": "2027-01-15T08:00:00.000000Z",
                    "checks": {
                        "database": "pass", "redis": "pass", "task_queue": "pass",
                        "audit_system": "pass",
                    },
                    "health_percentage": 100.0, "services_healthy": "4/4",
                })
            )
        );
        let mut some = parts();
        some[2] = part("task_queue", true, unwell());
        let (status, body) = probe(some).await;
        assert_eq!((status, &body["status"]), (200, &"degraded".into()));
        assert_eq!(
            (&body["health_percentage"], &body["services_healthy"]),
            (&json!(75.0), &"3/4".into())
        );
        let none =
            ["database", "task_queue", "audit_system"].map(|name| part(name, true, unwell()));
        let (status, body) = probe(none.to_vec()).await;
        assert_eq!((status, &body["services_healthy"]), (503, &"0/4".into()));
    }

    #[actix_web::test]
    async fn parts_that_hang_are_given_up_before_the_prober_gives_up() {
        let hanging = |name| -> Arc<dyn HealthCheck> {
            let after = Duration::from_secs(3600);
            Arc::new(Part { name, needed: true, health: well(), after })
        };
        let parts = vec![hanging("database"), hanging("task_queue"), hanging("redis")];
        let mut fakes = Fakes { health: parts, ..Fakes::default() };
        assert!(fakes.settings.probe_timeout < Duration::from_secs(1));
        fakes.settings.probe_timeout = Duration::from_millis(20);
        let answer = fakes.send(get("/health/detailed")).await;
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["components"]["redis"]["status"]),
            (503, &"unhealthy".into())
        );
        assert_eq!(body["components"]["redis"]["message"], "no answer within 20 ms");
        let live = ask("/livez", vec![hanging("database")]).await;
        assert_eq!(live.json(), json!({"status": "alive"}));
    }
}
