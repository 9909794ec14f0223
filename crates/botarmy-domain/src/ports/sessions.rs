//! The driving port for sessions of browsers: signing in, recognising cookies, signing out.

use std::sync::Arc;

use async_trait::async_trait;

use super::access::Denial;
use crate::access::{
    Browser, OpenIdIdentity, PreviewToken, Session, SessionText, SignInLink, SignInLinkText,
};
use crate::caller::Caller;
use crate::error::Error;
use crate::ids::{CredentialId, PrincipalId};
use crate::page::Page;
use crate::timestamp::Timestamp;

/// Proof with which a person signs in.
#[derive(Clone, PartialEq, Eq)]
pub enum SignIn {
    /// Text of an API key, as it was pasted.
    Key(String),
    /// Code of a one-time link, as it was pasted or as the link has it.
    Link(String),
    /// Identity that an OpenID provider has confirmed.
    OpenId(OpenIdIdentity),
}

/// Without secrets.
impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(…)"),
            Self::Link(_) => f.write_str("Link(…)"),
            Self::OpenId(identity) => f.debug_tuple("OpenId").field(identity).finish(),
        }
    }
}

/// Reason for which a person is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInRefusal {
    /// The key or the code is malformed, unknown, revoked or used, or its person is disabled: which of
    /// these is not said.
    #[error("The key or code is not valid.")]
    Invalid,
    /// The key or the code has expired.
    #[error("The key or code has expired.")]
    Expired,
    /// The key belongs to a program. Programs send it with each request.
    #[error("The key belongs to a program; only people sign in.")]
    NotAPerson,
    /// None of the person's groups at the OpenID provider has a role here.
    #[error("None of your groups at the sign-in provider has a role here.")]
    NoMappedGroup,
    /// The person whom an OpenID provider has confirmed was disabled or deleted here.
    #[error("This person may not sign in here.")]
    Disabled,
    /// The server cannot tell at the moment which credentials are valid.
    #[error("Sign-ins cannot be checked at the moment; try again.")]
    Unavailable,
    /// Another error, mostly of the store.
    #[error(transparent)]
    Other(#[from] Error),
}

impl SignInRefusal {
    /// Returns the code of the reason, as problem documents and the log have it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid => "sign_in_invalid",
            Self::Expired => "sign_in_expired",
            Self::NotAPerson => "not_a_person",
            Self::NoMappedGroup => "no_mapped_group",
            Self::Disabled => "person_disabled",
            Self::Unavailable | Self::Other(_) => "sign_in_unavailable",
        }
    }
}

/// A session that was just started. Its text is shown once, in the cookie, and is stored nowhere.
#[derive(Debug, Clone)]
pub struct StartedSession {
    /// The session without its secret.
    pub session: Arc<Session>,
    /// The person, signed in.
    pub caller: Caller,
    /// Value of the cookie.
    pub text: SessionText,
}

/// A session with its person and the time of its last use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedSession {
    /// The session without its secret.
    pub session: Arc<Session>,
    /// Name of the person.
    pub name: String,
    /// Time of its last use, to the minute; at least the time of the sign-in.
    pub last_used_at: Timestamp,
}

/// A link that was just created. Its text is shown once and is stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedLink {
    /// The link without its secret.
    pub link: Arc<SignInLink>,
    /// Code of the link.
    pub text: SignInLinkText,
}

/// Signs people in and out, and recognises them by the cookies of their browsers.
///
/// An implementation
/// - MUST refuse a cookie within a second after its session was ended, its person was disabled, or the
///   key with which it was started was revoked, on every server;
/// - MUST NOT give a session more rights than the credential has with which it was started;
/// - MUST start a new session at every sign-in, and accept each link at most once;
/// - MUST NOT keep or log the text of a cookie, a key or a link.
///
/// # Errors
/// A refusal, or the error of the store. Nothing has changed then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Signs a person in. A person has ten sessions at most; a further one ends the oldest.
    async fn sign_in(
        &self,
        proof: SignIn,
        browser: &Browser,
        request_id: Option<String>,
    ) -> Result<StartedSession, SignInRefusal>;

    /// Returns the person with this cookie, signed in, and notes the use of the session. Takes no time
    /// and waits for nothing.
    ///
    /// # Errors
    /// [`Denial::Invalid`] for a cookie that is malformed, unknown, of another browser or of a session
    /// that was ended; [`Denial::Expired`] for a session that has lasted or was unused for too long.
    /// The cookie of a session that was signed out ends all sessions of its person.
    fn caller_of(&self, cookie: &str, browser: &Browser) -> Result<Caller, Denial>;

    /// Returns the person with this cookie as [`Sessions::caller_of`] does. A session that this server
    /// does not know, or takes for unused, may have been started or used on another server a moment
    /// ago, so it then reads the store before it refuses.
    async fn find_caller(&self, cookie: &str, browser: &Browser) -> Result<Caller, Denial>;

    /// Returns the person in whose session this token was made, signed in, for reading the artifact of the
    /// token and nothing else. Its use does not count as a use of the session: the token is used by pages
    /// that agents wrote. Takes no time and waits for nothing.
    ///
    /// # Errors
    /// [`Denial::Invalid`] for a token of a session that is unknown, was ended or is that of another
    /// browser, or that was not made in it; [`Denial::Expired`] for a token whose time is over, or whose
    /// session has lasted or was unused for too long.
    fn caller_of_preview(&self, token: &PreviewToken, browser: &Browser) -> Result<Caller, Denial>;

    /// Returns the person in whose session this token was made as [`Sessions::caller_of_preview`] does. A
    /// session that this server does not know, or takes for unused, is looked for in the store before it
    /// is refused.
    async fn find_caller_of_preview(
        &self,
        token: &PreviewToken,
        browser: &Browser,
    ) -> Result<Caller, Denial>;

    /// Signs the caller out: ends its session, or all sessions and links of the person. Does nothing for
    /// a session that has ended.
    async fn sign_out(&self, caller: Caller, everywhere: bool) -> Result<(), Error>;

    /// Returns sessions that may be used, by id, those after the session `after`: those of one person,
    /// or of all. A caller sees its own without any permission, and others with
    /// [`Permission::AccessManage`](crate::vocabulary::Permission::AccessManage).
    async fn sessions(
        &self,
        caller: &Caller,
        principal: Option<PrincipalId>,
        after: Option<CredentialId>,
        limit: u32,
    ) -> Result<Page<UsedSession>, Error>;

    /// Ends a session: one of the caller's own, or any with
    /// [`Permission::AccessManage`](crate::vocabulary::Permission::AccessManage). One that has ended
    /// already stays as it is. Returns whether this call ended it.
    async fn end_session(&self, id: CredentialId, caller: Caller) -> Result<bool, Error>;

    /// Creates a link with which a person can sign in once within ten minutes. For the caller itself, its
    /// sessions have at most the rights of the credential that the caller has now, and end with it.
    /// For another person, the caller needs
    /// [`Permission::AccessManage`](crate::vocabulary::Permission::AccessManage) and all grants of that
    /// person.
    async fn create_link(
        &self,
        principal: PrincipalId,
        caller: Caller,
    ) -> Result<IssuedLink, Error>;
}
