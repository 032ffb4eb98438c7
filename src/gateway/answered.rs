//! Access lines about requests that are answered with something else than an event stream.

use super::Gateway;
use super::client::ClientFacts;
use super::connection::Peer;
use super::plan::Request;
use super::refusal::Refusal;
use super::reply::Reply;
use crate::access::{Access, Answered, wants};
use crate::caller::Caller;
use crate::counters::Label;
use crate::route::check_target;
use http::StatusCode;
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// Why a request was answered, if no refusal says it.
pub(super) const DONE: &str = "done";

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome<'a> {
    /// Who the client is, if a refusal says it.
    caller: Option<&'a Caller>,
    /// The route, if one serves the request.
    pub(super) route: Option<&'a str>,
    pub(super) status: Option<StatusCode>,
    /// The bytes of the answer's body.
    pub(super) bytes: u64,
    pub(super) why: &'a str,
    pub(super) took: Duration,
}

impl<'a> Outcome<'a> {
    /// The outcome of a request that came at `came`, and that was not refused unless `refusal` says so.
    pub(super) fn of(refusal: Option<&'a Refusal>, reply: &Reply, came: Instant) -> Self {
        Self {
            caller: refusal.and_then(Refusal::caller),
            route: refusal.and_then(Refusal::route),
            status: Some(reply.status),
            bytes: reply.body.len() as u64,
            why: refusal.map_or(DONE, |refusal| refusal.why.reason().word()),
            took: came.elapsed(),
        }
    }
}

impl Gateway {
    /// Writes the access line of a request that was answered.
    pub(super) fn answered(&self, request: &Request<'_>, peer: &Peer, outcome: Outcome<'_>) {
        if !wants(Access::End) {
            return;
        }
        let Outcome { caller, route, status, bytes, why, took } = outcome;
        let caller = match caller {
            Some(caller) => Cow::Borrowed(caller),
            None => Cow::Owned(ClientFacts::of(peer, request.headers, None, self.routing.get().trusted()).caller),
        };
        // A target that cannot be read may hold anything.
        let path = check_target(request.method, request.target).map_or("", |target| target.path);
        let (method, status) = (request.method.as_str(), status.map(|status| status.as_u16()));
        Answered { route, method, path, status, caller: &caller, why, took, bytes }.ends();
    }
}
