//! One-time tickets, with which browsers open a WebSocket: a page cannot send a header there. They are
//! kept in the memory of the server that issued them, and are good on no other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::Caller;
use botarmy_domain::access::KeyDigest;
use botarmy_domain::access::KeySecret;

/// Time for which a ticket is good.
pub(crate) const TICKET_LIFETIME: Duration = Duration::from_secs(30);
/// Largest number of tickets that a caller has at once; the oldest gives way.
const MAX_OF_CALLER: usize = 64;
/// Largest number of all tickets; the oldest gives way.
const MAX_TICKETS: usize = 10_000;

/// Tickets that were not used yet, by the digest of their text.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<HashMap<KeyDigest, Ticket>>);

struct Ticket {
    caller: Caller,
    /// Time of its issue, in microseconds.
    issued_at: u64,
}

impl Ticket {
    fn is_good(&self, now: u64) -> bool {
        let age = Duration::from_micros(now.saturating_sub(self.issued_at));
        age < TICKET_LIFETIME
    }
}

impl Tickets {
    /// Issues a ticket for the caller. Returns its text, which is kept nowhere.
    pub(crate) fn issue(&self, secret: [u8; 32], caller: Caller, now: u64) -> String {
        let text = KeySecret::new(secret).text();
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, ticket| ticket.is_good(now));
        let of_caller = |ticket: &Ticket| {
            ticket.caller.principal() == caller.principal() && ticket.caller.name() == caller.name()
        };
        if tickets.values().filter(|ticket| of_caller(ticket)).count() >= MAX_OF_CALLER {
            remove_oldest(&mut tickets, of_caller);
        } else if tickets.len() >= MAX_TICKETS {
            remove_oldest(&mut tickets, |_| true);
        }
        tickets.insert(text.digest(), Ticket { caller, issued_at: now });
        // Another prefix than that of a key, so that the one is never taken for the other.
        text.expose().replacen("botarmy_k_", "botarmy_t_", 1)
    }

    /// Uses a ticket up, and returns the caller to whom it was issued.
    pub(crate) fn redeem(&self, text: &str, now: u64) -> Option<Caller> {
        let text = text.strip_prefix("botarmy_t_")?;
        let text: botarmy_domain::ApiKeyText = format!("botarmy_k_{text}").parse().ok()?;
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = tickets.remove(&text.digest())?;
        ticket.is_good(now).then_some(ticket.caller)
    }
}

fn remove_oldest(tickets: &mut HashMap<KeyDigest, Ticket>, of: impl Fn(&Ticket) -> bool) {
    let oldest = tickets.iter().filter(|(_, ticket)| of(ticket)).min_by_key(|(_, t)| t.issued_at);
    if let Some(digest) = oldest.map(|(digest, _)| *digest) {
        tickets.remove(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(n: usize) -> [u8; 32] {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&n.to_be_bytes());
        secret
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_while() {
        let tickets = Tickets::default();
        let ticket = tickets.issue(secret(1), Caller::person("ada"), 1_000_000);
        assert_eq!(tickets.redeem(&ticket, 30_999_999).unwrap().name(), "ada");
        assert_eq!(tickets.redeem(&ticket, 1_000_000), None, "it was used");
        let late = tickets.issue(secret(2), Caller::person("ada"), 1_000_000);
        assert_eq!(tickets.redeem(&late, 31_000_000), None);
        let key = late.replacen("botarmy_t_", "botarmy_k_", 1);
        for wrong in ["", "botarmy_t_", &key, &late[1..]] {
            assert_eq!(tickets.redeem(wrong, 1_000_000), None, "{wrong}");
        }
    }

    #[test]
    fn a_caller_pushes_out_only_its_own_tickets() {
        let tickets = Tickets::default();
        let bobs = tickets.issue(secret(0), Caller::person("bob"), 1);
        let adas: Vec<_> = (1..=MAX_OF_CALLER + 1)
            .map(|n| tickets.issue(secret(n), Caller::person("ada"), 1 + n as u64))
            .collect();
        assert_eq!(tickets.redeem(&adas[0], 99), None);
        assert!(tickets.redeem(&adas[1], 99).is_some() && tickets.redeem(&bobs, 99).is_some());
    }
}
