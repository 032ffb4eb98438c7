//! The deadlines of a client's response: its heartbeats, its lifetime and the drain.

use super::writer::Broken;
use crate::downstream::{ClientOptions, lifetime};
use crate::fanout::SPREAD_OF_DRAIN;
use crate::hub::Departure;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

impl From<Broken> for Departure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Left => Self::Left,
            Broken::Stalled => Self::Stalled,
        }
    }
}

/// Whether the process serves or drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// The process serves.
    Running,
    /// Every client's response ends by this time.
    Draining(Instant),
}

/// The deadlines of one client.
#[derive(Debug)]
pub(super) struct Deadlines {
    heartbeat: Option<Duration>,
    next_heartbeat: Option<Instant>,
    lifetime: Option<Instant>,
    drain: Option<Instant>,
    lifecycle: watch::Receiver<Lifecycle>,
}

/// The kind of a deadline that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Heartbeat,
    Lifetime,
    Drain,
}

impl Deadlines {
    pub(super) fn new(options: &ClientOptions, mut lifecycle: watch::Receiver<Lifecycle>) -> Self {
        // A drain may have begun before this client came. It must be seen as a change, too.
        lifecycle.mark_changed();
        let now = Instant::now();
        let mut deadlines = Self {
            heartbeat: options.heartbeat,
            next_heartbeat: None,
            lifetime: options.max_lifetime.map(|max| now + lifetime(max, fastrand::f64())),
            drain: None,
            lifecycle,
        };
        deadlines.heard();
        deadlines
    }

    /// Notes that the client was sent something. The next heartbeat is due one interval later.
    pub(super) fn heard(&mut self) {
        self.next_heartbeat = self.heartbeat.map(|interval| Instant::now() + interval);
    }

    /// The end that is due now, if any. The caller asks between writes, because a client with much to read never waits
    /// in [`Self::next`].
    pub(super) fn end_due(&mut self) -> Option<Due> {
        if self.drain.is_none() && self.lifecycle.has_changed().unwrap_or(true) {
            self.note(self.lifecycle.has_changed().is_ok());
        }
        let now = Instant::now();
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_due(self.drain) {
            return Some(Due::Drain);
        }
        is_due(self.lifetime).then_some(Due::Lifetime)
    }

    /// Resolves at the next deadline. Cancel-safe.
    pub(super) async fn next(&mut self) -> Due {
        loop {
            let drain = self.drain;
            tokio::select! {
                biased;
                () = at(drain) => return Due::Drain,
                () = at(self.lifetime) => return Due::Lifetime,
                () = at(self.next_heartbeat) => return Due::Heartbeat,
                change = self.lifecycle.changed(), if drain.is_none() => self.note(change.is_ok()),
            }
        }
    }

    fn note(&mut self, known: bool) {
        let spread = match *self.lifecycle.borrow_and_update() {
            Lifecycle::Draining(by) => {
                by.saturating_duration_since(Instant::now()).mul_f64(SPREAD_OF_DRAIN * fastrand::f64())
            }
            // The service is gone, so the remaining clients end now.
            Lifecycle::Running if !known => Duration::ZERO,
            Lifecycle::Running => return,
        };
        self.drain = Some(Instant::now() + spread);
    }
}

/// Resolves at a deadline. Without one it never resolves.
pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
