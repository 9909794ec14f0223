//! Deserialization that refuses fields which a type does not have, and names the nearest that it
//! has. It works for every type and at every depth, without an attribute on the type.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};

use crate::Problem;

/// Longest part of an unknown name that an error repeats, in characters.
const MAX_SHOWN: usize = 64;

/// Treatment of fields and parameters that a request does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFields {
    /// The request is refused.
    #[default]
    Reject,
    /// They are left out.
    Ignore,
}

/// Deserializes a value and keeps track of the path, so that an error names the field.
///
/// # Errors
/// The error of the deserializer, or an unknown field.
pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    unknown: UnknownFields,
) -> Result<T, serde_path_to_error::Error<D::Error>> {
    serde_path_to_error::deserialize(Strict { inner: deserializer, unknown })
}

/// Converts an error of [`deserialize`] into the problem of a field.
#[must_use]
pub fn field_problem(path: &str, message: &str) -> Problem {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    // A name that is refused ends the path as `?`.
    let parent = path.strip_suffix('?').map_or(path, |parent| parent.trim_end_matches('.'));
    let is_top = matches!(parent, "" | ".");
    let nested = |field: &str| if is_top { field.to_owned() } else { format!("{parent}.{field}") };
    if let Some(missing) = message.strip_prefix("missing field `") {
        return Problem::invalid(nested(missing.trim_end_matches('`')), "is required");
    }
    if let Some((field, nearest)) =
        message.strip_prefix(UNKNOWN).and_then(|message| message.rsplit_once("`; "))
    {
        return Problem::invalid(nested(field), format!("is unknown; {nearest}"));
    }
    let field = if path == "." { "body" } else { path };
    Problem::invalid(field, message)
}

const UNKNOWN: &str = "unknown field `";

/// Returns the error message for a name that is not among the known ones.
#[must_use]
pub fn unknown_name(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(MAX_SHOWN).collect();
    let more = if shown.len() < name.len() { "…" } else { "" };
    match nearest(&shown, known) {
        Some(nearest) => format!("{UNKNOWN}{shown}{more}`; the nearest known one is `{nearest}`"),
        None => format!("{UNKNOWN}{shown}{more}`; none is known here"),
    }
}

/// Returns the known name that is the most like this one.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let likeness = |known: &&str| strsim::jaro_winkler(&name, known);
    known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
}

/// A deserializer that passes the rule on to everything inside of it.
struct Strict<D> {
    inner: D,
    unknown: UnknownFields,
}

impl<D> Strict<D> {
    fn inside<V>(&self, visitor: V, fields: Option<&'static [&'static str]>) -> Inside<V> {
        Inside { visitor, fields, unknown: self.unknown }
    }
}

macro_rules! forward_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(WholeNumber(visitor))
        }
    )*};
}

macro_rules! forward {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    // Values without a type, such as documents, have no fields of their own: they pass unchecked.
    forward! {
        deserialize_any deserialize_ignored_any deserialize_identifier deserialize_bool
        deserialize_i128 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit
    }

    forward_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.inside(visitor, None);
        self.inner.deserialize_option(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.inside(visitor, None);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.inside(visitor, None);
        self.inner.deserialize_seq(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.inside(visitor, None);
        self.inner.deserialize_tuple(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.inside(visitor, None);
        self.inner.deserialize_tuple_struct(name, length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.inside(visitor, None);
        self.inner.deserialize_map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.inside(visitor, Some(fields));
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Visitor of a whole number, which may be written with a fraction of zero: `5.0` is an integer (JSON
/// Schema, validation, section 4.2.3), and some languages write it that way.
struct WholeNumber<V>(V);

/// Smallest number of which an `f64` cannot tell every whole number apart from its neighbours.
const INEXACT: f64 = 9_007_199_254_740_992.0;

impl<'de, V: Visitor<'de>> Visitor<'de> for WholeNumber<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<V::Value, E> {
        self.0.visit_i64(number)
    }

    /// Refuses what no column of a database can hold, instead of storing another number.
    fn visit_u64<E: Error>(self, number: u64) -> Result<V::Value, E> {
        if i64::try_from(number).is_err() {
            return Err(E::custom(format_args!("must be at most {}", i64::MAX)));
        }
        self.0.visit_u64(number)
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in the range")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<V::Value, E> {
        if number.fract() == 0.0 && number.abs() < INEXACT {
            return self.0.visit_i64(number as i64);
        }
        self.0.visit_f64(number)
    }
}

/// Visitor of a value that may have fields inside of it, and has these itself if it is a struct.
struct Inside<V> {
    visitor: V,
    fields: Option<&'static [&'static str]>,
    unknown: UnknownFields,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Inside<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fields.is_some() { f.write_str("an object") } else { self.visitor.expecting(f) }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict { inner, unknown: self.unknown })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict { inner, unknown: self.unknown })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        if self.fields.is_some() {
            // Read by position, a list would fill the fields of an object.
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.visitor.visit_seq(Items { items, unknown: self.unknown })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Fields { map, known: self.fields, unknown: self.unknown })
    }
}

/// Items of a list.
struct Items<A> {
    items: A,
    unknown: UnknownFields,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.items.next_element_seed(Within { seed, unknown: self.unknown })
    }

    fn size_hint(&self) -> Option<usize> {
        self.items.size_hint()
    }
}

/// Fields of an object; `known` is `None` for an object whose names are free.
struct Fields<A> {
    map: A,
    known: Option<&'static [&'static str]>,
    unknown: UnknownFields,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(known) = self.known else { return self.map.next_key_seed(seed) };
        while let Some(name) = self.map.next_key::<String>()? {
            if known.contains(&name.as_str()) {
                let name: StringDeserializer<A::Error> = name.into_deserializer();
                return seed.deserialize(name).map(Some);
            }
            if self.unknown == UnknownFields::Reject {
                return Err(A::Error::custom(unknown_name(&name, known)));
            }
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(Within { seed, unknown: self.unknown })
    }

    fn size_hint(&self) -> Option<usize> {
        self.map.size_hint()
    }
}

/// Seed of a value inside another.
struct Within<S> {
    seed: S,
    unknown: UnknownFields,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Within<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.seed.deserialize(Strict { inner, unknown: self.unknown })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "the fields are there to be known")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        by_name: BTreeMap<String, Inner>,
        #[serde(default)]
        free: Map<String, Value>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        number: Option<u32>,
    }

    /// Returns the field and the message of the refusal.
    fn refused(body: &Value) -> (String, String) {
        let text = body.to_string();
        let mut json = serde_json::Deserializer::from_str(&text);
        let error = deserialize::<Outer, _>(&mut json, UnknownFields::Reject).unwrap_err();
        let problem = field_problem(&error.path().to_string(), &error.inner().to_string());
        let problem: Value = serde_json::from_str(&problem.body("")).unwrap();
        let part = |name: &str| problem["errors"][0][name].as_str().unwrap().to_owned();
        (part("field"), part("message"))
    }

    #[test]
    fn an_unknown_field_is_refused_at_every_depth_and_the_nearest_is_named() {
        for (field, value, path, nearest) in [
            ("nme", json!(1), "nme", "`name`"),
            ("NAME", json!(1), "NAME", "`name`"),
            ("inner", json!({"nummber": 1}), "inner.nummber", "`number`"),
            ("list", json!([{}, {"numbers": 1}]), "list[1].numbers", "`number`"),
            ("by_name", json!({"a": {"x": 1}}), "by_name.a.x", "`number`"),
        ] {
            let mut body = json!({"name": "x"});
            body[field] = value;
            let (found, message) = refused(&body);
            assert_eq!(found, path, "{message}");
            assert!(message.starts_with("is unknown") && message.contains(nearest), "{message}");
        }
        let (field, _) = refused(&json!({"n` at line 7": 1, "name": "x"}));
        assert_eq!(field, "n` at line 7");
        let (field, _) = refused(&json!({"x".repeat(1_000_000): 1}));
        assert!(field.chars().count() == MAX_SHOWN + 1, "{field:.100}");
    }

    #[test]
    fn names_that_are_free_are_not_checked_and_a_list_is_no_object() {
        let text = json!({"name": "x", "free": {"a": {"b": [{"c": 1}]}}}).to_string();
        let mut json = serde_json::Deserializer::from_str(&text);
        let outer: Outer = deserialize(&mut json, UnknownFields::Reject).unwrap();
        assert_eq!(outer.free["a"]["b"][0]["c"], 1);
        let (field, message) = refused(&json!({"name": "x", "inner": [1]}));
        assert_eq!((field.as_str(), message.contains("expected an object")), ("inner", true));
    }

    #[test]
    fn a_whole_number_may_have_a_fraction_of_zero_and_no_other() {
        let read = |number: &str| {
            let mut json = serde_json::Deserializer::from_str(number);
            deserialize::<u32, _>(&mut json, UnknownFields::Reject).ok()
        };
        assert_eq!(["7", "7.0", "-0.0", "7e1"].map(read), [Some(7), Some(7), Some(0), Some(70)]);
        for refused in ["7.5", "-7.0", "4294967296.0", "1e300", "\"7\""] {
            assert_eq!(read(refused), None, "{refused}");
        }
        let largest = |number: &str| {
            let mut json = serde_json::Deserializer::from_str(number);
            deserialize::<u64, _>(&mut json, UnknownFields::Reject).ok()
        };
        assert_eq!(largest("9223372036854775807"), Some(i64::MAX.unsigned_abs()));
        assert_eq!(largest("9223372036854775808"), None, "a column cannot hold it");
        let mut json = serde_json::Deserializer::from_str(r#"{"name": "x", "free": {"a": 7.0}}"#);
        let outer: Outer = deserialize(&mut json, UnknownFields::Reject).unwrap();
        assert!(outer.free["a"].is_f64(), "a document stays as it is");
    }

    #[test]
    fn unknown_fields_can_be_left_out() {
        let text = json!({"nme": {"a": [1]}, "name": "x", "list": [{"y": 1, "number": 7}]});
        let text = text.to_string();
        let mut json = serde_json::Deserializer::from_str(&text);
        let outer: Outer = deserialize(&mut json, UnknownFields::Ignore).unwrap();
        assert_eq!((outer.name.as_str(), outer.list[0].number), ("x", Some(7)));
    }
}
