//! Usage and budget of a project.

use botarmy_domain::Task;
use botarmy_domain::budget::{BudgetReport, Limit, UsageReport, UsageTotal};

use super::amounts;
use super::texts;

/// Budget of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BudgetView {
    pub(crate) meter: Option<MeterView>,
    pub(crate) rows: Vec<(&'static str, String, Option<String>)>,
    /// Whether people set the limit, or the configuration.
    pub(crate) is_set: bool,
}

/// Bar of the share of the limit that is spent and reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MeterView {
    pub(crate) label: String,
    pub(crate) spent: String,
    pub(crate) reserved: String,
}

/// Returns the budget, with a bar for money or, without a limit of it, for tokens.
pub(crate) fn budget(report: &BudgetReport) -> BudgetView {
    let money = report.limit.cost_micro_usd.map(|limit| {
        let label = format!(
            "{} spent and {} reserved of {}",
            texts::money(report.used.cost_micro_usd),
            texts::money(report.reserved.cost_micro_usd),
            texts::money(limit)
        );
        meter(label, report.used.cost_micro_usd, report.reserved.cost_micro_usd, limit)
    });
    let tokens = || {
        let limit = report.limit.tokens?;
        let label = format!(
            "{} tokens spent and {} reserved of {}",
            texts::grouped(report.used.tokens),
            texts::grouped(report.reserved.tokens),
            texts::grouped(limit)
        );
        Some(meter(label, report.used.tokens, report.reserved.tokens, limit))
    };
    let of = |limit: Option<String>| limit.map(|limit| format!("of {limit}"));
    let mut rows = vec![(
        "Spent",
        texts::money(report.used.cost_micro_usd),
        of(report.limit.cost_micro_usd.map(texts::money)),
    )];
    if report.reserved.cost_micro_usd > 0 || report.reserved.tokens > 0 {
        let reserved = match report.reserved.cost_micro_usd {
            0 => format!("{} tokens", texts::grouped(report.reserved.tokens)),
            cost => texts::money(cost),
        };
        rows.push(("Reserved", reserved, None));
    }
    rows.push((
        "Tokens",
        texts::grouped(report.used.tokens),
        of(report.limit.tokens.map(texts::grouped)),
    ));
    BudgetView { meter: money.or_else(tokens), rows, is_set: report.is_set }
}

pub(super) fn meter(label: String, spent: u64, reserved: u64, limit: u64) -> MeterView {
    // In tenths of a per cent; what is beyond the limit fills the bar.
    let share = |part: u64| {
        let whole = u128::from(limit.max(1));
        (u128::from(part) * 1_000 / whole).min(1_000)
    };
    let of_spent = share(spent);
    let of_reserved = share(reserved).min(1_000 - of_spent);
    let text = |tenths: u128| format!("{}.{}%", tenths / 10, tenths % 10);
    MeterView { label, spent: text(of_spent), reserved: text(of_reserved) }
}

/// Row of a table of usage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LineView {
    pub(crate) name: String,
    pub(crate) attempts: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) cost: String,
}

/// Usage of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UsageView {
    pub(crate) by_model: Vec<LineView>,
    pub(crate) by_agent: Vec<LineView>,
    pub(crate) total: LineView,
    /// Whether nothing was used, as with the offline drafter.
    pub(crate) is_free: bool,
}

/// Returns the usage by model and by agent type.
pub(crate) fn usage(report: &UsageReport) -> UsageView {
    let model = |(provider, model): &(Option<String>, Option<String>)| match (provider, model) {
        (Some(provider), Some(model)) => format!("{provider} {model}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "Others".to_owned(),
    };
    UsageView {
        by_model: report.by_model.iter().map(|(key, total)| line(model(key), total)).collect(),
        by_agent: report
            .by_agent
            .iter()
            .map(|(agent, total)| line((*agent).to_owned(), total))
            .collect(),
        total: line("Total".to_owned(), &report.total),
        is_free: report.total == UsageTotal::default(),
    }
}

fn line(name: String, total: &UsageTotal) -> LineView {
    LineView {
        name,
        attempts: amounts::counted(total.attempts, "attempt"),
        input: texts::grouped(total.input_tokens),
        output: texts::grouped(total.output_tokens),
        cost: texts::money(total.cost_micro_usd),
    }
}

/// Usage of a task, by step and number of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StepLine {
    pub(crate) task: String,
    pub(crate) name: String,
    pub(crate) attempts: u32,
    pub(crate) model: String,
    pub(crate) tokens: String,
    pub(crate) cost: String,
}

/// Returns the usage of tasks that used something.
pub(crate) fn steps(tasks: &[impl AsRef<Task>]) -> Vec<StepLine> {
    let used = tasks.iter().map(AsRef::as_ref).filter(|task| !task.usage.is_free());
    let line = |task: &Task| StepLine {
        task: task.id.to_string(),
        name: super::task::title(task),
        attempts: task.attempt,
        model: task.usage.model.clone().unwrap_or_default(),
        tokens: texts::grouped(task.usage.input_tokens.saturating_add(task.usage.output_tokens)),
        cost: task.usage.cost_micro_usd.map_or_else(|| "unknown".to_owned(), texts::money),
    };
    used.map(line).collect()
}

/// Returns a limit as the fields of its form: dollars and tokens, empty without a limit.
pub(crate) fn fields(limit: Limit) -> (String, String) {
    let dollars = limit.cost_micro_usd.map_or_else(String::new, |cost| {
        let text = format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000);
        let text = text.trim_end_matches('0');
        let digits = text.split('.').nth(1).map_or(0, str::len);
        format!("{text}{}", "0".repeat(2_usize.saturating_sub(digits)))
    });
    (dollars, limit.tokens.map_or_else(String::new, |tokens| tokens.to_string()))
}

/// Reads the fields of the form of a budget.
///
/// # Errors
/// The name of the field with what is expected of it.
pub(crate) fn limit(dollars: &str, tokens: &str) -> Result<Limit, (&'static str, &'static str)> {
    let cost_micro_usd = match dollars.trim() {
        "" => None,
        text => Some(texts::micro_usd(text).ok_or(("dollars", "must be an amount such as 2.50"))?),
    };
    let tokens = match tokens.trim() {
        "" => None,
        text => Some(texts::whole(text).ok_or(("tokens", "must be a whole number"))?),
    };
    Ok(Limit { tokens, cost_micro_usd })
}

#[cfg(test)]
mod tests {
    use botarmy_domain::Amount;

    use super::*;
    use crate::view::samples::project_id;

    fn report(limit: Limit) -> BudgetReport {
        BudgetReport {
            project_id: project_id(),
            limit,
            is_set: true,
            used: Amount { tokens: 318_402, cost_micro_usd: 1_240_000 },
            reserved: Amount { tokens: 0, cost_micro_usd: 180_000 },
            left: limit,
        }
    }

    #[test]
    fn the_bar_is_that_of_money_or_else_of_tokens() {
        let limit = Limit { tokens: Some(500_000), cost_micro_usd: Some(2_000_000) };
        let view = budget(&report(limit));
        let meter = view.meter.unwrap();
        assert_eq!(meter.label, "$1.24 spent and $0.18 reserved of $2.00");
        assert_eq!((meter.spent.as_str(), meter.reserved.as_str()), ("62.0%", "9.0%"));
        let texts: Vec<_> =
            view.rows.iter().map(|(_, text, of)| (text.as_str(), of.as_deref())).collect();
        assert_eq!(
            texts,
            [("$1.24", Some("of $2.00")), ("$0.18", None), ("318,402", Some("of 500,000"))]
        );
        let tokens = Limit { tokens: Some(1), cost_micro_usd: None };
        assert_eq!(budget(&report(tokens)).meter.unwrap().spent, "100.0%");
        assert_eq!(budget(&report(Limit::default())).meter, None);
    }

    #[test]
    fn a_limit_is_read_as_it_is_shown() {
        for (cost, tokens, fields_) in [
            (Some(2_000_000), Some(5), ("2.00", "5")),
            (Some(2_500_000), None, ("2.50", "")),
            (Some(1), None, ("0.000001", "")),
            (None, None, ("", "")),
        ] {
            let wanted = Limit { tokens, cost_micro_usd: cost };
            let (dollars, text) = fields(wanted);
            assert_eq!((dollars.as_str(), text.as_str()), fields_);
            assert_eq!(limit(&dollars, &text), Ok(wanted));
        }
        assert_eq!(
            limit("$1,000", " 2 000 "),
            Ok(Limit { tokens: Some(2_000), cost_micro_usd: Some(1_000_000_000) })
        );
        for (dollars, tokens, field) in [
            ("-1", "", "dollars"),
            ("1e3", "", "dollars"),
            ("1.2345678", "", "dollars"),
            (".", "", "dollars"),
            ("99999999999999999999", "", "dollars"),
            ("2,50", "", "dollars"),
            ("", "1,5", "tokens"),
            ("", "1.5", "tokens"),
            ("", "-1", "tokens"),
        ] {
            assert_eq!(limit(dollars, tokens).unwrap_err().0, field, "{dollars} {tokens}");
        }
    }
}
