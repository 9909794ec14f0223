//! State that the background tasks and the adapters of one [`crate::Redis`] share.

use botarmy_domain::BusMessage;
use deadpool_redis::Pool;
use tokio::sync::broadcast;

use crate::inbox::Inbox;
use crate::link::Link;
use crate::local_wake_ups::LocalWakeUps;
use crate::names::Names;
use crate::outbox::Outbox;
use crate::refusals::Refusals;
use crate::settings::RedisSettings;
use crate::status_cache::StatusCache;

/// State of the tasks and the adapters.
pub(crate) struct Shared {
    pub(crate) settings: RedisSettings,
    pub(crate) names: Names,
    pub(crate) link: Link,
    pub(crate) pool: Pool,
    pub(crate) refusals: Refusals,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    pub(crate) subscribers: broadcast::Sender<BusMessage>,
    pub(crate) wake_ups: LocalWakeUps,
    pub(crate) status_cache: StatusCache,
}
