//! The port for an OpenID provider, with which persons sign in.

use std::fmt;

use async_trait::async_trait;

use crate::access::{LoginAttempt, OpenIdIdentity};

/// Sign-in that has just begun.
#[derive(Clone, PartialEq, Eq)]
pub struct BegunLogin {
    /// Address at the provider to which the browser is sent.
    pub url: String,
    /// Secret for the cookie of the browser.
    pub attempt: LoginAttempt,
}

/// Without the address, which has the values that bind the answer to the attempt.
impl fmt::Debug for BegunLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BegunLogin").finish_non_exhaustive()
    }
}

/// Answer of the provider: the parameters with which it sends the browser back (RFC 6749, section
/// 4.1.2, and RFC 9207). None of them has been checked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Callback {
    /// Code that is exchanged for tokens.
    pub code: Option<String>,
    /// The `state` of the attempt.
    pub state: Option<String>,
    /// Issuer that answers.
    pub iss: Option<String>,
    /// Reason for which there is no code.
    pub error: Option<String>,
}

/// Without the values.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("has_code", &self.code.is_some())
            .field("has_error", &self.error.is_some())
            .finish_non_exhaustive()
    }
}

/// Reason for which a sign-in fails. Its text has no secret, names cause and remedy, and can be shown
/// and logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The answer does not belong to an attempt of this browser.
    #[error(
        "This sign-in did not begin in this browser, or is over. Start again from the sign-in page"
    )]
    ForeignState,
    /// The provider did not sign the person in, for the reason of RFC 6749, section 4.1.2.1, or of
    /// OpenID Connect Core, section 3.1.2.6.
    #[error("The OpenID provider did not sign you in: {0}")]
    Denied(String),
    /// An answer of the provider breaks the protocol, or may be forged.
    #[error("The answer of the OpenID provider is not accepted: {0}")]
    Untrusted(String),
    /// The provider cannot be reached, does not answer in time, or reports an error of its own.
    #[error("The OpenID provider is not available: {0}")]
    Unavailable(String),
}

impl ProviderError {
    /// Returns the name of the reason, for the record of refused requests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ForeignState => "login_foreign_state",
            Self::Denied(_) => "login_denied",
            Self::Untrusted(_) => "login_untrusted",
            Self::Unavailable(_) => "login_unavailable",
        }
    }
}

/// An OpenID provider: a person who signs in is sent to it, and comes back with proof of identity.
///
/// An implementation
/// - MUST NOT keep anything about an attempt: any replica can finish what another began;
/// - MUST check that the answer belongs to the attempt before it sends anything to the provider;
/// - MUST return an identity only if the provider signed it for this client and this attempt;
/// - MUST end each call within a time limit, whatever the provider does;
/// - MUST NOT log a code, a token, or a secret, nor return one in an error.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait IdentityProvider: Send + Sync + 'static {
    /// Returns the issuer, as it stands in the identities.
    fn issuer(&self) -> &str;

    /// Begins a sign-in that ends at `redirect_uri`, the full address of the callback.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] or [`ProviderError::Untrusted`] if the provider's description of
    /// itself cannot be read or used.
    async fn begin(&self, redirect_uri: &str) -> Result<BegunLogin, ProviderError>;

    /// Finishes a sign-in, with the same `redirect_uri`: exchanges the code, checks the ID token, and
    /// returns the identity in it.
    ///
    /// # Errors
    /// Every [`ProviderError`].
    async fn finish(
        &self,
        redirect_uri: &str,
        attempt: &LoginAttempt,
        answer: Callback,
    ) -> Result<OpenIdIdentity, ProviderError>;
}
