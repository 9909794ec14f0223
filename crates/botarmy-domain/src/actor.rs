//! The party that did something, as it is remembered to be compared with another.

use serde::{Deserialize, Serialize};

use crate::ids::PrincipalId;

/// Party that did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Name, as the log records it.
    pub name: String,
    /// Id of the principal; `None` on an open server and for parts of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
}

impl Actor {
    /// Returns whether both are the same party. Names count only where one of both has no id.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.principal, other.principal) {
            (Some(id), Some(own)) => id == own,
            _ => self.name == other.name,
        }
    }
}
