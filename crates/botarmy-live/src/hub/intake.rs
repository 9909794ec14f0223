//! Messages from the bus on their way into topics, and the entries that the bus lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use botarmy_domain::{BusMessage, Entry, LogId};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Hub, RETRY};
use crate::frame;
use crate::topic::{Missing, Topic};

/// Number of entries that are read at once to fill a gap.
const FILL_PAGE: u32 = 256;
/// Number of reads for an entry that must exist, before it is given up until the next recheck.
const FILL_TRIES: u32 = 6;

impl Hub {
    /// Receives messages, and subscribes again whenever the bus goes away.
    pub(super) async fn listen_to_bus(self: Arc<Self>) {
        let mut wait = RETRY.0;
        loop {
            match self.bus.subscribe().await {
                Ok(mut subscription) => {
                    wait = RETRY.0;
                    // Messages before this subscription did not arrive.
                    self.mark_all_stale();
                    while let Some(message) = subscription.next().await {
                        self.receive(message);
                    }
                    warn!("The event bus is gone; live frames are late until it is back");
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(error, "Cannot subscribe to the event bus; live frames are late");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    fn receive(self: &Arc<Self>, message: BusMessage) {
        match message {
            BusMessage::Entry(entry) => self.receive_entries([entry]),
            BusMessage::Progress(progress) => {
                let log = LogId::Project(progress.project_id);
                let topic = self.topics().get(&log).cloned();
                if topic.is_some() || self.feed.is_watched() {
                    let frames = frame::of_progress(&progress);
                    self.feed.publish(log, None, frames.clone());
                    if let Some(topic) = topic {
                        topic.publish_unlogged(frames);
                    }
                }
            }
            BusMessage::Lagged => {
                self.counts.losses.fetch_add(1, Ordering::Relaxed);
                debug!("The event bus dropped messages; reading the watched logs");
                self.mark_all_stale();
            }
        }
    }

    pub(super) fn receive_entries(self: &Arc<Self>, entries: impl IntoIterator<Item = Arc<Entry>>) {
        for entry in entries {
            let log = entry.log();
            let topic = {
                let mut topics = self.topics();
                match topics.get(&log) {
                    Some(topic) => Arc::clone(topic),
                    None if self.feed.is_watched() => {
                        // A log that began after the last scan is published from its beginning. Of
                        // an older one, entries before this one may have been published already.
                        let is_new = entry.seq == 1 || self.is_younger_than_last_scan(log);
                        let topic = Arc::new(self.topic(log, is_new.then_some(0)));
                        topics.insert(log, Arc::clone(&topic));
                        topic
                    }
                    None => continue,
                }
            };
            if topic.receive(entry) {
                self.fill(&topic, self.settings.reorder_wait);
            }
        }
    }

    /// Has every watched log read, because messages may have been lost.
    fn mark_all_stale(self: &Arc<Self>) {
        let topics: Vec<_> = self.topics().values().cloned().collect();
        for topic in topics {
            if topic.mark_stale() {
                self.fill(&topic, Duration::ZERO);
            }
        }
        self.messages_lost.store(true, Ordering::Release);
        if self.feed.is_watched() {
            let hub = Arc::clone(self);
            tokio::spawn(async move { hub.discover().await });
        }
    }

    /// Begins to read what a topic misses, once for all its subscribers.
    pub(super) fn fill(self: &Arc<Self>, topic: &Arc<Topic>, wait: Duration) {
        let (hub, topic) = (Arc::clone(self), Arc::clone(topic));
        let filling = async move { hub.fill_now(&topic, wait).await };
        tokio::spawn(Arc::clone(self).until_stopped(filling));
    }

    async fn fill_now(&self, topic: &Topic, wait: Duration) {
        let mut before = topic.last();
        tokio::time::sleep(wait).await;
        let (mut tries, mut retry) = (0, RETRY.0);
        loop {
            let after = match topic.missing(before) {
                Missing::Nothing => return,
                Missing::Wait => {
                    before = topic.last();
                    tokio::time::sleep(self.settings.reorder_wait).await;
                    continue;
                }
                Missing::Read(after) => after,
            };
            before = Some(after);
            let read = {
                let _turn = self.gap_reads.acquire().await;
                self.logs.log_entries(&self.reader, topic.log, after, FILL_PAGE).await
            };
            match read {
                Ok(entries) => {
                    let was_all = !entries.has_more;
                    if topic.fill(entries.items, was_all) {
                        (before, tries, retry) = (None, 0, RETRY.0);
                        continue;
                    }
                    tries += 1;
                    if tries == FILL_TRIES {
                        warn!(log = ?topic.log, after, "The log lacks an entry that was announced");
                        topic.give_up();
                        continue;
                    }
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(log = ?topic.log, error, "Cannot read the log for a gap; trying again");
                }
            }
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(RETRY.1);
        }
    }

    /// Reads logs that have been silent: the bus may have lost their last message, and no later one
    /// shows it.
    pub(super) async fn recheck(self: Arc<Self>) {
        let recheck = self.settings.recheck;
        // Not at once: when the hub begins, it cannot have missed anything.
        let mut ticks = tokio::time::interval_at(Instant::now() + recheck, recheck);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let topics: Vec<_> = self.topics().values().cloned().collect();
            for topic in &topics {
                if topic.mark_stale_if_silent(recheck) {
                    self.fill(topic, Duration::ZERO);
                }
            }
            if self.feed.is_watched() {
                self.discover().await;
                self.forget_quiet_topics(topics);
            }
        }
    }
}
