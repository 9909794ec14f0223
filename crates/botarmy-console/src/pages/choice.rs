//! Choices in filters and forms: what a query has chosen, and what a page offers.

use std::str::FromStr;

use botarmy_domain::{AgentType, EventSource};
use botarmy_web::Problem;

use crate::view::{document, texts};

/// Choice in a filter or a form.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) is_chosen: bool,
}

/// Returns a choice for each of these words.
pub(super) fn of<'a, T: Copy + PartialEq + ToString + 'a, L: Into<String>>(
    all: impl IntoIterator<Item = &'a T>,
    chosen: Option<T>,
    label: impl Fn(T) -> L,
) -> Vec<Choice> {
    let choice = |one: &T| Choice {
        value: one.to_string(),
        label: label(*one).into(),
        is_chosen: chosen == Some(*one),
    };
    all.into_iter().map(choice).collect()
}

/// Returns a choice for each agent type.
pub(super) fn agents(chosen: Option<AgentType>) -> Vec<Choice> {
    of(AgentType::ALL, chosen, texts::agent)
}

/// Returns a choice for each source of entries.
pub(super) fn sources(chosen: Option<EventSource>) -> Vec<Choice> {
    of(EventSource::ALL, chosen, |source| document::title(source.as_str()))
}

/// Returns a path with these parameters, which may end with an ampersand.
pub(super) fn with(path: &str, pairs: &str) -> String {
    match pairs.trim_end_matches('&') {
        "" => path.to_owned(),
        pairs => format!("{path}?{pairs}"),
    }
}

/// Returns the value of a parameter. An empty one, as a form sends it, is none.
///
/// # Errors
/// A 422 that names the parameter.
pub(super) fn given<T: FromStr<Err: ToString>>(
    name: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.filter(|text| !text.is_empty()).map(|text| parsed(name, text)).transpose()
}

/// Reads the value of a parameter.
///
/// # Errors
/// A 422 that names the parameter.
pub(super) fn parsed<T: FromStr<Err: ToString>>(
    name: &'static str,
    text: &str,
) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::invalid(name, error.to_string()))
}
