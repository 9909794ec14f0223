//! The party on whose behalf something is done, from a request at the border to the log, and the check
//! of what it may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::access::{ApiKey, Grant, OpenIdIdentity, Principal, Reach, Rights, Session, shown_name};
use crate::actor::Actor;
use crate::error::DomainError;
use crate::idempotency::{CallKey, KeyedCall};
use crate::ids::{CredentialId, PrincipalId, ProjectId};
use crate::lease::{LeaseTaker, WorkerId};
use crate::log::{Origin, Proof};
use crate::seen::Seen;
use crate::trace::TraceContext;
use crate::vocabulary::{Authentication, EventSource, Permission, PrincipalKind, Role, Via};

/// Name of the server itself in the log.
const SYSTEM: &str = "system";
/// Name of the timers in the log.
const SCHEDULER: &str = "scheduler";

/// Principal of a call, with the proof of its identity, its rights, and the request that it came with.
/// Clones share the principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    identity: Arc<Identity>,
    request_id: Option<String>,
    trace: Option<TraceContext>,
    claimed_user: Option<String>,
    via: Option<Via>,
    keyed_call: Option<Arc<KeyedCall>>,
    seen: Option<Box<Seen>>,
}

/// The part of a caller that is the same for all calls with one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    source: EventSource,
    name: String,
    kind: PrincipalKind,
    principal: Option<PrincipalId>,
    groups: BTreeSet<String>,
    authentication: Authentication,
    credential: Option<CredentialId>,
    rights: Rights,
}

/// Place in which something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the installation as a whole.
    Installation,
    /// In a project that does not exist yet.
    NewProject,
    /// In a project.
    Project {
        /// Id of the project.
        id: ProjectId,
        /// Principal that created it, if it is known.
        creator: Option<PrincipalId>,
    },
}

impl Caller {
    /// Returns the caller of a request that names a person without proof, as on an open server. It may
    /// do everything that people and workers do.
    pub fn person(name: impl Into<String>) -> Self {
        Self::unproven(name, Authentication::Open)
    }

    /// Returns the caller of a command that has access to the store itself, and so may do everything.
    pub fn local(name: impl Into<String>) -> Self {
        Self::unproven(name, Authentication::Local).with_via(Via::Terminal)
    }

    fn unproven(name: impl Into<String>, authentication: Authentication) -> Self {
        let grants = [Grant::on_all(Role::Admin), Grant::on_all(Role::Worker)];
        Self::new(Identity {
            source: EventSource::User,
            name: name.into(),
            kind: PrincipalKind::Person,
            principal: None,
            groups: BTreeSet::new(),
            authentication,
            credential: None,
            rights: Rights::of(&grants, None),
        })
    }

    /// Returns the caller with this API key.
    #[must_use]
    pub fn with_key(principal: &Principal, key: &ApiKey) -> Self {
        let rights = Rights::of(&principal.grants, key.grants.as_deref());
        Self::proven(principal, Authentication::Key, key.id, rights)
    }

    /// Returns the caller with this session.
    #[must_use]
    pub fn with_session(person: &Principal, session: &Session) -> Self {
        let rights = Rights::of(&person.grants, session.narrowing.grants.as_deref());
        Self::proven(person, Authentication::Session, session.id, rights)
    }

    /// Returns a person who answers with a link; without one, as they will answer with it.
    #[must_use]
    pub fn with_link(
        person: &Actor,
        groups: BTreeSet<String>,
        rights: Rights,
        link: Option<CredentialId>,
    ) -> Self {
        Self::new(Identity {
            source: EventSource::User,
            name: person.name.clone(),
            kind: PrincipalKind::Person,
            principal: person.principal,
            groups,
            authentication: Authentication::Link,
            credential: link,
            rights,
        })
        .with_via(Via::Link)
    }

    /// Returns the person of an open server who answers with a link.
    #[must_use]
    pub fn named_in_link(name: &str) -> Self {
        Self::unproven(name, Authentication::Link).with_via(Via::Link)
    }

    /// Returns the person that an OpenID provider has confirmed, who may do nothing yet but sign in.
    #[must_use]
    pub fn openid(identity: &OpenIdIdentity) -> Self {
        Self::new(Identity {
            source: EventSource::User,
            name: shown_name(identity),
            kind: PrincipalKind::Person,
            principal: Some(Principal::openid_id(&identity.subject)),
            groups: BTreeSet::new(),
            authentication: Authentication::OpenId,
            credential: None,
            rights: Rights::none(),
        })
    }

    /// Returns the caller that this principal is after another proof, such as a session.
    #[must_use]
    pub fn proven(
        principal: &Principal,
        authentication: Authentication,
        credential: CredentialId,
        rights: Rights,
    ) -> Self {
        Self::new(Identity {
            source: EventSource::User,
            name: principal.name.clone(),
            kind: principal.kind,
            principal: Some(principal.id),
            groups: principal.groups.clone(),
            authentication,
            credential: Some(credential),
            rights,
        })
    }

    /// Returns the principal as the party on whose behalf the server reads something: it has all rights of
    /// the principal, and no credential.
    #[must_use]
    pub fn on_behalf_of(principal: &Principal) -> Self {
        Self::new(Identity {
            source: EventSource::System,
            name: principal.name.clone(),
            kind: principal.kind,
            principal: Some(principal.id),
            groups: principal.groups.clone(),
            authentication: Authentication::System,
            credential: None,
            rights: Rights::of(&principal.grants, None),
        })
    }

    /// Returns the worker as the caller: a worker of a server is a part of it, an external worker has
    /// proved that it holds a lease.
    #[must_use]
    pub fn worker(id: &WorkerId) -> Self {
        let (kind, authentication, rights) = if id.is_external() {
            let rights = Rights::of(&[Grant::on_all(Role::Worker)], None);
            (PrincipalKind::Service, Authentication::Lease, rights)
        } else {
            (PrincipalKind::System, Authentication::System, Rights::of_the_server())
        };
        Self::new(Identity {
            source: EventSource::Agent,
            name: id.0.clone(),
            kind,
            principal: None,
            groups: BTreeSet::new(),
            authentication,
            credential: None,
            rights,
        })
    }

    /// Returns the server itself as the caller.
    #[must_use]
    pub fn system() -> Self {
        Self::server(EventSource::System, SYSTEM)
    }

    /// Returns the timers of the server as the caller.
    #[must_use]
    pub fn scheduler() -> Self {
        Self::server(EventSource::Scheduler, SCHEDULER)
    }

    fn server(source: EventSource, name: &str) -> Self {
        Self::new(Identity {
            source,
            name: name.to_owned(),
            kind: PrincipalKind::System,
            principal: None,
            groups: BTreeSet::new(),
            authentication: Authentication::System,
            credential: None,
            rights: Rights::of_the_server(),
        })
    }

    fn new(identity: Identity) -> Self {
        Self {
            identity: Arc::new(identity),
            request_id: None,
            trace: None,
            claimed_user: None,
            via: None,
            keyed_call: None,
            seen: None,
        }
    }

    /// Returns the same principal as this external worker, which is an agent in the log. What a worker
    /// does is no decision of a person, so it has no [`Via`].
    #[must_use]
    pub fn as_worker(&self, id: &WorkerId) -> Self {
        let identity = Identity {
            source: EventSource::Agent,
            name: id.0.clone(),
            ..Identity::clone(&self.identity)
        };
        Self { identity: Arc::new(identity), via: None, ..self.clone() }
    }

    /// Returns the same principal as the holder of a lease that it took, which has the token of the lease
    /// and not the credential of the principal.
    #[must_use]
    pub fn with_token_as(&self, id: &WorkerId) -> Self {
        let identity = Identity {
            source: EventSource::Agent,
            name: id.0.clone(),
            authentication: Authentication::Lease,
            ..Identity::clone(&self.identity)
        };
        Self { identity: Arc::new(identity), via: None, ..self.clone() }
    }

    /// Returns the principal with its credential, as a lease that it takes remembers them; `None` on an
    /// open server and for parts of the server.
    #[must_use]
    pub fn lease_taker(&self) -> Option<LeaseTaker> {
        let (principal, credential) = (self.principal()?, self.credential()?);
        Some(LeaseTaker { principal, credential })
    }

    /// Returns the id of the external worker to which its principal gives this name. Workers of different
    /// principals have different ids; on an open server the name alone is the id.
    #[must_use]
    pub fn worker_id(&self, name: &str) -> WorkerId {
        match self.principal() {
            None => WorkerId::external(name),
            Some(id) if Principal::is_local_id(id, self.name()) => {
                WorkerId::external(&format!("{}/{name}", self.name()))
            }
            // Providers may give one name to several people.
            Some(id) => WorkerId::external(&format!("{id}/{name}")),
        }
    }

    /// Returns the party that the caller is, to be compared with another.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { name: self.name().to_owned(), principal: self.principal() }
    }

    /// Returns whether the caller is this party, or an external worker of the caller is. Names count
    /// where one of both has no id.
    #[must_use]
    pub fn is(&self, actor: &Actor) -> bool {
        match (actor.principal, self.principal()) {
            (Some(id), Some(own)) => id == own,
            _ => actor.name == self.name() || self.is_worker(&WorkerId(actor.name.clone())),
        }
    }

    /// Returns whether this is the id of a worker of its principal.
    #[must_use]
    pub fn is_worker(&self, id: &WorkerId) -> bool {
        let own = self.worker_id("");
        self.principal().is_some() && id.0.starts_with(&own.0)
    }

    /// Returns the same call as that of another caller: the same principal as it is now.
    #[must_use]
    pub fn with_identity_of(mut self, other: &Self) -> Self {
        self.identity = Arc::clone(&other.identity);
        self
    }

    /// Adds the id of the request, as in the log of the server.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }

    /// Adds the position in the trace that the call belongs to.
    #[must_use]
    pub const fn with_trace(mut self, trace: Option<TraceContext>) -> Self {
        self.trace = trace;
        self
    }

    /// Adds the user whom a program names, which the log records beside the principal.
    #[must_use]
    pub fn with_claimed_user(mut self, name: Option<String>) -> Self {
        self.claimed_user = name;
        self
    }

    /// Adds the way by which the call reached the server, which the log records.
    #[must_use]
    pub const fn with_via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }

    /// Adds the idempotency key that the call came with.
    #[must_use]
    pub fn with_keyed_call(mut self, call: KeyedCall) -> Self {
        self.keyed_call = Some(Arc::new(call));
        self
    }

    /// Adds the version of the state that the caller was shown. The decisions that change grants,
    /// groups and budgets, complete a project by force and release a stop refuse another state.
    #[must_use]
    pub fn with_seen(mut self, seen: Seen) -> Self {
        self.seen = Some(Box::new(seen));
        self
    }

    /// Checks that the state is the one that the caller was shown, if it said so. `what` names it in a
    /// sentence.
    ///
    /// # Errors
    /// A conflict if it is another one.
    pub fn check_seen(&self, now: impl FnOnce() -> Seen, what: &str) -> Result<(), DomainError> {
        self.seen.as_ref().map_or(Ok(()), |seen| seen.check(&now(), what))
    }

    /// Returns the key of a call by this principal with this idempotency key. Two principals never share
    /// one.
    #[must_use]
    pub fn call_key(&self, key: &str) -> CallKey {
        match (self.identity.principal, self.identity.source) {
            (Some(id), _) => CallKey::new("principal", &id.to_string(), key),
            (None, EventSource::User) => CallKey::new("person", self.name(), key),
            (None, EventSource::Agent) => CallKey::new("worker", self.name(), key),
            (None, source) => CallKey::new(source.as_str(), self.name(), key),
        }
    }

    /// Returns the call, if it came with an idempotency key.
    #[must_use]
    pub const fn keyed_call(&self) -> Option<&Arc<KeyedCall>> {
        self.keyed_call.as_ref()
    }

    /// Returns the id of the principal; `None` on an open server and for parts of the server.
    #[must_use]
    pub fn principal(&self) -> Option<PrincipalId> {
        self.identity.principal
    }

    /// Returns the kind of the principal.
    #[must_use]
    pub fn kind(&self) -> PrincipalKind {
        self.identity.kind
    }

    /// Returns whether the caller is a person who acts in their own name. A program with the key of a
    /// person that works on tasks is not, nor is a program with the token of a lease.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.kind() == PrincipalKind::Person
            && self.identity.source == EventSource::User
            && self.authentication() != Authentication::Lease
    }

    /// Returns the groups that the principal is in.
    #[must_use]
    pub fn groups(&self) -> &BTreeSet<String> {
        &self.identity.groups
    }

    /// Returns the proof of its identity.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        self.identity.authentication
    }

    /// Returns the credential that the call came with.
    #[must_use]
    pub fn credential(&self) -> Option<CredentialId> {
        self.identity.credential
    }

    /// Returns the rights, for answers that do not depend on one place.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.identity.rights
    }

    /// Returns the id of the request that the call came with.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns the position in the trace that the call belongs to.
    #[must_use]
    pub const fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Returns the name of the principal, as the log records it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Checks that the caller may do something that needs this permission in this place.
    ///
    /// # Errors
    /// That of [`Caller::missing`] for a project that the caller does not see, as for one that does not
    /// exist; [`DomainError::NotPermitted`] otherwise.
    pub fn check(&self, permission: Permission, place: Place) -> Result<(), DomainError> {
        let rights = self.rights();
        let (is_permitted, is_hidden) = match place {
            Place::Installation => (rights.has_globally(permission), None),
            Place::NewProject => (rights.has_for_new(permission), None),
            Place::Project { id, .. } if permission.is_global() => {
                (rights.has_globally(permission), (!self.sees(place)).then_some(id))
            }
            Place::Project { id, creator } => {
                let is_permitted = rights.has(permission, id, self.is_own(creator));
                (is_permitted, (!self.sees(place)).then_some(id))
            }
        };
        if is_permitted {
            return Ok(());
        }
        if let Some(id) = is_hidden {
            return Err(self.missing(permission, DomainError::not_found("Project", id)));
        }
        let is_narrow = !matches!(place, Place::Project { .. }) || permission.is_global();
        Err(DomainError::NotPermitted {
            permission,
            elsewhere: is_narrow && rights.has_somewhere(permission),
        })
    }

    /// Returns whether a role in this place gives nothing that the caller does not hold there, so that it
    /// may be passed on.
    #[must_use]
    pub fn covers(&self, role: Role, place: Place) -> bool {
        match place {
            Place::Installation | Place::NewProject => self.rights().covers(&Grant::on_all(role)),
            Place::Project { id, creator } => {
                self.rights().covers_on(role, id, self.is_own(creator))
            }
        }
    }

    /// Returns whether the caller may read in this place. A project in which it may not read does not
    /// exist for it.
    #[must_use]
    pub fn sees(&self, place: Place) -> bool {
        match place {
            Place::Installation | Place::NewProject => true,
            Place::Project { id, creator } => {
                self.rights().has(Permission::ProjectRead, id, self.is_own(creator))
            }
        }
    }

    /// Returns the error for an object that does not exist, or that the caller may not see, where
    /// something that needs this permission was to be done with it: the error `missing`. A caller that
    /// has neither this permission nor that to read on anything is told that it lacks the permission,
    /// so that it learns nothing of any object.
    #[must_use]
    pub fn missing(&self, permission: Permission, missing: DomainError) -> DomainError {
        let rights = self.rights();
        let is_blind = !rights.has_somewhere(Permission::ProjectRead);
        if is_blind && !rights.has_somewhere(permission) {
            return DomainError::NotPermitted { permission, elsewhere: false };
        }
        missing
    }

    /// Returns the projects on which the caller has this permission.
    ///
    /// # Errors
    /// [`DomainError::NotPermitted`] if it has the permission on none, not even on such as it may
    /// create.
    pub fn reach(&self, permission: Permission) -> Result<Reach, DomainError> {
        if !self.rights().has_somewhere(permission) {
            return Err(DomainError::NotPermitted { permission, elsewhere: false });
        }
        Ok(self.rights().reach(permission, self.identity.principal))
    }

    fn is_own(&self, creator: Option<PrincipalId>) -> bool {
        creator.is_some() && creator == self.identity.principal
    }

    /// Returns the origin that the log records. This is the only place that creates one.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let identity = &self.identity;
        let is_proven = identity.principal.is_some()
            || matches!(identity.authentication, Authentication::Local);
        let proof = is_proven.then(|| {
            Arc::new(Proof {
                principal: identity.principal,
                authentication: identity.authentication,
                credential: identity.credential,
                claimed_user: self.claimed_user.clone(),
            })
        });
        Origin {
            source: identity.source,
            actor: identity.name.clone(),
            request_id: self.request_id.clone(),
            via: self.via,
            trace: self.trace,
            proof,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_records_every_kind_of_principal_under_its_source() {
        let person = Caller::person("ada").with_request_id(Some("r-1".to_owned()));
        let worker = Caller::worker(&WorkerId("host/1".to_owned()));
        for (caller, source, actor) in [
            (&person, EventSource::User, "ada"),
            (&worker, EventSource::Agent, "host/1"),
            (&Caller::system(), EventSource::System, "system"),
            (&Caller::scheduler(), EventSource::Scheduler, "scheduler"),
        ] {
            let origin = caller.origin();
            assert_eq!((origin.source, origin.actor.as_str()), (source, actor));
            assert_eq!(origin.request_id.as_deref(), caller.request_id());
        }
    }

    #[test]
    fn the_log_records_the_way_of_a_person_and_none_of_workers_and_the_server() {
        let ada = Caller::person("ada");
        assert_eq!(ada.origin().via, None);
        let by_page = ada.clone().with_via(Via::Console);
        assert_eq!(by_page.origin().via, Some(Via::Console));
        assert_eq!(ada.with_identity_of(&by_page).origin().via, None, "it belongs to the call");
        assert_eq!(Caller::local("cli").origin().via, Some(Via::Terminal));
        let worker = WorkerId::external("example");
        for caller in [
            by_page.as_worker(&worker),
            by_page.with_token_as(&worker),
            Caller::worker(&worker),
            Caller::system(),
            Caller::scheduler(),
        ] {
            assert_eq!(caller.origin().via, None, "{}", caller.name());
        }
    }

    #[test]
    fn an_idempotency_key_belongs_to_its_principal() {
        let (ada, bob) = (Caller::person("ada"), Caller::person("bob"));
        let worker = Caller::worker(&WorkerId("ada".to_owned()));
        let key = ada.call_key("1");
        assert_eq!(key, ada.clone().with_request_id(Some("r".to_owned())).call_key("1"));
        for other in [bob.call_key("1"), worker.call_key("1"), ada.call_key("2")] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn a_worker_belongs_to_the_principal_whose_name_is_in_its_id() {
        let caller = |name: &str, id| {
            let principal = Principal {
                id,
                kind: PrincipalKind::Service,
                name: name.to_owned(),
                openid: None,
                groups: BTreeSet::new(),
                grants: Vec::new(),
                delegation: None,
                disabled: false,
                deleted_at: None,
                created_at: crate::timestamp::Timestamp::from_micros(0),
                updated_at: crate::timestamp::Timestamp::from_micros(0),
            };
            let credential = CredentialId::from_uuid(uuid::Uuid::nil());
            Caller::proven(&principal, Authentication::Key, credential, Rights::none())
        };
        let local = |name: &str| caller(name, Principal::local_id(name));
        let (ci, ci2) = (local("ci"), local("ci2"));
        let worker = ci.worker_id("a/b");
        assert_eq!(worker, WorkerId::external("ci/a/b"));
        assert!(ci.is_worker(&worker) && !ci2.is_worker(&worker));
        assert!(
            !ci.is_worker(&WorkerId::external("a")) && !ci.is_worker(&WorkerId::external("ci"))
        );
        let namesake = caller("ci", PrincipalId::from_uuid(uuid::Uuid::from_u128(7)));
        assert!(!namesake.is_worker(&worker) && !ci.is_worker(&namesake.worker_id("a")));
        let open = Caller::person("ci");
        assert_eq!(open.worker_id("a"), WorkerId::external("a"));
        assert!(!open.is_worker(&worker) && !open.is_worker(&open.worker_id("a")));
    }

    #[test]
    fn an_external_worker_is_not_internal() {
        let inside = Caller::worker(&WorkerId("host/1".to_owned()));
        let outside = Caller::worker(&WorkerId::external("example"));
        assert_eq!(inside.authentication(), Authentication::System);
        assert_eq!(outside.authentication(), Authentication::Lease);
        assert!(inside.rights().has_globally(Permission::ServerRun));
        assert!(!outside.rights().has_globally(Permission::ProjectRead));
    }
}
