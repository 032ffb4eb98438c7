//! What was logged of outages, for who shows it.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// The news that are kept until somebody takes them.
const MOST: usize = 256;

/// What was logged of an outage.
#[derive(Debug, Clone, PartialEq)]
pub enum OutageNews {
    /// An origin is down.
    Down {
        /// The origin.
        origin: String,
        /// Since when.
        since: Instant,
        /// The number of streams that are down.
        streams: usize,
        /// Why, in words that may quote the origin.
        why: String,
    },
    /// It is up again.
    Up {
        /// The origin.
        origin: String,
        /// Since when it was down.
        since: Instant,
        /// For how long.
        down_secs: f64,
        /// The requests that failed.
        attempts: u64,
        /// The streams that may have lost events.
        lost: u64,
    },
}

/// An outage that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct OutageView {
    /// The origin.
    pub origin: String,
    /// Since when.
    pub since: Instant,
    /// The number of streams that are down now.
    pub streams: usize,
    /// The requests that failed.
    pub attempts: u64,
    /// Why, in words that may quote the origin.
    pub why: String,
}

/// The news that nobody has taken. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct News(Arc<Mutex<VecDeque<OutageNews>>>);

impl News {
    /// Adds news. The oldest go if there are too many.
    pub(super) fn add(&self, news: impl Iterator<Item = OutageNews>) {
        let mut kept = self.0.lock();
        kept.extend(news);
        let beyond = kept.len().saturating_sub(MOST);
        kept.drain(..beyond);
    }

    /// Takes all news, the oldest first.
    pub(super) fn take(&self) -> Vec<OutageNews> {
        self.0.lock().drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_until_they_are_taken() {
        let (news, since) = (News::default(), Instant::now());
        let down = |streams| OutageNews::Down { origin: String::new(), since, streams, why: String::new() };
        news.add((0..MOST + 2).map(down));
        let taken = news.take();
        assert_eq!((taken.len(), taken.first(), taken.last()), (MOST, Some(&down(2)), Some(&down(MOST + 1))));
        assert!(news.take().is_empty());
    }
}
