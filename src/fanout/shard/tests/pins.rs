//! Clients that stop reading in the middle of an event, and what they keep in memory.

use super::*;
use std::num::NonZeroUsize;

fn events(n: usize) -> ReplayOptions {
    ReplayOptions { events: NonZeroUsize::new(n), ..ReplayOptions::default() }
}

/// A stage whose clients are told of what they miss. Slow ones may keep a sixteenth of its bytes: two large events and a
/// half.
fn skipping() -> Stage {
    Stage::bounded(40 * MIB, events(1), |pace| {
        pace.stall = 1000 * SECOND;
        pace.skips = true;
    })
}

/// Publishes an event of a megabyte, which a client that reads takes.
fn publish_large(stage: &mut Stage, publisher: &Publisher, reads: &mut Reader) {
    publish(publisher, &[&"x".repeat(MIB)]);
    let mut read = 0;
    while read < MIB {
        stage.settle();
        read += reads.take().len();
    }
}

/// `n` clients that stop reading, each in the middle of another event. They count as slow.
fn stuck(n: usize, stage: &mut Stage, publisher: &Publisher, reads: &mut Reader) -> Vec<Reader> {
    let mut stuck = Vec::new();
    for _ in 0..n {
        stuck.push(stage.client_with("/a", hold_little));
        stage.settle();
        publish_large(stage, publisher, reads);
    }
    stage.later(SLOW);
    stage.later(SLOW);
    stuck
}

#[test]
fn a_client_that_reads_nothing_lags_as_soon_as_its_next_event_is_gone() {
    let mut stage = Stage::with(events(2), |pace| pace.stall = 1000 * SECOND);
    let (mut reads, publisher) = stage.opened("/a");
    let _stuck = stuck(1, &mut stage, &publisher, &mut reads);
    for _ in 0..2 {
        publish(&publisher, &["small"]);
        stage.settle();
        assert_eq!(stage.departed(), [], "its next event is there");
    }
    publish(&publisher, &["small"]);
    stage.settle();
    assert_eq!((stage.departed(), stage.hub.pinned_bytes()), (vec![Departure::Lagged], 0));
    assert_eq!(stage.shard.members.clients().len(), 1);
}

#[test]
fn what_slow_clients_keep_together_is_bounded_and_who_may_keep_its_event_gets_all_of_it() {
    const CLIENTS: usize = 5;
    let mut stage = skipping();
    let (mut reads, publisher) = stage.opened("/a");
    let mut stuck = stuck(CLIENTS, &mut stage, &publisher, &mut reads);
    publish(&publisher, &["small"]);
    stage.settle();
    assert_eq!(stage.departed(), vec![Departure::Lagged; CLIENTS - 2]);
    let pinned = stage.hub.pinned_bytes();
    assert!((2 * MIB..40 * MIB / 16).contains(&pinned), "{pinned}");
    let mut whole = 0;
    for client in &mut stuck {
        let mut text = Vec::new();
        for _ in 0..ENOUGH {
            stage.settle();
            text.extend_from_slice(&client.take());
        }
        let text = String::from_utf8(text).unwrap();
        let large = text.lines().any(|line| line.strip_prefix("data: ").is_some_and(|data| data.len() == MIB));
        whole += usize::from(large);
        assert_eq!(large, text.contains("{\"reason\":\"lag\"") && text.contains("data: small\n"));
    }
    assert_eq!((whole, stage.hub.pinned_bytes()), (2, 0));
}

#[test]
fn the_end_of_a_small_rest_is_kept_without_its_event() {
    let mut stage = skipping();
    let (mut reads, publisher) = stage.opened("/a");
    let mut slow = stage.client_with("/a", hold_little);
    stage.settle();
    publish_large(&mut stage, &publisher, &mut reads);
    // All but less than a quarter of the event.
    let mut read = 0;
    while read < MIB - MIB / 5 {
        read += slow.socket.read(&mut [0; 1024]).unwrap_or(0);
        stage.settle();
    }
    stage.later(SLOW);
    stage.later(SLOW);
    publish(&publisher, &["small"]);
    stage.settle();
    let pinned = stage.hub.pinned_bytes();
    assert!((1..MIB / 4).contains(&pinned), "{pinned}");
    assert_eq!(stage.departed(), []);
}

#[test]
fn the_log_keeps_the_event_that_a_client_is_in_the_middle_of_until_it_counts_as_slow() {
    let mut stage = skipping();
    let (mut reads, publisher) = stage.opened("/a");
    let mut slow = stage.client_with("/a", hold_little);
    stage.settle();
    publish_large(&mut stage, &publisher, &mut reads);
    let held = stage.hub.held_bytes();
    // The log drops the large event, and still keeps it for delivery.
    publish(&publisher, &["small"]);
    stage.settle();
    assert!(stage.hub.held_bytes() > held, "{}", stage.hub.held_bytes());
    assert_eq!(stage.hub.pinned_bytes(), 0);
    // Nothing happens to the log but that it keeps nothing for the client any more.
    stage.later(SLOW);
    assert!(stage.hub.held_bytes() < MIB, "{}", stage.hub.held_bytes());
    assert!(stage.hub.pinned_bytes() >= MIB, "{}", stage.hub.pinned_bytes());
    let mut text = Vec::new();
    for _ in 0..ENOUGH {
        text.extend_from_slice(&slow.take());
        stage.settle();
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(&"x".repeat(MIB)) && text.contains("data: small\n"));
    assert_eq!((stage.hub.pinned_bytes(), stage.departed()), (0, vec![]));
}

/// Each turn judges some of them.
#[test]
fn a_crowd_that_falls_off_the_log_together_is_judged_to_the_last() {
    const CLIENTS: usize = 300;
    let mut stage = Stage::with(events(1), |pace| pace.stall = 1000 * SECOND);
    let (mut reads, publisher) = stage.opened("/a");
    let _crowd: Vec<_> = (0..CLIENTS).map(|_| stage.client_with("/a", hold_little)).collect();
    stage.settle();
    publish_large(&mut stage, &publisher, &mut reads);
    stage.later(SLOW);
    publish(&publisher, &["1"]);
    stage.settle();
    assert_eq!((stage.departed(), stage.hub.pinned_bytes() / MIB), (vec![], 1), "they are in the same event");
    publish(&publisher, &["2"]);
    stage.turn();
    assert!(stage.departed().len() < CLIENTS);
    stage.settle();
    assert_eq!((stage.shard.members.clients().len(), stage.hub.pinned_bytes()), (1, 0));
}

/// Its unsent bytes are not copied for its last words.
#[test]
fn a_stuck_client_that_is_drained_keeps_its_event_once_with_all_others() {
    const CLIENTS: usize = 4;
    let mut stage = Stage::bounded(40 * MIB, events(1), |pace| pace.stall = 1000 * SECOND);
    let mut stuck: Vec<_> = (0..CLIENTS).map(|_| stage.client_with("/a", hold_little)).collect();
    stage.settle();
    let publisher = stage.publisher();
    publish(&publisher, &[&"x".repeat(MIB)]);
    stage.settle();
    stage.inbox.drain(stage.now + SECOND);
    stage.settle();
    stage.later(SECOND);
    assert_eq!(stage.departed(), vec![Departure::Drained; CLIENTS]);
    let pinned = stage.hub.pinned_bytes();
    assert!((MIB..2 * MIB).contains(&pinned), "{pinned}");
    for client in &mut stuck {
        while client.read() == Link::Open {
            stage.settle();
        }
        let text = client.text();
        assert!(text.contains(&"x".repeat(MIB)) && text.ends_with("\n\n\r\n9\r\nretry: 7\n\r\n0\r\n\r\n"));
    }
    assert_eq!(stage.hub.pinned_bytes(), 0);
}
