//! The range of every number among the settings. Beyond it a number makes no sense, or would exhaust
//! memory, overflow a time or panic in a library.

use std::fmt;

use anyhow::bail;
use serde_json::Value;

/// Range of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Range {
    /// Whole numbers, both ends included.
    Whole(u64, u64),
    /// Any numbers, both ends included.
    Any(f64, f64),
}

use Range::{Any, Whole};

/// One gibibyte.
const GIB: u64 = 1 << 30;
/// One hour, one day, one week and ten years, in seconds.
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const TEN_YEARS: u64 = 3650 * DAY;
/// More requests than a server can answer in a second, or keep open.
const LIMIT: u64 = 1_000_000;
/// More tokens than any limit needs.
const TOKENS: u64 = 1_000_000_000_000_000;
/// More US dollars than any limit needs.
const DOLLARS: f64 = 1e9;

/// The ranges, by key; `*` is any name. Those of keys with a default are also stated in
/// `config/default.toml`.
pub(super) const RANGES: &[(&str, Range)] = &[
    ("http.port", Whole(0, 65_535)),
    ("http.workers", Whole(0, 128)),
    ("http.body_limit_bytes", Whole(1, GIB)),
    ("http.text_limit_bytes", Whole(1, GIB)),
    ("http.body_timeout_s", Whole(1, HOUR)),
    ("http.waiting_per_address", Whole(0, 1_000_000)),
    ("http.shutdown_timeout_s", Whole(0, HOUR)),
    ("access.key_days", Whole(1, 3650)),
    ("access.session_idle_s", Whole(1, 2_592_000)),
    ("access.session_max_s", Whole(1, 2_592_000)),
    ("limits.person_units_per_s", Whole(0, LIMIT)),
    ("limits.person_burst", Whole(1, LIMIT)),
    ("limits.service_units_per_s", Whole(0, LIMIT)),
    ("limits.service_burst", Whole(1, LIMIT)),
    ("limits.person_requests", Whole(0, LIMIT)),
    ("limits.person_polls", Whole(0, LIMIT)),
    ("limits.person_streams", Whole(0, LIMIT)),
    ("limits.person_heavy", Whole(0, LIMIT)),
    ("limits.service_requests", Whole(0, LIMIT)),
    ("limits.service_polls", Whole(0, LIMIT)),
    ("limits.service_streams", Whole(0, LIMIT)),
    ("limits.service_heavy", Whole(0, LIMIT)),
    ("limits.failures_burst", Whole(1, LIMIT)),
    ("limits.failures_per_minute", Whole(0, LIMIT)),
    ("limits.logins_per_minute", Whole(0, LIMIT)),
    ("webhooks.max_subscriptions", Whole(0, 10_000)),
    ("webhooks.max_in_flight", Whole(1, 10_000)),
    ("webhooks.timeout_s", Whole(1, 300)),
    ("webhooks.max_attempts", Whole(1, 20)),
    ("webhooks.retry_base_ms", Whole(1, HOUR * 1000)),
    ("webhooks.keep_deliveries", Whole(1, 100_000)),
    ("webhooks.secret_overlap_s", Whole(0, 2_592_000)),
    ("webhooks.sweep_s", Whole(1, HOUR)),
    ("ws.max_connections", Whole(1, 1_000_000)),
    ("ws.recent_frames", Whole(1, 65_536)),
    ("ws.ping_interval_s", Whole(1, HOUR)),
    ("ws.send_timeout_s", Whole(1, HOUR)),
    ("store.readers", Whole(1, 64)),
    ("store.lanes", Whole(1, 64)),
    ("store.max_batch", Whole(1, 65_536)),
    ("store.queue", Whole(1, 1_048_576)),
    ("store.timeout_s", Whole(1, HOUR)),
    ("orchestrator.gate_ttl_s", Whole(1, TEN_YEARS)),
    ("orchestrator.confidence_threshold", Any(0.0, 1.0)),
    ("orchestrator.retry_backoff_ms", Whole(0, HOUR * 1000)),
    ("orchestrator.timer_interval_ms", Whole(1, HOUR * 1000)),
    ("gates.min_approvals", Whole(1, 32)),
    ("gates.claim_s", Whole(1, WEEK)),
    ("gates.grace_s", Whole(0, DAY)),
    ("budget.project_tokens", Whole(0, TOKENS)),
    ("budget.project_cost_usd", Any(0.0, DOLLARS)),
    ("metrics.refresh_s", Whole(0, HOUR)),
    ("metrics.timeout_ms", Whole(1, 60_000)),
    ("metrics.max_models", Whole(0, 10_000)),
    ("tracing.sample_ratio", Any(0.0, 1.0)),
    ("tracing.timeout_ms", Whole(1, 60_000)),
    ("tracing.queue", Whole(1, 1_048_576)),
    ("worker.lease_s", Whole(1, DAY)),
    ("worker.first_call_s", Whole(1, DAY)),
    ("worker.poll_ms", Whole(1, HOUR * 1000)),
    ("worker.attempt_timeout_s", Whole(1, WEEK)),
    ("worker.max_output_bytes", Whole(1, GIB)),
    ("agents.*.slots", Whole(0, 10_000)),
    ("agents.*.day_tokens", Whole(0, TOKENS)),
    ("agents.*.day_cost_usd", Any(0.0, DOLLARS)),
    ("agents.*.reserve_tokens", Whole(0, TOKENS)),
    ("agents.*.reserve_cost_usd", Any(0.0, DOLLARS)),
    ("commands.*.output_bytes", Whole(1, GIB)),
    ("commands.*.line_bytes", Whole(1, GIB)),
    ("models.max_tokens", Whole(1, 10_000_000)),
    ("models.context_tokens", Whole(1, 100_000_000)),
    ("models.timeout_s", Whole(1, DAY)),
    ("providers.*.max_tokens", Whole(1, 10_000_000)),
    ("providers.*.context_tokens", Whole(1, 100_000_000)),
    ("providers.*.timeout_s", Whole(1, DAY)),
    ("prices.*.input_per_mtok", Any(0.0, 1e6)),
    ("prices.*.output_per_mtok", Any(0.0, 1e6)),
];

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whole(least, most) => write!(f, "{least} to {most}"),
            Any(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

impl Range {
    /// Returns whether a value lies in the range. A text is read as a number, as it is when it comes
    /// from a variable.
    fn contains(self, value: &Value) -> bool {
        let text = value.as_str().map(str::trim);
        match self {
            Whole(least, most) => {
                let number = text.map_or_else(|| value.as_u64(), |text| text.parse().ok());
                number.is_some_and(|number| (least..=most).contains(&number))
            }
            Any(least, most) => {
                let number = text.map_or_else(|| value.as_f64(), |text| text.parse().ok());
                number.is_some_and(|number| (least..=most).contains(&number))
            }
        }
    }
}

/// Returns the range of a key, if it is the key of a number.
fn range_of(path: &[String]) -> Option<Range> {
    let is_it = |pattern: &str| {
        let parts = pattern.split('.');
        parts.clone().count() == path.len()
            && parts.zip(path).all(|(part, name)| part == "*" || part == name)
    };
    RANGES.iter().find(|(pattern, _)| is_it(pattern)).map(|(_, range)| *range)
}

/// Checks that every number of the settings lies in its range.
///
/// # Errors
/// The first that does not, with its key and range.
pub(super) fn check(settings: &Value) -> anyhow::Result<()> {
    check_below(settings, &mut Vec::new())
}

fn check_below(value: &Value, path: &mut Vec<String>) -> anyhow::Result<()> {
    if let Value::Object(members) = value {
        for (name, member) in members {
            path.push(name.clone());
            check_below(member, path)?;
            path.pop();
        }
        return Ok(());
    }
    // A number that JSON does not have, such as NaN, is null here.
    let Some(range) = range_of(path).filter(|range| !range.contains(value)) else {
        return Ok(());
    };
    let kind = match range {
        Whole(..) => "a whole number",
        Any(..) => "a number",
    };
    bail!("{} = {value} is not possible: it must be {kind} from {range}", path.join("."))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::settings::{DEFAULTS, Settings};

    fn numbers(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    path.push(name.clone());
                    numbers(member, path, found);
                    path.pop();
                }
            }
            Value::Number(_) => found.push(path.clone()),
            _ => {}
        }
    }

    #[test]
    fn every_number_among_the_defaults_has_a_range() {
        let mut found = Vec::new();
        let defaults = config::Config::builder()
            .add_source(config::File::from_str(DEFAULTS, config::FileFormat::Toml));
        let defaults: Value = defaults.build().unwrap().try_deserialize().unwrap();
        numbers(&defaults, &mut Vec::new(), &mut found);
        assert!(found.len() > 40, "{found:?}");
        for path in found {
            assert!(range_of(&path).is_some(), "{} has no range", path.join("."));
        }
    }

    /// Returns the comments of `config/default.toml` by the key below them, and by `*.key` for a key
    /// that a comment names in backticks.
    fn comments() -> BTreeMap<String, String> {
        let (mut section, mut comment) = (String::new(), String::new());
        let mut found = BTreeMap::new();
        for line in DEFAULTS.lines() {
            if let Some(text) = line.strip_prefix('#') {
                comment += text;
            } else if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
            } else if let Some((key, _)) = line.split_once(" = ") {
                found.insert(format!("{section}.{key}"), std::mem::take(&mut comment));
            } else {
                found.insert(format!("after {section}"), std::mem::take(&mut comment));
            }
        }
        found
    }

    #[test]
    fn every_range_is_stated_where_the_default_is() {
        let comments = comments();
        let all: Vec<_> = comments.values().map(String::as_str).collect();
        for (key, range) in RANGES {
            let (section, last) = key.rsplit_once('.').unwrap();
            let stated = match section.contains('*') {
                false => comments[*key].contains(&format!("({range})")),
                true => all.iter().any(|text| text.contains(&format!("`{last}` ({range})"))),
            };
            assert!(stated, "config/default.toml does not state {key} ({range})");
        }
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_by_key() {
        let with = |key: &str, value: &str| {
            let name = format!("BOTARMY_{}", key.to_uppercase().replace('.', "__"));
            Settings::load(None, [(name, value.to_owned())])
        };
        for (pattern, range) in RANGES {
            // Providers, prices and commands have no defaults that a variable could change.
            if ["providers", "prices", "commands"].iter().any(|part| pattern.starts_with(part)) {
                continue;
            }
            let key = pattern.replace('*', "coder");
            let (least, most) = match *range {
                Whole(least, most) => (least.to_string(), most.to_string()),
                Any(least, most) => (least.to_string(), most.to_string()),
            };
            for good in [&least, &most] {
                with(&key, good).unwrap_or_else(|error| panic!("{key} = {good}: {error:#}"));
            }
            let above = match *range {
                Whole(_, most) => (most + 1).to_string(),
                Any(_, most) => (most * 1.1).to_string(),
            };
            let fraction = matches!(range, Whole(..)).then_some("1.5");
            let wrong =
                ["-1", "4294967296000000000", "9223372036854775807", "18446744073709551616"];
            let wrong = wrong.iter().copied().chain(["1e300", "true", "many", above.as_str()]);
            for wrong in wrong.chain(fraction) {
                let error = with(&key, wrong).err().map(|error| format!("{error:#}"));
                let error = error.unwrap_or_else(|| panic!("{key} = {wrong} is accepted"));
                assert!(error.contains(&key), "{key} = {wrong}: {error}");
                assert!(error.contains(&range.to_string()), "{key} = {wrong}: {error}");
            }
        }
    }

    #[test]
    fn what_is_no_number_at_all_is_refused() {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(&file, "[budget]\nproject_cost_usd = nan\n").unwrap();
        let error = format!("{:#}", Settings::load(Some(file.path()), []).unwrap_err());
        assert!(error.contains("budget.project_cost_usd"), "{error}");
    }

    #[test]
    fn a_number_in_a_named_section_is_checked_too() {
        for (settings, key) in [
            (json!({"providers": {"mine": {"timeout_s": 0}}}), "providers.mine.timeout_s"),
            (json!({"prices": {"a/b.c": {"input_per_mtok": -1.0}}}), "prices.a/b.c.input_per_mtok"),
            (json!({"commands": {"x": {"line_bytes": u64::MAX}}}), "commands.x.line_bytes"),
            (json!({"agents": {"coder": {"slots": 1.5}}}), "agents.coder.slots"),
        ] {
            let error = check(&settings).unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
        for good in [json!({"agents": {"coder": {"slots": "7"}}}), json!({"other": {"n": -7}})] {
            check(&good).unwrap();
        }
    }
}
