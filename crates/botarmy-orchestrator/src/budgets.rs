//! Budget settings: default limits, and the assumed cost of an attempt.

use std::collections::BTreeMap;

use botarmy_domain::AgentType;
use botarmy_domain::budget::{Amount, Limit};

/// Limits that apply where no other limit was set, and the least assumed cost of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Limit of each project.
    pub per_project: Limit,
    /// Limit of an agent type on one day (in UTC).
    pub per_day: BTreeMap<AgentType, Limit>,
    /// Lower bound of the worst case of an attempt. Commands and external workers do not announce
    /// a worst case, so for them it is the whole of it.
    pub worst_case: BTreeMap<AgentType, Amount>,
}

impl Budgets {
    /// Returns the worst case of an attempt whose runner announces `announced`, or `None` if the
    /// attempt costs nothing.
    pub(crate) fn worst_case(&self, agent: AgentType, announced: Option<Amount>) -> Option<Amount> {
        let least = self.worst_case.get(&agent).copied();
        match (least, announced) {
            (Some(least), Some(announced)) => Some(Amount {
                tokens: least.tokens.max(announced.tokens),
                cost_micro_usd: least.cost_micro_usd.max(announced.cost_micro_usd),
            }),
            (least, announced) => announced.or(least),
        }
    }
}
