//! The driving port `Webhooks`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::decide::webhooks as decide;
use botarmy_domain::ports::{IssuedWebhook, RecordsExt, Webhooks};
use botarmy_domain::webhook::message_of;
use botarmy_domain::{
    Caller, Committed, Delivery, DeliveryId, DeliveryKind, DeliveryProgress, DomainError, Entry,
    Error, EventId, NewWebhook, Page, Permission, Place, RecordKind, SendResult, StoreError,
    Webhook, WebhookChange, WebhookId, WebhookKeys,
};
use tracing::{info, warn};

use super::{Attempt, WebhookControl};
use crate::commands::written;

/// Type of the message of a test.
const TEST: &str = "webhook_test";

#[async_trait]
impl Webhooks for WebhookControl {
    async fn webhooks(
        &self,
        caller: &Caller,
        after: Option<WebhookId>,
        limit: u32,
    ) -> Result<Page<Arc<Webhook>>, Error> {
        check(caller)?;
        let mut found = self.0.engine.ports.stores.records.all::<Webhook>().await?;
        found.retain(|webhook| Some(webhook.id) > after);
        Ok(Page::first(found, limit))
    }

    async fn webhook(&self, caller: &Caller, id: WebhookId) -> Result<Arc<Webhook>, Error> {
        check(caller)?;
        self.existing(id).await
    }

    async fn create_webhook(
        &self,
        mut new: NewWebhook,
        caller: Caller,
    ) -> Result<IssuedWebhook, Error> {
        check(&caller)?;
        new.url = self.checked(&new.url)?;
        if let Some(project) = new.filter.project_id {
            self.0.engine.project_for(&caller, project, Permission::ProjectRead).await?;
        }
        self.check_room().await?;
        let context = self.0.engine.context(caller);
        let id = context.id_generator().webhook();
        let keys = self.new_keys()?;
        let secret = keys.secret_text();
        let create =
            move |context: &_, snapshot: &_| decide::create(context, snapshot, id, &new, &keys);
        let created = move |committed: &Committed| committed.record::<Webhook>(id).cloned();
        let scope = decide::scope(id);
        let webhook = written(self.0.engine.commit_call(context, scope, create, created).await?)?;
        info!(webhook.id = %id, "Created a webhook to {}", webhook.host());
        self.0.changed.notify_one();
        Ok(IssuedWebhook { webhook, secret })
    }

    async fn change_webhook(
        &self,
        id: WebhookId,
        mut change: WebhookChange,
        caller: Caller,
    ) -> Result<Arc<Webhook>, Error> {
        check(&caller)?;
        if let Some(url) = &mut change.url {
            *url = self.checked(url)?;
        }
        if change.enabled == Some(true) {
            self.sender()?;
        }
        let context = self.0.engine.context(caller);
        let decide =
            move |context: &_, snapshot: &_| decide::change(context, snapshot, id, &change);
        let changed = move |committed: &Committed| committed.record::<Webhook>(id).cloned();
        let scope = decide::scope(id);
        let changed = self.0.engine.commit_call(context, scope, decide, changed).await?;
        self.0.changed.notify_one();
        match changed {
            Some(changed) => {
                info!(webhook.id = %id, "Changed the webhook to {}", changed.host());
                Ok(changed)
            }
            // It was as wanted already.
            None => self.existing(id).await,
        }
    }

    async fn rotate_webhook_secret(
        &self,
        id: WebhookId,
        overlap: Option<Duration>,
        caller: Caller,
    ) -> Result<IssuedWebhook, Error> {
        check(&caller)?;
        let overlap = overlap.unwrap_or(self.0.settings.secret_overlap);
        let keys = self.new_keys()?;
        let secret = keys.secret_text();
        let context = self.0.engine.context(caller);
        let rotate =
            move |context: &_, snapshot: &_| decide::rotate(context, snapshot, id, &keys, overlap);
        let rotated = move |committed: &Committed| committed.record::<Webhook>(id).cloned();
        let scope = decide::scope(id);
        let webhook = written(self.0.engine.commit_call(context, scope, rotate, rotated).await?)?;
        info!(webhook.id = %id, "Replaced the secret of the webhook to {}", webhook.host());
        Ok(IssuedWebhook { webhook, secret })
    }

    async fn delete_webhook(&self, id: WebhookId, caller: Caller) -> Result<(), Error> {
        check(&caller)?;
        let context = self.0.engine.context(caller);
        let delete = move |context: &_, snapshot: &_| decide::delete(context, snapshot, id);
        self.0.engine.commit(context, decide::scope(id), delete).await?;
        info!(webhook.id = %id, "Deleted the webhook");
        if let Err(error) = self.0.engine.ports.stores.deliveries.forget_deleted().await {
            warn!(%error, "The deliveries of the webhook are removed at the next start");
        }
        Ok(())
    }

    async fn deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Page<Delivery>, Error> {
        check(caller)?;
        self.existing(id).await?;
        Ok(self.0.engine.ports.stores.deliveries.deliveries(id, before, limit).await?)
    }

    async fn redeliver(
        &self,
        id: WebhookId,
        delivery: DeliveryId,
        caller: Caller,
    ) -> Result<Delivery, Error> {
        check(&caller)?;
        self.sender()?;
        let webhook = self.existing(id).await?;
        let earlier = self.0.engine.ports.stores.deliveries.delivery(id, delivery).await?;
        let earlier = earlier.ok_or_else(|| DomainError::not_found("Delivery", delivery))?;
        let entry = self.entry_of(&earlier).await?;
        if self.owner_reads(&webhook, entry.log()).await? != Some(true) {
            let detail =
                "The owner of the webhook may not read this entry any more, so it is not sent.";
            return Err(DomainError::conflict("owner_may_not_read", detail).into());
        }
        let mut again = self.new_delivery(id, &entry);
        (again.kind, again.attempt) = (DeliveryKind::Redelivery, earlier.attempt.saturating_add(1));
        self.send_now(&webhook, again, message_of(&entry)).await
    }

    async fn test_webhook(&self, id: WebhookId, caller: Caller) -> Result<Delivery, Error> {
        check(&caller)?;
        self.sender()?;
        let webhook = self.existing(id).await?;
        let context = self.0.engine.context(caller);
        let mut ids = context.id_generator();
        let (delivery, message_id) = (ids.delivery(), EventId::from_uuid(ids.uuid()));
        let test = Delivery {
            id: delivery,
            webhook_id: id,
            message_id,
            place: None,
            event_type: TEST.to_owned(),
            kind: DeliveryKind::Test,
            attempt: 1,
            result: SendResult::default(),
            started_at: context.now,
        };
        let body = serde_json::json!({
            "type": TEST, "timestamp": context.now, "data": { "webhook_id": id },
        });
        self.send_now(&webhook, test, body.to_string()).await
    }
}

fn check(caller: &Caller) -> Result<(), DomainError> {
    caller.check(Permission::AccessManage, Place::Installation)
}

impl WebhookControl {
    async fn existing(&self, id: WebhookId) -> Result<Arc<Webhook>, Error> {
        let found = self.0.engine.ports.stores.records.record::<Webhook>(id).await?;
        Ok(found.ok_or_else(|| DomainError::not_found("Webhook", id))?)
    }

    /// Returns an address in its normal form.
    fn checked(&self, url: &str) -> Result<String, DomainError> {
        self.sender()?.check(url).map_err(|rule| DomainError::invalid("url", rule))
    }

    fn new_keys(&self) -> Result<WebhookKeys, DomainError> {
        let (shared, seed) = (self.0.secrets.secret(), self.0.secrets.secret());
        Ok(WebhookKeys::new(shared, seed, self.sender()?.public_key(&seed)))
    }

    /// Checks that there may be another subscription. Several that are created at once may be a few more.
    async fn check_room(&self) -> Result<(), Error> {
        let most = self.0.settings.max_subscriptions;
        let records = &self.0.engine.ports.stores.records;
        let found = records.list(RecordKind::Webhook, most.saturating_add(1)).await?;
        if found.len() < most as usize {
            return Ok(());
        }
        let detail = format!(
            "There are {most} webhooks already, as many as webhooks.max_subscriptions allows. Delete one \
             that is not needed, or let an operator raise the setting."
        );
        Err(DomainError::conflict("too_many_webhooks", detail).into())
    }

    /// Returns the entry that was sent with an earlier attempt.
    async fn entry_of(&self, delivery: &Delivery) -> Result<Arc<Entry>, Error> {
        let Some(place) = delivery.entry_place() else {
            let detail = "That was a test and not an entry of a log. Send another test.";
            return Err(DomainError::conflict("not_an_entry", detail).into());
        };
        let before = place.seq.saturating_sub(1);
        let found = self.0.engine.ports.stores.audit.since(place.log, before, 1).await?;
        let found = found.into_iter().next().filter(|entry| entry.id == delivery.message_id);
        Ok(found.ok_or_else(|| StoreError::Corrupt {
            table: "webhook_deliveries",
            row: delivery.id.to_string(),
            detail: "the log has another entry at its position".to_owned(),
        })?)
    }

    /// Makes an attempt beside the logs, and keeps it.
    async fn send_now(
        &self,
        webhook: &Webhook,
        mut delivery: Delivery,
        body: String,
    ) -> Result<Delivery, Error> {
        let settings = &self.0.settings;
        let permit = tokio::time::timeout(settings.timeout, self.0.in_flight.acquire()).await;
        let Ok(permit) = permit else {
            let detail =
                "All permitted deliveries are under way (webhooks.max_in_flight). Try again.";
            return Err(DomainError::conflict("webhooks_busy", detail).into());
        };
        delivery.result = self.attempt(Attempt { webhook, id: delivery.message_id, body }).await;
        drop(permit);
        let progress = DeliveryProgress {
            webhook: webhook.id,
            fence: None,
            cursors: Vec::new(),
            delivery: Some(delivery.clone()),
            retry_at: None,
            keep: settings.keep_deliveries,
        };
        self.0.engine.ports.stores.deliveries.save(progress).await?;
        Ok(delivery)
    }
}
