//! A crowd holds nobody up: of any kind of work, a turn does a slice.

use super::*;

/// More than a turn serves.
const CROWD: usize = 300;

/// A crowd on one stream, a client on another stream, and the publishers of both.
fn scene(heartbeat: Option<Duration>) -> (Stage, Vec<Reader>, Publisher, Reader, Publisher) {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.heartbeat = heartbeat);
    let (first, large) = stage.opened("/large");
    let mut crowd: Vec<_> = (1..CROWD).map(|_| stage.client("/large")).collect();
    crowd.push(first);
    let (single, small) = stage.opened("/small");
    stage.settle();
    crowd.iter_mut().for_each(|client| drop(client.take()));
    (stage, crowd, large, single, small)
}

/// The number of clients that have read something since the last call.
fn reached(crowd: &mut [Reader]) -> usize {
    crowd.iter_mut().filter_map(|client| (!client.take().is_empty()).then_some(())).count()
}

/// Asserts that a turn did some of the work and left some.
fn is_a_slice(done: usize) {
    assert!((1..CROWD).contains(&done), "{done} of {CROWD}");
}

#[test]
fn heartbeats() {
    let (mut stage, mut crowd, _large, mut single, small) = scene(Some(10 * SECOND));
    publish(&small, &["0"]);
    stage.now += 11 * SECOND;
    publish(&small, &["1"]);
    stage.turn();
    assert_eq!(single.data(), "0 1");
    let at_once = reached(&mut crowd);
    is_a_slice(at_once);
    stage.settle();
    assert_eq!(reached(&mut crowd), CROWD - at_once, "each gets one");
}

#[test]
fn departures() {
    let (mut stage, crowd, _large, mut single, small) = scene(None);
    stage.events = Events::with_capacity(1024);
    drop(crowd);
    publish(&small, &["1"]);
    stage.turn();
    assert_eq!(single.data(), "1");
    is_a_slice(stage.departed().len());
    publish(&small, &["2"]);
    stage.turn();
    assert_eq!(single.data(), "2");
    stage.settle();
    assert_eq!(stage.shard.members.clients().len(), 1);
}

#[test]
fn arrivals() {
    let (mut stage, _crowd, _large, mut single, small) = scene(None);
    let before = stage.shard.members.clients().len();
    let late: Vec<_> = (0..CROWD).map(|_| stage.client("/large")).collect();
    publish(&small, &["1"]);
    stage.turn();
    assert_eq!(single.data(), "1");
    is_a_slice(stage.shard.members.clients().len() - before);
    assert!(stage.shard.room.available_permits() < before + CROWD, "there is room for those who were taken in");
    stage.settle();
    assert_eq!(stage.shard.members.clients().len(), before + late.len());
    assert_eq!(stage.shard.room.available_permits(), before + CROWD);
}

#[test]
fn the_end_of_a_stream() {
    let (mut stage, _crowd, large, mut single, small) = scene(None);
    end(large, End::Failed(crate::hub::Failure::Ended));
    stage.turn();
    publish(&small, &["1"]);
    stage.turn();
    assert_eq!(single.data(), "1");
    is_a_slice(stage.departed().len());
    stage.settle();
    assert_eq!(stage.shard.members.clients().len(), 1);
}

/// A slice counts bytes, too.
#[test]
fn large_events() {
    let (mut stage, mut crowd, large, _single, _small) = scene(None);
    publish(&large, &["little"]);
    stage.turn();
    let of_little = reached(&mut crowd);
    is_a_slice(of_little);
    stage.settle();
    crowd.iter_mut().for_each(|client| drop(client.take()));
    publish(&large, &[&"x".repeat(100_000)]);
    stage.turn();
    let of_much = reached(&mut crowd);
    assert!((1..of_little / 3).contains(&of_much), "{of_much} and {of_little}");
}

/// A client that departs because a send to it failed does so in its own turn.
#[test]
fn failed_sends() {
    let (mut stage, crowd, large, mut single, small) = scene(None);
    drop(crowd);
    publish(&large, &["1"]);
    publish(&small, &["1"]);
    stage.turn();
    stage.turn();
    assert_eq!(single.data(), "1");
    assert!(stage.departed().len() < CROWD / 2);
    stage.settle();
    assert_eq!(stage.shard.members.clients().len(), 1);
}
