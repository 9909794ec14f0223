//! Measurement: the observers that other parts report to, and the driving port that returns the figures.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::usage::Usage;

/// Returns the figures of this process, and gives the border a meter for each of its routes.
///
/// An implementation
/// - MUST answer within its own time limit, also when the store does not;
/// - MUST NOT have a series for a project, a task, a principal or anything else of unlimited number.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Metrics: Send + Sync + 'static {
    /// Returns the meter of the requests with this method for this route. The route is a template such
    /// as `/api/v1/projects/{project_id}`, never the path of a request.
    fn route(&self, method: &str, route: &str) -> Arc<dyn RouteMeter>;

    /// Returns all figures in the Prometheus text format, version 0.0.4.
    async fn text(&self) -> String;
}

/// Counts the requests for one route.
///
/// An implementation MUST NOT wait.
pub trait RouteMeter: Send + Sync + 'static {
    /// Counts a request that was answered with this status after this time.
    fn answered(&self, status: u16, elapsed: Duration);
}

/// Is told of every transaction in which a store committed decisions.
///
/// An implementation MUST NOT wait: the next transaction begins after it.
pub trait CommitObserver: Send + Sync + 'static {
    /// Counts a transaction with this number of decisions, from its beginning to its commit.
    fn committed(&self, decisions: usize, elapsed: Duration);
}

/// Is told of the usage of every attempt whose result was committed, of own and of external workers.
///
/// An implementation MUST NOT wait, and MUST expect any text as the name of a provider and a model.
pub trait UsageObserver: Send + Sync + 'static {
    /// Counts the usage of one attempt.
    fn used(&self, usage: &Usage);
}

/// A meter that counts nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoMetrics;

#[async_trait]
impl Metrics for NoMetrics {
    fn route(&self, _: &str, _: &str) -> Arc<dyn RouteMeter> {
        Arc::new(Self)
    }

    async fn text(&self) -> String {
        String::new()
    }
}

impl RouteMeter for NoMetrics {
    fn answered(&self, _: u16, _: Duration) {}
}
