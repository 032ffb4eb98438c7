//! Sequences of operations on a shard beside a model of what each client must get. Whatever happens, a client reads the
//! events from its first one on, each once, in order and complete. If it does not get some, it is told how many, or its
//! response ends.

#![allow(unreachable_pub, unnameable_types, reason = "a fuzz target uses it")]

use super::expecting::Expecting;
use super::*;
use crate::caller::{Caller, Grant};
use crate::choices::Choices;
use crate::hub::Subscription;
use crate::millis::unix_millis;
use crate::replay::Start;
use crate::sse::Decoder;
use crate::tls;
use std::num::NonZeroUsize;
use std::time::SystemTime;

pub(super) const PATHS: [&str; 3] = ["/a", "/b", "/c"];

/// What slow clients keep together of this much is less than their bound.
const MOST_PUBLISHED: usize = 16 << 20;

/// A time after which nothing is on its way any more.
const LONG: Duration = Duration::from_secs(5);

/// The number of looks after which every client that reads has got all there is.
const LOOKS: usize = 5000;

/// What came about in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The events that clients got.
    pub events: usize,
    /// The gaps that clients were told.
    pub gaps: usize,
    /// The clients whose response ended because they lagged, and because they stalled.
    pub lagged: usize,
    pub stalled: usize,
    /// The clients whose response ended in order.
    pub orderly: usize,
    /// The clients that were told that their permission is over.
    pub expired: usize,
    /// The clients that came back with an id.
    pub resumed: usize,
    /// How often clients asked for new keys.
    pub asked: usize,
}

/// How the run ends for the clients that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// They read all there is.
    Reads,
    /// They read all there is, and the streams are over.
    Closes,
    /// The process drains.
    Drains,
}

struct Model<'a> {
    choices: Choices<'a>,
    stage: Stage,
    publishers: Vec<Publisher>,
    /// The data of the events that were published on each path.
    published: Vec<Vec<Bytes>>,
    clients: Vec<Expecting>,
    ending: Ending,
    seen: Seen,
}

/// Tries the operations that `input` says on a shard.
///
/// # Panics
/// A client gets what it must not get, or does not get what it must.
pub fn try_operations(input: &[u8]) -> Seen {
    fastrand::seed(0);
    let mut model = Model::new(Choices::new(input));
    while !model.choices.are_over() {
        model.step();
    }
    model.finish()
}

impl<'a> Model<'a> {
    fn new(mut choices: Choices<'a>) -> Self {
        let events = choices.one_of(&[1 << 20, 1, 3, 8, 0]);
        let starts = [Start::Live, Start::Back(NonZeroUsize::new(3).unwrap())];
        let start = choices.one_of(&starts[..if events >= 3 { 2 } else { 1 }]);
        let replay =
            ReplayOptions { start, events: NonZeroUsize::new(events), bytes: 1 << 30, ..ReplayOptions::default() };
        let ending = choices.one_of(&[Ending::Reads, Ending::Closes, Ending::Drains]);
        let stage = Stage::with(replay, |pace| {
            pace.skips = choices.one_of(&[false, true]);
            pace.flush = choices.one_of(&[None, Some(SECOND / 50)]);
            pace.heartbeat = choices.one_of(&[None, Some(SECOND)]);
            pace.stall = choices.one_of(&[1_000_000 * SECOND, 3 * SECOND]);
        });
        Self {
            choices,
            stage,
            publishers: Vec::new(),
            published: vec![Vec::new(); PATHS.len()],
            clients: Vec::new(),
            ending,
            seen: Seen::default(),
        }
    }

    fn step(&mut self) {
        match self.choices.below(20) {
            0..2 => self.join(),
            2..7 => self.publish(),
            7..9 => self.read(None),
            9 => self.ask_for_keys(),
            10 => self.read(Some(1 << 10)),
            11 if self.clients.len() > 4 => {
                let client = self.choices.below(self.clients.len());
                let mut client = self.clients.swap_remove(client);
                self.seen.events += client.advance(&self.published, self.stage.terms.pace.skips, &mut self.seen.gaps);
            }
            12 => self.stage.now += SECOND / 100,
            13 => self.stage.now += SECOND / 2,
            _ => self.stage.turn(),
        }
    }

    fn join(&mut self) {
        // The streams are opened in order, so that a path's index is also its publisher's.
        let path = self.choices.below(self.publishers.len().min(PATHS.len() - 1) + 1);
        let framing = self.choices.one_of(&[Framing::Chunked, Framing::UntilClose]);
        let is_slow = self.choices.below(3) == 0;
        let expires = self.choices.below(6) == 0;
        let (resumed, next) = self.place(path);
        self.seen.resumed += usize::from(resumed.is_some());
        let (ours, theirs) = match self.choices.below(4) {
            0 => (None, None),
            suite => {
                let (ours, theirs) = tls::pair(suite);
                (Some(Box::new(ours)), Some(theirs))
            }
        };
        let mut reader = self.stage.client_with(PATHS[path], |arrival| {
            arrival.channel = ours;
            arrival.delivery.framing = framing;
            arrival.delivery.opening = Bytes::new();
            if is_slow {
                hold_little(arrival);
            }
            if let Some(resumed) = resumed {
                arrival.delivery.subscription = resumed;
            }
            if expires {
                let end = unix_millis(SystemTime::now()) + 1_000;
                let grant = Arc::new(Grant { expires: Some(end), ..Grant::default() });
                arrival.delivery.subscription.is_of(Caller::default().granted(Some(grant)));
            }
        });
        reader.channel = theirs;
        if path == self.publishers.len() {
            self.publishers.push(self.stage.publisher());
        }
        self.clients.push(Expecting {
            reader,
            link: Link::Open,
            path,
            framing,
            partial: Vec::new(),
            decoder: Decoder::new(1 << 20),
            next,
            is_orderly: false,
            expires,
            is_expired: false,
        });
    }

    /// The place of a client that comes back with one of the newest ids, and the index of its next event. `None`: it comes
    /// without an id.
    fn place(&mut self, path: usize) -> (Option<Subscription>, usize) {
        let all = self.published[path].len();
        let back = if let Start::Back(n) = self.stage.settings.replay.start { n.get() } else { 0 };
        let behind = self.choices.below(9);
        let keeps_enough = self.stage.settings.replay.events.is_some_and(|events| events.get() >= 3);
        if behind >= 3 || behind >= all || !keeps_enough {
            return (None, all.saturating_sub(back));
        }
        let next = all - behind;
        let request = StreamRequest::new(RouteId(1), &ShareOptions::default(), PATHS[path], None, &HeaderMap::new());
        let id = Bytes::from((next - 1).to_string());
        (Some(self.stage.hub.join(request, &self.stage.settings, Some(&id)).unwrap()), next)
    }

    fn publish(&mut self) {
        if self.publishers.is_empty() {
            return;
        }
        let path = self.choices.below(self.publishers.len());
        let mut events = Vec::new();
        for _ in 0..=self.choices.below(3) {
            let n = self.published[path].len();
            let size = self.choices.below(200) * if self.choices.below(8) == 0 { 1000 } else { 1 };
            let data = Bytes::from(format!("{n} {}", "y".repeat(size)));
            let id = Bytes::from(n.to_string());
            events.push(Event { id: Some(id.clone()), last_event_id: id, data: data.clone(), ..Event::default() });
            self.published[path].push(data);
        }
        self.publishers[path].append(&events, &mut Continuation::fresh(false));
    }

    /// A client reads all that has arrived, or the beginning of it. The others do not.
    fn read(&mut self, most: Option<usize>) {
        if self.clients.is_empty() {
            return;
        }
        let client = self.choices.below(self.clients.len());
        let client = &mut self.clients[client];
        match most {
            None => client.link = client.reader.read(),
            Some(most) => {
                let mut buffer = vec![0; most];
                let n = client.reader.socket.read(&mut buffer).unwrap_or(0);
                if n > 0 {
                    client.reader.hear(&mut buffer[..n]);
                }
            }
        }
    }

    /// A client on TLS asks for new keys, if its connection is still there.
    fn ask_for_keys(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let client = self.choices.below(self.clients.len());
        let reader = &mut self.clients[client].reader;
        if let Some(channel) = &mut reader.channel {
            let asks = channel.asks();
            self.seen.asked += usize::from(reader.socket.write_all(&asks).is_ok());
        }
    }

    /// Lets all clients read until each has got what it must, and returns what came about.
    fn finish(mut self) -> Seen {
        let ending = self.ending;
        match ending {
            Ending::Reads => {}
            Ending::Closes => self.publishers.drain(..).for_each(|publisher| end(publisher, End::OriginClosed)),
            Ending::Drains => self.stage.inbox.drain(self.stage.now + SECOND),
        }
        for _ in 0..LOOKS {
            self.stage.later(SECOND / 10);
            self.advance();
            if self.clients.iter().all(|client| client.is_done(ending, &self.published)) {
                break;
            }
        }
        self.stage.later(LONG);
        self.advance();
        for client in &self.clients {
            assert!(client.is_done(ending, &self.published), "{ending:?}: {client:?}");
            let is_whole = client.next == self.published[client.path].len();
            let is_told = client.reader.was_told || client.reader.channel.is_none() || client.link == Link::Open;
            assert!(is_told || !client.is_orderly, "an end in order is told on TLS: {client:?}");
            assert!(
                client.is_orderly || !client.reader.was_told || client.framing == Framing::UntilClose,
                "{client:?}"
            );
            let ends_early = ending == Ending::Drains || client.is_expired;
            assert!(is_whole || !client.is_orderly || ends_early, "an end in order: {client:?}");
            assert!(client.expires || !client.is_expired, "its permission has no end: {client:?}");
        }
        self.depart()
    }

    /// Judges why clients departed, and that nothing is left of them when all have left.
    fn depart(mut self) -> Seen {
        let ended = self.clients.iter().filter(|client| client.link == Link::Ended).count();
        let departed = self.stage.departed();
        let of = |why: &Departure| departed.iter().filter(|departure| *departure == why).count();
        let published: usize = self.published.iter().flatten().map(Bytes::len).sum();
        let pace = self.stage.terms.pace.clone();
        self.seen.lagged = of(&Departure::Lagged);
        self.seen.stalled = of(&Departure::Stalled);
        self.seen.orderly = self.clients.iter().filter(|client| client.is_orderly).count();
        self.seen.expired = self.clients.iter().filter(|client| client.is_expired).count();
        assert!(self.seen.lagged == 0 || !pace.skips || published > MOST_PUBLISHED, "{departed:?}");
        assert!(self.seen.stalled == 0 || pace.stall < 10 * SECOND, "{departed:?}");
        let in_order = of(&Departure::Drained) + of(&Departure::Ended(End::OriginClosed));
        assert!(in_order == 0 || self.ending != Ending::Reads, "{departed:?}");
        // Some of those that departed may have left the model by then.
        let expired = of(&Departure::Expired);
        assert!(self.seen.expired <= expired, "{departed:?}");
        assert!(ended <= self.seen.lagged + self.seen.stalled + in_order + expired, "{ended} ended: {departed:?}");
        self.clients.clear();
        self.stage.later(LONG);
        assert!(self.stage.shard.members.is_empty());
        assert_eq!((self.stage.settings.counters.subscribers.value(), self.stage.hub.pinned_bytes()), (0, 0));
        self.seen
    }

    fn advance(&mut self) {
        for client in &mut self.clients {
            client.link = client.reader.read();
            self.seen.events += client.advance(&self.published, self.stage.terms.pace.skips, &mut self.seen.gaps);
        }
    }
}

#[test]
fn every_client_gets_every_event_once_or_is_told_whatever_happens() {
    const SEEDS: u64 = 30;
    const BYTES: usize = 1500;
    let mut all = Seen::default();
    for seed in 0..SEEDS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let input: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(BYTES).collect();
        let Seen { events, gaps, lagged, stalled, orderly, expired, resumed, asked } = try_operations(&input);
        all.events += events;
        all.gaps += gaps;
        all.lagged += lagged;
        all.stalled += stalled;
        all.orderly += orderly;
        all.expired += expired;
        all.resumed += resumed;
        all.asked += asked;
    }
    let Seen { events, gaps, lagged, stalled, orderly, expired, resumed, asked } = all;
    assert!(events > 1000 && gaps > 0 && lagged > 0 && stalled > 0 && orderly > 0 && asked > 100, "{all:?}");
    assert!(expired > 100 && resumed > 100, "{all:?}");
}
