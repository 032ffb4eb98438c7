//! What a shard answers about its clients.

use super::*;
use crate::fanout::question::Question;
use crate::replay::Seq;
use std::collections::HashMap;
use tokio::sync::oneshot;

impl Stage {
    fn ask<T>(&mut self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> T {
        let (reply, mut answer) = oneshot::channel();
        self.inbox.post(Box::new(question(reply)));
        self.settle();
        answer.try_recv().expect("an answer")
    }

    /// The number of entries that each of the first `most` clients of a stream was given, and whether it takes nothing.
    fn clients(&mut self, stream: usize, most: usize) -> Vec<(u64, bool)> {
        let begin = self.hub.view(stream).map_or(0, |view| view.log.first.0);
        let found = self.ask(|reply| Question::Clients { stream, most, found: Vec::new(), last: None, reply });
        found.iter().map(|client| (client.cursor.0 - begin, client.slow_since.is_some())).collect()
    }
}

#[test]
fn the_clients_that_are_the_furthest_behind_come_first_and_each_stream_has_its_own() {
    let mut stage = Stage::new();
    let (mut first, publisher) = stage.opened("/a");
    let mut others: Vec<_> = (0..300).map(|_| stage.client("/a")).collect();
    let _slow = stage.client_with("/a", hold_little);
    stage.settle();
    let (_alone, quiet) = stage.opened("/b");
    publish(&publisher, &[&"x".repeat(64 << 10)]);
    stage.settle();
    for reader in others.iter_mut().chain([&mut first]) {
        reader.take();
    }
    stage.settle();
    publish(&publisher, &["2", "3"]);
    stage.settle();
    for (stream, most, expected) in [
        (0, 1, vec![(1, true)]),
        (0, 3, vec![(1, true), (3, false), (3, false)]),
        (1, 9, vec![(0, false)]),
        (2, 9, vec![]),
    ] {
        assert_eq!(stage.clients(stream, most), expected, "{most} of stream {stream}");
    }
    assert_eq!(stage.clients(0, 1000).len(), 302);
    let slowest = stage.ask(|reply| Question::Slowest { found: HashMap::new(), reply });
    let begin = |stream| stage.hub.view(stream).unwrap().log.first.0;
    assert_eq!(slowest, HashMap::from([(0, Seq(begin(0) + 1)), (1, Seq(begin(1)))]));
    drop((publisher, quiet));
}

#[test]
fn what_a_client_was_sent_is_told() {
    let mut stage = Stage::new();
    let (_client, publisher) = stage.opened("/a");
    publish(&publisher, &["1", "2"]);
    stage.settle();
    let found =
        stage.ask(|reply| Question::Clients { stream: 0, most: 9, found: Vec::new(), last: None, reply }).remove(0);
    assert_eq!(found.sent.events, 2);
    assert!(found.sent.bytes > 0 && found.framing == Framing::Chunked && found.slow_since.is_none());
}

#[test]
fn only_the_client_that_is_meant_is_ended() {
    let mut stage = Stage::new();
    let (mut first, _publisher) = stage.opened("/a");
    let mut second = stage.client("/a");
    stage.settle();
    let (mut other, _other_publisher) = stage.opened("/b");
    let all = stage.ask(|reply| Question::Clients { stream: 0, most: 9, found: Vec::new(), last: None, reply });
    let (place, asked) = (all[1].place, all[1].asked);
    for (stream, place, asked, is_there) in [
        (1, place, asked, false),
        (0, place, asked + 1, false),
        (0, place + 99, asked, false),
        (0, place, asked, true),
        (0, place, asked, false),
    ] {
        let found = stage.ask(|reply| Question::Dismiss { stream, place, asked, reply });
        assert_eq!(found, is_there, "{stream} {place} {asked}");
    }
    assert_eq!(stage.departed(), [Departure::Ended(End::Dismissed)]);
    assert!(second.text().ends_with("retry: 7\n\r\n0\r\n\r\n"));
    assert_eq!((first.read(), other.read()), (Link::Open, Link::Open));
}

#[test]
fn a_question_of_somebody_who_has_gone_costs_nothing() {
    let mut stage = Stage::new();
    let (_client, _publisher) = stage.opened("/a");
    let (reply, answer) = oneshot::channel();
    drop(answer);
    stage.inbox.post(Box::new(Question::Slowest { found: HashMap::new(), reply }));
    stage.settle();
    assert!(stage.shard.backlog.questions.is_empty());
}
