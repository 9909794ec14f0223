//! The right to work on a task.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Duration of a lease without a heartbeat, unless settings say otherwise.
pub const LEASE: Duration = Duration::from_secs(300);

/// Who holds a lease: a process and a place in it. Free text, chosen by the worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl WorkerId {
    /// What the names of workers outside of the servers begin with, so that none of them passes for
    /// a server's own, and a server that starts knows which leases may still be alive.
    const EXTERNAL: &str = "external/";

    /// A worker outside of the servers, under the name it gives itself.
    #[must_use]
    pub fn external(name: &str) -> Self {
        Self(format!("{}{name}", Self::EXTERNAL))
    }

    /// Whether it works outside of the servers.
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

/// The right to work on a task until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub worker: WorkerId,
    /// The fencing token: the attempt it belongs to. A result that carries an older one is refused.
    pub fence: u32,
    /// When work began.
    pub started_at: Timestamp,
    /// When it lapses unless it is extended.
    pub expires_at: Timestamp,
}

impl Lease {
    /// Returns the holder of this lease, with its fencing token.
    #[must_use]
    pub fn holder(&self) -> LeaseHolder {
        LeaseHolder { worker: self.worker.clone(), fence: self.fence }
    }
}

/// Who holds a lease, as the holder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// Its name.
    pub worker: WorkerId,
    /// The fencing token it was given.
    pub fence: u32,
}
