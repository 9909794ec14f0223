//! People and programs with roles and groups, as a server with access control knows them.

use std::sync::Arc;

use botarmy_domain::hitl::{Person, Roster};
use botarmy_domain::{
    Authentication, Caller, CredentialId, Grant, OpenIdSubject, Principal, PrincipalKind, Rights,
    Role, Timestamp,
};

/// Returns a local principal with these groups and with roles on everything.
pub fn principal(name: &str, kind: PrincipalKind, groups: &[&str], roles: &[Role]) -> Principal {
    Principal {
        id: Principal::local_id(name),
        kind,
        name: name.to_owned(),
        openid: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        grants: roles.iter().map(|role| Grant::on_all(*role)).collect(),
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    }
}

/// Returns a person who may answer requests.
pub fn reviewer(name: &str, groups: &[&str]) -> Principal {
    principal(name, PrincipalKind::Person, groups, &[Role::Reviewer])
}

/// Returns a person of a provider with this name.
pub fn of_provider(name: &str) -> Principal {
    let subject =
        OpenIdSubject { issuer: "https://id.example".to_owned(), subject: name.to_owned() };
    Principal { id: Principal::openid_id(&subject), openid: Some(subject), ..reviewer(name, &[]) }
}

/// Returns the principal with a session.
pub fn session_of(principal: &Principal) -> Caller {
    with_proof(principal, Authentication::Session)
}

/// Returns the principal with this proof.
pub fn with_proof(principal: &Principal, proof: Authentication) -> Caller {
    let credential = CredentialId::from_uuid(uuid::Uuid::from_u128(1));
    Caller::proven(principal, proof, credential, Rights::of(&principal.grants, None))
}

/// Returns the complete roster of these people.
pub fn roster(people: &[Principal]) -> Option<Arc<Roster>> {
    let active = people.iter().filter(|one| one.is_active() && one.kind == PrincipalKind::Person);
    Some(Arc::new(Roster::new(active.map(Person::new).collect(), false)))
}
