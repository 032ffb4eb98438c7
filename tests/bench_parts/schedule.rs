//! Events are due evenly.

use crate::clock::SECOND;
use crate::schedule::*;
use crate::specs::{Chunks, Work};
use std::collections::BTreeMap;

fn work(streams: u64, rate: u64, burst: u64) -> Work {
    Work { streams, quiet: 0, rate, size: 128, ids: true, burst, chunks: Chunks::PerEvent }
}

#[test]
fn events_are_due_at_even_distances() {
    let mut schedule = Schedule::new(1000, &work(1, 10, 1), 100);
    assert_eq!(schedule.due(999).count(), 0);
    assert_eq!(schedule.due(1000).collect::<Vec<_>>(), [Due { stream: 0, seqs: 0..1 }]);
    assert_eq!(schedule.next(), 1000 + SECOND / 10);
    assert_eq!(schedule.due(1000 + SECOND / 10 - 1).count(), 0);
    let late = schedule.due(1000 + SECOND / 2).collect::<Vec<_>>();
    assert_eq!(late, [Due { stream: 0, seqs: 1..6 }]);
}

#[test]
fn every_event_of_every_stream_is_given_once_and_in_order() {
    let mut schedule = Schedule::new(0, &work(7, 3, 1), 2);
    let mut next = BTreeMap::<u64, u64>::new();
    for moment in [0, 1, SECOND / 21, SECOND, SECOND, 10 * SECOND, 10 * SECOND + 1, 12 * SECOND] {
        for due in schedule.due(moment) {
            let next = next.entry(due.stream).or_default();
            assert_eq!(*next, due.seqs.start);
            assert!((1..=2).contains(&(due.seqs.end - due.seqs.start)));
            *next = due.seqs.end;
        }
    }
    assert_eq!(next.len(), 7);
    let (least, most) = (next.values().min().unwrap(), next.values().max().unwrap());
    assert!(most - least <= 1, "{next:?}");
}

#[test]
fn the_events_of_a_burst_are_due_together() {
    let mut schedule = Schedule::new(0, &work(2, 100, 50), 10);
    let due = |stream, seqs| Due { stream, seqs };
    assert_eq!(schedule.due(0).collect::<Vec<_>>(), [due(0, 0..50)]);
    assert_eq!(schedule.next(), SECOND / 4);
    assert_eq!(schedule.due(SECOND / 4).collect::<Vec<_>>(), [due(1, 0..50)]);
    assert_eq!(schedule.reached(), 50);
    assert_eq!(schedule.due(SECOND / 2).collect::<Vec<_>>(), [due(0, 50..100)]);
    assert_eq!(schedule.reached(), 100);
}

#[test]
fn a_change_of_the_rate_loses_no_event() {
    let mut schedule = Schedule::new(0, &work(1, 10, 1), 100);
    assert_eq!(schedule.due(SECOND).map(|due| due.seqs.end).collect::<Vec<_>>(), [11]);
    schedule.change(3 * SECOND, 2);
    assert_eq!((schedule.reached(), schedule.next()), (11, 3 * SECOND));
    let due = schedule.due(4 * SECOND).collect::<Vec<_>>();
    assert_eq!(due, [Due { stream: 0, seqs: 11..14 }]);
    assert_eq!(schedule.next(), 4 * SECOND + SECOND / 2);
}
