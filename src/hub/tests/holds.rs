//! What a stream keeps beyond its bounds, for whom, and until when.

use super::*;
use crate::hub::budget::STREAM_OVERHEAD;
use crate::hub::{Detached, Feed, Reading, Watcher};
use crate::replay::cost_of;

/// A watcher that does nothing.
#[derive(Debug)]
struct Nobody;

impl Watcher for Nobody {
    fn changed(&self) {}

    fn asked(&self) {}
}

/// Appends `n` events of a kilobyte each, one by one, with the numbers from `from` on.
fn burst(publisher: &Publisher, from: usize, n: usize) {
    for number in from..from + n {
        append(publisher, &[&format!("{number} {}", "x".repeat(1000))]);
    }
}

/// The numbers of the events that a subscription is given, and why there are no more.
fn numbers(subscription: &mut Subscription) -> (Vec<usize>, Reading) {
    let (given, then) = drain(subscription);
    (given.split(' ').filter_map(|word| word.parse().ok()).collect(), then)
}

/// The number of such events that the stage's only stream keeps.
fn kept(stage: &Stage) -> usize {
    let each = cost_of(&Frame::of_text(&[b'x'; 1020]));
    stage.hub.held_bytes().saturating_sub(STREAM_OVERHEAD) / each
}

#[tokio::test(start_paused = true)]
async fn a_burst_stays_until_the_clients_that_keep_up_have_it_and_not_longer() {
    let stage = Stage::with(events(1));
    let (mut first, publisher) = stage.open("/a");
    let mut second = stage.join("/a").unwrap();
    live(&publisher);
    burst(&publisher, 0, 100);
    assert_eq!(kept(&stage), 100);
    assert_eq!(numbers(&mut first), ((0..100).collect(), Reading::CaughtUp));
    assert_eq!(kept(&stage), 100, "the other client is still to be given all of it");
    assert_eq!(numbers(&mut second), ((0..100).collect(), Reading::CaughtUp));
    assert_eq!(kept(&stage), 1);
    burst(&publisher, 100, 100);
    drop(second);
    assert_eq!(kept(&stage), 100);
    drop(first);
    assert_eq!(kept(&stage), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_a_client_that_receives_nothing_until_it_has_caught_up() {
    let stage = Stage::with(events(5));
    let (mut client, publisher) = stage.open("/a");
    let arrivals = client.arrivals();
    burst(&publisher, 0, 20);
    assert_eq!(kept(&stage), 20);
    arrivals.found_slow();
    assert_eq!(kept(&stage), 5);
    let (given, Reading::Lagged(gap)) = numbers(&mut client) else { panic!("its events were dropped") };
    assert!(given.is_empty());
    burst(&publisher, 20, 20);
    assert_eq!(kept(&stage), 5, "it is still behind");
    client.skip(gap);
    assert_eq!(numbers(&mut client), ((35..40).collect(), Reading::CaughtUp));
    burst(&publisher, 40, 20);
    assert_eq!(numbers(&mut client), ((40..60).collect(), Reading::CaughtUp), "it keeps up again");
    arrivals.found_slow();
    drop(client);
    arrivals.found_slow();
    assert_eq!(kept(&stage), 5);
}

#[tokio::test(start_paused = true)]
async fn the_clients_of_a_feed_have_one_hold_and_those_that_leave_it_have_their_own() {
    let stage = Stage::with(events(1));
    let (first, publisher) = stage.open("/a");
    live(&publisher);
    let mut seats: Vec<_> = [first, stage.join("/a").unwrap(), stage.join("/a").unwrap()]
        .into_iter()
        .map(|subscription| {
            let Detached { seat, cursor, .. } = subscription.detach();
            (seat, cursor)
        })
        .collect();
    let cursor = seats[0].1;
    let mut feed = Feed::new(&seats[0].0, Arc::new(Nobody));
    for (seat, at) in &mut seats {
        assert!(seat.has_hold());
        feed.join(seat, *at);
        assert!(!seat.has_hold());
    }
    burst(&publisher, 0, 100);
    assert_eq!(kept(&stage), 100, "nobody was read for yet");
    let mut frames = Vec::new();
    assert!(matches!(feed.read(cursor, 50_000, &mut frames), Reading::To(_)));
    // One of the clients took only ten frames of these.
    let (seat, _) = &mut seats[2];
    let cut = cursor.plus(10);
    feed.leave(seat, cut);
    while feed.read(cursor.plus(frames.len()), 50_000, &mut frames) != Reading::CaughtUp {}
    assert_eq!(frames.len(), 100);
    assert_eq!(kept(&stage), 90);
    let mut late = Vec::new();
    assert_eq!(feed.read_alone(seat, cut, usize::MAX, &mut late), Reading::To(cursor.plus(100)));
    assert_eq!(late.len(), 90);
    assert_eq!(kept(&stage), 90, "it may not take all of it");
    assert_eq!(feed.read_alone(seat, cursor.plus(100), usize::MAX, &mut late), Reading::CaughtUp);
    assert_eq!(kept(&stage), 1);
    // A client that was read for with the others is found slow when it is served alone.
    burst(&publisher, 100, 50);
    assert!(matches!(feed.read(cursor.plus(100), 50_000, &mut frames), Reading::To(_)));
    feed.leave(seat, cursor.plus(110));
    seat.found_slow();
    while feed.read(cursor.plus(frames.len()), 50_000, &mut frames) != Reading::CaughtUp {}
    assert_eq!(kept(&stage), 1);
    assert!(matches!(feed.read_alone(seat, cursor.plus(110), usize::MAX, &mut late), Reading::Lagged(_)));
    burst(&publisher, 150, 50);
    assert_eq!(kept(&stage), 50);
    feed.rest();
    assert_eq!(kept(&stage), 1);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_gone_and_a_client_that_joins_late_keep_nothing() {
    let stage = Stage::with(events(1));
    let (first, publisher) = stage.open("/a");
    live(&publisher);
    let Detached { mut seat, cursor, .. } = first.detach();
    let Detached { seat: mut late, .. } = stage.join("/a").unwrap().detach();
    let mut feed = Feed::new(&seat, Arc::new(Nobody));
    feed.join(&mut seat, cursor);
    let mut frames = Vec::new();
    burst(&publisher, 0, 50);
    while feed.read(cursor.plus(frames.len()), usize::MAX, &mut frames) != Reading::CaughtUp {}
    // What it was given is the others' batch, which needed no read for it.
    feed.join(&mut late, cursor.plus(50));
    assert_eq!(kept(&stage), 1);
    burst(&publisher, 50, 50);
    assert_eq!(kept(&stage), 50);
    drop(feed);
    assert_eq!(kept(&stage), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_its_place_is_still_to_be_given_what_comes() {
    let stage = Stage::with(events(1));
    let (mut other, publisher) = stage.open("/a");
    live(&publisher);
    let mut waits = stage.resume("/a", Some("unknown")).unwrap();
    burst(&publisher, 0, 20);
    drain(&mut other);
    waits.placed(tokio::time::Instant::now()).await.unwrap();
    let (given, then) = numbers(&mut waits);
    assert_eq!((given, then), (vec![19], Reading::CaughtUp), "it is told a gap, and gets what is held");
    assert_eq!(kept(&stage), 1);
}
