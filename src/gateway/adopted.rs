//! Clients of another process that go on in this one.

use super::connection::Peer;
use super::front::Front;
use super::home::{AtTheFront, Passport, socket_peer};
use super::places::Admission;
use crate::fanout::Passage;
use crate::hub::RouteId;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

impl Front {
    /// Serves a client of another process from now on. `stream`: the number that its stream has here. Returns whether it
    /// does. If not, the client is as it was.
    pub async fn adopt(self: &Arc<Self>, route: RouteId, stream: usize, socket: OwnedFd, passage: Passage) -> bool {
        let gateway = self.gateway();
        let (Some(served), Some(engine)) = (gateway.routing.stream(route), gateway.engine()) else { return false };
        let Ok(Passport { told, is_tls }) = rmp_serde::from_slice(passage.passport()) else { return false };
        let Ok(address) = socket_peer(&socket) else { return false };
        let peer = Peer { socket: address, told, is_tls };
        let Some(Admission::Client(place, promise)) = self.places().admit() else { return false };
        drop(promise);
        // The client was let in, so a limit that it is beyond now does not send it away.
        let is_counted = gateway.limits.are_of_addresses() && !gateway.trusts(&peer);
        let seat = if is_counted { gateway.limits.take(peer.address()).ok().flatten() } else { None };
        let home = Box::new(AtTheFront::new(Arc::downgrade(self), place, &peer).seated(seat, None));
        let Some(moving) = passage.arrives(stream, socket, served, home) else { return false };
        let (caller, course) = (moving.caller.clone(), moving.course);
        let Some(subscription) = gateway.hub.again(stream, moving.cursor, caller, course) else { return false };
        engine.adopt(moving.goes_on(subscription, Instant::now())).await.is_ok()
    }
}
