//! How clients depart.

use super::super::super::terms::{MOST_KEPT_BYTES, MOST_STRAY_BYTES};
use super::*;
use crate::hub::Failure;

#[test]
fn a_client_that_leaves_an_idle_stream_is_gone_at_once() {
    let mut stage = Stage::new();
    let (client, _publisher) = stage.opened("/a");
    assert_eq!(stage.settings.counters.subscribers.value(), 1);
    drop(client);
    stage.settle();
    assert_eq!(stage.departed(), [Departure::Left]);
    assert_eq!(stage.settings.counters.subscribers.value(), 0);
    assert!(stage.shard.members.is_empty());
}

#[test]
fn stray_bytes_are_ignored_and_a_flood_of_them_closes_the_client() {
    let mut stage = Stage::new();
    let (mut client, publisher) = stage.opened("/a");
    client.say(b"\r\nGET /b HTTP/1.1\r\n\r\n");
    stage.settle();
    publish(&publisher, &["1"]);
    stage.settle();
    assert_eq!(client.data(), "1");
    client.say(&[b'x'; MOST_STRAY_BYTES]);
    stage.settle();
    assert_eq!(stage.departed(), [Departure::Left]);
}

#[test]
fn the_end_of_a_stream_comes_after_its_last_event_and_the_socket_waits_for_the_client() {
    let mut stage = Stage::new();
    let (mut client, publisher) = stage.opened("/a");
    publish(&publisher, &["1"]);
    end(publisher, End::OriginClosed);
    stage.settle();
    let text = client.text();
    assert!(text.contains("data: 1\n") && text.ends_with("\r\n0\r\n\r\n"), "{text:?}");
    assert_eq!(client.read(), Link::Ended);
    assert_eq!(stage.settings.counters.subscribers.value(), 0);
    assert_eq!(stage.shard.members.clients().len(), 1, "the shard waits for the client to close its side");
    client.say(b"late");
    stage.later(SECOND);
    assert_eq!(stage.shard.members.clients().len(), 1);
    drop(client);
    stage.settle();
    assert_eq!(stage.shard.members.clients().len(), 0);
}

#[test]
fn a_client_that_does_not_close_is_closed() {
    let mut stage = Stage::new();
    let (mut client, publisher) = stage.opened("/a");
    end(publisher, End::OriginClosed);
    stage.slowly(SECOND);
    assert_eq!((client.read(), stage.shard.members.clients().len()), (Link::Ended, 1));
    stage.slowly(2 * SECOND);
    assert!(stage.shard.members.is_empty());
}

#[test]
fn a_response_that_broke_off_upstream_breaks_off_downstream() {
    let mut stage = Stage::new();
    let (mut client, publisher) = stage.opened("/a");
    publish(&publisher, &["1"]);
    end(publisher, End::Failed(Failure::Ended));
    stage.settle();
    assert_eq!(client.data(), "1");
    assert!(!client.text().contains("0\r\n\r\n"));
    assert_eq!(client.read(), Link::Ended);
    assert!(stage.shard.members.is_empty());
}

/// A response with this framing has no other sign of being complete.
#[test]
fn what_is_framed_until_the_end_of_its_connection_is_reset_unless_it_ends_in_order() {
    for (why, linger) in [(End::OriginClosed, None), (End::Failed(Failure::Ended), Some(Duration::ZERO))] {
        let mut stage = Stage::new();
        let (_first, publisher) = stage.opened("/a");
        let mut seen = Vec::new();
        for framing in [Framing::Chunked, Framing::UntilClose] {
            let client = stage.client_with("/a", |arrival| {
                arrival.delivery.framing = framing;
                seen.push(arrival.socket.try_clone().unwrap());
            });
            seen.push(OwnedFd::from(client.socket));
        }
        stage.settle();
        let lingers = |socket| sockopt::socket_linger(socket).unwrap();
        assert_eq!(
            [lingers(&seen[0]), lingers(&seen[2])],
            [None, Some(Duration::ZERO)],
            "the linger of each response while it lasts"
        );
        end(publisher, why);
        stage.settle();
        assert_eq!([lingers(&seen[0]), lingers(&seen[2])], [None, linger]);
    }
}

#[test]
fn in_a_drain_each_gets_its_end_within_the_time_and_none_in_the_middle_of_an_event() {
    let mut stage = Stage::new();
    let (first, publisher) = stage.opened("/a");
    let mut clients: Vec<_> = (0..50).map(|_| stage.client("/a")).collect();
    clients.push(first);
    let mut slow = stage.client_with("/a", hold_little);
    stage.settle();
    let large = "x".repeat(1 << 20);
    publish(&publisher, &[&large]);
    stage.settle();
    clients.iter_mut().chain([&mut slow]).for_each(|client| assert_eq!(client.read(), Link::Open));
    stage.inbox.drain(stage.now + 10 * SECOND);
    let mut ended = Vec::new();
    let mut late = None;
    for tenth in 0..62 {
        stage.later(SECOND / 10);
        if tenth == 30 {
            late = Some(stage.client("/a"));
        }
        ended.push(clients.iter_mut().filter_map(|client| (client.read() == Link::Ended).then_some(())).count());
        slow.read();
        stage.settle();
    }
    assert!(ended[10] < 40 && ended[30] > 10 && ended[61] == 51, "spread: {ended:?}");
    for client in clients.iter_mut().chain([&mut slow]) {
        while client.read() == Link::Open {
            stage.settle();
        }
        let text = client.text();
        assert!(text.contains(&large), "{}", text.len());
        assert!(text.ends_with("\n\n\r\n9\r\nretry: 7\n\r\n0\r\n\r\n"));
    }
    let mut late = late.unwrap();
    stage.slowly(4 * SECOND);
    assert_eq!(late.read(), Link::Ended);
    assert!(late.text().ends_with("9\r\nretry: 7\n\r\n0\r\n\r\n"));
    assert_eq!(stage.departed(), vec![Departure::Drained; 53]);
}

#[test]
fn a_closed_shard_takes_no_clients_and_closes_those_on_their_way() {
    let mut stage = Stage::new();
    let mut client = stage.client("/a");
    stage.inbox.close();
    assert_ne!(client.read(), Link::Open);
    assert!(!stage.shard.turn(&mut stage.events, Some(Duration::ZERO), Instant::now).unwrap());
    assert_eq!(stage.settings.counters.subscribers.value(), 0);
}

/// The other clients joined before the origin answered. Then its response turns out to be for the first client alone.
#[test]
fn of_an_unshareable_response_the_shard_gives_the_opener_all_and_the_others_nothing() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.flush = Some(SECOND));
    let (mut opener, publisher) = stage.opened(UNANSWERED);
    let mut others: Vec<_> = (0..3).map(|_| stage.client(UNANSWERED)).collect();
    stage.settle();
    others.iter_mut().for_each(|client| client.expect(OPENING));
    assert!(publisher.connected(&HeaderMap::new(), Sharing::Unshareable { sets_cookie: true }));
    publish(&publisher, &["secret"]);
    stage.settle();
    for client in &mut others {
        assert_eq!(client.read(), Link::Ended);
        client.expect(b"");
    }
    assert_eq!(stage.departed(), [const { Departure::Ended(End::Unshareable) }; 3]);
    stage.slowly(3 * SECOND);
    assert_eq!((opener.read(), opener.data().as_str()), (Link::Open, "secret"));
    publish(&publisher, &["more"]);
    stage.slowly(3 * SECOND);
    assert_eq!(opener.data(), "more");
}

#[test]
fn a_kept_connection_goes_back_after_an_orderly_end_with_what_its_client_sent() {
    let mut stage = Stage::new();
    let (_first, publisher) = stage.opened("/a");
    let mut client = stage.client_with("/a", |arrival| {
        arrival.delivery.is_kept = true;
        arrival.unread = b"GET /n".to_vec();
    });
    let mut greedy = stage.client_with("/a", |arrival| arrival.delivery.is_kept = true);
    stage.settle();
    client.say(b"ext HTTP/1.1\r\n");
    greedy.say(&[b'x'; MOST_KEPT_BYTES + 1]);
    stage.settle();
    publish(&publisher, &["1"]);
    end(publisher, End::OriginClosed);
    stage.settle();
    assert_eq!((client.read(), greedy.read()), (Link::Open, Link::Ended));
    let text = client.text();
    assert!(text.contains("data: 1\n") && text.ends_with("\r\n0\r\n\r\n"), "{text:?}");
    let kept = std::mem::take(&mut *stage.kept.lock());
    assert_eq!(kept.len(), 1);
    let (socket, unread) = &kept[0];
    assert_eq!(unread, b"GET /next HTTP/1.1\r\n");
    rustix::io::write(socket, b"next").unwrap();
    assert_eq!(client.read(), Link::Open);
    client.expect(b"next");
    assert_eq!(stage.shard.members.clients().len(), 2, "only the two connections that close are left");
}

#[test]
fn no_connection_is_kept_in_a_drain_nor_where_its_response_broke_off() {
    for (why, link) in [(End::OriginClosed, Link::Ended), (End::Failed(Failure::Ended), Link::Ended)] {
        let mut stage = Stage::new();
        let (_first, publisher) = stage.opened("/a");
        let mut client = stage.client_with("/a", |arrival| arrival.delivery.is_kept = true);
        stage.settle();
        if why == End::OriginClosed {
            stage.inbox.drain(stage.now + 10 * SECOND);
            stage.settle();
        }
        end(publisher, why);
        stage.settle();
        assert_eq!(client.read(), link);
        assert!(stage.kept.lock().is_empty());
    }
}
