//! Each kind of fault is counted as that kind.

use crate::event::{Stamp, Template};
use crate::specs::Window;
use crate::tally::*;
use crate::wire::{Item, Response};

const SIZE: usize = 128;

/// A tally of two clients of one stream. The events that are sent from 1,000 to 2,000 ns are measured.
fn tally() -> Tally {
    let mut tally = Tally::new(2, 1, SIZE).expect("counts for two clients");
    tally.measure(Window { from: 1_000, until: 2_000 });
    tally
}

/// Event n is sent at 100 n ns and read 50 ns later.
fn get(tally: &mut Tally, client: usize, seqs: impl IntoIterator<Item = u64>) {
    for seq in seqs {
        tally.event(client, Stamp { seq, sent: 100 * seq }, SIZE, 100 * seq + 50);
    }
}

#[test]
fn whoever_got_everything_is_finished() {
    let mut tally = tally();
    get(&mut tally, 0, 0..=20);
    assert!(!tally.is_complete());
    get(&mut tally, 1, 0..=23);
    assert!(tally.is_complete());
    let received = tally.received(true);
    assert_eq!((received.lost, received.doubled, received.out_of_order, received.unfinished), (0, 0, 0, 0));
    assert_eq!((received.in_window, received.latency.count), (20, 20));
    assert!((received.latency.max - 50e-6).abs() < 1e-6, "{received:?}");
}

#[test]
fn each_fault_is_counted_as_what_it_is() {
    let mut tally = tally();
    get(&mut tally, 0, [0, 1, 1, 3, 2].into_iter().chain(4..=20));
    get(&mut tally, 1, (0..=20).filter(|&seq| seq != 12));
    let received = tally.received(true);
    assert_eq!((received.lost, received.doubled, received.out_of_order), (1, 1, 1));
}

#[test]
fn what_another_client_got_is_lost_to_one_that_stopped() {
    let mut tally = tally();
    get(&mut tally, 0, 0..=20);
    get(&mut tally, 1, 0..=15);
    let received = tally.received(true);
    assert_eq!((received.lost, received.unfinished), (4, 1));
    assert!(!tally.is_complete());
}

#[test]
fn an_event_of_another_size_is_damaged() {
    let mut tally = tally();
    tally.event(0, Stamp { seq: 0, sent: 1 }, SIZE - 1, 2);
    assert_eq!(tally.received(true).damaged, 1);
}

#[test]
fn faults_are_seen_in_the_bytes_of_a_response() {
    let sent = [0, 1, 3, 3, 2, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n".to_vec();
    let mut template = Template::new(SIZE, true);
    for seq in sent {
        bytes.extend_from_slice(template.stamped(Stamp { seq, sent: 100 * seq }));
    }
    let mut tally = Tally::new(1, 1, SIZE).unwrap();
    tally.measure(Window { from: 1_000, until: 2_000 });
    let mut response = Response::default();
    for piece in bytes.chunks(100) {
        response.read(piece, &mut |item| match item {
            Item::Event { stamp: Some(stamp), size } => tally.event(0, stamp, size, stamp.sent + 50),
            Item::Comment => tally.comment(),
            item => assert_eq!(item, Item::Head { status: Some(200) }),
        });
    }
    let received = tally.received(true);
    assert_eq!((received.events, received.comments, received.in_window), (21, 1, 10));
    // 6 never came, 3 came twice, and 2 came late.
    assert_eq!((received.lost, received.doubled, received.out_of_order, received.unfinished), (1, 1, 1, 0));
}
