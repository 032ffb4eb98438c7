//! Lost, doubled and reordered events are found.

use crate::ledger::*;

fn arrivals(seqs: &[u64]) -> (Vec<Arrival>, Ledger) {
    let mut ledger = Ledger::default();
    (seqs.iter().map(|&seq| ledger.note(seq)).collect(), ledger)
}

#[test]
fn what_comes_in_order_is_complete() {
    let (arrivals, ledger) = arrivals(&[0, 1, 2, 3]);
    assert_eq!(arrivals, [Arrival::InOrder; 4]);
    assert_eq!(ledger.lost(4), 0);
}

#[test]
fn what_never_came_is_lost() {
    let (arrivals, ledger) = arrivals(&[0, 3, 4]);
    assert_eq!(arrivals, [Arrival::InOrder, Arrival::Ahead, Arrival::InOrder]);
    assert_eq!(ledger.lost(5), 2);
    assert_eq!(ledger.lost(2), 1);
}

#[test]
fn what_is_missing_before_the_first_and_after_the_last_is_lost() {
    let (_, ledger) = arrivals(&[2, 3]);
    assert_eq!(ledger.lost(6), 4);
    assert_eq!(Ledger::default().lost(3), 3);
}

#[test]
fn what_comes_twice_is_doubled() {
    let (arrivals, ledger) = arrivals(&[0, 1, 1, 0, 2]);
    assert_eq!(arrivals[2..], [Arrival::Doubled, Arrival::Doubled, Arrival::InOrder]);
    assert_eq!(ledger.lost(3), 0);
}

#[test]
fn what_comes_late_is_out_of_order_and_not_lost() {
    let (arrivals, ledger) = arrivals(&[0, 4, 2, 2, 1, 3]);
    assert_eq!(arrivals[2..], [Arrival::OutOfOrder, Arrival::Doubled, Arrival::OutOfOrder, Arrival::OutOfOrder]);
    assert_eq!(ledger.lost(5), 0);
}
