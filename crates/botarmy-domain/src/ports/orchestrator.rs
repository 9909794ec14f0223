//! All commands of BotArmy as one port. Reading goes through [`super::Queries`] and
//! [`super::LogQueries`].

use super::{Gates, Operations, Projects, Tasks};

/// The four driving ports of one implementation.
pub trait Orchestrator: Projects + Tasks + Gates + Operations {}

impl<T: Projects + Tasks + Gates + Operations> Orchestrator for T {}
