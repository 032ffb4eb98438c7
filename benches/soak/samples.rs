//! The memory and the descriptors of the gateway, over time.

use super::Failure;
use super::process::resident_kb;
use serde::Serialize;
use std::fs;

/// What a process uses at one time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// Seconds since the beginning.
    pub(crate) secs: f64,
    pub(crate) pid: i32,
    /// Resident memory of its own: without files, and without the kernel's buffers.
    pub(crate) kb: u64,
    pub(crate) descriptors: usize,
}

impl Sample {
    /// What a process uses now.
    pub(crate) fn of(pid: i32, secs: f64) -> Result<Self, Failure> {
        let kb = resident_kb(&[u32::try_from(pid)?])?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        Ok(Self { secs, pid, kb, descriptors })
    }
}

/// The memory of the last process, which ran for half of the time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Growth {
    /// The median after the warm-up, in KB.
    pub(crate) first_kb: u64,
    /// The median at the end, in KB.
    pub(crate) last_kb: u64,
}

impl Growth {
    /// The growth of the memory of one process. The first third of its samples is the warm-up. A fifth of the rest at its
    /// beginning and a fifth at its end are compared. `None`: there are too few samples.
    pub(crate) fn of(samples: &[Sample], pid: i32) -> Option<Self> {
        let all = samples.iter().filter(|sample| sample.pid == pid).map(|sample| sample.kb).collect::<Vec<_>>();
        let warm = all.get(all.len() / 3..)?;
        let part = warm.len() / 5;
        let median = |part: &[u64]| {
            let mut sorted = part.to_vec();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).copied()
        };
        Some(Self { first_kb: median(warm.get(..part)?)?, last_kb: median(warm.get(warm.len() - part..)?)? })
    }

    /// Whether the memory stayed as it was, up to a tenth or 4 MiB.
    pub(crate) fn is_flat(&self) -> bool {
        self.last_kb <= self.first_kb + (self.first_kb / 10).max(4_096)
    }
}
