//! A hub whose streams are fed by threads of the model.

use crate::counters::RouteCounters;
use crate::hub::{Backfilling, Hub, JoinError, Open, Opening, Publisher, RouteId, ShareOptions, Sharing, StreamRequest, SubscriberLimits};
use crate::hub::{StreamSettings, Subscription};
use crate::replay::{Continuation, ReplayOptions, Start};
use crate::sse::Event;
use http::HeaderMap;
use shuttle::sync::Mutex;
use shuttle::thread::{self, JoinHandle};
use std::sync::Arc;
use std::time::Duration;

/// The number of events of every stream.
pub(crate) const EVENTS: usize = 2;

/// A thread that feeds a stream.
type Driver = fn(Publisher);

struct Drivers {
    driver: Driver,
    started: Mutex<Vec<JoinHandle<()>>>,
}

impl Open for Drivers {
    fn open(&self, _: Opening, publisher: Publisher) {
        let driver = self.driver;
        self.started.lock().unwrap().push(thread::spawn(move || driver(publisher)));
    }

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}

#[derive(Clone)]
pub(crate) struct Stage {
    hub: Hub,
    drivers: Arc<Drivers>,
    settings: StreamSettings,
}

impl Stage {
    /// A stage with one route that may have one stream. Every client is given the whole stream.
    pub(crate) fn new(driver: Driver) -> Self {
        Self::with_room(driver, 1)
    }

    /// A stage whose route may have `max_streams` streams.
    pub(crate) fn with_room(driver: Driver, max_streams: usize) -> Self {
        let drivers = Arc::new(Drivers { driver, started: Mutex::default() });
        let settings = StreamSettings {
            replay: Arc::new(ReplayOptions { start: Start::All, ..ReplayOptions::default() }),
            linger: Duration::from_secs(120),
            max_streams,
            ids_ride: false,
            counters: Arc::new(RouteCounters::default()),
            limits: SubscriberLimits::default(),
        };
        Self { hub: Hub::new(Arc::clone(&drivers) as Arc<dyn Open>), drivers, settings }
    }

    pub(crate) fn join(&self, path: &str) -> Result<Subscription, JoinError> {
        let request = StreamRequest::new(RouteId(1), &ShareOptions::default(), path, None, &HeaderMap::new());
        self.hub.join(request, &self.settings, None)
    }

    /// Joins as a client does that waited for a response which turned out to be another client's.
    pub(crate) fn join_alone(&self, path: &str) -> Result<Subscription, JoinError> {
        let request = StreamRequest::new(RouteId(1), &ShareOptions::default(), path, None, &HeaderMap::new());
        self.hub.join_alone(request, &self.settings, None)
    }

    pub(crate) fn counters(&self) -> &Arc<RouteCounters> {
        &self.settings.counters
    }

    /// The number of streams that were opened.
    pub(crate) fn opened(&self) -> usize {
        self.drivers.started.lock().unwrap().len()
    }

    /// Waits until every driver has ended. Then nothing is left of the streams, and the route has room for another.
    pub(crate) fn finish(&self) {
        let drivers = std::mem::take(&mut *self.drivers.started.lock().unwrap());
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
        assert!(self.hub.is_empty(), "a stream is left in the hub");
        assert_eq!(self.counters().subscribers.value(), 0, "a subscriber is left");
        assert_eq!(self.counters().streams.value(), 0, "a stream is held");
        drop(self.join("/another").expect("the route has room"));
        let drivers = std::mem::take(&mut *self.drivers.started.lock().unwrap());
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
    }
}

/// Publishes the origin's head and its events.
pub(crate) fn feed(publisher: &Publisher) {
    feed_as(publisher, Sharing::Shared);
}

/// Publishes the origin's head and its events. `sharing`: which clients may have the response. If the stream is over by
/// then, nothing is kept.
pub(crate) fn feed_as(publisher: &Publisher, sharing: Sharing) {
    _ = publisher.connected(&HeaderMap::new(), sharing);
    for n in 0..EVENTS {
        publisher.append(&[Event::of_type("", n.to_string())], &mut Continuation::fresh(false));
    }
}
