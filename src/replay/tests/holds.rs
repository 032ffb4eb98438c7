//! What clients that keep up are still given, though the log has dropped it.

use super::*;
use crate::replay::log::Delivery;

/// What an entry costs whose text is `id: ~e-N`, `data: N` and an empty line.
const EACH: usize = 112;

/// The number of frames that a client at `cursor` is given, or how far it is behind.
fn given(tape: &Tape, cursor: u64) -> String {
    let mut frames = Vec::new();
    match tape.log.read(Seq(cursor), ALL, &mut frames) {
        Ok(_) => frames.len().to_string(),
        Err(Gap { missed, .. }) => format!("behind {missed:?}"),
    }
}

#[test]
fn without_a_hold_what_is_dropped_is_gone_at_once() {
    let tape = Tape::new(events(2)).feed(&"data: x||".repeat(9));
    assert_eq!((given(&tape, 6), given(&tape, 7)), ("behind Some(1)".to_owned(), "2".to_owned()));
    assert_eq!(tape.log.footprint(), 2 * EACH);
}

#[test]
fn what_is_held_is_delivered_but_nothing_to_resume_from() {
    let mut tape = Tape::new(events(2));
    tape.log.hold(Seq(3));
    tape = tape.feed(&"data: x||".repeat(9));
    assert_eq!((given(&tape, 2), given(&tape, 3), given(&tape, 9)), ("behind Some(5)".into(), "6".into(), "0".into()));
    assert_eq!((tape.log.oldest(), tape.position("~e-5")), (Seq(7), "evicted 1".to_owned()));
    assert_eq!(tape.log.footprint(), 6 * EACH);
}

#[test]
fn the_lowest_hold_counts_and_each_holder_ends_its_own() {
    let mut tape = Tape::new(events(1));
    for at in [2, 2, 2, 2, 4] {
        tape.log.hold(Seq(at));
    }
    tape = tape.feed(&"data: x||".repeat(9));
    let oldest = |tape: &Tape| (0..=9).find(|cursor| !given(tape, *cursor).starts_with("behind")).unwrap();
    assert_eq!(oldest(&tape), 2);
    tape.log.release(Seq(2), 1);
    assert_eq!(oldest(&tape), 2, "other clients are there");
    tape.log.release(Seq(2), 2);
    assert_eq!(oldest(&tape), 2, "one more is");
    tape.log.move_hold(Seq(2), Seq(6));
    assert_eq!(oldest(&tape), 4);
    tape.log.release(Seq(4), 1);
    assert_eq!(oldest(&tape), 6);
    tape.log.release(Seq(5), 1);
    assert_eq!(oldest(&tape), 6, "nobody held that");
    tape.log.move_hold(Seq(6), Seq(9));
    assert_eq!((oldest(&tape), tape.log.footprint()), (8, EACH));
    tape = tape.feed("data: x||");
    assert_eq!(oldest(&tape), 9, "a hold at the end is one of what comes");
}

#[test]
fn what_is_kept_for_delivery_is_bounded_between_batches() {
    for (delivery, kept) in [
        (Delivery { together: 0, beside: 0 }, 0),
        (Delivery { together: 5 * EACH, beside: 0 }, 3),
        (Delivery { together: 0, beside: 4 * EACH }, 4),
        (Delivery { together: 5 * EACH, beside: 4 * EACH }, 4),
        (Delivery { together: 99 * EACH, beside: 0 }, 7),
    ] {
        let mut tape = Tape::new(events(2));
        tape.log.delivery = delivery;
        tape.log.hold(Seq(0));
        for event in decode(&mut tape.decoder, &"data: x||".repeat(9)) {
            tape.log.append(&event, tape.now);
        }
        assert_eq!(given(&tape, 0), "9", "within a batch nothing is lost");
        tape.log.begin_batch();
        assert_eq!(given(&tape, 7 - kept), (kept + 2).to_string());
        assert_eq!(given(&tape, 0).starts_with("behind"), kept < 7);
    }
}

#[test]
fn a_holder_that_was_left_behind_keeps_nothing_for_itself() {
    let mut tape = Tape::new(events(2));
    tape.log.delivery = Delivery { together: 0, beside: 3 * EACH };
    tape.log.hold(Seq(0));
    tape = tape.feed(&"data: x||".repeat(5));
    assert_eq!((given(&tape, 0), tape.log.footprint()), ("5".to_owned(), 5 * EACH));
    tape = tape.feed("data: x||data: x||");
    assert_eq!((given(&tape, 0), tape.log.footprint()), ("behind Some(5)".to_owned(), 2 * EACH));
    tape.log.hold(Seq(7));
    tape = tape.feed("data: x||data: x||data: x||");
    assert_eq!((given(&tape, 7), tape.log.footprint()), ("3".to_owned(), 3 * EACH));
    tape.log.release(Seq(0), 1);
    tape.log.release(Seq(7), 1);
    assert_eq!(tape.log.footprint(), 2 * EACH);
}

#[test]
fn what_aged_is_delivered_to_those_who_keep_up() {
    let mut tape = Tape::new(ReplayOptions { age: Some(Duration::from_secs(10)), ..events(9) });
    tape.log.hold(Seq(1));
    let mut tape = tape.feed("data: 0||data: 1||data: 2||").after(11).expire();
    assert_eq!((given(&tape, 0), given(&tape, 1), tape.held()), ("behind Some(2)".into(), "2".into(), "2".into()));
    tape.log.release(Seq(1), 1);
    assert_eq!(tape.log.footprint(), EACH);
}

#[test]
fn holds_outlast_the_content_that_is_taken_out() {
    let mut tape = Tape::new(events(2));
    tape.log.hold(Seq(0));
    tape = tape.feed("data: x||data: x||data: x||");
    drop(tape.log.take());
    tape.log.move_hold(Seq(0), Seq(3));
    tape = tape.feed(&"data: x||".repeat(4));
    assert_eq!(given(&tape, 3), "4");
    tape.log.release(Seq(3), 1);
    assert_eq!(tape.log.footprint(), 2 * EACH);
}
