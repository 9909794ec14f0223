//! Time and entropy, handed in. A decision that is run twice on the same [`Moment`] mints the
//! same ids, so a store may try a decision again without anyone noticing.

use uuid::{Builder, Uuid};

use crate::ids::{ContextId, EventId, HitlRequestId, ProjectId, TaskId};
use crate::timestamp::Timestamp;

/// When a decision is taken, and the entropy its ids are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time of the decision.
    pub at: Timestamp,
    /// 128 bits that no other decision has.
    pub seed: u128,
}

impl Moment {
    /// A moment at the same time with a seed of its own, for the `n`th of several decisions.
    #[must_use]
    pub fn fork(self, n: u64) -> Self {
        let high = u128::from(mix(mix(upper(self.seed)) ^ n));
        let low = u128::from(mix(lower(self.seed).wrapping_add(mix(n))));
        Self { at: self.at, seed: high << 64 | low }
    }

    /// Starts minting ids.
    #[must_use]
    pub const fn id_generator(self) -> IdGenerator {
        IdGenerator { moment: self, next: 0 }
    }
}

/// Makes the ids of one decision, in ascending order.
#[derive(Debug, Clone)]
pub struct IdGenerator {
    moment: Moment,
    next: u16,
}

impl IdGenerator {
    /// The time of the decision.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.moment.at
    }

    /// Entropy that belongs to this decision and to nothing else, for jitter.
    #[must_use]
    pub fn jitter(&self) -> u64 {
        mix(lower(self.moment.seed) ^ 0x6a69_7474_6572)
    }

    /// A UUID version 7. Its `rand_a` field is the fraction of the millisecond (RFC 9562, section
    /// 6.2, method 3) and `rand_b` begins with a counter (method 1), so that ids sort by the
    /// microsecond, and those of one decision in the order they were made.
    pub fn uuid(&mut self) -> Uuid {
        let n = self.next;
        self.next = self.next.checked_add(1).expect("a decision makes fewer than 65,536 ids");
        let entropy =
            mix(lower(self.moment.seed).wrapping_add(u64::from(n))) ^ mix(upper(self.moment.seed));
        let micros = self.moment.at.micros().rem_euclid(1000);
        let fraction = u16::try_from(micros * 4096 / 1000).unwrap_or(0);
        // The two highest bits of the last eight bytes are the variant; the counter comes next.
        let tail = u64::from(n) << 46 | entropy >> 18;
        let mut random = [0_u8; 10];
        random[..2].copy_from_slice(&fraction.to_be_bytes());
        random[2..].copy_from_slice(&tail.to_be_bytes());
        let millis = u64::try_from(self.moment.at.millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A new project id.
    pub fn project(&mut self) -> ProjectId {
        ProjectId::from_uuid(self.uuid())
    }

    /// A new task id.
    pub fn task(&mut self) -> TaskId {
        TaskId::from_uuid(self.uuid())
    }

    /// A new human-in-the-loop request id.
    pub fn request(&mut self) -> HitlRequestId {
        HitlRequestId::from_uuid(self.uuid())
    }

    /// A new artifact id.
    pub fn context(&mut self) -> ContextId {
        ContextId::from_uuid(self.uuid())
    }

    /// A new log entry id.
    pub fn event(&mut self) -> EventId {
        EventId::from_uuid(self.uuid())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn lower(seed: u128) -> u64 {
    seed as u64
}

const fn upper(seed: u128) -> u64 {
    lower(seed >> 64)
}

/// The finaliser of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014): every input bit reaches every output bit.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment { at: Timestamp::from_micros(1_800_000_000_000_000), seed: 7 };

    #[test]
    fn ids_ascend_within_a_decision_and_carry_its_time() {
        let mut id_generator = MOMENT.id_generator();
        let ids: Vec<_> = (0..1000).map(|_| id_generator.uuid()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].get_version_num(), 7);
        let later = Moment { at: Timestamp::from_micros(MOMENT.at.micros() + 1), seed: 3 };
        assert!(later.id_generator().uuid() > ids[999], "a microsecond later");
        let (seconds, _) = ids[999].get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, 1_800_000_000);
    }

    #[test]
    fn the_same_moment_mints_the_same_ids_and_another_mints_others() {
        let first = MOMENT.id_generator().uuid();
        assert_eq!(first, MOMENT.id_generator().uuid());
        assert_ne!(first, Moment { seed: 8, ..MOMENT }.id_generator().uuid());
        assert_ne!(first, MOMENT.fork(0).id_generator().uuid());
        assert_ne!(MOMENT.fork(0), MOMENT.fork(1));
    }
}
