//! Reports about a project's budget account: what is left, and what was used for what.

use std::collections::BTreeMap;

use super::{Amount, BudgetAccount, Day, Limit, Spent};
use crate::ids::ProjectId;
use crate::timestamp::Timestamp;

/// Budget of a project at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetReport {
    /// The project.
    pub project_id: ProjectId,
    /// Limit that applies: the one that people set, else the configured one.
    pub limit: Limit,
    /// Whether people set the limit.
    pub is_set: bool,
    /// Amount that was spent.
    pub used: Amount,
    /// Amount that running attempts may still spend.
    pub reserved: Amount,
    /// Rest of the limit; no limit where the limit has none.
    pub left: Limit,
}

/// Budget of an agent type on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayBudget {
    /// Limit of the day; it was raised if a person agreed to that.
    pub limit: Limit,
    /// Amount that was spent on this day.
    pub used: Amount,
    /// Amount that running attempts may still spend.
    pub reserved: Amount,
    /// End of the day (in UTC), when a new one begins.
    pub ends_at: Timestamp,
}

/// Sum of what attempts used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageTotal {
    /// Number of attempts, failed ones included.
    pub attempts: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Millionths of a US dollar, as far as prices are known.
    pub cost_micro_usd: u64,
}

/// Usage of a project, in total and by agent type and model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Sum over everything.
    pub total: UsageTotal,
    /// Sums by the name of the agent type.
    pub by_agent: BTreeMap<&'static str, UsageTotal>,
    /// Sums by provider and model, where they are known.
    pub by_model: BTreeMap<(Option<String>, Option<String>), UsageTotal>,
}

impl UsageTotal {
    /// Returns the tokens read and written together.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    const fn add(&mut self, spent: &Spent) {
        self.attempts += spent.attempts;
        self.input_tokens = self.input_tokens.saturating_add(spent.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(spent.output_tokens);
        self.cost_micro_usd = self.cost_micro_usd.saturating_add(spent.cost_micro_usd);
    }
}

impl BudgetAccount {
    /// Returns the budget of the project whose account this is. `configured` is the limit of a
    /// project for which people set none.
    #[must_use]
    pub fn report(&self, project_id: ProjectId, configured: Limit, now: Timestamp) -> BudgetReport {
        let limit = self.limit.unwrap_or(configured);
        let (used, reserved) = (self.spent(), self.reserved(now));
        let taken = used.plus(reserved);
        let left = |limit: Option<u64>, taken: u64| limit.map(|limit| limit.saturating_sub(taken));
        BudgetReport {
            project_id,
            limit,
            is_set: self.limit.is_some(),
            used,
            reserved,
            left: Limit {
                tokens: left(limit.tokens, taken.tokens),
                cost_micro_usd: left(limit.cost_micro_usd, taken.cost_micro_usd),
            },
        }
    }

    /// Returns the budget of the agent type whose account for this day this is. `configured` is the limit
    /// of a day for which people set none.
    #[must_use]
    pub fn day(&self, day: Day, configured: Limit, now: Timestamp) -> DayBudget {
        DayBudget {
            limit: self.limit.unwrap_or(configured),
            used: self.spent(),
            reserved: self.reserved(now),
            ends_at: day.end(),
        }
    }

    /// Returns the usage that the account has settled.
    #[must_use]
    pub fn usage(&self) -> UsageReport {
        let mut report = UsageReport::default();
        for spent in &self.spent {
            report.total.add(spent);
            report.by_agent.entry(spent.agent.as_str()).or_default().add(spent);
            let model = (spent.provider.clone(), spent.model.clone());
            report.by_model.entry(model).or_default().add(spent);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdGenerator;
    use crate::budget::{BudgetKey, Reservation};
    use crate::vocabulary::AgentType;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn project() -> ProjectId {
        IdGenerator::new(NOW, 7).project()
    }

    fn account() -> BudgetAccount {
        let line = |agent, model: &str, input_tokens| Spent {
            agent,
            provider: Some("openai".to_owned()),
            model: Some(model.to_owned()),
            attempts: 1,
            input_tokens,
            output_tokens: 1,
            cost_micro_usd: 5,
        };
        BudgetAccount {
            spent: vec![
                line(AgentType::Coder, "a", 10),
                line(AgentType::Coder, "b", 20),
                line(AgentType::Tester, "a", 30),
            ],
            ..BudgetAccount::new(BudgetKey::Project(project()))
        }
    }

    #[test]
    fn a_day_has_its_own_limit_or_the_configured_one_and_ends_at_midnight() {
        let configured = Limit { tokens: Some(100), cost_micro_usd: None };
        let day = Day::of(NOW);
        let mut account = BudgetAccount { key: BudgetKey::Day(AgentType::Coder, day), ..account() };
        let amount = Amount { tokens: 7, cost_micro_usd: 0 };
        let until = NOW.after(std::time::Duration::from_secs(1));
        account.reserve(IdGenerator::new(NOW, 8).task(), Reservation { amount, until }, NOW);
        let report = account.day(day, configured, NOW);
        assert_eq!((report.limit, report.used.tokens, report.reserved), (configured, 63, amount));
        assert_eq!(report.ends_at.to_string(), "2027-01-16T00:00:00.000000Z");
        account.limit = Some(Limit { tokens: Some(200), cost_micro_usd: None });
        assert_eq!(account.day(day, configured, until).limit.tokens, Some(200));
    }

    #[test]
    fn a_report_subtracts_what_is_spent_and_reserved_from_the_limit_that_applies() {
        let configured = Limit { tokens: Some(100), cost_micro_usd: None };
        let mut account = account();
        let amount = Amount { tokens: 7, cost_micro_usd: 0 };
        let until = NOW.after(std::time::Duration::from_secs(1));
        let task = IdGenerator::new(NOW, 8).task();
        account.reserve(task, Reservation { amount, until }, NOW);
        let report = account.report(project(), configured, NOW);
        assert!(!report.is_set);
        assert_eq!((report.used.tokens, report.reserved.tokens), (63, 7));
        assert_eq!(report.left, Limit { tokens: Some(30), cost_micro_usd: None });
        account.limit = Some(Limit { tokens: Some(7), cost_micro_usd: None });
        let report = account.report(project(), configured, until);
        assert_eq!((report.is_set, report.reserved.tokens), (true, 0), "the reservation is over");
        assert_eq!(report.left.tokens, Some(0));
    }

    #[test]
    fn usage_adds_up_by_agent_type_and_by_model() {
        let usage = account().usage();
        assert_eq!((usage.total.attempts, usage.total.tokens()), (3, 63));
        assert_eq!((usage.total.input_tokens, usage.total.output_tokens), (60, 3));
        assert_eq!(usage.by_agent["coder"].tokens(), 32);
        let model = (Some("openai".to_owned()), Some("a".to_owned()));
        assert_eq!(usage.by_model[&model].tokens(), 42);
    }
}
