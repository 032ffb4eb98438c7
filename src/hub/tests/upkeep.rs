//! What a stream does without its events: it drops old ones, and lets go of what nobody wants.

use super::*;
use crate::hub::budget::STREAM_OVERHEAD;
use crate::replay::cost_of;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::time::{advance, sleep};

const AGE: Duration = Duration::from_secs(16);

/// After this time beyond their age, events are gone.
const LATE: Duration = Duration::from_secs(2);

fn aging() -> ReplayOptions {
    ReplayOptions { age: Some(AGE), ..events(10_000) }
}

/// The number of events of [`feed`] that the stage's only stream keeps.
fn kept(stage: &Stage) -> usize {
    stage.hub.held_bytes().saturating_sub(STREAM_OVERHEAD) / cost_of(&Frame::of_text(&[b'x'; 1020]))
}

fn feed(publisher: &Publisher, n: usize) {
    for _ in 0..n {
        append(publisher, &["x".repeat(1000).as_str()]);
    }
}

/// A future that counts how often it is polled.
struct Counted<F>(Pin<Box<F>>, Arc<AtomicUsize>);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.as_mut().poll(context)
    }
}

/// Runs the upkeep of a stream in a task. Returns how often that was woken.
fn keep_up(publisher: &Publisher) -> Arc<AtomicUsize> {
    let woken = Arc::new(AtomicUsize::new(0));
    drop(tokio::spawn(Counted(Box::pin(publisher.upkeep()), Arc::clone(&woken))));
    woken
}

#[tokio::test(start_paused = true)]
async fn events_that_are_too_old_are_dropped_on_a_quiet_stream() {
    let stage = Stage::with(aging());
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    keep_up(&publisher);
    feed(&publisher, 3000);
    drain(&mut client);
    sleep(AGE).await;
    assert_eq!(kept(&stage), 3000, "not before");
    sleep(LATE).await;
    assert_eq!(kept(&stage), 1, "all but the newest, and the budget is told");
    feed(&publisher, 5);
    drain(&mut client);
    assert_eq!(kept(&stage), 5);
    drop(client);
    sleep(AGE + LATE).await;
    assert_eq!(kept(&stage), 1, "on a stream without clients too");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_woken_a_few_times_per_age_and_not_for_each_event() {
    let stage = Stage::with(aging());
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    let woken = keep_up(&publisher);
    for _ in 0..10_000 {
        advance(AGE / 1000).await;
        tokio::task::yield_now().await;
        feed(&publisher, 1);
        drain(&mut client);
    }
    assert!((900..=1100).contains(&kept(&stage)), "{}", kept(&stage));
    let woken = woken.load(Ordering::Relaxed);
    assert!((10..=10 * 17).contains(&woken), "{woken}");
}

#[tokio::test(start_paused = true)]
async fn without_an_event_that_will_be_too_old_nothing_wakes() {
    for replay in [aging(), ReplayOptions { age: None, ..events(100) }] {
        let stage = Stage::with(replay);
        let (_client, publisher) = stage.open("/a");
        live(&publisher);
        let woken = keep_up(&publisher);
        feed(&publisher, 1);
        sleep(100 * AGE).await;
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_only_remembered_keeps_old_events_no_longer_and_none_without_readers() {
    let stage = Stage::with(aging());
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    feed(&publisher, 100);
    drain(&mut client);
    let closing = tokio::spawn(publisher.close(End::NoContent, 10 * AGE));
    sleep(AGE + LATE).await;
    assert_eq!(kept(&stage), 1);
    drop(client);
    assert_eq!(kept(&stage), 0);
    assert!(!closing.is_finished());
    let (client, publisher) = stage.open("/b");
    live(&publisher);
    feed(&publisher, 100);
    assert!(kept(&stage) >= 100);
    drop(client);
    drop(tokio::spawn(publisher.close(End::NoContent, 10 * AGE)));
    tokio::task::yield_now().await;
    assert!(kept(&stage) < 10, "{}", kept(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_given_all_of_a_stream_that_is_over() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0", "1"]);
    drop(tokio::spawn(publisher.close(End::NoContent, AGE)));
    tokio::task::yield_now().await;
    assert_eq!(drain(&mut client), ("0 1".to_owned(), Reading::Ended(End::NoContent)));
}
