//! Streams open and close while clients come and go.

use crate::bell::Bell;
use crate::check;
use crate::hub::{
    Delivery, Detached, End, Feed, FeedId, JoinError, Publisher, Reading, Subscription, Verdict, Watcher,
};
use crate::stage::{EVENTS, Stage, feed};
use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::thread;
use std::sync::Arc;
use std::time::Duration;

/// Clients come while the last one leaves and the linger is over: each is given all of a stream, there is never a second
/// open one, and in the end there is none.
pub fn a_client_joins_while_the_last_one_leaves() {
    check(|| {
        let stage = Stage::new(|publisher| {
            feed(&publisher);
            block_on(publisher.abandoned());
        });
        let met = Arc::new(Mutex::new(Vec::new()));
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let (stage, met) = (stage.clone(), Arc::clone(&met));
                thread::spawn(move || watch(stage.join("/stream").expect("nothing is remembered"), &met))
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        met.lock().unwrap().clear();
        stage.finish();
    });
}

/// The driver is gone without a word while clients come: each is told, after all that was appended.
pub fn a_publisher_is_dropped_while_clients_join() {
    check(|| ends(|publisher| feed(&publisher), &End::PublisherGone));
}

/// The driver is gone before the origin said a word: each client has its verdict.
pub fn a_publisher_is_dropped_before_the_head() {
    check(|| {
        let stage = Stage::new(drop);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let stage = stage.clone();
                thread::spawn(move || {
                    let mut subscription = stage.join("/stream").expect("nothing is remembered");
                    let verdict = block_on(subscription.verdict(None));
                    assert!(matches!(verdict, Verdict::Ended(End::PublisherGone)), "{verdict:?}");
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        stage.finish();
    });
}

/// The stream is closed and its end remembered while clients come: each gets all of it, or the same end at once.
pub fn a_stream_is_closed_while_clients_join() {
    check(|| {
        ends(
            |publisher| {
                feed(&publisher);
                block_on(publisher.close(End::NoContent, Duration::from_secs(3600)));
            },
            &End::NoContent,
        );
    });
}

/// A stream is over, and another of its key opened, before its publisher is gone: that does not take the other one out.
pub fn a_new_stream_is_not_forgotten_for_the_old_one() {
    check(|| {
        let stage = Stage::new(|publisher| {
            publisher.counters().upstream_attempts.add(1);
            feed(&publisher);
            if publisher.counters().upstream_attempts.value() > 1 {
                block_on(publisher.abandoned());
            }
        });
        let (_, end) = read_to_the_end(stage.join("/stream").unwrap());
        assert_eq!(end, End::PublisherGone);
        let clients = [stage.join("/stream").unwrap(), stage.join("/stream").unwrap()];
        assert_eq!(stage.opened(), 2);
        drop(clients);
        stage.finish();
    });
}

/// Clients that stay ask for one stream at the same time: it is opened once.
pub fn simultaneous_first_requests_open_one_stream() {
    check(|| {
        let stage = Stage::new(|publisher| {
            feed(&publisher);
            block_on(publisher.abandoned());
        });
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let stage = stage.clone();
                thread::spawn(move || stage.join("/stream").unwrap())
            })
            .collect();
        let clients: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert_eq!(stage.opened(), 1);
        drop(clients);
        stage.finish();
    });
}

fn ends(driver: fn(Publisher), expected: &End) {
    let stage = Stage::new(driver);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (stage, expected) = (stage.clone(), expected.clone());
            thread::spawn(move || match stage.join("/stream") {
                Ok(subscription) => {
                    let (events, end) = read_to_the_end(subscription);
                    assert_eq!((events, end), (EVENTS, expected));
                }
                Err(error) => assert_eq!(error, JoinError::Ended(expected)),
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    stage.finish();
}

fn read_to_the_end(mut subscription: Subscription) -> (usize, End) {
    let mut frames = Vec::new();
    loop {
        match subscription.read(usize::MAX, &mut frames) {
            Delivery::Frames => {}
            Delivery::CaughtUp => block_on(subscription.changed()),
            Delivery::Lagged(gap) => panic!("{gap:?}"),
            Delivery::Ended(end) => return (frames.len(), end),
        }
    }
}

/// Reads a stream as the engine does, until all of it was given.
fn watch(subscription: Subscription, met: &Mutex<Vec<(FeedId, Feed)>>) {
    let Detached { seat, mut cursor, .. } = subscription.detach();
    let bell = Arc::new(Bell::default());
    let feed = Feed::new(&seat, Arc::clone(&bell) as Arc<dyn Watcher>);
    {
        let mut met = met.lock().unwrap();
        let id = Feed::id(&seat);
        assert!(met.iter().all(|(other, feed)| *other == id || feed.is_over()), "two streams of one key are open");
        met.push((id, Feed::new(&seat, Arc::new(Bell::default()))));
    }
    let mut frames = Vec::new();
    while frames.len() < EVENTS {
        match feed.read(cursor, usize::MAX, &mut frames) {
            Reading::To(next) => cursor = next,
            Reading::CaughtUp => _ = bell.hear(true),
            other => panic!("{other:?} with a client on the stream"),
        }
    }
}
