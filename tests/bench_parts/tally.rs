//! Each kind of fault is counted as that kind.

use crate::event::{Stamp, Template};
use crate::specs::Window;
use crate::tally::*;
use crate::text::Item;
use crate::wire::Response;

const SIZE: usize = 128;

/// A tally of two clients of one stream. The events that are sent from 1,000 to 2,000 ns are measured.
fn tally() -> Tally {
    tally_of([Reader { first: 0, checks: true }, Reader { first: 0, checks: true }])
}

fn tally_of<const N: usize>(readers: [Reader; N]) -> Tally {
    let mut tally = Tally::new(readers.into_iter(), 1, SIZE).expect("counts for the clients");
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
    let mut tally = tally_of([Reader { first: 0, checks: true }]);
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

#[test]
fn who_comes_back_misses_only_what_came_after_its_last_event() {
    let mut tally = tally_of([Reader { first: 7, checks: true }, Reader { first: 3, checks: true }]);
    get(&mut tally, 0, 7..=20);
    get(&mut tally, 1, 5..=20);
    let received = tally.received(true);
    assert_eq!((received.lost, received.doubled, received.unfinished), (2, 0, 0));
    get(&mut tally, 0, 6..=6);
    assert_eq!(tally.received(true).doubled, 1, "an event that it had before");
}

#[test]
fn the_events_of_those_who_count_bytes_are_reckoned_by_those_who_check() {
    let mut tally = tally_of([Reader { first: 0, checks: true }, Reader { first: 0, checks: false }]);
    assert!(tally.checks(0) && !tally.checks(1));
    get(&mut tally, 0, 0..=20);
    for now in [500, 1_500, 1_600, 2_500] {
        tally.bytes(0, 750, now);
        tally.bytes(1, 1_500, now);
    }
    assert!(tally.is_complete(), "who only counts bytes cannot tell that it has everything");
    let received = tally.received(true);
    // 10 events were 1,500 bytes to the one, so 3,000 bytes were 20 events to the other.
    assert_eq!((received.in_window, received.lost, received.unfinished), (30, 0, 0));
}
