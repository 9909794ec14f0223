//! Tickets for live connections: whom they stand for, and until when.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::{Access, Denial, Sessions};
use botarmy_domain::{Caller, CredentialId, Grant, PrincipalKind, Role, TicketText};
use botarmy_memory::{CountingSecrets, MemoryTickets};
use botarmy_orchestrator::{AccessControl, AccessSettings};
use botarmy_tests::scripted_runner::ScriptedRunner;
use botarmy_tests::test_harness::TestHarness;

use super::{Guarded, cli, id_of};

async fn ticket(access: &AccessControl, caller: &Caller) -> TicketText {
    access.issue_ticket(caller).await.unwrap()
}

#[tokio::test]
async fn a_ticket_is_good_once_and_for_half_a_minute() {
    let guarded = Guarded::new().await;
    let ada = guarded.person("ada", &[Grant::on_all(Role::Viewer)]).await;
    let access = &guarded.access;
    let first = ticket(access, &ada).await;
    guarded.harness.clock.advance(Duration::from_millis(29_999));
    let found = access.redeem_ticket(&first).await.unwrap();
    assert_eq!((found.name(), found.credential()), ("ada", ada.credential()));
    assert_eq!(access.redeem_ticket(&first).await, Err(Denial::Invalid), "it was used");
    let late = ticket(access, &ada).await;
    guarded.harness.clock.advance(Duration::from_secs(30));
    assert_eq!(access.redeem_ticket(&late).await, Err(Denial::Invalid));
    let unknown = TicketText::new([9; 32]);
    assert_eq!(access.redeem_ticket(&unknown).await, Err(Denial::Invalid));
}

#[tokio::test]
async fn a_ticket_ends_with_the_key_or_the_session_that_it_was_issued_for() {
    let guarded = Guarded::new().await;
    let access = &guarded.access;
    let text = guarded.key_of("ada", PrincipalKind::Person, &[Grant::on_all(Role::Admin)]).await;
    let with_key = access.authenticate(&text).unwrap();
    let session = guarded.with_key(&text).await;
    let of_session = ticket(access, &session.caller).await;
    let found = access.redeem_ticket(&of_session).await.unwrap();
    assert_eq!(found.credential(), Some(session.session.id));
    let [of_key, of_session] =
        [ticket(access, &with_key).await, ticket(access, &session.caller).await];
    access.sign_out(session.caller.clone(), false).await.unwrap();
    assert_eq!(access.redeem_ticket(&of_session).await, Err(Denial::Invalid));
    access.revoke_key(with_key.credential().unwrap(), cli()).await.unwrap();
    assert_eq!(access.redeem_ticket(&of_key).await, Err(Denial::Invalid));
}

#[tokio::test]
async fn a_ticket_of_one_server_is_good_on_another_that_has_not_heard_of_its_key() {
    let guarded = Guarded::new().await;
    let tickets = Arc::new(MemoryTickets::default());
    let server = || {
        let secrets = Arc::new(CountingSecrets::default());
        let settings = AccessSettings::default();
        AccessControl::new(guarded.harness.engine.clone(), secrets, tickets.clone(), settings)
    };
    let (one, other) = (server(), server());
    one.load().await.unwrap();
    other.load().await.unwrap();
    let here = Guarded { harness: TestHarness::new(ScriptedRunner::default()), access: one };
    let ada = here.person("ada", &[Grant::on_all(Role::Viewer)]).await;
    let unheard: Option<CredentialId> = ada.credential();
    assert_eq!(other.caller_with_key(unheard.unwrap()), Err(Denial::Invalid));
    let ticket = ticket(&here.access, &ada).await;
    let found = other.redeem_ticket(&ticket).await.unwrap();
    assert_eq!(found.principal(), Some(id_of("ada")));
    assert_eq!(here.access.redeem_ticket(&ticket).await, Err(Denial::Invalid));
}

#[tokio::test]
async fn on_an_open_server_a_ticket_is_that_of_the_person_who_asked() {
    let open = AccessSettings { is_required: false, ..AccessSettings::default() };
    let guarded = Guarded::with(open).await;
    let ticket = ticket(&guarded.access, &Caller::person("ada")).await;
    assert_eq!(guarded.access.redeem_ticket(&ticket).await.unwrap().name(), "ada");
    assert_eq!(guarded.access.redeem_ticket(&ticket).await, Err(Denial::Invalid));
}
