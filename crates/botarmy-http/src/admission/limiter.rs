//! Limits of principals, and of failed authentication. They protect one server and are shared with no
//! other; budgets limit money and are shared.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use botarmy_domain::limits::{Meter, Rate};
use botarmy_domain::{PrincipalId, PrincipalKind};

use super::rate_limit_headers::{Quota, UNITS, policy};
use super::routes::Policy;
use super::source::Source;
use crate::endpoint::Effort;
use crate::error::Problem;

/// Limits of principals and of failed authentication; 0 for no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Units per second of a person: a read costs 1, a write 5, an export, a check or a package 50.
    pub person_units_per_s: u32,
    /// Units that a person may use at once.
    pub person_burst: u32,
    /// Units per second of a service.
    pub service_units_per_s: u32,
    /// Units that a service may use at once.
    pub service_burst: u32,
    /// Failed authentications per minute from one address, or from one network of IPv6.
    pub failures_per_minute: u32,
    /// Failed authentications from there at once.
    pub failures_burst: u32,
    /// Sign-ins that one address, or one network of IPv6, may begin per minute.
    pub logins_per_minute: u32,
    /// Requests of a person at the same time.
    pub person: Concurrency,
    /// Requests of a service at the same time.
    pub service: Concurrency,
}

/// Largest numbers of requests of a principal at the same time; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Requests of no other kind.
    pub requests: u32,
    /// Requests that wait for work.
    pub long_polls: u32,
    /// WebSockets and event streams.
    pub streams: u32,
    /// Exports, checks and packages.
    pub heavy: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            person_units_per_s: 200,
            person_burst: 4000,
            service_units_per_s: 0,
            service_burst: 4000,
            failures_per_minute: 10,
            failures_burst: 10,
            logins_per_minute: 30,
            person: Concurrency { requests: 64, long_polls: 64, streams: 100, heavy: 2 },
            service: Concurrency { requests: 1024, long_polls: 2000, streams: 2000, heavy: 4 },
        }
    }
}

/// Number of sources that are remembered, for all that have failed or signed in within their window.
const MAX_SOURCES: usize = 65_536;
/// Number of principals that are remembered, before those that do nothing are forgotten.
const MAX_PRINCIPALS: usize = 16_384;
/// Seconds after which to try again when too many requests are served at once.
const BUSY_RETRY_AFTER_S: u64 = 1;

/// Limits and the use of them.
pub(super) struct Limiter {
    person: Limits,
    service: Limits,
    failures: Sources,
    logins: Sources,
    principals: RwLock<HashMap<PrincipalId, Arc<Usage>>>,
}

/// Limits of principals of a kind.
struct Limits {
    /// Rate, with its policy as a header.
    rate: Option<(Rate, HeaderValue)>,
    at_once: Concurrency,
}

impl Limits {
    fn new(units_per_s: u32, burst: u32, at_once: Concurrency) -> Self {
        let rate = Rate::new(units_per_s, Duration::from_secs(1), burst);
        Self { rate: rate.map(|rate| (rate, policy(rate))), at_once }
    }
}

/// Limit of something for each source.
struct Sources {
    rate: Option<Rate>,
    meters: Mutex<HashMap<Source, Meter>>,
}

impl Sources {
    fn new(rate: Option<Rate>) -> Self {
        Self { rate, meters: Mutex::default() }
    }

    /// Returns whether one more of this source would be too many.
    fn is_used_up(&self, source: Source, now: u64) -> bool {
        let Some(rate) = self.rate else { return false };
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meters.get(&source).copied().unwrap_or_default();
        rate.take(meter, 1, now).wait.is_some()
    }

    /// Counts one.
    ///
    /// # Errors
    /// The time to wait if there are too many from this source.
    fn take(&self, source: Source, now: u64) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if meters.len() >= MAX_SOURCES && !meters.contains_key(&source) {
            meters.retain(|_, meter| !meter.is_full(now));
            // A flood from very many networks: each of them gets its burst again.
            if meters.len() >= MAX_SOURCES {
                meters.clear();
            }
        }
        let meter = meters.entry(source).or_default();
        let taken = rate.take(*meter, 1, now);
        *meter = taken.meter;
        taken.wait.map_or(Ok(()), Err)
    }
}

/// Use of its limits by a principal.
#[derive(Debug, Default)]
struct Usage {
    meter: AtomicU64,
    at_once: [AtomicU32; 4],
}

impl Usage {
    fn is_idle(&self, now: u64) -> bool {
        let serves = self.at_once.iter().any(|count| count.load(Ordering::Relaxed) > 0);
        !serves && Meter(self.meter.load(Ordering::Relaxed)).is_full(now)
    }
}

impl Limiter {
    pub(super) fn new(settings: &LimitSettings) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            person: Limits::new(
                settings.person_units_per_s,
                settings.person_burst,
                settings.person,
            ),
            service: Limits::new(
                settings.service_units_per_s,
                settings.service_burst,
                settings.service,
            ),
            failures: Sources::new(Rate::new(
                settings.failures_per_minute,
                minute,
                settings.failures_burst,
            )),
            logins: Sources::new(Rate::new(
                settings.logins_per_minute,
                minute,
                settings.logins_per_minute,
            )),
            principals: RwLock::default(),
        }
    }

    /// Counts a failed authentication.
    ///
    /// # Errors
    /// A 429 if there are too many from its source.
    pub(super) fn failed(&self, source: Source, now: u64) -> Result<(), Problem> {
        self.failures.take(source, now).map_err(|wait| {
            let detail = "Too many credentials from this address were not valid. Valid ones are \
                          accepted from it at any time.";
            Problem::too_many_requests(detail, &["failed-authentication"], seconds(wait))
        })
    }

    /// Returns whether a further failed authentication of this source would be above its limit.
    pub(super) fn is_failing(&self, source: Source, now: u64) -> bool {
        self.failures.is_used_up(source, now)
    }

    /// Counts a sign-in that begins.
    ///
    /// # Errors
    /// A 429 if there are too many from its source.
    pub(super) fn login(&self, source: Source, now: u64) -> Result<(), Problem> {
        self.logins.take(source, now).map_err(|wait| {
            let detail = "Too many sign-ins were begun from this address. Those who are signed in are \
                          not affected.";
            Problem::too_many_requests(detail, &["sign-ins"], seconds(wait))
        })
    }

    /// Begins a request of a principal. Returns its quota, if its units are limited, and its place
    /// among the requests.
    ///
    /// # Errors
    /// A 429 above a limit.
    pub(super) fn begin(
        &self,
        principal: PrincipalId,
        kind: PrincipalKind,
        policy: &Policy,
        now: u64,
    ) -> Result<(Option<Quota>, Slot), Problem> {
        let limits = match kind {
            PrincipalKind::Person => &self.person,
            PrincipalKind::Service | PrincipalKind::System => &self.service,
        };
        let usage = self.usage(principal, now);
        let rate = limits.rate.as_ref();
        let quota = rate.map(|(rate, header)| take(&usage, *rate, header, policy.units, now));
        let quota = quota.transpose()?;
        let slot = Slot::take(usage, policy.effort, limits.at_once)?;
        Ok((quota, slot))
    }

    fn usage(&self, principal: PrincipalId, now: u64) -> Arc<Usage> {
        let known = self.principals.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = known.get(&principal) {
            return Arc::clone(usage);
        }
        drop(known);
        let mut known = self.principals.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_PRINCIPALS {
            // One that is held elsewhere is about to be used.
            known.retain(|_, usage| Arc::strong_count(usage) > 1 || !usage.is_idle(now));
        }
        Arc::clone(known.entry(principal).or_default())
    }
}

/// Takes units of a principal.
fn take(
    usage: &Usage,
    rate: Rate,
    policy: &HeaderValue,
    units: u64,
    now: u64,
) -> Result<Quota, Problem> {
    let mut known = usage.meter.load(Ordering::Relaxed);
    loop {
        let taken = rate.take(Meter(known), units, now);
        let quota = Quota::new(policy.clone(), taken);
        if let Some(wait) = taken.wait {
            let detail = "This principal has used its units up. A read costs 1, a write 5, an export, \
                          a check or a package 50; see the header RateLimit.";
            let problem = Problem::too_many_requests(detail, &[UNITS], seconds(wait));
            return Err(quota.write_to(problem));
        }
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        match usage.meter.compare_exchange_weak(known, taken.meter.0, set, get) {
            Ok(_) => return Ok(quota),
            Err(changed) => known = changed,
        }
    }
}

fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

/// Place of a request among those that a principal has at the same time, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    usage: Arc<Usage>,
    kind: usize,
}

impl Slot {
    fn take(usage: Arc<Usage>, effort: Effort, limits: Concurrency) -> Result<Self, Problem> {
        let (kind, limit, policy, name): (_, _, &'static [&'static str], _) = match effort {
            Effort::Plain => (0, limits.requests, &["requests"], "requests"),
            Effort::LongPoll => (1, limits.long_polls, &["long-polls"], "requests for work"),
            Effort::Stream => (2, limits.streams, &["streams"], "live connections"),
            Effort::Heavy => (3, limits.heavy, &["heavy"], "exports, checks and packages"),
        };
        let slot = Self { usage, kind };
        let before = slot.usage.at_once[kind].fetch_add(1, Ordering::Relaxed);
        if limit > 0 && before >= limit {
            // Dropping the slot takes it off again.
            let detail =
                format!("This principal has {limit} {name} at the same time, which is the limit.");
            return Err(Problem::too_many_requests(detail, policy, BUSY_RETRY_AFTER_S));
        }
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.usage.at_once[self.kind].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use actix_web::ResponseError;

    use super::super::routes::Audience;
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;

    fn principal(n: u128) -> PrincipalId {
        PrincipalId::from_uuid(format!("00000000-0000-8000-8000-{n:012x}").parse().unwrap())
    }

    fn policy(effort: Effort, units: u64) -> Policy {
        Policy { audience: Audience::Callers, effort, units }
    }

    fn source(n: u32) -> Source {
        Source(Some(IpAddr::V4(Ipv4Addr::from(n))))
    }

    #[test]
    fn a_person_has_units_and_a_service_none_unless_they_are_set() {
        let limiter = Limiter::new(&LimitSettings::default());
        let read = policy(Effort::Plain, 1);
        let take = |kind, count: usize| {
            let taken = (0..count).map(|_| limiter.begin(principal(1), kind, &read, NOW).is_ok());
            taken.filter(|is_taken| *is_taken).count()
        };
        assert_eq!(take(PrincipalKind::Service, 5000), 5000);
        assert_eq!(take(PrincipalKind::Person, 5000), 4000);
        let problem = limiter.begin(principal(1), PrincipalKind::Person, &read, NOW).err().unwrap();
        let response = problem.error_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers().get("retry-after").unwrap(), "1");
        assert_eq!(response.headers().get("ratelimit").unwrap(), "\"units\";r=0;t=20");
        let other = limiter.begin(principal(2), PrincipalKind::Person, &read, NOW);
        assert!(other.is_ok(), "every principal has its own");
        let later = limiter.begin(principal(1), PrincipalKind::Person, &read, NOW + 5000);
        assert!(later.is_ok());
    }

    #[test]
    fn a_place_is_free_again_when_its_request_is_over() {
        let limiter = Limiter::new(&LimitSettings::default());
        let begin =
            |effort| limiter.begin(principal(1), PrincipalKind::Person, &policy(effort, 1), NOW);
        let first = begin(Effort::Heavy).unwrap();
        let second = begin(Effort::Heavy).unwrap();
        let refused = begin(Effort::Heavy).err().unwrap();
        assert!(refused.body("/x").contains("\"violated-policies\":[\"heavy\"]"));
        assert!(begin(Effort::Plain).is_ok() && begin(Effort::Stream).is_ok());
        drop(first);
        assert!(begin(Effort::Heavy).is_ok());
        drop(second);
        let plain: Vec<_> = (0..65).map(|_| begin(Effort::Plain)).collect();
        assert_eq!(plain.iter().filter(|begun| begun.is_ok()).count(), 64);
    }

    #[test]
    fn failures_count_against_their_address_alone() {
        let limiter = Limiter::new(&LimitSettings::default());
        let failed = (0..100).filter(|_| limiter.failed(source(1), NOW).is_ok()).count();
        assert_eq!(failed, 10);
        let problem = limiter.failed(source(1), NOW).unwrap_err();
        assert_eq!(problem.error_response().headers().get("retry-after").unwrap(), "6");
        assert!(limiter.failed(source(2), NOW).is_ok());
        assert!(limiter.failed(source(1), NOW + 6_000_000).is_ok());
        assert!(limiter.failed(source(1), NOW + 6_000_000).is_err());
    }

    #[test]
    fn the_memory_for_addresses_is_bounded() {
        let limiter = Limiter::new(&LimitSettings::default());
        for n in 0..200_000 {
            drop(limiter.failed(source(n), NOW + u64::from(n)));
        }
        assert!(limiter.failures.meters.lock().unwrap().len() <= MAX_SOURCES);
    }

    #[test]
    fn without_limits_nothing_is_refused() {
        let none = Concurrency { requests: 0, long_polls: 0, streams: 0, heavy: 0 };
        let limiter = Limiter::new(&LimitSettings {
            person_units_per_s: 0,
            failures_per_minute: 0,
            person: none,
            ..LimitSettings::default()
        });
        let heavy = policy(Effort::Heavy, 50);
        let begin = |_| limiter.begin(principal(1), PrincipalKind::Person, &heavy, NOW);
        let begun: Vec<_> = (0..1000).map(begin).collect();
        assert!(begun.iter().all(|begun| begun.as_ref().is_ok_and(|(quota, _)| quota.is_none())));
        assert!((0..1000).all(|_| limiter.failed(source(1), NOW).is_ok()));
    }
}
