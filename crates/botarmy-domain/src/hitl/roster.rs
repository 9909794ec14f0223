//! The people who are known to the server, as far as it matters for answering requests.

use std::collections::BTreeSet;

use super::delegation::Delegation;
use super::policy::{GateSettings, Selector};
use crate::access::{Principal, Rights};
use crate::actor::Actor;
use crate::caller::{Caller, Place};
use crate::ids::{CredentialId, PrincipalId};
use crate::timestamp::Timestamp;
use crate::vocabulary::{Permission, Role};

/// Largest number of people through whom a delegation passes.
pub(crate) const MAX_HOPS: usize = 3;

/// All people who can sign in. Parts of the server and programs are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    people: Vec<Person>,
    /// Whether people whom it does not have may come, such as those of a provider.
    is_open: bool,
}

/// A person of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Id.
    pub id: PrincipalId,
    /// Name.
    pub name: String,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Rights.
    pub rights: Rights,
    /// Standing delegation.
    pub delegation: Option<Delegation>,
}

impl Person {
    /// Returns the person that this principal is.
    #[must_use]
    pub fn new(principal: &Principal) -> Self {
        Self {
            id: principal.id,
            name: principal.name.clone(),
            groups: principal.groups.clone(),
            rights: Rights::of(&principal.grants, None),
            delegation: principal.delegation.clone(),
        }
    }

    /// Returns the person who answers with this link; without one, as they will answer with it.
    #[must_use]
    pub fn with_link(&self, link: Option<CredentialId>) -> Caller {
        Caller::with_link(&self.actor(), self.groups.clone(), self.rights.clone(), link)
    }

    /// Returns the person as the log names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { name: self.name.clone(), principal: Some(self.id) }
    }

    /// Returns whether the person may answer requests in this place.
    #[must_use]
    pub fn may_answer(&self, place: Place) -> bool {
        match place {
            Place::Project { id, creator } => {
                self.rights.has(Permission::GateAnswer, id, creator == Some(self.id))
            }
            Place::Installation | Place::NewProject => {
                self.rights.has_globally(Permission::GateAnswer)
            }
        }
    }

    /// Returns whether the selector describes the person in this place.
    #[must_use]
    pub fn is_selected(&self, selector: &Selector, place: Place) -> bool {
        match selector {
            Selector::User(name) => is_user(name, &self.name, Some(self.id)),
            Selector::Group(group) => self.groups.contains(group),
            Selector::Role(role) => self.has_role(*role, place),
        }
    }

    fn has_role(&self, role: Role, place: Place) -> bool {
        match place {
            Place::Project { id, creator } => {
                self.rights.covers_on(role, id, creator == Some(self.id))
            }
            Place::Installation | Place::NewProject => {
                self.rights.covers(&crate::access::Grant::on_all(role))
            }
        }
    }
}

/// Returns whether a selector of a user with this text is about a party. The name of a person of a
/// provider may belong to several, so only a local principal is found by its name.
#[must_use]
pub fn is_user(text: &str, name: &str, id: Option<PrincipalId>) -> bool {
    match id {
        None => text == name,
        Some(id) => id.to_string() == text || (text == name && Principal::is_local_id(id, name)),
    }
}

impl GateSettings {
    /// Returns the groups of a caller: those of its principal, or on an open server those of the settings.
    #[must_use]
    pub fn groups_of(&self, caller: &Caller) -> BTreeSet<String> {
        match caller.principal() {
            Some(_) => caller.groups().clone(),
            None => self.groups_of_name(caller.name()),
        }
    }

    /// Returns the groups that a person with this name is in on an open server.
    pub(crate) fn groups_of_name(&self, name: &str) -> BTreeSet<String> {
        let groups = self.groups.iter();
        groups.filter(|(_, people)| people.contains(name)).map(|(group, _)| group.clone()).collect()
    }
}

impl Roster {
    /// Returns the roster of these people. `is_open` says that others may come.
    #[must_use]
    pub const fn new(people: Vec<Person>, is_open: bool) -> Self {
        Self { people, is_open }
    }

    /// Returns all people.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Returns whether there are no other people.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.is_open
    }

    /// Returns the person with this id.
    #[must_use]
    pub fn person(&self, id: PrincipalId) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// Returns the person with this name or id. A name that several have is no answer.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&Person> {
        self.people.iter().find(|person| is_user(text, &person.name, Some(person.id)))
    }

    /// Returns the person who answers in the place of this one, through at most three delegations. A
    /// delegation that leads back to a person before, or further, is not followed.
    #[must_use]
    pub fn deputy(&self, of: PrincipalId, now: Timestamp) -> Option<&Person> {
        let mut passed = vec![of];
        let mut deputy = None;
        while passed.len() <= MAX_HOPS {
            let person = self.person(*passed.last()?)?;
            let Some(delegation) = person.delegation.as_ref().filter(|one| one.is_active(now))
            else {
                break;
            };
            if passed.contains(&delegation.to) {
                return None;
            }
            deputy = Some(self.person(delegation.to)?);
            passed.push(delegation.to);
        }
        deputy
    }
}
