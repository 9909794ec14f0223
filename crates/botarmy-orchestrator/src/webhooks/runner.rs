//! Delivers for one subscription: one entry after the other, of each log in its order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::webhooks;
use botarmy_domain::ports::{DeliveryStore, RecordsExt};
use botarmy_domain::webhook::{message_of, retry_delay};
use botarmy_domain::{
    Caller, Cursor, Delivery, DeliveryProgress, Entry, Error, LogId, StoreError, Timestamp,
    Webhook, WebhookId, WebhookLease, WebhookStop,
};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::inbox::{Inbox, Next};
use super::{Attempt, WebhookControl};

/// Number of entries of a log that are read at once. Then the next log has its turn.
const TURN: u32 = 100;
/// Number of logs that a search of the store looks at.
const SCAN: u32 = 5_000;
/// Time after which the store is asked again that could not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// Number of logs in which entries were passed over, after which their cursors are saved.
const MAX_PASSED: usize = 256;

/// The runner of one subscription. It ends when the subscription is disabled or deleted, or another
/// process has taken the lease.
pub(super) struct Runner {
    control: WebhookControl,
    id: WebhookId,
    lease: WebhookLease,
    held_until: Timestamp,
    inbox: Arc<Inbox>,
    stop: watch::Receiver<bool>,
    /// Cursors beyond entries that were passed over, which are saved now and then.
    passed: BTreeMap<LogId, Cursor>,
}

/// End of a runner.
enum End {
    /// There is nothing to deliver for the subscription any more.
    Over,
    /// Another process delivers for it.
    Lost,
    /// The store could not answer.
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Result of looking at a log.
enum Turn {
    /// Every entry was delivered or passed over.
    Done,
    /// There may be more entries.
    More,
    /// An attempt has failed; the next one is due at this time.
    Retry(Timestamp),
}

impl WebhookControl {
    /// Takes or extends the lease of a subscription.
    pub(super) async fn hold(&self, id: WebhookId) -> Result<Option<WebhookLease>, StoreError> {
        let inner = &self.0;
        let now = inner.engine.ports.clock.now();
        let until = now.after(inner.settings.lease());
        let deliveries = &inner.engine.ports.stores.deliveries;
        deliveries.hold(id, &inner.settings.holder, now, until).await
    }
}

impl Runner {
    pub(super) fn new(
        control: WebhookControl,
        id: WebhookId,
        lease: WebhookLease,
        inbox: Arc<Inbox>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        // It is extended before the first attempt.
        let held_until = Timestamp::from_micros(0);
        Self { control, id, lease, held_until, inbox, stop, passed: BTreeMap::new() }
    }

    /// Delivers until there is an end. The subscription may have been enabled again by then.
    pub(super) async fn run(mut self) {
        self.deliver_until_end().await;
        self.inbox.end();
        self.control.0.changed.notify_one();
    }

    async fn deliver_until_end(&mut self) {
        debug!(webhook.id = %self.id, "Delivering for the webhook");
        while !*self.stop.borrow() {
            match self.step().await {
                Ok(()) => {}
                Err(End::Store(error)) => {
                    warn!(webhook.id = %self.id, %error, "Deliveries wait for the store");
                    self.pause(AGAIN).await;
                }
                Err(End::Lost) => {
                    debug!(webhook.id = %self.id, "Another server delivers for the webhook");
                    return;
                }
                Err(End::Over) => break,
            }
        }
        let fence = self.lease.fence;
        let saved = self.save_passed().await;
        let let_go = self.deliveries().let_go(self.id, fence).await;
        if saved.is_err() || let_go.is_err() {
            debug!(webhook.id = %self.id, "The lease of the webhook ends by itself");
        }
    }

    /// Looks at one log, or waits for one.
    async fn step(&mut self) -> Result<(), End> {
        self.keep_lease().await?;
        let webhook = self.webhook().await?;
        let now = self.now();
        if let Some(retry_at) = self.lease.retry_at.filter(|retry_at| *retry_at > now)
            && !self.was_changed_since_failure(&webhook).await?
        {
            self.pause(retry_at.since(now).min(self.renewal())).await;
            return Ok(());
        }
        self.lease.retry_at = None;
        let log = match self.inbox.take() {
            Next::Log(log) => log,
            Next::Search(from) => return self.search(&webhook, from).await,
            Next::Nothing => {
                self.wait().await;
                if self.passed.len() >= MAX_PASSED {
                    self.save_passed().await?;
                }
                return Ok(());
            }
        };
        match self.turn(&webhook, log).await {
            Ok(Turn::Done) => {}
            Ok(Turn::More) => self.inbox.add(log),
            Ok(Turn::Retry(at)) => {
                self.lease.retry_at = Some(at);
                // The same entry again, so that its attempts are those of the subscription.
                self.inbox.add_first(log);
            }
            Err(end) => {
                self.inbox.add(log);
                return Err(end);
            }
        }
        Ok(())
    }

    /// Returns whether the subscription was changed after its last attempt. Such a change may have removed
    /// the cause of the failure, so the next attempt does not wait.
    async fn was_changed_since_failure(&self, webhook: &Webhook) -> Result<bool, End> {
        let last = self.deliveries().deliveries(self.id, None, 1).await?;
        Ok(last.items.first().is_none_or(|last| webhook.updated_at > last.started_at))
    }

    /// Waits for a log, or until the lease has to be extended and cursors are saved.
    async fn wait(&mut self) {
        let inbox = Arc::clone(&self.inbox);
        let is_news = tokio::select! {
            () = inbox.news.notified() => true,
            () = self.pause(self.renewal()) => false,
        };
        if !is_news && let Err(End::Store(error)) = self.save_passed().await {
            debug!(webhook.id = %self.id, %error, "Cursors are saved later");
        }
    }

    /// Waits, unless the server stops.
    async fn pause(&self, time: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = stop.wait_for(|stopped| *stopped) => {}
        }
    }

    /// Adds logs with entries beyond the cursor to those that wait.
    async fn search(&mut self, webhook: &Webhook, from: LogId) -> Result<(), End> {
        if let Some(project) = webhook.filter.project_id {
            self.inbox.add(LogId::Project(project));
            return Ok(());
        }
        // What was passed over is found again otherwise.
        self.save_passed().await?;
        let found = self.deliveries().undelivered(self.id, webhook.created_at, from, SCAN).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.inbox.search_from(from);
                return Err(error.into());
            }
        };
        if let Some(next) = found.next {
            self.inbox.search_from(next);
        }
        found.logs.into_iter().for_each(|log| self.inbox.add(log));
        Ok(())
    }

    /// Delivers entries of a log.
    async fn turn(&mut self, webhook: &Webhook, log: LogId) -> Result<Turn, End> {
        let mut cursor = self.cursor(webhook, log).await?;
        let audit = Arc::clone(&self.control.0.engine.ports.stores.audit);
        let entries = audit.since(log, cursor.seq, TURN).await?;
        for entry in &entries {
            if *self.stop.borrow() {
                return Ok(Turn::More);
            }
            if !webhook.filter.passes(entry) || !self.owner_reads(webhook, log).await? {
                cursor = Cursor { seq: entry.seq, attempts: 0 };
                self.passed.insert(log, cursor);
                continue;
            }
            self.keep_lease().await?;
            // What was changed meanwhile counts from the next entry on.
            let now = self.webhook().await?;
            if *now != *webhook {
                return Ok(Turn::More);
            }
            if let Some(retry_at) = self.deliver(webhook, entry, cursor).await? {
                return Ok(Turn::Retry(retry_at));
            }
            cursor = Cursor { seq: entry.seq, attempts: 0 };
        }
        Ok(if entries.has_more { Turn::More } else { Turn::Done })
    }

    /// Makes one attempt to deliver an entry, and saves its result. Returns the time of the next attempt
    /// if it has failed.
    async fn deliver(
        &mut self,
        webhook: &Webhook,
        entry: &Entry,
        before: Cursor,
    ) -> Result<Option<Timestamp>, End> {
        let settings = self.control.0.settings.clone();
        let permit = self.control.0.in_flight.acquire().await;
        let mut delivery = self.control.new_delivery(self.id, entry);
        delivery.attempt = before.attempts.saturating_add(1);
        let attempt = Attempt { webhook, id: entry.id, body: message_of(entry) };
        delivery.result = self.control.attempt(attempt).await;
        drop(permit);
        let (log, failed, result) = (entry.log(), delivery.attempt, delivery.result.clone());
        if result.is_delivered() {
            self.save(log, Cursor { seq: entry.seq, attempts: 0 }, delivery, None).await?;
            return Ok(None);
        }
        let error = result.error.clone().unwrap_or_default();
        debug!(webhook.id = %self.id, attempt = failed, error, "A delivery has failed");
        let here = |attempts| Cursor { seq: entry.seq - 1, attempts };
        if result.is_gone() || failed >= settings.max_attempts {
            // Whoever enables it again gets all attempts again.
            self.save(log, here(0), delivery, None).await?;
            let stop = if result.is_gone() { WebhookStop::Gone } else { WebhookStop::Failing };
            self.disable(webhook, stop, &explain(stop, entry, failed, &error)).await?;
            return Err(End::Over);
        }
        let jitter = self.control.0.engine.context(Caller::system()).id_generator().jitter();
        let delay = retry_delay(settings.retry_base, failed, result.retry_after_s, jitter);
        let retry_at = self.now().after(delay);
        self.save(log, here(failed), delivery, Some(retry_at)).await?;
        Ok(Some(retry_at))
    }

    /// Returns whether the owner of the subscription may read a log. If the owner may nothing any more,
    /// the subscription is disabled.
    async fn owner_reads(&mut self, webhook: &Webhook, log: LogId) -> Result<bool, End> {
        if let Some(reads) = self.control.owner_reads(webhook, log).await? {
            return Ok(reads);
        }
        let detail = match webhook.owner {
            Some(owner) => format!("Its owner {owner} was disabled or deleted"),
            None => "It was created on an open server, and has no owner whose rights could be \
                     checked. Delete it, and create another"
                .to_owned(),
        };
        self.disable(webhook, WebhookStop::OwnerGone, &detail).await?;
        Err(End::Over)
    }

    async fn disable(
        &self,
        webhook: &Webhook,
        reason: WebhookStop,
        detail: &str,
    ) -> Result<(), End> {
        let engine = &self.control.0.engine;
        let context = engine.context(Caller::system());
        let (seen, text) = (webhook.clone(), detail.to_owned());
        let disable = move |context: &_, snapshot: &_| {
            webhooks::disable(context, snapshot, &seen, reason, &text)
        };
        match engine.commit(context, webhooks::scope(self.id), disable).await {
            Ok(committed) if committed.entries.is_empty() => {}
            Ok(_) => {
                warn!(webhook.id = %self.id, %reason, "The webhook to {} was disabled: {detail}", webhook.host());
            }
            Err(Error::Refused(error)) => {
                info!(webhook.id = %self.id, %error, "The webhook was not disabled");
            }
            Err(Error::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Returns the cursor in a log; the first time, it is that at which the subscription begins.
    async fn cursor(&mut self, webhook: &Webhook, log: LogId) -> Result<Cursor, End> {
        if let Some(passed) = self.passed.get(&log) {
            return Ok(*passed);
        }
        if let Some(stored) = self.deliveries().cursor(self.id, log).await? {
            return Ok(stored);
        }
        let cursor = Cursor { seq: self.beginning(webhook, log).await?, attempts: 0 };
        // Whatever comes later, the beginning is the same.
        self.save_all(vec![(log, cursor)], None, None).await?;
        Ok(cursor)
    }

    /// Returns the position before the last entries of a log that are not older than the subscription.
    async fn beginning(&self, webhook: &Webhook, log: LogId) -> Result<u64, End> {
        let audit = &self.control.0.engine.ports.stores.audit;
        let mut end = audit.head(log).await?.map_or(0, |head| head.seq);
        while end > 0 {
            let start = end.saturating_sub(u64::from(TURN));
            let (mut at, mut older) = (start, None);
            while at < end {
                let limit = u32::try_from(end - at).unwrap_or(TURN);
                let page = audit.since(log, at, limit).await?;
                let Some(last) = page.last() else { break };
                at = last.seq;
                let is_older = |entry: &&Arc<Entry>| entry.created_at < webhook.created_at;
                older = page.iter().rfind(is_older).map(|entry| entry.seq).or(older);
            }
            if let Some(older) = older {
                return Ok(older);
            }
            end = start;
        }
        Ok(0)
    }

    /// Extends the lease if an attempt would not fit into it.
    async fn keep_lease(&mut self) -> Result<(), End> {
        let now = self.now();
        if self.held_until.since(now) >= self.renewal() {
            return Ok(());
        }
        let retry_at = self.lease.retry_at;
        let held = self.control.hold(self.id).await?.ok_or(End::Lost)?;
        if held.fence != self.lease.fence {
            return Err(End::Lost);
        }
        self.lease = WebhookLease { retry_at: held.retry_at.or(retry_at), ..held };
        self.held_until = now.after(self.control.0.settings.lease());
        Ok(())
    }

    /// Time of which as much is left in the lease before an attempt.
    fn renewal(&self) -> Duration {
        self.control.0.settings.lease() / 2
    }

    /// Returns the subscription as it is now.
    async fn webhook(&self) -> Result<Arc<Webhook>, End> {
        let stored = self.control.0.engine.ports.stores.records.record::<Webhook>(self.id).await?;
        stored.filter(|webhook| webhook.disabled.is_none()).ok_or(End::Over)
    }

    async fn save(
        &mut self,
        log: LogId,
        cursor: Cursor,
        delivery: Delivery,
        retry_at: Option<Timestamp>,
    ) -> Result<(), End> {
        self.save_all(vec![(log, cursor)], Some(delivery), retry_at).await?;
        self.passed.remove(&log);
        self.lease.retry_at = retry_at;
        Ok(())
    }

    async fn save_passed(&mut self) -> Result<(), End> {
        if !self.passed.is_empty() {
            let cursors = self.passed.iter().map(|(log, cursor)| (*log, *cursor)).collect();
            self.save_all(cursors, None, self.lease.retry_at).await?;
            self.passed.clear();
        }
        Ok(())
    }

    async fn save_all(
        &self,
        cursors: Vec<(LogId, Cursor)>,
        delivery: Option<Delivery>,
        retry_at: Option<Timestamp>,
    ) -> Result<(), End> {
        let progress = DeliveryProgress {
            webhook: self.id,
            fence: Some(self.lease.fence),
            cursors,
            delivery,
            retry_at,
            keep: self.control.0.settings.keep_deliveries,
        };
        let is_saved = self.deliveries().save(progress).await?;
        if is_saved { Ok(()) } else { Err(End::Lost) }
    }

    fn deliveries(&self) -> &Arc<dyn DeliveryStore> {
        &self.control.0.engine.ports.stores.deliveries
    }

    fn now(&self) -> Timestamp {
        self.control.0.engine.ports.clock.now()
    }
}

/// Returns the explanation of a stop after a failed attempt.
fn explain(stop: WebhookStop, entry: &Entry, failed: u32, error: &str) -> String {
    let log =
        entry.project_id.map_or_else(|| "the system log".to_owned(), |id| format!("project {id}"));
    let of_entry = format!("entry {} of {log}", entry.seq);
    match stop {
        WebhookStop::Gone => {
            format!(
                "The receiver answered {of_entry} with the status 410: it wants nothing any more"
            )
        }
        _ => format!("{failed} attempts to deliver {of_entry} have failed; the last one: {error}"),
    }
}
