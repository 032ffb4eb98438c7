//! The outages of origins. Each is logged in two or three lines, however many streams and clients it affects.
//!
//! ```text
//!            a request fails             GATHER is over: "origin down"
//!   Up ─────────────────────▶ Gathering ──────────────────────────────▶ Told ──┐ streams are closed: "origin still down", once
//!    ▲                            │                                      │ ▲───┘
//!    │                            │ a response came, no stream is down,  │ the same: "origin up"
//!    └────────────────────────────┴──────────────────────────────────────┘
//!                                   and none was given up for SETTLE: all lines
//! ```
//!
//! An outage does not end when streams are closed while the origin is down. It goes on until a response comes.

use super::Origin;
use super::news::{News, OutageNews, OutageView};
use crate::quoted::reason;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until};

/// How long failing streams are gathered before the outage is logged. The streams of one origin fail together.
const GATHER: Duration = Duration::from_secs(1);

/// A response ends an outage only if no other request was given up for this long. An origin that fails on one path and
/// works on another would otherwise begin a new outage with each failure.
const SETTLE: Duration = Duration::from_secs(1);

/// The outages of all origins. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<Mutex<HashMap<Origin, Outage>>>, News);

/// The outage of one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outage {
    since: Instant,
    /// The number of streams that are down now.
    down: usize,
    /// The number of streams that were down at any time of the outage.
    streams: usize,
    attempts: u64,
    /// The number of streams that are back and may have lost events.
    lost: u64,
    why: String,
    is_told: bool,
    /// The number of streams that were closed because their hold time was over. Not used any more once that is logged.
    expired: usize,
    is_expiry_told: bool,
    /// When the newest response came. `None` if none came, or if a request failed since then.
    back_at: Option<Instant>,
    /// When a stream was last given up while it was down.
    gave_up_at: Option<Instant>,
    /// A task waits until the outage may be over, and then looks again.
    is_looked_after: bool,
}

/// One stream whose origin is down. Dropping it takes the stream off the outage.
#[derive(Debug)]
pub(super) struct Down {
    outages: Outages,
    origin: Arc<Origin>,
    is_back: bool,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
enum Line {
    Down { streams: usize, why: String },
    StillDown { streams: usize },
    Up { down_secs: f64, attempts: u64, lost: u64 },
}

impl Outages {
    /// What was logged since the last call. The oldest is left out if it was too much.
    #[must_use]
    pub fn news(&self) -> Vec<OutageNews> {
        self.1.take()
    }

    /// The outages that were logged and go on, the oldest first.
    #[must_use]
    pub fn present(&self) -> Vec<OutageView> {
        let outages = self.0.lock();
        let told = outages.iter().filter(|(_, outage)| outage.is_told);
        let mut present: Vec<_> = told.map(|(origin, outage)| outage.view(origin)).collect();
        drop(outages);
        present.sort_by_key(|outage| outage.since);
        present
    }

    fn tell(&self, lines: &[Line], origin: &Origin, since: Instant) {
        lines.iter().for_each(|line| line.log(origin));
        self.1.add(lines.iter().filter_map(|line| line.news(origin, since)));
    }

    /// A stream of this origin fails.
    pub(super) fn down(&self, origin: &Arc<Origin>, why: &str) -> Down {
        let mut outages = self.0.lock();
        let outage = outages.get_mut(&**origin);
        match outage {
            Some(outage) => outage.joined(why),
            None => {
                outages.insert(Origin::clone(origin), Outage::begun(Instant::now(), why));
                self.tell_later(Arc::clone(origin), Outage::gathered);
            }
        }
        Down { outages: self.clone(), origin: Arc::clone(origin), is_back: false }
    }

    /// A request to this origin failed and is not repeated.
    pub fn failed(&self, origin: &Origin, why: &str) {
        drop(self.down(&Arc::new(origin.clone()), why));
    }

    /// A response of this origin came to a stream that did not fail before.
    pub fn up(&self, origin: &Origin) {
        self.change(origin, |outage| outage.back_at = Some(Instant::now()));
    }

    /// Changes an outage. If it is over then, logs that and forgets it.
    fn change(&self, origin: &Origin, change: impl FnOnce(&mut Outage)) {
        let now = Instant::now();
        let mut outages = self.0.lock();
        let Some(outage) = outages.get_mut(origin) else { return };
        change(outage);
        match outage.over_at() {
            Some(over_at) if over_at <= now => {
                let (lines, since) = (outage.last_lines(), outage.since);
                outages.remove(origin);
                drop(outages);
                self.tell(&lines, origin, since);
            }
            Some(over_at) if !std::mem::replace(&mut outage.is_looked_after, true) => {
                self.look_later(origin.clone(), over_at);
            }
            _ => {}
        }
    }

    fn look_later(&self, origin: Origin, at: Instant) {
        let outages = self.clone();
        // Streams are also dropped at the end of the process, when there is no runtime and nothing to log.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            sleep_until(at).await;
            outages.change(&origin, |outage| outage.is_looked_after = false);
        });
    }

    fn tell_later(&self, origin: Arc<Origin>, line: fn(&mut Outage) -> Option<Line>) {
        let outages = self.clone();
        tokio::spawn(async move {
            sleep(GATHER).await;
            let line = outages.0.lock().get_mut(&*origin).and_then(|outage| Some((line(outage)?, outage.since)));
            if let Some((line, since)) = line {
                outages.tell(&[line], &origin, since);
            }
        });
    }
}

impl Down {
    /// The origin was asked again and failed again.
    pub(super) fn failed_again(&self, why: &str) {
        if let Some(outage) = self.outages.0.lock().get_mut(&*self.origin) {
            outage.failed(why);
        }
    }

    /// The stream is back. `lost`: it may have lost events.
    pub(super) fn up(mut self, lost: bool) {
        self.is_back = true;
        self.outages.change(&self.origin, |outage| {
            outage.back_at = Some(Instant::now());
            outage.lost += u64::from(lost);
        });
    }

    /// The stream is closed because its hold time is over.
    pub(super) fn expired(self) {
        let mut is_first = false;
        self.outages.change(&self.origin, |outage| {
            is_first = outage.expired == 0;
            outage.expired += 1;
        });
        if is_first {
            self.outages.tell_later(Arc::clone(&self.origin), Outage::expiry);
        }
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.outages.change(&self.origin, |outage| {
            outage.down = outage.down.saturating_sub(1);
            if !self.is_back {
                outage.gave_up_at = Some(Instant::now());
            }
        });
    }
}

impl Outage {
    fn begun(now: Instant, why: &str) -> Self {
        Self {
            since: now,
            down: 1,
            streams: 1,
            attempts: 1,
            lost: 0,
            why: why.to_owned(),
            is_told: false,
            expired: 0,
            is_expiry_told: false,
            back_at: None,
            gave_up_at: None,
            is_looked_after: false,
        }
    }

    fn joined(&mut self, why: &str) {
        self.down += 1;
        self.streams += 1;
        self.failed(why);
    }

    fn failed(&mut self, why: &str) {
        self.attempts += 1;
        self.back_at = None;
        why.clone_into(&mut self.why);
    }

    fn view(&self, origin: &Origin) -> OutageView {
        let Self { since, down, attempts, why, .. } = self;
        let (origin, why) = (origin.to_string(), why.clone());
        OutageView { origin, since: *since, streams: *down, attempts: *attempts, why }
    }

    fn gathered(&mut self) -> Option<Line> {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        is_first.then(|| Line::Down { streams: self.streams, why: self.why.clone() })
    }

    fn expiry(&mut self) -> Option<Line> {
        let is_first = self.expired > 0 && !std::mem::replace(&mut self.is_expiry_told, true);
        is_first.then_some(Line::StillDown { streams: self.expired })
    }

    /// When the outage is over, as far as is known now. `None` while it goes on.
    fn over_at(&self) -> Option<Instant> {
        let back_at = self.back_at.filter(|_| self.down == 0)?;
        Some(self.gave_up_at.map_or(back_at, |gave_up_at| back_at.max(gave_up_at + SETTLE)))
    }

    /// The lines that are still to be logged when the outage is over.
    fn last_lines(&mut self) -> Vec<Line> {
        let down_secs = self.back_at.unwrap_or(self.since).duration_since(self.since).as_secs_f64();
        let up = Line::Up { down_secs, attempts: self.attempts, lost: self.lost };
        self.gathered().into_iter().chain(self.expiry()).chain([up]).collect()
    }
}

impl Line {
    fn news(&self, origin: &Origin, since: Instant) -> Option<OutageNews> {
        let origin = origin.to_string();
        match self {
            Self::Down { streams, why } => {
                Some(OutageNews::Down { origin, since, streams: *streams, why: why.clone() })
            }
            Self::StillDown { .. } => None,
            Self::Up { down_secs, attempts, lost } => {
                Some(OutageNews::Up { origin, since, down_secs: *down_secs, attempts: *attempts, lost: *lost })
            }
        }
    }

    fn log(&self, origin: &Origin) {
        match self {
            Self::Down { streams, why } => {
                log::warn!("origin down origin={origin} streams={streams} why={}", reason(why));
            }
            Self::StillDown { streams } => {
                log::warn!(
                    "origin still down: hold_secs is over, so clients are closed origin={origin} streams={streams}"
                );
            }
            Self::Up { down_secs, attempts, lost } => {
                log::info!("origin up origin={origin} down_secs={down_secs:.3} attempts={attempts} lost={lost}");
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/outage.rs"]
mod tests;
