//! The engine's handle and its inboxes, with a shard that replaces the one with sockets.

#[path = "../../../src/fanout/batch.rs"]
mod batch;
#[path = "../../../src/fanout/engine.rs"]
mod engine;
#[path = "../../../src/fanout/inbox.rs"]
mod inbox;
mod shard;
#[path = "../../../src/fanout/terms.rs"]
mod terms;
pub mod wake_ups;

pub use batch::Framing;
pub use engine::{Arrival, Engine, Refused};
pub use shard::BREAKS;
pub use terms::{Farewell, Home, Pace, Sent, Terms};
