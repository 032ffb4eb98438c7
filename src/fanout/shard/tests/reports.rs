//! Lines about clients that stay.

use super::super::super::rounds::{PARTS, Rounds};
use super::*;

#[test]
fn a_line_about_each_client_comes_once_in_an_interval_and_they_are_spread_over_it() {
    let mut stage = Stage::new();
    let every = SECOND * PARTS;
    stage.shard.reports = Some(Rounds::new(every, stage.now));
    let (_first, publisher) = stage.opened("/");
    let _clients: Vec<_> = (1..2 * PARTS).map(|_| stage.client("/")).collect();
    stage.settle();
    publish(&publisher, &["one"]);
    for _ in 0..PARTS {
        stage.later(SECOND);
        let said = stage.terms.stays.lock().len();
        assert!(said <= 2, "{said} clients have been there for an interval");
    }
    stage.terms.stays.lock().clear();
    for part in 1..=PARTS {
        stage.later(SECOND);
        let said: Vec<_> = stage.terms.stays.lock().drain(..).collect();
        assert_eq!(said.len(), 2, "{part}");
        assert!(said.iter().all(|(sent, stayed)| sent.events == 1 && *stayed >= every), "{said:?}");
    }
}
