//! The hand-over of streams and clients to a new process.
//!
//! ```text
//!   the new process                                   this process
//!      Hello: its version, and its routes ─────────────▶ stops accepting connections
//!                                                        for each stream of these routes:
//!                                                          freezes it, and takes its clients from their shards
//!      goes on with the stream ◀──────────── Stream ────
//!      gives them their places ◀── Clients, and their sockets
//!                              ◀─────────────── Whole ──
//!      Taken: which of them ───────────────────────────▶ forgets these
//!      serves these
//!      accepts connections ◀──────────────────── Done ──
//!      Ready ──────────────────────────────────────────▶ drains what is left
//! ```
//!
//! Only one of the two ever writes to a client's socket: this process has taken the client from its shard before it sends
//! it, and the new one answers before it serves it. The answer is the one moment at which a stream and its clients change
//! hands. If it does not come, they go on here, as if nothing had been.

mod giving;
mod hand;
mod link;
mod messages;
mod taking;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
mod tried;

pub(super) use giving::{Broken, Given, Source, is_ready};
pub(super) use link::Link;
pub(super) use taking::{say_ready, take};
#[cfg(fuzzing)]
pub use tried::try_message;

use std::time::Duration;

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moved {
    pub(super) streams: usize,
    pub(super) clients: usize,
    /// The longest time for which a stream and its clients were in neither process.
    pub(super) longest: Duration,
}
