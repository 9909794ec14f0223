//! Payloads of events about principals, keys and sessions. They name ids, names and hints, and never a
//! secret.

use std::collections::BTreeSet;

use crate::access::{Grant, OpenIdSubject};
use crate::hitl::Delegation;
use crate::ids::{CredentialId, PrincipalId};
use crate::timestamp::Timestamp;
use crate::vocabulary::{Authentication, PrincipalKind};
use serde::{Deserialize, Serialize};

/// A principal was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrincipalCreated {
    /// Id of the principal.
    pub principal_id: PrincipalId,
    /// Name of the principal.
    pub name: String,
    /// Kind of the principal.
    pub kind: PrincipalKind,
    /// Identity at an OpenID provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenIdSubject>,
    /// Groups that it is in.
    pub groups: BTreeSet<String>,
    /// Its grants.
    pub grants: Vec<Grant>,
}

/// The grants or the state of a principal changed. The members are those after the change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrantChanged {
    /// Id of the principal.
    pub principal_id: PrincipalId,
    /// Name of the principal.
    pub name: String,
    /// Groups that it is in.
    pub groups: BTreeSet<String>,
    /// Its grants.
    pub grants: Vec<Grant>,
    /// Whether its credentials are refused for now.
    pub disabled: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether the change ended the sessions and the sign-in links of the person: it was disabled, enabled
    /// or deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sessions_ended: bool,
}

/// A key was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyCreated {
    /// Id of the key.
    pub key_id: CredentialId,
    /// Principal that it is for.
    pub principal_id: PrincipalId,
    /// Name of the key.
    pub name: String,
    /// Last characters of the key.
    pub hint: String,
    /// Grants to which it narrows those of its principal.
    pub grants: Option<Vec<Grant>>,
    /// Time from which it is refused.
    pub expires_at: Option<Timestamp>,
}

/// A key took the place of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyRotated {
    /// Id of the earlier key.
    pub key_id: CredentialId,
    /// Time from which the earlier key is refused.
    pub key_expires_at: Timestamp,
    /// The key in its place.
    pub replacement: KeyCreated,
}

/// A key was revoked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// Id of the key.
    pub key_id: CredentialId,
    /// Principal that it was for.
    pub principal_id: PrincipalId,
    /// Name of the key.
    pub name: String,
    /// Last characters of the key.
    pub hint: String,
}

/// A person signed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// Id of the session.
    pub session_id: CredentialId,
    /// Principal that signed in.
    pub principal_id: PrincipalId,
    /// Proof with which it signed in.
    pub auth: Authentication,
    /// Link with which it signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<CredentialId>,
    /// Key with which the session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<CredentialId>,
    /// Grants to which it narrows those of its principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// Time at which the session ends at the latest.
    pub expires_at: Timestamp,
}

/// A session ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// Id of the session.
    pub session_id: CredentialId,
    /// Principal that was signed in.
    pub principal_id: PrincipalId,
    /// Reason, such as `signed_out`.
    pub reason: String,
}

/// A one-time sign-in link was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignInLinkCreated {
    /// Id of the link.
    pub link_id: CredentialId,
    /// Principal that can sign in with it.
    pub principal_id: PrincipalId,
    /// Key with which the session ends that it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<CredentialId>,
    /// Grants to which that session narrows those of its principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// Time at which that session ends at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_expires_at: Option<Timestamp>,
    /// Time from which it is refused.
    pub expires_at: Timestamp,
}

/// Requests were refused because of their credential or a missing permission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessDenied {
    /// Code of the reason, such as `key_invalid`.
    pub reason: String,
    /// Principal or address that the requests came from.
    pub source: String,
    /// Number of requests.
    pub count: u64,
    /// Time of the first.
    pub first_at: Timestamp,
    /// Time of the last.
    pub last_at: Timestamp,
}

/// A person set or ended its standing delegation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DelegationChanged {
    /// Person whose delegation it is.
    pub principal: PrincipalId,
    /// The delegation from now on; `None` if there is none any more.
    pub delegation: Option<Delegation>,
}
