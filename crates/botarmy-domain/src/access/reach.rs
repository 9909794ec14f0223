//! The part of the projects that a caller sees.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{PrincipalId, ProjectId};

/// Projects that a caller sees: everything, or the projects that are in every [`Sight`]. There are two
/// where a key narrows the grants of its principal.
///
/// A store filters by it, so that pages, counts and cursors know nothing of other projects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach(Arc<[Sight]>);

/// Named projects, and those that a principal created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// Projects by id.
    pub projects: BTreeSet<ProjectId>,
    /// Principal whose projects are seen as well.
    pub creator: Option<PrincipalId>,
}

impl Sight {
    /// Returns whether it sees a project that this principal created.
    #[must_use]
    pub fn sees(&self, project: ProjectId, creator: Option<PrincipalId>) -> bool {
        self.projects.contains(&project) || (creator.is_some() && self.creator == creator)
    }
}

impl Reach {
    /// Returns the reach over everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Returns the reach over the projects that are in each of these.
    #[must_use]
    pub fn limited(sights: impl IntoIterator<Item = Sight>) -> Self {
        Self(sights.into_iter().collect())
    }

    /// Returns whether nothing is hidden.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the limits, all of which a project must be in. Empty if nothing is hidden.
    #[must_use]
    pub fn sights(&self) -> &[Sight] {
        &self.0
    }

    /// Returns whether a project that this principal created is visible.
    #[must_use]
    pub fn sees(&self, project: ProjectId, creator: Option<PrincipalId>) -> bool {
        self.0.iter().all(|sight| sight.sees(project, creator))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn project(n: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_project_is_visible_if_every_sight_sees_it() {
        let ada = PrincipalId::from_uuid(Uuid::from_u128(1));
        let bob = PrincipalId::from_uuid(Uuid::from_u128(2));
        let named = Sight { projects: [project(1), project(2)].into(), creator: None };
        let own = Sight { projects: BTreeSet::new(), creator: Some(ada) };
        let both = Reach::limited([named.clone(), own.clone()]);
        assert!(Reach::everything().sees(project(9), None));
        assert!(Reach::limited([named]).sees(project(1), None));
        assert!(Reach::limited([own.clone()]).sees(project(9), Some(ada)));
        assert!(!Reach::limited([own]).sees(project(9), Some(bob)));
        assert!(both.sees(project(1), Some(ada)));
        assert!(!both.sees(project(1), Some(bob)));
        assert!(!both.sees(project(9), Some(ada)));
        assert!(!Reach::limited([Sight::default()]).sees(project(1), None), "nothing at all");
    }
}
