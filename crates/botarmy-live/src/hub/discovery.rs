//! The scan of all logs: finds entries that the bus did not carry, for subscribers of `all`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use botarmy_domain::{Entry, EntryFilter, Error, LogId, Timestamp, json};
use tracing::{debug, warn};

use super::Hub;
use crate::frame;
use crate::topic::Topic;

/// Largest number of entries of all logs that a scan reads at once. A page of large entries ends
/// earlier, at [`botarmy_domain::page::PART_BYTES`].
const SCAN_PAGE: u32 = 200;
/// Most bytes of entries that a scan finds; beyond them it ends as it does at its limit.
const SCAN_BYTES: usize = 16 * 1024 * 1024;
/// Time after its timestamp that an entry may be committed, by another server's clock, and still be
/// found by the next scan. A later one is found with the next entry of its log.
const LATE: Duration = Duration::from_secs(5);

/// Result of a scan.
#[derive(Debug, Default)]
struct Scan {
    /// Entries that were not published yet, newest first.
    found: Vec<Arc<Entry>>,
    /// Number of entries that were read.
    read: usize,
    /// Set if entries were found which the bus should have carried by now.
    missed: bool,
    /// Set if nothing older can be missing.
    complete: bool,
}

impl Hub {
    /// Finds entries of logs that are watched by subscribers of `all` alone, and publishes them.
    ///
    /// A quick scan ends at the first page with a published entry: where the bus carries all
    /// entries, it has carried everything before that one. A full scan is needed where it does not
    /// (this server always knows its own entries, so that one proves nothing) or lost messages. It
    /// reads all that was written since the last full scan, up to a limit; beyond that,
    /// subscribers get a gap.
    pub(super) async fn discover(self: &Arc<Self>) {
        let _turn = self.scanning.lock().await;
        let Some(from) = self.watched_after(&self.scanned_up_to) else { return };
        let now = self.clock.now();
        // Taken before the scan: messages that are lost during it need another one.
        let messages_lost = self.messages_lost.swap(false, Ordering::AcqRel);
        let is_full = messages_lost || !self.settings.bus_carries_all;
        let mut scan = Scan::default();
        if let Err(error) = self.scan(from, is_full, &mut scan).await {
            let error: &dyn std::error::Error = &error;
            warn!(error, "Cannot scan the logs for lost messages; trying again later");
            self.messages_lost.fetch_or(messages_lost, Ordering::AcqRel);
            self.receive_found(scan.found);
            return;
        }
        // Without a missed entry the bus works, and has carried what was not read as well.
        if scan.missed && !scan.complete {
            debug!(read = scan.read, "More was written than one scan of the logs reads");
            self.counts.gaps.fetch_add(1, Ordering::Relaxed);
            self.feed.publish_loss(frame::loss(now));
        }
        self.receive_found(scan.found);
        // What the bus lost of a log that is silent since is found when that log is read again, which
        // takes two rounds at most.
        self.feed.publish_complete(now.before(self.completeness_lag()));
        let up_to = now.before(LATE).micros();
        self.seen_up_to.store(up_to, Ordering::Release);
        if is_full {
            self.scanned_up_to.store(up_to, Ordering::Release);
        }
    }

    /// Returns the age at which every entry was published, as far as the bus and the scans find it.
    pub(crate) fn completeness_lag(&self) -> Duration {
        LATE + self.settings.recheck * 2
    }

    /// Reads the entries of all logs since `from`, newest first. On an error, the scan holds what
    /// was found until then.
    async fn scan(&self, from: Timestamp, full: bool, scan: &mut Scan) -> Result<(), Error> {
        let (mut before, mut bytes) = (None, 0);
        let may_read = |scan: &Scan| scan.read == 0 || scan.read < self.settings.scan_limit;
        while !scan.complete && may_read(scan) && bytes < SCAN_BYTES {
            let filter = EntryFilter { from: Some(from), before, ..EntryFilter::default() };
            let left = self.settings.scan_limit.saturating_sub(scan.read);
            let limit = SCAN_PAGE.min(u32::try_from(left).unwrap_or(u32::MAX)).max(1);
            let page = self.logs.entries(&self.reader, filter, limit).await?;
            before = page.items.last().map(|entry| entry.id);
            let is_newest = scan.read < SCAN_PAGE as usize;
            let (size, is_last) = (page.items.len(), !page.has_more);
            let unpublished = self.unpublished(page.items);
            scan.read += size;
            // Entries of the newest page may still be on their way over the bus.
            scan.missed |= !is_newest && !unpublished.is_empty();
            scan.complete = is_last || (!full && unpublished.len() < size);
            bytes += unpublished.iter().map(|entry| json::size(&entry.event_data)).sum::<usize>();
            scan.found.extend(unpublished);
        }
        Ok(())
    }

    /// Returns the entries that no topic has published.
    fn unpublished(&self, entries: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
        let topics = self.topics();
        let is_published = |entry: &Arc<Entry>| {
            let last = topics.get(&entry.log()).and_then(|topic| topic.last());
            last.is_some_and(|last| last >= entry.seq)
        };
        entries.into_iter().filter(|entry| !is_published(entry)).collect()
    }

    /// Receives entries that a scan found, the oldest first.
    fn receive_found(self: &Arc<Self>, found: Vec<Arc<Entry>>) {
        self.receive_entries(found.into_iter().rev());
    }

    /// Returns that time, or the time since when the feed is watched if it is later. `None` when
    /// the feed is not watched.
    fn watched_after(&self, time: &AtomicI64) -> Option<Timestamp> {
        let time = Timestamp::from_micros(time.load(Ordering::Acquire));
        self.feed.watched_since().map(|since| since.max(time))
    }

    /// Returns `true` if the log of a project began after the last scan. The project's id holds the
    /// time of its creation.
    pub(super) fn is_younger_than_last_scan(&self, log: LogId) -> bool {
        let created = log.project().and_then(|id| id.uuid().get_timestamp());
        let Some((seconds, nanos)) = created.map(|created| created.to_unix()) else { return false };
        let created = seconds.saturating_mul(1000) + u64::from(nanos / 1_000_000);
        let scan = self.watched_after(&self.seen_up_to);
        scan.and_then(|scan| u64::try_from(scan.millis()).ok()).is_some_and(|scan| created > scan)
    }

    /// Forgets the topics that have been silent for longest, beyond the limit. The limit is at
    /// least what [`Hub::discover`] reads: entries of a forgotten topic that a scan found again
    /// would be published twice.
    pub(super) fn forget_quiet_topics(&self, topics: Vec<Arc<Topic>>) {
        let limit = self.settings.feed_logs.max(self.settings.scan_limit);
        let mut quiet: Vec<_> = topics.into_iter().filter(|topic| !topic.has_listeners()).collect();
        let Some(surplus) = quiet.len().checked_sub(limit) else { return };
        quiet.sort_by_key(|topic| topic.received_at());
        let mut topics = self.topics();
        for topic in quiet.iter().take(surplus) {
            // It may have got a listener since.
            if !topic.has_listeners() {
                Self::forget(&mut topics, topic);
            }
        }
    }
}
