//! The TLS sessions of one origin, which later connections resume instead of making a full handshake.
//!
//! In TLS 1.3 each ticket is for one connection. So when many streams connect at once, those without a ticket wait for
//! a moment. Most origins send two tickets after a full handshake. Some send tickets after one that resumed a session,
//! too. Then one full handshake is enough: it brings tickets for two, these bring more, and so on. Of others, each full
//! handshake brings tickets for two connections, and so every third leads.
//!
//! ```text
//!                    a session is there, or none can come
//!   a connection ────────────────────────────────────────▶ its handshake ── ends ──▶ tickets may come for GRACE
//!        │                                                       ▲
//!        └─ waits while sessions come: a handshake runs, or ─────┘
//!           its tickets may come
//! ```
//!
//! An origin whose handshake brought no ticket within `GRACE`, and none lately, gives none. Then nobody waits any more.
//! If many connections have waited for `LONG` and few handshakes run, a part of them make full ones.

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

/// The most tickets that are kept, besides one for each connection that waits. With more, the oldest is dropped.
const MOST_TICKETS: usize = 32;

/// The tickets that a full handshake brings. It is what most origins send.
const TICKETS: usize = 2;

/// How long tickets may take after a handshake. The origin sends them with its first bytes, a round trip later.
const GRACE: Duration = Duration::from_millis(250);

/// An origin that gave sessions within this time only takes its time.
const MEMORY: Duration = Duration::from_secs(10);

/// Connections that have waited for so long make full handshakes, until one handshake runs for each `CROWD` that wait.
const LONG: Duration = Duration::from_millis(400);
const CROWD: usize = 8;

/// How long a connection waits while no session comes, and how long in any case. After that it makes a full handshake.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST_PATIENCE: Duration = Duration::from_secs(3);

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
    /// The number of those that resume no session.
    full: usize,
    /// The tickets that full handshakes which have ended still bring.
    owed: usize,
    /// The number of connections that have not begun a handshake.
    waiting: usize,
    /// When the newest handshake ended well that may bring tickets, unless that is too long ago.
    ended_at: Option<Instant>,
    /// When the newest session came.
    came_at: Option<Instant>,
    /// The handshakes that have ended well since then.
    behind: Behind,
    /// Whether a handshake that resumed a session brings none, as far as is known.
    is_barren: bool,
    /// Whether the origin gives no sessions, as far as is known.
    gives_none: bool,
}

/// Handshakes that have ended and brought no session yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Behind {
    #[default]
    None,
    /// All of them resumed a session.
    Resumed,
    /// One of them was full.
    Full,
}

#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The handshake begins. `is_full`: there is no session for it.
    Begin { is_full: bool },
    /// The connection waits until something changes, at most until this instant.
    Wait(Instant),
}

impl Gate {
    /// The turn of a connection. `has_session`: there is a session that it can resume. `since`: when it came.
    fn turn(&mut self, has_session: bool, since: Instant, now: Instant) -> Turn {
        let over = self.ended_at.map(|ended| ended + GRACE);
        if over.is_some_and(|over| over <= now) {
            self.overdue(now);
        }
        let is_long = since + LONG <= now;
        let leads = self.running == 0 && self.ended_at.is_none()
            || self.is_barren && self.full * TICKETS + self.owed < self.waiting
            || is_long && self.running < self.waiting / CROWD;
        let deadline = (self.came_at.map_or(since, |came| came.max(since)) + PATIENCE).min(since + MOST_PATIENCE);
        if has_session || self.gives_none || leads || deadline <= now {
            self.running += 1;
            self.full += usize::from(!has_session);
            return Turn::Begin { is_full: !has_session };
        }
        let over = over.filter(|_| self.running == 0);
        let longest = if is_long { deadline } else { since + LONG };
        Turn::Wait(over.map_or(longest, |over| over.min(longest)))
    }

    /// No ticket came in time after the newest handshake.
    fn overdue(&mut self, now: Instant) {
        self.ended_at = None;
        self.owed = 0;
        match self.behind {
            Behind::None => {}
            Behind::Resumed => self.is_barren = true,
            Behind::Full => self.gives_none = self.came_at.is_none_or(|came| came + MEMORY <= now),
        }
    }

    fn ended(&mut self, is_full: bool, well: bool, now: Instant) {
        self.running -= 1;
        self.full -= usize::from(is_full);
        if !well || self.is_barren && !is_full {
            return;
        }
        self.ended_at = Some(now);
        self.owed += if is_full { TICKETS } else { 0 };
        self.behind = match self.behind {
            Behind::None | Behind::Resumed if !is_full => Behind::Resumed,
            _ => Behind::Full,
        };
    }

    fn came(&mut self, now: Instant) {
        self.came_at = Some(now);
        // It is of a full handshake, as long as these still bring some.
        self.is_barren &= self.owed > 0;
        self.owed = self.owed.saturating_sub(1);
        self.behind = Behind::None;
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
    is_full: bool,
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
        self.sessions.gate.lock().ended(self.is_full, self.is_done, Instant::now());
        self.sessions.changed.notify_one();
    }
}

/// A connection that has not begun its handshake.
struct Waiting<'a>(&'a Sessions);

impl<'a> Waiting<'a> {
    fn new(sessions: &'a Sessions) -> Self {
        sessions.gate.lock().waiting += 1;
        Self(sessions)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().waiting -= 1;
    }
}

impl Sessions {
    /// Begins a handshake as soon as there is a session for it or none is to be expected. `begin` takes the session.
    pub(super) async fn begin<T>(self: &Arc<Self>, begin: impl FnOnce() -> T) -> (Running, T) {
        let since = Instant::now();
        let _waiting = Waiting::new(self);
        loop {
            let until = {
                let mut gate = self.gate.lock();
                let has_session = self.kept.lock().has_session();
                match gate.turn(has_session, since, Instant::now()) {
                    Turn::Begin { is_full } => {
                        let running = Running { sessions: Arc::clone(self), is_full, is_done: false };
                        if gate.gives_none {
                            self.changed.notify_waiters();
                        }
                        // The lock is held, so that nobody else takes the session.
                        return (running, begin());
                    }
                    Turn::Wait(until) => until,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Keeps a session that came. `keep` gets the most tickets.
    fn keep(&self, keep: impl FnOnce(&mut Kept, usize)) {
        {
            let mut gate = self.gate.lock();
            gate.came(Instant::now());
            keep(&mut self.kept.lock(), MOST_TICKETS + gate.waiting);
        }
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
        self.keep(|kept, _| kept.session = Some(session));
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
        self.keep(|kept, most| {
            while kept.tickets.len() >= most {
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
#[path = "sessions_tests.rs"]
mod tests;
