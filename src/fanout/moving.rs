//! Clients that leave their shard in the middle of their responses, which go on elsewhere.
//!
//! ```text
//!   a shard ── MovingSocket: a client and its connection ───────────▶ a shard of this process
//!      └────── MovingCarrier: a connection of HTTP/2, its clients ─┬▶ the same
//!                                                                  └▶ SocketPassage, CarrierPassage, and a descriptor
//!                                                                        └▶ the same in another process
//! ```

use super::arrival::{Arrival, Delivery};
use super::batch::Framing;
use super::h2::{Connection, ConnectionState, StreamId};
use super::joining::{CarriedAgain, CarrierParts, Rejoining};
use super::responder::Requests;
use super::terms::{Home, Sent, Terms};
use crate::caller::{Caller, CallerState};
use crate::hub::{Course, Hub, Subscription};
use crate::replay::Seq;
use crate::tls::{Channel, ChannelState};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that has left its shard. It is off its stream, and nobody sends it anything.
#[derive(Debug)]
pub struct MovingClient {
    /// The number of its stream.
    pub stream: usize,
    /// The framing of the response's body.
    pub framing: Framing,
    /// What the client is sent before the frame at `cursor`: the rest of something that it was sent in part.
    pub pending: Bytes,
    /// The position of the next frame for the client.
    pub cursor: Seq,
    /// How long the client may still stay. `None`: no limit.
    pub lifetime: Option<Duration>,
    /// How long ago its request came.
    pub stayed: Duration,
    /// What it was sent so far.
    pub past: Past,
    /// Who it is.
    pub caller: Caller,
    /// What it met so far.
    pub course: Course,
    /// The policy of its route.
    pub terms: Arc<dyn Terms>,
    /// What it holds outside of the engine.
    pub home: Box<dyn Home>,
}

/// A client with a connection of its own. Nobody reads or writes the socket.
#[derive(Debug)]
pub struct MovingSocket {
    /// Its connection.
    pub socket: OwnedFd,
    /// The connection is TLS, and everything goes through this channel. `None`: it is plain.
    pub channel: Option<Box<Channel>>,
    /// The response's head promises that the connection serves another request, and the client has not sent too much for
    /// that.
    pub is_kept: bool,
    /// The bytes that the client sent after its request, if they are kept.
    pub unread: Vec<u8>,
    /// The client.
    pub client: MovingClient,
}

/// A connection of HTTP/2 and the clients on it.
///
/// The order of the fields matters, as that of [`CarriedAgain`] does.
#[derive(Debug)]
pub struct MovingCarrier {
    /// The clients, and the streams of the connection that they have.
    pub clients: Vec<(StreamId, MovingClient)>,
    /// The connection.
    pub parts: CarrierParts,
}

/// Clients that no shard has: they were given up, or came from another process.
#[derive(Debug, Default)]
pub struct Released {
    /// Clients with a connection of their own.
    pub sockets: Vec<MovingSocket>,
    /// Connections of HTTP/2.
    pub carriers: Vec<MovingCarrier>,
}

/// Clients on their way back to shards.
#[derive(Debug, Default)]
pub struct Returning {
    /// Clients with a connection of their own.
    pub sockets: Vec<Arrival>,
    /// Connections of HTTP/2.
    pub carriers: Vec<CarriedAgain>,
}

/// What a client was sent before it came to its shard, if it was served before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// What it was sent.
    pub sent: Sent,
    /// It was sent no event.
    pub is_new: bool,
}

/// A client on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClientPassage {
    /// The number of its stream in the process before.
    stream: usize,
    framing: Framing,
    pending: Vec<u8>,
    cursor: Seq,
    lifetime: Option<Duration>,
    stayed: Duration,
    past: Past,
    caller: CallerState,
    course: Course,
    /// What [`Home::passport`] says.
    passport: Vec<u8>,
}

/// A client on its way to another process, without its socket. It holds the keys of its TLS.
#[derive(Debug, Serialize, Deserialize)]
pub struct SocketPassage {
    channel: Option<ChannelState>,
    is_kept: bool,
    unread: Vec<u8>,
    client: ClientPassage,
}

/// A connection of HTTP/2 on its way to another process, without its socket. It holds the keys of its TLS.
#[derive(Debug, Serialize, Deserialize)]
pub struct CarrierPassage {
    channel: Option<ChannelState>,
    connection: ConnectionState,
    unsent: Vec<u8>,
    unread: Vec<u8>,
    stall: Option<Duration>,
    has_stalled: bool,
    /// What [`Requests::passport`] says.
    passport: Vec<u8>,
    clients: Vec<(StreamId, ClientPassage)>,
}

impl ClientPassage {
    /// The number of its stream in the process before.
    #[must_use]
    pub fn stream(&self) -> usize {
        self.stream
    }

    /// What [`Home::passport`] said.
    #[must_use]
    pub fn passport(&self) -> &[u8] {
        &self.passport
    }

    /// Who the client is.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::of_state(self.caller.clone())
    }

    /// The client in this process. `stream`: the number of its stream here.
    #[must_use]
    pub fn arrives(self, stream: usize, terms: Arc<dyn Terms>, home: Box<dyn Home>) -> MovingClient {
        let Self { framing, pending, cursor, lifetime, stayed, past, caller, course, .. } = self;
        let (pending, caller) = (pending.into(), Caller::of_state(caller));
        MovingClient { stream, framing, pending, cursor, lifetime, stayed, past, caller, course, terms, home }
    }
}

impl SocketPassage {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &ClientPassage {
        &self.client
    }

    /// The client in this process. `client`: what became of [`client`](Self::client). `None`: no client has such a
    /// passage.
    #[must_use]
    pub fn arrives(
        self,
        socket: OwnedFd,
        client: impl FnOnce(ClientPassage) -> Option<MovingClient>,
    ) -> Option<MovingSocket> {
        let Self { channel, is_kept, unread, client: passage } = self;
        let channel = arrived(channel)?;
        // No stream of HTTP/2 has a socket of its own.
        let client = client(passage).filter(|client| client.framing != Framing::Data)?;
        Some(MovingSocket { socket, channel, is_kept, unread, client })
    }
}

impl CarrierPassage {
    /// What [`Requests::passport`] said.
    #[must_use]
    pub fn passport(&self) -> &[u8] {
        &self.passport
    }

    /// The number of clients.
    #[cfg(test)]
    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The connection in this process. `times`: as for [`Connection::of_state`]. `None`: there is no such connection, or one
    /// of its clients does not go on.
    #[must_use]
    pub fn arrives(
        self,
        socket: OwnedFd,
        times: (Duration, Duration),
        requests: Box<dyn Requests>,
        mut client: impl FnMut(ClientPassage) -> Option<MovingClient>,
    ) -> Option<MovingCarrier> {
        let Self { channel, connection, unsent, unread, stall, has_stalled, clients, .. } = self;
        let channel = arrived(channel)?;
        let connection = Connection::of_state(connection, Instant::now(), times.0, times.1)?;
        let clients = clients.into_iter().map(|(stream, passage)| {
            let client = client(passage).filter(|client| client.framing == Framing::Data)?;
            connection.is_begun(stream).then_some((stream, client))
        });
        let clients = clients.collect::<Option<Vec<_>>>()?;
        let parts = CarrierParts { socket, channel, connection, unsent, unread, stall, has_stalled, requests };
        Some(MovingCarrier { clients, parts })
    }
}

/// The channel of another process, if there is one. `None`: no channel has such a state.
fn arrived(state: Option<ChannelState>) -> Option<Option<Box<Channel>>> {
    match state {
        None => Some(None),
        Some(state) => Some(Some(Box::new(Channel::of_state(state)?))),
    }
}

impl MovingClient {
    /// What of the client goes to another process. `None`: it cannot go there.
    fn passage(&self) -> Option<ClientPassage> {
        Some(ClientPassage {
            stream: self.stream,
            framing: self.framing,
            pending: self.pending.to_vec(),
            cursor: self.cursor,
            lifetime: self.lifetime,
            stayed: self.stayed,
            past: self.past,
            caller: self.caller.state(),
            course: self.course,
            passport: self.home.passport()?,
        })
    }

    /// What its shard is to send it. `subscription`: its place on its stream, at [`cursor`](Self::cursor).
    fn goes_on(self, subscription: Subscription, is_kept: bool, now: Instant) -> (Delivery, Box<dyn Home>) {
        let Self { framing, pending, lifetime, stayed, past, terms, home, .. } = self;
        let delivery = Delivery {
            subscription,
            framing,
            opening: pending,
            opening_text: 0,
            is_kept,
            lifetime,
            asked: now.checked_sub(stayed).unwrap_or(now),
            terms,
            past: Some(past),
        };
        (delivery, home)
    }
}

impl MovingSocket {
    /// What of the client goes to another process, besides its socket. `None`: it cannot go there.
    #[must_use]
    pub fn passage(&self) -> Option<SocketPassage> {
        Some(SocketPassage {
            channel: self.channel.as_ref().map(|channel| channel.state()),
            is_kept: self.is_kept,
            unread: self.unread.clone(),
            client: self.client.passage()?,
        })
    }

    /// The client on its way to a shard. `subscription`: its place on its stream, at its position.
    #[must_use]
    pub fn goes_on(self, subscription: Subscription, now: Instant) -> Arrival {
        let Self { socket, channel, is_kept, unread, client } = self;
        let (delivery, home) = client.goes_on(subscription, is_kept, now);
        Arrival { delivery, socket, channel, unread, home }
    }
}

impl MovingCarrier {
    /// What of the connection goes to another process, besides its socket. `None`: it cannot go there.
    #[must_use]
    pub fn passage(&self, now: Instant) -> Option<CarrierPassage> {
        let Self { clients, parts } = self;
        let clients = clients.iter().map(|(stream, client)| Some((*stream, client.passage()?)));
        Some(CarrierPassage {
            channel: parts.channel.as_ref().map(|channel| channel.state()),
            connection: parts.connection.state(now)?,
            unsent: parts.unsent.clone(),
            unread: parts.unread.clone(),
            stall: parts.stall,
            has_stalled: parts.has_stalled,
            passport: parts.requests.passport()?,
            clients: clients.collect::<Option<_>>()?,
        })
    }

    /// The connection on its way to a shard. `place`: the place of a client on its stream, at its position. `None`: the
    /// stream is over, and so is the response.
    #[must_use]
    pub fn goes_on(self, mut place: impl FnMut(&MovingClient) -> Option<Subscription>, now: Instant) -> CarriedAgain {
        let Self { clients, parts } = self;
        let rejoining = clients.into_iter().filter_map(|(stream, client)| {
            let subscription = place(&client)?;
            let (delivery, home) = client.goes_on(subscription, false, now);
            Some(Rejoining { stream, delivery, home })
        });
        CarriedAgain { rejoining: rejoining.collect(), parts }
    }
}

impl Returning {
    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.carriers.is_empty()
    }
}

impl Released {
    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.carriers.is_empty()
    }

    /// The number of clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.sockets.len() + self.carriers.iter().map(|carrier| carrier.clients.len()).sum::<usize>()
    }

    /// The clients on their way to shards, with their places on the streams of this hub. Clients whose streams are over are
    /// dropped.
    #[must_use]
    pub fn returning(self, hub: &Hub, now: Instant) -> Returning {
        let place =
            |client: &MovingClient| hub.again(client.stream, client.cursor, client.caller.clone(), client.course);
        let sockets = self.sockets.into_iter().filter_map(|moving| {
            let subscription = place(&moving.client)?;
            Some(moving.goes_on(subscription, now))
        });
        let sockets = sockets.collect();
        let carriers = self.carriers.into_iter().map(|moving| moving.goes_on(place, now)).collect();
        Returning { sockets, carriers }
    }
}
