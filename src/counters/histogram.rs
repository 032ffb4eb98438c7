//! Histograms that many threads fill without a lock.
//!
//! A histogram is shown in two ways: with the few buckets of a classic histogram, and with the many of a native one
//! (schema 2, so each bucket is 19 % wider than the one before). Its *cells* are bounded by the bounds of both. So one
//! addition fills both, and both are read from the same numbers.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The native schema: four buckets for each power of two.
const SCHEMA: i32 = 2;
const PER_OCTAVE: i32 = 1 << SCHEMA;

/// The bounds of a kind of histogram. What is observed is a whole number of ticks.
#[derive(Debug)]
pub(super) struct Scale {
    /// The number of ticks in the unit that is shown.
    per_unit: f64,
    /// The width of the zero bucket in the unit that is shown: the lowest native bound.
    zero: f64,
    /// The index of the first native bucket above the zero bucket.
    first: i32,
    /// The classic bounds in the unit that is shown.
    classic: Vec<f64>,
    /// The highest value of each cell in ticks. A further cell holds all that is above the last.
    upto: Vec<u64>,
    /// The native and the classic bucket of each cell. Native bucket 0 is the zero bucket.
    buckets: Vec<(usize, usize)>,
}

/// From a microsecond to a quarter of an hour, in microseconds.
pub(super) static DELAYS: LazyLock<Scale> = LazyLock::new(|| {
    let classic = [
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
        5_000_000, 10_000_000, 30_000_000, 60_000_000,
    ];
    Scale::new(1e6, -20..=10, &classic)
});

/// From a millisecond to seven weeks, in milliseconds.
pub(super) static LIFETIMES: LazyLock<Scale> = LazyLock::new(|| {
    let secs = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 604_800];
    Scale::new(1e3, -10..=22, &secs.map(|secs| secs * 1_000))
});

/// From none to a million.
pub(super) static EVENTS: LazyLock<Scale> =
    LazyLock::new(|| Scale::new(1.0, -1..=20, &[0, 1, 10, 100, 1_000, 10_000, 100_000]));

impl Scale {
    /// A scale with native buckets between these powers of two, in the unit, and with these classic bounds, in ticks.
    fn new(per_unit: f64, octaves: std::ops::RangeInclusive<i32>, classic: &[u64]) -> Self {
        let bound = |index: i32| (f64::from(index) / f64::from(PER_OCTAVE)).exp2();
        let lowest = octaves.start() * PER_OCTAVE;
        let native: Vec<u64> =
            (lowest..=octaves.end() * PER_OCTAVE).map(|index| ticks(bound(index) * per_unit)).collect();
        let mut upto: Vec<u64> = native.iter().chain(classic).copied().collect();
        upto.sort_unstable();
        upto.dedup();
        let bucket = |bounds: &[u64], value: u64| bounds.partition_point(|bound| *bound < value);
        let buckets = upto.iter().chain([&u64::MAX]).map(|upto| (bucket(&native, *upto), bucket(classic, *upto)));
        Self {
            per_unit,
            zero: bound(lowest),
            first: lowest + 1,
            classic: classic.iter().map(|ticks| in_units(*ticks, per_unit)).collect(),
            buckets: buckets.collect(),
            upto,
        }
    }
}

/// The ticks in a positive number that is not too large.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive and not too large")]
fn ticks(value: f64) -> u64 {
    value.floor() as u64
}

#[expect(clippy::cast_precision_loss, reason = "a sum needs no more digits")]
fn in_units(ticks: u64, per_unit: f64) -> f64 {
    ticks as f64 / per_unit
}

/// A histogram.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    cells: Box<[AtomicU64]>,
    /// In ticks.
    sum: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The sum of all values.
    pub sum: f64,
    /// The number of values.
    pub count: u64,
    /// The upper bound of each classic bucket, and the number of values in it alone. The last bound is infinite.
    pub classic: Vec<(f64, u64)>,
    /// The schema of the native buckets.
    pub schema: i32,
    /// The width of the native zero bucket, and the number of values in it.
    pub zero: (f64, u64),
    /// The native buckets that hold values: how far each run of them begins after the one before, and its length.
    pub spans: Vec<(i32, u32)>,
    /// The number of values in each of these buckets, as the difference to the one before.
    pub deltas: Vec<i64>,
}

impl Histogram {
    /// An empty histogram.
    pub(super) fn new(scale: &'static Scale) -> Self {
        let cells = scale.buckets.iter().map(|_| AtomicU64::new(0)).collect();
        Self { scale, cells, sum: AtomicU64::new(0) }
    }

    /// Adds a value, in ticks, `n` times.
    pub fn observe(&self, ticks: u64, n: u64) {
        let cell = self.scale.upto.partition_point(|upto| *upto < ticks);
        if let Some(cell) = self.cells.get(cell) {
            cell.fetch_add(n, Ordering::Relaxed);
            self.sum.fetch_add(ticks.saturating_mul(n), Ordering::Relaxed);
        }
    }

    /// Adds a duration `n` times. The scale must be one of time.
    pub fn observe_time(&self, time: Duration, n: u64) {
        self.observe(ticks((time.as_secs_f64() * self.scale.per_unit).min(1e18)), n);
    }

    /// The sum of all values, in ticks.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// What it holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let scale = self.scale;
        let mut classic: Vec<_> =
            scale.classic.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        let mut native = vec![0; scale.buckets.iter().map(|(native, _)| native + 1).max().unwrap_or(1)];
        for ((in_native, in_classic), cell) in scale.buckets.iter().zip(&self.cells) {
            let n = cell.load(Ordering::Relaxed);
            if let (Some(native), Some(classic)) = (native.get_mut(*in_native), classic.get_mut(*in_classic)) {
                *native += n;
                classic.1 += n;
            }
        }
        let (spans, deltas) = sparse(scale.first, native.get(1..).unwrap_or_default());
        Snapshot {
            sum: in_units(self.sum.load(Ordering::Relaxed), scale.per_unit),
            count: native.iter().sum(),
            classic,
            schema: SCHEMA,
            zero: (scale.zero, native.first().copied().unwrap_or_default()),
            spans,
            deltas,
        }
    }
}

/// The spans and deltas of native buckets, the first of which has the index `first`.
fn sparse(first: i32, buckets: &[u64]) -> (Vec<(i32, u32)>, Vec<i64>) {
    let (mut spans, mut deltas) = (Vec::<(i32, u32)>::new(), Vec::new());
    // The index after the last bucket that was taken, and the number in that bucket.
    let (mut next, mut before) = (0, 0_i64);
    for (index, n) in (first..).zip(buckets).filter(|(_, n)| **n > 0) {
        match spans.last_mut().filter(|_| index == next) {
            Some((_, length)) => *length += 1,
            None => spans.push((index - next, 1)),
        }
        next = index + 1;
        let n = i64::try_from(*n).unwrap_or(i64::MAX);
        deltas.push(n - before);
        before = n;
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The native buckets that hold something, by their upper bounds.
    fn native(snapshot: &Snapshot) -> Vec<(f64, i64)> {
        let (mut index, mut n, mut deltas, mut found) = (0, 0, snapshot.deltas.iter(), Vec::new());
        for (offset, length) in &snapshot.spans {
            index += offset;
            for _ in 0..*length {
                n += deltas.next().unwrap();
                found.push(((f64::from(index) / 4.0).exp2(), n));
                index += 1;
            }
        }
        assert!(deltas.next().is_none());
        found
    }

    #[test]
    fn each_value_is_in_the_buckets_that_bound_it() {
        for (scale, per_unit) in [(&DELAYS, 1e6), (&LIFETIMES, 1e3), (&EVENTS, 1.0)] {
            for value in [0, 1, 2, 3, 4, 5, 99, 100, 101, 999, 1_000, 1_001, 99_999, 1_000_000, 59_999_999] {
                let histogram = Histogram::new(scale);
                histogram.observe(value, 3);
                let snapshot = histogram.snapshot();
                let shown = value as f64 / per_unit;
                assert_eq!((snapshot.count, snapshot.sum), (3, value as f64 * 3.0 / per_unit));
                let bucket = snapshot.classic.iter().position(|(_, n)| *n == 3).unwrap();
                assert!(shown <= snapshot.classic[bucket].0, "{value}");
                assert!(bucket == 0 || shown > snapshot.classic[bucket - 1].0, "{value}");
                let (zero, in_zero) = snapshot.zero;
                if shown <= zero {
                    assert_eq!((in_zero, native(&snapshot).len()), (3, 0), "{value}");
                    continue;
                }
                let [(bound, 3)] = native(&snapshot)[..] else { panic!("{value}: {snapshot:?}") };
                let is_over = value > ticks(scale.upto.last().copied().unwrap() as f64);
                assert!(is_over || (shown <= bound && shown > bound / 1.2), "{value}: {shown} {bound}");
            }
        }
    }

    #[test]
    fn both_kinds_of_buckets_hold_all_values() {
        let histogram = Histogram::new(&DELAYS);
        for value in (0..200_000_000).step_by(99_991) {
            histogram.observe(value, 2);
        }
        histogram.observe(u64::MAX, 0);
        let snapshot = histogram.snapshot();
        let native: i64 = native(&snapshot).iter().map(|(_, n)| n).sum();
        assert_eq!(snapshot.count, 2 * 2001);
        assert_eq!(native as u64 + snapshot.zero.1, snapshot.count);
        assert_eq!(snapshot.classic.iter().map(|(_, n)| n).sum::<u64>(), snapshot.count);
    }

    #[test]
    fn a_duration_is_counted_in_the_ticks_of_its_scale() {
        for (scale, bound) in [(&DELAYS, 2.5), (&LIFETIMES, 5.0)] {
            let histogram = Histogram::new(scale);
            histogram.observe_time(Duration::from_millis(2_500), 1);
            let snapshot = histogram.snapshot();
            assert_eq!(snapshot.classic.iter().find(|(_, n)| *n == 1).unwrap().0, bound);
            assert_eq!(snapshot.sum, 2.5);
        }
    }

    #[test]
    fn the_bounds_are_shown_as_they_are_meant() {
        let shown: Vec<_> = DELAYS.classic.iter().map(ToString::to_string).collect();
        assert_eq!(shown[..8], ["0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025"]);
    }
}
