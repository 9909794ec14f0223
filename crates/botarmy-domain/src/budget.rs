//! Budgets: limits for a project and for an agent type per day, the usage that was settled, and the
//! reservations of running attempts.
//!
//! Each limit belongs to a budget account. Before an attempt that may cost something, its worst
//! case is reserved in two accounts: that of its project and that of its agent type for the day.
//! When the attempt has ended, its usage replaces the reservation. A reservation belongs to a task,
//! so that a retried task holds one, and it expires with its attempt: nothing has to be undone when
//! a server is killed.

mod report;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{ProjectId, TaskId};
use crate::record::{ColumnKind, Record, RecordTable};
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::AgentType;

pub use report::{BudgetReport, DayBudget, UsageReport, UsageTotal};

/// Maximum number of models that a budget account lists separately; further ones are counted
/// together. External workers choose the names of their models.
const MAX_LINES: usize = 100;
/// Maximum length of a stored name, in characters.
const MAX_NAME: usize = 128;
/// Maximum of a reported amount. No attempt can use more; a wrong report must not exhaust a budget
/// account for ever.
const MAX_AT_ONCE: u64 = 1_000_000_000_000;

/// Tokens, input and output together, and cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Number of tokens.
    pub tokens: u64,
    /// Cost in millionths of a US dollar.
    pub cost_micro_usd: u64,
}

impl Amount {
    /// Returns the sum of both amounts.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            cost_micro_usd: self.cost_micro_usd.saturating_add(other.cost_micro_usd),
        }
    }
}

/// Limit of an amount; a part that is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limit {
    /// Maximum number of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Maximum cost in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

impl Limit {
    /// Returns whether nothing is limited.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.tokens.is_none() && self.cost_micro_usd.is_none()
    }

    /// Returns whether `more` fits into the limit beside `taken`. If the limit is used up it does
    /// not, even if `more` is zero because the attempt's cost is unknown.
    #[must_use]
    pub fn has_room(&self, taken: Amount, more: Amount) -> bool {
        let fits = |limit: Option<u64>, taken: u64, more: u64| {
            limit.is_none_or(|limit| taken < limit && taken.saturating_add(more) <= limit)
        };
        fits(self.tokens, taken.tokens, more.tokens)
            && fits(self.cost_micro_usd, taken.cost_micro_usd, more.cost_micro_usd)
    }

    /// Returns the limit raised by `by`, and at least so far that `more` fits. A part that is not
    /// limited stays so.
    #[must_use]
    pub fn raised(&self, by: Self, taken: Amount, more: Amount) -> Self {
        let raise = |limit: Option<u64>, by: Option<u64>, taken: u64, more: u64| {
            let needed = taken.saturating_add(more.max(1));
            limit.map(|limit| limit.saturating_add(by.unwrap_or(0)).max(needed))
        };
        Self {
            tokens: raise(self.tokens, by.tokens, taken.tokens, more.tokens),
            cost_micro_usd: raise(
                self.cost_micro_usd,
                by.cost_micro_usd,
                taken.cost_micro_usd,
                more.cost_micro_usd,
            ),
        }
    }
}

/// A day in UTC, as the number of days since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    const MICROS: i64 = 86_400 * 1_000_000;

    /// Returns the day of a time.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.micros().div_euclid(Self::MICROS))
    }

    /// Returns the end of the day.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp::from_micros((self.0 + 1).saturating_mul(Self::MICROS))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let midnight = Timestamp::from_micros(self.0.saturating_mul(Self::MICROS)).to_string();
        f.write_str(midnight.split('T').next().unwrap_or(&midnight))
    }
}

/// Key of a budget account. Its text, `project/ID` or `coder/2026-11-27`, is the stored key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetKey {
    /// Account of a project.
    Project(ProjectId),
    /// Account of an agent type for one day.
    Day(AgentType, Day),
}

impl std::fmt::Display for BudgetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Project(id) => write!(f, "project/{id}"),
            Self::Day(agent, day) => write!(f, "{agent}/{day}"),
        }
    }
}

impl std::str::FromStr for BudgetKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is not the key of a budget account");
        let (kind, rest) = text.split_once('/').ok_or_else(unknown)?;
        if kind == "project" {
            return rest.parse().map(Self::Project).map_err(|_| unknown());
        }
        let agent = kind.parse().map_err(|_| unknown())?;
        let midnight = Timestamp::parse(&format!("{rest}T00:00:00Z")).map_err(|_| unknown())?;
        Ok(Self::Day(agent, Day::of(midnight)))
    }
}

impl Serialize for BudgetKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BudgetKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Usage of one agent type with one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Agent type.
    pub agent: AgentType,
    /// Provider, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Model, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Number of attempts, including failed ones.
    pub attempts: u64,
    /// Number of input tokens.
    pub input_tokens: u64,
    /// Number of output tokens.
    pub output_tokens: u64,
    /// Cost in millionths of a US dollar, as far as prices are known.
    pub cost_micro_usd: u64,
}

/// Reservation for an attempt that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Worst case of the attempt.
    pub amount: Amount,
    /// Time at which the attempt has ended in any case.
    pub until: Timestamp,
}

/// A budget account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetAccount {
    /// Key of the account.
    pub key: BudgetKey,
    /// Limit that people set; `None` if the configured one applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Settled usage by agent type and model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<Spent>,
    /// Reservations of running attempts, by task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<TaskId, Reservation>,
}

impl Record for BudgetAccount {
    type Key = BudgetKey;

    const TABLE: RecordTable =
        RecordTable { name: "purses", key: ("purse", ColumnKind::Text), extra: &[] };

    // Attempts of many projects are charged to the account of an agent type for a day.
    const IS_SHARED: bool = true;

    fn key(&self) -> BudgetKey {
        self.key
    }
}

impl BudgetAccount {
    /// Creates an empty budget account.
    #[must_use]
    pub const fn new(key: BudgetKey) -> Self {
        Self { key, limit: None, spent: Vec::new(), reserved: BTreeMap::new() }
    }

    /// Returns the settled usage.
    #[must_use]
    pub fn spent(&self) -> Amount {
        self.spent.iter().fold(Amount::default(), |sum, one| {
            sum.plus(Amount {
                tokens: one.input_tokens.saturating_add(one.output_tokens),
                cost_micro_usd: one.cost_micro_usd,
            })
        })
    }

    /// Returns the sum of all reservations that have not expired.
    #[must_use]
    pub fn reserved(&self, now: Timestamp) -> Amount {
        let alive = self.reserved.values().filter(|one| one.until > now);
        alive.fold(Amount::default(), |sum, one| sum.plus(one.amount))
    }

    /// Returns the sum of settled usage and reservations.
    #[must_use]
    pub fn taken(&self, now: Timestamp) -> Amount {
        self.spent().plus(self.reserved(now))
    }

    /// Replaces the reservation of a task, and removes expired ones.
    pub(crate) fn reserve(&mut self, task: TaskId, reservation: Reservation, now: Timestamp) {
        self.reserved.retain(|_, one| one.until > now);
        self.reserved.insert(task, reservation);
    }

    /// Replaces the reservation of a task by its usage; returns whether anything changed.
    pub(crate) fn settle(&mut self, task: TaskId, agent: AgentType, usage: &Usage) -> bool {
        let was_reserved = self.reserved.remove(&task).is_some();
        if usage.is_free() {
            return was_reserved;
        }
        let (mut provider, mut model) = (short(&usage.provider), short(&usage.model));
        let known = |one: &Spent, provider: &Option<String>, model: &Option<String>| {
            one.agent == agent && one.provider == *provider && one.model == *model
        };
        if self.spent.len() >= MAX_LINES
            && !self.spent.iter().any(|one| known(one, &provider, &model))
        {
            (provider, model) = (None, None);
        }
        let same = |one: &&mut Spent| known(one, &provider, &model);
        let line = match self.spent.iter_mut().find(same) {
            Some(line) => line,
            None => {
                self.spent.push(Spent {
                    agent,
                    provider,
                    model,
                    attempts: 0,
                    input_tokens: 0,
                    output_tokens: 0,
                    cost_micro_usd: 0,
                });
                self.spent.last_mut().expect("it was just put there")
            }
        };
        line.attempts += 1;
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more.min(MAX_AT_ONCE));
        add(&mut line.input_tokens, usage.input_tokens);
        add(&mut line.output_tokens, usage.output_tokens);
        add(&mut line.cost_micro_usd, usage.cost_micro_usd.unwrap_or(0));
        true
    }
}

/// Truncates a name that an external worker has chosen.
fn short(name: &Option<String>) -> Option<String> {
    name.as_ref().map(|name| name.chars().take(MAX_NAME).collect())
}

/// Question of a budget request: whether to raise a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetQuestion {
    /// Budget account whose limit is in question.
    #[serde(rename = "purse")]
    pub account: BudgetKey,
    /// Limit at the time of the question, which is also the amount of the raise.
    pub limit: Limit,
    /// Worst case of the attempt that did not take place.
    pub needs: Amount,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, cost_micro_usd: 0 }
    }

    fn used(input_tokens: u64) -> Usage {
        Usage { input_tokens, model: Some("m".to_owned()), ..Usage::default() }
    }

    #[test]
    fn keys_read_back_as_themselves() {
        let day = Day::of(Timestamp::parse("2026-11-27T23:59:59.999999Z").unwrap());
        assert_eq!(day.end().to_string(), "2026-11-28T00:00:00.000000Z");
        let key = BudgetKey::Day(AgentType::Coder, day);
        assert_eq!(key.to_string(), "coder/2026-11-27");
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(Day::of(Timestamp::from_micros(-1)).to_string(), "1969-12-31");
        for wrong in ["", "coder", "typist/2026-11-27", "coder/yesterday", "project/7"] {
            assert!(wrong.parse::<BudgetKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_never_passed_and_an_empty_account_allows_nothing() {
        let limit = Limit { tokens: Some(100), cost_micro_usd: None };
        assert!(limit.has_room(tokens(60), tokens(40)));
        assert!(!limit.has_room(tokens(60), tokens(41)));
        assert!(!limit.has_room(tokens(100), tokens(0)), "also when it may cost nothing");
        assert!(Limit::default().has_room(tokens(u64::MAX), tokens(u64::MAX)));
        let raised = limit.raised(limit, tokens(90), tokens(20));
        assert_eq!(raised, Limit { tokens: Some(200), cost_micro_usd: None });
        assert_eq!(limit.raised(limit, tokens(900), tokens(20)).tokens, Some(920));
    }

    #[test]
    fn what_was_used_takes_the_place_of_what_was_reserved() {
        let mut id_generator = crate::IdGenerator::new(Timestamp::from_micros(5), 1);
        let (task, other, now) =
            (id_generator.task(), id_generator.task(), Timestamp::from_micros(5));
        let until = |micros| Timestamp::from_micros(micros);
        let mut account = BudgetAccount::new(BudgetKey::Day(AgentType::Coder, Day::of(now)));
        for _ in 0..2 {
            // The same task twice: an attempt and its retry.
            account.reserve(task, Reservation { amount: tokens(50), until: until(10) }, now);
        }
        account.reserve(other, Reservation { amount: tokens(7), until: until(20) }, now);
        assert_eq!(account.taken(now), tokens(57));
        assert_eq!(
            account.taken(until(10)),
            tokens(7),
            "a reservation that is not settled expires"
        );
        assert!(account.settle(task, AgentType::Coder, &used(3)));
        assert!(account.settle(task, AgentType::Coder, &used(4)));
        assert!(!account.settle(task, AgentType::Coder, &Usage::default()));
        assert_eq!((account.taken(now), account.spent.len()), (tokens(14), 1));
        assert_eq!(account.spent[0].attempts, 2);
        let free = Usage { provider: Some("offline".to_owned()), ..Usage::default() };
        assert!(
            !account.settle(task, AgentType::Coder, &free),
            "what costs nothing is not counted"
        );
    }

    #[test]
    fn names_and_numbers_from_outside_do_not_fill_it_for_ever() {
        let mut id_generator = crate::IdGenerator::new(Timestamp::from_micros(5), 1);
        let task = id_generator.task();
        let mut account = BudgetAccount::new(BudgetKey::Project(id_generator.project()));
        for n in 0..500 {
            let model = Some(format!("{n}{}", "x".repeat(1000)));
            let usage = Usage { model, ..used(u64::MAX) };
            assert!(account.settle(task, AgentType::Coder, &usage));
        }
        assert_eq!(account.spent.len(), MAX_LINES + 1);
        assert_eq!(account.spent.iter().map(|line| line.attempts).sum::<u64>(), 500);
        assert!(serde_json::to_string(&account).unwrap().len() < 40_000);
        let taken = account.spent();
        assert_eq!(taken.tokens, 500 * MAX_AT_ONCE);
        let limit = Limit { tokens: Some(10), cost_micro_usd: None };
        assert!(
            limit.raised(limit, taken, tokens(5)).has_room(taken, tokens(5)),
            "it can be raised"
        );
    }
}
