//! Clients on streams of HTTP/2.

use super::browser::{Browser, DATA, GOAWAY, HEADERS, RST_STREAM, data_of, frame, get, window};
use super::*;
use crate::fanout::h2::encode;
use crate::fanout::keys::{CarrierKey, Key};
use crate::fanout::responder::Incoming;

#[test]
fn the_streams_of_a_connection_share_a_send() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 65_535);
    browser.follow(&mut stage, "/a", &[1, 3, 5]);
    let publisher = stage.publisher();
    publish(&publisher, &["1"]);
    let before = stage.shard.output.sender.calls;
    stage.settle();
    for stream in [1, 3, 5] {
        assert!(browser.came(HEADERS, stream));
        let (text, _) = browser.text(stream);
        assert!(text.starts_with(":\n") && text.contains("data: 1\n"), "{text:?}");
    }
    // One call for those who have a socket of their own, of whom there are none, and one for the connections.
    assert!(stage.shard.output.sender.calls <= before + 2);
    assert_eq!(stage.departed(), []);
}

#[test]
fn a_stream_that_is_not_read_falls_behind_alone_and_gets_all_when_it_is() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 40);
    browser.follow(&mut stage, "/a", &[1, 3]);
    browser.say(&window(3, 60_000));
    let publisher = stage.publisher();
    let all: Vec<String> = (10..40).map(|n| n.to_string()).collect();
    for data in &all {
        publish(&publisher, &[data]);
        stage.settle();
    }
    let read = browser.text(3).0;
    assert_eq!(data_of(&read), all);
    let mut text = browser.text(1).0;
    assert_eq!(text.len(), 40, "{text}");
    browser.say(&window(1, 60_000));
    stage.settle();
    let (rest, frames) = browser.text(1);
    text += &rest;
    assert_eq!(data_of(&text), all);
    assert!(frames <= 3, "events that a client is behind share frames: {frames}");
}

/// Whether all connections have nothing at hand.
fn all_wait(stage: &mut Stage) -> bool {
    let carriers = &mut stage.shard.output.carriers;
    let keys = carriers.keys_from(CarrierKey::of(0), usize::MAX);
    keys.into_iter().all(|key| carriers.get_quiet(key).is_some_and(|carrier| carrier.has_nothing_at_hand()))
}

#[test]
fn a_connection_that_waits_keeps_no_memory_for_what_it_has_done() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 40);
    assert!(all_wait(&mut stage), "its SETTINGS are sent");
    browser.ask(1);
    stage.settle();
    assert!(!all_wait(&mut stage), "a request is being decided");
    let responder = browser.waiting.lock().pop().unwrap();
    responder.adopt(stage.joining("/a"));
    stage.settle();
    assert!(all_wait(&mut stage));
    let publisher = stage.publisher();
    publish(&publisher, &["1"]);
    stage.settle();
    assert!(browser.text(1).0.contains("data: 1\n") && all_wait(&mut stage));
    publish(&publisher, &["a longer text than the window lets pass"]);
    stage.settle();
    assert!(all_wait(&mut stage), "who is behind keeps a position, and no bytes");
    browser.say(&frame(6, 0, 0, b"a PING !"));
    stage.settle();
    assert!(browser.came(6, 0) && all_wait(&mut stage));
}

#[test]
fn a_stream_that_takes_nothing_is_cut_and_its_neighbour_stays() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.stall = SECOND);
    let mut browser = Browser::open(&mut stage, 10);
    browser.follow(&mut stage, "/a", &[1, 3]);
    browser.say(&window(3, 60_000));
    let publisher = stage.publisher();
    publish(&publisher, &["a longer text than the window lets pass"]);
    stage.slowly(3 * SECOND);
    assert!(browser.came(RST_STREAM, 1) && !browser.came(RST_STREAM, 3));
    assert_eq!(stage.departed(), [Departure::Stalled]);
    publish(&publisher, &["2"]);
    stage.settle();
    assert!(browser.text(3).0.contains("data: 2\n"));
    assert_eq!(browser.hear(), Link::Open);
}

#[test]
fn the_last_stream_that_takes_nothing_ends_its_connection() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.stall = SECOND);
    let mut browser = Browser::open(&mut stage, 10);
    browser.follow(&mut stage, "/a", &[1]);
    let publisher = stage.publisher();
    publish(&publisher, &["a longer text than the window lets pass"]);
    stage.slowly(3 * SECOND);
    assert!(browser.came(RST_STREAM, 1) && browser.came(GOAWAY, 0));
    stage.slowly(5 * SECOND);
    assert_eq!((browser.hear(), stage.shard.output.carriers.len()), (Link::Ended, 0));
}

#[test]
fn a_client_that_resets_its_stream_has_left_and_so_have_all_when_the_connection_is_gone() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 65_535);
    browser.follow(&mut stage, "/a", &[1, 3, 5]);
    let _publisher = stage.publisher();
    browser.say(&frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]));
    stage.settle();
    assert_eq!((stage.departed(), stage.shard.members.len()), (vec![Departure::Left], 2));
    drop(browser);
    stage.settle();
    assert_eq!(stage.departed(), [Departure::Left, Departure::Left]);
    assert_eq!((stage.shard.members.len(), stage.shard.output.carriers.len()), (0, 0));
}

#[test]
fn a_client_whose_stream_is_over_is_not_taken_in() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 65_535);
    browser.say(&get(1));
    stage.settle();
    let responder = browser.waiting.lock().pop().unwrap();
    browser.say(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    stage.settle();
    responder.adopt(stage.joining("/a"));
    stage.settle();
    assert_eq!(stage.shard.members.len(), 0);
    assert_eq!(stage.settings.counters.subscribers.value(), 0);
}

#[test]
fn a_drain_says_goodbye_and_ends_each_stream_with_its_last_words() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 65_535);
    browser.follow(&mut stage, "/a", &[1, 3]);
    let _publisher = stage.publisher();
    stage.inbox.drain(stage.now + 10 * SECOND);
    stage.settle();
    assert!(browser.came(GOAWAY, 0));
    stage.slowly(11 * SECOND);
    for stream in [1, 3] {
        browser.hear();
        let last = browser.frames.iter().rfind(|frame| frame.0 == DATA && frame.2 == stream).unwrap();
        assert_eq!((last.1, last.3.ends_with(b"retry: 7\n")), (1, true), "{last:?}");
    }
    assert_eq!(stage.departed(), [Departure::Drained, Departure::Drained]);
    stage.slowly(5 * SECOND);
    assert_eq!(browser.hear(), Link::Ended);
}

#[test]
fn each_stream_of_a_slow_connection_has_its_turn() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 1 << 24);
    browser.say(&window(0, 1 << 24));
    let streams: Vec<u32> = (0..16).map(|n| 2 * n + 1).collect();
    browser.follow(&mut stage, "/a", &streams);
    let publisher = stage.publisher();
    let _openings: Vec<_> = streams.iter().map(|stream| browser.text(*stream)).collect();
    let large = "x".repeat(4 << 10);
    publish(&publisher, &vec![&*large; 64]);
    // One turn sends a connection 64 KiB, and a stream 16 KiB.
    let mut turns = 0;
    let mut served = std::collections::BTreeSet::new();
    while served.len() < streams.len() {
        stage.turn();
        browser.hear();
        served.extend(browser.frames.iter().filter(|frame| frame.0 == DATA).map(|frame| frame.2));
        turns += 1;
        assert!(turns < 40, "{served:?}");
    }
    let most = streams.iter().map(|stream| browser.text(*stream).0.len()).max().unwrap();
    assert!(most <= 64 << 10, "no stream is far ahead of those that come last: {most}");
    assert_eq!(stage.departed(), []);
}

#[test]
fn heartbeats_of_a_connection_go_out_together() {
    let mut stage = Stage::with(ReplayOptions::default(), |pace| pace.heartbeat = Some(SECOND));
    let mut browser = Browser::open(&mut stage, 65_535);
    browser.follow(&mut stage, "/a", &[1, 3]);
    let _publisher = stage.publisher();
    let _openings = [browser.text(1), browser.text(3)];
    stage.slowly(4 * SECOND);
    for stream in [1, 3] {
        let (text, frames) = browser.text(stream);
        assert!(frames >= 2 && text.lines().all(|line| line == ":"), "{text:?}");
    }
}

#[tokio::test]
async fn an_answer_passes_as_far_as_the_window_lets_it() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 10);
    browser.say(&get(1));
    stage.settle();
    let mut responder = browser.waiting.lock().pop().unwrap();
    let mut head = Vec::new();
    encode::status(&mut head, 200);
    responder.head(head, false);
    let answering = tokio::spawn(async move {
        let passed = responder.data(Bytes::from_static(b"twenty bytes of text")).await;
        responder.end();
        (passed, responder)
    });
    tokio::task::yield_now().await;
    stage.settle();
    assert_eq!(browser.text(1).0.len(), 10);
    assert!(!answering.is_finished());
    browser.say(&window(1, 100));
    stage.settle();
    let (passed, mut responder) = answering.await.unwrap();
    assert_eq!(passed, Ok(()));
    stage.settle();
    assert_eq!(browser.text(1).0, "es of text");
    assert!(matches!(responder.next().await, Incoming::Gone), "the stream is over");
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_use_up_the_connection() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 65_535);
    // More than the window of the connection.
    for stream in (0..100).map(|n| 2 * n + 1) {
        browser.say(&frame(HEADERS, 0x4, stream, b"\x83\x84\x86\x01\x01a"));
        browser.say(&frame(DATA, 0x1, stream, &[0; 16_000]));
        stage.settle();
        let mut responder = browser.waiting.lock().pop().expect("a request came");
        let mut head = Vec::new();
        encode::status(&mut head, 405);
        responder.head(head, true);
        drop(responder);
        stage.settle();
        assert!(browser.came(HEADERS, stream) && !browser.came(GOAWAY, 0), "{stream}");
    }
}
