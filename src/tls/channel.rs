//! What is kept of one client's connection: keys, secrets, and the rest of a record that was begun.

use super::incoming::Alert;
use super::keys::{Algorithm, Keys, Secret};
use super::record::{self, ALERT, APPLICATION_DATA, HANDSHAKE, OVERHEAD_BYTES};
use ring::error::Unspecified;
use std::fmt;

/// The most bytes of plaintext in one record. The protocol allows 16 KiB. A client whose socket accepts no more bytes
/// keeps the rest of one record, so this bounds what it keeps. A record of 4 KiB costs half a percent more bytes than
/// one of 16 KiB, and the client can read it earlier.
pub const RECORD_BYTES: usize = 4 << 10;

/// The most bytes of plaintext that are sealed at once. What the socket does not take is sealed again later, so sealing
/// all of a large event for each piece that a slow client takes would cost the square of its size.
pub const MOST_SEALED: usize = 16 * RECORD_BYTES;

/// The number of records after which the keys are replaced. AES-GCM allows about 2^24.5 full-size records (RFC 8446,
/// section 5.5). Half of that leaves room for all records that are sealed at once. ChaCha20-Poly1305 has no such limit,
/// and its keys are replaced all the same.
const RENEW_AT: u64 = 1 << 23;

/// How many records that carry no data a client may send while it is connected: KeyUpdates and empty records. They cost
/// work and bring nothing.
pub(super) const MOST_IDLE: u16 = 256;

/// The keys of a client's connection, and what the connection needs to go on.
///
/// What is sent is sealed first and settled after: `seal` numbers the records, and `settle` takes the numbers of those
/// back of which no byte left the machine. So no nonce ever serves two plaintexts that anybody has seen. What was begun
/// is kept as ciphertext and goes first:
///
/// ```text
///   seal:    pending │ record │ record │ record
///   sent:    ──────────────────────▶
///   settle:                     └ pending ┘ └ its number is free again
/// ```
pub struct Channel {
    pub(super) tx: Keys,
    pub(super) tx_secret: Secret,
    pub(super) rx_secret: Secret,
    /// The number of the client's next record. The keys are made anew when something arrives, because clients send
    /// hardly anything.
    pub(super) rx_seq: u64,
    /// Boxed, because few clients have any: one that has none has room for a pointer only.
    pub(super) aside: Option<Box<Aside>>,
    /// How many more records without data the client may send.
    pub(super) idle_left: u16,
    /// How many bytes of a KeyUpdate have arrived. What they are is known.
    pub(super) key_update_bytes: u8,
    /// The answer to a KeyUpdate is pending. It answers later requests as well (RFC 8446, section 4.6.3).
    pub(super) answers: bool,
    /// The last record was sealed: close_notify or a fatal alert.
    pub(super) is_closed: bool,
}

/// Parts of records.
#[derive(Default)]
pub(super) struct Aside {
    /// Sealed bytes that go before everything else.
    pub(super) pending: Vec<u8>,
    /// The beginning of a record that has not arrived completely.
    pub(super) arriving: Vec<u8>,
}

/// Bytes that were sealed and are being sent. See [`Channel::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Sealed {
    /// The number of bytes that were pending before. They come first.
    before: usize,
    /// The bytes of plaintext after them.
    plain: usize,
}

impl Sealed {
    /// The number of plaintext bytes that were sealed.
    #[must_use]
    pub fn plain(&self) -> usize {
        self.plain
    }

    fn records(self) -> usize {
        self.plain.div_ceil(RECORD_BYTES)
    }

    /// All bytes on the wire.
    fn wire(self) -> usize {
        self.before + self.plain + self.records() * OVERHEAD_BYTES
    }
}

impl Channel {
    /// A channel whose next records have these numbers.
    pub(super) fn new(
        algorithm: Algorithm,
        (tx_secret, tx_seq): (Secret, u64),
        (rx_secret, rx_seq): (Secret, u64),
    ) -> Result<Self, Unspecified> {
        Ok(Self {
            tx: Keys::of(algorithm, &tx_secret, tx_seq)?,
            tx_secret,
            rx_secret,
            rx_seq,
            aside: None,
            idle_left: MOST_IDLE,
            key_update_bytes: 0,
            answers: false,
            is_closed: false,
        })
    }

    /// Appends to `out` what goes on the wire next: what is pending, and then `plain` in records, [`MOST_SEALED`] bytes
    /// at most. After the send, [`settle`](Self::settle) must be called. If it is not, nothing can be sent any more.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Sealed {
        self.seal_until(RENEW_AT, plain, out)
    }

    /// `renew_at`: the number of records after which the keys are replaced.
    pub(super) fn seal_until(&mut self, renew_at: u64, plain: &[u8], out: &mut Vec<u8>) -> Sealed {
        let plain = if self.is_closed { &[] } else { plain.get(..MOST_SEALED).unwrap_or(plain) };
        if !plain.is_empty() && self.tx.seq >= renew_at {
            self.update_keys(false);
        }
        let mut sealed = Sealed { before: self.pending().len(), plain: 0 };
        out.extend_from_slice(self.pending());
        if plain.is_empty() {
            return sealed;
        }
        let Ok(expanded) = self.tx.expanded() else { return sealed };
        for content in plain.chunks(RECORD_BYTES) {
            if record::seal(&mut self.tx, &expanded, APPLICATION_DATA, content, out).is_err() {
                break;
            }
            sealed.plain += content.len();
        }
        sealed
    }

    /// The socket took the first `taken` bytes of what [`seal`](Self::seal) appended, which is `wire`. Returns the number
    /// of plaintext bytes in records that were begun. They count as sent, because the rest of the last one is pending.
    pub fn settle(&mut self, sealed: Sealed, wire: &[u8], taken: usize) -> usize {
        debug_assert_eq!(sealed.wire(), wire.len());
        let of_records = taken.saturating_sub(sealed.before);
        let begun = of_records.div_ceil(RECORD_BYTES + OVERHEAD_BYTES).min(sealed.records());
        self.tx.seq -= (sealed.records() - begun) as u64;
        let begun_plain = (begun * RECORD_BYTES).min(sealed.plain);
        let end = sealed.before + begun_plain + begun * OVERHEAD_BYTES;
        let rest = wire.get(taken..end).unwrap_or_default();
        if rest.is_empty() {
            self.drop_pending();
            self.answers = false;
        } else if taken > 0 {
            let pending = &mut self.aside.get_or_insert_default().pending;
            pending.clear();
            pending.extend_from_slice(rest);
        }
        begun_plain
    }

    /// The sealed bytes that go before everything else.
    pub(super) fn pending(&self) -> &[u8] {
        self.aside.as_ref().map_or(&[], |aside| &aside.pending)
    }

    fn drop_pending(&mut self) {
        if let Some(aside) = &mut self.aside {
            aside.pending = Vec::new();
            self.aside.take_if(|aside| aside.is_empty());
        }
    }

    /// Takes the beginning of a record that has not arrived completely.
    pub(super) fn take_arriving(&mut self) -> Vec<u8> {
        let arriving = self.aside.as_mut().map(|aside| std::mem::take(&mut aside.arriving));
        self.aside.take_if(|aside| aside.is_empty());
        arriving.unwrap_or_default()
    }

    pub(super) fn put_arriving(&mut self, arriving: Vec<u8>) {
        if !arriving.is_empty() {
            self.aside.get_or_insert_default().arriving = arriving;
        }
    }

    /// Whether the connection has ended: nothing more can be sealed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether sealed bytes wait to be sent.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.pending().is_empty()
    }

    /// Whether a record has not arrived completely.
    #[must_use]
    pub fn is_within_record(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| !aside.arriving.is_empty())
    }

    /// Ends the connection in order: close_notify is pending (RFC 8446, section 6.1). Nothing can be sealed after it.
    pub fn close(&mut self) {
        self.put_last([1, 0]);
    }

    /// Ends the connection because the client broke the protocol: a fatal alert is pending.
    pub fn fail(&mut self, alert: Alert) {
        self.put_last([2, alert as u8]);
    }

    fn put_last(&mut self, alert: [u8; 2]) {
        if !self.is_closed {
            self.put(ALERT, &alert);
            self.is_closed = true;
        }
    }

    /// The client asks for new keys. There is one answer for all who ask before it is sent.
    pub(super) fn answer_key_update(&mut self) {
        if !self.answers && !self.is_closed {
            self.answers = true;
            self.update_keys(false);
        }
    }

    /// Replaces the keys, and tells the other side, under the old keys. `asks`: it is to do the same.
    pub(super) fn update_keys(&mut self, asks: bool) {
        let algorithm = self.tx.algorithm;
        let next = self.tx_secret.next(algorithm).and_then(|secret| Ok((Keys::of(algorithm, &secret, 0)?, secret)));
        if let Ok((keys, secret)) = next
            && self.put(HANDSHAKE, &[24, 0, 0, 1, u8::from(asks)])
        {
            (self.tx, self.tx_secret) = (keys, secret);
        }
    }

    /// Seals a record behind what is pending. Returns whether it did.
    fn put(&mut self, kind: u8, content: &[u8]) -> bool {
        let Ok(expanded) = self.tx.expanded() else { return false };
        record::seal(&mut self.tx, &expanded, kind, content, &mut self.aside.get_or_insert_default().pending).is_ok()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.tx.algorithm
    }

    /// The memory that the channel keeps beyond its own: sealed bytes that were not sent, and a record that has not arrived
    /// completely.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.aside.as_ref().map_or(0, |aside| aside.pending.capacity() + aside.arriving.capacity())
    }
}

impl Aside {
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.arriving.is_empty()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tx, rx_seq, is_closed, .. } = self;
        write!(f, "Channel({tx:?}, rx seq {rx_seq}, {} pending, closed: {is_closed})", self.pending().len())
    }
}
