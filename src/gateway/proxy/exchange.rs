//! The state of one request between pingora's callbacks.

use super::attempt::Attempt;
use crate::gateway::after::After;
use crate::gateway::client::ClientFacts;
use crate::gateway::served::ProxyRoute;
use crate::gateway::sessions::Decided;
use parking_lot::Mutex;
use pingora::{Error, ErrorType};
use std::sync::Arc;

/// What is known of a request between pingora's callbacks.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The route, if the request is proxied.
    pub(super) proxied: Option<Arc<ProxyRoute>>,
    /// The client of a proxied request.
    pub(super) client: Option<ClientFacts>,
    /// The state of a proxied request.
    pub(super) attempt: Attempt,
    /// The decision of the front, for a request that the front has read.
    pub(super) decided: Option<Box<Decided>>,
    /// What the connection is for after the request.
    pub(super) after: Mutex<Option<After>>,
}

impl Exchange {
    /// Notes the failure of one address. Returns whether there is an address to try next.
    pub(super) fn goes_on(&self, error: &Error) -> bool {
        let (Some(served), Some(dial)) = (&self.proxied, &self.attempt.dial) else { return false };
        dial.failed(error, &served.route.origin);
        dial.has_more()
    }

    /// Allows another try, in another way, with the address that failed.
    pub(super) fn again(&self) {
        if let Some(dial) = &self.attempt.dial {
            dial.again();
        }
    }

    /// The error for an origin that was silent for too long, whatever error the cut of its connection caused.
    pub(super) fn given_up(&self) -> Box<Error> {
        let limit = self.proxied.as_ref().and_then(|served| served.policy.idle_timeout);
        let limit = limit.unwrap_or_default().as_secs();
        Error::explain(ErrorType::ReadTimedout, format!("nothing came for {limit} s")).into_up()
    }
}
