//! The way to Redis, and what goes along it.
//!
//! ```text
//!  publish, ring ──▶ outbox ──▶ one task ──┐                       ┌──▶ inbox ──▶ one task ──▶ subscribers
//!        │                                 ├── link ── Redis ──────┤
//!        └──▶ subscribers and workers here ┘   asked every second  └──▶ workers here
//! ```
//!
//! The link is one connection that speaks RESP3, so that it carries commands and what others
//! publish. It is opened in the background and again whenever it is lost; a Redis that hangs is
//! noticed because it is asked. Whoever wants an answer from Redis takes a connection from a pool
//! and has a time limit.
//!
//! **Invariant**: nobody outside this crate ever waits for the link.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, ProtocolVersion};
use deadpool_redis::{Manager, Pool, Runtime};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::inbox::Inbox;
use crate::link::Link;
use crate::local_wake_ups::LocalWakeUps;
use crate::names::Names;
use crate::outbox::Outbox;
use crate::refusals::Refusals;
use crate::settings::RedisSettings;
use crate::shared::Shared;
use crate::status_cache::StatusCache;
use crate::{connection, receive, send};

/// How many connections answer those who wait for an answer.
const POOL: usize = 4;

/// How long the last news may take to leave when the server stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Redis, there or not. Clones share everything; it ends with the last of them and of the adapters
/// made from it.
#[derive(Clone)]
pub struct Redis(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("settings", &self.0.shared.settings).finish_non_exhaustive()
    }
}

impl Redis {
    /// Begins to look for Redis, in the background. It may be away: then it is tried again and
    /// again, and meanwhile everything works inside this process. Must be called inside a tokio
    /// runtime, which also does the work.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn connect(settings: RedisSettings) -> Self {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout));
        let info = settings.url.connection(ProtocolVersion::RESP2);
        let manager = Manager::new_with_config(info, timeouts)
            .expect("the address was tried when it was read");
        let pool = Pool::builder(manager)
            .max_size(POOL)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool without timeouts of its own needs nothing");
        let shared = Arc::new(Shared {
            names: Names::new(&settings),
            link: Link::default(),
            pool,
            outbox: Outbox::new(settings.queue, settings.queue_bytes),
            refusals: Refusals::default(),
            inbox: Inbox::new(settings.inbox_bytes),
            subscribers: broadcast::channel(settings.backlog).0,
            wake_ups: LocalWakeUps::default(),
            status_cache: StatusCache::default(),
            settings,
        });
        let tasks = vec![
            spawn(&shared, async |shared| connection::keep_up(&shared).await),
            spawn(&shared, async |shared| send::send_for_ever(&shared).await),
            spawn(&shared, async |shared| receive::hear_for_ever(&shared).await),
        ];
        Self(Arc::new(Running { shared, tasks }))
    }

    /// Waits a moment for the last news to leave, and ends the connection.
    pub async fn close(&self) {
        let shared = &self.0.shared;
        let left = async {
            while shared.link.is_up() && !shared.outbox.is_idle() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // Whoever misses them reads the log.
        drop(tokio::time::timeout(LAST_WORDS, left).await);
        self.0.tasks.iter().for_each(JoinHandle::abort);
        shared.link.current.send_replace(None);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

fn spawn<F>(shared: &Arc<Shared>, work: impl FnOnce(Arc<Shared>) -> F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(work(Arc::clone(shared)))
}
