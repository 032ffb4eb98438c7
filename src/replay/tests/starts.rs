//! Where a client without an id, or with an unknown one, begins, and what it is told.

use super::*;

fn starting(start: Start) -> ReplayOptions {
    ReplayOptions { start, ..events(3) }
}

#[test]
fn a_client_without_an_id_begins_as_the_route_says() {
    let stream = "data: 0||data: 1||data: 2||data: 3||";
    for (start, given) in
        [(Start::Live, ""), (Start::All, "1 2 3"), (back(1), "3"), (back(2), "2 3"), (back(9), "1 2 3")]
    {
        let tape = Tape::new(starting(start)).feed(stream);
        assert_eq!(tape.from(tape.log.start()), given, "{start:?}");
        assert_eq!(Tape::new(starting(start)).log.start(), Seq(0), "an empty log");
        let tape = Tape::new(ReplayOptions { start, ..live_only() }).feed(stream);
        assert_eq!(tape.log.start(), tape.log.end(), "live only {start:?}");
    }
}

#[test]
fn events_back_are_counted_and_marks_are_not() {
    let tape = |start| Tape::new(starting(start)).feed("data: 0||").mark().feed("data: 1||").mark().mark();
    for (start, given) in [(Start::Live, ""), (back(1), "1 ! !"), (back(2), "0 ! 1 ! !"), (Start::All, "0 ! 1 ! !")] {
        let tape = tape(start);
        assert_eq!(tape.from(tape.log.start()), given, "{start:?}");
    }
}

#[test]
fn a_client_whose_id_is_gone_is_told_or_not_as_the_route_says() {
    let gap = Gap { reason: GapReason::Evicted, missed: Some(7) };
    for (on_gap, next, told) in [(OnGap::Event, 1, true), (OnGap::Oldest, 1, false), (OnGap::Live, 4, false)] {
        let tape = Tape::new(ReplayOptions { on_gap, ..events(3) }).feed("data: 0||data: 1||data: 2||data: 3||");
        let frame = told.then(|| gap.frame("gap"));
        assert_eq!(tape.log.after_gap(gap), (Seq(next), frame), "{on_gap:?}");
    }
}

#[test]
fn a_gap_is_an_event_without_an_id() {
    for (gap_event, reason, missed, expected) in [
        ("gap", GapReason::Evicted, Some(3), r#"event: gap|data: {"reason":"evicted","missed":3}||"#),
        ("gap", GapReason::Unknown, None, r#"event: gap|data: {"reason":"unknown","missed":null}||"#),
        ("hole", GapReason::Lag, Some(0), r#"event: hole|data: {"reason":"lag","missed":0}||"#),
        ("gap", GapReason::Upstream, None, r#"event: gap|data: {"reason":"upstream","missed":null}||"#),
    ] {
        assert_eq!(text(&Gap { reason, missed }.frame(gap_event)), expected.replace('|', "\n"));
    }
    let tape = Tape::new(ReplayOptions { gap_event: Arc::from("hole"), ..events(3) });
    let (_, frame) = tape.log.after_gap(Gap { reason: GapReason::Unknown, missed: None });
    assert!(text(&frame.unwrap()).starts_with("event: hole\n"));
}

#[test]
fn a_mark_is_given_to_every_reader_at_its_place() {
    let tape = Tape::new(events(9)).feed("data: 0||").mark().feed("data: 1||");
    for (cursor, given) in [(0, "0 ! 1"), (1, "! 1"), (2, "1"), (3, "")] {
        assert_eq!(tape.from(Seq(cursor)), given, "{cursor}");
    }
}
