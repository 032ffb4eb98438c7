//! What the log keeps for the clients of a shard beyond its bounds.

use super::*;
use std::num::NonZeroUsize;

/// What a stream holds beyond this many bytes is kept for clients that keep up.
const BOUND: usize = 8 << 10;

fn one_event() -> ReplayOptions {
    ReplayOptions { events: NonZeroUsize::new(1), ..ReplayOptions::default() }
}

/// Publishes `n` events of a kilobyte, one by one.
fn burst(publisher: &Publisher, n: usize) {
    for number in 0..n {
        publish(publisher, &[&format!("{number} {}", "x".repeat(1000))]);
    }
}

/// The numbers of the events in a text.
fn numbers(text: &str) -> Vec<usize> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")?.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn a_burst_reaches_all_that_were_caught_up_and_then_nothing_of_it_is_kept() {
    let mut stage = Stage::with(one_event(), |_| {});
    let (first, publisher) = stage.opened("/a");
    let mut clients = vec![first];
    clients.extend((0..3).map(|_| stage.client("/a")));
    stage.settle();
    clients.iter_mut().for_each(|client| drop(client.take()));
    burst(&publisher, 100);
    assert!(stage.hub.held_bytes() > 100_000);
    let mut texts = vec![String::new(); clients.len()];
    for _ in 0..20 {
        stage.settle();
        clients.iter_mut().zip(&mut texts).for_each(|(client, text)| *text += &client.text());
    }
    texts.iter().for_each(|text| assert_eq!(numbers(text), (0..100).collect::<Vec<_>>()));
    assert!(stage.hub.held_bytes() < BOUND, "{}", stage.hub.held_bytes());
    assert_eq!(stage.departed(), []);
}

#[test]
fn a_client_that_takes_a_burst_slowly_gets_all_of_it_and_one_that_takes_nothing_is_not_waited_for() {
    let mut stage = Stage::with(one_event(), |_| {});
    let mut slow = stage.client_with("/a", hold_little);
    let mut stuck = stage.client_with("/a", hold_little);
    stage.settle();
    let publisher = stage.publisher();
    slow.take();
    stuck.take();
    burst(&publisher, 100);
    stage.settle();
    let mut text = String::new();
    // Each step is shorter than the patience with a client that takes nothing, and all of them together are longer.
    while numbers(&text).len() < 100 {
        stage.later(SECOND / 4);
        text += &slow.text();
        stage.settle();
    }
    assert_eq!(numbers(&text), (0..100).collect::<Vec<_>>());
    stage.slowly(3 * SECOND);
    assert!(stage.hub.held_bytes() < BOUND, "{}", stage.hub.held_bytes());
    assert_eq!((stage.departed(), stuck.read()), (vec![Departure::Lagged], Link::Ended));
    burst(&publisher, 3);
    stage.settle();
    assert_eq!(numbers(&slow.text()), [0, 1, 2]);
}

/// Whether the publisher may read on from its origin now.
fn has_room(publisher: &Publisher) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::ZERO, publisher.room()).await.is_ok() })
}

#[test]
fn a_burst_of_tiny_events_waits_for_the_only_client_however_it_reads() {
    const EVENTS: usize = 50_000;
    const AT_ONCE: usize = 1000;
    let mut stage = Stage::with(one_event(), |_| {});
    let mut client = stage.client_with("/a", hold_little);
    stage.settle();
    let publisher = stage.publisher();
    client.take();
    let (mut published, mut text) = (0, String::new());
    while text.matches("data: ").count() < EVENTS {
        while published < EVENTS && has_room(&publisher) {
            publish(&publisher, &["0", "1", "2", "3"].repeat(AT_ONCE / 4));
            published += AT_ONCE;
            stage.settle();
        }
        text += &client.text();
        stage.settle();
        assert_eq!(stage.departed(), [], "{published}");
    }
    assert_eq!(numbers(&text), [0, 1, 2, 3].repeat(EVENTS / 4));
}

#[test]
fn a_client_that_was_slow_and_has_caught_up_is_given_whole_bursts_again() {
    let mut stage = Stage::with(ReplayOptions { events: NonZeroUsize::new(150), ..one_event() }, |_| {});
    let mut client = stage.client_with("/a", hold_little);
    stage.settle();
    let publisher = stage.publisher();
    client.take();
    burst(&publisher, 100);
    stage.settle();
    stage.slowly(5 * SECOND);
    let mut text = String::new();
    while numbers(&text).len() < 100 {
        stage.settle();
        text += &client.text();
    }
    stage.settle();
    burst(&publisher, 300);
    stage.settle();
    while numbers(&text).len() < 400 {
        stage.settle();
        text += &client.text();
    }
    assert_eq!(stage.departed(), []);
}

#[test]
fn clients_that_leave_keep_nothing() {
    let mut stage = Stage::with(one_event(), |_| {});
    let (stays, publisher) = stage.opened("/a");
    let leaves: Vec<_> = (0..3).map(|_| stage.client_with("/a", hold_little)).collect();
    stage.settle();
    burst(&publisher, 100);
    stage.turn();
    drop(leaves);
    stage.settle();
    let mut stays = stays;
    while numbers(&stays.text()).last() != Some(&99) {
        stage.settle();
    }
    assert!(stage.hub.held_bytes() < BOUND, "{}", stage.hub.held_bytes());
}
