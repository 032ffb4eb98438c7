//! The connections of HTTP/2 that the streams of one origin share.
//!
//! ```text
//!                    a seat is free on a connection
//!   a stream ─────────────────────────────────────────▶ seated
//!      │ none is free                                      ▲
//!      ▼                                                   │
//!   waits for the one connection that is being made ───────┤
//!      │           or for a seat that is freed ────────────┘
//!      │ the origin speaks HTTP/1 only
//!      └─────────────────────────────────────────────────▶ has a connection of its own
//! ```
//!
//! One connection is made at a time, so that a thousand streams that begin together do not make a thousand.

use super::http2::{Carrier, Seat};
use super::transport::Transport;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How long it is remembered that an origin speaks HTTP/1 only. It may be replaced by one that speaks HTTP/2.
const HTTP1_MEMORY: Duration = Duration::from_secs(600);

/// The shared connections to one origin.
#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    carriers: Vec<Weak<Carrier>>,
    /// The connection that is being made. It is given up when nobody waits for it.
    attempt: Weak<Attempt>,
    /// Until when the origin counts as one that speaks HTTP/1 only.
    http1_until: Option<Instant>,
    /// Whether it was logged that the origin speaks HTTP/1 only.
    is_told: bool,
}

/// A connection that is being made. Whoever waits for it holds it.
#[derive(Debug)]
pub(super) struct Attempt(watch::Receiver<Option<Outcome>>);

/// What came of it.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Carrier(Arc<Carrier>),
    /// The origin speaks HTTP/1 only. The connection is for the first who takes it.
    Http1(Arc<Mutex<Option<Transport>>>),
    /// The origin closed the connection before it said what it speaks.
    Closed,
    Failed(Arc<str>),
}

/// How a stream gets to the origin.
pub(super) enum Way {
    Seat(Seat),
    /// By a connection of its own, which may be there already.
    Alone(Option<Transport>),
}

/// What a stream finds.
enum Found {
    Way(Way),
    Attempt(Arc<Attempt>),
}

impl Pool {
    /// A way for one stream. `connect` begins to make a connection and reports what came of it.
    ///
    /// # Errors
    /// When no connection can be made. Says why.
    pub(super) async fn way(&self, mut connect: impl FnMut(watch::Sender<Option<Outcome>>)) -> Result<Way, Arc<str>> {
        // Held while another is looked for, so that it is not given up.
        let mut attempt;
        loop {
            attempt = match self.find(&mut connect) {
                Found::Way(way) => return Ok(way),
                Found::Attempt(attempt) => attempt,
            };
            let mut outcome = attempt.0.clone();
            tokio::select! {
                biased;
                come = outcome.wait_for(Option::is_some) => match come.as_deref() {
                    Ok(Some(Outcome::Carrier(carrier))) => {
                        if let Some(seat) = carrier.seat() {
                            return Ok(Way::Seat(seat));
                        }
                    }
                    Ok(Some(Outcome::Http1(transport))) => return Ok(Way::Alone(transport.lock().take())),
                    Ok(Some(Outcome::Closed)) => return Ok(Way::Alone(None)),
                    Ok(Some(Outcome::Failed(why))) => return Err(Arc::clone(why)),
                    Ok(None) | Err(_) => return Err("the connection was given up".into()),
                },
                () = self.freed.notified() => {}
            }
        }
    }

    fn find(&self, connect: &mut impl FnMut(watch::Sender<Option<Outcome>>)) -> Found {
        let mut state = self.state.lock();
        state.carriers.retain(|carrier| carrier.strong_count() > 0);
        if let Some(seat) = state.carriers.iter().find_map(|carrier| carrier.upgrade()?.seat()) {
            return Found::Way(Way::Seat(seat));
        }
        if state.is_http1() {
            return Found::Way(Way::Alone(None));
        }
        if let Some(attempt) = state.attempt.upgrade() {
            return Found::Attempt(attempt);
        }
        let (report, outcome) = watch::channel(None);
        let attempt = Arc::new(Attempt(outcome));
        state.attempt = Arc::downgrade(&attempt);
        drop(state);
        connect(report);
        Found::Attempt(attempt)
    }

    /// Takes note of what came of an attempt. Returns whether it is news that the origin speaks HTTP/1 only.
    pub(super) fn settle(&self, outcome: &Outcome) -> bool {
        let mut state = self.state.lock();
        state.attempt = Weak::new();
        match outcome {
            Outcome::Carrier(carrier) => {
                state.http1_until = None;
                state.carriers.push(Arc::downgrade(carrier));
                false
            }
            Outcome::Http1(_) => state.speaks_http1(),
            Outcome::Closed | Outcome::Failed(_) => false,
        }
    }

    /// The origin answered by HTTP/1. Returns whether that is news.
    pub(super) fn speaks_http1(&self) -> bool {
        let mut state = self.state.lock();
        !state.is_http1() && state.speaks_http1()
    }

    /// A stream's own connection turned out to speak HTTP/2.
    pub(super) fn speaks_http2(&self) {
        self.state.lock().http1_until = None;
    }

    /// Whether there is a free seat.
    pub(super) fn has_seat(&self) -> bool {
        self.state.lock().carriers.iter().any(|carrier| carrier.upgrade().is_some_and(|carrier| carrier.has_seat()))
    }

    /// Whether the origin speaks HTTP/1 only, as far as is known.
    pub(super) fn is_http1(&self) -> bool {
        self.state.lock().is_http1()
    }

    /// What wakes those who wait for a seat.
    pub(super) fn freed(&self) -> Arc<Notify> {
        Arc::clone(&self.freed)
    }
}

impl State {
    fn speaks_http1(&mut self) -> bool {
        self.http1_until = Some(Instant::now() + HTTP1_MEMORY);
        !std::mem::replace(&mut self.is_told, true)
    }

    fn is_http1(&self) -> bool {
        self.http1_until.is_some_and(|until| Instant::now() < until)
    }
}
