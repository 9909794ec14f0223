//! The connection to Redis, and the tasks that use it.
//!
//! ```text
//!  publish, wake ──▶ outbox ──▶ one task ──┐                       ┌──▶ inbox ──▶ one task ──▶ subscribers
//!        │                                 ├── link ── Redis ──────┤
//!        └──▶ subscribers and workers here ┘   pinged every second └──▶ workers here
//! ```
//!
//! The link is one connection that speaks RESP3, so that it carries commands and published messages.
//! It is opened in the background, and again whenever it is lost. A Redis that hangs is noticed by
//! the ping. Calls that need an answer from Redis use a connection of a pool, with a time limit.
//!
//! **Invariant**: no caller outside this crate waits for the link.

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

/// Number of connections for calls that need an answer.
const POOL: usize = 4;

/// Time for which the last messages are sent when the server stops.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Redis, connected or not. Clones share everything. The tasks end with the last clone and the last
/// adapter made from it.
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
    /// Connects to Redis in the background. While Redis is away, connecting is tried again and
    /// everything works inside this process. Must be called inside a tokio runtime, which also runs
    /// the tasks.
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
            .expect("the address was checked when it was parsed");
        let pool = Pool::builder(manager)
            .max_size(POOL)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool without timeouts cannot be misconfigured");
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
            spawn(&shared, async |shared| send::run(&shared).await),
            spawn(&shared, async |shared| receive::run(&shared).await),
        ];
        Self(Arc::new(Running { shared, tasks }))
    }

    /// Sends the messages that wait, for at most half a second, and ends the connection.
    pub async fn close(&self) {
        let shared = &self.0.shared;
        let sent = async {
            while shared.link.is_up() && !shared.outbox.is_idle() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // A replica that misses them reads the log.
        drop(tokio::time::timeout(CLOSE_TIMEOUT, sent).await);
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
