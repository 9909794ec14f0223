//! The meters of requests by route.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use botarmy_domain::ports::{Metrics, RouteMeter};

use crate::State;

/// Route of requests for paths that do not exist.
const UNMATCHED: &str = "unmatched";

/// The meters of a path by method, known to its resource, so that counting a request looks nothing up.
#[derive(Clone)]
pub(crate) struct RouteMeters(Vec<(Method, Arc<dyn RouteMeter>)>);

impl RouteMeters {
    /// Returns the meters of a path with these methods.
    pub(crate) fn new(
        metrics: &dyn Metrics,
        path: &str,
        methods: impl Iterator<Item = Method>,
    ) -> Self {
        let meter = |method: Method| {
            let meter = metrics.route(method.as_str(), path);
            (method, meter)
        };
        Self(methods.map(meter).collect())
    }
}

/// Returns the template of the path of a request.
pub(crate) fn route(request: Option<&HttpRequest>) -> String {
    let pattern = request.and_then(HttpRequest::match_pattern);
    pattern.unwrap_or_else(|| UNMATCHED.to_owned())
}

/// Counts a request that was answered.
///
/// `request` is as it was routed; there is none after a panic and for one that was refused at once.
pub(crate) fn answered(
    state: &State,
    sent: &Method,
    request: Option<&HttpRequest>,
    status: u16,
    elapsed: Duration,
) {
    let method = request.map_or(sent, HttpRequest::method);
    let meters = request.and_then(|request| request.app_data::<RouteMeters>());
    let known = meters.and_then(|meters| meters.0.iter().find(|(one, _)| one == method));
    match known {
        Some((_, meter)) => meter.answered(status, elapsed),
        // Pages, live connections, and what was refused before it was routed.
        None => {
            let route = route(request);
            state.metrics.route(method.as_str(), &route).answered(status, elapsed);
        }
    }
}
