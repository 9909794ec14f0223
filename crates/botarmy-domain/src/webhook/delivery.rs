//! Deliveries: the message that is sent for an entry, its attempts, and the time between them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::event::agent_type_of;
use crate::ids::{DeliveryId, EventId, WebhookId};
use crate::log::{Entry, LogId};
use crate::timestamp::Timestamp;
use crate::vocabulary::DeliveryKind;

/// Factor by which the time to the next attempt grows.
const GROWTH: u32 = 4;
/// Longest time between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(6 * 3_600);

/// Place of a delivered entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryPlace {
    /// Log of the entry.
    pub log: LogId,
    /// Position in the log.
    pub seq: u64,
}

/// Result of sending a message once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SendResult {
    /// Status of the response; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Reason for which it counts as failed; `None` if it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Seconds after which the receiver wants the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Duration, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
}

impl SendResult {
    /// Returns whether the receiver has taken the message.
    #[must_use]
    pub const fn is_delivered(&self) -> bool {
        self.error.is_none()
    }

    /// Returns whether the receiver says that it wants nothing any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.http_status == Some(410)
    }
}

/// One attempt to deliver a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Id of the attempt, in order of time.
    pub id: DeliveryId,
    /// Subscription.
    pub webhook_id: WebhookId,
    /// Id of the message, in the header `webhook-id`: that of the entry.
    pub message_id: EventId,
    /// Log and position of the entry; `None` for a test. The log has the id of its project, the
    /// system log that of all zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(Uuid, u64)>,
    /// Type of the message.
    pub event_type: String,
    /// Cause.
    pub kind: DeliveryKind,
    /// Number of the attempt for this entry, from 1.
    pub attempt: u32,
    /// Result.
    #[serde(flatten)]
    pub result: SendResult,
    /// Time at which it began.
    pub started_at: Timestamp,
}

impl Delivery {
    /// Returns the log and the position of the entry; `None` for a test.
    #[must_use]
    pub fn entry_place(&self) -> Option<DeliveryPlace> {
        let (log, seq) = self.place?;
        Some(DeliveryPlace { log: LogId::from_key(crate::ids::ProjectId::from_uuid(log)), seq })
    }
}

/// Progress of a subscription in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Position of the last entry that was delivered or passed over.
    pub seq: u64,
    /// Number of failed attempts for the entry after it.
    pub attempts: u32,
}

/// The right of one process to deliver for a subscription, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookLease {
    /// Number that grows with every new holder; what an earlier one saves is refused.
    pub fence: u64,
    /// Time before which nothing is sent, after a failure.
    pub retry_at: Option<Timestamp>,
}

/// Progress of a subscription to be saved at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryProgress {
    /// Subscription.
    pub webhook: WebhookId,
    /// Fence of the lease; `None` for an attempt beside the logs, which moves no cursor.
    pub fence: Option<u64>,
    /// Cursors that moved.
    pub cursors: Vec<(LogId, Cursor)>,
    /// Attempt that was made.
    pub delivery: Option<Delivery>,
    /// Time before which nothing is sent.
    pub retry_at: Option<Timestamp>,
    /// Largest number of attempts that are kept for the subscription.
    pub keep: u32,
}

/// Logs in which a subscription has entries to look at: a part of a search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undelivered {
    /// The logs.
    pub logs: Vec<LogId>,
    /// Log with which the search goes on; `None` at its end.
    pub next: Option<LogId>,
}

/// Returns the body of the message for an entry: ids and positions, and nothing of what people or
/// agents wrote.
#[must_use]
pub fn message_of(entry: &Entry) -> String {
    let status = entry.event_data.get("status").filter(|status| status.is_string());
    let data = json!({
        "entry_id": entry.id,
        "project_id": entry.project_id,
        "seq": entry.seq,
        "hash": entry.hash,
        "event_source": entry.event_source,
        "task_id": entry.task_id,
        "request_id": entry.hitl_request_id,
        "agent_type": agent_type_of(entry),
        "status": status.unwrap_or(&Value::Null),
    });
    let message = json!({
        "type": entry.event_type, "timestamp": entry.created_at, "data": data,
    });
    message.to_string()
}

/// Returns the time to the next attempt after this many failed ones: `base` after the first, four
/// times as long after each further one, six hours at most. It varies by a quarter, so that receivers
/// that come back do not get everything at once. What the receiver asks for counts if it is longer,
/// six hours at most.
#[must_use]
pub fn retry_delay(base: Duration, failed: u32, asked_s: Option<u64>, jitter: u64) -> Duration {
    let factor = GROWTH.saturating_pow(failed.saturating_sub(1));
    let delay = base.saturating_mul(factor).min(MAX_DELAY);
    let varied = delay.mul_f64(0.75 + 0.5 * ((jitter % 1_000) as f64 / 1_000.0));
    varied.max(asked_s.map_or(Duration::ZERO, Duration::from_secs)).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::id_generator::IdGenerator;
    use crate::log::{Event, Head};
    use crate::vocabulary::EventType;

    #[test]
    fn the_time_between_attempts_grows_up_to_a_limit() {
        let base = Duration::from_secs(5);
        let middle = |failed| retry_delay(base, failed, None, 500).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7].map(middle), [5, 20, 80, 320, 1_280, 5_120, 20_480]);
        assert_eq!(middle(8), 6 * 3_600);
        assert_eq!(retry_delay(base, u32::MAX, None, 500), MAX_DELAY);
        assert_eq!(retry_delay(base, 1, None, 0), Duration::from_millis(3_750));
        assert!(retry_delay(base, 1, None, 999) < Duration::from_millis(6_250));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_any() {
        let base = Duration::from_secs(5);
        assert_eq!(retry_delay(base, 1, Some(60), 500).as_secs(), 60);
        assert_eq!(retry_delay(base, 3, Some(1), 500).as_secs(), 80, "never for less");
        assert_eq!(retry_delay(base, 1, Some(u64::MAX), 500), MAX_DELAY);
    }

    #[test]
    fn a_message_has_ids_and_nothing_that_people_wrote() {
        let mut ids = IdGenerator::new(Timestamp::from_micros(1_800_000_000_000_000), 1);
        let mut head = Head::empty(LogId::Project(ids.project()));
        let data = json!({
            "agent_type": "coder", "status": "failed", "error": "s3cr3t", "code": "x",
        });
        let event = Event {
            id: ids.event(),
            event_type: EventType::TaskFailed,
            origin: Caller::person("someone").origin(),
            task_id: Some(ids.task()),
            hitl_request_id: None,
            data: data.as_object().unwrap().clone(),
            at: ids.now(),
        };
        let entry = Entry::append(&mut head, event);
        let text = message_of(&entry);
        assert!(!text.contains("s3cr3t") && !text.contains("someone"), "{text}");
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(message["type"], "task_failed");
        assert_eq!(message["timestamp"], "2027-01-15T08:00:00.000000Z");
        let data = &message["data"];
        assert_eq!(data["entry_id"], entry.id.to_string());
        assert_eq!(data["project_id"], entry.project_id.unwrap().to_string());
        assert_eq!(data["task_id"], entry.task_id.unwrap().to_string());
        assert_eq!((&data["seq"], &data["agent_type"]), (&json!(1), &json!("coder")));
        assert_eq!((&data["status"], &data["request_id"]), (&json!("failed"), &Value::Null));
    }
}
