//! Conversion of rows to and from JSON text.

use serde::Serialize;

pub use botarmy_domain::json::{read, read_as};

/// Returns the JSON text of a value.
pub fn write<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("entities have text keys only, so they are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_as_it_was_written() {
        for number in [0.1 + 0.2, 1e23, 5e-324, f64::MAX, 1.2345678901234567e-7, -0.0] {
            assert_eq!(read::<f64>(&write(&number)).unwrap().to_bits(), f64::to_bits(number));
        }
        assert_eq!(read::<u64>(&write(&u64::MAX)), Ok(u64::MAX));
    }
}
