//! Ids of one decision. A generator that is made twice from the same time and seed gives the same
//! ids, so a store may run a decision again without any visible difference.

use uuid::{Builder, Uuid};

use crate::ids::{
    ContextId, CredentialId, DeliveryId, EventId, HitlRequestId, ProjectId, TaskId, WebhookId,
};
use crate::timestamp::Timestamp;

/// Makes the ids of one decision, in ascending order.
#[derive(Debug, Clone)]
pub struct IdGenerator {
    now: Timestamp,
    seed: u128,
    next: u16,
}

impl IdGenerator {
    /// Returns a generator for a decision at the time `now`. No two decisions may share a `seed`.
    #[must_use]
    pub const fn new(now: Timestamp, seed: u128) -> Self {
        Self { now, seed, next: 0 }
    }

    /// Time of the decision.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Entropy of this decision alone, for jitter.
    #[must_use]
    pub fn jitter(&self) -> u64 {
        mix(lower(self.seed) ^ 0x6a69_7474_6572)
    }

    /// Returns a new UUID version 7. Its `rand_a` field is the fraction of the millisecond
    /// (RFC 9562, section 6.2, method 3) and `rand_b` begins with a counter (method 1): ids sort by
    /// the microsecond, and those of one decision in the order of their creation.
    pub fn uuid(&mut self) -> Uuid {
        let n = self.next;
        self.next = self.next.checked_add(1).expect("a decision makes fewer than 65,536 ids");
        let entropy = mix(lower(self.seed).wrapping_add(u64::from(n))) ^ mix(upper(self.seed));
        let micros = self.now.micros().rem_euclid(1000);
        let fraction = u16::try_from(micros * 4096 / 1000).unwrap_or(0);
        // The two highest bits of the last eight bytes are the variant; the counter comes next.
        let tail = u64::from(n) << 46 | entropy >> 18;
        let mut random = [0_u8; 10];
        random[..2].copy_from_slice(&fraction.to_be_bytes());
        random[2..].copy_from_slice(&tail.to_be_bytes());
        let millis = u64::try_from(self.now.millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// Returns a new project id.
    pub fn project(&mut self) -> ProjectId {
        ProjectId::from_uuid(self.uuid())
    }

    /// Returns a new task id.
    pub fn task(&mut self) -> TaskId {
        TaskId::from_uuid(self.uuid())
    }

    /// Returns a new human-in-the-loop request id.
    pub fn request(&mut self) -> HitlRequestId {
        HitlRequestId::from_uuid(self.uuid())
    }

    /// Returns a new artifact id.
    pub fn context(&mut self) -> ContextId {
        ContextId::from_uuid(self.uuid())
    }

    /// Returns a new log entry id.
    pub fn event(&mut self) -> EventId {
        EventId::from_uuid(self.uuid())
    }

    /// Returns a new id of a credential.
    pub fn credential(&mut self) -> CredentialId {
        CredentialId::from_uuid(self.uuid())
    }

    /// Returns a new id of a subscription of a webhook.
    pub fn webhook(&mut self) -> WebhookId {
        WebhookId::from_uuid(self.uuid())
    }

    /// Returns a new id of an attempt to deliver the message of a webhook.
    pub fn delivery(&mut self) -> DeliveryId {
        DeliveryId::from_uuid(self.uuid())
    }
}

/// Returns the seed of the `n`th of several decisions that share `seed`.
#[must_use]
pub(crate) fn fork(seed: u128, n: u64) -> u128 {
    let high = u128::from(mix(mix(upper(seed)) ^ n));
    let low = u128::from(mix(lower(seed).wrapping_add(mix(n))));
    high << 64 | low
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

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn ids_ascend_within_a_decision_and_carry_its_time() {
        let mut generator = IdGenerator::new(NOW, 7);
        let ids: Vec<_> = (0..1000).map(|_| generator.uuid()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].get_version_num(), 7);
        let later = Timestamp::from_micros(NOW.micros() + 1);
        assert!(IdGenerator::new(later, 3).uuid() > ids[999], "a microsecond later");
        let (seconds, _) = ids[999].get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, 1_800_000_000);
    }

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_gives_others() {
        let first = IdGenerator::new(NOW, 7).uuid();
        assert_eq!(first, IdGenerator::new(NOW, 7).uuid());
        assert_ne!(first, IdGenerator::new(NOW, 8).uuid());
        assert_ne!(first, IdGenerator::new(NOW, fork(7, 0)).uuid());
        assert_ne!(fork(7, 0), fork(7, 1));
    }
}
