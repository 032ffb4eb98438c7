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
    /// The number of clients that check their events.
    checking: usize,
    /// The bytes that came within the window, to clients that check them and to clients that only count them.
    checked_bytes: u64,
    counted_bytes: u64,
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
    /// The client checks its events. If not, only its bytes are counted.
    checks: bool,
    finished: bool,
}

/// A client whose events are counted.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The number of the first event that the client is to get.
    pub(crate) first: u64,
    /// The client checks its events. If not, only its bytes are counted.
    pub(crate) checks: bool,
}

impl Tally {
    /// Counts for clients that take turns over `streams` streams. Until it is set, the window lies in the future.
    pub(crate) fn new(
        readers: impl Iterator<Item = Reader>,
        streams: usize,
        size: usize,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let client = |(number, Reader { first, checks }): (usize, Reader)| Client {
            stream: number % streams,
            ledger: Ledger::from(first),
            checks,
            finished: false,
        };
        let clients = readers.enumerate().map(client).collect::<Vec<_>>();
        Ok(Self {
            size,
            window: Window { from: u64::MAX, until: u64::MAX },
            checking: clients.iter().filter(|client| client.checks).count(),
            checked_bytes: 0,
            counted_bytes: 0,
            clients,
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

    /// Counts `bytes` bytes of a response's body that `client` got at `now`.
    pub(crate) fn bytes(&mut self, client: usize, bytes: usize, now: u64) {
        if (self.window.from..self.window.until).contains(&now) {
            let sum = if self.clients[client].checks { &mut self.checked_bytes } else { &mut self.counted_bytes };
            *sum += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
    }

    /// Whether `client` checks its events.
    pub(crate) fn checks(&self, client: usize) -> bool {
        self.clients[client].checks
    }

    /// One more than the highest sequence number that `client` got.
    pub(crate) fn next(&self, client: usize) -> u64 {
        self.clients[client].ledger.next()
    }

    pub(crate) fn comment(&mut self) {
        self.counts.comments += 1;
    }

    pub(crate) fn foreign(&mut self) {
        self.counts.foreign += 1;
    }

    /// Whether every client that checks its events got one from after the window. No more events of the window are
    /// then to come.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished == self.checking
    }

    /// All counts. `expected`: every client was to get one more event, after the window.
    pub(crate) fn received(&self, expected: bool) -> Received {
        let lost = |client: &Client| match self.ends[client.stream] {
            // The number of events sent is not known here. What one client got is the least that the others miss.
            u64::MAX => client.ledger.lost(self.furthest(client.stream)),
            end => client.ledger.lost(end),
        };
        let unfinished = u64::try_from(self.checking - self.finished).unwrap_or(u64::MAX);
        Received {
            in_window: self.counts.in_window + self.reckoned(),
            lost: self.clients.iter().filter(|client| client.checks).map(lost).sum(),
            unfinished: if expected { unfinished } else { 0 },
            latency: self.percentiles(),
            ..self.counts.clone()
        }
    }

    /// The events that came within the window to clients that only count bytes. Every event takes as many bytes as one
    /// of a client that checks.
    fn reckoned(&self) -> u64 {
        let events = u128::from(self.counted_bytes) * u128::from(self.counts.in_window);
        let events = events.checked_div(u128::from(self.checked_bytes)).unwrap_or(0);
        u64::try_from(events).unwrap_or(u64::MAX)
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
