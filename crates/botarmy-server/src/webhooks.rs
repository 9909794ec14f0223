//! The sender of webhooks, from the settings.

use std::sync::Arc;

use botarmy_domain::ports::WebhookSender;

use crate::settings::Settings;

/// Returns the sender.
///
/// # Errors
/// Networks that cannot be read.
#[cfg(feature = "webhooks")]
pub(crate) fn sender(settings: &Settings) -> anyhow::Result<Option<Arc<dyn WebhookSender>>> {
    use anyhow::Context;
    use botarmy_webhooks::{HttpSender, Networks, SenderSettings};

    let webhooks = &settings.webhooks;
    let sender = SenderSettings {
        timeout: std::time::Duration::from_secs(webhooks.timeout_s),
        allow_http: webhooks.allow_http,
        networks: Networks::parse(&webhooks.allow_networks).context("webhooks.allow_networks")?,
    };
    Ok(Some(Arc::new(HttpSender::new(sender))))
}

/// Returns no sender: creating a webhook is refused.
#[cfg(not(feature = "webhooks"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature `webhooks`")]
pub(crate) fn sender(_settings: &Settings) -> anyhow::Result<Option<Arc<dyn WebhookSender>>> {
    Ok(None)
}
