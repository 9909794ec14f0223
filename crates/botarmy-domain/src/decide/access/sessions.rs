//! Sessions of browsers: sign-ins, their ends, and the one-time links with which they start. Everything
//! about one person is one record, so that of two decisions at once the second sees the first.

use std::collections::BTreeSet;
use std::time::Duration;

use super::principals;
use super::rules::{count_version, existing, passed_on, scope};
use crate::access::{
    ApiKey, BrowserBinding, Grant, GrantTarget, KeyDigest, LINK_LIFETIME, MAX_SESSIONS, Narrowing,
    OpenIdIdentity, PersonSessions, Principal, Session, SignInLink, kept_groups, shown_name,
};
use crate::caller::Caller;
use crate::change::{Decision, Row};
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::{CredentialId, PrincipalId};
use crate::scope::{Scope, Snapshot};
use crate::timestamp::Timestamp;
use crate::vocabulary::{Authentication, PrincipalKind, Role, SessionEnd};

/// Code of the refusal of a key or link that is not valid, for whatever reason.
pub const SIGN_IN_INVALID: &str = "sign_in_invalid";
/// Code of the refusal of a key or link that has expired.
pub const SIGN_IN_EXPIRED: &str = "sign_in_expired";
/// Code of the refusal of a program.
pub const NOT_A_PERSON: &str = "not_a_person";
/// Code of the refusal of a person that was disabled or deleted.
pub const PERSON_DISABLED: &str = "person_disabled";

/// Proof with which a person signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInProof {
    /// A key, by its id.
    Key(CredentialId),
    /// The code of a link, by its digest.
    Link(KeyDigest),
    /// An identity that a provider has confirmed, and the roles on all projects that its groups have.
    OpenId(OpenIdIdentity, BTreeSet<Role>),
}

/// A new session: everything about it but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Id of the session.
    pub id: CredentialId,
    /// Digest of the cookie.
    pub digest: KeyDigest,
    /// Browser that it is bound to.
    pub browser: BrowserBinding,
    /// Time until it ends, however much it is used.
    pub lifetime: Duration,
}

/// A new link: everything about it but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Id of the link.
    pub id: CredentialId,
    /// Digest of its code.
    pub digest: KeyDigest,
}

/// Returns the scope of a decision about the sessions of a person, and the key that it may depend on.
#[must_use]
pub fn sessions_scope(person: PrincipalId, key: Option<CredentialId>) -> Scope {
    let scope = scope().record::<Principal>(person).record::<PersonSessions>(person);
    scope.records::<ApiKey>(key)
}

/// Starts a session; a person that has as many as it may loses the oldest. A link is used up. A provider
/// sets the groups and the roles on all projects; if there is no role, it takes those away that it gave
/// before, and no session starts. Needs the scope of [`sessions_scope`], with the key that the session
/// ends with.
///
/// # Errors
/// [`DomainError::Unauthenticated`] for a proof that is not valid or has expired;
/// [`DomainError::Forbidden`] for a program, and for a person that a provider has confirmed and that was
/// disabled or deleted.
pub fn start_session(
    context: &DecisionContext,
    snapshot: &Snapshot,
    person: PrincipalId,
    proof: &SignInProof,
    new: &NewSession,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::of_person(context, snapshot, person)?;
    if let SignInProof::OpenId(identity, roles) = proof {
        let has_changed = put_identity(&mut builder, person, identity, roles)?;
        if roles.is_empty() {
            if has_changed {
                count_version(&mut builder);
            }
            return Ok(builder.finish());
        }
    }
    let owner = builder.record::<Principal>(person).filter(|owner| owner.is_active());
    let kind = owner.ok_or_else(invalid)?.kind;
    if kind != PrincipalKind::Person {
        return Err(not_a_person());
    }
    let (at, mut record) = (builder.at(), sessions_of(&builder, person));
    let mut expires_at = at.after(new.lifetime);
    let (started_with, narrowing, link) = match proof {
        SignInProof::Key(id) => {
            let grants = valid_key(&builder, *id, person)?.grants;
            (Authentication::Key, Narrowing { key: Some(*id), grants }, None)
        }
        SignInProof::Link(digest) => {
            let link = record.links.iter().find(|link| link.digest == *digest);
            let link = link.ok_or_else(invalid)?;
            if link.expires_at <= at {
                return Err(expired());
            }
            expires_at = link.session_until.map_or(expires_at, |until| until.min(expires_at));
            (Authentication::Link, link.narrowing.clone(), Some(link.id))
        }
        SignInProof::OpenId(..) => (Authentication::OpenId, Narrowing::default(), None),
    };
    if let Some(key) = narrowing.key {
        let end = valid_key(&builder, key, person)?.expires_at;
        expires_at = end.map_or(expires_at, |end| end.min(expires_at));
    }
    if expires_at <= at {
        return Err(expired());
    }
    while record.active(at).count() >= MAX_SESSIONS {
        let oldest = record.active(at).min_by_key(|session| (session.started_at, session.id));
        let Some(oldest) = oldest.map(|session| session.id) else { break };
        end(&mut builder, &mut record, oldest, SessionEnd::Superseded);
    }
    let session = Session {
        id: new.id,
        principal: person,
        place: 0,
        digest: new.digest,
        started_with,
        narrowing,
        browser: new.browser,
        started_at: at,
        expires_at,
        ended: None,
    };
    let payload = E::SessionStarted(event::SessionStarted {
        session_id: session.id,
        principal_id: person,
        auth: started_with,
        link_id: link,
        key_id: session.narrowing.key,
        grants: session.narrowing.grants.clone(),
        expires_at,
    });
    record.start(session, link, at);
    builder.put_row(Row::Record(record.into()), &payload);
    count_version(&mut builder);
    Ok(builder.finish())
}

/// Signs a person out: ends the session with which it calls, or all of its sessions and links. Decides
/// nothing about sessions that have ended. Needs the scope of [`sessions_scope`].
///
/// # Errors
/// If the caller is another principal.
pub fn sign_out(
    context: &DecisionContext,
    snapshot: &Snapshot,
    person: PrincipalId,
    session: Option<CredentialId>,
    everywhere: bool,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::of_person(context, snapshot, person)?;
    let mut record = sessions_of(&builder, person);
    let (own, others): (Vec<_>, Vec<_>) =
        open(&record).into_iter().partition(|id| Some(*id) == session);
    if everywhere {
        for id in others {
            end(&mut builder, &mut record, id, SessionEnd::SignedOutElsewhere);
        }
    }
    let reason = if everywhere { SessionEnd::SignedOutEverywhere } else { SessionEnd::SignedOut };
    for id in own {
        end(&mut builder, &mut record, id, reason);
    }
    Ok(finish(builder))
}

/// Ends a session of a person; decides nothing if it has ended. Needs the scope of [`sessions_scope`].
///
/// # Errors
/// If the session does not exist, or is another's and the caller lacks the permission.
pub fn end_session(
    context: &DecisionContext,
    snapshot: &Snapshot,
    person: PrincipalId,
    id: CredentialId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::of_person(context, snapshot, person)?;
    let mut record = sessions_of(&builder, person);
    let session = record.session(id).ok_or_else(|| DomainError::not_found("Session", id))?;
    if session.ended.is_none() {
        end(&mut builder, &mut record, id, SessionEnd::Revoked);
    }
    Ok(finish(builder))
}

/// Ends all sessions of a person because the cookie of this one came back after its sign-out. Decides
/// nothing if that was decided before. Needs the scope of [`sessions_scope`].
///
/// # Errors
/// If the caller is neither the person nor permitted to manage access.
pub fn end_reused(
    context: &DecisionContext,
    snapshot: &Snapshot,
    person: PrincipalId,
    id: CredentialId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::of_person(context, snapshot, person)?;
    let mut record = sessions_of(&builder, person);
    if record.session(id).is_some_and(|session| session.is_reuse(builder.at())) {
        for id in [id].into_iter().chain(open(&record)) {
            end(&mut builder, &mut record, id, SessionEnd::Reused);
        }
    }
    Ok(finish(builder))
}

/// Creates a link with which a person can sign in once. For the caller itself, its session has the
/// limits of the credential that the caller has now. Needs the scope of [`sessions_scope`], with the key
/// of that credential.
///
/// # Errors
/// If the principal does not exist, is a program or is disabled; for another person, if the caller lacks
/// the permission or grants of that person.
pub fn create_link(
    context: &DecisionContext,
    snapshot: &Snapshot,
    person: PrincipalId,
    new: &NewLink,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::of_person(context, snapshot, person)?;
    let owner = existing(&builder, person)?;
    if owner.kind != PrincipalKind::Person {
        return Err(not_a_person());
    }
    if owner.disabled {
        let detail = format!("\"{}\" is disabled; enable it first.", owner.name);
        return Err(DomainError::conflict(PERSON_DISABLED, detail));
    }
    let (at, mut record) = (builder.at(), sessions_of(&builder, person));
    let (narrowing, session_until) = if context.caller.principal() == Some(person) {
        limits_of(&builder, &record, &context.caller, person)?
    } else {
        // The caller is about to have the code, and with it the grants of the other.
        passed_on(&context.caller, &owner.grants, &[])?;
        (Narrowing::default(), None)
    };
    let link = SignInLink {
        id: new.id,
        principal: person,
        digest: new.digest,
        narrowing,
        session_until,
        created_at: at,
        expires_at: at.after(LINK_LIFETIME),
    };
    let payload = E::SignInLinkCreated(event::SignInLinkCreated {
        link_id: link.id,
        principal_id: person,
        key_id: link.narrowing.key,
        grants: link.narrowing.grants.clone(),
        session_expires_at: session_until,
        expires_at: link.expires_at,
    });
    record.add_link(link, at);
    builder.put_row(Row::Record(record.into()), &payload);
    count_version(&mut builder);
    Ok(builder.finish())
}

/// Returns the limits of the credential with which the caller acts, and the end of its session.
fn limits_of(
    builder: &DecisionBuilder<'_>,
    record: &PersonSessions,
    caller: &Caller,
    person: PrincipalId,
) -> Result<(Narrowing, Option<Timestamp>), DomainError> {
    match (caller.authentication(), caller.credential()) {
        (Authentication::Key, Some(id)) => {
            let grants = valid_key(builder, id, person)?.grants;
            Ok((Narrowing { key: Some(id), grants }, None))
        }
        (Authentication::Session, Some(id)) => {
            let session = record.session(id).filter(|session| session.is_active(builder.at()));
            let session = session.ok_or_else(invalid)?;
            if let Some(key) = session.narrowing.key {
                valid_key(builder, key, person)?;
            }
            Ok((session.narrowing.clone(), Some(session.expires_at)))
        }
        _ => {
            let detail = "A link for oneself needs a key or a session.".to_owned();
            Err(DomainError::Forbidden { code: "credential_unsuitable", detail })
        }
    }
}

/// Writes the person that a provider has confirmed, if anything about it is new. Returns whether it is.
fn put_identity(
    builder: &mut DecisionBuilder<'_>,
    person: PrincipalId,
    identity: &OpenIdIdentity,
    roles: &BTreeSet<Role>,
) -> Result<bool, DomainError> {
    let id = Principal::openid_id(&identity.subject);
    if id != person {
        return Err(invalid());
    }
    let at = builder.at();
    let before = builder.record::<Principal>(id).map(|before| Principal::clone(before));
    if before.is_none() && roles.is_empty() {
        return Ok(false);
    }
    if before.as_ref().is_some_and(|before| !before.is_active()) {
        let detail = "This person was disabled here; an admin can enable it again.".to_owned();
        return Err(DomainError::Forbidden { code: PERSON_DISABLED, detail });
    }
    // A provider gives roles on all projects; roles on single ones are given by people and stay.
    let given = before.iter().flat_map(|before| &before.grants).copied();
    let given = given.filter(|grant| grant.target != GrantTarget::All);
    let grants: BTreeSet<Grant> =
        given.chain(roles.iter().map(|role| Grant::on_all(*role))).collect();
    let mut after = before.clone().unwrap_or_else(|| Principal {
        id,
        kind: PrincipalKind::Person,
        name: String::new(),
        openid: Some(identity.subject.clone()),
        groups: BTreeSet::new(),
        grants: Vec::new(),
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: at,
        updated_at: at,
    });
    after.name = shown_name(identity);
    after.groups = kept_groups(&identity.groups);
    after.grants = grants.into_iter().collect();
    match before {
        None => principals::put_new(builder, &after),
        Some(before) if before == after => return Ok(false),
        Some(_) => {
            after.updated_at = at;
            principals::put_changed(builder, after, None);
        }
    }
    Ok(true)
}

/// Returns a key of this person that can be used.
fn valid_key(
    builder: &DecisionBuilder<'_>,
    id: CredentialId,
    person: PrincipalId,
) -> Result<ApiKey, DomainError> {
    let key = builder.record::<ApiKey>(id).filter(|key| key.principal == person);
    let key = key.filter(|key| key.revoked_at.is_none()).ok_or_else(invalid)?;
    if key.has_expired(builder.at()) { Err(expired()) } else { Ok(ApiKey::clone(key)) }
}

fn sessions_of(builder: &DecisionBuilder<'_>, person: PrincipalId) -> PersonSessions {
    let found = builder.record::<PersonSessions>(person);
    found.map_or_else(|| PersonSessions::new(person), |found| PersonSessions::clone(found))
}

/// Returns the sessions that were not ended.
fn open(record: &PersonSessions) -> Vec<CredentialId> {
    let open = record.sessions.iter().filter(|session| session.ended.is_none());
    open.map(|session| session.id).collect()
}

/// Writes the end of a session.
fn end(
    builder: &mut DecisionBuilder<'_>,
    record: &mut PersonSessions,
    id: CredentialId,
    reason: SessionEnd,
) {
    record.end(id, reason, builder.at());
    let payload = E::SessionEnded(event::SessionEnded {
        session_id: id,
        principal_id: record.principal,
        reason: reason.as_str().to_owned(),
    });
    builder.put_row(Row::Record(record.clone().into()), &payload);
}

/// Counts the change, if there is one.
fn finish(mut builder: DecisionBuilder<'_>) -> Decision {
    if builder.has_changes() {
        count_version(&mut builder);
    }
    builder.finish()
}

fn invalid() -> DomainError {
    let detail = "The key or code is not valid.".to_owned();
    DomainError::Unauthenticated { code: SIGN_IN_INVALID, detail }
}

fn expired() -> DomainError {
    let detail = "The key or code has expired.".to_owned();
    DomainError::Unauthenticated { code: SIGN_IN_EXPIRED, detail }
}

fn not_a_person() -> DomainError {
    let detail = "Only people sign in; programs send their key with each request.".to_owned();
    DomainError::Forbidden { code: NOT_A_PERSON, detail }
}
