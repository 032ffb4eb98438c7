//! When a client's response ends.

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

/// Whether manifold serves or is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Serving.
    Running,
    /// Every client gets its end by then.
    Draining(Instant),
}

/// What a client waits for beside its events: heartbeats and the ends of its time.
#[derive(Debug)]
pub(super) struct Deadlines {
    heartbeat: Option<Duration>,
    next_heartbeat: Option<Instant>,
    lifetime: Option<Instant>,
    drain: Option<Instant>,
    lifecycle: watch::Receiver<Lifecycle>,
}

/// A deadline that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Heartbeat,
    Lifetime,
    Drain,
}

impl Deadlines {
    pub(super) fn new(options: &ClientOptions, mut lifecycle: watch::Receiver<Lifecycle>) -> Self {
        // A drain that began before this client came is news to it.
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

    /// The client was sent something: the heartbeat is for those who heard nothing.
    pub(super) fn heard(&mut self) {
        self.next_heartbeat = self.heartbeat.map(|interval| Instant::now() + interval);
    }

    /// Whether an end is due now: asked between writes, since a client with much to read is never idle.
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

    /// Resolves at the next deadline. Safe to drop and call again.
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
            // The service is gone: whoever is left ends now.
            Lifecycle::Running if !known => Duration::ZERO,
            Lifecycle::Running => return,
        };
        self.drain = Some(Instant::now() + spread);
    }
}

/// Resolves at a deadline, and never without one.
pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
