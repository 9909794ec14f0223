//! The number of requests that wait, as the navigation shows it.

use std::fmt;

/// Largest number that is counted.
pub(crate) const MAX_COUNTED: u32 = 99;

/// Number of requests that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Waiting {
    pub(crate) count: usize,
    /// Whether there are more than were counted.
    pub(crate) has_more: bool,
}

impl Waiting {
    pub(crate) const fn of(count: usize, has_more: bool) -> Self {
        Self { count, has_more }
    }

    pub(crate) const fn is_none(self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.has_more { "+" } else { "" };
        write!(f, "{}{plus}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_were_counted_have_a_plus() {
        assert_eq!(Waiting::of(6, false).to_string(), "6");
        assert_eq!(Waiting::of(99, true).to_string(), "99+");
        assert!(Waiting::default().is_none());
    }
}
