//! Leases: the exclusive right to work on a task for a limited time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{CredentialId, PrincipalId};
use crate::timestamp::Timestamp;

/// Duration of a lease without a heartbeat, unless settings say otherwise.
pub const LEASE: Duration = Duration::from_secs(300);

/// Time within which an external worker must make its first call under a lease, unless settings say
/// otherwise.
pub const FIRST_CALL: Duration = Duration::from_secs(15);

/// Name of a lease holder: a process and a slot in it. Free text, chosen by the worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl WorkerId {
    /// Prefix of the names of external workers. It keeps them from passing for a server's own
    /// workers, and shows a server at its start which leases may still be alive.
    const EXTERNAL: &str = "external/";

    /// Returns the id of an external worker with the name that it gives itself.
    #[must_use]
    pub fn external(name: &str) -> Self {
        Self(format!("{}{name}", Self::EXTERNAL))
    }

    /// Returns the name that an external worker gave itself; `None` for a worker of a server.
    #[must_use]
    pub fn external_name(&self) -> Option<&str> {
        self.0.strip_prefix(Self::EXTERNAL)
    }

    /// Returns whether the worker is external.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.0.starts_with(Self::EXTERNAL)
    }
}

impl std::fmt::Display for WorkerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The exclusive right to work on a task until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Worker that holds the lease.
    pub worker: WorkerId,
    /// Fencing token: the number of the attempt. A result with a lower one is refused.
    pub fence: u32,
    /// Time at which work began.
    pub started_at: Timestamp,
    /// Time of expiry unless the lease is extended.
    pub expires_at: Timestamp,
    /// Time by which its holder must make a first call; absent if the lease expires no later anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_call_by: Option<Timestamp>,
}

impl Lease {
    /// Returns whether its holder still has to make the first call. Any call either ends the lease or
    /// moves its expiry.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.first_call_by == Some(self.expires_at)
    }

    /// Returns the holder of this lease, with its fencing token.
    #[must_use]
    pub fn holder(&self) -> LeaseHolder {
        LeaseHolder { worker: self.worker.clone(), fence: self.fence }
    }
}

/// Principal that took a lease, and the credential with which it did. The token of the lease is good
/// for as long as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTaker {
    /// Id of the principal.
    pub principal: PrincipalId,
    /// Id of the credential.
    pub credential: CredentialId,
}

/// Claimed holder of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// Name of the worker.
    pub worker: WorkerId,
    /// Fencing token that the worker received with the lease.
    pub fence: u32,
}
