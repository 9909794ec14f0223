//! Webhooks: subscriptions, and the deliveries of log entries to their addresses.
//!
//! The log is the outbox. A subscription has a cursor in each log, which moves when the receiver has
//! taken an entry, or when the entry is passed over. One process at a time delivers for a subscription:
//! it holds a lease in the store. `dispatcher` follows the logs and takes leases, `runner` delivers for
//! one subscription, `inbox` has the logs that it has to look at, `commands` is the driving port.

mod commands;
mod dispatcher;
mod inbox;
mod runner;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use botarmy_domain::ports::{Secrets, WebhookMessage, WebhookSender};
use botarmy_domain::{
    Caller, Delivery, DomainError, Entry, Error, EventId, LogId, SendResult, StoreError, Webhook,
    WebhookId,
};
use tokio::sync::{Notify, Semaphore};

use crate::access::AccessControl;
use crate::engine::Engine;
use inbox::Inbox;

/// Time that an attempt may take beyond the time limit of the sender.
const MARGIN: Duration = Duration::from_secs(5);

/// Settings of webhooks.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Name of this process as the holder of leases.
    pub holder: String,
    /// Largest number of subscriptions.
    pub max_subscriptions: u32,
    /// Largest number of messages that are sent at the same time.
    pub max_in_flight: usize,
    /// Number of attempts for an entry after which a subscription is disabled.
    pub max_attempts: u32,
    /// Time to the second attempt; later ones take longer.
    pub retry_base: Duration,
    /// Longest duration of an attempt.
    pub timeout: Duration,
    /// Largest number of attempts that are kept for a subscription.
    pub keep_deliveries: u32,
    /// Time for which a replaced secret still signs, unless a request names another.
    pub secret_overlap: Duration,
    /// Interval at which the ends of all logs are compared with those that are known.
    pub sweep: Duration,
}

impl WebhookSettings {
    /// Time until the lease of a subscription expires that is not extended. An attempt fits into half.
    fn lease(&self) -> Duration {
        (self.timeout + MARGIN) * 2
    }
}

/// Webhooks. Clones share everything.
#[derive(Clone)]
pub struct WebhookControl(Arc<Inner>);

struct Inner {
    engine: Engine,
    access: AccessControl,
    secrets: Arc<dyn Secrets>,
    /// The sender; `None` in a server that was built without.
    sender: Option<Arc<dyn WebhookSender>>,
    settings: WebhookSettings,
    in_flight: Semaphore,
    /// Notified when a subscription was created or changed here.
    changed: Notify,
    /// Inboxes of the runners of this process.
    inboxes: Mutex<Vec<Weak<Inbox>>>,
    delivered: AtomicU64,
    failed: AtomicU64,
}

/// Figures of the deliveries of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookFigures {
    /// Number of subscriptions that it delivers for.
    pub runners: usize,
    /// Number of logs with entries that wait to be delivered, counted for each subscription.
    pub backlog: usize,
    /// Number of attempts that the receiver has taken.
    pub delivered: u64,
    /// Number of attempts that have failed.
    pub failed: u64,
}

/// An attempt to make.
struct Attempt<'a> {
    webhook: &'a Webhook,
    /// Id of the message.
    id: EventId,
    body: String,
}

impl WebhookControl {
    /// Creates webhooks; nothing is sent before [`WebhookControl::run`].
    #[must_use]
    pub fn new(
        engine: Engine,
        access: AccessControl,
        secrets: Arc<dyn Secrets>,
        sender: Option<Arc<dyn WebhookSender>>,
        settings: WebhookSettings,
    ) -> Self {
        let in_flight = Semaphore::new(settings.max_in_flight.max(1));
        let (changed, inboxes) = (Notify::new(), Mutex::default());
        let (delivered, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner {
            engine,
            access,
            secrets,
            sender,
            settings,
            in_flight,
            changed,
            inboxes,
            delivered,
            failed,
        }))
    }

    /// Returns the figures of this process.
    #[must_use]
    pub fn figures(&self) -> WebhookFigures {
        let inner = &self.0;
        let mut inboxes = inner.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.retain(|inbox| inbox.upgrade().is_some_and(|inbox| !inbox.has_ended()));
        let waiting = inboxes.iter().filter_map(Weak::upgrade).map(|inbox| inbox.len());
        WebhookFigures {
            runners: inboxes.len(),
            backlog: waiting.sum(),
            delivered: inner.delivered.load(Ordering::Relaxed),
            failed: inner.failed.load(Ordering::Relaxed),
        }
    }

    /// Returns whether the owner of a subscription may read a log, or `None` if the owner may nothing any
    /// more.
    async fn owner_reads(&self, webhook: &Webhook, log: LogId) -> Result<Option<bool>, StoreError> {
        let Some(owner) = self.0.access.owner(webhook.owner).await? else { return Ok(None) };
        match self.0.engine.check_log(&owner, log).await {
            Ok(()) => Ok(Some(true)),
            Err(Error::Refused(_)) => Ok(Some(false)),
            Err(Error::Store(error)) => Err(error),
        }
    }

    /// Sends a message once. The caller holds a permit of `in_flight`.
    async fn attempt(&self, attempt: Attempt<'_>) -> SendResult {
        let inner = &self.0;
        let Some(sender) = &inner.sender else {
            let error = Some("this server was built without webhooks".to_owned());
            return SendResult { error, ..SendResult::default() };
        };
        let now = inner.engine.ports.clock.now();
        let message = WebhookMessage {
            url: attempt.webhook.url.clone(),
            id: attempt.id,
            at: now,
            body: attempt.body,
            keys: attempt.webhook.signing_keys(now).cloned().collect(),
        };
        let limit = inner.settings.timeout + MARGIN;
        let result = tokio::time::timeout(limit, sender.send(message)).await;
        let result = result.unwrap_or_else(|_| SendResult {
            error: Some(format!("no response within {} ms", limit.as_millis())),
            duration_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            ..SendResult::default()
        });
        let counter = if result.is_delivered() { &inner.delivered } else { &inner.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Returns a new record of an attempt, before its result.
    fn new_delivery(&self, webhook: WebhookId, entry: &Entry) -> Delivery {
        let context = self.0.engine.context(Caller::system());
        Delivery {
            id: context.id_generator().delivery(),
            webhook_id: webhook,
            message_id: entry.id,
            place: Some((entry.log().key().uuid(), entry.seq)),
            event_type: entry.event_type.to_string(),
            kind: botarmy_domain::DeliveryKind::Log,
            attempt: 1,
            result: SendResult::default(),
            started_at: context.now,
        }
    }

    /// Returns the sender.
    ///
    /// # Errors
    /// The conflict `webhooks_unavailable` in a server that was built without.
    fn sender(&self) -> Result<&Arc<dyn WebhookSender>, DomainError> {
        self.0.sender.as_ref().ok_or_else(|| {
            let detail = "This server was built without the feature `webhooks`, so it sends nothing. \
                          Use a binary with it.";
            DomainError::conflict("webhooks_unavailable", detail)
        })
    }
}
