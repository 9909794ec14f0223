//! Canonical JSON (RFC 8785): what digests and the hashes of the log cover.
//!
//! Sealing is most of what a decision costs, so the ordinary case is written directly: `serde_json`
//! already sorts the keys of its maps and escapes strings as the RFC says. What it does otherwise,
//! numbers that are not small integers and keys that sort differently by UTF-16 code units, is left
//! to the library for this form, which is slower (it takes every key apart and allocates for each).

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Up to here an integer and a double are the same number, and are written the same.
const MAX_EXACT: u64 = 1 << 53;

/// The canonical JSON of a value.
#[must_use]
pub(crate) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    // A value knows its keys in order; a struct has its fields in the order of the source.
    let value = serde_json::to_value(value).expect("what is hashed is JSON with text keys");
    of_ordered(&value)
}

/// The canonical JSON of a value whose structs declare their fields in alphabetical order.
#[must_use]
pub(crate) fn of_ordered<T: Serialize>(value: &T) -> Vec<u8> {
    let mut written = Vec::with_capacity(512);
    let mut unusual = false;
    let format = Canonical { in_key: false, unusual: &mut unusual };
    value
        .serialize(&mut Serializer::with_formatter(&mut written, format))
        .expect("what is hashed is JSON with text keys");
    if unusual { by_library(value) } else { written }
}

fn by_library<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("what is hashed is JSON with text keys")
}

struct Canonical<'a> {
    in_key: bool,
    /// Something came that this format does not write as the RFC says.
    unusual: &'a mut bool,
}

impl Formatter for Canonical<'_> {
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
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // From U+E000 on, UTF-8 and UTF-16 sort differently.
        if self.in_key && fragment.bytes().any(|byte| byte >= 0xee) {
            *self.unusual = true;
        }
        writer.write_all(fragment.as_bytes())
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
    use serde_json::{Map, Value, json};

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

    #[test]
    fn the_ordinary_case_is_written_directly() {
        let value = json!({"b": [1, -2, true, null, "\u{7f}\u{1}é"], "a": {"z": 0, "y": {}}});
        let written = of_ordered(&value);
        let expected = "{\"a\":{\"y\":{},\"z\":0},\"b\":[1,-2,true,null,\"\u{7f}\\u0001é\"]}";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
