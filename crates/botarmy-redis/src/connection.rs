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

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::{AgentType, BusMessage};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, RedisError, Value, cmd,
};
use deadpool_redis::{Manager, Pool, Runtime};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::agent_status::StatusCache;
use crate::envelope::{self, VERSION};
use crate::event_bus::{self, Inbox};
use crate::outbox::{self, Outbox};
use crate::settings::{RedisSettings, RedisUrl};
use crate::wake_ups::LocalWakeUps;

/// The shortest and the longest wait before Redis is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

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

/// What the tasks and the adapters share.
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

/// Why Redis did not do something.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// It answered, and the answer was no.
    Refused(String),
    /// There was no answer, or what was wrong lies elsewhere.
    Lost(String),
}

impl From<RedisError> for CommandError {
    fn from(error: RedisError) -> Self {
        let lost = error.to_string();
        match error.into_server_errors().as_deref() {
            // In Redis's own words, such as `NOPERM User limited has no permissions …`.
            Some([(_, said), ..]) => {
                Self::Refused(format!("{} {}", said.code(), said.details().unwrap_or_default()))
            }
            _ => Self::Lost(lost),
        }
    }
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Refused(said) | Self::Lost(said)) = self;
        f.write_str(said)
    }
}

/// What Redis refuses although it is there: whom it lets in and listen it may still forbid to speak.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, String>>);

impl Refusals {
    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of telling Redis something of this kind.
    pub(crate) fn note(&self, what: &'static str, done: &Result<(), CommandError>, url: &RedisUrl) {
        match done {
            Ok(()) => {
                if self.all().remove(what).is_some() {
                    info!("{url} takes {what} again");
                }
            }
            Err(CommandError::Refused(said)) => {
                if self.all().insert(what, said.clone()).is_none() {
                    warn!(
                        "{url} refuses {what}: {said}. What other servers do is noticed later until \
                         it does not; nothing is lost"
                    );
                }
            }
            Err(CommandError::Lost(_)) => {}
        }
    }

    /// The first of them.
    pub(crate) fn first(&self) -> Option<(&'static str, String)> {
        self.all().first_key_value().map(|(what, said)| (*what, said.clone()))
    }
}

/// What channels and keys are called.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) news: String,
    pub(crate) rings: String,
    pub(crate) agents: String,
}

impl Names {
    fn new(settings: &RedisSettings) -> Self {
        // Channels are the same in every numbered database, keys are not.
        let prefix = format!("{}:{VERSION}:{}", settings.prefix, settings.url.database());
        Self {
            news: format!("{prefix}:news"),
            rings: format!("{prefix}:rings"),
            agents: format!("{prefix}:agents"),
        }
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
            spawn(&shared, async |shared| Link::keep_up(&shared).await),
            spawn(&shared, async |shared| outbox::send_for_ever(&shared).await),
            spawn(&shared, async |shared| event_bus::hear_for_ever(&shared).await),
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

/// The connection that news go along.
#[derive(Default)]
pub(crate) struct Link {
    current: watch::Sender<Option<MultiplexedConnection>>,
    /// Somebody got no answer; it is asked at once.
    suspect: Notify,
    suspected: AtomicBool,
    /// Why it is down.
    error_text: Mutex<Option<String>>,
}

impl Link {
    /// Whether Redis is there, as far as anybody knows.
    pub(crate) fn is_up(&self) -> bool {
        self.current.borrow().is_some() && !self.suspected.load(Ordering::Acquire)
    }

    /// The connection, if there is one.
    pub(crate) fn current(&self) -> Option<MultiplexedConnection> {
        self.current.borrow().clone()
    }

    /// The connection, when there is one.
    pub(crate) async fn up(&self) -> MultiplexedConnection {
        let mut current = self.current.subscribe();
        loop {
            if let Some(connection) = current.borrow_and_update().clone() {
                return connection;
            }
            // The sender lives as long as the link.
            drop(current.changed().await);
        }
    }

    /// Redis did not answer somebody.
    pub(crate) fn suspect(&self) {
        self.suspected.store(true, Ordering::Release);
        self.suspect.notify_one();
    }

    /// Why it is down.
    pub(crate) fn error_text(&self) -> Option<String> {
        self.error_text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn blame(&self, error_text: Option<String>) {
        *self.error_text.lock().unwrap_or_else(PoisonError::into_inner) = error_text;
    }

    /// Connects, and connects again whenever the connection is lost.
    async fn keep_up(shared: &Arc<Shared>) {
        let (link, url) = (&shared.link, &shared.settings.url);
        let mut tries = 0;
        let mut told = false;
        loop {
            let lost = Arc::new(Notify::new());
            let error_text = match open(shared, &lost).await {
                Ok(connection) => {
                    info!("Connected to {url}");
                    told = false;
                    link.blame(None);
                    link.suspected.store(false, Ordering::Release);
                    shared.outbox.open();
                    link.current.send_replace(Some(connection.clone()));
                    welcome(shared);
                    let (asked, error_text) = link.watch(connection, &lost, shared).await;
                    if asked {
                        tries = 0;
                    }
                    link.current.send_replace(None);
                    shared.outbox.close();
                    shared.status_cache.distrust();
                    error_text
                }
                Err(error_text) => error_text,
            };
            if !told {
                warn!(
                    "{url} cannot be reached: {error_text}. What other servers do is noticed later \
                     until it is back; nothing is lost"
                );
                told = true;
            }
            link.blame(Some(error_text));
            tokio::time::sleep(wait(shared.settings.instance, tries)).await;
            tries += 1;
        }
    }

    /// Returns when the connection is no longer one: whether it ever answered, and what happened.
    async fn watch(
        &self,
        mut connection: MultiplexedConnection,
        lost: &Notify,
        shared: &Shared,
    ) -> (bool, String) {
        let settings = &shared.settings;
        let mut answered = false;
        loop {
            tokio::select! {
                () = lost.notified() => return (answered, "the connection was closed".to_owned()),
                () = self.suspect.notified() => {}
                () = tokio::time::sleep(settings.ping_interval) => {}
            }
            let ping = cmd("PING");
            let asked = tokio::time::timeout(settings.timeout, ping.exec_async(&mut connection));
            match asked.await {
                Ok(Ok(())) => {
                    answered = true;
                    self.suspected.store(false, Ordering::Release);
                }
                Ok(Err(error)) => return (answered, error.to_string()),
                Err(_) => {
                    let limit = settings.timeout.as_millis();
                    return (answered, format!("no answer within {limit} ms"));
                }
            }
        }
    }
}

/// How long to wait before the next try: twice as long each time, and not the same for all replicas.
fn wait(instance: u128, tries: u32) -> Duration {
    let longest = RETRY.0.saturating_mul(1 << tries.min(10)).min(RETRY.1);
    let mut hasher = DefaultHasher::new();
    (instance, tries).hash(&mut hasher);
    let quarters = (hasher.finish() % 64) as u32;
    // Between three quarters of it and all of it.
    longest * (192 + quarters) / 256
}

/// Opens a connection and listens to both channels.
async fn open(shared: &Arc<Shared>, lost: &Arc<Notify>) -> Result<MultiplexedConnection, String> {
    let settings = &shared.settings;
    let opening = async {
        let client = Client::open(settings.url.connection(ProtocolVersion::RESP3))?;
        // The connection is kept in what it would otherwise keep alive.
        let (hearing, lost) = (Arc::downgrade(shared), Arc::clone(lost));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout))
            .set_push_sender(move |push| {
                if let Some(shared) = hearing.upgrade() {
                    receive(&shared, &lost, push);
                }
                Ok::<_, RedisError>(())
            });
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(&[&shared.names.news, &shared.names.rings]).await?;
        Ok(connection)
    };
    match tokio::time::timeout(settings.timeout * 2, opening).await {
        Ok(opened) => opened.map_err(|error: RedisError| error.to_string()),
        Err(_) => Err("it lets nobody in".to_owned()),
    }
}

/// Takes in what comes along the connection, without ever waiting.
fn receive(shared: &Shared, lost: &Notify, push: PushInfo) {
    match push.kind {
        PushKind::Disconnection => lost.notify_one(),
        PushKind::Message => {
            let mut data = push.data.into_iter();
            let (Some(Value::BulkString(channel)), Some(Value::BulkString(message))) =
                (data.next(), data.next())
            else {
                return;
            };
            if envelope::is_from(&message, shared.settings.instance) {
                return;
            }
            if channel == shared.names.rings.as_bytes() {
                shared.wake_ups.notify(&envelope::unpack_wake_up(&message));
            } else if shared.subscribers.receiver_count() > 0 {
                shared.inbox.put(message);
            }
        }
        _ => {}
    }
}

/// Redis is there: nobody here knows what was said before.
fn welcome(shared: &Shared) {
    shared.inbox.miss();
    shared.wake_ups.notify(&AgentType::ALL.iter().copied().collect());
    shared.status_cache.distrust();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_and_replicas_come_at_different_times() {
        for tries in 0..20 {
            let longest = RETRY.0.saturating_mul(1 << tries.min(10)).min(RETRY.1);
            let waited = wait(1, tries);
            assert!(waited <= longest && waited >= longest * 3 / 4, "{tries}: {waited:?}");
        }
        let all: std::collections::BTreeSet<_> =
            (0..50).map(|instance| wait(instance, 5)).collect();
        assert!(all.len() > 10);
    }

    #[test]
    fn names_tell_installations_databases_and_versions_apart() {
        let names = |url: &str, prefix: &str| {
            Names::new(&RedisSettings::new(url.parse().unwrap(), prefix, 1)).news
        };
        assert_eq!(names("redis://cache/3", "botarmy"), "botarmy:v1:3:news");
        assert_ne!(names("redis://cache/3", "botarmy"), names("redis://cache/4", "botarmy"));
    }
}
