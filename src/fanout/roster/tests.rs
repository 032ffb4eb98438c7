//! The roster beside a simple model: a map of which members have had the batch.

use super::*;
use crate::fanout::keys::Key;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use std::collections::BTreeMap;

/// A roster, the places that its members were told, and which of them have had the batch.
#[derive(Default)]
struct Both {
    roster: Roster,
    places: BTreeMap<ClientKey, u32>,
    /// Whether each member has had the batch of the present pass.
    had: BTreeMap<ClientKey, bool>,
    keys: u32,
}

impl Both {
    fn begin(&mut self) {
        self.roster.begin();
        self.had.values_mut().for_each(|had| *had = false);
    }

    fn next(&mut self) -> Option<ClientKey> {
        let (in_pass, next) = (self.roster.in_pass(), self.roster.next());
        match next {
            Some(key) => {
                assert!(in_pass, "there is no batch");
                let had = self.had.insert(key, true);
                assert_eq!(had, Some(false), "{key:?} has had it, or is no member");
            }
            None => {
                assert!(
                    !in_pass || self.had.values().all(|had| *had),
                    "the pass ended before every member had the batch"
                );
                assert!(!self.roster.in_pass());
            }
        }
        next
    }

    fn join(&mut self, had_batch: bool) -> ClientKey {
        let key = ClientKey::of(self.keys);
        self.keys += 1;
        self.roster.join(key, had_batch, |key, place| {
            self.places.insert(key, place);
        });
        self.had.insert(key, had_batch);
        key
    }

    fn leave(&mut self, key: ClientKey) {
        self.had.remove(&key).unwrap();
        let place = self.places.remove(&key).unwrap();
        let left = self.roster.leave(place, |key, place| {
            assert!(self.places.insert(key, place).is_some(), "{key:?} is no member");
        });
        assert_eq!(left, key);
    }

    fn take(&mut self, most: usize) {
        let before = self.had.len();
        let taken = self.roster.take(most);
        assert_eq!(taken.len(), most.min(before));
        for key in taken {
            assert!(self.had.remove(&key).is_some() && self.places.remove(&key).is_some(), "{key:?} is no member");
        }
    }

    fn check(&self) {
        assert_eq!(self.roster.members.len(), self.had.len());
        assert_eq!(self.roster.is_empty(), self.had.is_empty());
        for (key, had) in &self.had {
            let place = self.places[key];
            assert_eq!(self.roster.members[place as usize], *key, "the member was told a wrong place");
            assert!(!self.roster.in_pass() || *had == self.roster.had_batch(place), "{key:?}");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Begin,
    Next,
    Join(bool),
    Leave(Index),
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => Just(Step::Begin),
        60 => Just(Step::Next),
        60 => any::<bool>().prop_map(Step::Join),
        40 => any::<Index>().prop_map(Step::Leave),
        2 => (0..8_usize).prop_map(Step::Take),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600, failure_persistence: None, rng_seed: RngSeed::Fixed(111), ..ProptestConfig::default()
    })]

    #[test]
    fn everyone_gets_each_batch_once(at_first in 0..12_u32, steps in prop::collection::vec(step(), 0..120)) {
        let mut both = Both::default();
        for _ in 0..at_first {
            both.join(false);
        }
        for step in steps {
            match step {
                Step::Begin if both.roster.in_pass() => {}
                Step::Begin => both.begin(),
                Step::Next => { both.next(); }
                Step::Join(had_batch) => { both.join(had_batch); }
                Step::Leave(_) if both.had.is_empty() => {}
                Step::Leave(nth) => {
                    let key = *both.had.keys().nth(nth.index(both.had.len())).unwrap();
                    both.leave(key);
                }
                Step::Take(_) if both.roster.in_pass() => {}
                Step::Take(most) => both.take(most),
            }
            both.check();
        }
        // The present pass ends, and an uninterrupted pass reaches every member.
        while both.next().is_some() {}
        both.begin();
        while both.next().is_some() {}
        both.check();
    }
}

#[test]
fn a_member_that_has_had_the_batch_may_leave_during_the_pass() {
    let mut both = Both::default();
    let [first, second, third] = [both.join(false), both.join(false), both.join(false)];
    both.begin();
    assert_eq!([both.next(), both.next()], [Some(first), Some(second)]);
    both.leave(first);
    assert_eq!([both.next(), both.next()], [Some(third), None]);
}

#[test]
fn a_pass_over_an_empty_roster_ends() {
    let mut both = Both::default();
    assert_eq!(both.next(), None);
    both.begin();
    assert!(both.roster.in_pass());
    assert_eq!(both.next(), None);
    assert!(!both.roster.in_pass());
}

#[test]
fn a_member_that_joins_at_the_end_of_a_pass_still_gets_its_batch() {
    let mut both = Both::default();
    let first = both.join(false);
    both.begin();
    assert_eq!(both.next(), Some(first));
    both.join(true);
    let late = both.join(false);
    assert_eq!([both.next(), both.next()], [Some(late), None]);
}

#[test]
fn whoever_joins_moves_no_member_to_a_later_place() {
    let mut both = Both::default();
    let first: Vec<_> = (0..5).map(|_| both.join(false)).collect();
    both.begin();
    assert_eq!([both.next(), both.next()], [Some(first[0]), Some(first[1])]);
    let late = [true, false, true, false].map(|had_batch| both.join(had_batch));
    let rest: Vec<_> = std::iter::from_fn(|| both.next()).collect();
    assert_eq!(rest, [first[2], first[3], first[4], late[1], late[3]]);
    both.begin();
    let all: Vec<_> = std::iter::from_fn(|| both.next()).collect();
    assert_eq!((&all[..5], all.len()), (&first[..], 9));
}

#[test]
fn a_roster_is_small() {
    assert_eq!(size_of::<Roster>(), 40);
}
