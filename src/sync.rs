//! The synchronisation primitives of the code that `models/` checks. There, the same files are compiled with another
//! `sync`, whose every step a model checker schedules.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use std::thread;
