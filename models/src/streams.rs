//! Streams open and close while clients come and go.

use crate::bell::Bell;
use crate::check;
use crate::hub::{
    Detached, End, Feed, FeedId, JoinError, Publisher, Reading, Sharing, Subscription, Verdict, Watcher,
};
use crate::sse::Frame;
use crate::stage::{EVENTS, Stage, feed, feed_as};
use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::thread;
use std::sync::Arc;
use std::time::Duration;

/// Clients come while the last one leaves and the linger ends. Each is given all of a stream, there is never a second
/// open stream, and in the end there is none.
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

/// The publisher is dropped without an end while clients come. Each client is told so, after all events that were
/// appended.
pub fn a_publisher_is_dropped_while_clients_join() {
    check(|| ends(|publisher| feed(&publisher), &End::PublisherGone));
}

/// The publisher is dropped before the origin's head came. Each client gets its verdict.
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

/// The stream is closed and its end remembered while clients come. Each gets all of the stream, or its end at once.
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

/// A stream ends, and another one of its key is opened before its publisher is dropped. The drop must not remove the
/// new stream.
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

/// Clients ask for the same stream at the same time and stay. It is opened once.
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

/// A route is full, and its one stream is empty. A client comes back to it while another client opens a stream. A
/// client on a stream stays on it, the later client is told that there is no room, and nothing is left of the stream
/// that gave way.
pub fn a_stream_gives_way_while_a_client_comes_back() {
    check(|| {
        let stage = Stage::new(|publisher| {
            feed(&publisher);
            block_on(publisher.abandoned());
        });
        drop(stage.join("/back").unwrap());
        let clients: Vec<_> = ["/back", "/new", "/new"]
            .into_iter()
            .map(|path| {
                let stage = stage.clone();
                thread::spawn(move || match stage.join(path) {
                    Ok(mut subscription) => read_events(&mut subscription).len(),
                    Err(error) => {
                        assert_eq!(error, JoinError::TooManyStreams);
                        0
                    }
                })
            })
            .collect();
        let given: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert!(given.contains(&EVENTS) && given.iter().all(|given| [0, EVENTS].contains(given)), "{given:?}");
        stage.finish();
    });
}

/// The head says that the response is for one client alone, while other clients come. Each client is given a stream,
/// no client an event of another's, and the origin gets no more requests than there are clients.
pub fn a_response_turns_out_unshareable_while_clients_join() {
    check(|| {
        let stage = Stage::with_room(unshareable, 3);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let stage = stage.clone();
                thread::spawn(move || own_stream(&stage))
            })
            .collect();
        let given = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert_eq!(stage.opened(), 3);
        each_has_its_own(given);
        stage.finish();
    });
}

/// An origin's response is for one client only, and the client that opened the stream leaves at the same time.
pub fn the_opener_of_an_unshareable_response_leaves() {
    check(|| {
        let stage = Stage::with_room(unshareable, 4);
        let opener = stage.join("/stream").unwrap();
        let leaves = thread::spawn(move || drop(opener));
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let stage = stage.clone();
                thread::spawn(move || own_stream(&stage))
            })
            .collect();
        let given = clients.into_iter().map(|client| client.join().unwrap()).collect();
        leaves.join().unwrap();
        each_has_its_own(given);
        stage.finish();
    });
}

fn unshareable(publisher: Publisher) {
    feed_as(&publisher, Sharing::Unshareable { sets_cookie: true });
    block_on(publisher.abandoned());
}

/// Joins as a session does that needs a stream of its own. Returns what that stream gave.
fn own_stream(stage: &Stage) -> (Subscription, Vec<Frame>) {
    let mut subscription = stage.join("/stream").expect("there is room");
    let mut verdict = block_on(subscription.verdict(None));
    if let Verdict::Ended(End::Unshareable) = verdict {
        let mut frames = Vec::new();
        assert_eq!(subscription.read(usize::MAX, &mut frames), Reading::Ended(End::Unshareable));
        assert!(frames.is_empty());
        drop(subscription);
        subscription = stage.join_alone("/stream").expect("there is room");
        verdict = block_on(subscription.verdict(None));
    }
    assert!(matches!(verdict, Verdict::Own(_)), "{verdict:?}");
    let frames = read_events(&mut subscription);
    (subscription, frames)
}

/// Minted ids belong to one log. So equal frames would come from the same stream.
fn each_has_its_own(mut given: Vec<(Subscription, Vec<Frame>)>) {
    while let Some((_, frames)) = given.pop() {
        assert!(frames.iter().all(|frame| given.iter().all(|(_, others)| !others.contains(frame))), "{frames:?}");
    }
}

/// Reads all events of a stream that lives as long as a client is on it.
fn read_events(subscription: &mut Subscription) -> Vec<Frame> {
    let mut frames = Vec::new();
    while frames.len() < EVENTS {
        match subscription.read(usize::MAX, &mut frames) {
            Reading::To(_) => {}
            Reading::CaughtUp => block_on(subscription.changed()),
            other => panic!("{other:?} with a client on the stream"),
        }
    }
    frames
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
            Reading::To(_) => {}
            Reading::CaughtUp => block_on(subscription.changed()),
            Reading::Lagged(gap) => panic!("{gap:?}"),
            Reading::Ended(end) => return (frames.len(), end),
        }
    }
}

/// Reads a stream as the engine does, until all of it was given.
fn watch(mut subscription: Subscription, met: &Mutex<Vec<(FeedId, Feed)>>) {
    // Before the verdict, the client that opened the stream has a feed of its own.
    let verdict = block_on(subscription.verdict(None));
    assert!(matches!(verdict, Verdict::Live(_)), "{verdict:?}");
    let Detached { seat, mut cursor, .. } = subscription.detach();
    let bell = Arc::new(Bell::default());
    let mut feed = Feed::new(&seat, Arc::clone(&bell) as Arc<dyn Watcher>);
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
