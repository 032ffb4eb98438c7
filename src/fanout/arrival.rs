//! A client on its way to its shard.

use super::batch::Framing;
use super::moving::Past;
use super::terms::{Home, Terms};
use crate::hub::Subscription;
use crate::tls::Channel;
use bytes::Bytes;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client to be served.
///
/// The order of the fields matters when an arrival is dropped: the client is off its stream before its place is free.
#[derive(Debug)]
pub struct Arrival {
    /// What the client is sent.
    pub delivery: Delivery,
    /// The client's connection. It is in non-blocking mode, and nothing else reads or writes it.
    pub socket: OwnedFd,
    /// The connection is TLS, and everything goes through this channel. `None`: it is plain.
    pub channel: Option<Box<Channel>>,
    /// The bytes that the client sent after its request.
    pub unread: Vec<u8>,
    /// Takes the connection back after an orderly end. It lives as long as the socket is open.
    pub home: Box<dyn Home>,
}

/// A response that the engine is to send to a client: its opening, and then the events of a stream.
#[derive(Debug)]
pub struct Delivery {
    /// The client's subscription to a stream.
    pub subscription: Subscription,
    /// The framing of the response's body.
    pub framing: Framing,
    /// The response's head and the first lines of its body, as they go on the wire.
    pub opening: Bytes,
    /// The number of bytes of SSE text in `opening`.
    pub opening_text: u64,
    /// The response's head promises that the connection serves another request. A connection of TLS cannot do that.
    pub is_kept: bool,
    /// How long the client may stay. `None`: no limit.
    pub lifetime: Option<Duration>,
    /// When the client's request came.
    pub asked: Instant,
    /// The policy of the client's route.
    pub terms: Arc<dyn Terms>,
    /// The client was served before, and its response goes on. `None`: it begins.
    pub past: Option<Past>,
}
