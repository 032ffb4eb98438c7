//! Tickets, byte by byte.

use super::super::tickets::{CLOCKS_DIFFER_SECS, LIFETIME_SECS, SharedTickets};
use super::*;
use proptest::prelude::*;
use rustls::server::ProducesTickets;
use std::cell::Cell;

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_800_000_000) };
}

fn tickets(text: &str, context: &[u8]) -> SharedTickets {
    SharedTickets::at(&TicketKeys::from_text(text.as_bytes()).unwrap(), context, || NOW.get()).unwrap()
}

#[test]
fn keys_are_read_or_it_is_told_what_is_wrong() {
    let many = |count: usize| (0..count).map(|n| format!("{n:064x}\n")).collect::<String>();
    for (text, expected) in [
        (KEY.to_owned(), Ok("TicketKeys(1)")),
        (KEY.to_uppercase(), Ok("TicketKeys(1)")),
        (format!("# made today\r\n\r\n  {KEY} \r\n{}", many(1)), Ok("TicketKeys(2)")),
        (many(16), Ok("TicketKeys(16)")),
        (many(17), Err(InvalidTicketKeys::TooMany)),
        (String::new(), Err(InvalidTicketKeys::Empty)),
        ("# nothing\n\n".to_owned(), Err(InvalidTicketKeys::Empty)),
        (format!("{KEY}\n{}", KEY.to_uppercase()), Err(InvalidTicketKeys::Twice(2))),
        (format!("\n{KEY}0"), Err(InvalidTicketKeys::Line(2))),
        (KEY.replacen('0', "", 1), Err(InvalidTicketKeys::Line(1))),
        (KEY.replacen("01", "", 1), Err(InvalidTicketKeys::Line(1))),
        (KEY.replacen('0', "g", 1), Err(InvalidTicketKeys::Line(1))),
        (KEY.replacen("01", "+1", 1), Err(InvalidTicketKeys::Line(1))),
        (format!("{KEY} {KEY}"), Err(InvalidTicketKeys::Line(1))),
        (format!("{KEY} # old"), Err(InvalidTicketKeys::Line(1))),
        ("\u{fffd}".to_owned(), Err(InvalidTicketKeys::Line(1))),
    ] {
        let read = TicketKeys::from_text(text.as_bytes());
        assert_eq!(read.map(|keys| format!("{keys:?}")), expected.map(str::to_owned), "{text}");
    }
    assert_eq!(TicketKeys::from_text(b"\xff\xfe").unwrap_err(), InvalidTicketKeys::Line(1));
}

#[test]
fn a_ticket_opens_for_its_time() {
    let lifetime = u64::from(LIFETIME_SECS);
    let tickets = tickets(KEY, b"");
    assert_eq!((tickets.lifetime(), lifetime), (LIFETIME_SECS, 43_200));
    let issued = NOW.get();
    let ticket = tickets.encrypt(b"session").unwrap();
    for (now, opens) in [
        (issued, true),
        (issued + lifetime, true),
        (issued + lifetime + 1, false),
        (issued - CLOCKS_DIFFER_SECS, true),
        (issued - CLOCKS_DIFFER_SECS - 1, false),
    ] {
        NOW.set(now);
        assert_eq!(tickets.decrypt(&ticket), opens.then(|| b"session".to_vec()), "{now}");
    }
}

#[test]
fn a_ticket_opens_only_where_clients_are_checked_in_the_same_way() {
    let ticket = tickets(KEY, b"one").encrypt(b"session").unwrap();
    assert!(tickets(KEY, b"one").decrypt(&ticket).is_some());
    assert!(tickets(KEY, b"other").decrypt(&ticket).is_none());
}

#[test]
fn no_two_tickets_are_the_same_and_none_shows_its_session() {
    let (tickets, session) = (tickets(KEY, b""), [7; 100]);
    let [one, other] = [(); 2].map(|()| tickets.encrypt(&session).unwrap());
    let (name, salt) = (0..16, 16..48);
    assert_eq!(one[name.clone()], other[name]);
    assert_ne!(one[salt.clone()], other[salt]);
    assert_ne!(one[48..], other[48..]);
    assert!(!one.windows(4).any(|bytes| bytes == &session[..4]));
    assert_eq!(one.len(), 16 + 32 + 8 + session.len() + 16);
}

proptest! {
    #[test]
    fn a_ticket_that_was_changed_does_not_open(
        session in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let tickets = tickets(KEY, b"");
        let ticket = tickets.encrypt(&session).unwrap();
        prop_assert_eq!(tickets.decrypt(&ticket), Some(session));
        let mut changed = ticket.clone();
        changed[at.index(ticket.len())] ^= 1 << bit;
        prop_assert_eq!(tickets.decrypt(&changed), None);
        prop_assert_eq!(tickets.decrypt(&ticket[..cut.index(ticket.len())]), None);
        prop_assert_eq!(tickets.decrypt(&[&ticket[..], &[0]].concat()), None);
    }

    #[test]
    fn nonsense_does_not_open(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
        prop_assert_eq!(tickets(KEY, b"").decrypt(&bytes), None);
    }
}
