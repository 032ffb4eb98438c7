//! A connection of HTTP/2 on its way to its shard, and a client on its way to a stream of one.

use super::arrival::Delivery;
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
