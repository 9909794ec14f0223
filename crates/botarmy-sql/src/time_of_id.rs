//! Ids begin with their time in milliseconds (UUID version 7; RFC 9562, section 5.7), so a range of
//! time is a range of ids, and an index on ids serves both.

use botarmy_domain::Timestamp;

/// Returns the least id with this time.
#[must_use]
pub fn first(time: Timestamp) -> [u8; 16] {
    with_time([0x00; 16], time)
}

/// Returns the greatest id with this time.
#[must_use]
pub fn last(time: Timestamp) -> [u8; 16] {
    with_time([0xff; 16], time)
}

/// Sets the time of an id, in milliseconds, limited to 48 bits.
fn with_time(mut id: [u8; 16], time: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(time.millis()).unwrap_or(0).min((1 << 48) - 1).to_be_bytes();
    id[..6].copy_from_slice(&millis[2..]);
    id
}

#[cfg(test)]
mod tests {
    use botarmy_domain::IdGenerator;

    use super::*;

    #[test]
    fn an_id_lies_between_the_first_and_the_last_of_its_time() {
        for micros in [0, 1, 1_767_225_600_000_999] {
            let at = Timestamp::from_micros(micros);
            let id = *IdGenerator::new(at, 7).event().bytes();
            assert!(first(at) <= id && id <= last(at));
        }
        let before = Timestamp::from_micros(1_767_225_600_000_000 - 1);
        let id = *IdGenerator::new(before, u128::MAX).event().bytes();
        assert!(id < first(Timestamp::from_micros(1_767_225_600_000_000)));
    }
}
