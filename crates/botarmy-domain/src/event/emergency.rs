//! Payloads of events about emergency stops.

use crate::emergency::StopScope;
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;
use serde::{Deserialize, Serialize};

/// Work was stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmergencyStopped {
    /// Work that is stopped.
    pub scope: StopScope,
    /// Agent type, where the stop is of one.
    pub agent_type: Option<AgentType>,
    /// Reason in the words of the caller.
    pub reason: String,
    /// Name of the principal that stopped it.
    pub stopped_by: String,
    /// Whether the times of pending requests of a project stand still meanwhile, which older versions did
    /// not do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops_clocks: bool,
}

/// Stopped work was released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmergencyReleased {
    /// Work that continues.
    pub scope: StopScope,
    /// Agent type, where the stop was of one.
    pub agent_type: Option<AgentType>,
    /// Reason in the words of the caller.
    pub reason: String,
    /// Name of the principal that released it.
    pub released_by: String,
    /// Name of the principal that had stopped it.
    pub stopped_by: String,
    /// Time of the stop.
    pub stopped_at: Timestamp,
}
