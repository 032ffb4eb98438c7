//! Connections of HTTP/2 that are given up with their clients, and go on in another shard.

use super::super::super::moving::{MovingCarrier, Released, Returning};
use super::browser::{Browser, GOAWAY, RST_STREAM, data_of, frame, window};
use super::*;

impl Stage {
    /// The only connection of HTTP/2, given up by the shard.
    fn release_carrier(&mut self) -> Option<MovingCarrier> {
        let Released { sockets, mut carriers } = self.release_all();
        assert!(sockets.is_empty() && carriers.len() < 2);
        carriers.pop()
    }

    /// Gives a connection back to the shard. The shard may as well be another one.
    pub(super) fn takes_carrier(&mut self, moving: MovingCarrier) {
        let again = moving.goes_on(|client| self.place_of(client), self.now);
        self.inbox.post(Box::new(Returning { sockets: Vec::new(), carriers: vec![again] }));
        self.settle();
    }
}

#[test]
fn a_connection_moves_with_all_its_streams_and_the_client_sees_nothing_of_it() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 60);
    browser.follow(&mut stage, "/a", &[1, 3, 5]);
    browser.say(&window(1, 60_000));
    browser.say(&window(3, 60_000));
    let publisher = stage.publisher();
    let mut texts = [String::new(), String::new(), String::new()];
    for n in 10..30 {
        publish(&publisher, &[&n.to_string()]);
        if n % 3 == 0 {
            stage.settle();
        }
        // A request has come in part.
        let ping = frame(6, 0, 0, b"12345678");
        browser.say(&ping[..5]);
        stage.settle();
        let moving = stage.release_carrier().expect("it can move");
        assert_eq!((moving.clients.len(), stage.shard.output.carriers.len(), stage.shard.members.len()), (3, 0, 0));
        assert_eq!(stage.terms.counters.subscribers.value(), 0);
        if n % 2 == 0 {
            publish(&publisher, &["and"]);
            browser.say(&ping[5..]);
            stage.takes_carrier(moving);
        } else {
            stage.takes_carrier(moving);
            browser.say(&ping[5..]);
            stage.settle();
        }
        for (text, stream) in texts.iter_mut().zip([1, 3, 5]) {
            text.push_str(&browser.text(stream).0);
        }
    }
    assert_eq!(texts[2].len(), 60, "the window holds");
    browser.say(&window(5, 60_000));
    stage.settle();
    texts[2].push_str(&browser.text(5).0);
    let expected: Vec<String> = (10..30)
        .flat_map(|n| if n % 2 == 0 { vec![n.to_string(), "and".to_owned()] } else { vec![n.to_string()] })
        .collect();
    for text in &texts {
        assert_eq!(data_of(text), expected);
    }
    browser.hear();
    assert_eq!(browser.frames.iter().filter(|frame| frame.0 == 6).count(), 20, "each PING was answered");
    assert!(!browser.came(GOAWAY, 0) && stage.departed().is_empty());
    assert_eq!(stage.terms.counters.subscribers.value(), 3);
    assert_eq!(stage.terms.counters.opens.value(), 3, "they came once");
}

#[test]
fn what_the_socket_did_not_take_comes_first() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 1 << 24);
    browser.say(&window(0, 1 << 24));
    browser.follow(&mut stage, "/a", &[1]);
    let publisher = stage.publisher();
    let large = "x".repeat(3 << 20);
    publish(&publisher, &[&large]);
    publish(&publisher, &["after"]);
    stage.settle();
    let moving = stage.release_carrier().expect("it can move");
    assert!(!moving.parts.unsent.is_empty(), "the client is in the middle of a frame");
    stage.takes_carrier(moving);
    let mut text = String::new();
    for _ in 0..2000 {
        text.push_str(&browser.text(1).0);
        stage.settle();
    }
    assert_eq!(data_of(&text), [large, "after".to_owned()]);
}

#[test]
fn a_connection_on_which_something_is_answered_elsewhere_stays_with_all_its_clients() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 60_000);
    browser.follow(&mut stage, "/a", &[1]);
    browser.ask(3);
    stage.settle();
    assert!(stage.release_carrier().is_none());
    let publisher = stage.publisher();
    publish(&publisher, &["1"]);
    stage.settle();
    assert!(browser.text(1).0.contains("data: 1\n"));
    browser.say(&frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]));
    stage.settle();
    assert!(stage.release_carrier().is_some(), "it is over by now");
}

#[test]
fn a_connection_with_a_client_of_a_stream_that_stays_stays() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 60_000);
    browser.follow(&mut stage, "/a", &[1]);
    browser.follow(&mut stage, "/b", &[3]);
    assert!(stage.release_carrier().is_none());
    assert_eq!(stage.shard.members.len(), 2);
}

#[test]
fn a_stream_whose_place_is_gone_is_reset_and_the_others_go_on() {
    let mut stage = Stage::new();
    let mut browser = Browser::open(&mut stage, 60_000);
    browser.follow(&mut stage, "/a", &[1, 3]);
    let moving = stage.release_carrier().unwrap();
    let mut first = true;
    let again =
        moving.goes_on(|client| if std::mem::take(&mut first) { None } else { stage.place_of(client) }, stage.now);
    stage.inbox.post(Box::new(Returning { sockets: Vec::new(), carriers: vec![again] }));
    stage.settle();
    assert!(browser.came(RST_STREAM, 1) && !browser.came(RST_STREAM, 3));
    let publisher = stage.publisher();
    publish(&publisher, &["1"]);
    stage.settle();
    assert!(browser.text(3).0.contains("data: 1\n"));
}
