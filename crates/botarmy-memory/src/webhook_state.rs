//! The state of webhooks that only their deliveries change.

use std::collections::BTreeMap;

use botarmy_domain::{Cursor, Delivery, DeliveryId, LogId, Timestamp, WebhookId, WebhookLease};

/// Leases, cursors and attempts.
#[derive(Debug, Default)]
pub(crate) struct WebhookState {
    pub(crate) leases: BTreeMap<WebhookId, Held>,
    pub(crate) cursors: BTreeMap<(WebhookId, LogId), Cursor>,
    pub(crate) deliveries: BTreeMap<(WebhookId, DeliveryId), Delivery>,
}

/// Lease of a webhook, and its holder.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) holder: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) lease: WebhookLease,
}
