//! The event bus of the embedded profile, inside one process.

use async_trait::async_trait;
use botarmy_domain::ports::{EventBus, Subscription};
use botarmy_domain::{BusMessage, StoreError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self};

/// Maximum number of messages that a subscriber may lag behind before it loses some.
const CAPACITY: usize = 16_384;

/// Event bus between the tasks of one process.
#[derive(Debug, Clone)]
pub struct MemoryEventBus(broadcast::Sender<BusMessage>);

impl Default for MemoryEventBus {
    fn default() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }
}

#[async_trait]
impl EventBus for MemoryEventBus {
    async fn publish(&self, news: Vec<BusMessage>) -> Result<(), StoreError> {
        for one in news {
            // An error only means that there is no subscriber.
            drop(self.0.send(one));
        }
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(MemorySubscription(self.0.subscribe())))
    }
}

struct MemorySubscription(broadcast::Receiver<BusMessage>);

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Option<BusMessage> {
        match self.0.recv().await {
            Ok(news) => Some(news),
            Err(RecvError::Lagged(_)) => Some(BusMessage::Lagged),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_of_the_gap_and_hears_the_rest() {
        let bus = MemoryEventBus::default();
        let mut ear = bus.subscribe().await.unwrap();
        for _ in 0..CAPACITY + 1 {
            bus.publish(vec![BusMessage::Lagged]).await.unwrap();
        }
        let mut heard = 0;
        while tokio::time::timeout(std::time::Duration::from_millis(50), ear.next()).await.is_ok() {
            heard += 1;
        }
        assert_eq!(heard, CAPACITY + 1, "one notice of the gap, then what was kept");
    }
}
