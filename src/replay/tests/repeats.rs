//! Which events of a resumed response are dropped.

use super::*;
use crate::replay::Repeats;

/// Of `again`, the response to a resume after `id`, the events that are new to the log: their data.
fn news(tape: &Tape, id: &'static str, again: &str) -> String {
    let id = Some(Bytes::from_static(id.as_bytes())).filter(|id| !id.is_empty());
    let mut repeats = Repeats::after(id.clone());
    let mut decoder = Decoder::resuming(1 << 20, id.unwrap_or_default());
    let events = decode(&mut decoder, again);
    let new = events.iter().filter(|event| !repeats.is_repeat(&tape.log, event));
    new.map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect::<Vec<_>>().join(" ")
}

fn seen() -> Tape {
    Tape::new(events(9)).feed("id: a|data: 0||id: b|data: 1||data: 2||id: c|data: 3||data: 4||")
}

#[test]
fn leading_events_that_equal_a_run_of_the_log_are_dropped() {
    for (again, new) in [
        ("id: d|data: 5||", "5"),
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
        ("id: b|data: other||data: 2||id: c|data: 3||", "other 2 3"),
        ("id: b|data: 1||data: other||id: c|data: 3||data: 4||", "other 3 4"),
        ("id: b|data: 1||id: c|data: 3||", "3"),
        ("id: b|event: e|data: 1||data: 2||", "1 2"),
        ("id: d|data: 5||id: c|data: 3||data: 4||", "5 3 4"),
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
    assert_eq!(news(&tape, "unheard of", "data: tick||"), "tick");
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
        ("data: 2||data: 3||", "2 3"),
        ("id: b|data: 1||", "1"),
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
