//! The places that the connections of one attempt take, before they are made.

use super::queue::Slot;
use crate::descriptors::{ConnectionPlace, Descriptors, StreamPlace};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a stream waits for the place of another one that gives way.
const PATIENCE: Duration = Duration::from_secs(1);

/// What an attempt does when there is no place for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum WhenFull {
    /// It waits for one.
    Wait,
    /// It fails at once. It is an attempt beside an open response, which it must not wait for.
    Fail,
}

/// What an open connection holds.
#[derive(Debug)]
pub(super) struct Held {
    /// Its place among the connections of the process.
    _place: ConnectionPlace,
    /// Its place among the connections to the origin. An attempt makes one connection after another with it.
    slot: Arc<Slot>,
}

impl Held {
    pub(super) fn new(place: ConnectionPlace, slot: Arc<Slot>) -> Self {
        Self { _place: place, slot }
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

/// Places without a limit.
#[cfg(test)]
pub(super) fn held() -> Held {
    let place = Descriptors::unlimited().connection(None, 2).unwrap();
    let origin = crate::upstream::Origin::parse("http://o").unwrap();
    let slot = super::queue::Slots::new(&origin, Default::default()).take(1).unwrap();
    Held::new(place, Arc::new(slot))
}

/// Where an attempt gets places from. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    descriptors: Descriptors,
    /// The place of the stream that the attempt is for.
    stream: Option<StreamPlace>,
    when_full: WhenFull,
}

impl Places {
    /// Places of a connector that makes connections for anybody.
    pub(super) fn of(descriptors: Descriptors) -> Self {
        Self { descriptors, stream: None, when_full: WhenFull::Wait }
    }

    /// Places for the connections of one stream. `None`: no place is left for another stream.
    pub(super) fn for_stream(&self) -> Option<Self> {
        Some(Self { stream: Some(self.descriptors.stream()?), ..self.clone() })
    }

    /// The same, for a stream that found no place. One of a stream that gives way is waited for.
    pub(super) async fn for_stream_soon(&self) -> Option<Self> {
        let place = self.descriptors.stream_by(Instant::now() + PATIENCE).await?;
        Some(Self { stream: Some(place), ..self.clone() })
    }

    pub(super) fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    /// The same places, for an attempt that does this when there is none.
    pub(super) fn when_full(&self, when_full: WhenFull) -> Self {
        Self { when_full, ..self.clone() }
    }

    /// Whether the attempt waits for a place.
    pub(super) fn waits(&self) -> bool {
        self.when_full == WhenFull::Wait
    }

    /// A place for a connection that needs `n` descriptors. `None`: there is none, or none in this time.
    pub(super) async fn take(&self, n: usize, patience: Duration) -> Option<ConnectionPlace> {
        let stream = self.stream.as_ref();
        match self.when_full {
            WhenFull::Fail => self.descriptors.connection(stream, n),
            WhenFull::Wait => timeout(patience, self.descriptors.free_connection(stream, n)).await.ok(),
        }
    }
}
