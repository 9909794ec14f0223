//! The claims of an ID token: whether it is for this sign-in (OpenID Connect Core 1.0, section
//! 3.1.3.7), and the person that it describes.

use std::time::Duration;

use botarmy_domain::access::{OpenIdIdentity, OpenIdSubject};
use botarmy_domain::ports::ProviderError;
use botarmy_domain::{Timestamp, text};
use serde_json::{Map, Value};

use crate::callback::equal;
use crate::http::untrusted;

/// Largest difference between the clocks of the provider and of this server.
const LEEWAY: Duration = Duration::from_secs(60);
/// Longest subject (OpenID Connect Core 1.0, section 2).
const MAX_SUBJECT: usize = 255;
/// Longest name of a person, in characters.
const MAX_NAME: usize = 128;

/// Claims.
pub(crate) type Claims = Map<String, Value>;

/// Values that the token of a sign-in has.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) now: Timestamp,
}

/// Returns the subject of a token whose signature is valid, if it is for this client and this
/// sign-in.
pub(crate) fn check(claims: &Claims, expected: &Expected<'_>) -> Result<String, ProviderError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(untrusted("the ID token is from another issuer"));
    }
    let audience = match claims.get("aud") {
        Some(Value::Array(list)) if list.len() == 1 => list[0].as_str(),
        Some(Value::Array(list)) if list.len() > 1 => {
            return Err(untrusted("the ID token is for several clients"));
        }
        other => other.and_then(Value::as_str),
    };
    if audience != Some(expected.client_id) {
        return Err(untrusted("the ID token is for another client"));
    }
    if claims.contains_key("azp") && text("azp") != Some(expected.client_id) {
        return Err(untrusted("the ID token was issued to another client"));
    }
    check_times(claims, expected.now)?;
    match text("nonce") {
        Some(nonce) if equal(nonce, expected.nonce) => {}
        Some(_) => return Err(untrusted("the ID token is for another sign-in")),
        None => return Err(untrusted("the ID token does not say for which sign-in it is")),
    }
    subject(claims)
}

/// Checks the times of a token, with the leeway that RFC 7519, section 4.1.4, allows.
fn check_times(claims: &Claims, now: Timestamp) -> Result<(), ProviderError> {
    let late = seconds(now.before(LEEWAY));
    let early = seconds(now.after(LEEWAY));
    let (Some(expires), Some(issued)) = (time(claims, "exp")?, time(claims, "iat")?) else {
        return Err(untrusted("the ID token does not say when it was issued or when it expires"));
    };
    if late >= expires {
        return Err(untrusted("the ID token has expired; check the clocks of both servers"));
    }
    if issued > early {
        return Err(untrusted("the ID token is from the future; check the clocks of both servers"));
    }
    if time(claims, "nbf")?.is_some_and(|start| start > early) {
        return Err(untrusted("the ID token is not valid yet; check the clocks of both servers"));
    }
    Ok(())
}

/// Returns a time in seconds since 1970, which may have a fraction.
fn time(claims: &Claims, name: &str) -> Result<Option<f64>, ProviderError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        Some(_) => Err(untrusted(format!("{name} in the ID token is not a time"))),
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of this age are exact until 2255")]
fn seconds(time: Timestamp) -> f64 {
    time.micros() as f64 / 1e6
}

/// Returns the subject, which identifies a person at the issuer.
pub(crate) fn subject(claims: &Claims) -> Result<String, ProviderError> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let is_sound = text::non_blank(subject).is_some()
        && subject.chars().count() <= MAX_SUBJECT
        && !subject.chars().any(char::is_control);
    if is_sound {
        Ok(subject.to_owned())
    } else {
        Err(untrusted("the ID token has no subject, or one that cannot be stored"))
    }
}

/// Returns `true` if claims have a name and the groups, so that the provider need not be asked for
/// them.
pub(crate) fn is_complete(claims: &Claims, groups_claim: &str) -> bool {
    claims.contains_key("name") && claim(claims, groups_claim).is_some()
}

/// Returns the person whom claims describe.
pub(crate) fn identity(
    issuer: &str,
    subject: String,
    claims: &Claims,
    groups_claim: &str,
) -> Result<OpenIdIdentity, ProviderError> {
    let names = ["name", "preferred_username"].map(|name| claims.get(name).and_then(Value::as_str));
    let names = names.into_iter().flatten().chain([subject.as_str()]);
    let name = names.map(displayed).find(|name| !name.is_empty());
    Ok(OpenIdIdentity {
        name: name.unwrap_or_else(|| "person".to_owned()),
        groups: groups(claim(claims, groups_claim), groups_claim)?,
        subject: OpenIdSubject { issuer: issuer.to_owned(), subject },
    })
}

/// Returns a name in the form that principals have: one visible line without slashes, not too long.
fn displayed(name: &str) -> String {
    let is_accepted = |c: &char| !c.is_control() && !text::is_bidi(*c) && *c != '/';
    let name: String = name.chars().filter(is_accepted).collect();
    let name: String = name.trim().chars().take(MAX_NAME).collect();
    text::non_blank(&name).unwrap_or_default().to_owned()
}

/// Returns a claim: the one with this name, or else the one at these names with dots between them.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut names = name.split('.');
    let first = claims.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// Returns the names of groups, without repetitions.
fn groups(value: Option<&Value>, name: &str) -> Result<Vec<String>, ProviderError> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(group)) => return Ok(vec![group.clone()]),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(malformed_groups(name)),
    };
    let mut seen = std::collections::HashSet::new();
    let mut groups = Vec::new();
    for group in list {
        let group = group.as_str().ok_or_else(|| malformed_groups(name))?;
        if seen.insert(group) {
            groups.push(group.to_owned());
        }
    }
    Ok(groups)
}

fn malformed_groups(name: &str) -> ProviderError {
    untrusted(format!("the claim {name:?}, which oidc.groups_claim names, is not a list of names"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn expected() -> Expected<'static> {
        Expected {
            issuer: "https://id.example",
            client_id: "army",
            nonce: "n",
            now: Timestamp::from_micros(NOW * 1_000_000),
        }
    }

    /// Checks sound claims with these changes; `null` removes one.
    fn checked(changes: &Value) -> Result<String, String> {
        let claims = json!({
            "iss": "https://id.example", "aud": "army", "sub": "ada", "nonce": "n",
            "exp": NOW + 300, "iat": NOW,
        });
        let mut claims = claims.as_object().unwrap().clone();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        check(&claims, &expected()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_for_this_sign_in_is_accepted() {
        for changes in [
            json!({}),
            json!({ "aud": ["army"] }),
            json!({ "azp": "army" }),
            json!({ "nbf": NOW }),
            json!({ "exp": 1_800_000_300.5 }),
            json!({ "exp": NOW - 59 }),
            json!({ "iat": NOW + 59 }),
            json!({ "nbf": NOW + 59 }),
            // It says nothing about the sign-in, which the nonce binds.
            json!({ "iat": 0 }),
        ] {
            assert_eq!(checked(&changes).as_deref(), Ok("ada"), "{changes}");
        }
    }

    #[test]
    fn a_token_for_anything_else_is_refused() {
        for (changes, reason) in [
            (json!({ "iss": "https://id.example/" }), "another issuer"),
            (json!({ "iss": ["https://id.example"] }), "another issuer"),
            (json!({ "iss": null }), "another issuer"),
            (json!({ "aud": "other" }), "for another client"),
            (json!({ "aud": ["army", "other"] }), "several clients"),
            (json!({ "aud": ["army", "army"] }), "several clients"),
            (json!({ "aud": [] }), "for another client"),
            (json!({ "aud": {"army": true} }), "for another client"),
            (json!({ "aud": null }), "for another client"),
            (json!({ "azp": "other" }), "issued to another"),
            (json!({ "azp": ["army"] }), "issued to another"),
            (json!({ "exp": NOW - 60 }), "expired"),
            (json!({ "exp": NOW - 61 }), "expired"),
            (json!({ "exp": -1 }), "expired"),
            (json!({ "exp": "2099-01-01" }), "exp in the ID token"),
            (json!({ "exp": (NOW + 300).to_string() }), "exp in the ID token"),
            (json!({ "exp": null }), "does not say when"),
            (json!({ "iat": NOW + 61 }), "from the future"),
            (json!({ "iat": null }), "does not say when"),
            (json!({ "nbf": NOW + 61 }), "not valid yet"),
            (json!({ "nbf": [NOW] }), "nbf in the ID token"),
            (json!({ "nonce": "m" }), "another sign-in"),
            (json!({ "nonce": "" }), "another sign-in"),
            (json!({ "nonce": ["n"] }), "does not say for which"),
            (json!({ "nonce": null }), "does not say for which"),
            (json!({ "sub": "" }), "no subject"),
            (json!({ "sub": "  " }), "no subject"),
            (json!({ "sub": 7 }), "no subject"),
            (json!({ "sub": "a\u{0}b" }), "no subject"),
            (json!({ "sub": "a".repeat(256) }), "no subject"),
            (json!({ "sub": null }), "no subject"),
        ] {
            let error = checked(&changes).unwrap_err();
            assert!(error.contains(reason), "{changes}: {error}");
        }
    }

    fn identified(claims: &Value, groups_claim: &str) -> Result<OpenIdIdentity, String> {
        let claims = claims.as_object().unwrap();
        identity("https://id.example", "ada/1".to_owned(), claims, groups_claim)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_is_one_visible_line() {
        for (claims, name) in [
            (json!({ "name": " Ada L. ", "preferred_username": "ada" }), "Ada L."),
            (json!({ "name": "\u{202e}\n", "preferred_username": "ada" }), "ada"),
            (json!({ "name": 7, "preferred_username": "" }), "ada1"),
            (json!({ "name": "A/B\u{0}" }), "AB"),
            (json!({ "email": "ada@example" }), "ada1"),
        ] {
            assert_eq!(identified(&claims, "groups").unwrap().name, name, "{claims}");
        }
        let long = identified(&json!({ "name": "é".repeat(500) }), "groups").unwrap();
        assert_eq!(long.name.chars().count(), MAX_NAME);
    }

    #[test]
    fn groups_are_a_list_of_names() {
        for (claims, name, groups) in [
            (json!({ "groups": ["b", "a", "b"] }), "groups", &["b", "a"][..]),
            (json!({ "groups": "a" }), "groups", &["a"]),
            (json!({ "groups": [] }), "groups", &[]),
            (json!({}), "groups", &[]),
            (json!({ "realm_access": { "roles": ["a"] } }), "realm_access.roles", &["a"]),
            (json!({ "https://x.example/groups": ["a"] }), "https://x.example/groups", &["a"]),
            (json!({ "a.b": ["1"], "a": { "b": ["2"] } }), "a.b", &["1"]),
        ] {
            assert_eq!(identified(&claims, name).unwrap().groups, groups, "{claims}");
        }
        for groups in [json!({ "army-admins": true }), json!(["a", 7]), json!(7), json!([["a"]])] {
            let error = identified(&json!({ "groups": groups }), "groups").unwrap_err();
            assert!(error.contains("not a list"), "{groups}: {error}");
        }
    }
}
