//! Checks of a standing delegation when a person sets it.

use std::collections::BTreeSet;

use super::delegation::Delegation;
use crate::access::{Principal, Rights};
use crate::error::DomainError;
use crate::ids::PrincipalId;
use crate::vocabulary::Permission;

/// Checks that a delegation of the person `of` is to another one, who may answer requests, and does not lead
/// back. `principal` returns those who are known; a delegation to one who is not leads no further.
///
/// # Errors
/// [`DomainError::Invalid`] with the field `to`.
pub fn check_delegation<'a>(
    delegation: &Delegation,
    of: PrincipalId,
    principal: impl Fn(PrincipalId) -> Option<&'a Principal>,
) -> Result<(), DomainError> {
    let invalid = |text: &str| Err(DomainError::invalid("to", text));
    if delegation.to == of {
        return invalid("must be another person than yourself");
    }
    let may_answer =
        |to: &Principal| Rights::of(&to.grants, None).has_somewhere(Permission::GateAnswer);
    if principal(delegation.to).is_some_and(|to| !may_answer(to)) {
        return invalid(
            "must be a person who may answer requests, such as one with the role reviewer",
        );
    }
    if leads_back(delegation, of, principal) {
        return invalid(
            "must be a person who does not delegate to you in that time, directly or through others",
        );
    }
    Ok(())
}

/// Returns whether there is a time at which a delegation leads back to the person whose it is.
fn leads_back<'a>(
    delegation: &Delegation,
    of: PrincipalId,
    principal: impl Fn(PrincipalId) -> Option<&'a Principal>,
) -> bool {
    let (mut from, mut until, mut to) = (delegation.from, delegation.until, delegation.to);
    let mut passed = BTreeSet::new();
    while to != of {
        let person = principal(to).filter(|person| person.is_active() && passed.insert(to));
        let Some(next) = person.and_then(|person| person.delegation.as_ref()) else {
            return false;
        };
        (from, until, to) = (from.max(next.from), until.min(next.until), next.to);
        if from >= until {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::access::Grant;
    use crate::timestamp::Timestamp;
    use crate::vocabulary::{PrincipalKind, Role};

    fn id(n: u128) -> PrincipalId {
        PrincipalId::from_uuid(Uuid::from_u128(n))
    }

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000).after(Duration::from_secs(hour * 3_600))
    }

    fn delegation(to: u128, from: u64, until: u64) -> Delegation {
        Delegation { to: id(to), from: at(from), until: at(until) }
    }

    /// Returns people with a role, by their ids, and their delegations.
    fn people(all: &[(u128, Role, Option<Delegation>)]) -> BTreeMap<PrincipalId, Principal> {
        let person = |(n, role, delegation): &(u128, Role, Option<Delegation>)| {
            let principal = Principal {
                id: id(*n),
                name: format!("person-{n}"),
                kind: PrincipalKind::Person,
                openid: None,
                groups: BTreeSet::new(),
                grants: vec![Grant::on_all(*role)],
                delegation: delegation.clone(),
                disabled: false,
                deleted_at: None,
                created_at: at(0),
                updated_at: at(0),
            };
            (principal.id, principal)
        };
        all.iter().map(person).collect()
    }

    #[test]
    fn a_delegate_is_another_person_who_may_answer() {
        let known =
            people(&[(1, Role::Reviewer, None), (2, Role::Viewer, None), (3, Role::Admin, None)]);
        let check = |to| check_delegation(&delegation(to, 0, 9), id(1), |id| known.get(&id));
        for (to, expected) in [(1, "yourself"), (2, "may answer requests")] {
            let error = check(to).unwrap_err().to_string();
            assert!(error.contains("to") && error.contains(expected), "{error}");
        }
        assert!(check(3).is_ok());
        assert!(check(7).is_ok(), "the decision refuses one who is not known");
    }

    #[test]
    fn a_circle_is_refused_only_where_the_times_meet() {
        let of = Role::Reviewer;
        for (second, third, expected) in [
            (Some(delegation(1, 0, 9)), None, true),
            (Some(delegation(3, 2, 6)), Some(delegation(1, 5, 8)), true),
            (Some(delegation(3, 2, 5)), Some(delegation(1, 5, 8)), false),
            (Some(delegation(1, 4, 9)), None, false),
            (Some(delegation(3, 0, 9)), Some(delegation(2, 0, 9)), false),
            (Some(delegation(3, 0, 9)), None, false),
        ] {
            let until = if third.is_none() && !expected { 4 } else { 9 };
            let known = people(&[(1, of, None), (2, of, second.clone()), (3, of, third.clone())]);
            let new = delegation(2, 0, until);
            let checked = check_delegation(&new, id(1), |id| known.get(&id));
            assert_eq!(checked.is_err(), expected, "{second:?}, {third:?}");
            let mut disabled = known.clone();
            disabled.get_mut(&id(2)).unwrap().disabled = true;
            assert!(!leads_back(&new, id(1), |id| disabled.get(&id)));
        }
    }
}
