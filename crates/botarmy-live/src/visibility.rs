//! The part of the events that a client sees.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use botarmy_domain::{Caller, Permission, PrincipalId, ProjectId, Reach};

/// Largest number of projects whose creators are remembered.
const MAX_CREATORS: usize = 65_536;

/// The part of the events that a caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visibility {
    /// Projects; `None` for not one.
    reach: Option<Reach>,
    /// Whether it sees the status of the agent types.
    agents: bool,
    /// Whether it sees the other entries of the system log.
    system: bool,
}

/// Answer to the question whether a project is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Yes,
    No,
    /// It depends on the creator of the project, which is not known.
    Unknown,
}

impl Visibility {
    pub(crate) fn of(caller: &Caller) -> Self {
        let rights = caller.rights();
        Self {
            reach: caller.reach(Permission::ProjectRead).ok(),
            agents: rights.has_globally(Permission::AgentsRead),
            system: rights.has_globally(Permission::SystemRead),
        }
    }

    /// Returns `true` if a project is seen, or may be.
    pub(crate) const fn has_projects(&self) -> bool {
        self.reach.is_some()
    }

    /// Returns `true` if all projects are seen.
    pub(crate) fn has_all_projects(&self) -> bool {
        self.reach.as_ref().is_some_and(Reach::is_everything)
    }

    /// Returns `true` if anything of the system log is seen. A caller that does not see all projects
    /// sees nothing of it.
    pub(crate) fn has_system_log(&self) -> bool {
        self.has_all_projects()
    }

    /// Returns whether events that need this permission are seen, in a log that is.
    pub(crate) fn has(&self, needed: Permission) -> bool {
        match needed {
            Permission::AgentsRead => self.agents,
            Permission::SystemRead => self.system,
            _ => true,
        }
    }

    /// Returns whether a project is seen. The creator is `None` if it is not known.
    pub(crate) fn project(&self, id: ProjectId, creator: Option<Option<PrincipalId>>) -> Seen {
        let Some(reach) = &self.reach else { return Seen::No };
        if let Some(creator) = creator {
            return if reach.sees(id, creator) { Seen::Yes } else { Seen::No };
        }
        let could =
            |sight: &botarmy_domain::Sight| sight.projects.contains(&id) || sight.creator.is_some();
        if reach.sees(id, None) {
            Seen::Yes
        } else if reach.sights().iter().all(could) {
            Seen::Unknown
        } else {
            Seen::No
        }
    }
}

/// Creators of projects, as far as they were read. They never change.
#[derive(Debug, Default)]
pub(crate) struct Creators(Mutex<HashMap<ProjectId, Option<PrincipalId>>>);

impl Creators {
    pub(crate) fn get(&self, id: ProjectId) -> Option<Option<PrincipalId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    pub(crate) fn insert(&self, id: ProjectId, creator: Option<PrincipalId>) {
        let mut creators = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if creators.len() >= MAX_CREATORS {
            // Those that are needed are read again.
            creators.clear();
        }
        creators.insert(id, creator);
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::access::Sight;
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_project_is_seen_by_name_or_by_its_creator() {
        let ada = PrincipalId::from_uuid(Uuid::from_u128(1));
        let bob = PrincipalId::from_uuid(Uuid::from_u128(2));
        let limited = |sights: &[Sight]| Visibility {
            reach: Some(Reach::limited(sights.to_vec())),
            agents: false,
            system: false,
        };
        let named = limited(&[Sight { projects: [id(1)].into(), creator: None }]);
        assert_eq!(named.project(id(1), None), Seen::Yes);
        assert_eq!(named.project(id(2), None), Seen::No);
        let own = Sight { projects: [id(1)].into(), creator: Some(ada) };
        let own = limited(&[own.clone(), own]);
        assert_eq!(own.project(id(1), None), Seen::Yes);
        assert_eq!(own.project(id(2), None), Seen::Unknown);
        assert_eq!(own.project(id(2), Some(None)), Seen::No);
        assert_eq!(own.project(id(2), Some(Some(bob))), Seen::No);
        assert_eq!(own.project(id(2), Some(Some(ada))), Seen::Yes);
        let nothing = Visibility { reach: None, agents: true, system: true };
        assert_eq!(nothing.project(id(1), None), Seen::No);
        assert!(!nothing.has_system_log() && !named.has_system_log());
    }

    #[test]
    fn creators_are_forgotten_before_there_are_too_many() {
        let creators = Creators::default();
        for n in 0..=MAX_CREATORS as u128 {
            creators.insert(id(n), None);
        }
        assert_eq!(creators.get(id(MAX_CREATORS as u128)), Some(None));
        assert_eq!(creators.get(id(0)), None);
    }
}
