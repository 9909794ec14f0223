//! Canonical JSON (RFC 8785): what digests and the hashes of the log cover.
//!
//! Sealing is most of what a decision costs, so the ordinary case is written directly: `serde_json`
//! escapes strings as the RFC says, and keys mostly come in order. What it does otherwise, numbers
//! that are not small integers and keys out of order, is left to the library for this form, which
//! is slower (it takes every key apart and allocates for each).
//!
//! Whether the maps of `serde_json` sort their keys is decided by a feature that any dependency may
//! turn on for all. So nothing here trusts it: the order is looked at while it is written.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use serde_json::{Map, Value};

/// Up to here an integer and a double are the same number, and are written the same.
const MAX_EXACT: u64 = 1 << 53;

/// The canonical JSON of a value.
#[must_use]
pub(crate) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    // A struct has its fields in the order of the source; a value may know them in order.
    let value = serde_json::to_value(value).expect("what is hashed is JSON with text keys");
    of_ordered(&value)
}

/// The canonical JSON of a value whose structs declare their fields in alphabetical order.
#[must_use]
pub(crate) fn of_ordered<T: Serialize>(value: &T) -> Vec<u8> {
    let mut written = Vec::with_capacity(512);
    let mut unusual = false;
    let format = Canonical { in_key: false, keys: Vec::new(), unusual: &mut unusual };
    value
        .serialize(&mut Serializer::with_formatter(&mut written, format))
        .expect("what is hashed is JSON with text keys");
    if unusual { by_library(value) } else { written }
}

fn by_library<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("what is hashed is JSON with text keys")
}

/// The same map with its keys in order, and those of every map within.
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
    /// For every object that is open the key before and the key that is being written.
    keys: Vec<[Vec<u8>; 2]>,
    /// Something came that this format does not write as the RFC says.
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
        // What is escaped sorts as what it stands for.
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

    /// A struct in the wrong order, since a map cannot be relied on to be in one.
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
