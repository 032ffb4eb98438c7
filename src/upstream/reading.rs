//! A response that is being read: its bytes become events of the stream.

use super::connect::Response;
use crate::hub::Publisher;
use crate::replay::{Continuation, trimmed};
use crate::sse::{Decoder, Event, Item};
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::Pin;

type Read = Pin<Box<dyn Future<Output = (Box<Response>, io::Result<Option<Bytes>>)> + Send>>;

/// The bytes of a response. A read of a response must not be dropped half-way: this keeps the one that is under way.
pub(super) struct Chunks {
    next: Read,
}

impl Chunks {
    pub(super) fn new(response: Box<Response>) -> Self {
        Self { next: Box::pin(read(response)) }
    }

    /// The next bytes; `None` at the orderly end. Safe to drop and call again, but not after an end or an error.
    ///
    /// # Errors
    /// When the response breaks off.
    pub(super) async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let (response, result) = self.next.as_mut().await;
        self.next = Box::pin(read(response));
        result
    }
}

/// A response with what was read of it.
pub(super) struct Reading {
    chunks: Chunks,
    decoder: Decoder,
    continuation: Continuation,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Brought {
    /// Events, of which some may be repeats.
    pub(super) events: usize,
    /// Whether the newest event came behind the newest id; `None`: neither an event nor an id came.
    pub(super) is_followed: Option<bool>,
    /// The sizes of events that were too large, added up.
    pub(super) refused_bytes: Option<u64>,
}

impl Reading {
    /// At the beginning of a response. `last_event_id` is the id that it was asked to resume after.
    pub(super) fn new(
        response: Box<Response>,
        max_event_bytes: usize,
        last_event_id: Bytes,
        continuation: Continuation,
    ) -> Self {
        let decoder = Decoder::resuming(max_event_bytes, last_event_id);
        Self { chunks: Chunks::new(response), decoder, continuation }
    }

    /// As [`Chunks::read`].
    ///
    /// # Errors
    /// When the response breaks off.
    pub(super) async fn read(&mut self) -> io::Result<Option<Bytes>> {
        self.chunks.read().await
    }

    /// Publishes what the bytes complete. `pass_retry`: the origin's `retry:` goes to clients.
    pub(super) fn publish(&mut self, publisher: &Publisher, bytes: Bytes, pass_retry: bool) -> Brought {
        let mut brought = Brought { events: 0, is_followed: None, refused_bytes: None };
        let mut newest_id = self.decoder.last_event_id().clone();
        let mut events = Vec::new();
        self.decoder.push(bytes);
        while let Some(item) = self.decoder.next_item() {
            match item {
                Item::Event(mut event) => {
                    brought.is_followed = comes_behind_id(&event).or(brought.is_followed);
                    newest_id = event.last_event_id.clone();
                    event.retry = event.retry.filter(|_| pass_retry);
                    events.push(event);
                }
                Item::Retry(retry) => publisher.set_retry(retry),
                Item::Refused { bytes, id } => {
                    brought.events += events.len();
                    publisher.append(&events, &mut self.continuation);
                    events.clear();
                    publisher.counters().events_refused.add(1);
                    publisher.mark(Some(1));
                    brought.refused_bytes = Some(brought.refused_bytes.unwrap_or(0).saturating_add(bytes));
                    // What is left of the block: it moves the id of clients past the event that they do not get.
                    events.extend(id.map(Event::checkpoint));
                }
            }
        }
        brought.events += events.len();
        publisher.append(&events, &mut self.continuation);
        if *self.decoder.last_event_id() != newest_id {
            // A block without data, or one that was refused, moved it.
            brought.is_followed = Some(false);
        }
        brought
    }

    /// The id that the origin gave last: what it is asked to resume after.
    pub(super) fn last_event_id(&self) -> &Bytes {
        self.decoder.last_event_id()
    }

    /// The bytes of an event that was begun and not ended.
    pub(super) fn unfinished(&self) -> u64 {
        self.decoder.unfinished()
    }

    /// Whether a loss before this response is still to be told.
    pub(super) fn is_loss_untold(&self) -> bool {
        self.continuation.is_loss_untold()
    }
}

/// Whether an event comes behind the newest id without one of its own; `None`: it says nothing of that. A block with an empty id
/// and nothing else is no event that an origin which resumes would send again.
fn comes_behind_id(event: &Event) -> Option<bool> {
    let has_id = event.id.as_ref().is_some_and(|id| !trimmed(id).is_empty());
    (has_id || !event.is_checkpoint).then_some(!has_id)
}

async fn read(mut response: Box<Response>) -> (Box<Response>, io::Result<Option<Bytes>>) {
    let result = response.read().await;
    (response, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_an_id_comes_behind_the_newest_and_a_block_with_an_empty_one_does_not() {
        for (text, expected) in [
            ("data: a\n\n", Some(true)),
            ("id: 1\ndata: a\n\n", Some(false)),
            ("id:\ndata: a\n\n", Some(true)),
            ("id:  \ndata: a\n\n", Some(true)),
            ("id: 1\n\n", Some(false)),
            ("id:\n\n", None),
            ("id:  \n\n", None),
        ] {
            let mut decoder = Decoder::resuming(1 << 20, Bytes::from_static(b"0"));
            decoder.push(Bytes::from_static(text.as_bytes()));
            let Some(Item::Event(event)) = decoder.next_item() else { panic!("{text:?} is no event") };
            assert_eq!(comes_behind_id(&event), expected, "{text:?}");
        }
    }
}
