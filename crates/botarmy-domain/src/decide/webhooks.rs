//! Subscriptions of webhooks, as decisions on the system log.

use std::time::Duration;

use super::builder::DecisionBuilder;
use crate::change::{Decision, Row};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::WebhookId;
use crate::log::LogId;
use crate::records::Listed;
use crate::scope::{Scope, Snapshot};
use crate::timestamp::Timestamp;
use crate::vocabulary::{Permission, WebhookStop};
use crate::webhook::{
    Disabled, MAX_OVERLAP, NewWebhook, RetiringSecret, Webhook, WebhookChange, WebhookKeys,
    sound_description,
};

/// Returns the scope of a decision about this subscription.
#[must_use]
pub fn scope(id: WebhookId) -> Scope {
    Scope::log(LogId::System).record::<Webhook>(id)
}

/// Creates a subscription that belongs to the caller. Its address has to be checked before.
///
/// # Errors
/// An unsuitable description.
pub fn create(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: WebhookId,
    new: &NewWebhook,
    keys: &WebhookKeys,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let (created_at, updated_at) = (builder.at(), builder.at());
    let webhook = Webhook {
        id,
        owner: context.caller.principal(),
        url: new.url.clone(),
        filter: new.filter.clone(),
        description: sound_description(&new.description)?,
        disabled: None,
        keys: keys.clone(),
        retiring: None,
        created_at,
        updated_at,
    };
    let payload = E::WebhookCreated(event::WebhookCreated(event::WebhookState::of(&webhook)));
    builder.put_row(Row::Record(webhook.into()), &payload);
    Ok(builder.finish())
}

/// Changes a subscription; decides nothing if nothing changes. Its address has to be checked before.
///
/// # Errors
/// If the subscription does not exist; an unsuitable description.
pub fn change(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: WebhookId,
    change: &WebhookChange,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let before = existing(&builder, id)?;
    let mut after = before.clone();
    if let Some(url) = &change.url {
        after.url.clone_from(url);
    }
    if let Some(events) = &change.events {
        after.filter.events.clone_from(events);
    }
    if let Some(description) = &change.description {
        after.description = sound_description(description)?;
    }
    match change.enabled {
        Some(true) => after.disabled = None,
        Some(false) if after.disabled.is_none() => {
            let detail = format!("Disabled by {}", context.caller.name());
            let at = builder.at();
            after.disabled = Some(Disabled { reason: WebhookStop::Requested, detail, at });
        }
        _ => {}
    }
    if after != before {
        put_changed(&mut builder, after, None);
    }
    Ok(builder.finish())
}

/// Replaces the keys of a subscription. The earlier ones still sign for the time `overlap`, and those
/// before them no more.
///
/// # Errors
/// If the subscription does not exist; an overlap that is too long.
pub fn rotate(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: WebhookId,
    keys: &WebhookKeys,
    overlap: Duration,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let mut webhook = existing(&builder, id)?;
    if overlap > MAX_OVERLAP {
        let message = format!("must be at most {}", MAX_OVERLAP.as_secs());
        return Err(DomainError::invalid("overlap_s", message));
    }
    let until = builder.at().after(overlap);
    let earlier = std::mem::replace(&mut webhook.keys, keys.clone());
    webhook.retiring = Some(RetiringSecret { keys: earlier, until });
    put_changed(&mut builder, webhook, Some(until));
    Ok(builder.finish())
}

/// Deletes a subscription.
///
/// # Errors
/// If the subscription does not exist.
pub fn delete(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: WebhookId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let webhook = existing(&builder, id)?;
    let host = webhook.host().to_owned();
    let payload = E::WebhookDeleted(event::WebhookDeleted { webhook_id: id, host });
    builder.put_row(Row::NoRecord(Webhook::any_key(id)), &payload);
    Ok(builder.finish())
}

/// Disables a subscription for a reason that the server has found. Decides nothing if it was disabled,
/// deleted or changed meanwhile: an administrator may have removed the reason.
///
/// # Errors
/// If the caller is not the server.
pub fn disable(
    context: &DecisionContext,
    snapshot: &Snapshot,
    seen: &Webhook,
    reason: WebhookStop,
    detail: &str,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ServerRun)?;
    let current = builder.record::<Webhook>(seen.id).filter(|current| ***current == *seen);
    let Some(mut webhook) = current.map(|current| Webhook::clone(current)) else {
        return Ok(builder.finish());
    };
    if webhook.disabled.is_some() {
        return Ok(builder.finish());
    }
    let payload = E::WebhookDisabled(event::WebhookDisabled {
        webhook_id: webhook.id,
        host: webhook.host().to_owned(),
        reason,
        message: detail.to_owned(),
    });
    let at = builder.at();
    webhook.disabled = Some(Disabled { reason, detail: detail.to_owned(), at });
    webhook.updated_at = at;
    builder.put_row(Row::Record(webhook.into()), &payload);
    Ok(builder.finish())
}

fn put_changed(
    builder: &mut DecisionBuilder<'_>,
    mut webhook: Webhook,
    secret_rotated_until: Option<Timestamp>,
) {
    webhook.updated_at = builder.at();
    let now = event::WebhookState::of(&webhook);
    let payload = E::WebhookChanged(event::WebhookChanged { now, secret_rotated_until });
    builder.put_row(Row::Record(webhook.into()), &payload);
}

fn existing(builder: &DecisionBuilder<'_>, id: WebhookId) -> Result<Webhook, DomainError> {
    let found = builder.record::<Webhook>(id);
    found.map(|found| Webhook::clone(found)).ok_or_else(|| DomainError::not_found("Webhook", id))
}
