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
use crate::quoted::reason;
use std::fmt;
use std::sync::Arc;
use tokio::time::timeout;

/// A client that is to be handed over. Dropping this value before the engine has the client takes it off its stream, and
/// counts a failed hand-over.
pub(super) struct HandOver {
    /// `None` once the hand-over has begun.
    client: Option<Leaving>,
    /// The engine has the client.
    is_given: bool,
    served: Arc<StreamRoute>,
}

/// What the engine gets besides the connection.
pub(super) struct Leaving {
    pub(super) engine: Engine,
    pub(super) delivery: Delivery,
    /// The request counts for the client's address.
    pub(super) seat: Option<Arc<Seat>>,
}

/// Why a client did not come to the engine.
enum Lost {
    /// Because of what the client did.
    Client(String),
    /// Because of what this process did.
    Engine(String),
}

impl HandOver {
    pub(super) fn new(served: Arc<StreamRoute>, client: Leaving) -> Self {
        Self { client: Some(client), is_given: false, served }
    }

    /// Gives the client and its connection to the engine. `front` serves the connection again after the response.
    pub(super) async fn complete(mut self, connection: Connection, front: &Arc<Front>) {
        let Some(client) = self.client.take() else { return };
        let given = self.give(client, connection, front).await;
        self.is_given = given.is_ok();
        match given {
            Ok(()) => {}
            Err(Lost::Client(why)) => {
                let route = &self.served.route.name;
                log::debug!("client lost in its hand-over route={route} why={}", reason(why));
            }
            Err(Lost::Engine(why)) => {
                let route = &self.served.route.name;
                log::error!("cannot hand a client over to the delivery engine route={route} why={}", reason(why));
            }
        }
    }

    async fn give(&self, client: Leaving, mut connection: Connection, front: &Arc<Front>) -> Result<(), Lost> {
        connection.bound();
        limit_stall(&connection, Some(self.served.policy.client.stall));
        // The client may have begun to send something meanwhile.
        if !timeout(ANSWER_TIME, connection.finish_reading()).await.unwrap_or(false) {
            return Err(Lost::Client("it left".to_owned()));
        }
        let is_secured = connection.is_secured();
        let Parts { socket, channel, unread, peer, place, seat } = match connection.into_parts() {
            Ok(parts) => parts,
            // The client sent something after its request that rustls keeps for itself.
            Err(error) if is_secured => return Err(Lost::Client(error.to_string())),
            Err(error) => return Err(Lost::Engine(error.to_string())),
        };
        let Leaving { engine, delivery, seat: of_request } = client;
        // A TLS connection does not come back, so nothing of its peer is kept.
        let peer = if is_secured { Peer { told: None, is_tls: false, ..peer } } else { peer };
        let home = Box::new(AtTheFront::new(Arc::downgrade(front), place, &peer).seated(seat, of_request));
        let arrival = Arrival { delivery, socket, channel, unread, home };
        engine.adopt(arrival).await.map_err(|refused| Lost::Engine(refused.to_string()))
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        if self.client.is_some() {
            log::debug!("client gone before it was handed over route={}", self.served.route.name);
        }
        if !self.is_given {
            self.served.counters.hand_overs_failed.add(1);
        }
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOver").field("route", &self.served.route.name).finish_non_exhaustive()
    }
}
