//! What is dropped, and what never is.

use super::*;

/// What an entry costs whose text is `id: ~e-N`, `data: N` and an empty line.
const EACH: usize = 112;

fn bytes(most: usize) -> ReplayOptions {
    ReplayOptions { bytes: most, ..events(100) }
}

fn age(secs: u64, start: Start) -> ReplayOptions {
    ReplayOptions { age: Some(Duration::from_secs(secs)), start, ..events(100) }
}

#[test]
fn the_newest_events_are_held_as_many_as_the_bound_says() {
    for (most, held) in [(1, "4"), (2, "3 4"), (5, "0 1 2 3 4"), (9, "0 1 2 3 4")] {
        let tape = Tape::new(events(most)).feed("data: 0||data: 1||data: 2||data: 3||data: 4||");
        assert_eq!(tape.held(), held, "{most}");
        assert_eq!(tape.log.end(), Seq(5));
    }
}

#[test]
fn marks_do_not_push_events_out() {
    let mut tape = Tape::new(events(2)).feed("data: 0||data: 1||");
    for _ in 0..10 {
        tape = tape.mark();
    }
    assert_eq!(tape.held(), "0 1 ! ! ! ! ! ! ! ! ! !");
    assert_eq!(tape.feed("data: 2||data: 3||").held(), "! ! ! ! ! ! ! ! ! ! 2 3");
}

#[test]
fn marks_alone_do_not_fill_the_memory() {
    let mut tape = Tape::new(events(2));
    for _ in 0..2500 {
        tape = tape.mark();
    }
    assert_eq!(tape.log.oldest(), Seq(1500));
    assert_eq!(tape.from(Seq(1499)), "behind None");
}

#[test]
fn what_the_entries_cost_is_bounded() {
    let stream = "data: 0||data: 1||data: 2||data: 3||";
    for (most, held) in
        [(4 * EACH, "0 1 2 3"), (4 * EACH - 1, "1 2 3"), (2 * EACH, "2 3"), (2 * EACH - 1, "3"), (1, "3")]
    {
        let tape = Tape::new(bytes(most)).feed(stream);
        assert_eq!(tape.held(), held, "{most}");
        assert_eq!(tape.log.footprint(), held.split(' ').count() * EACH);
    }
}

#[test]
fn an_entry_costs_little_beside_its_text() {
    for (text, most) in [(20, 115), (128, 125), (1000, 360), (10_000, 2400)] {
        let frame = Frame::of_text(&vec![b'x'; text]);
        let beside = cost_of(&frame) - text;
        assert!((80..most).contains(&beside), "{text}: {beside}");
    }
}

#[test]
fn a_log_for_live_events_only_holds_little() {
    let text = "data: ".to_owned() + &"x".repeat(1000) + "||";
    let tape = Tape::new(live_only()).feed(&text.repeat(2000));
    assert!((60 << 10..=64 << 10).contains(&tape.log.footprint()), "{}", tape.log.footprint());
    let tape = Tape::new(ReplayOptions { bytes: 3 * EACH, ..live_only() }).feed(&"data: x||".repeat(9));
    assert_eq!(tape.log.footprint(), 3 * EACH);
}

#[test]
fn the_newest_event_is_held_even_beyond_the_bytes() {
    let tape = Tape::new(bytes(1)).feed("data: 0||");
    assert_eq!(tape.held(), "0");
    let tape = tape.mark().mark();
    assert_eq!(tape.held(), "0 ! !", "a mark is no event");
    assert_eq!(tape.feed("data: 1||").held(), "1");
}

#[test]
fn events_age_out_but_for_the_newest() {
    let tape = Tape::new(age(10, Start::Live)).feed("data: 0||data: 1||").after(5).feed("data: 2||");
    assert_eq!(tape.held(), "0 1 2");
    let tape = tape.after(5).expire();
    assert_eq!(tape.held(), "0 1 2", "not before its age is over");
    let tape = tape.after(1).expire();
    assert_eq!(tape.held(), "2");
    let tape = tape.after(1000).expire();
    assert_eq!(tape.held(), "2");
    assert_eq!(tape.position("~e-2"), "known 3", "a quiet stream makes no false gap");
    assert_eq!(tape.position("~e-1"), "known 2");
    assert_eq!(tape.position("~e-0"), "evicted 1");
    assert_eq!(tape.feed("data: 3||").held(), "3");
}

#[test]
fn the_log_tells_when_its_oldest_entry_is_too_old() {
    let mut tape = Tape::new(age(10, Start::Live));
    assert_eq!(tape.log.expires_at(), None, "nothing is held");
    tape = tape.feed("data: 0||");
    assert_eq!(tape.log.expires_at(), None, "the newest event never ages");
    for (text, held) in [("data: 1||", "1"), ("data: 2||", "2")] {
        tape = tape.after(3).feed(text);
        let at = tape.log.expires_at().unwrap();
        assert!(at > tape.now && at <= tape.now + Duration::from_secs(10));
        tape.log.expire(at - Duration::from_nanos(1), ALL);
        assert_ne!(tape.held(), held, "not before");
        tape.log.expire(at, ALL);
        assert_eq!(tape.held(), held);
    }
    assert_eq!(Tape::new(events(9)).feed("data: 0||data: 1||").log.expires_at(), None, "no age is set");
}

#[test]
fn events_age_out_of_a_log_that_is_older_than_its_ticks_can_tell() {
    let mut tape = Tape::new(age(1, Start::Live)).feed("data: 0||data: 1||");
    for n in 0..5 {
        // Half the ticks that are counted from one zero, of a millisecond each.
        tape = tape.after((1 << 29) / 1000);
        let text = format!("data: {n}a||data: {n}b||");
        tape = tape.feed(&text);
        assert_eq!(tape.held(), format!("{n}a {n}b"));
        tape = tape.after(1).feed("data: c||");
        assert_eq!(tape.held(), format!("{n}a {n}b c"));
    }
}

#[test]
fn as_many_events_never_age_out_as_a_new_client_is_given() {
    let stream = "data: 0||data: 1||data: 2||data: 3||";
    for (start, held) in
        [(Start::Live, "3"), (Start::All, "3"), (back(1), "3"), (back(3), "1 2 3"), (back(9), "0 1 2 3")]
    {
        let tape = Tape::new(age(10, start)).feed(stream).after(11).expire();
        assert_eq!(tape.held(), held, "{start:?}");
    }
}

#[test]
fn marks_age_out_once_no_event_before_them_is_kept() {
    let tape = Tape::new(age(10, back(2))).mark().feed("data: 0||").mark().feed("data: 1||").mark().after(11).expire();
    assert_eq!(tape.held(), "0 ! 1 !");
    assert_eq!(tape.feed("data: 2||").held(), "1 ! 2");
}

#[test]
fn a_read_gives_at_least_one_frame_and_no_further_one_beyond_its_weight() {
    // A large event weighs what its text takes, and a small one a third of what it costs.
    for size in [1, 300] {
        let event = format!("data: {}||", "x".repeat(size));
        let tape = Tape::new(events(9)).feed(&event.repeat(3));
        let mut one = Vec::new();
        assert_eq!(tape.log.read(Seq(0), 0, &mut one), Ok(Seq(1)));
        let weight = if size == 1 { cost_of(&one[0]) / 3 } else { one[0].text_len() };
        assert_eq!(tape.log.weight_from(Seq(1)), 2 * weight);
        for (most, next) in
            [(weight, 1), (2 * weight - 1, 1), (2 * weight, 2), (3 * weight - 1, 2), (3 * weight, 3), (ALL, 3)]
        {
            let mut frames = Vec::new();
            assert_eq!(tape.log.read(Seq(0), most, &mut frames), Ok(Seq(next)), "{most}");
            assert_eq!(frames.len() as u64, next, "{most}");
        }
    }
    let tape = Tape::new(events(9)).feed("data: 0||data: 1||data: 2||");
    let mut frames = Vec::new();
    assert_eq!(tape.log.read(Seq(3), 0, &mut frames), Ok(Seq(3)));
    assert_eq!(frames, []);
}

#[test]
fn a_cursor_that_was_dropped_is_behind_by_the_events_between() {
    let tape = Tape::new(events(2)).feed("data: 0||data: 1||data: 2||").mark().feed("data: 3||data: 4||");
    assert_eq!(tape.held(), "! 3 4");
    assert_eq!(tape.from(Seq(0)), "behind Some(3)");
    assert_eq!(tape.from(Seq(2)), "behind Some(1)");
    let tape = tape.feed("data: 5||");
    assert_eq!(tape.held(), "4 5");
    assert_eq!(tape.from(Seq(2)), "behind None", "a mark stands for an unknown number");
    assert_eq!(tape.from(Seq(4)), "behind Some(1)");
    let mut frames = Vec::new();
    assert_eq!(tape.log.read(Seq(4), ALL, &mut frames), Err(Gap { reason: GapReason::Lag, missed: Some(1) }));
    assert_eq!(frames, []);
}

#[test]
fn an_entry_does_not_pin_the_read_that_its_event_came_in() {
    for options in [events(9), origin_ids(9)] {
        let read = Bytes::from(b"id: a\ndata: 0\n\n".to_vec());
        let (id, data) = (read.slice(4..5), read.slice(12..13));
        let event = Event { id: Some(id.clone()), last_event_id: id, data, ..Event::default() };
        let mut tape = Tape::new(options);
        tape.append(&event);
        drop(event);
        assert_eq!(tape.position("a"), "known 1");
        assert!(read.is_unique());
    }
}

#[test]
fn what_a_log_costs_is_told() {
    let mut tape = Tape::new(events(2)).feed("data: 0||data: 1||");
    assert_eq!(tape.log.footprint(), 2 * EACH);
    tape.log.hold(Seq(0));
    tape = tape.feed("data: 2||");
    assert_eq!(tape.log.footprint(), 3 * EACH, "what waits for delivery counts too");
    tape.log.move_hold(Seq(0), Seq(1));
    assert_eq!(tape.log.footprint(), 2 * EACH);
    let taken = tape.log.take();
    assert_eq!((tape.log.footprint(), taken.footprint()), (0, 2 * EACH));
}

#[test]
fn a_log_gives_up_its_oldest_but_never_what_newcomers_are_shown() {
    let two = NonZeroUsize::new(2).unwrap();
    for (start, most, held) in [
        (Start::Live, 4 * EACH, "0 1 2 3"),
        (Start::Live, 4 * EACH - 1, "1 2 3"),
        (Start::Live, EACH, "3"),
        (Start::Live, 0, "3"),
        (Start::All, 0, "3"),
        (Start::Back(two), 0, "2 3"),
    ] {
        let mut tape = Tape::new(ReplayOptions { start, ..events(100) });
        tape = tape.feed("data: 0||data: 1||data: 2||data: 3||");
        tape.log.hold(Seq(1));
        tape.log.give_up(most);
        assert_eq!(tape.held(), held, "{start:?} {most}");
        assert_eq!(tape.from(Seq(1)), "1 2 3", "a client that keeps up is still given them");
        tape.log.release(Seq(1), 1);
        assert_eq!(tape.log.footprint(), held.split(' ').count() * EACH);
    }
}
