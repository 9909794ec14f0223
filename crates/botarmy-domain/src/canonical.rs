//! Canonical JSON (RFC 8785), the input of digests and of the log's hashes, in two forms.
//!
//! - Form 1 is RFC 8785: every number is rounded to a double, so that integers beyond 2^53 can have
//!   the same text although they differ. Entries and artifacts of earlier versions have it.
//! - Form 2 writes every integer of 64 bits with all its digits; anything else is as in form 1.
//!
//! The forms differ only for a value that contains a number of 2^53 or more. The text that is hashed
//! of such a value in form 2 begins with [`FORM_2`], so that it is never one of form 1, and a hash
//! tells which form it was computed from. Every other value has the same hash in both.
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
use serde_json::{Map, Number, Value};

/// Smallest number that is not exact: from here on, a double stands for more than one integer.
const INEXACT: u64 = 1 << 53;

/// Beginning of the text that is hashed in form 2, if the value contains a number of 2^53 or more.
pub(crate) const FORM_2: &[u8] = b"botarmy.canonical/2\n";

/// Returns the canonical JSON of a value, with every digit of its integers.
#[must_use]
pub(crate) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    // Struct fields keep the order of the source; the maps of a `Value` may be sorted.
    let value = to_value(value);
    let (written, found) = written(&value);
    match found {
        Found { large: true, .. } => exact(&value),
        Found { unusual: true, .. } => by_library(&value),
        Found { .. } => written,
    }
}

/// Returns the text that is hashed of a value in form 2. The structs of the value declare their
/// fields in alphabetical order, or the text is written more slowly.
#[must_use]
pub(crate) fn form_2<T: Serialize>(value: &T) -> Vec<u8> {
    let (written, found) = written(value);
    match found {
        Found { large: true, .. } => [FORM_2, &exact(&to_value(value))].concat(),
        Found { unusual: true, .. } => by_library(value),
        Found { .. } => written,
    }
}

/// Returns the text that is hashed of a value in form 1, if it differs from that of form 2.
#[must_use]
pub(crate) fn form_1<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    written(value).1.large.then(|| by_library(value))
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("hashed values are JSON with string keys")
}

/// Properties of a value that decide how it is written.
#[derive(Default)]
struct Found {
    /// It has keys out of order, or numbers other than small integers.
    unusual: bool,
    /// It has a number of 2^53 or more.
    large: bool,
}

/// Writes a value as if it were ordinary, and returns whether it is.
fn written<T: Serialize>(value: &T) -> (Vec<u8>, Found) {
    let mut written = Vec::with_capacity(512);
    let mut found = Found::default();
    let format = Canonical { in_key: false, keys: Vec::new(), found: &mut found };
    value
        .serialize(&mut Serializer::with_formatter(&mut written, format))
        .expect("hashed values are JSON with string keys");
    (written, found)
}

fn by_library<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("hashed values are JSON with string keys")
}

/// Returns canonical JSON with every digit of its integers.
fn exact(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write_exact(value, &mut text);
    text
}

fn write_exact(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push(b'{');
            for (n, (key, member)) in members.into_iter().enumerate() {
                if n > 0 {
                    text.push(b',');
                }
                text.extend(by_library(key));
                text.push(b':');
                write_exact(member, text);
            }
            text.push(b'}');
        }
        Value::Array(items) => {
            text.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    text.push(b',');
                }
                write_exact(item, text);
            }
            text.push(b']');
        }
        Value::Number(number) if is_integer(number) => text.extend(number.to_string().bytes()),
        scalar => text.extend(by_library(scalar)),
    }
}

fn is_integer(number: &Number) -> bool {
    number.is_u64() || number.is_i64()
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
    /// Values that this formatter does not write as the RFC requires.
    found: &'a mut Found,
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
            self.found.unusual |= !before.is_empty() && *before >= *now;
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
            self.found.unusual |= fragment.bytes().any(|byte| byte >= 0xee);
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
        self.found.unusual |= self.in_key;
        CompactFormatter.write_char_escape(writer, escape)
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        self.found.large |= value >= INEXACT;
        write!(writer, "{value}")
    }

    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        self.found.large |= value.unsigned_abs() >= INEXACT;
        write!(writer, "{value}")
    }

    fn write_f64<W: ?Sized + Write>(&mut self, _: &mut W, value: f64) -> io::Result<()> {
        self.found.unusual = true;
        self.found.large |= value.abs() >= INEXACT as f64;
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

    fn has_large_number(value: &Value) -> bool {
        match value {
            Value::Number(number) => number.as_f64().is_some_and(|n| n.abs() >= 9e15),
            Value::Array(items) => items.iter().any(has_large_number),
            Value::Object(map) => map.values().any(has_large_number),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn without_large_numbers_both_forms_are_what_the_library_writes(value in values()) {
            prop_assume!(!has_large_number(&value));
            let library = by_library(&value);
            prop_assert_eq!(&canonical(&value), &library);
            prop_assert_eq!(&form_2(&value), &library);
            prop_assert_eq!(form_1(&value), None);
        }

        #[test]
        fn with_all_digits_a_text_reads_back_as_the_same_value(value in values()) {
            // Negative zero is zero, and a large double without a fraction may read as an integer.
            let text = String::from_utf8(canonical(&value)).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(canonical(&read), text.into_bytes());
            prop_assert!(form_1(&value).is_none_or(|text| text == by_library(&value)));
        }
    }

    #[test]
    fn numbers_that_form_1_cannot_distinguish_differ_in_form_2_and_in_every_form_1() {
        let numbers = [
            json!(9_007_199_254_740_991_u64),
            json!(9_007_199_254_740_992_u64),
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_994_u64),
            json!(-9_007_199_254_740_993_i64),
            json!(-9_007_199_254_740_992_i64),
            json!(u64::MAX),
            json!(u64::MAX - 1),
            json!(i64::MIN),
            json!(i64::MIN + 1),
            json!(1e300),
        ];
        let documents: Vec<_> = numbers.iter().map(|number| json!({"n": [number]})).collect();
        let mut texts: Vec<_> = documents.iter().map(form_2).collect();
        assert_eq!(texts[1], b"botarmy.canonical/2\n{\"n\":[9007199254740992]}");
        assert_eq!(form_1(&documents[1]), form_1(&documents[2]));
        texts.extend(documents.iter().filter_map(form_1).take(1));
        let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
        assert_eq!(distinct.len(), texts.len());
        for text in documents.iter().filter_map(form_1) {
            assert!(texts[..documents.len()].iter().all(|form_2| *form_2 != text));
        }
    }

    #[test]
    fn keys_beside_a_large_number_are_in_the_order_of_utf_16() {
        let value = json!({"\u{e000}": 1, "\u{10000}": 2, "b\n": 0.5, "a": u64::MAX});
        let text = "{\"a\":18446744073709551615,\"b\\n\":0.5,\"\u{10000}\":2,\"\u{e000}\":1}";
        assert_eq!(String::from_utf8(canonical(&value)).unwrap(), text);
    }

    /// A struct with its keys out of order; a map cannot be relied on to have them so.
    #[test]
    fn keys_that_are_out_of_order_are_put_in_order() {
        #[derive(Serialize)]
        struct Wrong {
            b: u8,
            a: u8,
        }
        assert_eq!(form_2(&Wrong { b: 1, a: 2 }), b"{\"a\":2,\"b\":1}");
    }

    #[test]
    fn the_ordinary_case_is_written_directly() {
        let value = json!({"b": [1, -2, true, null, "\u{7f}\u{1}é"], "a": {"z": 0, "y": {}}});
        let written = form_2(&value);
        let expected = "{\"a\":{\"y\":{},\"z\":0},\"b\":[1,-2,true,null,\"\u{7f}\\u0001é\"]}";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
