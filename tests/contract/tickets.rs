//! Contract of tickets, on two servers of one database.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::access::{MAX_TICKETS, TICKET_LIFETIME, TicketHolder};
use botarmy_domain::ports::Tickets;
use botarmy_domain::{CredentialId, KeyDigest, Ticket, TicketText, Timestamp};
use botarmy_memory::MemoryTickets;
use botarmy_postgres::{PostgresSettings, PostgresStore};
use botarmy_tests::services;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// The tickets of one database, as two servers see them.
pub struct Opened {
    servers: [Arc<dyn Tickets>; 2],
    /// Resources that have to live as long as the servers.
    _keep: Arc<dyn Send + Sync>,
}

impl Opened {
    /// Checks nothing: there is no log behind tickets.
    #[expect(clippy::unused_async, reason = "other contracts check their logs here")]
    pub async fn check(&self) {}
}

/// One server: no other uses its memory.
pub async fn memory() -> Option<Opened> {
    let tickets: Arc<dyn Tickets> = Arc::new(MemoryTickets::default());
    Some(Opened { servers: [Arc::clone(&tickets), tickets], _keep: Arc::new(()) })
}

/// Two servers on a database.
pub async fn postgres() -> Option<Opened> {
    let database = services::database().await?;
    let settings = || PostgresSettings::new(database.url().parse().unwrap());
    let one = PostgresStore::open(settings()).await.unwrap();
    let other = PostgresStore::open(settings()).await.unwrap();
    Some(Opened { servers: [Arc::new(one), Arc::new(other)], _keep: Arc::new(database) })
}

fn digest(n: u8) -> KeyDigest {
    TicketText::new([n; 32]).digest()
}

fn key(n: u128) -> TicketHolder {
    TicketHolder::Key(CredentialId::from_uuid(Uuid::from_u128(n)))
}

/// Returns a ticket that was issued so many milliseconds after the start.
fn ticket(n: u8, holder: TicketHolder, after: u64) -> (Ticket, Timestamp) {
    let now = NOW.after(Duration::from_millis(after));
    (Ticket { digest: digest(n), holder, expires_at: now.after(TICKET_LIFETIME) }, now)
}

async fn keep(tickets: &Arc<dyn Tickets>, (ticket, now): (Ticket, Timestamp)) {
    tickets.keep(ticket, now).await.unwrap();
}

pub async fn a_ticket_comes_back_once_on_either_server(opened: &Opened) {
    let [one, other] = &opened.servers;
    let session = TicketHolder::Session(CredentialId::from_uuid(Uuid::from_u128(2)));
    let person = TicketHolder::Person("Ada \"the first\"".to_owned());
    for (n, holder) in (1..).zip([key(1), session, person]) {
        assert_eq!(one.take(digest(n)).await.unwrap(), None);
        let (kept, now) = ticket(n, holder, 7);
        keep(one, (kept.clone(), now)).await;
        assert_eq!(other.take(digest(n)).await.unwrap(), Some(kept));
        assert_eq!(one.take(digest(n)).await.unwrap(), None, "it was used on the other server");
    }
}

pub async fn of_many_that_use_a_ticket_one_gets_it(opened: &Opened) {
    for round in 0..20 {
        keep(&opened.servers[0], ticket(round, key(1), 0)).await;
        let taking = (0..8).map(|n| {
            let tickets = Arc::clone(&opened.servers[n % 2]);
            tokio::spawn(async move { tickets.take(digest(round)).await.unwrap().is_some() })
        });
        let mut got = 0;
        for one in taking.collect::<Vec<_>>() {
            got += usize::from(one.await.unwrap());
        }
        assert_eq!(got, 1);
    }
}

pub async fn a_holder_pushes_out_only_its_own_oldest_ticket(opened: &Opened) {
    let [one, other] = &opened.servers;
    keep(one, ticket(200, key(2), 0)).await;
    let most = u8::try_from(MAX_TICKETS).unwrap();
    for n in 0..=most {
        keep(if n % 2 == 0 { one } else { other }, ticket(n, key(1), 1 + u64::from(n))).await;
    }
    assert_eq!(one.take(digest(0)).await.unwrap(), None, "the oldest gave way");
    for n in (1..=most).chain([200]) {
        assert!(one.take(digest(n)).await.unwrap().is_some(), "{n}");
    }
}

pub async fn tickets_that_have_expired_leave_when_another_comes(opened: &Opened) {
    let [one, other] = &opened.servers;
    keep(one, ticket(1, key(1), 0)).await;
    keep(one, ticket(2, key(1), 1)).await;
    let lifetime = u64::try_from(TICKET_LIFETIME.as_millis()).unwrap();
    keep(other, ticket(3, key(2), lifetime)).await;
    assert_eq!(one.take(digest(1)).await.unwrap(), None);
    assert!(one.take(digest(2)).await.unwrap().is_some());
    assert!(one.take(digest(3)).await.unwrap().is_some());
}
