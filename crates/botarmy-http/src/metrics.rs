//! The figures of the server for Prometheus.

use actix_web::HttpResponse;
use actix_web::web::Data;
use botarmy_domain::{Permission, Place};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::Problem;
use crate::extract::Caller;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new::<__path_metrics, _, _>(metrics, Permission::SystemRead)]
}

/// Returns the metrics of this process in the Prometheus text format.
///
/// Counters begin with the process. Metrics of the queue and of requests to people are those of the whole
/// database; they are left out while it does not answer.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "health",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
async fn metrics(state: Data<State>, Caller(caller): Caller) -> Result<HttpResponse, Problem> {
    // No call of the domain follows that would check it.
    caller.check(Permission::SystemRead, Place::Installation)?;
    let text = state.metrics.text().await;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
