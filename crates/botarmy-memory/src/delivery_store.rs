//! Progress of webhooks.

use async_trait::async_trait;
use botarmy_domain::page::Page;
use botarmy_domain::ports::DeliveryStore;
use botarmy_domain::{
    Cursor, Delivery, DeliveryId, DeliveryProgress, Listed, LogId, StoreError, Timestamp,
    Undelivered, Webhook, WebhookId, WebhookLease,
};

use crate::MemoryStore;
use crate::state::State;
use crate::webhook_state::Held;

impl State {
    /// Returns logs from one on, in the order of their keys.
    fn logs_from(&self, from: LogId) -> impl Iterator<Item = LogId> {
        let mut logs: Vec<_> =
            self.logs.keys().copied().filter(|log| log.key() >= from.key()).collect();
        logs.sort_unstable_by_key(|log| log.key());
        logs.into_iter()
    }

    fn is_undelivered(&self, webhook: WebhookId, log: LogId, since: Timestamp) -> bool {
        let Some(last) = self.logs.get(&log).and_then(|entries| entries.last()) else {
            return false;
        };
        match self.webhooks.cursors.get(&(webhook, log)) {
            Some(cursor) => cursor.seq < last.seq,
            None => last.created_at >= since,
        }
    }
}

#[async_trait]
impl DeliveryStore for MemoryStore {
    async fn hold(
        &self,
        webhook: WebhookId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<WebhookLease>, StoreError> {
        let mut state = self.state();
        let held = state.webhooks.leases.entry(webhook).or_insert_with(|| Held {
            holder: holder.to_owned(),
            expires_at: until,
            lease: WebhookLease { fence: 1, retry_at: None },
        });
        if held.holder != holder {
            if held.expires_at > now {
                return Ok(None);
            }
            held.holder = holder.to_owned();
            held.lease.fence += 1;
        }
        held.expires_at = until;
        Ok(Some(held.lease))
    }

    async fn let_go(&self, webhook: WebhookId, fence: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(held) = state.webhooks.leases.get_mut(&webhook)
            && held.lease.fence == fence
        {
            held.holder.clear();
            held.expires_at = Timestamp::from_micros(0);
        }
        Ok(())
    }

    async fn cursor(&self, webhook: WebhookId, log: LogId) -> Result<Option<Cursor>, StoreError> {
        Ok(self.state().webhooks.cursors.get(&(webhook, log)).copied())
    }

    async fn undelivered(
        &self,
        webhook: WebhookId,
        since: Timestamp,
        from: LogId,
        scan: u32,
    ) -> Result<Undelivered, StoreError> {
        let state = self.state();
        let mut rest = state.logs_from(from);
        let part: Vec<LogId> = rest.by_ref().take(scan as usize).collect();
        let mut logs = part;
        logs.retain(|log| state.is_undelivered(webhook, *log, since));
        Ok(Undelivered { logs, next: rest.next() })
    }

    async fn ends(&self, from: LogId, limit: u32) -> Result<Vec<(LogId, u64)>, StoreError> {
        let state = self.state();
        let end = |log: LogId| {
            let last = state.logs.get(&log).and_then(|entries| entries.last());
            (log, last.map_or(0, |last| last.seq))
        };
        Ok(state.logs_from(from).take(limit as usize).map(end).collect())
    }

    async fn save(&self, progress: DeliveryProgress) -> Result<bool, StoreError> {
        let mut state = self.state();
        let webhook = progress.webhook;
        match progress.fence {
            Some(fence) => {
                let held = state.webhooks.leases.get_mut(&webhook);
                let Some(held) = held.filter(|held| held.lease.fence == fence) else {
                    return Ok(false);
                };
                held.lease.retry_at = progress.retry_at;
            }
            None if !state.records.contains_key(&Webhook::any_key(webhook)) => return Ok(false),
            None => {}
        }
        let moved = progress.cursors.into_iter().map(|(log, at)| ((webhook, log), at));
        state.webhooks.cursors.extend(moved);
        if let Some(delivery) = progress.delivery {
            let deliveries = &mut state.webhooks.deliveries;
            deliveries.entry((webhook, delivery.id)).or_insert(delivery);
            let of_webhook = deliveries.keys().filter(|(id, _)| *id == webhook).copied();
            let surplus: Vec<_> = of_webhook.rev().skip(progress.keep as usize).collect();
            surplus.iter().for_each(|key| drop(deliveries.remove(key)));
        }
        Ok(true)
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Page<Delivery>, StoreError> {
        let state = self.state();
        let all = state.webhooks.deliveries.values().rev();
        let found = all.filter(|one| one.webhook_id == webhook);
        let found = found.filter(|one| before.is_none_or(|before| one.id < before));
        Ok(Page::first(found.take(limit as usize + 1).cloned().collect(), limit))
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        Ok(self.state().webhooks.deliveries.get(&(webhook, id)).cloned())
    }

    async fn forget_deleted(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let State { records, webhooks, .. } = &mut *state;
        let exists = |id: &WebhookId| records.contains_key(&Webhook::any_key(*id));
        webhooks.leases.retain(|id, _| exists(id));
        webhooks.cursors.retain(|(id, _), _| exists(id));
        webhooks.deliveries.retain(|(id, _), _| exists(id));
        Ok(())
    }
}
