//! The checks of what the browser brings back from the provider.

use botarmy_domain::access::LoginAttempt;
use botarmy_domain::ports::{Callback, ProviderError};
use subtle::ConstantTimeEq;

use crate::http::{unavailable, untrusted};

/// Longest name of an error that is shown.
const MAX_ERROR_NAME: usize = 64;

/// Checks that an answer belongs to an attempt.
pub(crate) fn check_state(answer: &Callback, attempt: &LoginAttempt) -> Result<(), ProviderError> {
    let is_same = answer.state.as_deref().is_some_and(|state| equal(state, &attempt.state()));
    if is_same { Ok(()) } else { Err(ProviderError::ForeignState) }
}

/// Returns `true` for equal texts, in a time that does not depend on where they differ.
pub(crate) fn equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// Returns the code of an answer from this issuer.
pub(crate) fn code(
    answer: Callback,
    issuer: &str,
    names_issuer: bool,
) -> Result<String, ProviderError> {
    // RFC 9207, section 2.4; also for errors, and before anything else in the answer is used.
    match answer.iss {
        Some(iss) if iss != issuer => return Err(untrusted("it comes from another issuer")),
        None if names_issuer => return Err(untrusted("it does not name its issuer")),
        _ => {}
    }
    match (answer.code, answer.error) {
        (Some(code), None) if !code.is_empty() => Ok(code),
        (None, Some(error)) => Err(provider_error(&error)),
        _ => Err(untrusted("it has neither a code nor an error, or both")),
    }
}

fn provider_error(error: &str) -> ProviderError {
    match error {
        "server_error" | "temporarily_unavailable" => unavailable(format!("it reports {error}")),
        _ => ProviderError::Denied(error_name(error).unwrap_or("for an unknown reason").to_owned()),
    }
}

/// Returns the name of an error if it looks like one. Anything else may be made to mislead its
/// reader.
pub(crate) fn error_name(error: &str) -> Option<&str> {
    let is_usual = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_name = (1..=MAX_ERROR_NAME).contains(&error.len()) && error.chars().all(is_usual);
    is_name.then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_the_attempt_with_its_state() {
        let attempt = LoginAttempt::new([7; 32]);
        let answer = |state: Option<&str>| Callback {
            state: state.map(str::to_owned),
            ..Callback::default()
        };
        check_state(&answer(Some(&attempt.state())), &attempt).unwrap();
        for state in [None, Some(""), Some(attempt.expose()), Some(&*attempt.nonce())] {
            let error = check_state(&answer(state), &attempt).unwrap_err();
            assert_eq!(error, ProviderError::ForeignState);
        }
        let other = LoginAttempt::new([8; 32]).state();
        assert!(check_state(&answer(Some(&other)), &attempt).is_err());
    }

    #[test]
    fn an_answer_has_the_issuer_and_a_code_or_an_error() {
        let answer = |code: Option<&str>, error: Option<&str>, iss: Option<&str>| {
            let [code, error, iss] = [code, error, iss].map(|text| text.map(str::to_owned));
            Callback { code, error, iss, state: None }
        };
        const ISSUER: &str = "https://id.example";
        let code = |answer, names_issuer| code(answer, ISSUER, names_issuer);
        assert_eq!(code(answer(Some("c"), None, None), false).as_deref(), Ok("c"));
        assert_eq!(code(answer(Some("c"), None, Some(ISSUER)), true).as_deref(), Ok("c"));
        for (answer, names_issuer, reason) in [
            (answer(Some("c"), None, None), true, "does not name its issuer"),
            (answer(Some("c"), None, Some("https://id.example/")), false, "another issuer"),
            (answer(None, Some("access_denied"), Some("https://evil.example")), false, "another"),
            (answer(None, None, None), false, "neither"),
            (answer(Some(""), None, None), false, "neither"),
            (answer(Some("c"), Some("access_denied"), None), false, "both"),
            (answer(None, Some("access_denied"), None), false, "access_denied"),
            (answer(None, Some("<script>"), None), false, "unknown reason"),
            (answer(None, Some("Call 555 now"), None), false, "unknown reason"),
            (answer(None, Some("server_error"), None), false, "not available: it reports"),
        ] {
            let error = code(answer, names_issuer).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
