//! The party on whose behalf something is done, from a request at the border to the log.

use std::sync::Arc;

use crate::idempotency::{CallKey, KeyedCall};
use crate::lease::WorkerId;
use crate::log::Origin;
use crate::vocabulary::EventSource;

/// The acting party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person or a program of theirs, under the name that its request gives.
    Person(String),
    /// A worker that holds leases.
    Worker(WorkerId),
    /// The server itself.
    System,
    /// The timers of the server.
    Scheduler,
}

/// Proof of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// None: the name is taken from the request as it is.
    None,
    /// A part of this server.
    Internal,
}

/// Principal of a call, with the proof of its identity and the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    principal: Principal,
    authentication: Authentication,
    request_id: Option<String>,
    keyed_call: Option<Arc<KeyedCall>>,
}

impl Caller {
    /// Returns the caller of a request that names a person without proof.
    pub fn person(name: impl Into<String>) -> Self {
        Self::new(Principal::Person(name.into()), Authentication::None)
    }

    /// Returns the worker as the caller. Workers of a server are internal; an external worker is
    /// authenticated by nothing but its lease.
    #[must_use]
    pub fn worker(id: &WorkerId) -> Self {
        let proof = if id.is_external() { Authentication::None } else { Authentication::Internal };
        Self::new(Principal::Worker(id.clone()), proof)
    }

    /// Returns the server itself as the caller.
    #[must_use]
    pub const fn system() -> Self {
        Self::new(Principal::System, Authentication::Internal)
    }

    /// Returns the timers of the server as the caller.
    #[must_use]
    pub const fn scheduler() -> Self {
        Self::new(Principal::Scheduler, Authentication::Internal)
    }

    const fn new(principal: Principal, authentication: Authentication) -> Self {
        Self { principal, authentication, request_id: None, keyed_call: None }
    }

    /// Adds the id of the request, as in the log of the server.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }

    /// Returns the key of a call by this principal with this idempotency key. Two principals never share
    /// one.
    #[must_use]
    pub fn call_key(&self, key: &str) -> CallKey {
        let kind = match self.principal {
            Principal::Person(_) => "person",
            Principal::Worker(_) => "worker",
            Principal::System => "system",
            Principal::Scheduler => "scheduler",
        };
        CallKey::new(kind, self.name(), key)
    }

    /// Adds the idempotency key that the call came with.
    #[must_use]
    pub fn with_keyed_call(mut self, call: KeyedCall) -> Self {
        self.keyed_call = Some(Arc::new(call));
        self
    }

    /// Returns the call, if it came with an idempotency key.
    #[must_use]
    pub const fn keyed_call(&self) -> Option<&Arc<KeyedCall>> {
        self.keyed_call.as_ref()
    }

    /// Returns the acting party.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the proof of its identity.
    #[must_use]
    pub const fn authentication(&self) -> Authentication {
        self.authentication
    }

    /// Returns the id of the request that the call came with.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns the name of the principal, as the log records it.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.principal {
            Principal::Person(name) => name,
            Principal::Worker(id) => &id.0,
            Principal::System => "system",
            Principal::Scheduler => "scheduler",
        }
    }

    /// Returns the origin that the log records. This is the only place that creates one.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let source = match self.principal {
            Principal::Person(_) => EventSource::User,
            Principal::Worker(_) => EventSource::Agent,
            Principal::System => EventSource::System,
            Principal::Scheduler => EventSource::Scheduler,
        };
        Origin { source, actor: self.name().to_owned(), request_id: self.request_id.clone() }
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
    fn an_external_worker_is_not_internal() {
        let inside = Caller::worker(&WorkerId("host/1".to_owned()));
        let outside = Caller::worker(&WorkerId::external("example"));
        assert_eq!(inside.authentication(), Authentication::Internal);
        assert_eq!(outside.authentication(), Authentication::None);
    }
}
