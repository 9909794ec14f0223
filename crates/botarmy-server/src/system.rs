//! The only place that asks the machine for time and randomness.

use std::time::Duration;

use botarmy_domain::Timestamp;
use botarmy_domain::ports::{Clock, Ids, Secrets};
use uuid::Uuid;

use crate::steady_clock::MachineClocks;

/// The machine's clock, in microseconds. It jumps when it is set; a server uses
/// [`crate::steady_clock::SteadyClock`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn now(&self) -> Timestamp {
        let nanos = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
        Timestamp::from_micros(i64::try_from(nanos.div_euclid(1000)).unwrap_or(i64::MAX))
    }
}

impl MachineClocks for SystemClock {
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// Goes on while the machine is suspended: that time has passed for everyone else.
    fn passed(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    }
}

/// The machine's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn seed(&self) -> u128 {
        Uuid::new_v4().as_u128()
    }
}

/// The machine's cryptographic randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomSecrets;

impl Secrets for RandomSecrets {
    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the kernel has had randomness since it was started");
        bytes
    }
}
