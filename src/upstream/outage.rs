//! Outages of origins, told in two lines each, however many streams they hit.
//!
//! ```text
//!            a stream fails              GATHER is over: "origin down"
//!   Up ─────────────────────▶ Gathering ──────────────────────────────▶ Told
//!    ▲                            │                                         │
//!    │                            │ a response came, and no stream is down  │ the same: "origin up"
//!    └────────────────────────────┴─────────────────────────────────────────┘
//!                                   both lines
//! ```
//!
//! Streams that are closed while the origin is down say nothing of it: the outage goes on until a response comes.

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
    /// A response came since the last failure.
    is_back: bool,
}

/// One stream whose origin is down. Its drop takes the stream off the outage.
#[derive(Debug)]
pub(super) struct Down {
    outages: Outages,
    origin: Arc<Origin>,
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
        Down { outages: self.clone(), origin: Arc::clone(origin) }
    }

    /// A response of this origin came, to a stream that did not fail before.
    pub(super) fn up(&self, origin: &Origin) {
        self.change(origin, |outage| {
            outage.is_back = true;
            outage.over(Instant::now())
        });
    }

    /// Changes an outage, and tells and forgets it if it is over.
    fn change(&self, origin: &Origin, change: impl FnOnce(&mut Outage) -> Option<Line>) {
        let mut outages = self.0.lock();
        let Some(outage) = outages.get_mut(origin) else { return };
        let up = change(outage);
        let down = up.as_ref().and_then(|_| outage.gathered());
        if up.is_some() {
            outages.remove(origin);
        }
        drop(outages);
        down.into_iter().chain(up).for_each(|line| line.log(origin));
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
    pub(super) fn up(self, lost: bool) {
        self.outages.change(&self.origin, |outage| {
            outage.is_back = true;
            outage.lost += u64::from(lost);
            None
        });
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.outages.change(&self.origin, |outage| {
            outage.down = outage.down.saturating_sub(1);
            outage.over(Instant::now())
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
            is_back: false,
        }
    }

    fn joined(&mut self, why: &str) {
        self.down += 1;
        self.streams += 1;
        self.failed(why);
    }

    fn failed(&mut self, why: &str) {
        self.attempts += 1;
        self.is_back = false;
        why.clone_into(&mut self.why);
    }

    fn gathered(&mut self) -> Option<Line> {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        is_first.then(|| Line::Down { streams: self.streams, why: self.why.clone() })
    }

    /// The line that tells its end, if it is over.
    fn over(&self, now: Instant) -> Option<Line> {
        let down_secs = now.duration_since(self.since).as_secs_f64();
        let is_over = self.is_back && self.down == 0;
        is_over.then_some(Line::Up { down_secs, attempts: self.attempts, lost: self.lost })
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

    #[test]
    fn an_outage_is_told_once_when_it_began_and_once_when_all_are_back() {
        let begun = Instant::now();
        let mut outage = Outage::begun(begun, "refused");
        for _ in 1..200 {
            outage.joined("refused");
        }
        assert_eq!(outage.gathered(), Some(Line::Down { streams: 200, why: "refused".to_owned() }));
        outage.failed("timed out");
        assert_eq!(outage.gathered(), None);
        outage.is_back = true;
        outage.down = 1;
        let end = begun + Duration::from_secs(12);
        assert_eq!(outage.over(end), None, "one is still down");
        outage.down = 0;
        assert_eq!(outage.over(end), Some(Line::Up { down_secs: 12.0, attempts: 201, lost: 0 }));
        outage.failed("again");
        assert_eq!(outage.over(end), None);
    }

    fn known(outages: &Outages, origin: &Origin) -> Option<Outage> {
        outages.0.lock().get(origin).cloned()
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_lasts_until_a_response_comes_whoever_is_closed_meanwhile() {
        let outages = Outages::default();
        let origin = Arc::new(Origin::parse("http://o").unwrap());
        let (first, second) = (outages.down(&origin, "refused"), outages.down(&origin, "refused"));
        sleep(GATHER * 2).await;
        second.failed_again("refused");
        drop(first);
        let outage = known(&outages, &origin).unwrap();
        assert_eq!((outage.is_told, outage.down, outage.streams, outage.attempts), (true, 1, 2, 3));
        drop(second);
        assert!(known(&outages, &origin).is_some(), "nobody knows that it is back");
        let third = outages.down(&origin, "refused");
        assert_eq!(known(&outages, &origin).unwrap().streams, 3, "it is the same outage");
        third.up(true);
        assert_eq!(known(&outages, &origin), None);
        drop(outages.down(&origin, "refused"));
        outages.up(&origin);
        assert_eq!(known(&outages, &origin), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_to_one_stream_ends_no_outage_of_others() {
        let outages = Outages::default();
        let origin = Arc::new(Origin::parse("http://o").unwrap());
        let down = outages.down(&origin, "503");
        outages.up(&origin);
        assert!(known(&outages, &origin).is_some());
        down.up(false);
        assert_eq!(known(&outages, &origin), None);
    }
}
