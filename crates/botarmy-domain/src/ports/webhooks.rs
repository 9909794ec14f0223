//! The driving port for webhooks: subscriptions, and what was sent for them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::caller::Caller;
use crate::error::Error;
use crate::ids::{DeliveryId, WebhookId};
use crate::page::Page;
use crate::webhook::{Delivery, NewWebhook, Webhook, WebhookChange, WebhookSecretText};

/// A subscription with the text of its secret, which is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedWebhook {
    /// The subscription.
    pub webhook: Arc<Webhook>,
    /// Text of the shared secret.
    pub secret: WebhookSecretText,
}

/// Manages subscriptions of webhooks.
///
/// An implementation
/// - MUST need the permission `access.manage` for every call;
/// - MUST take one decision per change, and commit it before it returns;
/// - MUST NOT put a secret into a log, an event or an error.
///
/// # Errors
/// A refusal, or the error of the store. Nothing has changed then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Webhooks: Send + Sync + 'static {
    /// Returns the subscriptions in the order of their ids, at most `limit`.
    async fn webhooks(
        &self,
        caller: &Caller,
        after: Option<WebhookId>,
        limit: u32,
    ) -> Result<Page<Arc<Webhook>>, Error>;

    /// Returns a subscription.
    async fn webhook(&self, caller: &Caller, id: WebhookId) -> Result<Arc<Webhook>, Error>;

    /// Creates a subscription that belongs to the caller. It begins at the present ends of the logs.
    async fn create_webhook(&self, new: NewWebhook, caller: Caller)
    -> Result<IssuedWebhook, Error>;

    /// Changes a subscription.
    async fn change_webhook(
        &self,
        id: WebhookId,
        change: WebhookChange,
        caller: Caller,
    ) -> Result<Arc<Webhook>, Error>;

    /// Replaces the secret of a subscription. The earlier one still signs for the time `overlap`, or as
    /// the settings say.
    async fn rotate_webhook_secret(
        &self,
        id: WebhookId,
        overlap: Option<Duration>,
        caller: Caller,
    ) -> Result<IssuedWebhook, Error>;

    /// Deletes a subscription with its deliveries.
    async fn delete_webhook(&self, id: WebhookId, caller: Caller) -> Result<(), Error>;

    /// Returns the attempts to deliver that are kept for a subscription, newest first, at most `limit`.
    async fn deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Page<Delivery>, Error>;

    /// Sends the message of an earlier attempt once more, and returns the new attempt. Moves no cursor.
    async fn redeliver(
        &self,
        id: WebhookId,
        delivery: DeliveryId,
        caller: Caller,
    ) -> Result<Delivery, Error>;

    /// Sends a message of the type `webhook_test`, and returns the attempt.
    async fn test_webhook(&self, id: WebhookId, caller: Caller) -> Result<Delivery, Error>;
}
