//! Clients over TLS 1.3. At the other end is rustls.

mod bounds;
mod ends;

use super::super::super::client::{Client, State};
use super::super::super::sender::{Sender, Sending};
use super::*;
use crate::replay::Start;
use crate::tls::tests::{SUITES, connected, said};
use rustls::ClientConnection;
use std::num::NonZeroUsize;

/// The client's end of a connection.
struct Sealed {
    socket: UnixStream,
    tls: ClientConnection,
    heard: Vec<u8>,
    /// What is wrong with what came.
    error: Option<rustls::Error>,
}

impl Stage {
    fn sealed_with(&mut self, path: &str, change: impl FnOnce(&mut Arrival)) -> Sealed {
        let suite = SUITES[self.shard.members.len() % SUITES.len()];
        let (tls, channel) = connected(suite);
        let Reader { socket, .. } = self.client_with(path, |arrival| {
            arrival.channel = Some(Box::new(channel));
            change(arrival);
        });
        Sealed { socket, tls, heard: Vec::new(), error: None }
    }

    fn sealed(&mut self, path: &str) -> Sealed {
        let mut client = self.sealed_with(path, |_| {});
        self.settle();
        assert_eq!(client.take(), OPENING);
        client
    }
}

impl Sealed {
    /// Reads at most so many bytes of what has arrived.
    fn read_some(&mut self, most: usize) -> Link {
        let mut wire = vec![0; most];
        let read = match self.socket.read(&mut wire) {
            Ok(0) => return Link::Ended,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Link::Open,
            Err(_) => return Link::Ended,
        };
        let mut wire = &wire[..read];
        while !wire.is_empty() && self.error.is_none() {
            self.tls.read_tls(&mut wire).unwrap();
            self.error = self.tls.process_new_packets().err();
            match self.tls.reader().read_to_end(&mut self.heard) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        Link::Open
    }

    /// Reads what has arrived.
    fn read(&mut self) -> Link {
        loop {
            let wire = self.tls.wants_read();
            let before = self.heard.len();
            let link = self.read_some(64 << 10);
            let is_idle = rustix::io::ioctl_fionread(&self.socket).is_ok_and(|bytes| bytes == 0);
            if link == Link::Ended || (is_idle && before == self.heard.len() && wire == self.tls.wants_read()) {
                return link;
            }
        }
    }

    fn take(&mut self) -> Vec<u8> {
        self.read();
        assert_eq!(self.error, None);
        std::mem::take(&mut self.heard)
    }

    fn data(&mut self) -> String {
        let text = String::from_utf8(self.take()).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("data: ")).collect::<Vec<_>>().join(" ")
    }

    fn say(&mut self, plain: &[u8]) {
        let wire = said(&mut self.tls, plain);
        self.socket.write_all(&wire).unwrap();
    }

    fn ask_for_keys(&mut self) {
        self.tls.refresh_traffic_keys().unwrap();
        self.say(b"");
    }

    /// close_notify came.
    fn was_told(&mut self) -> bool {
        self.tls.process_new_packets().unwrap().peer_has_closed()
    }
}

/// Tries something with each kind of sender.
fn with_each_sender(mut stage: impl FnMut() -> Stage, try_it: impl Fn(Stage)) {
    for sending in [Ok(Sending::Loop), Sending::by_ring()].into_iter().flatten() {
        let mut stage = stage();
        stage.shard.output.sender = Sender::new(sending);
        try_it(stage);
    }
}

#[test]
fn sealed_and_plain_clients_of_a_stream_get_the_same() {
    let heartbeat = || Stage::with(ReplayOptions::default(), |pace| pace.heartbeat = Some(SECOND));
    with_each_sender(heartbeat, |mut stage| {
        let (mut plain, publisher) = stage.opened("/a");
        let mut sealed: Vec<_> = (0..100).map(|_| stage.sealed("/a")).collect();
        let mut others: Vec<_> = (0..100).map(|_| stage.client("/a")).collect();
        publish(&publisher, &["1", &"x".repeat(5000), "3"]);
        stage.settle();
        let got = plain.take();
        assert!(got.len() > 5000);
        others.iter_mut().for_each(|other| assert!(other.take().ends_with(&got)));
        sealed.iter_mut().for_each(|client| assert_eq!(client.take(), got));
        stage.slowly(2 * SECOND);
        for client in &mut sealed {
            assert_eq!(String::from_utf8(client.take()).unwrap(), "2\r\n:\n\r\n".repeat(2), "heartbeats");
        }
        publish(&publisher, &["4"]);
        stage.settle();
        sealed.iter_mut().for_each(|client| assert_eq!(client.data(), "4"));
    });
}

#[test]
fn a_large_event_is_sealed_piece_by_piece() {
    with_each_sender(Stage::new, |mut stage| {
        let (mut plain, publisher) = stage.opened("/a");
        let mut clients: Vec<_> = (0..5).map(|_| stage.sealed("/a")).collect();
        let large = "x".repeat(150 << 10);
        publish(&publisher, &[&large]);
        let mut got = vec![Vec::new(); clients.len()];
        let mut expected = Vec::new();
        for _ in 0..100 {
            stage.settle();
            expected.extend(plain.take());
            clients.iter_mut().zip(&mut got).for_each(|(client, got)| got.extend(client.take()));
        }
        assert!(expected.ends_with(b"\n\n\r\n"));
        assert!(got.iter().all(|got| *got == expected));
        publish(&publisher, &["2"]);
        stage.settle();
        clients.iter_mut().for_each(|client| assert_eq!(client.data(), "2"));
    });
}

/// It reads so that the socket's buffer has room for a part of a record only.
#[test]
fn a_slow_client_reads_every_event_once_wherever_its_sends_are_cut() {
    with_each_sender(Stage::new, |mut stage| {
        let (_first, publisher) = stage.opened("/a");
        let mut slow = stage.sealed_with("/a", hold_little);
        let mut steps = [1, 900, 3000, 5, 1400, 22, 8000].into_iter().cycle();
        let mut expected = String::new();
        for n in 0..200 {
            let data = format!("{n}-{}", "y".repeat(n * 37 % 5000));
            publish(&publisher, &[&data]);
            expected += &format!("data: {data}\n");
            stage.turn();
            slow.read_some(steps.next().unwrap());
            if n % 50 == 25 {
                slow.ask_for_keys();
            }
        }
        publish(&publisher, &["last"]);
        expected += "data: last\n";
        for _ in 0..ENOUGH {
            stage.settle();
            if slow.heard.ends_with(b"data: last\n\n\r\n") {
                break;
            }
            slow.read_some(steps.next().unwrap());
        }
        assert_eq!(slow.error, None);
        let text = String::from_utf8(std::mem::take(&mut slow.heard)).unwrap();
        let data: String = text.split_inclusive('\n').filter(|line| line.starts_with("data: ")).collect();
        assert!(data == expected, "{} of {} bytes", data.len(), expected.len());
        slow.take();
        publish(&publisher, &["live again"]);
        stage.settle();
        assert_eq!(slow.data(), "live again");
    });
}

/// Whatever the size of an event, and so wherever its last send is cut.
#[test]
fn the_rest_of_a_record_waits_for_no_other_event() {
    with_each_sender(Stage::new, |mut stage| {
        let (_first, publisher) = stage.opened("/a");
        let mut cut_in_the_last_record = 0;
        for size in (0..16_000).step_by(400) {
            let mut slow = stage.sealed_with("/a", hold_little);
            stage.settle();
            assert_eq!(slow.take(), OPENING);
            publish(&publisher, &[&"x".repeat(size)]);
            stage.settle();
            let is_waiting = |client: &Client| match &client.state {
                State::Alone(alone) => alone.is_blocked() && alone.pending().is_empty() && client.sink.has_pending(),
                _ => false,
            };
            let clients = stage.shard.members.clients();
            cut_in_the_last_record += clients.iter().filter(|(_, client)| is_waiting(client)).count();
            for _ in 0..20 {
                slow.read();
                stage.settle();
            }
            assert_eq!(slow.data(), "x".repeat(size));
            drop(slow);
            stage.settle();
        }
        assert!(cut_in_the_last_record > 3, "{cut_in_the_last_record}");
    });
}

#[test]
fn clients_that_start_in_the_past_get_the_past_and_then_the_present() {
    let start = Start::Back(NonZeroUsize::new(2).unwrap());
    let stage = || Stage::with(ReplayOptions { start, ..ReplayOptions::default() }, |_| {});
    with_each_sender(stage, |mut stage| {
        let (_first, publisher) = stage.opened("/a");
        publish(&publisher, &["1", "2", "3"]);
        let mut crowd: Vec<_> = (0..40).map(|_| stage.sealed_with("/a", |_| {})).collect();
        stage.turn();
        publish(&publisher, &["4"]);
        stage.settle();
        crowd.iter_mut().for_each(|client| assert_eq!(client.data(), "2 3 4"));
    });
}

#[test]
fn a_client_that_asks_for_new_keys_gets_them_and_goes_on() {
    with_each_sender(Stage::new, |mut stage| {
        let (_first, publisher) = stage.opened("/a");
        let mut client = stage.sealed("/a");
        for n in 0..20 {
            client.ask_for_keys();
            client.say(b"\r\n");
            stage.settle();
            let before = rustix::io::ioctl_fionread(&client.socket).unwrap();
            assert!(before > 0, "the answer does not wait for an event");
            publish(&publisher, &[&n.to_string()]);
            stage.settle();
            assert_eq!(client.data(), n.to_string());
        }
        assert_eq!(stage.departed(), []);
    });
}

#[test]
fn an_answer_that_the_socket_does_not_take_goes_before_the_next_event() {
    let mut stage = Stage::new();
    let (_first, publisher) = stage.opened("/a");
    let mut seen = None;
    let mut client = stage.sealed_with("/a", |arrival| {
        hold_little(arrival);
        seen = Some(UnixStream::from(arrival.socket.try_clone().unwrap()));
    });
    stage.settle();
    assert_eq!(client.take(), OPENING);
    // Something else fills the socket, so that it takes nothing while the client is caught up.
    let mut ours = seen.unwrap();
    let mut filled = 0;
    while ours.write_all(&[0]).is_ok() {
        filled += 1;
    }
    client.ask_for_keys();
    stage.settle();
    publish(&publisher, &["1"]);
    stage.settle();
    client.socket.read_exact(&mut vec![0; filled]).unwrap();
    stage.settle();
    assert_eq!(client.data(), "1");
    publish(&publisher, &["2"]);
    stage.settle();
    assert_eq!(client.data(), "2");
}
