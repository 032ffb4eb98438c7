//! A connection of HTTP/2 on its way to its shard, and a client on its way to a stream of one.
//!
//! A connection is either new, or goes on with its clients.

use super::arrival::Delivery;
use super::h2::{Connection, StreamId};
use super::responder::Requests;
use super::terms::Home;
use crate::tls::Channel;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A client that is to be served on a stream of its connection. See [`Responder::adopt`](super::Responder::adopt).
///
/// The order of the fields matters, as that of [`Arrival`](super::Arrival) does.
#[derive(Debug)]
pub struct Joining {
    /// What the client is sent. Its opening is only the first lines of the body.
    pub delivery: Delivery,
    /// The head of the response, as a block of [`encode`](super::h2::encode).
    pub head: Vec<u8>,
    /// It lives as long as the stream is open.
    pub home: Box<dyn Home>,
}

/// A connection of HTTP/2.
#[derive(Debug)]
pub struct Carried {
    /// The connection. It is in non-blocking mode, and nothing else reads or writes it.
    pub socket: OwnedFd,
    /// The connection is TLS, and everything goes through this channel. `None`: it is plain.
    pub channel: Option<Box<Channel>>,
    /// The bytes that the client has sent.
    pub unread: Vec<u8>,
    /// How long a frame or the head of a request may take.
    pub head_time: Duration,
    /// How long the connection is kept without streams.
    pub keepalive: Duration,
    /// Decides the requests. It lives as long as the connection is open.
    pub requests: Box<dyn Requests>,
}

/// A connection of HTTP/2 that no shard has, without its clients. Nobody reads or writes the socket.
#[derive(Debug)]
pub struct CarrierParts {
    /// The connection. It is in non-blocking mode.
    pub socket: OwnedFd,
    /// The connection is TLS, and everything goes through this channel. `None`: it is plain.
    pub channel: Option<Box<Channel>>,
    /// What the connection's frames have come to.
    pub connection: Connection,
    /// Frames that go before all others.
    pub unsent: Vec<u8>,
    /// What the client sent and is not read yet.
    pub unread: Vec<u8>,
    /// The longest time for which one of its clients may take nothing.
    pub stall: Option<Duration>,
    /// The client took nothing of a stream, and has begun no other since.
    pub has_stalled: bool,
    /// Decides the requests.
    pub requests: Box<dyn Requests>,
}

/// A connection of HTTP/2 that was served by another shard, maybe in another process.
///
/// The order of the fields matters: the clients leave their streams before the place of the connection is free.
#[derive(Debug)]
pub struct CarriedAgain {
    /// Its clients. The streams of others that have begun are reset.
    pub rejoining: Vec<Rejoining>,
    /// The connection.
    pub parts: CarrierParts,
}

/// A client on a stream of such a connection. It has the head of its response.
#[derive(Debug)]
pub struct Rejoining {
    /// The stream.
    pub stream: StreamId,
    /// What the client is sent.
    pub delivery: Delivery,
    /// It lives as long as the stream is open.
    pub home: Box<dyn Home>,
}
