//! The state of one request between pingora's callbacks.

use super::attempt::{Attempt, is_answered};
use crate::gateway::after::After;
use crate::gateway::client::ClientFacts;
use crate::gateway::limits::Seat;
use crate::gateway::refusal::Why;
use crate::gateway::served::ProxyRoute;
use crate::gateway::sessions::Decided;
use crate::quoted;
use crate::upstream::{Shortage, reason};
use parking_lot::Mutex;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource};
use std::sync::Arc;
use std::time::Instant;

/// The state of a request, which pingora passes to each callback.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The route, if the request is proxied.
    pub(super) proxied: Option<Arc<ProxyRoute>>,
    /// When the request came.
    pub(super) came: Option<Instant>,
    /// The client of a proxied request.
    pub(super) client: Option<ClientFacts>,
    /// A proxied request counts for the address that a trusted proxy told of.
    pub(super) seat: Option<Seat>,
    /// The state of a proxied request.
    pub(super) attempt: Attempt,
    /// The decision of the front about a request of HTTP/1. `None`: a request of HTTP/2, which the front has not read.
    pub(super) decided: Option<Box<Decided>>,
    /// What happens to the connection after the request.
    pub(super) after: Mutex<Option<After>>,
}

impl Exchange {
    /// Notes that one address of the origin failed. Returns whether another address is left to try.
    pub(super) fn goes_on(&self, error: &Error) -> bool {
        let (Some(served), Some(dial)) = (&self.proxied, &self.attempt.dial) else { return false };
        dial.failed(error, &served.route.origin);
        dial.has_more()
    }

    /// Allows one more try with the address that failed.
    pub(super) fn again(&self) {
        if let Some(dial) = &self.attempt.dial {
            dial.again();
        }
    }

    /// The error of a try that was given up because of silence, if it was.
    pub(super) fn given_up(&self) -> Option<Box<Error>> {
        self.attempt.given_up(self.proxied.as_ref().and_then(|served| served.policy.idle_timeout))
    }

    /// Why the request is refused for now, if no connection to the origin may be made.
    pub(super) fn shortage(&self) -> Option<(&Arc<ProxyRoute>, Why)> {
        let why = match self.attempt.dial.as_ref()?.shortage()? {
            Shortage::Upstreams => Why::NoUpstream,
            Shortage::Descriptors => Why::NoPlace,
        };
        Some((self.proxied.as_ref()?, why))
    }

    /// Counts and logs a failure that the client is not the cause of. `status`: what the client is sent for it.
    pub(super) fn tell_failure(&self, session: &Session, error: &Error, status: Option<u16>) {
        let is_ours = *error.esource() != ErrorSource::Downstream && status.is_some_and(|status| status >= 500);
        let Some(served) = self.proxied.as_ref().filter(|_| is_ours) else { return };
        served.counters.upstream_failures.add(1);
        let (route, origin, status) = (&served.route.name, &served.route.origin, status.unwrap_or_default());
        let why = match &self.attempt.dial {
            Some(dial) => dial.why(error, origin, !is_answered(session)),
            None => reason(error),
        };
        log::warn!("proxying failed route={route} origin={origin} status={status} why={}", quoted::reason(why));
    }
}
