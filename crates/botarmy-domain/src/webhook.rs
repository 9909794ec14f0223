//! Subscriptions of webhooks: an address to which the entries of the logs are sent, and the state of
//! that. `delivery` has the attempts, `secret` the keys that sign them.

mod delivery;
mod secret;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use delivery::{
    Cursor, Delivery, DeliveryPlace, DeliveryProgress, SendResult, Undelivered, WebhookLease,
    message_of, retry_delay,
};
pub use secret::{RetiringSecret, WebhookKeys, WebhookSecretText};

use crate::artifact::digest_bytes;
use crate::error::DomainError;
use crate::ids::{PrincipalId, ProjectId, WebhookId};
use crate::log::Entry;
use crate::record::{ColumnKind, ColumnValue, Record, RecordTable};
use crate::text::{non_blank, without_controls};
use crate::timestamp::Timestamp;
use crate::vocabulary::{EventType, WebhookStop};

/// Longest address, in bytes.
pub const MAX_URL: usize = 2_048;
/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 500;
/// Longest time for which a replaced secret still signs.
pub const MAX_OVERLAP: Duration = Duration::from_secs(30 * 86_400);

/// A subscription: an address that is sent the entries of the logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Id of the subscription.
    pub id: WebhookId,
    /// Principal whose reach limits what is sent; `None` if it was created on an open server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PrincipalId>,
    /// Address, checked and in its normal form. It may have a secret of the receiver in it.
    pub url: String,
    /// Filter of what is sent.
    #[serde(flatten)]
    pub filter: WebhookFilter,
    /// Description for people; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Stop, if nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Keys that sign what is sent.
    pub keys: WebhookKeys,
    /// Keys that were replaced and still sign for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring: Option<RetiringSecret>,
    /// Time of creation. Of each log, the first entry of this time or later is the first that is sent.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Filter of what a subscription is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WebhookFilter {
    /// Types of entries; empty for all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub events: BTreeSet<EventType>,
    /// Project whose log is sent; `None` for all logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
}

impl WebhookFilter {
    /// Returns whether an entry passes the filter.
    #[must_use]
    pub fn passes(&self, entry: &Entry) -> bool {
        let is_of_log = self.project_id.is_none_or(|id| entry.project_id == Some(id));
        is_of_log && (self.events.is_empty() || self.events.contains(&entry.event_type))
    }
}

/// Stop of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Reason.
    pub reason: WebhookStop,
    /// Explanation for people.
    pub detail: String,
    /// Time of the stop.
    pub at: Timestamp,
}

impl Webhook {
    /// Returns the scheme, host and port of the address, as logs name it: the path and the query may
    /// have a secret of the receiver.
    #[must_use]
    pub fn host(&self) -> &str {
        host_of(&self.url)
    }

    /// Returns the SHA-256 of the address, by which the log states it.
    #[must_use]
    pub fn url_digest(&self) -> String {
        digest_bytes(self.url.as_bytes())
    }

    /// Returns the keys that sign at this time, the present ones first.
    pub fn signing_keys(&self, now: Timestamp) -> impl Iterator<Item = &WebhookKeys> {
        let retiring = self.retiring.iter().filter(move |retiring| now < retiring.until);
        std::iter::once(&self.keys).chain(retiring.map(|retiring| &retiring.keys))
    }
}

/// Returns the part of an address before its path.
fn host_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

impl Record for Webhook {
    type Key = WebhookId;

    const TABLE: RecordTable =
        RecordTable { name: "webhooks", key: ("id", ColumnKind::Id), extra: &[] };

    fn key(&self) -> WebhookId {
        self.id
    }

    fn stored_key(key: WebhookId) -> ColumnValue {
        ColumnValue::Id(key.uuid())
    }
}

/// A subscription to create. Its address was checked by the adapter that will send to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Address.
    pub url: String,
    /// Filter of what is sent.
    pub filter: WebhookFilter,
    /// Description for people; may be empty.
    pub description: String,
}

/// Change of a subscription; a field that is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookChange {
    /// Address.
    pub url: Option<String>,
    /// Types of entries, in place of all; empty for all types.
    pub events: Option<BTreeSet<EventType>>,
    /// Description.
    pub description: Option<String>,
    /// Whether anything is sent. A subscription that is enabled again goes on where it was.
    pub enabled: Option<bool>,
}

/// Returns a description without surrounding white space.
///
/// # Errors
/// [`DomainError::Invalid`] for one that is too long or has control characters.
pub fn sound_description(text: &str) -> Result<String, DomainError> {
    let text = non_blank(text).unwrap_or_default();
    if text.chars().count() > MAX_DESCRIPTION {
        let message = format!("must be at most {MAX_DESCRIPTION} characters");
        return Err(DomainError::invalid("description", message));
    }
    if without_controls(text) != text {
        let message = "must be one line without control characters";
        return Err(DomainError::invalid("description", message));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_name_an_address_without_its_path() {
        for (url, host) in [
            ("https://hooks.example/services/T0/s3cr3t", "https://hooks.example"),
            ("https://hooks.example:8443?token=s3cr3t", "https://hooks.example:8443"),
            ("http://[::1]:80/", "http://[::1]:80"),
            ("https://hooks.example", "https://hooks.example"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[test]
    fn a_description_is_one_short_line() {
        assert_eq!(sound_description("  mail relay "), Ok("mail relay".to_owned()));
        assert_eq!(sound_description(""), Ok(String::new()));
        assert!(sound_description("a\u{0}b").is_err());
        assert!(sound_description(&"x".repeat(MAX_DESCRIPTION + 1)).is_err());
    }
}
