//! Ids that contain other ids, ids with spaces around them, and ids without an event.

use super::*;
use crate::replay::{Continuation, Fate, Lineage};

fn assert_positions(tape: &Tape, expected: &[(&str, &str)]) {
    for (id, position) in expected {
        assert_eq!(tape.position(id), *position, "{id}");
    }
}

#[test]
fn an_id_that_another_log_minted_stands_for_the_origins_id_in_it() {
    let tape = Tape::new(events(9)).feed("id: a|data: 0||data: 1||id: b|data: 2||");
    assert_positions(
        &tape,
        &[
            ("~e-1~a", "known 2"),
            ("~e-1~whatever", "known 2"),
            ("~f-7~a", "known 1"),
            ("~f-7~b", "known 3"),
            ("~f-7", "unknown null"),
            ("~f-7~x", "unknown null"),
            ("~e-7~a", "unknown null"),
            ("~f-7~~e-1~a", "known 2"),
            ("~f-7~~d-9~a", "known 1"),
            ("~f-7~~d-9", "unknown null"),
            (" ~f-7~a ", "known 1"),
        ],
    );
    let tape = Tape::new(events(1)).feed("id: a|data: 0||id: b|data: 1||id: c|data: 2||");
    assert_positions(&tape, &[("~f-7~a", "evicted null"), ("~f-7~b", "known 2"), ("~f-7", "unknown null")]);
    let tape = Tape::resumed(events(9), "a").feed("data: 0||");
    assert_positions(&tape, &[("~f-7~a", "known 0"), ("~e-0~a", "known 1")]);
}

#[test]
fn an_id_is_taken_apart_only_so_far() {
    let tape = Tape::new(events(9)).feed("id: a|data: 0||");
    let nested = |levels: usize| "~f-7~".repeat(levels) + "a";
    assert_eq!(tape.position(&nested(8)), "known 1");
    assert_eq!(tape.position(&nested(9)), "unknown null");
}

#[test]
fn under_origin_ids_no_id_is_ours() {
    let tape = Tape::new(origin_ids(9)).feed("id: ~e-7~a|data: 0||id: a|data: 1||data: 2||");
    let unknown = "unknown null";
    assert_positions(&tape, &[("~e-7~a", "known 1"), ("a", "known 2"), ("~e-1", unknown), ("~f-7~a", unknown)]);
}

#[test]
fn ids_of_a_gateway_behind_this_one_are_the_origins() {
    let tape = Tape::new(events(9)).feed("id: ~d-0|data: 0||id: ~d-1~a|data: 1||data: 2||");
    assert_eq!(
        held(&tape),
        ["id: ~d-0|data: 0||", "id: ~d-1~a|data: 1||", "id: ~e-2~~d-1~a|data: 2||"].map(|text| text.replace('|', "\n"))
    );
    assert_positions(
        &tape,
        &[("~d-0", "known 1"), ("~d-1~a", "known 2"), ("~e-2~~d-1~a", "known 3"), ("~f-5~~d-1~a", "known 2")],
    );
}

#[test]
fn what_an_origin_is_asked_to_resume_after_is_its_part() {
    let lineage = Lineage::of("http://127.0.0.1:9000");
    let options = |ids| ReplayOptions { ids, lineage, ..events(9) };
    let mut log = ReplayLog::new(Arc::new(options(IdPolicy::Auto)), Epoch::new(u64::MAX), Seq(0));
    let event = decode(&mut Decoder::resuming(99, Bytes::from_static(b"a")), "data: 0||").remove(0);
    log.append(&event, Instant::now());
    let mut frames = Vec::new();
    log.read(Seq(0), ALL, &mut frames).unwrap();
    let minted = text(&frames[0]).lines().next().unwrap().strip_prefix("id: ").unwrap().to_owned();
    let long = "x".repeat(9 << 10);
    let minted_long = format!("{minted}{long}");
    for (id, auto, origin) in [
        ("", None, None),
        (" \t", None, None),
        ("a", Some("a"), Some("a")),
        (" a b ", Some("a b"), Some("a b")),
        (&*minted, Some("a"), Some(&*minted)),
        (&*minted.replace("~a", ""), None, Some(&*minted.replace("~a", ""))),
        ("~f-1", Some("~f-1"), Some("~f-1")),
        ("~f-1~a", Some("~f-1~a"), Some("~f-1~a")),
        (&*long, None, None),
        (&*minted_long, None, None),
    ] {
        let id = Bytes::copy_from_slice(id.as_bytes());
        for (ids, expected) in [(IdPolicy::Auto, auto), (IdPolicy::Origin, origin)] {
            let sent = options(ids).for_the_origin(&id);
            assert_eq!(sent.as_deref(), expected.map(str::as_bytes), "{ids:?} {id:?}");
        }
    }
}

#[test]
fn spaces_around_an_id_make_no_other_id() {
    for options in [events(2), origin_ids(2)] {
        let tape = Tape::new(options.clone()).feed("id:   a |data: 0||id: b\t|data: 1||");
        assert_positions(&tape, &[("a", "known 1"), (" a", "known 1"), ("\ta ", "known 1"), ("b", "known 2")]);
        assert_eq!(held(&tape), ["id:   a \ndata: 0\n\n", "id: b\t\ndata: 1\n\n"], "it passes as it is");
        let tape = tape.feed("id: c|data: 2||");
        assert_eq!(tape.position("a"), "known 1", "the newest that was dropped");
        let tape = Tape::resumed(options, " a ").feed("data: 0||");
        assert_eq!(tape.position("a"), "known 0");
    }
    let tape = Tape::new(events(9)).feed("id:   |data: 0||");
    assert_eq!(held(&tape), ["id: ~e-0\ndata: 0\n\n"], "nothing but spaces is no id");
    let mut repeats = Continuation::after(Bytes::from_static(b" a"), false, false);
    let tape = Tape::new(events(9)).feed("id:  a|data: 0||data: 1||");
    let again = decode(&mut Decoder::resuming(99, Bytes::from_static(b" a")), "data: 1||data: 2||");
    assert_eq!([0, 1].map(|n: usize| repeats.judge(&tape.log, &again[n]) == Fate::Repeat), [true, false]);
}

fn held(tape: &Tape) -> Vec<String> {
    let mut frames = Vec::new();
    tape.log.read(tape.log.oldest(), ALL, &mut frames).unwrap();
    frames.iter().map(text).collect()
}

#[test]
fn a_checkpoint_passes_and_can_be_resumed_after() {
    for options in [events(9), origin_ids(9)] {
        let tape = Tape::new(options).feed("id: a|data: 0||id: b||data: 1||id: c||id: d||");
        assert_eq!(tape.held(), "0 @b 1 @c @d");
        assert_positions(&tape, &[("a", "known 1"), ("b", "known 2"), ("c", "known 4"), ("d", "known 5")]);
        assert_eq!(held(&tape)[1], "id: b\n\n");
    }
}

#[test]
fn a_checkpoint_that_takes_the_id_away_passes_where_ids_are_the_origins() {
    assert_eq!(Tape::new(origin_ids(9)).feed("id: a|data: 0||id||data: 1||").held(), "0 @ 1");
    let tape = Tape::new(events(9)).feed("id: a|data: 0||id||data: 1||");
    assert_eq!(held(&tape), ["id: a\ndata: 0\n\n", "id: ~e-1\ndata: 1\n\n"]);
}

#[test]
fn a_checkpoint_that_moves_no_client_is_left_out() {
    let stream = "id: a|data: 0||id: a||id:  a ||id: b||id: b||data: 1||id: b||id: c||id: c||";
    for (options, held) in [(events(9), "0 @b 1 @b @c"), (origin_ids(9), "0 @b 1 @c")] {
        assert_eq!(Tape::new(options).feed(stream).held(), held, "behind an id of ours it takes that away");
    }
}

#[test]
fn checkpoints_are_no_events_to_count() {
    let tape = Tape::new(events(2)).feed("data: 0||id: a||data: 1||id: b||id: c||");
    assert_eq!(tape.held(), "0 @a 1 @b @c", "they push no event out");
    let start = |start| {
        let tape = Tape::new(ReplayOptions { start, ..events(9) }).feed("data: 0||id: a||data: 1||id: b||");
        tape.from(tape.log.start())
    };
    assert_eq!(
        (start(back(1)), start(back(2)), start(Start::Live)),
        ("1 @b".into(), "0 @a 1 @b".into(), String::new())
    );
    let tape = Tape::new(live_only()).feed("data: 0||id: a||data: 1||id: b||data: 2||");
    assert_positions(&tape, &[("~e-0", "evicted 2"), ("a", "evicted 2"), ("b", "evicted 1")]);
    let tape = Tape::new(events(1)).feed("data: 0||id: a||data: 1||data: 2||data: 3||");
    assert_eq!(tape.held(), "3");
    assert_positions(&tape, &[("~e-0", "evicted null"), ("~e-2~a", "evicted 1"), ("~e-3~a", "known 4")]);
}

#[test]
fn checkpoints_alone_do_not_fill_the_memory() {
    for (most, held) in [(2, 1000), (1500, 1500)] {
        let tape = Tape::new(events(most)).feed(&(0..2500).map(|n| format!("id: {n}||")).collect::<String>());
        assert_eq!(tape.log.end().distance_from(tape.log.oldest()), Some(held));
        assert_positions(&tape, &[("2499", "known 2500"), ("0", "evicted null")]);
    }
}

#[test]
fn a_checkpoint_that_came_before_is_a_repeat_and_one_that_does_not_come_again_is_passed_over() {
    let tape = Tape::new(events(9)).feed("id: a|data: 0||id: b||data: 1||id: c|data: 2||");
    for (again, new) in [
        ("id: a|data: 0||id: b||data: 1||id: c|data: 2||data: 3||", "3"),
        ("id: a|data: 0||data: 1||id: c|data: 2||data: 3||", "3"),
        ("id: b||data: 1||id: c|data: 2||data: 3||", "3"),
        ("id: c||data: 3||", "3"),
        ("id||id: c|data: 2||id: d||data: 3||", " @d 3"),
        ("id: d||id: c|data: 2||", "@d 2"),
    ] {
        let mut repeats = Continuation::after(Bytes::from_static(b"c"), false, false);
        let again = decode(&mut Decoder::resuming(99, Bytes::from_static(b"c")), again);
        let told = again.iter().filter(|event| repeats.judge(&tape.log, event) != Fate::Repeat).map(|event| {
            let id = String::from_utf8(event.id.clone().unwrap_or_default().to_vec()).unwrap();
            match event.is_checkpoint {
                true if id.is_empty() => String::new(),
                true => format!("@{id}"),
                false => String::from_utf8(event.data.to_vec()).unwrap(),
            }
        });
        assert_eq!(told.collect::<Vec<_>>().join(" "), new, "{:?}", again.len());
    }
}
