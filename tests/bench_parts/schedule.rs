//! Events are due evenly.

use crate::clock::SECOND;
use crate::schedule::*;
use std::collections::BTreeMap;

#[test]
fn events_are_due_at_even_distances() {
    let mut schedule = Schedule::new(1000, 1, 10, 100);
    assert_eq!(schedule.due(999).count(), 0);
    assert_eq!(schedule.due(1000).collect::<Vec<_>>(), [Due { stream: 0, seqs: 0..1 }]);
    assert_eq!(schedule.next(), 1000 + SECOND / 10);
    assert_eq!(schedule.due(1000 + SECOND / 10 - 1).count(), 0);
    let late = schedule.due(1000 + SECOND / 2).collect::<Vec<_>>();
    assert_eq!(late, [Due { stream: 0, seqs: 1..6 }]);
}

#[test]
fn every_event_of_every_stream_is_given_once_and_in_order() {
    let mut schedule = Schedule::new(0, 7, 3, 2);
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
