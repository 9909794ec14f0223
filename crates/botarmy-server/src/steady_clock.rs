//! A clock that never jumps. Leases, retries and requests are due at stored times, so a correction of
//! the machine's clock by an hour would end what has just begun, or keep it from ever being due.
//!
//! The clock starts at the machine's time and goes on with the time that really passes. Where the two
//! come apart, it catches up by running a tenth faster or slower: durations stay right to a tenth,
//! and no time is read that lies before an earlier one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::Timestamp;
use botarmy_domain::ports::Clock;
use tracing::{info, warn};

/// Smallest change of the machine's clock, against the time that passed, that is reported as a jump,
/// in microseconds. Time servers correct less than that gradually.
const JUMP: i64 = 1_000_000;
/// Part of the passed time by which the clock runs faster or slower to catch up.
const CATCH_UP: i64 = 10;
/// Time within which two readings are of the same moment.
const SAME_MOMENT: Duration = Duration::from_millis(5);
/// Interval of the reports while the clock catches up.
const REMINDER: Duration = Duration::from_secs(3600);

/// Clocks of a machine.
pub trait MachineClocks: Send + Sync + 'static {
    /// Returns the time of day, which can be set.
    fn wall(&self) -> Timestamp;

    /// Returns the time that has passed since some fixed point. It cannot be set.
    fn passed(&self) -> Duration;
}

/// Clock that follows the time of a machine without its jumps.
#[derive(Debug)]
pub struct SteadyClock<M> {
    machine: M,
    last: Mutex<Reading>,
}

/// The latest reading.
#[derive(Debug, Clone, Copy)]
struct Reading {
    passed: Duration,
    time: Timestamp,
    /// Time by which the machine's clock was ahead, in microseconds; negative if it was behind.
    gap: i64,
    /// Time at which the gap was last reported.
    reported: Duration,
}

impl<M: MachineClocks> SteadyClock<M> {
    /// Creates a clock that shows the machine's time now.
    pub fn new(machine: M) -> Self {
        let (passed, time) = read(&machine);
        Self { machine, last: Mutex::new(Reading { passed, time, gap: 0, reported: passed }) }
    }
}

/// Reads both clocks of a machine as of the same moment. A process that is interrupted between the two
/// would take the interruption for a jump, so it reads again.
fn read(machine: &impl MachineClocks) -> (Duration, Timestamp) {
    let mut tries = 0;
    loop {
        let (passed, wall) = (machine.passed(), machine.wall());
        tries += 1;
        if tries == 5 || machine.passed().saturating_sub(passed) < SAME_MOMENT {
            return (passed, wall);
        }
    }
}

impl Reading {
    fn next(self, passed: Duration, wall: Timestamp) -> Self {
        let elapsed = passed.saturating_sub(self.passed);
        let steady = self.time.after(elapsed);
        let gap = wall.micros().saturating_sub(steady.micros());
        let most = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX) / CATCH_UP;
        let step = gap.clamp(-most, most);
        let time = Timestamp::from_micros(steady.micros().saturating_add(step));
        let reported = report(gap, gap.saturating_sub(self.gap), passed, self.reported);
        Self { passed: self.passed.max(passed), time, gap: gap - step, reported }
    }
}

/// Reports a jump when it happens, and from time to time until the clock has caught up. Returns the
/// time of the latest report.
fn report(gap: i64, jump: i64, passed: Duration, reported: Duration) -> Duration {
    let seconds = |micros: i64| Duration::from_micros(micros.unsigned_abs()).as_secs();
    let direction = |micros: i64| if micros > 0 { "forward" } else { "back" };
    if jump.abs() >= JUMP {
        warn!(
            jump_us = jump,
            "The machine's clock was set {} by {} s. Leases and due times keep their durations: the \
             server goes on with its own time and adapts it by a tenth of the time that passes. A \
             restart adopts the new time at once",
            direction(jump),
            seconds(jump)
        );
        return passed;
    }
    if gap.abs() >= JUMP && passed.saturating_sub(reported) >= REMINDER {
        info!(gap_us = gap, "The server's time is still {} s from the machine's", seconds(gap));
        return passed;
    }
    reported
}

impl<M: MachineClocks> Clock for SteadyClock<M> {
    fn now(&self) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that readings are in order.
        let (passed, wall) = read(&self.machine);
        *last = last.next(passed, wall);
        last.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3600 * SECOND;

    fn start() -> Reading {
        let time = Timestamp::from_micros(1_800_000_000 * SECOND);
        Reading { passed: Duration::ZERO, time, gap: 0, reported: Duration::ZERO }
    }

    /// Returns the readings of a day, one a second, on a machine whose clock is `ahead` of the time
    /// that passes.
    fn day(ahead: impl Fn(i64) -> i64) -> Vec<i64> {
        let (mut reading, begin) = (start(), start().time.micros());
        let read = |second: i64| {
            let wall = Timestamp::from_micros(begin + second * SECOND + ahead(second));
            reading = reading.next(Duration::from_secs(second.unsigned_abs()), wall);
            reading.time.micros() - begin
        };
        (1..=86_400).map(read).collect()
    }

    #[test]
    fn without_jumps_it_shows_the_time_of_the_machine() {
        // A machine that gains 20 ppm, which is much.
        for (n, time) in (1..).zip(day(|second| second * 20)) {
            assert_eq!(time, n * SECOND + n * 20);
        }
    }

    #[test]
    fn after_a_jump_durations_stay_right_to_a_tenth_until_it_has_caught_up() {
        for jump in [HOUR, -HOUR, 90 * SECOND, -90 * SECOND] {
            let times = day(|second| if second > 100 { jump } else { 0 });
            for pair in times.windows(2) {
                let step = pair[1] - pair[0];
                assert!((900_000..=1_100_000).contains(&step), "{jump}: {step}");
            }
            let last = *times.last().unwrap();
            assert_eq!(last, 86_400 * SECOND + jump, "it has caught up");
            assert!((times[110] - 111 * SECOND).abs() <= 2 * SECOND, "it has not jumped");
        }
    }

    #[test]
    fn a_reading_never_lies_before_an_earlier_one() {
        let wild = day(|second| (second * 7919 % 13 - 6) * HOUR);
        assert!(wild.is_sorted());
        let reading = start().next(Duration::from_secs(10), start().time);
        let earlier = reading.next(Duration::from_secs(9), start().time);
        assert!(earlier.time >= reading.time && earlier.passed == reading.passed);
    }

    /// A machine that is stopped for ten seconds between the first two readings of its clocks.
    struct Interrupted(std::sync::atomic::AtomicU64);

    impl MachineClocks for Interrupted {
        fn wall(&self) -> Timestamp {
            self.0.fetch_max(10, std::sync::atomic::Ordering::SeqCst);
            start().time.after(Duration::from_secs(10))
        }

        fn passed(&self) -> Duration {
            Duration::from_secs(self.0.load(std::sync::atomic::Ordering::SeqCst))
        }
    }

    #[test]
    fn an_interruption_between_two_readings_is_not_taken_for_a_jump() {
        let machine = Interrupted(0.into());
        let expected = (Duration::from_secs(10), start().time.after(Duration::from_secs(10)));
        assert_eq!(read(&machine), expected);
    }

    #[test]
    fn it_is_reported_when_it_happens_and_every_hour() {
        let at = Duration::from_secs;
        assert_eq!(report(HOUR, HOUR, at(5), at(0)), at(5), "a jump");
        assert_eq!(report(HOUR, -10, at(6), at(5)), at(5), "catching up");
        assert_eq!(report(HOUR, -10, at(3605), at(5)), at(3605), "a reminder");
        assert_eq!(report(10, 10, at(9000), at(5)), at(5), "nothing to report");
    }
}
