//! What happened in a run: counts by name, and faults in words.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Instant;

/// The faults that are kept in words. All are counted.
const KEPT: usize = 100;

/// What happened.
#[derive(Debug)]
pub(crate) struct Record {
    began: Instant,
    told: Mutex<Told>,
}

/// What happened until now.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) faults: Vec<String>,
    pub(crate) all_faults: u64,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), told: Mutex::default() }
    }

    /// The seconds since the beginning.
    pub(crate) fn secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub(crate) fn count(&self, what: &str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&self, what: &str, number: u64) {
        let mut told = self.told.lock();
        match told.counts.get_mut(what) {
            Some(count) => *count += number,
            None => {
                told.counts.insert(what.to_owned(), number);
            }
        }
    }

    /// Writes down a fault of the gateway.
    pub(crate) fn fault(&self, what: impl Into<String>) {
        let (at, what) = (self.secs(), what.into());
        let mut told = self.told.lock();
        told.all_faults += 1;
        if told.faults.len() < KEPT {
            told.faults.push(format!("{at:.1} s: {what}"));
        }
    }

    pub(crate) fn told(&self) -> Told {
        self.told.lock().clone()
    }
}
