//! The bounded log of a stream's recent frames, and what a `Last-Event-ID` means to it.

mod options;

pub use options::{IdPolicy, OnGap, ReplayOptions, Start};
