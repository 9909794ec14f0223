//! Reading JSON: one limit of depth for every border, and the rules that a parser does not apply.
//!
//! Parsers keep the last of two equal keys, and round a number that they cannot hold. Either would
//! be read differently by two programs, so [`check`] refuses both in a text from outside.

use std::borrow::Cow;
use std::collections::HashSet;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::{Map, Value};

/// Maximum nesting of arrays and objects in a JSON text from outside: a request body, the result of
/// an agent, a message of a live client.
pub const MAX_DEPTH: usize = 128;

/// Maximum nesting of JSON that the server has written itself: a document from outside, with the
/// levels of an entity, a log entry or a message around it.
pub const MAX_STORED_DEPTH: usize = 2 * MAX_DEPTH;

/// Maximum number of digits of a number with a fraction or an exponent; more are not kept by a
/// 64-bit floating-point number.
const MAX_DIGITS: usize = 17;

/// Number of digits up to which a number of an ordinary size always keeps its value.
const SAFE_DIGITS: usize = 15;

/// Returns about the size of an object as JSON text, in bytes, without writing it: that of its texts
/// and names, and a few bytes for everything else.
#[must_use]
pub fn size(object: &Map<String, Value>) -> usize {
    object.iter().map(|(name, value)| name.len() + 4 + value_size(value)).sum::<usize>() + 2
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| value_size(item) + 1).sum::<usize>() + 2,
        Value::Object(object) => size(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
    }
}

/// Rule that a JSON text violates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Member in which the rule is violated, such as `content.items[2]`; empty for the whole text.
    pub path: String,
    /// Explanation for people, to be read after the path.
    pub message: String,
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for JsonError {}

/// Checks a JSON text from outside: it is nested at most `max_depth` levels deep, no object has a
/// key twice, and every number keeps its value when it is stored. Expects the text to be JSON;
/// errors of syntax are left to the parser.
///
/// # Errors
/// The first rule that is violated.
pub fn check(text: &str, max_depth: usize) -> Result<(), JsonError> {
    Scanner { text, at: 0, levels: Vec::new(), expects_key: false }.scan(max_depth, is_kept)
}

/// Checks a JSON text that claims to be written by the server: as [`check`] does, to a depth of
/// [`MAX_STORED_DEPTH`], and every number has the digits that the server writes.
///
/// # Errors
/// The first rule that is violated.
pub fn check_written(text: &str) -> Result<(), JsonError> {
    let scanner = Scanner { text, at: 0, levels: Vec::new(), expects_key: false };
    scanner.scan(MAX_STORED_DEPTH, is_shortest)
}

/// Reads JSON that the server has written itself, to a depth of [`MAX_STORED_DEPTH`].
///
/// # Errors
/// The description of the parser.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    read_as(PhantomData::<T>, text)
}

/// Reads JSON that the server has written itself with a seed, to a depth of [`MAX_STORED_DEPTH`].
///
/// # Errors
/// The description of the parser.
pub fn read_as<'de, S: DeserializeSeed<'de> + Copy>(
    seed: S,
    text: &'de str,
) -> Result<S::Value, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read =
        seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => Ok(value),
        // The parser's own limit is lower: it may have been what stopped it.
        Err(_) if (MAX_DEPTH..=MAX_STORED_DEPTH).contains(&depth(text)) => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            deserializer.disable_recursion_limit();
            let value = seed.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
            deserializer.end().map_err(|error| error.to_string())?;
            Ok(value)
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

/// An array or object that is open at the current position.
enum Level<'a> {
    Array { index: usize },
    Object { key: Cow<'a, str>, keys: Keys<'a> },
}

/// Keys of an object. Nearly all objects have few; comparing those is faster than hashing them.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    const FEW: usize = 16;

    /// Adds a key, and returns whether it is new.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        if self.many.is_empty() {
            if self.few.contains(&key) {
                return false;
            }
            if self.few.len() < Self::FEW {
                self.few.push(key);
                return true;
            }
            self.many = std::mem::take(&mut self.few).into_iter().collect();
        }
        self.many.insert(key)
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    levels: Vec<Level<'a>>,
    /// Whether the next string is a key.
    expects_key: bool,
}

impl<'a> Scanner<'a> {
    fn scan(mut self, max_depth: usize, is_exact: fn(&str) -> bool) -> Result<(), JsonError> {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'{' | b'[' => {
                    if self.levels.len() == max_depth {
                        let message = format!("is nested more than {max_depth} levels deep");
                        return Err(JsonError { path: String::new(), message });
                    }
                    self.expects_key = *byte == b'{';
                    self.levels.push(if self.expects_key {
                        Level::Object { key: Cow::Borrowed(""), keys: Keys::default() }
                    } else {
                        Level::Array { index: 0 }
                    });
                    self.at += 1;
                }
                b'}' | b']' => {
                    self.levels.pop();
                    self.expects_key = false;
                    self.at += 1;
                }
                b',' => {
                    match self.levels.last_mut() {
                        Some(Level::Array { index }) => *index += 1,
                        Some(Level::Object { .. }) => self.expects_key = true,
                        None => {}
                    }
                    self.at += 1;
                }
                b'"' => {
                    let token = self.string();
                    if std::mem::take(&mut self.expects_key) {
                        self.enter_key(token)?;
                    }
                }
                b'-' | b'0'..=b'9' => {
                    let literal = self.number();
                    if !is_exact(literal) {
                        return Err(
                            self.error(format!("{} cannot be stored exactly", brief(literal)))
                        );
                    }
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    /// Passes a string and returns it with its quotation marks.
    fn string(&mut self) -> &'a str {
        let begin = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                // The escaped character may begin with a byte of several.
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        self.at = self.at.min(bytes.len());
        self.text.get(begin..self.at).unwrap_or_default()
    }

    /// Passes a number and returns it.
    fn number(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn enter_key(&mut self, token: &'a str) -> Result<(), JsonError> {
        let inner = token.strip_prefix('"').and_then(|token| token.strip_suffix('"'));
        let name: Cow<'a, str> = match inner {
            // Two spellings of one key are the same key.
            Some(inner) if inner.contains('\\') => {
                serde_json::from_str::<String>(token).unwrap_or_else(|_| inner.to_owned()).into()
            }
            inner => inner.unwrap_or_default().into(),
        };
        if let Some(Level::Object { key, keys }) = self.levels.last_mut() {
            key.clone_from(&name);
            if !keys.insert(name) {
                return Err(self.error("occurs twice in the same object".to_owned()));
            }
        }
        Ok(())
    }

    fn error(&self, message: String) -> JsonError {
        let mut path = String::new();
        for level in &self.levels {
            match level {
                Level::Array { index } => path.push_str(&format!("[{index}]")),
                Level::Object { key, .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
            }
        }
        JsonError { path, message }
    }
}

/// Shortens a literal that is repeated in an error.
fn brief(literal: &str) -> Cow<'_, str> {
    const MAX: usize = 40;
    match literal.get(..MAX) {
        Some(begin) if literal.len() > MAX => format!("the number {begin}…").into(),
        _ => format!("the number {literal}").into(),
    }
}

/// Returns whether a number keeps its value: an integer that has 64 bits, or a decimal number whose
/// digits come back from a 64-bit floating-point number.
fn is_kept(literal: &str) -> bool {
    if !literal.contains(['.', 'e', 'E']) {
        return literal.parse::<i64>().is_ok() || literal.parse::<u64>().is_ok();
    }
    let Some((digits, exponent)) = decimal(literal) else { return false };
    if digits.is_empty() {
        return true;
    }
    if digits.len() > MAX_DIGITS {
        return false;
    }
    if digits.len() <= SAFE_DIGITS && (-290..290).contains(&exponent) {
        return true;
    }
    let Ok(number) = literal.parse::<f64>() else { return false };
    if number.is_infinite() {
        // The parser refuses it.
        return true;
    }
    let written = format!("{:.*e}", digits.len() - 1, number.abs());
    decimal(&written) == Some((digits, exponent))
}

/// Returns whether a number is an integer that has 64 bits, or has the digits of the shortest
/// decimal number for a 64-bit floating-point number.
fn is_shortest(literal: &str) -> bool {
    if !is_kept(literal) || !literal.contains(['.', 'e', 'E']) {
        return is_kept(literal);
    }
    let shortest = literal.parse::<f64>().map(|number| format!("{:e}", number.abs()));
    shortest.is_ok_and(|shortest| decimal(&shortest) == decimal(literal))
}

/// Returns the significant digits of a decimal number, without zeros at either end, and the power
/// of ten of the first of them. Zero has no digits.
fn decimal(literal: &str) -> Option<(String, i64)> {
    let literal = literal.trim_start_matches('-');
    let (mantissa, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let leading = all.len() - digits.len();
    let digits = digits.trim_end_matches('0').to_owned();
    if digits.is_empty() {
        return Some((digits, 0));
    }
    let exponent: i64 = exponent.parse().ok()?;
    let place = i64::try_from(whole.len()).ok()? - 1 - i64::try_from(leading).ok()?;
    Some((digits, exponent.checked_add(place)?))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn a_number_that_would_change_its_value_is_refused() {
        for kept in [
            "0",
            "-0",
            "-0.0",
            "0e5",
            "1.0",
            "1e3",
            "0.1",
            "33.3",
            "1E+2",
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            "0.30000000000000004",
            "5e-324",
            "1.7976931348623157e308",
            "0.10000000000000001",
            "9007199254740992.0",
            "1.5e300",
            "0.000001",
            "100000000000000000000.0",
        ] {
            assert_eq!(check(&format!("{{\"a\":[{kept}]}}"), 9), Ok(()), "{kept}");
            assert!(serde_json::from_str::<Value>(kept).is_ok(), "{kept}");
        }
        for changed in [
            "1234567890123456789012345",
            "18446744073709551616",
            "-9223372036854775809",
            "9007199254740993.0",
            "0.1234567890123456789",
            "1.00000000000000000001",
            "0.30000000000000001",
            "1e-400",
            "4e-324",
            "3.141592653589793238",
            "1e-99999999999999999999",
        ] {
            let error = check(&format!("{{\"a\":[1,{changed}]}}"), 9).unwrap_err();
            assert_eq!(error.path, "a[1]", "{changed}");
            assert!(error.message.contains("exactly"), "{error}");
        }
    }

    #[test]
    fn a_number_that_is_kept_is_read_with_all_its_digits() {
        for literal in ["0.10000000000000001", "1.7976931348623157e308", "12345678.90123456"] {
            let number: f64 = serde_json::from_str(literal).unwrap();
            let (digits, _) = decimal(literal).unwrap();
            let written = format!("{:.*e}", digits.len() - 1, number);
            assert_eq!(decimal(&written), decimal(literal));
        }
    }

    #[test]
    fn a_number_in_a_line_of_the_server_has_the_digits_that_the_server_writes() {
        for number in ["0.1", "-0.0", "1.5e300", "1.50E+300", "5e-324", "18446744073709551615"] {
            assert_eq!(check_written(&format!("[{number}]")), Ok(()), "{number}");
        }
        for number in ["0.10000000000000001", "18446744073709551616", "9007199254740993.0"] {
            assert!(check_written(&format!("[{number}]")).is_err(), "{number}");
        }
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused_and_named() {
        for (text, path) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"a":{"b":[{},{"c":1,"d":2,"c":3}]}}"#, "a.b[1].c"),
            (r#"{"a":1,"\u0061":2}"#, "a"),
            (r#"{"x\"y":1,"x\"y":2}"#, "x\"y"),
            (r#"[{"":1,"":2}]"#, "[0]."),
        ] {
            assert_eq!(
                check(text, 9).unwrap_err().path.trim_end_matches('.'),
                path.trim_end_matches('.'),
                "{text}"
            );
        }
        let many = |twice: &str| {
            let keys: Vec<_> = (0..100).map(|n| format!("\"k{n}\":1")).collect();
            format!("{{{},\"{twice}\":2}}", keys.join(","))
        };
        for twice in ["k0", "k20", "k99"] {
            assert_eq!(check(&many(twice), 9).unwrap_err().path, twice);
        }
        assert_eq!(check(&many("other"), 9), Ok(()));
        for text in [r#"{"a":{"a":{"a":1}},"b":"a","c":["a","a"]}"#, r#"{"a":"{\"a\":1,\"a\":2}"}"#]
        {
            assert_eq!(check(text, 9), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_depth_is_limited_to_the_level() {
        assert_eq!(check(&nested(MAX_DEPTH), MAX_DEPTH), Ok(()));
        let error = check(&nested(MAX_DEPTH + 1), MAX_DEPTH).unwrap_err();
        assert_eq!(error.to_string(), "is nested more than 128 levels deep");
        assert!(check(&nested(1_000_000), MAX_DEPTH).is_err());
        assert_eq!(check("[\"[[[[\",{\"[[\":1}]", 2), Ok(()));
    }

    #[test]
    fn a_text_that_is_not_json_does_no_harm() {
        for text in
            ["", "\"", "\"\\", "{\"a", "{\"é\\é\":1", "]}", "1.2.3e", "-", "{\"\\ud800\":1}"]
        {
            let _ = check(text, 3);
        }
    }

    #[test]
    fn what_was_stored_is_read_to_a_depth_that_no_document_reaches() {
        assert!(read::<Value>(&nested(MAX_STORED_DEPTH)).is_ok());
        assert!(read::<Value>(&nested(MAX_STORED_DEPTH + 1)).is_err());
        assert!(read::<Value>(&nested(100_000)).is_err());
        assert!(read::<Value>(&format!("{} x", nested(200))).is_err());
        assert_eq!(depth(r#"{"a[{":["\"[", {}]}"#), 3);
    }
}
