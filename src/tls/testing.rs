//! The client's side of a [`Channel`], for tests and a fuzz target.

#![cfg_attr(fuzzing, allow(unused, reason = "a fuzz target uses the records alone"))]

use super::channel::{Channel, MOST_IDLE};
use super::incoming::Over;
use super::keys::{Algorithm, Keys, Secret};
use super::record::{self, ALERT, APPLICATION_DATA, HANDSHAKE, HEADER_BYTES, MOST_CONTENT_BYTES, MOST_PAYLOAD_BYTES};
use crate::choices::Choices;

/// A suite of each kind.
pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305];

/// What a client sends, as bytes on the wire. It may send what no client should.
#[derive(Debug)]
pub(super) struct Talker {
    secret: Secret,
    keys: Keys,
}

/// A channel, and the client that it listens to.
pub(super) fn talking(algorithm: Algorithm) -> (Channel, Talker) {
    let (ours, theirs) = (secret(algorithm, 1), secret(algorithm, 2));
    let keys = Keys::of(algorithm, &theirs, 0).unwrap();
    let channel = Channel::new(algorithm, (ours, 0), (theirs, 0)).unwrap();
    (channel, Talker { secret: secret(algorithm, 2), keys })
}

fn secret(algorithm: Algorithm, byte: u8) -> Secret {
    let bytes = [byte; 48];
    Secret::new(algorithm, &bytes).or_else(|| Secret::new(algorithm, &bytes[..32])).unwrap()
}

/// Both ends of a connection with the suite of this number. The second is the client's.
pub(crate) fn pair(suite: usize) -> (Channel, Channel) {
    let algorithm = ALGORITHMS[suite % ALGORITHMS.len()];
    let end =
        |ours, theirs| Channel::new(algorithm, (secret(algorithm, ours), 0), (secret(algorithm, theirs), 0)).unwrap();
    (end(1, 2), end(2, 1))
}

impl Channel {
    /// What a client says that wants new keys in both directions.
    pub(crate) fn asks(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        self.update_keys(true);
        let sealed = self.seal(b"", &mut wire);
        self.settle(sealed, &wire, wire.len());
        wire
    }
}

impl Talker {
    /// A record of this kind with so many bytes of padding.
    pub(super) fn padded(&mut self, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let expanded = self.keys.expanded().unwrap();
        let mut inner = content.to_vec();
        let last = if padding == 0 {
            kind
        } else {
            inner.push(kind);
            inner.resize(content.len() + padding, 0);
            0
        };
        record::seal(&mut self.keys, &expanded, last, &inner, &mut out).unwrap();
        out
    }

    pub(super) fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        self.padded(kind, content, 0)
    }

    pub(super) fn data(&mut self, content: &[u8]) -> Vec<u8> {
        self.record(APPLICATION_DATA, content)
    }

    /// A KeyUpdate. What the client says afterwards is under new keys.
    pub(super) fn key_update(&mut self, asks: bool) -> Vec<u8> {
        let record = self.record(HANDSHAKE, &[24, 0, 0, 1, u8::from(asks)]);
        self.renew();
        record
    }

    /// Takes the next keys.
    pub(super) fn renew(&mut self) {
        self.secret = self.secret.next(self.keys.algorithm).unwrap();
        self.keys = Keys::of(self.keys.algorithm, &self.secret, 0).unwrap();
    }
}

/// What a channel made of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Heard {
    pub(super) data: Vec<u8>,
    pub(super) over: Option<Over>,
}

/// Gives a channel bytes in pieces. Nothing is given to it when it has heard enough.
pub(super) fn heard<'a>(channel: &mut Channel, pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let mut heard = Heard::default();
    for piece in pieces {
        let mut piece = piece.to_vec();
        if let Err(over) = channel.receive(&mut piece, |data| heard.data.extend_from_slice(data)) {
            heard.over = Some(over);
            break;
        }
        // A part of a record, and one answer to a KeyUpdate.
        assert!(channel.kept() <= HEADER_BYTES + MOST_PAYLOAD_BYTES + 32, "{} bytes are kept", channel.kept());
    }
    heard
}

/// What a client sends, and what must become of it.
struct Script {
    client: Talker,
    wire: Vec<u8>,
    /// Where the bytes are cut.
    cuts: Vec<usize>,
    /// The data that must be heard.
    data: Vec<u8>,
    /// The records without data.
    idle: u16,
    /// The client asked for new keys.
    asked: bool,
    /// The client ended the connection, or broke the protocol.
    is_over: bool,
}

impl Script {
    fn step(&mut self, choices: &mut Choices<'_>) {
        let content: Vec<u8> = (0..choices.below(300)).map(|n| n.to_le_bytes()[0]).collect();
        let padding = choices.below(3) * 7;
        match choices.below(64).saturating_sub(48) {
            0..=5 => self.says(&content, padding),
            6 => self.says(b"", padding),
            7 => self.says(&[b'l'; MOST_CONTENT_BYTES], 0),
            8 | 9 => {
                let asks = choices.below(2) == 1;
                self.idle += 1;
                self.asked |= asks && !self.is_over && self.idle <= MOST_IDLE;
                self.wire.extend(self.client.key_update(asks));
            }
            10 => {
                self.idle += 2;
                self.wire.extend(self.client.record(HANDSHAKE, &[24, 0]));
                self.wire.extend(self.client.record(HANDSHAKE, &[0, 1, 0]));
                self.client.renew();
            }
            11 => self.cuts.push(self.wire.len() + choices.below(3)),
            wrong => {
                self.is_over = true;
                self.goes_wrong(wrong, &content, choices);
            }
        }
        self.is_over |= self.idle > MOST_IDLE;
    }

    fn says(&mut self, content: &[u8], padding: usize) {
        self.wire.extend(self.client.padded(APPLICATION_DATA, content, padding));
        self.idle += u16::from(content.is_empty());
        if !self.is_over {
            self.data.extend_from_slice(content);
        }
    }

    fn goes_wrong(&mut self, how: usize, content: &[u8], choices: &mut Choices<'_>) {
        let small = |below: usize, choices: &mut Choices<'_>| choices.below(below).to_le_bytes()[0];
        match how {
            12 => self.wire.extend(self.client.record(ALERT, &[1, choices.byte()])),
            13 => self.wire.extend(self.client.record(1 + small(20, choices), content)),
            14 => self.wire.extend_from_slice(&[small(23, choices), 3, 3, 0, 40]),
            _ => {
                let mut record = self.client.data(content);
                let at = choices.below(record.len());
                record[at] ^= choices.byte() | 1;
                self.wire.extend(record);
                // A length that became larger swallows what follows.
                self.wire.resize(self.wire.len() + HEADER_BYTES + MOST_PAYLOAD_BYTES, 0);
            }
        }
    }
}

/// Lets a client send what `input` says, at once and in pieces. Both must come to the same, and what is data must be
/// heard as long as the client did nothing wrong. Returns how many bytes were heard, and whether the client ended the
/// connection and whether it broke the protocol.
///
/// # Panics
/// It is otherwise.
#[allow(unreachable_pub, reason = "a fuzz target uses it")]
pub fn try_records(input: &[u8]) -> (usize, bool, bool) {
    let mut choices = Choices::new(input);
    let algorithm = choices.one_of(&ALGORITHMS);
    let (mut channel, client) = talking(algorithm);
    let (wire, cuts, data) = (Vec::new(), Vec::new(), Vec::new());
    let mut script = Script { client, wire, cuts, data, idle: 0, asked: false, is_over: false };
    while !choices.are_over() {
        script.step(&mut choices);
    }
    let Script { wire, mut cuts, data, asked, is_over, .. } = script;
    let whole = heard(&mut channel, [&wire[..]]);
    cuts.retain(|at| *at < wire.len());
    cuts.sort_unstable();
    let begins = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([wire.len()]);
    let pieces = begins.zip(ends).map(|(begin, end)| &wire[begin..end]);
    assert_eq!(heard(&mut talking(algorithm).0, pieces), whole, "it does not matter how it was cut");
    assert_eq!(heard(&mut talking(algorithm).0, wire.chunks(1)), whole);
    assert_eq!(whole.over.is_some(), is_over, "{:?}", whole.over);
    assert!(whole.data == data, "{} bytes of {}", whole.data.len(), data.len());
    assert_eq!(channel.has_pending(), asked);
    (data.len(), whole.over == Some(Over::Gone), matches!(whole.over, Some(Over::Broken(_))))
}
