//! The hand-over of a client to the delivery engine.
//!
//! At a hand-over, a client consists of its connection and its subscription to a stream. Nothing of the response has
//! been written yet. The engine writes all of it, and gives the connection back after an orderly end.

use super::connection::{Connection, Parts, Peer};
use super::front::Front;
use super::home::AtTheFront;
use super::limits::Seat;
use super::served::StreamRoute;
use super::times::ANSWER_TIME;
use crate::fanout::{Arrival, Delivery, Engine, limit_stall};
use std::fmt;
use std::sync::Arc;
use tokio::time::timeout;

/// A client that is to be handed over. Dropping this value before the hand-over takes the client off its stream, and
/// counts a failed hand-over.
pub(super) struct HandOver {
    /// `None` once the hand-over has begun.
    client: Option<Leaving>,
    served: Arc<StreamRoute>,
}

/// What the engine gets besides the connection.
pub(super) struct Leaving {
    pub(super) engine: Engine,
    pub(super) delivery: Delivery,
    /// The request counts for the client's address.
    pub(super) seat: Option<Arc<Seat>>,
}

impl HandOver {
    pub(super) fn new(served: Arc<StreamRoute>, client: Leaving) -> Self {
        Self { client: Some(client), served }
    }

    /// Gives the client and its connection to the engine. `front` serves the connection again after the response.
    pub(super) async fn complete(mut self, mut connection: Connection, front: &Arc<Front>) {
        let Some(client) = self.client.take() else { return };
        connection.bound();
        limit_stall(&connection, Some(self.served.policy.client.stall));
        // The client may have begun to send something meanwhile.
        if !timeout(ANSWER_TIME, connection.finish_record()).await.unwrap_or(false) {
            log::debug!("client gone before it was handed over route={}", self.served.route.name);
            self.served.counters.hand_overs_failed.add(1);
            return;
        }
        let is_secured = connection.is_secured();
        let why = match connection.into_parts() {
            Ok(Parts { socket, channel, unread, peer, place, seat }) => {
                let Leaving { engine, delivery, seat: of_request } = client;
                // A TLS connection does not come back, so nothing of its peer is kept.
                let peer = if is_secured { Peer { told: None, is_tls: false, ..peer } } else { peer };
                let home = Box::new(AtTheFront::new(Arc::downgrade(front), place, &peer).seated(seat, of_request));
                match engine.adopt(Arrival { delivery, socket, channel, unread, home }).await {
                    Ok(()) => return,
                    Err(refused) => refused.to_string(),
                }
            }
            Err(error) if is_secured => {
                // The client sent something after its request that rustls keeps for itself.
                log::debug!("client lost in its hand-over route={} why={error}", self.served.route.name);
                self.served.counters.hand_overs_failed.add(1);
                return;
            }
            Err(error) => error.to_string(),
        };
        log::error!("cannot hand a client over to the delivery engine route={} why={why:?}", self.served.route.name);
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
