//! Publication of messages to all subscribers.

use async_trait::async_trait;

use crate::bus_message::BusMessage;
use crate::error::StoreError;

/// Distributes messages to all subscribers. Only the log is authoritative: messages may arrive
/// late, out of order or not at all.
///
/// An implementation
/// - MUST NOT make the publisher wait for a slow subscriber;
/// - MUST buffer a bounded number of messages for each subscriber, and deliver
///   [`BusMessage::Lagged`] after it had to drop any.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// Publishes messages to all subscribers.
    ///
    /// # Errors
    /// If the messages were not sent; readers find the entries in the log.
    async fn publish(&self, news: Vec<BusMessage>) -> Result<(), StoreError>;

    /// Subscribes to everything that is published from now on.
    ///
    /// # Errors
    /// If the bus is not reachable.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError>;
}

/// One subscription to the bus.
#[async_trait]
pub trait Subscription: Send + 'static {
    /// Returns the next message, or `None` once the bus has closed.
    async fn next(&mut self) -> Option<BusMessage>;
}
