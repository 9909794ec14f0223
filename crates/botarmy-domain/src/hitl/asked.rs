//! Pending requests as lists select them: by the people who are asked, the policy, and the time.

use std::collections::BTreeSet;

use super::HitlRequest;
use super::policy::{GateSettings, Selector};
use crate::access::{Grant, Principal, Reach};
use crate::caller::Caller;
use crate::ids::ProjectId;
use crate::timestamp::Timestamp;
use crate::vocabulary::{HitlStatus, Permission, PrincipalKind, Role};

/// Selection of pending requests, as a caller asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingQuery {
    /// Project.
    pub project: Option<ProjectId>,
    /// Name of the policy; empty for requests whose step names none.
    pub policy: Option<String>,
    /// Group that is asked, or whose approval is needed.
    pub group: Option<String>,
    /// Whether only requests are selected that the caller may answer.
    pub mine: bool,
    /// Whether only requests are selected that people should have answered by now.
    pub overdue: bool,
}

/// Filter of pending requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingFilter {
    /// Project.
    pub project: Option<ProjectId>,
    /// Name of the policy; empty for requests whose step names none.
    pub policy: Option<String>,
    /// Group that is asked, or whose approval is needed.
    pub group: Option<String>,
    /// Person who is asked.
    pub asked: Option<Asked>,
    /// Time at which people should have answered.
    pub overdue_at: Option<Timestamp>,
}

/// A person, as the policies of requests describe people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Selectors that describe the person on every project.
    pub anywhere: Vec<Selector>,
    /// Roles that the person has on some projects.
    pub on_projects: Vec<(Role, Reach)>,
}

impl Asked {
    /// Returns the selectors that describe a caller; `None` for a program, which no request asks.
    #[must_use]
    pub fn of(caller: &Caller, settings: &GateSettings) -> Option<Self> {
        if caller.kind() != PrincipalKind::Person {
            return None;
        }
        let (name, id) = (caller.name(), caller.principal());
        let is_named = id.is_none_or(|id| Principal::is_local_id(id, name));
        let users = id.map(|id| id.to_string()).into_iter();
        let users = users.chain(is_named.then(|| name.to_owned())).map(Selector::User);
        let groups = settings.groups_of(caller).into_iter().map(Selector::Group);
        let mut asked = Self { anywhere: users.chain(groups).collect(), on_projects: Vec::new() };
        // No policy names workers.
        for role in Role::ALL.iter().copied().filter(|role| *role != Role::Worker) {
            if caller.rights().covers(&Grant::on_all(role)) {
                asked.anywhere.push(Selector::Role(role));
            } else {
                asked.on_projects.push((role, caller.rights().reach_of(role, id)));
            }
        }
        Some(asked)
    }
}

impl PendingFilter {
    /// Returns the filter of what a caller asks for, with the projects on which it applies; `None` if
    /// nothing can be found.
    ///
    /// # Errors
    /// As [`Caller::reach`], if the caller may read nothing.
    pub fn of(
        query: PendingQuery,
        caller: &Caller,
        settings: &GateSettings,
        now: Timestamp,
    ) -> Result<Option<(Self, Reach)>, crate::error::DomainError> {
        let mut reach = caller.reach(Permission::ProjectRead)?;
        let mut asked = None;
        if query.mine {
            asked = Asked::of(caller, settings);
            let Some(answers) =
                caller.reach(Permission::GateAnswer).ok().filter(|_| asked.is_some())
            else {
                return Ok(None);
            };
            reach = Reach::limited(reach.sights().iter().chain(answers.sights()).cloned());
        }
        let PendingQuery { project, policy, group, overdue, .. } = query;
        let filter = Self { project, policy, group, asked, overdue_at: overdue.then_some(now) };
        Ok(Some((filter, reach)))
    }

    /// Returns whether it selects a request. `sees` says whether the project of the request is within a
    /// reach.
    pub fn selects(&self, request: &HitlRequest, sees: impl Fn(&Reach) -> bool) -> bool {
        let people = request.people();
        let has = |selector: &Selector| people.contains(&selector.to_string());
        let is_asked = |asked: &Asked| {
            request.is_open_to_all()
                || asked.anywhere.iter().any(has)
                || asked
                    .on_projects
                    .iter()
                    .any(|(role, reach)| has(&Selector::Role(*role)) && sees(reach))
        };
        let policy = self.policy.as_deref();
        request.status() == HitlStatus::Pending
            && self.project.is_none_or(|id| request.project_id == id)
            && policy.is_none_or(|name| request.policy_name().unwrap_or_default() == name)
            && self.group_names().is_none_or(|names| names.iter().any(|who| people.contains(who)))
            && self.asked.as_ref().is_none_or(is_asked)
            && self
                .overdue_at
                .is_none_or(|at| request.overdue_from().is_some_and(|from| from <= at))
    }

    /// Returns the entries among the people of a request by which its group is found.
    #[must_use]
    pub fn group_names(&self) -> Option<[String; 2]> {
        self.group.as_deref().map(|group| [asked(group), seat(group)])
    }
}

fn asked(group: &str) -> String {
    Selector::Group(group.to_owned()).to_string()
}

fn seat(group: &str) -> String {
    format!("seat:{group}")
}

impl HitlRequest {
    /// Returns the name of its policy; `None` for the policy of a step that names none.
    #[must_use]
    pub fn policy_name(&self) -> Option<&str> {
        self.policy
            .as_ref()
            .map(|pinned| pinned.policy.name.as_str())
            .filter(|name| !name.is_empty())
    }

    /// Returns whether everyone with the permission to answer is asked.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        self.pinned_policy().policy.is_open_to_all()
    }

    /// Returns the people whom it asks, as texts of selectors, and the groups that have a seat, as
    /// `seat:` with the group. Where everyone is asked, only groups are named; there are none at a
    /// simple gate.
    #[must_use]
    pub fn people(&self) -> BTreeSet<String> {
        let Some(policy) = self.policy.as_ref().map(|pinned| &pinned.policy) else {
            return self.selected(&[]);
        };
        let candidates = if policy.is_open_to_all() { &[] } else { policy.candidates.as_slice() };
        let mut people = self.selected(candidates);
        people.extend(policy.groups.keys().map(|group| seat(group)));
        people
    }

    fn selected(&self, candidates: &[Selector]) -> BTreeSet<String> {
        let is_open = self.is_open_to_all();
        let selectors = candidates.iter().chain(&self.assignees).chain(&self.escalated_to);
        let named = selectors.filter(|one| !is_open || matches!(one, Selector::Group(_)));
        let mut people: BTreeSet<_> = named.map(ToString::to_string).collect();
        if !is_open {
            // The last delegation in the place of a person counts.
            let is_last = |n: usize| {
                let later = self.delegates.iter().skip(n + 1);
                !later.into_iter().any(|other| other.of.is_same(&self.delegates[n].of))
            };
            let last = self.delegates.iter().enumerate().filter(|(n, _)| is_last(*n));
            let name = |to: &crate::actor::Actor| {
                to.principal.map_or_else(|| to.name.clone(), |id| id.to_string())
            };
            people.extend(last.map(|(_, one)| Selector::User(name(&one.to)).to_string()));
        }
        people
    }

    /// Returns the time from which people are late with their answers; `None` if it is not pending, or
    /// its project was paused before that time.
    #[must_use]
    pub fn overdue_from(&self) -> Option<Timestamp> {
        let by = self.answer_by();
        let is_stopped = self.schedule.paused_at.is_some_and(|paused| paused < by);
        (self.status() == HitlStatus::Pending && !is_stopped).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::actor::Actor;
    use crate::hitl::{Delegate, PinnedPolicy, Policy, Subject};
    use crate::ids::{HitlRequestId, PrincipalId};
    use crate::vocabulary::HitlKind;

    const AT: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn request(policy: Option<Policy>) -> HitlRequest {
        let ids = (HitlRequestId::from_uuid(Uuid::nil()), ProjectId::from_uuid(Uuid::nil()));
        let mut request = HitlRequest::new(
            ids,
            HitlKind::Approval,
            "Is it right?".to_owned(),
            Subject::of([]),
            (AT, 60),
        );
        request.policy = policy.map(|policy| Arc::new(PinnedPolicy::new(policy)));
        request
    }

    fn release() -> Policy {
        let mut policy = Policy::named("release");
        policy.groups = [("security".to_owned(), 1)].into();
        policy.candidates = vec!["user:ada".parse().unwrap(), "group:leads".parse().unwrap()];
        policy
    }

    fn person(n: u128) -> Actor {
        Actor {
            name: format!("person-{n}"),
            principal: Some(PrincipalId::from_uuid(Uuid::from_u128(n))),
        }
    }

    #[test]
    fn a_simple_gate_names_no_one() {
        let mut simple = request(None);
        assert!(simple.people().is_empty() && simple.policy_name().is_none());
        simple.delegates.push(Delegate { of: person(1), to: person(2), at: AT });
        assert!(simple.people().is_empty(), "everyone may answer anyway");
        assert!(request(Some(Policy::implicit())).policy_name().is_none());
        simple.escalated_to = vec!["group:leads".parse().unwrap(), "user:bob".parse().unwrap()];
        assert_eq!(simple.people().into_iter().collect::<Vec<_>>(), ["group:leads"]);
    }

    #[test]
    fn the_last_delegate_of_each_person_is_named() {
        let mut gate = request(Some(release()));
        for (of, to) in [(1, 2), (3, 4), (1, 5)] {
            gate.delegates.push(Delegate { of: person(of), to: person(to), at: AT });
        }
        let id = |n| format!("user:{}", person(n).principal.unwrap());
        let expected =
            [id(4), id(5), "group:leads".into(), "seat:security".into(), "user:ada".into()];
        assert_eq!(gate.people(), expected.into());
    }

    #[test]
    fn a_paused_request_is_overdue_only_if_it_was_before() {
        let mut gate = request(None);
        let by = gate.expires_at;
        assert_eq!(gate.overdue_from(), Some(by));
        gate.stop_clock(AT.after(Duration::from_secs(59)));
        assert_eq!((gate.overdue_from(), gate.due()), (None, None));
        gate.schedule.paused_at = Some(by);
        assert_eq!(gate.overdue_from(), Some(by));
    }

    #[test]
    fn a_caller_finds_what_asks_it_by_name_group_and_role() {
        let settings = GateSettings {
            groups: [("leads".to_owned(), ["eve".to_owned()].into())].into(),
            ..GateSettings::default()
        };
        let finds = |name: &str, request: &HitlRequest| {
            let query = PendingQuery { mine: true, ..PendingQuery::default() };
            let caller = Caller::person(name);
            let (filter, _) = PendingFilter::of(query, &caller, &settings, AT).unwrap().unwrap();
            filter.selects(request, |_| true)
        };
        let gate = request(Some(release()));
        assert!(finds("ada", &gate) && finds("eve", &gate) && !finds("bob", &gate));
        assert!(finds("bob", &request(None)), "everyone is asked");
        let mut admins = release();
        admins.candidates = vec![Selector::Role(Role::Admin)];
        assert!(finds("bob", &request(Some(admins))), "everyone has every role on an open server");
        let query = PendingQuery { mine: true, ..PendingQuery::default() };
        assert!(PendingFilter::of(query, &Caller::system(), &settings, AT).unwrap().is_none());
    }

    #[test]
    fn a_filter_selects_by_group_policy_and_time() {
        let gate = request(Some(release()));
        let selects = |filter: PendingFilter| {
            [&gate, &request(None)].map(|one| filter.selects(one, |_| true))
        };
        for group in ["security", "leads"] {
            let group = Some(group.to_owned());
            assert_eq!(selects(PendingFilter { group, ..Default::default() }), [true, false]);
        }
        for (policy, expected) in
            [("release", [true, false]), ("", [false, true]), ("other", [false, false])]
        {
            let policy = Some(policy.to_owned());
            assert_eq!(selects(PendingFilter { policy, ..Default::default() }), expected);
        }
        for (at, expected) in [(AT, false), (gate.expires_at, true)] {
            let filter = PendingFilter { overdue_at: Some(at), ..Default::default() };
            assert_eq!(selects(filter), [expected; 2]);
        }
    }
}
