//! Wake-ups inside one process.

use async_trait::async_trait;
use botarmy_domain::ports::WakeUps;
use tokio::sync::Notify;

/// Wakes the workers of this process. A ring while nobody waits is kept for the next who does.
#[derive(Debug, Default)]
pub struct Bell(Notify);

#[async_trait]
impl WakeUps for Bell {
    fn ring(&self) {
        self.0.notify_one();
    }

    async fn wait(&self) {
        self.0.notified().await;
    }
}
