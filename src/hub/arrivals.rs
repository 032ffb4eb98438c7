//! What a stream is told of a client whose connection takes no more at present, and what it answers.

use super::Pin;
use super::hold::Hold;
use super::stream::Stream;
use crate::replay::Seq;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Tells a stream whether one of its clients receives bytes, while its connection does not take more.
#[derive(Debug, Clone)]
pub struct Arrivals {
    stream: Weak<Stream>,
    place: Arc<Mutex<ClientPlace>>,
}

/// Where a client is in the log.
#[derive(Debug)]
pub(super) struct ClientPlace {
    pub(super) hold: Hold,
    /// The position of the next frame for the client.
    pub(super) cursor: Seq,
}

/// The place of a client of whom [`Arrivals`] tell. They may end its hold. It is locked after the stream's state.
#[derive(Debug)]
pub(super) struct SharedPlace {
    stream: Arc<Stream>,
    pub(super) place: Arc<Mutex<ClientPlace>>,
}

impl Arrivals {
    /// The client received bytes that it was sent before. So it is reading.
    pub fn arrived(&self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.arrived();
        }
    }

    /// The client received nothing for a while. The log keeps nothing for it beyond its bounds, until the client has
    /// caught up.
    pub fn found_slow(&self) {
        let has_hold = self.place.lock().hold.position().is_some();
        if let Some(stream) = self.stream.upgrade().filter(|_| has_hold) {
            stream.locked(|state| self.place.lock().hold.end(&stream, state));
        }
    }

    /// The position of the next frame for the client, and the oldest position that can be read. `None`: the stream is
    /// gone.
    #[must_use]
    pub fn positions(&self) -> Option<(Seq, Seq)> {
        let readable = self.stream.upgrade()?.readable();
        Some((self.place.lock().cursor, readable))
    }

    /// Lets the client keep the rest of an event that the log has dropped, as [`Feed::pin`](super::Feed::pin) does.
    #[must_use]
    pub fn pin(&self, rest: &mut Bytes, whole: usize) -> Option<Pin> {
        self.stream.upgrade()?.membership.budget.pins.pin(rest, whole)
    }
}

impl SharedPlace {
    /// Shares the place of a client in the log of a stream.
    pub(super) fn new(stream: &Arc<Stream>, hold: Hold, cursor: Seq) -> Self {
        Self { stream: Arc::clone(stream), place: Arc::new(Mutex::new(ClientPlace { hold, cursor })) }
    }

    pub(super) fn arrivals(&self) -> Arrivals {
        Arrivals { stream: Arc::downgrade(&self.stream), place: Arc::clone(&self.place) }
    }
}

impl Drop for SharedPlace {
    fn drop(&mut self) {
        self.stream.locked(|state| self.place.lock().hold.end(&self.stream, state));
    }
}
