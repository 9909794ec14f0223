//! Standing delegations: another person answers requests for a while.

use serde::{Deserialize, Serialize};

use crate::ids::PrincipalId;
use crate::timestamp::Timestamp;

/// Standing delegation: another person answers in the place of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Person who answers.
    pub to: PrincipalId,
    /// Time from which it applies.
    pub from: Timestamp,
    /// Time at which it ends.
    pub until: Timestamp,
}

impl Delegation {
    /// Returns whether it applies at this time.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}
