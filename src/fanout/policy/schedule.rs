//! What is due for one client, and when.

use super::Pace;
use super::heartbeat::{LastSent, Phase};
use crate::hub::{Departure, PATIENCE_WITH_READERS};
use std::time::{Duration, Instant};

/// The part of the drain time over which the ends of responses are spread. In the rest of the time the last bytes
/// arrive.
const SPREAD_OF_DRAIN: f64 = 0.6;

/// How long a client may take to close its side after we closed ours. Then its socket is closed.
pub const LINGER: Duration = Duration::from_secs(2);

/// What a client's connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The client was sent all there is.
    Idle {
        /// When it was last sent something.
        last_sent: LastSent,
    },
    /// The client is being sent something, and accepts it.
    Busy,
    /// The client is being sent something, and accepts no more.
    Blocked {
        /// When it was last seen to accept a byte, or to receive one.
        accepted: Instant,
        /// The log keeps what the client is still to be given, though it may be beyond the log's bounds.
        keeps_up: bool,
    },
    /// The client has departed. Its last words are being sent, and it accepts no more of them.
    Parting {
        /// When it was last seen to accept a byte, or to receive one.
        accepted: Instant,
    },
    /// Our side of the connection is closed.
    Closing {
        /// When the connection is closed, even if the client's side is still open.
        until: Instant,
    },
}

/// What is due for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A comment line.
    Heartbeat,
    /// The end of its response.
    End(Because),
    /// The client is slow: it accepted nothing for a while. The log keeps nothing for it beyond its bounds from now on.
    Slowness,
    /// The end of its connection, because it accepted nothing for too long.
    Stall,
    /// The end of its connection, because it did not close its side.
    Close,
}

/// Why a response ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The client has been there for its lifetime.
    Lifetime,
    /// The process drains, or the route is gone.
    Drain,
    /// The client's permission ends.
    Expiry,
}

impl From<Because> for Departure {
    fn from(because: Because) -> Self {
        match because {
            Because::Lifetime => Self::Lifetime,
            Because::Drain => Self::Drained,
            Because::Expiry => Self::Expired,
        }
    }
}

/// When a client's response ends, and when its heartbeats are due. The response ends then even if the client is not
/// caught up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    ends: Option<Instant>,
    /// Why the response ends then.
    because: Because,
    phase: Phase,
}

impl Schedule {
    /// The schedule of a client that comes now and may stay for `lifetime`. `None`: no limit.
    #[must_use]
    pub fn new(lifetime: Option<Duration>, phase: Phase, now: Instant) -> Self {
        Self { ends: lifetime.map(|lifetime| now + lifetime), because: Because::Lifetime, phase }
    }

    /// How long the client may still stay. `None`: no limit. An end in a drain is none of its life.
    #[must_use]
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        self.ends.filter(|_| self.because == Because::Lifetime).map(|ends| ends.saturating_duration_since(now))
    }

    /// The client, which has been there for `stayed`, may stay for `lifetime` in all from now on. If that is over
    /// already, the client gets its end within the next life, so that not all such clients end at once. `random` is in
    /// `0.0..1.0`. An end in a drain stays. An end of the permission does not, and is to be set again.
    pub fn live(&mut self, lifetime: Option<Duration>, stayed: Duration, now: Instant, random: f64) {
        if self.ends.is_some() && self.because == Because::Drain {
            return;
        }
        let rest = lifetime.map(|lifetime| match lifetime.checked_sub(stayed) {
            Some(rest) => rest,
            None => lifetime.mul_f64(random),
        });
        (self.ends, self.because) = (rest.map(|rest| now + rest), Because::Lifetime);
    }

    /// The process or the route drains until `by`. Each client gets its end at another time before that. `random` is in `0.0..1.0`.
    pub fn drain(&mut self, by: Instant, now: Instant, random: f64) {
        let at = now + by.saturating_duration_since(now).mul_f64(SPREAD_OF_DRAIN * random);
        if self.ends.is_none_or(|ends| at < ends) {
            (self.ends, self.because) = (Some(at), Because::Drain);
        }
    }

    /// The client's permission lasts for `left` from now on. `None`: it has no end. No life is prolonged by that.
    pub fn expire(&mut self, left: Option<Duration>, now: Instant) {
        let Some(at) = left.and_then(|left| now.checked_add(left)) else { return };
        if self.ends.is_none_or(|ends| at < ends) {
            (self.ends, self.because) = (Some(at), Because::Expiry);
        }
    }

    /// When to ask next what is due, if nothing happens before. `None`: never.
    #[must_use]
    pub fn next(&self, pace: &Pace, standing: Standing) -> Option<Instant> {
        let other = match standing {
            Standing::Parting { accepted } => return Some(accepted + pace.stall),
            Standing::Closing { until } => return Some(until),
            Standing::Blocked { accepted, keeps_up } => {
                Some(accepted + if keeps_up { pace.stall.min(PATIENCE_WITH_READERS) } else { pace.stall })
            }
            Standing::Idle { last_sent } => pace.heartbeat.map(|interval| last_sent.next(interval, self.phase)),
            Standing::Busy => None,
        };
        self.ends.into_iter().chain(other).min()
    }

    /// What is due for the client. Whether it stalls is asked after looking whether bytes have arrived there.
    #[must_use]
    pub fn due(&self, pace: &Pace, standing: Standing, now: Instant) -> Option<Due> {
        let end = self.ends.filter(|at| *at <= now).map(|_| Due::End(self.because));
        match standing {
            Standing::Closing { until } => (until <= now).then_some(Due::Close),
            Standing::Parting { accepted } => due_while_blocked(pace.stall, accepted, false, now),
            Standing::Blocked { accepted, keeps_up } => {
                end.or_else(|| due_while_blocked(pace.stall, accepted, keeps_up, now))
            }
            Standing::Idle { last_sent } => end.or_else(|| {
                let interval = pace.heartbeat?;
                (last_sent.next(interval, self.phase) <= now).then_some(Due::Heartbeat)
            }),
            Standing::Busy => end,
        }
    }
}

/// What is due for a client that accepts no more bytes: whether it is slow, or stalls. `accepted`: when it was last seen
/// to accept a byte, or to receive one. `keeps_up`: see [`Standing::Blocked`].
#[must_use]
pub fn due_while_blocked(stall: Duration, accepted: Instant, keeps_up: bool, now: Instant) -> Option<Due> {
    if accepted + stall <= now {
        return Some(Due::Stall);
    }
    (keeps_up && accepted + PATIENCE_WITH_READERS <= now).then_some(Due::Slowness)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the tables are seconds after the client came.
    const SECOND: Duration = Duration::from_secs(1);

    fn pace(heartbeat: Option<u32>) -> Pace {
        Pace { heartbeat: heartbeat.map(|secs| secs * SECOND), stall: 30 * SECOND, flush: None, skips: false }
    }

    #[test]
    fn each_standing_has_its_own_deadlines() {
        let start = Instant::now();
        let at = |secs: u32| start + secs * SECOND;
        let idle = Standing::Idle { last_sent: LastSent::heartbeat(at(5)) };
        let blocked = Standing::Blocked { accepted: at(5), keeps_up: false };
        let keeps_up = Standing::Blocked { accepted: at(5), keeps_up: true };
        let parting = Standing::Parting { accepted: at(5) };
        let closing = Standing::Closing { until: at(7) };
        let (beat, stall, over) = (Due::Heartbeat, Due::Stall, Due::End(Because::Lifetime));
        for (standing, heartbeat, lifetime, next, dues) in [
            (idle, None, None, None, &[(1000, None)][..]),
            (idle, Some(64), None, Some(68), &[(67, None), (68, Some(beat)), (1000, Some(beat))]),
            (idle, Some(64), Some(90), Some(68), &[(68, Some(beat)), (89, Some(beat)), (90, Some(over))]),
            (idle, Some(64), Some(10), Some(10), &[(9, None), (10, Some(over)), (68, Some(over))]),
            (Standing::Busy, Some(15), None, None, &[(1000, None)]),
            (Standing::Busy, Some(15), Some(60), Some(60), &[(59, None), (60, Some(over))]),
            (blocked, Some(15), None, Some(35), &[(34, None), (35, Some(stall))]),
            (blocked, Some(15), Some(20), Some(20), &[(19, None), (20, Some(over)), (35, Some(over))]),
            (blocked, Some(15), Some(60), Some(35), &[(35, Some(stall)), (60, Some(over))]),
            (keeps_up, Some(15), None, Some(7), &[(6, None), (7, Some(Due::Slowness)), (35, Some(stall))]),
            (keeps_up, None, Some(6), Some(6), &[(5, None), (6, Some(over)), (7, Some(over))]),
            // Who has departed is given no other end, and no heartbeats.
            (parting, Some(15), Some(20), Some(35), &[(34, None), (35, Some(stall))]),
            (closing, Some(1), Some(6), Some(7), &[(6, None), (7, Some(Due::Close))]),
        ] {
            let schedule = Schedule::new(lifetime.map(|secs| secs * SECOND), Phase::random(), start);
            let pace = pace(heartbeat);
            let case = format!("{standing:?} {heartbeat:?} {lifetime:?}");
            assert_eq!(schedule.next(&pace, standing), next.map(at), "{case}");
            for (now, due) in dues {
                assert_eq!(schedule.due(&pace, standing, at(*now)), *due, "{case} {now}");
            }
        }
    }

    #[test]
    fn another_lifetime_counts_from_the_clients_coming_and_ends_nobody_at_once() {
        let start = Instant::now();
        let at = |secs: u32| start + secs * SECOND;
        // The client came at 0, and its policy changes at 100.
        for (before, lifetime, random, ends) in [
            (None, Some(300), 0.5, Some(300)),
            (Some(200), Some(300), 0.5, Some(300)),
            (Some(300), Some(200), 0.5, Some(200)),
            (Some(300), None, 0.5, None),
            // It has been there for longer than it may.
            (None, Some(60), 0.0, Some(100)),
            (None, Some(60), 0.5, Some(130)),
            (Some(300), Some(60), 1.0, Some(160)),
        ] {
            let mut schedule = Schedule::new(before.map(|secs| secs * SECOND), Phase::random(), start);
            schedule.live(lifetime.map(|secs| secs * SECOND), 100 * SECOND, at(100), random);
            assert_eq!(schedule.next(&pace(None), Standing::Busy), ends.map(at), "{before:?} {lifetime:?} {random}");
        }
        let mut draining = Schedule::new(None, Phase::random(), start);
        draining.drain(at(110), at(100), 0.5);
        draining.live(None, 100 * SECOND, at(100), 0.5);
        assert_eq!(draining.due(&pace(None), Standing::Busy, at(103)), Some(Due::End(Because::Drain)));
    }

    #[test]
    fn a_permission_ends_a_response_and_prolongs_none() {
        let start = Instant::now();
        let at = |secs: u32| start + secs * SECOND;
        for (lifetime, left, ends, because) in [
            (None, Some(20), 20, Because::Expiry),
            (Some(10), Some(20), 10, Because::Lifetime),
            (Some(30), Some(20), 20, Because::Expiry),
            (Some(30), None, 30, Because::Lifetime),
            (None, Some(0), 0, Because::Expiry),
        ] {
            let mut schedule = Schedule::new(lifetime.map(|secs| secs * SECOND), Phase::random(), start);
            schedule.expire(left.map(|secs| secs * SECOND), start);
            assert_eq!(schedule.next(&pace(None), Standing::Busy), Some(at(ends)), "{lifetime:?} {left:?}");
            assert_eq!(schedule.due(&pace(None), Standing::Busy, at(ends)), Some(Due::End(because)));
        }
        let mut endless = Schedule::new(None, Phase::random(), start);
        endless.expire(Some(Duration::MAX), start);
        assert_eq!(endless.next(&pace(None), Standing::Busy), None);
    }

    #[test]
    fn a_drain_ends_each_client_within_its_part_of_the_time_and_no_life_is_prolonged() {
        let start = Instant::now();
        let at = |secs: u32| start + secs * SECOND;
        for (lifetime, random, ends, because) in [
            (None, 0.0, 100, Because::Drain),
            (None, 0.5, 103, Because::Drain),
            (None, 1.0, 106, Because::Drain),
            (Some(102), 0.5, 102, Because::Lifetime),
            (Some(104), 0.5, 103, Because::Drain),
        ] {
            let mut schedule = Schedule::new(lifetime.map(|secs| secs * SECOND), Phase::random(), start);
            schedule.drain(at(110), at(100), random);
            assert_eq!(schedule.next(&pace(None), Standing::Busy), Some(at(ends)), "{lifetime:?} {random}");
            assert_eq!(schedule.due(&pace(None), Standing::Busy, at(ends)), Some(Due::End(because)));
        }
        let mut late = Schedule::new(None, Phase::random(), start);
        late.drain(at(110), at(120), 0.9);
        assert_eq!(late.due(&pace(None), Standing::Busy, at(120)), Some(Due::End(Because::Drain)), "the time is over");
    }
}
