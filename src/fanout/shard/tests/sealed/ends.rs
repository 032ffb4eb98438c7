//! How connections of clients over TLS 1.3 end.

use super::*;
use crate::hub::Failure;

#[test]
fn an_orderly_end_is_told_and_a_cut_is_not() {
    for framing in [Framing::Chunked, Framing::UntilClose] {
        for (why, is_told) in [(End::OriginClosed, true), (End::Failed(Failure::Ended), false)] {
            let mut stage = Stage::new();
            let (_first, publisher) = stage.opened("/a");
            let mut client = stage.sealed_with("/a", |arrival| arrival.delivery.framing = framing);
            let mut slow = stage.sealed_with("/a", |arrival| {
                arrival.delivery.framing = framing;
                hold_little(arrival);
            });
            stage.settle();
            publish(&publisher, &["1", &"x".repeat(20_000)]);
            end(publisher, why);
            for client in [&mut client, &mut slow] {
                let mut has_ended = || {
                    stage.settle();
                    client.read() == Link::Ended
                };
                assert!((0..100).any(|_| has_ended()));
                assert_eq!((client.was_told(), &client.error), (is_told, &None), "{framing:?}");
                let has_last = client.heard.ends_with(if framing == Framing::Chunked { b"0\r\n\r\n" } else { b"\n\n" });
                assert!(has_last || !is_told, "close_notify comes after the last byte");
            }
            stage.slowly(4 * SECOND);
            assert_eq!(stage.shard.members.clients().len(), 0);
        }
    }
}

#[test]
fn a_connection_of_tls_is_never_given_back() {
    let mut stage = Stage::new();
    let (_first, publisher) = stage.opened("/a");
    let mut client = stage.sealed_with("/a", |arrival| arrival.delivery.is_kept = true);
    stage.settle();
    client.say(b"GET /next HTTP/1.1\r\n\r\n");
    stage.settle();
    end(publisher, End::OriginClosed);
    stage.settle();
    assert_eq!((client.read(), client.was_told()), (Link::Ended, true));
    assert!(stage.kept.lock().is_empty());
}

#[test]
fn a_client_that_says_goodbye_or_breaks_the_protocol_is_gone() {
    let half_sent = |stage: &mut Stage, publisher: &Publisher| {
        let client = stage.sealed_with("/a", hold_little);
        publish(publisher, &[&"x".repeat(50_000)]);
        stage.settle();
        client
    };
    for is_half_sent in [false, true] {
        let mut stage = Stage::new();
        let (_first, publisher) = stage.opened("/a");
        let arriving = |stage: &mut Stage| if is_half_sent { half_sent(stage, &publisher) } else { stage.sealed("/a") };
        let mut polite = arriving(&mut stage);
        polite.tls.send_close_notify();
        polite.say(b"");
        stage.settle();
        assert_eq!(stage.departed(), [Departure::Left]);
        let mut rude = arriving(&mut stage);
        rude.socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stage.settle();
        assert_eq!(stage.departed(), [Departure::Left]);
        assert_eq!(stage.shard.members.len(), 1, "only the first client is left");
        rude.read();
        let told = rustls::Error::AlertReceived(rustls::AlertDescription::UnexpectedMessage);
        // The end of a record that was begun comes before the alert, and the client has not read enough for both.
        assert_eq!(rude.error, if is_half_sent { None } else { Some(told) });
        polite.read();
        assert!(!polite.was_told(), "the response did not end");
    }
}

#[test]
fn floods_of_records_end_their_client() {
    let mut stage = Stage::new();
    let (_first, publisher) = stage.opened("/a");
    let mut client = stage.sealed("/a");
    let mut asked = 0;
    while stage.departed().is_empty() {
        client.ask_for_keys();
        // rustls takes few answers in a row without data.
        publish(&publisher, &["1"]);
        stage.settle();
        client.read();
        asked += 1;
        assert!(asked < 1000);
    }
    assert!(asked > 100, "{asked}");
    let mut client = stage.sealed("/a");
    (0..2).for_each(|_| client.say(&[b'x'; 40_000]));
    stage.settle();
    assert_eq!(stage.departed(), [Departure::Left]);
}

#[test]
fn in_a_drain_sealed_clients_get_their_last_words_whole() {
    let mut stage = Stage::new();
    let (_first, publisher) = stage.opened("/a");
    let mut slow = stage.sealed_with("/a", hold_little);
    publish(&publisher, &[&"x".repeat(40_000)]);
    stage.settle();
    stage.inbox.drain(stage.now + SECOND);
    stage.slowly(SECOND);
    for _ in 0..ENOUGH {
        stage.settle();
        if slow.read_some(700) == Link::Ended {
            break;
        }
    }
    assert!(slow.heard.ends_with(b"\n\n\r\n9\r\nretry: 7\n\r\n0\r\n\r\n"));
    assert_eq!((slow.was_told(), slow.error), (true, None));
}
