//! Payload of events about agent types.

use crate::agent::AgentRecord;
use serde::{Deserialize, Serialize};

/// The status of an agent type changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentStatusChanged(pub AgentRecord);
