//! Persons as an OpenID provider describes them, and the secrets of one sign-in with it.

use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::principal::OpenIdSubject;
use crate::base62::{DIGITS, LENGTH, base62};
use crate::secret::Secret;

/// Person who has signed in with an OpenID provider, as its token describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIdIdentity {
    /// Issuer and subject, which alone identify the person.
    pub subject: OpenIdSubject,
    /// Name to show. It is not unique, and the person can change it at the provider.
    pub name: String,
    /// Groups at the provider, in its order and without repetitions.
    pub groups: Vec<String>,
}

/// Secret of a sign-in that has begun, from which `state`, `nonce` and the code verifier follow. It
/// is kept in a cookie of the browser that began the sign-in, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAttempt(Secret<String>);

impl LoginAttempt {
    /// Creates an attempt from 256 random bits.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(base62(bytes)))
    }

    /// Returns the text for the cookie: 43 letters and digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the value that binds the answer of the provider to the browser (RFC 6749, section
    /// 10.12). The secret cannot be found from it.
    #[must_use]
    pub fn state(&self) -> String {
        self.derive("state")
    }

    /// Returns the value that binds the ID token to the attempt. The secret cannot be found from it.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// Returns the code verifier (RFC 7636, section 4.1), which only the token endpoint receives.
    #[must_use]
    pub fn verifier(&self) -> String {
        self.derive("verifier")
    }

    fn derive(&self, purpose: &str) -> String {
        base62(Sha256::digest(format!("botarmy.login/1\0{purpose}\0{}", self.expose())).into())
    }
}

/// Text that is not a login attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a login attempt")]
pub struct MalformedAttempt;

impl FromStr for LoginAttempt {
    type Err = MalformedAttempt;

    fn from_str(text: &str) -> Result<Self, MalformedAttempt> {
        let is_sound = text.len() == LENGTH && text.bytes().all(|byte| DIGITS.contains(&byte));
        if is_sound { Ok(Self(Secret::new(text.to_owned()))) } else { Err(MalformedAttempt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_back_from_its_cookie_and_nothing_else_is_one() {
        let attempt = LoginAttempt::new([7; 32]);
        assert_eq!(attempt.expose().parse(), Ok(attempt.clone()));
        let text = attempt.expose();
        for other in [
            "",
            &text[1..],
            &format!("{text}0"),
            &format!(" {}", &text[1..]),
            &format!("{}-", &text[1..]),
        ] {
            assert_eq!(other.parse::<LoginAttempt>(), Err(MalformedAttempt), "{other}");
        }
    }

    #[test]
    fn the_values_of_an_attempt_differ_and_do_not_show_its_secret() {
        let (one, other) = (LoginAttempt::new([7; 32]), LoginAttempt::new([8; 32]));
        let values = [&one, &other].map(|one| [one.state(), one.nonce(), one.verifier()]).concat();
        let mut distinct = values.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), values.len());
        for value in values {
            // RFC 7636, section 4.1: 43 to 128 characters without meaning in a URL.
            assert_eq!(value.len(), LENGTH);
            assert!(value != one.expose() && value != other.expose());
        }
        assert_eq!(format!("{one:?}"), "LoginAttempt(…)");
    }
}
