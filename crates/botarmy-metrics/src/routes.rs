//! Requests by route, method and status.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::ports::RouteMeter;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

use crate::histogram::{Histogram, REQUEST_SECONDS};
use crate::read::Take;

/// Methods that have series of their own; clients may send any other.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
/// Method of all others.
const OTHER: &str = "other";
/// Statuses that have series of their own, in order.
const STATUSES: [u16; 31] = [
    101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408,
    409, 410, 412, 413, 415, 416, 421, 422, 429, 431, 500, 503,
];

/// Meters by route and method.
type Meters = BTreeMap<(String, &'static str), Arc<Route>>;

/// The meters of all routes. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Arc<Mutex<Meters>>);

/// The requests for one route with one method.
#[derive(Debug)]
struct Route {
    statuses: [AtomicU64; STATUSES.len()],
    other: AtomicU64,
    duration: Histogram,
}

impl RouteMeter for Route {
    fn answered(&self, status: u16, elapsed: Duration) {
        let known = STATUSES.binary_search(&status);
        let count = known.map_or(&self.other, |index| &self.statuses[index]);
        count.fetch_add(1, Ordering::Relaxed);
        self.duration.observe(elapsed);
    }
}

impl Route {
    fn new() -> Self {
        Self {
            statuses: std::array::from_fn(|_| AtomicU64::new(0)),
            other: AtomicU64::new(0),
            duration: Histogram::new(REQUEST_SECONDS),
        }
    }

    /// Returns the statuses that occurred, with their counts.
    fn counts(&self) -> Vec<(String, u64)> {
        let known = STATUSES.iter().map(u16::to_string).zip(&self.statuses);
        let all = known.chain([(OTHER.to_owned(), &self.other)]);
        let counts = all.map(|(status, count)| (status, count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

impl Routes {
    /// Returns the meter of a route, the same for every call.
    pub(crate) fn meter(&self, method: &str, route: &str) -> Arc<dyn RouteMeter> {
        let method = METHODS.iter().find(|known| **known == method).unwrap_or(&OTHER);
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let route = routes.entry((route.to_owned(), method));
        Arc::clone(route.or_insert_with(|| Arc::new(Route::new()))) as Arc<dyn RouteMeter>
    }

    /// Returns the routes that had a request.
    fn used(&self) -> Vec<(String, &'static str, Arc<Route>)> {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = routes.iter().filter(|(_, meter)| !meter.counts().is_empty());
        used.map(|((route, method), meter)| (route.clone(), *method, Arc::clone(meter))).collect()
    }

    /// Reads the number of requests.
    pub(crate) fn requests(&self, take: Take<'_>) {
        for (route, method, meter) in self.used() {
            for (status, count) in meter.counts() {
                take(&[("method", method), ("route", &route), ("status", &status)], count as f64);
            }
        }
    }
}

/// The durations of requests by route and method.
#[derive(Debug)]
pub(crate) struct Durations(pub(crate) Routes);

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (route, method, meter) in self.0.used() {
            let labels = [("method", method), ("route", route.as_str())];
            meter.duration.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_or_a_status_that_a_client_invents_makes_no_series_of_its_own() {
        let routes = Routes::default();
        for n in 0..1000_u16 {
            routes.meter(&format!("M{n}"), "unmatched").answered(600 + n, Duration::ZERO);
        }
        routes.meter("GET", "/a").answered(200, Duration::ZERO);
        let mut found = Vec::new();
        routes.requests(&mut |labels, value| {
            let labels: Vec<_> = labels.iter().map(|(_, value)| *value).collect();
            found.push(format!("{} {value}", labels.join(" ")));
        });
        assert_eq!(found, ["GET /a 200 1", "other unmatched other 1000"]);
    }

    #[test]
    fn statuses_are_in_the_order_that_the_search_expects() {
        assert!(STATUSES.is_sorted());
    }
}
