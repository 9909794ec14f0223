//! Parameters of the query string.

use std::collections::HashSet;

use serde::Deserializer;
use serde::de::value::{Error, MapDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, Visitor};

use crate::credential::has_credential;
use crate::strict::{self, UnknownFields};
use crate::{Problem, field_problem};

/// Largest number of parameters of a query string or a form.
const MAX_PARAMETERS: usize = 1000;

/// Parses a query string. A parameter that is unknown, is given twice, or is not text that can be
/// stored is refused by name, like a value of the wrong kind.
///
/// # Errors
/// A 422 that names the parameter.
pub fn parse_query<T: DeserializeOwned>(query: &str, unknown: UnknownFields) -> Result<T, Problem> {
    if query.split('&').count() > MAX_PARAMETERS {
        let message = format!("has more than {MAX_PARAMETERS} parameters");
        return Err(Problem::invalid("query", message));
    }
    let (mut pairs, mut names) = (Vec::<(String, Text)>::new(), HashSet::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).map_err(|message| Problem::invalid("query", message))?;
        let value = decode(value).map_err(|message| Problem::invalid(&*name, message))?;
        if !names.insert(name.clone()) {
            return Err(Problem::invalid(name, "is given more than once"));
        }
        pairs.push((name, Text(value)));
    }
    let pairs = MapDeserializer::<_, Error>::new(pairs.into_iter());
    strict::deserialize(pairs, unknown).map_err(|error| {
        let path = error.path().to_string();
        field_problem(&path, &error.into_inner().to_string())
    })
}

/// Returns the name of a parameter that is accepted; `pair` is a part of a query between `&`.
#[must_use]
pub fn parameter_name(pair: &str) -> Option<String> {
    decode(pair.split_once('=').map_or(pair, |(name, _)| name)).ok()
}

/// Names under which clients of other servers send credentials in a query.
const CREDENTIAL_NAMES: [&str; 4] = ["token", "key", "api_key", "access_token"];
/// Returns the name of a parameter with a credential, if the query has one: by its name, or because
/// its value begins like a credential of this server.
#[must_use]
pub fn names_credential(query: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok()?;
        let is_known = CREDENTIAL_NAMES.iter().any(|known| known.eq_ignore_ascii_case(&name));
        let is_credential = || has_credential(&decode(value).unwrap_or_default());
        // The name may be the credential itself.
        let is_bare = has_credential(&name);
        match (is_known || is_credential(), is_bare) {
            (_, true) => Some("A credential".to_owned()),
            (true, false) => Some(format!("`{name}`")),
            (false, false) => None,
        }
    })
}

/// Returns whether a path has a credential of this server in it, in per cent escapes or not.
#[must_use]
pub fn is_credential_in_path(path: &str) -> bool {
    has_credential(path) || (path.contains('%') && has_credential(&decode_lossy(path)))
}

/// Decodes a path as far as it can be.
fn decode_lossy(path: &str) -> String {
    String::from_utf8_lossy(&decoded_bytes(path)).into_owned()
}

/// Decodes a name or a value. A per cent sign that begins no escape stands for itself.
fn decode(text: &str) -> Result<String, &'static str> {
    let text = String::from_utf8(decoded_bytes(text));
    let text = text.map_err(|_| "must be UTF-8, in per cent escapes")?;
    if text.contains('\0') { Err("must not contain NUL (%00)") } else { Ok(text) }
}

fn decoded_bytes(text: &str) -> Vec<u8> {
    let digit = |at: usize| text.as_bytes().get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let escaped = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        at += if escaped.is_some() { 3 } else { 1 };
        bytes.push(escaped.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
    }
    bytes
}

/// A value of the query, for serde: text, and present even if it is empty.
struct Text(String);

impl<'de> IntoDeserializer<'de, Error> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let word: StringDeserializer<Error> = self.0.into_deserializer();
        word.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use actix_web::ResponseError;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    struct Search {
        actor: Option<String>,
        status: Option<Status>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(rename_all = "lowercase")]
    enum Status {
        Open,
    }

    fn field(query: &str) -> String {
        let problem = parse_query::<Search>(query, UnknownFields::Reject).unwrap_err();
        let problem: serde_json::Value = serde_json::from_str(&problem.body("")).unwrap();
        problem["errors"][0]["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_number_of_parameters_has_a_limit() {
        let query = |count: usize| -> String {
            (0..count)
                .map(|n| format!("p{n}=&"))
                .collect::<String>()
                .trim_end_matches('&')
                .to_owned()
        };
        type Map = std::collections::BTreeMap<String, String>;
        let read = |count| parse_query::<Map>(&query(count), UnknownFields::Reject);
        assert_eq!(read(MAX_PARAMETERS).unwrap().len(), MAX_PARAMETERS);
        let problem = read(MAX_PARAMETERS + 1).unwrap_err();
        assert_eq!(problem.status_code(), 422);
        // A large one is refused before it is read.
        assert_eq!(read(1_000_000).unwrap_err().status_code(), 422);
    }

    #[test]
    fn a_credential_is_recognised_in_a_path_however_it_is_escaped() {
        for path in
            ["/x/botarmy_k_a", "/x/botarmy%5Fk%5fa", "/x/botarmy%5Fk_a%ff", "/%ff/botarmy_s_a"]
        {
            assert!(is_credential_in_path(path), "{path}");
        }
        assert!(!is_credential_in_path("/x/botarmy%20k_a%ff"));
    }

    #[test]
    fn a_query_is_decoded() {
        let read = |query: &str| parse_query::<Search>(query, UnknownFields::Reject).unwrap();
        let actor = Some("Zoë & 1%".to_owned());
        let search = read("actor=Zo%C3%AB+%26+%31%&&status=open");
        assert_eq!(search, Search { actor, status: Some(Status::Open) });
        assert_eq!(read(""), Search { actor: None, status: None });
        let blank = read("actor");
        assert_eq!(blank.actor.as_deref(), Some(""));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (query, name) in [
            ("acter=ada", "acter"),
            ("x", "x"),
            ("=x", ""),
            ("actor=ada&actor=ada", "actor"),
            ("actor=ada&%61ctor=bob", "actor"),
            ("actor=%FF", "actor"),
            ("actor=%00", "actor"),
            ("%FF=1", "query"),
            ("status=shut", "status"),
        ] {
            assert_eq!(field(query), name, "{query}");
        }
        let ignored: Search = parse_query("acter=ada&actor=bob", UnknownFields::Ignore).unwrap();
        assert_eq!(ignored.actor.as_deref(), Some("bob"));
    }
}
