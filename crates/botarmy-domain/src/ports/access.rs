//! The driving port for access control: it recognises callers, and manages principals and keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::access::{ApiKey, ApiKeyText, Grant, GrantTarget, Principal, TicketText};
use crate::caller::Caller;
use crate::error::Error;
use crate::ids::{CredentialId, PrincipalId, ProjectId};
use crate::page::Page;
use crate::timestamp::Timestamp;
use crate::vocabulary::{PrincipalKind, Role};

/// Reason for which a credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no credential, and the server wants one.
    #[error("a key is required")]
    Required,
    /// The credential is malformed, unknown or revoked, or its principal is disabled: which of these is
    /// not said.
    #[error("the key is not valid")]
    Invalid,
    /// The credential has expired.
    #[error("the key has expired")]
    Expired,
    /// The server cannot tell at the moment which credentials are valid.
    #[error("the keys cannot be checked at the moment")]
    Unavailable,
}

/// A new principal, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrincipal {
    /// Name; no other principal has or had it.
    pub name: String,
    /// Kind: a person or a service.
    pub kind: PrincipalKind,
    /// Groups.
    pub groups: Vec<String>,
    /// Grants.
    pub grants: Vec<Grant>,
}

/// A new key, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Principal that it is for.
    pub principal: PrincipalId,
    /// Name by which its owner recognises it.
    pub name: String,
    /// Grants to which it narrows those of its principal.
    pub grants: Option<Vec<Grant>>,
    /// Time until it expires.
    pub lifetime: Lifetime,
}

/// Time until a key expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// As the settings say.
    #[default]
    Default,
    /// This long.
    For(Duration),
    /// It never expires.
    Unlimited,
}

/// A key that was just created. Its text is shown once and is stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedKey {
    /// The key without its secret.
    pub key: Arc<ApiKey>,
    /// Text that its owner sends.
    pub text: ApiKeyText,
}

/// A key with the time of its last use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedKey {
    /// The key without its secret.
    pub key: Arc<ApiKey>,
    /// Time of its last use, to the minute; `None` if it was never used.
    pub last_used_at: Option<Timestamp>,
}

/// A standing delegation, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelegation {
    /// Name or id of the person who answers.
    pub to: String,
    /// Time from which it applies; at once when absent.
    pub from: Option<Timestamp>,
    /// Time at which it ends.
    pub until: Timestamp,
}

/// Changes of a principal; a field that is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrincipalChange {
    /// New grants, in place of all.
    pub grants: Option<Vec<Grant>>,
    /// New groups, in place of all.
    pub groups: Option<Vec<String>>,
    /// Whether its credentials are refused for now.
    pub disabled: Option<bool>,
    /// Whether it is deleted for ever, with all of its keys.
    pub deleted: bool,
}

/// A principal that has roles on one project by name. Nothing else about the principal is in it, because
/// the managers of the project see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Id of the principal.
    pub principal: PrincipalId,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: PrincipalKind,
    /// Roles that were granted on this project by name; none after the last one was taken away.
    pub roles: BTreeSet<Role>,
}

impl Member {
    /// Returns what the managers of a project see of a principal.
    #[must_use]
    pub fn of(principal: &Principal, project: ProjectId) -> Self {
        let target = GrantTarget::Project(project);
        let on_project = principal.grants.iter().filter(|grant| grant.target == target);
        Self {
            principal: principal.id,
            name: principal.name.clone(),
            kind: principal.kind,
            roles: on_project.map(|grant| grant.role).collect(),
        }
    }
}

/// Recognises callers by their credentials, and manages principals and keys.
///
/// An implementation
/// - MUST refuse a credential within a second after it was revoked, on every server;
/// - MUST NOT keep or log the text of a key;
/// - MUST take one decision per change, and commit it before it returns.
///
/// # Errors
/// A refusal, or the error of the store. Nothing has changed then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// Whether requests need a credential. On an open server, a request without one is that of the
    /// person whom it names.
    fn is_required(&self) -> bool;

    /// Returns the caller with this credential, the text after `Bearer`. Takes no time and waits for
    /// nothing.
    ///
    /// # Errors
    /// A [`Denial`]. The token of a lease is no credential here.
    fn authenticate(&self, credential: &str) -> Result<Caller, Denial>;

    /// Returns the caller with the same credential as it is now. Connections that outlive their request
    /// call it, so that they end with their credential. Takes no time and waits for nothing.
    ///
    /// # Errors
    /// A [`Denial`]. A caller without a credential stays as it is.
    fn recheck(&self, caller: &Caller) -> Result<Caller, Denial>;

    /// Returns the caller with the key of this id as it is now. The token of a lease is good for as long
    /// as the key with which the lease was taken. Takes no time and waits for nothing.
    ///
    /// # Errors
    /// A [`Denial`].
    fn caller_with_key(&self, key: CredentialId) -> Result<Caller, Denial>;

    /// Sets or ends the standing delegation of the caller. Returns the person as it is afterwards.
    async fn set_delegation(
        &self,
        delegation: Option<NewDelegation>,
        caller: Caller,
    ) -> Result<Arc<Principal>, Error>;

    /// Issues a ticket, with which the caller opens one live connection on any server within
    /// [`TICKET_LIFETIME`](crate::access::TICKET_LIFETIME).
    async fn issue_ticket(&self, caller: &Caller) -> Result<TicketText, Error>;

    /// Uses a ticket up, and returns the caller that it was issued to as it is now.
    ///
    /// # Errors
    /// A [`Denial`]: the ticket is unknown, was used or has expired, or the credential with which it was
    /// asked for is refused now.
    async fn redeem_ticket(&self, ticket: &TicketText) -> Result<Caller, Denial>;

    /// Returns the principal of a caller, which may see its own grants; `None` on an open server. Takes
    /// no time and waits for nothing.
    fn principal_of(&self, caller: &Caller) -> Option<Arc<Principal>>;

    /// Records that a request was refused, for the log of the system. Denials of the same reason from
    /// the same source are summarised, so that strangers cannot fill the log.
    fn record_denial(&self, reason: &'static str, source: String);

    /// Returns principals by id, those after the principal `after`; without those that were deleted.
    async fn principals(
        &self,
        caller: &Caller,
        after: Option<PrincipalId>,
        limit: u32,
    ) -> Result<Page<Arc<Principal>>, Error>;

    /// Returns the principal, unless it was deleted.
    async fn principal(&self, caller: &Caller, id: PrincipalId) -> Result<Arc<Principal>, Error>;

    /// Creates a principal. It gets only grants that the caller could pass on.
    async fn create_principal(
        &self,
        new: NewPrincipal,
        caller: Caller,
    ) -> Result<Arc<Principal>, Error>;

    /// Changes a principal. It gets only grants that the caller could pass on, or had before.
    async fn change_principal(
        &self,
        id: PrincipalId,
        change: PrincipalChange,
        caller: Caller,
    ) -> Result<Arc<Principal>, Error>;

    /// Returns the members of a project by id, those after the principal `after`: principals with roles on
    /// this project by name. Those with roles on all projects, or on their own, are not among them.
    async fn members(
        &self,
        caller: &Caller,
        project: ProjectId,
        after: Option<PrincipalId>,
        limit: u32,
    ) -> Result<Page<Member>, Error>;

    /// Sets the roles that a principal has on a project by name. It gets only roles that the caller
    /// could pass on there, or had before.
    async fn set_member_roles(
        &self,
        project: ProjectId,
        principal: PrincipalId,
        roles: BTreeSet<Role>,
        caller: Caller,
    ) -> Result<Member, Error>;

    /// Returns keys by id, those after the key `after`, of one principal or of all.
    async fn keys(
        &self,
        caller: &Caller,
        principal: Option<PrincipalId>,
        after: Option<CredentialId>,
        limit: u32,
    ) -> Result<Page<UsedKey>, Error>;

    /// Returns the key.
    async fn key(&self, caller: &Caller, id: CredentialId) -> Result<UsedKey, Error>;

    /// Creates a key for a principal. The reply to a call with an idempotency key is made of the
    /// `Arc<ApiKey>`, so that no text of a key is kept; the same goes for a rotation.
    async fn create_key(&self, new: NewKey, caller: Caller) -> Result<IssuedKey, Error>;

    /// Revokes a key. One that was revoked already stays as it is.
    async fn revoke_key(&self, id: CredentialId, caller: Caller) -> Result<Arc<ApiKey>, Error>;

    /// Creates a key that takes the place of another, which expires after `overlap`. Without a
    /// `lifetime`, it has that of the other one.
    async fn rotate_key(
        &self,
        id: CredentialId,
        overlap: Duration,
        lifetime: Option<Lifetime>,
        caller: Caller,
    ) -> Result<IssuedKey, Error>;
}
