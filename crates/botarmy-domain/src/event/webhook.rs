//! Payloads of events about webhooks. None has a secret, and of an address the log states the host and
//! a digest: its path may be a secret of the receiver.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{PrincipalId, ProjectId, WebhookId};
use crate::timestamp::Timestamp;
use crate::vocabulary::{EventType, WebhookStop};
use crate::webhook::Webhook;

/// A subscription as it is after an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookState {
    /// Id of the subscription.
    pub webhook_id: WebhookId,
    /// Principal whose reach limits what is sent.
    pub owner: Option<PrincipalId>,
    /// Scheme, host and port of the address.
    pub host: String,
    /// SHA-256 of the address.
    pub url_digest: String,
    /// Types of entries that are sent; empty for all.
    pub events: BTreeSet<EventType>,
    /// Project whose log is sent; `None` for all logs.
    pub only_project: Option<ProjectId>,
    /// Description for people.
    pub description: String,
    /// Whether anything is sent.
    pub enabled: bool,
}

impl WebhookState {
    /// Returns what an event states of a subscription.
    #[must_use]
    pub fn of(webhook: &Webhook) -> Self {
        Self {
            webhook_id: webhook.id,
            owner: webhook.owner,
            host: webhook.host().to_owned(),
            url_digest: webhook.url_digest(),
            events: webhook.filter.events.clone(),
            only_project: webhook.filter.project_id,
            description: webhook.description.clone(),
            enabled: webhook.disabled.is_none(),
        }
    }
}

/// A subscription was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookCreated(pub WebhookState);

/// A subscription was changed, or its secret replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookChanged {
    /// The subscription as it is now.
    #[serde(flatten)]
    pub now: WebhookState,
    /// Time until which the replaced secret still signs, if it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_rotated_until: Option<Timestamp>,
}

/// The server has disabled a subscription by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookDisabled {
    /// Id of the subscription.
    pub webhook_id: WebhookId,
    /// Scheme, host and port of the address.
    pub host: String,
    /// Reason.
    pub reason: WebhookStop,
    /// Explanation for people.
    pub message: String,
}

/// A subscription was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookDeleted {
    /// Id of the subscription.
    pub webhook_id: WebhookId,
    /// Scheme, host and port of the address.
    pub host: String,
}
