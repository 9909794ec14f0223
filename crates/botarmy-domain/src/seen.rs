//! Version of the state that a person was shown before asking for a change of it. A decision about another
//! state would be one that nobody has made.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::access::Grant;
use crate::artifact::digest_bytes;
use crate::budget::Limit;
use crate::emergency::Stop;
use crate::error::DomainError;
use crate::vocabulary::Role;

/// Code of the conflict with a change that was made after the state was shown.
pub const CHANGED_MEANWHILE: &str = "changed_meanwhile";

/// Version of a shown state: a SHA-256 in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen(String);

impl Seen {
    /// Returns the version with this text, as a form carries it.
    #[must_use]
    pub fn with_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the version of the grants of a principal.
    #[must_use]
    pub fn of_grants(grants: &[Grant]) -> Self {
        let mut grants = grants.to_vec();
        grants.sort_unstable();
        Self::of("grants", &grants)
    }

    /// Returns the version of the roles of a member of a project.
    #[must_use]
    pub fn of_roles(roles: &BTreeSet<Role>) -> Self {
        Self::of("roles", roles)
    }

    /// Returns the version of the groups of a principal.
    #[must_use]
    pub fn of_groups(groups: &BTreeSet<String>) -> Self {
        Self::of("groups", groups)
    }

    /// Returns the version of the conditions that keep a project from being complete.
    #[must_use]
    pub fn of_unmet(conditions: &[String]) -> Self {
        Self::of("unmet", conditions)
    }

    /// Returns the version of the limit that was set for a project; `None` while that of the settings
    /// applies.
    #[must_use]
    pub fn of_limit(set: Option<Limit>) -> Self {
        Self::of("limit", &set)
    }

    /// Returns the version of an emergency stop: its scope, and the time since which it is in force.
    #[must_use]
    pub fn of_stop(stop: &Stop) -> Self {
        // Its reason and its author are not shown to everyone.
        Self::of("stop", &[stop.scope.to_string(), stop.at.to_string()][..])
    }

    fn of(kind: &str, state: &(impl Serialize + ?Sized)) -> Self {
        let text = serde_json::to_string(&(kind, state)).expect("texts can be written as JSON");
        Self(digest_bytes(text.as_bytes()))
    }

    /// Returns the text, as a form carries it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that this is still the version of the state. `what` names it in a sentence.
    ///
    /// # Errors
    /// A conflict if the state is another one now.
    pub fn check(&self, now: &Self, what: &str) -> Result<(), DomainError> {
        if self == now {
            return Ok(());
        }
        let detail = format!("{what} changed after the page was shown.");
        Err(DomainError::conflict(CHANGED_MEANWHILE, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_grants_does_not_count_and_each_grant_does() {
        let (one, two) = (Grant::on_all(Role::Viewer), Grant::on_own(Role::Operator));
        let both = Seen::of_grants(&[one, two]);
        assert_eq!(both, Seen::of_grants(&[two, one]));
        for other in [&[one][..], &[two], &[], &[Grant::on_own(Role::Viewer), two]] {
            assert_ne!(both, Seen::of_grants(other));
        }
        assert_ne!(Seen::of_grants(&[]), Seen::of_unmet(&[]));
    }

    #[test]
    fn a_line_in_two_conditions_is_no_third_condition() {
        let of = |lines: &[&str]| {
            Seen::of_unmet(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
        };
        assert_ne!(of(&["a", "b"]), of(&["a\nb"]));
        of(&["a"]).check(&of(&["a"]), "The project").unwrap();
        let error = of(&["a"]).check(&of(&["b"]), "The project").unwrap_err();
        assert!(error.to_string().contains("The project changed"), "{error}");
    }
}
