//! What a client sends: records are put together, opened and understood.

use super::channel::Channel;
use super::keys::Keys;
use super::record::{self, ALERT, APPLICATION_DATA, HANDSHAKE, HEADER_BYTES, Unopened};
use ring::aead::LessSafeKey;
use ring::error::Unspecified;

/// The bytes of a KeyUpdate before its last byte, which says whether an answer is asked for (RFC 8446, section 4.6.3).
const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];

/// Why nothing more is read from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The client said that it sends nothing more: close_notify or another alert.
    Gone,
    /// The client broke the protocol. This alert tells it so.
    Broken(Alert),
}

/// A fatal alert (RFC 8446, section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alert {
    /// A record of a kind that must not come.
    UnexpectedMessage = 10,
    /// A record that is not authentic.
    BadRecordMac = 20,
    /// A record that is too long.
    RecordOverflow = 22,
    /// A field with a value that it must not have.
    IllegalParameter = 47,
    /// A message that cannot be decoded.
    DecodeError = 50,
    /// It is this side that cannot go on.
    InternalError = 80,
}

impl From<Unopened> for Over {
    fn from(why: Unopened) -> Self {
        Self::Broken(match why {
            Unopened::Type | Unopened::Padding => Alert::UnexpectedMessage,
            Unopened::Overflow => Alert::RecordOverflow,
            Unopened::Forged => Alert::BadRecordMac,
        })
    }
}

impl From<Unspecified> for Over {
    fn from(_: Unspecified) -> Self {
        Self::Broken(Alert::InternalError)
    }
}

/// The client's keys, which live as long as one call.
struct Opener {
    keys: Keys,
    expanded: LessSafeKey,
}

impl Channel {
    /// Takes bytes that arrived, and opens them in place as far as they are whole records. Calls `said` for the
    /// application data. A KeyUpdate is followed. If it asks for an answer, the answer is [pending](Self::has_pending).
    ///
    /// # Errors
    /// When nothing more is to be read. Then this must not be called any more.
    pub fn receive(&mut self, mut bytes: &mut [u8], mut said: impl FnMut(&[u8])) -> Result<(), Over> {
        let mut opener = None;
        while !bytes.is_empty() {
            let whole = match bytes.first_chunk().copied().filter(|_| !self.is_within_record()) {
                Some(header) => Some((header, HEADER_BYTES + record::payload_bytes(header)?)),
                None => None,
            };
            if let Some((header, end)) = whole.filter(|(_, end)| *end <= bytes.len()) {
                let (record, rest) = std::mem::take(&mut bytes).split_at_mut(end);
                self.take(&mut opener, header, record.get_mut(HEADER_BYTES..).unwrap_or_default(), &mut said)?;
                bytes = rest;
                continue;
            }
            // What follows was cut to pieces on its way, or began so.
            let mut arriving = self.take_arriving();
            let taken = collect(&mut arriving, bytes)?;
            bytes = bytes.get_mut(taken..).unwrap_or_default();
            let whole = arriving.first_chunk().copied().map(|header| Ok((header, record::payload_bytes(header)?)));
            match whole.transpose().map_err(|why: Unopened| Over::from(why))? {
                Some((header, payload)) if arriving.len() == HEADER_BYTES + payload => {
                    self.take(&mut opener, header, arriving.get_mut(HEADER_BYTES..).unwrap_or_default(), &mut said)?;
                }
                _ => self.put_arriving(arriving),
            }
        }
        Ok(())
    }

    /// Takes a whole record.
    fn take(
        &mut self,
        opener: &mut Option<Opener>,
        header: [u8; HEADER_BYTES],
        payload: &mut [u8],
        said: &mut impl FnMut(&[u8]),
    ) -> Result<(), Over> {
        let Opener { keys, expanded } = match opener {
            Some(opener) => opener,
            None => {
                let keys = Keys::of(self.algorithm(), &self.rx_secret, self.rx_seq)?;
                opener.insert(Opener { expanded: keys.expanded()?, keys })
            }
        };
        let (kind, content) = record::open(keys, expanded, header, payload)?;
        self.rx_seq = keys.seq;
        if self.key_update_bytes > 0 && kind != HANDSHAKE {
            // No other record may be inside a message (section 5.1).
            return Err(Over::Broken(Alert::UnexpectedMessage));
        }
        if kind != APPLICATION_DATA || content.is_empty() {
            let left = self.idle_left.checked_sub(1).ok_or(Over::Broken(Alert::UnexpectedMessage))?;
            self.idle_left = left;
        }
        match kind {
            APPLICATION_DATA if content.is_empty() => {}
            APPLICATION_DATA => said(content),
            HANDSHAKE => {
                if let Some(asks) = self.key_update(content)? {
                    self.rx_secret = self.rx_secret.next(self.algorithm())?;
                    self.rx_seq = 0;
                    *opener = None;
                    if asks {
                        self.answer_key_update();
                    }
                }
            }
            ALERT => return Err(alert(content)),
            _ => return Err(Over::Broken(Alert::UnexpectedMessage)),
        }
        Ok(())
    }

    /// Takes a handshake message, or a part of it. If it is a whole KeyUpdate, returns whether it asks for an answer.
    fn key_update(&mut self, content: &[u8]) -> Result<Option<bool>, Over> {
        if content.is_empty() {
            return Err(Over::Broken(Alert::UnexpectedMessage));
        }
        for (index, byte) in content.iter().enumerate() {
            match (KEY_UPDATE.get(usize::from(self.key_update_bytes)), byte) {
                (Some(expected), byte) if expected == byte => self.key_update_bytes += 1,
                (Some(_), _) if self.key_update_bytes == 0 => return Err(Over::Broken(Alert::UnexpectedMessage)),
                (Some(_), _) => return Err(Over::Broken(Alert::DecodeError)),
                // The keys change after it, so it must be the last in its record (section 5.1).
                (None, _) if index + 1 < content.len() => return Err(Over::Broken(Alert::UnexpectedMessage)),
                (None, asks @ 0..=1) => {
                    self.key_update_bytes = 0;
                    return Ok(Some(*asks == 1));
                }
                (None, _) => return Err(Over::Broken(Alert::IllegalParameter)),
            }
        }
        Ok(None)
    }
}

/// What an alert means. All of them end the connection here, also the warning user_canceled, which close_notify follows.
fn alert(content: &[u8]) -> Over {
    match content {
        [1 | 2, _] => Over::Gone,
        [_, _] => Over::Broken(Alert::IllegalParameter),
        [] => Over::Broken(Alert::UnexpectedMessage),
        _ => Over::Broken(Alert::DecodeError),
    }
}

/// Appends the next bytes of a record: of its header, or of its payload. Returns their number. Memory is taken for bytes
/// that have come, and never for more than the record.
fn collect(arriving: &mut Vec<u8>, bytes: &[u8]) -> Result<usize, Over> {
    let whole = match arriving.first_chunk().copied() {
        Some(header) => HEADER_BYTES + record::payload_bytes(header)?,
        None => HEADER_BYTES,
    };
    let wanted = whole.saturating_sub(arriving.len());
    let came = bytes.get(..wanted).unwrap_or(bytes);
    if arriving.first().or_else(|| came.first()) != Some(&APPLICATION_DATA) {
        return Err(Unopened::Type.into());
    }
    if arriving.capacity() - arriving.len() < came.len() {
        let room = (2 * arriving.len()).max(arriving.len() + came.len()).min(whole);
        arriving.reserve_exact(room - arriving.len());
    }
    arriving.extend_from_slice(came);
    Ok(came.len())
}
