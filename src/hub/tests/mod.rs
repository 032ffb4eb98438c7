//! Tests of the hub, on a paused clock.

mod backfills;
mod delivery;
mod feeds;
mod holds;
mod lives;
mod model;
mod moving;
mod pace;
mod renewals;
mod restoring;
mod room;
mod unshareable;
mod upkeep;
mod verdicts;

use super::{
    Backfilling, End, Failure, Hub, JoinError, Open, Opening, Publisher, Reading, RouteId, ShareOptions, Sharing,
    StreamRequest, StreamSettings, Subscription, Verdict,
};
use crate::counters::{Lost, RouteCounters};
use crate::replay::{Continuation, OnGap, ReplayOptions};
use crate::sse::{Event, Frame};
use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

const LINGER: Duration = Duration::from_secs(120);
const ROUTE: RouteId = RouteId(1);

/// Keeps the publishers and backfills that it is told to open.
#[derive(Default)]
struct Opened(Mutex<Vec<(Opening, Publisher)>>, Mutex<Vec<Backfilling>>);

impl Open for Opened {
    fn open(&self, opening: Opening, publisher: Publisher) {
        self.0.lock().push((opening, publisher));
    }

    fn backfill(&self, _: StreamRequest, backfilling: Backfilling) {
        self.1.lock().push(backfilling);
    }
}

/// A hub whose streams the test feeds.
struct Stage {
    hub: Hub,
    opened: Arc<Opened>,
    settings: StreamSettings,
}

impl Stage {
    fn new() -> Self {
        Self::with(ReplayOptions::default())
    }

    fn with(replay: ReplayOptions) -> Self {
        let opened = Arc::new(Opened::default());
        let settings = StreamSettings {
            replay: Arc::new(replay),
            linger: LINGER,
            max_streams: 100,
            limits: Default::default(),
            ids_ride: false,
            counters: Arc::new(RouteCounters::default()),
        };
        Self { hub: Hub::new(Arc::clone(&opened) as Arc<dyn Open>), opened, settings }
    }

    fn join(&self, path: &str) -> Result<Subscription, JoinError> {
        self.resume(path, None)
    }

    fn resume(&self, path: &str, id: Option<&str>) -> Result<Subscription, JoinError> {
        let id = id.map(|id| Bytes::copy_from_slice(id.as_bytes()));
        self.hub.join(request(ROUTE, path), &self.settings, id.as_ref())
    }

    /// Joins a stream, and takes the publisher of the stream that this opened.
    fn open(&self, path: &str) -> (Subscription, Publisher) {
        let subscription = self.join(path).unwrap();
        (subscription, self.publisher())
    }

    /// The publisher of the stream that was opened last.
    fn publisher(&self) -> Publisher {
        self.opened.0.lock().pop().expect("a stream was opened").1
    }

    /// The number of opened streams whose publisher was not taken.
    fn opened(&self) -> usize {
        self.opened.0.lock().len()
    }

    fn counted(&self, name: &str) -> u64 {
        let counters = &self.settings.counters;
        let counter = match name {
            "streams" => &counters.streams,
            "streams_evicted" => &counters.streams_evicted,
            "subscribers" => &counters.subscribers,
            "subscribers_total" => &counters.subscribers_total,
            "unshareable" => &counters.unshareable,
            "events_in" => &counters.events_in,
            "events_repeated" => &counters.events_repeated,
            "resumes" => &counters.resumes,
            "gaps" => return counters.gaps.total(),
            "gaps_lag" => return counters.gaps.value(Lost::Lag),
            "gaps_untold" => &counters.gaps_untold,
            other => panic!("no counter {other}"),
        };
        counter.value()
    }
}

fn request(route: RouteId, path: &str) -> StreamRequest {
    StreamRequest::new(route, &ShareOptions::default(), path, None, &HeaderMap::new())
}

fn event(data: &str) -> Event {
    Event::of_type("", data.to_owned())
}

fn with_id(id: &str, data: &str) -> Event {
    let id = Bytes::copy_from_slice(id.as_bytes());
    Event { id: Some(id.clone()), last_event_id: id, ..event(data) }
}

/// Appends events that repeat nothing.
fn append(publisher: &Publisher, data: &[&str]) {
    let events: Vec<_> = data.iter().map(|data| event(data)).collect();
    assert_eq!(publisher.append(&events, &mut Continuation::fresh(false)), events.len());
}

fn live(publisher: &Publisher) {
    assert!(publisher.connected(&HeaderMap::new(), Sharing::Shared));
}

fn is_occupied(publisher: &Publisher) -> bool {
    publisher.occupied().now_or_never().is_some()
}

fn events(most: usize) -> ReplayOptions {
    ReplayOptions { events: NonZeroUsize::new(most), ..ReplayOptions::default() }
}

fn lost() -> Failure {
    Failure::Lost("reset".to_owned())
}

/// The data of the events in these frames.
fn data(frames: &[Frame]) -> String {
    let text: Vec<u8> = frames.iter().flat_map(Frame::text).copied().collect();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("data: ")).collect::<Vec<_>>().join(" ")
}

/// Reads until there is no more. Returns the data, and why there is no more.
fn drain(subscription: &mut Subscription) -> (String, Reading) {
    let mut frames = Vec::new();
    loop {
        match subscription.read(usize::MAX, &mut frames) {
            Reading::To(_) => {}
            other => return (data(&frames), other),
        }
    }
}
