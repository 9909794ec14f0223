//! Emergency stops: the work of a project, of an agent type, or all work ends at once and does not
//! continue until the stop is released.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::ProjectId;
use crate::record::{ColumnKind, Record, RecordTable};
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;

/// Scope of an emergency stop. Its text, `everything`, `agent/coder` or `project/ID`, is the stored
/// key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopScope {
    /// All work.
    Everything,
    /// All work of an agent type.
    Agent(AgentType),
    /// All work of a project.
    Project(ProjectId),
}

impl StopScope {
    /// Returns whether it includes the work of this agent type in this project.
    #[must_use]
    pub fn covers(self, agent: AgentType, project: ProjectId) -> bool {
        match self {
            Self::Everything => true,
            Self::Agent(stopped) => stopped == agent,
            Self::Project(stopped) => stopped == project,
        }
    }
}

impl std::fmt::Display for StopScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Agent(agent) => write!(f, "agent/{agent}"),
            Self::Project(id) => write!(f, "project/{id}"),
        }
    }
}

impl std::str::FromStr for StopScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is not the scope of an emergency stop");
        match text.split_once('/') {
            None if text == "everything" => Ok(Self::Everything),
            Some(("agent", agent)) => agent.parse().map(Self::Agent).map_err(|_| unknown()),
            Some(("project", id)) => id.parse().map(Self::Project).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl Serialize for StopScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StopScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An emergency stop in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Work that is stopped.
    pub scope: StopScope,
    /// Reason for people.
    pub reason: String,
    /// Name of the principal that stopped it.
    pub by: String,
    /// Time of the stop.
    pub at: Timestamp,
}

/// Result of an emergency stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The stop in force.
    pub stop: Stop,
    /// Whether this call created the stop; otherwise it was in force already.
    pub is_new: bool,
    /// Number of tasks that were running when the stop was recorded.
    pub interrupted: usize,
}

impl Record for Stop {
    type Key = StopScope;

    const TABLE: RecordTable =
        RecordTable { name: "emergency_stops", key: ("scope", ColumnKind::Text), extra: &[] };

    fn key(&self) -> StopScope {
        self.scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_themselves() {
        let project = crate::IdGenerator::new(Timestamp::from_micros(1), 1).project();
        for scope in [
            StopScope::Everything,
            StopScope::Agent(AgentType::Tester),
            StopScope::Project(project),
        ] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
            assert!(scope.covers(AgentType::Tester, project));
        }
        assert!(!StopScope::Agent(AgentType::Tester).covers(AgentType::Coder, project));
        for wrong in ["", "all", "agent/", "agent/typist", "project/x", "everything/"] {
            assert!(wrong.parse::<StopScope>().is_err(), "{wrong}");
        }
    }
}
