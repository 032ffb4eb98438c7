//! Clients that are given up in the middle of their responses, and go on in another shard.

use super::super::super::moving::{MovingClient, MovingSocket, Released, Returning};
use super::super::super::releasing::Releasing;
use super::*;
use crate::hub::Subscription;
use std::collections::HashSet;

/// The number of the only stream.
const STREAM: usize = 0;

impl Stage {
    /// All clients of the stream, given up by the shard.
    pub(super) fn release_all(&mut self) -> Released {
        let releasing = Releasing::nothing();
        self.shard.release_all(STREAM, &HashSet::from([STREAM]), &releasing.part(), self.now);
        let mut released = Released::default();
        for part in std::iter::from_fn(|| releasing.next()) {
            released.sockets.extend(part.sockets);
            released.carriers.extend(part.carriers);
        }
        self.settle();
        released
    }

    /// The same, if each has a connection of its own.
    fn release(&mut self) -> Vec<MovingSocket> {
        let Released { sockets, carriers } = self.release_all();
        assert!(carriers.is_empty());
        sockets
    }

    /// The place of a client on the only stream.
    pub(super) fn place_of(&self, client: &MovingClient) -> Option<Subscription> {
        self.hub.again(STREAM, client.cursor, client.caller.clone(), client.course)
    }

    /// Gives clients back to the shard. The shard may as well be another one.
    fn takes(&mut self, released: Vec<MovingSocket>) {
        for moving in released {
            let subscription = self.place_of(&moving.client).unwrap();
            let sockets = vec![moving.goes_on(subscription, self.now)];
            self.inbox.post(Box::new(Returning { sockets, carriers: Vec::new() }));
        }
        self.settle();
    }
}

#[test]
fn clients_that_move_between_events_get_each_event_once_and_see_nothing_of_it() {
    let mut stage = Stage::new();
    let (mut first, publisher) = stage.opened("/");
    let mut second = stage.client("/");
    stage.settle();
    second.expect(OPENING);
    for n in 0..20 {
        publish(&publisher, &[&format!("{n}")]);
        if n % 3 == 0 {
            stage.settle();
        }
        let released = stage.release();
        assert_eq!(released.len(), 2, "{n}");
        assert_eq!(stage.terms.counters.subscribers.value(), 0);
        if n % 2 == 0 {
            // What comes while the clients are nowhere is for them, too.
            publish(&publisher, &[&format!("{n} and")]);
        }
        stage.takes(released);
        assert_eq!(stage.terms.counters.subscribers.value(), 2);
    }
    let expected: Vec<String> = (0..20)
        .flat_map(|n| if n % 2 == 0 { vec![format!("{n}"), format!("{n} and")] } else { vec![format!("{n}")] })
        .collect();
    for client in [&mut first, &mut second] {
        assert_eq!(client.data(), expected.join(" "));
    }
    assert_eq!(stage.terms.counters.opens.value(), 2, "they came once");
    assert!(stage.departed().is_empty(), "nobody left");
}

#[test]
fn a_client_that_took_half_of_a_frame_gets_the_other_half_first() {
    let mut stage = Stage::new();
    let (mut client, publisher) = stage.opened("/");
    let large = "x".repeat(3 << 20);
    publish(&publisher, &[&large]);
    publish(&publisher, &["after"]);
    stage.settle();
    client.read_exactly(1000);
    stage.settle();
    let released = stage.release();
    assert_eq!(released.len(), 1);
    assert!(!released[0].client.pending.is_empty(), "the client is in the middle of a frame");
    stage.takes(released);
    for _ in 0..200 {
        client.read();
        stage.settle();
    }
    assert_eq!(client.data(), format!("{large} after"));
}

#[test]
fn what_the_log_keeps_for_a_client_alone_goes_along() {
    let two = ReplayOptions { events: std::num::NonZeroUsize::new(2), ..ReplayOptions::default() };
    let mut stage = Stage::with(two, |_| {});
    let mut client = stage.client_with("/", hold_little);
    stage.settle();
    client.expect(OPENING);
    let publisher = stage.publisher();
    let large = "x".repeat(50_000);
    publish(&publisher, &[&large]);
    stage.settle();
    // The client keeps up, and the log holds the last two of these.
    publish(&publisher, &["1", "2", "3", "4"]);
    let released = stage.release();
    assert!(
        !released[0].client.pending.is_empty() && released[0].client.cursor.plus(2) == publisher.end(),
        "the log has the rest"
    );
    stage.takes(released);
    for _ in 0..50 {
        client.read();
        stage.settle();
    }
    assert_eq!(client.data(), format!("{large} 1 2 3 4"));
}

#[test]
fn what_a_client_was_sent_and_how_long_it_may_stay_goes_along() {
    let mut stage = Stage::new();
    let mut client = stage.client_with("/", |arrival| arrival.delivery.lifetime = Some(10 * SECOND));
    stage.settle();
    let publisher = stage.publisher();
    publish(&publisher, &["0"]);
    stage.later(4 * SECOND);
    let released = stage.release();
    assert_eq!((released[0].client.lifetime, released[0].client.stayed), (Some(6 * SECOND), 4 * SECOND));
    assert_eq!(released[0].client.past.sent.events, 1);
    stage.takes(released);
    publish(&publisher, &["1"]);
    stage.later(5 * SECOND);
    assert!(stage.departed().is_empty());
    stage.later(2 * SECOND);
    assert_eq!(stage.terms.departed.lock().first().map(|(_, sent, _)| sent.events), Some(2));
    client.read();
}

#[test]
fn who_departs_already_stays() {
    let mut stage = Stage::new();
    let (_client, publisher) = stage.opened("/");
    drop(publisher);
    stage.settle();
    assert!(stage.release().is_empty());
}

#[test]
fn a_crowd_is_given_up_in_parts_of_which_the_first_is_there_before_the_last() {
    let mut stage = Stage::new();
    let readers: Vec<_> = (0..300).map(|_| stage.client("/")).collect();
    stage.settle();
    let releasing = Releasing::nothing();
    let part = releasing.part();
    stage.shard.release_all(STREAM, &HashSet::from([STREAM]), &part, stage.now);
    // The shard is not done, and the parts are there.
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < readers.len() {
        sizes.push(releasing.next().unwrap().clients());
    }
    assert_eq!(sizes, [128, 128, 44]);
    let waiting = std::thread::spawn(move || releasing.next().is_none());
    drop(part);
    assert!(waiting.join().unwrap(), "all shards are done");
}
