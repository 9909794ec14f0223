//! People, programs, their roles and keys, as the pages for administrators show them.

use std::collections::{BTreeMap, BTreeSet};

use botarmy_domain::ports::{Member, UsedKey, UsedSession};
use botarmy_domain::{
    Caller, Grant, GrantTarget, Principal, PrincipalId, PrincipalKind, Role, Seen, Timestamp,
};

use super::account::{self, RoleView, SessionView};
use super::icon::Icon;
use super::state::StateView;
use super::time::TimeView;

/// Names of principals by id.
pub(crate) type Owners = BTreeMap<PrincipalId, String>;

/// Person or program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrincipalView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) is_person: bool,
    pub(crate) state: StateView,
    pub(crate) is_disabled: bool,
    /// Issuer of the identity of a person at an OpenID provider.
    pub(crate) provider: Option<String>,
    pub(crate) roles: Vec<RoleView>,
    pub(crate) groups: Vec<String>,
    pub(crate) created: TimeView,
}

/// Returns a principal as it is shown.
pub(crate) fn principal(principal: &Principal) -> PrincipalView {
    let state = if principal.disabled {
        StateView { class: "bad", icon: Icon::Lock, label: "Disabled".to_owned() }
    } else {
        StateView { class: "ok", icon: Icon::Done, label: "Active".to_owned() }
    };
    PrincipalView {
        id: principal.id.to_string(),
        name: principal.name.clone(),
        kind: account::kind(principal.kind),
        is_person: principal.kind == PrincipalKind::Person,
        state,
        is_disabled: principal.disabled,
        provider: principal.openid.as_ref().map(|identity| identity.issuer.clone()),
        roles: roles(&principal.grants),
        groups: principal.groups.iter().cloned().collect(),
        created: principal.created_at.into(),
    }
}

/// Returns the roles of another than the reader.
fn roles(grants: &[Grant]) -> Vec<RoleView> {
    let mut views = account::roles(grants);
    for (view, grant) in views.iter_mut().zip(grants) {
        if grant.target == GrantTarget::Own {
            "on its own projects".clone_into(&mut view.place);
        }
    }
    views
}

/// Returns what a role permits, in a few words.
pub(crate) const fn role_text(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Sees projects, requests, logs and agents.",
        Role::Operator => "Creates and runs projects, and stops work.",
        Role::Reviewer => "Answers requests.",
        Role::Worker => "Takes tasks and returns results. For programs.",
        Role::Admin => {
            "All of these but the worker, and people, keys, budgets and the log of the system."
        }
    }
}

/// Line of the form for roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantRow {
    pub(crate) role: &'static str,
    pub(crate) text: &'static str,
    /// Whether it is granted on all projects.
    pub(crate) all: bool,
    /// Whether it is granted on projects that the principal creates.
    pub(crate) own: bool,
    /// Ids of projects on which it is granted, separated by blanks.
    pub(crate) projects: String,
}

/// Returns the lines of the form for roles, as these grants fill it.
pub(crate) fn grant_rows(grants: &[Grant]) -> Vec<GrantRow> {
    let row = |role: &Role| {
        let of = |target: GrantTarget| grants.contains(&Grant { role: *role, target });
        let projects = grants.iter().filter_map(|grant| match grant.target {
            GrantTarget::Project(id) if grant.role == *role => Some(id.to_string()),
            _ => None,
        });
        GrantRow {
            role: role.as_str(),
            text: role_text(*role),
            all: of(GrantTarget::All),
            own: of(GrantTarget::Own),
            projects: projects.collect::<Vec<_>>().join(" "),
        }
    };
    Role::ALL.iter().map(row).collect()
}

/// Box of a role in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleChoice {
    pub(crate) role: &'static str,
    pub(crate) is_chosen: bool,
}

/// Returns the boxes of all roles, those of these roles ticked.
pub(crate) fn role_choices(chosen: &BTreeSet<Role>) -> Vec<RoleChoice> {
    let choice = |role: &Role| RoleChoice { role: role.as_str(), is_chosen: chosen.contains(role) };
    Role::ALL.iter().map(choice).collect()
}

/// Member of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) choices: Vec<RoleChoice>,
    /// Version of the roles.
    pub(crate) seen: Seen,
}

/// Returns a member as it is shown.
pub(crate) fn member(member: &Member) -> MemberView {
    MemberView {
        id: member.principal.to_string(),
        name: member.name.clone(),
        kind: account::kind(member.kind),
        choices: role_choices(&member.roles),
        seen: Seen::of_roles(&member.roles),
    }
}

/// API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) hint: String,
    /// Id and name of its owner.
    pub(crate) owner: (String, String),
    pub(crate) state: StateView,
    /// Roles to which it narrows those of its owner.
    pub(crate) narrowed: Option<Vec<RoleView>>,
    pub(crate) created: TimeView,
    /// Time from which it is refused; `None` for never.
    pub(crate) expires: Option<TimeView>,
    pub(crate) last_used: Option<TimeView>,
    pub(crate) may_rotate: bool,
    pub(crate) may_revoke: bool,
}

/// Returns a key as it is shown.
pub(crate) fn key(used: &UsedKey, owners: &Owners, now: Timestamp) -> KeyView {
    let key = &used.key;
    let has_expired = key.has_expired(now);
    let (class, icon, label) = match (key.revoked_at, has_expired, key.replaced_by) {
        (Some(_), ..) => ("", Icon::Failed, "Revoked"),
        (None, true, _) => ("", Icon::Clock, "Expired"),
        (None, false, Some(_)) => ("", Icon::Clock, "Replaced, still valid"),
        (None, false, None) => ("ok", Icon::Done, "Valid"),
    };
    let owner = owners.get(&key.principal).cloned();
    let is_valid = key.revoked_at.is_none() && !has_expired;
    KeyView {
        id: key.id.to_string(),
        name: key.name.clone(),
        hint: key.hint.clone(),
        owner: (key.principal.to_string(), owner.unwrap_or_else(|| "deleted".to_owned())),
        state: StateView { class, icon, label: label.to_owned() },
        narrowed: key.grants.as_deref().map(roles),
        created: key.created_at.into(),
        expires: key.expires_at.map(TimeView::from),
        last_used: used.last_used_at.map(|time| TimeView::relative(time, now)),
        may_rotate: is_valid && key.replaced_by.is_none(),
        may_revoke: is_valid,
    }
}

/// Session, with its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PersonSession {
    /// Id of the person.
    pub(crate) person: String,
    pub(crate) name: String,
    pub(crate) session: SessionView,
}

/// Returns sessions as they are shown to the caller.
pub(crate) fn sessions(found: &[UsedSession], caller: &Caller) -> Vec<PersonSession> {
    let view = |used: &UsedSession| PersonSession {
        person: used.session.principal.to_string(),
        name: used.name.clone(),
        session: account::session(used, caller.credential() == Some(used.session.id)),
    };
    found.iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use botarmy_domain::{ApiKey, CredentialId, KeySecret};
    use uuid::Uuid;

    use super::*;
    use crate::view::samples::{NOW, project_id};

    fn api_key() -> ApiKey {
        let text = KeySecret::new([7; 32]).text();
        ApiKey {
            id: CredentialId::from_uuid(Uuid::from_u128(1)),
            principal: Principal::local_id("ada"),
            name: "laptop".to_owned(),
            hint: text.hint(),
            digest: text.digest(),
            grants: None,
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
            replaced_by: None,
        }
    }

    #[test]
    fn a_key_says_whether_it_is_accepted_and_shows_no_secret() {
        let id = Some(CredentialId::from_uuid(Uuid::from_u128(2)));
        for (change, label, may_rotate, may_revoke) in [
            (api_key(), "Valid", true, true),
            (ApiKey { expires_at: Some(NOW), ..api_key() }, "Expired", false, false),
            (ApiKey { revoked_at: Some(NOW), ..api_key() }, "Revoked", false, false),
            (ApiKey { replaced_by: id, ..api_key() }, "Replaced, still valid", false, true),
        ] {
            let used = UsedKey { key: Arc::new(change), last_used_at: Some(NOW) };
            let view = key(&used, &Owners::new(), NOW);
            assert_eq!(view.state.label, label);
            assert_eq!((view.may_rotate, view.may_revoke), (may_rotate, may_revoke), "{label}");
            assert_eq!((view.owner.1.as_str(), view.hint.len()), ("deleted", 4));
            assert!(!format!("{view:?}").contains("botarmy_k_"));
        }
    }

    #[test]
    fn the_form_for_roles_has_a_line_for_each() {
        let grants = [
            Grant::on_all(Role::Viewer),
            Grant::on_own(Role::Operator),
            Grant::on_project(Role::Operator, project_id()),
        ];
        let rows = grant_rows(&grants);
        assert_eq!(rows.len(), Role::ALL.len());
        assert!(rows[0].all && !rows[0].own && rows[0].projects.is_empty());
        assert!(!rows[1].all && rows[1].own && rows[1].projects == project_id().to_string());
    }
}
