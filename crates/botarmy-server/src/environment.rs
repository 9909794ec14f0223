//! Variables of the environment, the only source of keys.

use std::fmt;

use serde::Deserialize;

/// Reads an environment variable; tests pass their own function.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Returns a variable of this process's environment, the only source of keys.
#[must_use]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Name of a variable. A key that was written in its place is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct VariableName(String);

impl VariableName {
    /// Returns the name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if there is no name.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `true` if a variable can have this name, or if there is none.
    pub(crate) fn is_possible(&self) -> bool {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.0.chars().all(is_allowed) && !self.0.starts_with(|c: char| c.is_ascii_digit())
    }

    /// Returns the name if it looks like one: of upper-case words, as no key is.
    pub(crate) fn to_show(&self) -> Option<&str> {
        let is_usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        (self.0.chars().all(is_usual) && self.0.contains('_')).then_some(self.as_str())
    }
}

impl fmt::Debug for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_show().unwrap_or("(not shown)"))
    }
}
