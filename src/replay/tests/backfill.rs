//! What a backfill brings, and where its events go.

use super::*;
use crate::replay::{Backfill, Meeting};

/// A log that can be filled backwards, because its first event is at position 100.
fn young(options: ReplayOptions) -> Tape {
    let log = ReplayLog::new(Arc::new(options), Epoch::new(EPOCH), Seq(100));
    Tape { log, ..Tape::new(events(1)) }
}

/// The events from `from` to `to`, each with its number as id and data.
fn numbers(from: u64, to: u64) -> String {
    (from..=to).map(|n| format!("id: {n}|data: {n}||")).collect()
}

struct Fetch {
    backfill: Backfill,
    decoder: Decoder,
}

impl Fetch {
    fn new() -> Self {
        Self { backfill: Backfill::after(Bytes::from_static(b"x")), decoder: Decoder::new(1 << 20) }
    }

    /// The first meeting that the events of `text` lead to.
    fn push(&mut self, tape: &mut Tape, text: &str) -> Option<Meeting> {
        for event in decode(&mut self.decoder, text) {
            let meeting = self.backfill.push(&event, &mut tape.log, tape.now);
            if meeting.is_some() {
                return meeting;
            }
        }
        None
    }

    /// One more second without an event, which makes `secs` in a row.
    fn silent_for(&mut self, tape: &mut Tape, secs: u64) -> Option<Meeting> {
        tape.now += Duration::from_secs(1);
        self.backfill.silent(Duration::from_secs(secs), &mut tape.log, tape.now)
    }

    fn silent(&mut self, tape: &mut Tape) -> Option<Meeting> {
        self.silent_for(tape, 1)
    }

    /// Begins another request, for what comes after the events brought.
    fn again(&mut self) -> &str {
        let id = self.backfill.begin();
        self.decoder = Decoder::resuming(1 << 20, id.clone());
        std::str::from_utf8(id).unwrap()
    }

    fn ended(&mut self, tape: &mut Tape) -> Option<Meeting> {
        self.backfill.ended(&mut tape.log, tape.now)
    }
}

#[test]
fn what_came_before_the_log_goes_before_its_first_event() {
    let mut tape = young(events(9)).feed(&numbers(14, 15));
    let mut fetch = Fetch::new();
    assert_eq!(fetch.push(&mut tape, &numbers(11, 13)), None);
    assert_eq!(fetch.push(&mut tape, &numbers(14, 15)), Some(Meeting::At(Seq(97))));
    assert_eq!(tape.from(Seq(97)), "11 12 13 14 15");
    assert_eq!(tape.from(Seq(100)), "14 15", "a live client gets no backfilled events");
    assert_eq!(tape.position("12"), "known 99");
    assert_eq!(tape.position("13"), "known 100");
    assert_eq!(tape.position("x"), "known 97", "the id that was asked about");
}

#[test]
fn an_id_right_before_the_log_needs_nothing_put_before() {
    let mut tape = young(events(9)).feed(&numbers(14, 15));
    assert_eq!(Fetch::new().push(&mut tape, &numbers(14, 14)), Some(Meeting::At(Seq(100))));
    assert_eq!(Fetch::new().push(&mut tape, &numbers(15, 15)), Some(Meeting::At(Seq(101))));
    assert_eq!(tape.held(), "14 15");
}

#[test]
fn where_the_log_is_quiet_silence_settles_and_the_newest_id_is_caught_up() {
    let mut tape = young(events(9));
    let mut newest = Fetch::new();
    assert_eq!(newest.silent_for(&mut tape, 1), None, "the origin may be slow to look");
    assert_eq!(newest.silent_for(&mut tape, 2), Some(Meeting::At(Seq(100))));
    let mut fetch = Fetch::new();
    assert_eq!(fetch.push(&mut tape, &numbers(11, 13)), None);
    assert_eq!(fetch.silent(&mut tape), Some(Meeting::At(Seq(97))));
    // A client with the newest id, and a client with an id older than the first client's.
    assert_eq!(Fetch::new().ended(&mut tape), Some(Meeting::At(Seq(100))));
    let mut older = Fetch::new();
    assert_eq!(older.push(&mut tape, &numbers(9, 11)), Some(Meeting::At(Seq(95))));
    assert_eq!(tape.held(), "9 10 11 12 13");
    // The shared response continues where the backfilled events end.
    let tape = tape.feed(&numbers(14, 14));
    assert_eq!(tape.from(Seq(95)), "9 10 11 12 13 14");
}

#[test]
fn a_slow_origin_has_a_second_while_for_its_first_event() {
    let mut tape = young(events(9));
    let mut slow = Fetch::new();
    assert_eq!(slow.silent(&mut tape), None);
    assert_eq!(slow.push(&mut tape, &numbers(11, 13)), None);
    assert_eq!(slow.silent(&mut tape), Some(Meeting::At(Seq(97))));
    assert_eq!(tape.held(), "11 12 13");
}

#[test]
fn what_ended_in_order_is_whole() {
    let mut tape = young(events(9));
    assert_eq!(Fetch::new().ended(&mut tape), Some(Meeting::At(Seq(100))));
    let mut tape = young(events(9)).feed(&numbers(14, 14));
    assert_eq!(Fetch::new().ended(&mut tape), Some(Meeting::Never), "the log goes on after something else");
}

#[test]
fn history_in_pages_is_asked_for_until_the_two_meet_or_no_more_comes() {
    for quiet in [true, false] {
        let mut tape = if quiet { young(events(9)) } else { young(events(9)).feed(&numbers(16, 17)) };
        let mut paged = Fetch::new();
        assert_eq!(paged.again(), "x");
        assert_eq!(paged.push(&mut tape, &numbers(11, 12)), None);
        assert_eq!(paged.ended(&mut tape), None, "it is not known whether that is all");
        assert_eq!(paged.again(), "12");
        assert_eq!(paged.push(&mut tape, &numbers(13, 15)), None);
        assert_eq!(paged.ended(&mut tape), None);
        assert_eq!(paged.again(), "15");
        let met = if quiet { paged.ended(&mut tape) } else { paged.push(&mut tape, &numbers(16, 16)) };
        assert_eq!(met, Some(Meeting::At(Seq(95))));
        assert_eq!(tape.held(), if quiet { "11 12 13 14 15" } else { "11 12 13 14 15 16 17" });
    }
}

#[test]
fn what_broke_off_goes_on_after_its_last_event_and_what_comes_again_is_brought_once() {
    let mut tape = young(events(9));
    let mut broken = Fetch::new();
    assert_eq!(broken.push(&mut tape, &numbers(11, 13)), None);
    assert_eq!(broken.again(), "13");
    assert_eq!(broken.push(&mut tape, &numbers(12, 14)), None, "an origin that begins a little earlier");
    assert_eq!(broken.again(), "14");
    assert_eq!(broken.ended(&mut tape), Some(Meeting::At(Seq(96))));
    assert_eq!(tape.held(), "11 12 13 14");
    // An origin that ignores ids sends the same events each time. It is not asked forever.
    let mut tape = young(events(9));
    let mut deaf = Fetch::new();
    for meeting in [None, Some(Meeting::At(Seq(98)))] {
        deaf.again();
        assert_eq!(deaf.push(&mut tape, &numbers(1, 2)), None);
        assert_eq!(deaf.ended(&mut tape), meeting);
    }
    assert_eq!(tape.held(), "1 2");
}

#[test]
fn an_event_that_was_too_large_is_told_in_its_place() {
    let mut tape = young(events(9)).feed(&numbers(14, 14));
    let mut fetch = Fetch::new();
    assert_eq!(fetch.push(&mut tape, &numbers(11, 11)), None);
    fetch.backfill.lose(Some(Bytes::from_static(b"12")), &tape.log);
    assert_eq!(fetch.again(), "12", "it is not asked for once more");
    assert_eq!(fetch.push(&mut tape, &numbers(13, 14)), Some(Meeting::At(Seq(96))));
    assert_eq!(tape.held(), r#"11 {"reason":"upstream","missed":1} @12 13 14"#);
    let silent = ReplayOptions { on_gap: OnGap::Oldest, ..events(9) };
    let mut tape = young(silent).feed(&numbers(14, 14));
    let mut fetch = Fetch::new();
    fetch.backfill.lose(None, &tape.log);
    assert_eq!(fetch.push(&mut tape, &numbers(13, 14)), Some(Meeting::At(Seq(99))));
    assert_eq!(tape.held(), "13 14", "the route tells no client of gaps");
}

#[test]
fn silence_settles_nothing_where_the_log_has_events_of_its_own() {
    let mut tape = young(events(9)).feed(&numbers(14, 14));
    let mut fetch = Fetch::new();
    assert_eq!(fetch.push(&mut tape, &numbers(11, 12)), None);
    assert_eq!(fetch.silent(&mut tape), None);
    assert_eq!(fetch.push(&mut tape, &numbers(13, 14)), Some(Meeting::At(Seq(97))));
}

#[test]
fn what_the_log_gets_after_the_backfill_had_it_is_found_again() {
    let mut tape = young(events(9));
    let mut fetch = Fetch::new();
    assert_eq!(fetch.push(&mut tape, &numbers(12, 14)), None);
    let mut tape = tape.feed(&numbers(13, 15));
    assert_eq!(fetch.silent(&mut tape), Some(Meeting::At(Seq(99))));
    assert_eq!(tape.held(), "12 13 14 15");
}

#[test]
fn what_two_backfills_brought_is_put_before_once() {
    let mut tape = young(events(19));
    let (mut one, mut other) = (Fetch::new(), Fetch::new());
    assert_eq!(one.push(&mut tape, &numbers(11, 14)), None);
    assert_eq!(other.push(&mut tape, &numbers(13, 14)), None);
    assert_eq!(other.silent(&mut tape), Some(Meeting::At(Seq(98))));
    let mut tape = tape.feed(&numbers(15, 15));
    assert_eq!(one.push(&mut tape, &numbers(15, 15)), Some(Meeting::At(Seq(96))));
    assert_eq!(tape.held(), "11 12 13 14 15");
}

#[test]
fn marks_and_checkpoints_before_the_first_event_do_not_keep_the_two_apart() {
    for (tape, held) in [(young(events(9)).mark(), "! 14"), (young(events(9)).feed("id: 13||"), "@13 14")] {
        let mut tape = tape.feed(&numbers(14, 14));
        assert_eq!(tape.held(), held);
        assert_eq!(Fetch::new().push(&mut tape, &numbers(12, 14)), Some(Meeting::At(Seq(98))));
        assert_eq!(tape.held(), format!("12 13 {held}"));
    }
}

#[test]
fn a_backfill_without_events_that_the_log_got_a_while_ago_will_not_get_them() {
    let mut tape = young(events(9));
    let (mut forged, mut slow) = (Fetch::new(), Fetch::new());
    let mut tape = {
        slow.push(&mut tape, &numbers(12, 13));
        tape.feed(&numbers(14, 14))
    };
    assert_eq!(forged.silent_for(&mut tape, 2), None);
    assert_eq!(slow.silent(&mut tape), None, "it may be on its way");
    assert_eq!(forged.silent_for(&mut tape, 3), Some(Meeting::Never));
    assert_eq!(slow.push(&mut tape, &numbers(14, 14)), Some(Meeting::At(Seq(98))));
}

#[test]
fn no_more_is_put_before_than_the_log_may_hold_and_the_rest_is_told() {
    let mut tape = young(events(4)).feed(&numbers(14, 15));
    let mut fetch = Fetch::new();
    assert_eq!(fetch.push(&mut tape, &numbers(1, 14)), Some(Meeting::Short { missed: 11 }));
    assert_eq!(tape.held(), "12 13 14 15");
    let mut heavy = young(ReplayOptions { bytes: 250, ..events(9) }).feed(&numbers(14, 14));
    assert_eq!(Fetch::new().push(&mut heavy, &numbers(10, 14)), Some(Meeting::Short { missed: 3 }));
    assert_eq!(heavy.held(), "13 14");
    let mut endless = Fetch::new();
    assert_eq!(endless.push(&mut tape, &numbers(100, 999)), None);
    assert_eq!(endless.backfill.len(), 4);
}

#[test]
fn what_does_not_fit_together_is_never_put_together() {
    // The log dropped its first events.
    let mut tape = young(events(2)).feed(&numbers(14, 17));
    assert_eq!(Fetch::new().push(&mut tape, &numbers(12, 16)), Some(Meeting::Never));
    // Another backfill brought other events.
    let mut tape = young(events(9));
    let (mut one, mut other) = (Fetch::new(), Fetch::new());
    one.push(&mut tape, "id: a|data: a||");
    other.push(&mut tape, "id: b|data: b||");
    assert_eq!(one.silent(&mut tape), Some(Meeting::At(Seq(99))));
    let Some(Meeting::Beside { text, at }) = other.silent(&mut tape) else { panic!("they share no event") };
    assert_eq!((text.text(), at), (&b"id: b\ndata: b\n\n"[..], Seq(100)), "for the clients of this id alone");
    assert_eq!(tape.held(), "a");
    let mut large = Fetch::new();
    large.push(&mut tape, &format!("id: c|data: {}||", "c".repeat(64 << 10)));
    assert_eq!(large.silent(&mut tape), Some(Meeting::Never), "that is more than is kept beside a log");
    let mut begun = tape.feed("id: d|data: d||");
    assert_eq!(other.silent(&mut begun), None);
    assert_eq!(other.silent(&mut begun), Some(Meeting::Never), "now it is not known whether all of it is here");
    // An event has the id of the log's first event, but other data.
    let mut tape = young(events(9)).feed(&numbers(14, 14));
    assert_eq!(Fetch::new().push(&mut tape, "id: 14|data: other||"), None);
}

#[test]
fn events_without_ids_and_checkpoints_go_with_the_others() {
    let mut tape = young(events(9)).feed(&numbers(14, 14));
    let mut fetch = Fetch::new();
    let missed = "id: 11|data: 11||data: x||id: 12||";
    assert_eq!(fetch.push(&mut tape, missed), None);
    assert_eq!(fetch.push(&mut tape, &numbers(14, 14)), Some(Meeting::At(Seq(97))));
    assert_eq!(tape.held(), "11 x @12 14");
    assert_eq!(tape.position("12"), "known 100");
    assert_eq!(tape.position("~e-98~11"), "known 99");
}

#[test]
fn an_id_that_a_client_came_with_is_never_the_logs_newest() {
    let mut tape = young(origin_ids(9));
    let mut fetch = Fetch { decoder: Decoder::resuming(1 << 20, Bytes::from_static(b"x")), ..Fetch::new() };
    assert_eq!(fetch.push(&mut tape, "data: 1||"), None);
    assert_eq!(fetch.silent(&mut tape), Some(Meeting::At(Seq(99))));
    assert_eq!(tape.log.newest_id(), None);
    let mut tape = young(origin_ids(9));
    let mut fetch = Fetch::new();
    assert_eq!(fetch.push(&mut tape, &numbers(1, 2)), None);
    assert_eq!(fetch.silent(&mut tape), Some(Meeting::At(Seq(98))));
    assert_eq!(tape.log.newest_id(), Some(Bytes::from_static(b"2")));
}
