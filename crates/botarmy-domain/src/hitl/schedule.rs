//! Times of a request: reminders, escalations and the expiry. While its project is paused, none of them
//! comes nearer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::HitlRequest;
use crate::timestamp::Timestamp;
use crate::vocabulary::{DueKind, HitlStatus};

/// Times of a request, and how many of them have passed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schedule {
    /// Time from which escalations count; that of the creation when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Time from which reminders count: that of the last escalation, or `from` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_from: Option<Timestamp>,
    /// Number of reminders since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reminded: u32,
    /// Time of the last reminder, also one by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminded_at: Option<Timestamp>,
    /// Number of escalations.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub escalated: u32,
    /// Number of times that people extended it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub extended: u32,
    /// Time by which people should have answered, if the request has outlived it; the time of expiry
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_by: Option<Timestamp>,
    /// Time at which the project was paused, as long as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Schedule {
    /// Returns whether it is that of a request which has just been opened.
    #[must_use]
    pub fn is_initial(&self) -> bool {
        *self == Self::default()
    }
}

impl HitlRequest {
    /// Returns the time from which escalations count.
    fn clock_start(&self) -> Timestamp {
        self.schedule.from.unwrap_or(self.created_at)
    }

    /// Returns the time from which reminders count.
    fn reminders_start(&self) -> Timestamp {
        self.schedule.remind_from.unwrap_or_else(|| self.clock_start())
    }

    /// Returns the times of the reminders that have not been sent, before the expiry.
    pub(crate) fn reminders(&self) -> impl Iterator<Item = Timestamp> {
        let (start, sent) = (self.reminders_start(), self.schedule.reminded as usize);
        let times = self.pinned_policy().policy.remind_after_s.iter().skip(sent);
        times.map(move |after| after_s(start, *after)).filter(|at| *at < self.expires_at)
    }

    /// Returns the time of the next escalation.
    pub(crate) fn next_escalation(&self) -> Option<Timestamp> {
        if self.unsatisfiable
            && (self.schedule.escalated as usize) < self.pinned_policy().policy.escalate.len()
        {
            return Some(self.clock_start());
        }
        let next = self.pinned_policy().policy.escalate.get(self.schedule.escalated as usize)?;
        Some(after_s(self.clock_start(), next.after_s))
    }

    /// Returns the next thing that becomes due and its time; `None` for a request that is not pending, or
    /// whose project is paused.
    #[must_use]
    pub fn due(&self) -> Option<(Timestamp, DueKind)> {
        if self.status() != HitlStatus::Pending || self.schedule.paused_at.is_some() {
            return None;
        }
        let reminder = self.reminders().next().map(|at| (at, DueKind::Reminder));
        let escalation = self.next_escalation().map(|at| (at, DueKind::Escalation));
        let expiry = (self.expires_at, DueKind::Expiry);
        Some(
            reminder
                .into_iter()
                .chain(escalation)
                .fold(expiry, |first, next| if next.0 < first.0 { next } else { first }),
        )
    }

    /// Returns the time by which people should have answered.
    #[must_use]
    pub fn answer_by(&self) -> Timestamp {
        self.schedule.answer_by.unwrap_or(self.expires_at)
    }

    /// Returns the time of its clock: that at which it was stopped, as long as it is.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        self.schedule.paused_at.unwrap_or(now)
    }

    /// Stops its clock at this time, when its project is paused.
    pub(crate) fn stop_clock(&mut self, at: Timestamp) {
        self.schedule.paused_at.get_or_insert(at);
    }

    /// Starts its clock again, when its project goes on: every time moves by the length of the pause.
    pub(crate) fn start_clock(&mut self, at: Timestamp) {
        let Some(paused_at) = self.schedule.paused_at.take() else { return };
        let pause = at.since(paused_at);
        self.schedule.from = Some(self.clock_start().after(pause));
        self.schedule.remind_from = self.schedule.remind_from.map(|start| start.after(pause));
        self.schedule.answer_by = self.schedule.answer_by.map(|time| time.after(pause));
        self.expires_at = self.expires_at.after(pause);
    }
}

/// Returns the time so many seconds after another.
pub(crate) fn after_s(start: Timestamp, seconds: u32) -> Timestamp {
    start.after(Duration::from_secs(seconds.into()))
}
