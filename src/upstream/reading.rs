//! Reads a response of the origin, and turns its bytes into events of the stream.

use super::connect::Response;
use crate::hub::Publisher;
use crate::replay::{Continuation, trimmed};
use crate::sse::{Decoder, Event, Item};
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// When so many bytes have come at once, their events are published before more are read. Publishing wakes every client,
/// so events that are there together are published together.
const TOGETHER_BYTES: usize = 64 << 10;

/// A response and the state of its decoding.
pub(super) struct Reading {
    response: Box<Response>,
    decoder: Decoder,
    continuation: Continuation,
    /// How the response ended, if that came together with the last bytes.
    ended: Option<io::Result<Option<Bytes>>>,
}

/// The result of publishing some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Brought {
    /// The number of events. Some may be repeats.
    pub(super) events: usize,
    /// Whether the newest event came after the newest id without an id of its own. `None` if neither an event nor an id
    /// came.
    pub(super) is_followed: Option<bool>,
    /// The sum of the sizes of events that were too large. `None` if there were none.
    pub(super) refused_bytes: Option<u64>,
}

impl Reading {
    /// The beginning of a response. `last_event_id`: the id that the origin was asked to resume after.
    pub(super) fn new(
        response: Box<Response>,
        max_event_bytes: usize,
        last_event_id: Bytes,
        continuation: Continuation,
    ) -> Self {
        let decoder = Decoder::resuming(max_event_bytes, last_event_id);
        Self { response, decoder, continuation, ended: None }
    }

    /// See [`Response::read`].
    ///
    /// # Errors
    /// Fails when the response breaks off.
    pub(super) async fn read(&mut self) -> io::Result<Option<Bytes>> {
        match self.ended.take() {
            Some(ended) => ended,
            None => self.response.read().await,
        }
    }

    /// More bytes that have come already.
    fn at_hand(&mut self) -> Option<Bytes> {
        // The task reads again before it waits, so this need not wake it.
        match pin!(self.response.read()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => None,
            Poll::Ready(Ok(Some(bytes))) => Some(bytes),
            Poll::Ready(ended) => {
                self.ended = Some(ended);
                None
            }
        }
    }

    /// The next bytes, read no faster than the fastest subscriber takes the events. Safe to drop and call again.
    ///
    /// # Errors
    /// Fails when the response breaks off.
    pub(super) async fn next(&mut self, publisher: &Publisher) -> io::Result<Option<Bytes>> {
        tokio::select! {
            biased;
            () = publisher.room() => {}
            never = self.response.soak() => match never {},
        }
        self.read().await
    }

    /// Publishes the events that the bytes complete, together with those whose bytes have come by now. `pass_retry`: the origin's `retry:` is passed on to clients.
    pub(super) fn publish(&mut self, publisher: &Publisher, bytes: Bytes, pass_retry: bool) -> Brought {
        let mut brought = Brought { events: 0, is_followed: None, refused_bytes: None };
        let mut newest_id = self.decoder.last_event_id().clone();
        let mut events = Vec::new();
        let (mut size, mut came) = (0, Some(bytes));
        while let Some(bytes) = came {
            size += bytes.len();
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
                        // The id of the refused event is published alone. It moves the clients' id past the event that they
                        // do not get.
                        events.extend(id.map(Event::checkpoint));
                    }
                }
            }
            came = if size < TOGETHER_BYTES && self.ended.is_none() { self.at_hand() } else { None };
        }
        brought.events += events.len();
        publisher.append(&events, &mut self.continuation);
        publisher.counters().bytes_in.add(size as u64);
        if *self.decoder.last_event_id() != newest_id {
            // A block without data, or a refused event, changed the id.
            brought.is_followed = Some(false);
        }
        brought
    }

    /// The newest id of the origin, which the origin is asked to resume after.
    pub(super) fn last_event_id(&self) -> &Bytes {
        self.decoder.last_event_id()
    }

    /// The number of bytes of an event that has begun and not ended.
    pub(super) fn unfinished(&self) -> u64 {
        self.decoder.unfinished()
    }

    /// Whether clients still have to be told of a loss before this response.
    pub(super) fn is_loss_untold(&self) -> bool {
        self.continuation.is_loss_untold()
    }
}

/// Whether an event comes after the newest id without an id of its own. `None` if the block is not an event in this
/// sense: an origin that resumes does not send a block again that holds an empty id and nothing else.
fn comes_behind_id(event: &Event) -> Option<bool> {
    let has_id = event.id.as_ref().is_some_and(|id| !trimmed(id).is_empty());
    (has_id || !event.is_checkpoint).then_some(!has_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::RouteCounters;
    use crate::hub::{
        Backfilling, Hub, Open, Opening, RouteId, ShareOptions, StreamRequest, StreamSettings, Subscription,
    };
    use crate::upstream::connect::{Connector, Request};
    use crate::upstream::{Origin, UpstreamOptions};
    use http::HeaderMap;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// Keeps the publisher of the stream that it opens.
    #[derive(Default)]
    struct Kept(Mutex<Option<Publisher>>);

    impl Open for Kept {
        fn open(&self, _: Opening, publisher: Publisher) {
            *self.0.lock() = Some(publisher);
        }

        fn backfill(&self, _: StreamRequest, _: Backfilling) {}
    }

    /// A stream with a client.
    fn stream() -> (Publisher, Subscription) {
        let kept = Arc::new(Kept::default());
        let settings = StreamSettings {
            replay: Arc::default(),
            linger: Duration::ZERO,
            max_streams: 1,
            limits: Default::default(),
            ids_ride: false,
            counters: Arc::new(RouteCounters::default()),
        };
        let request = StreamRequest::new(RouteId(0), &ShareOptions::default(), "/", None, &HeaderMap::new());
        let subscription = Hub::new(Arc::clone(&kept) as _).join(request, &settings, None).unwrap();
        let publisher = kept.0.lock().take().unwrap();
        (publisher, subscription)
    }

    #[tokio::test]
    async fn events_that_came_together_are_published_together_whatever_their_chunks_are() {
        const EVENT: &str = "9\r\ndata: a\n\n\r\n";
        for (events, end) in [(50, ""), (50, "0\r\n\r\n"), (9000, "0\r\n\r\n")] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
            let serving = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let body =
                    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}{end}", EVENT.repeat(events));
                stream.write_all(body.as_bytes()).await.unwrap();
                stream
            };
            let reading = async {
                let request = Request { path_and_query: "/".to_owned(), headers: Vec::new() };
                let response = Connector::new().send(&origin, &UpstreamOptions::default(), &request, None).await;
                let response = Box::new(response.unwrap());
                Reading::new(response, 1 << 20, Bytes::new(), Continuation::fresh(false))
            };
            let (_serving, mut reading) = tokio::join!(serving, reading);
            let (publisher, _subscription) = stream();
            let (mut came, mut times) = (0, 0);
            while came < events {
                let bytes = reading.read().await.unwrap().unwrap();
                came += reading.publish(&publisher, bytes, false).events;
                times += 1;
            }
            assert_eq!(came, events);
            assert!(times < events / 10, "{times} times");
            if !end.is_empty() {
                assert!(matches!(reading.read().await, Ok(None)), "the end is told after the events");
            }
        }
    }

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
