//! The deadlines of a client's response: its heartbeats, its lifetime and the drain.

use super::writer::Broken;
use crate::downstream::lifetime;
use crate::fanout::{Due, LastSent, Pace, Phase, Schedule, Standing};
use crate::hub::{Departure, End};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

impl From<Broken> for Departure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Left => Self::Left,
            Broken::Stalled => Self::Stalled,
            Broken::Lagged => Self::Lagged,
            Broken::Dismissed => Self::Ended(End::Dismissed),
            Broken::Revoked => Self::Revoked,
            Broken::Expired => Self::Expired,
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

/// The deadlines of one client in a session. What is due is for the policy to say.
#[derive(Debug)]
pub(super) struct Deadlines {
    pace: Pace,
    max_lifetime: Option<Duration>,
    came: std::time::Instant,
    /// When the client's permission ends.
    expires: Option<std::time::Instant>,
    schedule: Schedule,
    last_sent: LastSent,
    lifecycle: watch::Receiver<Lifecycle>,
    /// The drain has been noticed.
    drains: bool,
}

impl Deadlines {
    /// `max_lifetime`: the longest lifetime that the route gives a client. `left`: how long its permission lasts.
    pub(super) fn new(
        pace: Pace,
        max_lifetime: Option<Duration>,
        left: Option<Duration>,
        mut lifecycle: watch::Receiver<Lifecycle>,
    ) -> Self {
        // A drain may have begun before this client came. It must be seen as a change, too.
        lifecycle.mark_changed();
        let now = Instant::now().into_std();
        let lifetime = max_lifetime.map(|max| lifetime(max, fastrand::f64()));
        let mut schedule = Schedule::new(lifetime, Phase::random(), now);
        schedule.expire(left, now);
        let expires = left.and_then(|left| now.checked_add(left));
        let last_sent = LastSent::with_others(now);
        Self { pace, max_lifetime, came: now, expires, schedule, last_sent, lifecycle, drains: false }
    }

    /// The policy of the route changed.
    pub(super) fn renew(&mut self, pace: Pace, max_lifetime: Option<Duration>) {
        let now = Instant::now().into_std();
        self.pace = pace;
        if std::mem::replace(&mut self.max_lifetime, max_lifetime) != max_lifetime {
            let drawn = max_lifetime.map(|max| lifetime(max, fastrand::f64()));
            self.schedule.live(drawn, now.saturating_duration_since(self.came), now, fastrand::f64());
            self.schedule.expire(self.expires.map(|at| at.saturating_duration_since(now)), now);
        }
    }

    /// The route is gone. The client is given its end by this time.
    pub(super) fn drain(&mut self, by: Instant) {
        self.schedule.drain(by.into_std(), Instant::now().into_std(), fastrand::f64());
    }

    /// Notes that the client was sent something.
    pub(super) fn sent(&mut self) {
        self.last_sent = LastSent::with_others(Instant::now().into_std());
    }

    /// Notes that the client was sent a heartbeat.
    pub(super) fn sent_heartbeat(&mut self) {
        self.last_sent = LastSent::heartbeat(Instant::now().into_std());
    }

    /// The end that is due now, if any. The caller asks between writes, because a client with much to read never waits
    /// in [`Self::next`].
    pub(super) fn end_due(&mut self) -> Option<Departure> {
        if !self.drains && self.lifecycle.has_changed().unwrap_or(true) {
            self.note(self.lifecycle.has_changed().is_ok());
        }
        match self.schedule.due(&self.pace, Standing::Busy, Instant::now().into_std()) {
            Some(Due::End(because)) => Some(because.into()),
            Some(Due::Heartbeat | Due::Slowness | Due::Stall | Due::Close) | None => None,
        }
    }

    /// Resolves when something is due for a client that was sent all there is: a heartbeat, or the end of its response.
    /// The end is an error. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<(), Departure> {
        loop {
            let standing = Standing::Idle { last_sent: self.last_sent };
            match self.schedule.due(&self.pace, standing, Instant::now().into_std()) {
                Some(Due::Heartbeat) => return Ok(()),
                Some(Due::End(because)) => return Err(because.into()),
                Some(Due::Slowness | Due::Stall | Due::Close) | None => {}
            }
            let next = self.schedule.next(&self.pace, standing).map(Instant::from_std);
            tokio::select! {
                biased;
                () = at(next) => {}
                change = self.lifecycle.changed(), if !self.drains => self.note(change.is_ok()),
            }
        }
    }

    fn note(&mut self, known: bool) {
        let now = Instant::now();
        let by = match *self.lifecycle.borrow_and_update() {
            Lifecycle::Draining(by) => by,
            // The service is gone, so the remaining clients end now.
            Lifecycle::Running if !known => now,
            Lifecycle::Running => return,
        };
        self.drains = true;
        self.schedule.drain(by.into_std(), now.into_std(), fastrand::f64());
    }
}

/// Resolves at a deadline. Without one it never resolves.
pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
