//! Uses tickets: each once, and again by the client that had it.

use crate::auth::{Denial, Returned};
use crate::gateway::Gateway;
use crate::gateway::plan::Ask;
use crate::gateway::refusal::{Refusal, Why};
use crate::hub::Subscription;
use crate::millis::unix_millis;
use std::time::SystemTime;

impl Gateway {
    /// Uses the ticket of a client, if it has one.
    ///
    /// # Errors
    /// When the ticket was used, and the client cannot show that it is the one that used it.
    pub(in crate::gateway) fn use_ticket(&self, ask: &Ask) -> Result<(), Refusal> {
        let Some(ticket) = ask.ticket else { return Ok(()) };
        let (uses, now) = (&self.permissions.record().uses, unix_millis(SystemTime::now()));
        if ticket.is_fresh {
            match uses.begin(ticket.id, now, ticket.lifetime, ticket.grace, ticket.ends) {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => return Err(ask.refused(Why::Denied(Denial::Unavailable("too many tickets are in use".into())))),
            }
        }
        let returned = ask.last_event_id.as_ref().and_then(|id| self.hub.position_of(ask.request.key(), id));
        let returned = returned.map(|(epoch, position)| Returned { epoch, position });
        if uses.returns(ticket.id, now, returned) {
            Ok(())
        } else {
            Err(ask.refused(Why::Denied(Denial::Invalid("the ticket was used"))))
        }
    }

    /// Notes that the client of a ticket is on its stream.
    pub(in crate::gateway) fn ticket_is_in_use(&self, ask: &Ask, subscription: &Subscription) {
        let Some(ticket) = ask.ticket else { return };
        let at = Returned { epoch: subscription.epoch(), position: subscription.cursor() };
        self.permissions.record().uses.connected(ticket.id, at, ask.last_event_id.is_some());
    }

    /// The client of a ticket got no stream, so the ticket may be used again, if that was its first use.
    pub(in crate::gateway) fn ticket_is_unused(&self, ask: &Ask) {
        if let Some(ticket) = ask.ticket {
            self.permissions.record().uses.undo(ticket.id);
        }
    }
}
