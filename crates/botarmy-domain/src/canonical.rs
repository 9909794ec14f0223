//! Canonical JSON (RFC 8785), the input of digests and of the log's hashes.
//!
//! Hashing is most of the cost of a decision, so the ordinary case is written directly:
//! `serde_json` escapes strings as the RFC requires, and keys are mostly in order already. The
//! exceptions, which are numbers other than small integers and keys out of order, go to a library
//! for this form, which is slower because it allocates for each key.
//!
//! A feature that any dependency may enable decides whether the maps of `serde_json` sort their
//! keys. This code does not rely on it: the order is checked while it is written.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use serde_json::{Map, Value};

/// Largest integer below which integers and doubles have the same values and the same spelling.
const MAX_EXACT: u64 = 1 << 53;

/// Returns the canonical JSON of a value.
#[must_use]
pub(crate) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    // Struct fields keep the order of the source; the maps of a `Value` may be sorted.
    let value = serde_json::to_value(value).expect("hashed values are JSON with string keys");
    of_ordered(&value)
}

/// Returns the canonical JSON of a value whose structs declare their fields in alphabetical order.
#[must_use]
pub(crate) fn of_ordered<T: Serialize>(value: &T) -> Vec<u8> {
    let mut written = Vec::with_capacity(512);
    let mut unusual = false;
    let format = Canonical { in_key: false, keys: Vec::new(), unusual: &mut unusual };
    value
        .serialize(&mut Serializer::with_formatter(&mut written, format))
        .expect("hashed values are JSON with string keys");
    if unusual { by_library(value) } else { written }
}

fn by_library<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("hashed values are JSON with string keys")
}

/// Returns the map with its keys in order, including those of nested maps.
pub(crate) fn in_order(map: Map<String, Value>) -> Map<String, Value> {
    let sorted: BTreeMap<String, Value> =
        map.into_iter().map(|(key, value)| (key, value_in_order(value))).collect();
    sorted.into_iter().collect()
}

fn value_in_order(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(in_order(map)),
        Value::Array(items) => items.into_iter().map(value_in_order).collect(),
        other => other,
    }
}

struct Canonical<'a> {
    in_key: bool,
    /// Previous key and current key of every open object.
    keys: Vec<[Vec<u8>; 2]>,
    /// Set when a value occurs that this formatter does not write as the RFC requires.
    unusual: &'a mut bool,
}

impl Formatter for Canonical<'_> {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.keys.push(Default::default());
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.keys.pop();
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.in_key = true;
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_key = false;
        if let Some([before, now]) = self.keys.last_mut() {
            *self.unusual |= !before.is_empty() && *before >= *now;
            std::mem::swap(before, now);
            now.clear();
        }
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.in_key {
            // From U+E000 on, UTF-8 and UTF-16 sort differently.
            *self.unusual |= fragment.bytes().any(|byte| byte >= 0xee);
            if let Some([_, now]) = self.keys.last_mut() {
                now.extend_from_slice(fragment.as_bytes());
            }
        }
        writer.write_all(fragment.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        // An escaped character sorts by its value, not by its escape sequence.
        *self.unusual |= self.in_key;
        CompactFormatter.write_char_escape(writer, escape)
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        *self.unusual |= value > MAX_EXACT;
        write!(writer, "{value}")
    }

    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        *self.unusual |= value.unsigned_abs() > MAX_EXACT;
        write!(writer, "{value}")
    }

    fn write_f64<W: ?Sized + Write>(&mut self, _: &mut W, _: f64) -> io::Result<()> {
        *self.unusual = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1000..1000_i64).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x1f\"\\\\/\\x7f\u{2028}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            let key = prop_oneof![any::<String>(), "[a-c\u{e000}\u{ffff}\u{10000}]{0,3}"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::vec((key, inner), 0..8)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_writes(value in values()) {
            prop_assert_eq!(canonical(&value), by_library(&value));
        }
    }

    /// A struct with its keys out of order; a map cannot be relied on to have them so.
    #[test]
    fn keys_that_are_out_of_order_are_put_in_order() {
        #[derive(Serialize)]
        struct Wrong {
            b: u8,
            a: u8,
        }
        assert_eq!(of_ordered(&Wrong { b: 1, a: 2 }), b"{\"a\":2,\"b\":1}");
    }

    #[test]
    fn the_ordinary_case_is_written_directly() {
        let value = json!({"b": [1, -2, true, null, "\u{7f}\u{1}é"], "a": {"z": 0, "y": {}}});
        let written = of_ordered(&value);
        let expected = "{\"a\":{\"y\":{},\"z\":0},\"b\":[1,-2,true,null,\"\u{7f}\\u0001é\"]}";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
