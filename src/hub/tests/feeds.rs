//! Streams that are read for many clients at once.

use super::*;
use crate::hub::{Detached, Feed, Reading, Watcher};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct Told(AtomicUsize);

impl Watcher for Told {
    fn changed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn asked(&self) {}
}

impl Told {
    fn times(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_of_each_change_until_its_feed_is_dropped() {
    let stage = Stage::new();
    let (subscription, publisher) = stage.open("/a");
    let detached = subscription.detach();
    let (told, other) = (Arc::new(Told::default()), Arc::new(Told::default()));
    let feed = Feed::new(&detached.seat, Arc::clone(&told) as _);
    let others = Feed::new(&detached.seat, Arc::clone(&other) as _);
    live(&publisher);
    assert_eq!(told.times(), 1);
    append(&publisher, &["0"]);
    assert_eq!(told.times(), 1);
    publisher.mark(None);
    assert_eq!((told.times(), other.times()), (1, 3));
    drop(feed);
    append(&publisher, &["1"]);
    assert_eq!((told.times(), other.times()), (0, 1));
    drop(publisher);
    assert_eq!(other.times(), 1);
    assert!(others.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_detached_client_stays_on_its_stream_and_reads_it_to_the_end() {
    let stage = Stage::new();
    let (subscription, publisher) = stage.open("/a");
    let Detached { seat, cursor, told_first } = subscription.detach();
    assert_eq!(told_first, None);
    let end = cursor.plus(2);
    assert_eq!(stage.counted("subscribers"), 1);
    let mut feed = Feed::new(&seat, Arc::new(Told::default()));
    live(&publisher);
    append(&publisher, &["0", "1"]);
    let mut frames = Vec::new();
    assert_eq!(feed.lag(cursor), 2);
    assert_eq!(feed.read(cursor, usize::MAX, &mut frames), Reading::To(end));
    assert_eq!((data(&frames).as_str(), feed.lag(end)), ("0 1", 0));
    assert_eq!(feed.read(end, usize::MAX, &mut frames), Reading::CaughtUp);
    drop(seat);
    assert_eq!(stage.counted("subscribers"), 0);
    drop(publisher);
    assert_eq!(feed.read(end, usize::MAX, &mut frames), Reading::Ended(End::PublisherGone));
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_a_lost_connection_leaves_and_the_event_behind_it_are_one_change() {
    let stage = Stage::new();
    let (subscription, publisher) = stage.open("/a");
    let told = Arc::new(Told::default());
    let _feed = Feed::new(&subscription.detach().seat, Arc::clone(&told) as _);
    publisher.append(&[Event::of_type("", "1")], &mut Continuation::fresh(true));
    assert_eq!(told.times(), 1);
    assert_eq!(stage.counted("gaps"), 1);
}
