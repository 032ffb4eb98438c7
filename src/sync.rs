//! The primitives of what is model-checked: `models/` compiles the same files with its own `sync`, whose every step is
//! scheduled.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use std::thread;
