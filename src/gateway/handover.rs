//! A client on its way from its session to the delivery engine.
//!
//! The request is decided in a session; what is left of it is a socket and a place on a stream. Nothing of the response was
//! written by then: the engine writes it from its first byte.

use super::places::Place;
use super::served::Served;
use super::socket;
use crate::fanout::{Arrival, Engine, Framing};
use crate::hub::Subscription;
use bytes::Bytes;
use pingora::protocols::Stream;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A client that leaves its session. If it never gets to the engine, its drop takes it off its stream, and is counted.
pub(super) struct HandOver {
    /// None once it is on its way.
    client: Option<Leaving>,
    served: Arc<Served>,
}

/// What is known of the client beside its socket.
pub(super) struct Leaving {
    pub(super) engine: Engine,
    pub(super) subscription: Subscription,
    pub(super) framing: Framing,
    pub(super) opening: Bytes,
    pub(super) opening_text: u64,
    pub(super) lifetime: Option<Duration>,
}

impl HandOver {
    pub(super) fn new(served: Arc<Served>, client: Leaving) -> Self {
        Self { client: Some(client), served }
    }

    /// Gives the client and its connection to the engine.
    pub(super) async fn complete(mut self, stream: Stream) {
        let Some(client) = self.client.take() else { return };
        let why = match socket::detach(stream) {
            Ok(socket) => {
                let Leaving { engine, subscription, framing, opening, opening_text, lifetime } = client;
                let arrival = Arrival {
                    socket,
                    subscription,
                    framing,
                    opening,
                    opening_text,
                    lifetime,
                    terms: Arc::clone(&self.served) as _,
                    place: Box::new(Place::moved()),
                };
                match engine.adopt(arrival).await {
                    Ok(()) => return,
                    Err(refused) => refused.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        log::error!("cannot hand a client over to its shard route={} why={why:?}", self.served.route.name);
        self.served.counters.hand_overs_failed.add(1);
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        if self.client.is_some() {
            log::debug!("client gone before it was handed over route={}", self.served.route.name);
            self.served.counters.hand_overs_failed.add(1);
        }
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOver").field("route", &self.served.route.name).finish_non_exhaustive()
    }
}
