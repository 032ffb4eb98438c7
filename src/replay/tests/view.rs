//! What a log tells of itself.

use super::*;
use crate::replay::Rate;

/// What a log of at most `most` events tells 20 seconds after the first of seven events, which come in steps of two
/// seconds.
fn tape(most: usize) -> Tape {
    let steps = (1..=7)
        .fold(Tape::new(events(most)), |tape, n| tape.feed(&format!("id: {n}|data: {}||", "x".repeat(n))).after(2));
    steps.after(6)
}

#[test]
fn a_log_tells_what_it_holds() {
    for (most, first, entries, oldest_age, ids) in
        [(100, 0, 7, 20, ("1", "7")), (7, 0, 7, 20, ("1", "7")), (3, 4, 3, 12, ("5", "7")), (1, 6, 1, 8, ("7", "7"))]
    {
        let Tape { log, now, .. } = tape(most);
        let view = log.view(now);
        assert_eq!((view.first, view.end, view.entries), (Seq(first), Seq(7), entries), "{most}");
        let id = |id: Option<Bytes>| String::from_utf8(id.unwrap().to_vec()).unwrap();
        assert_eq!((id(view.first_id), id(view.last_id)), (ids.0.to_owned(), ids.1.to_owned()), "{most}");
        assert_eq!(about(view.oldest_age.unwrap()), oldest_age, "{most}");
        assert!(view.bytes > 0, "{most}");
    }
    let empty = Tape::new(events(3));
    let view = empty.log.view(empty.now);
    assert_eq!((view.first_id, view.last_id, view.oldest_age, view.entries), (None, None, None, 0));
}

#[test]
fn a_rate_is_of_the_window_or_of_the_time_that_the_log_holds() {
    for (most, window, lived, expected) in [
        // The events came 20, 18 .. 8 seconds ago.
        (100, 60, 1000, 7.0 / 60.0),
        (100, 60, 20, 7.0 / 20.0),
        (100, 11, 1000, 2.0 / 11.0),
        (100, 5, 1000, 0.0),
        // Three are held. The oldest came 12 seconds ago, and what was there before is not known.
        (3, 60, 1000, 3.0 / 12.0),
        (3, 9, 1000, 1.0 / 9.0),
        // No rate is of less than a second.
        (100, 60, 0, 7.0),
    ] {
        let Tape { log, now, .. } = tape(most);
        let Rate { events, bytes } = log.rate(Duration::from_secs(window), Duration::from_secs(lived), now);
        assert!((events - expected).abs() < 0.01, "{most} {window} {lived}: {events}, not {expected}");
        assert_eq!(bytes > 0.0, expected > 0.0);
    }
    let empty = Tape::new(events(3));
    assert_eq!(empty.log.rate(Duration::from_secs(9), Duration::ZERO, empty.now), Rate::default());
}

#[test]
fn the_last_entries_and_the_lengths_of_some_are_told() {
    let Tape { log, now, .. } = tape(5);
    let tail = |most| log.tail(most, now).iter().map(|entry| entry.seq.0).collect::<Vec<_>>();
    assert_eq!((tail(0), tail(2), tail(99)), (vec![], vec![5, 6], vec![2, 3, 4, 5, 6]));
    assert_eq!(log.tail(1, now)[0].kind, "event");
    let length = |n: usize| format!("id: {n}\ndata: {}\n\n", "x".repeat(n)).len();
    for (from, most, expected) in [
        (2, 2, Some(vec![length(3), length(4)])),
        (6, 9, Some(vec![length(7)])),
        (1, 9, None),
        (7, 9, None),
        (99, 9, None),
    ] {
        assert_eq!(log.lengths(Seq(from), most), expected, "{from}");
    }
    for (at, age) in [(1, None), (2, Some(16)), (6, Some(8)), (7, None)] {
        assert_eq!(log.age_at(Seq(at), now).map(about), age, "{at}");
    }
}

/// Whole seconds. The log measures ages in ticks.
fn about(age: Duration) -> u64 {
    (age + Duration::from_millis(500)).as_secs()
}
