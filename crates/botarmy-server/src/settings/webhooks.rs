//! Settings of webhooks.

use std::time::Duration;

use botarmy_orchestrator::WebhookSettings;
use serde::Deserialize;

/// `[webhooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Webhooks {
    pub allow_http: bool,
    pub allow_networks: Vec<String>,
    pub max_subscriptions: u32,
    pub max_in_flight: usize,
    pub timeout_s: u64,
    pub max_attempts: u32,
    pub retry_base_ms: u64,
    pub keep_deliveries: u32,
    pub secret_overlap_s: u64,
    pub sweep_s: u64,
}

impl Webhooks {
    /// Returns the settings of the use cases. `holder` names this process.
    pub(crate) fn settings(&self, holder: String) -> WebhookSettings {
        WebhookSettings {
            holder,
            max_subscriptions: self.max_subscriptions,
            max_in_flight: self.max_in_flight,
            max_attempts: self.max_attempts,
            retry_base: Duration::from_millis(self.retry_base_ms),
            timeout: Duration::from_secs(self.timeout_s),
            keep_deliveries: self.keep_deliveries,
            secret_overlap: Duration::from_secs(self.secret_overlap_s),
            sweep: Duration::from_secs(self.sweep_s),
        }
    }

    /// Checks the settings by themselves.
    ///
    /// # Errors
    /// A network that cannot be read.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        #[cfg(feature = "webhooks")]
        if let Err(error) = botarmy_webhooks::Networks::parse(&self.allow_networks) {
            anyhow::bail!("webhooks.allow_networks: {error}");
        }
        Ok(())
    }
}
