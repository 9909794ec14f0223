//! Conversion of rows to and from JSON text.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

/// Maximum nesting of stored JSON. The API accepts documents of up to 128 levels; a store adds a
/// few around them.
const MAX_DEPTH: usize = 256;

/// Returns the JSON text of a value.
pub fn write<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("entities have text keys only, so they are JSON")
}

/// Reads a value from stored text.
///
/// # Errors
/// Returns a description of the problem for the repair of the row.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    read_as(PhantomData::<T>, text)
}

/// Reads a value from stored text with a seed.
///
/// # Errors
/// Returns a description of the problem for the repair of the row.
pub fn read_as<'de, S: DeserializeSeed<'de> + Copy>(
    seed: S,
    text: &'de str,
) -> Result<S::Value, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read =
        seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => Ok(value),
        Err(_) if (128..=MAX_DEPTH).contains(&depth(text)) => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            deserializer.disable_recursion_limit();
            seed.deserialize(&mut deserializer).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the nesting depth of arrays and objects in a text.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_number_comes_back_as_it_was_written() {
        for number in [0.1 + 0.2, 1e23, 5e-324, f64::MAX, 1.2345678901234567e-7, -0.0] {
            assert_eq!(read::<f64>(&write(&number)).unwrap().to_bits(), f64::to_bits(number));
        }
        assert_eq!(read::<u64>(&write(&u64::MAX)), Ok(u64::MAX));
    }

    #[test]
    fn a_deep_document_is_read_and_a_bottomless_one_is_refused() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read::<Value>(&nested(200)).is_ok());
        assert!(read::<Value>(&nested(100_000)).is_err());
        assert_eq!(depth(r#"{"a[{":["\"[", {}]}"#), 3);
    }
}
