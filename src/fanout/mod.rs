//! The delivery engine: a plain HTTP/1.x client is a socket and a cursor.
//!
//! ```text
//!   Engine ──adopt──▶ Inbox ──▶ Shard (a thread, a poll)
//!   hub    ──changed─▶          ├ Group: the clients of one stream and framing
//!                               │   ├ Roster: those that are caught up share one cursor
//!                               │   └ the others: a cursor and a rest each
//!                               └ Wheel: one deadline per client
//! ```
//!
//! Nothing is copied, queued, boxed or woken per client that need not be: a batch is built once per stream and pass and
//! sent to each in one call. The engine is handed heads as bytes and policies as [`Terms`]; it knows no HTTP beyond the
//! chunk.

mod batch;
mod client;
mod engine;
mod group;
mod inbox;
mod on_the_way;
mod roster;
mod sending;
mod shard;
mod terms;
mod trust;
mod wheel;

pub use batch::Framing;
pub use engine::{Arrival, Engine, Refused};
pub use on_the_way::on_the_way;
pub use sending::limit_stall;
pub use terms::{Farewell, Home, LINGER, MOST_STRAY_BYTES, Pace, SPREAD_OF_DRAIN, Sent, Terms};
pub use trust::Trust;
