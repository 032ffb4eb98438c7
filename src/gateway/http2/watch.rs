//! The time limits of an HTTP/2 connection.

use super::link::Link;
use super::liveness::{Act, Liveness};
use super::traffic::{Blocked, Traffic};
use crate::fanout::{Trust, limit_stall, on_the_way};
use crate::gateway::transport::Transport;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How many times per stall limit to look whether bytes arrive at a client whose socket accepts no more bytes.
const LOOKS: u32 = 4;

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The time for a head, or for a frame other than DATA.
    pub(super) head: Duration,
    /// How long the connection may have no open stream.
    pub(super) idle: Duration,
}

/// A limit that was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A head, or a frame other than DATA, is unfinished for too long.
    Head,
    /// The client sent malformed trailers.
    Malformed,
    /// The client sent too many frames that carry nothing.
    Flood,
    /// The client accepted no byte for too long.
    Stall,
    /// No stream was open for too long.
    Idle,
    /// The client was silent for a while, and is to be sent a PING.
    Ping,
    /// The client does not answer.
    Dead,
}

/// Enforces the limits of a connection.
pub(super) struct Watch {
    pub(super) times: Times,
    transport: Arc<Transport>,
    link: Arc<Link>,
    traffic: Arc<Mutex<Traffic>>,
    /// The client's progress, and when to look next. `None`: the socket accepts bytes.
    blocked: Option<(Blocked, Instant)>,
    /// Says whether this watch or the kernel judges that the client stalls.
    trust: Trust,
    /// The stall limit of the connection at the last look.
    stall: Option<Duration>,
    liveness: Liveness,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    pub(super) fn new(times: Times, transport: Arc<Transport>, link: Arc<Link>, traffic: Arc<Mutex<Traffic>>) -> Self {
        let stall = link.stall();
        limit_stall(&*transport, stall);
        let (trust, timer) = (Trust::default(), Box::pin(sleep_until(Instant::now())));
        Self { times, transport, link, traffic, blocked: None, trust, stall, liveness: Liveness::Heard, timer }
    }

    /// Resolves when a limit is exceeded. The caller polls the connection first, because that updates the observations.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        loop {
            let now = Instant::now();
            if let Some(due) = self.look(now) {
                return Poll::Ready(due);
            }
            let Some(next) = self.next() else { return Poll::Pending };
            if self.timer.deadline() != next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Whether a write waits for the socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.traffic.lock().is_blocked
    }

    fn look(&mut self, now: Instant) -> Option<Due> {
        let is_over = |since: Option<Instant>, time| since.is_some_and(|since| now.duration_since(since) >= time);
        let (is_blocked, unfinished, is_malformed, is_flood) = {
            let Traffic { is_blocked, frames } = &*self.traffic.lock();
            (*is_blocked, frames.unfinished(), frames.is_malformed(), frames.budget.is_spent())
        };
        if is_malformed {
            return Some(Due::Malformed);
        }
        if is_flood {
            return Some(Due::Flood);
        }
        let stall = self.link.stall();
        if stall != self.stall && !is_blocked {
            limit_stall(&*self.transport, stall);
        }
        self.stall = stall;
        self.look_at_socket(is_blocked, now);
        if let (Some((blocked, _)), Some(stall)) = (&self.blocked, stall)
            && blocked.is_stalled(stall, now)
        {
            return Some(Due::Stall);
        }
        if self.link.is_stalled() {
            return Some(Due::Stall);
        }
        if is_over(unfinished, self.times.head) {
            return Some(Due::Head);
        }
        if is_over(self.link.idle_since(), self.times.idle) {
            return Some(Due::Idle);
        }
        let heard = self.traffic.lock().frames.heard();
        // The kernel is asked only when something is due.
        let is_on_the_way = is_blocked || (self.liveness.next(heard) <= now && on_the_way(&*self.transport) > 0);
        self.liveness.look(heard, is_on_the_way, now).map(|act| match act {
            Act::Ping => Due::Ping,
            Act::Close => Due::Dead,
        })
    }

    /// Observes a socket that accepts no more bytes. The kernel does not judge the client in that time (see [`Trust`]).
    fn look_at_socket(&mut self, is_blocked: bool, now: Instant) {
        let socket = &*self.transport;
        let every = self.stall.unwrap_or(self.times.idle) / LOOKS;
        match &mut self.blocked {
            None if is_blocked => {
                self.trust.begin(socket, now.into_std());
                self.blocked = Some((Blocked::new(on_the_way(socket), now), now + every));
            }
            Some((blocked, next)) if is_blocked && *next <= now => {
                blocked.look(on_the_way(socket), now);
                *next = now + every;
            }
            Some(_) if !is_blocked => {
                self.blocked = None;
                if let Some(stall) = self.stall {
                    self.trust.end(socket, stall, now.into_std());
                }
            }
            Some(_) | None => {}
        }
    }

    /// When to look again if nothing happens before.
    fn next(&self) -> Option<Instant> {
        let (unfinished, heard) = {
            let frames = &self.traffic.lock().frames;
            (frames.unfinished(), frames.heard())
        };
        let of_head = unfinished.map(|since| since + self.times.head);
        let of_idle = self.link.idle_since().map(|since| since + self.times.idle);
        let of_socket = self.blocked.as_ref().map(|(_, next)| *next);
        let of_liveness = Some(self.liveness.next(heard));
        [of_head, of_idle, of_socket, of_liveness].into_iter().flatten().min()
    }
}
