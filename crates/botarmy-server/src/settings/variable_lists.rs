//! Lists in environment variables: texts that are separated by commas.

use std::collections::HashMap;

use anyhow::bail;
use config::{Value, ValueKind};

/// Settings that are lists.
const LISTS: [&str; 7] = [
    "gates.exclude",
    "http.cors_origins",
    "http.hosts",
    "http.trusted_proxies",
    "models.prefer",
    "oidc.scopes",
    "webhooks.allow_networks",
];

/// Sections in which every setting is a list.
const SECTIONS: [&str; 2] = ["gates.groups.", "oidc.grants."];

/// Lists of a command, whose texts may have commas themselves.
const OF_COMMANDS: [&str; 4] = ["argv", "env", "ignore", "read_only"];

/// Returns whether a setting is a list that a variable can have.
pub(super) fn has(key: &str) -> bool {
    LISTS.contains(&key) || SECTIONS.iter().any(|section| key.starts_with(section))
}

/// Removes the variables of lists, and returns their settings with the lists. Spaces around a text are
/// left out; a blank variable is an empty list.
///
/// # Errors
/// A list with a blank text, and one that can only be written in a file.
pub(super) fn take(
    variables: &mut HashMap<String, String>,
) -> anyhow::Result<Vec<(String, Value)>> {
    let origin = "the environment".to_owned();
    let mut lists = Vec::new();
    for (name, value) in &*variables {
        let key = name.to_lowercase().replacen("botarmy_", "", 1).replace("__", ".");
        if is_of_command(&key) {
            bail!(
                "{key} cannot be set by the variable {name}: write it into a settings file, as a list \
                 such as [\"one\", \"two\"]"
            );
        }
        if !has(&key) {
            continue;
        }
        let texts: Vec<_> = value.split(',').map(str::trim).collect();
        let texts = if texts == [""] { Vec::new() } else { texts };
        if texts.contains(&"") {
            bail!(
                "{key}: the variable {name} has a blank between commas; write a list such as one,two"
            );
        }
        let text = |text: &str| Value::new(Some(&origin), ValueKind::String(text.to_owned()));
        let list = texts.into_iter().map(text).collect();
        lists.push((name.clone(), key, Value::new(Some(&origin), ValueKind::Array(list))));
    }
    lists.sort_by(|one, other| one.0.cmp(&other.0));
    let taken = |(name, key, list): (String, String, Value)| {
        variables.remove(&name);
        (key, list)
    };
    Ok(lists.into_iter().map(taken).collect())
}

fn is_of_command(key: &str) -> bool {
    key.strip_prefix("commands.")
        .and_then(|rest| rest.rsplit_once('.'))
        .is_some_and(|(_, name)| OF_COMMANDS.contains(&name))
}
