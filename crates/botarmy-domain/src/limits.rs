//! Limits of rates, by the generic cell rate algorithm (GCRA): one time per meter says all that
//! happened before.
//!
//! ITU-T I.371 (03/2004), annex A, defines the algorithm.

use std::time::Duration;

/// A rate, and the number of units that may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Time in which one unit becomes free again, in microseconds; at least 1.
    interval: u64,
    /// Largest number of units at once; at least 1.
    burst: u64,
}

/// Use of a rate so far: the time at which all of the burst is free again, in microseconds since the
/// beginning of the clock that its caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meter(pub u64);

/// Result of taking units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Use after it; the same as before where it was refused.
    pub meter: Meter,
    /// Time until the units are free, if they are not. A cost above the burst is never free, and is
    /// taken when all of the burst is.
    pub wait: Option<Duration>,
    /// Number of units that are left now.
    pub left: u64,
    /// Time until all of the burst is free again.
    pub until_full: Duration,
}

impl Rate {
    /// Returns the rate of this many units in a time, with this burst. `None` where there is no limit:
    /// for 0 units.
    #[must_use]
    pub fn new(units: u32, per: Duration, burst: u32) -> Option<Self> {
        if units == 0 {
            return None;
        }
        let interval = micros(per) / u64::from(units);
        Some(Self { interval: interval.max(1), burst: u64::from(burst.max(1)) })
    }

    /// Returns the largest number of units at once.
    #[must_use]
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// Returns the time in which all of the burst becomes free again.
    #[must_use]
    pub const fn window(self) -> Duration {
        Duration::from_micros(self.interval.saturating_mul(self.burst))
    }

    /// Takes units at a time, in microseconds. The time may go back: nothing becomes free by that.
    #[must_use]
    pub fn take(self, meter: Meter, cost: u64, now: u64) -> Taken {
        let window = self.interval.saturating_mul(self.burst);
        let cost = self.interval.saturating_mul(cost.min(self.burst));
        let full_at = meter.0.max(now).saturating_add(cost);
        let end = now.saturating_add(window);
        if full_at > end {
            return self.after(meter, Some(full_at - end), now);
        }
        self.after(Meter(full_at), None, now)
    }

    fn after(self, meter: Meter, wait: Option<u64>, now: u64) -> Taken {
        let used = meter.0.saturating_sub(now);
        let window = self.interval.saturating_mul(self.burst);
        Taken {
            meter,
            wait: wait.map(Duration::from_micros),
            left: window.saturating_sub(used) / self.interval,
            until_full: Duration::from_micros(used),
        }
    }
}

impl Meter {
    /// Returns whether nothing is used at this time, so that the meter may be forgotten.
    #[must_use]
    pub const fn is_full(self, now: u64) -> bool {
        self.0 <= now
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn rate(units: u32, seconds: u64, burst: u32) -> Rate {
        Rate::new(units, Duration::from_secs(seconds), burst).unwrap()
    }

    /// Takes units one by one at these times, and returns whether each was given.
    fn given(rate: Rate, times: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let mut meter = Meter::default();
        let take = |now| {
            let taken = rate.take(meter, 1, now);
            meter = taken.meter;
            taken.wait.is_none()
        };
        times.into_iter().map(take).collect()
    }

    #[test]
    fn a_burst_is_given_at_once_and_then_the_rate() {
        let ten_a_minute = rate(10, 60, 10);
        let start = 1000 * SECOND;
        let given = given(ten_a_minute, (0..20).map(|_| start).chain([start + 6 * SECOND; 2]));
        assert_eq!(given.iter().filter(|given| **given).count(), 11);
        assert!(given[..10].iter().all(|given| *given) && given[20] && !given[21]);
    }

    #[test]
    fn in_any_time_no_more_is_given_than_the_burst_and_the_rate() {
        let rate = rate(200, 1, 4000);
        let mut seed = 7_u64;
        let mut now = SECOND;
        let times: Vec<u64> = (0..20_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                now += seed >> 52;
                now
            })
            .collect();
        let given = given(rate, times.iter().copied());
        let count = given.iter().filter(|given| **given).count() as u64;
        let most = 4000 + (times.last().unwrap() - times[0]) * 200 / SECOND + 1;
        assert!(count <= most && count + 1 >= most.min(20_000), "{count} of at most {most}");
    }

    #[test]
    fn the_wait_that_is_named_is_enough_and_not_too_long() {
        let rate = rate(200, 1, 4000);
        let mut meter = Meter::default();
        let now = 50 * SECOND;
        while let Taken { meter: after, wait: None, .. } = rate.take(meter, 50, now) {
            meter = after;
        }
        let refused = rate.take(meter, 50, now);
        let wait = u64::try_from(refused.wait.unwrap().as_micros()).unwrap();
        assert_eq!((wait, refused.left, refused.meter), (250_000, 0, meter));
        assert!(rate.take(meter, 50, now + wait - 1).wait.is_some());
        assert_eq!(rate.take(meter, 50, now + wait).wait, None);
        assert_eq!(rate.window(), Duration::from_secs(20));
    }

    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let rate = rate(1, 60, 1);
        let taken = rate.take(Meter::default(), 1, 100 * SECOND);
        assert_eq!(taken.wait, None);
        assert!(rate.take(taken.meter, 1, 10 * SECOND).wait.is_some());
        assert!(!taken.meter.is_full(100 * SECOND) && taken.meter.is_full(160 * SECOND));
    }

    #[test]
    fn a_cost_above_the_burst_takes_all_of_it() {
        let rate = rate(1, 1, 5);
        let taken = rate.take(Meter::default(), 50, 100 * SECOND);
        assert_eq!((taken.wait, taken.left), (None, 0));
        assert_eq!(taken.until_full, Duration::from_secs(5));
        assert!(Rate::new(0, Duration::from_secs(1), 5).is_none());
    }
}
