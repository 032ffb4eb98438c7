//! What streams tell of themselves, and what an operator may do to one.
//!
//! A stream is named by its number. No lock is held longer than it takes to look at one stream, or at a slice of the
//! list of streams.

use super::sharing::Audience;
use super::stream::{Phase, State, Stream};
use super::{End, Hub, RouteId, StreamKey};
use crate::replay::{EntryView, LogView, Rate, Seq};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The streams that are taken from the list while its lock is held once.
const SLICE: usize = 128;

/// The windows of the two rates.
pub const RATE_WINDOWS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// A stream as it is at one moment.
#[derive(Debug, Clone)]
pub struct StreamView {
    /// The stream's number.
    pub number: usize,
    /// Its route.
    pub route: RouteId,
    /// Its path and query at the origin. The query may hold secrets.
    pub target: Arc<str>,
    /// The first digits of the digest of its key, in which headers take part.
    pub variant: String,
    /// Who may be on it. `None`: not known yet.
    pub is_shared: Option<bool>,
    /// What its connection to the origin does, in a word.
    pub phase: &'static str,
    /// Since when.
    pub phase_since: Instant,
    /// Why it is over.
    pub end: Option<End>,
    /// The clients on it.
    pub subscribers: usize,
    /// How fast events came in the last ten seconds, and in the last minute.
    pub rates: [Rate; 2],
    /// What its log holds.
    pub log: LogView,
    /// What went wrong last.
    pub trouble: Option<Trouble>,
    /// When the origin is asked again.
    pub next_attempt: Option<Instant>,
    /// When it was opened.
    pub opened: Instant,
    /// Responses that took the place of an earlier one.
    pub reconnects: u32,
}

/// What went wrong with an origin, last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why, in words. It may quote the origin.
    pub why: String,
    /// Since when, if nothing has gone well meanwhile.
    pub since: Instant,
    /// Something has gone well since.
    pub is_over: bool,
}

impl StreamView {
    /// The stream of one client of a private route. It has no log, because the client is sent what comes at once.
    /// `events`: how many came so far.
    #[must_use]
    pub fn of_private(number: usize, key: &StreamKey, opened: Instant, events: u64, rates: [Rate; 2]) -> Self {
        let at = Seq(events);
        let nothing =
            LogView { first_id: None, last_id: None, first: at, end: at, entries: 0, bytes: 0, oldest_age: None };
        Self {
            number,
            route: key.route(),
            target: Arc::clone(key.target()),
            variant: key.variant_digits(),
            is_shared: Some(false),
            phase: word(&Phase::Live),
            phase_since: opened,
            end: None,
            subscribers: 1,
            rates,
            log: nothing,
            trouble: None,
            next_attempt: None,
            opened,
            reconnects: 0,
        }
    }
}

impl Hub {
    /// At most a slice of the streams that are held, from a number on, in the order in which they were opened. Returns
    /// the number at which the next slice begins. `None`: there is none.
    #[must_use]
    pub fn views(&self, from: usize) -> (Vec<StreamView>, Option<usize>) {
        let streams: Vec<_> = {
            let open = self.streams.open.lock();
            open.by_number.range(from..).take(SLICE).map(|(_, stream)| Arc::clone(stream)).collect()
        };
        let next = streams.last().filter(|_| streams.len() == SLICE).map(|last| last.number.saturating_add(1));
        (streams.iter().map(|stream| stream.view()).collect(), next)
    }

    /// A stream. `None`: it is not held.
    #[must_use]
    pub fn view(&self, number: usize) -> Option<StreamView> {
        self.numbered(number).map(|stream| stream.view())
    }

    /// The last entries of a stream's log, the oldest first.
    #[must_use]
    pub fn tail(&self, number: usize, most: usize) -> Vec<EntryView> {
        let now = Instant::now().into_std();
        self.numbered(number).map(|stream| stream.locked(|state| state.log.tail(most, now))).unwrap_or_default()
    }

    /// The bytes of SSE text of each of at most `most` entries of a stream's log, from a position on. `None`: the first
    /// of them is not held.
    #[must_use]
    pub fn lengths(&self, number: usize, from: Seq, most: usize) -> Option<Vec<usize>> {
        self.numbered(number)?.locked(|state| state.log.lengths(from, most))
    }

    /// How long the entry at each position has been in a stream's log. `None`: it is not held.
    #[must_use]
    pub fn ages(&self, number: usize, positions: &[Seq]) -> Vec<Option<Duration>> {
        let now = Instant::now().into_std();
        let Some(stream) = self.numbered(number) else { return vec![None; positions.len()] };
        stream.locked(|state| positions.iter().map(|seq| state.log.age_at(*seq, now)).collect())
    }

    /// Makes the driver of a stream drop its response and ask the origin again. Returns whether the stream is open.
    #[must_use]
    pub fn reconnect(&self, number: usize) -> bool {
        let Some(stream) = self.numbered(number) else { return false };
        let is_open = stream.locked(|state| !state.is_closed());
        if is_open {
            stream.reconnect.notify_one();
        }
        is_open
    }

    /// Ends a stream and its clients in order. Returns whether the stream was open.
    #[must_use]
    pub fn end(&self, number: usize) -> bool {
        let Some(stream) = self.numbered(number) else { return false };
        let was_open = stream.close(End::Dismissed, None);
        // The driver looks whether the stream is over.
        stream.occupancy.notify_one();
        was_open
    }

    pub(super) fn numbered(&self, number: usize) -> Option<Arc<Stream>> {
        self.streams.open.lock().by_number.get(&number).cloned()
    }
}

impl Stream {
    fn view(&self) -> StreamView {
        let now = Instant::now();
        self.locked(|state| {
            let end = match &state.phase {
                Phase::Closed { end, .. } => Some(end.clone()),
                Phase::Connecting { .. } | Phase::Live | Phase::Waiting => None,
            };
            let lived = now.saturating_duration_since(self.opened_at);
            StreamView {
                number: self.number,
                route: self.key.route(),
                target: Arc::clone(self.key.target()),
                variant: self.key.variant_digits(),
                is_shared: is_shared(state),
                phase: word(&state.phase),
                phase_since: state.phase_since,
                end,
                subscribers: state.subscribers,
                rates: RATE_WINDOWS.map(|window| state.log.rate(window, lived, now.into_std())),
                log: state.log.view(now.into_std()),
                trouble: state.trouble.as_deref().cloned(),
                next_attempt: state.next_attempt.filter(|_| matches!(state.phase, Phase::Waiting)),
                opened: self.opened_at,
                reconnects: state.reconnects,
            }
        })
    }
}

fn is_shared(state: &State) -> Option<bool> {
    match state.audience {
        Audience::Undecided => None,
        Audience::Everyone => Some(true),
        Audience::Opener => Some(false),
    }
}

fn word(phase: &Phase) -> &'static str {
    match phase {
        Phase::Connecting { .. } => "connecting",
        Phase::Live => "live",
        Phase::Waiting => "waiting",
        Phase::Closed { .. } => "closed",
    }
}

impl State {
    /// Something went wrong with the origin.
    pub(super) fn has_trouble(&mut self, why: &str, now: Instant) {
        let since = self.trouble.as_ref().filter(|trouble| !trouble.is_over).map_or(now, |trouble| trouble.since);
        self.trouble = Some(Box::new(Trouble { why: why.to_owned(), since, is_over: false }));
    }
}
