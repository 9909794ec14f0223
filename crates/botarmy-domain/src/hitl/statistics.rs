//! Counts of requests, and the time that people take to answer them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::caller::Caller;
use crate::hitl::HitlRequest;
use crate::ids::{HitlRequestId, ProjectId};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, HitlKind, HitlStatus};

/// Rows that a store reads for the statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HitlSample {
    /// All pending requests, counted by kind and agent type.
    pub pending: Vec<Counted>,
    /// Pending request that waits longest.
    pub oldest: Option<OldestRequest>,
    /// Requests that are not pending, newest first.
    pub ended: Vec<HitlLine>,
}

/// Number of pending requests of a kind and an agent type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Cause of the requests.
    pub kind: HitlKind,
    /// Agent type whose work is under review.
    pub agent: Option<AgentType>,
    /// Number of requests.
    pub count: u64,
}

/// The pending request that waits longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestRequest {
    /// Id of the request.
    pub id: HitlRequestId,
    /// Project that it belongs to.
    pub project_id: ProjectId,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// A request as the statistics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HitlLine {
    /// Status of the request.
    pub status: HitlStatus,
    /// Cause of the request.
    pub kind: HitlKind,
    /// Agent type whose work is under review.
    pub agent: Option<AgentType>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the answer, if a person gave one.
    pub answered_at: Option<Timestamp>,
}

impl HitlLine {
    /// Creates the line of a request from its columns and from the time and the author of its reply,
    /// if it has one. An approval by the timers is no answer of a person.
    #[must_use]
    pub fn new(
        (status, kind, agent): (HitlStatus, HitlKind, Option<AgentType>),
        created_at: Timestamp,
        reply: Option<(Timestamp, &str)>,
    ) -> Self {
        let scheduler = Caller::scheduler();
        let answered = reply.filter(|(_, by)| *by != scheduler.name());
        Self { status, kind, agent, created_at, answered_at: answered.map(|(at, _)| at) }
    }
}

impl From<&HitlRequest> for HitlLine {
    fn from(request: &HitlRequest) -> Self {
        let reply = request.reply().map(|reply| (reply.at, reply.by.as_str()));
        let columns = (request.status(), request.kind, request.agent);
        Self::new(columns, request.created_at, reply)
    }
}

/// Statistics of the requests that are pending, and of those that were raised in a window of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitlStatistics {
    /// Beginning of the window.
    pub since: Timestamp,
    /// Whether only the newest requests of the window were counted.
    pub truncated: bool,
    /// Number of requests in each status.
    pub by_status: BTreeMap<HitlStatus, u64>,
    /// Number of requests of each kind.
    pub by_kind: BTreeMap<HitlKind, u64>,
    /// Number of requests of each agent type; `None` for requests about no agent's work.
    pub by_agent: BTreeMap<Option<AgentType>, u64>,
    /// Pending request that waits longest.
    pub oldest: Option<OldestRequest>,
    /// Number of requests that a person answered.
    pub answered: u64,
    /// Median of the times from a request to its answer.
    pub median: Option<Duration>,
    /// Time within which nine of ten requests were answered.
    pub p90: Option<Duration>,
}

impl HitlStatistics {
    /// Computes the statistics of a sample that has one line more than `limit` if there are more.
    #[must_use]
    pub fn of(sample: &HitlSample, since: Timestamp, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let truncated = sample.ended.len() > limit;
        let ended: Vec<_> =
            sample.ended.iter().take(limit).filter(|line| line.created_at >= since).collect();
        let mut found = Self {
            since,
            truncated,
            by_status: HitlStatus::ALL.iter().map(|status| (*status, 0)).collect(),
            by_kind: HitlKind::ALL.iter().map(|kind| (*kind, 0)).collect(),
            by_agent: AgentType::ALL.iter().map(|agent| (Some(*agent), 0)).collect(),
            oldest: sample.oldest,
            answered: 0,
            median: None,
            p90: None,
        };
        found.by_agent.insert(None, 0);
        for one in &sample.pending {
            found.count(HitlStatus::Pending, one.kind, one.agent, one.count);
        }
        for line in &ended {
            found.count(line.status, line.kind, line.agent, 1);
        }
        let answered = ended.iter().filter_map(|line| Some((line.answered_at?, line.created_at)));
        let mut times: Vec<Duration> =
            answered.map(|(answered, created)| answered.since(created)).collect();
        times.sort_unstable();
        found.answered = times.len() as u64;
        found.median = percentile(&times, 50);
        found.p90 = percentile(&times, 90);
        found
    }

    fn count(&mut self, status: HitlStatus, kind: HitlKind, agent: Option<AgentType>, count: u64) {
        *self.by_status.entry(status).or_default() += count;
        *self.by_kind.entry(kind).or_default() += count;
        *self.by_agent.entry(agent).or_default() += count;
    }
}

/// Returns the least of the sorted times that is not exceeded by this share of them, in percent.
fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn line(created: i64, answered: Option<i64>) -> HitlLine {
        HitlLine {
            status: if answered.is_some() { HitlStatus::Approved } else { HitlStatus::Expired },
            kind: HitlKind::Approval,
            agent: Some(AgentType::Coder),
            created_at: Timestamp::from_micros(created),
            answered_at: answered.map(Timestamp::from_micros),
        }
    }

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<_> = (1..=10).map(Duration::from_secs).collect();
        assert_eq!(percentile(&times, 50), Some(Duration::from_secs(5)));
        assert_eq!(percentile(&times, 90), Some(Duration::from_secs(9)));
        assert_eq!(percentile(&times[..1], 50), Some(Duration::from_secs(1)));
        assert_eq!(percentile(&times[..1], 90), Some(Duration::from_secs(1)));
        assert_eq!(percentile(&[], 90), None);
    }

    #[test]
    fn only_requests_of_the_window_count_and_those_that_are_pending() {
        let since = Timestamp::from_micros(10 * HOUR);
        let ended = [
            line(13 * HOUR, Some(14 * HOUR)),
            line(12 * HOUR, None),
            line(11 * HOUR, Some(14 * HOUR)),
            line(9 * HOUR, Some(10 * HOUR)),
        ];
        let pending = Counted { kind: HitlKind::Question, agent: None, count: 3 };
        let sample = HitlSample { pending: vec![pending], oldest: None, ended: ended.to_vec() };
        let found = HitlStatistics::of(&sample, since, 10);
        assert!(!found.truncated);
        let statuses: Vec<_> = found.by_status.values().copied().collect();
        assert_eq!(statuses, [3, 2, 0, 0, 1, 0]);
        assert_eq!(
            (found.by_kind[&HitlKind::Approval], found.by_kind[&HitlKind::Question]),
            (3, 3)
        );
        assert_eq!((found.by_agent[&Some(AgentType::Coder)], found.by_agent[&None]), (3, 3));
        assert_eq!((found.answered, found.median), (2, Some(Duration::from_secs(3600))));
        assert_eq!(found.p90, Some(Duration::from_secs(3 * 3600)));
        let short = HitlStatistics::of(&sample, since, 2);
        assert!(short.truncated);
        assert_eq!((short.by_status[&HitlStatus::Approved], short.answered), (1, 1));
    }

    #[test]
    fn an_approval_by_the_timers_is_no_answer() {
        let at = Timestamp::from_micros(1);
        let columns = (HitlStatus::Approved, HitlKind::Approval, None);
        assert_eq!(HitlLine::new(columns, at, Some((at, "scheduler"))).answered_at, None);
        assert_eq!(HitlLine::new(columns, at, Some((at, "ada"))).answered_at, Some(at));
    }
}
