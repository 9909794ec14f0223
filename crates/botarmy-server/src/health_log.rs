//! Watches the health of the components and logs when it changes, so that an operator who asks no
//! probe reads of it too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::Health;
use botarmy_domain::ports::HealthCheck;
use tracing::{error, info};

/// Interval between two checks.
const INTERVAL: Duration = Duration::from_secs(10);
/// Time limit of a check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the components that the server needs, at once and then again and again. Logs the first
/// time that one is unhealthy, and when it is healthy again.
pub(crate) async fn watch(checks: Vec<Arc<dyn HealthCheck>>) {
    let mut unhealthy = BTreeMap::new();
    loop {
        for check in checks.iter().filter(|check| check.needed()) {
            let health = tokio::time::timeout(TIMEOUT, check.check()).await;
            let health = health.unwrap_or_else(|_| {
                Health::Unhealthy(format!("no answer within {} s", TIMEOUT.as_secs()))
            });
            record(&mut unhealthy, check.component(), health);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Logs a change of health.
fn record(unhealthy: &mut BTreeMap<&'static str, String>, component: &'static str, health: Health) {
    match health {
        Health::Unhealthy(why) => {
            if !unhealthy.contains_key(component) {
                error!(component, "The component {component} is unhealthy: {why}");
            }
            unhealthy.insert(component, why);
        }
        Health::Healthy(_) | Health::NotConfigured => {
            if unhealthy.remove(component).is_some() {
                info!(component, "The component {component} is healthy again");
            }
        }
    }
}
