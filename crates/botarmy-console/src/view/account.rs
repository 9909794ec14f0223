//! The page with one's own name, roles and sessions, as it is shown.

use botarmy_domain::hitl::Delegation;
use botarmy_domain::ports::UsedSession;
use botarmy_domain::{
    AddressClass, Authentication, Caller, Grant, GrantTarget, Principal, PrincipalKind, Timestamp,
};

use super::time::TimeView;

/// Person, as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountView {
    pub(crate) name: String,
    /// Id, by which managers of projects may name the person; `None` on an open server.
    pub(crate) id: Option<String>,
    pub(crate) kind: &'static str,
    /// Sentence about the proof of identity.
    pub(crate) signed_in: &'static str,
    /// Whether there is a session that can be ended.
    pub(crate) has_session: bool,
    pub(crate) roles: Vec<RoleView>,
    /// Roles to which this session is limited, if it is.
    pub(crate) narrowed: Option<Vec<RoleView>>,
    pub(crate) groups: Vec<String>,
    pub(crate) sessions: Vec<SessionView>,
}

/// Role, and where it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleView {
    pub(crate) role: &'static str,
    pub(crate) place: String,
}

/// Session, in the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionView {
    pub(crate) id: String,
    /// Whether it is the one that shows the page.
    pub(crate) is_current: bool,
    pub(crate) started_with: &'static str,
    pub(crate) place: &'static str,
    pub(crate) started: TimeView,
    pub(crate) last_used: TimeView,
    pub(crate) expires: TimeView,
}

/// Person who answers in the place of another, until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DelegationView {
    /// Name, for those who may read it.
    pub(crate) to: Option<String>,
    pub(crate) id: String,
    pub(crate) is_active: bool,
    pub(crate) from: TimeView,
    pub(crate) until: TimeView,
}

/// Returns a standing delegation as it is shown.
pub(crate) fn delegation(
    delegation: &Delegation,
    name: Option<String>,
    now: Timestamp,
) -> DelegationView {
    DelegationView {
        to: name,
        id: delegation.to.to_string(),
        is_active: delegation.is_active(now),
        from: delegation.from.into(),
        until: delegation.until.into(),
    }
}

/// Returns what the page of a person shows. The sessions are those of the person, the newest first.
pub(crate) fn view(
    caller: &Caller,
    principal: Option<&Principal>,
    sessions: &[UsedSession],
) -> AccountView {
    let is_current = |used: &&UsedSession| Some(used.session.id) == caller.credential();
    let current = sessions.iter().find(is_current);
    let mut newest_first: Vec<_> = sessions.iter().collect();
    newest_first.sort_by_key(|used| std::cmp::Reverse(used.session.started_at));
    AccountView {
        name: caller.name().to_owned(),
        id: caller.principal().map(|id| id.to_string()),
        kind: kind(caller.kind()),
        signed_in: match current {
            Some(used) => sentence(used.session.started_with),
            None if caller.principal().is_none() => "This server needs no sign-in",
            None => "Signed in",
        },
        has_session: caller.authentication() == Authentication::Session,
        roles: roles(principal.map_or(&[], |principal| principal.grants.as_slice())),
        narrowed: current.and_then(|used| used.session.narrowing.grants.as_deref()).map(roles),
        groups: caller.groups().iter().cloned().collect(),
        sessions: newest_first.into_iter().map(|used| session(used, is_current(&used))).collect(),
    }
}

pub(super) fn roles(grants: &[Grant]) -> Vec<RoleView> {
    let view = |grant: &Grant| RoleView {
        role: grant.role.as_str(),
        place: match grant.target {
            GrantTarget::All => "on all projects".to_owned(),
            GrantTarget::Own => "on your own projects".to_owned(),
            GrantTarget::Project(id) => format!("on project {id}"),
        },
    };
    grants.iter().map(view).collect()
}

pub(super) fn session(used: &UsedSession, is_current: bool) -> SessionView {
    let session = &used.session;
    SessionView {
        id: session.id.to_string(),
        is_current,
        started_with: sentence(session.started_with),
        place: match session.browser.address {
            AddressClass::Loopback => "on the machine of the server",
            AddressClass::Private => "in a private network",
            AddressClass::Public => "on the internet",
        },
        started: session.started_at.into(),
        last_used: used.last_used_at.into(),
        expires: session.expires_at.into(),
    }
}

pub(super) fn kind(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Person => "Person",
        PrincipalKind::Service => "Program",
        PrincipalKind::System => "Part of the server",
    }
}

fn sentence(with: Authentication) -> &'static str {
    match with {
        Authentication::Key => "Signed in with a key",
        Authentication::Link => "Signed in with a one-time link",
        Authentication::OpenId => "Signed in with the OpenID provider",
        _ => "Signed in",
    }
}
