//! A project in a few words: its name, its activity, and what it took.

use botarmy_terminal::text::{duration, one_line, usage};
use serde_json::Value;

use super::values::{number, since, text, time};

/// Returns the name of a project for a sentence.
pub(super) fn name(project: &Value) -> String {
    one_line(text(project, "/name"), 100)
}

/// Returns the current work of a project, or what it waits for.
pub(super) fn activity(project: &Value) -> String {
    if text(project, "/status") != "active" {
        return String::new();
    }
    let agent = text(project, "/activity/agent_type");
    match (text(project, "/activity/state"), number(project, "/activity/requests")) {
        ("working", _) => format!("{agent} works"),
        ("waiting_for_person", 1) => "waits for a person".to_owned(),
        ("waiting_for_person", n) => format!("{n} wait for a person"),
        ("waiting_for_worker", _) => format!("waits for {agent}"),
        (other, _) => other.replace('_', " "),
    }
}

/// Returns time, tokens and cost of a project so far.
pub(super) fn took(project: &Value, used: &Value) -> String {
    let ended = text(project, "/status") != "active";
    let (from, to) = (time(project, "/created_at"), time(project, "/updated_at"));
    let time = match (from, to) {
        (Some(from), Some(to)) if ended => duration(to.since(from)),
        _ => since(project, "/created_at").map_or_else(String::new, duration),
    };
    let of = |name: &str| number(used, &format!("/total/{name}"));
    let tokens = usage(of("input_tokens"), of("output_tokens"), Some(of("cost_micro_usd")));
    format!("{time}, {}", tokens.unwrap_or_else(|| "no tokens".to_owned()))
}
