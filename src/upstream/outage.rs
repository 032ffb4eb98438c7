//! Outages of origins, told in two lines each, however many streams they hit.
//!
//! ```text
//!            a stream fails              GATHER is over: "origin down"
//!   Up ─────────────────────▶ Gathering ──────────────────────────────▶ Told
//!    ▲                            │ the last stream that failed is          │
//!    │                            │ back or closed: both lines              │
//!    └────────────────────────────┴──── the same: "origin up" ◀─────────────┘
//! ```

use super::Origin;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For how long streams that fail are gathered before the outage is told: those of one origin fail together.
const GATHER: Duration = Duration::from_secs(1);

/// The outages of all origins. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<Mutex<HashMap<Origin, Outage>>>);

/// One origin that is down.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outage {
    since: Instant,
    /// Streams that are down now.
    down: usize,
    /// Streams that were down.
    streams: usize,
    attempts: u64,
    /// Streams that are back and may have lost events.
    lost: u64,
    why: String,
    is_told: bool,
}

/// One stream whose origin is down. Its drop takes the stream off the outage.
#[derive(Debug)]
pub(super) struct Down {
    outages: Outages,
    origin: Arc<Origin>,
    lost: bool,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq)]
enum Line {
    Down { streams: usize, why: String },
    Up { down_secs: f64, attempts: u64, lost: u64 },
}

impl Outages {
    /// A stream of this origin fails.
    pub(super) fn down(&self, origin: &Arc<Origin>, why: &str) -> Down {
        let mut outages = self.0.lock();
        let outage = outages.get_mut(&**origin);
        match outage {
            Some(outage) => outage.joined(why),
            None => {
                outages.insert(Origin::clone(origin), Outage::begun(Instant::now(), why));
                self.tell_later(Arc::clone(origin));
            }
        }
        Down { outages: self.clone(), origin: Arc::clone(origin), lost: false }
    }

    fn tell_later(&self, origin: Arc<Origin>) {
        let outages = self.clone();
        tokio::spawn(async move {
            sleep(GATHER).await;
            let line = outages.0.lock().get_mut(&*origin).and_then(Outage::gathered);
            line.into_iter().for_each(|line| line.log(&origin));
        });
    }
}

impl Down {
    /// The origin was asked again, and failed again.
    pub(super) fn failed_again(&self, why: &str) {
        if let Some(outage) = self.outages.0.lock().get_mut(&*self.origin) {
            outage.failed(why);
        }
    }

    /// The stream is back. `lost`: events may be lost.
    pub(super) fn up(mut self, lost: bool) {
        self.lost = lost;
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        let mut outages = self.outages.0.lock();
        let Some(outage) = outages.get_mut(&*self.origin) else { return };
        let lines = outage.left(self.lost, Instant::now());
        if outage.down == 0 {
            outages.remove(&*self.origin);
        }
        drop(outages);
        lines.into_iter().for_each(|line| line.log(&self.origin));
    }
}

impl Outage {
    fn begun(now: Instant, why: &str) -> Self {
        Self { since: now, down: 1, streams: 1, attempts: 1, lost: 0, why: why.to_owned(), is_told: false }
    }

    fn joined(&mut self, why: &str) {
        self.down += 1;
        self.streams += 1;
        self.failed(why);
    }

    fn failed(&mut self, why: &str) {
        self.attempts += 1;
        why.clone_into(&mut self.why);
    }

    fn gathered(&mut self) -> Option<Line> {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        is_first.then(|| Line::Down { streams: self.streams, why: self.why.clone() })
    }

    fn left(&mut self, lost: bool, now: Instant) -> Vec<Line> {
        self.down = self.down.saturating_sub(1);
        self.lost += u64::from(lost);
        if self.down > 0 {
            return Vec::new();
        }
        let down_secs = now.duration_since(self.since).as_secs_f64();
        let up = Line::Up { down_secs, attempts: self.attempts, lost: self.lost };
        self.gathered().into_iter().chain([up]).collect()
    }
}

impl Line {
    fn log(&self, origin: &Origin) {
        match self {
            Self::Down { streams, why } => log::warn!("origin down origin={origin} streams={streams} why=\"{why}\""),
            Self::Up { down_secs, attempts, lost } => {
                log::info!("origin up origin={origin} down_secs={down_secs:.3} attempts={attempts} lost={lost}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begun: Instant, secs: u64) -> Instant {
        begun + Duration::from_secs(secs)
    }

    #[test]
    fn an_outage_is_told_once_when_it_began_and_once_when_all_are_back() {
        let begun = Instant::now();
        let mut outage = Outage::begun(begun, "refused");
        for _ in 1..200 {
            outage.joined("refused");
        }
        let down = Line::Down { streams: 200, why: "refused".to_owned() };
        assert_eq!(outage.gathered(), Some(down));
        for _ in 0..200 {
            outage.failed("timed out");
        }
        assert_eq!(outage.gathered(), None);
        for n in 1..200 {
            assert_eq!(outage.left(n % 2 == 0, at(begun, 11)), []);
        }
        assert_eq!(outage.left(false, at(begun, 12)), [Line::Up { down_secs: 12.0, attempts: 400, lost: 99 }]);
    }

    #[test]
    fn a_short_outage_is_told_when_it_is_over() {
        let begun = Instant::now();
        let mut outage = Outage::begun(begun, "reset");
        let told = outage.left(true, at(begun, 0));
        let down = Line::Down { streams: 1, why: "reset".to_owned() };
        assert_eq!(told, [down, Line::Up { down_secs: 0.0, attempts: 1, lost: 1 }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_closed_leaves_the_outage() {
        let outages = Outages::default();
        let origin = Arc::new(Origin::parse("http://o").unwrap());
        let (first, second) = (outages.down(&origin, "refused"), outages.down(&origin, "refused"));
        sleep(GATHER * 2).await;
        assert!(outages.0.lock()[&*origin].is_told);
        second.failed_again("refused");
        drop(first);
        let outage = outages.0.lock()[&*origin].clone();
        assert_eq!((outage.down, outage.attempts), (1, 3));
        second.up(false);
        assert!(outages.0.lock().is_empty());
    }
}
