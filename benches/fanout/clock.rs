//! CLOCK_MONOTONIC, which reads the same in every process of the machine.

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// The nanoseconds since some moment before the first process began.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * SECOND + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Returns at `moment`, or at once if that has passed.
pub(crate) fn sleep_until(moment: u64) {
    while now() < moment {
        // A signal may end the sleep early.
        if let Err(error) = clock_nanosleep_absolute(ClockId::Monotonic, &timespec(moment)) {
            debug_assert_eq!(error, rustix::io::Errno::INTR);
        }
    }
}

/// `ns` nanoseconds in the form that the kernel takes.
pub(crate) fn timespec(ns: u64) -> Timespec {
    let part = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Timespec { tv_sec: part(ns / SECOND), tv_nsec: part(ns % SECOND) }
}
