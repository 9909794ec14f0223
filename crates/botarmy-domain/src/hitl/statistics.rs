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
    /// All pending requests, counted by kind, agent type and policy.
    pub pending: Vec<Counted>,
    /// Pending request that waits longest.
    pub oldest: Option<OldestRequest>,
    /// Requests that are not pending, newest first.
    pub ended: Vec<HitlLine>,
}

/// Times of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleWindow {
    /// Beginning of the window.
    pub since: Timestamp,
    /// Time at which the sample is taken.
    pub now: Timestamp,
}

/// Number of pending requests of a kind, an agent type and a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Cause of the requests.
    pub kind: HitlKind,
    /// Agent type whose work is under review.
    pub agent: Option<AgentType>,
    /// Name of the policy; `None` where the step names none.
    pub policy: Option<String>,
    /// Number of requests.
    pub count: u64,
    /// Number of those that people should have answered by now.
    pub overdue: u64,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitlLine {
    /// Status of the request.
    pub status: HitlStatus,
    /// Cause of the request.
    pub kind: HitlKind,
    /// Agent type whose work is under review.
    pub agent: Option<AgentType>,
    /// Name of the policy; `None` where the step names none.
    pub policy: Option<String>,
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
        policy: Option<String>,
        created_at: Timestamp,
        reply: Option<(Timestamp, &str)>,
    ) -> Self {
        let scheduler = Caller::scheduler();
        let answered = reply.filter(|(_, by)| *by != scheduler.name());
        let answered_at = answered.map(|(at, _)| at);
        Self { status, kind, agent, policy, created_at, answered_at }
    }
}

impl From<&HitlRequest> for HitlLine {
    fn from(request: &HitlRequest) -> Self {
        let reply = request.reply().map(|reply| (reply.at, reply.by.as_str()));
        let columns = (request.status(), request.kind, request.agent);
        Self::new(columns, request.policy_name().map(str::to_owned), request.created_at, reply)
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
    /// Figures of each policy that occurs; `None` for requests whose step names none, which always has
    /// figures.
    pub by_policy: BTreeMap<Option<String>, PolicyFigures>,
    /// Pending request that waits longest.
    pub oldest: Option<OldestRequest>,
    /// Number of requests that a person answered.
    pub answered: u64,
    /// Median of the times from a request to its answer.
    pub median: Option<Duration>,
    /// Time within which nine of ten requests were answered.
    pub p90: Option<Duration>,
}

/// Figures of the requests of one policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyFigures {
    /// Number of pending requests.
    pub pending: u64,
    /// Number of pending requests that people should have answered by now.
    pub overdue: u64,
    /// Number of requests of the window that people decided.
    pub decided: u64,
    /// Median of the times from a request to its decision.
    pub median: Option<Duration>,
    /// Time within which 95 of 100 requests were decided.
    pub p95: Option<Duration>,
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
            by_policy: by_policy(&sample.pending, &ended),
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
        let times = answer_times(ended.iter().copied());
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

fn by_policy(pending: &[Counted], ended: &[&HitlLine]) -> BTreeMap<Option<String>, PolicyFigures> {
    let mut figures = BTreeMap::from([(None, PolicyFigures::default())]);
    for one in pending {
        let of: &mut PolicyFigures = figures.entry(one.policy.clone()).or_default();
        of.pending += one.count;
        of.overdue += one.overdue;
    }
    let mut lines: BTreeMap<_, Vec<&HitlLine>> = BTreeMap::new();
    for line in ended {
        lines.entry(line.policy.clone()).or_default().push(line);
    }
    for (policy, lines) in lines {
        let (times, of) = (answer_times(lines), figures.entry(policy).or_default());
        of.decided = times.len() as u64;
        (of.median, of.p95) = (percentile(&times, 50), percentile(&times, 95));
    }
    figures
}

/// Returns the times from requests to the answers of people, sorted.
fn answer_times<'a>(lines: impl IntoIterator<Item = &'a HitlLine>) -> Vec<Duration> {
    let answered = lines.into_iter().filter_map(|line| Some((line.answered_at?, line.created_at)));
    let mut times: Vec<_> = answered.map(|(answered, created)| answered.since(created)).collect();
    times.sort_unstable();
    times
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
            policy: None,
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
        let kind = HitlKind::Question;
        let pending = Counted { kind, agent: None, policy: None, count: 3, overdue: 0 };
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
    fn every_policy_has_its_own_figures() {
        let of = |policy: &str, count, overdue| Counted {
            kind: HitlKind::Approval,
            agent: None,
            policy: Some(policy.to_owned()),
            count,
            overdue,
        };
        let decided = |hours: i64| HitlLine {
            policy: Some("release".to_owned()),
            ..line(HOUR, Some((1 + hours) * HOUR))
        };
        let mut ended: Vec<_> = (1..=20).map(decided).collect();
        ended.push(HitlLine { policy: Some("expired".to_owned()), ..line(HOUR, None) });
        let pending = vec![of("release", 2, 1), of("hotfix", 1, 0)];
        let sample = HitlSample { pending, oldest: None, ended };
        let found = HitlStatistics::of(&sample, Timestamp::from_micros(0), 100).by_policy;
        let hours = |n: u64| Some(Duration::from_secs(n * 3600));
        let none = PolicyFigures::default();
        let release = PolicyFigures {
            pending: 2,
            overdue: 1,
            decided: 20,
            median: hours(10),
            p95: hours(19),
        };
        let name = |name: &str| Some(name.to_owned());
        let expected = [
            (None, none),
            (name("expired"), none),
            (name("hotfix"), PolicyFigures { pending: 1, ..none }),
            (name("release"), release),
        ];
        assert_eq!(found, expected.into());
    }

    #[test]
    fn an_approval_by_the_timers_is_no_answer() {
        let at = Timestamp::from_micros(1);
        let columns = (HitlStatus::Approved, HitlKind::Approval, None);
        assert_eq!(HitlLine::new(columns, None, at, Some((at, "scheduler"))).answered_at, None);
        assert_eq!(HitlLine::new(columns, None, at, Some((at, "ada"))).answered_at, Some(at));
    }
}
