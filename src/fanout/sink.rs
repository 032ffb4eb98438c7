//! Where the bytes of a client go: to a connection of its own, or to a stream of a connection that it shares.

use super::h2::StreamId;
use super::keys::CarrierKey;
use super::link::Link;
use crate::hub::Feed;

/// Where the bytes of a client go.
#[derive(Debug)]
pub(super) enum Sink {
    /// A connection of its own.
    Socket(Link),
    /// A stream of a connection that carries others, too.
    Stream(OnCarrier),
}

/// A stream of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnCarrier {
    pub(super) carrier: CarrierKey,
    pub(super) stream: StreamId,
}

impl Sink {
    /// The client's own connection. `None`: it has a stream.
    pub(super) fn link(&self) -> Option<&Link> {
        match self {
            Self::Socket(link) => Some(link),
            Self::Stream(_) => None,
        }
    }

    /// The client's stream. `None`: it has a connection of its own.
    pub(super) fn stream(&self) -> Option<OnCarrier> {
        match self {
            Self::Socket(_) => None,
            Self::Stream(stream) => Some(*stream),
        }
    }

    /// Whether what is sent is sealed for this client alone.
    pub(super) fn is_sealed(&self) -> bool {
        self.link().is_some_and(Link::is_sealed)
    }

    /// Whether sealed bytes wait to be sent.
    pub(super) fn has_pending(&self) -> bool {
        self.link().is_some_and(Link::has_pending)
    }

    /// See [`Link::count_kept`].
    pub(super) fn count_kept(&mut self, feed: &Feed) -> bool {
        match self {
            Self::Socket(link) => link.count_kept(feed),
            Self::Stream(_) => false,
        }
    }
}
