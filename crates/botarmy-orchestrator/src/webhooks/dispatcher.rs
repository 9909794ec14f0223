//! Follows the logs, and takes the leases of subscriptions. A message of the bus wakes a runner at once;
//! comparing the ends of all logs at intervals finds what a lost message would have told.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use botarmy_domain::ports::{RecordsExt, Subscription};
use botarmy_domain::{BusMessage, Entry, EventType, LogId, StoreError, Webhook, WebhookId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{debug, warn};

use super::WebhookControl;
use super::inbox::Inbox;
use super::runner::Runner;

/// Number of logs whose ends are read at once.
const PAGE: u32 = 5_000;

/// The runners of this process, and the ends of the logs as they are known.
#[derive(Default)]
struct Dispatcher {
    runners: HashMap<WebhookId, Running>,
    ends: HashMap<LogId, u64>,
}

struct Running {
    inbox: Arc<Inbox>,
    task: JoinHandle<()>,
}

impl WebhookControl {
    /// Delivers until `stop` is set, and then finishes the attempts that were begun. Does nothing in a
    /// server that was built without webhooks.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        if self.0.sender.is_none() {
            return;
        }
        if let Err(error) = self.0.engine.ports.stores.deliveries.forget_deleted().await {
            debug!(%error, "What is left of deleted webhooks is removed at the next start");
        }
        let stopped = stop.clone();
        let mut dispatcher = Dispatcher::default();
        tokio::select! {
            () = self.follow(&mut dispatcher, &stopped) => {}
            _ = stop.wait_for(|stopped| *stopped) => {}
        }
        for (_, running) in dispatcher.runners {
            // A panic was logged where it happened.
            let _ = running.task.await;
        }
    }

    async fn follow(&self, dispatcher: &mut Dispatcher, stop: &watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.0.settings.sweep);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages: Option<Box<dyn Subscription>> = None;
        loop {
            let is_refresh = tokio::select! {
                _ = ticks.tick() => {
                    if messages.is_none() {
                        messages = self.0.engine.ports.bus.subscribe().await.ok();
                        dispatcher.search_all();
                    }
                    if let Err(error) = self.compare_ends(dispatcher).await {
                        warn!(%error, "The ends of the logs could not be read; trying again");
                    }
                    true
                }
                () = self.0.changed.notified() => true,
                message = next(&mut messages) => match message {
                    Some(BusMessage::Entry(entry)) => dispatcher.committed(&entry),
                    Some(BusMessage::Lagged) => {
                        dispatcher.search_all();
                        true
                    }
                    Some(BusMessage::Progress(_)) => false,
                    None => {
                        messages = None;
                        false
                    }
                },
            };
            if is_refresh && let Err(error) = self.refresh(dispatcher, stop).await {
                warn!(%error, "The webhooks could not be read; trying again");
            }
        }
    }

    /// Starts a runner for each subscription whose lease is free, and tells the others their filters.
    async fn refresh(
        &self,
        dispatcher: &mut Dispatcher,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let has_ended = |running: &Running| running.inbox.has_ended() || running.task.is_finished();
        dispatcher.runners.retain(|_, running| !has_ended(running));
        let stored = self.0.engine.ports.stores.records.all::<Webhook>().await?;
        for webhook in stored.into_iter().filter(|webhook| webhook.disabled.is_none()) {
            match dispatcher.runners.get(&webhook.id) {
                Some(running) if running.inbox.filter() == webhook.filter => {}
                Some(running) => {
                    running.inbox.set_filter(webhook.filter.clone());
                    running.inbox.search_from(LogId::System);
                }
                None => {
                    let Some(lease) = self.hold(webhook.id).await? else { continue };
                    let inbox = Arc::new(Inbox::new(webhook.filter.clone()));
                    let mut inboxes = self.0.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
                    inboxes.retain(|inbox| inbox.strong_count() > 0);
                    inboxes.push(Arc::downgrade(&inbox));
                    drop(inboxes);
                    let runner = Runner::new(
                        self.clone(),
                        webhook.id,
                        lease,
                        Arc::clone(&inbox),
                        stop.clone(),
                    );
                    let task = tokio::spawn(runner.run());
                    dispatcher.runners.insert(webhook.id, Running { inbox, task });
                }
            }
        }
        Ok(())
    }

    /// Compares the ends of all logs with those that are known, and tells the runners of the logs that
    /// have grown. Without runners nothing is known and nothing read.
    async fn compare_ends(&self, dispatcher: &mut Dispatcher) -> Result<(), StoreError> {
        if dispatcher.runners.is_empty() {
            dispatcher.ends = HashMap::new();
            return Ok(());
        }
        let is_first = dispatcher.ends.is_empty();
        let mut from = Some(LogId::System);
        while let Some(log) = from {
            let page = self.0.engine.ports.stores.deliveries.ends(log, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            from = page.last().filter(|_| !is_last).map(|(log, _)| after(*log));
            for (log, seq) in page {
                if dispatcher.ends.insert(log, seq) != Some(seq) && !is_first {
                    dispatcher.grown(log);
                }
            }
        }
        if is_first {
            dispatcher.search_all();
        }
        Ok(())
    }
}

/// Returns the log that comes next in the order of keys.
fn after(log: LogId) -> LogId {
    LogId::Project(log.key().successor())
}

/// Returns the next message; waits for ever without a subscription.
async fn next(messages: &mut Option<Box<dyn Subscription>>) -> Option<BusMessage> {
    match messages {
        Some(messages) => messages.next().await,
        None => std::future::pending().await,
    }
}

impl Dispatcher {
    /// Tells the runners of a new entry. Returns whether it is about a subscription.
    fn committed(&mut self, entry: &Entry) -> bool {
        for running in self.runners.values() {
            if running.inbox.filter().passes(entry) {
                running.inbox.add(entry.log());
            }
        }
        matches!(
            entry.event_type,
            EventType::WebhookCreated
                | EventType::WebhookChanged
                | EventType::WebhookDisabled
                | EventType::WebhookDeleted
        )
    }

    fn grown(&self, log: LogId) {
        for running in self.runners.values() {
            if running.inbox.filter().project_id.is_none_or(|id| log == LogId::Project(id)) {
                running.inbox.add(log);
            }
        }
    }

    fn search_all(&self) {
        self.runners.values().for_each(|running| running.inbox.search_from(LogId::System));
    }
}
