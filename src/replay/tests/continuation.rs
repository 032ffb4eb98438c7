//! Which events of a new response are repeats, and when a loss is told.

use super::*;
use crate::replay::{Continuation, Fate};

/// The data of those events of `again` that are new to the log, where `continuation` judges the response. A `!`
/// stands before an event that comes after a loss.
fn judged(tape: &Tape, mut continuation: Continuation, id: &'static str, again: &str) -> String {
    let mut decoder = Decoder::resuming(1 << 20, Bytes::from_static(id.as_bytes()));
    let mut told = Vec::new();
    for event in decode(&mut decoder, again) {
        let data = String::from_utf8_lossy(&event.data).into_owned();
        match continuation.judge(&tape.log, &event) {
            Fate::New => told.push(data),
            Fate::NewAfterLoss => told.push(format!("! {data}")),
            Fate::Repeat => {}
        }
    }
    told.join(" ")
}

/// The same, for a response to a resume after `id`. Without an id, for a response that lost nothing.
fn news(tape: &Tape, id: &'static str, again: &str) -> String {
    let continuation = match id {
        "" => Continuation::fresh(false),
        id => Continuation::after(Bytes::from_static(id.as_bytes()), is_followed(tape, id), false),
    };
    judged(tape, continuation, id, again)
}

/// Whether the log holds an event after the one with `id`.
fn is_followed(tape: &Tape, id: &str) -> bool {
    tape.log.after_id(id.as_bytes()).is_none_or(|seq| tape.log.event_from(seq) < tape.log.end())
}

fn seen() -> Tape {
    Tape::new(events(9)).feed("id: a|data: 0||id: b|data: 1||data: 2||id: c|data: 3||data: 4||")
}

#[test]
fn leading_events_that_equal_a_run_of_the_log_are_dropped() {
    for (again, new) in [
        ("id: d|data: 5||", "! 5"),
        ("data: 4||id: d|data: 5||", "5"),
        ("id: c|data: 3||data: 4||id: d|data: 5||", "5"),
        ("id: a|data: 0||id: b|data: 1||data: 2||id: c|data: 3||data: 4||data: 5||", "5"),
        ("id: b|data: 1||data: 2||", ""),
    ] {
        assert_eq!(news(&seen(), "c", again), new, "{again}");
    }
}

#[test]
fn the_first_event_that_differs_ends_the_run() {
    for (again, new) in [
        ("id: b|data: other||data: 2||id: c|data: 3||", "! other 2 3"),
        ("id: b|data: 1||data: other||id: c|data: 3||data: 4||", "other 3 4"),
        ("id: b|data: 1||id: c|data: 3||", "3"),
        ("id: b|event: e|data: 1||data: 2||", "! 1 2"),
        ("id: d|data: 5||id: c|data: 3||data: 4||", "! 5 3 4"),
        ("id: a|data: 0||id: c|data: 3||", "3"),
    ] {
        assert_eq!(news(&seen(), "c", again), new, "{again}");
    }
}

#[test]
fn a_response_that_did_not_resume_repeats_nothing() {
    assert_eq!(news(&seen(), "", "id: a|data: 0||id: b|data: 1||data: 2||"), "0 1 2");
}

#[test]
fn equal_ticks_without_ids_are_new_unless_they_follow_the_id_resumed_from() {
    let tape = Tape::new(events(9)).feed("id: a|data: x||data: tick||id: b|data: y||");
    assert_eq!(news(&tape, "b", "data: tick||data: tick||"), "tick tick");
    assert_eq!(news(&tape, "a", "data: tick||data: tick||"), "tick");
    assert_eq!(news(&tape, "unheard of", "data: tick||"), "! tick");
}

#[test]
fn events_without_ids_are_recognised_after_an_id_from_before_the_log() {
    let tape = Tape::resumed(events(9), "base").feed("data: 0||data: 1||");
    assert_eq!(news(&tape, "base", "data: 0||data: 1||data: 2||"), "2");
    let dropped = Tape::new(events(2)).feed("id: a|data: 0||data: 1||data: 2||");
    assert_eq!(dropped.held(), "1 2");
    assert_eq!(news(&dropped, "a", "data: 1||data: 2||data: 3||"), "3");
}

#[test]
fn a_reconnection_time_in_the_first_block_makes_no_other_event() {
    for again in ["retry: 500|id: c|data: 3||data: 4||data: 5||", "retry: 9||id: c|data: 3||data: 4||data: 5||"] {
        assert_eq!(news(&seen(), "c", again), "5", "{again}");
    }
    let tape = Tape::new(events(9)).feed("retry: 500|id: a|data: 0||data: retry: 1||");
    assert_eq!(news(&tape, "a", "id: a|data: 0||data: retry: 2||"), "retry: 2", "data is compared whatever it says");
}

#[test]
fn a_run_goes_on_across_marks() {
    let tape = Tape::new(events(9)).feed("id: a|data: 0||").mark().feed("data: 1||").mark().mark().feed("data: 2||");
    assert_eq!(news(&tape, "a", "data: 1||data: 2||data: 3||"), "3");
    assert_eq!(news(&tape, "a", "id: a|data: 0||data: 1||data: 2||"), "");
}

#[test]
fn a_run_ends_where_the_log_does() {
    assert_eq!(news(&seen(), "c", "data: 4||data: 4||data: 4||"), "4 4");
}

#[test]
fn repeats_are_recognised_under_effective_ids_as_well() {
    let tape = Tape::new(origin_ids(9)).feed("id: a|data: 0||data: 1||data: 2||");
    for (again, new) in [
        ("data: 1||data: 2||data: 3||", "3"),
        ("id: a|data: 0||data: 1||data: 2||id: b|data: 3||", "3"),
        ("data: 2||data: 3||", "! 2 3"),
        ("id: b|data: 1||", "! 1"),
    ] {
        assert_eq!(news(&tape, "a", again), new, "{again}");
    }
    let resumed = Tape::resumed(origin_ids(9), "base").feed("data: 0||data: 1||");
    assert_eq!(news(&resumed, "base", "data: 0||data: 1||data: 2||"), "2");
}

#[test]
fn what_the_log_dropped_cannot_be_recognised() {
    let tape = Tape::new(events(1)).feed("id: a|data: 0||id: b|data: 1||");
    assert_eq!(news(&tape, "b", "id: a|data: 0||id: b|data: 1||"), "0 1", "at least once");
    assert_eq!(news(&tape, "b", "id: b|data: 1||"), "");
}

#[test]
fn a_response_that_could_not_be_asked_to_resume_has_lost_what_came_before() {
    let lost = || Continuation::fresh(true);
    assert!(lost().is_loss_untold());
    assert_eq!(judged(&seen(), lost(), "", "data: 5||data: 6||"), "! 5 6");
    assert_eq!(judged(&seen(), lost(), "", ""), "");
    assert_eq!(
        judged(&seen(), Continuation::after(Bytes::from_static(b"c"), true, true), "c", "data: 4||id: d|data: 5||"),
        "! 5"
    );
}

#[test]
fn an_origin_that_ignores_the_id_it_gave_once_is_found_out() {
    // The id came once, and no later event has an id to resume after.
    let tape = Tape::new(events(9)).feed("id: a|data: 0||data: 1||data: 2||");
    assert_eq!(news(&tape, "a", "data: 3||data: 4||"), "! 3 4");
    assert_eq!(news(&tape, "a", "data: 1||data: 2||data: 3||"), "3");
    // No event follows the id, so what comes is what follows.
    assert_eq!(news(&seen(), "c", "id: d|data: 5||"), "! 5", "data: 4 follows c");
    let tape = Tape::new(events(9)).feed("data: 0||id: a|data: 1||");
    assert_eq!(news(&tape, "a", "data: 2||"), "2");
    assert_eq!(news(&tape, "a", "id: b|data: 2||"), "2");
    // Marks are not events of the origin.
    assert_eq!(news(&tape.mark(), "a", "data: 2||"), "2");
    // The id was dropped long ago, because other events followed.
    let dropped = Tape::new(events(2)).feed("id: a|data: 0||data: 1||data: 2||data: 3||");
    assert_eq!(news(&dropped, "a", "data: 4||"), "! 4");
}

#[test]
fn what_came_while_two_responses_stood_comes_once() {
    let tape = Tape::new(events(9)).feed("data: tick||data: 1||data: 2||");
    let overlapping = |from| Continuation::overlapping(Seq(from), false);
    for (from, again, new) in [
        (1, "data: 1||data: 2||data: 3||", "3"),
        (1, "data: 2||data: 3||", "3"),
        (1, "data: 3||", "3"),
        (3, "data: 2||data: 3||", "2 3"),
        (1, "data: tick||", "tick"),
    ] {
        assert_eq!(judged(&tape, overlapping(from), "", again), new, "{from} {again}");
    }
    assert_eq!(judged(&seen(), overlapping(5), "c", "id: c|data: 3||data: 4||id: d|data: 5||"), "5");
}

#[test]
fn ticks_that_all_bear_one_id_come_once_though_they_are_equal() {
    let tape = Tape::new(events(9)).feed("id: 7|data: tick||id: 7|data: tick||id: 7|data: other||id: 7|data: tick||");
    for (from, again, new) in [
        // No entry came while both responses lasted.
        (4, "id: 7|data: tick||id: 7|data: tick||", "tick tick"),
        (4, "id: 7|data: other||", "other"),
        // One entry did.
        (3, "id: 7|data: tick||id: 7|data: tick||", "tick"),
        (2, "id: 7|data: other||id: 7|data: tick||id: 7|data: tick||", "tick"),
    ] {
        assert_eq!(judged(&tape, Continuation::overlapping(Seq(from), false), "", again), new, "{from} {again}");
    }
    // Entries that the log has dropped still count.
    let last = Tape::new(events(1)).feed("id: 7|data: tick||id: 7|data: tick||");
    assert_eq!(judged(&last, Continuation::overlapping(Seq(2), false), "", "id: 7|data: tick||"), "tick");
    // Two events share one id, and only the younger came while both responses lasted.
    let tape = Tape::new(events(9)).feed("id: 7|data: a||id: 7|data: b||");
    assert_eq!(judged(&tape, Continuation::overlapping(Seq(1), false), "", "id: 7|data: b||id: 7|data: c||"), "c");
}
