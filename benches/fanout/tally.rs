//! Counts what a crowd got: every event of every client.

use super::event::Stamp;
use super::ledger::{Arrival, Ledger};
use super::specs::{Latency, Received, Window};
use hdrhistogram::Histogram;

/// The significant digits of the histogram.
const DIGITS: u8 = 3;

/// The longest latency that the histogram can tell from a longer one, in nanoseconds: ten minutes.
const LONGEST: u64 = 600_000_000_000;

/// The counts of all clients of one process.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The number of bytes in each event's data.
    size: usize,
    window: Window,
    clients: Vec<Client>,
    /// For each stream: the first event that was sent after the window, as far as it is known.
    ends: Vec<u64>,
    /// The number of clients that got such an event, and so have got all events of the window.
    finished: usize,
    counts: Received,
    latency: Histogram<u64>,
}

#[derive(Debug)]
struct Client {
    stream: usize,
    ledger: Ledger,
    finished: bool,
}

impl Tally {
    /// Counts for `clients` clients that take turns over `streams` streams. Until it is set, the window lies in the
    /// future.
    pub(crate) fn new(clients: usize, streams: usize, size: usize) -> Result<Self, hdrhistogram::CreationError> {
        let client = |number: usize| Client { stream: number % streams, ledger: Ledger::default(), finished: false };
        Ok(Self {
            size,
            window: Window { from: u64::MAX, until: u64::MAX },
            clients: (0..clients).map(client).collect(),
            ends: vec![u64::MAX; streams],
            finished: 0,
            counts: Received::default(),
            latency: Histogram::new_with_max(LONGEST, DIGITS)?,
        })
    }

    pub(crate) fn measure(&mut self, window: Window) {
        self.window = window;
    }

    /// Counts an event of `size` bytes that `client` got at `now`.
    pub(crate) fn event(&mut self, client: usize, stamp: Stamp, size: usize, now: u64) {
        let counts = &mut self.counts;
        let client = &mut self.clients[client];
        counts.events += 1;
        counts.damaged += u64::from(size != self.size);
        match client.ledger.note(stamp.seq) {
            Arrival::InOrder | Arrival::Ahead => {}
            Arrival::OutOfOrder => counts.out_of_order += 1,
            Arrival::Doubled => counts.doubled += 1,
        }
        let Window { from, until } = self.window;
        counts.in_window += u64::from((from..until).contains(&now));
        if (from..until).contains(&stamp.sent) {
            self.latency.saturating_record(now.saturating_sub(stamp.sent));
        }
        if stamp.sent >= until {
            let end = &mut self.ends[client.stream];
            *end = stamp.seq.min(*end);
            self.finished += usize::from(!client.finished);
            client.finished = true;
        }
    }

    pub(crate) fn comment(&mut self) {
        self.counts.comments += 1;
    }

    pub(crate) fn foreign(&mut self) {
        self.counts.foreign += 1;
    }

    /// Whether every client got an event from after the window. No more events of the window are then to come.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished == self.clients.len()
    }

    /// All counts. `expected`: every client was to get one more event, after the window.
    pub(crate) fn received(&self, expected: bool) -> Received {
        let lost = |client: &Client| match self.ends[client.stream] {
            // The number of events sent is not known here. What one client got is the least that the others miss.
            u64::MAX => client.ledger.lost(self.furthest(client.stream)),
            end => client.ledger.lost(end),
        };
        let unfinished = u64::try_from(self.clients.len() - self.finished).unwrap_or(u64::MAX);
        Received {
            lost: self.clients.iter().map(lost).sum(),
            unfinished: if expected { unfinished } else { 0 },
            latency: self.percentiles(),
            ..self.counts.clone()
        }
    }

    fn furthest(&self, stream: usize) -> u64 {
        let clients = self.clients.iter().filter(|client| client.stream == stream);
        clients.map(|client| client.ledger.next()).max().unwrap_or(0)
    }

    fn percentiles(&self) -> Latency {
        let milliseconds = |ns: u64| std::time::Duration::from_nanos(ns).as_secs_f64() * 1e3;
        let at = |quantile| milliseconds(self.latency.value_at_quantile(quantile));
        Latency {
            count: self.latency.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: milliseconds(self.latency.max()),
        }
    }
}
