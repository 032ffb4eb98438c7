//! Which client gets which events, and when.

use super::*;

use crate::replay::Start;
use crate::sse::Decoder;
use std::num::NonZeroUsize;

/// The text of an event that is larger than what the kernel holds for a client that reads nothing.
fn large(letter: char) -> String {
    letter.to_string().repeat(1 << 20)
}

#[test]
fn all_clients_that_are_caught_up_get_each_event_once() {
    let mut stage = Stage::new();
    let (mut first, publisher) = stage.opened("/a");
    publish(&publisher, &["1"]);
    stage.settle();
    let mut second = stage.client("/a");
    stage.settle();
    publish(&publisher, &["2"]);
    publish(&publisher, &["3"]);
    stage.settle();
    assert_eq!(first.data(), "1 2 3");
    assert_eq!(second.data(), "2 3");
    stage.settle();
    assert_eq!((first.text(), second.text()), (String::new(), String::new()));
}

#[test]
fn a_client_gets_the_events_that_came_while_it_was_on_its_way() {
    let mut stage = Stage::new();
    let mut first = stage.client("/a");
    let publisher = stage.publisher();
    publish(&publisher, &["1"]);
    let mut second = stage.client("/a");
    publish(&publisher, &["2"]);
    stage.settle();
    assert_eq!(first.data(), "1 2");
    assert_eq!(second.data(), "2");
}

#[test]
fn the_events_of_small_streams_that_come_together_are_sent_together() {
    const STREAMS: usize = 20;
    let mut stage = Stage::new();
    let mut streams: Vec<_> = (0..STREAMS).map(|n| stage.opened(&format!("/{n}"))).collect();
    let (mut stuck, publisher) = {
        let stuck = stage.client_with("/stuck", hold_little);
        stage.settle();
        (stuck, stage.publisher())
    };
    stuck.take();
    publish(&publisher, &[&large('a')]);
    stage.settle();
    let (gone, ended) = stage.opened("/gone");
    drop(gone);
    let before = stage.shard.output.sender.calls;
    for publisher in streams.iter().map(|(_, publisher)| publisher).chain([&publisher, &ended]) {
        publish(publisher, &["1"]);
    }
    stage.turn();
    assert_eq!(stage.shard.output.sender.calls, before + 1);
    assert!(streams.iter_mut().all(|(client, _)| client.data() == "1"));
    stage.settle();
    assert_eq!(stage.departed(), [Departure::Left]);
    let mut late = String::new();
    while !late.ends_with("data: 1\n\n\r\n") {
        late += &stuck.text();
        stage.settle();
    }
    assert!(late.contains(&large('a')));
}

#[test]
fn a_framing_is_its_clients_own() {
    let mut stage = Stage::new();
    let (mut chunked, publisher) = stage.opened("/a");
    let mut bare = stage.client_with("/a", |arrival| arrival.delivery.framing = Framing::UntilClose);
    stage.settle();
    bare.take();
    publisher.append(
        &[Event { last_event_id: Bytes::from_static(b"i"), id: Some(Bytes::from_static(b"i")), ..event("1") }],
        &mut Continuation::fresh(false),
    );
    stage.settle();
    chunked.expect(b"f\r\nid: i\ndata: 1\n\n\r\n");
    bare.expect(b"id: i\ndata: 1\n\n");
    end(publisher, End::OriginClosed);
    stage.settle();
    chunked.expect(b"0\r\n\r\n");
    bare.expect(b"");
    assert_eq!((chunked.read(), bare.read()), (Link::Ended, Link::Ended));
}

#[test]
fn a_client_that_stops_reading_delays_no_other_and_gets_everything_later() {
    let mut stage = Stage::new();
    let (mut swift, publisher) = stage.opened("/a");
    let mut slow = stage.client_with("/a", hold_little);
    stage.settle();
    slow.take();
    for letter in ['a', 'b', 'c'] {
        publish(&publisher, &[&large(letter)]);
        stage.settle();
        // One batch is more than even the fast client's socket holds.
        let mut got = String::new();
        while !got.ends_with("\n\n\r\n") {
            stage.settle();
            got += &swift.text();
        }
        assert!(got.contains(&format!("data: {}\n", large(letter))));
    }
    publish(&publisher, &["d"]);
    let mut got = Vec::new();
    while !got.ends_with(b"data: d\n\n\r\n") {
        stage.settle();
        got.extend_from_slice(&slow.take());
    }
    let text = String::from_utf8(got).unwrap();
    let letters: String = text.lines().filter_map(|line| line.strip_prefix("data: ")?.chars().next()).collect();
    assert_eq!(letters, "abcd");
    publish(&publisher, &["e"]);
    stage.settle();
    assert_eq!((swift.data().as_str(), slow.data().as_str()), ("d e", "e"));
}

#[test]
fn a_large_stream_holds_a_small_one_up_for_a_slice_only() {
    let mut stage = Stage::new();
    let (first, large) = stage.opened("/large");
    let mut crowd: Vec<_> = (0..500).map(|_| stage.client("/large")).collect();
    crowd.push(first);
    let (mut small_client, small) = stage.opened("/small");
    stage.settle();
    crowd.iter_mut().for_each(|client| drop(client.take()));
    publish(&large, &["large"]);
    publish(&small, &["small"]);
    stage.turn();
    assert_eq!(small_client.data(), "small");
    crowd.iter_mut().for_each(|client| assert_eq!(client.read(), Link::Open));
    let reached = crowd.iter().filter(|client| !client.heard.is_empty()).count();
    assert!((1..501).contains(&reached), "{reached}");
    stage.settle();
    assert!(crowd.iter_mut().all(|client| client.data() == "large"));
}

#[test]
fn clients_that_come_and_go_during_a_pass_disturb_no_other() {
    let mut stage = Stage::new();
    let (first, publisher) = stage.opened("/a");
    let mut crowd: Vec<_> = (0..300).map(|_| stage.client("/a")).collect();
    crowd.push(first);
    stage.settle();
    crowd.iter_mut().for_each(|client| drop(client.take()));
    publish(&publisher, &["1"]);
    stage.turn();
    let mut late = stage.client("/a");
    for gone in [0, 100, 150, 200] {
        crowd.swap_remove(gone);
    }
    stage.settle();
    publish(&publisher, &["2"]);
    stage.settle();
    for client in &mut crowd {
        assert_eq!(client.data(), "1 2");
    }
    assert_eq!(late.data(), "2");
}

#[test]
fn a_crowd_that_starts_in_the_past_gets_the_past_and_then_the_present() {
    let start = Start::Back(NonZeroUsize::new(2).unwrap());
    let mut stage = Stage::with(ReplayOptions { start, ..ReplayOptions::default() }, |_| {});
    let (_first, publisher) = stage.opened("/a");
    publish(&publisher, &["1", "2", "3"]);
    let mut crowd: Vec<_> = (0..50).map(|_| stage.client("/a")).collect();
    stage.turn();
    publish(&publisher, &["4"]);
    stage.settle();
    for client in &mut crowd {
        assert_eq!(client.data(), "2 3 4");
    }
}

#[test]
fn a_client_that_fell_off_the_log_is_told_or_closed() {
    for skips in [true, false] {
        let replay = ReplayOptions { events: NonZeroUsize::new(2), ..ReplayOptions::default() };
        let mut stage = Stage::with(replay, |pace| pace.skips = skips);
        let (_first, publisher) = stage.opened("/a");
        let mut slow = stage.client_with("/a", hold_little);
        stage.settle();
        for _ in 0..8 {
            publish(&publisher, &[&large('x')]);
            stage.settle();
        }
        publish(&publisher, &["last"]);
        let mut decoder = Decoder::new(4 << 20);
        let mut data = Vec::new();
        for _ in 0..ENOUGH {
            stage.settle();
            let heard = slow.take();
            let lines = heard.split(|byte| *byte == b'\n').filter(|line| !line.ends_with(b"\r"));
            decoder.push(lines.collect::<Vec<_>>().join(&b'\n').into());
            while let Some(item) = decoder.next_item() {
                if let crate::sse::Item::Event(event) = item {
                    data.push(event.data);
                }
            }
            if data.last().is_some_and(|data| &data[..] == b"last") || slow.read() == Link::Ended {
                break;
            }
        }
        let gap = data.iter().find(|data| data.starts_with(b"{\"reason\":\"lag\",\"missed\":"));
        if skips {
            assert!(gap.is_some());
            assert_eq!(data.last().unwrap(), &b"last"[..]);
        } else {
            assert_eq!(gap, None);
            // The first client reads nothing, and lags too.
            assert_eq!((slow.read(), stage.departed()), (Link::Ended, vec![Departure::Lagged; 2]));
        }
    }
}

#[test]
fn what_a_client_was_sent_is_counted_for_it_and_for_its_route() {
    let mut stage = Stage::new();
    let (first, publisher) = stage.opened("/a");
    publish(&publisher, &["1"]);
    stage.settle();
    let second = stage.client("/a");
    publish(&publisher, &["2"]);
    stage.settle();
    drop(first);
    stage.settle();
    drop(second);
    stage.settle();
    let text = |n: u64| format!("id: ~00000000-{n}\ndata: 1\n\n").len() as u64;
    let departed = std::mem::take(&mut *stage.terms.departed.lock());
    let events: Vec<_> = departed.iter().map(|(_, sent, lag)| (sent.events, *lag)).collect();
    assert_eq!(events, [(2, 0), (1, 0)]);
    let bytes: Vec<_> = departed.iter().map(|(_, sent, _)| sent.bytes).collect();
    assert_eq!(bytes[0] - bytes[1], (bytes[0] - 2) / 2, "a greeting of two bytes, and two events of the same size");
    assert!(bytes[1] >= text(0), "{bytes:?}");
    let counters = &stage.terms.counters;
    assert_eq!((counters.events_out.value(), counters.bytes_out.value()), (3, bytes.iter().sum()));
}
