//! The origin is read no faster than the fastest subscriber takes events.

use super::*;
use crate::hub::{Feed, Watcher};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// How long a publisher waits for subscribers that take nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// An event of 40 KiB. Two of them are more than the log may be ahead.
fn heavy() -> Event {
    event(&"x".repeat(40 << 10))
}

async fn waited(publisher: &Publisher) -> Duration {
    let begun = Instant::now();
    publisher.room().await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_publisher_waits_for_the_fastest_subscriber_alone() {
    let stage = Stage::new();
    let (mut fast, publisher) = stage.open("/a");
    let slow = stage.join("/a").unwrap();
    let send = || publisher.append(&[heavy()], &mut Continuation::fresh(false));
    for _ in 0..5 {
        send();
        assert_eq!(waited(&publisher).await, Duration::ZERO, "one event ahead");
        send();
        let mut room = Box::pin(publisher.room());
        assert!((&mut room).now_or_never().is_none(), "two are too many");
        drain(&mut fast);
        assert!(room.now_or_never().is_some());
    }
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_small_log_is_no_reason_to_run_ahead() {
    let stage = Stage::with(events(1));
    let (mut client, publisher) = stage.open("/a");
    publisher.append(&[heavy(), heavy()], &mut Continuation::fresh(false));
    let mut room = Box::pin(publisher.room());
    assert!((&mut room).now_or_never().is_none(), "what the log dropped is still to be delivered");
    drain(&mut client);
    assert!(room.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn subscribers_that_take_nothing_for_long_are_not_waited_for_until_one_does() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    let send = || publisher.append(&[heavy(), heavy()], &mut Continuation::fresh(false));
    send();
    assert_eq!(waited(&publisher).await, PATIENCE);
    send();
    assert_eq!(waited(&publisher).await, Duration::ZERO, "it does not read");
    drain(&mut client);
    send();
    assert_eq!(waited(&publisher).await, PATIENCE, "it read again");
    client.arrivals().arrived();
    send();
    assert_eq!(waited(&publisher).await, PATIENCE, "bytes arrived");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_receives_bytes_but_reads_no_more_of_the_log_is_waited_for() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    publisher.append(&[heavy(), heavy()], &mut Continuation::fresh(false));
    let mut room = Box::pin(publisher.room());
    for _ in 0..10 {
        assert!(timeout(PATIENCE - SECOND, &mut room).await.is_err());
        client.arrivals().arrived();
    }
    drain(&mut client);
    assert!(room.now_or_never().is_some());
}

/// A watcher whose clients receive bytes until it was asked `takes` times.
#[derive(Debug, Default)]
struct Slow {
    feed: Mutex<Option<Feed>>,
    asked: AtomicUsize,
    takes: usize,
}

impl Watcher for Slow {
    fn changed(&self) {}

    fn asked(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) < self.takes {
            self.feed.lock().as_ref().unwrap().arrived();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_while_the_publisher_waits_is_it_asked_whether_bytes_arrived() {
    const TAKES: usize = 100;
    let stage = Stage::new();
    let (client, publisher) = stage.open("/a");
    let seat = client.detach().seat;
    let slow = Arc::new(Slow { takes: TAKES, ..Slow::default() });
    *slow.feed.lock() = Some(Feed::new(&seat, Arc::clone(&slow) as _));
    publisher.append(&[heavy()], &mut Continuation::fresh(false));
    assert_eq!((waited(&publisher).await, slow.asked.load(Ordering::Relaxed)), (Duration::ZERO, 0));
    publisher.append(&[heavy()], &mut Continuation::fresh(false));
    let patient = waited(&publisher).await;
    let asked = u32::try_from(slow.asked.load(Ordering::Relaxed)).unwrap();
    let each = patient / asked;
    assert_eq!(patient, each * u32::try_from(TAKES).unwrap() + PATIENCE, "asked {asked} times");
    publisher.append(&[heavy()], &mut Continuation::fresh(false));
    assert_eq!(waited(&publisher).await, Duration::ZERO);
    assert_eq!(slow.asked.load(Ordering::Relaxed), asked as usize, "the publisher does not wait, so it does not ask");
    *slow.feed.lock() = None;
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_waited_for_whatever_the_others_took() {
    let stage = Stage::new();
    let (_deaf, publisher) = stage.open("/a");
    let send = || publisher.append(&[heavy(), heavy()], &mut Continuation::fresh(false));
    send();
    let mut room = Box::pin(publisher.room());
    assert!((&mut room).now_or_never().is_none());
    let newcomer = stage.join("/a").unwrap();
    assert!(room.now_or_never().is_some(), "it has nothing to take yet");
    send();
    drop(newcomer);
    assert_eq!(waited(&publisher).await, PATIENCE);
    let _newcomer = stage.join("/a").unwrap();
    send();
    assert_eq!(waited(&publisher).await, PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_without_subscribers_does_not_wait() {
    let stage = Stage::new();
    let (client, publisher) = stage.open("/a");
    drop(client);
    publisher.append(&[heavy(), heavy(), heavy()], &mut Continuation::fresh(false));
    assert_eq!(waited(&publisher).await, Duration::ZERO);
}
