//! Heartbeats, stalls, lifetimes and held events.

use super::super::super::client::State;
use super::super::super::on_the_way::on_the_way;
use super::super::super::policy::Pass;
use super::*;
use crate::hub::Watcher;
use futures_util::FutureExt;
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;

/// More than the kernel queues in one piece on a Unix socket. Once this many bytes are read, a piece is gone.
const PIECE: usize = 37 << 10;

/// Makes the kernel hold many pieces for a client that reads slowly.
fn hold_much(arrival: &mut Arrival) {
    sockopt::set_socket_send_buffer_size(&arrival.socket, 200 << 10).unwrap();
}

const BEAT: &str = "2\r\n:\n\r\n";

#[test]
fn a_heartbeat_is_for_clients_that_were_sent_nothing() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.heartbeat = Some(10 * SECOND));
    let (mut quiet, _publisher) = stage.opened("/quiet");
    let (mut busy, publisher) = stage.opened("/busy");
    stage.slowly(6 * SECOND);
    publish(&publisher, &["1"]);
    stage.slowly(5 * SECOND);
    assert_eq!((quiet.text().as_str(), busy.data().as_str()), (BEAT, "1"));
    stage.slowly(6 * SECOND);
    assert_eq!((quiet.text().as_str(), busy.text().as_str()), ("", BEAT));
    stage.slowly(14 * SECOND);
    assert_eq!((quiet.text(), busy.text()), (BEAT.repeat(2), BEAT.to_owned()));
}

/// After an event, the heartbeats of all clients of a stream would be due at the same time.
#[test]
fn heartbeats_are_spread_and_none_is_late() {
    const CROWD: usize = 200;
    const INTERVAL: u32 = 32;
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.heartbeat = Some(INTERVAL * SECOND));
    let (first, publisher) = stage.opened("/a");
    let mut crowd: Vec<_> = (1..CROWD).map(|_| stage.client("/a")).collect();
    crowd.push(first);
    for round in 0..3 {
        if round < 2 {
            publish(&publisher, &["1"]);
            stage.settle();
        }
        crowd.iter_mut().for_each(|client| drop(client.take()));
        // The number of heartbeats in each second.
        let mut beats = Vec::new();
        for _ in 0..INTERVAL {
            stage.slowly(SECOND);
            beats.push(crowd.iter_mut().map(|client| client.text().matches(BEAT).count()).sum::<usize>());
        }
        let most = beats.iter().max().unwrap();
        assert!(*most < CROWD / 3, "{round} {beats:?}");
        // In the third round they are still apart, and everyone has had one since its last.
        assert!(beats.iter().sum::<usize>() >= CROWD, "{beats:?}");
        let early: usize = beats[..23].iter().sum();
        assert!(round == 2 || early == 0, "{beats:?}");
    }
}

#[test]
fn a_client_that_was_behind_gets_heartbeats_again() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.heartbeat = Some(10 * SECOND));
    let mut client = stage.client_with("/a", hold_little);
    stage.settle();
    let publisher = stage.publisher();
    publish(&publisher, &[&"x".repeat(1 << 20)]);
    let mut heard = 0;
    while heard < 1 << 20 {
        stage.later(SECOND / 100);
        heard += client.take().len();
    }
    stage.settle();
    client.take();
    stage.slowly(11 * SECOND);
    assert_eq!(client.text(), BEAT);
}

#[test]
fn a_client_that_takes_nothing_is_closed_and_one_that_takes_little_is_not() {
    let mut stage = Stage::new();
    let (_first, publisher) = stage.opened("/a");
    let mut clients: Vec<_> = (0..2).map(|_| stage.client_with("/a", hold_little)).collect();
    stage.settle();
    publish(&publisher, &[&"x".repeat(4 << 20)]);
    stage.settle();
    // The third client stalls too, and so does the first client of the stage, which reads nothing.
    for _ in 0..10 {
        stage.later(10 * SECOND);
        clients[1].take();
        stage.settle();
    }
    assert_eq!(stage.departed(), [Departure::Stalled, Departure::Stalled]);
    assert_eq!(clients[0].read(), Link::Ended);
    assert_eq!(clients[1].read(), Link::Open);
    assert_eq!(stage.shard.members.clients().len(), 1);
}

#[test]
fn a_life_that_is_over_ends_between_two_events() {
    let mut stage = Stage::new();
    let mut client = stage.client_with("/a", |arrival| arrival.delivery.lifetime = Some(60 * SECOND));
    stage.settle();
    let publisher = stage.publisher();
    stage.slowly(59 * SECOND);
    publish(&publisher, &["1"]);
    stage.settle();
    assert_eq!((client.data().as_str(), client.read()), ("1", Link::Open));
    stage.slowly(2 * SECOND);
    client.expect(b"0\r\n\r\n");
    assert_eq!((client.read(), stage.departed()), (Link::Ended, vec![Departure::Lifetime]));
}

#[test]
fn events_are_held_to_share_a_write_and_heartbeats_and_ends_are_not() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| {
        pace.flush = Some(SECOND);
        pace.heartbeat = Some(SECOND / 2);
    });
    let (mut client, publisher) = stage.opened("/a");
    publish(&publisher, &["1"]);
    stage.later(SECOND / 4);
    publish(&publisher, &["2"]);
    stage.later(SECOND / 2);
    assert_eq!(client.text(), BEAT);
    stage.later(SECOND / 2);
    assert_eq!(client.data(), "1 2");
    publish(&publisher, &["3"]);
    stage.settle();
    assert_eq!(client.text(), "");
    end(publisher, End::OriginClosed);
    stage.settle();
    let text = client.text();
    assert!(text.contains("data: 3\n") && text.ends_with("0\r\n\r\n"), "{text:?}");
}

#[test]
fn held_events_that_the_log_drops_or_that_fill_a_write_are_sent_at_once() {
    let held = |stage: &mut Stage| {
        stage.shard.members.groups().iter().any(|(_, group)| matches!(group.caught_up.pass(), Pass::Held { .. }))
    };
    let few = ReplayOptions { events: NonZeroUsize::new(10), ..ReplayOptions::default() };
    let mut stage = Stage::with(few, |pace| pace.flush = Some(5 * SECOND));
    let (mut client, publisher) = stage.opened("/a");
    let mut given = String::new();
    for n in 0..100 {
        publish(&publisher, &[&n.to_string()]);
        stage.later(SECOND / 100);
        given += &client.text();
        // Ten are in the log. The eleventh takes the place of the first.
        assert_eq!(given.matches("data: ").count(), if n % 11 == 10 { n + 1 } else { n / 11 * 11 });
        assert_eq!(held(&mut stage), n % 11 != 10);
    }
    stage.later(5 * SECOND);
    given += &client.text();
    let numbers: Vec<_> = given.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(numbers, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(stage.departed(), []);

    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.flush = Some(5 * SECOND));
    let (mut client, publisher) = stage.opened("/a");
    publish(&publisher, &[&"x".repeat(60 << 10)]);
    stage.settle();
    assert_eq!(client.text(), "");
    publish(&publisher, &[&"x".repeat(10 << 10)]);
    stage.settle();
    while !client.text().ends_with("\n\n\r\n") {
        stage.settle();
    }
}

#[test]
fn a_client_that_joins_while_events_are_held_gets_only_later_events() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.flush = Some(SECOND));
    let (mut first, publisher) = stage.opened("/a");
    publish(&publisher, &["1"]);
    stage.settle();
    let mut second = stage.client("/a");
    stage.settle();
    publish(&publisher, &["2"]);
    stage.later(2 * SECOND);
    assert_eq!((first.data().as_str(), second.data().as_str()), ("1 2", "2"));
    publish(&publisher, &["3"]);
    stage.later(2 * SECOND);
    stage.later(2 * SECOND);
    assert_eq!((first.data().as_str(), second.data().as_str()), ("3", "3"));
}

/// The socket of a slow reader is not writable before most of what it holds was read. The bytes that it reads tell it
/// from a client that stalls.
#[test]
fn a_client_that_takes_a_little_at_a_time_does_not_stall() {
    let mut stage = Stage::new();
    let mut slow = stage.client_with("/a", hold_much);
    stage.settle();
    let publisher = stage.publisher();
    publish(&publisher, &[&"x".repeat(1 << 20)]);
    stage.settle();
    for _ in 0..4 {
        stage.slowly(20 * SECOND);
        slow.read_exactly(PIECE);
    }
    let held_back = stage
        .shard
        .members
        .clients()
        .iter()
        .all(|(_, client)| matches!(&client.state, State::Alone(alone) if alone.is_blocked()));
    assert!(held_back, "the client's socket never becomes writable");
    stage.slowly(29 * SECOND);
    assert_eq!(stage.departed(), []);
    stage.slowly(30 * SECOND);
    assert_eq!(stage.departed(), [Departure::Stalled]);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_waits_is_told_whether_bytes_arrived() {
    let mut stage = Stage::new();
    let (_deaf, publisher) = stage.opened("/a");
    let mut slow = stage.client_with("/a", hold_much);
    stage.settle();
    publish(&publisher, &[&"x".repeat(1 << 20), &"x".repeat(1 << 20)]);
    stage.settle();
    publisher.room().await;
    let ask = |stage: &mut Stage| {
        stage.shard.members.groups().iter().for_each(|(_, group)| group.change.asked());
        stage.settle();
    };
    ask(&mut stage);
    assert!(publisher.room().now_or_never().is_some(), "the publisher goes on, because no bytes arrived");
    slow.read_exactly(PIECE);
    ask(&mut stage);
    assert!(publisher.room().now_or_never().is_none(), "the publisher waits again, because bytes arrived");
    publisher.room().await;
    ask(&mut stage);
    assert!(publisher.room().now_or_never().is_some(), "the same bytes count only once");
}

/// The kernel takes a receive window that no whole piece fits into for the silence of a client that is gone.
#[test]
fn the_kernel_closes_no_client_that_is_far_behind() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.heartbeat = Some(10 * SECOND));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let seen = socket.try_clone().unwrap();
    sockopt::set_tcp_user_timeout(&seen, 30_000).unwrap();
    let mut _unused = stage.client_with("/a", |arrival| {
        hold_little(arrival);
        arrival.socket = OwnedFd::from(socket);
    });
    stage.settle();
    const BYTES: usize = 32 << 20;
    let publisher = stage.publisher();
    publish(&publisher, &[&"x".repeat(BYTES)]);
    stage.settle();
    assert_eq!(sockopt::tcp_user_timeout(&seen).unwrap(), 0, "one send was cut short");
    let mut heard = 0;
    let mut buffer = vec![0; 1 << 20];
    while heard < BYTES {
        heard += reader.read(&mut buffer).unwrap();
        stage.settle();
    }
    assert!(sockopt::tcp_user_timeout(&seen).unwrap() >= 30_000, "it has caught up");
    while on_the_way(&seen) > 0 {
        std::thread::yield_now();
    }
    stage.slowly(25 * SECOND);
    assert_eq!((sockopt::tcp_user_timeout(&seen).unwrap(), stage.departed()), (30_000, vec![]));
}
