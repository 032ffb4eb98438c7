//! The policy toward one client: heartbeats, held events, lag, stalls, lifetimes and the drain.
//!
//! ```text
//!              was sent all there is            accepts no more
//!       Idle ◀─────────────────────── Busy ──────────────────────▶ Blocked
//!    ╭─▶│  ───────────────────────▶   │  ◀────────────────────────   │
//!    ╰──┤      there is more          │         accepts bytes        ├─ stalls, or fell off the log: cut off
//!    heartbeat                        │                              │
//!       ╰────────────── its end is due, with last words ─────────────╯
//!                                     ▼
//!                                  Parting ── stalls: cut off
//!                                     │ was sent all
//!                                     ▼
//!                                  Closing ── did not close its side in time: closed
//! ```
//!
//! Pure: values and an instant in, decisions out. A shard drives it for the clients of the engine, and the gateway for
//! each session. What they observe of a connection is a [`Standing`], what is in the log a
//! [`Reading`](crate::hub::Reading). A [`Schedule`] and a [`Pace`] say what is due for the client, when to ask again, and
//! what a reading means for it. A [`Pass`] says whether new events are held.

mod heartbeat;
mod pace;
mod pass;
mod schedule;

pub use heartbeat::{LastSent, Phase};
pub use pace::{Fallen, Pace, Then};
pub use pass::{Beyond, Pass};
pub use schedule::{Because, Due, LINGER, Schedule, Standing, due_while_blocked};
