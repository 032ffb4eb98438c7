//! Clients are handed over to a shard while it drains, while it ends, and while their stream ends.

use crate::bell::Bell;
use crate::check;
use crate::counters::RouteCounters;
use crate::fanout::{Arrival, BREAKS, Delivery, Engine, Farewell, Framing, Home, Pace, Refused, Sending, Sent, Terms};
use crate::hub::{Departure, Publisher, Seat};
use crate::stage::{EVENTS, Stage, feed};
use bytes::Bytes;
use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::thread;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More clients than there are shards.
const CLIENTS: usize = 3;

/// Records what happened to the clients.
#[derive(Debug, Default)]
struct Fates {
    departed: Mutex<Vec<(Sent, Departure)>>,
    gone: Mutex<usize>,
    bell: Bell,
}

impl Terms for Fates {
    fn pace(&self) -> &Pace {
        unreachable!("the model has no clock")
    }

    fn counters(&self) -> &RouteCounters {
        unreachable!("the model counts nothing")
    }

    fn last_words(&self, _: &Departure, _: Option<u64>) -> Vec<u8> {
        Vec::new()
    }

    fn came(&self, _: &Seat) {}

    fn stays(&self, _: &Seat, _: Sent, _: Duration, _: u64) {}

    fn departed(&self, farewell: &Farewell<'_>) {
        self.departed.lock().unwrap().push((farewell.sent, farewell.departure.clone()));
    }
}

/// Is held as long as a client's socket is open.
#[derive(Debug)]
struct Place(Arc<Fates>);

impl Home for Place {
    fn take_back(self: Box<Self>, _: OwnedFd, _: Vec<u8>) {
        unreachable!("the model keeps no connection")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.gone.lock().unwrap() += 1;
        self.0.bell.ring();
    }
}

impl Fates {
    /// Waits until all clients are gone.
    fn wait(&self) {
        while *self.gone.lock().unwrap() < CLIENTS {
            self.bell.hear(true);
        }
    }
}

/// The drain begins while a client is handed over. The client is drained, whether it arrives before or after.
pub fn a_hand_over_meets_the_drain() {
    check(|| {
        let (stage, engine, fates) = scene(1, served);
        let arrivals = hand_over(&stage, &engine, &fates, b"");
        engine.drain(Instant::now());
        fates.wait();
        assert!(arrivals.into_iter().all(|arrival| arrival.join().unwrap().is_ok()));
        let departed = std::mem::take(&mut *fates.departed.lock().unwrap());
        assert_eq!(departed.len(), CLIENTS);
        assert!(departed.iter().all(|(_, departure)| *departure == Departure::Drained), "{departed:?}");
        drop(engine);
        stage.finish();
    });
}

/// Every shard ends while clients are handed over. Each client is dropped or refused, and its seat and place are
/// freed.
pub fn a_hand_over_meets_the_end_of_the_shards() {
    check(|| {
        let (stage, engine, fates) = scene(2, served);
        let arrivals = hand_over(&stage, &engine, &fates, BREAKS);
        // The engine is still alive, so a client that is stuck in an inbox would stay there.
        fates.wait();
        arrivals.into_iter().for_each(|arrival| _ = arrival.join().unwrap());
        stage.finish();
        drop(engine);
    });
}

/// A stream gets its events and its end while clients are handed over. Each client is given all of it.
pub fn a_hand_over_meets_the_end_of_the_stream() {
    check(|| {
        let (stage, engine, fates) = scene(1, |publisher| feed(&publisher));
        let arrivals = hand_over(&stage, &engine, &fates, b"");
        fates.wait();
        arrivals.into_iter().for_each(|arrival| arrival.join().unwrap().unwrap());
        let departed = std::mem::take(&mut *fates.departed.lock().unwrap());
        assert_eq!(departed.len(), CLIENTS);
        assert!(departed.iter().all(|(sent, _)| sent.events == EVENTS as u64), "{departed:?}");
        stage.finish();
        drop(engine);
    });
}

fn served(publisher: Publisher) {
    feed(&publisher);
    block_on(publisher.abandoned());
}

fn scene(shards: usize, driver: fn(Publisher)) -> (Stage, Engine, Arc<Fates>) {
    (Stage::new(driver), Engine::start(NonZeroUsize::new(shards).unwrap(), Sending::Loop).unwrap(), Arc::default())
}

fn hand_over(
    stage: &Stage,
    engine: &Engine,
    fates: &Arc<Fates>,
    opening: &'static [u8],
) -> Vec<thread::JoinHandle<Result<(), Refused>>> {
    (0..CLIENTS)
        .map(|_| {
            let (stage, engine, fates) = (stage.clone(), engine.clone(), Arc::clone(fates));
            thread::spawn(move || {
                let arrival = Arrival {
                    channel: None,
                    socket: File::open("/dev/null").unwrap().into(),
                    unread: Vec::new(),
                    home: Box::new(Place(Arc::clone(&fates))),
                    delivery: Delivery {
                        subscription: stage.join("/stream").expect("nothing is remembered"),
                        framing: Framing::Chunked,
                        opening: Bytes::from_static(opening),
                        opening_text: 0,
                        is_kept: false,
                        lifetime: None,
                        asked: std::time::Instant::now(),
                        terms: fates,
                        past: None,
                    },
                };
                block_on(engine.adopt(arrival))
            })
        })
        .collect()
}
