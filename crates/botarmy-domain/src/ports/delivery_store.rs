//! Storage of the progress of webhooks: leases, cursors and attempts. The log does not record them.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::{DeliveryId, WebhookId};
use crate::log::LogId;
use crate::page::Page;
use crate::timestamp::Timestamp;
use crate::webhook::{Cursor, Delivery, DeliveryProgress, Undelivered, WebhookLease};

/// Keeps the progress of subscriptions.
///
/// An implementation
/// - MUST give the lease of a subscription to one holder at a time, and a higher fence to each new
///   holder;
/// - MUST save a [`DeliveryProgress`] with a fence as a whole, or not at all where another holder has taken the
///   lease since;
/// - MUST find every log whose end is beyond the cursor, in a search from the first log to the last
///   one, except for entries that are committed meanwhile.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait DeliveryStore: Send + Sync + 'static {
    /// Takes the lease of a subscription, or extends it, until `until`. Returns `None` while another
    /// holder has it and it has not expired at `now`.
    async fn hold(
        &self,
        webhook: WebhookId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<WebhookLease>, StoreError>;

    /// Lets go of a lease that is held under this fence, so that another holder may take it at once.
    async fn let_go(&self, webhook: WebhookId, fence: u64) -> Result<(), StoreError>;

    /// Returns the cursor of a subscription in a log, or `None` if it has none there yet.
    async fn cursor(&self, webhook: WebhookId, log: LogId) -> Result<Option<Cursor>, StoreError>;

    /// Returns logs, from `from` on in the order of their keys, in which a subscription has entries
    /// beyond its cursor, or without one an entry of the time `since` or later at the end. Looks at
    /// `scan` logs at most.
    async fn undelivered(
        &self,
        webhook: WebhookId,
        since: Timestamp,
        from: LogId,
        scan: u32,
    ) -> Result<Undelivered, StoreError>;

    /// Returns the ends of logs from `from` on, in the order of their keys, at most `limit`.
    async fn ends(&self, from: LogId, limit: u32) -> Result<Vec<(LogId, u64)>, StoreError>;

    /// Saves progress, and removes the oldest attempts beyond those that are kept. Returns whether it
    /// was saved: `false` if the fence is not that of the present holder.
    async fn save(&self, progress: DeliveryProgress) -> Result<bool, StoreError>;

    /// Returns the attempts of a subscription, newest first, at most `limit`.
    async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Page<Delivery>, StoreError>;

    /// Returns an attempt of a subscription, or `None`.
    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError>;

    /// Removes everything about subscriptions that do not exist any more.
    async fn forget_deleted(&self) -> Result<(), StoreError>;
}
