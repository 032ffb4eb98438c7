//! What a stream is told of a client whose connection takes no more at present.

use super::hold::Hold;
use super::stream::Stream;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Tells a stream whether one of its clients receives bytes, while its connection does not take more.
#[derive(Debug, Clone)]
pub struct Arrivals {
    stream: Weak<Stream>,
    hold: Arc<Mutex<Hold>>,
}

/// The hold of a client of whom [`Arrivals`] tell. They may end it. It is locked after the stream's state.
#[derive(Debug)]
pub(super) struct SharedHold {
    stream: Arc<Stream>,
    pub(super) hold: Arc<Mutex<Hold>>,
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
        let has_hold = self.hold.lock().position().is_some();
        if let Some(stream) = self.stream.upgrade().filter(|_| has_hold) {
            stream.locked(|state| self.hold.lock().end(&stream, state));
        }
    }
}

impl SharedHold {
    /// Shares a hold in the log of a stream.
    pub(super) fn new(stream: &Arc<Stream>, hold: Hold) -> Self {
        Self { stream: Arc::clone(stream), hold: Arc::new(Mutex::new(hold)) }
    }

    pub(super) fn arrivals(&self) -> Arrivals {
        Arrivals { stream: Arc::downgrade(&self.stream), hold: Arc::clone(&self.hold) }
    }
}

impl Drop for SharedHold {
    fn drop(&mut self) {
        self.stream.locked(|state| self.hold.lock().end(&self.stream, state));
    }
}
