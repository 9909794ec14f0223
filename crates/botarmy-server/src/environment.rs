//! Variables of the environment, the only source of keys.

/// Reads an environment variable; tests pass their own function.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Returns a variable of this process's environment, the only source of keys.
#[must_use]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
