//! The emergency stop: work of a project, of an agent type, or all work, ended at once and not
//! begun again until somebody releases it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::ProjectId;
use crate::record::{ColumnKind, Record, RecordTable};
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;

/// What is stopped. As text `everything`, `agent/coder` or `project/ID`: the key it is stored under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopScope {
    /// All work.
    Everything,
    /// The work of an agent type.
    Agent(AgentType),
    /// The work of a project.
    Project(ProjectId),
}

impl StopScope {
    /// Whether it concerns the work of this agent type in this project.
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
        let unknown = || format!("`{text}` is nothing that can be stopped");
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

/// A stop that nobody has released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// What is stopped.
    pub scope: StopScope,
    /// Why.
    pub reason: String,
    /// Who stopped it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What an emergency stop led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The stop that stands now.
    pub stop: Stop,
    /// Whether it was made by this call; another's stands otherwise.
    pub is_new: bool,
    /// How many tasks were running when it was recorded.
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
