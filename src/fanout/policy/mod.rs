//! The policy toward one client: heartbeats, held events, lag, stalls, lifetimes and the drain.
//!
//! Pure: values and an instant in, decisions out.

mod pass;

pub(in crate::fanout) use pass::Pass;
use std::time::Duration;

/// The part of the drain time over which the ends of responses are spread. In the rest of the time the last bytes
/// arrive.
pub const SPREAD_OF_DRAIN: f64 = 0.6;

/// How long a client may take to close its side after we closed ours. Then its socket is closed.
pub const LINGER: Duration = Duration::from_secs(2);

/// How often and how patiently clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// A client that was sent nothing for this long is sent a comment line. `None`: no heartbeats.
    pub heartbeat: Option<Duration>,
    /// The connection of a client that accepts no byte for this long is closed.
    pub stall: Duration,
    /// Events are held for up to this long, so that several share one write. `None`: they are sent at once.
    pub flush: Option<Duration>,
    /// Whether a client that fell off the log is told of the gap and goes on. If not, its response ends.
    pub skips: bool,
}
