//! The wheel beside a simple model: a map of deadlines.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeMap;

const TURN: Duration = Duration::from_nanos(TICK_NANOS * SLOTS as u64);

/// The length of a tick.
const TICK: Duration = Duration::from_nanos(TICK_NANOS);

/// A wheel, the deadlines that it should hold, and the time.
struct Both {
    wheel: Wheel,
    deadlines: BTreeMap<u32, Instant>,
    now: Instant,
}

impl Both {
    fn new() -> Self {
        let now = Instant::now();
        Self { wheel: Wheel::new(now), deadlines: BTreeMap::new(), now }
    }

    fn set(&mut self, key: u32, at: Instant) {
        self.wheel.set(ClientKey::of(key), at);
        self.deadlines.insert(key, at);
    }

    fn cancel(&mut self, key: u32) {
        self.wheel.cancel(ClientKey::of(key));
        self.deadlines.remove(&key);
    }

    /// The keys that are due, after checking them against the model.
    fn expire(&mut self) -> Vec<u32> {
        let mut due = VecDeque::new();
        self.wheel.expire(self.now, &mut due);
        let due: Vec<_> = due.into_iter().map(ClientKey::index).collect();
        for key in &due {
            let at = self.deadlines.remove(key).unwrap_or_else(|| panic!("{key} has no deadline"));
            assert!(at <= self.now, "{key} is told {:?} early", at - self.now);
        }
        for (key, at) in &self.deadlines {
            assert!(*at + TICK > self.now, "{key} is late by {:?}", self.now - *at);
        }
        due
    }

    /// Checks that the wheel's next wake-up is not too late for any deadline and not in vain.
    fn check_next(&self) {
        let earliest = self.deadlines.values().min().copied();
        let next = self.wheel.next();
        assert_eq!(next.is_none(), earliest.is_none());
        if let (Some(next), Some(earliest)) = (next, earliest) {
            assert!(next < earliest.max(self.wheel.now) + TICK, "`expire` would be called too late");
            assert!(
                next > self.wheel.now || earliest <= self.wheel.now,
                "`expire` would be called at once and in vain"
            );
        }
        let linked = self.wheel.links.iter().filter(|link| link.tick != NEVER).count();
        assert_eq!(linked, self.deadlines.len());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Set(u32, i64),
    Cancel(u32),
    /// Lets time pass, in nanoseconds.
    Wait(u64),
    /// Lets time pass up to what `next` says.
    WaitForNext,
    Expire,
}

/// Nanoseconds: within one tick, some ticks, about one turn, many turns, or whole ticks.
fn nanos() -> impl Strategy<Value = u64> {
    let turn = 1_u64 << 34;
    prop_oneof![
        0..20_000_000_u64,
        0..2_000_000_000_u64,
        (turn - 500_000_000)..(turn + 500_000_000),
        0..40 * turn,
        (0..3000_u64).prop_map(|ticks| ticks * TICK_NANOS),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..40_u32;
    let ahead = nanos().prop_map(|nanos| i64::try_from(nanos).unwrap());
    prop_oneof![
        6 => (key.clone(), prop_oneof![5 => ahead, 1 => -60_000_000..=0_i64]).prop_map(|(key, at)| Step::Set(key, at)),
        1 => key.prop_map(Step::Cancel),
        2 => nanos().prop_map(Step::Wait),
        2 => Just(Step::WaitForNext),
        3 => Just(Step::Expire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600, failure_persistence: None, rng_seed: RngSeed::Fixed(110), ..ProptestConfig::default()
    })]

    #[test]
    fn every_deadline_is_told_once_and_in_time(steps in prop::collection::vec(step(), 0..120)) {
        let mut both = Both::new();
        both.now += Duration::from_secs(1);
        both.expire();
        for step in steps {
            match step {
                Step::Set(key, ahead) => {
                    let by = Duration::from_nanos(ahead.unsigned_abs());
                    both.set(key, if ahead < 0 { both.now - by } else { both.now + by });
                }
                Step::Cancel(key) => both.cancel(key),
                Step::Wait(nanos) => both.now += Duration::from_nanos(nanos),
                Step::WaitForNext => both.now = both.now.max(both.wheel.next().unwrap_or(both.now)),
                Step::Expire => { both.expire(); }
            }
            both.check_next();
        }
        both.now += 100 * TURN;
        both.expire();
        prop_assert!(both.deadlines.is_empty());
        both.check_next();
        prop_assert_eq!(both.wheel.occupied, [0; SLOTS / 64]);
    }
}

#[test]
fn a_client_costs_sixteen_bytes() {
    assert_eq!(size_of::<Link>(), 16);
}

#[test]
fn nothing_is_due_where_nothing_was_set() {
    let mut both = Both::new();
    assert_eq!(both.wheel.next(), None);
    both.cancel(7);
    both.now += Duration::from_secs(3600);
    assert!(both.expire().is_empty());
}

#[test]
fn a_deadline_that_has_passed_is_due_at_once_and_once() {
    let mut both = Both::new();
    both.now += Duration::from_millis(25);
    both.expire();
    both.set(3, both.now - Duration::from_millis(1));
    both.set(4, both.now - Duration::from_secs(9));
    both.set(5, both.now);
    assert_eq!(both.wheel.next(), Some(both.now));
    both.cancel(4);
    assert_eq!(both.expire(), [5, 3]);
    assert!(both.expire().is_empty());
}

#[test]
fn a_deadline_of_many_turns_is_told_at_its_own_time() {
    let mut both = Both::new();
    let lifetime = 10 * TURN + Duration::from_millis(5);
    both.set(0, both.now + lifetime);
    let mut calls = 0;
    let start = both.now;
    while both.deadlines.contains_key(&0) {
        both.now = both.wheel.next().unwrap();
        both.expire();
        calls += 1;
        assert!(calls <= 11, "a late deadline is looked at once per turn");
    }
    assert!(both.now - start < lifetime + TICK);
}

#[test]
fn a_long_pause_tells_everything_that_passed_in_it() {
    let mut both = Both::new();
    for key in 0..5000 {
        both.set(key, both.now + Duration::from_millis(7) * key);
    }
    both.set(5000, both.now + Duration::from_secs(7200));
    both.now += Duration::from_secs(7000);
    assert_eq!(both.expire().len(), 5000);
    assert!(both.expire().is_empty());
    both.now += Duration::from_secs(200) + TICK;
    assert_eq!(both.expire(), [5000]);
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut both = Both::new();
    let start = both.now;
    both.now += Duration::from_secs(60);
    both.expire();
    both.wheel.expire(start, &mut VecDeque::new());
    both.set(1, both.now + TICK);
    assert!(both.expire().is_empty());
    both.now += 2 * TICK;
    assert_eq!(both.expire(), [1]);
}

#[test]
fn a_deadline_beyond_all_time_is_never_due() {
    let mut both = Both::new();
    // Six hundred years are more nanoseconds than 64 bits can count.
    both.set(1, both.now + Duration::from_secs(600 * 366 * 24 * 3600));
    both.now += Duration::from_secs(24 * 3600);
    assert!(both.expire().is_empty());
    assert!(both.wheel.next().is_some());
}
