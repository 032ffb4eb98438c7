//! What a `Last-Event-ID` means.

use super::*;

fn assert_positions(tape: &Tape, expected: &[(&str, &str)]) {
    for (id, position) in expected {
        assert_eq!(tape.position(id), *position, "{id}");
    }
}

#[test]
fn an_id_is_after_its_event_or_gone() {
    let tape = Tape::new(events(3)).feed("id: a|data: 0||id: b|data: 1||data: 2||id: c|data: 3||data: 4||");
    assert_eq!(tape.held(), "2 3 4");
    assert_positions(
        &tape,
        &[
            ("a", "evicted null"),
            ("b", "known 2"),
            ("~e-0", "evicted 1"),
            ("~e-1", "known 2"),
            ("~e-2", "known 3"),
            ("c", "known 4"),
            ("~e-4", "known 5"),
            ("~e-5", "unknown null"),
            ("~e-99", "unknown null"),
            ("~f-2", "unknown null"),
            ("x", "evicted null"),
        ],
    );
}

#[test]
fn where_nothing_was_dropped_an_id_that_is_not_here_never_was() {
    let tape = Tape::new(events(9)).feed("id: a|data: 0||data: 1||");
    assert_positions(&tape, &[("x", "unknown null"), ("a", "known 1"), ("~f-0", "unknown null")]);
    assert_positions(&Tape::new(events(9)), &[("a", "unknown null"), ("~e-0", "unknown null")]);
}

#[test]
fn the_id_that_the_origin_resumed_from_is_known_until_an_event_after_it_is_dropped() {
    let tape = Tape::resumed(events(2), "base");
    assert_eq!(tape.position("base"), "known 0");
    let tape = tape.feed("id: a|data: 0||id: b|data: 1||");
    assert_eq!(tape.position("base"), "known 0");
    let tape = tape.feed("id: c|data: 2||");
    assert_positions(&tape, &[("base", "evicted null"), ("a", "known 1")]);
}

#[test]
fn an_id_that_came_twice_is_after_its_first_event_and_gone_with_it() {
    let tape = Tape::new(events(4)).feed("id: a|data: 0||id: x|data: 1||data: 2||id: x|data: 3||");
    assert_eq!(tape.position("x"), "known 2");
    let tape = tape.feed("data: 4||");
    assert_eq!(tape.position("x"), "known 2");
    let tape = tape.feed("data: 5||");
    assert_positions(&tape, &[("x", "known 2"), ("~e-2", "known 3")]);
    let tape = tape.feed("data: 6||");
    assert_eq!(tape.held(), "3 4 5 6");
    // A client that saw only event 1 missed event 2. Event 3 has the same id, so the id does not tell which client
    // this is.
    assert_eq!(tape.position("x"), "evicted null");
    let tape = tape.feed("data: 7||");
    assert_eq!(tape.held(), "4 5 6 7");
    assert_eq!(tape.position("x"), "evicted null");
}

#[test]
fn an_id_that_comes_again_after_it_was_dropped_does_not_stand_for_its_first_event() {
    let tape = Tape::new(events(2)).feed("id: x|data: 0||data: 1||data: 2||");
    assert_eq!(tape.position("x"), "known 1");
    let tape = tape.feed("id: x|data: 3||");
    assert_eq!(tape.held(), "2 3");
    assert_eq!(tape.position("x"), "evicted null");
}

#[test]
fn an_effective_id_stands_for_the_first_event_of_its_run() {
    let tape = Tape::new(origin_ids(3)).feed("data: 0||id: a|data: 1||data: 2||id: b|data: 3||data: 4||");
    assert_eq!(tape.held(), "2 3 4");
    assert_positions(&tape, &[("a", "known 2"), ("b", "known 4")]);
    let tape = tape.feed("id: c|data: 5||");
    assert_eq!(tape.held(), "3 4 5");
    assert_positions(&tape, &[("a", "evicted null"), ("b", "known 4"), ("c", "known 6")]);
    let tape = tape.feed("data: 6||");
    assert_positions(&tape, &[("b", "known 4")]);
    let tape = tape.feed("data: 7||");
    assert_eq!(tape.held(), "5 6 7");
    // Event 3 was the first of the run. A client that saw only event 3 has lost event 4.
    assert_positions(&tape, &[("b", "evicted null"), ("c", "known 6")]);
}

#[test]
fn an_effective_id_that_lasts_from_before_the_log_is_gone_with_its_first_event() {
    let tape = Tape::resumed(origin_ids(2), "base").feed("data: 0||data: 1||");
    assert_eq!(tape.position("base"), "known 0");
    let tape = tape.feed("data: 2||");
    assert_eq!(tape.position("base"), "evicted null");
    assert_eq!(text(&held_frames(&tape)[0]), "id: base\ndata: 1\n\n");
}

fn held_frames(tape: &Tape) -> Vec<Frame> {
    let mut frames = Vec::new();
    assert_eq!(tape.log.read(tape.log.oldest(), ALL, &mut frames), Ok(tape.log.end()));
    frames
}

#[test]
fn frames_bear_the_id_that_the_policy_says() {
    let stream = "data: 0||id: a|data: 1||data: 2||id|data: 3||data: 4||";
    let ids = |options| {
        let frames = held_frames(&Tape::new(options).feed(stream));
        frames.iter().map(|frame| text(frame).lines().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(events(9)), ["id: ~e-0", "id: a", "id: ~e-2~a", "id: ~e-3", "id: ~e-4"]);
    assert_eq!(ids(origin_ids(9)), ["data: 0", "id: a", "id: a", "id: ", "id: "]);
}

#[test]
fn a_live_only_log_resumes_only_clients_that_are_caught_up() {
    let tape = Tape::resumed(live_only(), "base");
    assert_eq!(tape.position("base"), "known 0");
    let tape = tape.feed("id: a|data: 0||data: 1||data: 2||");
    assert_positions(
        &tape,
        &[("base", "evicted 3"), ("a", "evicted 2"), ("~e-1", "evicted 1"), ("~e-2", "known 3"), ("x", "unknown null")],
    );
    let gap = Gap { reason: GapReason::Evicted, missed: Some(2) };
    assert_eq!(tape.log.after_gap(gap).0, Seq(3), "what is held is for delivery alone");
}

#[test]
fn what_a_live_only_log_dropped_is_counted_to_its_end() {
    let many = (0..1500).map(|n| format!("data: {n}||")).collect::<String>();
    let tape = Tape::new(live_only()).feed(&many);
    assert_eq!(tape.log.oldest(), Seq(915));
    assert_positions(&tape, &[("~e-9", "evicted 1490"), ("~e-1489", "evicted 10")]);
}

#[test]
fn a_mark_makes_the_number_missed_unknown_and_no_id_before_it_is_caught_up() {
    let tape = Tape::new(events(2)).feed("id: a|data: 0||").mark().feed("id: b|data: 1||id: c|data: 2||");
    assert_eq!(tape.held(), "! 1 2");
    assert_positions(&tape, &[("a", "known 1"), ("~e-0", "known 1"), ("b", "known 3")]);
    let tape = tape.feed("id: d|data: 3||");
    assert_eq!(tape.held(), "2 3");
    assert_positions(&tape, &[("a", "evicted null"), ("~e-0", "evicted null"), ("b", "known 3"), ("~e-2", "known 3")]);
    let tape = tape.feed("id: e|data: 4||");
    assert_positions(&tape, &[("~e-2", "evicted 1"), ("c", "known 4")]);
    let tape = Tape::new(live_only()).feed("id: a|data: 0||").mark().feed("data: 1||");
    assert_positions(&tape, &[("a", "evicted null"), ("~e-1", "evicted 1")]);
}
