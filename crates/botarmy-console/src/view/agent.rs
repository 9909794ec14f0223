//! Agent types: their states, budgets and histories.

use botarmy_domain::budget::DayBudget;
use botarmy_domain::{
    AgentRecord, AgentStatusKind, AgentType, Amount, Limit, PastStatus, Stop, StopScope, Timestamp,
};

use super::icon::Icon;
use super::state::StateView;
use super::texts;
use super::time::TimeView;
use super::usage::MeterView;

/// Agent type, in the list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AgentView {
    pub(crate) agent: &'static str,
    pub(crate) state: StateView,
    /// Parties that do its work.
    pub(crate) runner: String,
    pub(crate) running: u32,
    /// Oldest of its running tasks.
    pub(crate) task: Option<String>,
    pub(crate) last_activity: Option<TimeView>,
    /// Error, if that is its state.
    pub(crate) error: Option<String>,
    pub(crate) budget: DayView,
}

/// Budget of a day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DayView {
    /// Bar of the share that is spent and reserved, if there is a limit.
    pub(crate) meter: Option<MeterView>,
    /// Spent amount, with the limit if there is one.
    pub(crate) short: String,
    pub(crate) spent: String,
    pub(crate) reserved: Option<String>,
    pub(crate) limit: String,
    pub(crate) ends: TimeView,
}

/// Earlier status of an agent type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PastView {
    pub(crate) seq: u64,
    pub(crate) state: StateView,
    pub(crate) time: Option<TimeView>,
    pub(crate) task: Option<String>,
    pub(crate) error: Option<String>,
}

/// Returns an agent type as it is shown. `runner` are those who do its work, if that is known.
pub(crate) fn agent(
    record: &AgentRecord,
    runner: Option<&str>,
    budget: &DayBudget,
    stops: &[Stop],
    now: Timestamp,
) -> AgentView {
    AgentView {
        agent: record.agent_type.as_str(),
        state: state(record, stops),
        runner: runner.unwrap_or("external workers").to_owned(),
        running: record.active_tasks,
        task: record.current_task_id.map(|id| id.to_string()),
        last_activity: record.last_activity.map(|time| TimeView::relative(time, now)),
        error: record.error_message.clone(),
        budget: day(budget),
    }
}

fn state(record: &AgentRecord, stops: &[Stop]) -> StateView {
    if is_stopped(record.agent_type, stops) {
        return StateView { class: "bad", icon: Icon::Stop, label: "Stopped".to_owned() };
    }
    status(record.status)
}

fn status(status: AgentStatusKind) -> StateView {
    let (class, icon, label) = match status {
        AgentStatusKind::Idle => ("", Icon::Idle, "Idle"),
        AgentStatusKind::Working => ("run", Icon::Running, "Working"),
        AgentStatusKind::WaitingForHitl => ("wait", Icon::Clock, "Waiting for a person"),
        AgentStatusKind::Error => ("bad", Icon::Failed, "Error"),
    };
    StateView { class, icon, label: label.to_owned() }
}

/// Returns whether a stop holds all work of an agent type.
fn is_stopped(agent: AgentType, stops: &[Stop]) -> bool {
    stops
        .iter()
        .any(|stop| stop.scope == StopScope::Everything || stop.scope == StopScope::Agent(agent))
}

/// Returns an earlier status as it is shown.
pub(crate) fn past(past: &PastStatus) -> PastView {
    PastView {
        seq: past.seq,
        state: status(past.record.status),
        time: past.record.updated_at.map(TimeView::from),
        task: past.record.current_task_id.map(|id| id.to_string()),
        error: past.record.error_message.clone(),
    }
}

/// Returns the budget of a day, with a bar for money or, without a limit of it, for tokens.
pub(crate) fn day(budget: &DayBudget) -> DayView {
    let DayBudget { limit, used, reserved, ends_at } = *budget;
    let meter = match limit {
        Limit { cost_micro_usd: Some(limit), .. } => {
            Some(meter(used.cost_micro_usd, reserved.cost_micro_usd, limit, texts::money))
        }
        Limit { tokens: Some(limit), .. } => {
            Some(meter(used.tokens, reserved.tokens, limit, tokens))
        }
        Limit { .. } => None,
    };
    let of = match (limit.cost_micro_usd, limit.tokens) {
        (None, None) => "no limit".to_owned(),
        (Some(cost), None) => texts::money(cost),
        (None, Some(limit)) => tokens(limit),
        (Some(cost), Some(limit)) => format!("{}, {}", texts::money(cost), tokens(limit)),
    };
    let short = if limit.is_none() { amount(used) } else { format!("{} of {of}", amount(used)) };
    let has_reserved = reserved.tokens > 0 || reserved.cost_micro_usd > 0;
    DayView {
        meter,
        short,
        spent: both(used),
        reserved: has_reserved.then(|| both(reserved)),
        limit: of,
        ends: ends_at.into(),
    }
}

fn tokens(count: u64) -> String {
    format!("{} tokens", texts::grouped(count))
}

/// Returns the money, or the tokens where they cost nothing.
fn amount(amount: Amount) -> String {
    match (amount.cost_micro_usd, amount.tokens) {
        (0, count) if count > 0 => tokens(count),
        (cost, _) => texts::money(cost),
    }
}

fn both(amount: Amount) -> String {
    format!("{}, {}", texts::money(amount.cost_micro_usd), tokens(amount.tokens))
}

fn meter(used: u64, reserved: u64, limit: u64, text: fn(u64) -> String) -> MeterView {
    let label = format!("{} spent and {} reserved of {}", text(used), text(reserved), text(limit));
    super::usage::meter(label, used, reserved, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::NOW;

    fn budget(limit: Limit) -> DayBudget {
        DayBudget {
            limit,
            used: Amount { tokens: 1_200, cost_micro_usd: 500_000 },
            reserved: Amount { tokens: 0, cost_micro_usd: 250_000 },
            ends_at: NOW,
        }
    }

    fn stop(scope: StopScope) -> Stop {
        Stop { scope, reason: "x".to_owned(), by: "ada".to_owned(), at: NOW }
    }

    #[test]
    fn amber_means_that_a_person_is_needed() {
        for kind in AgentStatusKind::ALL {
            let is_amber = status(*kind).class == "wait";
            assert_eq!(is_amber, *kind == AgentStatusKind::WaitingForHitl, "{kind}");
        }
    }

    #[test]
    fn a_stop_of_the_type_or_of_everything_is_its_state() {
        let record = AgentRecord::idle(AgentType::Coder);
        for (scope, label) in [
            (StopScope::Everything, "Stopped"),
            (StopScope::Agent(AgentType::Coder), "Stopped"),
            (StopScope::Agent(AgentType::Tester), "Idle"),
            (StopScope::Project(crate::view::samples::project_id()), "Idle"),
        ] {
            let view = agent(&record, None, &budget(Limit::default()), &[stop(scope)], NOW);
            assert_eq!(view.state.label, label, "{scope}");
            assert_eq!(view.runner, "external workers");
        }
    }

    #[test]
    fn a_budget_of_a_day_has_a_bar_if_it_has_a_limit() {
        let none = day(&budget(Limit::default()));
        assert_eq!((none.meter, none.short.as_str()), (None, "$0.50"));
        assert_eq!(none.limit, "no limit");
        let some = day(&budget(Limit { tokens: None, cost_micro_usd: Some(1_000_000) }));
        assert_eq!(some.short, "$0.50 of $1.00");
        let meter = some.meter.unwrap();
        assert_eq!(meter.label, "$0.50 spent and $0.25 reserved of $1.00");
        let some = day(&budget(Limit { tokens: Some(2_400), cost_micro_usd: None }));
        assert_eq!(
            some.meter.unwrap().label,
            "1,200 tokens spent and 0 tokens reserved of 2,400 tokens"
        );
        assert_eq!(some.reserved.as_deref(), Some("$0.25, 0 tokens"));
    }
}
