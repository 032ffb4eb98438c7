//! A carrier: a connection of HTTP/2 that carries the streams of several clients.
//!
//! ```text
//!   Open ── all streams are over, or a connection error ──▶ Ending ── all is sent ──▶ Closing ── the client's end ──▶ gone
//!     └── the client leaves ──▶ gone                                                    └── `until` ──▶ gone
//! ```
//!
//! What the streams are sent in a turn is noted, and goes out at the end of the turn in one send. What the socket does
//! not take is kept. Until it is sent, the streams take nothing, and their clients fall behind.

mod answering;
mod hearing;
mod moving;
mod time;
mod work;

use super::h2::{Code, Connection, StreamId};
use super::joining::Carried;
use super::keys::CarrierKey;
use super::link::Link;
use super::on_the_way::on_the_way;
use super::responder::{CarrierId, Requests};
use super::sending::{limit_stall, reset_on_close, stall_millis};
use super::trust::Trust;
use crate::hub::{Departure, PATIENCE_WITH_READERS};
use bytes::Bytes;
use std::time::{Duration, Instant};
use work::{AtHand, HeldUp};

pub(super) use hearing::Heard;

/// How long the connection may take nothing as long as no stream says it.
const STALL: Duration = Duration::from_secs(30);

/// How long the last bytes may take.
const MOST_ENDING: Duration = Duration::from_secs(10);

/// A connection of HTTP/2.
#[derive(Debug)]
pub(super) struct Carrier {
    key: CarrierKey,
    /// No other connection of the shard has or had this number.
    number: u64,
    pub(super) link: Link,
    connection: Connection,
    phase: Phase,
    at_hand: AtHand,
    requests: Box<dyn Requests>,
    /// Says whether the shard or the kernel judges that the client stalls.
    trust: Trust,
    /// How long the client may take nothing, in milliseconds: the longest time of its streams. 0: no stream has said it.
    stall_millis: u32,
    /// The stream that last took something. The next turn of the streams begins after it.
    served: StreamId,
    /// When something is due, as the shard has noted it. Boxed, because nothing is due for most carriers.
    due: Option<Box<Instant>>,
    /// It is in the list of those that have something to send.
    pub(super) is_dirty: bool,
    /// It is in the shard's list of those that call.
    pub(super) calls: bool,
    /// The socket accepts no more bytes.
    is_blocked: bool,
    /// Some stream took less than it was given.
    is_short: bool,
    /// Its streams can go on.
    pub(super) is_ready: bool,
    /// There may be something that the client sent and that was not heard.
    is_unheard: bool,
    /// The client took nothing of a stream, and has begun no other since.
    has_stalled: bool,
}

const _: () = assert!(size_of::<Carrier>() <= 256, "there may be a hundred thousand connections");

/// How far a carrier is. See the drawing above. The times are boxed, because few carriers have one.
#[derive(Debug)]
enum Phase {
    Open {
        /// The connection closes then, if it has no stream: the shard drains.
        leaves_at: Option<Box<Instant>>,
    },
    /// Nothing more is served. What is unsent is sent. At `until` the socket is closed.
    Ending { until: Box<Instant> },
    /// Our side is closed. At `until` the socket is closed, even if the client's side is still open.
    Closing { until: Box<Instant> },
}

impl Carrier {
    /// A connection from its preface on.
    pub(super) fn new(id: CarrierId, carried: Carried, now: Instant) -> Self {
        let Carried { socket, channel, unread, head_time, keepalive, requests } = carried;
        let mut connection = Connection::new(now);
        connection.allow(head_time, keepalive);
        limit_stall(&socket, Some(STALL));
        let mut carrier = Self::of(id, Link::new(socket, channel), connection, requests);
        carrier.connection.open(&mut carrier.at_hand.out);
        carrier.at_hand.unread = unread;
        carrier
    }

    fn of(
        CarrierId { key, number }: CarrierId,
        link: Link,
        connection: Connection,
        requests: Box<dyn Requests>,
    ) -> Self {
        Self {
            key,
            number,
            link,
            connection,
            phase: Phase::Open { leaves_at: None },
            at_hand: AtHand::default(),
            requests,
            trust: Trust::default(),
            stall_millis: 0,
            served: StreamId::CONNECTION,
            due: None,
            is_dirty: false,
            calls: false,
            is_blocked: false,
            is_short: false,
            is_ready: false,
            is_unheard: false,
            has_stalled: false,
        }
    }

    pub(super) fn id(&self) -> CarrierId {
        CarrierId { key: self.key, number: self.number }
    }

    /// Whether streams are served.
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// How long the client may take nothing. `None`: no stream has said it.
    fn stall(&self) -> Option<Duration> {
        (self.stall_millis > 0).then(|| Duration::from_millis(self.stall_millis.into()))
    }

    /// Takes as many of these bytes for a stream as the windows and the turn allow. Returns their number.
    pub(super) fn take(&mut self, stream: StreamId, bytes: &Bytes) -> usize {
        let taken = if self.can_take() { self.at_hand.outgoing.take(&mut self.connection, stream, bytes) } else { 0 };
        self.is_short |= taken < bytes.len();
        if taken > 0 {
            self.served = stream;
        } else {
            self.at_hand.put_away();
        }
        taken
    }

    /// Whether the streams can be sent something, as far as the socket is concerned.
    fn can_take(&self) -> bool {
        !self.is_blocked && self.at_hand.rest.is_empty()
    }

    /// The response of a stream ends in order, after what it took.
    pub(super) fn end(&mut self, stream: StreamId) {
        self.connection.call(stream, 0);
        let _nothing = self.at_hand.outgoing.take_last(&mut self.connection, stream, &Bytes::new());
    }

    /// The response of a stream breaks off. It does nothing if the stream is over.
    pub(super) fn cut(&mut self, stream: StreamId, now: Instant) {
        if self.is_open() {
            self.connection.reset(stream, Code::CANCEL, now, &mut self.at_hand.out);
        }
    }

    /// The same, because the client takes nothing. If this was the last stream, the connection ends too.
    pub(super) fn cut_stalled(&mut self, stream: StreamId, now: Instant) {
        self.cut(stream, now);
        self.has_stalled = true;
    }

    /// The head of a response whose body the shard sends. Returns false if the stream is over.
    pub(super) fn begin(&mut self, stream: StreamId, block: &[u8], stall: Duration) -> bool {
        self.forget_answering(stream);
        let stall = stall_millis(Some(stall)).max(self.stall_millis);
        if std::mem::replace(&mut self.stall_millis, stall) != stall && !self.trust.is_given() {
            limit_stall(&self.link, self.stall());
        }
        self.is_open() && self.connection.head(stream, block, &mut self.at_hand.out)
    }

    /// The client that follows a stream has this name.
    pub(super) fn call(&mut self, stream: StreamId, label: u32) {
        self.connection.call(stream, label);
    }

    /// What the client is called that follows a stream. 0: nobody does.
    pub(super) fn label(&self, stream: StreamId) -> u32 {
        self.connection.label(stream)
    }

    /// The labels of all clients.
    pub(super) fn labels(&self) -> Vec<u32> {
        self.connection.labels().collect()
    }

    /// The streams that can be sent something, the one first whose turn it is.
    pub(super) fn ready(&self) -> Vec<(StreamId, u32)> {
        if self.can_take() { self.connection.ready(self.served) } else { Vec::new() }
    }

    /// Whether some stream took less than it was given since this was last asked, and more can be sent now.
    pub(super) fn was_short(&mut self) -> bool {
        let can_go_on = self.can_take() && !self.connection.is_full() && std::mem::take(&mut self.is_short);
        self.is_ready |= can_go_on;
        can_go_on
    }

    /// Whether the stream has room in its window, though not in this turn.
    fn is_held_by_socket(&self, stream: StreamId) -> bool {
        !self.can_take() && self.connection.has_window(stream)
    }

    /// The number of bytes on the way to the client that hold a stream up. It falls as the client reads. If only the
    /// client's window holds the stream up, it does not change.
    pub(super) fn on_the_way(&self, stream: StreamId) -> u32 {
        if !self.is_held_by_socket(stream) {
            return u32::MAX;
        }
        on_the_way(&self.link).saturating_add(u32::try_from(self.at_hand.rest.len()).unwrap_or(u32::MAX))
    }

    /// Adds what is to be sent now to `wire`.
    pub(super) fn write(&mut self, now: Instant, wire: &mut Vec<u8>) {
        let work = &mut *self.at_hand;
        wire.extend_from_slice(&std::mem::take(&mut work.rest));
        wire.extend_from_slice(&std::mem::take(&mut work.out));
        work.outgoing.write(&mut self.connection, now, wire);
    }

    /// Whether something can be sent now.
    pub(super) fn has_something(&self) -> bool {
        !self.is_blocked && !self.is_sent()
    }

    /// The socket took all but `rest`. `is_blocked`: it accepts no more bytes.
    pub(super) fn was_sent(&mut self, rest: &[u8], is_blocked: bool, now: Instant) {
        if !rest.is_empty() {
            self.at_hand.rest = rest.to_vec();
        }
        self.is_blocked = is_blocked;
        if is_blocked {
            self.holds_up(now);
            self.trust.begin(&self.link, now);
        } else {
            self.at_hand.held_up = None;
            self.trust.end(&self.link, self.stall().unwrap_or(STALL), now);
        }
    }

    /// Counts what is kept because the socket accepts no more.
    fn holds_up(&mut self, now: Instant) {
        let patience = match self.at_hand.held_up.take() {
            Some(before) => before.patience,
            None => Some(now + PATIENCE_WITH_READERS),
        };
        let kept = self.requests.keep(self.at_hand.rest.len() + self.link.kept());
        self.at_hand.held_up = Some(HeldUp { kept, patience });
    }

    /// Whether the client is slow, and such clients keep too much together.
    pub(super) fn keeps_too_much(&self) -> bool {
        self.at_hand.held_up.as_ref().is_some_and(|held_up| held_up.patience.is_none() && held_up.kept.is_too_much())
    }

    /// The socket accepts bytes again.
    pub(super) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Nothing more is served. What is unsent is sent, if the client takes it.
    pub(super) fn gives_up(&mut self, now: Instant) {
        self.phase = Phase::Ending { until: Box::new(now + MOST_ENDING) };
        self.at_hand.answering = Vec::new();
        self.at_hand.unread = Vec::new();
    }

    /// Whether all is over and sent. On TLS, close_notify is then pending unless it was sent.
    pub(super) fn is_done(&mut self, now: Instant) -> bool {
        if self.is_open() && self.connection.is_over() {
            self.gives_up(now);
        }
        let is_done = matches!(self.phase, Phase::Ending { .. }) && self.is_sent();
        if is_done {
            self.link.close();
        }
        is_done
    }

    fn is_sent(&self) -> bool {
        self.at_hand.is_sent() && !self.link.has_pending()
    }

    #[cfg(test)]
    pub(super) fn has_nothing_at_hand(&self) -> bool {
        self.at_hand.is_put_away()
    }

    /// Frees the memory of what was done.
    pub(super) fn put_away(&mut self) {
        self.at_hand.put_away();
    }

    /// The connection is about to go, and so are its streams. Returns the labels of their clients.
    pub(super) fn goes(&mut self, why: &Departure) -> Vec<u32> {
        if *why == Departure::Stalled {
            self.requests.stalled();
        }
        if self.is_blocked {
            // The bytes that the client does not take are freed at once.
            reset_on_close(&self.link);
        }
        self.labels()
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Whether the client, which has no stream any more, took nothing of its last one. It is told that the connection ends.
    pub(super) fn leaves_stalled(&mut self) -> bool {
        let leaves = self.is_open() && self.has_stalled && self.connection.is_idle();
        if leaves {
            self.connection.leave(&mut self.at_hand.out);
        }
        leaves
    }

    /// Whether the client was not heard for a while, and can be now.
    pub(super) fn can_be_heard_again(&self) -> bool {
        self.is_unheard && self.may_be_heard()
    }
}
