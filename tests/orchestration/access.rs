//! Keys, principals, and what each of them sees and may do.

mod day_budgets;
mod escalation;
mod four_eyes;
mod isolation;
mod keys;
mod sessions;
mod tickets;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::{Access, NewKey, NewPrincipal, StorePorts};
use botarmy_domain::{Caller, CredentialId, Grant, Principal, PrincipalId, PrincipalKind};
use botarmy_memory::{CountingSecrets, MemoryTickets};
use botarmy_orchestrator::{AccessControl, AccessSettings, Engine, Leases};
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::TestHarness;
use tokio::sync::watch;

/// A harness with access control.
struct Guarded {
    harness: TestHarness,
    access: AccessControl,
}

impl Guarded {
    async fn new() -> Self {
        Self::on(TestHarness::new(ScriptedRunner::default())).await
    }

    async fn on(harness: TestHarness) -> Self {
        let access = access_on(harness.engine.clone());
        access.load().await.unwrap();
        Self { harness, access }
    }

    /// Creates a principal with these grants and a key, and returns the text of the key.
    async fn key_of(&self, name: &str, kind: PrincipalKind, grants: &[Grant]) -> String {
        let new = NewPrincipal {
            name: name.to_owned(),
            kind,
            groups: Vec::new(),
            grants: grants.to_vec(),
        };
        let made = self.access.create_principal(new, cli()).await.unwrap();
        self.another_key(made.id, None).await.1
    }

    /// Creates a key for a principal, and returns its id and its text.
    async fn another_key(
        &self,
        principal: PrincipalId,
        grants: Option<Vec<Grant>>,
    ) -> (CredentialId, String) {
        let lifetime = botarmy_domain::ports::Lifetime::Default;
        let new = NewKey { principal, name: "a key".to_owned(), grants, lifetime };
        let issued = self.access.create_key(new, cli()).await.unwrap();
        (issued.key.id, issued.text.expose().to_owned())
    }

    /// Creates a principal with these grants, and returns it as a caller.
    async fn caller(&self, name: &str, kind: PrincipalKind, grants: &[Grant]) -> Caller {
        let key = self.key_of(name, kind, grants).await;
        self.access.authenticate(&key).unwrap()
    }

    /// Returns leases for workers with keys, which are granted until the test ends.
    fn leases(&self) -> Leases {
        let access = Arc::new(self.access.clone());
        let (leases, stop) = self.harness.leases_under(access, Duration::from_millis(20));
        std::mem::forget(stop);
        leases
    }

    async fn person(&self, name: &str, grants: &[Grant]) -> Caller {
        self.caller(name, PrincipalKind::Person, grants).await
    }
}

/// The caller of a command with access to the store.
fn cli() -> Caller {
    Caller::local("cli")
}

fn id_of(name: &str) -> PrincipalId {
    Principal::local_id(name)
}

/// Access control of a server on this engine.
fn access_on(engine: Engine) -> AccessControl {
    access_with(engine, AccessSettings::default())
}

/// Access control with these settings.
fn access_with(engine: Engine, settings: AccessSettings) -> AccessControl {
    let secrets = Arc::new(CountingSecrets::default());
    AccessControl::new(engine, secrets, Arc::new(MemoryTickets::default()), settings)
}

/// Runs access control until the sender is dropped.
fn run(access: &AccessControl) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(access.clone().run(stopped));
    stop
}

/// Returns the ports of the harness's store.
fn stores(harness: &TestHarness) -> StorePorts {
    StorePorts::of(harness.store.clone())
}
