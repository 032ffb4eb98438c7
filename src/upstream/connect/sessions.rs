//! The TLS sessions of one origin, which later connections resume instead of making a full handshake.
//!
//! In TLS 1.3 each ticket is for one connection, and an origin sends one or two after each handshake. So when many
//! streams connect at once, those without a ticket wait for a moment: the first handshake brings tickets for the next
//! two, these bring tickets for four more, and so on.
//!
//! ```text
//!                    a session is there, or none can come
//!   a connection ────────────────────────────────────────▶ its handshake ── ends ──▶ tickets may come for GRACE
//!        │                                                       ▲
//!        └─ waits, at most PATIENCE: a handshake runs, or ───────┘
//!           its tickets may come
//! ```
//!
//! An origin whose handshake brought no ticket within `GRACE` gives none. Then nobody waits any more.

use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The most tickets that are kept. With more, the oldest is dropped.
const MOST_TICKETS: usize = 32;

/// How long tickets may take after a handshake. The origin sends them with its first bytes, a round trip later.
const GRACE: Duration = Duration::from_millis(250);

/// The longest that a connection waits for a session. After that it makes a full handshake.
const PATIENCE: Duration = Duration::from_secs(1);

/// The sessions of one origin. They are kept apart by whom one trusts, because a session that is resumed is not
/// verified anew.
#[derive(Default)]
pub(super) struct Sessions {
    /// Locked before `kept`.
    gate: Mutex<Gate>,
    kept: Mutex<Kept>,
    /// Wakes one of the connections that wait.
    changed: Notify,
}

#[derive(Default)]
struct Kept {
    tickets: VecDeque<Tls13ClientSessionValue>,
    /// The session of TLS 1.2, which any number of connections resume.
    session: Option<Tls12ClientSessionValue>,
    key_exchange: Option<NamedGroup>,
}

/// Decides which connections wait for a session.
#[derive(Debug, Default, Clone, Copy)]
struct Gate {
    /// The number of handshakes that run.
    running: usize,
    /// When the newest handshake ended well, unless that is too long ago.
    ended_at: Option<Instant>,
    /// Whether a handshake has ended well since the newest session came.
    is_behind: bool,
    /// Whether the origin gives no sessions, as far as is known.
    gives_none: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The handshake begins.
    Begin,
    /// The connection waits until something changes, at most until this instant.
    Wait(Option<Instant>),
}

impl Gate {
    /// The turn of a connection. `has_session`: there is a session that it can resume.
    fn turn(&mut self, has_session: bool, now: Instant) -> Turn {
        let over = self.ended_at.map(|ended| ended + GRACE);
        if over.is_some_and(|over| over <= now) {
            self.ended_at = None;
            self.gives_none = self.is_behind;
        }
        if has_session || self.gives_none || (self.running == 0 && self.ended_at.is_none()) {
            self.running += 1;
            return Turn::Begin;
        }
        Turn::Wait(over.filter(|_| self.running == 0))
    }

    fn ended(&mut self, well: bool, now: Instant) {
        self.running -= 1;
        if well {
            self.ended_at = Some(now);
            self.is_behind = true;
        }
    }

    fn came(&mut self) {
        self.is_behind = false;
        self.gives_none = false;
    }
}

impl Kept {
    fn has_session(&self) -> bool {
        self.session.is_some() || !self.tickets.is_empty()
    }
}

/// A handshake that runs. It has failed, unless [`Self::done`] is called.
#[derive(Debug)]
pub(super) struct Running {
    sessions: Arc<Sessions>,
    is_done: bool,
}

impl Running {
    /// The handshake ended well.
    pub(super) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.sessions.gate.lock().ended(self.is_done, Instant::now());
        self.sessions.changed.notify_one();
    }
}

impl Sessions {
    /// Begins a handshake as soon as there is a session for it or none is to be expected. `begin` takes the session.
    pub(super) async fn begin<T>(self: &Arc<Self>, begin: impl FnOnce() -> T) -> (Running, T) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let until = {
                let mut gate = self.gate.lock();
                let now = Instant::now();
                let has_session = self.kept.lock().has_session() || now >= deadline;
                match gate.turn(has_session, now) {
                    Turn::Begin => {
                        let running = Running { sessions: Arc::clone(self), is_done: false };
                        if gate.gives_none {
                            self.changed.notify_waiters();
                        }
                        // The lock is held, so that nobody else takes the session.
                        return (running, begin());
                    }
                    Turn::Wait(until) => until.map_or(deadline, |until| until.min(deadline)),
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    fn keep(&self, keep: impl FnOnce(&mut Kept)) {
        keep(&mut self.kept.lock());
        self.gate.lock().came();
        self.changed.notify_one();
    }
}

/// The store is for one origin, so it does not look at the name.
impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept.lock().key_exchange = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept.lock().key_exchange
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.keep(|kept| kept.session = Some(session));
        // Any number of connections resume it.
        self.changed.notify_waiters();
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept.lock().session.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept.lock().session = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.keep(|kept| {
            if kept.tickets.len() == MOST_TICKETS {
                kept.tickets.pop_front();
            }
            kept.tickets.push_back(ticket);
        });
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept.lock().tickets.pop_back()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("gate", &*self.gate.lock()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays steps against a gate, and tells the turn of each connection: `b` begins, `w` waits for a change, and a
    /// number is the milliseconds since the beginning until which it waits. `?` is a connection without a session, `!`
    /// one with a session, `.` the end of a handshake, `x` a failed one, `t` a session that came, and a number the
    /// milliseconds that pass.
    fn played(steps: &str) -> String {
        let begun = Instant::now();
        let (mut gate, mut now, mut turns) = (Gate::default(), begun, Vec::new());
        for step in steps.split_whitespace() {
            match step {
                "?" | "!" => turns.push(match gate.turn(step == "!", now) {
                    Turn::Begin => "b".to_owned(),
                    Turn::Wait(None) => "w".to_owned(),
                    Turn::Wait(Some(until)) => (until - begun).as_millis().to_string(),
                }),
                "." | "x" => gate.ended(step == ".", now),
                "t" => gate.came(),
                millis => now += Duration::from_millis(millis.parse().unwrap()),
            }
        }
        turns.join(" ")
    }

    #[test]
    fn one_handshake_leads_and_those_without_a_session_wait_for_it() {
        for (steps, turns) in [
            ("? ? ?", "b w w"),
            // Tickets came for two, and the third waits for theirs.
            ("? ? . ? t t ! ! ?", "b w 250 b b w"),
            ("? . t t ! ! . 10 . ?", "b b b 260"),
            // All sessions are used up. After a while another full handshake is made.
            ("? . t ! 100 . t 249 ? 1 ? ?", "b b 350 b w"),
            // The first handshake failed, so the next one leads.
            ("? ? x ? ?", "b w b w"),
            // The origin gives no sessions. Nobody waits until it gives one.
            ("? . 250 ? ? ?", "b b b b"),
            ("? . 250 ? ? . t . ?", "b b b 500"),
            // It was only slow.
            ("? . 250 ? t ?", "b b w"),
        ] {
            assert_eq!(played(steps), turns, "{steps}");
        }
    }
}
