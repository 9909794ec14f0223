//! Sending the messages of webhooks.

use async_trait::async_trait;

use crate::ids::EventId;
use crate::timestamp::Timestamp;
use crate::webhook::{SendResult, WebhookKeys};

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    /// Address, as [`WebhookSender::check`] returned it.
    pub url: String,
    /// Id, in the header `webhook-id`.
    pub id: EventId,
    /// Time of the attempt, in the header `webhook-timestamp`.
    pub at: Timestamp,
    /// Body: JSON.
    pub body: String,
    /// Keys that sign it, the present ones first.
    pub keys: Vec<WebhookKeys>,
}

/// Sends messages as Standard Webhooks 1.0 describes it.
///
/// An implementation
/// - MUST NOT connect to an address that is not public, unless the settings allow its network, whatever
///   the name in the address resolves to;
/// - MUST NOT follow a redirection, and MUST limit the time of an attempt and what it reads;
/// - MUST NOT put the path of an address, or anything of a response but its status, into an error.
#[async_trait]
pub trait WebhookSender: Send + Sync + 'static {
    /// Returns an address in its normal form.
    ///
    /// # Errors
    /// The rule that the address breaks, for people.
    fn check(&self, url: &str) -> Result<String, String>;

    /// Returns the public key for Ed25519 that belongs to this seed.
    fn public_key(&self, seed: &[u8; 32]) -> [u8; 32];

    /// Sends a message once.
    async fn send(&self, message: WebhookMessage) -> SendResult;
}
