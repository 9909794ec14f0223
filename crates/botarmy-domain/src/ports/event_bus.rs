//! Publishing to watchers and subscribing.

use async_trait::async_trait;

use crate::bus_message::BusMessage;
use crate::error::StoreError;

/// Carries news to everybody who subscribed. The bus carries news, the log carries truth: news
/// may come late, out of order or not at all.
///
/// An implementation
/// - MUST NOT make the publisher wait for a slow subscriber;
/// - MUST hold a bounded number of news for each subscriber, and say [`BusMessage::Lagged`] when it had to
///   drop some.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// Tells everybody.
    ///
    /// # Errors
    /// When the news did not leave; whoever needs them will find them in the log.
    async fn publish(&self, news: Vec<BusMessage>) -> Result<(), StoreError>;

    /// Hears everything that is published from now on.
    ///
    /// # Errors
    /// When the bus is away.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError>;
}

/// One ear on the bus.
#[async_trait]
pub trait Subscription: Send + 'static {
    /// The next news; `None` when the bus is gone for good.
    async fn next(&mut self) -> Option<BusMessage>;
}
