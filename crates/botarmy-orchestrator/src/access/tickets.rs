//! Tickets for live connections.

use botarmy_domain::access::{TICKET_LIFETIME, TicketHolder, TicketText};
use botarmy_domain::ports::{Access, Denial};
use botarmy_domain::{Authentication, Caller, DomainError, Error, Ticket};
use tracing::warn;

use super::AccessControl;

impl AccessControl {
    /// Issues a ticket for the caller.
    pub(super) async fn new_ticket(&self, caller: &Caller) -> Result<TicketText, Error> {
        let holder = match (caller.authentication(), caller.credential()) {
            (Authentication::Key, Some(id)) => TicketHolder::Key(id),
            (Authentication::Session, Some(id)) => TicketHolder::Session(id),
            (_, None) => TicketHolder::Person(caller.name().to_owned()),
            (_, Some(_)) => {
                let detail = "the credential opens no live connection".to_owned();
                return Err(DomainError::Unauthenticated { code: "key_invalid", detail }.into());
            }
        };
        let text = TicketText::new(self.0.secrets.secret());
        let now = self.0.engine.ports.clock.now();
        let expires_at = now.after(TICKET_LIFETIME);
        let ticket = Ticket { digest: text.digest(), holder, expires_at };
        // The clock of another server may be behind.
        self.0.tickets.keep(ticket, now.before(TICKET_LIFETIME)).await?;
        Ok(text)
    }

    /// Uses a ticket up, and returns its holder as it is now.
    pub(super) async fn holder_of(&self, ticket: &TicketText) -> Result<Caller, Denial> {
        let taken = self.0.tickets.take(ticket.digest()).await;
        let taken = taken.map_err(|error| {
            warn!(%error, "A ticket could not be looked for in the store");
            Denial::Unavailable
        })?;
        let ticket = taken.ok_or(Denial::Invalid)?;
        if self.0.engine.ports.clock.now() >= ticket.expires_at {
            return Err(Denial::Invalid);
        }
        match self.current_holder(&ticket.holder) {
            // Its credential may have been created on another server a moment ago.
            Err(Denial::Invalid) => match self.compare().await {
                Ok(()) => self.current_holder(&ticket.holder),
                Err(error) => {
                    warn!(%error, "The holder of a ticket could not be looked for in the store");
                    Err(Denial::Unavailable)
                }
            },
            found => found,
        }
    }

    fn current_holder(&self, holder: &TicketHolder) -> Result<Caller, Denial> {
        match holder {
            TicketHolder::Key(id) => self.caller_with_key(*id),
            TicketHolder::Session(id) => self.caller_with_session(*id),
            TicketHolder::Person(_) if self.is_required() => Err(Denial::Invalid),
            TicketHolder::Person(name) => Ok(Caller::person(name)),
        }
    }
}
