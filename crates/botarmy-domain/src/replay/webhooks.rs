//! Subscriptions of webhooks as the entries of the system log state them.

use std::collections::{BTreeMap, BTreeSet};

use super::row::{Difference, Row};
use crate::event::{EventPayload as E, WebhookState};
use crate::ids::WebhookId;
use crate::log::Entry;
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::webhook::Webhook;

/// Subscriptions, as far as entries state them.
#[derive(Debug, Default)]
pub(super) struct WebhookFacts(BTreeMap<WebhookId, Facts>);

/// A subscription, without its address and its keys.
#[derive(Debug)]
struct Facts {
    state: WebhookState,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl WebhookFacts {
    /// Applies an entry about a subscription.
    pub(super) fn apply(&mut self, entry: &Entry, payload: E) {
        let at = entry.created_at;
        match payload {
            E::WebhookCreated(created) => {
                let state = created.0;
                let facts = Facts { created_at: at, updated_at: at, state };
                self.0.insert(facts.state.webhook_id, facts);
            }
            E::WebhookChanged(changed) => {
                if let Some(facts) = self.0.get_mut(&changed.now.webhook_id) {
                    facts.state = changed.now;
                    facts.updated_at = at;
                }
            }
            E::WebhookDisabled(disabled) => {
                if let Some(facts) = self.0.get_mut(&disabled.webhook_id) {
                    facts.state.enabled = false;
                    facts.updated_at = at;
                }
            }
            E::WebhookDeleted(deleted) => drop(self.0.remove(&deleted.webhook_id)),
            _ => {}
        }
    }

    pub(super) fn compare(
        &self,
        id: WebhookId,
        stored: Option<&Webhook>,
        seq: u64,
    ) -> Result<(), Box<Difference>> {
        let table = Webhook::TABLE.name;
        match (self.0.get(&id), stored) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Difference::missing(table, id, seq)),
            (None, Some(_)) => Err(Difference::unknown(table, id)),
            (Some(facts), Some(found)) => {
                let row = Row::new(table, id, seq);
                row.compare_members(&facts.state, &WebhookState::of(found))?;
                row.compare("created_at", &facts.created_at, &found.created_at)?;
                row.compare("updated_at", &facts.updated_at, &found.updated_at)
            }
        }
    }

    pub(super) fn ids(&self) -> BTreeSet<WebhookId> {
        self.0.keys().copied().collect()
    }
}
